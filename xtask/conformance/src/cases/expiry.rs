//! 3.3.2.3.3 Message Expiry Interval, also of retained messages and of handshakes that have begun.

use core::time::Duration;
use std::time::Instant;

use mqtt_codec::{Delivery, Properties, Property, PubAck, PubComp, PubRec, PubRel, Publish, QoS};

use crate::case::chapter;
use crate::client::Client;
use crate::ctx::Ctx;
use crate::failure::{Step, check, same};
use crate::frame::{Frame, packet_id, publish, retained};

chapter!(
    expiry,
    "3.3.2.3.3 Message Expiry Interval",
    [
        sent_on_at_once,
        slow reduced_by_the_waiting_time,
        slow expired_is_not_delivered,
        slow retained_is_reduced,
        slow retained_expires,
        slow begun_qos_1_goes_on,
        slow begun_qos_2_goes_on,
        slow receiver_completes_qos_2,
    ]
);

/// Publishes with an expiry in seconds.
#[track_caller]
fn publish_for(client: &mut Client, packet: &Publish<'_>, seconds: u32, qos: QoS) -> Step {
    let properties = [Property::MessageExpiryInterval(seconds)];
    let packet = Publish {
        properties: Properties::List(&properties),
        ..*packet
    };
    client.publish_packet(&packet, qos)
}

/// Checks that `frame` has an expiry of `sent` seconds less the time since `start`, of which at least `waited` were in the broker.
#[track_caller]
fn left(frame: &Frame, sent: u32, start: Instant, waited: Duration) -> Step {
    let got = frame.publish()?.properties.message_expiry_interval();
    // Whole seconds: what the broker rounds, and what was on the way, is at most one more.
    let passed = start.elapsed().as_secs() as u32 + 1;
    let least = sent.saturating_sub(passed);
    let most = sent - waited.as_secs() as u32;
    check(
        got.is_some_and(|got| (least..=most).contains(&got)),
        &format!("a Message Expiry Interval of {least} to {most}"),
        frame,
    )
}

/// A message that did not wait has the expiry it was sent with, and none if it had none. [MQTT-3.3.2-6]
fn sent_on_at_once(ctx: &Ctx) -> Step {
    let topic = ctx.topic("a");
    let mut subscriber = ctx.subscribed("s", &topic, QoS::AtLeastOnce)?;
    let mut publisher = ctx.connect("p")?;
    for seconds in [60, 1_000_000, u32::MAX] {
        let start = Instant::now();
        publish_for(
            &mut publisher,
            &publish(&topic, "x"),
            seconds,
            QoS::AtLeastOnce,
        )?;
        left(&subscriber.take()?, seconds, start, Duration::ZERO)?;
        publisher.publish(&topic, "y", QoS::AtLeastOnce)?;
        let got = subscriber.take()?;
        let got = got.publish()?.properties.message_expiry_interval();
        same("expiry of a message without", got, None)?;
    }
    Ok(())
}

/// A client with a kept session and a subscription, that has gone away.
#[track_caller]
fn away(ctx: &Ctx, topic: &str) -> Step {
    let (mut subscriber, _) = ctx.connect_keeping("s")?;
    subscriber.subscribe_at(topic, ctx.announced.maximum_qos)?;
    subscriber.disconnect()
}

/// The expiry of a message that waited for its subscriber is less by the time it waited. [MQTT-3.3.2-6]
fn reduced_by_the_waiting_time(ctx: &Ctx) -> Step {
    const WAIT: Duration = Duration::from_millis(3200);
    let topic = ctx.topic("a");
    away(ctx, &topic)?;
    let mut publisher = ctx.connect("p")?;
    let start = Instant::now();
    publish_for(&mut publisher, &publish(&topic, "x"), 100, QoS::AtLeastOnce)?;
    publish_for(
        &mut publisher,
        &publish(&topic, "y"),
        5000,
        QoS::AtLeastOnce,
    )?;
    ctx.wait(WAIT);
    let (mut subscriber, _) = ctx.connect_keeping("s")?;
    // A broker that counts in whole seconds of a clock may be one short.
    let waited = WAIT - Duration::from_secs(1);
    left(&subscriber.take()?, 100, start, waited)?;
    left(&subscriber.take()?, 5000, start, waited)
}

/// A message whose expiry has passed before its delivery began is not delivered; the others are. [MQTT-3.3.2-5]
fn expired_is_not_delivered(ctx: &Ctx) -> Step {
    let topic = ctx.topic("a");
    away(ctx, &topic)?;
    let mut publisher = ctx.connect("p")?;
    for (payload, seconds) in [("1", 100), ("2", 1), ("3", 1), ("4", 100)] {
        publish_for(
            &mut publisher,
            &publish(&topic, payload),
            seconds,
            QoS::AtLeastOnce,
        )?;
    }
    publisher.publish(&topic, "5", QoS::AtLeastOnce)?;
    ctx.wait(Duration::from_millis(3200));
    let (mut subscriber, _) = ctx.connect_keeping("s")?;
    for payload in ["1", "4", "5"] {
        subscriber.expect(&format!("a|1|0|{payload}"))?;
    }
    subscriber.silence()
}

/// The expiry of a retained message is less by the time it was kept, whenever it is sent. [MQTT-3.3.2-6]
fn retained_is_reduced(ctx: &Ctx) -> Step {
    const WAIT: Duration = Duration::from_millis(3200);
    ctx.needs_retain()?;
    let topic = ctx.topic("a");
    let mut publisher = ctx.connect("p")?;
    let start = Instant::now();
    publish_for(
        &mut publisher,
        &retained(&topic, "x"),
        100,
        QoS::AtLeastOnce,
    )?;
    let mut subscriber = ctx.subscribed("s", &topic, QoS::AtLeastOnce)?;
    left(&subscriber.take()?, 100, start, Duration::ZERO)?;
    ctx.wait(WAIT);
    let mut subscriber = ctx.subscribed("s2", &topic, QoS::AtLeastOnce)?;
    left(
        &subscriber.take()?,
        100,
        start,
        WAIT - Duration::from_secs(1),
    )
}

/// A retained message whose expiry has passed is not sent to new subscriptions. [MQTT-3.3.2-5]
fn retained_expires(ctx: &Ctx) -> Step {
    ctx.needs_retain()?;
    let (gone, there) = (ctx.topic("gone"), ctx.topic("there"));
    let mut publisher = ctx.connect("p")?;
    publish_for(&mut publisher, &retained(&gone, "x"), 1, QoS::AtLeastOnce)?;
    publish_for(
        &mut publisher,
        &retained(&there, "x"),
        100,
        QoS::AtLeastOnce,
    )?;
    let mut early = ctx.subscribed("early", &gone, QoS::AtMostOnce)?;
    early.expect("gone|0|1|x")?;
    ctx.wait(Duration::from_millis(3200));
    let mut late = ctx.subscribed("late", &gone, QoS::AtMostOnce)?;
    late.subscribe_at(&there, QoS::AtMostOnce)?;
    late.expect("there|0|1|x")?;
    late.silence()
}

/// A message whose delivery with QoS 1 has begun is sent again although its expiry has passed. [MQTT-4.3.2-3] [MQTT-4.4.0-1]
fn begun_qos_1_goes_on(ctx: &Ctx) -> Step {
    let topic = ctx.topic("a");
    let (mut subscriber, _) = ctx.connect_keeping("s")?;
    subscriber.subscribe_at(&topic, QoS::AtLeastOnce)?;
    let mut publisher = ctx.connect("p")?;
    publish_for(&mut publisher, &publish(&topic, "x"), 1, QoS::AtLeastOnce)?;
    let id = subscriber.receive()?.publish_id()?;
    subscriber.cut();
    ctx.wait(Duration::from_millis(3200));
    let (mut subscriber, _) = ctx.connect_keeping("s")?;
    let again = subscriber.receive()?;
    same("identifier", again.publish_id()?, id)?;
    same("DUP", again.publish()?.dup, true)?;
    subscriber.send(&PubAck::new(id));
    subscriber.silence()
}

/// A message whose delivery with QoS 2 has begun is sent again, and released, although its expiry has passed.
/// [MQTT-4.3.3-7] [MQTT-4.3.3-13]
fn begun_qos_2_goes_on(ctx: &Ctx) -> Step {
    ctx.needs_qos(QoS::ExactlyOnce)?;
    let topic = ctx.topic("a");
    let (mut subscriber, _) = ctx.connect_keeping("s")?;
    subscriber.subscribe_at(&topic, QoS::ExactlyOnce)?;
    let mut publisher = ctx.connect("p")?;
    publish_for(&mut publisher, &publish(&topic, "x"), 1, QoS::ExactlyOnce)?;
    let first = subscriber.receive()?.publish_id()?;
    publish_for(&mut publisher, &publish(&topic, "y"), 1, QoS::ExactlyOnce)?;
    let second = subscriber.receive()?.publish_id()?;
    subscriber.send(&PubRec::new(second));
    same("PUBREL", subscriber.receive()?.pub_rel()?.packet_id, second)?;
    ctx.wait(Duration::from_millis(3200));
    // On the same connection.
    subscriber.send(&PubComp::new(second));
    subscriber.ping()?;
    subscriber.cut();
    // And on the next.
    let (mut subscriber, _) = ctx.connect_keeping("s")?;
    let again = subscriber.receive()?;
    same("identifier", again.publish_id()?, first)?;
    same("DUP", again.publish()?.dup, true)?;
    subscriber.send(&PubRec::new(first));
    same("PUBREL", subscriber.receive()?.pub_rel()?.packet_id, first)?;
    subscriber.send(&PubComp::new(first));
    subscriber.silence()
}

/// The broker answers PUBREL of a message that it has received and whose expiry has passed since. [MQTT-4.3.3-13]
fn receiver_completes_qos_2(ctx: &Ctx) -> Step {
    ctx.needs_qos(QoS::ExactlyOnce)?;
    let topic = ctx.topic("a");
    let mut subscriber = ctx.subscribed("s", &topic, QoS::AtMostOnce)?;
    let mut publisher = ctx.connect("p")?;
    let id = packet_id(9);
    let properties = [Property::MessageExpiryInterval(1)];
    let packet = Publish {
        delivery: Delivery::ExactlyOnce(id),
        properties: Properties::List(&properties),
        ..publish(&topic, "x")
    };
    publisher.send(&packet);
    same("PUBREC", publisher.receive()?.pub_rec()?.packet_id, id)?;
    ctx.wait(Duration::from_millis(3200));
    publisher.send(&Publish {
        dup: true,
        ..packet
    });
    same("PUBREC", publisher.receive()?.pub_rec()?.packet_id, id)?;
    publisher.send(&PubRel::new(id));
    same("PUBCOMP", publisher.receive()?.pub_comp()?.packet_id, id)?;
    publisher.publish(&topic, "y", QoS::AtMostOnce)?;
    // The broker may have passed x on when it came, or have dropped it since.
    let next = subscriber.take_text()?;
    if next == "a|0|0|x" {
        return subscriber.expect("a|0|0|y");
    }
    same("message", next.as_str(), "a|0|0|y")
}
