//! QoS 1: at least once.

use mqtt_codec::{PubAck, QoS, ReasonCode, Version};
use mqtt_session::{Outcome, Seq};
use mqtt_testkit::owners::{Heaped, Message, TestOwner};
use mqtt_testkit::packets::{puback, publish, publish1, publish2, pubrec};
use mqtt_testkit::script::{ClientScript, Script, ServerScript};

const VERSIONS: [Version; 3] = [Version::V31, Version::V311, Version::V5];

fn outcomes<O: TestOwner>(owner: &mut O) -> Vec<(u64, Outcome)> {
    let mut all = vec![];
    owner.ended(&mut |seq, outcome| all.push((seq.0, outcome)));
    all
}

/// A message is acknowledged by its packet id after the verdict [MQTT-4.3.2-4], [MQTT-2.2.1-5], [3.1.1:MQTT-4.3.2-2],
/// [3.1.1:MQTT-2.3.1-6].
#[test]
fn puback_follows_the_verdict() {
    for version in VERSIONS {
        let mut server = ServerScript::<Heaped>::connected(version);
        server.answers = false;
        server.send(&publish1(7, "a"));
        assert_eq!(server.happened(), ["publish q1 t a"]);
        assert!(server.sent().is_empty());
        assert!(server.settle(ReasonCode::SUCCESS, ()));
        assert_eq!(server.sent(), ["PUBACK 7"]);
    }
}

/// A refusal is told in 5.0, and acknowledged before [3.1.1:MQTT-3.3.5-2], [MQTT-3.4.2-1].
#[test]
fn a_refusal_is_told_where_the_version_can() {
    for version in VERSIONS {
        let mut server = ServerScript::<Heaped>::connected(version);
        server.answers = false;
        server.send(&publish1(7, "a"));
        server.settle(ReasonCode::NOT_AUTHORIZED, ());
        let expected = if version.is_v5() {
            "PUBACK 7 0x87"
        } else {
            "PUBACK 7"
        };
        assert_eq!(server.sent(), [expected]);
    }
}

/// Acknowledgements leave in the order of arrival, whatever the order of the verdicts [MQTT-4.6.0-2], [3.1.1:MQTT-4.6.0-2].
#[test]
fn pubacks_leave_in_the_order_of_arrival() {
    for version in VERSIONS {
        let mut client = ClientScript::<Heaped>::connected(version);
        client.answers = false;
        for id in [3, 1, 2] {
            client.send(&publish1(id, "a"));
        }
        client.unsettled.reverse();
        client.settle(ReasonCode::SUCCESS, ());
        assert!(client.sent().is_empty());
        client.settle(ReasonCode::SUCCESS, ());
        assert!(client.sent().is_empty());
        client.settle(ReasonCode::SUCCESS, ());
        assert_eq!(client.sent(), ["PUBACK 3", "PUBACK 1", "PUBACK 2"]);
    }
}

/// The receiver takes a repetition for a new message [MQTT-4.3.2-5].
#[test]
fn a_repetition_is_delivered_again() {
    for version in VERSIONS {
        let mut server = ServerScript::<Heaped>::connected(version);
        for _ in 0..2 {
            server.send(&publish1(7, "a"));
            assert_eq!(server.happened(), ["publish q1 t a"]);
            assert_eq!(server.sent(), ["PUBACK 7"]);
        }
    }
}

/// A delivery dies with its connection: a late verdict leads nowhere.
#[test]
fn a_late_verdict_changes_nothing() {
    let mut server = ServerScript::<Heaped>::connected(Version::V311);
    server.answers = false;
    server.send(&publish1(7, "a"));
    server.cut();
    assert!(!server.settle(ReasonCode::SUCCESS, ()));
}

/// A message gets a free packet id, goes out without DUP and ends with its PUBACK [MQTT-4.3.2-1], [MQTT-4.3.2-2], [MQTT-4.3.2-3],
/// [3.1.1:MQTT-4.3.2-1].
#[test]
fn a_message_ends_with_its_puback() {
    for version in VERSIONS {
        let mut client = ClientScript::<Heaped>::connected(version);
        for payload in [b"a", b"b"] {
            client
                .owner
                .publish(&Message::new("t", QoS::AtLeastOnce, payload));
        }
        assert_eq!(client.sent(), ["PUBLISH 1 q1 t a", "PUBLISH 2 q1 t b"]);
        client.send(&puback(2));
        client.send(&puback(1));
        let success = Outcome::Acknowledged(ReasonCode::SUCCESS);
        assert_eq!(outcomes(&mut client.owner), [(1, success), (0, success)]);
        assert!(client.session.state().is_quiet());
    }
}

/// PUBACK of 0x80 or more ends the message, which is not sent again [MQTT-4.4.0-2].
#[test]
fn a_refused_message_has_ended() {
    let mut client = ClientScript::<Heaped>::connected(Version::V5);
    client
        .owner
        .publish(&Message::new("t", QoS::AtLeastOnce, b"a"));
    client.sent();
    client.send(&PubAck {
        reason: ReasonCode::QUOTA_EXCEEDED,
        ..puback(1)
    });
    assert_eq!(
        outcomes(&mut client.owner),
        [(0, Outcome::Refused(ReasonCode::QUOTA_EXCEEDED))]
    );
    client.cut();
    client.reconnect(true);
    assert!(client.sent().is_empty());
}

/// An acknowledgement of the other QoS breaks the rules; one of an id that nothing has is ignored [MQTT-4.3.2-3].
#[test]
fn the_wrong_acknowledgement_closes_and_an_unknown_one_does_not() {
    let mut client = ClientScript::<Heaped>::connected(Version::V5);
    client.send(&puback(9));
    assert!(client.happened().is_empty());
    client
        .owner
        .publish(&Message::new("t", QoS::AtLeastOnce, b"a"));
    client.sent();
    client.send(&pubrec(1));
    assert_eq!(client.happened(), ["violation Rule(WrongAcknowledgement)"]);
    assert_eq!(client.sent(), ["DISCONNECT 0x82", "close"]);
}

/// An owner may drop a message at any time: it is passed over, and its id is free.
#[test]
fn a_dropped_message_is_passed_over() {
    let mut client = ClientScript::<Heaped>::connected(Version::V311);
    for payload in [b"a", b"b"] {
        client
            .owner
            .publish(&Message::new("t", QoS::AtLeastOnce, payload));
    }
    client.sent();
    client.cut();
    client.owner.lose(Seq(0));
    client.reconnect(true);
    assert_eq!(client.sent(), ["PUBLISH 2 q1 dup t b"]);
}

/// QoS 1 and QoS 2 share the order of their answers: PUBACK waits for the PUBREC before it [MQTT-4.6.0-2], [MQTT-4.6.0-3],
/// [3.1.1:MQTT-4.6.0-2], [3.1.1:MQTT-4.6.0-3].
#[test]
fn both_kinds_of_acknowledgement_wait_for_each_other() {
    for version in VERSIONS {
        let mut server = ServerScript::<Heaped>::connected(version);
        server.answers = false;
        server.send(&publish2(1, "a"));
        server.send(&publish1(2, "b"));
        server.unsettled.reverse();
        server.settle(ReasonCode::SUCCESS, ());
        assert!(server.sent().is_empty());
        server.settle(ReasonCode::SUCCESS, ());
        assert_eq!(server.sent(), ["PUBREC 1", "PUBACK 2"]);
    }
}

/// Many messages that cannot be sent cost one call so much and no more, and the loop comes to what can be sent.
#[test]
fn a_queue_of_expired_messages_is_worked_off_in_steps() {
    let mut client = ClientScript::<Heaped>::connected(Version::V311);
    for _ in 0..1_000 {
        client.owner.publish(&Message {
            expires: Some(client.now),
            ..Message::new("t", QoS::AtLeastOnce, b"old")
        });
    }
    client
        .owner
        .publish(&Message::new("t", QoS::AtLeastOnce, b"new"));
    let mut tx = vec![];
    let mut calls = 0;
    while !matches!(
        client
            .session
            .poll_output(&mut tx, client.now, &mut client.owner),
        mqtt_session::Output::Publish { .. }
    ) {
        calls += 1;
        assert!(tx.is_empty() && client.owner.waiting().len() >= 1_001 - 32 * calls);
    }
    assert_eq!(outcomes(&mut client.owner).len(), 1_000);
}

/// An id that is in use is passed over, also when all others have been used meanwhile, and 0 is none: at a client [MQTT-2.2.1-3],
/// [MQTT-4.3.2-1], [MQTT-4.3.3-1], [3.1.1:MQTT-2.3.1-2], and at a server [MQTT-2.2.1-4], [3.1.1:MQTT-2.3.1-4].
#[test]
fn an_id_in_use_is_passed_over() {
    fn check<R: mqtt_session::Role>(
        script: &mut Script<R, Heaped>,
        send: fn(&mut Script<R, Heaped>, u16),
    ) {
        for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
            script.owner.publish(&Message::new("t", qos, b"slow"));
        }
        assert_eq!(
            script.sent(),
            ["PUBLISH 1 q1 t slow", "PUBLISH 2 q2 t slow"]
        );
        for id in (3..=u16::MAX).chain(3..5) {
            script
                .owner
                .publish(&Message::new("t", QoS::AtLeastOnce, b"x"));
            assert_eq!(script.sent(), [format!("PUBLISH {id} q1 t x")]);
            send(script, id);
        }
    }
    for version in [Version::V311, Version::V5] {
        let mut client = ClientScript::<Heaped>::connected(version);
        check(&mut client, |client, id| client.send(&puback(id)));
        let mut server = ServerScript::<Heaped>::connected(version);
        check(&mut server, |server, id| server.send(&puback(id)));
    }
}

/// The QoS decides about the answer: none, PUBACK or PUBREC, at both ends [MQTT-3.3.4-1], [3.1.1:MQTT-3.3.4-1], with the id of the message
/// [MQTT-2.2.1-5], [3.1.1:MQTT-2.3.1-6].
#[test]
fn the_qos_decides_about_the_answer() {
    for version in VERSIONS {
        let mut server = ServerScript::<Heaped>::connected(version);
        let mut client = ClientScript::<Heaped>::connected(version);
        server.send(&publish("none"));
        client.send(&publish("none"));
        assert!(server.sent().is_empty() && client.sent().is_empty());
        server.send(&publish1(8, "once or more"));
        client.send(&publish1(8, "once or more"));
        assert_eq!(server.sent(), ["PUBACK 8"]);
        assert_eq!(client.sent(), ["PUBACK 8"]);
        server.send(&publish2(9, "once"));
        client.send(&publish2(9, "once"));
        assert_eq!(server.sent(), ["PUBREC 9"]);
        assert_eq!(client.sent(), ["PUBREC 9"]);
    }
}

/// A QoS 0 message goes out once, without DUP, and never again [MQTT-3.3.1-2], [MQTT-4.3.1-1], [3.1.1:MQTT-3.3.1-2],
/// [3.1.1:MQTT-4.3.1-1].
#[test]
fn a_qos_0_message_is_sent_once() {
    for version in VERSIONS {
        let mut client = ClientScript::<Heaped>::offline(version);
        client.reconnect(false);
        client
            .owner
            .publish(&Message::new("t", QoS::AtMostOnce, b"x"));
        assert_eq!(client.sent(), ["PUBLISH t x"]);
        client.cut();
        client.reconnect(true);
        assert!(client.sent().is_empty());
    }
}

/// The first verdict counts: a later one, which comes before PUBACK was written, changes nothing.
#[test]
fn a_second_verdict_changes_nothing() {
    let mut server = ServerScript::<Heaped>::connected(Version::V5);
    server.answers = false;
    server.send(&publish1(7, "a"));
    let delivery = server.unsettled[0];
    assert!(server.settle(ReasonCode::NOT_AUTHORIZED, ()));
    assert!(!server.session.settle(delivery, ReasonCode::SUCCESS, ()));
    assert_eq!(server.sent(), ["PUBACK 7 0x87"]);
}
