//! Server duties about sessions, packet by packet: takeover, expiry, the offline queue, replay, client ids.

mod support;

use core::time::Duration;

use mqtt_codec::{
    Connect, Delivery, Disconnect, FromServer, Properties, Property, PubComp, PubRec, PubRel,
    Publish, QoS, ReasonCode, Version, Will,
};
use support::raw::{VERSIONS, at, keeping, let_pass, packet_id, publish};
use support::{Broker, Client};

/// Whether a CONNECT like this one finds a session. 3.1 does not tell.
fn finds_session(broker: &Broker, connect: &Connect<'_>) -> (Client, bool) {
    let (client, answer) = Client::connect_with(broker, connect);
    let present = answer.conn_ack().session_present;
    (client, present)
}

/// A second connection with a client id ends the first and goes on with its session, subscriptions included.
/// [3.1.1:MQTT-3.1.4-2] [MQTT-3.1.4-3] [3.1.1:MQTT-3.2.2-2] [MQTT-3.2.2-3]
#[test]
fn takeover_continues_the_session() {
    let broker = Broker::start();
    for version in VERSIONS {
        let (mut first, present) = finds_session(&broker, &keeping(version, "same"));
        assert!(!present);
        first.subscribe(&[("take", at(QoS::AtLeastOnce))]);
        let (mut second, present) = finds_session(&broker, &keeping(version, "same"));
        assert_eq!(present, version != Version::V31);
        if !support::broker::is_mosquitto() {
            first.expect_end_with(ReasonCode::SESSION_TAKEN_OVER);
        }
        second.publish("take", "m", QoS::AtLeastOnce);
        assert_eq!(second.take_text(), "take|1|0|m");
        second.disconnect();
        Client::connect(&broker, version, "same").disconnect();
    }
}

/// A takeover with a clean start ends the session: no subscription is left. [3.1.1:MQTT-3.1.2-6] [MQTT-3.1.2-4]
#[test]
fn takeover_with_clean_start_ends_the_session() {
    let broker = Broker::start();
    for version in VERSIONS {
        let (mut first, _) = finds_session(&broker, &keeping(version, "same"));
        first.subscribe(&[("clean", at(QoS::AtLeastOnce))]);
        let (mut second, present) = finds_session(&broker, &Connect::new(version, "same"));
        assert!(!present);
        second.publish("clean", "m", QoS::AtLeastOnce);
        second.expect_silence();
    }
}

/// The will of a connection that is taken over is published. [MQTT-3.1.2-8] [3.1.1:MQTT-3.1.2-8]
#[test]
fn takeover_publishes_the_will() {
    let broker = Broker::start();
    for version in VERSIONS {
        let mut watcher = Client::subscribed(&broker, version, "watcher", "will", QoS::AtMostOnce);
        let will = Will {
            topic: "will",
            payload: b"taken over",
            qos: QoS::AtMostOnce,
            retain: false,
            properties: Properties::EMPTY,
        };
        let (_first, _) = Client::connect_with(
            &broker,
            &Connect {
                will: Some(will),
                ..Connect::new(version, "same")
            },
        );
        let _second = Client::connect(&broker, version, "same");
        assert_eq!(watcher.take_text(), "will|0|0|taken over", "{version}");
    }
}

/// Without an expiry a 5.0 session ends with its connection, with one it ends when it is over, and never if it is the largest.
/// [MQTT-3.1.2-23] [MQTT-4.1.0-2] [MQTT-3.1.2-6]
#[test]
fn session_expiry() {
    let broker = Broker::start();
    let expiring = |id, seconds: &'static [Property<'static>]| Connect {
        clean_start: false,
        properties: Properties::List(seconds),
        ..Connect::new(Version::V5, id)
    };
    let cases = [
        (expiring("none", &[]), false),
        (
            expiring("zero", &[Property::SessionExpiryInterval(0)]),
            false,
        ),
        (
            expiring("short", &[Property::SessionExpiryInterval(1)]),
            false,
        ),
        (
            expiring("long", &[Property::SessionExpiryInterval(60)]),
            true,
        ),
        (
            expiring("ever", &[Property::SessionExpiryInterval(u32::MAX)]),
            true,
        ),
    ];
    for (connect, _) in &cases {
        let (client, present) = finds_session(&broker, connect);
        assert!(!present, "{}", connect.client_id);
        client.cut();
    }
    // Mosquitto looks at expired sessions every few seconds.
    let_pass(Duration::from_millis(if support::broker::is_mosquitto() {
        6500
    } else {
        2200
    }));
    for (connect, kept) in &cases {
        assert_eq!(
            finds_session(&broker, connect).1,
            *kept,
            "{}",
            connect.client_id
        );
    }
}

/// DISCONNECT may change the session expiry, but not from zero. [MQTT-3.1.2-23]
#[test]
fn disconnect_changes_the_session_expiry() {
    let broker = Broker::start();
    let ending = |seconds: &'static [Property<'static>]| Disconnect {
        properties: Properties::List(seconds),
        ..Disconnect::new(ReasonCode::SUCCESS)
    };
    let (client, _) = finds_session(&broker, &keeping(Version::V5, "shortened"));
    client.disconnect_with(&ending(&[Property::SessionExpiryInterval(0)]));
    assert!(!finds_session(&broker, &keeping(Version::V5, "shortened")).1);

    let brief = Connect {
        properties: Properties::List(&[Property::SessionExpiryInterval(1)]),
        ..keeping(Version::V5, "prolonged")
    };
    let (client, _) = finds_session(&broker, &brief);
    client.disconnect_with(&ending(&[Property::SessionExpiryInterval(600)]));
    let_pass(Duration::from_millis(2200));
    assert!(finds_session(&broker, &brief).1);

    if !support::broker::is_mosquitto() {
        let mut client = Client::connect(&broker, Version::V5, "revived");
        client.send(&ending(&[Property::SessionExpiryInterval(600)]));
        client.expect_end_with(ReasonCode::PROTOCOL_ERROR);
        assert!(!finds_session(&broker, &keeping(Version::V5, "revived")).1);
    }
}

/// Messages of QoS 1 and 2 wait for an absent client in the order they were published. [3.1.1:MQTT-3.1.2-5] [MQTT-4.5.0-1] [MQTT-4.6.0-5]
#[test]
fn offline_queue_keeps_the_order() {
    let broker = Broker::start();
    for version in VERSIONS {
        let (mut client, _) = finds_session(&broker, &keeping(version, "away"));
        client.subscribe(&[("off/#", at(QoS::ExactlyOnce))]);
        client.disconnect();
        let mut publisher = Client::connect(&broker, version, "publisher");
        let qos = |n: u32| {
            if n.is_multiple_of(2) {
                QoS::AtLeastOnce
            } else {
                QoS::ExactlyOnce
            }
        };
        for n in 0..50 {
            publisher.publish(&format!("off/{}", n % 3), &n.to_string(), qos(n));
        }
        let (mut client, _) = finds_session(&broker, &keeping(version, "away"));
        for n in 0..50 {
            let frame = client.take();
            assert_eq!(
                frame.text(),
                format!("off/{}|{}|0|{n}", n % 3, qos(n) as u8),
                "{version}"
            );
            assert!(!frame.publish().dup, "sent for the first time");
        }
        client.expect_silence();
        client.disconnect();
        Client::connect(&broker, version, "away").disconnect();
    }
}

/// What was not acknowledged is sent again at reconnect: same ids, same order, DUP 1; a QoS 2 message past its PUBREC as PUBREL.
/// [3.1.1:MQTT-4.4.0-1] [MQTT-4.4.0-1] [MQTT-3.3.1-1] [MQTT-4.3.3-6] [MQTT-4.6.0-1]
#[test]
fn unacknowledged_messages_are_sent_again() {
    let broker = Broker::start();
    for version in VERSIONS {
        let (mut client, _) = finds_session(&broker, &keeping(version, "flaky"));
        client.subscribe(&[("again", at(QoS::ExactlyOnce))]);
        let mut publisher = Client::connect(&broker, version, "publisher");
        for (payload, qos) in [
            ("a", QoS::AtLeastOnce),
            ("b", QoS::ExactlyOnce),
            ("c", QoS::AtLeastOnce),
            ("d", QoS::ExactlyOnce),
        ] {
            publisher.publish("again", payload, qos);
        }
        let sent = [(); 4].map(|()| client.receive());
        let received = sent[1].publish_id();
        client.send(&PubRec::new(received));
        assert_eq!(client.receive().pub_rel().packet_id, received);
        client.cut();
        let (mut client, _) = finds_session(&broker, &keeping(version, "flaky"));
        let mut published = Vec::new();
        let mut released = Vec::new();
        for _ in 0..4 {
            let frame = client.receive();
            match frame.packet() {
                FromServer::Publish(packet) => {
                    assert!(packet.dup, "{frame:?}");
                    published.push((frame.publish_id(), packet.payload.to_vec()));
                }
                FromServer::PubRel(packet) => released.push(packet.packet_id),
                other => panic!("unexpected {other:?}"),
            }
        }
        let unacknowledged = [&sent[0], &sent[2], &sent[3]];
        assert_eq!(
            published,
            unacknowledged.map(|frame| (frame.publish_id(), frame.publish().payload.to_vec())),
            "{version}"
        );
        assert_eq!(released, [received], "{version}");
        client.expect_silence();
        client.disconnect();
        Client::connect(&broker, version, "flaky").disconnect();
    }
}

/// A client that breaks off between PUBREC and PUBREL completes the message after reconnecting; it is delivered once.
/// [MQTT-4.3.3-10] [3.1.1:MQTT-4.3.3-2]
#[test]
fn qos_2_of_a_client_survives_its_connection() {
    let broker = Broker::start();
    for version in VERSIONS {
        let mut subscriber = Client::subscribed(&broker, version, "s", "once", QoS::ExactlyOnce);
        let (mut client, _) = finds_session(&broker, &keeping(version, "p"));
        for id in [5, 6] {
            client.send(&Publish {
                delivery: Delivery::ExactlyOnce(packet_id(id)),
                ..publish("once", &id.to_string())
            });
            assert_eq!(client.receive().pub_rec().packet_id.get(), id);
        }
        client.cut();
        let (mut client, _) = finds_session(&broker, &keeping(version, "p"));
        // One goes on with PUBREL, the other did not see its PUBREC and repeats the PUBLISH.
        client.send(&PubRel::new(packet_id(5)));
        assert_eq!(client.receive().pub_comp().packet_id.get(), 5);
        client.send(&Publish {
            dup: true,
            delivery: Delivery::ExactlyOnce(packet_id(6)),
            ..publish("once", "6")
        });
        assert_eq!(client.receive().pub_rec().packet_id.get(), 6);
        client.send(&PubRel::new(packet_id(6)));
        assert_eq!(client.receive().pub_comp().packet_id.get(), 6);
        client.publish("once", "end", QoS::ExactlyOnce);
        let mut got: Vec<_> = subscriber
            .take_up_to_end()
            .iter()
            .map(support::raw::Frame::text)
            .collect();
        got.sort();
        assert_eq!(got, ["once|2|0|5", "once|2|0|6"], "{version}");
        client.disconnect();
        Client::connect(&broker, version, "p").disconnect();
    }
}

/// A PUBREL that was sent before the connection broke is sent again until its PUBCOMP comes. [MQTT-4.3.3-5] [MQTT-4.4.0-1]
#[test]
fn pubrel_is_sent_again_until_pubcomp() {
    let broker = Broker::start();
    for version in VERSIONS {
        let (mut client, _) = finds_session(&broker, &keeping(version, "c"));
        client.subscribe(&[("rel", at(QoS::ExactlyOnce))]);
        client.publish("rel", "m", QoS::ExactlyOnce);
        let id = client
            .receive_where("PUBLISH", |packet| matches!(packet, FromServer::Publish(_)))
            .publish_id();
        client.send(&PubRec::new(id));
        assert_eq!(client.receive().pub_rel().packet_id, id);
        for _ in 0..2 {
            client.cut();
            (client, _) = finds_session(&broker, &keeping(version, "c"));
            assert_eq!(client.receive().pub_rel().packet_id, id, "{version}");
        }
        client.send(&PubComp::new(id));
        client.expect_silence();
        client.cut();
        let (mut client, _) = finds_session(&broker, &keeping(version, "c"));
        client.expect_silence();
        client.disconnect();
        Client::connect(&broker, version, "c").disconnect();
    }
}

/// Clean Session / Clean Start 1 without an expiry leaves nothing behind. [3.1.1:MQTT-3.1.2-6] [MQTT-3.2.2-2]
#[test]
fn clean_session_leaves_nothing_behind() {
    let broker = Broker::start();
    for version in VERSIONS {
        Client::subscribed(&broker, version, "c", "gone", QoS::AtLeastOnce).disconnect();
        Client::connect(&broker, version, "p").publish("gone", "m", QoS::AtLeastOnce);
        let (mut client, present) = finds_session(&broker, &keeping(version, "c"));
        assert!(!present);
        client.expect_silence();
        client.disconnect();
        Client::connect(&broker, version, "c").disconnect();
    }
}

/// A session serves its client in whatever version it comes back. [MQTT-3.1.3-2]
#[test]
fn session_outlives_a_change_of_version() {
    let broker = Broker::start();
    let mut publisher = Client::connect(&broker, Version::V311, "publisher");
    for (before, after) in [
        (Version::V311, Version::V5),
        (Version::V5, Version::V311),
        (Version::V31, Version::V5),
    ] {
        let (mut client, _) = finds_session(&broker, &keeping(before, "mover"));
        client.subscribe(&[("move", at(QoS::AtLeastOnce))]);
        client.disconnect();
        publisher.publish("move", "m", QoS::AtLeastOnce);
        let (mut client, present) = finds_session(&broker, &keeping(after, "mover"));
        assert!(present, "{before} to {after}");
        assert_eq!(client.take_text(), "move|1|0|m");
        client.disconnect();
        Client::connect(&broker, after, "mover").disconnect();
    }
}

/// A client without an id is given one in 5.0, told in CONNACK; a client with an id is told none. [MQTT-3.1.3-6] [MQTT-3.1.3-7] [MQTT-3.2.2-16]
#[test]
fn assigned_client_id() {
    let broker = Broker::start();
    let (_a, first) = Client::connect_with(&broker, &Connect::new(Version::V5, ""));
    let (b, second) = Client::connect_with(&broker, &keeping(Version::V5, ""));
    let assigned = |frame: &support::raw::Frame| {
        frame
            .conn_ack()
            .properties
            .assigned_client_identifier()
            .map(str::to_owned)
    };
    let (first, second) = (
        assigned(&first).expect("an id"),
        assigned(&second).expect("an id"),
    );
    assert!(!first.is_empty() && !second.is_empty());
    assert_ne!(first, second);
    b.disconnect();
    let (_b, answer) = Client::connect_with(&broker, &keeping(Version::V5, &second));
    assert!(
        answer.conn_ack().session_present,
        "the assigned id names the session"
    );
    assert_eq!(assigned(&answer), None);
}

/// An empty client id is fine in 3.1.1 with Clean Session 1, refused with 0x02 otherwise and in 3.1.
/// [3.1.1:MQTT-3.1.3-6] [3.1.1:MQTT-3.1.3-8] [3.1.1:MQTT-3.2.2-5]
#[test]
fn empty_client_id_before_5() {
    let broker = Broker::start();
    let mut first = Client::connect(&broker, Version::V311, "");
    let mut second = Client::connect(&broker, Version::V311, "");
    first.expect_silence();
    second.expect_silence();
    let clean = |version, clean_start| Connect {
        clean_start,
        ..Connect::new(version, "")
    };
    for connect in [
        clean(Version::V311, false),
        clean(Version::V31, false),
        clean(Version::V31, true),
    ] {
        let (mut client, answer) = Client::try_connect(&broker, &connect);
        assert_eq!(
            answer.bytes,
            [0x20, 2, 0, 2],
            "{} {}",
            connect.version,
            connect.clean_start
        );
        client.expect_end();
    }
}

/// Ids of 1 to 23 letters and digits, long ones and ones in UTF-8 are all accepted. [MQTT-3.1.3-5] [3.1.1:MQTT-3.1.3-5]
#[test]
fn client_ids_of_every_kind_are_accepted() {
    let broker = Broker::start();
    let long = "x".repeat(200);
    for version in VERSIONS {
        for id in [
            "a",
            "0123456789abcdefghijklmnopqrstuvwxyz",
            "ABCDEFGHIJKLMNOPQRSTUVW",
            &long,
            "sensor/β 7#+",
        ] {
            Client::connect(&broker, version, id).disconnect();
        }
    }
}

/// Sessions of many clients that come and go do not disturb each other. [MQTT-3.1.3-2]
#[test]
fn many_sessions_at_once() {
    let broker = Broker::start();
    let names: Vec<String> = (0..100).map(|n| format!("client-{n}")).collect();
    for name in &names {
        let (mut client, _) = finds_session(&broker, &keeping(Version::V5, name));
        client.subscribe(&[
            (&format!("to/{name}"), at(QoS::AtLeastOnce)),
            ("to/all", at(QoS::AtLeastOnce)),
        ]);
        client.disconnect();
    }
    let mut publisher = Client::connect(&broker, Version::V311, "publisher");
    publisher.publish("to/all", "everybody", QoS::AtLeastOnce);
    for name in &names {
        publisher.publish(&format!("to/{name}"), name, QoS::ExactlyOnce);
    }
    for name in names.iter().rev() {
        let (mut client, present) = finds_session(&broker, &keeping(Version::V311, name));
        assert!(present, "{name}");
        assert_eq!(client.take_text(), "to/all|1|0|everybody");
        assert_eq!(client.take_text(), format!("to/{name}|1|0|{name}"));
        client.expect_silence();
    }
}
