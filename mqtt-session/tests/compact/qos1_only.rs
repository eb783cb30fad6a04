//! The smallest profile: 3.1.1 with QoS 0 and 1.

use mqtt_codec::{QoS, SubscriptionOptions, Version};
use mqtt_session::compact::{Compact, Full};
use mqtt_session::profile::V3QoS1;
use mqtt_testkit::compact::{Listed, Rig};
use mqtt_testkit::packets::{Raw, pubcomp, publish1, publish2, pubrec, pubrel};
use mqtt_topic::TopicFilter;

/// A message of QoS 2 is not taken, and changes nothing.
#[test]
fn qos_2_is_not_taken() {
    let mut rig = Rig::<V3QoS1>::connected(Version::V311);
    assert_eq!(rig.try_publish(QoS::ExactlyOnce, "x"), Err(Full));
    assert_eq!(rig.publish(1, "x"), Some(1));
    assert_eq!(rig.sent(), ["PUBLISH 1 q1 t x"]);
}

/// Packets of a QoS 2 exchange end the connection, and no answer to them is sent.
#[test]
fn packets_of_qos_2_close() {
    let v = Version::V311;
    for bytes in [pubrec(1).bytes(v), pubrel(1).bytes(v), pubcomp(1).bytes(v)] {
        let mut rig = Rig::<V3QoS1>::connected(v);
        rig.publish(1, "mine");
        rig.sent();
        rig.send(&bytes);
        assert_eq!(rig.happened(), ["broken"], "{bytes:02x?}");
        assert_eq!(rig.sent(), ["close"]);
        rig.cut();
        rig.reconnect(true);
        assert_eq!(rig.sent(), ["PUBLISH 1 q1 dup t mine"]);
    }
}

/// A message of QoS 2 that another program has subscribed to in the same session is told and left alone: the end of the connection
/// would only bring it again.
#[test]
fn a_message_of_qos_2_is_skipped() {
    let (long, topic) = ("x".repeat(100), "t".repeat(100));
    for publish in [
        publish2(1, "a"),
        publish2(1, &long),
        mqtt_codec::Publish {
            topic: &topic,
            ..publish2(1, "a")
        },
    ] {
        let mut rig = Rig::<V3QoS1>::connected(Version::V311);
        rig.send(&publish);
        rig.send(&publish1(2, "next"));
        assert_eq!(rig.happened(), ["skipped", "message q1 t next"]);
        assert_eq!(rig.sent(), ["PUBACK 2"]);
    }
}

/// Nobody asks for what the profile cannot take.
#[test]
fn qos_1_is_the_most_that_is_asked_for() {
    let mut rig = Rig::<V3QoS1>::connected(Version::V311);
    let filter = TopicFilter::new("a").expect("a filter");
    rig.machine
        .subscribe(filter, SubscriptionOptions::new(QoS::ExactlyOnce))
        .expect("there is room");
    assert_eq!(rig.sent(), ["SUBSCRIBE 1 a q1"]);
}

/// The whole memory but 30 bytes is the receive buffer: there are no ids of QoS 2 to keep.
#[test]
fn no_room_for_ids_is_taken() {
    let mut memory = [0; 50];
    let mut machine = Compact::<V3QoS1, _>::new(&mut memory, Listed::default(), Version::V311);
    assert_eq!(machine.input().len(), 20);
    let mut rig = Rig::<V3QoS1>::new(Version::V311, 20, Listed::default()).greeted();
    rig.send(&publish1(1, "0123456789a"));
    assert_eq!(rig.happened(), ["message q1 t 0123456789a"]);
}
