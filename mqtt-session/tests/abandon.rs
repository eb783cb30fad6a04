//! Messages that the owner has no place for: as if they had never come, and nobody waits for them.

use mqtt_codec::{Connect, ReasonCode, Version};
use mqtt_session::Commit;
use mqtt_testkit::owners::{Heaped, Note, Stored, TestOwner};
use mqtt_testkit::packets::{publish1, publish2, pubrel};
use mqtt_testkit::script::ServerScript;

const FULL: ReasonCode = ReasonCode::QUOTA_EXCEEDED;

/// A 5.0 client is told, in the order of its messages, and its ids are free [MQTT-4.6.0-2], [MQTT-4.6.0-3], [MQTT-4.3.3-9].
#[test]
fn a_5_0_client_is_told() {
    let mut server = ServerScript::<Heaped>::connected(Version::V5);
    server.answers = false;
    server.send(&publish1(1, "a"));
    server.send(&publish2(2, "b"));
    server.send(&publish1(3, "c"));
    let first = server.unsettled.remove(0);
    assert!(server.abandon(FULL) && server.abandon(FULL));
    assert!(server.sent().is_empty(), "not before the first");
    assert!(server.session.settle(first, ReasonCode::SUCCESS, ()));
    assert_eq!(
        server.sent(),
        ["PUBACK 1", "PUBREC 2 0x97", "PUBACK 3 0x97"]
    );
    assert!(server.session.state().is_quiet());
    server.happened();
    for (packet, answer) in [
        (publish2(2, "d"), "PUBREC 2"),
        (publish2(3, "e"), "PUBREC 3"),
    ] {
        server.send(&packet);
        assert!(server.settle(ReasonCode::SUCCESS, ()));
        assert_eq!(server.sent(), [answer]);
    }
    assert_eq!(server.happened(), ["publish q2 t d", "publish q2 t e"]);
}

/// Before 5.0 nothing is said, later answers are not held up, and the same packets on the next connection are new messages
/// [3.1.1:MQTT-4.4.0-1].
#[test]
fn before_5_0_nothing_is_said() {
    for version in [Version::V31, Version::V311] {
        let mut server = ServerScript::<Heaped>::connected(version);
        server.answers = false;
        server.send(&publish1(1, "a"));
        server.send(&publish2(2, "b"));
        assert!(server.abandon(FULL) && server.abandon(FULL));
        server.send(&publish1(3, "c"));
        server.send(&publish2(4, "d"));
        assert!(server.settle(ReasonCode::SUCCESS, ()));
        assert!(server.settle(ReasonCode::SUCCESS, ()));
        assert_eq!(server.sent(), ["PUBACK 3", "PUBREC 4"]);
        assert_eq!(server.session.state().received(), 1);
        server.happened();
        server.cut();
        server.open();
        server.session_present = true;
        server.send(&Connect {
            clean_start: false,
            ..Connect::new(version, "c")
        });
        server.accept();
        server.sent();
        server.happened();
        for packet in [publish1(1, "a"), publish2(2, "b")] {
            server.send(&packet);
            assert!(server.settle(ReasonCode::SUCCESS, ()));
        }
        assert_eq!(server.happened(), ["publish q1 t a", "publish q2 t b"]);
        assert_eq!(server.sent(), ["PUBACK 1", "PUBREC 2"]);
    }
}

/// Before 5.0 a client is held to a number of ids that it may occupy: those of messages that were given up are not among them.
#[test]
fn what_was_given_up_occupies_nothing() {
    for version in [Version::V311, Version::V5] {
        let mut server = ServerScript::<Heaped>::connected(version);
        server.answers = false;
        for id in 1..=60_000 {
            server.send(&publish2(id, "x"));
            assert!(server.abandon(FULL));
            let answers = server.sent();
            assert_eq!(answers.len(), usize::from(version.is_v5()));
            assert!(server.session.wants_input());
        }
        assert!(server.session.state().is_quiet());
        assert_eq!(server.happened().len(), 60_000);
    }
}

/// What is said waits for no commit, but for its turn: nothing is promised by it. After a crash the message is a new one, whether the
/// batch with the id became durable or not.
#[test]
fn the_answer_waits_for_no_commit() {
    let mut server = ServerScript::<Stored>::connected(Version::V5);
    server.answers = false;
    server.send(&publish2(1, "a"));
    assert!(server.abandon(ReasonCode::UNSPECIFIED_ERROR));
    assert_eq!(server.sent(), ["PUBREC 1 0x80"]);
    server.send(&publish1(2, "b"));
    let kept = server.owner.keep(Note::Copy);
    server.settle(ReasonCode::SUCCESS, kept);
    server.send(&publish1(3, "c"));
    assert!(server.abandon(FULL));
    assert!(server.sent().is_empty());
    server.owner.commit(usize::MAX);
    assert_eq!(server.sent(), ["PUBACK 2", "PUBACK 3 0x97"]);
}

/// What was settled cannot be given up, and what was given up cannot be settled; nor can anything that went with its connection.
#[test]
fn a_message_has_one_end() {
    let mut server = ServerScript::<Stored>::connected(Version::V5);
    server.answers = false;
    for packet in [publish1(1, "a"), publish2(2, "b")] {
        server.send(&packet);
        let delivery = server.unsettled[0];
        assert!(server.settle(ReasonCode::SUCCESS, Commit::default()));
        let owner = &mut server.owner;
        assert!(!server.session.abandon(delivery, FULL, owner));
    }
    server.owner.commit(usize::MAX);
    assert_eq!(server.sent(), ["PUBACK 1", "PUBREC 2"]);
    server.send(&pubrel(2));
    server.owner.commit(usize::MAX);
    assert_eq!(server.sent(), ["PUBCOMP 2"]);
    for packet in [publish1(1, "a"), publish2(2, "b")] {
        server.send(&packet);
        let delivery = server.unsettled[0];
        assert!(server.abandon(FULL));
        let reason = ReasonCode::SUCCESS;
        assert!(!server.session.settle(delivery, reason, Commit::default()));
        let owner = &mut server.owner;
        assert!(!server.session.abandon(delivery, FULL, owner));
    }
    server.send(&publish1(5, "a"));
    server.cut();
    assert!(!server.abandon(FULL));
}
