//! What real clients do that brokers get wrong, packet by packet over TCP.

mod support;

use mqtt_codec::{
    Connect, Delivery, FromServer, PINGREQ, Properties, Property, PubComp, PubRec, PubRel, Publish,
    QoS, ReasonCode, RetainHandling, SubscriptionOptions, Version,
};
use support::frame::{Encode, Frame, VERSIONS, at, packet_id, publish};
use support::{Broker, Client, not_for_mosquitto};

const QOS: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];

/// A message is delivered at the lower of the published and the granted QoS. [3.1.1:MQTT-3.8.4-6] [MQTT-3.8.4-8]
#[test]
fn delivered_qos_is_the_lower_one() {
    let broker = Broker::start();
    for version in VERSIONS {
        for granted in QOS {
            let mut subscriber = Client::subscribed(&broker, version, "s", "t", granted);
            for published in QOS {
                let mut publisher = Client::connect(&broker, version, "p");
                publisher.publish("t", "m", published);
                assert_eq!(
                    subscriber.take_text(),
                    format!("t|{}|0|m", published.min(granted) as u8),
                    "{version} {published:?} {granted:?}"
                );
            }
        }
    }
}

/// The old connection of a client id is told DISCONNECT 0x8E in 5.0, and just closed before. [MQTT-3.1.4-3] [3.1.1:MQTT-3.1.4-2]
#[test]
fn takeover_tells_the_old_connection_with_0x8e() {
    let broker = Broker::start();
    for old in VERSIONS {
        for new in VERSIONS {
            if old.is_v5() && support::broker::is_mosquitto() {
                continue; // Mosquitto 2.0.11 closes without DISCONNECT.
            }
            let mut first = Client::connect(&broker, old, "same");
            let mut second = Client::connect(&broker, new, "same");
            first.expect_end_with(ReasonCode::SESSION_TAKEN_OVER);
            second.expect_silence();
        }
    }
}

/// No Local on a shared subscription is a protocol error. [MQTT-3.8.3-4]
#[test]
fn no_local_on_a_shared_subscription_is_a_protocol_error() {
    not_for_mosquitto!("2.0.11 grants it");
    let broker = Broker::start();
    let mut client = Client::connect(&broker, Version::V5, "c");
    // SUBSCRIBE, packet id 1, no properties, "$share/g/t", No Local and QoS 1.
    client.send_bytes(b"\x82\x10\x00\x01\x00\x00\x0a$share/g/t\x05");
    client.expect_end_with(ReasonCode::PROTOCOL_ERROR);
}

/// A 3.1.1 client may have 200 QoS 2 messages under way: all are acknowledged and all arrive, once and in order.
/// [3.1.1:MQTT-4.3.3-2] [3.1.1:MQTT-4.6.0-6]
#[test]
fn two_hundred_pipelined_qos_2_messages_of_a_v3_client_all_arrive() {
    let broker = Broker::start();
    for version in [Version::V31, Version::V311] {
        let mut subscriber =
            Client::subscribed(&broker, Version::V311, "s", "pipe", QoS::ExactlyOnce);
        let mut publisher = Client::connect(&broker, version, "p");
        for id in 1..=200 {
            publisher.send(&Publish {
                delivery: Delivery::ExactlyOnce(packet_id(id)),
                ..publish("pipe", &id.to_string())
            });
        }
        for id in 1..=200 {
            let answer = publisher.receive();
            assert_eq!(
                answer.pub_rec().packet_id.get(),
                id,
                "PUBREC in the order of PUBLISH"
            );
        }
        for id in 1..=200 {
            publisher.send(&PubRel::new(packet_id(id)));
        }
        for id in 1..=200 {
            let answer = publisher.receive();
            assert_eq!(answer.pub_comp().packet_id.get(), id);
        }
        for id in 1..=200 {
            assert_eq!(subscriber.take_text(), format!("pipe|2|0|{id}"));
        }
    }
}

/// A 3.1.1 client cannot be told Receive Maximum: more than 5.0 clients may have under way is no reason to close its connection.
#[test]
fn fifteen_hundred_pipelined_qos_2_messages_of_a_v3_client_are_taken() {
    not_for_mosquitto!("2.0.11 waits for PUBREL after its window");
    let broker = Broker::start();
    let mut publisher = Client::connect(&broker, Version::V311, "p");
    for id in 1..=1_500 {
        publisher.send(&Publish {
            delivery: Delivery::ExactlyOnce(packet_id(id)),
            ..publish("pipe", "x")
        });
    }
    for id in 1..=1_500 {
        assert_eq!(publisher.receive().pub_rec().packet_id.get(), id);
    }
}

/// CONNACK allows bursts (Receive Maximum 1,000 or more, or absent) and topic aliases. [MQTT-3.2.2-17]
#[test]
fn connack_announces_a_large_receive_maximum_and_topic_aliases() {
    let broker = Broker::start();
    let (_client, answer) = Client::connect_with(&broker, &Connect::new(Version::V5, "c"));
    let properties = answer.conn_ack().properties;
    if !support::broker::is_mosquitto() {
        assert!(
            properties
                .receive_maximum()
                .is_none_or(|maximum| maximum.get() >= 1000),
            "{answer:?}"
        );
    }
    assert!(
        properties.topic_alias_maximum().unwrap_or(0) > 0,
        "{answer:?}"
    );
}

/// A bridge sets bit 0x80 of the protocol level in 3.1 and 3.1.1: it is accepted, and gets no copy of what it published itself.
#[test]
fn bridge_bit_is_accepted() {
    let broker = Broker::start();
    for version in [Version::V31, Version::V311] {
        let connect = Connect {
            bridge: true,
            ..Connect::new(version, "bridge")
        };
        let (mut bridge, _) = Client::connect_with(&broker, &connect);
        bridge.subscribe(&[("t", at(QoS::AtLeastOnce))]);
        bridge.publish("t", "own", QoS::AtLeastOnce);
        let mut other = Client::connect(&broker, version, "other");
        other.publish_packet(
            &Publish {
                retain: true,
                ..publish("t", "other")
            },
            QoS::AtLeastOnce,
        );
        assert_eq!(
            bridge.take_text(),
            "t|1|1|other",
            "RETAIN is kept for a bridge"
        );
        other.publish_packet(
            &Publish {
                retain: true,
                ..publish("t", "")
            },
            QoS::AtLeastOnce,
        );
    }
}

/// An unsupported protocol level is answered before the connection is closed: CONNACK 0x01, or 0x84. [3.1.1:MQTT-3.1.2-2] [MQTT-3.1.2-2]
#[test]
fn unsupported_protocol_level_gets_a_connack_before_the_close() {
    let broker = Broker::start();
    for (level, connect) in [
        (6, &b"\x10\x0e\x00\x04MQTT\x06\x02\x00\x3c\x00\x00\x01c"[..]),
        (3, &b"\x10\x0d\x00\x04MQTT\x03\x02\x00\x3c\x00\x01c"[..]),
        (0x7f, &b"\x10\x0d\x00\x04MQTT\x7f\x02\x00\x3c\x00\x01c"[..]),
    ] {
        let mut client = Client::open(&broker, Version::V311);
        client.send_bytes(connect);
        // Read as bytes: which version's CONNACK it is cannot be known.
        let answer = client.rest();
        let old = [0x20, 0x02, 0x00, 0x01];
        let new = [0x20, 0x03, 0x00, 0x84, 0x00];
        assert!(
            answer == old || answer == new,
            "level {level}: {answer:02x?}"
        );
    }
}

/// A refused client id gets its CONNACK before the close: 0x02 in 3.1 and 3.1.1. [3.1.1:MQTT-3.1.3-8]
#[test]
fn refused_client_id_gets_a_connack_before_the_close() {
    let broker = Broker::start();
    for version in [Version::V31, Version::V311] {
        let connect = Connect {
            clean_start: false,
            ..Connect::new(version, "")
        };
        let (mut client, answer) = Client::try_connect(&broker, &connect);
        assert_eq!(answer.bytes, [0x20, 0x02, 0x00, 0x02], "{version}");
        client.expect_end();
    }
}

/// A 5.0 PUBREL with a reason and a User Property is still a PUBREL.
#[test]
fn pubrel_with_a_user_property_is_a_pubrel() {
    let broker = Broker::start();
    let mut subscriber = Client::subscribed(&broker, Version::V5, "s", "t", QoS::ExactlyOnce);
    let mut publisher = Client::connect(&broker, Version::V5, "p");
    let user = [
        Property::UserProperty("key", "value"),
        Property::ReasonString("why not"),
    ];
    for (id, reason) in [(1, ReasonCode::SUCCESS), (2, ReasonCode::SUCCESS)] {
        publisher.send(&Publish {
            delivery: Delivery::ExactlyOnce(packet_id(id)),
            ..publish("t", "m")
        });
        assert_eq!(publisher.receive().pub_rec().packet_id.get(), id);
        publisher.send(&PubRel {
            packet_id: packet_id(id),
            reason,
            properties: Properties::List(&user),
        });
        let answer = publisher.receive();
        assert_eq!(
            (answer.pub_comp().packet_id.get(), answer.pub_comp().reason),
            (id, ReasonCode::SUCCESS)
        );
        assert_eq!(subscriber.take_text(), "t|2|0|m");
    }
    publisher.expect_silence();
}

/// PUBRELs may come in another order than the PUBLISHes: QoS 2 state is kept by packet id. [MQTT-4.3.3-11]
#[test]
fn pubrels_in_another_order_complete_their_messages() {
    let broker = Broker::start();
    for version in VERSIONS {
        let mut subscriber = Client::subscribed(&broker, version, "s", "t", QoS::ExactlyOnce);
        let mut publisher = Client::connect(&broker, version, "p");
        for id in [10, 20, 30, 40] {
            publisher.send(&Publish {
                delivery: Delivery::ExactlyOnce(packet_id(id)),
                ..publish("t", &id.to_string())
            });
            assert_eq!(publisher.receive().pub_rec().packet_id.get(), id);
        }
        for id in [30, 10, 40, 20] {
            publisher.send(&PubRel::new(packet_id(id)));
            assert_eq!(publisher.receive().pub_comp().packet_id.get(), id);
        }
        let mut got = [(); 4].map(|()| subscriber.take_text());
        got.sort();
        assert_eq!(got, [10, 20, 30, 40].map(|id| format!("t|2|0|{id}")));
        // The subscriber's side: its PUBRECs in another order are answered each by its own PUBREL.
        for n in 0..3 {
            publisher.publish("t", &n.to_string(), QoS::ExactlyOnce);
        }
        let waiting = [(); 3].map(|()| subscriber.receive().publish_id());
        for id in [waiting[2], waiting[0], waiting[1]] {
            subscriber.send(&PubRec::new(id));
            assert_eq!(subscriber.receive().pub_rel().packet_id, id);
        }
        for id in waiting {
            subscriber.send(&PubComp::new(id));
        }
        subscriber.expect_silence();
    }
}

/// A repeated QoS 2 PUBLISH before its PUBREL is acknowledged again and delivered once; afterwards the id is a new message.
/// [MQTT-4.3.3-10] [MQTT-4.3.3-12] [3.1.1:MQTT-4.3.3-2]
#[test]
fn duplicate_qos_2_publish_is_delivered_once() {
    not_for_mosquitto!("2.0.11 closes the connection at the second repetition");
    let broker = Broker::start();
    for version in VERSIONS {
        let mut subscriber = Client::subscribed(&broker, version, "s", "t", QoS::ExactlyOnce);
        let mut publisher = Client::connect(&broker, version, "p");
        for round in ["first", "second"] {
            for dup in [false, true, true] {
                publisher.send(&Publish {
                    dup,
                    delivery: Delivery::ExactlyOnce(packet_id(7)),
                    ..publish("t", round)
                });
                assert_eq!(publisher.receive().pub_rec().packet_id.get(), 7);
            }
            publisher.send(&PubRel::new(packet_id(7)));
            assert_eq!(publisher.receive().pub_comp().packet_id.get(), 7);
        }
        publisher.publish("t", "end", QoS::ExactlyOnce);
        let got: Vec<_> = subscriber
            .take_up_to_end()
            .iter()
            .map(Frame::text)
            .collect();
        assert_eq!(got, ["t|2|0|first", "t|2|0|second"], "{version}");
    }
}

/// A PUBREL for an id the broker does not know is answered: PUBCOMP, in 5.0 with Packet Identifier Not Found. [MQTT-4.3.3-11]
#[test]
fn pubrel_of_an_unknown_id_is_answered() {
    let broker = Broker::start();
    for version in VERSIONS {
        let mut client = Client::connect(&broker, version, "c");
        client.send(&PubRel::new(packet_id(99)));
        let answer = client.receive();
        assert_eq!(answer.pub_comp().packet_id.get(), 99);
        let reason = answer.pub_comp().reason;
        assert!(
            !version.is_v5()
                || [ReasonCode::PACKET_IDENTIFIER_NOT_FOUND, ReasonCode::SUCCESS].contains(&reason),
            "{answer:?}"
        );
    }
}

/// Several packets in one segment and one packet in many segments are the same to the broker. [MQTT-4.2-1]
#[test]
fn packets_need_not_align_with_segments() {
    let broker = Broker::start();
    for version in VERSIONS {
        let mut bytes = Encode::bytes(&Connect::new(version, "c"), version);
        bytes.extend(Encode::bytes(&publish("t", "m"), version));
        bytes.extend(PINGREQ);
        let mut subscriber = Client::subscribed(&broker, version, "s", "t", QoS::AtMostOnce);
        for chunk in [bytes.len(), 1, 3] {
            let mut client = Client::open(&broker, version);
            for part in bytes.chunks(chunk) {
                client.send_bytes(part);
            }
            assert_eq!(client.receive().conn_ack().reason, ReasonCode::SUCCESS);
            assert!(matches!(client.receive().packet(), FromServer::PingResp));
            assert_eq!(subscriber.take_text(), "t|0|0|m");
        }
    }
}

/// A packet may follow CONNECT before CONNACK has come: PUBLISH and SUBSCRIBE are then processed. [MQTT-3.1.4-5]
#[test]
fn packets_may_follow_connect_at_once() {
    let broker = Broker::start();
    for version in VERSIONS {
        let mut subscriber = Client::subscribed(&broker, version, "s", "eager", QoS::AtLeastOnce);
        let mut client = Client::open(&broker, version);
        client.send(&Connect::new(version, "c"));
        client.publish("eager", "m", QoS::AtLeastOnce);
        assert_eq!(client.receive().conn_ack().reason, ReasonCode::SUCCESS);
        assert_eq!(subscriber.take_text(), "eager|1|0|m");
    }
}

/// Retain handling and the other options of one SUBSCRIBE count filter by filter. [MQTT-3.8.4-5]
#[test]
fn options_count_filter_by_filter() {
    let broker = Broker::start();
    let mut client = Client::connect(&broker, Version::V5, "c");
    for topic in ["a", "b"] {
        client.publish_packet(
            &Publish {
                retain: true,
                ..publish(topic, "kept")
            },
            QoS::AtLeastOnce,
        );
    }
    let silent = SubscriptionOptions {
        retain_handling: RetainHandling::DoNotSend,
        ..at(QoS::AtLeastOnce)
    };
    let codes = client.subscribe(&[("a", silent), ("b", at(QoS::AtMostOnce))]);
    assert_eq!(codes, [ReasonCode(1), ReasonCode(0)]);
    assert_eq!(client.take_text(), "b|0|1|kept");
    client.expect_silence();
}

/// MQTT 3.1 has a DUP flag on SUBSCRIBE, UNSUBSCRIBE and PUBREL; clients of that time set it when they repeat one.
#[test]
fn dup_flag_of_3_1_packets_is_accepted() {
    let broker = Broker::start();
    let mut client = Client::connect(&broker, Version::V31, "c");
    client.send_bytes(&[0x8a, 6, 0, 1, 0, 1, b't', 2]);
    assert_eq!(client.receive().bytes, [0x90, 3, 0, 1, 2]);
    client.send_bytes(&[0x34, 6, 0, 1, b't', 0, 7, b'm']);
    assert_eq!(
        client
            .receive_where("PUBREC", |packet| matches!(packet, FromServer::PubRec(_)))
            .bytes,
        [0x50, 2, 0, 7]
    );
    client.send_bytes(&[0x6a, 2, 0, 7]);
    assert_eq!(
        client
            .receive_where("PUBCOMP", |packet| matches!(packet, FromServer::PubComp(_)))
            .bytes,
        [0x70, 2, 0, 7]
    );
    assert_eq!(client.take_text(), "t|2|0|m");
    client.send_bytes(&[0xaa, 5, 0, 2, 0, 1, b't']);
    assert_eq!(client.receive().bytes, [0xb0, 2, 0, 2]);
    client.expect_silence();
}
