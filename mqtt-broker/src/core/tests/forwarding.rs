//! What of a message reaches its subscribers as it was published, what does not, whom it reaches, and in which order.

use mqtt_codec::{
    Connect, Decoded, Decoder, Delivery, FromServer, Packet, PayloadFormat, Properties, Property,
    Publish, QoS, Version,
};
use mqtt_topic::{TopicFilter, TopicName};

use super::client::{Message, Seen};
use super::net::Net;

const ALL: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];
const BOTH: [Version; 2] = [Version::V311, Version::V5];

/// A client whose session is kept, in either version.
fn keeping(version: Version, name: &str) -> Connect<'_> {
    const DAY: &[Property<'static>] = &[Property::SessionExpiryInterval(86_400)];
    Connect {
        clean_start: false,
        properties: if version.is_v5() {
            Properties::List(DAY)
        } else {
            Properties::EMPTY
        },
        ..Connect::new(version, name)
    }
}

/// The properties of every PUBLISH that a client of 5.0 ever received, in their order.
fn properties(net: &Net, client: usize) -> Vec<String> {
    let decoder = Decoder::new(Version::V5);
    let mut rest = net.transcript(client);
    let mut all = Vec::new();
    while let Ok(Decoded::Complete { packet, len }) = decoder.from_server(rest) {
        if let FromServer::Publish(publish) = packet {
            let list: Vec<_> = publish.properties.iter().collect();
            all.push(format!("{list:?}"));
        }
        rest = &rest[len..];
    }
    all
}

/// Payload Format Indicator [MQTT-3.3.2-4], Response Topic [MQTT-3.3.2-15], Correlation Data [MQTT-3.3.2-16], User Properties
/// [MQTT-3.3.2-17] in their order [MQTT-3.3.2-18] and Content Type [MQTT-3.3.2-20] arrive unaltered: live, retained, and after waiting
/// for an offline client.
#[test]
fn properties_arrive_unaltered() {
    let lists: [&[Property<'_>]; 4] = [
        &[
            Property::PayloadFormatIndicator(PayloadFormat::Utf8),
            Property::ContentType("text/plain; charset=utf-8"),
            Property::ResponseTopic("answers/ä"),
            Property::CorrelationData(b"\0\xFF\x01"),
            Property::UserProperty("z", "1"),
            Property::UserProperty("a", "2"),
            Property::UserProperty("z", "3"),
            Property::UserProperty("z", "1"),
            Property::UserProperty("", ""),
        ],
        &[
            Property::PayloadFormatIndicator(PayloadFormat::Unspecified),
            Property::ContentType(""),
            Property::CorrelationData(b""),
        ],
        &[Property::UserProperty("only", "one")],
        &[],
    ];
    for workers in [1, 3] {
        for list in lists {
            for qos in ALL {
                let mut net = Net::new(workers);
                let away = net.persistent("away");
                net.subscribe(away, "t", QoS::ExactlyOnce);
                net.cut(away);
                let live = net.connect("live");
                net.subscribe(live, "t", QoS::ExactlyOnce);
                let publisher = net.connect("pub");
                net.publish_with(publisher, "t", "x", qos, true, list);
                let late = net.connect("late");
                net.subscribe(late, "t", QoS::ExactlyOnce);
                let back = net.reconnect(away, &super::net::resume("away"));
                let mut expected = vec![live, late];
                if qos != QoS::AtMostOnce {
                    expected.push(back);
                }
                for client in expected {
                    assert_eq!(properties(&net, client), [format!("{list:?}")], "{qos:?}");
                }
            }
        }
    }
}

/// DUP of what the broker sends says nothing about DUP of what it received [MQTT-3.3.1-3], [3.1.1:MQTT-3.3.1-3].
#[test]
fn dup_is_not_passed_on() {
    for workers in [1, 3] {
        for version in BOTH {
            let mut net = Net::new(workers);
            let sub = net.connect_with(&Connect::new(version, "sub"));
            net.subscribe(sub, "t", QoS::ExactlyOnce);
            let publisher = net.connect_with(&Connect::new(version, "pub"));
            for number in 0..4 {
                let id = net.next_id(publisher);
                let packet = Packet::Publish(Publish {
                    dup: number % 2 == 0,
                    retain: false,
                    delivery: if number < 2 {
                        Delivery::AtLeastOnce(id)
                    } else {
                        Delivery::ExactlyOnce(id)
                    },
                    topic: "t",
                    properties: Properties::EMPTY,
                    payload: b"x",
                });
                net.packet(publisher, &packet);
            }
            let messages = net.received(sub);
            assert_eq!(messages.len(), 4);
            assert!(messages.iter().all(|message| !message.dup), "{version}");
        }
    }
}

/// Each subscriber gets the messages whose topic its filter matches, under the topic that they were published to, and no other
/// [MQTT-3.3.2-3], [3.1.1:MQTT-3.3.2-3].
#[test]
fn a_subscriber_gets_what_its_filter_matches() {
    let filters = [
        "a", "a/b", "a/+", "a/#", "#", "+", "+/b", "/+", "$x/#", "a/", "A",
    ];
    let topics = [
        "a", "a/b", "a/b/c", "/a", "a/", "A", "b/b", "$x/a", "$x", "/", "c",
    ];
    for workers in [1, 3] {
        for version in BOTH {
            let mut net = Net::new(workers);
            let subscribers: Vec<(usize, &str)> = filters
                .into_iter()
                .map(|filter| {
                    let client = net.connect_with(&Connect::new(version, filter));
                    net.subscribe(client, filter, QoS::AtLeastOnce);
                    (client, filter)
                })
                .collect();
            let publisher = net.connect_with(&Connect::new(version, "pub"));
            for topic in topics {
                net.publish(publisher, topic, topic, QoS::AtLeastOnce);
            }
            for (client, text) in subscribers {
                let filter = TopicFilter::new(text).unwrap();
                let messages = net.received(client);
                assert!(
                    messages
                        .iter()
                        .all(|message| message.topic == message.text())
                );
                let got: Vec<&str> = messages
                    .iter()
                    .map(|message| message.topic.as_str())
                    .collect();
                let mut expected = topics.to_vec();
                expected.retain(|topic| filter.matches(&TopicName::new(topic).unwrap()));
                assert_eq!(got, expected, "{version}, {text}");
            }
        }
    }
}

/// A message that was acknowledged goes to the session of every client that is subscribed, here, at another worker, or offline
/// [MQTT-4.5.0-1], [3.1.1:MQTT-4.5.0-1], where it waits [3.1.1:MQTT-3.1.2-5].
#[test]
fn every_subscribed_session_gets_the_message() {
    for workers in [1, 3] {
        for version in BOTH {
            for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
                let mut net = Net::new(workers);
                let names: Vec<String> = (0..12).map(|number| format!("c{number}")).collect();
                let clients: Vec<usize> = names
                    .iter()
                    .map(|name| {
                        let client = net.connect_with(&keeping(version, name));
                        net.subscribe(client, "t/+", qos);
                        client
                    })
                    .collect();
                for client in clients.iter().step_by(2) {
                    net.cut(*client);
                }
                let publisher = net.connect_with(&Connect::new(version, "pub"));
                net.publish(publisher, "t/1", "for all", qos);
                let acknowledged = net
                    .seen(publisher)
                    .iter()
                    .any(|seen| matches!(seen, Seen::PubAck(..) | Seen::PubComp(..)));
                assert!(acknowledged);
                for (number, client) in clients.into_iter().enumerate() {
                    let client = if number % 2 == 0 {
                        net.reconnect(client, &keeping(version, &names[number]))
                    } else {
                        client
                    };
                    assert_eq!(net.texts(client), ["for all"], "{version}, {number}");
                }
            }
        }
    }
}

/// What one client publishes to a topic, every subscriber gets in that order, one that comes back too: topics are ordered
/// [MQTT-4.6.0-5], [MQTT-4.6.0-6], [3.1.1:MQTT-4.6.0-5], [3.1.1:MQTT-4.6.0-6].
#[test]
fn a_topic_is_ordered() {
    for workers in [1, 3] {
        for version in BOTH {
            for qos in ALL {
                let mut net = Net::new(workers);
                let names = ["a", "b", "c", "d", "e"];
                let subscribers = names.map(|name| {
                    let client = net.connect_with(&keeping(version, name));
                    net.subscribe(client, "t", QoS::ExactlyOnce);
                    client
                });
                net.cut(subscribers[0]);
                let publisher = net.connect_with(&Connect::new(version, "pub"));
                let mut bytes = Vec::new();
                for number in 0..300 {
                    let payload = number.to_string();
                    bytes.extend(net.publish_bytes(
                        publisher,
                        "t",
                        payload.as_bytes(),
                        qos,
                        false,
                        &[],
                    ));
                    if number == 150 {
                        net.send(publisher, &core::mem::take(&mut bytes));
                        net.cut(subscribers[1]);
                    }
                }
                net.send(publisher, &bytes);
                let expected: Vec<String> = (0..300).map(|number| number.to_string()).collect();
                for client in &subscribers[2..] {
                    assert_eq!(net.texts(*client), expected, "{version}, {qos:?}");
                }
                if qos != QoS::AtMostOnce {
                    let back = net.reconnect(subscribers[0], &keeping(version, "a"));
                    assert_eq!(net.texts(back), expected, "{version}, {qos:?}");
                    let mut texts = net.texts(subscribers[1]);
                    let back = net.reconnect(subscribers[1], &keeping(version, "b"));
                    texts.extend(net.received(back).iter().map(Message::text));
                    assert_eq!(texts, expected, "{version}, {qos:?}");
                }
            }
        }
    }
}
