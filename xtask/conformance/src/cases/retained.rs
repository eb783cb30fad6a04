//! 3.3.1.3 RETAIN: what is kept for subscribers that come later, and the flag that they see.

use mqtt_codec::{
    PayloadFormat, Properties, Property, Publish, QoS, RetainHandling, SubscriptionOptions,
};

use crate::case::chapter;
use crate::client::Client;
use crate::ctx::Ctx;
use crate::failure::{Step, check, same};
use crate::frame::{at, publish, retained};

chapter!(
    retained,
    "3.3.1.3 RETAIN",
    [
        kept_for_new_subscriptions,
        replaced,
        replaced_with_qos_0,
        removed_by_an_empty_payload,
        empty_is_not_kept,
        untouched_without_the_flag,
        flag_is_0_for_an_existing_subscription,
        flag_stays_as_published,
        each_topic_below_a_wildcard,
        at_the_granted_qos,
        properties_are_kept,
        handling_0_at_every_subscribe,
        handling_1_only_if_new,
        handling_2_never,
        handling_of_each_filter,
        not_for_a_shared_subscription,
    ]
);

/// A client that has published one retained message per topic.
#[track_caller]
fn publisher(ctx: &Ctx, messages: &[(&str, &str)]) -> Step<Client> {
    ctx.needs_retain()?;
    let mut client = ctx.connect("p")?;
    for (topic, payload) in messages {
        client.publish_packet(&retained(&ctx.topic(topic), payload), QoS::AtLeastOnce)?;
    }
    Ok(client)
}

/// What a new client gets at once for a subscription of QoS 1 to `filter`, sorted; `least` messages are waited for.
#[track_caller]
fn kept(ctx: &Ctx, filter: &str, least: usize) -> Step<Vec<String>> {
    let mut client = ctx.subscribed("new", &ctx.topic(filter), QoS::AtLeastOnce)?;
    let mut texts = Vec::new();
    for _ in 0..least {
        let frame = client.receive()?;
        texts.push(client.text(&frame)?);
    }
    client.ping()?;
    while let Some(frame) = client.waiting() {
        texts.push(client.text(&frame)?);
    }
    texts.sort();
    client.disconnect()?;
    Ok(texts)
}

const NOTHING: &[String] = &[];

/// A message with RETAIN 1 is kept, and sent with RETAIN 1 for each subscription made later.
/// [MQTT-3.3.1-5] [MQTT-3.3.1-9] [3.1.1:MQTT-3.3.1-5] [3.1.1:MQTT-3.3.1-6] [3.1.1:MQTT-3.3.1-8]
fn kept_for_new_subscriptions(ctx: &Ctx) -> Step {
    let publisher = publisher(ctx, &[("a", "x"), ("b", "y")])?;
    // It is kept without its publisher.
    publisher.disconnect()?;
    for _ in 0..3 {
        same("messages", kept(ctx, "a", 1)?, ["a|1|1|x"])?;
    }
    let mut client = ctx.subscribed("s", &ctx.topic("b"), QoS::AtMostOnce)?;
    client.expect("b|0|1|y")?;
    client.subscribe_at(&ctx.topic("a"), QoS::AtLeastOnce)?;
    client.expect("a|1|1|x")
}

/// The last retained message replaces the one before. [MQTT-3.3.1-5] [3.1.1:MQTT-3.3.1-5] [3.1.1:MQTT-3.3.1-6]
fn replaced(ctx: &Ctx) -> Step {
    let mut client = publisher(ctx, &[("a", "1"), ("b", "other"), ("a", "2")])?;
    same("messages", kept(ctx, "a", 1)?, ["a|1|1|2"])?;
    client.publish_packet(&retained(&ctx.topic("a"), "3"), QoS::AtLeastOnce)?;
    same("messages", kept(ctx, "a", 1)?, ["a|1|1|3"])
}

/// A retained message of QoS 0 replaces the one before, or at least removes it. [MQTT-3.3.1-5] [3.1.1:MQTT-3.3.1-7]
fn replaced_with_qos_0(ctx: &Ctx) -> Step {
    let mut client = publisher(ctx, &[("a", "old"), ("b", "marker")])?;
    client.publish_packet(&retained(&ctx.topic("a"), "new"), QoS::AtMostOnce)?;
    client.ping()?;
    same(
        "the broker keeps messages",
        kept(ctx, "b", 1)?,
        ["b|1|1|marker"],
    )?;
    let kept = kept(ctx, "a", 0)?;
    check(
        kept == ["a|0|1|new"] || kept.is_empty(),
        "the new message, or none",
        &kept,
    )
}

/// An empty payload with RETAIN 1 removes what was kept; existing subscriptions get it as any message.
/// [MQTT-3.3.1-6] [MQTT-3.3.1-7] [3.1.1:MQTT-3.3.1-10] [3.1.1:MQTT-3.3.1-11]
fn removed_by_an_empty_payload(ctx: &Ctx) -> Step {
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce] {
        let mut client = publisher(ctx, &[("a", "x"), ("b", "y")])?;
        same("messages", kept(ctx, "a", 1)?, ["a|1|1|x"])?;
        let mut subscriber = ctx.subscribed("s", &ctx.topic("a"), qos)?;
        let number = qos as u8;
        subscriber.expect(&format!("a|{number}|1|x"))?;
        client.publish_packet(&retained(&ctx.topic("a"), ""), qos)?;
        client.ping()?;
        subscriber.expect(&format!("a|{number}|0|"))?;
        same("messages of a", kept(ctx, "a", 0)?, NOTHING)?;
        same("messages of b", kept(ctx, "b", 1)?, ["b|1|1|y"])?;
    }
    Ok(())
}

/// An empty payload is not kept where nothing was kept. [MQTT-3.3.1-7] [3.1.1:MQTT-3.3.1-11]
fn empty_is_not_kept(ctx: &Ctx) -> Step {
    let _client = publisher(ctx, &[("a", ""), ("b", "y")])?;
    same("messages of b", kept(ctx, "b", 1)?, ["b|1|1|y"])?;
    same("messages of a", kept(ctx, "a", 0)?, NOTHING)
}

/// A message with RETAIN 0 is not kept, and neither removes nor replaces what is, not even with an empty payload.
/// [MQTT-3.3.1-8] [3.1.1:MQTT-3.3.1-12]
fn untouched_without_the_flag(ctx: &Ctx) -> Step {
    let mut client = publisher(ctx, &[("a", "x")])?;
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce] {
        client.publish(&ctx.topic("a"), "y", qos)?;
        client.publish(&ctx.topic("a"), "", qos)?;
        client.publish(&ctx.topic("b"), "y", qos)?;
        client.ping()?;
        same("messages of a", kept(ctx, "a", 1)?, ["a|1|1|x"])?;
        same("messages of b", kept(ctx, "b", 0)?, NOTHING)?;
    }
    Ok(())
}

/// RETAIN is 0 where a message is sent because its subscription existed before, as long as Retain As Published is 0.
/// [MQTT-3.3.1-12] [3.1.1:MQTT-3.3.1-9]
fn flag_is_0_for_an_existing_subscription(ctx: &Ctx) -> Step {
    ctx.needs_retain()?;
    let topic = ctx.topic("a");
    let mut subscriber = ctx.subscribed("s", &topic, QoS::AtLeastOnce)?;
    let mut client = ctx.connect("p")?;
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce] {
        let number = qos as u8;
        client.publish_packet(&retained(&topic, "x"), qos)?;
        subscriber.expect(&format!("a|{number}|0|x"))?;
        client.publish(&topic, "y", qos)?;
        subscriber.expect(&format!("a|{number}|0|y"))?;
    }
    Ok(())
}

/// Options of QoS 1 with this retain handling.
fn handling(retain_handling: RetainHandling) -> SubscriptionOptions {
    SubscriptionOptions {
        retain_handling,
        ..at(QoS::AtLeastOnce)
    }
}

/// With Retain As Published 1 RETAIN stays as it was published, whether 0 or 1. [MQTT-3.3.1-13]
fn flag_stays_as_published(ctx: &Ctx) -> Step {
    ctx.needs_retain()?;
    let topic = ctx.topic("a");
    let options = SubscriptionOptions {
        retain_as_published: true,
        ..at(QoS::AtLeastOnce)
    };
    let mut subscriber = ctx.connect("s")?;
    subscriber.subscribe(&[(&topic, options)])?;
    let mut plain = ctx.subscribed("plain", &topic, QoS::AtLeastOnce)?;
    let mut client = ctx.connect("p")?;
    for (payload, retain) in [("x", true), ("y", false), ("", true), ("", false)] {
        let packet = Publish {
            retain,
            ..publish(&topic, payload)
        };
        client.publish_packet(&packet, QoS::AtLeastOnce)?;
        subscriber.expect(&format!("a|1|{}|{payload}", u8::from(retain)))?;
        plain.expect(&format!("a|1|0|{payload}"))?;
    }
    Ok(())
}

/// A filter with wildcards gets the kept message of each topic that matches, and of no other.
/// [MQTT-3.3.1-9] [3.1.1:MQTT-3.3.1-6]
fn each_topic_below_a_wildcard(ctx: &Ctx) -> Step {
    ctx.needs(ctx.announced.wildcards, "wildcards")?;
    let messages = [
        ("a", "1"),
        ("a/b", "2"),
        ("a/c", "3"),
        ("a/b/c", "4"),
        ("d", "5"),
    ];
    let _client = publisher(ctx, &messages)?;
    let some = |numbers: &str| -> Vec<String> {
        messages
            .iter()
            .filter(|(_, payload)| numbers.contains(payload))
            .map(|(topic, payload)| format!("{topic}|1|1|{payload}"))
            .collect()
    };
    for (filter, expected) in [
        ("a/+", "23"),
        ("a/b/#", "24"),
        ("+", "15"),
        ("+/b/+", "4"),
        ("+/+", "23"),
        ("a/+/d", ""),
    ] {
        let mut expected = some(expected);
        expected.sort();
        same(filter, kept(ctx, filter, expected.len())?, expected)?;
    }
    let mut expected = some("12345");
    expected.sort();
    same("#", kept(ctx, "#", expected.len())?, expected)
}

/// A kept message is sent with the lower of its own QoS and the QoS granted. [MQTT-3.8.4-8] [3.1.1:MQTT-3.8.4-6]
fn at_the_granted_qos(ctx: &Ctx) -> Step {
    ctx.needs_qos(QoS::ExactlyOnce)?;
    let mut client = publisher(ctx, &[])?;
    let all = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];
    for published in all {
        // What has QoS 0 need not be kept.
        if published == QoS::AtMostOnce {
            continue;
        }
        client.publish_packet(&retained(&ctx.topic("a"), "x"), published)?;
        for granted in all {
            let mut subscriber = ctx.subscribed("s", &ctx.topic("a"), granted)?;
            subscriber.expect(&format!("a|{}|1|x", granted.min(published) as u8))?;
        }
    }
    Ok(())
}

/// A kept message keeps its properties. [MQTT-3.3.2-4] [MQTT-3.3.2-15] [MQTT-3.3.2-16] [MQTT-3.3.2-17] [MQTT-3.3.2-18] [MQTT-3.3.2-20]
fn properties_are_kept(ctx: &Ctx) -> Step {
    let (topic, answers) = (ctx.topic("a"), ctx.topic("answers"));
    let sent = [
        Property::PayloadFormatIndicator(PayloadFormat::Utf8),
        Property::ContentType("text/plain"),
        Property::ResponseTopic(&answers),
        Property::CorrelationData(b"id"),
        Property::UserProperty("b", "1"),
        Property::UserProperty("a", "2"),
        Property::UserProperty("b", "0"),
    ];
    let mut client = publisher(ctx, &[])?;
    let packet = Publish {
        properties: Properties::List(&sent),
        ..retained(&topic, "x")
    };
    client.publish_packet(&packet, QoS::AtLeastOnce)?;
    for name in ["s1", "s2"] {
        let mut subscriber = ctx.subscribed(name, &topic, QoS::AtMostOnce)?;
        let frame = subscriber.take()?;
        let got = frame.publish()?.properties;
        same("number of properties", got.iter().count(), sent.len())?;
        for property in sent {
            let there = got.iter().any(|got| got == property);
            check(there, &format!("{property:?}"), &frame)?;
        }
        let pairs: Vec<_> = got.user_properties().collect();
        same(
            "user properties",
            pairs,
            [("b", "1"), ("a", "2"), ("b", "0")],
        )?;
    }
    Ok(())
}

/// With retain handling 0, kept messages are sent at every SUBSCRIBE. [MQTT-3.3.1-9]
fn handling_0_at_every_subscribe(ctx: &Ctx) -> Step {
    let _client = publisher(ctx, &[("a", "x")])?;
    let topic = ctx.topic("a");
    let mut subscriber = ctx.connect("s")?;
    for _ in 0..3 {
        subscriber.subscribe(&[(&topic, handling(RetainHandling::SendAtSubscribe))])?;
        subscriber.expect("a|1|1|x")?;
    }
    subscriber.silence()
}

/// With retain handling 1, kept messages are sent if the subscription did not exist, and only then. [MQTT-3.3.1-10]
fn handling_1_only_if_new(ctx: &Ctx) -> Step {
    let _client = publisher(ctx, &[("a", "x")])?;
    let topic = ctx.topic("a");
    let if_new = [(topic.as_str(), handling(RetainHandling::SendIfNew))];
    let mut subscriber = ctx.connect("s")?;
    for _ in 0..2 {
        subscriber.subscribe(&if_new)?;
        subscriber.expect("a|1|1|x")?;
        subscriber.subscribe(&if_new)?;
        subscriber.silence()?;
        // After UNSUBSCRIBE it is new once more.
        subscriber.unsubscribe(&[&topic])?;
    }
    // It makes no difference what the subscription that exists asked for.
    subscriber.subscribe(&[(&topic, handling(RetainHandling::DoNotSend))])?;
    subscriber.subscribe(&if_new)?;
    subscriber.silence()
}

/// With retain handling 2, kept messages are not sent, but those published later are. [MQTT-3.3.1-11]
fn handling_2_never(ctx: &Ctx) -> Step {
    let mut client = publisher(ctx, &[("a", "x")])?;
    let topic = ctx.topic("a");
    let mut subscriber = ctx.connect("s")?;
    for _ in 0..2 {
        subscriber.subscribe(&[(&topic, handling(RetainHandling::DoNotSend))])?;
        subscriber.silence()?;
    }
    client.publish_packet(&retained(&topic, "y"), QoS::AtLeastOnce)?;
    subscriber.expect("a|1|0|y")?;
    subscriber.subscribe(&[(&topic, handling(RetainHandling::DoNotSend))])?;
    subscriber.silence()
}

/// Each filter of a SUBSCRIBE has its own retain handling. [MQTT-3.3.1-9] [MQTT-3.3.1-10] [MQTT-3.3.1-11] [MQTT-3.8.4-5]
fn handling_of_each_filter(ctx: &Ctx) -> Step {
    let _client = publisher(ctx, &[("a", "0"), ("b", "1"), ("c", "2")])?;
    let (a, b, c) = (ctx.topic("a"), ctx.topic("b"), ctx.topic("c"));
    let filters = [
        (c.as_str(), handling(RetainHandling::DoNotSend)),
        (&b, handling(RetainHandling::SendIfNew)),
        (&a, handling(RetainHandling::SendAtSubscribe)),
    ];
    let mut subscriber = ctx.connect("s")?;
    subscriber.subscribe(&filters)?;
    let mut first = [subscriber.take_text()?, subscriber.take_text()?];
    first.sort();
    same(
        "messages for new subscriptions",
        first,
        ["a|1|1|0", "b|1|1|1"],
    )?;
    subscriber.silence()?;
    subscriber.subscribe(&filters)?;
    subscriber.expect("a|1|1|0")?;
    subscriber.silence()
}

/// A shared subscription gets no kept messages, one that is not shared does. [MQTT-3.3.1-9]
fn not_for_a_shared_subscription(ctx: &Ctx) -> Step {
    ctx.needs(ctx.announced.shared, "shared subscriptions")?;
    let mut client = publisher(ctx, &[("a", "x")])?;
    let mut shared = ctx.connect("shared")?;
    let filter = format!("$share/{}/{}", ctx.id("g"), ctx.topic("a"));
    shared.subscribe(&[(&filter, handling(RetainHandling::SendAtSubscribe))])?;
    shared.silence()?;
    same("messages", kept(ctx, "a", 1)?, ["a|1|1|x"])?;
    client.publish_packet(&retained(&ctx.topic("a"), "y"), QoS::AtLeastOnce)?;
    shared.expect("a|1|0|y")
}
