//! Messages that are larger than the buffer: in parts, or skipped.

use mqtt_codec::{Delivery, Properties, Property, Publish, Version};
use mqtt_session::compact::{Device, Event};
use mqtt_session::profile::{V3, V3QoS1, V3V5};
use mqtt_testkit::compact::{Listed, Rig, versions};
use mqtt_testkit::packets::{Raw, id, publish, publish1, publish2, pubrel};

/// What happened to one message.
#[derive(Debug, Default, PartialEq, Eq)]
struct Taken {
    topic: String,
    payload: Vec<u8>,
    skipped: u32,
}

/// Reads one message as it comes, and checks what is said of it on the way.
fn take<D: Device>(rig: &mut Rig<D>) -> Taken {
    let mut taken = Taken::default();
    let mut missing = None;
    loop {
        let event = rig.machine.event(rig.now);
        let message = rig.machine.message();
        match event {
            Event::Waiting => {
                if rig.fill() == 0 {
                    assert!(matches!(missing, None | Some(0)), "it has no end");
                    return taken;
                }
            }
            Event::Nothing => {}
            Event::Message => {
                assert!(missing.is_none(), "one message");
                taken.topic = message.topic.to_owned();
                taken.payload.extend(message.payload);
                missing = Some(message.missing);
            }
            Event::Part => {
                let before = missing.expect("a part has a beginning");
                assert_eq!(before, message.missing + message.payload.len() as u32);
                assert!(!message.payload.is_empty(), "a part has bytes");
                assert_eq!(message.topic, "");
                taken.payload.extend(message.payload);
                missing = Some(message.missing);
            }
            Event::Skipped => {
                assert!(missing.is_none());
                taken.skipped += 1;
            }
            other => panic!("{other:?}: {:?}", rig.machine.violation()),
        }
    }
}

/// Every buffer that can hold CONNECT, up to the packet, with reads of every size: the message comes whole or is skipped, is acknowledged
/// once, and what follows is read.
fn every_buffer<D: Device>(topic: &str, qos: u8) {
    for version in versions::<D>() {
        let payload: Vec<u8> = (0..90).collect();
        let list = [
            Property::MessageExpiryInterval(7),
            Property::UserProperty("key", "value"),
        ];
        let packet = Publish {
            delivery: match qos {
                0 => Delivery::AtMostOnce,
                1 => Delivery::AtLeastOnce(id(0x0102)),
                _ => Delivery::ExactlyOnce(id(0x0102)),
            },
            topic,
            payload: &payload,
            properties: if version.is_v5() {
                Properties::List(&list)
            } else {
                Properties::EMPTY
            },
            ..publish("")
        };
        let len = packet.bytes(version).len();
        let hello = Rig::<D>::offline(version).hello(true).bytes(version).len();
        // With what a packet without properties is given in 5.0.
        let smallest = if version.is_v5() { hello + 8 } else { hello };
        let mut skipped = 0;
        for buffer in smallest..=len + 1 {
            for read in 1..=buffer {
                let mut rig = Rig::<D>::new(version, buffer, Listed::default()).greeted();
                rig.read = read;
                rig.arrive(&packet);
                rig.arrive(&publish("next"));
                // The second message is taken by itself.
                let behind = publish("next").bytes(version).len();
                let taken = take_first(&mut rig, behind);
                if taken.skipped > 0 {
                    skipped += 1;
                    assert_eq!((taken.skipped, &taken.payload[..]), (1, &b""[..]));
                    assert!(
                        buffer < topic.len() + 4 + 2 + 24,
                        "{buffer}: its topic fits"
                    );
                } else {
                    assert_eq!((&taken.topic[..], &taken.payload), (topic, &payload));
                }
                let expected: &[&str] = match qos {
                    0 => &[],
                    1 => &["PUBACK 258"],
                    _ => &["PUBREC 258"],
                };
                assert_eq!(rig.sent(), expected, "{version}, {buffer}, {read}");
                assert_eq!(rig.happened(), ["message t next"]);
            }
        }
        // Properties need room, too.
        let skips = version.is_v5() || topic.len() > smallest;
        assert_eq!(skipped > 0, skips, "{version}");
    }
}

/// Takes the first message; the `behind` bytes of the next one are read by the rig.
fn take_first<D: Device>(rig: &mut Rig<D>, behind: usize) -> Taken {
    let rest = rig.hold_back(behind);
    let taken = take(rig);
    rig.arrive(&rest);
    rig.read();
    taken
}

#[test]
fn every_buffer_at_qos_0() {
    every_buffer::<V3V5>("a/topic", 0);
    every_buffer::<V3>("a/topic", 0);
}

#[test]
fn every_buffer_at_qos_1() {
    every_buffer::<V3V5>("a/topic", 1);
    every_buffer::<V3QoS1>("a/topic", 1);
}

#[test]
fn every_buffer_at_qos_2() {
    every_buffer::<V3V5>("a/topic", 2);
    every_buffer::<V3>("a/topic", 2);
}

#[test]
fn every_buffer_with_a_long_topic_at_qos_0() {
    every_buffer::<V3V5>("a/topic/that/is/longer/than/many/a/buffer", 0);
}

#[test]
fn every_buffer_with_a_long_topic_at_qos_1() {
    every_buffer::<V3V5>("a/topic/that/is/longer/than/many/a/buffer", 1);
    every_buffer::<V3QoS1>("a/topic/that/is/longer/than/many/a/buffer", 1);
}

#[test]
fn every_buffer_with_a_long_topic_at_qos_2() {
    every_buffer::<V3V5>("a/topic/that/is/longer/than/many/a/buffer", 2);
}

/// A message in parts is acknowledged when its last part was taken, not before [MQTT-4.3.2-4].
#[test]
fn the_acknowledgement_follows_the_last_part() {
    for version in versions::<V3V5>() {
        for (packet, line) in [
            (publish1(7, LONG), "PUBACK 7"),
            (publish2(7, LONG), "PUBREC 7"),
        ] {
            let mut rig = Rig::<V3V5>::connected(version);
            let bytes = packet.bytes(version);
            let (most, last) = bytes.split_at(bytes.len() - 1);
            rig.send(most);
            assert!(rig.sent().is_empty());
            rig.send(last);
            assert_eq!(rig.sent(), [line]);
        }
    }
}

const LONG: &str = "A payload that is longer than the buffer of sixty-four bytes that the clients of these tests have, by half.";

/// A cut in the middle of a message: it comes again from its beginning, and is not a repetition [MQTT-4.3.3-10].
#[test]
fn a_message_that_was_cut_comes_again() {
    for version in versions::<V3V5>() {
        for packet in [publish1(7, LONG), publish2(7, LONG)] {
            let bytes = packet.bytes(version);
            for cut in 65..bytes.len() {
                let mut rig = Rig::<V3V5>::kept(version);
                rig.send(&bytes[..cut]);
                rig.cut();
                rig.reconnect(true);
                assert!(rig.sent().is_empty());
                rig.happened();
                let again = Publish {
                    dup: true,
                    ..packet
                };
                rig.arrive(&again);
                let taken = take(&mut rig);
                assert_eq!(taken.payload, LONG.as_bytes(), "cut at {cut}");
                assert_eq!(rig.sent().len(), 1);
            }
        }
    }
}

/// A repetition of QoS 2 that is larger than the buffer is acknowledged, and nothing of it delivered [MQTT-4.3.3-10].
#[test]
fn a_long_repetition_is_not_delivered() {
    for version in versions::<V3V5>() {
        let mut rig = Rig::<V3V5>::connected(version);
        rig.arrive(&publish2(7, LONG));
        assert_eq!(take(&mut rig).payload, LONG.as_bytes());
        assert_eq!(rig.sent(), ["PUBREC 7"]);
        for read in [1, 7, usize::MAX] {
            rig.read = read;
            rig.send(&Publish {
                dup: true,
                ..publish2(7, LONG)
            });
            assert!(rig.happened().is_empty());
            assert_eq!(rig.sent(), ["PUBREC 7"]);
        }
        rig.send(&pubrel(7));
        assert_eq!(rig.sent(), ["PUBCOMP 7"]);
        rig.arrive(&publish2(7, LONG));
        assert_eq!(take(&mut rig).payload, LONG.as_bytes());
    }
}

/// A message that was skipped is acknowledged, also when the broker repeats it, and its id is free after PUBREL.
#[test]
fn a_skipped_message_is_acknowledged() {
    let topic = "t".repeat(100);
    for version in versions::<V3V5>() {
        let mut rig = Rig::<V3V5>::connected(version);
        let packet = Publish {
            topic: &topic,
            ..publish2(7, "a")
        };
        rig.send(&packet);
        assert_eq!(rig.happened(), ["skipped"]);
        assert_eq!(rig.sent(), ["PUBREC 7"]);
        rig.send(&Publish {
            dup: true,
            ..packet
        });
        assert_eq!(rig.sent(), ["PUBREC 7"]);
        rig.send(&pubrel(7));
        assert_eq!(rig.sent(), ["PUBCOMP 7"]);
        rig.happened();
        rig.send(&publish2(7, "b"));
        assert_eq!(rig.happened(), ["message q2 t b"]);
    }
}

/// Packet id 0 behind a topic that does not fit is found [MQTT-2.2.1-3].
#[test]
fn id_0_behind_a_long_topic_closes() {
    let topic = "t".repeat(100);
    for version in versions::<V3V5>() {
        let mut bytes = Publish {
            topic: &topic,
            ..publish1(1, "a")
        }
        .bytes(version);
        bytes[105] = 0;
        for read in [1, usize::MAX] {
            let mut rig = Rig::<V3V5>::connected(version);
            rig.read = read;
            rig.send(&bytes);
            let happened = rig.happened();
            assert!(
                happened.len() == 1 && happened[0].starts_with("broken Bytes"),
                "{happened:?}"
            );
        }
    }
}

/// A topic that ends behind its packet closes, whatever fits.
#[test]
fn a_topic_behind_the_end_closes() {
    for version in versions::<V3V5>() {
        for first in [0x30, 0x32, 0x34] {
            // 100 bytes, of which the topic says that it has 200.
            let mut bytes = vec![first, 100, 0, 200];
            bytes.extend([b't'; 98]);
            let mut rig = Rig::<V3V5>::connected(version);
            rig.send(&bytes);
            let happened = rig.happened();
            assert!(
                happened.len() == 1 && happened[0].starts_with("broken"),
                "{first:02x}: {happened:?}"
            );
        }
    }
}

/// Other packets that do not fit close: only a message may be larger [MQTT-3.1.2-24].
#[test]
fn another_packet_that_does_not_fit_closes() {
    let mut rig = Rig::<V3V5>::connected(Version::V5);
    let mut bytes = vec![0x40, 90, 0, 1, 0, 86, 0x1f, 0, 83];
    bytes.extend([b'x'; 83]);
    rig.send(&bytes);
    let happened = rig.happened();
    assert!(
        happened.len() == 1 && happened[0].starts_with("broken Bytes"),
        "{happened:?}"
    );
    assert_eq!(rig.sent(), ["DISCONNECT 0x95", "close"]);
}

/// Messages of our own leave while one comes in parts, and so do pings.
#[test]
fn sending_goes_on_meanwhile() {
    for version in versions::<V3V5>() {
        let mut rig = Rig::<V3V5>::connected(version);
        let bytes = publish1(7, LONG).bytes(version);
        rig.send(&bytes[..80]);
        rig.publish(1, "mine");
        assert_eq!(rig.sent(), ["PUBLISH 1 q1 t mine"]);
        rig.send(&bytes[80..]);
        assert_eq!(rig.sent(), ["PUBACK 7"]);
    }
}

/// A megabyte passes through 64 bytes.
#[test]
fn a_megabyte_passes() {
    for version in versions::<V3V5>() {
        let payload = "0123456789abcdef".repeat(65_536);
        let mut rig = Rig::<V3V5>::connected(version);
        rig.arrive(&publish1(7, &payload));
        assert_eq!(take(&mut rig).payload, payload.as_bytes());
        assert_eq!(rig.sent(), ["PUBACK 7"]);
    }
}

/// Of a receive buffer that is larger than places in it can say, the rest is not used: a head that would need it is skipped.
#[test]
fn a_buffer_has_an_end() {
    for buffer in [65_533, 65_534, 65_535, 65_536, 70_000, 131_072] {
        for (topic, len) in [(1, 65_529), (1, 65_530), (1, 130_000)]
            .into_iter()
            .chain((65_520..=65_535).flat_map(|topic| [(topic, 0), (topic, 1), (topic, 9)]))
        {
            let mut rig = Rig::<V3>::new(Version::V311, buffer, Listed::default()).greeted();
            let topic = "t".repeat(topic);
            let payload = "p".repeat(len);
            rig.arrive(&Publish {
                topic: &topic,
                ..publish(&payload)
            });
            let taken = take(&mut rig);
            let case = format!("{buffer}, {} + {len}", topic.len());
            // Four bytes of header, two of length, and the topic.
            if 6 + topic.len() > buffer.min(65_534) {
                assert_eq!(taken.skipped, 1, "{case}");
            } else {
                assert!(
                    taken.topic == topic && taken.payload == payload.as_bytes(),
                    "{case}"
                );
            }
        }
    }
}
