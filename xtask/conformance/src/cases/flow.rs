//! 4.9 Flow Control: Receive Maximum in both directions.

use mqtt_codec::{
    Connect, Delivery, FromServer, Properties, Property, PubAck, PubComp, PubRec, PubRel, QoS,
    ReasonCode, ReceiveMaximum, Version,
};

use crate::case::chapter;
use crate::client::Client;
use crate::ctx::Ctx;
use crate::failure::{Step, check, failed, same};
use crate::frame::{packet_id, publish};

chapter!(
    flow,
    "4.9 Flow Control",
    [
        never_more_than_the_maximum,
        one_at_a_time,
        both_qos_count_together,
        qos_2_counts_until_pubcomp,
        an_error_frees_its_place,
        repeated_messages_count,
        other_packets_go_on,
        the_brokers_own_maximum,
        above_the_brokers_maximum,
    ]
);

/// Connects a client with a kept session that takes `maximum` messages at once.
#[track_caller]
fn taking(ctx: &Ctx, maximum: u16) -> Step<Client> {
    let Some(maximum) = ReceiveMaximum::new(maximum) else {
        return failed("a Receive Maximum", "0");
    };
    let properties = [
        Property::SessionExpiryInterval(120),
        Property::ReceiveMaximum(maximum),
    ];
    let id = ctx.id("s");
    let connect = Connect {
        clean_start: false,
        properties: Properties::List(&properties),
        ..Connect::new(Version::V5, &id)
    };
    Ok(ctx.connect_with("s", &connect)?.0)
}

/// A client with this maximum and a subscription of the highest QoS to the topic `a`, and a publisher.
#[track_caller]
fn pair(ctx: &Ctx, maximum: u16) -> Step<(Client, Client)> {
    ctx.needs_qos(QoS::ExactlyOnce)?;
    let mut subscriber = taking(ctx, maximum)?;
    subscriber.subscribe_at(&ctx.topic("a"), QoS::ExactlyOnce)?;
    Ok((subscriber, ctx.connect("p")?))
}

/// Waits for exactly `count` messages and gives how each was delivered.
#[track_caller]
fn exactly(subscriber: &mut Client, count: usize) -> Step<Vec<Delivery>> {
    let mut got = Vec::new();
    for _ in 0..count {
        got.push(subscriber.receive()?.publish()?.delivery);
    }
    subscriber.silence()?;
    Ok(got)
}

/// As many messages as the client's Receive Maximum are sent, and one more for each PUBACK.
/// [MQTT-3.3.4-9] [MQTT-4.9.0-1] [MQTT-4.9.0-2]
fn never_more_than_the_maximum(ctx: &Ctx) -> Step {
    let (mut subscriber, mut publisher) = pair(ctx, 3)?;
    let payloads: Vec<String> = (0..10).map(|number| number.to_string()).collect();
    for payload in &payloads {
        publisher.publish(&ctx.topic("a"), payload, QoS::AtLeastOnce)?;
    }
    let mut under_way = std::collections::VecDeque::new();
    for (index, payload) in payloads.iter().enumerate() {
        if index >= 3 {
            subscriber.silence()?;
            if let Some(id) = under_way.pop_front() {
                subscriber.send(&PubAck::new(id));
            }
        }
        let frame = subscriber.receive()?;
        let text = subscriber.text(&frame)?;
        same("message", text, format!("a|1|0|{payload}"))?;
        under_way.push_back(frame.publish_id()?);
    }
    subscriber.silence()
}

/// A client with a Receive Maximum of 1 gets one message after the other. [MQTT-3.3.4-9] [MQTT-4.9.0-1] [MQTT-4.9.0-2]
fn one_at_a_time(ctx: &Ctx) -> Step {
    let (mut subscriber, mut publisher) = pair(ctx, 1)?;
    for number in 0..6 {
        let qos = if number % 2 == 0 {
            QoS::AtLeastOnce
        } else {
            QoS::ExactlyOnce
        };
        publisher.publish(&ctx.topic("a"), "x", qos)?;
    }
    for _ in 0..6 {
        match exactly(&mut subscriber, 1)?[..] {
            [Delivery::AtLeastOnce(id)] => subscriber.send(&PubAck::new(id)),
            [Delivery::ExactlyOnce(id)] => {
                subscriber.send(&PubRec::new(id));
                same("PUBREL", subscriber.receive()?.pub_rel()?.packet_id, id)?;
                subscriber.send(&PubComp::new(id));
            }
            ref other => return failed("QoS 1 or 2", format!("{other:?}")),
        }
    }
    subscriber.silence()
}

/// Messages of QoS 1 and of QoS 2 count together. [MQTT-3.3.4-9] [MQTT-4.9.0-2]
fn both_qos_count_together(ctx: &Ctx) -> Step {
    let (mut subscriber, mut publisher) = pair(ctx, 4)?;
    for _ in 0..4 {
        publisher.publish(&ctx.topic("a"), "x", QoS::AtLeastOnce)?;
        publisher.publish(&ctx.topic("a"), "y", QoS::ExactlyOnce)?;
    }
    exactly(&mut subscriber, 4)?;
    Ok(())
}

/// PUBREC does not free the place of a message of QoS 2, PUBCOMP does. [MQTT-3.3.4-9] [MQTT-4.9.0-2]
fn qos_2_counts_until_pubcomp(ctx: &Ctx) -> Step {
    let (mut subscriber, mut publisher) = pair(ctx, 2)?;
    for _ in 0..5 {
        publisher.publish(&ctx.topic("a"), "x", QoS::ExactlyOnce)?;
    }
    let first = exactly(&mut subscriber, 2)?;
    for delivery in &first {
        if let Some(id) = delivery.packet_id() {
            subscriber.send(&PubRec::new(id));
            same("PUBREL", subscriber.receive()?.pub_rel()?.packet_id, id)?;
        }
    }
    subscriber.silence()?;
    for delivery in &first {
        if let Some(id) = delivery.packet_id() {
            subscriber.send(&PubComp::new(id));
        }
        exactly(&mut subscriber, 1)?;
    }
    Ok(())
}

/// An error in PUBACK or PUBREC frees the place of its message at once. [MQTT-4.9.0-2] [MQTT-4.4.0-2]
fn an_error_frees_its_place(ctx: &Ctx) -> Step {
    let (mut subscriber, mut publisher) = pair(ctx, 1)?;
    for qos in [
        QoS::ExactlyOnce,
        QoS::AtLeastOnce,
        QoS::ExactlyOnce,
        QoS::AtLeastOnce,
    ] {
        publisher.publish(&ctx.topic("a"), "x", qos)?;
    }
    for _ in 0..4 {
        match exactly(&mut subscriber, 1)?[..] {
            [Delivery::ExactlyOnce(id)] => {
                let mut answer = PubRec::new(id);
                answer.reason = ReasonCode::UNSPECIFIED_ERROR;
                subscriber.send(&answer);
            }
            [Delivery::AtLeastOnce(id)] => {
                let mut answer = PubAck::new(id);
                answer.reason = ReasonCode::UNSPECIFIED_ERROR;
                subscriber.send(&answer);
            }
            ref other => return failed("QoS 1 or 2", format!("{other:?}")),
        }
    }
    subscriber.silence()
}

/// What is sent again at reconnect counts too, against the maximum of the new connection.
/// [MQTT-3.3.4-9] [MQTT-4.9.0-1] [MQTT-4.4.0-1]
fn repeated_messages_count(ctx: &Ctx) -> Step {
    let (mut subscriber, mut publisher) = pair(ctx, 5)?;
    for number in 0..7 {
        publisher.publish(&ctx.topic("a"), &number.to_string(), QoS::AtLeastOnce)?;
    }
    exactly(&mut subscriber, 5)?;
    subscriber.cut();
    let mut subscriber = taking(ctx, 2)?;
    let mut under_way = std::collections::VecDeque::new();
    for number in 0..7 {
        if number >= 2 {
            subscriber.silence()?;
            if let Some(id) = under_way.pop_front() {
                subscriber.send(&PubAck::new(id));
            }
        }
        let frame = subscriber.receive()?;
        let text = subscriber.text(&frame)?;
        same("message", text, format!("a|1|0|{number}"))?;
        same("DUP", frame.publish()?.dup, number < 5)?;
        under_way.push_back(frame.publish_id()?);
    }
    subscriber.silence()
}

/// With all places taken, everything but PUBLISH goes on: pings, SUBACK, UNSUBACK, and the answers to what the client publishes.
/// [MQTT-3.3.4-10] [MQTT-4.9.0-3]
fn other_packets_go_on(ctx: &Ctx) -> Step {
    let (mut subscriber, mut publisher) = pair(ctx, 2)?;
    for _ in 0..4 {
        publisher.publish(&ctx.topic("a"), "x", QoS::ExactlyOnce)?;
    }
    let first = exactly(&mut subscriber, 2)?;
    subscriber.subscribe_at(&ctx.topic("b"), QoS::AtMostOnce)?;
    subscriber.unsubscribe(&[&ctx.topic("b")])?;
    for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
        subscriber.publish(&ctx.topic("c"), "mine", qos)?;
    }
    for delivery in first {
        if let Some(id) = delivery.packet_id() {
            subscriber.send(&PubRec::new(id));
            same("PUBREL", subscriber.receive()?.pub_rel()?.packet_id, id)?;
        }
    }
    subscriber.silence()
}

/// The broker's own maximum, if a case can reach it.
fn reachable(ctx: &Ctx) -> Step<u16> {
    ctx.needs_qos(QoS::ExactlyOnce)?;
    let maximum = ctx.announced.receive_maximum;
    ctx.needs(maximum < u16::MAX, "Receive Maximum below 65,535")?;
    Ok(maximum)
}

/// Sends `count` messages of QoS 2, from identifier 1, and waits for their PUBREC.
#[track_caller]
fn fill(ctx: &Ctx, client: &mut Client, count: u16) -> Step {
    let topic = ctx.topic("a");
    let mut bytes = Vec::new();
    for id in 1..=count {
        bytes.extend(ctx.bytes(&mqtt_codec::Publish {
            delivery: Delivery::ExactlyOnce(packet_id(id)),
            ..publish(&topic, "x")
        }));
    }
    client.send_bytes(&bytes);
    for id in 1..=count {
        let frame = client.receive_where(
            "its PUBREC",
            |packet| matches!(packet, FromServer::PubRec(ack) if ack.packet_id == packet_id(id)),
        )?;
        check(
            !frame.pub_rec()?.reason.is_error(),
            "PUBREC without an error",
            &frame,
        )?;
    }
    Ok(())
}

/// The broker takes as many messages at once as it announces, and as many again after PUBCOMP. [MQTT-4.9.0-3] [MQTT-4.3.3-8]
fn the_brokers_own_maximum(ctx: &Ctx) -> Step {
    let maximum = reachable(ctx)?;
    let mut subscriber = ctx.subscribed("s", &ctx.topic("a"), QoS::AtMostOnce)?;
    let mut client = ctx.connect("p")?;
    for _ in 0..2 {
        fill(ctx, &mut client, maximum)?;
        // What has QoS 0 is not counted, and a ping is answered.
        client.publish(&ctx.topic("b"), "x", QoS::AtMostOnce)?;
        client.ping()?;
        for id in 1..=maximum {
            client.send(&PubRel::new(packet_id(id)));
            client.receive()?.pub_comp()?;
        }
    }
    for _ in 0..2 * u32::from(maximum) {
        subscriber.expect("a|0|0|x")?;
    }
    Ok(())
}

/// One message more than the broker announces closes the connection. [MQTT-4.13.1-1]
fn above_the_brokers_maximum(ctx: &Ctx) -> Step {
    let maximum = reachable(ctx)?;
    let mut client = ctx.connect("p")?;
    fill(ctx, &mut client, maximum)?;
    client.ping()?;
    client.send(&mqtt_codec::Publish {
        delivery: Delivery::ExactlyOnce(packet_id(maximum + 1)),
        ..publish(&ctx.topic("a"), "x")
    });
    client.end_for(&[ReasonCode::RECEIVE_MAXIMUM_EXCEEDED])?;
    Ok(())
}
