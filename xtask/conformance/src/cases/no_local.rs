//! 3.8.3.1 No Local: whether a client gets what it publishes itself.

use mqtt_codec::{QoS, ReasonCode, SubscriptionOptions};

use crate::case::chapter;
use crate::ctx::Ctx;
use crate::failure::{Step, same};
use crate::frame::at;

chapter!(
    no_local,
    "3.8.3.1 No Local",
    [
        own_messages_left_out,
        replaced,
        with_another_subscription,
        after_reconnect,
        own_messages_without_it,
    ]
);

/// Options with No Local.
fn not_mine() -> SubscriptionOptions {
    SubscriptionOptions {
        no_local: true,
        ..at(QoS::AtLeastOnce)
    }
}

/// With No Local a client does not get what it publishes itself, and gets what others publish. [MQTT-3.8.3-3]
fn own_messages_left_out(ctx: &Ctx) -> Step {
    let topic = ctx.topic("a");
    let mut client = ctx.connect("c")?;
    let codes = client.subscribe(&[(&topic, not_mine())])?;
    same("codes", codes, [ReasonCode::GRANTED_QOS_1])?;
    let mut publisher = ctx.connect("p")?;
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce] {
        client.publish(&topic, "mine", qos)?;
        client.silence()?;
        publisher.publish(&topic, "yours", qos)?;
        client.expect(&format!("a|{}|0|yours", qos as u8))?;
    }
    Ok(())
}

/// No Local too is replaced with the subscription: the option of the last SUBSCRIBE counts. [MQTT-3.8.4-3] [MQTT-3.8.3-3]
fn replaced(ctx: &Ctx) -> Step {
    let topic = ctx.topic("a");
    let mut client = ctx.connect("c")?;
    client.subscribe(&[(&topic, not_mine())])?;
    client.subscribe_at(&topic, QoS::AtMostOnce)?;
    client.publish(&topic, "mine", QoS::AtMostOnce)?;
    client.expect("a|0|0|mine")?;
    client.subscribe(&[(&topic, not_mine())])?;
    client.publish(&topic, "mine", QoS::AtMostOnce)?;
    client.silence()
}

/// No Local is an option of one subscription: another one that matches brings the client's own message, at its QoS.
/// [MQTT-3.8.3-3] [MQTT-4.5.0-1]
fn with_another_subscription(ctx: &Ctx) -> Step {
    ctx.needs(ctx.announced.wildcards, "wildcards")?;
    let mut client = ctx.connect("c")?;
    client.subscribe(&[(&ctx.topic("a"), not_mine())])?;
    client.subscribe_at(&ctx.topic("+"), QoS::AtMostOnce)?;
    client.publish(&ctx.topic("a"), "x", QoS::AtLeastOnce)?;
    client.expect("a|0|0|x")?;
    client.silence()
}

/// No Local goes by the client identifier, also for what waited, and after the client has come back. [MQTT-3.8.3-3]
fn after_reconnect(ctx: &Ctx) -> Step {
    let topic = ctx.topic("a");
    let (mut client, _) = ctx.connect_keeping("c")?;
    client.subscribe(&[(&topic, not_mine())])?;
    client.publish(&topic, "mine", QoS::AtLeastOnce)?;
    client.cut();
    let mut publisher = ctx.connect("p")?;
    publisher.publish(&topic, "yours", QoS::AtLeastOnce)?;
    let (mut client, _) = ctx.connect_keeping("c")?;
    client.expect("a|1|0|yours")?;
    client.publish(&topic, "mine", QoS::AtLeastOnce)?;
    client.silence()
}

/// Without No Local a client gets what it publishes itself like anybody else. [MQTT-4.5.0-1] [3.1.1:MQTT-4.5.0-1]
fn own_messages_without_it(ctx: &Ctx) -> Step {
    let topic = ctx.topic("a");
    let mut client = ctx.subscribed("c", &topic, ctx.announced.maximum_qos)?;
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce]
        .into_iter()
        .filter(|&qos| qos <= ctx.announced.maximum_qos)
    {
        client.publish(&topic, "mine", qos)?;
        client.expect(&format!("a|{}|0|mine", qos as u8))?;
    }
    client.silence()
}
