//! mqtt-proto 0.4: strict about flags and codes, silent about what follows the last field.

use mqtt_codec::RuleId;

use super::super::facts::{Facts, Name, Value};
use super::super::judgement::{Judged, Right, Shape};
use super::*;

const fn named(id: &'static str) -> (&'static str, &'static str) {
    (id, "mqtt-proto")
}

fn password_left_out(facts: &Facts) -> bool {
    let there = |name| facts.of(Name::Field(name)).next().is_some();
    !there("user name") || !there("password")
}

/// A payload that says it is UTF-8 and is not, of the message or of the will.
fn no_utf8(facts: &Facts) -> bool {
    let said = |name| facts.of(name).eq([&Value::Number(1)]);
    let broken = |name| {
        facts.of(Name::Field(name)).any(
            |value| matches!(value, Value::Bytes(bytes) if core::str::from_utf8(bytes).is_err()),
        )
    };
    (said(Name::Property(0x01)) && broken("payload"))
        || (said(Name::Will(0x01)) && broken("will payload"))
}

fn several_subscription_ids(facts: &Facts) -> bool {
    facts.of(Name::Property(0x0b)).count() > 1
}

pub(super) static ROWS: &[Judged] = &[
    lax(
        named("proto-trailing"),
        &[
            (OLDER, &[1, 2, 4, 5, 6, 7, 11, 12, 13, 14]),
            (V5, &[1, 2, 4, 5, 6, 7, 12, 13, 14, 15]),
        ],
        RuleId::TrailingBytes,
        "2003000000",
        "bytes behind the last field are passed over",
    ),
    lax(
        named("proto-long-varint"),
        &[(V5, ANY)],
        RuleId::VarIntNotShortest,
        "d08000",
        "lengths in more bytes than they take are read",
    ),
    other(
        named("proto-long-length"),
        &[(OLDER, ANY_OLDER)],
        Shape::WeRefuse(RuleId::VarIntNotShortest),
        (Right::Both, "V311-section-2.2.3"),
        "d08000",
        "a length in more bytes than it takes: table 2.4 gives each number of bytes its range, but before 5.0 no statement forbids it",
    ),
    lax(
        named("proto-nul"),
        &[(V311, CONNECT), (V5, STRINGS)],
        RuleId::NulInString,
        "100d00044d5154540400000a000100",
        "U+0000 is looked for in topics and filters only",
    ),
    other(
        named("proto-nul-3.1"),
        &[(V31, CONNECT)],
        Shape::WeRefuse(RuleId::NulInString),
        (Right::Both, "V31-section-2.5"),
        "100f00064d514973647003000000000100",
        "U+0000 in a string: 3.1 does not speak of it; we keep the later rule, for such a string goes on to clients of later versions",
    ),
    lax(
        named("proto-password"),
        &[(OLDER, CONNECT)],
        RuleId::PasswordWithoutUserName,
        "101000064d51497364700340000a00000000",
        "a password without a user name is read",
    ),
    lax(
        named("proto-will-retain"),
        &[(ALL, CONNECT)],
        RuleId::WillRetainWithoutWill,
        "100e00064d51497364700320000a0000",
        "the flag Will Retain without a will is passed over",
    ),
    lax(
        named("proto-dup"),
        &[(TWO, PUBLISH)],
        RuleId::DupAtMostOnce,
        "3803000161",
        "DUP on a QoS 0 PUBLISH is read",
    ),
    lax(
        named("proto-suback-empty"),
        &[(ALL, SUBACK)],
        RuleId::SubAckEmpty,
        "90020001",
        "a SUBACK without a code is read",
    ),
    lax(
        named("proto-unsuback-empty"),
        &[(V5, UNSUBACK)],
        RuleId::UnsubAckEmpty,
        "b003ffff00",
        "an UNSUBACK without a code is read",
    ),
    lax(
        named("proto-topic-empty"),
        &[(V5, PUBLISH)],
        RuleId::EmptyTopicWithoutAlias,
        "3003000000",
        "a PUBLISH with neither topic nor alias is read",
    ),
    lax(
        named("proto-alias-zero"),
        &[(V5, PUBLISH)],
        RuleId::TopicAliasZero,
        "3008000161032300000f",
        "the topic alias 0 is read",
    ),
    lax(
        named("proto-subscription-id-zero"),
        &[(V5, &[3, 8])],
        RuleId::SubscriptionIdZero,
        "3006000161020b00",
        "the subscription identifier 0 is read",
    ),
    lax(
        named("proto-receive-maximum-zero"),
        &[(V5, &[1, 2])],
        RuleId::ReceiveMaximumZero,
        "2006000003210000",
        "Receive Maximum 0 is read",
    ),
    lax(
        named("proto-packet-size-zero"),
        &[(V5, &[1, 2])],
        RuleId::MaximumPacketSizeZero,
        "20080000052700000000",
        "Maximum Packet Size 0 is read",
    ),
    lax(
        named("proto-response-topic-empty"),
        &[(V5, MESSAGES)],
        RuleId::ResponseTopicEmpty,
        "300700016103080000",
        "an empty response topic is read",
    ),
    lax(
        named("proto-data-alone"),
        &[(V5, &[1, 15])],
        RuleId::AuthenticationDataAlone,
        "f0051803160000",
        "authentication data without a method is read",
    ),
    lax(
        named("proto-auth-method"),
        &[(V5, AUTH)],
        RuleId::AuthenticationMethodMissing,
        "f0021900",
        "an AUTH without a method is read",
    ),
    other(
        named("proto-dup-3.1"),
        &[(V31, PUBLISH)],
        Shape::Differs(&[Name::Field("dup")], any),
        (Right::Ours, "V31-section-2.1"),
        "3803000161",
        "DUP is reported of a QoS 0 PUBLISH; in 3.1 the flag applies from QoS 1 on",
    ),
    other(
        named("proto-session-present-3.1"),
        &[(V31, CONNACK)],
        Shape::Differs(&[Name::Field("session present")], any),
        (Right::Ours, "V31-section-3.2"),
        "20020100",
        "Session Present is reported of a CONNACK of 3.1, which does not use that byte",
    ),
    other(
        named("proto-connack-byte-3.1"),
        &[(V31, CONNACK)],
        Shape::PeerRefuses("InvalidConnackFlags", any),
        (Right::Ours, "V31-section-3.2"),
        "20020b00",
        "refused for the first byte of CONNACK, which 3.1 does not use",
    ),
    other(
        named("proto-connect-flag-3.1"),
        &[(V31, CONNECT)],
        Shape::PeerRefuses("InvalidConnectFlags", any),
        (Right::Ours, "V31-section-3.1"),
        "100f00064d514973647003010000000163",
        "refused for the lowest connect flag, which 3.1 does not use",
    ),
    other(
        named("proto-header-3.1"),
        &[(V31, &[6, 8, 10])],
        Shape::PeerRefuses("InvalidHeader", any),
        (Right::Ours, "V31-section-3.6"),
        "6a020ab8",
        "refused for DUP, which 3.1 allows in PUBREL, SUBSCRIBE and UNSUBSCRIBE that are sent again",
    ),
    other(
        named("proto-optional-3.1"),
        &[(V31, CONNECT)],
        Shape::PeerRefuses("InvalidRemainingLength", password_left_out),
        (Right::Ours, "V31-section-3.1"),
        "100e00064d514973647003c2ffff0000",
        "refused since an announced user name or password is left out; in 3.1 the length of the packet takes precedence over the flags",
    ),
    other(
        named("proto-bridge"),
        &[(OLDER, CONNECT)],
        Shape::PeerRefuses("InvalidProtocol", bridge),
        (Right::Both, "V311-section-3.1.2.2"),
        "100e00064d51497364708302003c0000",
        "the protocol level of a bridge, with bit 7 set: an extension that Mosquitto brought",
    ),
    other(
        named("proto-topic"),
        &[(OLDER, MESSAGES)],
        Shape::PeerRefuses("InvalidTopicName", bad_topic),
        (Right::Both, "MQTT-4.7.1-1"),
        "3003000123",
        "a topic name with a wildcard: here mqtt-topic refuses it, a layer above",
    ),
    other(
        named("proto-topic-5.0"),
        &[(V5, MESSAGES)],
        Shape::PeerRefuses("Common(InvalidTopicName", bad_topic),
        (Right::Both, "MQTT-3.3.2-2"),
        "310400012300",
        "the same in 5.0",
    ),
    other(
        named("proto-filter"),
        &[(OLDER, FILTERS)],
        Shape::PeerRefuses("InvalidTopicFilter", bad_filter),
        (Right::Both, "MQTT-4.7.1-2"),
        "a20400010000",
        "a filter that is not well formed: here mqtt-topic refuses it, a layer above",
    ),
    other(
        named("proto-filter-5.0"),
        &[(V5, FILTERS)],
        Shape::PeerRefuses("Common(InvalidTopicFilter", bad_filter),
        (Right::Both, "MQTT-4.7.1-1"),
        "a2050005000000",
        "the same in 5.0",
    ),
    other(
        named("proto-payload-format"),
        &[(V5, MESSAGES)],
        Shape::PeerRefuses("InvalidPayloadFormat", no_utf8),
        (Right::Both, "V5-section-3.3.2.3.2"),
        "3007000162020101e4",
        "a payload that is said to be UTF-8 and is not: a receiver may look at that; our codec leaves payloads alone",
    ),
    other(
        named("proto-subscription-ids"),
        &[(V5, PUBLISH)],
        Shape::PeerRefuses(
            "DuplicatedProperty(SubscriptionIdentifier",
            several_subscription_ids,
        ),
        (Right::Ours, "V5-section-3.3.2.3.8"),
        "3008000161040b320b01",
        "refused for a second subscription identifier, which a PUBLISH has when several subscriptions match",
    ),
    other(
        named("proto-reason-8c"),
        &[(V5, DISCONNECT)],
        Shape::PeerRefuses("InvalidReasonCode", reason_8c),
        (Right::Both, "V5-section-2.4"),
        "e0018c",
        "DISCONNECT with 0x8C: section 2.4 has it, the table of section 3.14.2.1 does not",
    ),
];
