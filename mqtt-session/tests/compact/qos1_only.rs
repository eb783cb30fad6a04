//! The smallest profile: 3.1.1 with QoS 0 and 1.

use mqtt_codec::{QoS, Version};
use mqtt_session::compact::{Compact, Full};
use mqtt_session::profile::V3QoS1;
use mqtt_testkit::compact::{Listed, Rig};
use mqtt_testkit::packets::{Raw, pubcomp, publish1, publish2, pubrec, pubrel};

/// A message of QoS 2 is not taken, and changes nothing.
#[test]
fn qos_2_is_not_taken() {
    let mut rig = Rig::<V3QoS1>::connected(Version::V311);
    assert_eq!(rig.try_publish(QoS::ExactlyOnce, "x"), Err(Full));
    assert_eq!(rig.publish(1, "x"), Some(1));
    assert_eq!(rig.sent(), ["PUBLISH 1 q1 t x"]);
}

/// Packets of QoS 2 from the broker end the connection, and no answer to them is sent.
#[test]
fn qos_2_from_the_broker_closes() {
    let v = Version::V311;
    let long = "x".repeat(100);
    for bytes in [
        publish2(1, "a").bytes(v),
        publish2(1, &long).bytes(v),
        pubrec(1).bytes(v),
        pubrel(1).bytes(v),
        pubcomp(1).bytes(v),
    ] {
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

/// One with a topic that does not fit does so as well.
#[test]
fn qos_2_with_a_long_topic_closes() {
    let topic = "t".repeat(100);
    let mut rig = Rig::<V3QoS1>::connected(Version::V311);
    rig.send(&mqtt_codec::Publish {
        topic: &topic,
        ..publish2(1, "a")
    });
    assert_eq!(rig.happened(), ["broken"]);
    assert_eq!(rig.sent(), ["close"]);
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
