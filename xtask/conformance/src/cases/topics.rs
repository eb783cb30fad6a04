//! 4.7 Topic Names and Topic Filters.

use mqtt_codec::{FromServer, PacketId, QoS};

use crate::case::chapter;
use crate::ctx::Ctx;
use crate::failure::{Step, check, failed, same};
use crate::frame::{publish, retained};

chapter!(
    topics,
    "4.7 Topic Names and Topic Filters",
    [
        no_wildcards,
        letters_and_cases,
        nothing_is_normalised,
        slashes,
        spaces_and_many_levels,
        longest_names,
        names_of_retained_messages,
    ]
);

/// Subscribes to `filter` and publishes under each name; only those that are to match may arrive.
#[track_caller]
pub(super) fn matching(ctx: &Ctx, filter: &str, names: &[(&str, bool)]) -> Step {
    let mut client = ctx.subscribed("c", &ctx.topic(filter), QoS::AtMostOnce)?;
    client.subscribe_at(&ctx.topic("$end"), QoS::AtMostOnce)?;
    let mut publisher = ctx.connect("p")?;
    let mut expected = Vec::new();
    for &(name, matches) in names {
        publisher.publish(&ctx.topic(name), "x", QoS::AtMostOnce)?;
        if matches {
            expected.push(format!("{name}|0|0|x"));
        }
    }
    publisher.publish(&ctx.topic("$end"), "x", QoS::AtMostOnce)?;
    let mut got = Vec::new();
    loop {
        let text = client.take_text()?;
        if text.starts_with("$end") {
            break;
        }
        got.push(text);
    }
    // Of several topics the order is free.
    got.sort();
    expected.sort();
    same(&format!("what `{filter}` matches"), got, expected)
}

/// A filter without wildcards matches the topic that is the same, and no other. [MQTT-3.3.2-3] [3.1.1:MQTT-3.3.2-3]
fn no_wildcards(ctx: &Ctx) -> Step {
    let names = [
        ("a/b", true),
        ("a", false),
        ("a/b/c", false),
        ("a/bb", false),
        ("b/a", false),
        ("a/B", false),
    ];
    matching(ctx, "a/b", &names)
}

/// Letters match themselves only: case counts, and so do accents. [MQTT-3.3.2-3] [3.1.1:MQTT-3.3.2-3]
fn letters_and_cases(ctx: &Ctx) -> Step {
    let names = [
        ("Accounts", false),
        ("ACCOUNTS", true),
        ("accounts", false),
        ("ACCOUNTS ", false),
        ("ÁCCOUNTS", false),
    ];
    matching(ctx, "ACCOUNTS", &names)?;
    let names = [
        ("Straße", true),
        ("Strasse", false),
        ("STRASSE", false),
        ("straße", false),
    ];
    matching(ctx, "Straße", &names)
}

/// Characters that look alike and are encoded in other ways are others, in names and filters. [MQTT-4.7.3-4] [3.1.1:MQTT-4.7.3-4]
fn nothing_is_normalised(ctx: &Ctx) -> Step {
    let names = [("caf\u{e9}", true), ("cafe\u{301}", false), ("cafe", false)];
    matching(ctx, "caf\u{e9}", &names)?;
    let names = [("caf\u{e9}", false), ("cafe\u{301}", true)];
    matching(ctx, "cafe\u{301}", &names)?;
    let names = [("\u{212b}", true), ("\u{c5}", false), ("A\u{30a}", false)];
    matching(ctx, "\u{212b}", &names)?;
    let names = [("\u{fb01}n", false), ("fin", true), ("\u{ff46}in", false)];
    matching(ctx, "fin", &names)
}

/// A slash at the beginning, at the end or beside another one makes an empty level, which counts.
/// [MQTT-3.3.2-3] [MQTT-4.7.1-2] [3.1.1:MQTT-3.3.2-3] [3.1.1:MQTT-4.7.1-3]
fn slashes(ctx: &Ctx) -> Step {
    let names = [
        ("/finance", true),
        ("finance", false),
        ("//finance", false),
        ("/finance/", false),
    ];
    matching(ctx, "/finance", &names)?;
    matching(
        ctx,
        "finance/",
        &[("finance/", true), ("finance", false), ("finance//", false)],
    )?;
    matching(
        ctx,
        "a//b",
        &[
            ("a//b", true),
            ("a/b", false),
            ("a/x/b", false),
            ("a///b", false),
        ],
    )?;
    ctx.needs(ctx.announced.wildcards, "wildcards")?;
    matching(
        ctx,
        "/+",
        &[
            ("/finance", true),
            ("/", true),
            ("finance", false),
            ("a/b", false),
        ],
    )?;
    // Outside the prefix of the case, the first character of the whole topic.
    let unique = ctx.id("");
    let mut client = ctx.subscribed("c", &format!("/{unique}"), QoS::AtMostOnce)?;
    client.subscribe_at(&format!("+/{unique}"), QoS::AtMostOnce)?;
    client.subscribe_at(&format!("{unique}/+"), QoS::AtMostOnce)?;
    client.publish(&unique, "x", QoS::AtMostOnce)?;
    client.publish(&format!("{unique}/"), "x", QoS::AtMostOnce)?;
    client.expect(&format!("{unique}/|0|0|x"))?;
    client.unsubscribe(&[&format!("+/{unique}")])?;
    client.publish(&format!("/{unique}"), "x", QoS::AtMostOnce)?;
    client.expect(&format!("/{unique}|0|0|x"))?;
    client.silence()
}

/// Spaces are characters, and a topic may have many levels. [MQTT-3.3.2-3] [3.1.1:MQTT-3.3.2-3]
fn spaces_and_many_levels(ctx: &Ctx) -> Step {
    let names = [
        ("Accounts payable", true),
        ("Accountspayable", false),
        ("Accounts  payable", false),
    ];
    matching(ctx, "Accounts payable", &names)?;
    matching(ctx, " ", &[(" ", true), ("", false), ("  ", false)])?;
    let deep = vec!["l"; 60].join("/");
    let deeper = format!("{deep}/l");
    matching(ctx, &deep, &[(&deep, true), (&deeper, false)])?;
    ctx.needs(ctx.announced.wildcards, "wildcards")?;
    let plus = vec!["+"; 60].join("/");
    matching(ctx, &plus, &[(&deep, true), (&deeper, false)])
}

/// A topic name of up to 65,535 bytes arrives whole, unless the broker refuses it, by closing or with an error.
/// [MQTT-4.7.3-3] [3.1.1:MQTT-4.7.3-3]
fn longest_names(ctx: &Ctx) -> Step {
    ctx.needs(ctx.announced.wildcards, "wildcards")?;
    ctx.needs(
        ctx.announced.maximum_packet_size > 70_000,
        "packets of 70,000 bytes",
    )?;
    let mut client = ctx.subscribed("c", &ctx.topic("long/+"), QoS::AtMostOnce)?;
    for length in [1000, 32_768, 65_534, 65_535] {
        let mut topic = ctx.topic("long/");
        topic += &"x".repeat(length - topic.len());
        let mut publisher = ctx.connect("p")?;
        publisher.send(&mqtt_codec::Publish {
            delivery: mqtt_codec::Delivery::AtLeastOnce(PacketId::MIN),
            ..publish(&topic, "x")
        });
        let taken = match publisher.receive_or_end()? {
            None => false,
            Some(frame) => match frame.packet() {
                FromServer::PubAck(ack) => !ack.reason.is_error(),
                FromServer::Disconnect(_) => false,
                _ => return failed("PUBACK, or the end", format!("{frame:?}")),
            },
        };
        // A length that nothing speaks against.
        check(taken || length > 1000, "PUBACK", &length)?;
        if taken {
            let frame = client.take()?;
            let got = frame.publish()?.topic;
            check(
                got == topic,
                &format!("the topic of {length} bytes"),
                &got.len(),
            )?;
        }
    }
    client.silence()
}

/// Retained messages are kept under their exact names. [MQTT-4.7.3-4] [MQTT-3.3.2-3] [3.1.1:MQTT-4.7.3-4] [3.1.1:MQTT-3.3.2-3]
fn names_of_retained_messages(ctx: &Ctx) -> Step {
    ctx.needs_retain()?;
    let names = [
        "a",
        "A",
        "a/",
        "/a",
        "a//",
        "caf\u{e9}",
        "cafe\u{301}",
        " a",
        "a ",
    ];
    let mut publisher = ctx.connect("p")?;
    for name in names {
        publisher.publish_packet(&retained(&ctx.topic(name), name), QoS::AtLeastOnce)?;
    }
    for name in names {
        let mut client = ctx.subscribed("c", &ctx.topic(name), QoS::AtLeastOnce)?;
        client.expect(&format!("{name}|1|1|{name}"))?;
        client.silence()?;
    }
    Ok(())
}
