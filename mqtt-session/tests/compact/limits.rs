//! What a 5.0 broker does not take.

use core::num::NonZeroU32;

use mqtt_codec::{ConnAck, Properties, Property, QoS, Version};
use mqtt_session::compact::Outgoing;
use mqtt_session::profile::V3V5;
use mqtt_testkit::compact::{Habits, Listed, Rig};
use mqtt_testkit::packets::{connack, puback, pubrec};
use mqtt_topic::TopicName;

const V5: Version = Version::V5;

/// A client whose broker announced this.
fn limited(properties: &[Property<'_>]) -> Rig<V3V5> {
    Rig::offline(V5).greeted_with(&ConnAck {
        properties: Properties::List(properties),
        ..connack(false)
    })
}

fn retained(rig: &mut Rig<V3V5>, qos: QoS) {
    let topic = TopicName::new("t").expect("a topic");
    let message = Outgoing {
        qos,
        retain: true,
        ..Outgoing::new(topic, b"r")
    };
    rig.machine.publish(&message).expect("there is room");
}

/// A packet that is too large is not sent, and its caller is told, once [MQTT-3.1.2-24], [MQTT-3.2.2-15].
#[test]
fn what_is_too_large_is_told() {
    let most = NonZeroU32::new(20).expect("not 0");
    let mut rig = limited(&[Property::MaximumPacketSize(most)]);
    rig.publish(1, "a");
    rig.publish(1, &"x".repeat(40));
    rig.publish(1, "b");
    assert_eq!(rig.sent(), ["PUBLISH 1 q1 t a", "PUBLISH 3 q1 t b"]);
    assert_eq!(rig.happened(), ["acknowledged 2 0x95"]);
    assert!(rig.sent().is_empty() && rig.happened().is_empty());
    rig.cut();
    rig.reconnect(true);
    assert_eq!(rig.sent(), ["PUBLISH 1 q1 dup t a", "PUBLISH 3 q1 dup t b"]);
}

/// What fits is sent, whatever the length of its header: it takes five bytes at most.
#[test]
fn what_just_fits_is_sent() {
    let most = NonZeroU32::new(20).expect("not 0");
    let mut rig = limited(&[Property::MaximumPacketSize(most)]);
    // 2 of length, 1 of topic, 2 of packet id, 1 of properties: 9 are left.
    rig.publish(1, "012345678");
    assert_eq!(rig.sent(), ["PUBLISH 1 q1 t 012345678"]);
    assert!(rig.happened().is_empty());
    rig.publish(1, "0123456789abc");
    assert!(rig.sent().is_empty());
    assert_eq!(rig.happened(), ["acknowledged 2 0x95"]);
}

/// A QoS that the broker does not do is not sent [MQTT-3.2.2-11].
#[test]
fn a_qos_above_the_maximum_is_told() {
    for (most, sent, told) in [
        (
            QoS::AtMostOnce,
            &["PUBLISH t a"][..],
            &["acknowledged 1 0x9b", "acknowledged 2 0x9b"][..],
        ),
        (
            QoS::AtLeastOnce,
            &["PUBLISH t a", "PUBLISH 1 q1 t b"],
            &["acknowledged 2 0x9b"],
        ),
    ] {
        let mut rig = limited(&[Property::MaximumQoS(most)]);
        for (qos, payload) in [(0, "a"), (1, "b"), (2, "c")] {
            rig.publish(qos, payload);
        }
        assert_eq!(rig.sent(), sent);
        assert_eq!(rig.happened(), told);
    }
}

/// A retained message for a broker that keeps none is not sent [MQTT-3.2.2-14].
#[test]
fn a_retained_message_is_told() {
    let mut rig = limited(&[Property::RetainAvailable(false)]);
    retained(&mut rig, QoS::AtMostOnce);
    retained(&mut rig, QoS::AtLeastOnce);
    rig.publish(1, "b");
    assert_eq!(rig.sent(), ["PUBLISH 2 q1 t b"]);
    assert_eq!(rig.happened(), ["acknowledged 1 0x9a"]);
}

/// Each is told, however often the client is asked for output before it is asked for events.
#[test]
fn each_is_told() {
    let mut rig = limited(&[Property::MaximumQoS(QoS::AtMostOnce)]);
    for payload in ["a", "b", "c"] {
        rig.publish(1, payload);
    }
    for _ in 0..5 {
        assert!(rig.machine.output(rig.now).is_empty());
    }
    for _ in 0..5 {
        rig.read();
        rig.flush();
    }
    assert_eq!(
        rig.happened(),
        [
            "acknowledged 1 0x9b",
            "acknowledged 2 0x9b",
            "acknowledged 3 0x9b"
        ]
    );
}

/// The line is cut before the application has asked: it hears of the refusal all the same.
#[test]
fn a_refusal_is_told_after_a_cut() {
    let mut rig = limited(&[Property::MaximumQoS(QoS::AtMostOnce)]);
    rig.publish(1, "a");
    assert!(rig.machine.output(rig.now).is_empty());
    rig.cut();
    rig.connect(&rig.hello(false));
    rig.send(&connack(true));
    rig.sent();
    let mut happened = rig.happened();
    happened.sort();
    assert_eq!(happened, ["acknowledged 1 0x9b", "connected present"]);
}

/// What is refused at the front may lie before what is over already: what is behind both is sent.
#[test]
fn a_refusal_before_what_is_over() {
    for lazy in [false, true] {
        let queue = Listed::new(Habits {
            lazy,
            ..Habits::default()
        });
        let mut rig = Rig::<V3V5>::new(V5, 64, queue).greeted();
        for payload in ["a", "b", "c"] {
            rig.publish(1, payload);
        }
        rig.sent();
        rig.send(&puback(2));
        assert_eq!(rig.happened(), ["acknowledged 2"]);
        rig.cut();
        rig.publish(0, "d");
        let most = [Property::MaximumQoS(QoS::AtMostOnce)];
        let mut rig = rig.greeted_with(&ConnAck {
            properties: Properties::List(&most),
            ..connack(false)
        });
        assert_eq!(rig.sent(), ["PUBLISH t d"]);
        assert_eq!(
            rig.happened(),
            ["acknowledged 1 0x9b", "acknowledged 3 0x9b"]
        );
    }
}

/// The limits are those of the connection: the next broker may allow what this one did not.
#[test]
fn limits_end_with_the_connection() {
    let mut rig = limited(&[Property::MaximumQoS(QoS::AtMostOnce)]);
    rig.cut();
    rig.publish(2, "a");
    let mut rig = rig.greeted();
    assert_eq!(rig.sent(), ["PUBLISH 1 q2 t a"]);
    rig.send(&pubrec(1));
    assert_eq!(rig.sent(), ["PUBREL 1"]);
    assert!(rig.happened().is_empty());
}

/// What is refused in the middle leaves the window as it was.
#[test]
fn a_refusal_takes_no_place_in_the_window() {
    let mut rig = limited(&[Property::RetainAvailable(false)]);
    for _ in 0..6 {
        retained(&mut rig, QoS::AtLeastOnce);
        rig.publish(1, "x");
    }
    assert_eq!(rig.sent().len(), 4);
    assert_eq!(
        rig.happened().len(),
        5,
        "the window is full before the last"
    );
    for id in [2, 4, 6, 8] {
        rig.send(&puback(id));
    }
    assert_eq!(rig.sent(), ["PUBLISH 10 q1 t x", "PUBLISH 12 q1 t x"]);
    assert_eq!(
        rig.happened(),
        [
            "acknowledged 2",
            "acknowledged 4",
            "acknowledged 6",
            "acknowledged 8",
            "acknowledged 11 0x9a"
        ]
    );
}
