//! 4.3 Quality of Service and 4.4 Message delivery retry, the broker as sender: identifiers, handshakes, and what is sent again.

use core::time::Duration;

use mqtt_codec::{
    Delivery, FromServer, PacketId, PubAck, PubComp, PubRec, Publish, QoS, ReasonCode,
};

use crate::case::chapter;
use crate::client::Client;
use crate::ctx::Ctx;
use crate::failure::{Step, check, failed, same};
use crate::frame::{Frame, publish};

chapter!(
    deliver,
    "4.3 QoS and 4.4 retry, to the client",
    [
        each_has_its_own_identifier,
        identifier_not_used_twice,
        qos_1_again_at_reconnect,
        qos_2_again_at_reconnect,
        acknowledged_not_again,
        again_at_each_reconnect,
        before_what_was_queued,
        again_as_it_was,
        pubrel_follows_pubrec,
        pubrel_again_at_reconnect,
        pubrec_on_the_next_connection,
        error_in_puback,
        error_in_pubrec,
        nothing_again_after_a_clean_start,
        slow not_again_without_reconnect,
    ]
);

const TWO: [QoS; 2] = [QoS::AtLeastOnce, QoS::ExactlyOnce];

/// A client with a kept session and a subscription of the highest QoS to the topic `a`, and a publisher.
#[track_caller]
fn pair(ctx: &Ctx) -> Step<(Client, Client)> {
    ctx.needs_qos(QoS::ExactlyOnce)?;
    let (mut subscriber, _) = ctx.connect_keeping("s")?;
    subscriber.subscribe_at(&ctx.topic("a"), QoS::ExactlyOnce)?;
    Ok((subscriber, ctx.connect("p")?))
}

/// Publishes `payloads` with `qos`, and gives the identifiers under which the subscriber gets them; it acknowledges none.
#[track_caller]
fn unanswered(
    ctx: &Ctx,
    (subscriber, publisher): (&mut Client, &mut Client),
    payloads: &[&str],
    qos: QoS,
) -> Step<Vec<PacketId>> {
    let mut ids = Vec::new();
    for payload in payloads {
        publisher.publish(&ctx.topic("a"), payload, qos)?;
        let frame = subscriber.receive()?;
        let text = subscriber.text(&frame)?;
        same("message", text, format!("a|{}|0|{payload}", qos as u8))?;
        same("DUP of the first delivery", frame.publish()?.dup, false)?;
        ids.push(frame.publish_id()?);
    }
    Ok(ids)
}

/// Comes back to the kept session.
#[track_caller]
fn back(ctx: &Ctx) -> Step<Client> {
    let (client, present) = ctx.connect_keeping("s")?;
    same("session present", present, true)?;
    Ok(client)
}

/// Waits for the next packet, which must be the message again, with its identifier and DUP 1.
#[track_caller]
fn again(subscriber: &mut Client, payload: &str, qos: QoS, id: PacketId) -> Step<Frame> {
    let frame = subscriber.receive()?;
    let text = subscriber.text(&frame)?;
    same("message", text, format!("a|{}|0|{payload}", qos as u8))?;
    same("identifier", frame.publish_id()?, id)?;
    same("DUP of a re-delivery", frame.publish()?.dup, true)?;
    Ok(frame)
}

/// Messages that are unacknowledged at once have identifiers of their own, and come with DUP 0.
/// [MQTT-2.2.1-4] [MQTT-4.3.2-1] [MQTT-4.3.2-2] [MQTT-4.3.3-1] [MQTT-4.3.3-2]
/// [3.1.1:MQTT-2.3.1-4] [3.1.1:MQTT-4.3.2-1] [3.1.1:MQTT-4.3.3-1]
fn each_has_its_own_identifier(ctx: &Ctx) -> Step {
    let (mut subscriber, mut publisher) = pair(ctx)?;
    let mut ids = Vec::new();
    for _ in 0..4 {
        for qos in TWO {
            let both = (&mut subscriber, &mut publisher);
            ids.extend(unanswered(ctx, both, &["x", "y"], qos)?);
        }
    }
    let count = ids.len();
    ids.sort();
    ids.dedup();
    same("different identifiers", ids.len(), count)
}

/// An identifier is not given again as long as its message is under way, however many come and are acknowledged meanwhile.
/// [MQTT-2.2.1-4] [MQTT-4.3.2-1] [MQTT-4.3.3-1] [3.1.1:MQTT-2.3.1-4] [3.1.1:MQTT-4.3.2-1] [3.1.1:MQTT-4.3.3-1]
fn identifier_not_used_twice(ctx: &Ctx) -> Step {
    let (mut subscriber, mut publisher) = pair(ctx)?;
    let mut taken = unanswered(
        ctx,
        (&mut subscriber, &mut publisher),
        &["1"],
        QoS::AtLeastOnce,
    )?;
    taken.extend(unanswered(
        ctx,
        (&mut subscriber, &mut publisher),
        &["2"],
        QoS::ExactlyOnce,
    )?);
    taken.extend(unanswered(
        ctx,
        (&mut subscriber, &mut publisher),
        &["3"],
        QoS::ExactlyOnce,
    )?);
    // The last one is under way still after PUBREC.
    subscriber.send(&PubRec::new(taken[2]));
    same(
        "PUBREL",
        subscriber.receive()?.pub_rel()?.packet_id,
        taken[2],
    )?;
    for round in 0..300 {
        let qos = TWO[round % 2];
        publisher.publish(&ctx.topic("a"), "x", qos)?;
        let id = subscriber.take()?.publish_id()?;
        check(
            !taken.contains(&id),
            "an identifier that is not in use",
            &id,
        )?;
    }
    Ok(())
}

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

/// PUBREC is answered with PUBREL of the same identifier, and PUBCOMP ends it, whatever else is under way.
/// [MQTT-4.3.3-4] [MQTT-2.2.1-5] [MQTT-3.6.2-1] [3.1.1:MQTT-4.3.3-1] [3.1.1:MQTT-2.3.1-6]
fn pubrel_follows_pubrec(ctx: &Ctx) -> Step {
    let (mut subscriber, mut publisher) = pair(ctx)?;
    let both = (&mut subscriber, &mut publisher);
    let ids = unanswered(ctx, both, &["1", "2", "3"], QoS::ExactlyOnce)?;
    for index in [1, 0, 2] {
        subscriber.send(&PubRec::new(ids[index]));
        let frame = subscriber.receive()?;
        let release = frame.pub_rel()?;
        same("identifier of PUBREL", release.packet_id, ids[index])?;
        same("code of PUBREL", release.reason, ReasonCode::SUCCESS)?;
    }
    for &id in &ids {
        subscriber.send(&PubComp::new(id));
    }
    subscriber.silence()?;
    subscriber.cut();
    back(ctx)?.silence()
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
        for &id in &ids {
            same("PUBREL", subscriber.receive()?.pub_rel()?.packet_id, id)?;
        }
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

/// A handshake that was begun on one connection goes on where it was on the next. [MQTT-4.3.3-4] [MQTT-4.3.3-5] [3.1.1:MQTT-4.3.3-1]
fn pubrec_on_the_next_connection(ctx: &Ctx) -> Step {
    let (mut subscriber, mut publisher) = pair(ctx)?;
    let both = (&mut subscriber, &mut publisher);
    let ids = unanswered(ctx, both, &["1"], QoS::ExactlyOnce)?;
    subscriber.cut();
    let mut subscriber = back(ctx)?;
    again(&mut subscriber, "1", QoS::ExactlyOnce, ids[0])?;
    subscriber.send(&PubRec::new(ids[0]));
    same("PUBREL", subscriber.receive()?.pub_rel()?.packet_id, ids[0])?;
    subscriber.cut();
    let mut subscriber = back(ctx)?;
    same("PUBREL", subscriber.receive()?.pub_rel()?.packet_id, ids[0])?;
    subscriber.send(&PubComp::new(ids[0]));
    publisher.publish(&ctx.topic("a"), "2", QoS::AtLeastOnce)?;
    subscriber.expect("a|1|0|2")?;
    subscriber.cut();
    back(ctx)?.silence()
}

/// PUBACK with an error ends a delivery like one without: the message is not sent again. [MQTT-4.4.0-2]
fn error_in_puback(ctx: &Ctx) -> Step {
    let (mut subscriber, mut publisher) = pair(ctx)?;
    let both = (&mut subscriber, &mut publisher);
    let ids = unanswered(ctx, both, &["1", "2", "3"], QoS::AtLeastOnce)?;
    for (&id, reason) in ids
        .iter()
        .zip([ReasonCode::UNSPECIFIED_ERROR, ReasonCode::QUOTA_EXCEEDED])
    {
        let mut answer = PubAck::new(id);
        answer.reason = reason;
        subscriber.send(&answer);
    }
    subscriber.silence()?;
    subscriber.cut();
    let mut subscriber = back(ctx)?;
    again(&mut subscriber, "3", QoS::AtLeastOnce, ids[2])?;
    subscriber.silence()
}

/// PUBREC with an error ends a delivery: no PUBREL follows, and the message is not sent again. [MQTT-4.4.0-2] [MQTT-4.3.3-4]
fn error_in_pubrec(ctx: &Ctx) -> Step {
    let (mut subscriber, mut publisher) = pair(ctx)?;
    let both = (&mut subscriber, &mut publisher);
    let ids = unanswered(ctx, both, &["1", "2", "3"], QoS::ExactlyOnce)?;
    for (&id, reason) in ids
        .iter()
        .zip([ReasonCode::UNSPECIFIED_ERROR, ReasonCode::NOT_AUTHORIZED])
    {
        let mut answer = PubRec::new(id);
        answer.reason = reason;
        subscriber.send(&answer);
    }
    subscriber.silence()?;
    subscriber.cut();
    let mut subscriber = back(ctx)?;
    again(&mut subscriber, "3", QoS::ExactlyOnce, ids[2])?;
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
