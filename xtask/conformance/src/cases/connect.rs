//! 3.1 CONNECT: what is accepted, client identifiers, take-over, and data that comes early.

use mqtt_codec::{Connect, FromServer, QoS, ReasonCode};

use crate::case::chapter;
use crate::cases::MALFORMED;
use crate::ctx::Ctx;
use crate::failure::{Step, Stop, check, failed, same};
use crate::frame::{PingReq, publish};
use crate::raw::RawConnect;

chapter!(
    connect,
    "3.1 CONNECT",
    [
        accepted,
        byte_by_byte,
        early_packets,
        second_connect,
        other_packet_first,
        identifier_of_23,
        identifier_compared_exactly,
        identifier_of_any_length,
        identifier_empty,
        identifier_empty_kept,
        take_over,
        take_over_of_a_kept_session,
        nothing_after_a_refusal,
        unsupported_level,
        user_name_and_password,
    ]
);

/// CONNECT is answered with CONNACK and code 0, and the connection works, with nothing beyond the standard.
/// [MQTT-3.1.4-5] [MQTT-3.2.0-1] [3.1.1:MQTT-3.1.4-4] [3.1.1:MQTT-3.2.0-1] [3.1.1:MQTT-7.0.0-2] [3.1.1:MQTT-7.1.1-1]
fn accepted(ctx: &Ctx) -> Step {
    let (mut client, answer) = ctx.connect_with("c", &ctx.clean(&ctx.id("c")))?;
    same("session present", answer.conn_ack()?.session_present, false)?;
    client.subscribe_at(&ctx.topic("t"), QoS::AtMostOnce)?;
    client.publish(&ctx.topic("t"), "hello", QoS::AtMostOnce)?;
    client.expect("t|0|0|hello")
}

/// A stream whose bytes come one at a time is read like any other. [MQTT-4.2-1] [3.1.1:MQTT-4.2.0-1]
fn byte_by_byte(ctx: &Ctx) -> Step {
    let id = ctx.id("c");
    let topic = ctx.topic("t");
    let mut client = ctx.open("c")?;
    let mut bytes = ctx.bytes(&ctx.clean(&id));
    for byte in core::mem::take(&mut bytes) {
        client.send_bytes(&[byte]);
    }
    same(
        "code of CONNACK",
        client.receive()?.conn_ack()?.reason,
        ReasonCode::SUCCESS,
    )?;
    client.subscribe_at(&topic, QoS::AtMostOnce)?;
    for byte in ctx.bytes(&publish(&topic, "slowly")) {
        client.send_bytes(&[byte]);
    }
    client.expect("t|0|0|slowly")
}

/// Packets that follow CONNECT at once are processed, behind CONNACK. [MQTT-3.2.0-1] [3.1.1:MQTT-3.2.0-1]
fn early_packets(ctx: &Ctx) -> Step {
    let id = ctx.id("c");
    let mut client = ctx.open("c")?;
    let mut bytes = ctx.bytes(&ctx.clean(&id));
    bytes.extend(ctx.bytes(&PingReq));
    bytes.extend(ctx.bytes(&PingReq));
    client.send_bytes(&bytes);
    client.receive()?.conn_ack()?;
    for _ in 0..2 {
        let answer = client.receive()?;
        check(answer.packet() == FromServer::PingResp, "PINGRESP", &answer)?;
    }
    client.silence()
}

/// A second CONNECT ends the connection. [MQTT-3.1.0-2] [3.1.1:MQTT-3.1.0-2]
fn second_connect(ctx: &Ctx) -> Step {
    let bytes = ctx.bytes(&ctx.clean(&ctx.id("c")));
    ctx.broken(&bytes, &[ReasonCode::PROTOCOL_ERROR])?;
    Ok(())
}

/// A connection that does not begin with CONNECT is closed, without a DISCONNECT.
/// [MQTT-3.14.0-1] [MQTT-4.13.1-1] [3.1.1:MQTT-4.8.0-1]
fn other_packet_first(ctx: &Ctx) -> Step {
    let topic = ctx.topic("t");
    for first in [
        ctx.bytes(&PingReq),
        ctx.bytes(&publish(&topic, "unheard")),
        vec![0xe0, 0],
    ] {
        let mut client = ctx.open("c")?;
        client.send_bytes(&first);
        if let Some(answer) = client.receive_or_end()? {
            // 5.0 allows to tell the reason in a CONNACK; before, nothing but CONNECT is answered.
            let ack = answer.conn_ack()?;
            check(
                ctx.is_v5() && ack.reason.is_error(),
                "the end of the connection",
                &answer,
            )?;
            client.end()?;
        }
    }
    ctx.connect("c")?.ping()
}

/// Client identifiers of up to 23 letters and digits are allowed. [MQTT-3.1.3-5] [3.1.1:MQTT-3.1.3-5]
fn identifier_of_23(ctx: &Ctx) -> Step {
    let letters = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    let stem = ctx.id("");
    let room = 23 - stem.len();
    for start in (0..letters.len()).step_by(room) {
        let end = letters.len().min(start + room);
        let id = format!("{stem}{}", &letters[start..end]);
        let (mut client, _) = ctx.connect_with("c", &ctx.clean(&id))?;
        client.ping()?;
        client.disconnect()?;
    }
    Ok(())
}

/// Client identifiers that differ in the case of a letter name different sessions. [MQTT-3.1.3-2] [3.1.1:MQTT-3.1.3-2]
fn identifier_compared_exactly(ctx: &Ctx) -> Step {
    let (lower, _) = ctx.connect_keeping("kept")?;
    lower.disconnect()?;
    let (upper, present) = ctx.connect_keeping("KEPT")?;
    same("session present for KEPT", present, false)?;
    upper.disconnect()?;
    let (_, present) = ctx.connect_keeping("kept")?;
    same("session present for kept", present, true)
}

/// A client identifier that the server takes is compared in full; one that it does not take is refused with 0x02 or 0x85, and the connection closed.
/// [MQTT-3.1.3-8] [MQTT-3.1.3-2] [3.1.1:MQTT-3.1.3-9] [3.1.1:MQTT-3.1.3-2]
fn identifier_of_any_length(ctx: &Ctx) -> Step {
    let id = format!("{}{}", ctx.id(""), "x".repeat(60_000));
    let other = format!("{id}y");
    let (mut first, answer) = ctx.try_connect("a", &ctx.clean(&id))?;
    let ack = answer.conn_ack()?;
    if ack.reason.is_error() {
        same(
            "code of CONNACK",
            ack.reason,
            ReasonCode::CLIENT_IDENTIFIER_NOT_VALID,
        )?;
        return first.end();
    }
    let (mut second, _) = ctx.connect_with("b", &ctx.clean(&other))?;
    first.ping()?;
    second.ping()?;
    let (mut third, _) = ctx.connect_with("c", &ctx.clean(&id))?;
    first.end_for(&[ReasonCode::SESSION_TAKEN_OVER])?;
    second.ping()?;
    third.ping()
}

/// An empty client identifier, if allowed, is replaced by a unique one, which 5.0 tells.
/// [MQTT-3.1.3-6] [MQTT-3.1.3-7] [MQTT-3.2.2-16] [3.1.1:MQTT-3.1.3-6]
fn identifier_empty(ctx: &Ctx) -> Step {
    let (mut first, answer) = ctx.try_connect("a", &ctx.clean(""))?;
    let ack = answer.conn_ack()?;
    if ack.reason == ReasonCode::CLIENT_IDENTIFIER_NOT_VALID {
        first.end()?;
        return Err(Stop::NotApplicable(
            "the broker refuses empty client identifiers".to_owned(),
        ));
    }
    same("code of CONNACK", ack.reason, ReasonCode::SUCCESS)?;
    let (mut second, other) = ctx.connect_with("b", &ctx.clean(""))?;
    if ctx.is_v5() {
        let names = [&answer, &other].map(|answer| {
            let ack = answer.conn_ack().ok();
            ack.and_then(|ack| ack.properties.assigned_client_identifier())
                .unwrap_or_default()
        });
        check(
            !names[0].is_empty() && !names[1].is_empty() && names[0] != names[1],
            "two assigned client identifiers that differ",
            &names,
        )?;
    }
    // One of the same name would have taken the other's place.
    first.ping()?;
    second.ping()?;
    first.subscribe_at(&ctx.topic("t"), QoS::AtMostOnce)?;
    second.publish(&ctx.topic("t"), "both here", QoS::AtMostOnce)?;
    first.expect("t|0|0|both here")
}

/// An empty client identifier with Clean Session 0 is refused with 0x02, session present 0, and the connection closed.
/// [3.1.1:MQTT-3.1.3-8] [3.1.1:MQTT-3.1.3-9] [3.1.1:MQTT-3.2.2-4] [3.1.1:MQTT-3.2.2-5]
fn identifier_empty_kept(ctx: &Ctx) -> Step {
    let connect = Connect {
        clean_start: false,
        ..ctx.clean("")
    };
    let (mut client, answer) = ctx.try_connect("c", &connect)?;
    let ack = answer.conn_ack()?;
    same(
        "code of CONNACK",
        ack.reason,
        ReasonCode::CLIENT_IDENTIFIER_NOT_VALID,
    )?;
    same("session present", ack.session_present, false)?;
    client.end()
}

/// A second connection with the same client identifier ends the first; 5.0 tells it with 0x8E.
/// [MQTT-3.1.4-3] [MQTT-3.14.2-1] [MQTT-3.14.2-2] [MQTT-3.14.4-2] [3.1.1:MQTT-3.1.4-2]
fn take_over(ctx: &Ctx) -> Step {
    let mut first = ctx.connect("same")?;
    let mut second = ctx.connect("same")?;
    if ctx.is_v5() {
        let farewell = first.receive()?;
        let disconnect = farewell.disconnect()?;
        same(
            "reason of DISCONNECT",
            disconnect.reason,
            ReasonCode::SESSION_TAKEN_OVER,
        )?;
        same(
            "session expiry in DISCONNECT",
            disconnect.properties.session_expiry_interval(),
            None::<u32>,
        )?;
    }
    first.end()?;
    second.ping()
}

/// A connection that takes over a kept session resumes it, with its subscriptions.
/// [MQTT-3.1.4-3] [MQTT-3.1.4-4] [MQTT-4.1.0-1] [3.1.1:MQTT-3.1.4-2] [3.1.1:MQTT-3.1.4-3] [3.1.1:MQTT-4.1.0-1]
fn take_over_of_a_kept_session(ctx: &Ctx) -> Step {
    let (mut first, _) = ctx.connect_keeping("same")?;
    first.subscribe_at(&ctx.topic("t"), QoS::AtLeastOnce)?;
    let (mut second, present) = ctx.connect_keeping("same")?;
    same("session present", present, true)?;
    first.end_for(&[ReasonCode::SESSION_TAKEN_OVER])?;
    second.publish(&ctx.topic("t"), "for the second", QoS::AtLeastOnce)?;
    second.expect("t|1|0|for the second")?;
    let mut third = ctx.connect("same")?;
    second.end_for(&[ReasonCode::SESSION_TAKEN_OVER])?;
    third.publish(&ctx.topic("t"), "for nobody", QoS::AtLeastOnce)?;
    third.silence()
}

/// Nothing that follows a refused CONNECT is processed. [MQTT-3.1.4-6] [3.1.1:MQTT-3.1.4-5]
fn nothing_after_a_refusal(ctx: &Ctx) -> Step {
    let mut watcher = ctx.subscribed("watch", &ctx.topic("t"), QoS::AtMostOnce)?;
    let mut bytes = RawConnect {
        flags: 0x03,
        ..RawConnect::new(ctx.version, &ctx.id("c"))
    }
    .bytes();
    bytes.extend(ctx.bytes(&publish(&ctx.topic("t"), "from the refused")));
    ctx.refused(&bytes, MALFORMED)?;
    watcher.silence()?;
    watcher.publish(&ctx.topic("t"), "from the watcher", QoS::AtMostOnce)?;
    watcher.expect("t|0|0|from the watcher")
}

/// An unsupported protocol level is refused, with 0x01 before 5.0, with 0x84 or nothing in 5.0, and the connection closed.
/// [MQTT-3.1.2-2] [3.1.1:MQTT-3.1.2-2]
fn unsupported_level(ctx: &Ctx) -> Step {
    let bytes = RawConnect {
        level: 99,
        ..RawConnect::new(ctx.version, &ctx.id("c"))
    }
    .bytes();
    let told = ctx.refused_version(&bytes)?;
    check(
        told || ctx.is_v5(),
        "CONNACK 0x01 or 0x84, and the end of the connection",
        &"the end of the connection",
    )
}

/// User name and password may be sent to a broker that lets everybody in; a refusal has its code. [MQTT-3.1.4-5] [3.1.1:MQTT-3.1.4-4]
fn user_name_and_password(ctx: &Ctx) -> Step {
    let id = ctx.id("c");
    let connect = Connect {
        user_name: Some("conformance"),
        password: Some(b"conformance"),
        ..ctx.clean(&id)
    };
    let (mut client, answer) = ctx.try_connect("c", &connect)?;
    match answer.conn_ack()?.reason {
        ReasonCode::SUCCESS => client.ping(),
        ReasonCode::BAD_USER_NAME_OR_PASSWORD | ReasonCode::NOT_AUTHORIZED => client.end(),
        _ => failed("CONNACK 0x00, 0x86 or 0x87", format!("{answer:?}")),
    }
}
