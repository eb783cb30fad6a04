//! SUBSCRIBE, UNSUBSCRIBE, and DISCONNECT from both ends.

use mqtt_codec::{Properties, Property, ReasonCode, RetainHandling, SubscriptionOptions, Version};
use mqtt_session::compact::Device;
use mqtt_session::profile::{Full, V3, V3QoS1, V3V5};
use mqtt_testkit::compact::{Rig, versions};
use mqtt_testkit::packets::{Raw, disconnect, publish1, suback, unsuback};
use mqtt_topic::TopicFilter;

fn answers<D: Device>() {
    for version in versions::<D>() {
        let mut rig = Rig::<D>::connected(version);
        assert_eq!(rig.subscribe("a/#", 1), 1);
        assert_eq!(rig.subscribe("b", 0), 2);
        assert_eq!(rig.unsubscribe("c/+"), 3);
        assert_eq!(
            rig.sent(),
            [
                "SUBSCRIBE 1 a/# q1",
                "SUBSCRIBE 2 b q0",
                "UNSUBSCRIBE 3 c/+"
            ]
        );
        rig.send(&suback(2, &[0]));
        let refusal = if version == Version::V31 { 0 } else { 0x80 };
        rig.send(&suback(1, &[refusal]));
        let codes: &[u8] = if version.is_v5() { &[0x11] } else { &[] };
        rig.send(&unsuback(3, codes));
        let second = format!("subscribed 1 0x{refusal:02x}");
        assert_eq!(
            rig.happened(),
            ["subscribed 2 0x00", &second, "unsubscribed 3"]
        );
        assert_eq!(rig.machine.queue().waiting().count(), 0);
    }
}

/// Each request has its answer, a refusal included [MQTT-3.8.4-2], [MQTT-3.10.4-4], [3.1.1:MQTT-3.8.4-2], [3.1.1:MQTT-3.10.4-4].
#[test]
fn each_request_has_its_answer() {
    answers::<V3QoS1>();
    answers::<V3>();
    answers::<V3V5>();
    answers::<Full>();
}

/// All options are said in 5.0, and only the QoS before [MQTT-3.8.3-4], [3.1.1:MQTT-3.8.3-4].
#[test]
fn options_are_said() {
    for version in versions::<V3V5>() {
        let mut rig = Rig::<V3V5>::connected(version);
        let filter = TopicFilter::new("f").expect("a filter");
        let options = SubscriptionOptions {
            qos: mqtt_codec::QoS::ExactlyOnce,
            no_local: true,
            retain_as_published: true,
            retain_handling: RetainHandling::DoNotSend,
        };
        rig.machine.subscribe(filter, options).expect("room");
        let wire = rig.wire();
        assert_eq!(wire.last(), Some(&if version.is_v5() { 0x2e } else { 2 }));
    }
}

/// An answer to nothing, of the wrong kind, or with too many codes, breaks a rule [MQTT-3.8.4-6], [3.1.1:MQTT-3.8.4-5].
#[test]
fn a_wrong_answer_closes() {
    for version in versions::<V3V5>() {
        let codes: &[u8] = if version.is_v5() { &[0] } else { &[] };
        for (bytes, rule) in [
            (suback(9, &[0]).bytes(version), "UnknownSubAck"),
            (unsuback(1, codes).bytes(version), "UnknownSubAck"),
            (unsuback(9, codes).bytes(version), "UnknownSubAck"),
            (suback(1, &[0, 0]).bytes(version), "SubAckCount"),
        ] {
            let mut rig = Rig::<V3V5>::connected(version);
            rig.subscribe("a", 1);
            rig.sent();
            rig.send(&bytes);
            assert_eq!(rig.happened(), [format!("broken Rule({rule})")]);
            assert_eq!(rig.sent().last().map(String::as_str), Some("close"));
        }
    }
}

/// Properties of an answer are passed over.
#[test]
fn an_answer_may_say_more() {
    let list = [
        Property::ReasonString("because"),
        Property::UserProperty("a", "b"),
    ];
    let mut rig = Rig::<V3V5>::connected(Version::V5);
    rig.subscribe("a", 1);
    rig.sent();
    rig.send(&mqtt_codec::SubAck {
        properties: Properties::List(&list),
        ..suback(1, &[0x87])
    });
    assert_eq!(rig.happened(), ["subscribed 1 0x87"]);
}

/// A 5.0 broker says why it closes; before, DISCONNECT from a broker breaks a rule.
#[test]
fn the_broker_says_goodbye() {
    let mut rig = Rig::<V3V5>::connected(Version::V5);
    rig.publish(1, "kept");
    rig.sent();
    rig.send(&disconnect(ReasonCode::SERVER_SHUTTING_DOWN));
    assert_eq!(rig.happened(), ["disconnected 0x8b"]);
    assert_eq!(rig.sent(), ["close"]);
    rig.cut();
    rig.reconnect(true);
    assert_eq!(rig.sent(), ["PUBLISH 1 q1 dup t kept"]);
    for version in [Version::V31, Version::V311] {
        let mut rig = Rig::<V3V5>::connected(version);
        rig.send(&[0xe0, 0]);
        let happened = rig.happened();
        assert!(happened[0].starts_with("broken"), "{happened:?}");
        assert_eq!(rig.sent(), ["close"]);
    }
}

/// DISCONNECT is the last packet, behind what was owed [MQTT-3.14.4-1], [3.1.1:MQTT-3.14.4-1], [3.1.1:MQTT-3.14.4-2].
#[test]
fn goodbye_is_the_last_packet() {
    for version in versions::<V3V5>() {
        let mut rig = Rig::<V3V5>::connected(version);
        rig.send(&publish1(1, "x"));
        rig.machine.disconnect();
        rig.publish(1, "late");
        rig.send(&publish1(2, "y"));
        assert_eq!(rig.happened(), ["message q1 t x"]);
        assert_eq!(rig.sent(), ["PUBACK 1", "DISCONNECT", "close"]);
        assert!(rig.machine.is_closing() && !rig.machine.is_connected());
        assert_eq!(rig.deadline(), None);
        rig.cut();
        rig.reconnect(true);
        assert_eq!(rig.sent(), ["PUBLISH 1 q1 t late"]);
    }
}

/// Goodbye in the middle of a message: the message is written to its end, so that the broker can read what it has got.
#[test]
fn goodbye_in_the_middle_of_a_message() {
    for version in versions::<V3V5>() {
        for bytes in 1..10 {
            let mut rig = Rig::<V3V5>::connected(version);
            rig.write = 1;
            rig.publish(1, "abcdef");
            let mut wire = vec![];
            for _ in 0..bytes {
                wire.push(rig.machine.output(rig.now)[0]);
                rig.machine.written(1, rig.now);
            }
            rig.machine.disconnect();
            wire.extend(rig.wire());
            let lines = mqtt_testkit::text::describe_all(version, &wire);
            assert_eq!(lines, ["PUBLISH 1 q1 t abcdef", "DISCONNECT"], "{bytes}");
        }
    }
}

/// Before CONNACK there is nobody to say goodbye to.
#[test]
fn goodbye_before_connack_is_silent() {
    for version in versions::<V3V5>() {
        let mut rig = Rig::<V3V5>::offline(version);
        rig.connect(&mqtt_codec::Connect::new(version, "c"));
        rig.machine.disconnect();
        assert_eq!(rig.sent(), ["close"]);
    }
}

/// Goodbye with as many answers as can wait: all of it is written.
#[test]
fn goodbye_behind_many_answers() {
    for version in versions::<V3V5>() {
        for answers in 0..10 {
            for unknown in 0..10 {
                let mut rig = Rig::<V3V5>::connected(version);
                rig.stalled = true;
                for id in 1..=answers {
                    rig.send(&publish1(id, "x"));
                }
                for id in 1..=unknown {
                    rig.send(&mqtt_testkit::packets::pubrel(id));
                }
                rig.machine.disconnect();
                rig.stalled = false;
                let sent = rig.sent();
                assert!(
                    sent.ends_with(&["DISCONNECT".to_owned(), "close".to_owned()]),
                    "{version} {answers} {unknown}: {sent:?}"
                );
            }
        }
    }
}

/// A SUBACK with a code too many closes the connection and answers nothing: the request waits for the next.
#[test]
fn a_wrong_number_of_codes_answers_nothing() {
    let mut rig = Rig::<V3V5>::kept(Version::V5);
    let id = rig.subscribe("a/#", 1);
    assert_eq!(rig.sent().len(), 1);
    rig.send(&suback(id, &[1, 1]));
    assert_eq!(rig.sent().last().map(String::as_str), Some("close"));
    rig.cut();
    rig.reconnect(true);
    assert_eq!(rig.sent().len(), 1);
    rig.happened();
    rig.send(&suback(id, &[1]));
    assert_eq!(rig.happened(), [format!("subscribed {id} 0x01")]);
}

/// Goodbye right behind a message: that is acknowledged first, for nothing may follow DISCONNECT [MQTT-3.14.4-1].
#[test]
fn goodbye_is_behind_the_acknowledgement() {
    for version in versions::<V3QoS1>() {
        let mut rig = Rig::<V3QoS1>::connected(version);
        rig.arrive(&publish1(7, "x"));
        rig.fill();
        assert_eq!(rig.event().as_deref(), Some("message q1 t x"));
        rig.machine.disconnect();
        assert_eq!(rig.sent(), ["PUBACK 7", "DISCONNECT", "close"]);
    }
}
