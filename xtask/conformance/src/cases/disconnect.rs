//! 3.14 DISCONNECT: from the client, and from the broker.

use mqtt_codec::{Connect, Disconnect, Properties, Property, QoS, ReasonCode, Will};

use crate::case::chapter;
use crate::cases::MALFORMED;
use crate::client::Client;
use crate::ctx::Ctx;
use crate::failure::{Step, failed, same};
use crate::frame::publish;

chapter!(
    disconnect,
    "3.14 DISCONNECT",
    [
        carries_everything_before_it,
        with_reason_and_properties,
        reserved_flags,
        with_a_body,
        with_an_unknown_code,
        with_a_code_of_the_server,
        expiry_twice,
        from_the_broker,
    ]
);

/// What was sent before DISCONNECT is processed. [MQTT-4.2-1] [3.1.1:MQTT-4.2.0-1]
fn carries_everything_before_it(ctx: &Ctx) -> Step {
    let topic = ctx.topic("t");
    let mut watcher = ctx.subscribed("w", &topic, QoS::AtMostOnce)?;
    let mut client = ctx.connect("c")?;
    let mut bytes = ctx.bytes(&publish(&topic, "the last"));
    bytes.extend([0xe0, 0]);
    client.send_bytes(&bytes);
    client.leave()?;
    watcher.expect("t|0|0|the last")
}

/// DISCONNECT with a reason string and user properties, each any number of times, discards the will like any other. [MQTT-3.14.4-3]
fn with_reason_and_properties(ctx: &Ctx) -> Step {
    let topic = ctx.topic("will");
    let mut watcher = ctx.subscribed("w", &topic, QoS::AtMostOnce)?;
    let mut client = with_will(ctx, &topic)?;
    client.send(&Disconnect {
        properties: Properties::List(&[
            Property::ReasonString("time to go"),
            Property::UserProperty("a", "b"),
            Property::UserProperty("a", "b"),
        ]),
        ..Disconnect::new(ReasonCode::NORMAL_DISCONNECTION)
    });
    client.leave()?;
    watcher.publish(&topic, "no will", QoS::AtMostOnce)?;
    watcher.expect("will|0|0|no will")
}

/// The reserved flags of DISCONNECT must be 0, else it is malformed, and does not discard the will.
/// [MQTT-3.14.1-1] [MQTT-2.1.3-1] [MQTT-3.1.2-8] [3.1.1:MQTT-3.14.1-1] [3.1.1:MQTT-2.2.2-2]
fn reserved_flags(ctx: &Ctx) -> Step {
    for flags in [1, 2, 4, 8] {
        malformed(ctx, &[0xe0 | flags, 0])?;
    }
    Ok(())
}

/// Before 5.0 DISCONNECT has no body; a will is not discarded by one that has. [3.1.1:MQTT-4.8.0-1]
fn with_a_body(ctx: &Ctx) -> Step {
    malformed(ctx, &[0xe0, 1, 0])
}

/// DISCONNECT with a code that is not in the table is malformed, and does not discard the will. [MQTT-3.14.2-1] [MQTT-4.13.1-1] [MQTT-3.1.2-8]
fn with_an_unknown_code(ctx: &Ctx) -> Step {
    malformed(ctx, &[0xe0, 1, 0x01])
}

/// DISCONNECT of a client with a code that only servers may send is an error, and does not discard the will. [MQTT-3.14.2-1] [MQTT-4.13.1-1] [MQTT-3.1.2-8]
fn with_a_code_of_the_server(ctx: &Ctx) -> Step {
    malformed(ctx, &[0xe0, 1, 0x8e])
}

/// DISCONNECT with two session expiries is a protocol error, and does not discard the will. [MQTT-4.13.1-1] [MQTT-3.1.2-8]
fn expiry_twice(ctx: &Ctx) -> Step {
    malformed(ctx, &[0xe0, 12, 0, 10, 0x11, 0, 0, 0, 9, 0x11, 0, 0, 0, 9])
}

/// A client with a will.
#[track_caller]
fn with_will(ctx: &Ctx, topic: &str) -> Step<Client> {
    let id = ctx.id("c");
    let connect = Connect {
        will: Some(Will {
            topic,
            payload: b"gone",
            qos: QoS::AtMostOnce,
            retain: false,
            properties: Properties::EMPTY,
        }),
        ..ctx.clean(&id)
    };
    Ok(ctx.connect_with("c", &connect)?.0)
}

/// A DISCONNECT that is none: since every DISCONNECT ends the connection, what tells an error is that the broker, which may say so,
/// publishes the will.
#[track_caller]
fn malformed(ctx: &Ctx, bytes: &[u8]) -> Step {
    let topic = ctx.topic("will");
    let mut watcher = ctx.subscribed("w", &topic, QoS::AtMostOnce)?;
    let mut client = with_will(ctx, &topic)?;
    client.send_bytes(bytes);
    client.end_for(MALFORMED)?;
    watcher.expect("will|0|0|gone")
}

/// A DISCONNECT of the broker has a code of the table and no session expiry; nothing follows it, and the connection ends.
/// [MQTT-3.14.2-1] [MQTT-3.14.2-2] [MQTT-3.14.4-1] [MQTT-3.14.4-2] [MQTT-4.13.2-1]
fn from_the_broker(ctx: &Ctx) -> Step {
    let topic = ctx.topic("t");
    let mut client = ctx.subscribed("c", &topic, QoS::AtMostOnce)?;
    let mut publisher = ctx.connect("p")?;
    // Messages are on their way while the broker says goodbye.
    client.send_bytes(&[0xc0, 0, 0xe1, 0, 0xc0, 0]);
    for _ in 0..20 {
        publisher.publish(&topic, "not behind DISCONNECT", QoS::AtMostOnce)?;
    }
    let mut said = false;
    while let Some(frame) = client.receive_or_end()? {
        if said {
            return failed("nothing after DISCONNECT", format!("{frame:?}"));
        }
        if let Ok(disconnect) = frame.disconnect() {
            same(
                "session expiry in DISCONNECT",
                disconnect.properties.session_expiry_interval(),
                None::<u32>,
            )?;
            if !disconnect.reason.is_error() {
                return failed("DISCONNECT with an error", format!("{frame:?}"));
            }
            said = true;
        }
    }
    Ok(())
}
