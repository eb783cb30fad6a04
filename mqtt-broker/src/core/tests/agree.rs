//! Whether what the store was told is what the sessions hold.

use std::collections::{BTreeMap, BTreeSet};

use mqtt_codec::QoS;
use mqtt_session::{Change, Instant, Seq};
use mqtt_topic::TopicFilter;

use super::ledger::{Copy, Handshakes, Ledger};
use super::net::Net;
use crate::core::connection::State;
use crate::core::fanout::Grant;
use crate::core::queue::{Queue, Taken};
use crate::core::{Core, Receiver, SessionKey, Subscriber};

impl Net {
    /// Compares every session with what a restart would find of it.
    pub(super) fn agrees_with_the_store(&self) {
        let ledger = self.ledgers.lock();
        assert!(ledger.all_is_named());
        let mut found = BTreeSet::new();
        let (mut queued, mut bytes) = (0, 0);
        for (worker, core) in self.cores.iter().enumerate() {
            for (slot, generation) in core.sessions.keys() {
                let who = Subscriber::session(worker as u16, SessionKey { slot, generation });
                found.insert(who);
                let session = core.sessions.get(slot, generation).unwrap();
                let name = &*session.client_id;
                let kept = &ledger.sessions[&who];
                assert_eq!(kept.client_id, name);
                assert_eq!(usize::from(self.shared.home(name)), worker);
                assert_eq!(kept.user_name.as_deref(), session.user_name.as_deref());
                assert_eq!(kept.bridge, session.bridge);
                assert_eq!(kept.connected, session.conn.is_some());
                assert_eq!(kept.will.is_some(), session.will.is_some());
                let filters: BTreeSet<&str> = session
                    .subscriptions
                    .iter()
                    .map(|filter| &**filter)
                    .collect();
                assert_eq!(filters.len(), session.subscriptions.len());
                assert!(
                    kept.subscriptions
                        .keys()
                        .map(String::as_str)
                        .eq(filters.iter().copied())
                );
                let index = self.shared.subscriptions();
                for (filter, &(options, id)) in &kept.subscriptions {
                    // Those of groups are not in the index.
                    if let Ok(filter) = TopicFilter::new(filter)
                        && !filter.as_str().starts_with("$share/")
                    {
                        assert_eq!(index.get(&filter, &who), Some(&Grant { options, id }));
                    }
                }
                let backlog = session.backlog.as_ref().map_or(0, |backlog| backlog.len());
                assert_eq!(kept.unserved.len(), backlog);
                let held = |queue| held(queue, &ledger);
                let held = session.queue.as_deref().map(held).unwrap_or_default();
                queued += session.queue.as_ref().map_or(0, |queue| queue.len()) as u64;
                bytes += session.queue.as_ref().map_or(0, |queue| queue.bytes());
                let copies: Vec<Copy> = held.into_values().collect();
                assert_eq!(ledger.queue(who), copies, "{name}");
                let state = state(core, slot, generation);
                // Of one that ends with its connection nobody will ask.
                assert!(
                    kept.used == state.is_used() || state.session_expiry() == 0,
                    "{name}"
                );
                let handshakes = handshakes(state, session.queue.as_deref());
                assert_eq!(kept.handshakes, handshakes, "{name}");
            }
        }
        let known: BTreeSet<Subscriber> = ledger.sessions.keys().copied().collect();
        assert_eq!(known, found);
        for group in ledger.groups.keys() {
            queued += ledger.queue(*group).len() as u64;
            if let Some(Receiver::Group(id)) = group.receiver() {
                bytes += self.shared.groups().waiting_bytes(id);
            }
        }
        assert_eq!(self.shared.counters().queued.get(), queued);
        assert_eq!(self.shared.counters().queued_bytes.get(), bytes);
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
        let subscriptions: usize = (ledger.sessions.values())
            .map(|kept| kept.subscriptions.len())
            .sum();
        assert_eq!(
            self.shared.counters().subscriptions.get(),
            subscriptions as u64
        );
    }
}

/// The copies in a queue, by number.
fn held(queue: &Queue, ledger: &Ledger) -> BTreeMap<u64, Copy> {
    let mut held = BTreeMap::new();
    let mut at = Seq::default();
    while let Some(seq) = queue.next(at) {
        at = seq.next();
        let entry = match queue.peek(seq).unwrap() {
            Taken::Loaded(queued) => queued,
            Taken::Stored(stored) => {
                let message = ledger.message(stored.body.0).unwrap();
                assert_eq!(stored.size, message.size() as u64);
                let late = |expires: Instant| expires.as_millis().div_ceil(1_000) * 1_000;
                let expires = message.expires.map(late).map(Instant::from_millis);
                assert_eq!(stored.expires, expires);
                stored.load_from(message)
            }
        };
        if entry.qos != QoS::AtMostOnce {
            let copy = Copy {
                topic: entry.message.topic().to_owned(),
                payload: entry.message.payload().to_vec(),
                qos: entry.qos,
                retain: entry.retain,
                ids: entry.ids.as_slice().iter().map(|id| id.get()).collect(),
                by_group: entry.group.is_some(),
            };
            assert!(held.insert(entry.copy.0, copy).is_none());
        }
    }
    held
}

fn state(core: &Core, slot: u32, generation: u32) -> &State {
    let session = core.sessions.get(slot, generation).unwrap();
    match (session.conn, &session.offline) {
        (Some(conn), _) => {
            let conn = core.conns.get(conn.slot, conn.generation).unwrap();
            conn.machine.state()
        }
        (None, offline) => &offline.as_ref().unwrap().state,
    }
}

fn handshakes(state: &State, queue: Option<&Queue>) -> Handshakes {
    let mut found = Handshakes::default();
    for change in state.changes() {
        match change {
            Change::Received(id) => {
                found.received.insert(id.get());
            }
            Change::Sent(seq, id) => {
                let copy = queue.and_then(|queue| queue.copy(seq));
                found.sent.insert(id.get(), copy.unwrap().0);
            }
            Change::PeerReceived(_, id) => found.releasing.push(id.get()),
            _ => unreachable!(),
        }
    }
    found
}
