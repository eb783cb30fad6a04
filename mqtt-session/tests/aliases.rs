//! Topic aliases, in both directions (5.0).

use mqtt_codec::{ConnAck, Connect, Properties, Property, Publish, QoS, TopicAlias, Version};
use mqtt_testkit::owners::{Heaped, Message, TestOwner};
use mqtt_testkit::packets::{connack, publish};
use mqtt_testkit::script::{ClientScript, ServerScript};

fn alias(n: u16) -> [Property<'static>; 1] {
    [Property::TopicAlias(TopicAlias::new(n).expect("not 0"))]
}

fn with<'a>(topic: &'a str, list: &'a [Property<'a>]) -> Publish<'a> {
    Publish {
        topic,
        properties: Properties::List(list),
        ..publish("x")
    }
}

/// An alias stands for its topic until it is given another; it dies with the connection [MQTT-3.3.2-7], [MQTT-3.3.2-12].
#[test]
fn an_alias_stands_for_its_topic_while_the_connection_lasts() {
    let mut server = ServerScript::<Heaped>::connected(Version::V5);
    let one = alias(1);
    server.send(&with("first", &one));
    server.send(&with("", &one));
    server.send(&with("second", &one));
    server.send(&with("", &one));
    assert_eq!(
        server.happened(),
        ["first", "first", "second", "second"].map(|topic| format!("publish q0 {topic} x"))
    );
    server.cut();
    server.open();
    server.send(&Connect::new(Version::V5, "c"));
    server.sent();
    server.happened();
    server.send(&with("", &one));
    assert_eq!(server.happened(), ["violation Rule(TopicAliasUnknown)"]);
    assert_eq!(server.sent(), ["DISCONNECT 0x82", "close"]);
}

/// An alias above the announced maximum is answered with 0x94 [MQTT-3.3.2-9]; 64 is announced and taken [MQTT-3.3.2-12].
#[test]
fn an_alias_above_the_maximum_closes() {
    let mut server = ServerScript::<Heaped>::connected(Version::V5);
    server.send(&with("t", &alias(64)));
    assert!(!server.session.is_closing());
    server.send(&with("t", &alias(65)));
    assert_eq!(server.sent(), ["DISCONNECT 0x94", "close"]);
}

/// A client that announced none takes none [MQTT-3.1.2-27].
#[test]
fn a_client_that_announced_none_takes_none() {
    let mut client = ClientScript::<Heaped>::connected(Version::V5);
    client.send(&with("t", &alias(1)));
    assert_eq!(client.sent(), ["DISCONNECT 0x94", "close"]);
}

/// Aliases are used up to the peer's maximum and begin anew with the connection [MQTT-3.1.2-26], [MQTT-3.3.2-8], [MQTT-3.3.2-11].
#[test]
fn aliases_are_assigned_up_to_the_peers_maximum() {
    let mut server = ServerScript::<Heaped>::opened(Version::V5);
    let connect = Connect {
        properties: Properties::List(&[Property::TopicAliasMaximum(1)]),
        ..Connect::new(Version::V5, "c")
    };
    for _ in 0..2 {
        server.send(&connect);
        server.sent();
        for topic in ["topic/1", "topic/1", "topic/2"] {
            server
                .owner
                .publish(&Message::new(topic, QoS::AtMostOnce, b"x"));
        }
        assert_eq!(
            server.sent(),
            [
                "PUBLISH topic/1 x {TopicAlias(TopicAlias(1))}",
                "PUBLISH x {TopicAlias(TopicAlias(1))}",
                "PUBLISH topic/2 x",
            ]
        );
        server.cut();
        server.open();
    }
}

/// Without the peer's maximum no alias is sent [MQTT-3.2.2-18], [MQTT-3.1.2-27], and never before 5.0.
#[test]
fn no_alias_without_a_maximum() {
    let message = Message::new("topic/1", QoS::AtMostOnce, b"x");
    for version in [Version::V311, Version::V5] {
        let mut client = ClientScript::<Heaped>::connected(version);
        let mut server = ServerScript::<Heaped>::connected(version);
        for _ in 0..2 {
            client.owner.publish(&message);
            server.owner.publish(&message);
        }
        assert_eq!(client.sent(), ["PUBLISH topic/1 x"; 2]);
        assert_eq!(server.sent(), ["PUBLISH topic/1 x"; 2]);
    }
    let mut server = ServerScript::<Heaped>::opened(Version::V5);
    server.send(&Connect {
        properties: Properties::List(&[Property::TopicAliasMaximum(0)]),
        ..Connect::new(Version::V5, "c")
    });
    server.sent();
    server.owner.publish(&message);
    assert_eq!(server.sent(), ["PUBLISH topic/1 x"]);
}

/// A new alias that would make the packet too large for the peer is left out.
#[test]
fn an_alias_does_not_make_a_packet_too_large() {
    let mut server = ServerScript::<Heaped>::opened(Version::V5);
    let list = [
        Property::TopicAliasMaximum(1),
        Property::MaximumPacketSize(core::num::NonZeroU32::new(40).expect("not 0")),
    ];
    server.owner.limits.topic_alias_maximum = 0;
    server.send(&Connect {
        properties: Properties::List(&list),
        ..Connect::new(Version::V5, "c")
    });
    server.sent();
    // 2 + 2 + 7 + 1 + 28 = 40 bytes without the alias.
    server
        .owner
        .publish(&Message::new("topic/1", QoS::AtMostOnce, &[b'x'; 28]));
    assert_eq!(
        server.sent(),
        [format!("PUBLISH topic/1 {}", "x".repeat(28))]
    );
}

/// A client uses no alias above the server's maximum [MQTT-3.2.2-17], [MQTT-3.3.2-9], and forgets all with the connection [MQTT-3.3.2-7].
#[test]
fn a_client_keeps_the_servers_maximum() {
    let mut client = ClientScript::<Heaped>::offline(Version::V5);
    for most in [2, 1] {
        client.connect(&Connect::new(Version::V5, "c"));
        client.send(&ConnAck {
            properties: Properties::List(&[Property::TopicAliasMaximum(most)]),
            ..connack(false)
        });
        for topic in ["topic/1", "topic/2", "topic/3", "topic/2", "topic/1"] {
            client
                .owner
                .publish(&Message::new(topic, QoS::AtMostOnce, b"x"));
        }
        let sent = client.sent();
        assert_eq!(sent[0], "PUBLISH topic/1 x {TopicAlias(TopicAlias(1))}");
        for line in sent {
            for above in most + 1..4 {
                assert!(!line.contains(&format!("TopicAlias({above})")), "{line}");
            }
        }
        client.cut();
    }
}

/// A client takes every alias up to the maximum that it announced [MQTT-3.3.2-10], and none above.
#[test]
fn a_client_takes_aliases_up_to_its_maximum() {
    let mut client = ClientScript::<Heaped>::offline(Version::V5);
    client.connect(&Connect {
        properties: Properties::List(&[Property::TopicAliasMaximum(20)]),
        ..Connect::new(Version::V5, "c")
    });
    client.send(&connack(false));
    client.happened();
    let topics: Vec<String> = (1..=20).map(|n| format!("topic/{n}")).collect();
    for (n, topic) in (1..).zip(&topics) {
        client.send(&with(topic, &alias(n)));
    }
    client.happened();
    for (n, topic) in (1..).zip(&topics) {
        client.send(&with("", &alias(n)));
        assert_eq!(client.happened(), [format!("publish q0 {topic} x")]);
    }
    client.send(&with("t", &alias(21)));
    assert_eq!(client.sent(), ["DISCONNECT 0x94", "close"]);
}
