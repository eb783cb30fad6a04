//! Server duties about sessions, packet by packet: takeover, expiry, the offline queue, replay, client ids.

mod support;

use core::time::Duration;

use mqtt_codec::{Connect, Disconnect, Properties, Property, QoS, ReasonCode, Version, Will};
use support::frame::{Frame, VERSIONS, at, keeping};
use support::raw::let_pass;
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
        let (mut client, present) = finds_session(&broker, connect);
        assert!(!present, "{}", connect.client_id);
        client.ping();
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
    let assigned = |frame: &Frame| {
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
