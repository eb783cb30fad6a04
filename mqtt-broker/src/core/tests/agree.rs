//! Whether what the store was told is what the sessions hold.

use std::collections::BTreeSet;

use mqtt_codec::QoS;
use mqtt_session::Seq;

use super::ledger::Copy;
use super::net::Net;
use crate::core::{SessionKey, Subscriber};

impl Net {
    /// Compares every session with what a restart would find of it.
    pub(super) fn agrees_with_the_store(&self) {
        let ledger = self.ledgers.lock();
        let mut found = BTreeSet::new();
        let mut queued = 0;
        for (worker, core) in self.cores.iter().enumerate() {
            for (slot, generation) in core.sessions.keys() {
                let who = Subscriber::session(worker as u16, SessionKey { slot, generation });
                found.insert(who);
                let session = core.sessions.get(slot, generation).unwrap();
                let kept = &ledger.sessions[&who];
                assert_eq!(kept.client_id, &*session.client_id);
                assert_eq!(kept.connected, session.conn.is_some());
                assert_eq!(kept.will.is_some(), session.will.is_some());
                let filters: BTreeSet<String> = session
                    .subscriptions
                    .iter()
                    .map(|filter| filter.as_ref().to_owned())
                    .collect();
                assert_eq!(filters.len(), session.subscriptions.len());
                assert_eq!(kept.subscriptions, filters);
                let backlog = session.backlog.as_ref().map_or(0, |backlog| backlog.len());
                assert_eq!(kept.unserved.len(), backlog);
                let mut held: Vec<(u64, Copy)> = Vec::new();
                if let Some(queue) = &session.queue {
                    queued += queue.len() as u64;
                    let mut at = Seq::default();
                    while let Some(seq) = queue.next(at) {
                        at = seq.next();
                        let entry = queue.get(seq).unwrap();
                        if entry.qos != QoS::AtMostOnce {
                            let copy = Copy {
                                topic: entry.message.topic().to_owned(),
                                payload: entry.message.payload().to_vec(),
                                qos: entry.qos,
                                retain: entry.retain,
                            };
                            held.push((entry.copy.0, copy));
                        }
                    }
                }
                held.sort_by_key(|entry| entry.0);
                let held: Vec<Copy> = held.into_iter().map(|entry| entry.1).collect();
                assert_eq!(ledger.queue(who), held, "{}", session.client_id);
            }
        }
        let known: BTreeSet<Subscriber> = ledger.sessions.keys().copied().collect();
        assert_eq!(known, found);
        for group in ledger.groups.keys() {
            queued += ledger.queue(*group).len() as u64;
        }
        assert_eq!(self.shared.counters().queued.get(), queued);
        assert!(
            ledger
                .queues
                .keys()
                .all(|who| known.contains(who) || ledger.groups.contains_key(who)),
            "nothing is kept for anybody who has ended"
        );
        assert_eq!(
            ledger.retained.len() as u64,
            self.shared.counters().retained.get()
        );
    }
}
