//! Packets as they are written, byte by byte: the order of fields, what flags announce, and what is reserved.

use mqtt_codec::*;

const VERSIONS: [Version; 3] = [Version::V31, Version::V311, Version::V5];

fn bytes(packet: Packet<'_>, version: Version) -> Vec<u8> {
    let mut buffer = vec![0; packet.encoded_len(version)];
    packet
        .encode(version, &mut buffer)
        .expect("a packet that can be sent");
    buffer
}

fn connect(connect: Connect<'_>) -> Vec<u8> {
    let mut buffer = vec![0; connect.encoded_len()];
    connect
        .encode(&mut buffer)
        .expect("a packet that can be sent");
    buffer
}

fn publish(delivery: Delivery) -> Packet<'static> {
    Packet::Publish(Publish {
        dup: false,
        retain: false,
        delivery,
        topic: "t",
        properties: Properties::EMPTY,
        payload: b"x",
    })
}

fn id() -> PacketId {
    PacketId::new(0x0102).expect("not 0")
}

/// Identifier, will, user name, password, in this order [MQTT-3.1.3-1], [3.1.1:MQTT-3.1.3-1], the identifier first
/// [MQTT-3.1.3-3], [3.1.1:MQTT-3.1.3-3]. A flag that is set has its field: will [MQTT-3.1.2-9], [3.1.1:MQTT-3.1.2-9], user
/// name [MQTT-3.1.2-17], [3.1.1:MQTT-3.1.2-19], password [MQTT-3.1.2-19], [3.1.1:MQTT-3.1.2-21].
#[test]
fn a_full_connect_has_its_fields_in_order() {
    let full = |version| {
        connect(Connect {
            will: Some(Will {
                topic: "w",
                payload: b"p",
                qos: QoS::ExactlyOnce,
                retain: true,
                properties: Properties::EMPTY,
            }),
            user_name: Some("u"),
            password: Some(b"s"),
            ..Connect::new(version, "c")
        })
    };
    // 0xF6: user name, password, will retain, will QoS 2, will, clean start.
    let older = b"\x10\x19\0\x04MQTT\x04\xF6\0\x3c\0\x01c\0\x01w\0\x01p\0\x01u\0\x01s";
    assert_eq!(full(Version::V311)[..10], older[..10]);
    assert_eq!(full(Version::V311)[12..], older[12..]);
    let v5 = b"\x10\x1B\0\x04MQTT\x05\xF6\0\x3c\0\0\x01c\0\0\x01w\0\x01p\0\x01u\0\x01s";
    assert_eq!(full(Version::V5)[..10], v5[..10]);
    assert_eq!(full(Version::V5)[12..], v5[12..]);
}

/// A field that is not there has its flag at 0, and leaves no trace: will, its QoS and its retain flag [MQTT-3.1.2-11],
/// [MQTT-3.1.2-13], [3.1.1:MQTT-3.1.2-11], [3.1.1:MQTT-3.1.2-13], [3.1.1:MQTT-3.1.2-15], user name [MQTT-3.1.2-16],
/// [3.1.1:MQTT-3.1.2-18], password [MQTT-3.1.2-18], [3.1.1:MQTT-3.1.2-20]. The reserved flag is 0, too.
#[test]
fn a_plain_connect_has_no_other_fields() {
    let plain = |version| {
        connect(Connect {
            clean_start: false,
            ..Connect::new(version, "c")
        })
    };
    let older = plain(Version::V311);
    assert_eq!(older[..10], *b"\x10\x0D\0\x04MQTT\x04\0");
    assert_eq!(older[12..], *b"\0\x01c");
    let v5 = plain(Version::V5);
    assert_eq!(v5[..10], *b"\x10\x0E\0\x04MQTT\x05\0");
    assert_eq!(v5[12..], *b"\0\0\x01c", "no properties");
    let user = connect(Connect {
        user_name: Some("u"),
        ..Connect::new(Version::V5, "c")
    });
    assert_eq!((user[9], &user[12..]), (0x82, &b"\0\0\x01c\0\x01u"[..]));
}

/// The reserved flags of the fixed header have their values [MQTT-2.1.3-1], [3.1.1:MQTT-2.2.2-1], those of PUBREL, SUBSCRIBE
/// and UNSUBSCRIBE are 0010 [MQTT-3.6.1-1], [MQTT-3.8.1-1], [MQTT-3.10.1-1], [3.1.1:MQTT-3.6.1-1], [3.1.1:MQTT-3.8.1-1],
/// [3.1.1:MQTT-3.10.1-1].
#[test]
fn reserved_flags_are_written_with_their_values() {
    let packet_id = id();
    let properties = Properties::EMPTY;
    let filters = [SubscribeFilter {
        filter: "a",
        options: SubscriptionOptions::default(),
    }];
    let codes = ReasonCodes::new(&[0]);
    for version in VERSIONS {
        let mut first = vec![connect(Connect::new(version, "c"))[0]];
        let packets = [
            Packet::ConnAck(ConnAck {
                session_present: true,
                reason: ReasonCode::SUCCESS,
                properties,
            }),
            Packet::PubAck(PubAck::new(packet_id)),
            Packet::PubRec(PubRec::new(packet_id)),
            Packet::PubRel(PubRel::new(packet_id)),
            Packet::PubComp(PubComp::new(packet_id)),
            Packet::Subscribe(Subscribe {
                packet_id,
                properties,
                filters: Filters::List(&filters),
            }),
            Packet::SubAck(SubAck {
                packet_id,
                properties,
                codes,
            }),
            Packet::Unsubscribe(Unsubscribe {
                packet_id,
                properties,
                filters: UnsubscribeFilters::List(&["a"]),
            }),
            Packet::UnsubAck(UnsubAck {
                packet_id,
                properties,
                codes,
            }),
            Packet::Disconnect(Disconnect::new(ReasonCode::SUCCESS)),
        ];
        first.extend(packets.map(|packet| bytes(packet, version)[0]));
        assert_eq!(
            first,
            [
                0x10, 0x20, 0x40, 0x50, 0x62, 0x70, 0x82, 0x90, 0xA2, 0xB0, 0xE0
            ],
            "{version}"
        );
        assert_eq!((PINGREQ, PINGRESP), ([0xC0, 0], [0xD0, 0]));
    }
    let auth = Auth {
        reason: ReasonCode::SUCCESS,
        properties,
    };
    assert_eq!(bytes(Packet::Auth(auth), Version::V5)[0], 0xF0);
}

/// The reserved flags of CONNACK are 0 [MQTT-3.2.2-1], session present or not.
#[test]
fn the_flags_of_connack_are_reserved_but_one() {
    for version in [Version::V311, Version::V5] {
        for session_present in [false, true] {
            let connack = ConnAck {
                session_present,
                reason: ReasonCode::SUCCESS,
                properties: Properties::EMPTY,
            };
            let written = bytes(Packet::ConnAck(connack), version);
            assert_eq!(written[2], u8::from(session_present));
        }
    }
}

/// The topic comes first [MQTT-3.3.2-1], [3.1.1:MQTT-3.3.2-1]; a packet identifier follows for QoS 1 and 2, and there is none
/// for QoS 0 [MQTT-2.2.1-2], [3.1.1:MQTT-2.3.1-5].
#[test]
fn a_publish_has_its_topic_first_and_an_id_above_qos_0() {
    let rows: [(Delivery, &[u8], &[u8]); 3] = [
        (
            Delivery::AtMostOnce,
            b"\x30\x04\0\x01tx",
            b"\x30\x05\0\x01t\0x",
        ),
        (
            Delivery::AtLeastOnce(id()),
            b"\x32\x06\0\x01t\x01\x02x",
            b"\x32\x07\0\x01t\x01\x02\0x",
        ),
        (
            Delivery::ExactlyOnce(id()),
            b"\x34\x06\0\x01t\x01\x02x",
            b"\x34\x07\0\x01t\x01\x02\0x",
        ),
    ];
    for (delivery, older, v5) in rows {
        for version in [Version::V31, Version::V311] {
            assert_eq!(bytes(publish(delivery), version), older);
        }
        assert_eq!(bytes(publish(delivery), Version::V5), v5);
    }
}

/// No properties are a length of 0 [MQTT-2.2.2-1]: it is left out only where the specification lets it end the packet.
#[test]
fn no_properties_are_a_length_of_0() {
    let packet_id = id();
    let properties = Properties::EMPTY;
    let filters = [SubscribeFilter {
        filter: "a",
        options: SubscriptionOptions::default(),
    }];
    let codes = ReasonCodes::new(&[0]);
    let rows: [(Packet<'_>, &[u8]); 6] = [
        (
            Packet::ConnAck(ConnAck {
                session_present: false,
                reason: ReasonCode::SUCCESS,
                properties,
            }),
            &[0x20, 3, 0, 0, 0],
        ),
        (publish(Delivery::AtMostOnce), b"\x30\x05\0\x01t\0x"),
        (
            Packet::Subscribe(Subscribe {
                packet_id,
                properties,
                filters: Filters::List(&filters),
            }),
            b"\x82\x07\x01\x02\0\0\x01a\0",
        ),
        (
            Packet::SubAck(SubAck {
                packet_id,
                properties,
                codes,
            }),
            &[0x90, 4, 1, 2, 0, 0],
        ),
        (
            Packet::Unsubscribe(Unsubscribe {
                packet_id,
                properties,
                filters: UnsubscribeFilters::List(&["a"]),
            }),
            b"\xA2\x06\x01\x02\0\0\x01a",
        ),
        (
            Packet::UnsubAck(UnsubAck {
                packet_id,
                properties,
                codes,
            }),
            &[0xB0, 4, 1, 2, 0, 0],
        ),
    ];
    for (packet, expected) in rows {
        assert_eq!(bytes(packet, Version::V5), expected, "{packet:?}");
    }
}
