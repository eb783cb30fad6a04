//! 3.1.2.11 Properties of CONNECT: Maximum Packet Size, Request Problem Information, Request Response Information.

use mqtt_codec::{
    Connect, FromServer, Properties, Property, PubAck, PubRel, QoS, ReasonCode, Subscribe,
    SubscribeFilter,
};

use crate::case::chapter;
use crate::client::Client;
use crate::ctx::Ctx;
use crate::failure::{Step, check, failed, same};
use crate::frame::{Frame, at, delivery, packet_id, publish};
use crate::raw::{RawConnect, string};

chapter!(
    limits,
    "3.1.2.11 Properties of CONNECT",
    [
        large_messages_are_dropped,
        large_messages_of_qos_1_and_2_are_dropped_as_if_sent,
        size_includes_the_header,
        connack_fits,
        refusal_fits,
        acknowledgements_fit,
        codes_of_subscriptions_fit,
        disconnect_fits,
        no_problem_information,
        no_response_information,
        unaware_properties,
    ]
);

/// A client that takes packets of up to `size` bytes.
#[track_caller]
fn limited(ctx: &Ctx, name: &str, size: u32) -> Step<(Client, Frame)> {
    let id = ctx.id(name);
    let size = core::num::NonZeroU32::new(size).unwrap_or(core::num::NonZeroU32::MAX);
    let properties = [Property::MaximumPacketSize(size)];
    ctx.connect_with(
        name,
        &Connect {
            properties: Properties::List(&properties),
            ..ctx.clean(&id)
        },
    )
}

/// A message that is larger than the client's Maximum Packet Size is not sent to it, and nothing else is held up; others get it.
/// [MQTT-3.1.2-24] [MQTT-3.1.2-25]
fn large_messages_are_dropped(ctx: &Ctx) -> Step {
    let topic = ctx.topic("t");
    let (mut small, _) = limited(ctx, "small", 200)?;
    small.subscribe_at(&topic, QoS::AtMostOnce)?;
    let mut other = ctx.subscribed("other", &topic, QoS::AtMostOnce)?;
    let large = "x".repeat(300);
    let mut publisher = ctx.connect("p")?;
    publisher.publish(&topic, &large, QoS::AtMostOnce)?;
    publisher.publish(&topic, "small", QoS::AtMostOnce)?;
    other.expect(&format!("t|0|0|{large}"))?;
    other.expect("t|0|0|small")?;
    small.expect("t|0|0|small")?;
    small.silence()
}

/// A message of QoS 1 or 2 that is too large for a client is done with: the next ones come, also when the session is resumed.
/// [MQTT-3.1.2-24] [MQTT-3.1.2-25]
fn large_messages_of_qos_1_and_2_are_dropped_as_if_sent(ctx: &Ctx) -> Step {
    ctx.needs_qos(QoS::ExactlyOnce)?;
    let topic = ctx.topic("t");
    let id = ctx.id("small");
    let size = core::num::NonZeroU32::MIN.saturating_add(199);
    let limits = [
        Property::SessionExpiryInterval(120),
        Property::MaximumPacketSize(size),
    ];
    let connect = Connect {
        properties: Properties::List(&limits),
        ..ctx.keeping(&id)
    };
    let (mut small, _) = ctx.connect_with("small", &connect)?;
    small.subscribe_at(&topic, QoS::ExactlyOnce)?;
    let large = "x".repeat(300);
    let mut publisher = ctx.connect("p")?;
    for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
        publisher.publish(&topic, &large, qos)?;
        publisher.publish(&topic, "small", qos)?;
        small.expect(&format!("t|{}|0|small", qos as u8))?;
    }
    small.silence()?;
    small.disconnect()?;
    publisher.publish(&topic, &large, QoS::AtLeastOnce)?;
    publisher.publish(&topic, "while away", QoS::AtLeastOnce)?;
    let (mut small, _) = ctx.connect_with("small", &connect)?;
    small.expect("t|1|0|while away")?;
    small.silence()
}

/// The Maximum Packet Size counts every byte of a packet: one of exactly that size comes, one with a byte more does not. [MQTT-3.1.2-24]
fn size_includes_the_header(ctx: &Ctx) -> Step {
    const SIZE: usize = 100;
    let topic = ctx.topic("t");
    let (mut small, _) = limited(ctx, "small", SIZE as u32)?;
    small.subscribe_at(&topic, QoS::AtMostOnce)?;
    let mut publisher = ctx.connect("p")?;
    let around = ctx.bytes(&publish(&topic, "")).len();
    let fits = "x".repeat(SIZE - around);
    let over = "x".repeat(SIZE - around + 1);
    publisher.publish(&topic, &over, QoS::AtMostOnce)?;
    publisher.publish(&topic, &fits, QoS::AtMostOnce)?;
    let frame = small.take()?;
    same("bytes of the packet", frame.bytes.len(), SIZE)?;
    small.silence()
}

fn fits(frame: &Frame, size: usize) -> Step {
    if frame.bytes.len() <= size {
        Ok(())
    } else {
        failed(
            format!("a packet of at most {size} bytes"),
            format!("{} bytes: {frame:?}", frame.bytes.len()),
        )
    }
}

/// CONNACK is not larger than the client's Maximum Packet Size; a broker that cannot do that closes the connection.
/// [MQTT-3.1.2-24] [MQTT-3.2.2-19] [MQTT-3.2.2-20]
fn connack_fits(ctx: &Ctx) -> Step {
    for size in [4_u8, 8, 16, 64] {
        let mut client = ctx.open("c")?;
        let bytes = RawConnect {
            properties: vec![0x27, 0, 0, 0, size],
            ..RawConnect::new(ctx.version, &ctx.id("c"))
        }
        .bytes();
        client.send_bytes(&bytes);
        if let Some(answer) = client.receive_or_end()? {
            fits(&answer, usize::from(size))?;
            if answer.conn_ack()?.reason == ReasonCode::SUCCESS {
                client.ping()?;
            }
        } else if size == 64 {
            return failed("a CONNACK of at most 64 bytes", "the end of the connection");
        }
    }
    Ok(())
}

/// A refusal is not larger than the client's Maximum Packet Size. [MQTT-3.1.2-24] [MQTT-3.2.2-19] [MQTT-3.2.2-20]
fn refusal_fits(ctx: &Ctx) -> Step {
    for size in [5_u8, 12, 24] {
        let mut client = ctx.open("c")?;
        let mut properties = vec![0x27, 0, 0, 0, size, 0x15];
        properties.extend(string("conformance-unknown"));
        let bytes = RawConnect {
            properties,
            ..RawConnect::new(ctx.version, &ctx.id("c"))
        }
        .bytes();
        client.send_bytes(&bytes);
        if let Some(answer) = client.receive_or_end()? {
            fits(&answer, usize::from(size))?;
            check(
                answer.conn_ack()?.reason.is_error(),
                "CONNACK with an error",
                &answer,
            )?;
            client.end()?;
        }
    }
    ctx.connect("c")?.ping()
}

/// PUBACK, PUBREC, PUBREL and PUBCOMP are not larger than the client's Maximum Packet Size, whatever they have to tell.
/// [MQTT-3.1.2-24] [MQTT-3.4.2-2] [MQTT-3.4.2-3] [MQTT-3.5.2-2] [MQTT-3.5.2-3] [MQTT-3.6.2-2] [MQTT-3.6.2-3] [MQTT-3.7.2-2] [MQTT-3.7.2-3]
fn acknowledgements_fit(ctx: &Ctx) -> Step {
    const SIZE: usize = 12;
    ctx.needs_qos(QoS::ExactlyOnce)?;
    let topic = ctx.topic("nobody");
    let id = ctx.id("c");
    let mut client = ctx.open("c")?;
    client.send_bytes(
        &RawConnect {
            properties: vec![0x27, 0, 0, 0, 64],
            ..RawConnect::new(ctx.version, &id)
        }
        .bytes(),
    );
    fits(&client.receive()?, 64)?;
    // Nobody listens; an identifier that nobody knows; a release that nobody waits for.
    client.send(&mqtt_codec::Publish {
        delivery: delivery(QoS::AtLeastOnce, 1),
        ..publish(&topic, "1")
    });
    let answer = client.receive()?;
    same("packet identifier", answer.pub_ack()?.packet_id.get(), 1)?;
    fits(&answer, 64)?;
    client.send(&mqtt_codec::Publish {
        delivery: delivery(QoS::ExactlyOnce, 2),
        ..publish(&topic, "2")
    });
    let answer = client.receive()?;
    same("packet identifier", answer.pub_rec()?.packet_id.get(), 2)?;
    fits(&answer, 64)?;
    client.send(&PubRel::new(packet_id(9)));
    let answer = client.receive()?;
    same("packet identifier", answer.pub_comp()?.packet_id.get(), 9)?;
    fits(&answer, 64)?;
    client.send(&mqtt_codec::PubRec::new(packet_id(77)));
    let answer = client.receive()?;
    same("packet identifier", answer.pub_rel()?.packet_id.get(), 77)?;
    fits(&answer, 64)?;
    // The smallest size in which these packets have room for a code at all.
    let Ok((mut tiny, _)) = limited(ctx, "tiny", SIZE as u32) else {
        // Not every CONNACK fits into so little.
        return Ok(());
    };
    tiny.send(&mqtt_codec::Publish {
        delivery: delivery(QoS::AtLeastOnce, 1),
        ..publish(&topic, "1")
    });
    fits(&tiny.receive()?, SIZE)?;
    tiny.send(&PubRel::new(packet_id(9)));
    fits(&tiny.receive()?, SIZE)
}

/// SUBACK and UNSUBACK are not larger than the client's Maximum Packet Size, whatever they have to tell.
/// [MQTT-3.1.2-24] [MQTT-3.9.2-1] [MQTT-3.9.2-2] [MQTT-3.11.2-1] [MQTT-3.11.2-2]
fn codes_of_subscriptions_fit(ctx: &Ctx) -> Step {
    const SIZE: usize = 40;
    let (mut client, answer) = limited(ctx, "c", SIZE as u32)?;
    fits(&answer, SIZE)?;
    // More levels than some brokers take, so that those have a reason to tell.
    let deep = "x/".repeat(100);
    let filters = [SubscribeFilter {
        filter: &deep,
        options: at(QoS::AtMostOnce),
    }];
    client.send(&Subscribe {
        packet_id: packet_id(1),
        properties: Properties::EMPTY,
        filters: (&filters[..]).into(),
    });
    let answer = client.receive()?;
    fits(&answer, SIZE)?;
    same("packet identifier", answer.sub_ack()?.packet_id.get(), 1)?;
    client.send(&mqtt_codec::Unsubscribe {
        packet_id: packet_id(2),
        properties: Properties::EMPTY,
        filters: (&["nobody/has/subscribed/to/this"][..]).into(),
    });
    let answer = client.receive()?;
    fits(&answer, SIZE)?;
    same("packet identifier", answer.unsub_ack()?.packet_id.get(), 2)?;
    // The answer with 35 codes still fits; with more it could not be sent, whatever the broker makes of that.
    let topics: Vec<_> = (0..30).map(|n| ctx.topic(&n.to_string())).collect();
    let filters: Vec<_> = topics
        .iter()
        .map(|filter| (filter.as_str(), at(QoS::AtMostOnce)))
        .collect();
    let codes = client.subscribe(&filters)?;
    same("codes", codes.len(), 30)
}

/// DISCONNECT is not larger than the client's Maximum Packet Size. [MQTT-3.1.2-24] [MQTT-3.14.2-3] [MQTT-3.14.2-4]
fn disconnect_fits(ctx: &Ctx) -> Step {
    const SIZE: usize = 24;
    let (mut client, answer) = limited(ctx, "c", SIZE as u32)?;
    fits(&answer, SIZE)?;
    client.send_bytes(&[0x00, 0]);
    while let Some(frame) = client.receive_or_end()? {
        fits(&frame, SIZE)?;
        frame.disconnect()?;
    }
    let (mut client, _) = limited(ctx, "same", SIZE as u32)?;
    let _second = ctx.connect("same")?;
    while let Some(frame) = client.receive_or_end()? {
        fits(&frame, SIZE)?;
        same(
            "reason of DISCONNECT",
            frame.disconnect()?.reason,
            ReasonCode::SESSION_TAKEN_OVER,
        )?;
    }
    Ok(())
}

/// A client that asked for no problem information gets no reason string and no user property but in PUBLISH, CONNACK and DISCONNECT.
/// [MQTT-3.1.2-29]
fn no_problem_information(ctx: &Ctx) -> Step {
    ctx.needs_qos(QoS::ExactlyOnce)?;
    let id = ctx.id("c");
    let topic = ctx.topic("t");
    let properties = [Property::RequestProblemInformation(false)];
    let (mut client, _) = ctx.connect_with(
        "c",
        &Connect {
            properties: Properties::List(&properties),
            ..ctx.clean(&id)
        },
    )?;
    // User properties of a message are not problem information.
    client.subscribe_at(&topic, QoS::AtMostOnce)?;
    let user = [Property::UserProperty("stays", "here")];
    let message = mqtt_codec::Publish {
        properties: Properties::List(&user),
        ..publish(&topic, "x")
    };
    client.send(&message);
    let frame = client.take()?;
    let got: Vec<_> = frame.publish()?.properties.user_properties().collect();
    same("user properties of PUBLISH", got, [("stays", "here")])?;
    // Packets that have something to tell.
    let nobody = ctx.topic("nobody");
    client.send(&mqtt_codec::Publish {
        delivery: delivery(QoS::AtLeastOnce, 100),
        ..publish(&nobody, "1")
    });
    client.send(&mqtt_codec::Publish {
        delivery: delivery(QoS::ExactlyOnce, 101),
        ..publish(&nobody, "2")
    });
    client.send(&PubRel::new(packet_id(102)));
    client.send(&mqtt_codec::PubRec::new(packet_id(103)));
    client.send(&PubAck::new(packet_id(104)));
    let deep = "x/".repeat(100);
    let filters = [SubscribeFilter {
        filter: &deep,
        options: at(QoS::AtMostOnce),
    }];
    client.send(&Subscribe {
        packet_id: packet_id(105),
        properties: Properties::EMPTY,
        filters: (&filters[..]).into(),
    });
    client.send(&mqtt_codec::Unsubscribe {
        packet_id: packet_id(106),
        properties: Properties::EMPTY,
        filters: (&[nobody.as_str()][..]).into(),
    });
    for _ in 0..6 {
        let frame = client.receive()?;
        let properties = match frame.packet() {
            FromServer::PubAck(ack) => ack.properties,
            FromServer::PubRec(ack) => ack.properties,
            FromServer::PubRel(ack) => ack.properties,
            FromServer::PubComp(ack) => ack.properties,
            FromServer::SubAck(ack) => ack.properties,
            FromServer::UnsubAck(ack) => ack.properties,
            _ => return failed("an acknowledgement", format!("{frame:?}")),
        };
        check(
            properties.reason_string().is_none() && properties.user_properties().next().is_none(),
            "no reason string and no user property",
            &frame,
        )?;
    }
    client.silence()
}

/// Response Information comes only to a client that asked for it. [MQTT-3.1.2-28]
fn no_response_information(ctx: &Ctx) -> Step {
    let id = ctx.id("c");
    for properties in [
        &[][..],
        &[Property::RequestResponseInformation(false)],
        &[Property::RequestResponseInformation(true)],
    ] {
        let asked = properties.contains(&Property::RequestResponseInformation(true));
        let (mut client, answer) = ctx.connect_with(
            "c",
            &Connect {
                properties: Properties::List(properties),
                ..ctx.clean(&id)
            },
        )?;
        let got = answer.conn_ack()?.properties;
        check(
            asked || got.response_information().is_none(),
            "no response information",
            &answer,
        )?;
        client.ping()?;
        client.disconnect()?;
    }
    Ok(())
}

/// CONNECT with every property that it may have is accepted. [MQTT-3.1.4-5]
fn unaware_properties(ctx: &Ctx) -> Step {
    let id = ctx.id("c");
    let topic = ctx.topic("t");
    let size = core::num::NonZeroU32::MAX;
    let properties = [
        Property::SessionExpiryInterval(1),
        Property::ReceiveMaximum(mqtt_codec::ReceiveMaximum::MAX),
        Property::MaximumPacketSize(size),
        Property::TopicAliasMaximum(u16::MAX),
        Property::RequestResponseInformation(true),
        Property::RequestProblemInformation(true),
        Property::UserProperty("twice", "1"),
        Property::UserProperty("twice", "1"),
        Property::UserProperty("", ""),
    ];
    let (mut client, _) = ctx.connect_with(
        "c",
        &Connect {
            properties: Properties::List(&properties),
            ..ctx.clean(&id)
        },
    )?;
    client.subscribe_at(&topic, QoS::AtMostOnce)?;
    client.publish(&topic, "hello", QoS::AtMostOnce)?;
    // The topic is there in full: an alias has no meaning yet.
    client.expect("t|0|0|hello")
}
