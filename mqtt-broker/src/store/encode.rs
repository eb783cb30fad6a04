//! From records to bytes.

use mqtt_codec::{QoS, SubscriptionId};
use mqtt_session::{Change, Commit, Instant};

use super::body::put_body;
use super::kind::{self, flag};
use super::varint::{put, put_difference, put_text};
use crate::core::{GroupId, Kept, Message, Record, Subscriber};

/// What one worker records from one commit to the next.
///
/// Receivers and copies are written as differences to those before them: what belongs together has numbers that lie together.
#[derive(Debug, Default)]
pub(super) struct Encoder {
    bytes: Vec<u8>,
    /// The number of the next record.
    next: u64,
    receiver: u64,
    copy: u64,
}

impl Encoder {
    /// Begins a batch whose first record has this number.
    pub(super) fn begin(&mut self, first: u64) {
        self.bytes.push(kind::BATCH);
        put(&mut self.bytes, first);
        (self.next, self.receiver, self.copy) = (first, 0, 0);
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Takes what was written.
    pub(super) fn take(&mut self) -> Vec<u8> {
        let room = self.bytes.len().min(64 * 1024);
        core::mem::replace(&mut self.bytes, Vec::with_capacity(room))
    }

    /// The numbers go on with this one.
    pub(super) fn skip_to(&mut self, next: u64) {
        if next > self.next {
            self.bytes.push(kind::SKIP);
            put(&mut self.bytes, next - self.next);
            self.next = next;
        }
    }

    /// The message that the next record brings.
    pub(super) fn body(&mut self, message: &Message) {
        self.bytes.push(kind::BODY);
        put_body(&mut self.bytes, message, self.next);
    }

    fn receiver(&mut self, who: Subscriber) {
        let bits = who.to_bits();
        put_difference(&mut self.bytes, self.receiver, bits);
        self.receiver = bits;
    }

    fn copy(&mut self, copy: Commit) {
        put_difference(&mut self.bytes, self.copy, copy.0);
        self.copy = copy.0;
    }

    fn group(&mut self, group: GroupId) {
        put(&mut self.bytes, group.slot.into());
        put(&mut self.bytes, group.generation.into());
    }

    fn optional(&mut self, at: Option<Instant>) {
        if let Some(at) = at {
            put(&mut self.bytes, at.as_millis());
        }
    }

    /// How far before this record its message came.
    fn back(&mut self, message: Kept<'_>) -> u64 {
        let back = self.next.wrapping_sub(message.body.0);
        put(&mut self.bytes, back);
        back
    }

    fn ids(&mut self, ids: &[SubscriptionId]) {
        put(&mut self.bytes, ids.len() as u64);
        for id in ids {
            put(&mut self.bytes, id.get().into());
        }
    }

    /// Appends a record; gives back its number.
    pub(super) fn record(&mut self, record: &Record<'_, Kept<'_>>) -> u64 {
        match *record {
            Record::Session {
                session,
                client_id,
                user_name,
                expiry,
                bridge,
            } => {
                let flags = flag(user_name.is_some(), 0) | flag(bridge, 1);
                self.bytes.push(kind::SESSION | flags);
                self.receiver(session);
                put_text(&mut self.bytes, client_id);
                if let Some(name) = user_name {
                    put_text(&mut self.bytes, name);
                }
                put(&mut self.bytes, expiry.into());
            }
            Record::Used(session) => self.plain(kind::USED, session),
            Record::Disconnected { session, expires } => {
                self.bytes
                    .push(kind::DISCONNECTED | flag(expires.is_some(), 0));
                self.receiver(session);
                self.optional(expires);
            }
            Record::Ended(who) => self.plain(kind::ENDED, who),
            Record::Subscribed {
                session,
                filter,
                options,
                id,
                retained,
            } => {
                self.bytes.push(kind::SUBSCRIBED | flag(retained, 0));
                self.receiver(session);
                put_text(&mut self.bytes, filter);
                self.bytes.push(options.to_byte());
                put(&mut self.bytes, id.map_or(0, SubscriptionId::get).into());
            }
            Record::RetainedSent { session, filter } => {
                self.plain(kind::RETAINED_SENT, session);
                put_text(&mut self.bytes, filter);
            }
            Record::Unsubscribed { session, filter } => {
                self.plain(kind::UNSUBSCRIBED, session);
                put_text(&mut self.bytes, filter);
            }
            Record::Group { group, filter } => {
                self.bytes.push(kind::GROUP);
                self.group(group);
                put_text(&mut self.bytes, filter);
            }
            Record::Queued {
                receiver,
                message,
                qos,
                retain,
                ids,
                group,
            } => {
                let terms = !ids.is_empty() || group.is_some();
                let flags = flag(qos == QoS::ExactlyOnce, 0) | flag(retain, 1) | flag(terms, 2);
                self.bytes.push(kind::QUEUED | flags);
                self.receiver(receiver);
                let back = self.back(message);
                if retain && back != 0 {
                    put_text(&mut self.bytes, message.topic.unwrap_or_default());
                }
                if terms {
                    self.ids(ids);
                    self.bytes.push(u8::from(group.is_some()));
                    if let Some(group) = group {
                        self.group(group);
                    }
                }
            }
            Record::Done { receiver, copy } => {
                self.plain(kind::DONE, receiver);
                self.copy(copy);
            }
            Record::Handshake {
                session,
                change,
                copy,
            } => {
                let (which, id) = match change {
                    Change::Received(id) => (0, Some(id)),
                    Change::Released(id) => (1, Some(id)),
                    Change::Sent(_, id) => (2, Some(id)),
                    Change::PeerReceived(_, id) => (3, Some(id)),
                    Change::Completed(id) => (4, Some(id)),
                    // A change that this version does not know says nothing to it: it names none but these.
                    _ => (5, None),
                };
                self.bytes.push(kind::HANDSHAKE | which << kind::FLAGS);
                self.receiver(session);
                if let Some(id) = id {
                    put(&mut self.bytes, id.get().into());
                }
                if matches!(which, 2 | 3) {
                    self.copy(copy);
                }
            }
            Record::Retained(message) => {
                self.bytes.push(kind::RETAINED);
                if self.back(message) != 0 {
                    put_text(&mut self.bytes, message.topic.unwrap_or_default());
                }
            }
            Record::Unretained(topic) => {
                self.bytes.push(kind::UNRETAINED);
                put_text(&mut self.bytes, topic);
            }
            Record::Will {
                session,
                message,
                delay,
                due,
            } => {
                self.bytes.push(kind::WILL | flag(due.is_some(), 0));
                self.receiver(session);
                self.back(message);
                put(&mut self.bytes, delay.into());
                self.optional(due);
            }
            Record::WillGone(session) => self.plain(kind::WILL_GONE, session),
            Record::Restarted => self.bytes.push(kind::RESTARTED),
            Record::Renamed { session, client_id } => {
                self.plain(kind::RENAMED, session);
                put_text(&mut self.bytes, client_id);
            }
        }
        let number = self.next;
        self.next += 1;
        number
    }

    fn plain(&mut self, kind: u8, who: Subscriber) {
        self.bytes.push(kind);
        self.receiver(who);
    }
}
