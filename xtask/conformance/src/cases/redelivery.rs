//! 4.4 Message delivery retry: what is sent again at reconnect, and what is not.

use core::time::Duration;

use mqtt_codec::{Delivery, FromServer, PubAck, PubComp, PubRec, Publish, QoS};

use crate::case::chapter;
use crate::cases::deliver::{TWO, again, back, pair, unanswered};
use crate::ctx::Ctx;
use crate::failure::{Step, check, failed, same};
use crate::frame::publish;

chapter!(
    redelivery,
    "4.4 Message delivery retry",
    [qos_1_again_at_reconnect, qos_2_again_at_reconnect, acknowledged_not_again, again_at_each_reconnect, before_what_was_queued, again_as_it_was, pubrel_again_at_reconnect, nothing_again_after_a_clean_start, slow not_again_without_reconnect,]
);

/// An unacknowledged message of QoS 1 is sent again at reconnect: same identifier, DUP 1, in order.
/// [MQTT-4.4.0-1] [MQTT-3.3.1-1] [MQTT-4.3.2-3] [MQTT-4.6.0-6]
/// [3.1.1:MQTT-4.4.0-1] [3.1.1:MQTT-3.3.1-1] [3.1.1:MQTT-4.3.2-1] [3.1.1:MQTT-4.6.0-6]
fn qos_1_again_at_reconnect(ctx: &Ctx) -> Step {
    all_again(ctx, QoS::AtLeastOnce)
}

/// A message of QoS 2 without PUBREC is sent again at reconnect: same identifier, DUP 1, in order.
/// [MQTT-4.4.0-1] [MQTT-3.3.1-1] [MQTT-4.3.3-3] [MQTT-4.6.0-6]
/// [3.1.1:MQTT-4.4.0-1] [3.1.1:MQTT-3.3.1-1] [3.1.1:MQTT-4.3.3-1] [3.1.1:MQTT-4.6.0-6]
fn qos_2_again_at_reconnect(ctx: &Ctx) -> Step {
    all_again(ctx, QoS::ExactlyOnce)
}

fn all_again(ctx: &Ctx, qos: QoS) -> Step {
    const PAYLOADS: [&str; 4] = ["1", "2", "3", "4"];
    let (mut subscriber, mut publisher) = pair(ctx)?;
    let ids = unanswered(ctx, (&mut subscriber, &mut publisher), &PAYLOADS, qos)?;
    subscriber.cut();
    let mut subscriber = back(ctx)?;
    for (payload, &id) in PAYLOADS.iter().zip(&ids) {
        again(&mut subscriber, payload, qos, id)?;
    }
    // Now that they are acknowledged, they are done with.
    for &id in &ids {
        if qos == QoS::AtLeastOnce {
            subscriber.send(&PubAck::new(id));
        } else {
            subscriber.send(&PubRec::new(id));
            same("PUBREL", subscriber.receive()?.pub_rel()?.packet_id, id)?;
            subscriber.send(&PubComp::new(id));
        }
    }
    subscriber.ping()?;
    subscriber.cut();
    back(ctx)?.silence()
}

/// What was acknowledged is not sent again, in whatever order that was done; what was not is.
/// [MQTT-4.3.2-3] [MQTT-4.3.3-6] [MQTT-4.4.0-1] [3.1.1:MQTT-4.3.2-1] [3.1.1:MQTT-4.3.3-1] [3.1.1:MQTT-4.4.0-1]
fn acknowledged_not_again(ctx: &Ctx) -> Step {
    let (mut subscriber, mut publisher) = pair(ctx)?;
    let both = (&mut subscriber, &mut publisher);
    let ones = unanswered(ctx, both, &["1", "2", "3", "4", "5"], QoS::AtLeastOnce)?;
    let both = (&mut subscriber, &mut publisher);
    let twos = unanswered(ctx, both, &["6", "7"], QoS::ExactlyOnce)?;
    subscriber.send(&PubRec::new(twos[0]));
    same(
        "PUBREL",
        subscriber.receive()?.pub_rel()?.packet_id,
        twos[0],
    )?;
    subscriber.send(&PubComp::new(twos[0]));
    subscriber.send(&PubAck::new(ones[3]));
    subscriber.send(&PubAck::new(ones[1]));
    subscriber.ping()?;
    subscriber.cut();
    let mut subscriber = back(ctx)?;
    for (payload, index) in [("1", 0), ("3", 2), ("5", 4)] {
        again(&mut subscriber, payload, QoS::AtLeastOnce, ones[index])?;
    }
    again(&mut subscriber, "7", QoS::ExactlyOnce, twos[1])?;
    subscriber.silence()
}

/// A message is sent again at each reconnect until it is acknowledged. [MQTT-4.4.0-1] [MQTT-4.3.2-3] [3.1.1:MQTT-4.4.0-1]
fn again_at_each_reconnect(ctx: &Ctx) -> Step {
    let (mut subscriber, mut publisher) = pair(ctx)?;
    let both = (&mut subscriber, &mut publisher);
    let ids = unanswered(ctx, both, &["1", "2"], QoS::AtLeastOnce)?;
    for _ in 0..3 {
        subscriber.cut();
        subscriber = back(ctx)?;
        again(&mut subscriber, "1", QoS::AtLeastOnce, ids[0])?;
        again(&mut subscriber, "2", QoS::AtLeastOnce, ids[1])?;
    }
    subscriber.send(&PubAck::new(ids[0]));
    subscriber.ping()?;
    subscriber.cut();
    let mut subscriber = back(ctx)?;
    again(&mut subscriber, "2", QoS::AtLeastOnce, ids[1])?;
    subscriber.silence()
}

/// What is sent again comes before what was published while the client was away, and that has DUP 0.
/// [MQTT-4.6.0-6] [MQTT-4.4.0-1] [MQTT-4.3.2-2] [3.1.1:MQTT-4.6.0-6] [3.1.1:MQTT-4.4.0-1] [3.1.1:MQTT-4.3.2-1]
fn before_what_was_queued(ctx: &Ctx) -> Step {
    let (mut subscriber, mut publisher) = pair(ctx)?;
    let both = (&mut subscriber, &mut publisher);
    let ids = unanswered(ctx, both, &["1", "2"], QoS::AtLeastOnce)?;
    subscriber.disconnect()?;
    for payload in ["3", "4", "5"] {
        publisher.publish(&ctx.topic("a"), payload, QoS::AtLeastOnce)?;
    }
    let mut subscriber = back(ctx)?;
    again(&mut subscriber, "1", QoS::AtLeastOnce, ids[0])?;
    again(&mut subscriber, "2", QoS::AtLeastOnce, ids[1])?;
    for payload in ["3", "4", "5"] {
        let frame = subscriber.receive()?;
        let text = subscriber.text(&frame)?;
        same("message", text, format!("a|1|0|{payload}"))?;
        same("DUP of the first delivery", frame.publish()?.dup, false)?;
        let id = frame.publish_id()?;
        check(
            !ids.contains(&id),
            "an identifier that is not in use",
            &frame,
        )?;
    }
    Ok(())
}

/// A message that is sent again is the same but for DUP: topic, payload, RETAIN and QoS.
/// [MQTT-3.3.1-1] [MQTT-4.4.0-1] [3.1.1:MQTT-3.3.1-1] [3.1.1:MQTT-4.4.0-1]
fn again_as_it_was(ctx: &Ctx) -> Step {
    ctx.needs_retain()?;
    let (mut subscriber, mut publisher) = pair(ctx)?;
    for (name, qos) in ["kept/1", "kept/2"].into_iter().zip(TWO) {
        let topic = ctx.topic(name);
        let packet = Publish {
            retain: true,
            ..publish(&topic, "x")
        };
        publisher.publish_packet(&packet, qos)?;
        subscriber.subscribe_at(&topic, qos)?;
        let before = subscriber.receive()?;
        subscriber.cut();
        subscriber = back(ctx)?;
        let after = subscriber.receive()?;
        let expected = Publish {
            dup: true,
            ..before.publish()?
        };
        same("message sent again", after.publish()?, expected)?;
        match after.publish()?.delivery {
            Delivery::AtLeastOnce(id) => subscriber.send(&PubAck::new(id)),
            Delivery::ExactlyOnce(id) => {
                subscriber.send(&PubRec::new(id));
                same("PUBREL", subscriber.receive()?.pub_rel()?.packet_id, id)?;
                subscriber.send(&PubComp::new(id));
            }
            Delivery::AtMostOnce => return failed("QoS 1 or 2", format!("{after:?}")),
        }
    }
    subscriber.silence()
}

/// After PUBREC only PUBREL is sent again, with the same identifier, at each reconnect until PUBCOMP.
/// [MQTT-4.3.3-5] [MQTT-4.3.3-6] [MQTT-4.4.0-1] [3.1.1:MQTT-4.3.3-1] [3.1.1:MQTT-4.4.0-1]
fn pubrel_again_at_reconnect(ctx: &Ctx) -> Step {
    let (mut subscriber, mut publisher) = pair(ctx)?;
    let both = (&mut subscriber, &mut publisher);
    let ids = unanswered(ctx, both, &["1", "2"], QoS::ExactlyOnce)?;
    for &id in &ids {
        subscriber.send(&PubRec::new(id));
        same("PUBREL", subscriber.receive()?.pub_rel()?.packet_id, id)?;
    }
    for _ in 0..2 {
        subscriber.cut();
        subscriber = back(ctx)?;
        // In which order, is not said for a broker.
        let mut again = Vec::new();
        for _ in &ids {
            again.push(subscriber.receive()?.pub_rel()?.packet_id);
        }
        again.sort_unstable();
        let mut expected = ids.clone();
        expected.sort_unstable();
        same("PUBREL again", again, expected)?;
        subscriber.silence()?;
    }
    subscriber.send(&PubComp::new(ids[0]));
    subscriber.ping()?;
    subscriber.cut();
    subscriber = back(ctx)?;
    same("PUBREL", subscriber.receive()?.pub_rel()?.packet_id, ids[1])?;
    subscriber.send(&PubComp::new(ids[1]));
    subscriber.silence()
}

/// After a clean start nothing of the old session is sent again. [MQTT-3.1.2-4] [MQTT-4.4.0-1] [3.1.1:MQTT-3.1.2-6] [3.1.1:MQTT-4.4.0-1]
fn nothing_again_after_a_clean_start(ctx: &Ctx) -> Step {
    let (mut subscriber, mut publisher) = pair(ctx)?;
    unanswered(
        ctx,
        (&mut subscriber, &mut publisher),
        &["1"],
        QoS::AtLeastOnce,
    )?;
    let ids = unanswered(
        ctx,
        (&mut subscriber, &mut publisher),
        &["2", "3"],
        QoS::ExactlyOnce,
    )?;
    subscriber.send(&PubRec::new(ids[0]));
    subscriber.receive_where("PUBREL", |packet| matches!(packet, FromServer::PubRel(_)))?;
    subscriber.cut();
    ctx.connect("s")?.silence()
}

/// An unacknowledged packet is not sent again as long as its connection lasts. [MQTT-4.4.0-1]
fn not_again_without_reconnect(ctx: &Ctx) -> Step {
    let (mut subscriber, mut publisher) = pair(ctx)?;
    let both = (&mut subscriber, &mut publisher);
    unanswered(ctx, both, &["1"], QoS::AtLeastOnce)?;
    let ids = unanswered(
        ctx,
        (&mut subscriber, &mut publisher),
        &["2", "3"],
        QoS::ExactlyOnce,
    )?;
    subscriber.send(&PubRec::new(ids[1]));
    same("PUBREL", subscriber.receive()?.pub_rel()?.packet_id, ids[1])?;
    ctx.wait(Duration::from_secs(6));
    subscriber.silence()
}
