//! Nothing is promised before it is kept: what waits for a commit, and what does not.

use mqtt_codec::{Connect, QoS, ReasonCode, Version};
use mqtt_session::{Accept, Commit, Owner};
use mqtt_testkit::owners::{Message, Note, Stored, TestOwner};
use mqtt_testkit::packets::{
    connack, filter, pingreq, pubcomp, publish, publish1, publish2, pubrec, pubrel, subscribe,
};
use mqtt_testkit::script::{ClientScript, ServerScript};

fn connected() -> ServerScript<Stored> {
    let mut server = ServerScript::connected(Version::V5);
    server.answers = false;
    server
}

fn all(owner: &mut impl TestOwner) {
    owner.commit(usize::MAX);
}

/// CONNACK waits until it is durable that the session exists.
#[test]
fn connack_waits() {
    let mut server = ServerScript::<Stored>::opened(Version::V311);
    server.answers = false;
    server.send(&Connect::new(Version::V311, "c"));
    let kept = server.owner.keep(Note::Created { kept: true });
    let accept = Accept {
        session_present: false,
        server_keep_alive: None,
        session_expiry: None,
        kept,
    };
    server.session.accept(accept).unwrap();
    assert!(server.sent().is_empty() && !server.session.is_connected());
    all(&mut server.owner);
    assert_eq!(server.sent(), ["CONNACK"]);
}

/// PUBACK and PUBREC wait for the copy, and those behind them for their turn; QoS 0 and pings go on meanwhile [MQTT-4.3.2-4],
/// [MQTT-4.3.3-8].
#[test]
fn acknowledgements_wait_and_reading_goes_on() {
    let mut server = connected();
    server.send(&publish1(1, "a"));
    let kept = server.owner.keep(Note::Copy);
    server.settle(ReasonCode::SUCCESS, kept);
    server.send(&publish2(2, "b"));
    let kept = server.owner.keep(Note::Copy);
    server.settle(ReasonCode::SUCCESS, kept);
    server.send(&publish("c"));
    server.send(&pingreq());
    assert_eq!(server.happened().len(), 3);
    assert_eq!(server.sent(), ["PINGRESP"]);
    server.owner.commit(1);
    assert_eq!(server.sent(), ["PUBACK 1"]);
    all(&mut server.owner);
    assert_eq!(server.sent(), ["PUBREC 2"]);
}

/// PUBREC waits for the id, too, when the copy needs no gate: after a crash the message would be delivered twice [MQTT-4.3.3-10].
#[test]
fn pubrec_waits_for_the_id() {
    let mut server = connected();
    server.send(&publish2(1, "a"));
    server.settle(ReasonCode::SUCCESS, Commit::default());
    assert!(server.sent().is_empty());
    all(&mut server.owner);
    assert_eq!(server.sent(), ["PUBREC 1"]);
}

/// A refusing PUBREC waits until it is durable that its id is free, for the sender may use it at once [MQTT-4.3.3-9]. It once did not.
#[test]
fn a_refusing_pubrec_waits_for_the_release() {
    let mut server = connected();
    server.send(&publish2(1, "a"));
    all(&mut server.owner);
    server.settle(ReasonCode::QUOTA_EXCEEDED, Commit::default());
    assert!(server.sent().is_empty());
    all(&mut server.owner);
    assert_eq!(server.sent(), ["PUBREC 1 0x97"]);
}

/// PUBCOMP waits for the release, also the one that answers a repeated PUBREL [MQTT-4.3.3-11].
#[test]
fn pubcomp_waits() {
    let mut server = connected();
    server.send(&publish2(1, "a"));
    server.settle(ReasonCode::SUCCESS, Commit::default());
    all(&mut server.owner);
    server.sent();
    server.send(&pubrel(1));
    server.send(&pubrel(1));
    assert!(server.sent().is_empty());
    all(&mut server.owner);
    assert_eq!(server.sent(), ["PUBCOMP 1", "PUBCOMP 1 0x92"]);
}

/// SUBACK waits for the subscription.
#[test]
fn suback_waits() {
    let mut server = connected();
    server.send(&subscribe(1, &[filter("a", QoS::AtMostOnce)]));
    let kept = server.owner.keep(Note::Subscribed);
    server
        .session
        .answer_subscribe([ReasonCode::SUCCESS], kept)
        .unwrap();
    assert!(server.sent().is_empty() && server.session.wants_input());
    all(&mut server.owner);
    assert_eq!(server.sent(), ["SUBACK 1 [00]"]);
}

/// An outgoing QoS 2 PUBLISH waits for its id, QoS 1 does not; PUBREL waits for the PUBREC [MQTT-4.3.3-1], [MQTT-4.3.3-5].
#[test]
fn a_qos2_publish_waits_for_its_id() {
    let mut client = ClientScript::<Stored>::connected(Version::V5);
    for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
        client.owner.publish(&Message::new("t", qos, b"x"));
    }
    assert_eq!(client.sent(), ["PUBLISH 1 q1 t x"]);
    all(&mut client.owner);
    assert_eq!(client.sent(), ["PUBLISH 2 q2 t x"]);
    client.send(&pubrec(2));
    assert!(client.sent().is_empty());
    all(&mut client.owner);
    assert_eq!(client.sent(), ["PUBREL 2"]);
}

/// One commit serves many QoS 2 messages: those behind a closed gate get their ids meanwhile. They once did not.
#[test]
fn one_commit_serves_many_messages() {
    let mut client = ClientScript::<Stored>::connected(Version::V311);
    for _ in 0..50 {
        client
            .owner
            .publish(&Message::new("t", QoS::ExactlyOnce, b"x"));
    }
    assert!(client.sent().is_empty());
    while client.session.state().in_flight() < 50 {
        let before = client.session.state().in_flight();
        client.sent();
        assert!(client.session.state().in_flight() > before);
    }
    all(&mut client.owner);
    assert_eq!(client.sent().len(), 50);
}

/// A PUBREL whose commit comes only after the next connection is up is still withheld, and its message still counts against the
/// peer's Receive Maximum [MQTT-3.3.4-7]. It once did not.
#[test]
fn a_late_commit_holds_pubrel_across_a_reconnect() {
    let mut client = ClientScript::<Stored>::offline(Version::V5);
    client.owner.limits_mut().send_maximum = 1;
    client.reconnect(false);
    for payload in [b"a", b"b"] {
        client
            .owner
            .publish(&Message::new("t", QoS::ExactlyOnce, payload));
    }
    client.sent();
    all(&mut client.owner);
    assert_eq!(client.sent(), ["PUBLISH 1 q2 t a"]);
    client.send(&pubrec(1));
    client.cut();
    client.reconnect(true);
    assert!(client.sent().is_empty());
    all(&mut client.owner);
    assert_eq!(client.sent(), ["PUBREL 1"]);
    client.send(&pubcomp(1));
    client.sent();
    all(&mut client.owner);
    assert_eq!(client.sent(), ["PUBLISH 2 q2 t b"]);
    let _ = connack(false);
}

/// A verdict that waits for its commit when the connection ends is told on the next one, by the same gate.
#[test]
fn a_gate_outlives_the_connection() {
    let mut server = ServerScript::<Stored>::opened(Version::V311);
    server.session_present = true;
    let connect = Connect {
        clean_start: false,
        ..Connect::new(Version::V311, "c")
    };
    server.send(&connect);
    server.sent();
    server.answers = false;
    server.send(&publish2(1, "a"));
    let kept = server.owner.keep(Note::Copy);
    server.settle(ReasonCode::SUCCESS, kept);
    server.cut();
    server.open();
    server.send(&connect);
    server.accept();
    server.sent();
    server.send(&publish2(1, "a"));
    assert!(server.sent().is_empty());
    assert!(server.owner.committed() < kept);
    all(&mut server.owner);
    assert_eq!(server.sent(), ["PUBREC 1"]);
}

/// A client whose server has lost the session records that also when its handshakes are over and their end is not durable yet. It once did
/// not: after a crash the id of a released QoS 2 message came back from the store into the new session, and a new message with that id was
/// taken for a repetition and lost [MQTT-4.3.3-10], [MQTT-3.2.2-5].
#[test]
fn the_loss_of_a_session_whose_end_is_not_durable_is_recorded() {
    for version in [Version::V311, Version::V5] {
        let mut client = ClientScript::<Stored>::offline(version);
        client.reconnect(false);
        client.send(&publish2(7, "old"));
        all(&mut client.owner);
        client.send(&pubrel(7));
        assert!(client.session.state().is_quiet());
        client.cut();
        client.reconnect(false);
        assert!(!client.owner.is_reset_durable());
        all(&mut client.owner);
        client.cut();
        client.reconnect(false);
        assert!(client.owner.is_reset_durable(), "nothing new to record");
    }
}
