//! mqtt-protocol-core 0.7: complete in what it reads, trusting about flags and identifiers.

use mqtt_codec::RuleId;

use super::super::facts::{Facts, Name};
use super::super::judgement::{Judged, Right, Shape};
use super::*;

const fn named(id: &'static str) -> (&'static str, &'static str) {
    (id, "mqtt-protocol-core")
}

fn password_alone(facts: &Facts) -> bool {
    facts.of(Name::Field("user name")).next().is_none()
        && facts.of(Name::Field("password")).next().is_some()
}

pub(super) static ROWS: &[Judged] = &[
    lax(
        named("core-trailing"),
        &[
            (V311, &[1, 2, 4, 5, 6, 7, 11, 12, 13, 14]),
            (V5, &[1, 2, 4, 5, 6, 7, 12, 13, 14, 15]),
        ],
        RuleId::TrailingBytes,
        "c00121",
        "bytes behind the last field are passed over",
    ),
    lax(
        named("core-long-varint"),
        &[(V5, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 14, 15])],
        RuleId::VarIntNotShortest,
        "e0039a8000",
        "lengths of properties in more bytes than they take are read",
    ),
    lax(
        named("core-nul"),
        &[(V311, &[1, 3, 8, 10]), (V5, STRINGS)],
        RuleId::NulInString,
        "3103000100",
        "U+0000 is not looked for",
    ),
    lax(
        named("core-id-zero"),
        &[(TWO, &[3, 8, 9, 10, 11])],
        RuleId::PacketIdZero,
        "b0020000",
        "the packet identifier 0 is read",
    ),
    lax(
        named("core-connect-reserved"),
        &[(TWO, CONNECT)],
        RuleId::ConnectReservedFlag,
        "100c00044d5154540421003c0000",
        "the reserved connect flag is passed over",
    ),
    lax(
        named("core-will-qos"),
        &[(TWO, CONNECT)],
        RuleId::WillQoS,
        "100c00044d515454041a003c0000",
        "will QoS 3 without a will is passed over",
    ),
    lax(
        named("core-will-qos-alone"),
        &[(TWO, CONNECT)],
        RuleId::WillQoSWithoutWill,
        "100c00044d5154540412ffff0000",
        "will QoS without a will is passed over",
    ),
    lax(
        named("core-will-retain"),
        &[(TWO, CONNECT)],
        RuleId::WillRetainWithoutWill,
        "100c00044d5154540420000a0000",
        "the flag Will Retain without a will is passed over",
    ),
    lax(
        named("core-connack-flags"),
        &[(TWO, CONNACK)],
        RuleId::ConnAckFlags,
        "20020800",
        "reserved flags of CONNACK are passed over",
    ),
    lax(
        named("core-dup"),
        &[(TWO, PUBLISH)],
        RuleId::DupAtMostOnce,
        "3803000123",
        "DUP on a QoS 0 PUBLISH is read",
    ),
    lax(
        named("core-no-properties"),
        &[(V5, PUBLISH)],
        RuleId::Truncated,
        "30020000",
        "a PUBLISH that ends before the length of its properties is read",
    ),
    lax(
        named("core-topic-empty"),
        &[(V5, PUBLISH)],
        RuleId::EmptyTopicWithoutAlias,
        "3003000000",
        "a PUBLISH with neither topic nor alias is read",
    ),
    lax(
        named("core-response-topic-empty"),
        &[(V5, MESSAGES)],
        RuleId::ResponseTopicEmpty,
        "300700016103080000",
        "an empty response topic is read",
    ),
    lax(
        named("core-response-topic"),
        &[(V5, MESSAGES)],
        RuleId::ResponseTopicWildcard,
        "31080001620408000123",
        "a response topic with a wildcard is read",
    ),
    lax(
        named("core-subscription-id-twice"),
        &[(V5, SUBSCRIBE)],
        RuleId::PropertyRepeated,
        "820c0002050ba6010b0100016100",
        "a second subscription identifier in SUBSCRIBE is read",
    ),
    lax(
        named("core-options-reserved"),
        &[(V311, SUBSCRIBE)],
        RuleId::SubscriptionOptionsReserved,
        "82050001000011",
        "options of 5.0 are read in a SUBSCRIBE of 3.1.1",
    ),
    lax(
        named("core-data-alone"),
        &[(V5, CONNECT)],
        RuleId::AuthenticationDataAlone,
        "101100044d5154540502003c04160001010000",
        "authentication data without a method is read",
    ),
    lax(
        named("core-auth-method"),
        &[(V5, AUTH)],
        RuleId::AuthenticationMethodMissing,
        "f00500031f0000",
        "an AUTH without a method is read if it has another property",
    ),
    lax(
        named("core-auth-short"),
        &[(V5, AUTH)],
        RuleId::Truncated,
        "f00100",
        "an AUTH of its reason code alone is read, as a DISCONNECT is; for AUTH the length of the properties goes with the code only",
    ),
    other(
        named("core-password"),
        &[(V5, CONNECT)],
        Shape::PeerRefuses("ProtocolError", password_alone),
        (Right::Ours, "V5-section-3.1.2.9"),
        "100f00044d5154540540ffff0000000000",
        "refused for a password without a user name, which 5.0 allows",
    ),
    other(
        named("core-bridge"),
        &[(V311, CONNECT)],
        Shape::PeerRefuses("UnsupportedProtocolVersion", bridge),
        (Right::Both, "V311-section-3.1.2.2"),
        "100c00044d5154548400ffff0000",
        "the protocol level of a bridge, with bit 7 set: an extension that Mosquitto brought",
    ),
    other(
        named("core-share"),
        &[(V5, FILTERS)],
        Shape::PeerRefuses("MalformedPacket", bad_filter),
        (Right::Both, "MQTT-4.8.2-1"),
        "a20d00030000082473686172652f67",
        "a shared subscription that is not well formed: here mqtt-topic refuses it, a layer above",
    ),
    other(
        named("core-reason-8c"),
        &[(V5, DISCONNECT)],
        Shape::PeerRefuses("MalformedPacket", reason_8c),
        (Right::Both, "V5-section-2.4"),
        "e0018c",
        "DISCONNECT with 0x8C: section 2.4 has it, the table of section 3.14.2.1 does not",
    ),
];
