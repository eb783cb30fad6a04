//! 3.1.2.10 Keep Alive: silence ends the connection, anything the client sends keeps it.

use core::time::Duration;
use std::time::Instant;

use mqtt_codec::{Connect, QoS, ReasonCode};

use crate::case::chapter;
use crate::client::Client;
use crate::ctx::Ctx;
use crate::failure::{Step, check};
use crate::frame::{PingReq, publish};

chapter!(
    keep_alive,
    "3.1.2.10 Keep Alive",
    [
        slow silence_ends_the_connection,
        slow what_the_broker_sends_does_not_count,
        slow an_unfinished_packet_does_not_count,
        slow pings_keep_the_connection,
        slow any_packet_keeps_the_connection,
        slow off,
    ]
);

/// A client with this keep-alive.
#[track_caller]
fn connected(ctx: &Ctx, seconds: u16) -> Step<Client> {
    ctx.needs(
        ctx.announced.server_keep_alive.is_none(),
        "keep-alive that a client may choose",
    )?;
    let id = ctx.id("c");
    let connect = Connect {
        keep_alive: seconds,
        ..ctx.clean(&id)
    };
    let (mut client, _) = ctx.connect_with("c", &connect)?;
    client.wait_longer(Duration::from_secs(2 * u64::from(seconds)));
    Ok(client)
}

/// After one and a half times the keep-alive without a packet, the broker closes the connection, not before the keep-alive itself.
/// [MQTT-3.1.2-22] [MQTT-3.2.2-22] [3.1.1:MQTT-3.1.2-24]
fn silence_ends_the_connection(ctx: &Ctx) -> Step {
    let mut client = connected(ctx, 1)?;
    let start = Instant::now();
    client.end_for(&[ReasonCode::KEEP_ALIVE_TIMEOUT])?;
    let time = start.elapsed();
    check(
        time >= Duration::from_secs(1),
        "a connection of at least a second",
        &time,
    )
}

/// Messages to a silent client do not keep its connection. [MQTT-3.1.2-22] [3.1.1:MQTT-3.1.2-24]
fn what_the_broker_sends_does_not_count(ctx: &Ctx) -> Step {
    // Brokers look at their clock now and then: the messages go on for long enough.
    const MESSAGES: i32 = 32;
    let topic = ctx.topic("t");
    let mut client = connected(ctx, 1)?;
    client.subscribe_at(&topic, QoS::AtMostOnce)?;
    let mut publisher = ctx.connect("p")?;
    for _ in 0..MESSAGES {
        publisher.publish(&topic, "still there?", QoS::AtMostOnce)?;
        ctx.wait(Duration::from_millis(250));
    }
    // Eight seconds have passed. The end is there, behind messages of the first ones.
    let mut messages = 0;
    while let Some(frame) = client.receive_or_end()? {
        if frame.publish().is_err() {
            return client.end();
        }
        messages += 1;
    }
    check(
        messages < MESSAGES,
        "the end of the connection before the last message",
        &messages,
    )
}

/// A packet that is never finished does not keep the connection. [MQTT-3.1.2-22] [3.1.1:MQTT-3.1.2-24]
fn an_unfinished_packet_does_not_count(ctx: &Ctx) -> Step {
    let mut client = connected(ctx, 1)?;
    client.send_bytes(&[0x30, 100, 0, 1, b't']);
    client.end_for(&[ReasonCode::KEEP_ALIVE_TIMEOUT])?;
    Ok(())
}

/// PINGREQ within the keep-alive keeps the connection. [MQTT-3.1.2-22] [MQTT-3.12.4-1] [3.1.1:MQTT-3.1.2-24] [3.1.1:MQTT-3.12.4-1]
fn pings_keep_the_connection(ctx: &Ctx) -> Step {
    let mut client = connected(ctx, 2)?;
    for _ in 0..5 {
        ctx.wait(Duration::from_secs(1));
        client.send(&PingReq);
        client.receive_where("PINGRESP", |packet| {
            matches!(packet, mqtt_codec::FromServer::PingResp)
        })?;
    }
    // Silence from now on ends it: the clock was running.
    client.end_for(&[ReasonCode::KEEP_ALIVE_TIMEOUT])?;
    Ok(())
}

/// Any packet within the keep-alive keeps the connection, not only PINGREQ. [MQTT-3.1.2-22] [3.1.1:MQTT-3.1.2-24]
fn any_packet_keeps_the_connection(ctx: &Ctx) -> Step {
    let topic = ctx.topic("t");
    let mut client = connected(ctx, 2)?;
    let mut watcher = ctx.subscribed("w", &topic, QoS::AtMostOnce)?;
    for _ in 0..5 {
        ctx.wait(Duration::from_secs(1));
        client.send(&publish(&topic, "still here"));
    }
    for _ in 0..5 {
        watcher.expect("t|0|0|still here")?;
    }
    client.end_for(&[ReasonCode::KEEP_ALIVE_TIMEOUT])?;
    Ok(())
}

/// Keep-alive 0 switches it off. [MQTT-3.1.2-22] [3.1.1:MQTT-3.1.2-24]
fn off(ctx: &Ctx) -> Step {
    ctx.needs(
        ctx.announced.server_keep_alive.is_none(),
        "keep-alive that a client may choose",
    )?;
    let id = ctx.id("c");
    let connect = Connect {
        keep_alive: 0,
        ..ctx.clean(&id)
    };
    let (mut client, _) = ctx.connect_with("c", &connect)?;
    client.subscribe_at(&ctx.topic("t"), QoS::AtMostOnce)?;
    ctx.wait(Duration::from_secs(4));
    client.publish(&ctx.topic("t"), "after 4 s", QoS::AtMostOnce)?;
    client.expect("t|0|0|after 4 s")
}
