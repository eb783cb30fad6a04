//! 4.6 Message ordering.

use mqtt_codec::QoS;

use crate::case::chapter;
use crate::ctx::Ctx;
use crate::failure::{Step, failed, same};

chapter!(
    order,
    "4.6 Message ordering",
    [
        per_topic_and_qos,
        of_several_publishers,
        of_several_topics_of_one_publisher,
        while_away,
        through_a_small_window,
    ]
);

const ALL: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];

/// Messages of one topic and QoS reach each subscriber in the order in which they were published.
/// [MQTT-4.6.0-5] [MQTT-4.6.0-6] [3.1.1:MQTT-4.6.0-5] [3.1.1:MQTT-4.6.0-6]
fn per_topic_and_qos(ctx: &Ctx) -> Step {
    const COUNT: u32 = 60;
    ctx.needs_qos(QoS::ExactlyOnce)?;
    let topic = ctx.topic("a");
    let mut publisher = ctx.connect("p")?;
    for published in ALL {
        let mut subscribers = Vec::new();
        for granted in ALL {
            subscribers.push(ctx.subscribed(
                ["s0", "s1", "s2"][granted as usize],
                &topic,
                granted,
            )?);
        }
        for number in 0..COUNT {
            publisher.publish(&topic, &number.to_string(), published)?;
        }
        for (subscriber, granted) in subscribers.iter_mut().zip(ALL) {
            let qos = granted.min(published) as u8;
            for number in 0..COUNT {
                subscriber.expect(&format!("a|{qos}|0|{number}"))?;
            }
        }
    }
    Ok(())
}

/// Each publisher's messages are in order among themselves. [MQTT-4.6.0-5] [3.1.1:MQTT-4.6.0-6]
fn of_several_publishers(ctx: &Ctx) -> Step {
    const COUNT: u32 = 30;
    let topic = ctx.topic("a");
    let mut subscriber = ctx.subscribed("s", &topic, QoS::AtLeastOnce)?;
    let mut publishers = Vec::new();
    for name in ["p0", "p1", "p2", "p3"] {
        publishers.push(ctx.connect(name)?);
    }
    for number in 0..COUNT {
        for (index, publisher) in publishers.iter_mut().enumerate() {
            publisher.publish(&topic, &format!("{index}:{number}"), QoS::AtLeastOnce)?;
        }
    }
    let mut next = [0; 4];
    for _ in 0..4 * COUNT {
        let text = subscriber.take_text()?;
        let number = text.strip_prefix("a|1|0|").and_then(|payload| {
            let (index, number) = payload.split_once(':')?;
            Some((index.parse::<usize>().ok()?, number.parse::<u32>().ok()?))
        });
        let Some((index, number)) = number else {
            return failed("one of the messages", text);
        };
        same("number", number, next[index])?;
        next[index] += 1;
    }
    Ok(())
}

/// The order holds for each topic of a publisher, and for each subscription with wildcards.
/// [MQTT-4.6.0-6] [3.1.1:MQTT-4.6.0-6]
fn of_several_topics_of_one_publisher(ctx: &Ctx) -> Step {
    const COUNT: u32 = 30;
    ctx.needs(ctx.announced.wildcards, "wildcards")?;
    let mut subscriber = ctx.subscribed("s", &ctx.topic("+"), QoS::AtLeastOnce)?;
    let mut publisher = ctx.connect("p")?;
    for number in 0..COUNT {
        for name in ["a", "b", "c"] {
            publisher.publish(&ctx.topic(name), &number.to_string(), QoS::AtLeastOnce)?;
        }
    }
    let mut next = [0; 3];
    for _ in 0..3 * COUNT {
        let text = subscriber.take_text()?;
        let index = ["a", "b", "c"]
            .iter()
            .position(|name| text.starts_with(name));
        let Some(index) = index else {
            return failed("one of the topics", text);
        };
        let expected = format!("{}|1|0|{}", ["a", "b", "c"][index], next[index]);
        same("message", text, expected)?;
        next[index] += 1;
    }
    Ok(())
}

/// Messages that waited for their subscriber come in the order in which they were published.
/// [MQTT-4.6.0-5] [MQTT-4.6.0-6] [3.1.1:MQTT-4.6.0-6]
fn while_away(ctx: &Ctx) -> Step {
    const COUNT: u32 = 50;
    let topic = ctx.topic("a");
    let (mut subscriber, _) = ctx.connect_keeping("s")?;
    subscriber.subscribe_at(&topic, ctx.announced.maximum_qos)?;
    subscriber.disconnect()?;
    let mut publisher = ctx.connect("p")?;
    for number in 0..COUNT {
        publisher.publish(&topic, &number.to_string(), QoS::AtLeastOnce)?;
    }
    let (mut subscriber, _) = ctx.connect_keeping("s")?;
    for number in 0..COUNT {
        if number == COUNT / 2 {
            // What comes live now stands behind what waits.
            publisher.publish(&topic, "live", QoS::AtLeastOnce)?;
        }
        subscriber.expect(&format!("a|1|0|{number}"))?;
    }
    subscriber.expect("a|1|0|live")
}

/// A client that acknowledges late gets its messages in order too. [MQTT-4.6.0-5] [MQTT-4.6.0-6] [3.1.1:MQTT-4.6.0-6]
fn through_a_small_window(ctx: &Ctx) -> Step {
    const COUNT: u32 = 100;
    ctx.needs_qos(QoS::ExactlyOnce)?;
    let topic = ctx.topic("a");
    for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
        let mut subscriber = ctx.subscribed("s", &topic, qos)?;
        let mut publisher = ctx.connect("p")?;
        for number in 0..COUNT {
            publisher.publish(&topic, &number.to_string(), qos)?;
            // One is taken where three are sent.
            if number % 3 == 0 {
                subscriber.expect(&format!("a|{}|0|{}", qos as u8, number / 3))?;
            }
        }
        for number in COUNT.div_ceil(3)..COUNT {
            subscriber.expect(&format!("a|{}|0|{number}", qos as u8))?;
        }
    }
    Ok(())
}
