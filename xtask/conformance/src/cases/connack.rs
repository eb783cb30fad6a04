//! 3.2 CONNACK: session present, flags, codes, and what a server with limits announces.

use mqtt_codec::{Connect, Properties, Property, QoS, ReasonCode, Will};

use crate::case::chapter;
use crate::ctx::Ctx;
use crate::failure::{Step, check, same};
use crate::frame::at;

chapter!(
    connack,
    "3.2 CONNACK",
    [
        first_and_only_once,
        reserved_flags,
        absent_with_a_clean_start,
        present_with_a_stored_session,
        absent_without_a_stored_session,
        refusal,
        limited_qos,
        will_above_the_qos,
        retained_will_refused,
    ]
);

/// CONNACK comes first, and only once. [MQTT-3.2.0-1] [MQTT-3.2.0-2] [3.1.1:MQTT-3.2.0-1]
fn first_and_only_once(ctx: &Ctx) -> Step {
    // A session with a message waiting: it must not overtake CONNACK.
    let (mut kept, _) = ctx.connect_keeping("kept")?;
    kept.subscribe_at(&ctx.topic("t"), QoS::AtLeastOnce)?;
    kept.disconnect()?;
    let mut publisher = ctx.connect("p")?;
    publisher.publish(&ctx.topic("t"), "waiting", QoS::AtLeastOnce)?;
    // Fails unless CONNACK is the first packet.
    let (mut kept, _) = ctx.connect_keeping("kept")?;
    kept.expect("t|1|0|waiting")?;
    kept.silence()
}

/// Bits 7 to 1 of the flags are 0, with and without a session. [MQTT-3.2.2-1]
fn reserved_flags(ctx: &Ctx) -> Step {
    let id = ctx.id("kept");
    for present in [0, 1] {
        let (client, answer) = ctx.connect_with("c", &ctx.keeping(&id))?;
        same("flags of CONNACK", answer.bytes[2], present)?;
        client.disconnect()?;
    }
    Ok(())
}

/// After a clean start, session present is 0. [MQTT-3.2.2-2] [3.1.1:MQTT-3.2.2-1]
fn absent_with_a_clean_start(ctx: &Ctx) -> Step {
    let (kept, _) = ctx.connect_keeping("kept")?;
    kept.disconnect()?;
    // The session is there.
    let (kept, present) = ctx.connect_keeping("kept")?;
    same("session present", present, true)?;
    kept.disconnect()?;
    let (_, answer) = ctx.connect_with("c", &ctx.clean(&ctx.id("kept")))?;
    same(
        "session present after a clean start",
        answer.conn_ack()?.session_present,
        false,
    )
}

/// With a stored session, session present is 1, after DISCONNECT and after a cut. [MQTT-3.2.2-3] [3.1.1:MQTT-3.2.2-2]
fn present_with_a_stored_session(ctx: &Ctx) -> Step {
    let (kept, _) = ctx.connect_keeping("kept")?;
    kept.disconnect()?;
    let (kept, present) = ctx.connect_keeping("kept")?;
    same("session present after DISCONNECT", present, true)?;
    kept.cut();
    let (_, present) = ctx.connect_keeping("kept")?;
    same("session present after a cut", present, true)
}

/// Without a stored session, session present is 0. [MQTT-3.2.2-3] [MQTT-3.1.2-6] [3.1.1:MQTT-3.2.2-3]
fn absent_without_a_stored_session(ctx: &Ctx) -> Step {
    let (mut kept, present) = ctx.connect_keeping("kept")?;
    same("session present", present, false)?;
    // It is a session that works, and that is there next time.
    kept.subscribe_at(&ctx.topic("t"), QoS::AtLeastOnce)?;
    kept.disconnect()?;
    let (_, present) = ctx.connect_keeping("kept")?;
    same("session present next time", present, true)
}

/// A refusal has a code of the table, session present 0, and the connection is closed; the stored session stays.
/// [MQTT-3.2.2-6] [MQTT-3.2.2-7] [MQTT-3.2.2-8] [MQTT-3.1.4-2] [MQTT-4.12.0-4]
fn refusal(ctx: &Ctx) -> Step {
    let (kept, _) = ctx.connect_keeping("kept")?;
    kept.disconnect()?;
    let id = ctx.id("kept");
    let properties = [
        Property::SessionExpiryInterval(120),
        Property::AuthenticationMethod("conformance-unknown"),
    ];
    let bytes = ctx.bytes(&Connect {
        properties: Properties::List(&properties),
        ..ctx.keeping(&id)
    });
    ctx.refused(
        &bytes,
        &[
            ReasonCode::BAD_AUTHENTICATION_METHOD,
            ReasonCode::NOT_AUTHORIZED,
        ],
    )?;
    let (_, present) = ctx.connect_keeping("kept")?;
    same("session present after the refusal", present, true)
}

/// A broker without QoS 1 or 2 announces it, and still grants a subscription with any QoS. [MQTT-3.2.2-9] [MQTT-3.2.2-10]
fn limited_qos(ctx: &Ctx) -> Step {
    let mut client = ctx.connect("c")?;
    let mut filters = Vec::new();
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
        filters.push((ctx.topic(&format!("t/{}", qos as u8)), at(qos)));
    }
    let filters: Vec<_> = filters
        .iter()
        .map(|(filter, options)| (filter.as_str(), *options))
        .collect();
    let codes = client.subscribe(&filters)?;
    check(
        codes.len() == 3 && codes.iter().all(|code| !code.is_error()),
        "three granted subscriptions",
        &codes,
    )?;
    // What it does not announce, it takes.
    let highest = ctx.announced.maximum_qos;
    client.publish(&ctx.topic("t/2"), "as high as announced", highest)?;
    let granted = codes.last().map_or(0, |code| code.0);
    let delivered = granted.min(highest as u8);
    client.expect(&format!("t/2|{delivered}|0|as high as announced"))
}

/// A broker with a Maximum QoS refuses a will above it with 0x9B. [MQTT-3.2.2-12]
fn will_above_the_qos(ctx: &Ctx) -> Step {
    let highest = ctx.announced.maximum_qos;
    let id = ctx.id("c");
    let topic = ctx.topic("will");
    let connect = Connect {
        will: Some(Will {
            topic: &topic,
            payload: b"gone",
            qos: QoS::ExactlyOnce,
            retain: false,
            properties: Properties::EMPTY,
        }),
        ..ctx.clean(&id)
    };
    if highest == QoS::ExactlyOnce {
        // Nothing is above QoS 2: such a will is taken, and published.
        let mut watcher = ctx.subscribed("watch", &topic, QoS::ExactlyOnce)?;
        ctx.connect_with("c", &connect)?.0.cut();
        return watcher.expect("will|2|0|gone");
    }
    ctx.refused(&ctx.bytes(&connect), &[ReasonCode::QOS_NOT_SUPPORTED])?;
    Ok(())
}

/// A broker that retains nothing refuses a will that is to be retained with 0x9A; any other retains it. [MQTT-3.2.2-13]
fn retained_will_refused(ctx: &Ctx) -> Step {
    let id = ctx.id("c");
    let topic = ctx.topic("will");
    let connect = Connect {
        will: Some(Will {
            topic: &topic,
            payload: b"gone",
            qos: QoS::AtMostOnce,
            retain: true,
            properties: Properties::EMPTY,
        }),
        ..ctx.clean(&id)
    };
    if ctx.announced.retain_available {
        let mut watcher = ctx.subscribed("watch", &topic, QoS::AtMostOnce)?;
        ctx.connect_with("c", &connect)?.0.cut();
        watcher.expect("will|0|0|gone")?;
        watcher.subscribe_at(&topic, QoS::AtMostOnce)?;
        return watcher.expect("will|0|1|gone");
    }
    ctx.refused(&ctx.bytes(&connect), &[ReasonCode::RETAIN_NOT_SUPPORTED])?;
    Ok(())
}
