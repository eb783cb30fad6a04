//! Packets that are not written, since a peer would have to refuse them.

use mqtt_codec::*;

const ID: PacketId = PacketId::MIN;
const VERSIONS: [Version; 3] = [Version::V31, Version::V311, Version::V5];

fn publish<'a>(topic: &'a str, properties: &'a [Property<'a>]) -> Publish<'a> {
    Publish {
        dup: false,
        retain: false,
        delivery: Delivery::AtMostOnce,
        topic,
        properties: properties.into(),
        payload: b"",
    }
}

#[track_caller]
fn refused(packet: Packet<'_>, version: Version, error: EncodeError) {
    assert_eq!(
        packet.encode(version, &mut [0; 99]),
        Err(error),
        "{version} {packet:?}"
    );
}

/// No string holds U+0000, wherever it stands [MQTT-1.5.4-2], [3.1.1:MQTT-1.5.3-2].
#[test]
fn nul_in_a_string_is_not_written() {
    for version in VERSIONS {
        refused(
            Packet::Publish(publish("a\0", &[])),
            version,
            EncodeError::NulInString,
        );
        let filters = UnsubscribeFilters::List(&["a", "\0"]);
        let unsubscribe = Unsubscribe {
            packet_id: ID,
            properties: Properties::EMPTY,
            filters,
        };
        refused(
            Packet::Unsubscribe(unsubscribe),
            version,
            EncodeError::NulInString,
        );
        let connect = Connect {
            user_name: Some("\0"),
            ..Connect::new(version, "id")
        };
        assert_eq!(connect.encode(&mut [0; 99]), Err(EncodeError::NulInString));
    }
    let properties = [Property::UserProperty("a", "0\0")];
    refused(
        Packet::Publish(publish("a", &properties)),
        Version::V5,
        EncodeError::NulInString,
    );
}

/// A string or binary field has 65,535 bytes at most.
#[test]
fn a_field_that_is_too_long_is_not_written() {
    let long = "x".repeat(65_536);
    let mut buffer = vec![0; 70_000];
    for version in VERSIONS {
        assert_eq!(
            publish(&long, &[]).encode(version, &mut buffer),
            Err(EncodeError::TooLong)
        );
        let fits = publish(&long[1..], &[]);
        assert_eq!(
            fits.encode(version, &mut buffer),
            Ok(fits.encoded_len(version))
        );
        let connect = Connect {
            user_name: Some("u"),
            password: Some(long.as_bytes()),
            ..Connect::new(version, "")
        };
        assert_eq!(connect.encode(&mut buffer), Err(EncodeError::TooLong));
    }
}

/// A packet has 268,435,455 bytes behind its fixed header at most.
#[test]
fn a_packet_that_is_too_long_is_not_written() {
    let mut head = PublishHead {
        dup: false,
        retain: false,
        delivery: Delivery::AtMostOnce,
        topic: "a",
        topic_alias: None,
        message_expiry: None,
        subscription_ids: &[],
        properties: Properties::EMPTY,
        payload_len: 268_435_452,
    };
    assert_eq!(head.encode(Version::V311, &mut [0; 8]), Ok(8));
    assert_eq!(head.frame_len(Version::V311), 268_435_460);
    head.payload_len += 1;
    assert_eq!(
        head.encode(Version::V311, &mut [0; 8]),
        Err(EncodeError::TooLong)
    );
    head.payload_len = u32::MAX;
    assert_eq!(
        head.encode(Version::V5, &mut [0; 9]),
        Err(EncodeError::TooLong)
    );
}

/// DUP is never set on QoS 0 [MQTT-3.3.1-2], [MQTT-4.3.1-1], [3.1.1:MQTT-3.3.1-2], [3.1.1:MQTT-4.3.1-1].
#[test]
fn dup_is_not_written_on_qos_0() {
    for version in VERSIONS {
        let again = Publish {
            dup: true,
            ..publish("a", &[])
        };
        refused(Packet::Publish(again), version, EncodeError::DupAtMostOnce);
    }
}

/// A PUBLISH has a topic, or in MQTT 5.0 an alias for it.
#[test]
fn a_publish_without_a_topic_is_not_written() {
    let alias = [Property::TopicAlias(TopicAlias::MIN)];
    for version in VERSIONS {
        refused(
            Packet::Publish(publish("", &[])),
            version,
            EncodeError::EmptyTopic,
        );
    }
    refused(
        Packet::Publish(publish("", &alias)),
        Version::V311,
        EncodeError::EmptyTopic,
    );
    assert_eq!(publish("", &alias).encode(Version::V5, &mut [0; 99]), Ok(8));
}

/// Properties stand in their packets, once, and with values in range [MQTT-3.3.2-14].
#[test]
fn properties_are_checked_before_they_are_written() {
    let twice = Property::ContentType("text");
    let lists: [&[Property<'_>]; 6] = [
        &[twice, twice],
        &[Property::SessionExpiryInterval(1)],
        &[Property::WillDelayInterval(1)],
        &[Property::ResponseTopic("a/#")],
        &[Property::ResponseTopic("")],
        &[Property::AuthenticationMethod("m")],
    ];
    for list in lists {
        refused(
            Packet::Publish(publish("a", list)),
            Version::V5,
            EncodeError::InvalidProperty,
        );
        // Older versions have no properties and leave them out.
        assert_eq!(
            publish("a", list).encode(Version::V311, &mut [0; 99]),
            Ok(5)
        );
    }
    fn connack<'a>(list: &'a [Property<'a>]) -> ConnAck<'a> {
        ConnAck {
            session_present: false,
            reason: ReasonCode::SUCCESS,
            properties: list.into(),
        }
    }
    refused(
        Packet::ConnAck(connack(&[Property::MaximumQoS(QoS::ExactlyOnce)])),
        Version::V5,
        EncodeError::InvalidProperty,
    );
    let data = [Property::AuthenticationData(b"x")];
    let connect = Connect {
        properties: (&data).into(),
        ..Connect::new(Version::V5, "id")
    };
    assert_eq!(
        connect.encode(&mut [0; 99]),
        Err(EncodeError::InvalidProperty)
    );
    let expiry = [Property::MessageExpiryInterval(1)];
    let head = PublishHead {
        dup: false,
        retain: false,
        delivery: Delivery::AtMostOnce,
        topic: "a",
        topic_alias: None,
        message_expiry: Some(1),
        subscription_ids: &[],
        properties: Properties::List(&expiry),
        payload_len: 0,
    };
    assert_eq!(
        head.encode(Version::V5, &mut [0; 99]),
        Err(EncodeError::InvalidProperty)
    );
    for reason in [ReasonCode::SUCCESS, ReasonCode::CONTINUE_AUTHENTICATION] {
        let properties = [Property::ReasonString("no method")];
        let auth = Auth {
            reason,
            properties: Properties::List(&properties),
        };
        refused(
            Packet::Auth(auth),
            Version::V5,
            EncodeError::InvalidProperty,
        );
    }
}

/// Reason codes are those of the packet's table [MQTT-3.4.2-1] [MQTT-3.2.2-8] [MQTT-3.9.3-2]
/// [MQTT-3.14.2-1].
#[test]
fn reason_codes_are_checked_before_they_are_written() {
    let puback = PubAck {
        reason: ReasonCode::PACKET_IDENTIFIER_NOT_FOUND,
        ..PubAck::new(ID)
    };
    refused(
        Packet::PubAck(puback),
        Version::V5,
        EncodeError::InvalidReason,
    );
    let connack = ConnAck {
        session_present: false,
        reason: ReasonCode(1),
        properties: Properties::EMPTY,
    };
    refused(
        Packet::ConnAck(connack),
        Version::V5,
        EncodeError::InvalidReason,
    );
    let codes = ReasonCodes::new(&[0, 3]);
    let suback = SubAck {
        packet_id: ID,
        properties: Properties::EMPTY,
        codes,
    };
    refused(
        Packet::SubAck(suback),
        Version::V5,
        EncodeError::InvalidReason,
    );
    let unsuback = UnsubAck {
        packet_id: ID,
        properties: Properties::EMPTY,
        codes,
    };
    refused(
        Packet::UnsubAck(unsuback),
        Version::V5,
        EncodeError::InvalidReason,
    );
    let disconnect = Disconnect::new(ReasonCode::BANNED);
    refused(
        Packet::Disconnect(disconnect),
        Version::V5,
        EncodeError::InvalidReason,
    );
}

/// What an older version has no way to say is not left out where that changes the meaning [3.1.1:MQTT-3.1.2-22].
#[test]
fn older_versions_do_not_say_something_else() {
    for version in [Version::V31, Version::V311] {
        let refused = |packet| refused(packet, version, EncodeError::NotInVersion);
        let reason = ReasonCode::NOT_AUTHORIZED;
        refused(Packet::PubAck(PubAck {
            reason,
            ..PubAck::new(ID)
        }));
        refused(Packet::PubRec(PubRec {
            reason,
            ..PubRec::new(ID)
        }));
        refused(Packet::Disconnect(Disconnect::new(
            ReasonCode::DISCONNECT_WITH_WILL_MESSAGE,
        )));
        refused(Packet::Auth(Auth {
            reason: ReasonCode::SUCCESS,
            properties: Properties::EMPTY,
        }));
        let banned = ConnAck {
            session_present: false,
            reason: ReasonCode::BANNED,
            properties: Properties::EMPTY,
        };
        refused(Packet::ConnAck(banned));
        let options = SubscriptionOptions {
            no_local: true,
            ..SubscriptionOptions::default()
        };
        let filters = [SubscribeFilter {
            filter: "a",
            options,
        }];
        let filters = Filters::List(&filters);
        refused(Packet::Subscribe(Subscribe {
            packet_id: ID,
            properties: Properties::EMPTY,
            filters,
        }));
        let alone = Connect {
            password: Some(b"secret"),
            ..Connect::new(version, "id")
        };
        assert_eq!(alone.encode(&mut [0; 99]), Err(EncodeError::NotInVersion));
    }
    let bridge = Connect {
        bridge: true,
        ..Connect::new(Version::V5, "id")
    };
    assert_eq!(bridge.encode(&mut [0; 99]), Err(EncodeError::NotInVersion));
}

/// Every failure is 0x80 in a SUBACK of an older version, its only one [3.1.1:MQTT-3.9.3-2].
#[test]
fn older_subacks_have_one_failure() {
    let codes = ReasonCodes::new(&[0, 1, 2, 0x80, 0x87, 0xa2]);
    let suback = SubAck {
        packet_id: ID,
        properties: Properties::EMPTY,
        codes,
    };
    let mut buffer = [0; 10];
    assert_eq!(suback.encode(Version::V311, &mut buffer), Ok(10));
    assert_eq!(buffer, [0x90, 8, 0, 1, 0, 1, 2, 0x80, 0x80, 0x80]);
}

/// SUBSCRIBE and UNSUBSCRIBE have a filter [MQTT-3.8.3-2], [MQTT-3.10.3-2], [3.1.1:MQTT-3.8.3-3], [3.1.1:MQTT-3.10.3-2], their
/// answers a code.
#[test]
fn empty_lists_are_not_written() {
    let properties = Properties::EMPTY;
    for version in VERSIONS {
        let (filters, codes) = (Filters::List(&[]), ReasonCodes::default());
        refused(
            Packet::Subscribe(Subscribe {
                packet_id: ID,
                properties,
                filters,
            }),
            version,
            EncodeError::Empty,
        );
        refused(
            Packet::SubAck(SubAck {
                packet_id: ID,
                properties,
                codes,
            }),
            version,
            EncodeError::Empty,
        );
        let filters = UnsubscribeFilters::List(&[]);
        refused(
            Packet::Unsubscribe(Unsubscribe {
                packet_id: ID,
                properties,
                filters,
            }),
            version,
            EncodeError::Empty,
        );
    }
    let unsuback = UnsubAck {
        packet_id: ID,
        properties,
        codes: ReasonCodes::default(),
    };
    refused(Packet::UnsubAck(unsuback), Version::V5, EncodeError::Empty);
    assert_eq!(unsuback.encode(Version::V311, &mut [0; 4]), Ok(4));
}

/// A password, and what else authenticates, is not printed.
#[test]
fn debug_leaves_secrets_out() {
    let connect = Connect {
        user_name: Some("user"),
        password: Some(b"secret"),
        ..Connect::new(Version::V5, "id")
    };
    let mut buffer = [0; 99];
    let len = connect.encode(&mut buffer).unwrap();
    let read = format!("{:?}", Decoder::new(Version::V5).any(&buffer[..len]));
    for text in [format!("{connect:?}"), read] {
        assert!(
            text.contains("user") && !text.contains("115, 101, 99"),
            "{text}"
        );
    }
    let text = format!("{:?}", Property::AuthenticationData(b"secret"));
    assert!(!text.contains("115, 101, 99"), "{text}");
}
