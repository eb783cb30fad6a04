//! 3.3 PUBLISH: who gets a message, what is answered, what a topic name must not be, and which flags travel on.

use mqtt_codec::{Delivery, FromServer, PacketId, Publish, QoS, ReasonCode};

use crate::case::chapter;
use crate::client::Client;
use crate::ctx::Ctx;
use crate::failure::{Step, check, failed, same};
use crate::frame::{packet_id, publish};

chapter!(
    publish,
    "3.3 PUBLISH",
    [
        to_every_matching_session,
        any_payload,
        answers_by_qos,
        reason_codes,
        dup_does_not_travel,
        dup_never_with_qos_0,
        wildcards_in_the_topic,
        empty_topic,
    ]
);

const ALL: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];

/// A message goes to the session of every client with a matching subscription, under the name it was published with, and to nobody
/// else. [MQTT-4.5.0-1] [MQTT-3.3.2-3] [3.1.1:MQTT-4.5.0-1] [3.1.1:MQTT-3.3.2-3]
fn to_every_matching_session(ctx: &Ctx) -> Step {
    ctx.needs(ctx.announced.wildcards, "wildcards")?;
    let mut exact = ctx.subscribed("exact", &ctx.topic("a/b"), QoS::ExactlyOnce)?;
    let mut plus = ctx.subscribed("plus", &ctx.topic("+/b"), QoS::AtLeastOnce)?;
    let mut hash = ctx.subscribed("hash", &ctx.topic("#"), QoS::AtMostOnce)?;
    let mut other = ctx.subscribed("other", &ctx.topic("a/c"), QoS::ExactlyOnce)?;
    let mut publisher = ctx.connect("p")?;
    for qos in ALL
        .into_iter()
        .filter(|&qos| qos <= ctx.announced.maximum_qos)
    {
        let number = qos as u8;
        publisher.publish(&ctx.topic("a/b"), "x", qos)?;
        exact.expect(&format!("a/b|{number}|0|x"))?;
        plus.expect(&format!("a/b|{}|0|x", number.min(1)))?;
        hash.expect("a/b|0|0|x")?;
    }
    publisher.publish(&ctx.topic("a/c"), "y", QoS::AtMostOnce)?;
    other.expect("a/c|0|0|y")?;
    exact.silence()?;
    plus.silence()
}

/// A payload is any number of any bytes, none at all included, and arrives as it was sent. [MQTT-4.5.0-1] [3.1.1:MQTT-4.5.0-1]
fn any_payload(ctx: &Ctx) -> Step {
    let topic = ctx.topic("a");
    let mut subscriber = ctx.subscribed("s", &topic, QoS::AtLeastOnce)?;
    let mut publisher = ctx.connect("p")?;
    let every_byte: Vec<u8> = (0..=u8::MAX).collect();
    // Lengths at which Remaining Length takes one more byte are among them.
    for length in [0, 1, 90, 127, 128, 256, 16_250, 16_383, 100_000] {
        let payload: Vec<u8> = every_byte.iter().copied().cycle().take(length).collect();
        let packet = publish(&topic, &payload);
        if packet.encoded_len(ctx.version) + 8 > ctx.announced.maximum_packet_size as usize {
            break;
        }
        publisher.publish_packet(&packet, QoS::AtLeastOnce)?;
        let got = subscriber.take()?;
        let got = got.publish()?.payload;
        check(
            got == payload,
            &format!("the payload of {length} bytes that was sent"),
            &format_args!("{} bytes, which are others", got.len()),
        )?;
    }
    Ok(())
}

/// A PUBLISH is answered by its QoS, with its packet identifier: not at all, with PUBACK, with PUBREC; and is delivered.
/// [MQTT-3.3.4-1] [MQTT-2.2.1-5] [MQTT-4.3.2-4] [MQTT-4.3.3-8]
/// [3.1.1:MQTT-3.3.4-1] [3.1.1:MQTT-2.3.1-6] [3.1.1:MQTT-4.3.2-2] [3.1.1:MQTT-4.3.3-2]
fn answers_by_qos(ctx: &Ctx) -> Step {
    ctx.needs_qos(QoS::ExactlyOnce)?;
    let topic = ctx.topic("a");
    let mut subscriber = ctx.subscribed("s", &topic, QoS::AtMostOnce)?;
    let mut publisher = ctx.connect("p")?;
    publisher.publish(&topic, "0", QoS::AtMostOnce)?;
    subscriber.expect("a|0|0|0")?;
    publisher.silence()?;
    for id in [1, 0x0102, 0xff00, u16::MAX] {
        let id = packet_id(id);
        publisher.send(&Publish {
            delivery: Delivery::AtLeastOnce(id),
            ..publish(&topic, "1")
        });
        let answer = publisher.receive()?;
        same("identifier of PUBACK", answer.pub_ack()?.packet_id, id)?;
        subscriber.expect("a|0|0|1")?;
        publisher.send(&Publish {
            delivery: Delivery::ExactlyOnce(id),
            ..publish(&topic, "2")
        });
        let answer = publisher.receive()?;
        same("identifier of PUBREC", answer.pub_rec()?.packet_id, id)?;
        publisher.send(&mqtt_codec::PubRel::new(id));
        let answer = publisher.receive()?;
        same("identifier of PUBCOMP", answer.pub_comp()?.packet_id, id)?;
        subscriber.expect("a|0|0|2")?;
    }
    publisher.silence()
}

/// PUBACK and PUBREC say Success for a message that goes to somebody; without subscribers they may say so with 0x10.
/// [MQTT-3.4.2-1] [MQTT-3.5.2-1]
fn reason_codes(ctx: &Ctx) -> Step {
    let mut subscriber = ctx.subscribed("s", &ctx.topic("a"), QoS::AtMostOnce)?;
    let mut publisher = ctx.connect("p")?;
    for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
        if qos > ctx.announced.maximum_qos {
            break;
        }
        let reason = publisher.try_publish(&publish(&ctx.topic("a"), "x"), qos)?;
        same("code with a subscriber", reason, ReasonCode::SUCCESS)?;
        subscriber.expect("a|0|0|x")?;
        let reason = publisher.try_publish(&publish(&ctx.topic("b"), "x"), qos)?;
        let codes = [ReasonCode::SUCCESS, ReasonCode::NO_MATCHING_SUBSCRIBERS];
        check(codes.contains(&reason), "code 0x00 or 0x10", &reason)?;
    }
    Ok(())
}

/// The DUP flag of what is forwarded does not come from the publisher: it is 0 at the first delivery.
/// [MQTT-3.3.1-3] [MQTT-4.3.2-2] [MQTT-4.3.3-2] [3.1.1:MQTT-3.3.1-3] [3.1.1:MQTT-4.3.2-1] [3.1.1:MQTT-4.3.3-1]
fn dup_does_not_travel(ctx: &Ctx) -> Step {
    let topic = ctx.topic("a");
    let mut subscriber = ctx.subscribed("s", &topic, ctx.announced.maximum_qos)?;
    let mut publisher = ctx.connect("p")?;
    for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
        if qos > ctx.announced.maximum_qos {
            break;
        }
        let packet = Publish {
            dup: true,
            ..publish(&topic, "x")
        };
        publisher.publish_packet(&packet, qos)?;
        let got = subscriber.take()?;
        same("DUP of the message forwarded", got.publish()?.dup, false)?;
        same("QoS", got.publish()?.delivery.qos(), qos)?;
    }
    Ok(())
}

/// A message that was published with DUP 1 reaches a QoS 0 subscriber with DUP 0.
/// [MQTT-3.3.1-2] [MQTT-4.3.1-1] [3.1.1:MQTT-3.3.1-2] [3.1.1:MQTT-4.3.1-1]
fn dup_never_with_qos_0(ctx: &Ctx) -> Step {
    let topic = ctx.topic("a");
    let mut subscriber = ctx.subscribed("s", &topic, QoS::AtMostOnce)?;
    let mut publisher = ctx.connect("p")?;
    let packet = Publish {
        dup: true,
        ..publish(&topic, "x")
    };
    publisher.publish_packet(&packet, QoS::AtLeastOnce)?;
    let got = subscriber.take()?;
    // The first byte as it is, since the decoder may look at it in its own way.
    same("first byte", got.bytes.first().copied(), Some(0x30))?;
    subscriber.silence()
}

/// Sends a PUBLISH of QoS 1 that must be refused: by closing, and in 5.0 also by PUBACK with an error.
#[track_caller]
fn refused(ctx: &Ctx, bytes: &[u8], codes: &[ReasonCode]) -> Step {
    let mut client = ctx.connect("bad")?;
    client.ping()?;
    client.send_bytes(bytes);
    if ctx.is_v5() {
        refused_v5(client, codes)
    } else {
        client.end()
    }
}

#[track_caller]
fn refused_v5(mut client: Client, codes: &[ReasonCode]) -> Step {
    let Some(frame) = client.receive_or_end()? else {
        return Ok(());
    };
    match frame.packet() {
        FromServer::PubAck(ack) if ack.reason.is_error() => Ok(()),
        FromServer::Disconnect(disconnect) => {
            let fits = codes.contains(&disconnect.reason) || disconnect.reason.0 == 0x80;
            check(fits, &format!("DISCONNECT with one of {codes:?}"), &frame)?;
            client.end()
        }
        _ => failed(
            "DISCONNECT, PUBACK with an error, or the end",
            format!("{frame:?}"),
        ),
    }
}

/// A topic name with a wildcard is refused and goes to nobody. [MQTT-3.3.2-2] [MQTT-4.7.0-1] [3.1.1:MQTT-3.3.2-2] [3.1.1:MQTT-4.7.1-1]
fn wildcards_in_the_topic(ctx: &Ctx) -> Step {
    const CODES: &[ReasonCode] = &[
        ReasonCode::MALFORMED_PACKET,
        ReasonCode::PROTOCOL_ERROR,
        ReasonCode::TOPIC_NAME_INVALID,
    ];
    ctx.needs(ctx.announced.wildcards, "wildcards")?;
    let mut subscriber = ctx.subscribed("s", &ctx.topic("#"), QoS::AtMostOnce)?;
    for name in ["+", "#", "a/+", "a/#", "+/a", "a+", "a#", "a/b#/c"] {
        // The codec refuses to write such a name: it is put in place of a valid one of the same length.
        let topic = ctx.topic(name);
        let valid = topic.replace(['+', '#'], "x");
        let bytes = ctx.bytes(&Publish {
            delivery: Delivery::AtLeastOnce(PacketId::MIN),
            ..publish(&valid, "x")
        });
        let start = bytes.len() - 1 - valid.len() - usize::from(ctx.is_v5()) - 2;
        let mut bad = bytes;
        bad[start..start + topic.len()].copy_from_slice(topic.as_bytes());
        refused(ctx, &bad, CODES)?;
        subscriber.silence()?;
    }
    Ok(())
}

/// An empty topic name, in 5.0 without a topic alias, is refused. [MQTT-4.7.3-1] [3.1.1:MQTT-4.7.3-1]
fn empty_topic(ctx: &Ctx) -> Step {
    const CODES: &[ReasonCode] = &[
        ReasonCode::MALFORMED_PACKET,
        ReasonCode::PROTOCOL_ERROR,
        ReasonCode::TOPIC_NAME_INVALID,
        ReasonCode::TOPIC_ALIAS_INVALID,
    ];
    let bytes: &[u8] = if ctx.is_v5() {
        &[0x32, 6, 0, 0, 0, 1, 0, b'x']
    } else {
        &[0x32, 5, 0, 0, 0, 1, b'x']
    };
    refused(ctx, bytes, CODES)
}
