//! 3.15 AUTH and 4.12 Enhanced authentication: what a broker that knows no method does.

use mqtt_codec::{Auth, Connect, Properties, Property, ReasonCode};

use crate::case::chapter;
use crate::cases::MALFORMED;
use crate::ctx::Ctx;
use crate::failure::{Step, same};
use crate::raw::RawConnect;

chapter!(
    auth,
    "3.15 AUTH, 4.12 Enhanced authentication",
    [
        unknown_method,
        data_without_a_method,
        none_unless_asked_for,
        without_a_method,
        re_authentication_without_a_method,
        reserved_flags,
        unknown_code,
        first_packet,
        before_version_5,
    ]
);

/// An unknown method is refused with 0x8C or 0x87, or in silence, and the connection closed; the client may come back without.
/// [MQTT-4.12.0-1] [MQTT-4.12.0-4] [MQTT-4.13.2-1] [MQTT-3.2.2-7]
fn unknown_method(ctx: &Ctx) -> Step {
    let id = ctx.id("c");
    let properties = [
        Property::AuthenticationMethod("conformance-unknown"),
        Property::AuthenticationData(b"\x00\x01"),
    ];
    let bytes = ctx.bytes(&Connect {
        properties: Properties::List(&properties),
        ..ctx.clean(&id)
    });
    ctx.refused(
        &bytes,
        &[
            ReasonCode::BAD_AUTHENTICATION_METHOD,
            ReasonCode::NOT_AUTHORIZED,
        ],
    )?;
    Ok(())
}

/// Authentication data without a method is a protocol error. [MQTT-4.13.1-1] [MQTT-3.1.4-1]
fn data_without_a_method(ctx: &Ctx) -> Step {
    let bytes = RawConnect {
        properties: vec![0x16, 0, 2, 0, 1],
        ..RawConnect::new(ctx.version, &ctx.id("c"))
    }
    .bytes();
    ctx.refused(&bytes, MALFORMED)?;
    Ok(())
}

/// To a client without a method the broker sends no AUTH, and no method in CONNACK. [MQTT-4.12.0-6]
fn none_unless_asked_for(ctx: &Ctx) -> Step {
    let (mut client, answer) = ctx.connect_with("c", &ctx.clean(&ctx.id("c")))?;
    let properties = answer.conn_ack()?.properties;
    same("method", properties.authentication_method(), None::<&str>)?;
    same("data", properties.authentication_data(), None::<&[u8]>)?;
    client.silence()
}

/// AUTH from a client that connected without a method is a protocol error. [MQTT-4.13.1-1] [MQTT-4.12.0-6]
fn without_a_method(ctx: &Ctx) -> Step {
    let bytes = ctx.bytes(&Auth {
        reason: ReasonCode::CONTINUE_AUTHENTICATION,
        properties: Properties::List(&[Property::AuthenticationMethod("conformance-unknown")]),
    });
    ctx.broken(&bytes, &[ReasonCode::PROTOCOL_ERROR])?;
    Ok(())
}

/// Re-authentication of a client that connected without a method fails, and ends the connection. [MQTT-4.12.1-2] [MQTT-4.13.1-1]
fn re_authentication_without_a_method(ctx: &Ctx) -> Step {
    let bytes = ctx.bytes(&Auth {
        reason: ReasonCode::RE_AUTHENTICATE,
        properties: Properties::List(&[Property::AuthenticationMethod("conformance-unknown")]),
    });
    ctx.broken(
        &bytes,
        &[
            ReasonCode::PROTOCOL_ERROR,
            ReasonCode::NOT_AUTHORIZED,
            ReasonCode::BAD_AUTHENTICATION_METHOD,
        ],
    )?;
    Ok(())
}

/// The reserved flags of AUTH must be 0. [MQTT-3.15.1-1] [MQTT-2.1.3-1]
fn reserved_flags(ctx: &Ctx) -> Step {
    for flags in [1, 2, 4, 8] {
        ctx.broken(&[0xf0 | flags, 2, 0x18, 0], MALFORMED)?;
    }
    Ok(())
}

/// AUTH with a code that is not in the table is an error. [MQTT-3.15.2-1] [MQTT-4.13.1-1]
fn unknown_code(ctx: &Ctx) -> Step {
    ctx.broken(&[0xf0, 6, 0x01, 4, 0x15, 0, 1, b'x'], MALFORMED)?;
    Ok(())
}

/// AUTH as the first packet is a protocol error. [MQTT-4.13.1-1] [MQTT-3.14.0-1]
fn first_packet(ctx: &Ctx) -> Step {
    ctx.refused(&[0xf0, 6, 0x18, 4, 0x15, 0, 1, b'x'], MALFORMED)?;
    Ok(())
}

/// Packet type 15 does not exist before 5.0. [3.1.1:MQTT-4.8.0-1]
fn before_version_5(ctx: &Ctx) -> Step {
    ctx.broken(&[0xf0, 0], &[])?;
    Ok(())
}
