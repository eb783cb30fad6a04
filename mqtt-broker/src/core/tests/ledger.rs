//! A store for tests: its commits come when the test says so, and it keeps what a restart would find.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use mqtt_codec::QoS;
use mqtt_session::Commit;

use crate::core::{Record, Store, Subscriber};

/// A copy of a message as it waits for somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Copy {
    pub(super) topic: String,
    pub(super) payload: Vec<u8>,
    pub(super) qos: QoS,
    pub(super) retain: bool,
}

/// What a restart would find of one session.
#[derive(Clone, Debug, Default)]
pub(super) struct Kept {
    pub(super) client_id: String,
    pub(super) expiry: u32,
    pub(super) subscriptions: BTreeSet<String>,
    /// Subscriptions that still have to get retained messages.
    pub(super) unserved: Vec<String>,
    pub(super) will: Option<String>,
    pub(super) connected: bool,
}

/// The records of all workers, in one order.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    recorded: u64,
    /// What every worker has told to commit.
    flushed: u64,
    committed: u64,
    late: bool,
    pub(super) records: u64,
    pub(super) sessions: BTreeMap<Subscriber, Kept>,
    pub(super) groups: BTreeMap<Subscriber, String>,
    pub(super) queues: BTreeMap<Subscriber, BTreeMap<u64, Copy>>,
    pub(super) retained: BTreeMap<String, Vec<u8>>,
}

impl Ledger {
    fn take(&mut self, record: &Record<'_>) {
        self.recorded += 1;
        self.records += 1;
        match *record {
            Record::Session {
                session,
                client_id,
                expiry,
                ..
            } => {
                let kept = self.sessions.entry(session).or_default();
                kept.client_id = client_id.to_owned();
                kept.expiry = expiry;
                kept.will = None;
                kept.connected = true;
            }
            Record::Disconnected { session, .. } => self.session(session).connected = false,
            Record::Ended(who) => {
                assert!(self.sessions.remove(&who).is_some() | self.groups.remove(&who).is_some());
                self.queues.remove(&who);
            }
            Record::Subscribed {
                session,
                filter,
                retained,
                ..
            } => {
                let kept = self.session(session);
                kept.subscriptions.insert(filter.to_owned());
                if retained {
                    kept.unserved.push(filter.to_owned());
                }
            }
            Record::RetainedSent { session, filter } => {
                let kept = self.session(session);
                let at = kept.unserved.iter().position(|known| known == filter);
                kept.unserved.remove(at.expect("it was subscribed"));
            }
            Record::Unsubscribed { session, filter } => {
                assert!(self.session(session).subscriptions.remove(filter));
            }
            Record::Group { group, filter } => {
                let name = filter.to_owned();
                assert!(self.groups.insert(Subscriber::group(group), name).is_none());
            }
            Record::Queued {
                receiver,
                message,
                qos,
                retain,
                ..
            } => {
                assert_ne!(qos, QoS::AtMostOnce, "nothing is promised about QoS 0");
                let copy = Copy {
                    topic: message.topic().to_owned(),
                    payload: message.payload().to_vec(),
                    qos,
                    retain,
                };
                let number = self.recorded;
                self.queues
                    .entry(receiver)
                    .or_default()
                    .insert(number, copy);
            }
            Record::Done { receiver, copy } => {
                let known = self
                    .queues
                    .get_mut(&receiver)
                    .and_then(|queue| queue.remove(&copy.0));
                let exists =
                    self.sessions.contains_key(&receiver) || self.groups.contains_key(&receiver);
                assert!(known.is_some() || !exists, "{record:?} names nothing");
                if self.queues.get(&receiver).is_some_and(BTreeMap::is_empty) {
                    self.queues.remove(&receiver);
                }
            }
            Record::Handshake { session, copy, .. } => {
                let queue = self.queues.get(&session);
                let named = queue.is_some_and(|queue| queue.contains_key(&copy.0));
                assert!(copy == Commit(0) || named, "{record:?} names nothing");
            }
            Record::Retained(message) => {
                let topic = message.topic().to_owned();
                self.retained.insert(topic, message.payload().to_vec());
            }
            Record::Unretained(topic) => {
                assert!(self.retained.remove(topic).is_some());
            }
            Record::Will {
                session, message, ..
            } => self.session(session).will = Some(message.topic().to_owned()),
            Record::WillGone(session) => self.session(session).will = None,
            Record::Used(_) | Record::Restarted | Record::Renamed { .. } => {}
        }
    }

    fn session(&mut self, who: Subscriber) -> &mut Kept {
        self.sessions.get_mut(&who).expect("it has begun")
    }

    /// What waits for a receiver, in the order in which a restart would queue it.
    pub(super) fn queue(&self, who: Subscriber) -> Vec<Copy> {
        self.queues
            .get(&who)
            .map(|queue| queue.values().cloned().collect())
            .unwrap_or_default()
    }
}

/// All workers' handles go to the same ledger.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledgers(Arc<Mutex<Ledger>>);

impl Ledgers {
    pub(super) fn lock(&self) -> MutexGuard<'_, Ledger> {
        self.0.lock().unwrap()
    }

    /// From now on commits come when [`release`](Self::release) is called.
    pub(super) fn hold(&self) {
        let mut ledger = self.lock();
        ledger.late = true;
        ledger.committed = ledger.recorded;
    }

    /// What was told to commit is durable now.
    pub(super) fn release(&self) {
        let mut ledger = self.lock();
        ledger.committed = ledger.flushed;
    }

    pub(super) fn handle(&self) -> Box<dyn Store> {
        Box::new(Handle {
            ledgers: self.clone(),
            latest: Commit(0),
        })
    }
}

#[derive(Debug)]
struct Handle {
    ledgers: Ledgers,
    latest: Commit,
}

impl Store for Handle {
    fn record(&mut self, record: &Record<'_>) -> Commit {
        let mut ledger = self.ledgers.lock();
        ledger.take(record);
        self.latest = Commit(ledger.recorded);
        self.latest
    }

    fn latest(&self) -> Commit {
        self.latest
    }

    fn commit(&mut self) {
        let mut ledger = self.ledgers.lock();
        ledger.flushed = ledger.flushed.max(self.latest.0);
    }

    fn committed(&self) -> Commit {
        let ledger = self.ledgers.lock();
        if ledger.late {
            Commit(ledger.committed)
        } else {
            self.latest
        }
    }
}
