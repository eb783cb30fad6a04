//! Items as records: how an import fills a new store.

use std::collections::HashMap;
use std::sync::Arc;

use mqtt_codec::{QoS, SubscriptionId};
use mqtt_session::{Change, Commit, Instant, Seq};
use mqtt_topic::ParsedFilter;

use super::check::Fault;
use super::item::{HandshakeState, Item, Queued, Receiver, Session, Subscription, Will};
use super::message::{Message, MessageRef};
use super::time::Time;
use crate::core::{GroupId, Message as Shared, Record, SessionKey, Store, Subscriber, Unreadable};

/// Items that go into one batch.
const BATCH_ITEMS: u32 = 1000;
/// Bytes of messages that go into one batch.
const BATCH_BYTES: usize = 1024 * 1024;
/// Bytes of messages with a number that stay in memory, where the store can give them back.
const HELD_BYTES: usize = 16 * 1024 * 1024;

/// Why an item was not recorded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// It does not fit those before it.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// A message that was recorded cannot be read back.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
}

/// How many of what were recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recorded {
    /// Sessions.
    pub sessions: u64,
    /// Subscriptions.
    pub subscriptions: u64,
    /// Retained messages.
    pub retained: u64,
    /// Copies that wait.
    pub queued: u64,
    /// Handshakes, those of copies that wait included.
    pub handshakes: u64,
    /// Wills.
    pub wills: u64,
}

/// The wall clock and that of a store, read at the same moment.
#[derive(Clone, Copy, Debug)]
pub struct Clocks {
    /// The wall clock.
    pub wall: Time,
    /// The store's.
    pub store: Instant,
}

impl Clocks {
    /// What the store's clock says at this time; 0 when that was before its beginning.
    #[must_use]
    pub fn instant(self, time: Time) -> Instant {
        let ahead = time.as_millis().saturating_sub(self.wall.as_millis());
        let ago = self.wall.as_millis().saturating_sub(time.as_millis());
        Instant::from_millis((self.store.as_millis().saturating_sub(ago)).saturating_add(ahead))
    }

    /// What the wall clock says at this instant of the store's clock.
    #[must_use]
    pub fn time(self, instant: Instant) -> Time {
        let ahead = instant.as_millis().saturating_sub(self.store.as_millis());
        let ago = self.store.as_millis().saturating_sub(instant.as_millis());
        Time::from_millis((self.wall.as_millis().saturating_sub(ago)).saturating_add(ahead))
    }
}

/// Records items in a store that is empty.
#[derive(Debug)]
pub struct Recorder<S> {
    store: S,
    clocks: Clocks,
    sessions: HashMap<Box<str>, Subscriber>,
    groups: HashMap<Box<str>, GroupId>,
    messages: HashMap<u64, Held>,
    held_bytes: usize,
    /// Of the batch that is being filled.
    items: u32,
    bytes: usize,
    recorded: Recorded,
    /// Subscriptions with retained messages on their way.
    underway: Vec<(Subscriber, Subscription)>,
}

/// A message to which others refer.
#[derive(Debug)]
enum Held {
    Here(Arc<Shared>, Commit),
    /// The store gives it back by this number.
    Kept(Commit),
}

impl<S: Store> Recorder<S> {
    /// Nothing is recorded yet.
    pub fn new(store: S, clocks: Clocks) -> Self {
        Self {
            store,
            clocks,
            sessions: HashMap::new(),
            groups: HashMap::new(),
            messages: HashMap::new(),
            held_bytes: 0,
            items: 0,
            bytes: 0,
            recorded: Recorded::default(),
            underway: Vec::new(),
        }
    }

    /// Records an item that was checked with those before it.
    ///
    /// # Errors
    /// [`RecordError`]; the store is of no use then.
    pub fn item(&mut self, item: &Item) -> Result<(), RecordError> {
        match item {
            Item::Retained(item) => {
                let message = self.message(&item.message)?;
                self.store.record(&Record::Retained(&message));
                self.recorded.retained += 1;
                self.hold(&item.message, message);
            }
            Item::Session(item) => self.session(item)?,
            Item::Will(item) => self.will(item)?,
            Item::Subscription(item) => self.subscription(item)?,
            Item::Queued(item) => self.queued(item)?,
            Item::Handshake(item) => {
                let session = self.known(&item.client_id)?;
                let change = match item.state {
                    HandshakeState::Received => Change::Received(item.packet_id),
                    // Its place in the queue is no more.
                    HandshakeState::Releasing => Change::PeerReceived(Seq(0), item.packet_id),
                };
                self.handshake(session, change, Commit::default());
            }
        }
        self.items += 1;
        if self.items >= BATCH_ITEMS || self.bytes >= BATCH_BYTES {
            self.commit();
        }
        Ok(())
    }

    /// The store.
    pub const fn store(&self) -> &S {
        &self.store
    }

    /// Commits what is left, and gives the store back.
    pub fn finish(mut self) -> (S, Recorded) {
        self.retained_underway();
        self.commit();
        (self.store, self.recorded)
    }

    fn commit(&mut self) {
        self.store.commit();
        (self.items, self.bytes) = (0, 0);
        if self.held_bytes < HELD_BYTES {
            return;
        }
        let kept = self.store.kept();
        for held in self.messages.values_mut() {
            if let Held::Here(message, body) = held
                && *body <= kept
                && *body > Commit::default()
            {
                self.held_bytes -= message.size();
                *held = Held::Kept(*body);
            }
        }
    }

    fn known(&self, client_id: &str) -> Result<Subscriber, Fault> {
        self.sessions.get(client_id).copied().ok_or_else(|| Fault {
            key: "client_id".to_owned(),
            why: format!("no session of {client_id:?} stands before"),
        })
    }

    fn session(&mut self, item: &Session) -> Result<(), RecordError> {
        let slot = u32::try_from(self.sessions.len()).map_err(|_| Fault {
            key: "client_id".to_owned(),
            why: "there are too many sessions".to_owned(),
        })?;
        let key = SessionKey {
            slot,
            generation: 0,
        };
        let session = Subscriber::session(0, key);
        self.sessions
            .insert(item.client_id.as_str().into(), session);
        self.store.record(&Record::Session {
            session,
            client_id: &item.client_id,
            user_name: item.user_name.as_deref(),
            expiry: item.expiry.interval(),
            bridge: item.bridge,
        });
        if item.used {
            self.store.record(&Record::Used(session));
        }
        if !item.connected {
            let expires = item.ends.map(|ends| self.clocks.instant(ends));
            self.store
                .record(&Record::Disconnected { session, expires });
        }
        self.recorded.sessions += 1;
        Ok(())
    }

    fn will(&mut self, item: &Will) -> Result<(), RecordError> {
        let session = self.known(&item.client_id)?;
        // It counts from the publication, as if that were at the clock's origin.
        let expires = item.message_expiry;
        let expires = expires.map(|seconds| Instant::from_millis(0).plus_seconds(seconds));
        let message = self.new_message(&item.message, expires)?;
        self.store.record(&Record::Will {
            session,
            message: &message,
            delay: item.delay,
            due: item.due.map(|due| self.clocks.instant(due)),
        });
        self.recorded.wills += 1;
        Ok(())
    }

    fn subscription(&mut self, item: &Subscription) -> Result<(), RecordError> {
        let session = self.known(&item.client_id)?;
        let shared = ParsedFilter::parse(&item.filter).is_ok_and(|parsed| parsed.share.is_some());
        if shared && !self.groups.contains_key(item.filter.as_str()) {
            let slot = u32::try_from(self.groups.len()).map_err(|_| Fault {
                key: "filter".to_owned(),
                why: "there are too many groups".to_owned(),
            })?;
            let group = GroupId {
                slot,
                generation: 0,
            };
            self.groups.insert(item.filter.as_str().into(), group);
            let filter = &*item.filter;
            self.store.record(&Record::Group { group, filter });
        }
        self.subscribed(session, item, false);
        if item.retained_sent.is_some() {
            self.underway.push((session, item.clone()));
        }
        self.recorded.subscriptions += 1;
        Ok(())
    }

    fn subscribed(&mut self, session: Subscriber, item: &Subscription, retained: bool) {
        self.store.record(&Record::Subscribed {
            session,
            filter: &item.filter,
            options: item.options,
            id: item.id,
            retained,
        });
    }

    /// Has retained messages on their way to these subscriptions. Comes last: copies that wait do not say which subscription they came by.
    fn retained_underway(&mut self) {
        for (session, item) in core::mem::take(&mut self.underway) {
            self.subscribed(session, &item, true);
            let ids: &[SubscriptionId] = item.id.as_slice();
            for topic in item.retained_sent.iter().flatten() {
                // That it had its turn is known by a copy, though that is done.
                let message = Arc::new(Shared::new(topic, &[], &[], QoS::AtLeastOnce, true));
                let copy = self.store.record(&Record::Queued {
                    receiver: session,
                    message: &message,
                    qos: QoS::AtLeastOnce,
                    retain: true,
                    ids,
                    group: None,
                });
                self.store.record(&Record::Done {
                    receiver: session,
                    copy,
                });
            }
        }
    }

    fn queued(&mut self, item: &Queued) -> Result<(), RecordError> {
        let receiver = match &item.receiver {
            Receiver::Client(id) => self.known(id)?,
            Receiver::Group(filter) => Subscriber::group(self.group(filter)?),
        };
        let chosen_by = item.chosen_by.as_deref();
        let group = chosen_by.map(|filter| self.group(filter)).transpose()?;
        let message = self.message(&item.message)?;
        let copy = self.store.record(&Record::Queued {
            receiver,
            message: &message,
            qos: item.qos,
            retain: item.retain,
            ids: &item.subscription_ids,
            group,
        });
        self.recorded.queued += 1;
        self.hold(&item.message, message);
        if let Some(id) = item.sent {
            self.handshake(receiver, Change::Sent(Seq(0), id), copy);
        }
        Ok(())
    }

    fn handshake(&mut self, session: Subscriber, change: Change, copy: Commit) {
        self.store.record(&Record::Handshake {
            session,
            change,
            copy,
        });
        self.recorded.handshakes += 1;
    }

    fn group(&self, filter: &str) -> Result<GroupId, Fault> {
        self.groups.get(filter).copied().ok_or_else(|| Fault {
            key: "group".to_owned(),
            why: format!("no subscription of a member of {filter:?} stands before"),
        })
    }

    fn new_message(
        &mut self,
        message: &Message,
        expires: Option<Instant>,
    ) -> Result<Arc<Shared>, Fault> {
        let message = message.to_core(expires).map_err(|error| Fault {
            key: "message.properties".to_owned(),
            why: error.to_string(),
        })?;
        self.bytes += message.size();
        Ok(Arc::new(message))
    }

    fn message(&mut self, reference: &MessageRef) -> Result<Arc<Shared>, RecordError> {
        match reference {
            MessageRef::Whole(message) => {
                let expires = message.expires.map(|time| self.clocks.instant(time));
                Ok(self.new_message(message, expires)?)
            }
            MessageRef::Again(id) => match self.messages.get(id) {
                Some(Held::Here(message, _)) => Ok(Arc::clone(message)),
                Some(Held::Kept(body)) => Ok(self.store.fetch(*body)?),
                None => Err(Fault {
                    key: "message".to_owned(),
                    why: format!("no message with the number {id} stands before"),
                }
                .into()),
            },
        }
    }

    /// Keeps a message that was just recorded for those who refer to it.
    fn hold(&mut self, reference: &MessageRef, message: Arc<Shared>) {
        if let MessageRef::Whole(Message { id: Some(id), .. }) = reference {
            self.held_bytes += message.size();
            let body = self.store.body();
            self.messages.insert(*id, Held::Here(message, body));
        }
    }
}
