//! A restart from batches that stand in the order of their commits, as a store owes it, and not in that of their numbers.

use std::sync::{Arc, Mutex};

use mqtt_codec::{QoS, SubscriptionOptions};
use mqtt_session::{Commit, Instant};

use crate::core::{
    AllowAll, Core, GroupId, Message, OwnedRecord, Record, Restore, SessionKey, Settings, Shared,
    Store, Subscriber,
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

/// The last member of a group left at a worker whose batch was committed before that in which another one had begun the group: the restart
/// refused the log, since the end named nothing. Thought of when the fuzz target of the core had found the like: a new group of the same
/// filter before the end of the old one.
#[test]
fn the_end_of_a_group_may_stand_before_its_beginning() {
    let filter = "$share/g/a";
    let id = |generation| GroupId {
        slot: 0,
        generation,
    };
    let message = Arc::new(Message::new("a", &[], b"m", QoS::AtLeastOnce, false));
    let began = |generation| Record::Group {
        group: id(generation),
        filter,
    };
    let ended = |generation| Record::Ended(Subscriber::group(id(generation)));
    let waits = |generation| Record::Queued {
        receiver: Subscriber::group(id(generation)),
        message: &message,
        qos: QoS::AtLeastOnce,
        retain: false,
        ids: &[],
        group: None,
    };
    let session = Subscriber::session(
        0,
        SessionKey {
            slot: 0,
            generation: 0,
        },
    );
    let member = [
        Record::Session {
            session,
            client_id: "c",
            user_name: None,
            expiry: u32::MAX,
            bridge: false,
        },
        Record::Subscribed {
            session,
            filter,
            options: SubscriptionOptions::new(QoS::AtLeastOnce),
            id: None,
            retained: false,
        },
    ];
    let shared = || Shared::new(Settings::default(), 1, 7);
    // Records with their numbers, in the order of the log; and how many messages wait for the group then.
    let cases: [(&[(u64, Record<'_>)], u64); 4] = [
        (
            &[(3, began(0)), (4, waits(0)), (6, began(1)), (7, waits(1))],
            2,
        ),
        (
            &[
                (3, began(0)),
                (4, waits(0)),
                (6, began(1)),
                (7, waits(1)),
                (5, ended(0)),
            ],
            1,
        ),
        (
            &[(5, ended(0)), (6, began(1)), (7, waits(1)), (3, began(0))],
            1,
        ),
        (
            &[(6, began(1)), (7, waits(1)), (3, began(0)), (5, ended(0))],
            1,
        ),
    ];
    for (records, waiting) in cases {
        let log = Log::default();
        let mut entries: Vec<Numbered> = Vec::new();
        for (number, record) in (1..).zip(&member) {
            entries.push((number, OwnedRecord::from(record)));
        }
        for (number, record) in records {
            entries.push((*number, OwnedRecord::from(record)));
        }
        *log.lock().unwrap() = (entries, 9);
        assert_eq!(start(&log, &shared()), waiting, "{records:?}");
    }
}
