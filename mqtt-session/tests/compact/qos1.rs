//! QoS 0 and QoS 1, both ways.

use mqtt_codec::{PubAck, Publish, ReasonCode, Version};
use mqtt_session::compact::{Device, Event, Outgoing};
use mqtt_session::profile::{Full, V3, V3QoS1, V3V5};
use mqtt_testkit::compact::{Rig, versions};
use mqtt_testkit::packets::{puback, pubcomp, publish, publish1, pubrec};
use mqtt_topic::TopicName;

fn ends_with_puback<D: Device>() {
    for version in versions::<D>() {
        let mut rig = Rig::<D>::connected(version);
        assert_eq!(rig.publish(1, "a"), Some(1));
        assert_eq!(rig.publish(1, "b"), Some(2));
        assert_eq!(rig.sent(), ["PUBLISH 1 q1 t a", "PUBLISH 2 q1 t b"]);
        rig.send(&puback(2));
        rig.send(&puback(1));
        assert_eq!(rig.happened(), ["acknowledged 2", "acknowledged 1"]);
        assert_eq!(rig.machine.queue().waiting().count(), 0);
        // Nothing has them any more.
        rig.send(&puback(1));
        assert!(rig.happened().is_empty() && !rig.machine.is_closing());
    }
}

/// A message goes out without DUP and ends with its PUBACK [MQTT-4.3.2-1], [MQTT-4.3.2-2], [MQTT-4.3.2-3], [3.1.1:MQTT-4.3.2-1].
#[test]
fn a_message_ends_with_its_puback() {
    ends_with_puback::<V3QoS1>();
    ends_with_puback::<V3>();
    ends_with_puback::<V3V5>();
    ends_with_puback::<Full>();
}

/// A QoS 0 message has no packet id, goes out once and never again [MQTT-2.2.1-2], [MQTT-3.3.1-2], [MQTT-4.3.1-1],
/// [3.1.1:MQTT-2.3.1-5], [3.1.1:MQTT-4.3.1-1].
#[test]
fn a_qos_0_message_is_sent_once() {
    for version in versions::<V3V5>() {
        let mut rig = Rig::<V3V5>::connected(version);
        assert_eq!(rig.publish(0, "x"), None);
        assert_eq!(rig.sent(), ["PUBLISH t x"]);
        rig.cut();
        rig.reconnect(true);
        assert!(rig.sent().is_empty());
        assert_eq!(rig.machine.queue().waiting().count(), 0);
    }
}

/// RETAIN is said, and an empty payload is one.
#[test]
fn retain_is_said() {
    for version in versions::<V3V5>() {
        let mut rig = Rig::<V3V5>::connected(version);
        let topic = TopicName::new("a/b").expect("a topic");
        for (payload, qos) in [(&b"on"[..], 0), (b"", 1)] {
            let message = Outgoing {
                qos: mqtt_codec::QoS::from_u8(qos).expect("a QoS"),
                retain: true,
                ..Outgoing::new(topic, payload)
            };
            rig.machine.publish(&message).expect("there is room");
        }
        assert_eq!(
            rig.sent(),
            ["PUBLISH retain a/b on", "PUBLISH 1 q1 retain a/b "]
        );
    }
}

/// A refusal ends the message, which is told and not sent again [MQTT-4.4.0-2].
#[test]
fn a_refused_message_has_ended() {
    let mut rig = Rig::<V3V5>::connected(Version::V5);
    rig.publish(1, "a");
    rig.sent();
    rig.send(&PubAck {
        reason: ReasonCode::QUOTA_EXCEEDED,
        ..puback(1)
    });
    assert_eq!(rig.happened(), ["acknowledged 1 0x97"]);
    rig.cut();
    rig.reconnect(true);
    assert!(rig.sent().is_empty());
}

/// An acknowledgement of the other QoS breaks a rule; one that names nothing does not [MQTT-4.3.2-3].
#[test]
fn the_wrong_acknowledgement_closes() {
    for version in versions::<V3V5>() {
        for wrong in [
            mqtt_testkit::packets::Raw::bytes(&pubrec(1), version),
            mqtt_testkit::packets::Raw::bytes(&pubcomp(1), version),
        ] {
            let mut rig = Rig::<V3V5>::connected(version);
            rig.send(&puback(9));
            assert!(rig.happened().is_empty());
            rig.publish(1, "a");
            rig.sent();
            rig.send(&wrong);
            assert_eq!(rig.happened(), ["broken Rule(WrongAcknowledgement)"]);
            // The message is not lost with the connection.
            rig.cut();
            rig.reconnect(true);
            // In 3.1 a clean session has ended with its connection: to the next the message is new.
            let dup = if version == Version::V31 { "" } else { "dup " };
            assert_eq!(rig.sent(), [format!("PUBLISH 1 q1 {dup}t a")]);
        }
    }
}

/// The QoS decides about the answer: none, or PUBACK with the id of the message [MQTT-2.2.1-5], [MQTT-3.3.4-1], [3.1.1:MQTT-2.3.1-6],
/// [3.1.1:MQTT-3.3.4-1], in the order of arrival [MQTT-4.6.0-2], [3.1.1:MQTT-4.6.0-2].
#[test]
fn a_message_is_acknowledged_in_its_turn() {
    for version in versions::<V3V5>() {
        let mut rig = Rig::<V3V5>::connected(version);
        rig.send(&publish("none"));
        assert!(rig.sent().is_empty());
        for id in [3, 1, 2] {
            rig.send(&publish1(id, "a"));
        }
        assert_eq!(
            rig.happened(),
            [
                "message t none",
                "message q1 t a",
                "message q1 t a",
                "message q1 t a"
            ]
        );
        assert_eq!(rig.sent(), ["PUBACK 3", "PUBACK 1", "PUBACK 2"]);
    }
}

/// A message counts as taken when the next call comes, not before [MQTT-4.3.2-4].
#[test]
fn what_was_not_taken_is_not_acknowledged() {
    for version in versions::<V3V5>() {
        let mut rig = Rig::<V3V5>::connected(version);
        rig.arrive(&publish1(7, "a"));
        rig.fill();
        assert_eq!(rig.machine.event(rig.now), Event::Message);
        rig.cut();
        rig.reconnect(true);
        assert!(rig.sent().is_empty());
        rig.arrive(&publish1(7, "a"));
        rig.fill();
        assert_eq!(rig.machine.event(rig.now), Event::Message);
        // Asking for output is a next call, too.
        assert_eq!(rig.wire()[..4], [0x40, 2, 0, 7]);
    }
}

/// The receiver takes a repetition for a new message [MQTT-4.3.2-5].
#[test]
fn a_repetition_is_delivered_again() {
    for version in versions::<V3V5>() {
        let mut rig = Rig::<V3V5>::connected(version);
        rig.send(&publish1(7, "a"));
        rig.send(&Publish {
            dup: true,
            ..publish1(7, "a")
        });
        assert_eq!(rig.happened(), ["message q1 t a", "message q1 t a"]);
        assert_eq!(rig.sent(), ["PUBACK 7", "PUBACK 7"]);
    }
}

/// Ids go round without 0 and without one that is in use [MQTT-2.2.1-3], [3.1.1:MQTT-2.3.1-1], [3.1.1:MQTT-2.3.1-2].
#[test]
fn ids_go_round() {
    for version in [Version::V311, Version::V5] {
        let mut rig = Rig::<V3V5>::connected(version);
        for id in (1..=u16::MAX).chain(1..4) {
            assert_eq!(rig.publish(1, "x"), Some(id));
            rig.wire();
            rig.send(&puback(id));
        }
    }
}

/// Without room in the queue nothing changes, and room comes back with an acknowledgement.
#[test]
fn a_full_queue_says_so() {
    let mut rig = Rig::<V3>::connected(Version::V311);
    let mut count = 0;
    while rig
        .try_publish(mqtt_codec::QoS::AtLeastOnce, "0123456789")
        .is_ok()
    {
        count += 1;
    }
    assert!(count > 100);
    rig.sent();
    rig.send(&puback(1));
    assert_eq!(rig.publish(1, "0123456789"), Some(count + 1));
}
