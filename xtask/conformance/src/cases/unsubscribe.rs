//! 3.10 UNSUBSCRIBE and 3.11 UNSUBACK.

use mqtt_codec::{
    PacketId, Properties, PubAck, PubComp, PubRec, QoS, ReasonCode, Unsubscribe, UnsubscribeFilters,
};

use crate::case::chapter;
use crate::ctx::Ctx;
use crate::failure::{Step, same};
use crate::frame::{at, packet_id};

chapter!(
    unsubscribe,
    "3.10 UNSUBSCRIBE, 3.11 UNSUBACK",
    [
        answered_with_its_identifier,
        answered_without_a_match,
        codes_in_order,
        no_more_messages,
        only_the_same_filter,
        several_filters_act_like_several_packets,
        another_subscription_stays,
        only_for_this_client,
        not_what_waits_for_others,
        begun_qos_1_is_completed,
        begun_qos_2_is_completed,
        subscribed_once_more,
    ]
);

/// UNSUBSCRIBE is answered with UNSUBACK and its packet identifier, and takes effect.
/// [MQTT-3.10.4-4] [MQTT-3.10.4-5] [MQTT-2.2.1-6] [3.1.1:MQTT-3.10.4-4] [3.1.1:MQTT-2.3.1-7]
fn answered_with_its_identifier(ctx: &Ctx) -> Step {
    let topic = ctx.topic("a");
    let mut client = ctx.connect("c")?;
    for id in [
        PacketId::MAX,
        packet_id(0x0100),
        packet_id(0x00ff),
        packet_id(1),
    ] {
        client.subscribe_at(&topic, QoS::AtMostOnce)?;
        client.publish(&topic, "x", QoS::AtMostOnce)?;
        client.expect("a|0|0|x")?;
        client.send(&Unsubscribe {
            packet_id: id,
            properties: Properties::EMPTY,
            filters: UnsubscribeFilters::List(&[&topic]),
        });
        let answer = client.receive()?;
        same("identifier of UNSUBACK", answer.unsub_ack()?.packet_id, id)?;
        client.publish(&topic, "y", QoS::AtMostOnce)?;
        client.silence()?;
    }
    Ok(())
}

/// UNSUBSCRIBE is answered with UNSUBACK also if no subscription matches; those that there are stay.
/// [MQTT-3.10.4-4] [MQTT-3.10.4-5] [3.1.1:MQTT-3.10.4-4] [3.1.1:MQTT-3.10.4-5]
fn answered_without_a_match(ctx: &Ctx) -> Step {
    let mut client = ctx.connect("c")?;
    let codes = client.unsubscribe(&[&ctx.topic("a")])?;
    if ctx.is_v5() {
        same("codes", codes, [ReasonCode::NO_SUBSCRIPTION_EXISTED])?;
    }
    client.subscribe_at(&ctx.topic("b"), QoS::AtMostOnce)?;
    client.unsubscribe(&[&ctx.topic("a"), &ctx.topic("c")])?;
    client.publish(&ctx.topic("b"), "x", QoS::AtMostOnce)?;
    client.expect("b|0|0|x")
}

/// UNSUBACK has one code for each filter, in their order: 0x00, or 0x11 if there was no subscription.
/// [MQTT-3.11.3-1] [MQTT-3.11.3-2]
fn codes_in_order(ctx: &Ctx) -> Step {
    let names = ["1", "2", "3", "4", "5", "6"].map(|name| ctx.topic(name));
    let mut client = ctx.connect("c")?;
    for index in [0, 3, 4] {
        client.subscribe_at(&names[index], QoS::AtMostOnce)?;
    }
    let filters: Vec<_> = names.iter().map(String::as_str).collect();
    let codes = client.unsubscribe(&filters)?;
    let expected = [0x00, 0x11, 0x11, 0x00, 0x00, 0x11].map(ReasonCode);
    same("codes", codes, expected)?;
    same(
        "codes",
        client.unsubscribe(&filters)?,
        [ReasonCode(0x11); 6],
    )
}

/// After UNSUBACK no message of the subscription is added. [MQTT-3.10.4-2] [3.1.1:MQTT-3.10.4-2]
fn no_more_messages(ctx: &Ctx) -> Step {
    let (a, b) = (ctx.topic("a"), ctx.topic("b"));
    let mut client = ctx.subscribed("c", &a, ctx.announced.maximum_qos)?;
    client.subscribe_at(&b, QoS::AtMostOnce)?;
    let mut publisher = ctx.connect("p")?;
    publisher.publish(&a, "before", QoS::AtLeastOnce)?;
    client.expect("a|1|0|before")?;
    client.unsubscribe(&[&a])?;
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
        if qos <= ctx.announced.maximum_qos {
            publisher.publish(&a, "after", qos)?;
        }
    }
    publisher.publish(&b, "end", QoS::AtMostOnce)?;
    client.expect("b|0|0|end")?;
    client.silence()
}

/// Filters are compared character by character: one that only matches, or differs in a letter, removes nothing.
/// [MQTT-3.10.4-1] [3.1.1:MQTT-3.10.4-1]
fn only_the_same_filter(ctx: &Ctx) -> Step {
    ctx.needs(ctx.announced.wildcards, "wildcards")?;
    let mut client = ctx.connect("c")?;
    let subscribed = ["Room/+", "Room/1", "Room/é", "Room/#"];
    for filter in subscribed {
        client.subscribe_at(&ctx.topic(filter), QoS::AtMostOnce)?;
    }
    let others = [
        "#",
        "+/+",
        "+/1",
        "Room",
        "room/1",
        "Room/1/",
        "/Room/1",
        "Room/2",
        "Room/",
        "Room/+/#",
        "Room/e\u{301}",
        "Room/+/+",
    ]
    .map(|filter| ctx.topic(filter));
    let filters: Vec<_> = others.iter().map(String::as_str).collect();
    let codes = client.unsubscribe(&filters)?;
    if ctx.is_v5() {
        same(
            "codes",
            codes,
            vec![ReasonCode::NO_SUBSCRIPTION_EXISTED; filters.len()],
        )?;
    }
    // Each is there still, and goes by its own name.
    let topics = ["Room/x", "Room/1", "Room/é", "Room"];
    for (index, filter) in subscribed.iter().enumerate() {
        for kept in &subscribed[index + 1..] {
            client.unsubscribe(&[&ctx.topic(kept)])?;
        }
        client.publish(&ctx.topic(topics[index]), "x", QoS::AtMostOnce)?;
        client.expect(&format!("{}|0|0|x", topics[index]))?;
        client.unsubscribe(&[&ctx.topic(filter)])?;
        client.publish(&ctx.topic(topics[index]), "y", QoS::AtMostOnce)?;
        client.silence()?;
        for kept in &subscribed[index + 1..] {
            client.subscribe_at(&ctx.topic(kept), QoS::AtMostOnce)?;
        }
    }
    Ok(())
}

/// An UNSUBSCRIBE with several filters acts like one packet for each. [MQTT-3.10.4-6] [3.1.1:MQTT-3.10.4-6]
fn several_filters_act_like_several_packets(ctx: &Ctx) -> Step {
    let (a, b, c) = (ctx.topic("a"), ctx.topic("b"), ctx.topic("c"));
    let mut client = ctx.connect("c")?;
    for topic in [&a, &b, &c] {
        client.subscribe_at(topic, QoS::AtMostOnce)?;
    }
    let codes = client.unsubscribe(&[&c, &a, &c])?;
    if ctx.is_v5() {
        same("codes", codes, [0x00, 0x00, 0x11].map(ReasonCode))?;
    }
    for topic in [&a, &c, &b] {
        client.publish(topic, "x", QoS::AtMostOnce)?;
    }
    client.expect("b|0|0|x")?;
    client.silence()
}

/// Another subscription that matches the same topics stays. [MQTT-3.10.4-1] [3.1.1:MQTT-3.10.4-1]
fn another_subscription_stays(ctx: &Ctx) -> Step {
    ctx.needs(ctx.announced.wildcards, "wildcards")?;
    let mut client = ctx.subscribed("c", &ctx.topic("a/b"), QoS::AtMostOnce)?;
    client.subscribe_at(&ctx.topic("a/+"), QoS::AtLeastOnce)?;
    client.unsubscribe(&[&ctx.topic("a/b")])?;
    client.publish(&ctx.topic("a/b"), "x", QoS::AtLeastOnce)?;
    client.expect("a/b|1|0|x")?;
    client.subscribe_at(&ctx.topic("a/b"), QoS::AtMostOnce)?;
    client.unsubscribe(&[&ctx.topic("a/+")])?;
    client.publish(&ctx.topic("a/b"), "x", QoS::AtLeastOnce)?;
    client.expect("a/b|0|0|x")?;
    client.silence()
}

/// The same subscription of another client stays. [MQTT-3.10.4-1] [MQTT-3.10.4-2] [3.1.1:MQTT-3.10.4-2]
fn only_for_this_client(ctx: &Ctx) -> Step {
    let topic = ctx.topic("a");
    let mut one = ctx.subscribed("one", &topic, QoS::AtMostOnce)?;
    let mut two = ctx.subscribed("two", &topic, QoS::AtMostOnce)?;
    one.unsubscribe(&[&topic])?;
    let mut publisher = ctx.connect("p")?;
    publisher.publish(&topic, "x", QoS::AtLeastOnce)?;
    two.expect("a|0|0|x")?;
    one.silence()
}

/// What was published before is delivered to those whose subscription stays, also if they are away. [MQTT-3.10.4-2] [3.1.1:MQTT-3.10.4-2]
fn not_what_waits_for_others(ctx: &Ctx) -> Step {
    let topic = ctx.topic("a");
    let (mut away, _) = ctx.connect_keeping("away")?;
    away.subscribe_at(&topic, QoS::AtLeastOnce)?;
    away.disconnect()?;
    let mut client = ctx.subscribed("c", &topic, QoS::AtLeastOnce)?;
    client.publish(&topic, "1", QoS::AtLeastOnce)?;
    client.expect("a|1|0|1")?;
    client.unsubscribe(&[&topic])?;
    client.publish(&topic, "2", QoS::AtLeastOnce)?;
    client.silence()?;
    let (mut away, _) = ctx.connect_keeping("away")?;
    away.expect("a|1|0|1")?;
    away.expect("a|1|0|2")
}

/// A delivery of QoS 1 that has begun is completed after UNSUBSCRIBE: it is sent again at reconnect until PUBACK.
/// [MQTT-3.10.4-3] [3.1.1:MQTT-3.10.4-3]
fn begun_qos_1_is_completed(ctx: &Ctx) -> Step {
    let topic = ctx.topic("a");
    let (mut client, _) = ctx.connect_keeping("c")?;
    client.subscribe_at(&topic, QoS::AtLeastOnce)?;
    let mut publisher = ctx.connect("p")?;
    publisher.publish(&topic, "x", QoS::AtLeastOnce)?;
    let id = client.receive()?.publish_id()?;
    client.unsubscribe(&[&topic])?;
    publisher.publish(&topic, "y", QoS::AtLeastOnce)?;
    client.silence()?;
    client.cut();
    let (mut client, _) = ctx.connect_keeping("c")?;
    let frame = client.receive()?;
    same("message", client.text(&frame)?.as_str(), "a|1|0|x")?;
    same("identifier", frame.publish_id()?, id)?;
    client.send(&PubAck::new(id));
    client.silence()
}

/// A delivery of QoS 2 that has begun is completed after UNSUBSCRIBE, wherever it was. [MQTT-3.10.4-3] [3.1.1:MQTT-3.10.4-3]
fn begun_qos_2_is_completed(ctx: &Ctx) -> Step {
    ctx.needs_qos(QoS::ExactlyOnce)?;
    let topic = ctx.topic("a");
    let (mut client, _) = ctx.connect_keeping("c")?;
    client.subscribe_at(&topic, QoS::ExactlyOnce)?;
    let mut publisher = ctx.connect("p")?;
    let mut ids = Vec::new();
    for payload in ["1", "2", "3"] {
        publisher.publish(&topic, payload, QoS::ExactlyOnce)?;
        ids.push(client.receive()?.publish_id()?);
    }
    client.send(&PubRec::new(ids[0]));
    same("PUBREL", client.receive()?.pub_rel()?.packet_id, ids[0])?;
    client.unsubscribe(&[&topic])?;
    // On the same connection: one that waits for PUBCOMP, and one that waits for PUBREC.
    client.send(&PubComp::new(ids[0]));
    client.send(&PubRec::new(ids[1]));
    same("PUBREL", client.receive()?.pub_rel()?.packet_id, ids[1])?;
    client.send(&PubComp::new(ids[1]));
    client.silence()?;
    client.cut();
    // And on the next.
    let (mut client, _) = ctx.connect_keeping("c")?;
    let frame = client.receive()?;
    same("message", client.text(&frame)?.as_str(), "a|2|0|3")?;
    same("identifier", frame.publish_id()?, ids[2])?;
    client.send(&PubRec::new(ids[2]));
    same("PUBREL", client.receive()?.pub_rel()?.packet_id, ids[2])?;
    client.send(&PubComp::new(ids[2]));
    client.silence()
}

/// After UNSUBSCRIBE a filter may be subscribed to again, and gets what is published from then on. [MQTT-3.10.4-2] [3.1.1:MQTT-3.10.4-2]
fn subscribed_once_more(ctx: &Ctx) -> Step {
    let topic = ctx.topic("a");
    let mut client = ctx.connect("c")?;
    let mut publisher = ctx.connect("p")?;
    for round in 0..5 {
        let payload = round.to_string();
        client.subscribe(&[(&topic, at(QoS::AtLeastOnce))])?;
        publisher.publish(&topic, &payload, QoS::AtLeastOnce)?;
        client.expect(&format!("a|1|0|{payload}"))?;
        client.unsubscribe(&[&topic])?;
        publisher.publish(&topic, "lost", QoS::AtLeastOnce)?;
    }
    client.silence()
}
