//! 1.5, 2.1 and 4.13: data formats, the fixed header, packets that a client must not send.

use mqtt_codec::{
    Delivery, FromServer, Properties, Property, PubAck, PubComp, PubRec, PubRel, Publish, QoS,
    ReasonCode,
};

use crate::case::chapter;
use crate::cases::MALFORMED;
use crate::ctx::Ctx;
use crate::failure::{Step, check, same};
use crate::frame::{delivery, packet_id, publish};
use crate::raw::{RawConnect, packet, properties, string, varint};

chapter!(
    format,
    "1.5, 2.1, 4.13 Data formats, fixed header",
    [
        byte_order_mark_kept,
        byte_order_mark_counts,
        all_of_unicode,
        longest_strings,
        noncharacters_and_controls,
        packet_type_0,
        packets_of_the_server,
        length_of_five_bytes,
        length_not_shortest,
        property_length_not_shortest,
        packet_too_large,
        rest_is_dropped_after_an_error,
        others_unaffected_by_an_error,
        messages_arrive_byte_by_byte,
        flags_of_the_broker,
    ]
);

/// A byte order mark in a topic is data: it arrives. [MQTT-1.5.4-3] [3.1.1:MQTT-1.5.3-3]
fn byte_order_mark_kept(ctx: &Ctx) -> Step {
    let mut client = ctx.subscribed("c", &ctx.topic("#"), QoS::AtMostOnce)?;
    let topic = ctx.topic("\u{feff}t\u{feff}");
    client.publish(&topic, "\u{feff}x", QoS::AtMostOnce)?;
    let frame = client.take()?;
    same("topic", frame.publish()?.topic, topic.as_str())?;
    same("payload", frame.publish()?.payload, "\u{feff}x".as_bytes())
}

/// Topics with and without a byte order mark are different ones. [MQTT-1.5.4-3] [MQTT-4.7.3-4] [3.1.1:MQTT-1.5.3-3] [3.1.1:MQTT-4.7.3-4]
fn byte_order_mark_counts(ctx: &Ctx) -> Step {
    let without = ctx.topic("t");
    let with = ctx.topic("\u{feff}t");
    let mut client = ctx.subscribed("c", &without, QoS::AtMostOnce)?;
    client.publish(&with, "with", QoS::AtMostOnce)?;
    client.publish(&without, "without", QoS::AtMostOnce)?;
    client.expect("t|0|0|without")?;
    client.subscribe_at(&with, QoS::AtMostOnce)?;
    client.publish(&with, "with", QoS::AtMostOnce)?;
    client.expect("\u{feff}t|0|0|with")
}

/// Characters of one to four bytes arrive as they were sent. [MQTT-1.5.4-1] [3.1.1:MQTT-3.3.2-1]
fn all_of_unicode(ctx: &Ctx) -> Step {
    let mut client = ctx.subscribed("c", &ctx.topic("+"), QoS::AtMostOnce)?;
    for text in [
        "~",
        "ä",
        "Ж",
        "€",
        "漢",
        "𝄞",
        "🦀",
        "\u{d7ff}\u{e000}\u{10fffd}",
    ] {
        client.publish(&ctx.topic(text), text, QoS::AtMostOnce)?;
        client.expect(&format!("{text}|0|0|{text}"))?;
    }
    Ok(())
}

/// A topic may have 65,535 bytes. [MQTT-4.7.3-3] [3.1.1:MQTT-4.7.3-3]
fn longest_strings(ctx: &Ctx) -> Step {
    ctx.needs(
        ctx.announced.maximum_packet_size >= 66_000,
        "packets that hold the longest topic",
    )?;
    let mut client = ctx.subscribed("c", &ctx.topic("#"), QoS::AtMostOnce)?;
    let stem = ctx.topic("");
    let topic = format!("{stem}{}", "x".repeat(65_535 - stem.len()));
    client.publish(&topic, "long", QoS::AtMostOnce)?;
    let frame = client.take()?;
    same("bytes of the topic", frame.publish()?.topic.len(), 65_535)?;
    client.subscribe_at(&topic, QoS::AtMostOnce)?;
    client.unsubscribe(&[&ctx.topic("#")])?;
    client.publish(&topic, "to the long filter", QoS::AtMostOnce)?;
    let frame = client.take()?;
    same("payload", frame.publish()?.payload, b"to the long filter")
}

/// Control characters and noncharacters may be refused, by closing the connection; taken, they arrive as they are.
/// [MQTT-1.5.4-1] [3.1.1:MQTT-4.8.0-1]
fn noncharacters_and_controls(ctx: &Ctx) -> Step {
    for text in [
        "\u{1}", "\u{1f}", "\u{7f}", "\u{9f}", "\u{fdd0}", "\u{fffe}",
    ] {
        let mut watcher = ctx.subscribed("w", &ctx.topic("+"), QoS::AtMostOnce)?;
        let mut client = ctx.connect("c")?;
        client.send(&publish(&ctx.topic(text), text));
        client.send(&crate::frame::PingReq);
        match client.receive_or_end()? {
            Some(frame) if frame.packet() == FromServer::PingResp => {
                watcher.expect(&format!("{text}|0|0|{text}"))?;
            }
            Some(frame) => {
                let reason = frame.disconnect()?.reason;
                let told = [MALFORMED, &[ReasonCode::TOPIC_NAME_INVALID]].concat();
                check(told.contains(&reason), "0x81, 0x82 or 0x90", &frame)?;
                client.end()?;
            }
            None => watcher.silence()?,
        }
    }
    Ok(())
}

/// Packet type 0 does not exist. [MQTT-4.13.1-1] [3.1.1:MQTT-4.8.0-1]
fn packet_type_0(ctx: &Ctx) -> Step {
    for first in [0x00, 0x0f] {
        ctx.broken(&[first, 0], MALFORMED)?;
    }
    Ok(())
}

/// A client does not send CONNACK, SUBACK, UNSUBACK or PINGRESP. [MQTT-4.13.1-1] [3.1.1:MQTT-4.8.0-1]
fn packets_of_the_server(ctx: &Ctx) -> Step {
    let bytes: [&[u8]; 4] = if ctx.is_v5() {
        [
            &[0x20, 3, 0, 0, 0],
            &[0x90, 4, 0, 1, 0, 0],
            &[0xb0, 4, 0, 1, 0, 0],
            &[0xd0, 0],
        ]
    } else {
        [
            &[0x20, 2, 0, 0],
            &[0x90, 3, 0, 1, 0],
            &[0xb0, 2, 0, 1],
            &[0xd0, 0],
        ]
    };
    for packet in bytes {
        ctx.broken(packet, MALFORMED)?;
    }
    Ok(())
}

/// A Remaining Length has four bytes at most. [MQTT-4.13.1-1] [3.1.1:MQTT-4.8.0-1]
fn length_of_five_bytes(ctx: &Ctx) -> Step {
    let told = [MALFORMED, &[ReasonCode::PACKET_TOO_LARGE]].concat();
    ctx.broken(&[0x30, 0xff, 0xff, 0xff, 0xff, 0x01, 0], &told)?;
    ctx.broken(&[0xc0, 0x80, 0x80, 0x80, 0x80, 0x00], &told)?;
    Ok(())
}

/// A Remaining Length has its shortest form. [MQTT-1.5.5-1]
fn length_not_shortest(ctx: &Ctx) -> Step {
    ctx.broken(&[0xc0, 0x80, 0x00], MALFORMED)?;
    Ok(())
}

/// The length of properties has its shortest form. [MQTT-1.5.5-1]
fn property_length_not_shortest(ctx: &Ctx) -> Step {
    let topic = string(ctx.topic("t"));
    ctx.broken(&packet(0x30, &[&topic, &[0x80, 0x00], b"x"]), MALFORMED)?;
    let id = string(ctx.id("d"));
    let body = [&string("MQTT")[..], &[5, 2, 0, 0, 0x80, 0x00], &id].concat();
    ctx.refused(&packet(0x10, &[&body]), MALFORMED)?;
    Ok(())
}

/// A packet larger than the broker's Maximum Packet Size ends the connection, if the broker has one. [MQTT-4.13.1-1]
fn packet_too_large(ctx: &Ctx) -> Step {
    let size = ctx.announced.maximum_packet_size;
    ctx.needs(size < 268_435_455, "Maximum Packet Size")?;
    let mut bytes = vec![0x30];
    bytes.extend(varint(size as usize));
    bytes.extend(string(ctx.topic("t")));
    ctx.broken(&bytes, &[ReasonCode::PACKET_TOO_LARGE])?;
    Ok(())
}

/// What follows a malformed packet is not processed. [MQTT-4.13.1-1] [3.1.1:MQTT-4.8.0-1]
fn rest_is_dropped_after_an_error(ctx: &Ctx) -> Step {
    let topic = ctx.topic("t");
    let mut watcher = ctx.subscribed("w", &topic, QoS::AtMostOnce)?;
    let mut client = ctx.connect("c")?;
    client.publish(&topic, "before", QoS::AtMostOnce)?;
    watcher.expect("t|0|0|before")?;
    let mut bytes = vec![0x36, 5, 0, 1, b't', 0, 1];
    bytes.extend(ctx.bytes(&publish(&topic, "behind")));
    client.send_bytes(&bytes);
    let told = [MALFORMED, &[ReasonCode::QOS_NOT_SUPPORTED]].concat();
    client.end_for(&told)?;
    watcher.silence()
}

/// An error closes the connection it came over and no other. [MQTT-4.13.1-1] [3.1.1:MQTT-4.8.0-1] [3.1.1:MQTT-4.8.0-2]
fn others_unaffected_by_an_error(ctx: &Ctx) -> Step {
    let topic = ctx.topic("t");
    let mut other = ctx.subscribed("other", &topic, QoS::AtMostOnce)?;
    ctx.broken(&[0x00, 0], MALFORMED)?;
    ctx.refused(
        &RawConnect {
            flags: 0x03,
            ..RawConnect::new(ctx.version, &ctx.id("d"))
        }
        .bytes(),
        MALFORMED,
    )?;
    other.publish(&topic, "still here", QoS::AtMostOnce)?;
    other.expect("t|0|0|still here")
}

/// A QoS 0 message comes without packet identifier, in 5.0 with a property length of 0, and otherwise byte by byte as it was sent.
/// [MQTT-2.2.2-1] [MQTT-2.2.1-2] [3.1.1:MQTT-2.3.1-5]
fn messages_arrive_byte_by_byte(ctx: &Ctx) -> Step {
    let topic = ctx.topic("t");
    let mut client = ctx.subscribed("c", &topic, QoS::AtMostOnce)?;
    let user = [Property::UserProperty("a", "b")];
    let with_property = Publish {
        properties: Properties::List(&user),
        ..publish(&topic, "y")
    };
    let messages = if ctx.is_v5() {
        [publish(&topic, "x"), with_property]
    } else {
        [publish(&topic, "x"), publish(&topic, "y")]
    };
    for message in messages {
        client.send(&message);
        let frame = client.take()?;
        let expected = ctx.bytes(&message);
        same("bytes", frame.bytes.as_slice(), expected.as_slice())?;
    }
    Ok(())
}

/// Every packet of the broker has the fixed flags of its type. [MQTT-2.1.3-1] [3.1.1:MQTT-2.2.2-1]
fn flags_of_the_broker(ctx: &Ctx) -> Step {
    ctx.needs_qos(QoS::ExactlyOnce)?;
    let topic = ctx.topic("t");
    let (mut client, answer) = ctx.connect_with("c", &ctx.clean(&ctx.id("c")))?;
    same("first byte of CONNACK", answer.bytes[0], 0x20)?;
    client.send_bytes(&[0xc0, 0]);
    same("first byte of PINGRESP", client.receive()?.bytes[0], 0xd0)?;
    let none = properties(ctx.version, &[]);
    let filter = string(&topic);
    client.send_bytes(&packet(0x82, &[&[0, 1], &none, &filter, &[2]]));
    same("first byte of SUBACK", client.receive()?.bytes[0], 0x90)?;
    // To itself, so that both sides of each handshake are seen.
    for (qos, answers) in [
        (QoS::AtLeastOnce, &[0x32, 0x40][..]),
        (QoS::ExactlyOnce, &[0x34, 0x50, 0x62, 0x70]),
    ] {
        let id = packet_id(qos as u16 + 10);
        client.send(&Publish {
            delivery: delivery(qos, id.get()),
            ..publish(&topic, "x")
        });
        let mut seen = Vec::new();
        for _ in answers {
            let frame = client.receive()?;
            seen.push(frame.bytes[0]);
            match frame.packet() {
                FromServer::Publish(message) => match message.delivery {
                    Delivery::AtMostOnce => {}
                    Delivery::AtLeastOnce(id) => client.send(&PubAck::new(id)),
                    Delivery::ExactlyOnce(id) => client.send(&PubRec::new(id)),
                },
                FromServer::PubRec(ack) => client.send(&PubRel::new(ack.packet_id)),
                FromServer::PubRel(ack) => client.send(&PubComp::new(ack.packet_id)),
                _ => {}
            }
        }
        // The two handshakes go on side by side.
        seen.sort_unstable();
        same("first bytes", seen.as_slice(), answers)?;
    }
    client.send_bytes(&packet(0xa2, &[&[0, 2], &none, &filter]));
    same("first byte of UNSUBACK", client.receive()?.bytes[0], 0xb0)?;
    client.silence()
}
