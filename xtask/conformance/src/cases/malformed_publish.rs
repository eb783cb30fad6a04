//! 3.3 PUBLISH that is none: its fields and properties. The message reaches nobody, and the connection ends.

use mqtt_codec::{QoS, ReasonCode};

use crate::case::chapter;
use crate::cases::MALFORMED;
use crate::ctx::Ctx;
use crate::failure::Step;
use crate::raw::{packet, properties, string};

chapter!(
    malformed_publish,
    "3.3 PUBLISH, malformed",
    [
        qos_3,
        dup_with_qos_0,
        packet_id_0,
        packet_id_missing,
        topic_cut,
        empty,
        topic_not_utf8,
        topic_with_a_surrogate,
        topic_overlong,
        topic_with_nul,
        properties_missing,
        properties_longer_than_the_packet,
        property_twice,
        property_of_another_packet,
        property_unknown,
        property_cut,
        subscription_identifier,
        alias_0,
        response_topic_with_wildcard,
        response_topic_not_utf8,
        content_type_not_utf8,
        user_property_not_utf8,
    ]
);

/// Sends the packet; the connection must end, and a watcher of all topics of the case must not get a message.
#[track_caller]
fn unheard(ctx: &Ctx, bytes: &[u8], reasons: &[ReasonCode]) -> Step {
    let mut watcher = ctx.subscribed("w", &ctx.topic("#"), QoS::ExactlyOnce)?;
    ctx.broken(bytes, reasons)?;
    watcher.silence()
}

#[track_caller]
fn malformed(ctx: &Ctx, first: u8, body: &[&[u8]]) -> Step {
    unheard(ctx, &packet(first, body), MALFORMED)
}

/// A QoS 0 PUBLISH with this topic.
#[track_caller]
fn with_topic(ctx: &Ctx, end: &[u8]) -> Step {
    let topic = [ctx.topic("t").as_bytes(), end].concat();
    let body = [string(topic), properties(ctx.version, &[]), b"x".to_vec()].concat();
    unheard(
        ctx,
        &packet(0x30, &[&body]),
        &[
            ReasonCode::MALFORMED_PACKET,
            ReasonCode::PROTOCOL_ERROR,
            ReasonCode::TOPIC_NAME_INVALID,
        ],
    )
}

/// A QoS 0 PUBLISH with these properties.
#[track_caller]
fn with_properties(ctx: &Ctx, bytes: &[u8]) -> Step {
    let topic = string(ctx.topic("t"));
    malformed(ctx, 0x30, &[&topic, &properties(ctx.version, bytes), b"x"])
}

/// QoS 3 does not exist. [MQTT-3.3.1-4] [3.1.1:MQTT-3.3.1-4]
fn qos_3(ctx: &Ctx) -> Step {
    let topic = string(ctx.topic("t"));
    let none = properties(ctx.version, &[]);
    unheard(
        ctx,
        &packet(0x36, &[&topic, &[0, 1], &none, b"x"]),
        &[
            ReasonCode::MALFORMED_PACKET,
            ReasonCode::PROTOCOL_ERROR,
            ReasonCode::QOS_NOT_SUPPORTED,
        ],
    )
}

/// With QoS 0, DUP is 0. [MQTT-3.3.1-2] [MQTT-4.3.1-1] [3.1.1:MQTT-3.3.1-2] [3.1.1:MQTT-4.8.0-1]
fn dup_with_qos_0(ctx: &Ctx) -> Step {
    let topic = string(ctx.topic("t"));
    malformed(ctx, 0x38, &[&topic, &properties(ctx.version, &[]), b"x"])
}

/// The packet identifier of a PUBLISH of QoS 1 or 2 is not 0. [MQTT-4.13.1-1] [3.1.1:MQTT-2.3.1-1]
fn packet_id_0(ctx: &Ctx) -> Step {
    let topic = string(ctx.topic("t"));
    for first in [0x32, 0x34] {
        let none = properties(ctx.version, &[]);
        malformed(ctx, first, &[&topic, &[0, 0], &none, b"x"])?;
    }
    Ok(())
}

/// A PUBLISH of QoS 1 or 2 has a packet identifier. [MQTT-4.13.1-1] [3.1.1:MQTT-4.8.0-1]
fn packet_id_missing(ctx: &Ctx) -> Step {
    let topic = string(ctx.topic("t"));
    for first in [0x32, 0x34] {
        malformed(ctx, first, &[&topic, &[1]])?;
    }
    Ok(())
}

/// A topic that is longer than the packet is malformed. [MQTT-4.13.1-1] [3.1.1:MQTT-4.8.0-1]
fn topic_cut(ctx: &Ctx) -> Step {
    malformed(ctx, 0x30, &[&[0, 9, b't']])
}

/// A PUBLISH without a topic is malformed. [MQTT-3.3.2-1] [3.1.1:MQTT-3.3.2-1]
fn empty(ctx: &Ctx) -> Step {
    malformed(ctx, 0x30, &[])?;
    malformed(ctx, 0x30, &[&[0]])
}

/// A topic is UTF-8. [MQTT-1.5.4-1] [MQTT-3.3.2-1] [3.1.1:MQTT-1.5.3-1] [3.1.1:MQTT-3.3.2-1]
fn topic_not_utf8(ctx: &Ctx) -> Step {
    with_topic(ctx, b"\xff")?;
    with_topic(ctx, b"\xe2\x82")?;
    with_topic(ctx, b"\x80")?;
    with_topic(ctx, b"\xf4\x90\x80\x80")
}

/// A topic has no surrogate. [MQTT-1.5.4-1] [3.1.1:MQTT-1.5.3-1]
fn topic_with_a_surrogate(ctx: &Ctx) -> Step {
    with_topic(ctx, b"\xed\xa0\x80")?;
    with_topic(ctx, b"\xed\xa0\xbd\xed\xb8\x80")
}

/// A topic has every character in its shortest form. [MQTT-1.5.4-1] [3.1.1:MQTT-1.5.3-1]
fn topic_overlong(ctx: &Ctx) -> Step {
    with_topic(ctx, b"\xc0\x80")?;
    with_topic(ctx, b"\xc1\x81")?;
    with_topic(ctx, b"\xe0\x81\x81")
}

/// A topic has no U+0000. [MQTT-1.5.4-2] [MQTT-4.7.3-2] [3.1.1:MQTT-1.5.3-2] [3.1.1:MQTT-4.7.3-2]
fn topic_with_nul(ctx: &Ctx) -> Step {
    with_topic(ctx, b"\0")?;
    with_topic(ctx, b"\0t")
}

/// Having no properties is said with a length of 0. [MQTT-2.2.2-1]
fn properties_missing(ctx: &Ctx) -> Step {
    malformed(ctx, 0x30, &[&string(ctx.topic("t"))])
}

/// Properties that are longer than the packet are malformed. [MQTT-4.13.1-1]
fn properties_longer_than_the_packet(ctx: &Ctx) -> Step {
    malformed(ctx, 0x30, &[&string(ctx.topic("t")), &[9], b"x"])
}

/// No property of a PUBLISH but user properties comes twice. [MQTT-4.13.1-1]
fn property_twice(ctx: &Ctx) -> Step {
    for property in [
        &[0x01, 1][..],
        &[0x02, 0, 0, 0, 9],
        &[0x03, 0, 1, b't'],
        &[0x08, 0, 1, b'r'],
        &[0x09, 0, 1, 7],
        &[0x23, 0, 1],
    ] {
        with_properties(ctx, &property.repeat(2))?;
    }
    Ok(())
}

/// A property that is not one of PUBLISH is a protocol error. [MQTT-4.13.1-1]
fn property_of_another_packet(ctx: &Ctx) -> Step {
    for property in [
        &[0x11, 0, 0, 0, 1][..],
        &[0x21, 0, 9],
        &[0x1f, 0, 1, b'r'],
        &[0x18, 0, 0, 0, 1],
    ] {
        with_properties(ctx, property)?;
    }
    Ok(())
}

/// A property that does not exist is malformed. [MQTT-4.13.1-1]
fn property_unknown(ctx: &Ctx) -> Step {
    for id in [0x00, 0x0a, 0x7f] {
        with_properties(ctx, &[id, 0])?;
    }
    Ok(())
}

/// A property that ends before its value does is malformed. [MQTT-4.13.1-1]
fn property_cut(ctx: &Ctx) -> Step {
    with_properties(ctx, &[0x02, 0, 0])?;
    with_properties(ctx, &[0x09, 0, 9, 1])
}

/// Only the broker sends subscription identifiers in PUBLISH. [MQTT-4.13.1-1]
fn subscription_identifier(ctx: &Ctx) -> Step {
    with_properties(ctx, &[0x0b, 1])
}

/// A topic alias is not 0. [MQTT-3.3.2-8]
fn alias_0(ctx: &Ctx) -> Step {
    let topic = string(ctx.topic("t"));
    let alias = properties(ctx.version, &[0x23, 0, 0]);
    unheard(
        ctx,
        &packet(0x30, &[&topic, &alias, b"x"]),
        &[
            ReasonCode::TOPIC_ALIAS_INVALID,
            ReasonCode::PROTOCOL_ERROR,
            ReasonCode::MALFORMED_PACKET,
        ],
    )
}

/// A response topic has no wildcard. [MQTT-3.3.2-14]
fn response_topic_with_wildcard(ctx: &Ctx) -> Step {
    for topic in ["a/+", "#"] {
        let property = [vec![0x08], string(topic)].concat();
        let bytes = packet(
            0x30,
            &[
                &string(ctx.topic("t")),
                &properties(ctx.version, &property),
                b"x",
            ],
        );
        unheard(
            ctx,
            &bytes,
            &[
                ReasonCode::PROTOCOL_ERROR,
                ReasonCode::MALFORMED_PACKET,
                ReasonCode::TOPIC_NAME_INVALID,
            ],
        )?;
    }
    Ok(())
}

/// A response topic is UTF-8 without U+0000. [MQTT-3.3.2-13] [MQTT-1.5.4-1] [MQTT-1.5.4-2]
fn response_topic_not_utf8(ctx: &Ctx) -> Step {
    with_properties(ctx, &[0x08, 0, 2, b'r', 0xff])?;
    with_properties(ctx, &[0x08, 0, 2, b'r', 0])
}

/// A content type is UTF-8 without U+0000. [MQTT-3.3.2-19] [MQTT-1.5.4-1] [MQTT-1.5.4-2]
fn content_type_not_utf8(ctx: &Ctx) -> Step {
    with_properties(ctx, &[0x03, 0, 2, b't', 0xff])?;
    with_properties(ctx, &[0x03, 0, 2, b't', 0])
}

/// Both halves of a user property are UTF-8 without U+0000. [MQTT-1.5.7-1] [MQTT-1.5.4-1] [MQTT-1.5.4-2]
fn user_property_not_utf8(ctx: &Ctx) -> Step {
    for (name, value) in [
        (&b"\xff"[..], &b"v"[..]),
        (b"n", b"\xff"),
        (b"\0", b"v"),
        (b"n", b"\0"),
    ] {
        with_properties(ctx, &[vec![0x26], string(name), string(value)].concat())?;
    }
    Ok(())
}
