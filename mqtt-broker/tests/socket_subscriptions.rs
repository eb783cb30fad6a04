//! Server duties about subscriptions, packet by packet: grants, options, identifiers, wildcards, shared groups.

mod support;

use std::collections::BTreeSet;

use mqtt_codec::{
    Filters, FromServer, Properties, Property, PubComp, PubRec, Publish, QoS, ReasonCode,
    Subscribe, SubscribeFilter, SubscriptionId, SubscriptionOptions, Version,
};
use support::frame::{Frame, VERSIONS, at, keeping, publish};
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
        &Publish {
            retain: true,
            ..publish("id/kept", "m")
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
            let filters = [SubscribeFilter {
                filter,
                options: at(QoS::AtLeastOnce),
            }];
            let packet_id = client.fresh_id();
            client.send(&Subscribe {
                packet_id,
                properties: Properties::EMPTY,
                filters: Filters::List(&filters),
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
