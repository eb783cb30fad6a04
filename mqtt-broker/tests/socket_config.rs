//! What the configuration file changes on the wire, and what is said about a file that is wrong.

mod support;

use core::time::Duration;
use std::process::Command;
use std::time::Instant;

use mqtt_codec::{
    Connect, Delivery, Filters, FromServer, Properties, Property, Publish, QoS, ReasonCode,
    Subscribe, SubscribeFilter, TopicAlias, Version, Will,
};
use support::frame::{Encode as _, VERSIONS, at, keeping, packet_id, publish};
use support::raw::let_pass;
use support::{Broker, Client, Tool, broker, not_for_mosquitto};

fn configured(toml: &str) -> Broker {
    Broker::configured(toml, "")
}

/// The server's keep-alive counts when the client asks for a longer one or none, and a 5.0 client is told. [MQTT-3.1.2-21] [MQTT-3.1.2-22]
#[test]
fn server_keep_alive() {
    not_for_mosquitto!("the configuration is ours");
    let broker = configured("[limits]\nkeep_alive_maximum = 2\n");
    for (asked, told) in [(1, None), (2, None), (60, Some(2)), (0, Some(2))] {
        let connect = Connect {
            keep_alive: asked,
            ..Connect::new(Version::V5, "c")
        };
        let (_client, answer) = Client::connect_with(&broker, &connect);
        assert_eq!(
            answer.conn_ack().properties.server_keep_alive(),
            told,
            "{asked} s asked for"
        );
    }
    let since = Instant::now();
    let connect = Connect {
        keep_alive: 0,
        ..Connect::new(Version::V5, "silent")
    };
    let (mut client, _) = Client::connect_with(&broker, &connect);
    client.expect_end_with(ReasonCode::KEEP_ALIVE_TIMEOUT);
    assert!(
        since.elapsed() > Duration::from_millis(2900),
        "{:?}",
        since.elapsed()
    );
}

/// A lower maximum QoS is announced; what is above it is refused with 0x9B, but may be subscribed to.
/// [MQTT-3.2.2-9] [MQTT-3.2.2-10] [MQTT-3.2.2-11] [MQTT-3.2.2-12]
#[test]
fn maximum_qos() {
    not_for_mosquitto!("the configuration is ours");
    let broker = configured("[limits]\nmaximum_qos = 1\n");
    let (mut client, answer) = Client::connect_with(&broker, &Connect::new(Version::V5, "c"));
    assert_eq!(
        answer.conn_ack().properties.maximum_qos(),
        Some(QoS::AtLeastOnce)
    );
    let granted = client.subscribe(&[("t", at(QoS::ExactlyOnce))]);
    assert!(!granted[0].is_error(), "{granted:?}");
    client.publish("t", "m", QoS::AtLeastOnce);
    assert_eq!(client.take_text(), "t|1|0|m");
    client.send(&Publish {
        delivery: Delivery::ExactlyOnce(packet_id(9)),
        ..publish("t", "m")
    });
    client.expect_end_with(ReasonCode::QOS_NOT_SUPPORTED);
    let will = Will {
        topic: "w",
        payload: b"m",
        qos: QoS::ExactlyOnce,
        retain: false,
        properties: Properties::EMPTY,
    };
    let (mut client, answer) = Client::try_connect(
        &broker,
        &Connect {
            will: Some(will),
            ..Connect::new(Version::V5, "c")
        },
    );
    assert_eq!(answer.conn_ack().reason, ReasonCode::QOS_NOT_SUPPORTED);
    client.expect_end();
}

/// Without retained messages CONNACK says so, and RETAIN is refused with 0x9A. [MQTT-3.2.2-13] [MQTT-3.2.2-14]
#[test]
fn retain_not_available() {
    not_for_mosquitto!("the configuration is ours");
    let broker = configured("[limits]\nretain_available = false\n");
    let (mut client, answer) = Client::connect_with(&broker, &Connect::new(Version::V5, "c"));
    assert_eq!(answer.conn_ack().properties.retain_available(), Some(false));
    client.send(&Publish {
        retain: true,
        ..publish("t", "m")
    });
    client.expect_end_with(ReasonCode::RETAIN_NOT_SUPPORTED);
    let will = Will {
        topic: "w",
        payload: b"m",
        qos: QoS::AtMostOnce,
        retain: true,
        properties: Properties::EMPTY,
    };
    let (mut client, answer) = Client::try_connect(
        &broker,
        &Connect {
            will: Some(will),
            ..Connect::new(Version::V5, "c")
        },
    );
    assert_eq!(answer.conn_ack().reason, ReasonCode::RETAIN_NOT_SUPPORTED);
    client.expect_end();
}

/// Response Information is made of the prefix and the client id, for those that ask; without a prefix there is none. [MQTT-3.1.2-28]
#[test]
fn response_prefix() {
    not_for_mosquitto!("the configuration is ours");
    let ask = [Property::RequestResponseInformation(true)];
    let connect = Connect {
        properties: Properties::List(&ask),
        ..Connect::new(Version::V5, "asker")
    };
    for (toml, given) in [
        (
            "[limits]\nresponse_prefix = \"answers/\"\n",
            Some("answers/asker"),
        ),
        ("[limits]\nresponse_prefix = \"\"\n", None),
    ] {
        let broker = configured(toml);
        let (_client, answer) = Client::connect_with(&broker, &connect);
        assert_eq!(answer.conn_ack().properties.response_information(), given);
    }
}

/// A CONNECT that takes longer than the time-out is given up, with whatever was sent of it.
#[test]
fn connect_timeout() {
    not_for_mosquitto!("the configuration is ours");
    let broker = configured("[limits]\nconnect_timeout_ms = 1000\n");
    let since = Instant::now();
    let mut silent = Client::open(&broker, Version::V5);
    let mut slow = Client::open(&broker, Version::V5);
    slow.send_bytes(&Connect::new(Version::V5, "slow").bytes(Version::V5)[..8]);
    let mut connected = Client::connect(&broker, Version::V5, "connected");
    silent.expect_end();
    slow.expect_end();
    assert!(
        (900..4000).contains(&since.elapsed().as_millis()),
        "{:?}",
        since.elapsed()
    );
    connected.expect_silence();
}

/// A session is kept no longer than the server's maximum, which CONNACK tells. [MQTT-3.1.2-23] [MQTT-4.1.0-2]
#[test]
fn session_expiry_maximum() {
    not_for_mosquitto!("the configuration is ours");
    let broker = configured("[limits]\nsession_expiry_maximum = 1\n");
    for version in VERSIONS {
        let (mut client, answer) = Client::connect_with(&broker, &keeping(version, "c"));
        if version.is_v5() {
            assert_eq!(
                answer.conn_ack().properties.session_expiry_interval(),
                Some(1)
            );
        }
        client.subscribe(&[("t", at(QoS::AtLeastOnce))]);
        client.disconnect();
        let_pass(Duration::from_millis(2200));
        let (client, answer) = Client::connect_with(&broker, &keeping(version, "c"));
        assert!(!answer.conn_ack().session_present, "{version}");
        client.disconnect();
        Client::connect(&broker, version, "c").disconnect();
    }
}

/// The limits that CONNACK announces are the configured ones, and are kept. [MQTT-3.2.2-15] [MQTT-3.2.2-17] [MQTT-3.3.4-7]
#[test]
fn announced_limits() {
    not_for_mosquitto!("the configuration is ours");
    let broker = configured(
        "[limits]\nreceive_maximum = 5\nmaximum_packet_size = 1000\ntopic_alias_maximum = 2\n",
    );
    let (_, answer) = Client::connect_with(&broker, &Connect::new(Version::V5, "c"));
    let properties = answer.conn_ack().properties;
    assert_eq!(
        properties.receive_maximum().map(|maximum| maximum.get()),
        Some(5)
    );
    assert_eq!(
        properties
            .maximum_packet_size()
            .map(|maximum| maximum.get()),
        Some(1000)
    );
    assert_eq!(properties.topic_alias_maximum(), Some(2));

    let mut client = Client::connect(&broker, Version::V5, "c");
    for id in 1..=5 {
        client.send(&Publish {
            delivery: Delivery::ExactlyOnce(packet_id(id)),
            ..publish("t", "m")
        });
        assert_eq!(client.receive().pub_rec().packet_id.get(), id);
    }
    client.send(&Publish {
        delivery: Delivery::ExactlyOnce(packet_id(6)),
        ..publish("t", "m")
    });
    client.expect_end_with(ReasonCode::RECEIVE_MAXIMUM_EXCEEDED);

    let mut client = Client::connect(&broker, Version::V5, "c");
    client.send(&publish("t", &[0; 1000]));
    client.expect_end_with(ReasonCode::PACKET_TOO_LARGE);

    let mut client = Client::connect(&broker, Version::V5, "c");
    let alias = [Property::TopicAlias(TopicAlias::new(3).expect("not 0"))];
    client.send(&Publish {
        properties: Properties::List(&alias),
        ..publish("t", "m")
    });
    client.expect_end_with(ReasonCode::TOPIC_ALIAS_INVALID);
}

/// A subscription above the limit of a client is refused with 0x97 in 5.0 and 0x80 before; replacing one is not. [MQTT-3.8.4-7] [3.1.1:MQTT-3.9.3-2]
#[test]
fn subscriptions_per_client() {
    not_for_mosquitto!("the configuration is ours");
    let broker = configured("[limits]\nsubscriptions_per_client = 2\n");
    for version in [Version::V311, Version::V5] {
        let mut client = Client::connect(&broker, version, "c");
        let filters = ["a", "b", "c"].map(|filter| (filter, at(QoS::AtLeastOnce)));
        let refused = ReasonCode(if version.is_v5() { 0x97 } else { 0x80 });
        assert_eq!(
            client.subscribe(&filters),
            [ReasonCode(1), ReasonCode(1), refused],
            "{version}"
        );
        let again = client.subscribe(&[("a", at(QoS::ExactlyOnce))]);
        assert_eq!(again, [ReasonCode(2)], "{version}");
        client.unsubscribe(&["a"]);
        assert_eq!(
            client.subscribe(&[("c", at(QoS::AtLeastOnce))]),
            [ReasonCode(1)]
        );
    }
}

/// Messages beyond the limit of an absent client's queue are not kept, the first ones are.
#[test]
fn queue_limit() {
    not_for_mosquitto!("the configuration is ours");
    let broker = configured("[limits]\nqueue_messages = 10\n");
    let (mut client, _) = Client::connect_with(&broker, &keeping(Version::V311, "away"));
    client.subscribe(&[("q", at(QoS::AtLeastOnce))]);
    client.disconnect();
    let mut publisher = Client::connect(&broker, Version::V5, "p");
    for n in 0..20 {
        publisher.publish("q", &n.to_string(), QoS::AtLeastOnce);
    }
    let (mut client, _) = Client::connect_with(&broker, &keeping(Version::V311, "away"));
    let mut kept = Vec::new();
    client.ping();
    while let Some(frame) = client.waiting() {
        kept.push(frame.text());
    }
    assert_eq!(kept.len(), 10, "{kept:?}");
}

/// With the other policy the last ones are kept; and all absent clients together have a limit, while who is there gets everything.
#[test]
fn queue_policy_and_total() {
    not_for_mosquitto!("the configuration is ours");
    let broker = configured(
        "[limits]\nqueue_messages = 3\nqueue_total_messages = 4\nqueue_policy = \"drop-oldest\"\n",
    );
    for name in ["a", "b"] {
        let (mut client, _) = Client::connect_with(&broker, &keeping(Version::V311, name));
        client.subscribe(&[(&format!("{name}/+"), at(QoS::AtLeastOnce))]);
        client.disconnect();
    }
    let mut here = Client::connect(&broker, Version::V5, "here");
    here.subscribe(&[("+/q", at(QoS::AtLeastOnce))]);
    let mut publisher = Client::connect(&broker, Version::V5, "p");
    for topic in ["a/q", "b/q"] {
        for n in 0..5 {
            publisher.publish(topic, &n.to_string(), QoS::AtLeastOnce);
            assert_eq!(here.take_text(), format!("{topic}|1|0|{n}"));
        }
    }
    for (name, expected) in [("a", &["2", "3", "4"][..]), ("b", &["4"])] {
        let (mut client, _) = Client::connect_with(&broker, &keeping(Version::V311, name));
        let mut kept = Vec::new();
        client.ping();
        while let Some(frame) = client.waiting() {
            kept.push(frame.text());
        }
        let expected: Vec<String> = (expected.iter())
            .map(|n| format!("{name}/q|1|0|{n}"))
            .collect();
        assert_eq!(kept, expected);
    }
}

/// A topic with more levels than allowed is refused. [MQTT-4.7.3-3]
#[test]
fn topic_levels() {
    not_for_mosquitto!("the configuration is ours");
    let broker = configured("[limits]\ntopic_levels = 3\n");
    let mut client = Client::connect(&broker, Version::V5, "c");
    assert_eq!(
        client.subscribe(&[("a/b/#", at(QoS::AtLeastOnce))]),
        [ReasonCode(1)]
    );
    client.publish("a/b/c", "m", QoS::AtLeastOnce);
    assert_eq!(client.take_text(), "a/b/c|1|0|m");
    client.send(&publish("a/b/c/d", "m"));
    client.expect_end_with(ReasonCode::TOPIC_NAME_INVALID);
    let mut client = Client::connect(&broker, Version::V5, "c");
    let filters = [SubscribeFilter {
        filter: "a/b/c/d",
        options: at(QoS::AtLeastOnce),
    }];
    let packet_id = client.fresh_id();
    client.send(&Subscribe {
        packet_id,
        properties: Properties::EMPTY,
        filters: Filters::List(&filters),
    });
    let answer = client.receive();
    match answer.packet() {
        FromServer::SubAck(packet) => {
            assert!(packet.codes.iter().all(ReasonCode::is_error), "{answer:?}");
        }
        _ => assert_eq!(answer.disconnect().reason, ReasonCode::TOPIC_FILTER_INVALID),
    }
}

/// More user properties than allowed are refused. [MQTT-4.13.1-1]
#[test]
fn user_properties() {
    not_for_mosquitto!("the configuration is ours");
    let broker = configured("[limits]\nuser_properties = 2\n");
    let users = [Property::UserProperty("k", "v"); 3];
    let mut client = Client::connect(&broker, Version::V5, "c");
    client.publish_packet(
        &Publish {
            properties: Properties::List(&users[..2]),
            ..publish("t", "m")
        },
        QoS::AtLeastOnce,
    );
    client.send(&Publish {
        properties: Properties::List(&users),
        ..publish("t", "m")
    });
    let answer = client.receive();
    assert!(answer.disconnect().reason.is_error(), "{answer:?}");
    client.expect_end();
}

/// Runs our broker with a configuration that it must refuse, and gives what it says.
fn refused(toml: &str) -> String {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let file = folder.path().join("wrong.toml");
    std::fs::write(&file, toml).expect("the temporary folder is writable");
    let mut tool = Tool::spawn(
        Command::new(broker::program())
            .args(["--listen", "127.0.0.1:0", "--config"])
            .arg(&file),
    );
    let status = tool.wait(Duration::from_secs(10));
    assert!(!status.success(), "{status}");
    tool.rest().join("\n")
}

/// An unknown key is refused with file, line and the nearest valid key, an ill-typed one with what it takes.
#[test]
fn wrong_configuration_is_refused() {
    not_for_mosquitto!("the configuration is ours");
    let said = refused("[limits]\nreceive_maximum = 10\nqueue_mesages = 5\n");
    assert!(
        said.contains("wrong.toml:3") && said.contains("queue_messages"),
        "{said}"
    );
    let said = refused("\nworkers = \"many\"\n");
    assert!(
        said.contains("wrong.toml:2") && said.contains("workers"),
        "{said}"
    );
    let said = refused("listen = [\n");
    assert!(said.contains("wrong.toml:"), "{said}");
}

/// A port that is in use and an address that other machines can reach are refused in words that help.
#[test]
fn impossible_listeners_are_refused() {
    not_for_mosquitto!("the command line is ours");
    let broker = Broker::start();
    for (listen, word) in [
        (broker.address().to_string(), "in use"),
        ("0.0.0.0:0".to_owned(), "anonymous"),
    ] {
        let mut tool = Tool::spawn(Command::new(broker::program()).args(["--listen", &listen]));
        let status = tool.wait(Duration::from_secs(10));
        let said = tool.rest().join("\n");
        assert!(!status.success() && said.contains(word), "{status}: {said}");
    }
}
