//! 3.8 SUBSCRIBE and 3.9 SUBACK: what is granted, what replaces what, and what a subscription brings.

use mqtt_codec::{
    Filters, FromServer, PacketId, Properties, Publish, QoS, ReasonCode, Subscribe, SubscribeFilter,
};

use crate::case::chapter;
use crate::client::Client;
use crate::ctx::Ctx;
use crate::failure::{Step, check, failed, same};
use crate::frame::{at, packet_id, publish, retained};

chapter!(
    subscribe,
    "3.8 SUBSCRIBE, 3.9 SUBACK",
    [
        answered_with_its_identifier,
        codes_in_order,
        every_qos_may_be_asked_for,
        many_filters,
        delivered_at_the_lower_qos,
        several_filters_act_like_several_packets,
        same_filter_twice_in_a_packet,
        replaced,
        retained_again_when_replaced,
        nothing_lost_when_replaced,
        overlapping_at_the_highest_qos,
        effective_with_its_suback,
    ]
);

const ALL: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];

/// The next `least` messages and all others that came up to then, as texts and sorted; acknowledges nothing.
#[track_caller]
fn messages(client: &mut Client, least: usize) -> Step<Vec<String>> {
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
    Ok(texts)
}

/// SUBSCRIBE is answered with SUBACK and its packet identifier, and takes effect.
/// [MQTT-3.8.4-1] [MQTT-3.8.4-2] [MQTT-2.2.1-6] [3.1.1:MQTT-3.8.4-1] [3.1.1:MQTT-3.8.4-2] [3.1.1:MQTT-2.3.1-7]
fn answered_with_its_identifier(ctx: &Ctx) -> Step {
    let mut client = ctx.connect("c")?;
    for id in [
        PacketId::MAX,
        packet_id(1),
        packet_id(0x0100),
        packet_id(0x00ff),
        packet_id(1),
    ] {
        let topic = ctx.topic(&id.get().to_string());
        client.send(&Subscribe {
            packet_id: id,
            properties: Properties::EMPTY,
            filters: Filters::List(&[SubscribeFilter {
                filter: &topic,
                options: at(QoS::AtMostOnce),
            }]),
        });
        let answer = client.receive()?;
        let answer = answer.sub_ack()?;
        same("identifier of SUBACK", answer.packet_id, id)?;
        same("number of codes", answer.codes.len(), 1)?;
        client.publish(&topic, "x", QoS::AtMostOnce)?;
        client.expect(&format!("{}|0|0|x", id.get()))?;
    }
    Ok(())
}

/// SUBACK has one code for each filter, in their order, and each subscription is held to its own.
/// [MQTT-3.8.4-6] [MQTT-3.8.4-7] [MQTT-3.9.3-1] [MQTT-3.9.3-2] [3.1.1:MQTT-3.8.4-5] [3.1.1:MQTT-3.9.3-1] [3.1.1:MQTT-3.9.3-2]
fn codes_in_order(ctx: &Ctx) -> Step {
    ctx.needs_qos(QoS::ExactlyOnce)?;
    let asked = [2, 0, 1, 1, 0, 2, 0].map(|qos| ALL[qos]);
    let topics: Vec<String> = (0..asked.len())
        .map(|index| ctx.topic(&index.to_string()))
        .collect();
    let filters: Vec<_> = topics
        .iter()
        .map(String::as_str)
        .zip(asked.map(at))
        .collect();
    let mut client = ctx.connect("c")?;
    let codes = client.subscribe(&filters)?;
    same("number of codes", codes.len(), asked.len())?;
    let mut publisher = ctx.connect("p")?;
    for (index, (code, asked)) in codes.iter().zip(asked).enumerate() {
        check(
            code.0 <= asked as u8,
            &format!("QoS {} at most for filter {index}", asked as u8),
            &codes,
        )?;
        publisher.publish(&topics[index], "x", QoS::ExactlyOnce)?;
        client.expect(&format!("{index}|{}|0|x", code.0))?;
    }
    Ok(())
}

/// Each QoS may be asked for, also from a broker that grants less. [MQTT-3.2.2-9] [MQTT-3.2.2-10] [MQTT-3.8.4-7] [3.1.1:MQTT-3.8.4-6]
fn every_qos_may_be_asked_for(ctx: &Ctx) -> Step {
    let topic = ctx.topic("a");
    let mut publisher = ctx.connect("p")?;
    for asked in ALL {
        let mut client = ctx.connect("c")?;
        let codes = client.subscribe(&[(&topic, at(asked))])?;
        let granted = match codes[..] {
            [code] if code.0 <= asked as u8 => code.0,
            _ => {
                return failed(
                    "one code, a QoS not above that asked for",
                    format!("{codes:?}"),
                );
            }
        };
        let published = ctx.announced.maximum_qos;
        publisher.publish(&topic, "x", published)?;
        client.expect(&format!("a|{}|0|x", granted.min(published as u8)))?;
    }
    Ok(())
}

/// A SUBSCRIBE may have many filters, each of which gets its code and its subscription.
/// [MQTT-3.8.4-5] [MQTT-3.8.4-6] [3.1.1:MQTT-3.8.4-4] [3.1.1:MQTT-3.8.4-5]
fn many_filters(ctx: &Ctx) -> Step {
    const COUNT: usize = 80;
    let topics: Vec<String> = (0..COUNT)
        .map(|index| ctx.topic(&index.to_string()))
        .collect();
    let filters: Vec<_> = topics
        .iter()
        .map(|topic| (topic.as_str(), at(QoS::AtMostOnce)))
        .collect();
    let mut client = ctx.connect("c")?;
    let codes = client.subscribe(&filters)?;
    same("codes", codes, [ReasonCode::GRANTED_QOS_0; COUNT])?;
    for (index, topic) in topics.iter().enumerate() {
        client.publish(topic, "x", QoS::AtMostOnce)?;
        client.expect(&format!("{index}|0|0|x"))?;
    }
    Ok(())
}

/// A message is delivered with the lower of its own QoS and the QoS granted. [MQTT-3.8.4-8] [3.1.1:MQTT-3.8.4-6]
fn delivered_at_the_lower_qos(ctx: &Ctx) -> Step {
    ctx.needs_qos(QoS::ExactlyOnce)?;
    let topic = ctx.topic("a");
    let mut publisher = ctx.connect("p")?;
    for granted in ALL {
        let mut client = ctx.subscribed("c", &topic, granted)?;
        for published in ALL {
            publisher.publish(&topic, "x", published)?;
            client.expect(&format!("a|{}|0|x", granted.min(published) as u8))?;
        }
    }
    Ok(())
}

/// A SUBSCRIBE with several filters acts like one packet for each, with the retained messages of each.
/// [MQTT-3.8.4-5] [3.1.1:MQTT-3.8.4-4]
fn several_filters_act_like_several_packets(ctx: &Ctx) -> Step {
    ctx.needs_retain()?;
    let (a, b, c) = (ctx.topic("a"), ctx.topic("b"), ctx.topic("c"));
    let mut publisher = ctx.connect("p")?;
    for topic in [&a, &c] {
        publisher.publish_packet(&retained(topic, "kept"), QoS::AtLeastOnce)?;
    }
    let filters = [
        (a.as_str(), at(QoS::AtMostOnce)),
        (&b, at(QoS::AtLeastOnce)),
        (&c, at(QoS::AtLeastOnce)),
    ];
    let mut client = ctx.connect("c")?;
    client.subscribe(&filters)?;
    same(
        "messages",
        messages(&mut client, 2)?,
        ["a|0|1|kept", "c|1|1|kept"],
    )?;
    for (topic, expected) in [(&a, "a|0|0|x"), (&b, "b|1|0|x"), (&c, "c|1|0|x")] {
        publisher.publish(topic, "x", QoS::AtLeastOnce)?;
        client.expect(expected)?;
    }
    Ok(())
}

/// Of a filter that stands twice in a SUBSCRIBE the later one counts, as if it came in a packet of its own.
/// [MQTT-3.8.4-3] [MQTT-3.8.4-5] [MQTT-3.8.4-6] [3.1.1:MQTT-3.8.4-3] [3.1.1:MQTT-3.8.4-4] [3.1.1:MQTT-3.8.4-5]
fn same_filter_twice_in_a_packet(ctx: &Ctx) -> Step {
    let (a, b) = (ctx.topic("a"), ctx.topic("b"));
    let filters = [
        (a.as_str(), at(QoS::AtLeastOnce)),
        (&b, at(QoS::AtMostOnce)),
        (&a, at(QoS::AtMostOnce)),
        (&b, at(QoS::AtLeastOnce)),
    ];
    let mut client = ctx.connect("c")?;
    let codes = client.subscribe(&filters)?;
    same("codes", codes, [1, 0, 0, 1].map(ReasonCode))?;
    let mut publisher = ctx.connect("p")?;
    publisher.publish(&a, "x", QoS::AtLeastOnce)?;
    client.expect("a|0|0|x")?;
    publisher.publish(&b, "x", QoS::AtLeastOnce)?;
    client.expect("b|1|0|x")?;
    client.silence()
}

/// A SUBSCRIBE with the filter of an existing subscription replaces it: one copy of each message, with the new QoS.
/// [MQTT-3.8.4-3] [3.1.1:MQTT-3.8.4-3]
fn replaced(ctx: &Ctx) -> Step {
    ctx.needs_qos(QoS::ExactlyOnce)?;
    let topic = ctx.topic("a/+");
    let mut client = ctx.connect("c")?;
    let mut publisher = ctx.connect("p")?;
    for qos in [
        QoS::AtLeastOnce,
        QoS::ExactlyOnce,
        QoS::AtMostOnce,
        QoS::AtMostOnce,
        QoS::AtLeastOnce,
    ] {
        client.subscribe_at(&topic, qos)?;
        for payload in ["1", "2"] {
            publisher.publish(&ctx.topic("a/b"), payload, QoS::ExactlyOnce)?;
            client.expect(&format!("a/b|{}|0|{payload}", qos as u8))?;
        }
    }
    client.unsubscribe(&[&topic])?;
    publisher.publish(&ctx.topic("a/b"), "3", QoS::AtLeastOnce)?;
    client.silence()
}

/// Retained messages are sent again when a subscription is replaced, in 5.0 with retain handling 0.
/// [MQTT-3.8.4-4] [3.1.1:MQTT-3.8.4-3]
fn retained_again_when_replaced(ctx: &Ctx) -> Step {
    ctx.needs_retain()?;
    let mut publisher = ctx.connect("p")?;
    for name in ["a/1", "a/2"] {
        publisher.publish_packet(&retained(&ctx.topic(name), "kept"), QoS::AtLeastOnce)?;
    }
    let mut client = ctx.connect("c")?;
    for qos in [QoS::AtLeastOnce, QoS::AtMostOnce, QoS::AtMostOnce] {
        client.subscribe_at(&ctx.topic("a/+"), qos)?;
        let expected = [1, 2].map(|number| format!("a/{number}|{}|1|kept", qos as u8));
        same("messages", messages(&mut client, 2)?, expected)?;
    }
    Ok(())
}

/// No message is lost or doubled while subscriptions are replaced. [MQTT-3.8.4-4] [3.1.1:MQTT-3.8.4-3]
fn nothing_lost_when_replaced(ctx: &Ctx) -> Step {
    const COUNT: u16 = 200;
    let topic = ctx.topic("a");
    let mut client = ctx.subscribed("c", &topic, QoS::AtLeastOnce)?;
    let mut publisher = ctx.connect("p")?;
    for number in 0..COUNT {
        // Nobody waits for anybody: the two meet in the broker in any order.
        publisher.send(&Publish {
            delivery: mqtt_codec::Delivery::AtLeastOnce(packet_id(number + 1)),
            ..publish(&topic, &number.to_string())
        });
        client.send(&Subscribe {
            packet_id: packet_id(number + 1),
            properties: Properties::EMPTY,
            filters: Filters::List(&[SubscribeFilter {
                filter: &topic,
                options: at(QoS::AtLeastOnce),
            }]),
        });
        publisher.receive()?.pub_ack()?;
        client.receive_where("SUBACK", |packet| matches!(packet, FromServer::SubAck(_)))?;
        client.expect(&format!("a|1|0|{number}"))?;
    }
    client.silence()
}

/// Where subscriptions of a client overlap, a message comes with the highest QoS of those that match; each further copy, if there
/// are any, with that of one subscription. [MQTT-3.3.4-2] [3.1.1:MQTT-3.3.5-1]
fn overlapping_at_the_highest_qos(ctx: &Ctx) -> Step {
    ctx.needs_qos(QoS::ExactlyOnce)?;
    ctx.needs(ctx.announced.wildcards, "wildcards")?;
    let (all, some, one) = (ctx.topic("#"), ctx.topic("+/b"), ctx.topic("a/b"));
    let mut publisher = ctx.connect("p")?;
    // Whichever of them came first or last.
    for (index, order) in [[0, 1, 2], [2, 1, 0], [1, 2, 0], [1, 0, 2]]
        .iter()
        .enumerate()
    {
        let mut client = ctx.connect("c")?;
        for (filter, &qos) in [&all, &some, &one].into_iter().zip(order) {
            client.subscribe_at(filter, ALL[qos])?;
        }
        for published in ALL {
            publisher.publish(&ctx.topic("a/b"), "x", published)?;
            let text = |qos: QoS| format!("a/b|{}|0|x", qos.min(published) as u8);
            let copies = messages(&mut client, 1)?;
            check(
                copies.contains(&text(QoS::ExactlyOnce)),
                &format!("{} (order {index})", text(QoS::ExactlyOnce)),
                &copies,
            )?;
            let mut left = ALL.map(text).to_vec();
            for copy in &copies {
                let Some(place) = left.iter().position(|text| text == copy) else {
                    return failed(
                        "one copy for each subscription at most",
                        format!("{copies:?}"),
                    );
                };
                left.remove(place);
            }
        }
        // A filter that does not match takes no part.
        publisher.publish(&ctx.topic("c"), "y", QoS::ExactlyOnce)?;
        let qos = ALL[order[0]] as u8;
        same(
            "messages",
            messages(&mut client, 1)?,
            [format!("c|{qos}|0|y")],
        )?;
    }
    Ok(())
}

/// What another client publishes after SUBACK is delivered, whoever is connected where. [MQTT-3.8.4-1] [MQTT-4.5.0-1] [3.1.1:MQTT-4.5.0-1]
fn effective_with_its_suback(ctx: &Ctx) -> Step {
    let mut publishers = Vec::new();
    for name in ["p1", "p2", "p3", "p4"] {
        publishers.push(ctx.connect(name)?);
    }
    for round in 0..10 {
        let name = format!("a/{round}");
        let mut client =
            ctx.subscribed(&format!("s{round}"), &ctx.topic(&name), QoS::AtMostOnce)?;
        for publisher in &mut publishers {
            publisher.publish(&ctx.topic(&name), "x", QoS::AtMostOnce)?;
        }
        for _ in &publishers {
            client.expect(&format!("{name}|0|0|x"))?;
        }
        client.unsubscribe(&[&ctx.topic(&name)])?;
        for publisher in &mut publishers {
            publisher.publish(&ctx.topic(&name), "y", QoS::AtLeastOnce)?;
        }
        client.silence()?;
    }
    Ok(())
}
