//! From bytes to records, in the order in which they were written.

use mqtt_codec::{QoS, SubscriptionId, SubscriptionOptions};
use mqtt_session::{Change, Commit, Instant, Seq};

use super::body::Body;
use super::kind::{self, FLAGS, MASK};
use super::varint::{Cursor, Wrong};
use crate::core::{GroupId, Kept, Record, Subscriber};

/// What a group holds.
#[derive(Debug)]
pub(super) enum Item<'a> {
    /// A message that is kept under this number, and where it stands in the group.
    Body {
        number: u64,
        body: Body<'a>,
        at: usize,
    },
    /// The same, that stood elsewhere before.
    Moved { number: u64, at: usize },
    /// A record of this number.
    Record(u64, Record<'a, Kept<'a>>),
}

/// Reads the payload of a group.
#[derive(Debug)]
pub(super) struct Decoder<'a> {
    cursor: Cursor<'a>,
    /// The number of the next record.
    next: u64,
    receiver: u64,
    copy: u64,
    /// The topic of the message that the next record brings.
    topic: Option<&'a str>,
    ids: Vec<SubscriptionId>,
}

impl<'a> Decoder<'a> {
    pub(super) const fn new(payload: &'a [u8]) -> Self {
        Self {
            cursor: Cursor::new(payload),
            next: 0,
            receiver: 0,
            copy: 0,
            topic: None,
            ids: Vec::new(),
        }
    }

    /// Where what comes next stands.
    pub(super) const fn at(&self) -> usize {
        self.cursor.at()
    }

    /// What comes next; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Item<'_>>, Wrong> {
        loop {
            if self.cursor.is_at_end() {
                return Ok(None);
            }
            let at = self.cursor.at();
            let first = self.cursor.byte()?;
            match first & MASK {
                kind::BATCH => {
                    self.next = self.cursor.number()?;
                    (self.receiver, self.copy, self.topic) = (0, 0, None);
                }
                kind::SKIP => {
                    let most = self.cursor.wrong("numbers end");
                    let skipped = self.cursor.number()?;
                    self.next = self.next.checked_add(skipped).ok_or(most)?;
                }
                kind::BODY => {
                    let body = Body::read(&mut self.cursor)?;
                    self.topic = Some(body.topic()?);
                    return Ok(Some(Item::Body {
                        number: self.next,
                        body,
                        at,
                    }));
                }
                kind::MOVED => {
                    let number = self.cursor.number()?;
                    Body::read(&mut self.cursor)?;
                    return Ok(Some(Item::Moved { number, at }));
                }
                kind => {
                    let number = self.next;
                    let most = Wrong {
                        at,
                        what: "numbers end",
                    };
                    self.next = number.checked_add(1).ok_or(most)?;
                    let topic = self.topic.take();
                    let record = self.record(kind, first >> FLAGS, number, topic, at)?;
                    return Ok(Some(Item::Record(number, record)));
                }
            }
        }
    }

    fn receiver(&mut self) -> Result<Subscriber, Wrong> {
        self.receiver = self.cursor.difference(self.receiver)?;
        Ok(Subscriber::from_bits(self.receiver))
    }

    fn copy(&mut self) -> Result<Commit, Wrong> {
        self.copy = self.cursor.difference(self.copy)?;
        Ok(Commit(self.copy))
    }

    fn group(&mut self) -> Result<GroupId, Wrong> {
        Ok(GroupId {
            slot: self.cursor.small()?,
            generation: self.cursor.small()?,
        })
    }

    fn instant(&mut self, is_there: bool) -> Result<Option<Instant>, Wrong> {
        if is_there {
            self.cursor.number().map(Instant::from_millis).map(Some)
        } else {
            Ok(None)
        }
    }

    /// Of a record that has a message: it came with it, or with an earlier one.
    fn kept(
        &mut self,
        number: u64,
        brought: Option<&'a str>,
        with_topic: bool,
    ) -> Result<Kept<'a>, Wrong> {
        let start = self.cursor.wrong("a message is not where it should be");
        let back = self.cursor.number()?;
        let body = Commit(number.checked_sub(back).ok_or(start)?);
        let topic = match (back, brought) {
            (0, Some(topic)) => Some(topic),
            (0, None) | (_, Some(_)) => return Err(start),
            _ if with_topic => Some(self.cursor.text()?),
            _ => None,
        };
        Ok(Kept { body, topic })
    }

    fn record(
        &mut self,
        kind: u8,
        flags: u8,
        number: u64,
        brought: Option<&'a str>,
        at: usize,
    ) -> Result<Record<'_, Kept<'_>>, Wrong> {
        let set = |place: u8| flags & 1 << place != 0;
        let wrong = |what| Wrong { at, what };
        let has_message = matches!(kind, kind::QUEUED | kind::RETAINED | kind::WILL);
        if brought.is_some() && !has_message {
            return Err(wrong("a message belongs to nothing"));
        }
        Ok(match kind {
            kind::SESSION => Record::Session {
                session: self.receiver()?,
                client_id: self.cursor.text()?,
                user_name: if set(0) {
                    Some(self.cursor.text()?)
                } else {
                    None
                },
                expiry: self.cursor.small()?,
                bridge: set(1),
            },
            kind::USED => Record::Used(self.receiver()?),
            kind::DISCONNECTED => Record::Disconnected {
                session: self.receiver()?,
                expires: self.instant(set(0))?,
            },
            kind::ENDED => Record::Ended(self.receiver()?),
            kind::SUBSCRIBED => Record::Subscribed {
                session: self.receiver()?,
                filter: self.cursor.text()?,
                options: SubscriptionOptions::from_byte(self.cursor.byte()?)
                    .ok_or_else(|| wrong("options of a subscription are none"))?,
                id: self.cursor.subscription_id()?,
                retained: set(0),
            },
            kind::RETAINED_SENT => Record::RetainedSent {
                session: self.receiver()?,
                filter: self.cursor.text()?,
            },
            kind::UNSUBSCRIBED => Record::Unsubscribed {
                session: self.receiver()?,
                filter: self.cursor.text()?,
            },
            kind::GROUP => Record::Group {
                group: self.group()?,
                filter: self.cursor.text()?,
            },
            kind::QUEUED => {
                let receiver = self.receiver()?;
                let message = self.kept(number, brought, set(1))?;
                self.ids.clear();
                let mut group = None;
                if set(2) {
                    for _ in 0..self.cursor.number()? {
                        let id = self.cursor.subscription_id()?;
                        self.ids
                            .push(id.ok_or_else(|| wrong("a subscription identifier is none"))?);
                    }
                    if self.cursor.byte()? != 0 {
                        group = Some(self.group()?);
                    }
                }
                Record::Queued {
                    receiver,
                    message,
                    qos: if set(0) {
                        QoS::ExactlyOnce
                    } else {
                        QoS::AtLeastOnce
                    },
                    retain: set(1),
                    ids: &self.ids,
                    group,
                }
            }
            kind::DONE => Record::Done {
                receiver: self.receiver()?,
                copy: self.copy()?,
            },
            kind::HANDSHAKE => {
                let session = self.receiver()?;
                let nowhere = Seq::default();
                let change = match flags {
                    0 => Change::Received(self.cursor.packet_id()?),
                    1 => Change::Released(self.cursor.packet_id()?),
                    2 => Change::Sent(nowhere, self.cursor.packet_id()?),
                    3 => Change::PeerReceived(nowhere, self.cursor.packet_id()?),
                    4 => Change::Completed(self.cursor.packet_id()?),
                    5 => Change::Reset,
                    _ => return Err(wrong("a handshake changes in an unknown way")),
                };
                let copy = if matches!(flags, 2 | 3) {
                    self.copy()?
                } else {
                    Commit(0)
                };
                Record::Handshake {
                    session,
                    change,
                    copy,
                }
            }
            kind::RETAINED => Record::Retained(self.kept(number, brought, true)?),
            kind::UNRETAINED => Record::Unretained(self.cursor.text()?),
            kind::WILL => Record::Will {
                session: self.receiver()?,
                message: self.kept(number, brought, false)?,
                delay: self.cursor.small()?,
                due: self.instant(set(0))?,
            },
            kind::WILL_GONE => Record::WillGone(self.receiver()?),
            kind::RESTARTED => Record::Restarted,
            kind::RENAMED => Record::Renamed {
                session: self.receiver()?,
                client_id: self.cursor.text()?,
            },
            _ => return Err(wrong("a record is of an unknown kind")),
        })
    }
}
