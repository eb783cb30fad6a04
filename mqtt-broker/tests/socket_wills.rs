//! Server duties about wills, packet by packet.

mod support;

use core::time::Duration;
use std::time::Instant;

use mqtt_codec::{Connect, Disconnect, Properties, Property, QoS, ReasonCode, Version, Will};
use support::frame::{VERSIONS, keeping};
use support::raw::let_pass;
use support::{Broker, Client, not_for_mosquitto};

const QOS: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];

fn will<'a>(topic: &'a str, payload: &'a str) -> Will<'a> {
    Will {
        topic,
        payload: payload.as_bytes(),
        qos: QoS::AtLeastOnce,
        retain: false,
        properties: Properties::EMPTY,
    }
}

fn with_will<'a>(version: Version, client_id: &'a str, will: Will<'a>) -> Connect<'a> {
    Connect {
        will: Some(will),
        ..Connect::new(version, client_id)
    }
}

/// A connection that ends without DISCONNECT publishes its will, with its QoS and RETAIN.
/// [3.1.1:MQTT-3.1.2-8] [3.1.1:MQTT-3.1.2-16] [3.1.1:MQTT-3.1.2-17] [MQTT-3.1.2-8] [MQTT-3.1.2-14] [MQTT-3.1.2-15]
#[test]
fn broken_connection_publishes_the_will() {
    let broker = Broker::start();
    for version in VERSIONS {
        let mut watcher = Client::subscribed(
            &broker,
            version,
            "watcher",
            &format!("w/{version}/#"),
            QoS::ExactlyOnce,
        );
        for qos in QOS {
            for retain in [false, true] {
                let topic = format!("w/{version}/{}/{retain}", qos as u8);
                let (client, _) = Client::connect_with(
                    &broker,
                    &with_will(
                        version,
                        "c",
                        Will {
                            qos,
                            retain,
                            ..will(&topic, "gone")
                        },
                    ),
                );
                client.cut();
                assert_eq!(watcher.take_text(), format!("{topic}|{}|0|gone", qos as u8));
                let mut late =
                    Client::subscribed(&broker, version, "late", &topic, QoS::ExactlyOnce);
                if retain {
                    assert_eq!(late.take_text(), format!("{topic}|{}|1|gone", qos as u8));
                }
                late.expect_silence();
            }
        }
    }
}

/// DISCONNECT discards the will. [3.1.1:MQTT-3.14.4-3] [3.1.1:MQTT-3.1.2-10] [MQTT-3.14.4-3] [MQTT-3.1.2-10]
#[test]
fn disconnect_discards_the_will() {
    let broker = Broker::start();
    for version in VERSIONS {
        let mut watcher = Client::subscribed(&broker, version, "watcher", "w", QoS::AtLeastOnce);
        let (client, _) =
            Client::connect_with(&broker, &with_will(version, "c", will("w", "gone")));
        client.disconnect();
        let (client, _) =
            Client::connect_with(&broker, &with_will(version, "c", will("w", "second")));
        client.cut();
        assert_eq!(watcher.take_text(), "w|1|0|second");
    }
}

/// DISCONNECT with 0x04, or with an error, publishes the will. [MQTT-3.14.4-3] [MQTT-3.1.2-8]
#[test]
fn disconnect_0x04_publishes_the_will() {
    let broker = Broker::start();
    let mut watcher = Client::subscribed(&broker, Version::V5, "watcher", "w", QoS::AtLeastOnce);
    for reason in [
        ReasonCode::DISCONNECT_WITH_WILL_MESSAGE,
        ReasonCode::UNSPECIFIED_ERROR,
    ] {
        if support::broker::is_mosquitto() && reason.is_error() {
            continue; // Mosquitto 2.0.11 discards the will at every reason but 0x04.
        }
        let (client, _) =
            Client::connect_with(&broker, &with_will(Version::V5, "c", will("w", "gone")));
        client.disconnect_with(&Disconnect::new(reason));
        assert_eq!(watcher.take_text(), "w|1|0|gone", "{reason:?}");
    }
}

/// A connection that the broker closes because of an error publishes the will. [3.1.1:MQTT-3.1.2-8] [MQTT-3.1.2-8]
#[test]
fn protocol_error_publishes_the_will() {
    let broker = Broker::start();
    for version in VERSIONS {
        let mut watcher = Client::subscribed(&broker, version, "watcher", "w", QoS::AtLeastOnce);
        let (mut client, _) =
            Client::connect_with(&broker, &with_will(version, "c", will("w", "gone")));
        // A PUBLISH of QoS 3.
        client.send_bytes(&[0x36, 0x05, 0x00, 0x01, b'x', 0x00, 0x01]);
        assert_eq!(watcher.take_text(), "w|1|0|gone", "{version}");
    }
}

/// A client that is silent for one and a half keep-alive times is closed, and its will published. [3.1.1:MQTT-3.1.2-24] [MQTT-3.1.2-22]
#[test]
fn keep_alive_timeout_publishes_the_will() {
    let broker = Broker::start();
    for version in VERSIONS {
        let mut watcher = Client::subscribed(&broker, version, "watcher", "w", QoS::AtLeastOnce);
        let connect = Connect {
            keep_alive: 1,
            ..with_will(version, "c", will("w", "silent"))
        };
        let (mut client, _) = Client::connect_with(&broker, &connect);
        let since = Instant::now();
        assert_eq!(watcher.take_text(), "w|1|0|silent");
        let waited = since.elapsed();
        assert!(
            waited > Duration::from_millis(1400),
            "{version}: {waited:?}"
        );
        if support::broker::is_mosquitto() {
            continue; // Mosquitto looks at keep-alive times every few seconds.
        }
        assert!(
            waited < Duration::from_millis(3500),
            "{version}: {waited:?}"
        );
        client.expect_end_with(ReasonCode::KEEP_ALIVE_TIMEOUT);
    }
}

/// A will with a delay is published when the delay is over, and not before. [MQTT-3.1.2-8]
#[test]
fn will_delay() {
    let broker = Broker::start();
    let mut watcher = Client::subscribed(&broker, Version::V5, "watcher", "w", QoS::AtLeastOnce);
    let delayed = Will {
        properties: Properties::List(&[Property::WillDelayInterval(2)]),
        ..will("w", "late")
    };
    let (client, _) = Client::connect_with(
        &broker,
        &Connect {
            will: Some(delayed),
            ..keeping(Version::V5, "c")
        },
    );
    let since = Instant::now();
    client.cut();
    watcher.expect_silence();
    assert_eq!(watcher.take_text(), "w|1|0|late");
    let waited = since.elapsed();
    assert!(waited > Duration::from_millis(1900), "{waited:?}");
    assert!(waited < Duration::from_millis(4500), "{waited:?}");
}

/// A client that comes back within the delay has no will published. [MQTT-3.1.3-9]
#[test]
fn will_delay_ends_with_a_reconnect() {
    let broker = Broker::start();
    let mut watcher = Client::subscribed(&broker, Version::V5, "watcher", "w", QoS::AtLeastOnce);
    let delayed = Will {
        properties: Properties::List(&[Property::WillDelayInterval(1)]),
        ..will("w", "late")
    };
    let (client, _) = Client::connect_with(
        &broker,
        &Connect {
            will: Some(delayed),
            ..keeping(Version::V5, "c")
        },
    );
    client.cut();
    let (client, _) = Client::connect_with(&broker, &keeping(Version::V5, "c"));
    let_pass(Duration::from_millis(2500));
    watcher.expect_silence();
    client.disconnect();
    watcher.expect_silence();
}

/// A delayed will is published at once when its session ends before the delay: by its own expiry, or by a clean start. [MQTT-3.1.2-8]
#[test]
fn will_delay_ends_with_the_session() {
    not_for_mosquitto!("2.0.11 waits for the delay");
    let broker = Broker::start();
    let mut watcher = Client::subscribed(&broker, Version::V5, "watcher", "w", QoS::AtLeastOnce);
    let delayed = Will {
        properties: Properties::List(&[Property::WillDelayInterval(600)]),
        ..will("w", "now")
    };
    // Without an expiry the session ends with the connection.
    let (client, _) = Client::connect_with(&broker, &with_will(Version::V5, "c", delayed));
    client.cut();
    assert_eq!(watcher.take_text(), "w|1|0|now");
    let (client, _) = Client::connect_with(
        &broker,
        &Connect {
            will: Some(delayed),
            ..keeping(Version::V5, "c")
        },
    );
    client.cut();
    Client::connect(&broker, Version::V5, "c").disconnect();
    assert_eq!(watcher.take_text(), "w|1|0|now");
    let brief = Connect {
        properties: Properties::List(&[Property::SessionExpiryInterval(1)]),
        ..keeping(Version::V5, "d")
    };
    let (client, _) = Client::connect_with(
        &broker,
        &Connect {
            will: Some(delayed),
            ..brief
        },
    );
    client.cut();
    assert_eq!(watcher.take_text(), "w|1|0|now");
}

/// The properties of a will reach its subscribers, without the delay, user properties in order. [MQTT-3.1.3-10]
#[test]
fn will_properties() {
    let broker = Broker::start();
    let mut watcher = Client::subscribed(&broker, Version::V5, "watcher", "w", QoS::AtLeastOnce);
    let properties = [
        Property::WillDelayInterval(0),
        Property::MessageExpiryInterval(60),
        Property::ContentType("text/plain"),
        Property::ResponseTopic("back"),
        Property::CorrelationData(b"data"),
        Property::UserProperty("b", "1"),
        Property::UserProperty("a", "2"),
    ];
    let rich = Will {
        properties: Properties::List(&properties),
        ..will("w", "gone")
    };
    let (client, _) = Client::connect_with(&broker, &with_will(Version::V5, "c", rich));
    client.cut();
    let frame = watcher.take();
    assert_eq!(frame.text(), "w|1|0|gone");
    let got = frame.publish().properties;
    assert_eq!(got.content_type(), Some("text/plain"));
    assert_eq!(got.response_topic(), Some("back"));
    assert_eq!(got.correlation_data(), Some(&b"data"[..]));
    assert!(
        matches!(got.message_expiry_interval(), Some(58..=60)),
        "{frame:?}"
    );
    assert_eq!(
        got.user_properties().collect::<Vec<_>>(),
        [("b", "1"), ("a", "2")]
    );
}
