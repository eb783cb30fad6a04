//! 3.8.2.1.2 Subscription Identifier: with which messages it comes back.

use mqtt_codec::{Property, QoS, SubscriptionId, SubscriptionOptions};

use crate::case::chapter;
use crate::client::Client;
use crate::ctx::Ctx;
use crate::failure::{Step, failed, same};
use crate::frame::{at, retained};

chapter!(
    subscription_ids,
    "3.8.2.1.2 Subscription Identifier",
    [
        comes_with_each_message,
        small_and_large_numbers,
        of_all_filters_of_a_packet,
        of_several_subscriptions,
        same_number_for_two_subscriptions,
        replaced_with_its_subscription,
        gone_with_its_subscription,
        of_this_client_only,
        with_retained_messages,
        with_messages_that_waited,
    ]
);

/// Subscribes to `filters` with an identifier, or without.
#[track_caller]
fn subscribe(client: &mut Client, filters: &[&str], id: Option<u32>) -> Step {
    let filters: Vec<(&str, SubscriptionOptions)> = filters
        .iter()
        .map(|&filter| (filter, at(QoS::AtLeastOnce)))
        .collect();
    let id = id.and_then(SubscriptionId::new);
    let properties: Vec<_> = id
        .map(Property::SubscriptionIdentifier)
        .into_iter()
        .collect();
    let codes = client.subscribe_with(&filters, &properties)?;
    same("number of codes", codes.len(), filters.len())?;
    match codes.iter().find(|code| code.is_error()) {
        None => Ok(()),
        Some(code) => failed("the subscription is granted", format!("{code:?}")),
    }
}

/// The subscription identifiers of all copies of one message that came up to now, sorted; each copy must have this text.
#[track_caller]
fn numbers(client: &mut Client, text: &str) -> Step<Vec<u32>> {
    let mut numbers = Vec::new();
    let mut next = Some(client.receive()?);
    client.ping()?;
    while let Some(frame) = next {
        same("message", client.text(&frame)?.as_str(), text)?;
        let ids = frame.publish()?.properties;
        numbers.extend(ids.subscription_identifiers().map(SubscriptionId::get));
        next = client.waiting();
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// The identifier of a subscription comes with each message of it, at each QoS. [MQTT-3.3.4-3]
fn comes_with_each_message(ctx: &Ctx) -> Step {
    ctx.needs(ctx.announced.subscription_ids, "subscription identifiers")?;
    let topic = ctx.topic("a");
    let mut client = ctx.connect("c")?;
    subscribe(&mut client, &[&topic], Some(7))?;
    let mut publisher = ctx.connect("p")?;
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::AtMostOnce] {
        publisher.publish(&topic, "x", qos)?;
        let text = format!("a|{}|0|x", qos as u8);
        same("identifiers", numbers(&mut client, &text)?, [7])?;
    }
    Ok(())
}

/// Every number from 1 to 268,435,455 is an identifier. [MQTT-3.3.4-3]
fn small_and_large_numbers(ctx: &Ctx) -> Step {
    ctx.needs(ctx.announced.subscription_ids, "subscription identifiers")?;
    let topic = ctx.topic("a");
    let mut client = ctx.connect("c")?;
    let mut publisher = ctx.connect("p")?;
    for number in [
        1,
        127,
        128,
        16_383,
        16_384,
        2_097_151,
        2_097_152,
        268_435_455,
    ] {
        subscribe(&mut client, &[&topic], Some(number))?;
        publisher.publish(&topic, "x", QoS::AtLeastOnce)?;
        same("identifiers", numbers(&mut client, "a|1|0|x")?, [number])?;
    }
    Ok(())
}

/// The identifier of a SUBSCRIBE is that of each of its filters. [MQTT-3.3.4-3] [MQTT-3.8.4-5]
fn of_all_filters_of_a_packet(ctx: &Ctx) -> Step {
    ctx.needs(ctx.announced.subscription_ids, "subscription identifiers")?;
    let names = ["a", "b", "c"];
    let topics = names.map(|name| ctx.topic(name));
    let mut client = ctx.connect("c")?;
    subscribe(&mut client, &[&topics[0], &topics[1], &topics[2]], Some(5))?;
    let mut publisher = ctx.connect("p")?;
    for (name, topic) in names.iter().zip(&topics) {
        publisher.publish(topic, "x", QoS::AtLeastOnce)?;
        same(
            "identifiers",
            numbers(&mut client, &format!("{name}|1|0|x"))?,
            [5],
        )?;
    }
    Ok(())
}

/// A message of several subscriptions brings the identifiers of all that match and have one, in one copy or several.
/// [MQTT-3.3.4-3] [MQTT-3.3.4-4] [MQTT-3.3.4-5]
fn of_several_subscriptions(ctx: &Ctx) -> Step {
    ctx.needs(ctx.announced.subscription_ids, "subscription identifiers")?;
    ctx.needs(ctx.announced.wildcards, "wildcards")?;
    let mut client = ctx.connect("c")?;
    for (filter, id) in [
        ("a/b", Some(30)),
        ("a/+", None),
        ("+/b", Some(20)),
        ("#", Some(268_435_455)),
        ("a/c", Some(5)),
        ("a/b/#", Some(1)),
    ] {
        subscribe(&mut client, &[&ctx.topic(filter)], id)?;
    }
    let mut publisher = ctx.connect("p")?;
    for (name, expected) in [
        ("a/b", &[1, 20, 30, 268_435_455][..]),
        ("a/c", &[5, 268_435_455]),
        ("d/b", &[20, 268_435_455]),
        ("d", &[268_435_455]),
    ] {
        publisher.publish(&ctx.topic(name), "x", QoS::AtLeastOnce)?;
        let got = numbers(&mut client, &format!("{name}|1|0|x"))?;
        same(&format!("identifiers of {name}"), got, expected)?;
    }
    Ok(())
}

/// Two subscriptions may have the same identifier; a message of both brings it once or twice. [MQTT-3.3.4-3] [MQTT-3.3.4-4]
fn same_number_for_two_subscriptions(ctx: &Ctx) -> Step {
    ctx.needs(ctx.announced.subscription_ids, "subscription identifiers")?;
    ctx.needs(ctx.announced.wildcards, "wildcards")?;
    let mut client = ctx.connect("c")?;
    subscribe(&mut client, &[&ctx.topic("a"), &ctx.topic("+")], Some(9))?;
    let mut publisher = ctx.connect("p")?;
    publisher.publish(&ctx.topic("a"), "x", QoS::AtLeastOnce)?;
    let mut got = numbers(&mut client, "a|1|0|x")?;
    got.dedup();
    same("identifiers", got, [9])
}

/// A subscription that is replaced gets the new identifier, or none. [MQTT-3.8.4-3] [MQTT-3.3.4-3]
fn replaced_with_its_subscription(ctx: &Ctx) -> Step {
    ctx.needs(ctx.announced.subscription_ids, "subscription identifiers")?;
    let topic = ctx.topic("a");
    let mut client = ctx.connect("c")?;
    let mut publisher = ctx.connect("p")?;
    for id in [Some(1), Some(2), None, Some(3), Some(3)] {
        subscribe(&mut client, &[&topic], id)?;
        publisher.publish(&topic, "x", QoS::AtLeastOnce)?;
        let expected: Vec<u32> = id.into_iter().collect();
        same("identifiers", numbers(&mut client, "a|1|0|x")?, expected)?;
    }
    Ok(())
}

/// After UNSUBSCRIBE the identifier of that subscription comes no more, also where another one matches.
/// [MQTT-3.10.4-2] [MQTT-3.3.4-4]
fn gone_with_its_subscription(ctx: &Ctx) -> Step {
    ctx.needs(ctx.announced.subscription_ids, "subscription identifiers")?;
    ctx.needs(ctx.announced.wildcards, "wildcards")?;
    let mut client = ctx.connect("c")?;
    subscribe(&mut client, &[&ctx.topic("a")], Some(1))?;
    subscribe(&mut client, &[&ctx.topic("+")], Some(2))?;
    let mut publisher = ctx.connect("p")?;
    publisher.publish(&ctx.topic("a"), "x", QoS::AtLeastOnce)?;
    same("identifiers", numbers(&mut client, "a|1|0|x")?, [1, 2])?;
    client.unsubscribe(&[&ctx.topic("a")])?;
    publisher.publish(&ctx.topic("a"), "y", QoS::AtLeastOnce)?;
    same("identifiers", numbers(&mut client, "a|1|0|y")?, [2])?;
    subscribe(&mut client, &[&ctx.topic("a")], None)?;
    publisher.publish(&ctx.topic("a"), "z", QoS::AtLeastOnce)?;
    same("identifiers", numbers(&mut client, "a|1|0|z")?, [2])
}

/// A client gets its own identifiers, not those of others for the same filter. [MQTT-3.3.4-3]
fn of_this_client_only(ctx: &Ctx) -> Step {
    ctx.needs(ctx.announced.subscription_ids, "subscription identifiers")?;
    let topic = ctx.topic("a");
    let mut clients = Vec::new();
    for (name, id) in [("one", Some(1)), ("none", None), ("two", Some(2))] {
        let mut client = ctx.connect(name)?;
        subscribe(&mut client, &[&topic], id)?;
        clients.push((client, id));
    }
    let mut publisher = ctx.connect("p")?;
    publisher.publish(&topic, "x", QoS::AtLeastOnce)?;
    for (mut client, id) in clients {
        let expected: Vec<u32> = id.into_iter().collect();
        same("identifiers", numbers(&mut client, "a|1|0|x")?, expected)?;
    }
    Ok(())
}

/// Retained messages bring the identifier of the subscription for which they are sent. [MQTT-3.3.4-3]
fn with_retained_messages(ctx: &Ctx) -> Step {
    ctx.needs(ctx.announced.subscription_ids, "subscription identifiers")?;
    ctx.needs_retain()?;
    let topic = ctx.topic("a");
    let mut publisher = ctx.connect("p")?;
    publisher.publish_packet(&retained(&topic, "kept"), QoS::AtLeastOnce)?;
    let mut client = ctx.connect("c")?;
    for id in [Some(4), Some(5), None] {
        subscribe(&mut client, &[&topic], id)?;
        let expected: Vec<u32> = id.into_iter().collect();
        same("identifiers", numbers(&mut client, "a|1|1|kept")?, expected)?;
    }
    Ok(())
}

/// Identifiers are part of the session: they come with what waited, and after the client has come back.
/// [MQTT-3.3.4-3] [MQTT-3.1.2-23]
fn with_messages_that_waited(ctx: &Ctx) -> Step {
    ctx.needs(ctx.announced.subscription_ids, "subscription identifiers")?;
    let topic = ctx.topic("a");
    let (mut client, _) = ctx.connect_keeping("c")?;
    subscribe(&mut client, &[&topic], Some(11))?;
    client.disconnect()?;
    let mut publisher = ctx.connect("p")?;
    publisher.publish(&topic, "waited", QoS::AtLeastOnce)?;
    let (mut client, _) = ctx.connect_keeping("c")?;
    same("identifiers", numbers(&mut client, "a|1|0|waited")?, [11])?;
    publisher.publish(&topic, "live", QoS::AtLeastOnce)?;
    same("identifiers", numbers(&mut client, "a|1|0|live")?, [11])
}
