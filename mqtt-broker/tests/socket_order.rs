//! Many clients at once: every subscriber sees every publisher's messages in order, none lost and, at QoS 2, none twice.

mod support;

use std::collections::HashMap;
use std::thread;

use mqtt_codec::{
    Connect, Delivery, Disconnect, FromServer, PubRel, Publish, QoS, ReasonCode, Version,
};
use support::frame::{VERSIONS, at, keeping, packet_id, publish};
use support::{Broker, Client};

/// Publishers, and as many subscribers; their ids fall to all workers.
const CLIENTS: u16 = 6;
/// Messages of each publisher.
const MESSAGES: u16 = 400;

fn version_of(n: u16) -> Version {
    VERSIONS[usize::from(n) % VERSIONS.len()]
}

/// Sends all its messages without waiting, then completes every handshake.
fn publish_all(mut client: Client, name: u16, qos: QoS) {
    let topic = format!("order/{name}");
    for n in 1..=MESSAGES {
        let delivery = match qos {
            QoS::AtMostOnce => Delivery::AtMostOnce,
            QoS::AtLeastOnce => Delivery::AtLeastOnce(packet_id(n)),
            QoS::ExactlyOnce => Delivery::ExactlyOnce(packet_id(n)),
        };
        client.send(&Publish {
            delivery,
            ..publish(&topic, &n.to_string())
        });
    }
    let mut open = if qos == QoS::AtMostOnce { 0 } else { MESSAGES };
    let mut acknowledged = 0;
    while open > 0 {
        let frame = client.receive();
        match frame.packet() {
            FromServer::PubAck(ack) => {
                acknowledged += 1;
                assert_eq!(
                    ack.packet_id.get(),
                    acknowledged,
                    "PUBACK in the order of PUBLISH"
                );
                open -= 1;
            }
            FromServer::PubRec(ack) => {
                acknowledged += 1;
                assert_eq!(
                    ack.packet_id.get(),
                    acknowledged,
                    "PUBREC in the order of PUBLISH"
                );
                client.send(&PubRel::new(ack.packet_id));
            }
            FromServer::PubComp(_) => open -= 1,
            other => panic!("unexpected {other:?}"),
        }
    }
    client.disconnect();
}

/// Takes the messages of all publishers and checks that each publisher's come in order, none missing.
fn take_all(client: &mut Client, qos: QoS) {
    let mut last: HashMap<String, u16> = HashMap::new();
    for _ in 0..CLIENTS * MESSAGES {
        let frame = client.take();
        let message = frame.publish();
        assert_eq!(message.delivery.qos(), qos);
        let number: u16 = str::from_utf8(message.payload)
            .ok()
            .and_then(|text| text.parse().ok())
            .expect("a number");
        let before = last.insert(message.topic.to_owned(), number).unwrap_or(0);
        assert_eq!(number, before + 1, "{} after {before}", message.topic);
    }
    client.expect_silence();
}

/// All publishers and all subscribers at the same time. [MQTT-4.6.0-2] [MQTT-4.6.0-3] [MQTT-4.6.0-5] [MQTT-4.6.0-6] [3.1.1:MQTT-4.6.0-6]
#[test]
fn messages_of_each_publisher_stay_in_order() {
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
        let broker = Broker::start();
        let subscribers: Vec<Client> = (0..CLIENTS)
            .map(|n| {
                Client::subscribed(
                    &broker,
                    version_of(n),
                    &format!("subscriber-{n}"),
                    "order/+",
                    qos,
                )
            })
            .collect();
        let publishers: Vec<Client> = (0..CLIENTS)
            .map(|n| Client::connect(&broker, version_of(n + 1), &format!("publisher-{n}")))
            .collect();
        thread::scope(|scope| {
            for mut subscriber in subscribers {
                scope.spawn(move || take_all(&mut subscriber, qos));
            }
            for (n, publisher) in (0..).zip(publishers) {
                scope.spawn(move || publish_all(publisher, n, qos));
            }
        });
    }
}

/// A subscriber that is cut off again and again in the middle gets everything in order all the same; QoS 2 nothing twice.
/// [MQTT-4.4.0-1] [MQTT-4.3.3-10] [3.1.1:MQTT-4.4.0-1]
#[test]
fn messages_stay_in_order_over_broken_connections() {
    for version in VERSIONS {
        let broker = Broker::start();
        let session = keeping(version, "unlucky");
        let (mut subscriber, _) = Client::connect_with(&broker, &session);
        subscriber.subscribe(&[("order/+", at(QoS::ExactlyOnce))]);
        let publisher = Client::connect_with(&broker, &Connect::new(Version::V311, "publisher")).0;
        thread::scope(|scope| {
            scope.spawn(move || publish_all(publisher, 0, QoS::ExactlyOnce));
            let mut next = 1;
            while next <= MESSAGES {
                for _ in 0..37 {
                    if next > MESSAGES {
                        break;
                    }
                    assert_eq!(
                        subscriber.take_text(),
                        format!("order/0|2|0|{next}"),
                        "{version}"
                    );
                    next += 1;
                }
                subscriber.cut();
                subscriber = Client::connect_with(&broker, &session).0;
            }
            subscriber.expect_silence();
            subscriber.disconnect_with(&Disconnect::new(ReasonCode::SUCCESS));
        });
    }
}
