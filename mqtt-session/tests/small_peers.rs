//! What a peer can do without: no answer carries a text that the peer did not want or has no room for; and what a client leaves out
//! because its server said that it cannot do it.

use core::num::NonZeroU32;

use mqtt_codec::{
    Auth, ConnAck, Connect, Decoded, Decoder, Packet, Properties, Property, PubRec, QoS,
    ReasonCode, Version,
};
use mqtt_session::{HandshakeText, Misuse, Outcome, OutgoingMessage, Output, Role};
use mqtt_testkit::owners::{Heaped, Message, TestOwner};
use mqtt_testkit::packets::{
    connack, filter, publish1, publish2, pubrec, pubrel, subscribe, unsubscribe,
};
use mqtt_testkit::script::{ClientScript, Script, ServerScript};

const METHOD: Property<'static> = Property::AuthenticationMethod("m");

/// The bytes that a session writes.
fn written<R: Role>(script: &mut Script<R, Heaped>) -> Vec<u8> {
    let mut tx = vec![];
    while script
        .session
        .poll_output(&mut tx, script.now, &mut script.owner)
        == Output::Wrote
    {}
    tx
}

fn most(bytes: u32) -> Property<'static> {
    Property::MaximumPacketSize(NonZeroU32::new(bytes).expect("not 0"))
}

/// A server whose client announced this.
fn server(properties: &[Property<'_>]) -> ServerScript<Heaped> {
    let mut server = ServerScript::<Heaped>::opened(Version::V5);
    server.owner.text.method = Some("m".into());
    server.owner.text.reason_string = Some("a sentence that says at length why".into());
    server.send(&Connect {
        properties: Properties::List(properties),
        ..Connect::new(Version::V5, "c")
    });
    server
}

/// A client whose server announced this.
fn client(properties: &[Property<'_>]) -> ClientScript<Heaped> {
    let mut client = ClientScript::<Heaped>::offline(Version::V5);
    client.connect(&Connect::new(Version::V5, "c"));
    client.send(&ConnAck {
        properties: Properties::List(properties),
        ..connack(false)
    });
    client
}

/// PUBACK, PUBREC, PUBREL and PUBCOMP with errors, from either end, as bytes.
fn acknowledgements<R: Role>(
    script: &mut Script<R, Heaped>,
    send: &dyn Fn(&mut Script<R, Heaped>, Packet<'_>),
) -> [Vec<u8>; 4] {
    script.answers = false;
    send(script, Packet::Publish(publish1(1, "x")));
    script.settle(ReasonCode::QUOTA_EXCEEDED, ());
    let puback = written(script);
    send(script, Packet::Publish(publish2(2, "x")));
    script.settle(ReasonCode::QUOTA_EXCEEDED, ());
    let received = written(script);
    send(script, Packet::PubRec(pubrec(3)));
    let released = written(script);
    send(script, Packet::PubRel(pubrel(4)));
    [puback, received, released, written(script)]
}

fn bytes(packet: Packet<'_>) -> Vec<u8> {
    let mut buffer = vec![0; packet.encoded_len(Version::V5)];
    packet
        .encode(Version::V5, &mut buffer)
        .expect("a packet that can be sent");
    buffer
}

/// A peer that takes small packets gets acknowledgements without reason string [MQTT-3.4.2-2], [MQTT-3.5.2-2], [MQTT-3.6.2-2],
/// [MQTT-3.7.2-2] and user properties [MQTT-3.4.2-3], [MQTT-3.5.2-3], [MQTT-3.6.2-3], [MQTT-3.7.2-3], from a client and a server.
#[test]
fn acknowledgements_fit_the_smallest_peer() {
    let expected = [
        vec![0x40, 3, 0, 1, 0x97],
        vec![0x50, 3, 0, 2, 0x97],
        vec![0x62, 3, 0, 3, 0x92],
        vec![0x70, 3, 0, 4, 0x92],
    ];
    let mut client = client(&[most(5)]);
    let sent = acknowledgements(&mut client, &|client, packet| client.send(&bytes(packet)));
    assert_eq!(sent, expected);
    assert!(!client.session.is_closing());

    // CONNACK announces three limits, and takes 20 bytes.
    let mut server = server(&[most(25)]);
    written(&mut server);
    let sent = acknowledgements(&mut server, &|server, packet| server.send(&bytes(packet)));
    assert_eq!(sent, expected);
}

/// A server's answers to a client that takes little have no text: SUBACK [MQTT-3.9.2-1], [MQTT-3.9.2-2], UNSUBACK [MQTT-3.11.2-1],
/// [MQTT-3.11.2-2], CONNACK [MQTT-3.2.2-19], [MQTT-3.2.2-20], DISCONNECT [MQTT-3.14.2-3], [MQTT-3.14.2-4], AUTH [MQTT-3.15.2-2],
/// [MQTT-3.15.2-3].
#[test]
fn a_servers_answers_fit_the_smallest_client() {
    // CONNACK announces three limits, here all in 20 bytes: the sentence of 37 would not fit.
    let mut server = server(&[most(25), METHOD]);
    server.answers = false;
    let connack = written(&mut server);
    assert_eq!(connack[..4], [0x20, connack.len() as u8 - 2, 0, 0]);
    assert!((15..=25).contains(&connack.len()), "{connack:02x?}");

    server.send(&Auth {
        reason: ReasonCode::RE_AUTHENTICATE,
        properties: Properties::List(&[METHOD]),
    });
    let text = HandshakeText {
        assigned_client_id: None,
        response_information: None,
        authentication_method: Some("m"),
        authentication_data: None,
        server_reference: None,
        reason_string: Some("a sentence that says at length why"),
    };
    let mut tx = vec![];
    let limits = server.owner.limits.clone();
    server
        .session
        .challenge(&mut tx, server.now, &limits, text)
        .unwrap();
    assert_eq!(tx, [0xF0, 6, 0x18, 4, 0x15, 0, 1, b'm']);

    server.send(&subscribe(1, &[filter("a", QoS::AtMostOnce)]));
    server
        .session
        .answer_subscribe([ReasonCode::NOT_AUTHORIZED], ())
        .unwrap();
    assert_eq!(written(&mut server), [0x90, 4, 0, 1, 0, 0x87]);
    server.send(&unsubscribe(2, &["a"]));
    server
        .session
        .answer_unsubscribe([ReasonCode::NOT_AUTHORIZED], ())
        .unwrap();
    assert_eq!(written(&mut server), [0xB0, 4, 0, 2, 0, 0x87]);
    server.session.disconnect(ReasonCode::SERVER_SHUTTING_DOWN);
    assert_eq!(written(&mut server), [0xE0, 1, 0x8B]);
}

/// A client's goodbye and its AUTH fit its server as well: DISCONNECT [MQTT-3.14.2-3], [MQTT-3.14.2-4], and what the caller asks for and does
/// not fit is refused [MQTT-3.2.2-15], AUTH with a text included [MQTT-3.15.2-2], [MQTT-3.15.2-3].
#[test]
fn a_clients_packets_fit_the_smallest_server() {
    let long = "x".repeat(30);
    let (reason, user) = (
        Property::ReasonString(&long),
        Property::UserProperty("k", &long),
    );
    let mut client = ClientScript::<Heaped>::offline(Version::V5);
    client.owner.text.method = Some("m".into());
    client.connect(&Connect {
        properties: Properties::List(&[METHOD]),
        ..Connect::new(Version::V5, "c")
    });
    client.send(&ConnAck {
        properties: Properties::List(&[most(20), METHOD]),
        ..connack(false)
    });
    let mut tx = vec![];
    for list in [[METHOD, reason], [METHOD, user]] {
        let properties = Properties::List(&list);
        let refused = client.session.authenticate(
            ReasonCode::RE_AUTHENTICATE,
            properties,
            &mut tx,
            client.now,
            &client.owner,
        );
        assert_eq!(refused, Err(Misuse::TooLarge));
    }
    let filters = [filter(&long, QoS::AtMostOnce)];
    let refused = client
        .session
        .subscribe(&filters, Properties::EMPTY, &mut tx, client.now);
    assert_eq!(refused, Err(Misuse::TooLarge));
    let refused = client
        .session
        .unsubscribe(&[&long], Properties::EMPTY, &mut tx, client.now);
    assert_eq!(refused, Err(Misuse::TooLarge));
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
        client
            .owner
            .publish(&Message::new("t", qos, long.as_bytes()));
    }
    assert!(written(&mut client).is_empty());
    let mut all = vec![];
    client.owner.ended(&mut |_, outcome| all.push(outcome));
    assert_eq!(all, [Outcome::TooLarge; 3]);
    for property in [reason, user] {
        let packet = mqtt_codec::Disconnect {
            reason: ReasonCode::UNSPECIFIED_ERROR,
            properties: Properties::List(&[property]),
        };
        let refused = client.session.disconnect_with(&packet, &mut tx);
        assert_eq!(refused, Err(Misuse::TooLarge));
    }
    assert!(tx.is_empty());
    // A violation is told without its sentence.
    client.send(&[0xFF, 0]);
    assert_eq!(written(&mut client), [0xE0, 1, 0x81]);
}

/// A client that wants no problem information gets no reason string and no user property but in PUBLISH, CONNACK and DISCONNECT, where
/// this server has none either [MQTT-3.1.2-29].
#[test]
fn who_wants_no_problem_information_gets_none() {
    let silent = Property::RequestProblemInformation(false);
    let mut server = server(&[silent, METHOD]);
    let mut all = written(&mut server);
    for packet in acknowledgements(&mut server, &|server, packet| server.send(&bytes(packet))) {
        all.extend(packet);
    }
    server.send(&subscribe(1, &[filter("a", QoS::AtMostOnce)]));
    server
        .session
        .answer_subscribe([ReasonCode::NOT_AUTHORIZED], ())
        .unwrap();
    server.send(&unsubscribe(2, &["a"]));
    all.extend(written(&mut server));
    server
        .session
        .answer_unsubscribe([ReasonCode::NOT_AUTHORIZED], ())
        .unwrap();
    all.extend(written(&mut server));
    server.send(&[0xFF, 0]);
    all.extend(written(&mut server));

    let decoder = Decoder::new(Version::V5);
    let (mut rest, mut count) = (&all[..], 0);
    while let Ok(Decoded::Complete { packet, len }) = decoder.any(rest) {
        let properties = match packet {
            Packet::ConnAck(packet) => packet.properties,
            Packet::PubAck(packet) => packet.properties,
            Packet::PubRec(PubRec { properties, .. }) => properties,
            Packet::PubRel(packet) => packet.properties,
            Packet::PubComp(packet) => packet.properties,
            Packet::SubAck(packet) => packet.properties,
            Packet::UnsubAck(packet) => packet.properties,
            Packet::Disconnect(packet) => packet.properties,
            other => panic!("{other:?}"),
        };
        assert_eq!(properties.reason_string(), None, "{packet:?}");
        assert_eq!(properties.user_properties().count(), 0, "{packet:?}");
        rest = &rest[len..];
        count += 1;
    }
    assert_eq!((count, rest.len()), (8, 0));
}

/// A client sends no message above the server's Maximum QoS [MQTT-3.2.2-11]: its owner learns why.
#[test]
fn a_client_keeps_the_maximum_qos() {
    for (maximum, expected) in [(QoS::AtMostOnce, 1), (QoS::AtLeastOnce, 2)] {
        let mut client = client(&[Property::MaximumQoS(maximum)]);
        for qos in [QoS::ExactlyOnce, QoS::AtLeastOnce, QoS::AtMostOnce] {
            client.owner.publish(&Message::new("t", qos, b"x"));
        }
        let sent = client.sent();
        assert_eq!(sent.len(), expected, "{sent:?}");
        assert!(!sent.iter().any(|line| line.contains("q2")), "{sent:?}");
        let mut all = vec![];
        client.owner.ended(&mut |_, outcome| all.push(outcome));
        let refused = Outcome::Refused(ReasonCode::QOS_NOT_SUPPORTED);
        assert_eq!(all, vec![refused; 3 - expected]);
    }
}

/// A client sends no retained message to a server that keeps none [MQTT-3.2.2-14].
#[test]
fn a_client_retains_nothing_where_it_cannot() {
    let mut client = client(&[Property::RetainAvailable(false)]);
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
        for retain in [true, false] {
            client.owner.publish(&Message {
                retain,
                ..Message::new("t", qos, b"x")
            });
        }
    }
    assert_eq!(
        client.sent(),
        ["PUBLISH t x", "PUBLISH 1 q1 t x", "PUBLISH 2 q2 t x"]
    );
    let mut all = vec![];
    client.owner.ended(&mut |_, outcome| all.push(outcome));
    assert_eq!(all, [Outcome::Refused(ReasonCode::RETAIN_NOT_SUPPORTED); 3]);
}

/// A client's messages have no Subscription Identifier [MQTT-3.3.4-6], whatever its owner says; a server's have.
#[test]
fn a_client_names_no_subscription() {
    let ids = [mqtt_codec::SubscriptionId::new(7).expect("not 0")];
    let message = OutgoingMessage {
        topic: "t",
        qos: QoS::AtMostOnce,
        retain: false,
        expires: None,
        subscription_ids: &ids,
        properties: Properties::EMPTY,
        payload_len: 0,
    };
    let (mut from_client, mut from_server) = (vec![], vec![]);
    let mut client = client(&[]);
    client
        .session
        .publish_at_most_once(&message, &mut from_client, client.now)
        .unwrap();
    assert_eq!(from_client, b"\x30\x04\0\x01t\0");
    let mut server = server(&[]);
    written(&mut server);
    server
        .session
        .publish_at_most_once(&message, &mut from_server, server.now)
        .unwrap();
    assert_eq!(from_server, b"\x30\x06\0\x01t\x02\x0B\x07");
}

/// SUBSCRIBE and UNSUBSCRIBE may be exactly as large as the server takes [MQTT-3.2.2-15].
#[test]
fn requests_may_be_as_large_as_the_server_takes() {
    let long = "x".repeat(30);
    let mut client = client(&[most(30)]);
    for (len, expected) in [(22, Ok(30)), (23, Err(Misuse::TooLarge))] {
        let filters = [filter(&long[..len], QoS::AtMostOnce)];
        let mut tx = vec![];
        let asked = client
            .session
            .subscribe(&filters, Properties::EMPTY, &mut tx, client.now);
        assert_eq!(asked.map(|_| tx.len()), expected);
        let filters = [&long[..len + 1]];
        let mut tx = vec![];
        let asked = client
            .session
            .unsubscribe(&filters, Properties::EMPTY, &mut tx, client.now);
        assert_eq!(asked.map(|_| tx.len()), expected);
    }
}
