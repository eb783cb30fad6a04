//! 3.1 CONNECT that is none: protocol name, flags, fields, properties.

use crate::case::chapter;
use crate::cases::MALFORMED;
use crate::ctx::Ctx;
use crate::failure::Step;
use crate::raw::{RawConnect, packet, properties, string};

use mqtt_codec::ReasonCode;

chapter!(
    malformed_connect,
    "3.1 CONNECT, malformed",
    [
        protocol_name,
        protocol_name_cut,
        reserved_header_flags,
        reserved_connect_flag,
        will_qos_without_a_will,
        will_retain_without_a_will,
        will_qos_3,
        will_missing,
        user_name_missing,
        password_missing,
        password_without_a_user_name,
        client_id_missing,
        client_id_cut,
        bytes_behind_the_payload,
        empty,
        client_id_not_utf8,
        client_id_with_nul,
        will_topic_not_utf8,
        user_name_not_utf8,
        property_twice,
        will_property_twice,
        property_with_a_wrong_value,
        property_of_another_packet,
        property_unknown,
        property_cut,
        properties_longer_than_the_packet,
        will_property_of_another_packet,
        user_property_not_utf8,
        response_topic_of_a_will_with_wildcard,
    ]
);

fn connect(ctx: &Ctx) -> RawConnect {
    RawConnect::new(ctx.version, &ctx.id("c"))
}

/// Sends the CONNECT, which must be refused.
#[track_caller]
fn refused(ctx: &Ctx, connect: &RawConnect) -> Step {
    refused_for(ctx, connect, MALFORMED)
}

#[track_caller]
fn refused_for(ctx: &Ctx, connect: &RawConnect, codes: &[ReasonCode]) -> Step {
    ctx.refused(&connect.bytes(), codes)?;
    Ok(())
}

/// The payload of a CONNECT with a will.
fn with_will(ctx: &Ctx, will_properties: &[u8], topic: &[u8]) -> Vec<u8> {
    [
        string(ctx.id("c")),
        properties(ctx.version, will_properties),
        string(topic),
        string("gone"),
    ]
    .concat()
}

/// Another protocol name than MQTT is not taken for MQTT. [MQTT-3.1.2-1] [3.1.1:MQTT-3.1.2-1]
fn protocol_name(ctx: &Ctx) -> Step {
    for name in [&b"MQTX"[..], b"mqtt", b"MQTTT", b""] {
        let connect = RawConnect {
            name: name.to_vec(),
            ..connect(ctx)
        };
        ctx.refused_version(&connect.bytes())?;
    }
    Ok(())
}

/// A CONNECT that ends within the protocol name is malformed. [MQTT-3.1.4-1] [3.1.1:MQTT-3.1.4-1]
fn protocol_name_cut(ctx: &Ctx) -> Step {
    ctx.refused(&[0x10, 4, 0, 4, b'M', b'Q'], MALFORMED)?;
    Ok(())
}

/// The reserved flags of the fixed header must be 0. [MQTT-2.1.3-1] [MQTT-3.1.4-1] [3.1.1:MQTT-2.2.2-2] [3.1.1:MQTT-3.1.4-1]
fn reserved_header_flags(ctx: &Ctx) -> Step {
    for flags in [1, 2, 4, 8] {
        let connect = RawConnect {
            first: 0x10 | flags,
            ..connect(ctx)
        };
        refused(ctx, &connect)?;
    }
    Ok(())
}

/// The reserved connect flag must be 0; before 5.0 no CONNACK can say so. [MQTT-3.1.2-3] [3.1.1:MQTT-3.1.2-3] [3.1.1:MQTT-3.2.2-6]
fn reserved_connect_flag(ctx: &Ctx) -> Step {
    let connect = RawConnect {
        flags: 0x03,
        ..connect(ctx)
    };
    refused(ctx, &connect)
}

/// Without a will, Will QoS is 0. [MQTT-3.1.4-1] [3.1.1:MQTT-3.1.2-11] [3.1.1:MQTT-3.1.4-1]
fn will_qos_without_a_will(ctx: &Ctx) -> Step {
    for qos in [1, 2, 3] {
        let connect = RawConnect {
            flags: 0x02 | qos << 3,
            ..connect(ctx)
        };
        refused(ctx, &connect)?;
    }
    Ok(())
}

/// Without a will, Will Retain is 0. [MQTT-3.1.4-1] [3.1.1:MQTT-3.1.2-11] [3.1.1:MQTT-3.1.4-1]
fn will_retain_without_a_will(ctx: &Ctx) -> Step {
    let connect = RawConnect {
        flags: 0x22,
        ..connect(ctx)
    };
    refused(ctx, &connect)
}

/// Will QoS 3 does not exist. [MQTT-3.1.4-1] [3.1.1:MQTT-3.1.4-1]
fn will_qos_3(ctx: &Ctx) -> Step {
    let connect = RawConnect {
        flags: 0x06 | 3 << 3,
        payload: with_will(ctx, &[], ctx.topic("will").as_bytes()),
        ..connect(ctx)
    };
    refused_for(
        ctx,
        &connect,
        &[
            ReasonCode::MALFORMED_PACKET,
            ReasonCode::PROTOCOL_ERROR,
            ReasonCode::QOS_NOT_SUPPORTED,
        ],
    )
}

/// With the will flag, the will is there. [MQTT-3.1.4-1] [3.1.1:MQTT-3.1.2-9] [3.1.1:MQTT-3.1.4-1]
fn will_missing(ctx: &Ctx) -> Step {
    let connect = RawConnect {
        flags: 0x06,
        ..connect(ctx)
    };
    refused(ctx, &connect)
}

/// With the user name flag, the user name is there. [MQTT-3.1.4-1] [3.1.1:MQTT-3.1.4-1]
fn user_name_missing(ctx: &Ctx) -> Step {
    let connect = RawConnect {
        flags: 0x82,
        ..connect(ctx)
    };
    refused(ctx, &connect)
}

/// With the password flag, the password is there. [MQTT-3.1.4-1] [3.1.1:MQTT-3.1.4-1]
fn password_missing(ctx: &Ctx) -> Step {
    let connect = RawConnect {
        flags: 0xc2,
        payload: [string(ctx.id("c")), string("user")].concat(),
        ..connect(ctx)
    };
    refused(ctx, &connect)
}

/// Before 5.0 there is no password without a user name. [3.1.1:MQTT-3.1.4-1]
fn password_without_a_user_name(ctx: &Ctx) -> Step {
    let connect = RawConnect {
        flags: 0x42,
        payload: [string(ctx.id("c")), string("secret")].concat(),
        ..connect(ctx)
    };
    refused(ctx, &connect)
}

/// CONNECT has a client identifier, be it empty. [MQTT-3.1.4-1] [3.1.1:MQTT-3.1.4-1]
fn client_id_missing(ctx: &Ctx) -> Step {
    let connect = RawConnect {
        payload: Vec::new(),
        ..connect(ctx)
    };
    refused(ctx, &connect)
}

/// A client identifier that is longer than the packet is malformed. [MQTT-3.1.4-1] [3.1.1:MQTT-3.1.4-1]
fn client_id_cut(ctx: &Ctx) -> Step {
    let connect = RawConnect {
        payload: vec![0, 9, b'c'],
        ..connect(ctx)
    };
    refused(ctx, &connect)
}

/// Nothing follows the last field that the flags announce. [MQTT-3.1.4-1] [3.1.1:MQTT-3.1.4-1]
fn bytes_behind_the_payload(ctx: &Ctx) -> Step {
    let connect = RawConnect {
        payload: [string(ctx.id("c")), string("user")].concat(),
        ..connect(ctx)
    };
    refused(ctx, &connect)
}

/// A CONNECT without anything behind its fixed header is malformed. [MQTT-3.1.4-1] [3.1.1:MQTT-3.1.4-1]
fn empty(ctx: &Ctx) -> Step {
    ctx.refused(&[0x10, 0], MALFORMED)?;
    Ok(())
}

/// A client identifier that is not UTF-8 is malformed, or refused. [MQTT-1.5.4-1] [MQTT-3.1.4-1] [3.1.1:MQTT-1.5.3-1] [3.1.1:MQTT-3.1.4-1]
fn client_id_not_utf8(ctx: &Ctx) -> Step {
    client_id(ctx, b"\xff\xfe")?;
    client_id(ctx, b"\xed\xa0\x80")
}

/// A client identifier with U+0000 is malformed, or refused. [MQTT-1.5.4-2] [MQTT-3.1.4-1] [3.1.1:MQTT-1.5.3-2] [3.1.1:MQTT-3.1.4-1]
fn client_id_with_nul(ctx: &Ctx) -> Step {
    client_id(ctx, b"\0")
}

#[track_caller]
fn client_id(ctx: &Ctx, end: &[u8]) -> Step {
    let connect = RawConnect {
        payload: string([ctx.id("").as_bytes(), end].concat()),
        ..connect(ctx)
    };
    refused_for(
        ctx,
        &connect,
        &[
            ReasonCode::MALFORMED_PACKET,
            ReasonCode::PROTOCOL_ERROR,
            ReasonCode::CLIENT_IDENTIFIER_NOT_VALID,
        ],
    )
}

/// A will topic that is not UTF-8 or has U+0000 is malformed.
/// [MQTT-1.5.4-1] [MQTT-1.5.4-2] [MQTT-3.1.4-1] [3.1.1:MQTT-1.5.3-1] [3.1.1:MQTT-1.5.3-2] [3.1.1:MQTT-3.1.4-1]
fn will_topic_not_utf8(ctx: &Ctx) -> Step {
    for topic in [&b"will\xff"[..], b"will\xed\xbf\xbf", b"will\0"] {
        let connect = RawConnect {
            flags: 0x06,
            payload: with_will(ctx, &[], topic),
            ..connect(ctx)
        };
        refused_for(
            ctx,
            &connect,
            &[
                ReasonCode::MALFORMED_PACKET,
                ReasonCode::PROTOCOL_ERROR,
                ReasonCode::TOPIC_NAME_INVALID,
            ],
        )?;
    }
    Ok(())
}

/// A user name that is not UTF-8 is malformed. [MQTT-1.5.4-1] [MQTT-3.1.4-1] [3.1.1:MQTT-1.5.3-1] [3.1.1:MQTT-3.1.4-1]
fn user_name_not_utf8(ctx: &Ctx) -> Step {
    let connect = RawConnect {
        flags: 0x82,
        payload: [string(ctx.id("c")), string(b"\xc0\x80")].concat(),
        ..connect(ctx)
    };
    refused_for(
        ctx,
        &connect,
        &[
            ReasonCode::MALFORMED_PACKET,
            ReasonCode::PROTOCOL_ERROR,
            ReasonCode::BAD_USER_NAME_OR_PASSWORD,
        ],
    )
}

#[track_caller]
fn with_properties(ctx: &Ctx, properties: &[u8]) -> Step {
    let connect = RawConnect {
        properties: properties.to_vec(),
        ..connect(ctx)
    };
    refused(ctx, &connect)
}

/// No property of CONNECT but user properties comes twice. [MQTT-3.1.4-1] [MQTT-4.13.1-1]
fn property_twice(ctx: &Ctx) -> Step {
    for property in [
        &[0x11, 0, 0, 0, 1][..],
        &[0x21, 0, 9],
        &[0x27, 0, 1, 0, 0],
        &[0x22, 0, 9],
        &[0x17, 1],
        &[0x19, 0],
        &[0x15, 0, 1, b'm'],
    ] {
        with_properties(ctx, &property.repeat(2))?;
    }
    Ok(())
}

/// No property of a will but user properties comes twice. [MQTT-3.1.4-1] [MQTT-4.13.1-1]
fn will_property_twice(ctx: &Ctx) -> Step {
    for property in [
        &[0x18, 0, 0, 0, 1][..],
        &[0x01, 1],
        &[0x02, 0, 0, 0, 9],
        &[0x03, 0, 1, b't'],
        &[0x08, 0, 1, b'r'],
        &[0x09, 0, 1, 7],
    ] {
        will_properties(ctx, &property.repeat(2))?;
    }
    Ok(())
}

#[track_caller]
fn will_properties(ctx: &Ctx, properties: &[u8]) -> Step {
    let connect = RawConnect {
        flags: 0x06,
        payload: with_will(ctx, properties, ctx.topic("will").as_bytes()),
        ..connect(ctx)
    };
    refused(ctx, &connect)
}

/// Receive Maximum and Maximum Packet Size are not 0, and the two requests are 0 or 1. [MQTT-3.1.4-1] [MQTT-4.13.1-1]
fn property_with_a_wrong_value(ctx: &Ctx) -> Step {
    for property in [
        &[0x21, 0, 0][..],
        &[0x27, 0, 0, 0, 0],
        &[0x17, 2],
        &[0x19, 2],
    ] {
        with_properties(ctx, property)?;
    }
    Ok(())
}

/// A property that is not one of CONNECT is a protocol error. [MQTT-3.1.4-1] [MQTT-4.13.1-1]
fn property_of_another_packet(ctx: &Ctx) -> Step {
    for property in [
        &[0x01, 1][..],
        &[0x23, 0, 1],
        &[0x13, 0, 9],
        &[0x1f, 0, 1, b'r'],
        &[0x18, 0, 0, 0, 1],
    ] {
        with_properties(ctx, property)?;
    }
    Ok(())
}

/// A property that does not exist is malformed. [MQTT-3.1.4-1] [MQTT-4.13.1-1]
fn property_unknown(ctx: &Ctx) -> Step {
    for id in [0x00, 0x04, 0x7f] {
        with_properties(ctx, &[id, 0])?;
    }
    Ok(())
}

/// A property that ends before its value does is malformed. [MQTT-3.1.4-1] [MQTT-4.13.1-1]
fn property_cut(ctx: &Ctx) -> Step {
    with_properties(ctx, &[0x11, 0, 0])?;
    with_properties(ctx, &[0x26, 0, 1, b'k', 0, 9, b'v'])
}

/// Properties that are longer than the packet are malformed. [MQTT-3.1.4-1] [MQTT-4.13.1-1]
fn properties_longer_than_the_packet(ctx: &Ctx) -> Step {
    let body = [string("MQTT"), vec![5, 2, 0, 0, 100], string(ctx.id("c"))].concat();
    ctx.refused(&packet(0x10, &[&body]), MALFORMED)?;
    Ok(())
}

/// A property that is not one of wills is a protocol error. [MQTT-3.1.4-1] [MQTT-4.13.1-1]
fn will_property_of_another_packet(ctx: &Ctx) -> Step {
    for property in [&[0x23, 0, 1][..], &[0x11, 0, 0, 0, 1], &[0x0b, 1]] {
        will_properties(ctx, property)?;
    }
    Ok(())
}

/// Both halves of a user property are UTF-8 without U+0000. [MQTT-1.5.7-1] [MQTT-1.5.4-1] [MQTT-1.5.4-2]
fn user_property_not_utf8(ctx: &Ctx) -> Step {
    for (name, value) in [
        (&b"\xff"[..], &b"v"[..]),
        (b"n", b"\xff"),
        (b"\0", b"v"),
        (b"n", b"\0"),
        (b"n", b"\xed\xa0\x80"),
    ] {
        let property = [vec![0x26], string(name), string(value)].concat();
        with_properties(ctx, &property)?;
    }
    Ok(())
}

/// The response topic of a will has no wildcard. [MQTT-3.3.2-14] [MQTT-3.1.4-1]
fn response_topic_of_a_will_with_wildcard(ctx: &Ctx) -> Step {
    let connect = RawConnect {
        flags: 0x06,
        payload: with_will(
            ctx,
            &[0x08, 0, 3, b'r', b'/', b'#'],
            ctx.topic("will").as_bytes(),
        ),
        ..connect(ctx)
    };
    refused_for(
        ctx,
        &connect,
        &[
            ReasonCode::MALFORMED_PACKET,
            ReasonCode::PROTOCOL_ERROR,
            ReasonCode::TOPIC_NAME_INVALID,
        ],
    )
}
