//! What an application sees of a message.

use mqtt_codec::{Connect, Properties, Property, Publish, Version};
use mqtt_session::compact::Event;
use mqtt_session::profile::{Full, V3, V3V5};
use mqtt_testkit::compact::{Rig, versions};
use mqtt_testkit::packets::{Raw, connack, pingresp, publish, publish1, publish2, suback};

/// Topic, payload, QoS and RETAIN are those of the packet.
#[test]
fn a_message_is_what_was_sent() {
    for version in versions::<V3V5>() {
        let mut rig = Rig::<V3V5>::connected(version);
        rig.send(&Publish {
            retain: true,
            topic: "plant1/sensor4/set",
            ..publish2(9, "on")
        });
        rig.send(&Publish {
            topic: "a/b",
            ..publish("")
        });
        rig.send(&Publish {
            topic: "ü/€",
            ..publish1(3, "ü")
        });
        assert_eq!(
            rig.happened(),
            [
                "message q2 retain plant1/sensor4/set on",
                "message a/b ",
                "message q1 ü/€ ü"
            ]
        );
    }
}

/// Properties are there to be read, at every QoS; before 5.0 there are none.
#[test]
fn properties_are_there() {
    let list = [
        Property::MessageExpiryInterval(7),
        Property::ContentType("text"),
        Property::ResponseTopic("r"),
        Property::CorrelationData(b"id"),
        Property::UserProperty("a", "1"),
    ];
    for packet in [publish("x"), publish1(1, "x"), publish2(1, "x")] {
        let mut rig = Rig::<V3V5>::connected(Version::V5);
        rig.arrive(&Publish {
            properties: Properties::List(&list),
            ..packet
        });
        rig.fill();
        assert_eq!(rig.machine.event(rig.now), Event::Message);
        let message = rig.machine.message();
        assert_eq!(message.properties.iter().collect::<Vec<_>>(), list);
        assert_eq!((message.topic, message.payload), ("t", &b"x"[..]));
    }
    for version in [Version::V31, Version::V311] {
        let mut rig = Rig::<V3V5>::connected(version);
        // A payload that looks like properties.
        rig.arrive(&publish("\u{2}\u{1}\u{1}"));
        rig.fill();
        assert_eq!(rig.machine.event(rig.now), Event::Message);
        assert!(rig.machine.message().properties.is_empty());
        assert_eq!(rig.machine.message().payload, [2, 1, 1]);
    }
}

/// After an event that is no message there is none.
#[test]
fn there_is_no_message_after_another_event() {
    for version in versions::<V3V5>() {
        let mut rig = Rig::<V3V5>::connected(version);
        let long = "x".repeat(100);
        let nothing = |rig: &mut Rig<V3V5>, after: &str| {
            let message = rig.machine.message();
            assert_eq!(
                (message.topic, message.payload, message.missing),
                ("", &b""[..], 0),
                "after {after}"
            );
            assert!(message.properties.is_empty(), "after {after}");
        };
        nothing(&mut rig, "nothing");
        rig.subscribe("s", 0);
        rig.sent();
        for (name, bytes) in [
            ("a message", publish1(1, "hello").bytes(version)),
            ("a repetition", publish2(7, "hello").bytes(version)),
            ("a repetition", publish2(7, "hello").bytes(version)),
            ("a long message", publish(&long).bytes(version)),
            ("PINGRESP", pingresp()),
            ("SUBACK", suback(1, &[0]).bytes(version)),
        ] {
            rig.arrive(&bytes);
            let mut ended = false;
            while !ended {
                let filled = rig.fill();
                loop {
                    let event = rig.machine.event(rig.now);
                    if event == Event::Waiting {
                        break;
                    }
                    if !matches!(event, Event::Message | Event::Part) {
                        nothing(&mut rig, name);
                    }
                }
                nothing(&mut rig, name);
                ended = filled == 0;
            }
            rig.wire();
        }
    }
}

/// A topic with wildcards, or none, breaks a rule [MQTT-3.3.2-2], [3.1.1:MQTT-3.3.2-2].
#[test]
fn a_topic_that_is_none_closes() {
    for version in versions::<V3V5>() {
        for topic in ["a/+", "#", ""] {
            let mut rig = Rig::<V3V5>::connected(version);
            let mut bytes = vec![0x30, 0, 0, topic.len() as u8];
            bytes.extend(topic.as_bytes());
            if version.is_v5() {
                bytes.push(0);
            }
            bytes[1] = bytes.len() as u8 - 2;
            rig.send(&bytes);
            let happened = rig.happened();
            assert!(
                happened.len() == 1 && happened[0].starts_with("broken"),
                "{version} {topic:?}: {happened:?}"
            );
            assert_eq!(rig.sent().last().map(String::as_str), Some("close"));
        }
    }
}

/// No alias was allowed, so none may come [MQTT-3.1.2-26], [MQTT-3.1.2-27].
#[test]
fn an_alias_closes() {
    let alias = [Property::TopicAlias(
        mqtt_codec::TopicAlias::new(1).expect("not 0"),
    )];
    for topic in ["t", ""] {
        let mut rig = Rig::<Full>::connected(Version::V5);
        rig.send(&Publish {
            topic,
            properties: Properties::List(&alias),
            ..publish("x")
        });
        assert_eq!(rig.happened(), ["broken Rule(TopicAliasRange)"]);
        assert_eq!(rig.sent(), ["DISCONNECT 0x94", "close"]);
    }
}

/// However the bytes are cut, the events are the same, and so are the answers.
#[test]
fn any_split_gives_the_same_events() {
    fn stream(version: Version) -> Vec<u8> {
        let mut bytes = vec![];
        for packet in [
            publish("one"),
            publish1(1, "two"),
            publish2(2, "three"),
            publish2(2, "three"),
        ] {
            bytes.extend(packet.bytes(version));
        }
        bytes.extend(pingresp());
        bytes.extend(mqtt_testkit::packets::pubrel(2).bytes(version));
        bytes.extend(publish1(3, &"long".repeat(60)).bytes(version));
        bytes.extend(publish("four").bytes(version));
        bytes
    }
    for version in versions::<V3>() {
        split::<V3>(version, &stream(version));
    }
    for version in versions::<V3V5>() {
        split::<V3V5>(version, &stream(version));
    }
    fn split<D: mqtt_session::compact::Device>(version: Version, bytes: &[u8]) {
        let payload = |rig: &mut Rig<D>| {
            let events = rig.happened();
            // How a long payload is divided depends on the reads; what it is does not.
            let mut whole = String::new();
            for event in events {
                let event = event.split(" +").next().unwrap_or_default();
                match event.strip_prefix("part ") {
                    Some(part) => whole += part,
                    None => {
                        whole.push('\n');
                        whole += event;
                    }
                }
            }
            whole
        };
        let mut reference = Rig::<D>::connected(version);
        reference.send(bytes);
        let expected = (reference.sent(), payload(&mut reference));
        assert!(expected.1.ends_with("\nmessage t four"), "{}", expected.1);
        for cut in 0..bytes.len() {
            let mut rig = Rig::<D>::connected(version);
            rig.send(&bytes[..cut]);
            rig.send(&bytes[cut..]);
            assert_eq!((rig.sent(), payload(&mut rig)), expected, "cut at {cut}");
        }
        for read in 1..bytes.len() {
            let mut rig = Rig::<D>::connected(version);
            rig.read = read;
            rig.send(bytes);
            assert_eq!(
                (rig.sent(), payload(&mut rig)),
                expected,
                "{read} at a time"
            );
        }
    }
}

/// CONNACK with everything that a broker may say is taken.
#[test]
fn a_talkative_connack_is_taken() {
    let list = [
        Property::ReasonString("welcome"),
        Property::AssignedClientIdentifier("auto"),
        Property::SharedSubscriptionAvailable(false),
        Property::TopicAliasMaximum(9),
    ];
    let mut rig = Rig::<V3V5>::offline(Version::V5);
    rig.connect(&Connect::new(Version::V5, "c"));
    rig.send(&mqtt_codec::ConnAck {
        properties: Properties::List(&list),
        ..connack(false)
    });
    assert_eq!(rig.happened(), ["connected"]);
}
