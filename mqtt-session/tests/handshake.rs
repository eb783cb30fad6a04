//! CONNECT and CONNACK, on both sides and in all versions.

use mqtt_codec::{ConnAck, Connect, Properties, Property, QoS, ReasonCode, Version, Will};
use mqtt_session::{ClientSession, Misuse, ServerSession};
use mqtt_testkit::owners::{HeapOwner, Heaped, Kind, Message, TestOwner};
use mqtt_testkit::packets::{Raw, connack, filter, pingreq, puback, publish, subscribe};
use mqtt_testkit::script::{ClientScript, ServerScript};

const VERSIONS: [Version; 3] = [Version::V31, Version::V311, Version::V5];

fn will(topic: &str, qos: QoS, retain: bool) -> Will<'_> {
    Will {
        topic,
        payload: b"gone",
        qos,
        retain,
        properties: Properties::EMPTY,
    }
}

/// Whatever comes before CONNECT closes the connection, and nothing is answered [MQTT-3.1.0-1], [3.1.1:MQTT-3.1.0-1].
#[test]
fn the_first_packet_of_a_client_is_connect() {
    for version in VERSIONS {
        for packet in [pingreq(), puback(1).bytes(version)] {
            let mut server = ServerScript::<Heaped>::opened(version);
            server.send(&packet);
            assert_eq!(server.happened(), ["violation Rule(ConnectFirst)"]);
            assert_eq!(server.sent(), ["close"]);
        }
    }
}

/// A second CONNECT is a protocol error [MQTT-3.1.0-2], [3.1.1:MQTT-3.1.0-2].
#[test]
fn a_second_connect_closes() {
    for version in VERSIONS {
        let mut server = ServerScript::<Heaped>::connected(version);
        server.send(&Connect::new(version, "c"));
        assert_eq!(server.happened(), ["violation Rule(SecondConnect)"]);
        let expected: &[&str] = if version.is_v5() {
            &["DISCONNECT 0x82", "close"]
        } else {
            &["close"]
        };
        assert_eq!(server.sent(), expected);
    }
}

/// CONNACK 0 tells whether a session was there [MQTT-3.1.4-5], [MQTT-3.2.2-3], [3.1.1:MQTT-3.2.2-2], [3.1.1:MQTT-3.2.2-3]; a clean
/// start has none [MQTT-3.2.2-2], [3.1.1:MQTT-3.2.2-1], and 3.1 has no way to tell [MQTT-3.2.0-2], [3.1.1:MQTT-3.1.4-4].
#[test]
fn connack_tells_whether_a_session_was_there() {
    for version in VERSIONS {
        for clean_start in [true, false] {
            for session_present in [true, false] {
                let mut server = ServerScript::<Heaped>::opened(version);
                server.session_present = session_present;
                server.send(&Connect {
                    clean_start,
                    ..Connect::new(version, "c")
                });
                let present = session_present && !clean_start && version != Version::V31;
                let line = server.sent().remove(0);
                assert_eq!(line.starts_with("CONNACK present"), present, "{line}");
                assert!(!line.contains("0x"), "{line}");
                assert!(server.session.is_connected());
                let again = mqtt_session::Accept {
                    session_present,
                    server_keep_alive: None,
                    session_expiry: None,
                    kept: (),
                };
                assert_eq!(server.session.accept(again), Err(Misuse::NotNow));
                assert!(server.sent().is_empty(), "one CONNACK");
            }
        }
    }
}

/// A refusal is told in CONNACK before the close [MQTT-3.2.2-7], [3.1.1:MQTT-3.2.2-5], without a session [MQTT-3.2.2-6],
/// [3.1.1:MQTT-3.2.2-4], by the codes 1 to 5 before 5.0 [MQTT-3.1.3-8], [MQTT-3.1.4-2], [3.1.1:MQTT-3.1.3-9].
#[test]
fn a_refusal_is_told_before_the_close() {
    for version in VERSIONS {
        for code in [0x84, 0x85, 0x86, 0x87, 0x88] {
            let mut server = ServerScript::<Heaped>::opened(version);
            server.answers = false;
            server.send(&Connect::new(version, "c"));
            assert_eq!(
                server.session.refuse(ReasonCode::SUCCESS),
                Err(Misuse::NotSupported)
            );
            server.session.refuse(ReasonCode(code)).unwrap();
            assert_eq!(
                server.sent(),
                [format!("CONNACK 0x{code:02x}"), "close".into()],
                "{version}"
            );
        }
    }
}

/// A reason that 3.1.1 has no code for closes without CONNACK [3.1.1:MQTT-3.2.2-6]; 5.0 tells it.
#[test]
fn a_reason_without_a_code_closes_silently_before_5() {
    for version in VERSIONS {
        let mut server = ServerScript::<Heaped>::opened(version);
        server.answers = false;
        server.send(&Connect::new(version, "c"));
        server.session.refuse(ReasonCode::BANNED).unwrap();
        let expected: &[&str] = if version.is_v5() {
            &["CONNACK 0x8a", "close"]
        } else {
            &["close"]
        };
        assert_eq!(server.sent(), expected);
    }
}

/// Another protocol level is refused with code 1 [3.1.1:MQTT-3.1.2-2], [MQTT-3.1.2-2].
#[test]
fn an_unknown_protocol_level_is_told() {
    let mut server = ServerScript::<Heaped>::opened(Version::V311);
    server.send(&[
        0x10, 13, 0, 4, b'M', b'Q', b'T', b'T', 9, 2, 0, 60, 0, 1, b'c',
    ]);
    assert_eq!(server.sent(), ["CONNACK 0x84", "close"]);
}

/// An empty client id is refused in 3.1 and beside a kept session in 3.1.1 [3.1.1:MQTT-3.1.3-8], and replaced in 5.0
/// [MQTT-3.1.3-6], [MQTT-3.1.3-7].
#[test]
fn an_empty_client_id_needs_a_clean_session_before_5() {
    for (version, clean_start, accepted) in [
        (Version::V31, true, false),
        (Version::V311, false, false),
        (Version::V311, true, true),
        (Version::V5, false, true),
    ] {
        let mut server = ServerScript::<Heaped>::opened(version);
        server.owner.text.assigned_client_id = Some("made-up".into());
        server.send(&Connect {
            clean_start,
            ..Connect::new(version, "")
        });
        let sent = server.sent();
        if accepted {
            assert!(sent[0].starts_with("CONNACK"), "{sent:?}");
            assert_eq!(sent[0].contains("made-up"), version.is_v5(), "{sent:?}");
        } else {
            assert_eq!(sent, ["CONNACK 0x85", "close"]);
        }
    }
}

/// A client does not even ask for what its server must refuse [3.1.1:MQTT-3.1.3-7]; the misuse changes nothing.
#[test]
fn a_client_with_an_empty_id_starts_cleanly() {
    let mut client = ClientSession::<<Heaped as Kind>::Profile, <Heaped as Kind>::Storage>::new();
    let (mut owner, mut tx) = (HeapOwner::default(), vec![]);
    let connect = Connect {
        clean_start: false,
        ..Connect::new(Version::V311, "")
    };
    let now = mqtt_session::Instant::ZERO;
    assert_eq!(
        client.connect(&connect, &mut tx, now, &mut owner),
        Err(Misuse::NotSupported)
    );
    assert!(tx.is_empty() && !client.is_connected() && client.deadline().is_none());
}

/// A will that cannot be published later is refused now: its topic [MQTT-4.7.0-1], its QoS [MQTT-3.2.2-12], its flag [MQTT-3.2.2-13].
#[test]
fn a_will_that_cannot_be_published_is_refused() {
    let cases = [
        (will("a/#", QoS::AtMostOnce, false), "CONNACK 0x90"),
        (will("a", QoS::ExactlyOnce, false), "CONNACK 0x9b"),
        (will("a", QoS::AtMostOnce, true), "CONNACK 0x9a"),
    ];
    for (will, expected) in cases {
        for version in VERSIONS {
            let mut server = ServerScript::<Heaped>::opened(version);
            server.owner.limits.maximum_qos = QoS::AtLeastOnce;
            server.owner.limits.retain_available = false;
            server.send(&Connect {
                will: Some(will),
                ..Connect::new(version, "c")
            });
            let expected: &[&str] = if version.is_v5() {
                &[expected, "close"]
            } else {
                &["close"]
            };
            assert_eq!(server.sent(), expected);
        }
    }
}

/// What the server announces is what it holds the client to [MQTT-3.2.2-9]; Response Information only on request [MQTT-3.1.2-28].
#[test]
fn connack_announces_the_limits() {
    let mut server = ServerScript::<Heaped>::opened(Version::V5);
    server.owner.limits.maximum_qos = QoS::AtLeastOnce;
    server.owner.text.response_information = Some("answers/".into());
    server.send(&Connect::new(Version::V5, "c"));
    let line = server.sent().remove(0);
    for word in [
        "ReceiveMaximum",
        "MaximumQoS",
        "MaximumPacketSize",
        "TopicAliasMaximum",
    ] {
        assert!(line.contains(word), "{line}");
    }
    assert!(!line.contains("ResponseInformation"), "{line}");

    let mut server = ServerScript::<Heaped>::opened(Version::V5);
    server.owner.text.response_information = Some("answers/".into());
    server.send(&Connect {
        properties: Properties::List(&[Property::RequestResponseInformation(true)]),
        ..Connect::new(Version::V5, "c")
    });
    assert!(server.sent().remove(0).contains("ResponseInformation"));
}

/// Packets behind CONNECT wait until it is answered; after a refusal none is looked at [MQTT-3.1.4-6], [3.1.1:MQTT-3.1.4-5],
/// [MQTT-3.2.0-1], [3.1.1:MQTT-3.2.0-1].
#[test]
fn packets_behind_connect_wait_for_the_answer() {
    for version in VERSIONS {
        for accepted in [true, false] {
            let mut server = ServerScript::<Heaped>::opened(version);
            server.answers = false;
            let mut bytes = Connect::new(version, "c").bytes(version);
            bytes.extend(publish("early").bytes(version));
            server.send(&bytes);
            assert!(!server.session.wants_input());
            assert_eq!(server.happened(), ["connect c"]);
            if accepted {
                server.accept();
            } else {
                server.session.refuse(ReasonCode::NOT_AUTHORIZED).unwrap();
            }
            server
                .owner
                .publish(&Message::new("t", QoS::AtMostOnce, b"later"));
            assert!(server.sent()[0].starts_with("CONNACK"), "first");
            server.read();
            let expected: &[&str] = if accepted {
                &["publish q0 t early"]
            } else {
                &[]
            };
            assert_eq!(server.happened(), expected);
        }
    }
}

/// Both ends give the handshake so much time and no more.
#[test]
fn a_handshake_takes_ten_seconds_at_most() {
    let mut server = ServerScript::<Heaped>::opened(Version::V5);
    assert_eq!(server.deadline(), Some(10_000));
    server.after(10_000);
    assert_eq!(server.sent(), ["close"]);
    // The time that its owner takes to decide is part of it: an answer that never comes keeps no connection.
    let mut server = ServerScript::<Heaped>::opened(Version::V5);
    server.answers = false;
    server.send(&Connect::new(Version::V5, "c"));
    server.after(9_999);
    assert!(!server.session.is_closing());
    server.after(1);
    assert_eq!(server.sent(), ["close"]);
    assert!(
        server.session.refuse(ReasonCode::NOT_AUTHORIZED).is_err(),
        "too late"
    );
    let mut client = ClientScript::<Heaped>::offline(Version::V5);
    client.connect(&Connect::new(Version::V5, "c"));
    client.after(9_999);
    assert!(!client.session.is_closing());
    client.after(1);
    assert_eq!(client.happened(), ["violation Rule(ConnectTimeout)"]);
}

/// A client closes on anything before CONNACK, and on a second one [MQTT-3.2.0-1], [MQTT-3.2.0-2], [3.1.1:MQTT-3.2.0-1].
#[test]
fn connack_comes_first_and_once() {
    for version in VERSIONS {
        let mut client = ClientScript::<Heaped>::offline(version);
        client.connect(&Connect::new(version, "c"));
        client.send(&publish("early"));
        assert_eq!(client.happened(), ["violation Rule(ConnAckFirst)"]);
        assert_eq!(client.sent(), ["close"]);
        let mut client = ClientScript::<Heaped>::connected(version);
        client.send(&connack(false));
        assert_eq!(client.happened(), ["violation Rule(SecondConnAck)"]);
        assert!(client.session.is_closing());
    }
}

/// A server that claims a session after a clean start is not believed [MQTT-3.2.2-4]. In 3.1 the byte means nothing.
#[test]
fn a_session_after_a_clean_start_is_not_believed() {
    for version in [Version::V311, Version::V5] {
        let mut client = ClientScript::<Heaped>::offline(version);
        client.connect(&Connect::new(version, "c"));
        client.send(&connack(true));
        assert_eq!(client.happened(), ["violation Rule(UnexpectedSession)"]);
        assert!(client.session.is_closing());
    }
}

/// A refusal is an event, and the connection closes [MQTT-3.2.2-7].
#[test]
fn a_client_learns_why_it_is_refused() {
    for version in VERSIONS {
        let mut client = ClientScript::<Heaped>::offline(version);
        client.connect(&Connect::new(version, "c"));
        client.send(&ConnAck {
            reason: ReasonCode::NOT_AUTHORIZED,
            ..connack(false)
        });
        assert_eq!(client.happened(), ["refused 0x87"]);
        assert_eq!(client.sent(), ["close"]);
    }
}

/// An owner that takes a session over answers with a new state: nothing of what was there is sent into it [MQTT-3.1.2-4].
#[test]
fn a_new_session_begins_with_nothing() {
    type Session = ServerSession<<Heaped as Kind>::Profile, <Heaped as Kind>::Storage>;
    let mut server = ServerScript::<Heaped>::connected(Version::V5);
    server
        .owner
        .publish(&Message::new("t", QoS::ExactlyOnce, b"x"))
        .unwrap();
    assert_eq!(server.sent(), ["PUBLISH 1 q2 t x"]);
    let (state, _) = server.session.detach(server.now);
    let mut next: Session = Session::new();
    assert!(next.replace_state(state).is_quiet());
    server.session = next;
    server.open();
    server.send(&Connect::new(Version::V5, "c"));
    assert_eq!(server.session.state().in_flight(), 0);
    let sent = server.sent();
    assert_eq!(sent[1], "PUBLISH 2 q2 t x", "as new, without DUP");
}

/// A client sends nothing before CONNECT, and nothing between CONNECT and CONNACK [MQTT-3.1.0-1], [3.1.1:MQTT-3.1.0-1].
#[test]
fn a_client_begins_with_connect() {
    for version in VERSIONS {
        let mut client = ClientScript::<Heaped>::offline(version);
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
            client.owner.publish(&Message::new("t", qos, b"early"));
        }
        client.after(1_000);
        assert!(client.sent().is_empty());
        let line = client.connect(&Connect::new(version, "c"));
        assert!(line.starts_with("CONNECT c"), "{line}");
        assert!(client.sent().is_empty());
        client.send(&connack(false));
        assert_eq!(client.sent().len(), 3);
    }
}

/// A server that takes no QoS 1 and 2 says so [MQTT-3.2.2-9], and still takes SUBSCRIBE with any QoS [MQTT-3.2.2-10].
#[test]
fn a_server_without_qos_takes_subscriptions_with_qos() {
    for maximum in [QoS::AtMostOnce, QoS::AtLeastOnce] {
        let mut server = ServerScript::<Heaped>::opened(Version::V5);
        server.owner.limits.maximum_qos = maximum;
        server.send(&Connect::new(Version::V5, "c"));
        let line = server.sent().remove(0);
        assert!(line.contains(&format!("MaximumQoS({maximum:?})")), "{line}");
        server.happened();
        for (n, qos) in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce]
            .into_iter()
            .enumerate()
        {
            server.send(&subscribe(5, &[filter("a", qos)]));
            assert_eq!(server.happened(), [format!("subscribe a q{n}")]);
            assert_eq!(server.sent().len(), 1);
        }
    }
}

/// A client may leave its id to the server where that can name it a session [3.1.1:MQTT-3.1.3-7]; 3.1 has no such thing.
#[test]
fn a_client_without_an_id_connects_where_it_may() {
    for (version, clean_start, may) in [
        (Version::V31, true, false),
        (Version::V311, true, true),
        (Version::V311, false, false),
        (Version::V5, true, true),
        (Version::V5, false, true),
    ] {
        let mut client = ClientScript::<Heaped>::offline(version);
        let connect = Connect {
            clean_start,
            ..Connect::new(version, "")
        };
        let (now, mut tx) = (client.now, vec![]);
        let outcome = client
            .session
            .connect(&connect, &mut tx, now, &mut client.owner);
        assert_eq!(outcome.is_ok(), may, "{version} {clean_start}");
    }
}
