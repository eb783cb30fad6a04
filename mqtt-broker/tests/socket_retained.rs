//! Server duties about retained messages and `$SYS`, packet by packet.

mod support;

use core::time::Duration;

use mqtt_codec::{
    Properties, Property, Publish, QoS, RetainHandling, SubscriptionOptions, Version,
};
use support::frame::{Frame, VERSIONS, at, publish};
use support::raw::let_pass;
use support::{Broker, Client, not_for_mosquitto};

fn retained<'a>(topic: &'a str, payload: &'a str) -> Publish<'a> {
    Publish {
        retain: true,
        ..publish(topic, payload)
    }
}

/// What a new subscription of `filter` is sent, up to the end of what is stored.
#[track_caller]
fn stored(broker: &Broker, version: Version, filter: &str) -> Vec<String> {
    let mut reader = Client::connect(broker, version, "reader");
    reader.subscribe(&[
        ("stored/end", at(QoS::AtMostOnce)),
        (filter, at(QoS::ExactlyOnce)),
    ]);
    // Retained messages of a SUBSCRIBE are sent before what is published after its SUBACK.
    reader.publish("stored/end", "end", QoS::AtMostOnce);
    let mut texts: Vec<String> = reader.take_up_to_end().iter().map(Frame::text).collect();
    texts.sort();
    texts
}

/// A retained message is stored, replaced at any QoS, found by every matching filter with RETAIN 1 and the lower QoS, and removed by
/// an empty payload, which is not stored itself. Messages without RETAIN leave it alone.
/// [3.1.1:MQTT-3.3.1-5] [3.1.1:MQTT-3.3.1-6] [3.1.1:MQTT-3.3.1-7] [3.1.1:MQTT-3.3.1-8] [3.1.1:MQTT-3.3.1-10] [3.1.1:MQTT-3.3.1-12]
/// [MQTT-3.3.1-5] [MQTT-3.3.1-6] [MQTT-3.3.1-7] [MQTT-3.3.1-8] [MQTT-3.3.1-9]
#[test]
fn retained_messages_are_stored_replaced_and_removed() {
    let broker = Broker::start();
    for version in VERSIONS {
        let mut publisher = Client::connect(&broker, version, "publisher");
        for (topic, payload, qos) in [
            ("r/a", "old", QoS::ExactlyOnce),
            ("r/a", "new", QoS::AtLeastOnce),
            ("r/b", "zero", QoS::AtMostOnce),
            ("r/b/c", "two", QoS::ExactlyOnce),
            ("r/d", "removed", QoS::AtLeastOnce),
            ("r/d", "", QoS::AtLeastOnce),
        ] {
            publisher.publish_packet(&retained(topic, payload), qos);
        }
        publisher.publish("r/a", "not retained", QoS::AtLeastOnce);
        publisher.publish("r/a", "", QoS::AtLeastOnce);
        assert_eq!(
            stored(&broker, version, "r/#"),
            ["r/a|1|1|new", "r/b/c|2|1|two", "r/b|0|1|zero"],
            "{version}"
        );
        assert_eq!(
            stored(&broker, version, "r/+"),
            ["r/a|1|1|new", "r/b|0|1|zero"]
        );
        assert_eq!(
            stored(&broker, version, "r/b/#"),
            ["r/b/c|2|1|two", "r/b|0|1|zero"]
        );
        assert_eq!(stored(&broker, version, "+/+/c"), ["r/b/c|2|1|two"]);
        assert_eq!(stored(&broker, version, "r/none"), [""; 0]);
        let mut low = Client::connect(&broker, version, "low");
        low.subscribe(&[("r/b/c", at(QoS::AtLeastOnce))]);
        assert_eq!(low.take_text(), "r/b/c|1|1|two");
        for topic in ["r/a", "r/b", "r/b/c"] {
            publisher.publish_packet(&retained(topic, ""), QoS::AtMostOnce);
        }
        publisher.ping();
        assert_eq!(stored(&broker, version, "r/#"), [""; 0]);
    }
}

/// A retained message reaches existing subscriptions with RETAIN 0, as does the empty one that removes it. [3.1.1:MQTT-3.3.1-9] [MQTT-3.3.1-12]
#[test]
fn retained_message_is_an_ordinary_one_to_existing_subscriptions() {
    let broker = Broker::start();
    for version in VERSIONS {
        let mut subscriber = Client::subscribed(&broker, version, "s", "live", QoS::AtLeastOnce);
        let mut publisher = Client::connect(&broker, version, "publisher");
        publisher.publish_packet(&retained("live", "m"), QoS::AtLeastOnce);
        assert_eq!(subscriber.take_text(), "live|1|0|m");
        publisher.publish_packet(&retained("live", ""), QoS::AtLeastOnce);
        assert_eq!(subscriber.take_text(), "live|1|0|");
    }
}

/// Before 5.0 every SUBSCRIBE of a filter sends the retained messages again. [3.1.1:MQTT-3.8.4-3]
#[test]
fn repeated_subscribe_sends_retained_messages_again() {
    let broker = Broker::start();
    for version in VERSIONS {
        let mut client = Client::connect(&broker, version, "c");
        client.publish_packet(&retained("again", "m"), QoS::AtLeastOnce);
        for _ in 0..3 {
            client.subscribe(&[("again", at(QoS::AtLeastOnce))]);
            assert_eq!(client.take_text(), "again|1|1|m", "{version}");
        }
        client.expect_silence();
    }
}

/// Retain Handling: 0 sends at every SUBSCRIBE, 1 only for a new subscription, 2 never. [MQTT-3.3.1-9] [MQTT-3.3.1-10] [MQTT-3.3.1-11]
#[test]
fn retain_handling() {
    let broker = Broker::start();
    let mut publisher = Client::connect(&broker, Version::V5, "publisher");
    publisher.publish_packet(&retained("h/x", "m"), QoS::AtLeastOnce);
    for (retain_handling, times) in [
        (RetainHandling::SendAtSubscribe, [1, 1, 1]),
        (RetainHandling::SendIfNew, [1, 0, 1]),
        (RetainHandling::DoNotSend, [0, 0, 0]),
    ] {
        let options = SubscriptionOptions {
            retain_handling,
            ..at(QoS::AtLeastOnce)
        };
        let mut client = Client::connect(&broker, Version::V5, "c");
        for (step, expected) in times.into_iter().enumerate() {
            if step == 2 {
                client.unsubscribe(&["h/+"]);
            }
            client.subscribe(&[("h/+", options)]);
            for _ in 0..expected {
                assert_eq!(client.take_text(), "h/x|1|1|m", "{retain_handling:?}");
            }
            client.expect_silence();
        }
    }
}

/// Retain As Published keeps the flag of a message as it was published. [MQTT-3.3.1-12] [MQTT-3.3.1-13]
#[test]
fn retain_as_published() {
    let broker = Broker::start();
    let mut client = Client::connect(&broker, Version::V5, "c");
    let keeping = SubscriptionOptions {
        retain_as_published: true,
        ..at(QoS::AtLeastOnce)
    };
    client.subscribe(&[("kept", keeping), ("cleared", at(QoS::AtLeastOnce))]);
    for (topic, retain, expected) in [
        ("kept", true, "kept|1|1|m"),
        ("kept", false, "kept|1|0|m"),
        ("cleared", true, "cleared|1|0|m"),
        ("cleared", false, "cleared|1|0|m"),
    ] {
        client.publish_packet(
            &Publish {
                retain,
                ..publish(topic, "m")
            },
            QoS::AtLeastOnce,
        );
        assert_eq!(client.take_text(), expected);
    }
}

/// A retained message tells what is left of its life, and is gone when that is over. [MQTT-3.3.2-5] [MQTT-3.3.2-6]
#[test]
fn retained_with_expiry() {
    let broker = Broker::start();
    let mut publisher = Client::connect(&broker, Version::V5, "publisher");
    let expiring = |topic, seconds: &'static [Property<'static>]| Publish {
        properties: Properties::List(seconds),
        ..retained(topic, "m")
    };
    publisher.publish_packet(
        &expiring("x/short", &[Property::MessageExpiryInterval(1)]),
        QoS::AtLeastOnce,
    );
    publisher.publish_packet(
        &expiring("x/long", &[Property::MessageExpiryInterval(100)]),
        QoS::AtLeastOnce,
    );
    let_pass(Duration::from_millis(2200));
    let mut reader = Client::connect(&broker, Version::V5, "reader");
    reader.subscribe(&[("x/+", at(QoS::AtLeastOnce))]);
    let frame = reader.take();
    assert_eq!(frame.text(), "x/long|1|1|m");
    let left = frame
        .publish()
        .properties
        .message_expiry_interval()
        .expect("what is left of 100 s");
    assert!(
        (90..=98).contains(&left),
        "{left} s of 100 s are left after 2.2 s"
    );
    reader.expect_silence();
    for version in [Version::V31, Version::V311] {
        assert_eq!(stored(&broker, version, "x/#"), ["x/long|1|1|m"]);
    }
}

/// The properties of a retained message are kept with it. [MQTT-3.3.2-17] [MQTT-3.3.2-18] [MQTT-3.3.2-20]
#[test]
fn retained_properties() {
    let broker = Broker::start();
    let mut client = Client::connect(&broker, Version::V5, "c");
    let properties = [
        Property::ContentType("text/plain"),
        Property::ResponseTopic("back"),
        Property::CorrelationData(&[0, 1, 255]),
        Property::UserProperty("b", "1"),
        Property::UserProperty("a", "2"),
        Property::UserProperty("b", "1"),
    ];
    client.publish_packet(
        &Publish {
            properties: Properties::List(&properties),
            ..retained("props", "m")
        },
        QoS::AtLeastOnce,
    );
    client.subscribe(&[("props", at(QoS::AtLeastOnce))]);
    let frame = client.take();
    let got = frame.publish().properties;
    assert_eq!(got.content_type(), Some("text/plain"));
    assert_eq!(got.response_topic(), Some("back"));
    assert_eq!(got.correlation_data(), Some(&[0, 1, 255][..]));
    assert_eq!(
        got.user_properties().collect::<Vec<_>>(),
        [("b", "1"), ("a", "2"), ("b", "1")]
    );
}

/// Retained messages outlive the session of their publisher. [3.1.1:MQTT-3.1.2-7]
#[test]
fn retained_messages_are_not_session_state() {
    let broker = Broker::start();
    for version in VERSIONS {
        let mut publisher = Client::connect(&broker, version, "publisher");
        publisher.publish_packet(&retained("outlives", "m"), QoS::AtLeastOnce);
        publisher.disconnect();
        Client::connect(&broker, version, "publisher").disconnect();
        assert_eq!(stored(&broker, version, "outlives"), ["outlives|1|1|m"]);
    }
}

/// No retained message is sent to a shared subscription. [MQTT-3.3.1-9]
#[test]
fn shared_subscription_gets_no_retained_message() {
    not_for_mosquitto!("2.0.11 sends it");
    let broker = Broker::start();
    let mut client = Client::connect(&broker, Version::V5, "c");
    client.publish_packet(&retained("sh/x", "m"), QoS::AtLeastOnce);
    client.subscribe(&[("$share/g/sh/+", at(QoS::AtLeastOnce))]);
    client.expect_silence();
}

/// The `$SYS` topics that Mosquitto's users know have retained values, and a filter that begins with a wildcard does not show them.
/// [MQTT-4.7.2-1] [3.1.1:MQTT-4.7.2-1]
#[test]
fn sys_topics() {
    let broker = Broker::start();
    for version in VERSIONS {
        let mut everything =
            Client::subscribed(&broker, version, "everything", "#", QoS::AtMostOnce);
        let mut second_level =
            Client::subscribed(&broker, version, "second", "+/broker/#", QoS::AtMostOnce);
        let mut client = Client::connect(&broker, version, "c");
        for topic in [
            "$SYS/broker/version",
            "$SYS/broker/uptime",
            "$SYS/broker/clients/connected",
            "$SYS/broker/clients/total",
            "$SYS/broker/clients/disconnected",
            "$SYS/broker/clients/maximum",
            "$SYS/broker/messages/received",
            "$SYS/broker/messages/sent",
            "$SYS/broker/publish/messages/received",
            "$SYS/broker/publish/messages/sent",
            "$SYS/broker/publish/messages/dropped",
            "$SYS/broker/bytes/received",
            "$SYS/broker/bytes/sent",
            "$SYS/broker/retained messages/count",
            "$SYS/broker/subscriptions/count",
        ] {
            client.subscribe(&[(topic, at(QoS::AtMostOnce))]);
            let frame = client.take();
            assert_eq!(frame.publish().topic, topic);
            assert!(!frame.publish().payload.is_empty(), "{frame:?}");
            client.unsubscribe(&[topic]);
        }
        everything.expect_silence();
        second_level.expect_silence();
    }
}

/// A client cannot publish to `$SYS`: the message reaches nobody. [MQTT-4.7.2-1]
#[test]
fn sys_topics_belong_to_the_broker() {
    not_for_mosquitto!("2.0.11 passes such messages on unless an access list forbids it");
    let broker = Broker::start();
    let mut watcher = Client::subscribed(&broker, Version::V5, "w", "$SYS/fake", QoS::AtLeastOnce);
    let mut client = Client::connect(&broker, Version::V5, "c");
    let refusal = client.publish_packet(&retained("$SYS/fake", "m"), QoS::AtLeastOnce);
    assert!(refusal.is_error(), "{refusal:?}");
    watcher.expect_silence();
    assert_eq!(stored(&broker, Version::V5, "$SYS/fake"), [""; 0]);
}
