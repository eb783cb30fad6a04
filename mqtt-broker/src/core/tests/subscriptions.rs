//! Subscriptions: their options, identifiers, limits, and what they match.

use mqtt_codec::{Connect, Properties, QoS, ReasonCode, SubscriptionOptions, Version};

use super::client::{Message, Seen};
use super::net::Net;

const QOS_1: SubscriptionOptions = SubscriptionOptions::new(QoS::AtLeastOnce);

fn options(qos: QoS, no_local: bool, retain_as_published: bool) -> SubscriptionOptions {
    SubscriptionOptions {
        no_local,
        retain_as_published,
        ..SubscriptionOptions::new(qos)
    }
}

/// Overlapping subscriptions bring one copy with the highest QoS and all identifiers; an identifier that is given twice comes twice
/// [MQTT-3.3.4-2], [MQTT-3.3.4-3], [MQTT-3.3.4-4]. Before 5.0 there are no identifiers, and the QoS counts alike
/// [3.1.1:MQTT-3.3.5-1].
#[test]
fn overlapping_subscriptions_bring_one_copy() {
    for workers in [1, 3] {
        for version in [Version::V311, Version::V5] {
            let mut net = Net::new(workers);
            let sub = net.connect_with(&Connect::new(version, "sub"));
            let publisher = net.connect("pub");
            let v5 = version.is_v5();
            let id = |id| v5.then_some(id);
            let most = QoS::AtMostOnce;
            let as_published = options(QoS::AtLeastOnce, false, v5);
            net.subscribe_with(sub, &["a/b"], options(most, false, false), id(1));
            let twice = options(QoS::ExactlyOnce, false, false);
            net.subscribe_with(sub, &["a/+"], twice, id(2));
            net.subscribe_with(sub, &["a/#", "#"], as_published, id(7));
            net.subscribe(sub, "+/b", most);
            net.received(sub);
            net.retain(publisher, "a/b", "x", QoS::ExactlyOnce);
            let messages = net.received(sub);
            assert_eq!(messages.len(), 1);
            let expected: &[u32] = if v5 { &[1, 2, 7, 7] } else { &[] };
            assert_eq!(messages[0].subscriptions, expected);
            assert_eq!(messages[0].qos, QoS::ExactlyOnce);
            assert_eq!(
                messages[0].retain, v5,
                "one of them wants the flag as published"
            );
            net.unsubscribe(sub, &["a/+", "#"]);
            net.publish(publisher, "a/b", "x", QoS::ExactlyOnce);
            let messages = net.received(sub);
            let expected: &[u32] = if v5 { &[1, 7] } else { &[] };
            assert_eq!(
                (messages[0].qos, &*messages[0].subscriptions),
                (QoS::AtLeastOnce, expected)
            );
        }
    }
}

/// An identical filter replaces the subscription with its options and identifier [MQTT-3.8.4-3], [3.1.1:MQTT-3.8.4-3], and no message is
/// lost, not even one that waits [MQTT-3.8.4-4].
#[test]
fn a_subscription_is_replaced_as_a_whole() {
    let mut net = Net::new(2);
    let sub = net.connect("sub");
    net.subscribe_with(sub, &["t"], options(QoS::ExactlyOnce, true, true), Some(1));
    net.publish(sub, "t", "own", QoS::AtLeastOnce);
    net.subscribe_with(sub, &["t"], QOS_1, None);
    net.publish(sub, "t", "own", QoS::ExactlyOnce);
    let messages = net.received(sub);
    assert_eq!(messages.len(), 1);
    assert_eq!(
        (messages[0].qos, messages[0].subscriptions.len()),
        (QoS::AtLeastOnce, 0)
    );
    assert_eq!(net.shared.counters().subscriptions.get(), 1);
    for version in [Version::V311, Version::V5] {
        let mut net = Net::new(2);
        let sub = net.connect_with(&Connect::new(version, "sub"));
        let publisher = net.connect("pub");
        net.subscribe(sub, "t", QoS::ExactlyOnce);
        net.set_deaf(sub, true);
        net.publish(publisher, "t", "waits", QoS::ExactlyOnce);
        net.subscribe(sub, "t", QoS::AtMostOnce);
        net.publish(publisher, "t", "new", QoS::ExactlyOnce);
        net.set_deaf(sub, false);
        let messages = net.received(sub);
        let seen: Vec<(String, QoS)> = messages
            .iter()
            .map(|message| (message.text(), message.qos))
            .collect();
        assert_eq!(
            seen,
            [
                ("waits".to_owned(), QoS::ExactlyOnce),
                ("new".to_owned(), QoS::AtMostOnce)
            ]
        );
        assert_eq!(net.shared.counters().subscriptions.get(), 1);
    }
}

/// No Local keeps a client's own messages back, and nobody else's [MQTT-3.8.3-3]; Retain As Published keeps the flag [MQTT-3.3.1-12],
/// [MQTT-3.3.1-13].
#[test]
fn no_local_and_retain_as_published() {
    for workers in [1, 3] {
        let mut net = Net::new(workers);
        let a = net.connect("a");
        let b = net.connect("b");
        net.subscribe_with(a, &["t"], options(QoS::ExactlyOnce, true, false), None);
        net.subscribe_with(b, &["t"], options(QoS::ExactlyOnce, false, true), None);
        net.received(a);
        net.received(b);
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
            net.retain(a, "t", "of a", qos);
            assert_eq!(net.received(a), []);
            assert!(net.received(b)[0].retain);
            net.retain(b, "t", "of b", qos);
            assert!(!net.received(a)[0].retain);
            assert!(net.received(b)[0].retain);
            net.publish(b, "t", "of b", qos);
            assert!(!net.received(a)[0].retain);
            assert!(!net.received(b)[0].retain);
        }
    }
}

/// A bridge of 3.1.1 (bit 0x80 of the protocol level) gets no echo of its own, and the RETAIN flag as it was.
#[test]
fn a_bridge_gets_no_echo_and_the_flag_as_published() {
    let mut net = Net::new(1);
    let bridge = net.connect_with(&Connect {
        bridge: true,
        ..Connect::new(Version::V311, "bridge")
    });
    assert_eq!(net.connack(bridge).reason, ReasonCode::SUCCESS);
    let other = net.connect("other");
    net.subscribe(bridge, "#", QoS::AtLeastOnce);
    assert_eq!(
        net.subscribe(bridge, "$share/g/t", QoS::AtLeastOnce),
        [ReasonCode::GRANTED_QOS_1],
        "where No Local would be an error"
    );
    net.unsubscribe(bridge, &["$share/g/t"]);
    net.seen(bridge);
    net.retain(bridge, "t", "echo", QoS::AtLeastOnce);
    net.retain(other, "t", "other", QoS::AtLeastOnce);
    let messages = net.received(bridge);
    assert_eq!(
        messages.iter().map(Message::text).collect::<Vec<_>>(),
        ["other"]
    );
    assert!(messages[0].retain);
}

/// `$SYS` is the broker's: a client cannot publish there, wildcards at the front do not match it, and `$SYS/#` does [MQTT-4.7.2-1].
/// The topic `$SYS` itself was free to publish to.
#[test]
fn sys_topics_are_the_brokers_own() {
    let mut net = Net::set(|settings| settings.sys_interval_ms = 10_000);
    let all = net.connect("all");
    let sys = net.connect("sys");
    net.subscribe(all, "#", QoS::AtMostOnce);
    net.subscribe(all, "+/broker/version", QoS::AtMostOnce);
    net.subscribe(sys, "$SYS/#", QoS::AtLeastOnce);
    assert_eq!(net.texts(all), [""; 0]);
    let topics: Vec<String> = net
        .received(sys)
        .into_iter()
        .map(|message| message.topic)
        .collect();
    for topic in [
        "version",
        "uptime",
        "clients/connected",
        "subscriptions/count",
    ] {
        assert!(
            topics.contains(&format!("$SYS/broker/{topic}")),
            "{topics:?}"
        );
    }
    for topic in ["$SYS", "$SYS/broker/version"] {
        net.publish(all, topic, "forged", QoS::AtMostOnce);
        for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
            net.publish(all, topic, "forged", qos);
        }
    }
    assert!(!net.texts(sys).iter().any(|text| text == "forged"));
    net.publish(all, "$other/topic", "x", QoS::AtLeastOnce);
    net.subscribe(sys, "$other/+", QoS::AtMostOnce);
    net.publish(all, "$other/topic", "free", QoS::AtLeastOnce);
    assert_eq!(net.texts(sys), ["free"]);
    assert_eq!(net.texts(all), [""; 0]);
    net.ping(sys);
    net.advance(10_000);
    let updated = net.received(sys);
    let connected = updated
        .iter()
        .find(|message| message.topic.ends_with("clients/connected"));
    assert_eq!(connected.unwrap().text(), "2");
}

/// A client has a limit of subscriptions, one packet too; what it has can be replaced, and a place that is given up is free again. Shared
/// ones count.
#[test]
fn a_client_has_a_limit_of_subscriptions() {
    for version in [Version::V311, Version::V5] {
        let mut net = Net::set(|settings| settings.subscriptions_per_client = 3);
        let sub = net.connect_with(&Connect::new(version, "sub"));
        let refused = if version == Version::V5 {
            ReasonCode::QUOTA_EXCEEDED
        } else {
            ReasonCode::UNSPECIFIED_ERROR
        };
        let granted = ReasonCode::GRANTED_QOS_1;
        let codes = net.subscribe_with(sub, &["a", "$share/g/b", "c", "d"], QOS_1, None);
        assert_eq!(codes, [granted, granted, granted, refused]);
        assert_eq!(
            net.subscribe_with(sub, &["d", "c"], QOS_1, None),
            [refused, granted]
        );
        net.unsubscribe(sub, &["$share/g/b"]);
        assert_eq!(net.subscribe_with(sub, &["d"], QOS_1, None), [granted]);
        assert_eq!(net.shared.counters().subscriptions.get(), 3);
        assert_eq!(net.shared.counters().shared_subscriptions.get(), 0);
    }
}

/// Ten thousand subscriptions in one packet, and their end in another: each was searched for among all others.
#[test]
fn many_subscriptions_in_one_packet_are_quick() {
    let mut net = Net::new(1);
    let sub = net.connect("sub");
    let filters: Vec<String> = (0..10_000)
        .map(|number| format!("some/filter/{number}"))
        .collect();
    let filters: Vec<&str> = filters.iter().map(|filter| &**filter).collect();
    assert_eq!(net.subscribe_with(sub, &filters, QOS_1, None).len(), 10_000);
    assert_eq!(net.shared.counters().subscriptions.get(), 10_000);
    let codes = net.unsubscribe(sub, &filters);
    assert!(codes.iter().all(|code| *code == ReasonCode::SUCCESS));
    assert_eq!(
        net.unsubscribe(sub, &["never"]),
        [ReasonCode::NO_SUBSCRIPTION_EXISTED]
    );
    net.cut(sub);
    assert_eq!(net.gauges(), [0; 7]);
    assert!(net.ledgers.lock().sessions.is_empty());
}

/// Filters are compared character by character, and what was queued before UNSUBSCRIBE is still delivered [MQTT-3.10.4-1],
/// [MQTT-3.10.4-2], [MQTT-3.10.4-3], [3.1.1:MQTT-3.10.4-1], [3.1.1:MQTT-3.10.4-2], [3.1.1:MQTT-3.10.4-3].
#[test]
fn unsubscribe_ends_new_messages_and_completes_begun_ones() {
    use super::client::Manner;
    for version in [Version::V311, Version::V5] {
        let connect = Connect {
            properties: if version.is_v5() {
                super::net::resume("sub").properties
            } else {
                Properties::EMPTY
            },
            clean_start: false,
            ..Connect::new(version, "sub")
        };
        let mut net = Net::new(1);
        let sub = net.connect_with(&connect);
        let publisher = net.connect("pub");
        net.subscribe(sub, "a/b", QoS::ExactlyOnce);
        net.set_manner(sub, Manner::Silent);
        for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
            net.publish(publisher, "a/b", "begun", qos);
        }
        let codes = net.unsubscribe(sub, &["A/b", "a/b/", "a/+"]);
        net.publish(publisher, "a/b", "still", QoS::AtMostOnce);
        if version.is_v5() {
            assert_eq!(codes, [ReasonCode::NO_SUBSCRIPTION_EXISTED; 3]);
        }
        net.unsubscribe(sub, &["a/b"]);
        net.publish(publisher, "a/b", "late", QoS::ExactlyOnce);
        net.publish(publisher, "a/b", "late", QoS::AtMostOnce);
        net.set_manner(sub, Manner::Acknowledges);
        net.cut(sub);
        assert_eq!(net.texts(sub), ["begun", "begun", "still"]);
        let sub = net.reconnect(sub, &connect);
        assert_eq!(net.texts(sub), ["begun"], "the one of QoS 1");
        assert_eq!(
            net.shared.counters().queued.get(),
            0,
            "the handshakes were completed"
        );
    }
}

/// A subscriber inside the process gets messages of every worker, and can publish.
#[test]
fn subscribers_inside_the_process() {
    use crate::core::{Effect, LocalId};
    let mut net = Net::new(2);
    let filter = mqtt_topic::TopicFilter::new("t/+").unwrap();
    net.shared.subscribe_local(LocalId(5), &filter, QOS_1);
    for name in ["a", "b", "c"] {
        let client = net.connect(name);
        net.subscribe(client, "t/in", QoS::AtLeastOnce);
        net.publish(client, "t/out", name, QoS::ExactlyOnce);
    }
    let message = crate::core::Message::new("t/in", &[], b"in", QoS::AtLeastOnce, false);
    let now = net.now;
    net.cores[1].publish(&message.into(), now).unwrap();
    net.run();
    let local = |effect: &Effect| match effect {
        Effect::Local {
            subscriber,
            message,
            qos,
            ..
        } => {
            assert_eq!((*subscriber, *qos), (LocalId(5), QoS::AtLeastOnce));
            String::from_utf8_lossy(message.payload()).into_owned()
        }
        other => panic!("{other:?}"),
    };
    let seen: Vec<String> = net.locals.iter().map(local).collect();
    assert_eq!(seen, ["a", "b", "c", "in"]);
    assert_eq!(net.texts(0), ["in"]);
    assert_eq!(net.texts(1), ["in"]);
    net.shared.unsubscribe_local(LocalId(5), &filter);
    net.publish(2, "t/out", "x", QoS::AtLeastOnce);
    assert_eq!(net.locals.len(), 4);
    let too_long = crate::core::Message::new(&"t".repeat(70_000), &[], b"", QoS::AtMostOnce, true);
    net.cores[0].publish(&too_long.into(), now).unwrap();
    assert_eq!(
        net.shared.counters().retained.get(),
        0,
        "its length was cut to two bytes"
    );
}

/// A packet with several filters is like several packets with one each: SUBSCRIBE [MQTT-3.8.4-5], [3.1.1:MQTT-3.8.4-4], with the retained
/// messages of each, and UNSUBSCRIBE [MQTT-3.10.4-6], [3.1.1:MQTT-3.10.4-6].
#[test]
fn several_filters_are_like_several_packets() {
    for workers in [1, 3] {
        for version in [Version::V311, Version::V5] {
            let mut net = Net::new(workers);
            let publisher = net.connect_with(&Connect::new(version, "pub"));
            net.retain(publisher, "a/b", "kept", QoS::AtLeastOnce);
            let filters = ["a/b", "a/+", "b", "a/b", "c"];
            let one = net.connect_with(&Connect::new(version, "one"));
            let codes = net.subscribe_with(one, &filters, QOS_1, None);
            let many = net.connect_with(&Connect::new(version, "many"));
            let mut each = Vec::new();
            for filter in filters {
                each.extend(net.subscribe_with(many, &[filter], QOS_1, None));
            }
            assert_eq!(codes, each);
            assert_eq!(codes, [ReasonCode::GRANTED_QOS_1; 5]);
            let same = |net: &mut Net, expected: usize| {
                let texts = net.texts(one);
                assert_eq!(texts, net.texts(many), "{version}");
                assert_eq!(texts.len(), expected, "{version}: {texts:?}");
            };
            same(&mut net, 3);
            for topic in ["a/b", "b", "c", "a/c"] {
                net.publish(publisher, topic, topic, QoS::AtLeastOnce);
            }
            same(&mut net, 4);
            let filters = ["a/+", "never", "c"];
            let codes = net.unsubscribe(one, &filters);
            let mut each = Vec::new();
            for filter in filters {
                each.extend(net.unsubscribe(many, &[filter]));
            }
            assert_eq!(codes, each);
            for topic in ["a/b", "b", "c", "a/c"] {
                net.publish(publisher, topic, topic, QoS::AtLeastOnce);
            }
            same(&mut net, 2);
        }
    }
}

/// UNSUBSCRIBE is answered although nothing matches, with its id [MQTT-3.10.4-5], [3.1.1:MQTT-3.10.4-5].
#[test]
fn unsubscribe_is_answered_although_nothing_matches() {
    for version in [Version::V311, Version::V5] {
        let mut net = Net::new(1);
        let client = net.connect_with(&Connect::new(version, "c"));
        net.seen(client);
        net.unsubscribe(client, &["never", "a/#"]);
        let codes = if version.is_v5() {
            vec![ReasonCode::NO_SUBSCRIPTION_EXISTED; 2]
        } else {
            vec![]
        };
        assert_eq!(net.seen(client), [Seen::UnsubAck(1, codes)]);
    }
}

/// Several copies of a message each carry the identifier of the subscription that they come from [MQTT-3.3.4-5], retained ones too
/// [MQTT-3.3.4-3].
#[test]
fn each_copy_has_the_identifier_of_its_subscription() {
    for workers in [1, 3] {
        let mut net = Net::new(workers);
        let sub = net.connect("sub");
        let publisher = net.connect("pub");
        net.subscribe_with(sub, &["t"], QOS_1, Some(1));
        net.subscribe_with(sub, &["$share/g/t"], QOS_1, Some(2));
        net.subscribe_with(sub, &["$share/h/t"], QOS_1, None);
        net.seen(sub);
        let ids = |net: &mut Net| {
            let messages = net.received(sub);
            let mut ids: Vec<Vec<u32>> = messages
                .into_iter()
                .map(|message| message.subscriptions)
                .collect();
            ids.sort();
            ids
        };
        net.retain(publisher, "t", "x", QoS::AtLeastOnce);
        assert_eq!(ids(&mut net), [vec![], vec![1], vec![2]]);
        net.subscribe_with(sub, &["t"], QOS_1, Some(3));
        net.subscribe_with(sub, &["+"], QOS_1, Some(4));
        assert_eq!(ids(&mut net), [[3], [4]], "retained, for each SUBSCRIBE");
    }
}
