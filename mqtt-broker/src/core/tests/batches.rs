//! A restart from batches that stand in the order of their commits, as a store owes it, and not in that of their numbers.

use std::sync::{Arc, Mutex};

use mqtt_codec::{QoS, SubscriptionOptions};
use mqtt_session::{Commit, Instant};

use crate::core::{
    AllowAll, Core, Message, OwnedRecord, Record, Restore, SessionKey, Settings, Shared, Store,
    Subscriber,
};

type Numbered = (u64, OwnedRecord);

/// Batches in the order of their commits, and the latest number.
type Log = Arc<Mutex<(Vec<Numbered>, u64)>>;

/// One worker's store: a batch goes into the log as a whole.
#[derive(Default)]
struct Batches {
    log: Log,
    open: Vec<Numbered>,
    latest: u64,
}

impl Store for Batches {
    fn record(&mut self, record: &Record<'_>) -> Commit {
        let mut log = self.log.lock().unwrap();
        log.1 += 1;
        self.latest = log.1;
        self.open.push((self.latest, OwnedRecord::from(record)));
        Commit(self.latest)
    }

    fn latest(&self) -> Commit {
        Commit(self.latest)
    }

    fn commit(&mut self) {
        self.log.lock().unwrap().0.append(&mut self.open);
    }

    fn committed(&self) -> Commit {
        Commit(self.latest)
    }
}

const NOW: Instant = Instant::from_millis(1_000);

/// Starts new cores from what the log has, and gives what waits for all sessions.
fn start(log: &Log, shared: &Arc<Shared>) -> u64 {
    let mut restore = Restore::new();
    for (number, record) in &log.lock().unwrap().0 {
        restore.take(&record.record(), Commit(*number)).unwrap();
    }
    let core = |worker| {
        let store = Batches {
            log: Arc::clone(log),
            ..Batches::default()
        };
        let shared = Arc::clone(shared);
        Core::new(shared, worker, Box::new(store), Arc::new(AllowAll), 7, NOW)
    };
    let mut cores: Vec<Core> = (0..shared.workers()).map(core).collect();
    restore.start(&mut cores, NOW, NOW);
    shared.counters().queued.get()
}

/// The will of a session that a crash had cut off was recorded for a subscriber whose new name came in another worker's batch, behind it:
/// a second crash lost it. The simulation of the broker core found it [MQTT-3.1.2-8], [MQTT-4.5.0-1].
#[test]
fn what_a_restart_publishes_survives_the_next() {
    let shared = || Shared::new(Settings::default(), 2, 7);
    let names: Vec<String> = (0..9).map(|n| format!("c{n}")).collect();
    let home = |worker| {
        let mut names = names.iter();
        names
            .find(|name| shared().home(name) == worker)
            .expect("both workers are somebody's home")
    };
    let who = |worker| {
        let key = SessionKey {
            slot: 0,
            generation: 0,
        };
        Subscriber::session(worker, key)
    };
    let will = Arc::new(Message::new("w", &[], b"will", QoS::AtLeastOnce, false));
    for (publisher, subscriber) in [(0, 1), (1, 0)] {
        let session = |worker| Record::Session {
            session: who(worker),
            client_id: home(worker),
            user_name: None,
            expiry: u32::MAX,
            bridge: false,
        };
        let records = [
            session(subscriber),
            Record::Subscribed {
                session: who(subscriber),
                filter: "w",
                options: SubscriptionOptions::new(QoS::AtLeastOnce),
                id: None,
                retained: false,
            },
            session(publisher),
            Record::Will {
                session: who(publisher),
                message: &will,
                delay: 0,
                due: None,
            },
        ];
        let log = Log::default();
        let mut before = Batches {
            log: Arc::clone(&log),
            ..Batches::default()
        };
        for record in &records {
            before.record(record);
        }
        before.commit();
        // The will is on its way from one worker to the other.
        assert_eq!(start(&log, &shared()), 0);
        assert_eq!(start(&log, &shared()), 1, "the will waits");
    }
}
