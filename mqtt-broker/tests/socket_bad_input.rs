//! Any bytes at any time: the connection they come over is closed, the broker keeps its memory, and nobody else notices.

mod support;

use mqtt_codec::{
    Connect, Delivery, Filters, PINGREQ, Properties, PubRel, Publish, QoS, Subscribe,
    SubscribeFilter, Version,
};
use support::frame::{Encode as _, VERSIONS, at, packet_id, publish};
use support::healthy::Healthy;
use support::{Broker, Client};

/// Malformed packets after a CONNECT, with the versions they are malformed in.
#[rustfmt::skip]
const MALFORMED: &[(&str, &[Version], &[u8])] = {
    const ALL: &[Version] = &[Version::V31, Version::V311, Version::V5];
    const OLD: &[Version] = &[Version::V31, Version::V311];
    const STRICT: &[Version] = &[Version::V311, Version::V5];
    const NEW: &[Version] = &[Version::V5];
    &[
        ("packet type 0", ALL, &[0x00, 0x00]),
        ("packet type 15 before 5.0", OLD, &[0xf0, 0x00]),
        ("CONNACK from a client", ALL, &[0x20, 0x02, 0x00, 0x00]),
        ("SUBACK from a client", ALL, &[0x90, 0x03, 0x00, 0x01, 0x00]),
        ("UNSUBACK from a client", ALL, &[0xb0, 0x02, 0x00, 0x01]),
        ("PINGRESP from a client", ALL, &[0xd0, 0x00]),
        ("PINGREQ with flags", STRICT, &[0xcf, 0x00]),
        ("PINGREQ with a body", ALL, &[0xc0, 0x01, 0x00]),
        ("DISCONNECT with flags", STRICT, &[0xe1, 0x00]),
        ("DISCONNECT with a body before 5.0", OLD, &[0xe0, 0x01, 0x00]),
        ("remaining length of five bytes", ALL, &[0x30, 0xff, 0xff, 0xff, 0xff, 0x7f]),
        ("remaining length not in its shortest form", STRICT, &[0xc0, 0x80, 0x00]),
        ("PUBLISH of QoS 3", ALL, &[0x36, 0x06, 0, 1, b't', 0, 1, 0]),
        ("PUBLISH without a topic", ALL, &[0x30, 0x00]),
        ("PUBLISH with a topic cut short", ALL, &[0x30, 0x03, 0x00, 0x09, b't']),
        ("PUBLISH to an empty topic", ALL, &[0x30, 0x03, 0x00, 0x00, 0x00]),
        ("PUBLISH to a topic with +", ALL, &[0x30, 0x05, 0x00, 0x02, b'a', b'+', 0x00]),
        ("PUBLISH to a topic with #", ALL, &[0x30, 0x04, 0x00, 0x01, b'#', 0x00]),
        ("PUBLISH to a topic with NUL", ALL, &[0x30, 0x04, 0x00, 0x01, 0x00, 0x00]),
        ("PUBLISH to a topic with a surrogate", ALL, &[0x30, 0x06, 0x00, 0x03, 0xed, 0xa0, 0x80, 0x00]),
        ("PUBLISH to a topic in overlong UTF-8", ALL, &[0x30, 0x05, 0x00, 0x02, 0xc0, 0xaf, 0x00]),
        ("PUBLISH of QoS 1 with packet id 0", ALL, &[0x32, 0x06, 0x00, 0x01, b't', 0, 0, 0]),
        ("PUBLISH of QoS 2 without a packet id", ALL, &[0x34, 0x03, 0x00, 0x01, b't']),
        ("PUBLISH of QoS 0 with DUP", STRICT, &[0x38, 0x04, 0x00, 0x01, b't', 0]),
        ("PUBLISH with a property length beyond its end", NEW, &[0x30, 0x04, 0, 1, b't', 9]),
        ("PUBLISH with an unknown property", NEW, &[0x30, 0x06, 0, 1, b't', 2, 0x7f, 0]),
        ("PUBLISH with a property of CONNECT", NEW, &[0x30, 0x09, 0, 1, b't', 5, 0x11, 0, 0, 0, 1]),
        ("PUBLISH with a subscription identifier", NEW, &[0x30, 0x06, 0, 1, b't', 2, 0x0b, 1]),
        ("PUBLISH with payload format 2", NEW, &[0x30, 0x06, 0, 1, b't', 2, 0x01, 2]),
        ("PUBLISH with two message expiries", NEW, &[0x30, 0x0e, 0, 1, b't', 10, 2, 0, 0, 0, 1, 2, 0, 0, 0, 1]),
        ("PUBLISH with a response topic with #", NEW, &[0x30, 0x08, 0, 1, b't', 4, 8, 0, 1, b'#']),
        ("PUBLISH with a user property cut short", NEW, &[0x30, 0x08, 0, 1, b't', 4, 0x26, 0, 1, b'a']),
        ("PUBACK without a packet id", ALL, &[0x40, 0x00]),
        ("PUBACK with packet id 0", ALL, &[0x40, 0x02, 0x00, 0x00]),
        ("PUBACK with flags", STRICT, &[0x41, 0x02, 0x00, 0x01]),
        ("PUBACK with an impossible reason", NEW, &[0x40, 0x03, 0x00, 0x01, 0x42]),
        ("PUBREC cut short", ALL, &[0x50, 0x01, 0x00]),
        ("PUBREL with flags 0", STRICT, &[0x60, 0x02, 0x00, 0x01]),
        ("PUBCOMP with a body that is too long before 5.0", OLD, &[0x70, 0x03, 0x00, 0x01, 0x00]),
        ("SUBSCRIBE with flags 0", STRICT, &[0x80, 0x07, 0, 1, 0, 0, 1, b't', 0]),
        ("SUBSCRIBE with packet id 0", OLD, &[0x82, 0x06, 0, 0, 0, 1, b't', 0]),
        ("SUBSCRIBE with packet id 0", NEW, &[0x82, 0x07, 0, 0, 0, 0, 1, b't', 0]),
        ("SUBSCRIBE without a filter", OLD, &[0x82, 0x02, 0, 1]),
        ("SUBSCRIBE without a filter", NEW, &[0x82, 0x03, 0, 1, 0]),
        ("SUBSCRIBE without options", OLD, &[0x82, 0x05, 0, 1, 0, 1, b't']),
        ("SUBSCRIBE with QoS 3", OLD, &[0x82, 0x06, 0, 1, 0, 1, b't', 3]),
        ("SUBSCRIBE with QoS 3", NEW, &[0x82, 0x07, 0, 1, 0, 0, 1, b't', 3]),
        ("SUBSCRIBE with retain handling 3", NEW, &[0x82, 0x07, 0, 1, 0, 0, 1, b't', 0x30]),
        ("SUBSCRIBE with subscription identifier 0", NEW, &[0x82, 0x09, 0, 1, 2, 0x0b, 0, 0, 1, b't', 0]),
        ("SUBSCRIBE to a filter with NUL", OLD, &[0x82, 0x06, 0, 1, 0, 1, 0, 0]),
        ("UNSUBSCRIBE without a filter", OLD, &[0xa2, 0x02, 0, 1]),
        ("UNSUBSCRIBE without a filter", NEW, &[0xa2, 0x03, 0, 1, 0]),
        ("UNSUBSCRIBE with flags 0", STRICT, &[0xa0, 0x06, 0, 1, 0, 0, 1, b't']),
        ("DISCONNECT with an impossible reason", NEW, &[0xe0, 0x01, 0x42]),
        ("DISCONNECT with a reason only servers have", NEW, &[0xe0, 0x01, 0x8b]),
        ("DISCONNECT with a property length beyond its end", NEW, &[0xe0, 0x02, 0x00, 0x05]),
        ("AUTH with an impossible reason", NEW, &[0xf0, 0x02, 0x42, 0x00]),
        ("AUTH out of the blue", NEW, &[0xf0, 0x02, 0x18, 0x00]),
    ]
};

/// Each malformed packet ends its own connection and nothing else. [3.1.1:MQTT-4.8.0-1] [MQTT-4.13.1-1]
#[test]
fn malformed_packets_end_their_own_connection_only() {
    let mut broker = Broker::start();
    let mut healthy = Healthy::start(&broker);
    let mut survivors = Vec::new();
    for (what, versions, bytes) in MALFORMED {
        for &version in *versions {
            let mut client = Client::connect(&broker, version, "bad");
            client.send_bytes(bytes);
            // A PINGREQ behind it would be answered if the broker went on.
            let _ = client.try_send_bytes(&PINGREQ);
            let answer = client.rest_until(&mqtt_codec::PINGRESP);
            if answer.ends_with(&mqtt_codec::PINGRESP) {
                survivors.push(format!("{version}: {what}"));
            } else if !version.is_v5() {
                assert_eq!(answer, b"", "{version}: {what}");
            } else if let [0xe0, _, reason, ..] = answer[..] {
                assert!(reason >= 0x80, "{what}: {answer:02x?}");
            } else {
                assert_eq!(answer, b"", "{what}");
            }
        }
        healthy.exchange(&mut broker);
    }
    if support::broker::is_mosquitto() {
        eprintln!("Mosquitto lets pass: {survivors:#?}");
    } else {
        assert_eq!(survivors, [""; 0], "not refused");
    }
    healthy.finish(&mut broker);
}

/// CONNECTs that cannot be: no session begins, whatever is answered is a CONNACK with an error.
#[test]
fn malformed_connects_are_refused() {
    let mut broker = Broker::start();
    let mut healthy = Healthy::start(&broker);
    let cases: &[(&str, &[u8])] = &[
        (
            "reserved flag",
            b"\x10\x0d\x00\x04MQTT\x04\x03\x00\x3c\x00\x01c",
        ),
        (
            "reserved flag in 5.0",
            b"\x10\x0e\x00\x04MQTT\x05\x03\x00\x3c\x00\x00\x01c",
        ),
        (
            "will QoS without a will",
            b"\x10\x0d\x00\x04MQTT\x04\x0a\x00\x3c\x00\x01c",
        ),
        (
            "will QoS 3",
            b"\x10\x13\x00\x04MQTT\x04\x1e\x00\x3c\x00\x01c\x00\x01w\x00\x01m",
        ),
        (
            "will flag without a will",
            b"\x10\x0d\x00\x04MQTT\x04\x06\x00\x3c\x00\x01c",
        ),
        (
            "will topic with a wildcard",
            b"\x10\x13\x00\x04MQTT\x04\x06\x00\x3c\x00\x01c\x00\x01#\x00\x01m",
        ),
        (
            "password without a user name",
            b"\x10\x10\x00\x04MQTT\x04\x42\x00\x3c\x00\x01c\x00\x01p",
        ),
        (
            "user name flag without a user name",
            b"\x10\x0d\x00\x04MQTT\x04\x82\x00\x3c\x00\x01c",
        ),
        ("cut short", b"\x10\x09\x00\x04MQTT\x04\x02\x00"),
        (
            "bytes left over",
            b"\x10\x0e\x00\x04MQTT\x04\x02\x00\x3c\x00\x01cX",
        ),
        (
            "client id that is not UTF-8",
            b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01\xff",
        ),
        (
            "client id with NUL",
            b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01\x00",
        ),
        (
            "flags in the fixed header",
            b"\x11\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01c",
        ),
        (
            "receive maximum 0",
            b"\x10\x11\x00\x04MQTT\x05\x02\x00\x3c\x03\x21\x00\x00\x00\x01c",
        ),
        (
            "maximum packet size 0",
            b"\x10\x13\x00\x04MQTT\x05\x02\x00\x3c\x05\x27\x00\x00\x00\x00\x00\x01c",
        ),
        (
            "property of PUBLISH",
            b"\x10\x11\x00\x04MQTT\x05\x02\x00\x3c\x03\x23\x00\x01\x00\x01c",
        ),
        (
            "two receive maxima",
            b"\x10\x14\x00\x04MQTT\x05\x02\x00\x3c\x06\x21\x00\x01\x21\x00\x01\x00\x01c",
        ),
        (
            "authentication data without a method",
            b"\x10\x12\x00\x04MQTT\x05\x02\x00\x3c\x04\x16\x00\x01d\x00\x01c",
        ),
    ];
    let mut survivors = Vec::new();
    for (what, bytes) in cases {
        let mut client = Client::open(&broker, Version::V311);
        client.send_bytes(bytes);
        let _ = client.try_send_bytes(&PINGREQ);
        let answer = client.rest_until(&mqtt_codec::PINGRESP);
        if answer.ends_with(&mqtt_codec::PINGRESP) {
            survivors.push(*what);
        } else if let [0x20, _, 0, code, ..] = answer[..] {
            assert_ne!(code, 0, "{what}: {answer:02x?}");
        } else {
            assert_eq!(answer, b"", "{what}");
        }
        healthy.exchange(&mut broker);
    }
    if !support::broker::is_mosquitto() {
        assert_eq!(survivors, [""; 0], "not refused");
    }
    healthy.finish(&mut broker);
}

/// A small generator of reproducible bytes (xorshift).
struct Random(u64);

impl Random {
    /// Seeded by the clock, or by `MQTT_TEST_SEED`; the seed is printed.
    fn new() -> Self {
        let from_clock = || {
            std::time::SystemTime::UNIX_EPOCH
                .elapsed()
                .map_or(1, |time| {
                    u64::try_from(time.as_nanos() & u128::from(u64::MAX)).unwrap_or(1)
                })
        };
        let seed = std::env::var("MQTT_TEST_SEED")
            .ok()
            .and_then(|seed| seed.parse().ok())
            .unwrap_or_else(from_clock);
        eprintln!("MQTT_TEST_SEED={seed}");
        Self(seed | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % (limit as u64)).expect("below a usize")
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next().to_le_bytes()[3]).collect()
    }
}

/// Random bytes, with and without a CONNECT before them, disturb nobody.
#[test]
fn random_bytes_disturb_nobody() {
    let mut broker = Broker::start();
    let mut healthy = Healthy::start(&broker);
    let mut random = Random::new();
    for round in 0..300 {
        let version = VERSIONS[random.below(3)];
        let mut client = Client::open(&broker, version);
        if round % 3 > 0 {
            client.send(&Connect::new(version, "random"));
        }
        let length = 1 + random.below(2000);
        let mut bytes = random.bytes(length);
        if round % 3 == 2 {
            // A plausible first byte and length let more of it be looked at.
            bytes[0] = [0x30, 0x32, 0x34, 0x82, 0xa2, 0x40, 0x62, 0xe0][random.below(8)];
            bytes.insert(1, u8::try_from(random.below(128)).expect("below 128"));
        }
        let _ = client.try_send_bytes(&bytes);
        drop(client);
        if round % 10 == 0 {
            healthy.exchange(&mut broker);
        }
    }
    healthy.finish(&mut broker);
}

/// Valid packets with one byte changed, one lost or one doubled disturb nobody.
#[test]
fn mutated_packets_disturb_nobody() {
    let mut broker = Broker::start();
    let mut healthy = Healthy::start(&broker);
    let mut random = Random::new();
    for round in 0..300 {
        let version = VERSIONS[round % 3];
        let mut bytes = Connect::new(version, "mutant").bytes(version);
        let id = packet_id(7);
        bytes.extend(
            Publish {
                delivery: Delivery::ExactlyOnce(id),
                ..publish("mutant/topic", "payload")
            }
            .bytes(version),
        );
        bytes.extend(PubRel::new(id).bytes(version));
        let filters = [SubscribeFilter {
            filter: "mutant/+/x",
            options: at(QoS::AtLeastOnce),
        }];
        bytes.extend(
            Subscribe {
                packet_id: id,
                properties: Properties::EMPTY,
                filters: Filters::List(&filters),
            }
            .bytes(version),
        );
        bytes.extend(PINGREQ);
        let place = random.below(bytes.len());
        match random.below(3) {
            0 => bytes[place] ^= 1 << random.below(8),
            1 => drop(bytes.remove(place)),
            _ => bytes.insert(place, bytes[place]),
        }
        let mut client = Client::open(&broker, version);
        let _ = client.try_send_bytes(&bytes);
        drop(client);
        if round % 10 == 0 {
            healthy.exchange(&mut broker);
        }
    }
    healthy.finish(&mut broker);
}
