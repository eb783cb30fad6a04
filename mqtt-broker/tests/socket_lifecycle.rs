//! Server duties about connections, packet by packet: three versions on one port, refusals, DISCONNECT reasons, the end of the broker.

mod support;

use core::time::Duration;

use mqtt_codec::{
    Connect, Disconnect, FromServer, PINGREQ, Properties, Property, QoS, ReasonCode, Version,
};
use support::frame::{Encode as _, VERSIONS, keeping, publish};
use support::{Broker, Client, not_for_mosquitto};

/// 3.1, 3.1.1 and 5.0 share one port, and messages pass between them in every direction.
#[test]
fn three_versions_on_one_port() {
    let broker = Broker::start();
    let mut subscribers = VERSIONS.map(|version| {
        Client::subscribed(
            &broker,
            version,
            &format!("s{version}"),
            "t/+",
            QoS::ExactlyOnce,
        )
    });
    for version in VERSIONS {
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
            Client::connect(&broker, version, "p").publish(&format!("t/{version}"), "m", qos);
            for subscriber in &mut subscribers {
                assert_eq!(
                    subscriber.take_text(),
                    format!("t/{version}|{}|0|m", qos as u8),
                    "to {}",
                    subscriber.version()
                );
            }
        }
    }
}

/// An accepted CONNECT is answered with CONNACK 0x00, byte by byte as its version has it. [3.1.1:MQTT-3.1.4-4] [MQTT-3.1.4-5] [MQTT-3.2.2-1]
#[test]
fn connack_is_that_of_the_version() {
    let broker = Broker::start();
    for version in VERSIONS {
        let (_client, answer) = Client::connect_with(&broker, &Connect::new(version, "c"));
        let start: &[u8] = if version.is_v5() {
            &[0x20, answer.bytes[1], 0, 0]
        } else {
            &[0x20, 2, 0, 0]
        };
        assert!(answer.bytes.starts_with(start), "{answer:?}");
        // With a session: Session Present in 3.1.1 and 5.0, a reserved 0 in 3.1 [3.1.1:MQTT-3.2.2-2].
        for present in [false, true] {
            let (client, answer) = Client::connect_with(&broker, &keeping(version, "kept"));
            assert_eq!(
                answer.bytes[2],
                u8::from(present && version != Version::V31),
                "{version}"
            );
            client.disconnect();
        }
        Client::connect(&broker, version, "kept").disconnect();
    }
}

/// A broker that asks for no credentials takes clients that give some; 5.0 allows a password alone. [MQTT-3.1.4-5]
#[test]
fn credentials_nobody_asked_for_are_accepted() {
    let broker = Broker::start();
    for version in VERSIONS {
        let named = Connect {
            user_name: Some("somebody"),
            ..Connect::new(version, "c")
        };
        let both = Connect {
            password: Some(b"\x00\xff"),
            ..named
        };
        let alone = Connect {
            password: Some(b"alone"),
            ..Connect::new(version, "c")
        };
        let cases = if version.is_v5() {
            &[named, both, alone][..]
        } else {
            &[named, both]
        };
        for connect in cases {
            Client::connect_with(&broker, connect).0.expect_silence();
        }
    }
}

/// PINGREQ is answered with PINGRESP. [3.1.1:MQTT-3.12.4-1] [MQTT-3.12.4-1]
#[test]
fn ping_is_answered() {
    let broker = Broker::start();
    for version in VERSIONS {
        let mut client = Client::connect(&broker, version, "c");
        for _ in 0..10 {
            client.send_bytes(&PINGREQ);
        }
        for _ in 0..10 {
            assert!(matches!(client.receive().packet(), FromServer::PingResp));
        }
    }
}

/// Nothing is answered to a connection that does not begin with CONNECT. [3.1.1:MQTT-3.1.0-1] [MQTT-3.1.0-1] [MQTT-3.14.0-1]
#[test]
fn first_packet_must_be_connect() {
    let broker = Broker::start();
    for version in VERSIONS {
        for first in [
            &PINGREQ[..],
            &[0x30, 3, 0, 1, b't'],
            &[0x82, 6, 0, 1, 0, 1, b't', 0],
            &[0xe0, 0],
            &[0xf0, 0],
            &[0x20, 2, 0, 0],
        ] {
            let mut client = Client::open(&broker, version);
            client.send_bytes(first);
            assert_eq!(client.rest(), b"", "{first:02x?}");
        }
    }
}

/// A protocol name other than MQTT or MQIsdp is not spoken here. [3.1.1:MQTT-3.1.2-1] [MQTT-3.1.2-1]
#[test]
fn foreign_protocol_name_is_refused() {
    let broker = Broker::start();
    for connect in [
        &b"\x10\x0d\x00\x04mqtt\x04\x02\x00\x3c\x00\x01c"[..],
        b"\x10\x0d\x00\x04HTTP\x05\x02\x00\x3c\x00\x01c",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ] {
        let mut client = Client::open(&broker, Version::V5);
        client.send_bytes(connect);
        let answer = client.rest();
        // A server may reveal itself as one of MQTT, by the refusal of an unsupported version.
        let refusals = [&[][..], &[0x20, 2, 0, 1], &[0x20, 3, 0, 0x84, 0]];
        assert!(
            refusals.contains(&&answer[..]),
            "{connect:02x?}: {answer:02x?}"
        );
    }
}

/// What the DISCONNECT of the server says, by what the client did wrong. [MQTT-4.13.1-1] [MQTT-3.14.2-1] [3.1.1:MQTT-4.8.0-1]
#[test]
fn disconnect_reasons() {
    not_for_mosquitto!("2.0.11 mostly closes without DISCONNECT");
    let broker = Broker::start();
    let second_connect = Connect::new(Version::V5, "c").bytes(Version::V5);
    for (what, bytes, reason) in [
        (
            "second CONNECT [MQTT-3.1.0-2]",
            &second_connect[..],
            ReasonCode::PROTOCOL_ERROR,
        ),
        (
            "packet type 0 [MQTT-2.1.3-1]",
            &[0x00, 0],
            ReasonCode::MALFORMED_PACKET,
        ),
        (
            "PINGREQ with flags [MQTT-2.1.3-1]",
            &[0xc1, 0],
            ReasonCode::MALFORMED_PACKET,
        ),
        (
            "QoS 3 [MQTT-3.3.1-4]",
            &[0x36, 6, 0, 1, b't', 0, 1, 0],
            ReasonCode::MALFORMED_PACKET,
        ),
        (
            "SUBSCRIBE with flags 0 [MQTT-3.8.1-1]",
            &[0x80, 7, 0, 1, 0, 0, 1, b't', 0],
            ReasonCode::MALFORMED_PACKET,
        ),
        (
            "SUBSCRIBE without a filter [MQTT-3.8.3-2]",
            &[0x82, 3, 0, 1, 0],
            ReasonCode::PROTOCOL_ERROR,
        ),
        (
            "reserved option bits [MQTT-3.8.3-5]",
            &[0x82, 7, 0, 1, 0, 0, 1, b't', 0x40],
            ReasonCode::MALFORMED_PACKET,
        ),
        (
            "a topic that is not UTF-8 [MQTT-1.5.4-1]",
            &[0x30, 4, 0, 1, 0xff, 0],
            ReasonCode::MALFORMED_PACKET,
        ),
        (
            "a remaining length of five bytes",
            &[0x30, 0xff, 0xff, 0xff, 0xff, 0x01],
            ReasonCode::MALFORMED_PACKET,
        ),
        (
            "a topic with a wildcard [MQTT-3.3.2-2]",
            &[0x30, 4, 0, 1, b'#', 0],
            ReasonCode::TOPIC_NAME_INVALID,
        ),
        (
            "two content types",
            &[0x30, 12, 0, 1, b't', 8, 3, 0, 1, b'a', 3, 0, 1, b'a'],
            ReasonCode::PROTOCOL_ERROR,
        ),
        (
            "AUTH without a method [MQTT-4.12.0-7]",
            &[0xf0, 0],
            ReasonCode::PROTOCOL_ERROR,
        ),
    ] {
        let mut client = Client::connect(&broker, Version::V5, "c");
        client.send_bytes(bytes);
        let answer = client.receive();
        let got = answer.disconnect().reason;
        assert_eq!(got, reason, "{what}");
        client.expect_end();
    }
    // Before 5.0 the connection is just closed.
    for version in [Version::V31, Version::V311] {
        for bytes in [
            &[0x00, 0][..],
            &[0xc1, 0],
            &[0x36, 5, 0, 1, b't', 0, 1],
            &[0x82, 2, 0, 1],
            &[0x30, 3, 0, 1, 0xff],
            &[0xf0, 0],
        ] {
            let mut client = Client::connect(&broker, version, "c");
            client.send_bytes(bytes);
            client.expect_end();
        }
    }
}

/// Nothing that follows a DISCONNECT is processed. [MQTT-3.14.4-1]
#[test]
fn nothing_is_processed_after_disconnect() {
    let broker = Broker::start();
    for version in VERSIONS {
        let mut watcher = Client::subscribed(&broker, version, "w", "after", QoS::AtMostOnce);
        let mut client = Client::connect(&broker, version, "c");
        let mut bytes = Disconnect::new(ReasonCode::SUCCESS).bytes(version);
        bytes.extend(publish("after", "m").bytes(version));
        client.send_bytes(&bytes);
        client.expect_end();
        watcher.expect_silence();
    }
}

/// Enhanced authentication with a method nobody knows is refused with 0x8C. [MQTT-4.12.0-1]
#[test]
fn unknown_authentication_method_is_refused() {
    let broker = Broker::start();
    let properties = [Property::AuthenticationMethod("carrier pigeon")];
    let connect = Connect {
        properties: Properties::List(&properties),
        ..Connect::new(Version::V5, "c")
    };
    let (mut client, answer) = Client::try_connect(&broker, &connect);
    assert_eq!(
        answer.conn_ack().reason,
        ReasonCode::BAD_AUTHENTICATION_METHOD
    );
    client.expect_end();
}

/// SIGINT: clients are told DISCONNECT 0x8B (before 5.0: closed), and the broker ends with status 0.
#[test]
fn interrupt_tells_clients_and_ends_with_status_0() {
    not_for_mosquitto!("2.0.11 closes without DISCONNECT");
    for signal in ["INT", "TERM"] {
        let mut broker = Broker::start();
        let mut clients =
            VERSIONS.map(|version| Client::connect(&broker, version, &format!("c{version}")));
        broker.process().signal(signal);
        for client in &mut clients {
            client.expect_end_with(ReasonCode::SERVER_SHUTTING_DOWN);
        }
        let status = broker.process().wait(Duration::from_secs(10));
        assert!(status.success(), "{signal}: {status}");
    }
}

/// The broker listens on every address it is given, and says so line by line.
#[test]
fn several_listeners() {
    not_for_mosquitto!("the command line is ours");
    let (broker, others) = Broker::start_with_listeners(2);
    let mut subscriber = Client::subscribed(&broker, Version::V5, "s", "t", QoS::AtLeastOnce);
    for (n, address) in others.into_iter().enumerate() {
        let mut client = Client::open_at(address, Version::V311);
        client.send(&Connect::new(Version::V311, &format!("c{n}")));
        assert_eq!(client.receive().conn_ack().reason, ReasonCode::SUCCESS);
        client.publish("t", &n.to_string(), QoS::AtLeastOnce);
        assert_eq!(subscriber.take_text(), format!("t|1|0|{n}"));
    }
}
