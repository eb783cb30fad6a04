//! Receive Maximum, in both directions.

use mqtt_codec::{ConnAck, Connect, Properties, Property, QoS, ReceiveMaximum, Version};
use mqtt_testkit::owners::{Heaped, Kind, Message, Small, TestOwner};
use mqtt_testkit::packets::{connack, filter, puback, pubcomp, publish1, publish2, pubrec, pubrel};
use mqtt_testkit::script::{ClientScript, ServerScript};

fn maximum(n: u16) -> [Property<'static>; 2] {
    let maximum = ReceiveMaximum::new(n).expect("not 0");
    [
        Property::ReceiveMaximum(maximum),
        Property::SessionExpiryInterval(600),
    ]
}

/// No more is sent than the client allows, until PUBACK or PUBCOMP comes; other packets are not held back [MQTT-3.3.4-9],
/// [MQTT-3.3.4-10], [MQTT-4.9.0-1], [MQTT-4.9.0-2], [MQTT-4.9.0-3].
#[test]
fn a_server_keeps_the_clients_maximum() {
    let mut server = ServerScript::<Heaped>::opened(Version::V5);
    server.send(&Connect {
        properties: Properties::List(&maximum(2)),
        ..Connect::new(Version::V5, "c")
    });
    server.sent();
    for qos in [QoS::ExactlyOnce, QoS::AtLeastOnce, QoS::AtLeastOnce] {
        server.owner.publish(&Message::new("t", qos, b"a"));
    }
    assert_eq!(server.sent().len(), 2);
    server.send(&mqtt_codec::PINGREQ);
    assert_eq!(server.sent(), ["PINGRESP"]);
    server.send(&pubrec(1));
    assert_eq!(server.sent(), ["PUBREL 1"], "PUBREC frees no place");
    server.send(&pubcomp(1));
    assert_eq!(server.sent().len(), 1, "PUBCOMP does");
}

/// The same for a client [MQTT-3.3.4-7], [MQTT-3.3.4-8], [MQTT-4.9.0-1], [MQTT-4.9.0-2], [MQTT-4.9.0-3], whose own limit counts where the server names none.
#[test]
fn a_client_keeps_the_servers_maximum() {
    for (announced, expected) in [(Some(1), 1), (None, 3)] {
        let mut client = ClientScript::<Heaped>::offline(Version::V5);
        client.owner.limits.send_maximum = 3;
        client.connect(&Connect::new(Version::V5, "c"));
        let list = announced.map(maximum);
        client.send(&ConnAck {
            properties: list
                .as_ref()
                .map_or(Properties::EMPTY, |list| Properties::List(&list[..1])),
            ..connack(false)
        });
        for _ in 0..9 {
            client
                .owner
                .publish(&Message::new("t", QoS::AtLeastOnce, b"a"));
        }
        assert_eq!(client.sent().len(), expected);
        // Other packets go on.
        let filters = [filter("a", QoS::AtMostOnce)];
        let mut tx = vec![];
        client
            .session
            .subscribe(&filters, Properties::EMPTY, &mut tx, client.now)
            .unwrap();
        client.send(&publish2(7, "x"));
        client.send(&pubrel(7));
        assert_eq!(client.sent(), ["PUBCOMP 7"].as_slice());
        client.send(&puback(1));
        assert_eq!(client.sent().len(), 1);
    }
}

/// One message too many is answered with 0x93 [MQTT-3.3.4-7].
#[test]
fn a_client_that_sends_more_is_told_so() {
    let mut server = ServerScript::<Heaped>::opened(Version::V5);
    server.owner.limits.receive_maximum = 2;
    server.send(&Connect::new(Version::V5, "c"));
    server.sent();
    server.answers = false;
    server.send(&publish1(1, "a"));
    server.send(&publish2(2, "b"));
    server.send(&publish1(3, "c"));
    assert_eq!(
        server.happened().len(),
        4,
        "connect, two messages, a violation"
    );
    assert_eq!(server.sent(), ["DISCONNECT 0x93", "close"]);
}

/// A place is free again at PUBACK and PUBCOMP: a client that keeps the limit is never cut off.
#[test]
fn a_client_that_keeps_the_limit_goes_on() {
    let mut server = ServerScript::<Heaped>::opened(Version::V5);
    server.owner.limits.receive_maximum = 1;
    server.send(&Connect::new(Version::V5, "c"));
    for id in 1..100 {
        server.send(&publish2(id, "a"));
        server.sent();
        server.send(&pubrel(id));
        server.sent();
        server.send(&publish1(id, "a"));
        server.sent();
    }
    assert!(!server.session.is_closing());
}

/// Ids that the session holds from an earlier connection, whose maximum was larger, do not count on this one. They once did.
#[test]
fn ids_of_an_earlier_connection_do_not_count() {
    let mut client = ClientScript::<Heaped>::offline(Version::V5);
    client.connect(&Connect {
        clean_start: false,
        properties: Properties::List(&maximum(3)),
        ..Connect::new(Version::V5, "c")
    });
    client.send(&connack(false));
    for id in 1..=3 {
        client.send(&publish2(id, "a"));
    }
    client.cut();
    client.connect(&Connect {
        clean_start: false,
        properties: Properties::List(&maximum(1)),
        ..Connect::new(Version::V5, "c")
    });
    client.send(&connack(true));
    client.happened();
    client.send(&publish1(9, "new"));
    assert_eq!(client.happened(), ["publish q1 t new"]);
    client.send(&publish1(10, "too many"));
    assert_eq!(
        client.happened(),
        ["violation Rule(ReceiveMaximumExceeded)"]
    );
}

/// Before 5.0 nobody was told a maximum: whoever sends more is not read until acknowledgements have left.
#[test]
fn before_5_more_messages_are_not_read() {
    let mut server = ServerScript::<Heaped>::opened(Version::V311);
    server.owner.limits.unannounced_receive_maximum = 2;
    server.send(&Connect::new(Version::V311, "c"));
    server.sent();
    for id in 1..=7 {
        server.send(&publish1(id, "a"));
    }
    assert!(!server.session.wants_input());
    for _ in 0..4 {
        server.sent();
        server.read();
    }
    assert_eq!(server.happened().len(), 8);
    assert!(!server.session.is_closing());
}

/// A server with small tables announces what they hold, whatever its limits say.
#[test]
fn the_tables_bound_what_is_announced() {
    let mut server = ServerScript::<Small>::opened(Version::V5);
    server.send(&Connect::new(Version::V5, "c"));
    let line = server.sent().remove(0);
    let announced = format!("ReceiveMaximum({})", Small::ROOM);
    assert!(
        line.contains(&announced) && line.contains("TopicAliasMaximum(2)"),
        "{line}"
    );
    server.answers = false;
    for id in 1..=Small::ROOM {
        server.send(&publish2(id, "a"));
    }
    assert!(!server.session.is_closing());
    while !server.unsettled.is_empty() {
        server.settle(mqtt_codec::ReasonCode::SUCCESS, ());
    }
    assert_eq!(server.sent().len(), usize::from(Small::ROOM));
}

/// A repetition counts once on each connection: not again where the message came, and once where its session goes on [MQTT-3.3.4-7].
#[test]
fn a_repetition_counts_once_on_each_connection() {
    let connect = Connect {
        clean_start: false,
        properties: Properties::List(&[Property::SessionExpiryInterval(600)]),
        ..Connect::new(Version::V5, "c")
    };
    let mut server = ServerScript::<Heaped>::opened(Version::V5);
    server.owner.limits.receive_maximum = 2;
    server.send(&connect);
    server.sent();
    server.send(&publish2(1, "a"));
    for _ in 0..3 {
        server.send(&publish2(1, "a"));
    }
    server.send(&publish2(2, "b"));
    server.send(&publish2(2, "b"));
    assert!(!server.session.is_closing(), "two in flight of two");

    server.cut();
    server.open();
    server.session_present = true;
    server.send(&connect);
    server.sent();
    server.happened();
    server.send(&publish2(1, "a"));
    server.send(&publish1(7, "new"));
    assert_eq!(server.happened(), ["publish q1 t new"]);
    server.sent();
    server.answers = false;
    server.send(&publish1(8, "one more"));
    server.send(&publish2(2, "b"));
    assert_eq!(
        server.happened(),
        [
            "publish q1 t one more",
            "violation Rule(ReceiveMaximumExceeded)"
        ]
    );
}

/// Before 5.0, too, a client that releases nothing cannot make its server remember more and more ids.
#[test]
fn before_5_unreleased_messages_have_a_limit() {
    let mut server = ServerScript::<Heaped>::opened(Version::V311);
    server.owner.limits.unannounced_receive_maximum = 2;
    server.send(&Connect::new(Version::V311, "c"));
    for id in 1..=2 {
        server.sent();
        server.send(&publish2(id, "a"));
    }
    assert_eq!(server.sent(), ["PUBREC 2"]);
    server.send(&publish2(2, "a"));
    assert_eq!(server.sent(), ["PUBREC 2"], "it is known");
    server.send(&publish2(3, "a"));
    assert_eq!(server.sent(), ["close"]);
}
