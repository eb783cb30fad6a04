//! rumqttc 0.25: a client's decoder, which trusts its server; in 5.0 it waits where it should refuse.

use mqtt_codec::RuleId;

use super::super::facts::{Facts, Name, Value};
use super::super::judgement::{Judged, Right, Shape};
use super::*;

const fn named(id: &'static str) -> (&'static str, &'static str) {
    (id, "rumqttc")
}

fn empty_user_name(facts: &Facts) -> bool {
    facts.texts("user name").eq([""])
}

fn empty_password(facts: &Facts) -> bool {
    facts
        .of(Name::Field("password"))
        .eq([&Value::Bytes(Vec::new())])
}

fn binary_password(facts: &Facts) -> bool {
    facts
        .of(Name::Field("password"))
        .any(|value| matches!(value, Value::Bytes(bytes) if core::str::from_utf8(bytes).is_err()))
}

fn has_subscription_id(facts: &Facts) -> bool {
    facts.of(Name::Property(0x0b)).next().is_some()
}

const AFTER_SUBSCRIPTION_ID: &[Name] = &[
    Name::Field("payload"),
    Name::Property(0x01),
    Name::Property(0x02),
    Name::Property(0x03),
    Name::Property(0x08),
    Name::Property(0x09),
    Name::Property(0x0b),
    Name::Property(0x23),
    Name::Property(0x26),
];

pub(super) static ROWS: &[Judged] = &[
    lax(
        named("rumqttc-flags"),
        &[(TWO, &[1, 2, 4, 5, 7, 9, 11, 12, 13])],
        RuleId::HeaderFlags,
        "c200",
        "reserved flags of the fixed header are passed over",
    ),
    lax(
        named("rumqttc-pubrel-flags"),
        &[(TWO, &[6])],
        RuleId::PubRelFlags,
        "65020504",
        "the flags of PUBREL are passed over",
    ),
    lax(
        named("rumqttc-subscribe-flags"),
        &[(TWO, SUBSCRIBE)],
        RuleId::SubscribeFlags,
        "84050006000002",
        "the flags of SUBSCRIBE are passed over",
    ),
    lax(
        named("rumqttc-unsubscribe-flags"),
        &[(TWO, UNSUBSCRIBE)],
        RuleId::UnsubscribeFlags,
        "a0050001000161",
        "the flags of UNSUBSCRIBE are passed over",
    ),
    lax(
        named("rumqttc-disconnect-flags"),
        &[(V311, DISCONNECT)],
        RuleId::DisconnectFlags,
        "ef00",
        "the flags of DISCONNECT are passed over",
    ),
    lax(
        named("rumqttc-trailing"),
        &[
            (V311, &[1, 2, 4, 5, 6, 7, 12, 13, 14]),
            (V5, &[1, 2, 4, 5, 6, 7, 12, 13, 14]),
        ],
        RuleId::TrailingBytes,
        "c00121",
        "bytes behind the last field are passed over",
    ),
    lax(
        named("rumqttc-truncated"),
        &[(V5, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 14])],
        RuleId::Truncated,
        "e00500011f0000",
        "properties may run past the end that they have announced",
    ),
    lax(
        named("rumqttc-long-varint"),
        &[(V5, ANY_OLDER)],
        RuleId::VarIntNotShortest,
        "d08000",
        "lengths in more bytes than they take are read",
    ),
    other(
        named("rumqttc-long-length"),
        &[(V311, ANY_OLDER)],
        Shape::WeRefuse(RuleId::VarIntNotShortest),
        (Right::Both, "V311-section-2.2.3"),
        "d08000",
        "a length in more bytes than it takes: table 2.4 gives each number of bytes its range, but before 5.0 no statement forbids it",
    ),
    lax(
        named("rumqttc-nul"),
        &[
            (V311, &[1, 3, 8, 10]),
            (V5, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 14]),
        ],
        RuleId::NulInString,
        "3103000100",
        "U+0000 is not looked for",
    ),
    lax(
        named("rumqttc-utf8"),
        &[(V5, MESSAGES)],
        RuleId::Utf8Invalid,
        "30040001cd00",
        "a topic is not checked to be UTF-8",
    ),
    lax(
        named("rumqttc-id-zero"),
        &[(TWO, &[4, 5, 6, 7, 8, 9, 10, 11])],
        RuleId::PacketIdZero,
        "62020000",
        "the packet identifier 0 is read in all packets but PUBLISH",
    ),
    lax(
        named("rumqttc-connect-reserved"),
        &[(TWO, CONNECT)],
        RuleId::ConnectReservedFlag,
        "100d00044d51545404010000000163",
        "the reserved connect flag is passed over",
    ),
    lax(
        named("rumqttc-password"),
        &[(V311, CONNECT)],
        RuleId::PasswordWithoutUserName,
        "100e00044d5154540442000a00000000",
        "a password without a user name is read",
    ),
    lax(
        named("rumqttc-connack-flags"),
        &[(TWO, CONNACK)],
        RuleId::ConnAckFlags,
        "20020800",
        "reserved flags of CONNACK are passed over",
    ),
    lax(
        named("rumqttc-dup"),
        &[(TWO, PUBLISH)],
        RuleId::DupAtMostOnce,
        "3903000161",
        "DUP on a QoS 0 PUBLISH is read",
    ),
    lax(
        named("rumqttc-topic-empty"),
        &[(V5, PUBLISH)],
        RuleId::EmptyTopicWithoutAlias,
        "3003000000",
        "a PUBLISH with neither topic nor alias is read",
    ),
    lax(
        named("rumqttc-options-reserved"),
        &[(TWO, SUBSCRIBE)],
        RuleId::SubscriptionOptionsReserved,
        "82050001000011",
        "reserved bits of the subscription options are passed over",
    ),
    lax(
        named("rumqttc-unsubscribe-empty"),
        &[(TWO, UNSUBSCRIBE)],
        RuleId::UnsubscribeEmpty,
        "a202ea01",
        "an UNSUBSCRIBE without a filter is read",
    ),
    lax(
        named("rumqttc-repeated"),
        &[(V5, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 14])],
        RuleId::PropertyRepeated,
        "200a00000721000a24002400",
        "a property that is there twice is read",
    ),
    lax(
        named("rumqttc-byte-range"),
        &[(V5, &[1, 2, 3])],
        RuleId::PropertyByteRange,
        "200501000224ed",
        "a property of one byte may have any value",
    ),
    lax(
        named("rumqttc-alias-zero"),
        &[(V5, PUBLISH)],
        RuleId::TopicAliasZero,
        "300700012303230000",
        "the topic alias 0 is read",
    ),
    lax(
        named("rumqttc-subscription-id-zero"),
        &[(V5, &[3, 8])],
        RuleId::SubscriptionIdZero,
        "82090003020b0000016100",
        "the subscription identifier 0 is read",
    ),
    lax(
        named("rumqttc-receive-maximum-zero"),
        &[(V5, &[1, 2])],
        RuleId::ReceiveMaximumZero,
        "2006000003210000",
        "Receive Maximum 0 is read",
    ),
    lax(
        named("rumqttc-packet-size-zero"),
        &[(V5, &[1, 2])],
        RuleId::MaximumPacketSizeZero,
        "20080000052700000000",
        "Maximum Packet Size 0 is read",
    ),
    lax(
        named("rumqttc-response-topic-empty"),
        &[(V5, MESSAGES)],
        RuleId::ResponseTopicEmpty,
        "300700016103080000",
        "an empty response topic is read",
    ),
    lax(
        named("rumqttc-response-topic"),
        &[(V5, MESSAGES)],
        RuleId::ResponseTopicWildcard,
        "31080001620408000123",
        "a response topic with a wildcard is read",
    ),
    lax(
        named("rumqttc-data-alone"),
        &[(V5, CONNECT)],
        RuleId::AuthenticationDataAlone,
        "101100044d5154540502003c04160001010000",
        "authentication data without a method is read",
    ),
    lax(
        named("rumqttc-id-shift-unknown"),
        &[(V5, &[3, 8])],
        RuleId::PropertyUnknown,
        "35090001610008030b0baf",
        "a subscription identifier is counted a byte too long, so that the properties end early and the rest is taken for payload or filters",
    ),
    lax(
        named("rumqttc-id-shift-place"),
        &[(V5, PUBLISH)],
        RuleId::PropertyNotAllowed,
        "3d0f0001610005090b0101010800012f12",
        "the same: a property that may not stand there is taken for payload",
    ),
    other(
        named("rumqttc-id-shift"),
        &[(V5, PUBLISH)],
        Shape::Differs(AFTER_SUBSCRIPTION_ID, has_subscription_id),
        (Right::Ours, "V5-section-3.3.2.3.8"),
        "310a000161060b010b010100",
        "the same: what follows a subscription identifier among the properties is taken for payload",
    ),
    other(
        named("rumqttc-user-name-empty"),
        &[(TWO, CONNECT)],
        Shape::Differs(&[Name::Field("user name")], empty_user_name),
        (Right::Ours, "V311-section-3.1.3.4"),
        "100e00044d5154540480000a00000000",
        "an empty user name cannot be told from none",
    ),
    other(
        named("rumqttc-password-empty"),
        &[(TWO, CONNECT)],
        Shape::Differs(&[Name::Field("password")], empty_password),
        (Right::Ours, "V311-section-3.1.3.5"),
        "101100044d51545404c0003c00016300000000",
        "an empty password cannot be told from none",
    ),
    other(
        named("rumqttc-password-utf8"),
        &[(TWO, CONNECT)],
        Shape::PeerRefuses("TopicNotUtf8", binary_password),
        (Right::Ours, "V311-section-3.1.3.5"),
        "101200044d51545404c2000100000001750001cd",
        "refused for a password that is not UTF-8; it is binary data",
    ),
    other(
        named("rumqttc-bridge"),
        &[(V311, CONNECT)],
        Shape::PeerRefuses("InvalidProtocolLevel", bridge),
        (Right::Both, "V311-section-3.1.2.2"),
        "100c00044d5154548400ffff0000",
        "the protocol level of a bridge, with bit 7 set: an extension that Mosquitto brought",
    ),
    other(
        named("rumqttc-disconnect-empty"),
        &[(V5, DISCONNECT)],
        Shape::PeerRefuses("PayloadRequired", any),
        (Right::Ours, "V5-section-3.14.2.1"),
        "e000",
        "refused: a DISCONNECT without a reason code, which means a normal one",
    ),
    other(
        named("rumqttc-disconnect-reason"),
        &[(V5, DISCONNECT)],
        Shape::WaitsForNothing(|frame| frame.len() == 3),
        (Right::Ours, "V5-section-3.14.2.2.1"),
        "e00180",
        "a DISCONNECT with a reason code and no properties is waited for, so that the client never hears why it was disconnected",
    ),
    other(
        named("rumqttc-reason-8c"),
        &[(V5, DISCONNECT)],
        Shape::PeerRefuses("InvalidConnectReturnCode(140)", reason_8c),
        (Right::Both, "V5-section-2.4"),
        "e0018c",
        "DISCONNECT with 0x8C: section 2.4 has it, the table of section 3.14.2.1 does not",
    ),
    other(
        named("rumqttc-auth"),
        &[(V5, AUTH)],
        Shape::PeerRefuses("InvalidPacketType(15)", any),
        (Right::Ours, "V5-section-3.15"),
        "f000",
        "AUTH is not known",
    ),
    other(
        named("rumqttc-waits"),
        &[(V5, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 14])],
        Shape::WaitsInstead,
        (Right::Ours, "MQTT-4.13.1-1"),
        "a2024e98",
        "a field that runs past the end of its packet is waited for, with everything that comes behind it",
    ),
];
