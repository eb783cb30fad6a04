//! 3.3.2.3.4 Topic Alias, in both directions.

use std::collections::BTreeMap;

use mqtt_codec::{Connect, Properties, Property, Publish, QoS, ReasonCode, TopicAlias};

use crate::case::chapter;
use crate::client::Client;
use crate::ctx::Ctx;
use crate::failure::{Step, check, failed, same};
use crate::frame::{Frame, publish};

chapter!(
    alias,
    "3.3.2.3.4 Topic Alias",
    [
        stands_for_its_topic,
        replaced,
        every_one_up_to_the_maximum,
        with_every_qos,
        above_the_maximum,
        never_set,
        ends_with_the_connection,
        of_one_connection_only,
        not_forwarded,
        none_to_a_client_that_takes_none,
        within_the_clients_maximum,
        set_anew_on_each_connection,
    ]
);

/// How a wrong alias may be told.
const INVALID: &[ReasonCode] = &[
    ReasonCode::TOPIC_ALIAS_INVALID,
    ReasonCode::PROTOCOL_ERROR,
    ReasonCode::MALFORMED_PACKET,
];

/// Ends the case as not applicable unless the broker takes `count` aliases.
fn needs_aliases(ctx: &Ctx, count: u16) -> Step {
    ctx.needs(
        ctx.announced.topic_alias_maximum >= count,
        &format!("topic aliases up to {count}"),
    )
}

/// Publishes with an alias; with an empty topic, under the topic that it stands for.
#[track_caller]
fn publish_as(client: &mut Client, topic: &str, alias: u16, payload: &str, qos: QoS) -> Step {
    let Some(alias) = TopicAlias::new(alias) else {
        return failed("an alias that is not 0", "0");
    };
    let properties = [Property::TopicAlias(alias)];
    let packet = Publish {
        properties: Properties::List(&properties),
        ..publish(topic, payload)
    };
    client.publish_packet(&packet, qos)
}

/// An alias that came with a topic stands for it in what comes without. [MQTT-3.3.2-12]
fn stands_for_its_topic(ctx: &Ctx) -> Step {
    needs_aliases(ctx, 1)?;
    let topic = ctx.topic("a");
    let mut subscriber = ctx.subscribed("s", &topic, QoS::AtMostOnce)?;
    let mut client = ctx.connect("p")?;
    publish_as(&mut client, &topic, 1, "1", QoS::AtMostOnce)?;
    for payload in ["2", "3"] {
        publish_as(&mut client, "", 1, payload, QoS::AtMostOnce)?;
    }
    for payload in ["1", "2", "3"] {
        subscriber.expect(&format!("a|0|0|{payload}"))?;
    }
    Ok(())
}

/// An alias that comes with another topic stands for that one from then on; a topic may have several aliases, or be sent in full.
/// [MQTT-3.3.2-12]
fn replaced(ctx: &Ctx) -> Step {
    needs_aliases(ctx, 2)?;
    let (a, b) = (ctx.topic("a"), ctx.topic("b"));
    let mut subscriber = ctx.subscribed("s", &a, QoS::AtMostOnce)?;
    subscriber.subscribe_at(&b, QoS::AtMostOnce)?;
    let mut client = ctx.connect("p")?;
    let sent = [
        (a.as_str(), 1, "a"),
        ("", 1, "a"),
        (&b, 1, "b"),
        ("", 1, "b"),
        (&b, 2, "b"),
        (&a, 1, "a"),
        ("", 2, "b"),
        ("", 1, "a"),
    ];
    for (topic, alias, expected) in sent {
        publish_as(&mut client, topic, alias, "x", QoS::AtMostOnce)?;
        subscriber.expect(&format!("{expected}|0|0|x"))?;
        client.publish(&a, "full", QoS::AtMostOnce)?;
        subscriber.expect("a|0|0|full")?;
    }
    Ok(())
}

/// The broker takes every alias from 1 to the maximum that it announces. [MQTT-3.3.2-12]
fn every_one_up_to_the_maximum(ctx: &Ctx) -> Step {
    needs_aliases(ctx, 1)?;
    let maximum = ctx.announced.topic_alias_maximum;
    // Of a maximum of many thousands, those at both ends.
    let aliases: Vec<u16> = (1..=maximum)
        .filter(|&alias| alias <= 100 || alias > maximum - 100)
        .collect();
    let mut subscriber = ctx.subscribed("s", &ctx.topic("+"), QoS::AtMostOnce)?;
    let mut client = ctx.connect("p")?;
    for &alias in aliases.iter().rev() {
        let topic = ctx.topic(&alias.to_string());
        publish_as(&mut client, &topic, alias, "set", QoS::AtMostOnce)?;
        subscriber.expect(&format!("{alias}|0|0|set"))?;
    }
    for &alias in &aliases {
        publish_as(&mut client, "", alias, "used", QoS::AtMostOnce)?;
        subscriber.expect(&format!("{alias}|0|0|used"))?;
    }
    Ok(())
}

/// An alias may be set and used at each QoS. [MQTT-3.3.2-12]
fn with_every_qos(ctx: &Ctx) -> Step {
    needs_aliases(ctx, 3)?;
    ctx.needs_qos(QoS::ExactlyOnce)?;
    let topic = ctx.topic("a");
    let mut subscriber = ctx.subscribed("s", &topic, QoS::AtMostOnce)?;
    let mut client = ctx.connect("p")?;
    let all = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];
    for (alias, set) in (1..).zip(all) {
        publish_as(&mut client, &topic, alias, "set", set)?;
        subscriber.expect("a|0|0|set")?;
        for used in all {
            publish_as(&mut client, "", alias, "used", used)?;
            subscriber.expect("a|0|0|used")?;
        }
    }
    Ok(())
}

/// Sends a PUBLISH of QoS 1 with this alias, which the broker must answer by closing.
#[track_caller]
fn broken(ctx: &Ctx, client: &mut Client, topic: &str, alias: u16) -> Step {
    let properties = [Property::TopicAlias(TopicAlias::MAX)];
    let packet = Publish {
        delivery: mqtt_codec::Delivery::AtLeastOnce(mqtt_codec::PacketId::MIN),
        properties: Properties::List(&properties),
        ..publish(topic, "x")
    };
    let mut bytes = ctx.bytes(&packet);
    let end = bytes.len() - 1;
    bytes[end - 2..end].copy_from_slice(&alias.to_be_bytes());
    client.ping()?;
    client.send_bytes(&bytes);
    client.end_for(INVALID)?;
    Ok(())
}

/// An alias above the announced maximum closes the connection. [MQTT-4.13.1-1]
fn above_the_maximum(ctx: &Ctx) -> Step {
    let maximum = ctx.announced.topic_alias_maximum;
    ctx.needs(maximum < u16::MAX, "alias that is too high")?;
    let topic = ctx.topic("a");
    let mut subscriber = ctx.subscribed("s", &topic, QoS::AtMostOnce)?;
    for alias in [maximum + 1, u16::MAX] {
        let mut client = ctx.connect("p")?;
        broken(ctx, &mut client, &topic, alias)?;
    }
    subscriber.silence()
}

/// An alias without a topic that was never set closes the connection. [MQTT-4.13.1-1]
fn never_set(ctx: &Ctx) -> Step {
    needs_aliases(ctx, 2)?;
    let topic = ctx.topic("a");
    let mut subscriber = ctx.subscribed("s", &topic, QoS::AtMostOnce)?;
    let mut client = ctx.connect("p")?;
    publish_as(&mut client, &topic, 1, "x", QoS::AtMostOnce)?;
    subscriber.expect("a|0|0|x")?;
    broken(ctx, &mut client, "", 2)?;
    subscriber.silence()
}

/// Aliases end with their connection, even if the session goes on. [MQTT-3.3.2-7]
fn ends_with_the_connection(ctx: &Ctx) -> Step {
    needs_aliases(ctx, 1)?;
    let topic = ctx.topic("a");
    let mut subscriber = ctx.subscribed("s", &topic, QoS::AtMostOnce)?;
    let (mut client, _) = ctx.connect_keeping("p")?;
    publish_as(&mut client, &topic, 1, "x", QoS::AtMostOnce)?;
    subscriber.expect("a|0|0|x")?;
    client.cut();
    let (mut client, present) = ctx.connect_keeping("p")?;
    same("session present", present, true)?;
    broken(ctx, &mut client, "", 1)?;
    subscriber.silence()
}

/// Each connection has its own aliases. [MQTT-3.3.2-7]
fn of_one_connection_only(ctx: &Ctx) -> Step {
    needs_aliases(ctx, 1)?;
    let (a, b) = (ctx.topic("a"), ctx.topic("b"));
    let mut subscriber = ctx.subscribed("s", &a, QoS::AtMostOnce)?;
    subscriber.subscribe_at(&b, QoS::AtMostOnce)?;
    let mut first = ctx.connect("p1")?;
    let mut second = ctx.connect("p2")?;
    let mut third = ctx.connect("p3")?;
    publish_as(&mut first, &a, 1, "x", QoS::AtMostOnce)?;
    subscriber.expect("a|0|0|x")?;
    publish_as(&mut second, &b, 1, "x", QoS::AtMostOnce)?;
    subscriber.expect("b|0|0|x")?;
    publish_as(&mut first, "", 1, "y", QoS::AtMostOnce)?;
    subscriber.expect("a|0|0|y")?;
    publish_as(&mut second, "", 1, "y", QoS::AtMostOnce)?;
    subscriber.expect("b|0|0|y")?;
    broken(ctx, &mut third, "", 1)
}

/// A subscriber that takes no aliases gets the topic in full from a publisher that uses them. [MQTT-3.1.2-27]
fn not_forwarded(ctx: &Ctx) -> Step {
    needs_aliases(ctx, 1)?;
    let topic = ctx.topic("a");
    let mut subscriber = ctx.subscribed("s", &topic, QoS::AtLeastOnce)?;
    let mut client = ctx.connect("p")?;
    for name in [topic.as_str(), "", ""] {
        publish_as(&mut client, name, 1, "x", QoS::AtLeastOnce)?;
        let frame = subscriber.take()?;
        let got = frame.publish()?;
        same("topic", got.topic, topic.as_str())?;
        same("alias", got.properties.topic_alias(), None)?;
    }
    Ok(())
}

/// Connects a client that takes `maximum` aliases, or does not say so.
#[track_caller]
fn taking(ctx: &Ctx, maximum: Option<u16>) -> Step<Client> {
    let id = ctx.id("s");
    let mut properties = vec![Property::SessionExpiryInterval(120)];
    properties.extend(maximum.map(Property::TopicAliasMaximum));
    let connect = Connect {
        properties: Properties::List(&properties),
        ..ctx.keeping(&id)
    };
    Ok(ctx.connect_with("s", &connect)?.0)
}

/// The topic of a message for a client that has noted the aliases before in `known`, and takes those up to `maximum`.
#[track_caller]
fn topic_of(frame: &Frame, known: &mut BTreeMap<u16, String>, maximum: u16) -> Step<String> {
    let got = frame.publish()?;
    let Some(alias) = got.properties.topic_alias() else {
        check(!got.topic.is_empty(), "a topic", frame)?;
        return Ok(got.topic.to_owned());
    };
    check(
        alias.get() <= maximum,
        &format!("an alias of {maximum} at most"),
        frame,
    )?;
    if got.topic.is_empty() {
        match known.get(&alias.get()) {
            Some(topic) => Ok(topic.clone()),
            None => failed(
                "an alias that was set on this connection",
                format!("{frame:?}"),
            ),
        }
    } else {
        known.insert(alias.get(), got.topic.to_owned());
        Ok(got.topic.to_owned())
    }
}

/// Sends messages on `topics` topics, some rounds over, which must arrive under their topics.
#[track_caller]
fn rounds(ctx: &Ctx, subscriber: &mut Client, topics: u16, maximum: u16) -> Step {
    let mut known = BTreeMap::new();
    let mut publisher = ctx.connect("p")?;
    for round in 0..4 {
        for number in 0..topics {
            let topic = ctx.topic(&format!("topic/{number}"));
            let qos = if round < 2 {
                QoS::AtMostOnce
            } else {
                QoS::AtLeastOnce
            };
            publisher.publish(&topic, &number.to_string(), qos)?;
            let frame = subscriber.take()?;
            same("topic", topic_of(&frame, &mut known, maximum)?, topic)?;
        }
    }
    Ok(())
}

/// A client that announces a maximum of 0, or none, gets no alias. [MQTT-3.1.2-27]
fn none_to_a_client_that_takes_none(ctx: &Ctx) -> Step {
    for maximum in [None, Some(0)] {
        let mut subscriber = taking(ctx, maximum)?;
        subscriber.subscribe_at(&ctx.topic("topic/+"), QoS::AtLeastOnce)?;
        rounds(ctx, &mut subscriber, 4, 0)?;
        subscriber.disconnect()?;
    }
    Ok(())
}

/// A client gets no alias above the maximum that it announces, and each only after it was set. [MQTT-3.1.2-26] [MQTT-3.3.2-11]
fn within_the_clients_maximum(ctx: &Ctx) -> Step {
    for maximum in [1, 3, 10] {
        let mut subscriber = taking(ctx, Some(maximum))?;
        subscriber.subscribe_at(&ctx.topic("topic/+"), QoS::AtLeastOnce)?;
        rounds(ctx, &mut subscriber, 5, maximum)?;
        subscriber.disconnect()?;
    }
    Ok(())
}

/// The broker sets its aliases anew on each connection of a session, also for what it sends again. [MQTT-3.3.2-7] [MQTT-3.1.2-26]
fn set_anew_on_each_connection(ctx: &Ctx) -> Step {
    let mut subscriber = taking(ctx, Some(5))?;
    subscriber.subscribe_at(&ctx.topic("topic/+"), QoS::AtLeastOnce)?;
    rounds(ctx, &mut subscriber, 2, 5)?;
    subscriber.ping()?;
    let mut publisher = ctx.connect("p")?;
    for maximum in [Some(5), Some(1), None] {
        for number in 0..2 {
            publisher.publish(
                &ctx.topic(&format!("topic/{number}")),
                "x",
                QoS::AtLeastOnce,
            )?;
            // Received, but neither acknowledged nor looked at.
            subscriber.receive()?;
        }
        subscriber.cut();
        subscriber = taking(ctx, maximum)?;
        let mut known = BTreeMap::new();
        for number in 0..2 {
            let frame = subscriber.take()?;
            let topic = topic_of(&frame, &mut known, maximum.unwrap_or(0))?;
            same("topic", topic, ctx.topic(&format!("topic/{number}")))?;
        }
        // Acknowledged for good before the next connection.
        subscriber.ping()?;
    }
    Ok(())
}
