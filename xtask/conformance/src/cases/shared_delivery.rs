//! 4.8.2 Shared subscriptions: a delivery that has begun is nobody else's.

use mqtt_codec::{
    Disconnect, PacketId, Properties, Property, PubAck, PubComp, PubRec, QoS, ReasonCode,
};

use crate::case::chapter;
use crate::cases::shared::{group, member};
use crate::client::Client;
use crate::ctx::Ctx;
use crate::failure::{Step, same};

chapter!(
    shared_delivery,
    "4.8.2 Shared subscriptions, delivery",
    [
        begun_qos_2_stays_with_its_client,
        begun_qos_2_ends_with_its_session,
        rejected_is_discarded,
    ]
);

/// A member with a kept session that has got a message of QoS 2, and another one that has joined after that.
#[track_caller]
fn begun(ctx: &Ctx) -> Step<(Client, PacketId, Client)> {
    ctx.needs(ctx.announced.shared, "shared subscriptions")?;
    ctx.needs_qos(QoS::ExactlyOnce)?;
    let filter = group(ctx, "g", "a");
    let (mut first, _) = ctx.connect_keeping("m1")?;
    first.subscribe_at(&filter, QoS::ExactlyOnce)?;
    let mut publisher = ctx.connect("p")?;
    publisher.publish(&ctx.topic("a"), "x", QoS::ExactlyOnce)?;
    let frame = first.receive()?;
    same("message", first.text(&frame)?.as_str(), "a|2|0|x")?;
    let id = frame.publish_id()?;
    let second = member(ctx, "m2", &filter, QoS::ExactlyOnce)?;
    Ok((first, id, second))
}

/// A delivery of QoS 2 that has begun is completed with the same client when it comes back, and nobody else gets the message.
/// [MQTT-4.8.2-4]
fn begun_qos_2_stays_with_its_client(ctx: &Ctx) -> Step {
    let (first, id, mut second) = begun(ctx)?;
    first.cut();
    second.silence()?;
    let (mut first, _) = ctx.connect_keeping("m1")?;
    let frame = first.receive()?;
    same("message", first.text(&frame)?.as_str(), "a|2|0|x")?;
    same("identifier", frame.publish_id()?, id)?;
    same("DUP", frame.publish()?.dup, true)?;
    first.send(&PubRec::new(id));
    same("PUBREL", first.receive()?.pub_rel()?.packet_id, id)?;
    first.cut();
    second.silence()?;
    let (mut first, _) = ctx.connect_keeping("m1")?;
    same("PUBREL", first.receive()?.pub_rel()?.packet_id, id)?;
    first.send(&PubComp::new(id));
    first.silence()?;
    second.silence()
}

/// When the session of its client ends before that, a message of QoS 2 goes to nobody else. [MQTT-4.8.2-5]
fn begun_qos_2_ends_with_its_session(ctx: &Ctx) -> Step {
    // By a DISCONNECT that ends it.
    let (mut first, _, mut second) = begun(ctx)?;
    const NOW: &[Property<'_>] = &[Property::SessionExpiryInterval(0)];
    let mut disconnect = Disconnect::new(ReasonCode::NORMAL_DISCONNECTION);
    disconnect.properties = Properties::List(NOW);
    first.send(&disconnect);
    first.end()?;
    second.silence()?;
    second.unsubscribe(&[&group(ctx, "g", "a")])?;
    // By a clean start, after the connection broke.
    let (first, _, mut second) = begun(ctx)?;
    first.cut();
    let mut first = ctx.connect("m1")?;
    first.silence()?;
    second.silence()?;
    // The other one gets what comes now.
    let mut publisher = ctx.connect("p")?;
    publisher.publish(&ctx.topic("a"), "y", QoS::AtLeastOnce)?;
    second.expect("a|1|0|y")
}

/// A message that a member answers with an error is discarded, and goes to nobody else. [MQTT-4.8.2-6] [MQTT-4.4.0-2]
fn rejected_is_discarded(ctx: &Ctx) -> Step {
    let (mut first, id, mut second) = begun(ctx)?;
    let mut answer = PubRec::new(id);
    answer.reason = ReasonCode::UNSPECIFIED_ERROR;
    first.send(&answer);
    first.silence()?;
    second.silence()?;
    let mut members = vec![first, second];
    let mut publisher = ctx.connect("p")?;
    let mut rejected = 0;
    for number in 0..10 {
        publisher.publish(&ctx.topic("a"), &number.to_string(), QoS::AtLeastOnce)?;
        for member in &mut members {
            member.ping()?;
            while let Some(frame) = member.waiting() {
                same("message", member.text(&frame)?, format!("a|1|0|{number}"))?;
                let mut answer = PubAck::new(frame.publish_id()?);
                answer.reason = ReasonCode::IMPLEMENTATION_SPECIFIC_ERROR;
                member.send(&answer);
                rejected += 1;
            }
        }
    }
    same("copies of ten messages", rejected, 10)?;
    for member in &mut members {
        member.silence()?;
    }
    let Some(first) = members.into_iter().next() else {
        return Ok(());
    };
    first.cut();
    let (mut first, _) = ctx.connect_keeping("m1")?;
    first.silence()
}
