//! A restart from batches that stand in the order of their commits, as a store owes it, and not in that of their numbers.

use std::sync::{Arc, Mutex};

use mqtt_codec::{
    Delivery, Filters, Packet, PacketId, Properties, Publish, QoS, Subscribe, SubscribeFilter,
    SubscriptionOptions, Version,
};
use mqtt_session::{Commit, Instant};

use super::client::encode;
use super::net::{connect_bytes, resume};
use crate::core::{
    AllowAll, ConnId, Core, Effect, GroupId, Message, OwnedRecord, Peer, Received, Record, Restore,
    SessionKey, Settings, Shared, Store, Subscriber,
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

/// New cores that record to the log.
fn cores(log: &Log, shared: &Arc<Shared>) -> Vec<Core> {
    let core = |worker| {
        let store = Batches {
            log: Arc::clone(log),
            ..Batches::default()
        };
        let shared = Arc::clone(shared);
        Core::new(shared, worker, Box::new(store), Arc::new(AllowAll), 7, NOW)
    };
    (0..shared.workers()).map(core).collect()
}

/// Starts new cores from what the log has, and gives what waits for all sessions.
fn start(log: &Log, shared: &Arc<Shared>) -> u64 {
    let mut restore = Restore::new();
    for (number, record) in &log.lock().unwrap().0 {
        restore.take(&record.record(), Commit(*number)).unwrap();
    }
    restore.start(&mut cores(log, shared), NOW, NOW);
    shared.counters().queued.get()
}

/// A client id that is at home at this worker.
fn at_home(shared: &Shared, worker: u16) -> String {
    let mut names = (0..99).map(|n| format!("c{n}"));
    names
        .find(|name| shared.home(name) == worker)
        .expect("every worker is somebody's home")
}

/// Hands in what a client sends, at the home of its session.
fn hand_in(core: &mut Core, conn: ConnId, bytes: &[u8]) {
    let (Received::More { consumed, .. } | Received::Paused { consumed }) =
        core.receive(conn, bytes, NOW)
    else {
        panic!("it is open, and at home");
    };
    assert_eq!(consumed, bytes.len());
}

/// The rest of a round: what goes to other workers arrives at once.
fn finish(cores: &mut [Core], worker: usize) {
    cores[worker].commit();
    let effects: Vec<Effect> = cores[worker].effects().collect();
    for effect in effects {
        if let Effect::ToWorker { worker, batch } = effect {
            cores[usize::from(worker)].inbox(batch, NOW);
        }
    }
    while let Some(conn) = cores[worker].next_touched() {
        let _ = cores[worker].poll(conn, NOW);
        let len = cores[worker].output(conn).map_or(0, |output| output.len());
        cores[worker].written(conn, len);
    }
}

/// A shared group began at one worker, and in the same round its only member lost its connection; another worker's message for the group
/// was committed first, and stood in front of the group's beginning: a restart forgot the message, which was acknowledged. Found by thinking
/// about batches [MQTT-4.5.0-1].
#[test]
fn a_message_may_stand_before_the_beginning_of_its_group() {
    let settings = || Settings {
        sys_interval_ms: 0,
        ..Settings::default()
    };
    let (log, shared) = (Log::default(), Shared::new(settings(), 2, 7));
    let mut cores = cores(&log, &shared);
    let mut conns = Vec::new();
    for worker in [0, 1] {
        let core = &mut cores[usize::from(worker)];
        let conn = core.open(Peer::default(), NOW).unwrap();
        hand_in(
            core,
            conn,
            &connect_bytes(&resume(&at_home(&shared, worker))),
        );
        finish(&mut cores, usize::from(worker));
        conns.push(conn);
    }
    let packet_id = PacketId::new(1).unwrap();
    let subscribe = Packet::Subscribe(Subscribe {
        packet_id,
        properties: Properties::EMPTY,
        filters: Filters::List(&[SubscribeFilter {
            filter: "$share/g/t",
            options: SubscriptionOptions::new(QoS::AtLeastOnce),
        }]),
    });
    let publish = Packet::Publish(Publish {
        dup: false,
        retain: false,
        delivery: Delivery::ExactlyOnce(packet_id),
        topic: "t",
        properties: Properties::EMPTY,
        payload: b"m",
    });
    hand_in(&mut cores[1], conns[1], &encode(&subscribe, Version::V5));
    cores[1].closed(conns[1], NOW);
    hand_in(&mut cores[0], conns[0], &encode(&publish, Version::V5));
    finish(&mut cores, 0);
    finish(&mut cores, 1);
    let order: Vec<u64> = log.lock().unwrap().0.iter().map(|(n, _)| *n).collect();
    assert!(!order.is_sorted(), "{order:?}");
    assert_eq!(start(&log, &Shared::new(settings(), 2, 7)), 1);
    assert_eq!(start(&log, &Shared::new(settings(), 1, 7)), 1, "again");
}

/// The will of a session that a crash had cut off was recorded for a subscriber whose new name came in another worker's batch, behind it:
/// a second crash lost it. The simulation of the broker core found it [MQTT-3.1.2-8], [MQTT-4.5.0-1].
#[test]
fn what_a_restart_publishes_survives_the_next() {
    let shared = || Shared::new(Settings::default(), 2, 7);
    let names = [0, 1].map(|worker| at_home(&shared(), worker));
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
            client_id: &names[usize::from(worker)],
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
    let done = |copy| Record::Done {
        receiver: Subscriber::group(id(0)),
        copy: Commit(copy),
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
    let cases: [(&[(u64, Record<'_>)], u64); 8] = [
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
        // A message before the beginning, which comes, or has ended meanwhile, or is lost; and one that was done with.
        (&[(4, waits(0)), (3, began(0))], 1),
        (&[(4, waits(0)), (5, ended(0)), (3, began(0))], 0),
        (&[(4, waits(0))], 0),
        (&[(5, done(4)), (4, waits(0)), (3, began(0))], 0),
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
