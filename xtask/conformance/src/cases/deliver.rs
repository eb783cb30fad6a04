//! 4.3 Quality of Service, the broker as sender: identifiers and handshakes.

use core::time::Duration;
use std::time::Instant;

use mqtt_codec::{PacketId, PubAck, PubComp, PubRec, Publish, QoS, ReasonCode};

use crate::case::chapter;
use crate::client::Client;
use crate::ctx::Ctx;
use crate::failure::{Step, Stop, check, same};
use crate::frame::{Frame, delivery, publish};

chapter!(
    deliver,
    "4.3 QoS, to the client",
    [
        each_has_its_own_identifier,
        identifier_not_used_twice,
        pubrel_follows_pubrec,
        pubrec_on_the_next_connection,
        pubrec_unknown,
        error_in_puback,
        error_in_pubrec,
        slow identifier_not_used_twice_once_round,
    ]
);

pub(super) const TWO: [QoS; 2] = [QoS::AtLeastOnce, QoS::ExactlyOnce];

/// A client with a kept session and a subscription of the highest QoS to the topic `a`, and a publisher.
#[track_caller]
pub(super) fn pair(ctx: &Ctx) -> Step<(Client, Client)> {
    ctx.needs_qos(QoS::ExactlyOnce)?;
    let (mut subscriber, _) = ctx.connect_keeping("s")?;
    subscriber.subscribe_at(&ctx.topic("a"), QoS::ExactlyOnce)?;
    Ok((subscriber, ctx.connect("p")?))
}

/// Publishes `payloads` with `qos`, and gives the identifiers under which the subscriber gets them; it acknowledges none.
#[track_caller]
pub(super) fn unanswered(
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
pub(super) fn back(ctx: &Ctx) -> Step<Client> {
    let (client, present) = ctx.connect_keeping("s")?;
    same("session present", present, true)?;
    Ok(client)
}

/// Waits for the next packet, which must be the message again, with its identifier and DUP 1.
#[track_caller]
pub(super) fn again(subscriber: &mut Client, payload: &str, qos: QoS, id: PacketId) -> Step<Frame> {
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
    subscriber.ping()?;
    subscriber.cut();
    back(ctx)?.silence()
}

/// PUBREC with an identifier that is not in use is answered with PUBREL, which may say so with 0x92. [MQTT-4.3.3-4] [MQTT-3.6.2-1]
fn pubrec_unknown(ctx: &Ctx) -> Step {
    let (mut subscriber, mut publisher) = pair(ctx)?;
    for id in [PacketId::MAX, PacketId::MIN] {
        subscriber.send(&PubRec::new(id));
        let frame = subscriber.receive()?;
        let release = frame.pub_rel()?;
        same("identifier of PUBREL", release.packet_id, id)?;
        subscriber.send(&PubComp::new(id));
        publisher.publish(&ctx.topic("a"), "x", QoS::ExactlyOnce)?;
        subscriber.expect("a|2|0|x")?;
    }
    subscriber.silence()
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

/// When all 65,535 identifiers have been used, those that are still taken are left out.
/// [MQTT-2.2.1-4] [MQTT-4.3.2-1] [MQTT-4.3.3-1] [3.1.1:MQTT-2.3.1-4] [3.1.1:MQTT-4.3.2-1] [3.1.1:MQTT-4.3.3-1]
fn identifier_not_used_twice_once_round(ctx: &Ctx) -> Step {
    const AT_ONCE: u16 = 15;
    const ROUNDS: u32 = 66_000 / AT_ONCE as u32;
    ctx.needs(
        ctx.announced.receive_maximum >= AT_ONCE,
        "room for 15 messages",
    )?;
    let (mut subscriber, mut publisher) = pair(ctx)?;
    let mut taken = Vec::new();
    for qos in TWO {
        let both = (&mut subscriber, &mut publisher);
        taken.extend(unanswered(ctx, both, &["kept"], qos)?);
    }
    let topic = ctx.topic("a");
    let mut batch = Vec::new();
    for id in 1..=AT_ONCE {
        batch.extend(ctx.bytes(&Publish {
            delivery: delivery(QoS::AtLeastOnce, id),
            ..publish(&topic, "x")
        }));
    }
    let start = Instant::now();
    for round in 0..ROUNDS {
        // Some brokers send each message in a segment of its own, and wait 40 ms for the answer of the other side's kernel.
        if round < 300 && start.elapsed() > Duration::from_secs(6) {
            return Err(Stop::NotApplicable(
                "65,535 messages would take the broker minutes".to_owned(),
            ));
        }
        publisher.send_bytes(&batch);
        let mut answers = Vec::new();
        for _ in 0..AT_ONCE {
            let id = subscriber.receive()?.publish_id()?;
            check(
                !taken.contains(&id),
                "an identifier that is not in use",
                &id,
            )?;
            answers.extend(ctx.bytes(&PubAck::new(id)));
        }
        subscriber.send_bytes(&answers);
        for _ in 0..AT_ONCE {
            publisher.receive()?.pub_ack()?;
        }
    }
    Ok(())
}
