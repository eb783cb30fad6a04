//! Server duties about shared subscriptions, packet by packet.

mod support;

use mqtt_codec::{
    Delivery, FromServer, PubAck, PubComp, PubRec, PubRel, Publish, QoS, ReasonCode, Version,
};
use support::frame::{Frame, at, keeping, publish};
use support::{Broker, Client, not_for_mosquitto};

/// Publishes `count` numbered messages and gives the numbers that each of the members got.
fn share_out(
    publisher: &mut Client,
    members: &mut [Client],
    topic: &str,
    count: u32,
) -> Vec<Vec<u32>> {
    for n in 0..count {
        publisher.publish(topic, &n.to_string(), QoS::AtLeastOnce);
    }
    publisher.publish("everyone", "end", QoS::AtLeastOnce);
    let number = |frame: &Frame| {
        core::str::from_utf8(frame.publish().payload)
            .ok()
            .and_then(|text| text.parse().ok())
            .expect("a number")
    };
    members
        .iter_mut()
        .map(|member| member.take_up_to_end().iter().map(number).collect())
        .collect()
}

/// Each message of a shared subscription goes to one member, every member gets some, in order; other groups and plain subscribers
/// get all. The versions may be mixed.
#[test]
fn shared_group_divides_the_messages() {
    let broker = Broker::start();
    let mut members: Vec<Client> = Vec::new();
    for (version, id, filter) in [
        (Version::V5, "m1", "$share/one/work/+"),
        (Version::V5, "m2", "$share/one/work/+"),
        (Version::V311, "m3", "$share/one/work/+"),
        (Version::V5, "other", "$share/two/work/#"),
        (Version::V5, "plain", "work/+"),
    ] {
        let mut member = Client::subscribed(&broker, version, id, filter, QoS::AtLeastOnce);
        member.subscribe(&[("everyone", at(QoS::AtLeastOnce))]);
        members.push(member);
    }
    let mut publisher = Client::connect(&broker, Version::V311, "p");
    let got = share_out(&mut publisher, &mut members, "work/x", 60);
    let all: Vec<u32> = (0..60).collect();
    assert_eq!(got[4], all, "a plain subscriber");
    assert_eq!(got[3], all, "the only member of its group");
    for part in &got[..3] {
        assert!(!part.is_empty() && part.is_sorted(), "{got:?}");
    }
    let mut together = got[..3].concat();
    together.sort_unstable();
    assert_eq!(together, all);
}

/// A member that leaves gets nothing more, the others get it. [MQTT-3.10.4-2]
#[test]
fn shared_group_goes_on_without_a_member() {
    let broker = Broker::start();
    let mut members: Vec<Client> = ["a", "b", "c"]
        .map(|id| {
            let mut member =
                Client::subscribed(&broker, Version::V5, id, "$share/g/go", QoS::AtLeastOnce);
            member.subscribe(&[("everyone", at(QoS::AtLeastOnce))]);
            member
        })
        .into();
    let mut publisher = Client::connect(&broker, Version::V5, "p");
    members[0].unsubscribe(&["$share/g/go"]);
    members.pop().expect("three members").disconnect();
    let got = share_out(&mut publisher, &mut members, "go", 10);
    assert_eq!(got, [Vec::new(), (0..10).collect()]);
}

/// The granted QoS of the member counts. [MQTT-4.8.2-3]
#[test]
fn shared_group_respects_the_granted_qos() {
    let broker = Broker::start();
    let mut publisher = Client::connect(&broker, Version::V5, "p");
    for granted in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
        let mut member = Client::subscribed(&broker, Version::V5, "m", "$share/g/qos", granted);
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
            publisher.publish("qos", "m", qos);
            assert_eq!(
                member.take_text(),
                format!("qos|{}|0|m", qos.min(granted) as u8)
            );
        }
        member.disconnect();
    }
}

/// With no member connected, QoS 1 and 2 waits for the first one that comes back, once.
#[test]
fn shared_group_waits_for_a_member() {
    not_for_mosquitto!("2.0.11 divides the messages among absent members");
    let broker = Broker::start();
    for id in ["a", "b"] {
        let (mut member, _) = Client::connect_with(&broker, &keeping(Version::V5, id));
        member.subscribe(&[("$share/g/wait", at(QoS::ExactlyOnce))]);
        member.disconnect();
    }
    let mut publisher = Client::connect(&broker, Version::V5, "p");
    for n in 0..6 {
        publisher.publish("wait", &n.to_string(), QoS::ExactlyOnce);
    }
    let (mut first, _) = Client::connect_with(&broker, &keeping(Version::V5, "b"));
    for n in 0..6 {
        assert_eq!(first.take_text(), format!("wait|2|0|{n}"));
    }
    let (mut second, _) = Client::connect_with(&broker, &keeping(Version::V5, "a"));
    first.expect_silence();
    second.expect_silence();
}

/// QoS 1 that a member had not acknowledged when its session ended goes to another member; QoS 2 that it had begun goes to nobody
/// else. [MQTT-4.8.2-4] [MQTT-4.8.2-5]
#[test]
fn shared_group_passes_on_what_an_ended_session_left() {
    not_for_mosquitto!("2.0.11 drops it");
    let broker = Broker::start();
    let mut publisher = Client::connect(&broker, Version::V5, "p");
    let mut leaver = Client::subscribed(
        &broker,
        Version::V5,
        "leaver",
        "$share/g/left",
        QoS::ExactlyOnce,
    );
    publisher.publish("left", "one", QoS::AtLeastOnce);
    publisher.publish("left", "two", QoS::ExactlyOnce);
    assert!(matches!(
        leaver.receive().publish().delivery,
        Delivery::AtLeastOnce(_)
    ));
    let begun = leaver.receive().publish_id();
    leaver.send(&PubRec::new(begun));
    leaver.receive().pub_rel();
    let mut heir = Client::subscribed(
        &broker,
        Version::V5,
        "heir",
        "$share/g/left",
        QoS::ExactlyOnce,
    );
    heir.subscribe(&[("end", at(QoS::AtLeastOnce))]);
    leaver.disconnect();
    assert_eq!(heir.take_text(), "left|1|0|one");
    publisher.publish("end", "end", QoS::AtLeastOnce);
    assert_eq!(heir.take_text(), "end|1|0|end");
}

/// What a kept session has in flight stays with it, although another member is connected. [MQTT-4.8.2-4]
#[test]
fn shared_group_leaves_a_kept_session_what_it_has_in_flight() {
    not_for_mosquitto!("2.0.11 gives messages to absent members");
    let broker = Broker::start();
    let mut publisher = Client::connect(&broker, Version::V5, "p");
    let (mut keeper, _) = Client::connect_with(&broker, &keeping(Version::V5, "keeper"));
    keeper.subscribe(&[("$share/g/flight", at(QoS::ExactlyOnce))]);
    publisher.publish("flight", "mine", QoS::ExactlyOnce);
    let id = keeper.receive().publish_id();
    let mut other = Client::subscribed(
        &broker,
        Version::V5,
        "other",
        "$share/g/flight",
        QoS::ExactlyOnce,
    );
    keeper.cut();
    publisher.publish("flight", "yours", QoS::ExactlyOnce);
    assert_eq!(other.take_text(), "flight|2|0|yours");
    let (mut keeper, _) = Client::connect_with(&broker, &keeping(Version::V5, "keeper"));
    let again = keeper.receive();
    assert_eq!((again.publish_id(), again.publish().dup), (id, true));
    keeper.send(&PubRec::new(id));
    keeper.receive().pub_rel();
    keeper.send(&PubComp::new(id));
    keeper.expect_silence();
    other.expect_silence();
}

/// A message that a member refuses is discarded, not given to another. [MQTT-4.8.2-6] [MQTT-4.4.0-2]
#[test]
fn shared_group_does_not_redistribute_refusals() {
    let broker = Broker::start();
    let mut publisher = Client::connect(&broker, Version::V5, "p");
    let mut refuser = Client::subscribed(
        &broker,
        Version::V5,
        "refuser",
        "$share/g/no",
        QoS::ExactlyOnce,
    );
    publisher.publish("no", "one", QoS::AtLeastOnce);
    publisher.publish("no", "two", QoS::ExactlyOnce);
    let (one, two) = (
        refuser.receive().publish_id(),
        refuser.receive().publish_id(),
    );
    let mut other = Client::subscribed(
        &broker,
        Version::V5,
        "other",
        "$share/g/no",
        QoS::ExactlyOnce,
    );
    refuser.send(&PubAck {
        reason: ReasonCode::NOT_AUTHORIZED,
        ..PubAck::new(one)
    });
    refuser.send(&PubRec {
        reason: ReasonCode::UNSPECIFIED_ERROR,
        ..PubRec::new(two)
    });
    // No PUBREL answers a refusal, and the ids are free again.
    refuser.expect_silence();
    other.expect_silence();
    refuser.disconnect();
    other.expect_silence();
}

/// QoS 2 among the members: the handshake is completed with the member it was begun with. [MQTT-4.8.2-4]
#[test]
fn shared_group_completes_qos_2_with_its_member() {
    let broker = Broker::start();
    let mut publisher = Client::connect(&broker, Version::V5, "p");
    let mut members = ["a", "b"]
        .map(|id| Client::subscribed(&broker, Version::V5, id, "$share/g/two", QoS::ExactlyOnce));
    for n in 0..10 {
        let id = publisher.fresh_id();
        publisher.send(&Publish {
            delivery: Delivery::ExactlyOnce(id),
            ..publish("two", &n.to_string())
        });
        publisher.receive().pub_rec();
        publisher.send(&PubRel::new(id));
        publisher.receive().pub_comp();
    }
    let mut got = Vec::new();
    for member in &mut members {
        member.ping();
        while let Some(frame) = member.waiting() {
            let id = frame.publish_id();
            member.send(&PubRec::new(id));
            assert_eq!(
                member
                    .receive_where("PUBREL", |packet| matches!(packet, FromServer::PubRel(_)))
                    .pub_rel()
                    .packet_id,
                id
            );
            member.send(&PubComp::new(id));
            got.push(frame.text());
        }
    }
    got.sort();
    assert_eq!(
        got,
        (0..10).map(|n| format!("two|2|0|{n}")).collect::<Vec<_>>()
    );
}
