//! What [`Restore`] makes of records in a wrong order, and of a log that ends anywhere.

use std::sync::Arc;

use mqtt_codec::{PacketId, QoS, SubscriptionOptions};
use mqtt_session::{Change, Commit, Instant, Seq};

use super::client::Manner;
use super::net::{Net, resume};
use crate::core::{
    AllowAll, Core, GroupId, Memory, Message, OwnedRecord, Record, Restore, SessionKey, Settings,
    Shared, Subscriber,
};

const fn who(slot: u32) -> Subscriber {
    Subscriber::session(
        0,
        SessionKey {
            slot,
            generation: 0,
        },
    )
}

const fn session(slot: u32, client_id: &str) -> Record<'_> {
    Record::Session {
        session: who(slot),
        client_id,
        user_name: None,
        expiry: 10,
        bridge: false,
    }
}

/// A record that does not fit is told apart, with a sentence. The topics of messages that wait and of wills were taken as they came: damaged
/// ones would have gone to clients.
#[test]
fn what_does_not_fit_is_an_error() {
    let message = Arc::new(Message::new("t", &[], b"", QoS::AtLeastOnce, false));
    let group = GroupId {
        slot: 0,
        generation: 0,
    };
    let id = PacketId::new(1).unwrap();
    let damaged = ["", "a/#", "+", "a\0b"];
    let damaged =
        damaged.map(|topic| Arc::new(Message::new(topic, &[], b"", QoS::AtLeastOnce, false)));
    let no_topic = "it names a topic that is none";
    let of_no_topic = damaged.iter().flat_map(|message| {
        let queued = Record::Queued {
            receiver: who(1),
            message,
            qos: QoS::AtLeastOnce,
            retain: false,
            ids: &[],
            group: None,
        };
        let will = Record::Will {
            session: who(1),
            message,
            delay: 0,
            due: None,
        };
        [queued, will, Record::Retained(message)].map(|record| (record, no_topic))
    });
    let subscribed = |filter| Record::Subscribed {
        session: who(1),
        filter,
        options: SubscriptionOptions::new(QoS::AtLeastOnce),
        id: None,
        retained: false,
    };
    for (record, expected) in [
        (Record::Used(who(9)), "it names a session that is not there"),
        (Record::Ended(who(9)), "what it ends is not there"),
        (session(2, "a"), "one client has two sessions"),
        (session(1, "b"), "two clients have the same session"),
        (subscribed("a/#/b"), "it names a filter that is none"),
        (
            Record::Unsubscribed {
                session: who(1),
                filter: "x",
            },
            "it ends a subscription that is not there",
        ),
        (
            Record::RetainedSent {
                session: who(1),
                filter: "x",
            },
            "no retained messages were on their way",
        ),
        (
            Record::Handshake {
                session: who(1),
                change: Change::Sent(Seq(0), id),
                copy: Commit(77),
            },
            "it sends a copy that is not there",
        ),
        (
            Record::Group { group, filter: "x" },
            "its filter is not one of a group",
        ),
        (
            Record::Queued {
                receiver: who(1),
                message: &message,
                qos: QoS::AtMostOnce,
                retain: false,
                ids: &[],
                group: None,
            },
            "QoS 0 is not kept",
        ),
        (
            Record::Renamed {
                session: who(3),
                client_id: "nobody",
            },
            "it names a session that is not there",
        ),
    ]
    .into_iter()
    .chain(of_no_topic)
    {
        let mut restore = Restore::new();
        restore.take(&session(1, "a"), Commit(1)).unwrap();
        let error = restore.take(&record, Commit(2)).unwrap_err();
        assert_eq!((error.number, error.what), (Commit(2), expected));
        assert_eq!(error.to_string(), format!("record 2: {expected}"));
    }
}

/// No two sessions become one: not by a name and a client that belong to two, and not by a number that comes twice.
#[test]
fn two_sessions_stay_two() {
    for (record, number, expected) in [
        (session(1, "b"), 3, "two clients have the same session"),
        (session(3, "c"), 2, "its number was given before"),
    ] {
        let mut restore = Restore::new();
        restore.take(&session(1, "a"), Commit(1)).unwrap();
        restore.take(&session(2, "b"), Commit(2)).unwrap();
        let error = restore.take(&record, Commit(number)).unwrap_err();
        assert_eq!(error.what, expected);
    }
}

/// The store goes on behind the largest number, in whatever order they came; all handshakes of a session may have ended at once.
#[test]
fn the_largest_number_counts() {
    let mut restore = Restore::new();
    assert_eq!(restore.latest(), Commit(0));
    let reset = Record::Handshake {
        session: who(1),
        change: Change::Reset,
        copy: Commit(0),
    };
    for (record, number) in [(session(1, "a"), 4), (reset, 9), (Record::Used(who(1)), 5)] {
        restore.take(&record, Commit(number)).unwrap();
    }
    assert_eq!(restore.latest(), Commit(9));
}

/// A session that is to be sent to from a worker whose batch stands behind: what is done is done, whenever its copy comes.
#[test]
fn a_copy_may_be_done_before_it_comes() {
    let message = Arc::new(Message::new("t", &[], b"", QoS::AtLeastOnce, false));
    let mut restore = Restore::new();
    restore.take(&session(1, "a"), Commit(1)).unwrap();
    let done = Record::Done {
        receiver: who(1),
        copy: Commit(2),
    };
    restore.take(&done, Commit(3)).unwrap();
    let queued = Record::Queued {
        receiver: who(1),
        message: &message,
        qos: QoS::AtLeastOnce,
        retain: false,
        ids: &[],
        group: None,
    };
    restore.take(&queued, Commit(2)).unwrap();
    let shared = start(restore, 1);
    assert_eq!(shared.counters().queued.get(), 0);
    assert_eq!(shared.counters().sessions.get(), 1);
}

/// A group's last member leaves at one worker while a group of the same filter begins at another, whose batch is durable first: the store
/// was called broken ("a group began twice"), and the broker did not start. The end may come late, or be lost with its batch.
#[test]
fn a_group_may_begin_again_before_its_end_comes() {
    let message = Arc::new(Message::new("t", &[], b"", QoS::AtLeastOnce, false));
    let filter = "$share/g/t";
    let id = |generation| GroupId {
        slot: 0,
        generation,
    };
    let subscribed = |slot| Record::Subscribed {
        session: who(slot),
        filter,
        options: SubscriptionOptions::new(QoS::AtLeastOnce),
        id: None,
        retained: false,
    };
    let waits = |generation| Record::Queued {
        receiver: Subscriber::group(id(generation)),
        message: &message,
        qos: QoS::AtLeastOnce,
        retain: false,
        ids: &[],
        group: None,
    };
    let group = |generation| Record::Group {
        group: id(generation),
        filter,
    };
    // The copies that are done in the end: as many are left as there should be, and under the name of the one group.
    for (end_comes, done, left, restarts) in [
        (true, &[][..], 1, 1),
        (true, &[][..], 1, 2),
        (true, &[9][..], 0, 1),
        (true, &[9][..], 0, 2),
        (false, &[][..], 2, 2),
        (false, &[9][..], 1, 2),
        (false, &[5, 9][..], 0, 1),
        (false, &[5, 9][..], 0, 2),
    ] {
        let mut restore = Restore::new();
        let mut take = |number, record: &Record<'_>| {
            restore.take(record, Commit(number)).unwrap();
        };
        take(1, &session(1, "a"));
        take(2, &session(2, "b"));
        take(3, &group(0));
        take(4, &subscribed(1));
        take(5, &waits(0));
        take(7, &group(1));
        take(8, &subscribed(2));
        take(9, &waits(1));
        if end_comes {
            take(6, &Record::Ended(Subscriber::group(id(0))));
        }
        // Twice: what the first start has made one stays one.
        for restart in 0..restarts {
            let base = 100 * (restart + 1);
            take(base, &Record::Restarted);
            for (slot, client_id) in [(1, "a"), (2, "b")] {
                let session = who(slot);
                take(
                    base + u64::from(slot),
                    &Record::Renamed { session, client_id },
                );
            }
            take(base + 3, &group(7));
        }
        for copy in done {
            let done = Record::Done {
                receiver: Subscriber::group(id(7)),
                copy: Commit(*copy),
            };
            take(300 + copy, &done);
        }
        let shared = start(restore, 1);
        assert_eq!(shared.counters().queued.get(), left, "{end_comes} {done:?}");
    }
}

/// Ten thousand members of one group, each with a message in flight and one that it had not begun: every member was searched for among all
/// others, and so was somebody who could take what was given back.
#[test]
fn a_large_group_starts_quickly() {
    const MEMBERS: u32 = 10_000;
    let message = Arc::new(Message::new("t", &[], b"", QoS::ExactlyOnce, false));
    let (filter, id) = ("$share/g/t", PacketId::new(1).unwrap());
    let group = GroupId {
        slot: 0,
        generation: 0,
    };
    let mut restore = Restore::new();
    let mut number = 0;
    let mut take = |record: Record<'_>| {
        number += 1;
        restore.take(&record, Commit(number)).unwrap();
        Commit(number)
    };
    take(Record::Group { group, filter });
    for slot in 0..MEMBERS {
        take(session(slot, &slot.to_string()));
        take(Record::Subscribed {
            session: who(slot),
            filter,
            options: SubscriptionOptions::new(QoS::ExactlyOnce),
            id: None,
            retained: false,
        });
        let mut queued = || {
            take(Record::Queued {
                receiver: who(slot),
                message: &message,
                qos: QoS::ExactlyOnce,
                retain: false,
                ids: &[],
                group: Some(group),
            })
        };
        let copy = queued();
        queued();
        take(Record::Handshake {
            session: who(slot),
            change: Change::Sent(Seq(0), id),
            copy,
        });
    }
    let shared = start(restore, 3);
    assert_eq!(shared.counters().queued.get(), 2 * u64::from(MEMBERS));
    assert_eq!(
        shared.counters().shared_subscriptions.get(),
        u64::from(MEMBERS)
    );
}

/// Starts a broker that nobody connects to, and lets a long time pass.
fn start(restore: Restore, workers: u16) -> Arc<Shared> {
    let settings = Settings {
        sys_interval_ms: 0,
        ..Settings::default()
    };
    let shared = Shared::new(settings, workers, 9);
    let now = Instant::from_millis(5);
    let mut cores: Vec<Core> = (0..workers)
        .map(|worker| {
            let (shared, store) = (Arc::clone(&shared), Box::<Memory>::default());
            Core::new(shared, worker, store, Arc::new(AllowAll), 1, now)
        })
        .collect();
    restore.start(&mut cores, now, now);
    shared
}

/// The log of a broker that has done everything that is recorded, restarts included.
fn log() -> Vec<(u64, OwnedRecord)> {
    let mut net = Net::new(3);
    let publisher = net.persistent("pub");
    net.set_manner(publisher, Manner::Silent);
    let mut members = Vec::new();
    for name in ["a", "b", "c"] {
        let member = net.persistent(name);
        net.set_manner(member, Manner::Silent);
        net.subscribe(member, "t/#", QoS::ExactlyOnce);
        net.subscribe(member, "$share/g/t/+", QoS::ExactlyOnce);
        net.subscribe(member, "$share/h/t/+", QoS::AtLeastOnce);
        members.push(member);
    }
    for round in 0..3_u16 {
        for number in 0..6 {
            let qos = [QoS::AtLeastOnce, QoS::ExactlyOnce][number % 2];
            let topic = format!("t/{number}");
            net.publish_with(publisher, &topic, "x", qos, number < 3, &[]);
        }
        net.retain(publisher, "t/1", "", QoS::AtLeastOnce);
        net.cut(members[usize::from(round)]);
        net.set_manner(members[2], Manner::Acknowledges);
        net.unsubscribe(members[2], &["$share/h/t/+"]);
        net.restart(1 + round);
        members[0] = net.reconnect(members[0], &resume("a"));
        members[2] = net.reconnect(members[2], &resume("c"));
    }
    net.connect_with(&mqtt_codec::Connect::new(mqtt_codec::Version::V311, "a"));
    net.ledgers.log()
}

/// Wherever the log ends, and a batch may be cut in two where a store is broken: what is there makes a broker.
#[test]
fn a_log_may_end_anywhere() {
    let log = log();
    assert!(log.len() > 250, "{}", log.len());
    for end in 0..=log.len() {
        let mut restore = Restore::new();
        for (number, record) in &log[..end] {
            restore
                .take(&record.record(), Commit(*number))
                .unwrap_or_else(|error| panic!("{record:?}: {error}"));
        }
        start(restore, 1 + (end % 3) as u16);
    }
}

/// A log with holes gives errors or a poorer broker, and no panic.
#[test]
fn a_log_with_holes_does_no_harm() {
    let log = log();
    let mut errors = 0;
    for seed in 0..300_u64 {
        let mut restore = Restore::new();
        for (number, record) in &log {
            let hash =
                (number.wrapping_mul(seed * 2 + 1)).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 59;
            if hash != 0 {
                errors += usize::from(restore.take(&record.record(), Commit(*number)).is_err());
            }
        }
        start(restore, 1 + (seed % 3) as u16);
    }
    assert!(errors > 100, "{errors}");
}
