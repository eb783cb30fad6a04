//! 3.1.2 and 4.1: what a session holds, how long it lives, and what a clean start does to it.

use core::time::Duration;

use mqtt_codec::{Connect, Disconnect, Properties, Property, QoS, ReasonCode};

use crate::case::chapter;
use crate::cases::MALFORMED;
use crate::client::Client;
use crate::ctx::Ctx;
use crate::failure::{Step, same};
use crate::frame::retained;

chapter!(
    session,
    "3.1.2, 4.1 Session state",
    [
        subscriptions_survive,
        messages_wait,
        clean_start_drops_it,
        clean_session_leaves_none,
        retained_messages_are_not_part_of_it,
        ends_with_the_connection_without_expiry,
        disconnect_changes_the_expiry,
        disconnect_cannot_bring_an_expiry,
        slow ends_after_its_expiry,
        slow lives_at_least_as_long_as_its_connection,
    ]
);

/// A resumed session has its subscriptions. [MQTT-3.1.2-5] [MQTT-3.1.2-23] [3.1.1:MQTT-3.1.2-4] [3.1.1:MQTT-4.1.0-2]
fn subscriptions_survive(ctx: &Ctx) -> Step {
    let (mut kept, _) = ctx.connect_keeping("kept")?;
    kept.subscribe_at(&ctx.topic("a"), QoS::AtLeastOnce)?;
    kept.subscribe_at(&ctx.topic("b"), QoS::AtMostOnce)?;
    kept.cut();
    let (mut kept, present) = ctx.connect_keeping("kept")?;
    same("session present", present, true)?;
    let mut publisher = ctx.connect("p")?;
    publisher.publish(&ctx.topic("a"), "one", QoS::AtLeastOnce)?;
    kept.expect("a|1|0|one")?;
    publisher.publish(&ctx.topic("b"), "two", QoS::AtLeastOnce)?;
    kept.expect("b|0|0|two")
}

/// Messages of QoS 1 and 2 wait for a session whose client is away, and come in order when it is back.
/// [MQTT-3.1.2-23] [MQTT-4.5.0-1] [3.1.1:MQTT-3.1.2-5] [3.1.1:MQTT-4.1.0-2] [3.1.1:MQTT-4.5.0-1]
fn messages_wait(ctx: &Ctx) -> Step {
    ctx.needs_qos(QoS::ExactlyOnce)?;
    let (mut kept, _) = ctx.connect_keeping("kept")?;
    kept.subscribe_at(&ctx.topic("a"), QoS::ExactlyOnce)?;
    kept.disconnect()?;
    let mut publisher = ctx.connect("p")?;
    for (text, qos) in [
        ("1", QoS::AtLeastOnce),
        ("2", QoS::ExactlyOnce),
        ("3", QoS::AtLeastOnce),
        ("4", QoS::ExactlyOnce),
    ] {
        publisher.publish(&ctx.topic("a"), text, qos)?;
    }
    let (mut kept, present) = ctx.connect_keeping("kept")?;
    same("session present", present, true)?;
    // Each QoS keeps its order; between the two there is none.
    let mut got = (String::new(), String::new());
    for _ in 0..4 {
        let frame = kept.take()?;
        let text = kept.text(&frame)?;
        match text.strip_prefix("a|1|0|") {
            Some(text) => got.0 += text,
            None => got.1 += text.trim_start_matches("a|2|0|"),
        }
    }
    same("messages of QoS 1", got.0.as_str(), "13")?;
    same("messages of QoS 2", got.1.as_str(), "24")?;
    kept.silence()
}

/// A clean start drops the session with its subscriptions and messages.
/// [MQTT-3.1.2-4] [MQTT-3.1.4-4] [3.1.1:MQTT-3.1.2-6] [3.1.1:MQTT-3.1.4-3]
fn clean_start_drops_it(ctx: &Ctx) -> Step {
    let topic = ctx.topic("a");
    let (mut kept, _) = ctx.connect_keeping("kept")?;
    kept.subscribe_at(&topic, QoS::AtLeastOnce)?;
    kept.disconnect()?;
    let mut publisher = ctx.connect("p")?;
    publisher.publish(&topic, "waiting", QoS::AtLeastOnce)?;
    // The message is there for a session that goes on.
    let (mut kept, present) = ctx.connect_keeping("kept")?;
    same("session present", present, true)?;
    kept.expect("a|1|0|waiting")?;
    kept.disconnect()?;
    publisher.publish(&topic, "dropped", QoS::AtLeastOnce)?;
    let mut clean = ctx.connect("kept")?;
    publisher.publish(&topic, "not subscribed", QoS::AtLeastOnce)?;
    clean.silence()?;
    clean.subscribe_at(&topic, QoS::AtLeastOnce)?;
    publisher.publish(&topic, "subscribed", QoS::AtLeastOnce)?;
    clean.expect("a|1|0|subscribed")
}

/// A session that began with Clean Session 1 ends with its connection. [3.1.1:MQTT-3.1.2-6]
fn clean_session_leaves_none(ctx: &Ctx) -> Step {
    let (kept, _) = ctx.connect_keeping("kept")?;
    kept.disconnect()?;
    let (kept, present) = ctx.connect_keeping("kept")?;
    same("session present", present, true)?;
    kept.disconnect()?;
    let mut clean = ctx.connect("kept")?;
    clean.subscribe_at(&ctx.topic("a"), QoS::AtLeastOnce)?;
    clean.disconnect()?;
    let (mut kept, present) = ctx.connect_keeping("kept")?;
    same("session present after Clean Session 1", present, false)?;
    kept.publish(&ctx.topic("a"), "to nobody", QoS::AtLeastOnce)?;
    kept.silence()
}

/// Retained messages stay when the session that published them ends. [3.1.1:MQTT-3.1.2-7] [MQTT-3.3.1-5]
fn retained_messages_are_not_part_of_it(ctx: &Ctx) -> Step {
    ctx.needs_retain()?;
    let mut publisher = ctx.connect("p")?;
    publisher.publish_packet(&retained(&ctx.topic("a"), "still here"), QoS::AtLeastOnce)?;
    publisher.disconnect()?;
    ctx.connect("p")?.disconnect()?;
    let mut reader = ctx.subscribed("r", &ctx.topic("a"), QoS::AtLeastOnce)?;
    reader.expect("a|1|1|still here")
}

fn connect_for(ctx: &Ctx, seconds: u32) -> Step<(Client, bool)> {
    let id = ctx.id("kept");
    let properties = [Property::SessionExpiryInterval(seconds)];
    let connect = Connect {
        clean_start: false,
        properties: Properties::List(&properties),
        ..ctx.clean(&id)
    };
    let (mut client, answer) = ctx.connect_with("kept", &connect)?;
    // A broker may take a session for lost whose client has not shown that it got CONNACK.
    client.ping()?;
    Ok((client, answer.conn_ack()?.session_present))
}

/// A session with expiry 0 or none ends with its connection, one with more does not. [MQTT-3.1.2-23] [MQTT-4.1.0-2]
fn ends_with_the_connection_without_expiry(ctx: &Ctx) -> Step {
    let (client, _) = connect_for(ctx, 100)?;
    client.disconnect()?;
    let (client, present) = connect_for(ctx, 0)?;
    same("session present after an expiry of 100 s", present, true)?;
    client.disconnect()?;
    let (client, present) = connect_for(ctx, 100)?;
    same("session present after an expiry of 0", present, false)?;
    client.disconnect()?;
    let id = ctx.id("kept");
    let connect = Connect {
        clean_start: false,
        ..ctx.clean(&id)
    };
    let (client, answer) = ctx.connect_with("kept", &connect)?;
    same(
        "session present after an expiry of 100 s",
        answer.conn_ack()?.session_present,
        true,
    )?;
    client.disconnect()?;
    let (_, present) = connect_for(ctx, 100)?;
    same("session present after no expiry", present, false)
}

fn leave_for(mut client: Client, seconds: u32) -> Client {
    client.send(&Disconnect {
        properties: Properties::List(&[Property::SessionExpiryInterval(seconds)]),
        ..Disconnect::new(ReasonCode::NORMAL_DISCONNECTION)
    });
    client
}

/// The expiry that DISCONNECT brings replaces that of CONNECT. [MQTT-3.1.2-23] [MQTT-4.1.0-2]
fn disconnect_changes_the_expiry(ctx: &Ctx) -> Step {
    let (client, _) = connect_for(ctx, 100)?;
    leave_for(client, 50).leave()?;
    let (client, present) = connect_for(ctx, 100)?;
    same("session present after DISCONNECT with 50 s", present, true)?;
    leave_for(client, 0).leave()?;
    let (_, present) = connect_for(ctx, 100)?;
    same("session present after DISCONNECT with 0", present, false)
}

/// After a CONNECT without expiry, a DISCONNECT with one is a protocol error, and the session ends. [MQTT-4.13.1-1] [MQTT-4.1.0-2]
fn disconnect_cannot_bring_an_expiry(ctx: &Ctx) -> Step {
    let (client, _) = connect_for(ctx, 0)?;
    leave_for(client, 100).end_for(MALFORMED)?;
    let (client, present) = connect_for(ctx, 100)?;
    same("session present", present, false)?;
    // As a control: this one is kept.
    client.cut();
    let (_, present) = connect_for(ctx, 100)?;
    same("session present after a cut", present, true)
}

/// A session ends when its expiry has passed since the connection ended, not before. [MQTT-4.1.0-2] [MQTT-3.1.2-23]
fn ends_after_its_expiry(ctx: &Ctx) -> Step {
    let (client, _) = connect_for(ctx, 2)?;
    client.cut();
    let (client, present) = connect_for(ctx, 2)?;
    same("session present at once", present, true)?;
    client.cut();
    // Brokers look at their clock now and then.
    ctx.wait(Duration::from_millis(4500));
    let (_, present) = connect_for(ctx, 2)?;
    same(
        "session present 4.5 s after a cut, expiry 2 s",
        present,
        false,
    )
}

/// A session does not expire while its client is connected. [MQTT-4.1.0-1]
fn lives_at_least_as_long_as_its_connection(ctx: &Ctx) -> Step {
    let (mut client, _) = connect_for(ctx, 1)?;
    client.subscribe_at(&ctx.topic("a"), QoS::AtLeastOnce)?;
    ctx.wait(Duration::from_millis(2500));
    client.publish(&ctx.topic("a"), "after 2.5 s", QoS::AtLeastOnce)?;
    client.expect("a|1|0|after 2.5 s")?;
    client.cut();
    let (mut client, present) = connect_for(ctx, 1)?;
    same("session present at once after a cut", present, true)?;
    client.publish(&ctx.topic("a"), "still subscribed", QoS::AtLeastOnce)?;
    client.expect("a|1|0|still subscribed")
}
