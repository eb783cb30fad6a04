//! Server duties about time, packet by packet: message expiry and keep-alive.

mod support;

use core::time::Duration;
use std::time::Instant;

use mqtt_codec::{
    Connect, Properties, Property, PubComp, PubRec, Publish, QoS, ReasonCode, Version,
};
use support::frame::{VERSIONS, at, keeping, publish};
use support::raw::let_pass;
use support::{Broker, Client, not_for_mosquitto};

/// A message that waited is sent with what is left of its expiry, or not at all; one that did not wait is unchanged; before 5.0 it
/// expires too. [MQTT-3.3.2-5] [MQTT-3.3.2-6]
#[test]
fn message_expiry() {
    let broker = Broker::start();
    for version in VERSIONS {
        let id = format!("away-{version}");
        let (mut client, _) = Client::connect_with(&broker, &keeping(version, &id));
        client.subscribe(&[("x/#", at(QoS::ExactlyOnce))]);
        client.disconnect();
    }
    let mut live = Client::subscribed(&broker, Version::V5, "live", "x/#", QoS::ExactlyOnce);
    let mut publisher = Client::connect(&broker, Version::V5, "p");
    for (topic, seconds, qos) in [
        ("x/1", 1, QoS::AtLeastOnce),
        ("x/2", 100, QoS::AtLeastOnce),
        ("x/3", 1, QoS::ExactlyOnce),
        ("x/4", 100, QoS::ExactlyOnce),
    ] {
        let properties = [Property::MessageExpiryInterval(seconds)];
        publisher.publish_packet(
            &Publish {
                properties: Properties::List(&properties),
                ..publish(topic, "m")
            },
            qos,
        );
        let left = live
            .take()
            .publish()
            .properties
            .message_expiry_interval()
            .expect("an expiry");
        assert_eq!(left, seconds, "at once");
    }
    let_pass(Duration::from_millis(2200));
    for version in VERSIONS {
        let (mut client, _) =
            Client::connect_with(&broker, &keeping(version, &format!("away-{version}")));
        for expected in ["x/2|1|0|m", "x/4|2|0|m"] {
            let frame = client.take();
            assert_eq!(frame.text(), expected, "{version}");
            let left = frame.publish().properties.message_expiry_interval();
            if version.is_v5() {
                assert!(
                    matches!(left, Some(90..=98)),
                    "{left:?} s of 100 s are left after 2.2 s"
                );
            }
        }
        client.expect_silence();
    }
}

/// A message whose delivery has begun does not expire: it is sent again, and its handshake is completed. [MQTT-4.3.3-7] [MQTT-4.3.3-13]
#[test]
fn message_expiry_spares_what_was_sent() {
    not_for_mosquitto!("2.0.11 drops it");
    let broker = Broker::start();
    let (mut client, _) = Client::connect_with(&broker, &keeping(Version::V5, "c"));
    client.subscribe(&[("begun", at(QoS::ExactlyOnce))]);
    let mut publisher = Client::connect(&broker, Version::V5, "p");
    let properties = [Property::MessageExpiryInterval(1)];
    publisher.publish_packet(
        &Publish {
            properties: Properties::List(&properties),
            ..publish("begun", "m")
        },
        QoS::ExactlyOnce,
    );
    let id = client.receive().publish_id();
    client.cut();
    let_pass(Duration::from_millis(2200));
    let (mut client, _) = Client::connect_with(&broker, &keeping(Version::V5, "c"));
    let frame = client.receive();
    assert_eq!((frame.publish_id(), frame.publish().dup), (id, true));
    client.send(&PubRec::new(id));
    assert_eq!(client.receive().pub_rel().packet_id, id);
    client.send(&PubComp::new(id));
    client.expect_silence();
}

/// A client that is silent for one and a half keep-alive times is disconnected (5.0: 0x8D); pings and half a packet keep it alive, and
/// a keep-alive of 0 asks for no limit. [MQTT-3.1.2-22] [MQTT-3.12.4-1] [3.1.1:MQTT-3.1.2-24]
#[test]
fn keep_alive() {
    let broker = Broker::start();
    for version in VERSIONS {
        let with_keep_alive = |id, keep_alive| {
            Client::connect_with(
                &broker,
                &Connect {
                    keep_alive,
                    ..Connect::new(version, id)
                },
            )
            .0
        };
        let mut silent = with_keep_alive("silent", 1);
        let mut talking = with_keep_alive("talking", 1);
        let mut patient = with_keep_alive("patient", 0);
        let since = Instant::now();
        while since.elapsed() < Duration::from_millis(2600) {
            talking.ping();
            let_pass(Duration::from_millis(400));
        }
        patient.expect_silence();
        talking.expect_silence();
        if support::broker::is_mosquitto() && version.is_v5() {
            continue; // 2.0.11 says nothing before it closes.
        }
        silent.expect_end_with(ReasonCode::KEEP_ALIVE_TIMEOUT);
    }
}
