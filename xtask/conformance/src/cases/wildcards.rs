//! 4.7.1 Topic wildcards and 4.7.2 topics that begin with `$`.

use mqtt_codec::{Filters, FromServer, PacketId, Properties, QoS, Subscribe, SubscribeFilter};

use crate::case::chapter;
use crate::cases::topics::matching;
use crate::ctx::Ctx;
use crate::failure::{Step, check, failed};
use crate::frame::{at, retained};

chapter!(
    wildcards,
    "4.7.1 Topic wildcards",
    [
        multi_level_wildcard,
        single_level_wildcard,
        both_wildcards,
        multi_level_wildcard_in_the_wrong_place,
        single_level_wildcard_beside_a_character,
        empty_filter,
        dollar_and_single_level_wildcard,
        dollar_and_multi_level_wildcard,
        dollar_inside,
    ]
);

/// `#` as last level stands for its parent and any number of levels below. [MQTT-4.7.1-1] [3.1.1:MQTT-4.7.1-2]
fn multi_level_wildcard(ctx: &Ctx) -> Step {
    ctx.needs(ctx.announced.wildcards, "wildcards")?;
    let names = [
        ("sport/tennis/player1", true),
        ("sport/tennis/player1/ranking", true),
        ("sport/tennis/player1/score/wimbledon", true),
        ("sport/tennis/player1/", true),
        ("sport/tennis/player1//", true),
        ("sport/tennis/player10", false),
        ("sport/tennis/player", false),
        ("sport/tennis", false),
        ("sport/tennis/player2/player1", false),
    ];
    matching(ctx, "sport/tennis/player1/#", &names)?;
    let names = [
        ("sport", true),
        ("sport/a/b/c", true),
        ("sports", false),
        ("Sport/a", false),
    ];
    matching(ctx, "sport/#", &names)
}

/// `+` stands for exactly one level, which may be empty. [MQTT-4.7.1-2] [3.1.1:MQTT-4.7.1-3]
fn single_level_wildcard(ctx: &Ctx) -> Step {
    ctx.needs(ctx.announced.wildcards, "wildcards")?;
    let names = [
        ("sport/tennis/player1", true),
        ("sport/tennis/player2", true),
        ("sport/tennis/", true),
        ("sport/tennis", false),
        ("sport/tennis/player1/ranking", false),
        ("sport/golf/player1", false),
    ];
    matching(ctx, "sport/tennis/+", &names)?;
    let names = [
        ("sport/a/player1", true),
        ("sport//player1", true),
        ("sport/player1", false),
        ("sport/a/b/player1", false),
        ("sport/a/player", false),
    ];
    matching(ctx, "sport/+/player1", &names)?;
    let names = [("a", true), ("", true), ("a/b", false), ("/", false)];
    matching(ctx, "+", &names)
}

/// The two wildcards may stand in one filter. [MQTT-4.7.1-1] [MQTT-4.7.1-2] [3.1.1:MQTT-4.7.1-2] [3.1.1:MQTT-4.7.1-3]
fn both_wildcards(ctx: &Ctx) -> Step {
    ctx.needs(ctx.announced.wildcards, "wildcards")?;
    let names = [
        ("a/tennis", true),
        ("/tennis", true),
        ("a/tennis/b/c", true),
        ("tennis", false),
        ("a/b/tennis", false),
        ("a/golf/tennis", false),
    ];
    matching(ctx, "+/tennis/#", &names)?;
    let names = [
        ("a/b", true),
        ("/", true),
        ("a/", true),
        ("a/b/c", true),
        ("a", false),
    ];
    matching(ctx, "+/+/#", &names)?;
    let names = [
        ("a/b/c", true),
        ("a//c", true),
        ("a/c", false),
        ("a/b/d", false),
        ("b/b/c", false),
    ];
    matching(ctx, "a/+/c", &names)
}

/// Sends a SUBSCRIBE with `filter`, good or bad: the connection must end, or SUBACK must tell an error; in any case there is no
/// subscription after it that matches `name`.
#[track_caller]
fn refused(ctx: &Ctx, filter: &str, name: &str) -> Step {
    let mut client = ctx.connect("bad")?;
    // A filter that is in order is accepted.
    client.subscribe_at(&ctx.topic("good"), QoS::AtMostOnce)?;
    client.ping()?;
    let id = PacketId::MAX;
    client.send(&Subscribe {
        packet_id: id,
        properties: Properties::EMPTY,
        filters: Filters::List(&[SubscribeFilter {
            filter,
            options: at(QoS::AtMostOnce),
        }]),
    });
    let Some(frame) = client.receive_or_end()? else {
        return Ok(());
    };
    match frame.packet() {
        FromServer::SubAck(answer) => {
            let codes: Vec<_> = answer.codes.iter().collect();
            check(
                codes.len() == 1 && codes[0].is_error(),
                &format!("one error for the filter `{filter}`"),
                &frame,
            )?;
            let mut publisher = ctx.connect("p")?;
            publisher.publish(name, "x", QoS::AtLeastOnce)?;
            client.silence()
        }
        FromServer::Disconnect(disconnect) if disconnect.reason.is_error() => client.end(),
        _ => failed("SUBACK with an error, or the end", format!("{frame:?}")),
    }
}

/// A filter with `#` elsewhere than alone in its last level is refused. [MQTT-4.7.1-1] [3.1.1:MQTT-4.7.1-2]
fn multi_level_wildcard_in_the_wrong_place(ctx: &Ctx) -> Step {
    for (filter, name) in [
        ("sport/tennis#", "sport/tennis"),
        ("sport/#/ranking", "sport/a/ranking"),
        ("sport/#x", "sport/x"),
        ("#/a", "b/a"),
        ("##", "a"),
        ("sport/##", "sport/a"),
        ("#/", "a/"),
        ("sport/+#", "sport/a"),
        ("sport/#+", "sport/a"),
    ] {
        refused(ctx, &ctx.topic(filter), &ctx.topic(name))?;
    }
    Ok(())
}

/// A filter with `+` beside another character of its level is refused. [MQTT-4.7.1-2] [3.1.1:MQTT-4.7.1-3]
fn single_level_wildcard_beside_a_character(ctx: &Ctx) -> Step {
    for (filter, name) in [
        ("sport+", "sporta"),
        ("sport/te+", "sport/tennis"),
        ("+sport", "asport"),
        ("sport/+x/a", "sport/yx/a"),
        ("++", "a"),
        ("sport/++/b", "sport/a/b"),
    ] {
        refused(ctx, &ctx.topic(filter), &ctx.topic(name))?;
    }
    Ok(())
}

/// An empty filter is refused. [MQTT-4.7.3-1] [3.1.1:MQTT-4.7.3-1]
fn empty_filter(ctx: &Ctx) -> Step {
    refused(ctx, "", &ctx.topic("a"))
}

/// `+` as first level does not match a topic that begins with `$`. [MQTT-4.7.2-1] [3.1.1:MQTT-4.7.2-1]
fn dollar_and_single_level_wildcard(ctx: &Ctx) -> Step {
    ctx.needs(ctx.announced.wildcards, "wildcards")?;
    let unique = ctx.id("");
    let filters = [
        format!("+/{unique}/a"),
        format!("+/{unique}/#"),
        format!("+/+/{unique}"),
    ];
    let mut client = ctx.connect("c")?;
    for filter in &filters {
        client.subscribe_at(filter, QoS::AtMostOnce)?;
    }
    for name in [
        format!("$any/{unique}/a"),
        format!("$/{unique}/a"),
        format!("$SYS/b/{unique}"),
    ] {
        // A broker may refuse to take such a topic from a client, by closing for instance.
        let mut publisher = ctx.connect("p")?;
        publisher.publish(&name, "x", QoS::AtMostOnce)?;
        publisher.ping().ok();
        drop(publisher);
        client.silence()?;
    }
    let mut publisher = ctx.connect("p")?;
    for name in [format!("any/{unique}/b"), format!("a$/b/{unique}")] {
        publisher.publish(&name, "x", QoS::AtMostOnce)?;
        client.expect(&format!("{name}|0|0|x"))?;
    }
    Ok(())
}

/// `#` does not match a topic that begins with `$`, retained or not. [MQTT-4.7.2-1] [3.1.1:MQTT-4.7.2-1]
fn dollar_and_multi_level_wildcard(ctx: &Ctx) -> Step {
    ctx.needs(ctx.announced.wildcards, "wildcards")?;
    let unique = ctx.id("");
    let topic = format!("$any/{unique}/a");
    let mut publisher = ctx.connect("p")?;
    if ctx.announced.retain_available {
        publisher.publish_packet(&retained(&topic, "x"), QoS::AtMostOnce)?;
        publisher.ping().ok();
    }
    let mut client = ctx.subscribed("c", "#", QoS::AtMostOnce)?;
    let mut publisher = ctx.connect("p")?;
    publisher.publish(&topic, "y", QoS::AtMostOnce)?;
    publisher.ping().ok();
    let mut publisher = ctx.connect("p")?;
    let end = ctx.topic("end");
    publisher.publish(&end, "end", QoS::AtLeastOnce)?;
    // Everything that other cases publish comes too.
    loop {
        let frame = client.take()?;
        let got = frame.publish()?.topic;
        check(
            !got.starts_with('$'),
            "no topic that begins with `$`",
            &frame,
        )?;
        if got == end {
            return Ok(());
        }
    }
}

/// A `$` that is not the first character of a topic is like any other. [MQTT-4.7.2-1] [3.1.1:MQTT-4.7.2-1]
fn dollar_inside(ctx: &Ctx) -> Step {
    ctx.needs(ctx.announced.wildcards, "wildcards")?;
    let names = [
        ("$a/b", true),
        ("a$/$", true),
        ("$/$b", true),
        ("$a", false),
    ];
    matching(ctx, "+/+", &names)
}
