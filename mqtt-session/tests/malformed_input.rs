//! Any bytes at any time end in a defined answer or a closed connection: never a panic, never growth without a limit.

use mqtt_codec::{Connect, Version};
use mqtt_testkit::owners::{Heaped, Kind, Small, Stored};
use mqtt_testkit::packets::{
    Raw, connack, filter, pingreq, puback, pubcomp, publish, publish1, publish2, pubrec, pubrel,
    subscribe, unsubscribe,
};
use mqtt_testkit::rng::{Rng, seeds};
use mqtt_testkit::script::{ClientScript, ServerScript};

const VERSIONS: [Version; 3] = [Version::V31, Version::V311, Version::V5];

/// Bytes that are no packet close; 5.0 says 0x81 [MQTT-4.13.1-1], [3.1.1:MQTT-4.8.0-1], [3.1.1:MQTT-2.2.2-2].
#[test]
fn malformed_bytes_close() {
    for version in VERSIONS {
        for bytes in [
            &[0x62 ^ 0x02, 2, 0, 1][..],
            &[0x30, 0x80, 0x80, 0x80, 0x80],
            &[0x82, 2, 0, 1],
        ] {
            let mut server = ServerScript::<Heaped>::connected(version);
            server.send(bytes);
            let sent = server.sent();
            let expected = if version.is_v5() { 2 } else { 1 };
            assert_eq!(sent.len(), expected, "{sent:?}");
            assert_eq!(sent.last().map(String::as_str), Some("close"));
            assert!(server.session.is_closing());
        }
    }
}

/// A CONNECT that cannot be read closes without an answer [3.1.1:MQTT-3.1.4-1], [MQTT-3.1.4-1].
#[test]
fn a_broken_connect_is_not_answered() {
    // The reserved flag is set [MQTT-3.1.2-3], [3.1.1:MQTT-3.1.2-3].
    let broken: [&[u8]; 2] = [
        b"\x10\x0D\0\x04MQTT\x04\x03\0\x3C\0\x01c",
        b"\x10\x0E\0\x04MQTT\x05\x03\0\x3C\0\0\x01c",
    ];
    for bytes in broken {
        let mut server = ServerScript::<Heaped>::opened(Version::V311);
        server.send(bytes);
        assert_eq!(server.sent(), ["close"]);
    }
}

/// A topic that is none [MQTT-3.3.2-2], [3.1.1:MQTT-3.3.2-2], or has too many levels, closes with 0x90.
#[test]
fn a_topic_that_is_none_closes() {
    let deep = "a/".repeat(200);
    for topic in ["a/#", "+", deep.as_str()] {
        for version in VERSIONS {
            let mut server = ServerScript::<Heaped>::connected(version);
            let mut packet = publish("x");
            packet.topic = topic;
            server.send(&packet);
            let expected: &[&str] = if version.is_v5() {
                &["DISCONNECT 0x90", "close"]
            } else {
                &["close"]
            };
            assert_eq!(server.sent(), expected);
        }
    }
}

/// A packet that may or may not fit the moment.
fn packet(rng: &mut Rng, version: Version) -> Vec<u8> {
    let id = 1 + rng.below(4) as u16;
    let mut bytes = match rng.below(14) {
        0 => Connect::new(version, "c").bytes(version),
        1 => publish("x").bytes(version),
        2 | 3 => publish1(id, "x").bytes(version),
        4 | 5 => publish2(id, "x").bytes(version),
        6 => puback(id).bytes(version),
        7 => pubrec(id).bytes(version),
        8 | 9 => pubrel(id).bytes(version),
        10 => pubcomp(id).bytes(version),
        11 => subscribe(id, &[filter("a/#", mqtt_codec::QoS::AtLeastOnce)]).bytes(version),
        12 => unsubscribe(id, &["a/#"]).bytes(version),
        _ => pingreq(),
    };
    if rng.one_in(10) {
        let at = rng.below(bytes.len());
        bytes[at] ^= 1 << rng.below(8);
    }
    bytes
}

fn storm<K: Kind>(seed: u64, version: Version) {
    let rng = &mut Rng::new(seed);
    let mut server = ServerScript::<K>::connected(version);
    let mut client = ClientScript::<K>::offline(version);
    client.connect(&Connect {
        properties: mqtt_codec::Properties::List(&if version.is_v5() {
            vec![mqtt_codec::Property::ReceiveMaximum(
                mqtt_codec::ReceiveMaximum::new(4).expect("not 0"),
            )]
        } else {
            vec![]
        }),
        ..Connect::new(version, "c")
    });
    client.send(&connack(false));
    for _ in 0..100 {
        if rng.one_in(20) {
            server.answers = !server.answers;
        }
        let bytes = packet(rng, version);
        server.send(&bytes);
        client.send(&bytes);
        if rng.one_in(3) {
            server.sent();
            client.sent();
        }
        server.after(rng.below(100) as u64);
        client.after(rng.below(100) as u64);
        assert!(server.session.state().received() <= 1_000);
        if server.session.is_closing() {
            assert_eq!(server.sent().last().map(String::as_str), Some("close"));
            server.cut();
            server.open();
            server.answers = true;
            server.send(&Connect::new(version, "c"));
            server.sent();
        }
    }
}

/// Packets in any order, some with a flipped bit, at both ends, with every kind of owner.
#[test]
fn packets_in_any_order_do_no_harm() {
    for version in VERSIONS {
        seeds(&format!("storm, MQTT {version}"), 300, |seed| {
            storm::<Small>(seed, version);
            storm::<Heaped>(seed, version);
            storm::<Stored>(seed, version);
        });
    }
}
