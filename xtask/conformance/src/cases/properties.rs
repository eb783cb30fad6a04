//! 3.3.2 PUBLISH: properties that travel with a message as they are.

use mqtt_codec::{PayloadFormat, Properties, Property, Publish, QoS};

use crate::case::chapter;
use crate::cases::MALFORMED;
use crate::ctx::Ctx;
use crate::failure::{Step, check, same};
use crate::frame::{Frame, publish};

chapter!(
    properties,
    "3.3.2.3 PUBLISH Properties",
    [
        payload_format,
        response_topic,
        correlation_data,
        content_type,
        user_properties,
        user_properties_in_order,
        nothing_is_added,
        everything_waits_with_the_message,
        empty_response_topic,
    ]
);

/// Publishes a message with `properties` at each QoS, and lets `check` see each copy.
#[track_caller]
fn forwarded(ctx: &Ctx, properties: &[Property<'_>], check: impl Fn(&Frame) -> Step) -> Step {
    let topic = ctx.topic("a");
    let mut zero = ctx.subscribed("zero", &topic, QoS::AtMostOnce)?;
    let mut full = ctx.subscribed("full", &topic, ctx.announced.maximum_qos)?;
    let mut publisher = ctx.connect("p")?;
    let packet = Publish {
        properties: Properties::List(properties),
        ..publish(&topic, "text")
    };
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
        if qos > ctx.announced.maximum_qos {
            break;
        }
        publisher.publish_packet(&packet, qos)?;
        for subscriber in [&mut zero, &mut full] {
            let frame = subscriber.take()?;
            same("payload", frame.publish()?.payload, b"text".as_slice())?;
            check(&frame)?;
        }
    }
    Ok(())
}

/// The Payload Format Indicator reaches all subscribers as it was sent. [MQTT-3.3.2-4]
fn payload_format(ctx: &Ctx) -> Step {
    for format in [PayloadFormat::Utf8, PayloadFormat::Unspecified] {
        forwarded(ctx, &[Property::PayloadFormatIndicator(format)], |frame| {
            let got = frame.publish()?.properties.payload_format_indicator();
            // Absent means the same as 0.
            same("payload format", got.unwrap_or_default(), format)
        })?;
    }
    Ok(())
}

/// The Response Topic reaches all subscribers as it was sent. [MQTT-3.3.2-15]
fn response_topic(ctx: &Ctx) -> Step {
    let answers = ctx.topic("answers/é//");
    forwarded(ctx, &[Property::ResponseTopic(&answers)], |frame| {
        let got = frame.publish()?;
        same(
            "response topic",
            got.properties.response_topic(),
            Some(&*answers),
        )
    })
}

/// The Correlation Data reaches all subscribers as it was sent: any bytes, none at all, and many. [MQTT-3.3.2-16]
fn correlation_data(ctx: &Ctx) -> Step {
    let every_byte: Vec<u8> = (0..=u8::MAX).collect();
    let long = every_byte.repeat(40);
    for data in [&every_byte[..], &[], &[0], &long] {
        forwarded(ctx, &[Property::CorrelationData(data)], |frame| {
            let got = frame.publish()?;
            same(
                "correlation data",
                got.properties.correlation_data(),
                Some(data),
            )
        })?;
    }
    Ok(())
}

/// The Content Type reaches all subscribers as it was sent. [MQTT-3.3.2-20]
fn content_type(ctx: &Ctx) -> Step {
    for text in ["application/x-meßwert; v=1", ""] {
        forwarded(ctx, &[Property::ContentType(text)], |frame| {
            let got = frame.publish()?;
            same("content type", got.properties.content_type(), Some(text))
        })?;
    }
    Ok(())
}

/// User properties reach all subscribers as they were sent, also those with the same name, empty ones and long ones. [MQTT-3.3.2-17]
fn user_properties(ctx: &Ctx) -> Step {
    let long = "v".repeat(3000);
    let pairs = [
        ("unit", "°C"),
        ("unit", "°C"),
        ("", ""),
        ("long", long.as_str()),
        ("a b", " "),
    ];
    let mut properties = Vec::new();
    for (name, value) in pairs {
        properties.push(Property::UserProperty(name, value));
    }
    forwarded(ctx, &properties, |frame| {
        let mut got: Vec<_> = frame.publish()?.properties.user_properties().collect();
        let mut sent = pairs.to_vec();
        // The order is a statement of its own.
        got.sort_unstable();
        sent.sort_unstable();
        same("user properties", got, sent)
    })
}

/// User properties keep their order, also with the same name again and with other properties between them. [MQTT-3.3.2-18]
fn user_properties_in_order(ctx: &Ctx) -> Step {
    let properties = [
        Property::UserProperty("z", "1"),
        Property::ContentType("text/plain"),
        Property::UserProperty("a", "2"),
        Property::UserProperty("z", "0"),
        Property::CorrelationData(b"id"),
        Property::UserProperty("m", "3"),
        Property::UserProperty("a", "2"),
    ];
    forwarded(ctx, &properties, |frame| {
        let got: Vec<_> = frame.publish()?.properties.user_properties().collect();
        let sent = [("z", "1"), ("a", "2"), ("z", "0"), ("m", "3"), ("a", "2")];
        same("user properties", got, sent)
    })
}

/// What a message did not have, its subscribers do not get: nothing is left over from another one.
/// [MQTT-3.3.2-4] [MQTT-3.3.2-15] [MQTT-3.3.2-16] [MQTT-3.3.2-17] [MQTT-3.3.2-20]
fn nothing_is_added(ctx: &Ctx) -> Step {
    let answers = ctx.topic("answers");
    let all = [
        Property::PayloadFormatIndicator(PayloadFormat::Utf8),
        Property::MessageExpiryInterval(1000),
        Property::ContentType("text/plain"),
        Property::ResponseTopic(&answers),
        Property::CorrelationData(b"id"),
        Property::UserProperty("a", "b"),
    ];
    forwarded(ctx, &all, |frame| {
        same("properties", frame.publish()?.properties.iter().count(), 6)
    })?;
    forwarded(ctx, &[], |frame| {
        let got: Vec<_> = frame.publish()?.properties.iter().collect();
        same(
            "properties of a message without",
            got.as_slice(),
            &[] as &[Property<'_>],
        )
    })
}

/// All properties are still there after a message has waited for its subscriber, and once more when it is sent again.
/// [MQTT-3.3.2-4] [MQTT-3.3.2-15] [MQTT-3.3.2-16] [MQTT-3.3.2-17] [MQTT-3.3.2-18] [MQTT-3.3.2-20]
fn everything_waits_with_the_message(ctx: &Ctx) -> Step {
    let (topic, answers) = (ctx.topic("a"), ctx.topic("answers"));
    let sent = [
        Property::PayloadFormatIndicator(PayloadFormat::Utf8),
        Property::ContentType("text/plain"),
        Property::ResponseTopic(&answers),
        Property::CorrelationData(b"id"),
        Property::UserProperty("b", "1"),
        Property::UserProperty("a", "2"),
    ];
    let (mut subscriber, _) = ctx.connect_keeping("s")?;
    subscriber.subscribe_at(&topic, QoS::AtLeastOnce)?;
    subscriber.disconnect()?;
    let packet = Publish {
        properties: Properties::List(&sent),
        ..publish(&topic, "x")
    };
    let mut publisher = ctx.connect("p")?;
    publisher.publish_packet(&packet, QoS::AtLeastOnce)?;
    for dup in [false, true] {
        let (mut subscriber, _) = ctx.connect_keeping("s")?;
        let frame = subscriber.receive()?;
        let got = frame.publish()?;
        same("DUP", got.dup, dup)?;
        for property in &sent {
            let there = got.properties.iter().any(|got| got == *property);
            check(there, &format!("{property:?}"), &frame)?;
        }
        let pairs: Vec<_> = got.properties.user_properties().collect();
        same("user properties", pairs, [("b", "1"), ("a", "2")])?;
        // Not acknowledged, it comes again.
        subscriber.cut();
    }
    Ok(())
}

/// A Response Topic is a topic name, and has at least one character. [MQTT-4.7.3-1]
fn empty_response_topic(ctx: &Ctx) -> Step {
    let topic = ctx.topic("a");
    let mut subscriber = ctx.subscribed("s", &topic, QoS::AtMostOnce)?;
    let properties = [Property::ContentType("")];
    let mut bytes = ctx.bytes(&Publish {
        properties: Properties::List(&properties),
        ..publish(&topic, "x")
    });
    // Content Type becomes Response Topic.
    let identifier = bytes.len() - 4;
    bytes[identifier] = 0x08;
    ctx.broken(&bytes, MALFORMED)?;
    subscriber.silence()
}
