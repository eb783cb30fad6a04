//! Server duties about deliveries that outlive a connection, packet by packet: the offline queue and replay.

mod support;

use mqtt_codec::{Connect, Delivery, FromServer, PubComp, PubRec, PubRel, Publish, QoS};
use support::frame::{Frame, VERSIONS, at, keeping, packet_id, publish};
use support::{Broker, Client};

/// Whether a CONNECT like this one finds a session. 3.1 does not tell.
fn finds_session(broker: &Broker, connect: &Connect<'_>) -> (Client, bool) {
    let (client, answer) = Client::connect_with(broker, connect);
    let present = answer.conn_ack().session_present;
    (client, present)
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
            .map(Frame::text)
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
