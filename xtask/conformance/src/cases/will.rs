//! 3.1.2.5 and 3.1.3: the will: when it is published, how, and when not.

use core::time::Duration;

use mqtt_codec::{Connect, Disconnect, PayloadFormat, Properties, Property, QoS, ReasonCode, Will};

use crate::case::chapter;
use crate::client::Client;
use crate::ctx::Ctx;
use crate::failure::{Step, check, same};
use crate::frame::at;
use crate::raw::{RawConnect, properties, string};

chapter!(
    will,
    "3.1.2.5 Will",
    [
        published_after_a_cut,
        published_with_its_qos,
        published_empty,
        published_after_a_protocol_error,
        published_at_take_over,
        discarded_at_disconnect,
        published_at_disconnect_with_will,
        published_at_disconnect_with_an_error,
        published_once,
        none_without_the_flag,
        not_retained,
        retained,
        properties_kept,
        topic_with_wildcard,
        delayed_not_after_return,
        delayed_until_the_session_ends,
        slow delayed,
        slow published_after_silence,
    ]
);

fn last_words(topic: &str) -> Will<'_> {
    Will {
        topic,
        payload: b"gone",
        qos: QoS::AtMostOnce,
        retain: false,
        properties: Properties::EMPTY,
    }
}

/// A client with this will and a clean start.
#[track_caller]
fn with_will(ctx: &Ctx, name: &str, will: Will<'_>) -> Step<Client> {
    let id = ctx.id(name);
    let connect = Connect {
        will: Some(will),
        ..ctx.clean(&id)
    };
    Ok(ctx.connect_with(name, &connect)?.0)
}

/// The will is published when the connection ends without a DISCONNECT.
/// [MQTT-3.1.2-7] [MQTT-3.1.2-8] [3.1.1:MQTT-3.1.2-8] [3.1.1:MQTT-3.1.2-9]
fn published_after_a_cut(ctx: &Ctx) -> Step {
    let topic = ctx.topic("will");
    let mut watcher = ctx.subscribed("w", &topic, QoS::ExactlyOnce)?;
    let client = with_will(ctx, "c", last_words(&topic))?;
    // Not while the client is there.
    watcher.silence()?;
    client.cut();
    watcher.expect("will|0|0|gone")
}

/// The will has its QoS. [MQTT-3.1.2-8] [3.1.1:MQTT-3.1.2-9]
fn published_with_its_qos(ctx: &Ctx) -> Step {
    ctx.needs_qos(QoS::ExactlyOnce)?;
    let topic = ctx.topic("will");
    let mut watcher = ctx.subscribed("w", &topic, QoS::ExactlyOnce)?;
    for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
        let will = Will {
            qos,
            ..last_words(&topic)
        };
        with_will(ctx, "c", will)?.cut();
        watcher.expect(&format!("will|{}|0|gone", qos as u8))?;
    }
    Ok(())
}

/// A will without payload is published as such. [MQTT-3.1.2-8] [3.1.1:MQTT-3.1.2-9]
fn published_empty(ctx: &Ctx) -> Step {
    let topic = ctx.topic("will");
    let mut watcher = ctx.subscribed("w", &topic, QoS::ExactlyOnce)?;
    let will = Will {
        payload: b"",
        ..last_words(&topic)
    };
    with_will(ctx, "c", will)?.cut();
    watcher.expect("will|0|0|")
}

/// The will is published when the broker ends the connection because of an error. [MQTT-3.1.2-8] [3.1.1:MQTT-3.1.2-8]
fn published_after_a_protocol_error(ctx: &Ctx) -> Step {
    let topic = ctx.topic("will");
    let mut watcher = ctx.subscribed("w", &topic, QoS::ExactlyOnce)?;
    let mut client = with_will(ctx, "c", last_words(&topic))?;
    client.send_bytes(&ctx.bytes(&ctx.clean(&ctx.id("c"))));
    client.end_for(&[ReasonCode::PROTOCOL_ERROR])?;
    watcher.expect("will|0|0|gone")
}

/// The will without delay is published when another connection takes over. [MQTT-3.1.2-8] [3.1.1:MQTT-3.1.2-8]
fn published_at_take_over(ctx: &Ctx) -> Step {
    let topic = ctx.topic("will");
    let mut watcher = ctx.subscribed("w", &topic, QoS::ExactlyOnce)?;
    let mut first = with_will(ctx, "c", last_words(&topic))?;
    let mut second = ctx.connect("c")?;
    first.end_for(&[ReasonCode::SESSION_TAKEN_OVER])?;
    watcher.expect("will|0|0|gone")?;
    second.ping()
}

/// DISCONNECT with code 0x00, or any before 5.0, discards the will.
/// [MQTT-3.14.4-3] [MQTT-3.1.2-10] [3.1.1:MQTT-3.14.4-3] [3.1.1:MQTT-3.1.2-10]
fn discarded_at_disconnect(ctx: &Ctx) -> Step {
    let topic = ctx.topic("will");
    let mut watcher = ctx.subscribed("w", &topic, QoS::ExactlyOnce)?;
    with_will(ctx, "c", last_words(&topic))?.disconnect()?;
    // A second client's will comes, the first one's has not.
    let will = Will {
        payload: b"the second",
        ..last_words(&topic)
    };
    with_will(ctx, "d", will)?.cut();
    watcher.expect("will|0|0|the second")?;
    watcher.silence()
}

/// DISCONNECT with code 0x04 publishes the will. [MQTT-3.1.2-8]
fn published_at_disconnect_with_will(ctx: &Ctx) -> Step {
    published_at_disconnect(ctx, ReasonCode::DISCONNECT_WITH_WILL_MESSAGE)
}

/// DISCONNECT with an error publishes the will: only code 0x00 removes it. [MQTT-3.1.2-8]
fn published_at_disconnect_with_an_error(ctx: &Ctx) -> Step {
    published_at_disconnect(ctx, ReasonCode::UNSPECIFIED_ERROR)
}

#[track_caller]
fn published_at_disconnect(ctx: &Ctx, reason: ReasonCode) -> Step {
    let topic = ctx.topic("will");
    let mut watcher = ctx.subscribed("w", &topic, QoS::ExactlyOnce)?;
    let mut client = with_will(ctx, "c", last_words(&topic))?;
    client.send(&Disconnect::new(reason));
    client.leave()?;
    watcher.expect("will|0|0|gone")
}

/// A will that was published is gone: the next connection of the client has none. [MQTT-3.1.2-10] [3.1.1:MQTT-3.1.2-10]
fn published_once(ctx: &Ctx) -> Step {
    let topic = ctx.topic("will");
    let mut watcher = ctx.subscribed("w", &topic, QoS::ExactlyOnce)?;
    let id = ctx.id("kept");
    let connect = Connect {
        will: Some(last_words(&topic)),
        ..ctx.keeping(&id)
    };
    ctx.connect_with("kept", &connect)?.0.cut();
    watcher.expect("will|0|0|gone")?;
    let (kept, _) = ctx.connect_keeping("kept")?;
    kept.cut();
    ctx.connect_keeping("kept")?.0.disconnect()?;
    watcher.silence()?;
    watcher.publish(&topic, "the next", QoS::AtMostOnce)?;
    watcher.expect("will|0|0|the next")
}

/// Without the will flag, no will is published. [3.1.1:MQTT-3.1.2-12]
fn none_without_the_flag(ctx: &Ctx) -> Step {
    let mut watcher = ctx.subscribed("w", &ctx.topic("#"), QoS::ExactlyOnce)?;
    ctx.connect("c")?.cut();
    let topic = ctx.topic("will");
    with_will(ctx, "d", last_words(&topic))?.cut();
    watcher.expect("will|0|0|gone")?;
    watcher.silence()
}

/// A will with Will Retain 0 is not retained. [MQTT-3.1.2-14] [3.1.1:MQTT-3.1.2-16]
fn not_retained(ctx: &Ctx) -> Step {
    let topic = ctx.topic("will");
    let mut watcher = ctx.subscribed("w", &topic, QoS::AtMostOnce)?;
    with_will(ctx, "c", last_words(&topic))?.cut();
    watcher.expect("will|0|0|gone")?;
    let mut late = ctx.subscribed("late", &topic, QoS::AtMostOnce)?;
    late.silence()
}

/// A will with Will Retain 1 is retained. [MQTT-3.1.2-15] [3.1.1:MQTT-3.1.2-17]
fn retained(ctx: &Ctx) -> Step {
    ctx.needs_retain()?;
    let topic = ctx.topic("will");
    let mut watcher = ctx.subscribed("w", &topic, QoS::AtMostOnce)?;
    let will = Will {
        retain: true,
        ..last_words(&topic)
    };
    with_will(ctx, "c", will)?.cut();
    watcher.expect("will|0|0|gone")?;
    let mut late = ctx.subscribed("late", &topic, QoS::AtMostOnce)?;
    late.expect("will|0|1|gone")
}

/// The properties of the will go with it, the user properties in their order. [MQTT-3.1.3-10] [MQTT-3.1.2-7]
fn properties_kept(ctx: &Ctx) -> Step {
    let topic = ctx.topic("will");
    let mut watcher = ctx.subscribed("w", &topic, QoS::AtMostOnce)?;
    let response = ctx.topic("answer");
    let sent = [
        Property::PayloadFormatIndicator(PayloadFormat::Utf8),
        Property::MessageExpiryInterval(1000),
        Property::ContentType("text/plain"),
        Property::ResponseTopic(&response),
        Property::CorrelationData(b"\x00\xff"),
        Property::UserProperty("b", "1"),
        Property::UserProperty("a", "2"),
        Property::UserProperty("b", "1"),
        Property::UserProperty("", ""),
    ];
    let will = Will {
        properties: Properties::List(&sent),
        ..last_words(&topic)
    };
    with_will(ctx, "c", will)?.cut();
    let frame = watcher.take()?;
    let got = frame.publish()?.properties;
    let user: Vec<_> = got.user_properties().collect();
    same(
        "user properties",
        user,
        [("b", "1"), ("a", "2"), ("b", "1"), ("", "")],
    )?;
    same(
        "payload format",
        got.payload_format_indicator(),
        Some(PayloadFormat::Utf8),
    )?;
    same("content type", got.content_type(), Some("text/plain"))?;
    same(
        "response topic",
        got.response_topic(),
        Some(response.as_str()),
    )?;
    same(
        "correlation data",
        got.correlation_data(),
        Some(b"\x00\xff".as_slice()),
    )?;
    let expiry = got.message_expiry_interval();
    check(
        expiry.is_some_and(|left| (900..=1000).contains(&left)),
        "message expiry of 1000 s or a little less",
        &expiry,
    )
}

/// A will topic with a wildcard is refused, and never used. [MQTT-3.1.4-1] [MQTT-4.7.0-1] [3.1.1:MQTT-4.7.1-1] [3.1.1:MQTT-3.1.4-1]
fn topic_with_wildcard(ctx: &Ctx) -> Step {
    for topic in ["a/+", "#"] {
        let mut payload = string(ctx.id("c"));
        payload.extend(properties(ctx.version, &[]));
        payload.extend(string(ctx.topic(topic)));
        payload.extend(string("gone"));
        let bytes = RawConnect {
            flags: 0x06,
            payload,
            ..RawConnect::new(ctx.version, &ctx.id("c"))
        }
        .bytes();
        ctx.refused(
            &bytes,
            &[
                ReasonCode::TOPIC_NAME_INVALID,
                ReasonCode::MALFORMED_PACKET,
                ReasonCode::PROTOCOL_ERROR,
            ],
        )?;
    }
    Ok(())
}

/// A client with a will that is delayed, and a session that lasts.
#[track_caller]
fn with_delayed_will(ctx: &Ctx, topic: &str, delay_s: u32, expiry_s: u32) -> Step<Client> {
    let id = ctx.id("kept");
    let delay = [Property::WillDelayInterval(delay_s)];
    let expiry = [Property::SessionExpiryInterval(expiry_s)];
    let connect = Connect {
        clean_start: false,
        will: Some(Will {
            properties: Properties::List(&delay),
            ..last_words(topic)
        }),
        properties: Properties::List(&expiry),
        ..ctx.clean(&id)
    };
    let (mut client, _) = ctx.connect_with("kept", &connect)?;
    // A broker may take a session for lost whose client has not shown that it got CONNACK.
    client.ping()?;
    Ok(client)
}

/// A delayed will is not published if the client is back within the delay. [MQTT-3.1.3-9]
fn delayed_not_after_return(ctx: &Ctx) -> Step {
    let topic = ctx.topic("will");
    let mut watcher = ctx.connect("w")?;
    watcher.subscribe(&[(&topic, at(QoS::AtMostOnce))])?;
    with_delayed_will(ctx, &topic, 60, 120)?.cut();
    let (mut kept, present) = ctx.connect_keeping("kept")?;
    same("session present", present, true)?;
    kept.publish(&topic, "back", QoS::AtLeastOnce)?;
    watcher.expect("will|0|0|back")?;
    // Nor when the client goes in peace, and its session ends.
    kept.disconnect()?;
    ctx.connect("kept")?.disconnect()?;
    watcher.silence()
}

/// A delayed will is published when the session ends before the delay: by a clean start. [MQTT-3.1.2-8]
fn delayed_until_the_session_ends(ctx: &Ctx) -> Step {
    let topic = ctx.topic("will");
    let mut watcher = ctx.subscribed("w", &topic, QoS::AtMostOnce)?;
    with_delayed_will(ctx, &topic, 60, 120)?.cut();
    watcher.silence()?;
    ctx.connect("kept")?.disconnect()?;
    watcher.expect("will|0|0|gone")
}

/// A will is published when its delay has passed, and when the session expires before that; not earlier. [MQTT-3.1.2-8]
fn delayed(ctx: &Ctx) -> Step {
    for (delay, expiry) in [(2, 100), (100, 2)] {
        let topic = ctx.topic("will");
        let mut watcher = ctx.subscribed("w", &topic, QoS::AtMostOnce)?;
        with_delayed_will(ctx, &topic, delay, expiry)?.cut();
        ctx.wait(Duration::from_millis(800));
        watcher.silence()?;
        watcher.wait_longer(Duration::from_secs(3));
        watcher.expect("will|0|0|gone")?;
        ctx.connect("kept")?.disconnect()?;
    }
    Ok(())
}

/// The will is published when the client has been silent for too long. [MQTT-3.1.2-8] [3.1.1:MQTT-3.1.2-8]
fn published_after_silence(ctx: &Ctx) -> Step {
    ctx.needs(
        ctx.announced.server_keep_alive.is_none(),
        "keep-alive that a client may choose",
    )?;
    let topic = ctx.topic("will");
    let mut watcher = ctx.subscribed("w", &topic, QoS::AtMostOnce)?;
    let id = ctx.id("c");
    let connect = Connect {
        keep_alive: 1,
        will: Some(last_words(&topic)),
        ..ctx.clean(&id)
    };
    let (_client, _) = ctx.connect_with("c", &connect)?;
    watcher.wait_longer(Duration::from_secs(5));
    watcher.expect("will|0|0|gone")
}
