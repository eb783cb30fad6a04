//! QoS 2: exactly once.

use mqtt_codec::{PubRec, PubRel, QoS, ReasonCode, Version};
use mqtt_session::{Outcome, Seq};
use mqtt_testkit::owners::{Heaped, Message, TestOwner};
use mqtt_testkit::packets::{pubcomp, publish2, pubrec, pubrel};
use mqtt_testkit::script::{ClientScript, ServerScript};

const VERSIONS: [Version; 3] = [Version::V31, Version::V311, Version::V5];

/// PUBLISH, PUBREC, PUBREL, PUBCOMP: delivered once; then the id is free [MQTT-4.3.3-8], [MQTT-4.3.3-11], [MQTT-4.3.3-12],
/// [3.1.1:MQTT-4.3.3-2], [MQTT-2.2.1-5], [3.1.1:MQTT-2.3.1-6].
#[test]
fn the_four_packets_deliver_once() {
    for version in VERSIONS {
        let mut server = ServerScript::<Heaped>::connected(version);
        for payload in ["a", "b"] {
            server.send(&publish2(7, payload));
            assert_eq!(server.happened(), [format!("publish q2 t {payload}")]);
            assert_eq!(server.sent(), ["PUBREC 7"]);
            server.send(&pubrel(7));
            assert_eq!(server.sent(), ["PUBCOMP 7"]);
            assert!(server.session.state().is_quiet());
        }
    }
}

/// A repeated PUBLISH is answered with PUBREC again and not delivered again [MQTT-4.3.3-10], [3.1.1:MQTT-4.3.3-2].
#[test]
fn a_repeated_publish_is_not_delivered_again() {
    for version in VERSIONS {
        let mut server = ServerScript::<Heaped>::connected(version);
        server.send(&publish2(7, "a"));
        server.sent();
        server.happened();
        let mut again = publish2(7, "a");
        again.dup = true;
        server.send(&again);
        assert!(server.happened().is_empty());
        assert_eq!(server.sent(), ["PUBREC 7"]);
    }
}

/// A repetition while PUBREC is still owed asks for nothing more: one PUBREC leaves.
#[test]
fn a_repetition_before_the_verdict_is_answered_once() {
    let mut server = ServerScript::<Heaped>::connected(Version::V311);
    server.answers = false;
    server.send(&publish2(7, "a"));
    server.send(&publish2(7, "a"));
    server.settle(ReasonCode::SUCCESS, ());
    assert_eq!(server.sent(), ["PUBREC 7"]);
}

/// PUBREL of an id that nothing has is answered: not found in 5.0, plainly before [MQTT-3.7.2-1].
#[test]
fn an_unknown_pubrel_is_answered() {
    for version in VERSIONS {
        let mut server = ServerScript::<Heaped>::connected(version);
        server.send(&pubrel(9));
        let expected = if version.is_v5() {
            "PUBCOMP 9 0x92"
        } else {
            "PUBCOMP 9"
        };
        assert_eq!(server.sent(), [expected]);
    }
}

/// PUBRELs may come in another order than their messages.
#[test]
fn pubrels_may_come_in_another_order() {
    let mut server = ServerScript::<Heaped>::connected(Version::V311);
    for id in 1..=200 {
        server.send(&publish2(id, "a"));
    }
    assert_eq!(
        server.happened().len(),
        200,
        "pipelined messages all arrive"
    );
    assert_eq!(server.sent().len(), 200);
    for id in (1..=200).rev() {
        server.send(&pubrel(id));
    }
    assert_eq!(server.sent().len(), 200);
    assert!(server.session.state().is_quiet());
}

/// PUBREL before its PUBREC was sent is a protocol error.
#[test]
fn pubrel_before_pubrec_closes() {
    let mut server = ServerScript::<Heaped>::connected(Version::V5);
    server.answers = false;
    server.send(&publish2(7, "a"));
    server.send(&pubrel(7));
    assert_eq!(server.happened()[1], "violation Rule(ReleaseTooEarly)");
    assert_eq!(server.sent(), ["DISCONNECT 0x82", "close"]);
}

/// A verdict that comes after the connection is remembered with the session, and PUBREC tells it on the next [MQTT-4.3.3-10].
#[test]
fn a_late_verdict_is_told_on_the_next_connection() {
    let mut server = ServerScript::<Heaped>::connected(Version::V311);
    server.answers = false;
    server.send(&publish2(7, "a"));
    server.cut();
    assert!(server.settle(ReasonCode::SUCCESS, ()));
    server.open();
    server.session_present = true;
    server.send(&mqtt_codec::Connect {
        clean_start: false,
        ..mqtt_codec::Connect::new(Version::V311, "c")
    });
    server.accept();
    server.sent();
    server.happened();
    server.send(&publish2(7, "a"));
    assert!(server.happened().is_empty());
    assert_eq!(server.sent(), ["PUBREC 7"]);
}

/// PUBREC of 0x80 or more frees the id: the next PUBLISH with it is a new message [MQTT-4.3.3-9].
#[test]
fn a_refused_message_frees_its_id() {
    let mut server = ServerScript::<Heaped>::connected(Version::V5);
    server.answers = false;
    server.send(&publish2(7, "a"));
    server.settle(ReasonCode::QUOTA_EXCEEDED, ());
    assert_eq!(server.sent(), ["PUBREC 7 0x97"]);
    server.send(&publish2(7, "b"));
    assert_eq!(server.happened(), ["publish q2 t a", "publish q2 t b"]);
}

/// The sender's side: PUBLISH without DUP, sent again until PUBREC; PUBREL, sent again until PUBCOMP, and no PUBLISH [MQTT-4.3.3-1],
/// [MQTT-4.3.3-2], [MQTT-4.3.3-3], [MQTT-4.3.3-4], [MQTT-4.3.3-5], [MQTT-4.3.3-6], [3.1.1:MQTT-4.3.3-1].
#[test]
fn a_message_may_go_at_pubrec_and_its_id_at_pubcomp() {
    for version in VERSIONS {
        let mut client = ClientScript::<Heaped>::offline(version);
        client.reconnect(false);
        client
            .owner
            .publish(&Message::new("t", QoS::ExactlyOnce, b"a"));
        assert_eq!(client.sent(), ["PUBLISH 1 q2 t a"]);
        let again = |client: &mut ClientScript<Heaped>| {
            client.cut();
            client.reconnect(true);
            client.sent()
        };
        assert_eq!(client.owner.waiting(), [Seq(0)]);
        assert_eq!(again(&mut client), ["PUBLISH 1 q2 dup t a"]);
        client.send(&pubrec(1));
        assert!(client.owner.waiting().is_empty());
        assert_eq!(client.session.state().in_flight(), 1);
        assert_eq!(client.sent(), ["PUBREL 1"]);
        assert_eq!(again(&mut client), ["PUBREL 1"]);
        client.send(&pubcomp(1));
        assert!(client.session.state().is_quiet());
        assert_eq!(client.owner.completed, [Seq(0)]);
        assert_eq!(again(&mut client), [""; 0]);
    }
}

/// A repeated PUBREC is answered with PUBREL again; one of an id that nothing has, too: not found in 5.0 [MQTT-3.6.2-1].
#[test]
fn every_pubrec_is_answered() {
    for version in VERSIONS {
        let mut client = ClientScript::<Heaped>::connected(version);
        client
            .owner
            .publish(&Message::new("t", QoS::ExactlyOnce, b"a"));
        client.sent();
        client.send(&pubrec(1));
        client.send(&pubrec(1));
        assert_eq!(client.sent(), ["PUBREL 1"], "it was due already");
        client.send(&pubrec(1));
        assert_eq!(client.sent(), ["PUBREL 1"]);
        client.send(&pubrec(9));
        let expected = if version.is_v5() {
            "PUBREL 9 0x92"
        } else {
            "PUBREL 9"
        };
        assert_eq!(client.sent(), [expected]);
    }
}

/// PUBREC of 0x80 or more ends the delivery without PUBREL [MQTT-4.4.0-2].
#[test]
fn a_refusal_ends_the_delivery() {
    let mut client = ClientScript::<Heaped>::connected(Version::V5);
    client
        .owner
        .publish(&Message::new("t", QoS::ExactlyOnce, b"a"));
    client.sent();
    client.send(&PubRec {
        reason: ReasonCode::NOT_AUTHORIZED,
        ..pubrec(1)
    });
    assert!(client.sent().is_empty());
    let mut all = vec![];
    client.owner.ended(&mut |_, outcome| all.push(outcome));
    assert_eq!(all, [Outcome::Refused(ReasonCode::NOT_AUTHORIZED)]);
    assert!(client.session.state().is_quiet());
}

/// PUBRELs leave in the order of the PUBRECs [MQTT-4.6.0-4], [3.1.1:MQTT-4.6.0-4], each with the id of its message [MQTT-4.3.3-4],
/// [3.1.1:MQTT-4.3.3-1].
#[test]
fn pubrels_leave_in_the_order_of_pubrecs() {
    for version in VERSIONS {
        let mut client = ClientScript::<Heaped>::connected(version);
        for payload in [b"a", b"b", b"c"] {
            client
                .owner
                .publish(&Message::new("t", QoS::ExactlyOnce, payload));
        }
        client.sent();
        for id in [2, 3, 1] {
            client.send(&pubrec(id));
        }
        assert_eq!(client.sent(), ["PUBREL 2", "PUBREL 3", "PUBREL 1"]);
    }
}

/// A PUBREL says by its reason that the sender does not know the id any more: it is released all the same [MQTT-4.3.3-11].
#[test]
fn a_pubrel_with_a_reason_releases() {
    let mut server = ServerScript::<Heaped>::connected(Version::V5);
    server.send(&publish2(7, "a"));
    server.sent();
    server.send(&PubRel {
        reason: ReasonCode::PACKET_IDENTIFIER_NOT_FOUND,
        ..pubrel(7)
    });
    assert_eq!(server.sent(), ["PUBCOMP 7"]);
    assert!(server.session.state().is_quiet());
}

/// A message that its owner dropped after it had been sent: the peer may hold its id and would swallow the next message that gets it,
/// so PUBREL frees the id there first.
#[test]
fn the_id_of_a_dropped_message_is_freed_at_the_peer() {
    for version in VERSIONS {
        let mut client = ClientScript::<Heaped>::offline(version);
        client.reconnect(false);
        client
            .owner
            .publish(&Message::new("t", QoS::ExactlyOnce, b"a"));
        client.sent();
        client.cut();
        client.owner.lose(Seq(0));
        client.reconnect(true);
        assert_eq!(client.sent(), ["PUBREL 1"], "{version}");
        client.send(&pubcomp(1));
        assert!(client.session.state().is_quiet());
    }
}

/// A peer may repeat a PUBREC by itself on a new connection: it holds the message, which must not be sent again [MQTT-4.3.3-6].
#[test]
fn a_pubrec_of_an_earlier_connection_counts() {
    let mut client = ClientScript::<Heaped>::offline(Version::V311);
    client.reconnect(false);
    client
        .owner
        .publish(&Message::new("t", QoS::ExactlyOnce, b"a"));
    client.sent();
    client.cut();
    client.reconnect(true);
    client.send(&pubrec(1));
    assert_eq!(client.sent(), ["PUBREL 1"]);
}

/// PUBRECs leave in the order of arrival, whatever the order of the verdicts [MQTT-4.6.0-3], [3.1.1:MQTT-4.6.0-3].
#[test]
fn pubrecs_leave_in_the_order_of_arrival() {
    for version in VERSIONS {
        let mut client = ClientScript::<Heaped>::connected(version);
        client.answers = false;
        for id in [3, 1, 2] {
            client.send(&publish2(id, "a"));
        }
        client.unsettled.reverse();
        for _ in 0..2 {
            client.settle(ReasonCode::SUCCESS, ());
            assert!(client.sent().is_empty());
        }
        client.settle(ReasonCode::SUCCESS, ());
        assert_eq!(client.sent(), ["PUBREC 3", "PUBREC 1", "PUBREC 2"]);
    }
}

/// A verdict on a message whose id was released, and is that of another message by now, does not settle the other one.
#[test]
fn a_verdict_settles_only_its_own_message() {
    let mut server = ServerScript::<Heaped>::connected(Version::V311);
    server.answers = false;
    server.send(&publish2(7, "a"));
    let first = server.unsettled.remove(0);
    server.cut();
    server.open();
    server.session_present = true;
    server.send(&mqtt_codec::Connect {
        clean_start: false,
        ..mqtt_codec::Connect::new(Version::V311, "c")
    });
    server.accept();
    server.sent();
    server.send(&pubrel(7));
    server.send(&publish2(7, "b"));
    server.sent();
    assert!(!server.session.settle(first, ReasonCode::SUCCESS, ()));
    assert!(server.sent().is_empty());
    assert!(server.settle(ReasonCode::SUCCESS, ()));
    assert_eq!(server.sent(), ["PUBREC 7"]);
}

/// Nothing is released that the peer says it has refused: there is nothing under that id.
#[test]
fn a_refusal_of_what_is_unknown_is_not_answered() {
    for client in [true, false] {
        let refused = PubRec {
            reason: ReasonCode::NOT_AUTHORIZED,
            ..pubrec(9)
        };
        let sent = if client {
            let mut client = ClientScript::<Heaped>::connected(Version::V5);
            client.send(&refused);
            client.sent()
        } else {
            let mut server = ServerScript::<Heaped>::connected(Version::V5);
            server.send(&refused);
            server.sent()
        };
        assert!(sent.is_empty(), "{sent:?}");
    }
}

/// A message whose verdict was still open when its connection ended may be released on the next one, whatever else waits there for a
/// verdict of its own.
#[test]
fn a_sender_may_release_what_it_dropped() {
    let mut server = ServerScript::<Heaped>::connected(Version::V311);
    server.answers = false;
    server.send(&publish2(7, "a"));
    server.cut();
    server.open();
    server.session_present = true;
    server.send(&mqtt_codec::Connect {
        clean_start: false,
        ..mqtt_codec::Connect::new(Version::V311, "c")
    });
    server.accept();
    server.sent();
    server.send(&publish2(8, "b"));
    server.send(&pubrel(7));
    assert_eq!(server.sent(), ["PUBCOMP 7"]);
    assert!(!server.session.is_closing());
}

/// That a payload is complete is said once; said again after the verdict it does not open the message again.
#[test]
fn a_payload_is_complete_once() {
    let mut server = ServerScript::<Heaped>::connected(Version::V311);
    server.answers = false;
    server.send(&publish2(7, "a"));
    let delivery = server.unsettled[0];
    server.settle(ReasonCode::SUCCESS, ());
    assert_eq!(server.sent(), ["PUBREC 7"]);
    let before = server.owner.changes.len();
    server.session.payload_complete(delivery, &mut server.owner);
    assert_eq!(server.owner.changes.len(), before);
    server.send(&publish2(7, "a"));
    assert_eq!(server.sent(), ["PUBREC 7"]);
}
