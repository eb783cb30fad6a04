//! A store for all workers: one log, made durable late and up to the end of a round, which a crash cuts off there.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mqtt_broker::core::{Record, Store, Subscriber};
use mqtt_codec::QoS;
use mqtt_session::{Change, Commit};

use super::model::NO_NUMBER;
use super::tables;

/// What the simulation needs to know of a record.
#[derive(Clone, Debug)]
pub(super) enum Entry {
    /// A session began or goes on: of this client.
    Session(Subscriber, usize),
    /// A copy of a group's message, by its number, for this session.
    GroupCopy { message: u32, exactly_once: bool },
    /// A QoS 2 message got a packet id; its number when a group gave it to this session.
    Sent(Subscriber, u16, Option<u32>),
    /// That id is free again.
    Completed(Subscriber, u16),
    /// A session or group ended.
    Ended(Subscriber),
    /// Anything else.
    Other,
}

/// The log of all workers.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    log: Vec<Entry>,
    /// Ends of rounds that are not durable.
    rounds: Vec<u64>,
    /// How far the log is durable.
    committed: u64,
    late: bool,
    /// QoS 2 messages of groups whose delivery to a session has begun.
    begun: Vec<(Subscriber, u32)>,
    /// Packet ids of QoS 2 messages, and the record that gave each.
    ids: Vec<(Subscriber, u16, u64)>,
    /// The latest session of each client.
    current: [Option<Subscriber>; 8],
    /// QoS 2 messages of groups that ended with the session to which their delivery had begun.
    pub(super) lost: Vec<u32>,
}

impl Ledger {
    fn take(&mut self, record: &Record<'_>) -> u64 {
        let entry = match *record {
            Record::Session {
                session, client_id, ..
            } => tables::client(client_id).map_or(Entry::Other, |c| Entry::Session(session, c)),
            Record::Queued {
                message,
                qos,
                group: Some(_),
                ..
            } => Entry::GroupCopy {
                message: super::number(message.payload()).unwrap_or(NO_NUMBER),
                exactly_once: qos == QoS::ExactlyOnce,
            },
            Record::Handshake {
                session,
                change: Change::Sent(_, id),
                copy,
            } => {
                let queued = (copy.0 as usize).checked_sub(1).map(|at| &self.log[at]);
                let group = match queued {
                    Some(Entry::GroupCopy {
                        message,
                        exactly_once: true,
                    }) => Some(*message),
                    _ => None,
                };
                Entry::Sent(session, id.get(), group)
            }
            Record::Handshake {
                session,
                change: Change::Completed(id),
                ..
            } => Entry::Completed(session, id.get()),
            Record::Ended(who) => Entry::Ended(who),
            _ => Entry::Other,
        };
        match entry {
            Entry::Session(who, client) => self.current[client] = Some(who),
            Entry::Sent(session, id, group) => {
                self.ids.push((session, id, self.latest() + 1));
                self.begun.extend(group.map(|message| (session, message)));
            }
            Entry::Completed(session, id) => {
                self.ids
                    .retain(|&(who, sent, _)| (who, sent) != (session, id));
            }
            Entry::Ended(who) => {
                self.ids.retain(|&(session, ..)| session != who);
                let ended = self.begun.extract_if(.., |(session, _)| *session == who);
                self.lost.extend(ended.map(|(_, message)| message));
            }
            _ => {}
        }
        self.log.push(entry);
        self.log.len() as u64
    }

    /// The number of the latest record.
    pub(super) const fn latest(&self) -> u64 {
        self.log.len() as u64
    }

    /// The record that gave a packet id of a client's session to a QoS 2 message.
    pub(super) fn sent(&self, client: usize, id: u16) -> Option<u64> {
        let session = self.current[client]?;
        let find = |&&(who, sent, _): &&(Subscriber, u16, u64)| who == session && sent == id;
        self.ids.iter().rev().find(find).map(|&(_, _, at)| at)
    }

    /// How far everything is durable.
    pub(super) const fn committed(&self) -> u64 {
        self.committed
    }

    /// Rounds that are not durable.
    pub(super) const fn waiting(&self) -> usize {
        self.rounds.len()
    }

    /// Makes the first `rounds` rounds durable that are not.
    pub(super) fn release(&mut self, rounds: usize) {
        let n = rounds.min(self.rounds.len());
        if let Some(&last) = self.rounds[..n].last() {
            self.committed = last;
        }
        self.rounds.drain(..n);
    }
}

/// A handle on the ledger.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledgers(Arc<Mutex<Ledger>>);

impl Ledgers {
    pub(super) fn new(late: bool) -> Self {
        Self(Arc::new(Mutex::new(Ledger {
            late,
            ..Ledger::default()
        })))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Ledger> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The store of one worker.
    pub(super) fn store(&self) -> Box<dyn Store> {
        Box::new(Handle {
            ledger: self.clone(),
            latest: 0,
        })
    }
}

#[derive(Debug)]
struct Handle {
    ledger: Ledgers,
    latest: u64,
}

impl Store for Handle {
    fn record(&mut self, record: &Record<'_>) -> Commit {
        self.latest = self.ledger.lock().take(record);
        Commit(self.latest)
    }

    fn latest(&self) -> Commit {
        Commit(self.latest)
    }

    fn commit(&mut self) {
        let mut ledger = self.ledger.lock();
        if !ledger.late {
            ledger.committed = ledger.committed.max(self.latest);
        } else if ledger.rounds.last().copied().unwrap_or(ledger.committed) < self.latest {
            ledger.rounds.push(self.latest);
        }
    }

    fn committed(&self) -> Commit {
        Commit(self.ledger.lock().committed)
    }
}
