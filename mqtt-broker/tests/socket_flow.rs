//! Server duties about limits between the two ends, packet by packet: Receive Maximum, packet size, topic aliases, expiry, keep-alive.

mod support;

use core::num::NonZeroU32;

use mqtt_codec::{
    Connect, Delivery, FromServer, Properties, Property, PubAck, PubComp, PubRec, PubRel, Publish,
    QoS, ReasonCode, ReceiveMaximum, TopicAlias, Unsubscribe, UnsubscribeFilters, Version,
};
use support::frame::{VERSIONS, at, packet_id, publish};
use support::{Broker, Client, not_for_mosquitto};

fn with<'a>(client_id: &'a str, properties: &'a [Property<'a>]) -> Connect<'a> {
    Connect {
        properties: Properties::List(properties),
        ..Connect::new(Version::V5, client_id)
    }
}

/// No more QoS 1 and 2 messages are under way than the client's Receive Maximum; QoS 0 and other packets go on; each
/// acknowledgement, or refusal, lets the next one go. [MQTT-3.3.4-9] [MQTT-4.9.0-1] [MQTT-4.9.0-2] [MQTT-4.9.0-3] [MQTT-3.3.4-10]
#[test]
fn receive_maximum_of_the_client() {
    not_for_mosquitto!("2.0.11 takes PUBREC for the end of a message");
    let broker = Broker::start();
    let maximum = [Property::ReceiveMaximum(
        ReceiveMaximum::new(2).expect("not 0"),
    )];
    let (mut client, _) = Client::connect_with(&broker, &with("c", &maximum));
    client.subscribe(&[("rm/#", at(QoS::ExactlyOnce))]);
    let mut publisher = Client::connect(&broker, Version::V5, "p");
    for (n, qos) in [
        QoS::AtLeastOnce,
        QoS::ExactlyOnce,
        QoS::AtLeastOnce,
        QoS::ExactlyOnce,
        QoS::AtLeastOnce,
    ]
    .into_iter()
    .enumerate()
    {
        publisher.publish("rm/x", &n.to_string(), qos);
    }
    let first = client.receive();
    let second = client.receive();
    assert_eq!(
        (first.text().as_str(), second.text().as_str()),
        ("rm/x|1|0|0", "rm/x|2|0|1")
    );
    client.expect_silence();
    publisher.publish("rm/free", "m", QoS::AtMostOnce);
    assert_eq!(client.receive().text(), "rm/free|0|0|m");
    client.send(&PubAck::new(first.publish_id()));
    let third = client.receive();
    assert_eq!(third.text(), "rm/x|1|0|2");
    // PUBREC without an error does not free the slot, PUBCOMP does.
    client.send(&PubRec::new(second.publish_id()));
    assert_eq!(client.receive().pub_rel().packet_id, second.publish_id());
    client.expect_silence();
    client.send(&PubComp::new(second.publish_id()));
    let fourth = client.receive();
    assert_eq!(fourth.text(), "rm/x|2|0|3");
    client.send(&PubRec {
        reason: ReasonCode::UNSPECIFIED_ERROR,
        ..PubRec::new(fourth.publish_id())
    });
    let fifth = client.receive();
    assert_eq!(fifth.text(), "rm/x|1|0|4");
    client.send(&PubAck::new(third.publish_id()));
    client.send(&PubAck::new(fifth.publish_id()));
    client.expect_silence();
}

/// More QoS 2 messages under way than the announced Receive Maximum end the connection with 0x93. [MQTT-3.3.4-7]
#[test]
fn receive_maximum_of_the_server() {
    not_for_mosquitto!("2.0.11 announces none of the configured size");
    let broker = Broker::start();
    let (mut client, answer) = Client::connect_with(&broker, &Connect::new(Version::V5, "c"));
    let maximum = answer
        .conn_ack()
        .properties
        .receive_maximum()
        .expect("announced")
        .get();
    assert!(maximum >= 1000);
    for id in 1..=maximum {
        client.send(&Publish {
            delivery: Delivery::ExactlyOnce(packet_id(id)),
            ..publish("t", "m")
        });
    }
    for id in 1..=maximum {
        assert_eq!(client.receive().pub_rec().packet_id.get(), id);
    }
    client.send(&Publish {
        delivery: Delivery::ExactlyOnce(packet_id(maximum + 1)),
        ..publish("t", "m")
    });
    client.expect_end_with(ReasonCode::RECEIVE_MAXIMUM_EXCEEDED);
}

/// A message larger than the client's Maximum Packet Size is not sent to it, as if it had been delivered; others are.
/// [MQTT-3.1.2-24] [MQTT-3.1.2-25]
#[test]
fn maximum_packet_size_of_the_client() {
    not_for_mosquitto!("2.0.11 sends one byte more");
    let broker = Broker::start();
    let maximum = [Property::MaximumPacketSize(
        NonZeroU32::new(100).expect("not 0"),
    )];
    let mut publisher = Client::connect(&broker, Version::V5, "p");
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
        let (mut client, answer) = Client::connect_with(&broker, &with("c", &maximum));
        assert!(answer.bytes.len() <= 100, "{answer:?}");
        client.subscribe(&[("size", at(qos))]);
        // Fixed header 2, topic 2 + 4, packet id 2 unless QoS 0, property length 1, payload.
        let room = 100 - 2 - 6 - 1 - if qos == QoS::AtMostOnce { 0 } else { 2 };
        for length in [room, room + 1, room + 1000, 1] {
            publisher.publish("size", &"x".repeat(length), qos);
        }
        let fits = client.take();
        assert_eq!(
            (fits.bytes.len(), fits.publish().payload.len()),
            (100, room)
        );
        assert_eq!(client.take().publish().payload.len(), 1);
        client.expect_silence();
        client.disconnect();
    }
}

/// A too large message in the queue of an absent client does not stop those behind it. [MQTT-3.1.2-25]
#[test]
fn maximum_packet_size_counts_for_queued_messages() {
    not_for_mosquitto!("2.0.11 stops the queue");
    let broker = Broker::start();
    let properties = [
        Property::SessionExpiryInterval(60),
        Property::MaximumPacketSize(NonZeroU32::new(100).expect("not 0")),
    ];
    let connect = Connect {
        clean_start: false,
        ..with("c", &properties)
    };
    let (mut client, _) = Client::connect_with(&broker, &connect);
    client.subscribe(&[("q", at(QoS::ExactlyOnce))]);
    client.disconnect();
    let mut publisher = Client::connect(&broker, Version::V311, "p");
    for (payload, qos) in [
        ("a", QoS::AtLeastOnce),
        ("b", QoS::ExactlyOnce),
        ("c", QoS::AtLeastOnce),
    ] {
        publisher.publish("q", &payload.repeat(200), qos);
        publisher.publish("q", payload, qos);
    }
    let (mut client, _) = Client::connect_with(&broker, &connect);
    assert_eq!(
        [(); 3].map(|()| client.take_text()),
        ["q|1|0|a", "q|2|0|b", "q|1|0|c"]
    );
    client.expect_silence();
}

/// The server announces its Maximum Packet Size; a packet of that size is accepted, a larger one ends the connection with 0x95,
/// before 5.0 without a word, as soon as its length is known. [MQTT-3.2.2-15]
#[test]
fn maximum_packet_size_of_the_server() {
    not_for_mosquitto!("2.0.11 has no limit by default");
    let broker = Broker::start();
    let (mut client, answer) = Client::connect_with(&broker, &Connect::new(Version::V5, "c"));
    let maximum = answer
        .conn_ack()
        .properties
        .maximum_packet_size()
        .expect("announced")
        .get() as usize;
    client.subscribe(&[("size", at(QoS::AtLeastOnce))]);
    // Fixed header 4, topic 2 + 4, packet id 2, property length 1.
    let payload = vec![b'x'; maximum - 13];
    client.publish_packet(&publish("size", &payload), QoS::AtLeastOnce);
    assert_eq!(client.take().publish().payload.len(), payload.len());
    for version in VERSIONS {
        let mut client = Client::connect(&broker, version, "c");
        let remaining = u32::try_from(maximum).expect("it is a u32") - 4 + 1;
        let mut head = vec![0x30];
        let mut rest = remaining;
        while rest > 0 {
            head.push(
                u8::try_from(rest % 128).expect("below 128") | if rest >= 128 { 0x80 } else { 0 },
            );
            rest /= 128;
        }
        client.send_bytes(&head);
        client.expect_end_with(ReasonCode::PACKET_TOO_LARGE);
    }
}

/// A client's topic alias stands for its topic until it is set anew, at every QoS. [MQTT-3.3.2-12]
#[test]
fn topic_aliases_of_the_client() {
    let broker = Broker::start();
    let mut subscriber = Client::subscribed(&broker, Version::V5, "s", "#", QoS::ExactlyOnce);
    let (mut client, answer) = Client::connect_with(&broker, &Connect::new(Version::V5, "c"));
    let maximum = answer
        .conn_ack()
        .properties
        .topic_alias_maximum()
        .expect("announced");
    for (topic, alias, means) in [
        ("a/b", 1, "a/b"),
        ("", 1, "a/b"),
        ("c", maximum, "c"),
        ("", maximum, "c"),
        ("", 1, "a/b"),
        ("new", 1, "new"),
        ("", 1, "new"),
    ] {
        let properties = [Property::TopicAlias(TopicAlias::new(alias).expect("not 0"))];
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
            client.publish_packet(
                &Publish {
                    properties: Properties::List(&properties),
                    ..publish(topic, "m")
                },
                qos,
            );
            let frame = subscriber.take();
            assert_eq!(frame.text(), format!("{means}|{}|0|m", qos as u8));
            assert_eq!(
                frame.publish().properties.topic_alias(),
                None,
                "an alias of one connection is not passed on"
            );
        }
    }
}

/// An alias above the maximum is refused with 0x94, one that was never set is a protocol error; aliases end with the connection.
/// [MQTT-3.3.2-9] [MQTT-3.3.2-7] [MQTT-3.3.2-8]
#[test]
fn invalid_topic_aliases_of_the_client() {
    let broker = Broker::start();
    let (mut client, answer) = Client::connect_with(&broker, &Connect::new(Version::V5, "c"));
    let maximum = answer
        .conn_ack()
        .properties
        .topic_alias_maximum()
        .expect("announced");
    let aliased = |topic, properties: &'static [Property<'static>]| Publish {
        properties: Properties::List(properties),
        ..publish(topic, "m")
    };
    const ONE: &[Property<'_>] = &[Property::TopicAlias(TopicAlias::new(1).unwrap())];
    client.publish_packet(&aliased("t", ONE), QoS::AtLeastOnce);
    client.publish_packet(&aliased("", ONE), QoS::AtLeastOnce);
    client.disconnect();

    let mut client = Client::connect(&broker, Version::V5, "c");
    client.send(&aliased("", ONE));
    client.expect_end_with(ReasonCode::PROTOCOL_ERROR);

    let mut client = Client::connect(&broker, Version::V5, "c");
    // PUBLISH to "t" with alias 0.
    client.send_bytes(&[0x30, 0x07, 0, 1, b't', 3, 0x23, 0, 0]);
    // Mosquitto 2.0.11 calls it malformed.
    let zero = if support::broker::is_mosquitto() {
        ReasonCode::MALFORMED_PACKET
    } else {
        ReasonCode::TOPIC_ALIAS_INVALID
    };
    client.expect_end_with(zero);

    if let Some(above) = maximum.checked_add(1).and_then(TopicAlias::new) {
        let mut client = Client::connect(&broker, Version::V5, "c");
        let properties = [Property::TopicAlias(above)];
        client.send(&Publish {
            properties: Properties::List(&properties),
            ..publish("t", "m")
        });
        client.expect_end_with(ReasonCode::TOPIC_ALIAS_INVALID);
    }
}

/// A client that allows aliases is sent them, none above its maximum and each set before it is used; one that allows none is sent
/// none. [MQTT-3.1.2-26] [MQTT-3.1.2-27] [MQTT-3.3.2-11]
#[test]
fn topic_aliases_of_the_server() {
    let broker = Broker::start();
    let mut publisher = Client::connect(&broker, Version::V5, "p");
    let topics: Vec<String> = (0..6)
        .map(|n| format!("a/rather/long/topic/name/that/is/worth/an/alias/{n}"))
        .collect();
    for (maximum, properties) in [(0, &[][..]), (3, &[Property::TopicAliasMaximum(3)][..])] {
        let (mut client, _) = Client::connect_with(&broker, &with("c", properties));
        client.subscribe(&[("#", at(QoS::AtLeastOnce))]);
        let mut known: [Option<String>; 4] = [const { None }; 4];
        let mut saved = 0;
        for round in 0..5 {
            for topic in &topics {
                publisher.publish(
                    topic,
                    "m",
                    if round % 2 == 0 {
                        QoS::AtMostOnce
                    } else {
                        QoS::AtLeastOnce
                    },
                );
                let frame = client.take();
                let packet = frame.publish();
                let alias = packet
                    .properties
                    .topic_alias()
                    .map(|alias| usize::from(alias.get()));
                assert!(alias.is_none_or(|alias| alias <= maximum), "{frame:?}");
                let named = match (packet.topic, alias) {
                    ("", Some(alias)) => {
                        saved += 1;
                        known[alias].clone().expect("an alias that was set")
                    }
                    (named, Some(alias)) => known[alias].insert(named.to_owned()).clone(),
                    (named, None) => named.to_owned(),
                };
                assert_eq!(&named, topic);
            }
        }
        if maximum > 0 && !support::broker::is_mosquitto() {
            assert!(saved > 0, "the broker uses aliases where it may");
        }
        client.disconnect();
    }
}

/// Response Information is given to those that ask for it, if at all. [MQTT-3.1.2-28]
#[test]
fn response_information() {
    let broker = Broker::start();
    for (ask, properties) in [
        (false, &[][..]),
        (false, &[Property::RequestResponseInformation(false)]),
        (true, &[Property::RequestResponseInformation(true)]),
    ] {
        let (_, answer) = Client::connect_with(&broker, &with("c", properties));
        let given = answer.conn_ack().properties.response_information();
        assert!(ask || given.is_none(), "{answer:?}");
        if ask && !support::broker::is_mosquitto() {
            let given = given.expect("a client that asks is told a topic of its own");
            let mut client = Client::connect(&broker, Version::V5, "user");
            assert_eq!(
                client.subscribe(&[(&format!("{given}/#"), at(QoS::AtLeastOnce))]),
                [ReasonCode(1)]
            );
        }
    }
}

/// Nothing but PUBLISH, CONNACK and DISCONNECT carries a reason string or user properties to a client that wants none. [MQTT-3.1.2-29]
#[test]
fn request_problem_information_0_is_respected() {
    let broker = Broker::start();
    let (mut client, _) = Client::connect_with(
        &broker,
        &with("c", &[Property::RequestProblemInformation(false)]),
    );
    client.publish("nobody/listens", "m", QoS::AtLeastOnce);
    let id = client.fresh_id();
    client.send(&PubRel::new(id));
    client.send(&Unsubscribe {
        packet_id: id,
        properties: Properties::EMPTY,
        filters: UnsubscribeFilters::List(&["never"]),
    });
    for _ in 0..2 {
        let frame = client.receive();
        let properties = match frame.packet() {
            FromServer::PubComp(packet) => packet.properties,
            FromServer::UnsubAck(packet) => packet.properties,
            other => panic!("unexpected {other:?}"),
        };
        assert!(properties.is_empty(), "{frame:?}");
    }
}

/// The defaults: every QoS, retained messages, wildcards, identifiers and shared subscriptions are available, and said to be.
/// [MQTT-3.2.2-9]
#[test]
fn everything_is_available_by_default() {
    let broker = Broker::start();
    let (_, answer) = Client::connect_with(&broker, &Connect::new(Version::V5, "c"));
    let properties = answer.conn_ack().properties;
    assert_eq!(properties.maximum_qos(), None, "absent means 2");
    assert_ne!(properties.retain_available(), Some(false));
    assert_ne!(properties.wildcard_subscription_available(), Some(false));
    assert_ne!(properties.subscription_identifier_available(), Some(false));
    assert_ne!(properties.shared_subscription_available(), Some(false));
    assert_eq!(
        properties.server_keep_alive(),
        None,
        "the client's value counts"
    );
}
