//! 4.3 Quality of Service, the broker as receiver: what it answers, and that nothing is delivered twice or lost.

use mqtt_codec::{Delivery, FromServer, PacketId, PubRel, Publish, QoS, ReasonCode};

use crate::case::chapter;
use crate::client::Client;
use crate::ctx::Ctx;
use crate::failure::{Step, check, same};
use crate::frame::{packet_id, publish};

chapter!(
    qos,
    "4.3 QoS, from the client",
    [
        qos_1_identifier_is_free_after_puback,
        qos_1_without_dup_is_new,
        qos_2_is_delivered_once,
        qos_2_repeated_without_dup,
        qos_2_identifier_is_free_after_pubcomp,
        qos_2_release_repeated,
        qos_2_release_unknown,
        qos_2_goes_on_after_reconnect,
        qos_2_release_after_reconnect,
        qos_2_forgotten_with_its_session,
        qos_2_identifiers_are_apart,
        identifiers_of_clients_are_apart,
        many_at_once,
    ]
);

/// A PUBLISH of `qos` with this identifier and DUP flag.
fn message<'a>(topic: &'a str, payload: &'a str, qos: QoS, id: PacketId, dup: bool) -> Publish<'a> {
    Publish {
        dup,
        delivery: if qos == QoS::AtLeastOnce {
            Delivery::AtLeastOnce(id)
        } else {
            Delivery::ExactlyOnce(id)
        },
        ..publish(topic, payload)
    }
}

/// Waits for the next packet, which must be PUBREC of `id`.
#[track_caller]
fn received(client: &mut Client, id: PacketId) -> Step {
    let answer = client.receive()?;
    let answer = answer.pub_rec()?;
    same("identifier of PUBREC", answer.packet_id, id)?;
    check(
        !answer.reason.is_error(),
        "PUBREC without an error",
        &answer,
    )
}

/// Sends PUBREL of `id` and waits for the next packet, which must be PUBCOMP; gives its code.
#[track_caller]
fn release(client: &mut Client, id: PacketId) -> Step<ReasonCode> {
    client.send(&PubRel::new(id));
    let answer = client.receive()?;
    let answer = answer.pub_comp()?;
    same("identifier of PUBCOMP", answer.packet_id, id)?;
    Ok(answer.reason)
}

/// Releases `id`, which must be known.
#[track_caller]
fn completed(client: &mut Client, id: PacketId) -> Step {
    same("code of PUBCOMP", release(client, id)?, ReasonCode::SUCCESS)
}

/// Messages of QoS 0 with these payloads come, in any order, and then nothing.
#[track_caller]
fn all_of(subscriber: &mut Client, payloads: &[String]) -> Step {
    let mut expected: Vec<_> = payloads
        .iter()
        .map(|payload| format!("a|0|0|{payload}"))
        .collect();
    let mut got = Vec::new();
    for _ in payloads {
        got.push(subscriber.take_text()?);
    }
    got.sort();
    expected.sort();
    same("messages", got, expected)?;
    subscriber.silence()
}

/// After PUBACK a PUBLISH with the same identifier is a new message, even with DUP 1.
/// [MQTT-4.3.2-4] [MQTT-4.3.2-5] [3.1.1:MQTT-4.3.2-2]
fn qos_1_identifier_is_free_after_puback(ctx: &Ctx) -> Step {
    let topic = ctx.topic("a");
    let mut subscriber = ctx.subscribed("s", &topic, QoS::AtMostOnce)?;
    let mut client = ctx.connect("p")?;
    let id = packet_id(7);
    for (payload, dup) in [("1", false), ("1", true), ("2", true), ("3", false)] {
        client.send(&message(&topic, payload, QoS::AtLeastOnce, id, dup));
        let answer = client.receive()?;
        same("identifier of PUBACK", answer.pub_ack()?.packet_id, id)?;
        subscriber.expect(&format!("a|0|0|{payload}"))?;
    }
    subscriber.silence()
}

/// Two messages of QoS 1 that are alike but for their identifiers are two messages. [MQTT-4.3.2-4] [3.1.1:MQTT-4.3.2-2]
fn qos_1_without_dup_is_new(ctx: &Ctx) -> Step {
    let topic = ctx.topic("a");
    let mut subscriber = ctx.subscribed("s", &topic, QoS::AtMostOnce)?;
    let mut client = ctx.connect("p")?;
    for id in [packet_id(2), packet_id(1), PacketId::MAX] {
        client.send(&message(&topic, "x", QoS::AtLeastOnce, id, false));
        let answer = client.receive()?;
        same("identifier of PUBACK", answer.pub_ack()?.packet_id, id)?;
        subscriber.expect("a|0|0|x")?;
    }
    Ok(())
}

/// A PUBLISH of QoS 2 that is repeated before PUBREL gets PUBREC each time, and is delivered once.
/// [MQTT-4.3.3-8] [MQTT-4.3.3-10] [MQTT-4.3.3-11] [MQTT-2.2.1-5] [3.1.1:MQTT-4.3.3-2] [3.1.1:MQTT-2.3.1-6]
fn qos_2_is_delivered_once(ctx: &Ctx) -> Step {
    once(ctx, true)
}

/// A repeated PUBLISH is known by its identifier, whatever its DUP flag says. [MQTT-4.3.3-10] [3.1.1:MQTT-4.3.3-2]
fn qos_2_repeated_without_dup(ctx: &Ctx) -> Step {
    once(ctx, false)
}

fn once(ctx: &Ctx, dup: bool) -> Step {
    ctx.needs_qos(QoS::ExactlyOnce)?;
    let topic = ctx.topic("a");
    let mut subscriber = ctx.subscribed("s", &topic, QoS::AtMostOnce)?;
    let mut client = ctx.connect("p")?;
    let id = packet_id(0x1234);
    client.send(&message(&topic, "x", QoS::ExactlyOnce, id, false));
    received(&mut client, id)?;
    for _ in 0..3 {
        client.send(&message(&topic, "x", QoS::ExactlyOnce, id, dup));
        received(&mut client, id)?;
    }
    completed(&mut client, id)?;
    subscriber.expect("a|0|0|x")?;
    client.publish(&topic, "end", QoS::AtMostOnce)?;
    subscriber.expect("a|0|0|end")?;
    subscriber.silence()
}

/// After PUBCOMP a PUBLISH with the same identifier is a new message, even with DUP 1. [MQTT-4.3.3-12] [3.1.1:MQTT-4.3.3-2]
fn qos_2_identifier_is_free_after_pubcomp(ctx: &Ctx) -> Step {
    ctx.needs_qos(QoS::ExactlyOnce)?;
    let topic = ctx.topic("a");
    let mut subscriber = ctx.subscribed("s", &topic, QoS::AtMostOnce)?;
    let mut client = ctx.connect("p")?;
    let id = packet_id(7);
    for (payload, dup) in [("1", false), ("1", true), ("2", true), ("3", false)] {
        client.send(&message(&topic, payload, QoS::ExactlyOnce, id, dup));
        received(&mut client, id)?;
        release(&mut client, id)?;
        subscriber.expect(&format!("a|0|0|{payload}"))?;
    }
    subscriber.silence()
}

/// A repeated PUBREL is answered with PUBCOMP again. [MQTT-4.3.3-11] [3.1.1:MQTT-4.3.3-2]
fn qos_2_release_repeated(ctx: &Ctx) -> Step {
    ctx.needs_qos(QoS::ExactlyOnce)?;
    let topic = ctx.topic("a");
    let mut subscriber = ctx.subscribed("s", &topic, QoS::AtMostOnce)?;
    let mut client = ctx.connect("p")?;
    let id = packet_id(7);
    client.send(&message(&topic, "x", QoS::ExactlyOnce, id, false));
    received(&mut client, id)?;
    for _ in 0..3 {
        release(&mut client, id)?;
    }
    subscriber.expect("a|0|0|x")?;
    subscriber.silence()
}

/// PUBREL with an identifier that the broker does not know is answered with PUBCOMP, in 5.0 with 0x92 or 0x00.
/// [MQTT-4.3.3-11] [MQTT-3.7.2-1] [3.1.1:MQTT-4.3.3-2]
fn qos_2_release_unknown(ctx: &Ctx) -> Step {
    ctx.needs_qos(QoS::ExactlyOnce)?;
    let topic = ctx.topic("a");
    let mut client = ctx.subscribed("c", &topic, QoS::AtMostOnce)?;
    for id in [packet_id(1), packet_id(300), PacketId::MAX] {
        let code = release(&mut client, id)?;
        let codes = [ReasonCode::SUCCESS, ReasonCode::PACKET_IDENTIFIER_NOT_FOUND];
        check(codes.contains(&code), "code 0x92 or 0x00", &code)?;
        // The identifier is not taken by that.
        client.send(&message(&topic, "x", QoS::ExactlyOnce, id, false));
        client.receive_where("PUBREC", |packet| matches!(packet, FromServer::PubRec(_)))?;
        client.send(&PubRel::new(id));
        client.receive_where("PUBCOMP", |packet| matches!(packet, FromServer::PubComp(_)))?;
        client.expect("a|0|0|x")?;
    }
    Ok(())
}

/// The broker knows a PUBLISH of QoS 2 again after the client has come back, and delivers it once.
/// [MQTT-4.3.3-10] [MQTT-3.1.2-23] [3.1.1:MQTT-4.3.3-2] [3.1.1:MQTT-4.1.0-2]
fn qos_2_goes_on_after_reconnect(ctx: &Ctx) -> Step {
    ctx.needs_qos(QoS::ExactlyOnce)?;
    let topic = ctx.topic("a");
    let mut subscriber = ctx.subscribed("s", &topic, QoS::AtMostOnce)?;
    let id = packet_id(7);
    for dup in [false, true, true] {
        let (mut client, present) = ctx.connect_keeping("p")?;
        same("session present", present, dup)?;
        client.send(&message(&topic, "x", QoS::ExactlyOnce, id, dup));
        received(&mut client, id)?;
        client.cut();
    }
    let (mut client, _) = ctx.connect_keeping("p")?;
    client.send(&message(&topic, "x", QoS::ExactlyOnce, id, true));
    received(&mut client, id)?;
    completed(&mut client, id)?;
    subscriber.expect("a|0|0|x")?;
    client.publish(&topic, "end", QoS::AtMostOnce)?;
    subscriber.expect("a|0|0|end")
}

/// A client that has come back may go on with PUBREL; the message is delivered once.
/// [MQTT-4.3.3-11] [MQTT-3.1.2-23] [3.1.1:MQTT-4.3.3-2] [3.1.1:MQTT-4.1.0-2]
fn qos_2_release_after_reconnect(ctx: &Ctx) -> Step {
    ctx.needs_qos(QoS::ExactlyOnce)?;
    let topic = ctx.topic("a");
    let mut subscriber = ctx.subscribed("s", &topic, QoS::AtMostOnce)?;
    let id = packet_id(7);
    let (mut client, _) = ctx.connect_keeping("p")?;
    client.send(&message(&topic, "x", QoS::ExactlyOnce, id, false));
    received(&mut client, id)?;
    client.cut();
    let (mut client, _) = ctx.connect_keeping("p")?;
    completed(&mut client, id)?;
    client.cut();
    let (mut client, _) = ctx.connect_keeping("p")?;
    release(&mut client, id)?;
    subscriber.expect("a|0|0|x")?;
    client.publish(&topic, "end", QoS::AtMostOnce)?;
    subscriber.expect("a|0|0|end")
}

/// With a clean start, what was begun is forgotten: the identifier is that of a new message.
/// [MQTT-3.1.2-4] [MQTT-4.3.3-8] [3.1.1:MQTT-3.1.2-6]
fn qos_2_forgotten_with_its_session(ctx: &Ctx) -> Step {
    ctx.needs_qos(QoS::ExactlyOnce)?;
    let topic = ctx.topic("a");
    let mut subscriber = ctx.subscribed("s", &topic, QoS::AtMostOnce)?;
    let id = packet_id(7);
    let (mut client, _) = ctx.connect_keeping("p")?;
    client.send(&message(&topic, "x", QoS::ExactlyOnce, id, false));
    received(&mut client, id)?;
    client.cut();
    let mut client = ctx.connect("p")?;
    client.send(&message(&topic, "y", QoS::ExactlyOnce, id, false));
    received(&mut client, id)?;
    completed(&mut client, id)?;
    // The message that was never released may have been passed on when it came.
    let next = subscriber.take_text()?;
    if next == "a|0|0|x" {
        return subscriber.expect("a|0|0|y");
    }
    same("message", next.as_str(), "a|0|0|y")
}

/// Several messages of QoS 2 are under way at once, each under its own identifier, and may be released in any order.
/// [MQTT-4.3.3-10] [MQTT-4.3.3-11] [MQTT-2.2.1-5] [3.1.1:MQTT-4.3.3-2] [3.1.1:MQTT-2.3.1-6]
fn qos_2_identifiers_are_apart(ctx: &Ctx) -> Step {
    ctx.needs_qos(QoS::ExactlyOnce)?;
    ctx.needs(ctx.announced.receive_maximum >= 5, "room for five messages")?;
    let topic = ctx.topic("a");
    let mut subscriber = ctx.subscribed("s", &topic, QoS::AtMostOnce)?;
    let mut client = ctx.connect("p")?;
    let ids = [5, 3, 1, 0x0500, 0x0105].map(packet_id);
    for repeated in [false, true] {
        for id in ids {
            let payload = id.get().to_string();
            client.send(&message(&topic, &payload, QoS::ExactlyOnce, id, repeated));
            received(&mut client, id)?;
        }
    }
    for id in [3, 0x0105, 5, 0x0500, 1].map(packet_id) {
        completed(&mut client, id)?;
    }
    all_of(&mut subscriber, &ids.map(|id| id.get().to_string()))
}

/// Identifiers of one client have nothing to do with those of another one. [MQTT-4.3.3-8] [MQTT-4.3.3-10] [3.1.1:MQTT-4.3.3-2]
fn identifiers_of_clients_are_apart(ctx: &Ctx) -> Step {
    ctx.needs_qos(QoS::ExactlyOnce)?;
    let topic = ctx.topic("a");
    let mut subscriber = ctx.subscribed("s", &topic, QoS::AtMostOnce)?;
    let id = packet_id(7);
    let (mut one, mut two) = (ctx.connect("one")?, ctx.connect("two")?);
    one.send(&message(&topic, "1", QoS::ExactlyOnce, id, false));
    received(&mut one, id)?;
    two.send(&message(&topic, "2", QoS::ExactlyOnce, id, false));
    received(&mut two, id)?;
    completed(&mut two, id)?;
    one.send(&message(&topic, "1", QoS::ExactlyOnce, id, true));
    received(&mut one, id)?;
    completed(&mut one, id)?;
    all_of(&mut subscriber, &["1", "2"].map(str::to_owned))
}

/// A client need not wait for an answer before its next message: each gets its own, once.
/// [MQTT-4.3.2-4] [MQTT-4.3.3-8] [MQTT-4.3.3-11] [3.1.1:MQTT-4.3.2-2] [3.1.1:MQTT-4.3.3-2]
fn many_at_once(ctx: &Ctx) -> Step {
    ctx.needs_qos(QoS::ExactlyOnce)?;
    let count = ctx.announced.receive_maximum.min(20);
    let topic = ctx.topic("a");
    let mut subscriber = ctx.subscribed("s", &topic, QoS::AtMostOnce)?;
    let mut client = ctx.connect("p")?;
    let ids: Vec<_> = (1..=count).map(packet_id).collect();
    let is_2 = |id: PacketId| id.get().is_multiple_of(3);
    let mut bytes = Vec::new();
    for &id in &ids {
        let qos = if is_2(id) {
            QoS::ExactlyOnce
        } else {
            QoS::AtLeastOnce
        };
        let payload = id.get().to_string();
        bytes.extend(ctx.bytes(&message(&topic, &payload, qos, id, false)));
    }
    client.send_bytes(&bytes);
    for &id in &ids {
        if is_2(id) {
            client.receive_where(
                "its PUBREC",
                |packet| matches!(packet, FromServer::PubRec(ack) if ack.packet_id == id),
            )?;
            client.send(&PubRel::new(id));
            client.receive_where(
                "its PUBCOMP",
                |packet| matches!(packet, FromServer::PubComp(ack) if ack.packet_id == id),
            )?;
        } else {
            client.receive_where(
                "its PUBACK",
                |packet| matches!(packet, FromServer::PubAck(ack) if ack.packet_id == id),
            )?;
        }
    }
    client.silence()?;
    let payloads: Vec<_> = ids.iter().map(|id| id.get().to_string()).collect();
    all_of(&mut subscriber, &payloads)
}
