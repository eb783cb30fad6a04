//! Server duties about subscriptions, packet by packet: grants, options, identifiers, wildcards, shared groups.

mod support;

use std::collections::BTreeSet;

use mqtt_codec::{
    Delivery, FromServer, Property, PubAck, PubComp, PubRec, PubRel, QoS, ReasonCode,
    SubscriptionId, SubscriptionOptions, Version,
};
use support::raw::{Frame, VERSIONS, at, keeping};
use support::{Broker, Client, not_for_mosquitto};

/// SUBACK and UNSUBACK have one code for each filter, in their order. [MQTT-3.8.4-6] [MQTT-3.9.3-1] [MQTT-3.11.3-1] [3.1.1:MQTT-3.8.4-5] [3.1.1:MQTT-3.9.3-1]
#[test]
fn codes_come_in_the_order_of_the_filters() {
    let broker = Broker::start();
    for version in VERSIONS {
        let mut client = Client::connect(&broker, version, "c");
        let codes = client.subscribe(&[
            ("a", at(QoS::ExactlyOnce)),
            ("b/+", at(QoS::AtMostOnce)),
            ("#", at(QoS::AtLeastOnce)),
        ]);
        assert_eq!(codes, [ReasonCode(2), ReasonCode(0), ReasonCode(1)]);
        let codes = client.unsubscribe(&["b/+", "never", "#"]);
        let expected: &[ReasonCode] = if version.is_v5() {
            &[ReasonCode(0), ReasonCode(0x11), ReasonCode(0)]
        } else {
            &[]
        };
        assert_eq!(codes, expected);
        client.publish("b/x", "unwanted", QoS::AtLeastOnce);
        client.expect_silence();
        client.publish("a", "wanted", QoS::AtLeastOnce);
        assert_eq!(client.take_text(), "a|1|0|wanted");
    }
}

/// The same filter again replaces the subscription: its QoS changes, and there is one copy of a message. [MQTT-3.8.4-3] [3.1.1:MQTT-3.8.4-3]
#[test]
fn identical_filter_replaces_the_subscription() {
    let broker = Broker::start();
    for version in VERSIONS {
        let mut client = Client::connect(&broker, version, "c");
        for qos in [QoS::AtMostOnce, QoS::ExactlyOnce, QoS::AtLeastOnce] {
            client.subscribe(&[("again/+", at(qos))]);
            client.publish("again/x", "m", QoS::ExactlyOnce);
            assert_eq!(
                client.take_text(),
                format!("again/x|{}|0|m", qos as u8),
                "{version}"
            );
            client.expect_silence();
        }
    }
}

/// Overlapping subscriptions: the message comes at the highest granted QoS, in one copy or in one for each. [MQTT-3.3.4-2] [3.1.1:MQTT-3.3.5-1]
#[test]
fn overlapping_subscriptions_respect_the_highest_qos() {
    not_for_mosquitto!("2.0.11 takes the QoS of the first match");
    let broker = Broker::start();
    for version in VERSIONS {
        let mut client = Client::connect(&broker, version, "c");
        client.subscribe(&[
            ("over/lap", at(QoS::AtMostOnce)),
            ("over/+", at(QoS::ExactlyOnce)),
            ("over/#", at(QoS::AtLeastOnce)),
            ("end", at(QoS::ExactlyOnce)),
        ]);
        client.publish("over/lap", "m", QoS::ExactlyOnce);
        client.publish("end", "end", QoS::ExactlyOnce);
        let got: Vec<String> = client.take_up_to_end().iter().map(Frame::text).collect();
        assert!(
            got.contains(&"over/lap|2|0|m".to_owned()),
            "{version}: {got:?}"
        );
        assert!(got.len() <= 3, "{version}: {got:?}");
    }
}

/// No Local keeps a client's own messages from it, for that subscription only. [MQTT-3.8.3-3]
#[test]
fn no_local() {
    let broker = Broker::start();
    let mut client = Client::connect(&broker, Version::V5, "c");
    let quiet = SubscriptionOptions {
        no_local: true,
        ..at(QoS::AtLeastOnce)
    };
    client.subscribe(&[("nl/quiet", quiet), ("nl/loud", at(QoS::AtLeastOnce))]);
    let mut other = Client::connect(&broker, Version::V5, "other");
    for publisher in [&mut client, &mut other] {
        publisher.publish("nl/quiet", "m", QoS::AtLeastOnce);
        publisher.publish("nl/loud", "m", QoS::AtLeastOnce);
    }
    let got = [(); 3].map(|()| client.take_text());
    assert_eq!(got, ["nl/loud|1|0|m", "nl/quiet|1|0|m", "nl/loud|1|0|m"]);
    client.expect_silence();
}

/// Messages carry the identifiers of the subscriptions they match, retained and queued ones too; a replaced one is forgotten.
/// [MQTT-3.3.4-3] [MQTT-3.3.4-4] [MQTT-3.3.4-5]
#[test]
fn subscription_identifiers() {
    let broker = Broker::start();
    let identifier = |n| {
        [Property::SubscriptionIdentifier(
            SubscriptionId::new(n).expect("in range"),
        )]
    };
    let numbers = |frame: &Frame| {
        frame
            .publish()
            .properties
            .subscription_identifiers()
            .map(SubscriptionId::get)
            .collect::<BTreeSet<_>>()
    };
    let (mut client, _) = Client::connect_with(&broker, &keeping(Version::V5, "c"));
    let mut publisher = Client::connect(&broker, Version::V5, "p");
    publisher.publish_packet(
        &mqtt_codec::Publish {
            retain: true,
            ..support::raw::publish("id/kept", "m")
        },
        QoS::AtLeastOnce,
    );
    client.subscribe_with(&[("id/kept", at(QoS::AtLeastOnce))], &identifier(9));
    let frame = client.take();
    assert_eq!(
        (frame.text().as_str(), numbers(&frame)),
        ("id/kept|1|1|m", BTreeSet::from([9]))
    );
    client.subscribe_with(
        &[
            ("id/+", at(QoS::AtLeastOnce)),
            ("id2", at(QoS::AtLeastOnce)),
        ],
        &identifier(1),
    );
    client.take();
    client.subscribe_with(&[("id/#", at(QoS::AtLeastOnce))], &identifier(268_435_455));
    client.take();
    client.subscribe(&[("bare", at(QoS::AtLeastOnce))]);
    client.subscribe_with(&[("id2", at(QoS::AtLeastOnce))], &identifier(5));
    client.cut();
    for topic in ["id/x", "id2", "bare"] {
        publisher.publish(topic, "queued", QoS::AtLeastOnce);
    }
    let (mut client, _) = Client::connect_with(&broker, &keeping(Version::V5, "c"));
    for payload in ["queued", "live"] {
        let mut seen = BTreeSet::new();
        while seen.len() < 2 {
            let frame = client.take();
            assert_eq!(frame.text(), format!("id/x|1|0|{payload}"));
            seen.extend(numbers(&frame));
        }
        assert_eq!(seen, BTreeSet::from([1, 268_435_455]));
        let frame = client.take();
        assert_eq!(
            (frame.text(), numbers(&frame)),
            (format!("id2|1|0|{payload}"), BTreeSet::from([5]))
        );
        let frame = client.take();
        assert_eq!(
            (frame.text(), numbers(&frame)),
            (format!("bare|1|0|{payload}"), BTreeSet::new())
        );
        for topic in ["id/x", "id2", "bare"] {
            publisher.publish(topic, "live", QoS::AtLeastOnce);
        }
    }
}

/// Wildcards match whole levels, empty ones too, `#` its parent, and no wildcard a leading `$`. [MQTT-4.7.1-1] [MQTT-4.7.1-2] [MQTT-4.7.2-1] [MQTT-4.7.3-4]
#[test]
fn wildcards() {
    let broker = Broker::start();
    for version in VERSIONS {
        for (filter, matching, others) in [
            (
                "a/+/c",
                &["a/b/c", "a//c"][..],
                &["a/c", "a/b/c/d", "A/b/c"][..],
            ),
            ("a/#", &["a", "a/", "a/b/c"], &["ab", "b/a"]),
            ("+", &["a", "B"], &["/a", "a/"]),
            ("+/+", &["/", "/a", "a/"], &["a", "$x/y", "/a/b"]),
            ("/+", &["/a", "/"], &["a", "/a/"]),
            ("#", &["a", "/", "a/b"], &["$x", "$x/y"]),
            ("$x/#", &["$x", "$x/y"], &["x/y"]),
            ("ß/+/日本", &["ß/é/日本"], &["ß/é/日"]),
        ] {
            let mut client = Client::connect(&broker, version, "c");
            client.subscribe(&[
                (filter, at(QoS::AtLeastOnce)),
                ("the/very/end", at(QoS::AtLeastOnce)),
            ]);
            for topic in others.iter().chain(matching) {
                client.publish(topic, "m", QoS::AtLeastOnce);
            }
            client.publish("the/very/end", "end", QoS::AtLeastOnce);
            let got: Vec<String> = client
                .take_up_to_end()
                .iter()
                .map(|frame| frame.publish().topic.to_owned())
                .collect();
            assert_eq!(got, matching, "{version} {filter}");
        }
    }
}

/// A filter that cannot be one is refused: by its code in SUBACK, or by the end of the connection. [MQTT-4.7.1-1] [MQTT-4.7.1-2] [MQTT-4.8.2-1] [MQTT-4.8.2-2]
#[test]
fn impossible_filters_are_refused() {
    let broker = Broker::start();
    for version in VERSIONS {
        // Mosquitto 2.0.11 takes what is no share for an ordinary filter.
        let shared: &[&str] = if version.is_v5() && !support::broker::is_mosquitto() {
            &[
                "$share/g",
                "$share//t",
                "$share/g/",
                "$share/g+/t",
                "$share/#/t",
                "$share/g/a#",
            ]
        } else {
            &[]
        };
        for filter in ["a#", "#/a", "a/#/b", "a+", "+a/b", "a/b+/c"]
            .iter()
            .chain(shared)
        {
            let mut client = Client::connect(&broker, version, "c");
            let filters = [mqtt_codec::SubscribeFilter {
                filter,
                options: at(QoS::AtLeastOnce),
            }];
            let packet_id = client.fresh_id();
            client.send(&mqtt_codec::Subscribe {
                packet_id,
                properties: mqtt_codec::Properties::EMPTY,
                filters: mqtt_codec::Filters::List(&filters),
            });
            match client.receive_or_end().as_ref().map(Frame::packet) {
                Some(FromServer::SubAck(packet)) => {
                    let code = packet.codes.iter().next().expect("one code");
                    assert!(code.is_error(), "{version} {filter}: {code:?}");
                    client.expect_silence();
                }
                Some(FromServer::Disconnect(_)) => client.expect_end(),
                None => {}
                other => panic!("{version} {filter}: {other:?}"),
            }
        }
    }
}

/// After UNSUBSCRIBE no new message is begun, and one that was begun is completed. [MQTT-3.10.4-2] [MQTT-3.10.4-3] [3.1.1:MQTT-3.10.4-2] [3.1.1:MQTT-3.10.4-3]
#[test]
fn unsubscribe_completes_what_was_begun() {
    let broker = Broker::start();
    for version in VERSIONS {
        let mut client = Client::subscribed(&broker, version, "c", "un", QoS::ExactlyOnce);
        let mut publisher = Client::connect(&broker, version, "p");
        publisher.publish("un", "begun", QoS::ExactlyOnce);
        let id = client.receive().publish_id();
        client.unsubscribe(&["un"]);
        publisher.publish("un", "late", QoS::ExactlyOnce);
        client.send(&PubRec::new(id));
        assert_eq!(client.receive().pub_rel().packet_id, id);
        client.send(&PubComp::new(id));
        client.expect_silence();
    }
}

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
        publisher.send(&mqtt_codec::Publish {
            delivery: Delivery::ExactlyOnce(id),
            ..support::raw::publish("two", &n.to_string())
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
