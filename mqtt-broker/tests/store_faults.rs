//! The real program on a disk that is full or fails: what cannot be kept is refused, what needs no disk goes on, and nothing that was
//! acknowledged is lost.
//!
//! A limit of the size of files stands for a disk without room for a further segment, and system calls that fail for a disk that takes
//! nothing at all, and for one that is broken.
#![cfg(all(target_os = "linux", feature = "cli"))]

mod support;

use mqtt_codec::{Delivery, FromServer, Publish, QoS, ReasonCode, Version};
use support::foreign::Failing;
use support::frame::{at, keeping, publish};
use support::{Broker, Client, eventually, need, not_for_mosquitto};

const SEGMENT: u64 = 8 * 1024 * 1024;
/// A further segment cannot be made, by one byte. Those that are there can be written to, but for this one: no group ends so near their end
/// here.
const NO_FURTHER_SEGMENT: u64 = SEGMENT - 1;
/// Fills two segments with messages like this.
const MOST: usize = 400;

fn durable() -> Broker {
    Broker::configured(
        "data_dir = \"data\"\n[limits]\nqueue_bytes = 100000000\nsys_interval_ms = 100\n",
        "",
    )
}

/// The smallest store has two segments: waits for the second, which is made beside the first answers.
fn two_segments(broker: &Broker) {
    let second = broker.folder().join("data/0000000002.log");
    eventually("the second segment is there", || second.exists());
}

/// Limits how large the files of the broker may become, from now on.
fn limit(broker: &mut Broker, bytes: u64) {
    let id = broker.process().id().cast_signed();
    let both = Some((bytes, rlimit::INFINITY));
    rlimit::prlimit(id, rlimit::Resource::FSIZE, both, None).expect("it is our child");
}

/// A session that is away, and gets what is published to `fill`.
fn away(broker: &Broker, version: Version) {
    let (mut away, _) = Client::connect_with(broker, &keeping(version, "away"));
    away.subscribe(&[("fill", at(QoS::ExactlyOnce))]);
    away.disconnect();
    let (mut keeper, _) = Client::connect_with(broker, &keeping(Version::V311, "keeper"));
    keeper.subscribe(&[("kept", at(QoS::AtLeastOnce))]);
    keeper.disconnect();
}

/// A message with this number and a long rest.
fn large(number: usize) -> Vec<u8> {
    let mut payload = format!("{number:06}").into_bytes();
    payload.resize(60 * 1024, b'.');
    payload
}

fn number(payload: &[u8]) -> usize {
    let digits = core::str::from_utf8(&payload[..6]).expect("it is one of ours");
    digits.parse().expect("it is one of ours")
}

/// Publishes messages from this number on until the disk is full; gives the number of the first that was refused.
fn fill(publisher: &mut Client, from: usize) -> usize {
    for number in from..from + MOST {
        if number % 16 == 0 {
            // Something small that stays, in every segment.
            let reason = publisher.publish("kept", "x", QoS::AtLeastOnce);
            if reason == ReasonCode::QUOTA_EXCEEDED {
                return number;
            }
        }
        let qos = [QoS::AtLeastOnce, QoS::ExactlyOnce][number % 2];
        let reason = publisher.publish_packet(&publish("fill", &large(number)), qos);
        if reason == ReasonCode::QUOTA_EXCEEDED {
            return number;
        }
        assert!(!reason.is_error(), "{reason:?}");
    }
    panic!("{MOST} messages fit");
}

/// Sends a message and does not wait for its answer.
fn send(client: &mut Client, payload: &str, qos: QoS) {
    let id = client.fresh_id();
    client.send(&Publish {
        delivery: if qos == QoS::AtLeastOnce {
            Delivery::AtLeastOnce(id)
        } else {
            Delivery::ExactlyOnce(id)
        },
        ..publish("fill", payload)
    });
}

/// What is the same on a disk without room and on a broken one.
fn the_rest_goes_on(broker: &Broker, publisher: &mut Client, refused: ReasonCode) {
    for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
        let reason = publisher.publish("fill", "refused", qos);
        assert_eq!(reason, refused, "{qos:?}");
    }
    // Before 5.0 there is no answer that says so.
    let mut older = Client::connect(broker, Version::V311, "older");
    for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
        send(&mut older, "refused", qos);
    }
    older.expect_silence();
    let mut listener = Client::connect(broker, Version::V5, "listener");
    let granted = listener.subscribe(&[("live", at(QoS::AtLeastOnce))]);
    assert_eq!(granted, [ReasonCode::GRANTED_QOS_1]);
    for client in [publisher, &mut older] {
        client.publish("live", "now", QoS::AtMostOnce);
        assert_eq!(listener.take_text(), "live|0|0|now");
    }
    for (version, reason) in [
        (Version::V5, refused),
        (Version::V311, ReasonCode::SERVER_UNAVAILABLE),
    ] {
        let (_, answer) = Client::try_connect(broker, &keeping(version, "new"));
        let reason = match reason {
            ReasonCode::UNSPECIFIED_ERROR => ReasonCode::SERVER_UNAVAILABLE,
            reason => reason,
        };
        assert_eq!(answer.conn_ack().reason, reason, "{version:?}");
    }
    let mut watcher = Client::connect(broker, Version::V311, "watcher");
    watcher.subscribe(&[("$SYS/broker/store/refused", at(QoS::AtMostOnce))]);
    // Those of the publisher and of the older client.
    let counted = |frame: support::frame::Frame| {
        let text = String::from_utf8(frame.publish().payload.to_vec());
        text.expect("digits").parse::<u64>().expect("digits")
    };
    while counted(watcher.take()) < 4 {}
    let state = if refused == ReasonCode::QUOTA_EXCEEDED {
        "1"
    } else {
        "2"
    };
    comes_to_state(broker, state);
}

/// Waits for what the broker tells of its store: 0 with room, 1 full, 2 failed.
fn comes_to_state(broker: &Broker, state: &str) {
    let mut watcher = Client::connect(broker, Version::V311, "watcher");
    watcher.subscribe(&[("$SYS/broker/store/state", at(QoS::AtMostOnce))]);
    while watcher.take().publish().payload != state.as_bytes() {}
}

/// The session that was away takes these messages, and nothing else.
fn takes(broker: &Broker, expected: impl Iterator<Item = usize>) -> Client {
    let (mut away, answer) = Client::connect_with(broker, &keeping(Version::V5, "away"));
    assert!(answer.conn_ack().session_present);
    for expected in expected {
        let frame = away.take();
        assert_eq!(number(frame.publish().payload), expected);
    }
    away.expect_silence();
    away
}

/// Publishes one message again and again until it is taken; nobody starts the broker anew.
fn until_taken(publisher: &mut Client, number: usize) {
    eventually("there is room again", || {
        let reason = publisher.publish_packet(&publish("fill", &large(number)), QoS::AtLeastOnce);
        assert!(!reason.is_error() || reason == ReasonCode::QUOTA_EXCEEDED);
        !reason.is_error()
    });
}

/// No room for a further segment: when somebody takes what waits, there is room, without a restart, although in every segment something
/// small is left that still waits.
#[test]
fn a_full_disk_has_room_when_messages_are_taken() {
    not_for_mosquitto!("it has no store of this kind");
    let mut broker = durable();
    away(&broker, Version::V5);
    two_segments(&broker);
    limit(&mut broker, NO_FURTHER_SEGMENT);
    let mut publisher = Client::connect(&broker, Version::V5, "publisher");
    let taken = fill(&mut publisher, 0);
    broker.process().wait_for("the store is full: new messages");
    the_rest_goes_on(&broker, &mut publisher, ReasonCode::QUOTA_EXCEEDED);

    // Killed and started on the same disk it is as full, and has what it acknowledged.
    let wrapper = format!("prlimit --fsize={NO_FURTHER_SEGMENT}");
    let wrapper: Vec<&str> = wrapper.split(' ').collect();
    broker.again_under(&wrapper, &[]);
    let mut publisher = Client::connect(&broker, Version::V5, "publisher");
    let taken = fill(&mut publisher, taken);
    the_rest_goes_on(&broker, &mut publisher, ReasonCode::QUOTA_EXCEEDED);

    takes(&broker, 0..taken).disconnect();
    until_taken(&mut publisher, taken);
    broker.process().wait_for("the store has room again");
    comes_to_state(&broker, "0");
    let mut older = Client::connect(&broker, Version::V311, "older");
    older.publish_packet(&publish("fill", &large(taken + 1)), QoS::AtLeastOnce);
    broker.again(&[]);
    takes(&broker, taken..taken + 2);
    let (mut keeper, _) = Client::connect_with(&broker, &keeping(Version::V311, "keeper"));
    for _ in 0..taken.div_ceil(16) {
        assert_eq!(keeper.take_text(), "kept|1|0|x");
    }
}

/// The disk gets room from outside: half a second later all goes on, without a restart; after a `kill -9` everything is there.
#[test]
fn a_full_disk_gets_room() {
    not_for_mosquitto!("it has no store of this kind");
    let mut broker = durable();
    away(&broker, Version::V5);
    two_segments(&broker);
    limit(&mut broker, NO_FURTHER_SEGMENT);
    let mut publisher = Client::connect(&broker, Version::V5, "publisher");
    let taken = fill(&mut publisher, 0);
    limit(&mut broker, rlimit::INFINITY);
    until_taken(&mut publisher, taken);
    broker.process().wait_for("the store has room again");
    broker.again(&[]);
    takes(&broker, 0..=taken);
}

/// The disk takes nothing at all: what was under way waits, and is acknowledged when there is room.
#[test]
fn what_was_under_way_when_the_disk_became_full_is_kept() {
    not_for_mosquitto!("it has no store of this kind");
    let mut broker = durable();
    away(&broker, Version::V5);
    let mut publisher = Client::connect(&broker, Version::V5, "publisher");
    let mut waiting = Client::connect(&broker, Version::V5, "waiting");
    publisher.publish("fill", "000000", QoS::ExactlyOnce);
    two_segments(&broker);
    let id = broker.process().id();
    let full = need!(Failing::calls(id, "pwrite64:error=ENOSPC"));
    send(&mut waiting, "000001", QoS::AtLeastOnce);
    broker.process().wait_for("the disk is full");
    broker.process().wait_for("the store is full: new messages");
    waiting.expect_silence();
    the_rest_goes_on(&broker, &mut publisher, ReasonCode::QUOTA_EXCEEDED);
    waiting.expect_silence();
    full.end();
    let answer = waiting.receive_where("PUBACK", |packet| matches!(packet, FromServer::PubAck(_)));
    assert_eq!(answer.pub_ack().reason, ReasonCode::SUCCESS);
    broker.process().wait_for("the store has room again");
    until_taken(&mut publisher, 2);
    broker.again(&[]);
    takes(&broker, 0..3);
}

/// A sync or a write fails, once or from now on: nothing is acknowledged any more that has to be kept, not even when the disk works again,
/// until somebody starts the broker anew. Then everything is there that was acknowledged, and nothing that was refused.
#[test]
fn a_disk_that_fails_ends_acknowledging_for_good() {
    not_for_mosquitto!("it has no store of this kind");
    for (calls, words) in [
        ("fdatasync:error=EIO", "a sync failed"),
        ("fdatasync:error=EIO:when=1", "a sync failed"),
        ("pwrite64:error=EIO:when=1", "a write failed"),
    ] {
        let mut broker = durable();
        away(&broker, Version::V5);
        let mut publisher = Client::connect(&broker, Version::V5, "publisher");
        let mut waiting = Client::connect(&broker, Version::V5, "waiting");
        for number in 0..20 {
            let qos = [QoS::AtLeastOnce, QoS::ExactlyOnce][number % 2];
            publisher.publish("fill", &format!("{number:06}"), qos);
        }
        two_segments(&broker);
        let id = broker.process().id();
        let failing = need!(Failing::calls(id, calls));
        send(&mut waiting, "000020", QoS::AtLeastOnce);
        let words = format!("{words}; nothing is acknowledged any more");
        broker.process().wait_for(&words);
        broker.process().wait_for("the store has failed");
        waiting.expect_silence();
        the_rest_goes_on(&broker, &mut publisher, ReasonCode::UNSPECIFIED_ERROR);
        failing.end();
        the_rest_goes_on(&broker, &mut publisher, ReasonCode::UNSPECIFIED_ERROR);
        waiting.expect_silence();
        // A session that lasts is not resumed: CONNACK would promise something.
        let (_, answer) = Client::try_connect(&broker, &keeping(Version::V5, "away"));
        assert_eq!(answer.conn_ack().reason, ReasonCode::SERVER_UNAVAILABLE);
        broker.assert_running();
        broker.process().signal("TERM");
        let status = broker.process().wait(support::PATIENCE);
        assert_eq!(status.code(), Some(0), "the stop that was asked for");
        broker.again(&[]);
        is_whole_after_a_failure(&broker);
    }
}

/// Of 21 messages 20 were acknowledged; nobody was told what became of the last one, and both are right.
fn is_whole_after_a_failure(broker: &Broker) {
    let mut publisher = Client::connect(broker, Version::V5, "publisher");
    let reason = publisher.publish("fill", "000021", QoS::AtLeastOnce);
    assert_eq!(reason, ReasonCode::SUCCESS);
    let (mut away, answer) = Client::connect_with(broker, &keeping(Version::V5, "away"));
    assert!(answer.conn_ack().session_present);
    for expected in 0..20 {
        assert_eq!(number(away.take().publish().payload), expected);
    }
    let mut last = number(away.take().publish().payload);
    if last == 20 {
        last = number(away.take().publish().payload);
    }
    assert_eq!(last, 21);
    away.expect_silence();
}
