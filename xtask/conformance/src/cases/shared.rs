//! 4.8 Subscriptions: shared subscriptions.

use mqtt_codec::{
    Filters, FromServer, PacketId, Properties, Property, QoS, ReasonCode, Subscribe,
    SubscribeFilter, SubscriptionId, SubscriptionOptions,
};

use crate::case::chapter;
use crate::client::Client;
use crate::ctx::Ctx;
use crate::failure::{Step, check, failed, same};
use crate::frame::at;

chapter!(
    shared,
    "4.8 Subscriptions",
    [
        each_message_to_one_member,
        granted_qos_of_the_member,
        of_a_filter_with_wildcards,
        each_group_gets_its_copy,
        same_name_with_another_filter,
        beside_a_subscription_of_its_own,
        with_its_identifier,
        replaced,
        unsubscribed,
        left_with_the_session,
        share_name_in_error,
        without_a_filter,
        no_local_is_refused,
        not_for_dollar_topics,
    ]
);

/// The shared subscription `$share/g/…` of this case to a topic or filter below its prefix.
pub(super) fn group(ctx: &Ctx, name: &str, filter: &str) -> String {
    format!("$share/{}/{}", ctx.id(name), ctx.topic(filter))
}

/// A client with a clean start and this shared subscription.
#[track_caller]
pub(super) fn member(ctx: &Ctx, name: &str, filter: &str, qos: QoS) -> Step<Client> {
    ctx.needs(ctx.announced.shared, "shared subscriptions")?;
    ctx.subscribed(name, filter, qos)
}

/// Nobody knows which member to wait for: each is asked in turn, often enough for a broker that is slow.
const ROUNDS: usize = 300;

/// What each of the members gets, as texts: until there are `count` messages in all, and what is there by then.
#[track_caller]
fn gather(members: &mut [Client], count: usize) -> Step<Vec<Vec<String>>> {
    let mut all = vec![Vec::new(); members.len()];
    for _ in 0..ROUNDS {
        let enough = all.iter().map(Vec::len).sum::<usize>() >= count;
        for (member, got) in members.iter_mut().zip(&mut all) {
            member.ping()?;
            while let Some(frame) = member.waiting() {
                got.push(member.text(&frame)?);
            }
        }
        if enough {
            break;
        }
    }
    Ok(all)
}

/// Publishes the numbers up to `count` with QoS 1 under the topic `a`, and gives what each of the members got of it, `copies` in all.
#[track_caller]
fn shares(ctx: &Ctx, members: &mut [Client], count: u32, copies: usize) -> Step<Vec<Vec<String>>> {
    let mut publisher = ctx.connect("p")?;
    for number in 0..count {
        publisher.publish(&ctx.topic("a"), &number.to_string(), QoS::AtLeastOnce)?;
    }
    gather(members, copies)
}

/// Each message goes to one member of the group, with none lost. [MQTT-4.8.2-3] [MQTT-4.5.0-1]
fn each_message_to_one_member(ctx: &Ctx) -> Step {
    const COUNT: u32 = 30;
    let filter = group(ctx, "g", "a");
    let mut members = Vec::new();
    for name in ["m1", "m2", "m3"] {
        members.push(member(ctx, name, &filter, QoS::AtMostOnce)?);
    }
    let mut all = shares(ctx, &mut members, COUNT, COUNT as usize)?.concat();
    let mut expected: Vec<_> = (0..COUNT).map(|number| format!("a|0|0|{number}")).collect();
    all.sort();
    expected.sort();
    same("what all members got", all, expected)
}

/// A member gets its messages with the QoS that was granted to it, whatever the others have. [MQTT-4.8.2-3]
fn granted_qos_of_the_member(ctx: &Ctx) -> Step {
    ctx.needs_qos(QoS::ExactlyOnce)?;
    let filter = group(ctx, "g", "a");
    let all = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];
    let mut members = Vec::new();
    for (name, qos) in ["m0", "m1", "m2"].into_iter().zip(all) {
        members.push(member(ctx, name, &filter, qos)?);
    }
    let mut publisher = ctx.connect("p")?;
    for published in all {
        let mut count = 0;
        for _ in 0..12 {
            publisher.publish(&ctx.topic("a"), "x", published)?;
        }
        for (got, granted) in gather(&mut members, 12)?.into_iter().zip(all) {
            for text in got {
                let qos = granted.min(published) as u8;
                same("message", text, format!("a|{qos}|0|x"))?;
                count += 1;
            }
        }
        same("copies", count, 12)?;
    }
    Ok(())
}

/// The filter of a shared subscription may have wildcards. [MQTT-4.5.0-1] [MQTT-4.7.1-1] [MQTT-4.7.1-2]
fn of_a_filter_with_wildcards(ctx: &Ctx) -> Step {
    ctx.needs(ctx.announced.wildcards, "wildcards")?;
    let mut members = vec![
        member(ctx, "m1", &group(ctx, "g", "a/+"), QoS::AtMostOnce)?,
        member(ctx, "m2", &group(ctx, "h", "a/#"), QoS::AtMostOnce)?,
    ];
    let mut publisher = ctx.connect("p")?;
    for name in ["a/b", "a/b/c", "a", "b"] {
        publisher.publish(&ctx.topic(name), "x", QoS::AtLeastOnce)?;
    }
    let mut got = gather(&mut members, 4)?;
    got[1].sort();
    same("a/+", &got[0], &["a/b|0|0|x".to_owned()])?;
    same(
        "a/#",
        &got[1],
        &["a/b/c|0|0|x", "a/b|0|0|x", "a|0|0|x"].map(str::to_owned),
    )
}

/// Each group gets a copy of each message, and so does each subscription that is not shared. [MQTT-4.5.0-1]
fn each_group_gets_its_copy(ctx: &Ctx) -> Step {
    let mut members = vec![
        member(ctx, "g1", &group(ctx, "g", "a"), QoS::AtMostOnce)?,
        member(ctx, "g2", &group(ctx, "g", "a"), QoS::AtMostOnce)?,
        member(ctx, "h", &group(ctx, "h", "a"), QoS::AtMostOnce)?,
        member(ctx, "own", &ctx.topic("a"), QoS::AtMostOnce)?,
    ];
    let got = shares(ctx, &mut members, 10, 30)?;
    same("copies of group g", got[0].len() + got[1].len(), 10)?;
    same("copies of group h", got[2].len(), 10)?;
    same("copies of a subscription of its own", got[3].len(), 10)
}

/// Share name and filter together make the group: the same name with another filter is another one. [MQTT-4.5.0-1]
fn same_name_with_another_filter(ctx: &Ctx) -> Step {
    ctx.needs(ctx.announced.wildcards, "wildcards")?;
    let mut members = vec![
        member(ctx, "m1", &group(ctx, "g", "a"), QoS::AtMostOnce)?,
        member(ctx, "m2", &group(ctx, "g", "+"), QoS::AtMostOnce)?,
    ];
    let got = shares(ctx, &mut members, 10, 20)?;
    same("copies for a", got[0].len(), 10)?;
    same("copies for +", got[1].len(), 10)
}

/// A client with a shared subscription and one of its own to the same topic gets messages of both. [MQTT-4.5.0-1] [MQTT-3.3.4-2]
fn beside_a_subscription_of_its_own(ctx: &Ctx) -> Step {
    let mut client = member(ctx, "m1", &group(ctx, "g", "a"), QoS::AtMostOnce)?;
    client.subscribe_at(&ctx.topic("a"), QoS::AtMostOnce)?;
    let mut members = vec![
        client,
        member(ctx, "m2", &group(ctx, "g", "a"), QoS::AtMostOnce)?,
    ];
    let got = shares(ctx, &mut members, 10, 20)?;
    // The client's own ten, and the group's ten wherever they went.
    same("copies", got[0].len() + got[1].len(), 20)?;
    check(
        got[0].len() >= 10,
        "10 messages for the subscription of its own",
        &got,
    )
}

/// The subscription identifier of a member comes with what it gets. [MQTT-3.3.4-3]
fn with_its_identifier(ctx: &Ctx) -> Step {
    ctx.needs(ctx.announced.shared, "shared subscriptions")?;
    ctx.needs(ctx.announced.subscription_ids, "subscription identifiers")?;
    let filter = group(ctx, "g", "a");
    let mut members = Vec::new();
    for number in [1, 2] {
        let mut client = ctx.connect(&format!("m{number}"))?;
        let id = SubscriptionId::new(number).unwrap_or(SubscriptionId::MIN);
        client.subscribe_with(
            &[(&filter, at(QoS::AtMostOnce))],
            &[Property::SubscriptionIdentifier(id)],
        )?;
        members.push((client, number));
    }
    let mut publisher = ctx.connect("p")?;
    for _ in 0..10 {
        publisher.publish(&ctx.topic("a"), "x", QoS::AtLeastOnce)?;
    }
    let mut copies = 0;
    for _ in 0..ROUNDS {
        for (client, number) in &mut members {
            client.ping()?;
            while let Some(frame) = client.waiting() {
                let ids = frame.publish()?.properties;
                let ids: Vec<_> = ids
                    .subscription_identifiers()
                    .map(SubscriptionId::get)
                    .collect();
                same("identifiers", ids, [*number])?;
                copies += 1;
            }
        }
        if copies >= 10 {
            break;
        }
    }
    same("copies", copies, 10)
}

/// A member that subscribes again is still one member, with its new QoS. [MQTT-3.8.4-3] [MQTT-4.8.2-3]
fn replaced(ctx: &Ctx) -> Step {
    let filter = group(ctx, "g", "a");
    let mut client = member(ctx, "m", &filter, QoS::AtLeastOnce)?;
    let mut publisher = ctx.connect("p")?;
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::AtMostOnce] {
        client.subscribe_at(&filter, qos)?;
        publisher.publish(&ctx.topic("a"), "x", QoS::AtLeastOnce)?;
        client.expect(&format!("a|{}|0|x", qos as u8))?;
        client.silence()?;
    }
    Ok(())
}

/// UNSUBSCRIBE takes a member out of its group; the others get everything. Only the whole filter names it.
/// [MQTT-3.10.4-1] [MQTT-3.10.4-2]
fn unsubscribed(ctx: &Ctx) -> Step {
    let filter = group(ctx, "g", "a");
    let mut members = vec![
        member(ctx, "m1", &filter, QoS::AtMostOnce)?,
        member(ctx, "m2", &filter, QoS::AtMostOnce)?,
    ];
    let codes = members[0].unsubscribe(&[&ctx.topic("a"), &group(ctx, "h", "a")])?;
    same("codes", codes, [ReasonCode::NO_SUBSCRIPTION_EXISTED; 2])?;
    same(
        "copies",
        shares(ctx, &mut members, 10, 10)?.concat().len(),
        10,
    )?;
    let codes = members[0].unsubscribe(&[&filter])?;
    same("codes", codes, [ReasonCode::SUCCESS])?;
    let got = shares(ctx, &mut members, 10, 10)?;
    same("copies for who has left", got[0].len(), 0)?;
    same("copies for who is there", got[1].len(), 10)
}

/// A member whose session has ended gets nothing any more; the others get everything. [MQTT-4.5.0-1]
fn left_with_the_session(ctx: &Ctx) -> Step {
    let filter = group(ctx, "g", "a");
    let first = member(ctx, "m1", &filter, QoS::AtLeastOnce)?;
    let second = member(ctx, "m2", &filter, QoS::AtLeastOnce)?;
    first.disconnect()?;
    let mut members = vec![second];
    same(
        "copies",
        shares(ctx, &mut members, 10, 10)?.concat().len(),
        10,
    )
}

/// Sends a SUBSCRIBE that must be refused: by an error in SUBACK, or by closing.
#[track_caller]
fn refused(ctx: &Ctx, filter: &str, options: SubscriptionOptions) -> Step<FromWhere> {
    ctx.needs(ctx.announced.shared, "shared subscriptions")?;
    let mut client = ctx.connect("bad")?;
    client.subscribe_at(&group(ctx, "good", "a"), QoS::AtMostOnce)?;
    client.ping()?;
    client.send(&Subscribe {
        packet_id: PacketId::MAX,
        properties: Properties::EMPTY,
        filters: Filters::List(&[SubscribeFilter { filter, options }]),
    });
    let Some(frame) = client.receive_or_end()? else {
        return Ok(FromWhere::Closed(None));
    };
    match frame.packet() {
        FromServer::SubAck(answer) => {
            let codes: Vec<_> = answer.codes.iter().collect();
            let refused = codes.len() == 1 && codes[0].is_error();
            check(refused, &format!("one error for `{filter}`"), &frame)?;
            Ok(FromWhere::SubAck)
        }
        FromServer::Disconnect(disconnect) if disconnect.reason.is_error() => {
            client.end()?;
            Ok(FromWhere::Closed(Some(disconnect.reason)))
        }
        _ => failed("SUBACK with an error, or the end", format!("{frame:?}")),
    }
}

/// How a SUBSCRIBE was refused.
#[derive(Debug, PartialEq, Eq)]
enum FromWhere {
    SubAck,
    Closed(Option<ReasonCode>),
}

/// A share name is not empty, and has no wildcard in it. [MQTT-4.8.2-1] [MQTT-4.8.2-2]
fn share_name_in_error(ctx: &Ctx) -> Step {
    let topic = ctx.topic("a");
    for name in ["", "+", "#", "g+", "#g", "g#h"] {
        refused(ctx, &format!("$share/{name}/{topic}"), at(QoS::AtMostOnce))?;
    }
    Ok(())
}

/// Behind the share name stands a slash and a topic filter, which follows its own rules. [MQTT-4.8.2-2] [MQTT-4.7.1-1] [MQTT-4.7.3-1]
fn without_a_filter(ctx: &Ctx) -> Step {
    let id = ctx.id("g");
    for filter in [
        format!("$share/{id}"),
        format!("$share/{id}/"),
        format!("$share/{id}/a#"),
        format!("$share/{id}/#/a"),
        format!("$share/{id}/a+/b"),
    ] {
        refused(ctx, &filter, at(QoS::AtMostOnce))?;
    }
    Ok(())
}

/// No Local on a shared subscription is a protocol error, which closes the connection. [MQTT-3.8.3-4] [MQTT-4.13.1-1]
fn no_local_is_refused(ctx: &Ctx) -> Step {
    let options = SubscriptionOptions {
        no_local: true,
        ..at(QoS::AtMostOnce)
    };
    let how = refused(ctx, &group(ctx, "g", "a"), options)?;
    let codes = [
        None,
        Some(ReasonCode::PROTOCOL_ERROR),
        Some(ReasonCode::MALFORMED_PACKET),
        Some(ReasonCode::UNSPECIFIED_ERROR),
    ];
    let closed = codes.into_iter().any(|code| how == FromWhere::Closed(code));
    check(
        closed,
        "the end of the connection, for a protocol error",
        &how,
    )
}

/// A wildcard in front does not match a topic that begins with `$`, also behind a share name. [MQTT-4.7.2-1]
fn not_for_dollar_topics(ctx: &Ctx) -> Step {
    ctx.needs(ctx.announced.wildcards, "wildcards")?;
    let unique = ctx.id("");
    let mut client = member(
        ctx,
        "m",
        &format!("$share/{unique}/+/{unique}"),
        QoS::AtMostOnce,
    )?;
    let mut publisher = ctx.connect("p")?;
    publisher.publish(&format!("$any/{unique}"), "x", QoS::AtMostOnce)?;
    // A broker may refuse to take such a topic from a client, by closing for instance.
    publisher.ping().ok();
    let mut publisher = ctx.connect("p2")?;
    publisher.publish(&format!("any/{unique}"), "y", QoS::AtMostOnce)?;
    client.expect(&format!("any/{unique}|0|0|y"))?;
    client.silence()
}
