//! When messages and sessions expire.

use mqtt_codec::{Connect, Disconnect, Properties, Property, QoS, ReasonCode, Version};
use mqtt_session::{Accept, Expires, Instant, Misuse, Outcome};
use mqtt_testkit::owners::{Heaped, Message, TestOwner};
use mqtt_testkit::packets::{disconnect, puback, publish2, pubrel};
use mqtt_testkit::script::{ClientScript, ServerScript};

fn outcomes<O: TestOwner>(owner: &mut O) -> Vec<Outcome> {
    let mut all = vec![];
    owner.ended(&mut |_, outcome| all.push(outcome));
    all
}

/// A message that has waited too long is not sent [MQTT-3.3.2-5]; what is sent says how long it has left [MQTT-3.3.2-6].
#[test]
fn a_message_expires_while_it_waits() {
    let mut server = ServerScript::<Heaped>::connected(Version::V5);
    for seconds in [10, 100] {
        server.owner.publish(&Message {
            expires: Some(server.now.plus_seconds(seconds)),
            ..Message::new("t", QoS::AtLeastOnce, b"x")
        });
    }
    server.after(40_000);
    assert_eq!(
        server.sent(),
        ["PUBLISH 1 q1 t x {MessageExpiryInterval(60)}"]
    );
    assert_eq!(outcomes(&mut server.owner), [Outcome::Expired]);
}

/// What was left of a message was rounded down: one that lives for a second and waited for a millisecond was passed on with 0 seconds,
/// and nobody behind the next broker got it. Played side by side with Mosquitto, a retained message had one second less at once.
/// [MQTT-3.3.2-6]
#[test]
fn a_message_that_hardly_waited_keeps_its_expiry() {
    for (waited, left) in [(0, 2), (1, 2), (500, 2), (501, 1), (1_000, 1), (1_999, 1)] {
        let mut server = ServerScript::<Heaped>::connected(Version::V5);
        server.owner.publish(&Message {
            expires: Some(server.now.plus_seconds(2)),
            ..Message::new("t", QoS::AtLeastOnce, b"x")
        });
        server.after(waited);
        assert_eq!(
            server.sent(),
            [format!(
                "PUBLISH 1 q1 t x {{MessageExpiryInterval({left})}}"
            )]
        );
    }
}

/// Two threads of a broker read their clocks at different times: a message that came a few milliseconds ago by the one is from the future
/// for the other. What was left of it was rounded up, and a subscriber was told a second more than the publisher had given. Found over
/// sockets, by wills with an expiry. [MQTT-3.3.2-6]
#[test]
fn a_message_from_a_clock_that_is_ahead_has_no_more_left_than_it_got() {
    for ahead_ms in [1, 300] {
        let mut server = ServerScript::<Heaped>::connected(Version::V5);
        server.owner.publish(&Message {
            expires: Some(server.now.plus_seconds(2).plus_millis(ahead_ms)),
            ..Message::new("t", QoS::AtLeastOnce, b"x")
        });
        assert_eq!(
            server.sent(),
            ["PUBLISH 1 q1 t x {MessageExpiryInterval(2)}"]
        );
    }
}

/// Once it was sent a message does not expire any more: its handshake goes on [MQTT-4.3.3-7], [MQTT-4.3.3-13].
#[test]
fn a_message_that_was_sent_does_not_expire() {
    let mut client = ClientScript::<Heaped>::offline(Version::V5);
    client.reconnect(false);
    client.owner.publish(&Message {
        expires: Some(client.now.plus_seconds(10)),
        ..Message::new("t", QoS::ExactlyOnce, b"x")
    });
    client.sent();
    client.cut();
    client.now = client.now.plus_seconds(100);
    client.reconnect(true);
    assert_eq!(
        client.sent(),
        ["PUBLISH 1 q2 dup t x {MessageExpiryInterval(0)}"]
    );
}

/// A message that has its packet id and was never sent does expire, and its id is free [MQTT-3.3.2-5].
#[test]
fn a_message_that_waits_for_its_window_expires() {
    let mut client = ClientScript::<Heaped>::offline(Version::V311);
    client.owner.limits.send_maximum = 1;
    client.connect(&Connect::new(Version::V311, "c"));
    client.send(&mqtt_testkit::packets::connack(false));
    client
        .owner
        .publish(&Message::new("t", QoS::AtLeastOnce, b"a"));
    client.owner.publish(&Message {
        expires: Some(client.now.plus_seconds(10)),
        ..Message::new("t", QoS::ExactlyOnce, b"b")
    });
    client.sent();
    client.now = client.now.plus_seconds(20);
    client.send(&puback(1));
    assert!(client.sent().is_empty());
    assert_eq!(outcomes(&mut client.owner)[1], Outcome::Expired);
    assert!(client.session.state().is_quiet());
}

/// Before 5.0 a clean session ends with its connection, and another never [3.1.1:MQTT-3.1.2-6], [3.1.1:MQTT-4.1.0-2].
#[test]
fn before_5_a_session_ends_at_once_or_never() {
    for version in [Version::V31, Version::V311] {
        for (clean_start, expected) in [(true, Expires::Now), (false, Expires::Never)] {
            let mut server = ServerScript::<Heaped>::opened(version);
            server.send(&Connect {
                clean_start,
                ..Connect::new(version, "c")
            });
            server.sent();
            assert_eq!(server.cut().expires, expected);
        }
    }
}

/// In 5.0 the interval counts from the close [MQTT-3.1.2-23], [MQTT-4.1.0-2]; DISCONNECT may change it, but not from 0.
#[test]
fn a_session_ends_so_long_after_its_connection() {
    let at = |seconds: u64| Expires::At(Instant::from_millis(1_000 + seconds * 1_000));
    for (asked, goodbye, expected) in [
        (None, None, Expires::Now),
        (Some(10), None, at(10)),
        (Some(10), Some(0), Expires::Now),
        (Some(10), Some(u32::MAX), Expires::Never),
        (Some(u32::MAX), Some(7), at(7)),
    ] {
        let list = asked.map(|asked| [Property::SessionExpiryInterval(asked)]);
        let mut server = ServerScript::<Heaped>::opened(Version::V5);
        server.send(&Connect {
            properties: list
                .as_ref()
                .map_or(Properties::EMPTY, |list| Properties::List(list)),
            ..Connect::new(Version::V5, "c")
        });
        server.sent();
        if let Some(seconds) = goodbye {
            server.send(&Disconnect {
                properties: Properties::List(&[Property::SessionExpiryInterval(seconds)]),
                ..disconnect(ReasonCode::SUCCESS)
            });
        }
        assert_eq!(server.cut().expires, expected, "{asked:?} {goodbye:?}");
    }
}

/// A session that ends at once cannot be kept by DISCONNECT; a client does not even try (5.0, section 3.14.2.2.2).
#[test]
fn an_ending_session_cannot_be_kept_by_disconnect() {
    let packet = Disconnect {
        reason: ReasonCode::SUCCESS,
        properties: Properties::List(&[Property::SessionExpiryInterval(5)]),
    };
    let mut server = ServerScript::<Heaped>::connected(Version::V5);
    server.send(&packet);
    assert_eq!(server.happened(), ["violation Rule(SessionExpiryRaised)"]);
    assert_eq!(server.sent(), ["DISCONNECT 0x82", "close"]);
    let mut client = ClientScript::<Heaped>::connected(Version::V5);
    let refused = client.session.disconnect_with(&packet, &mut vec![]);
    assert_eq!(refused, Err(Misuse::NotSupported));
    assert!(client.session.is_connected());
}

/// The receiver goes on with the handshake of a message, too, however long ago that has expired [MQTT-4.3.3-13].
#[test]
fn the_handshake_of_a_received_message_does_not_expire() {
    let mut server = ServerScript::<Heaped>::connected(Version::V5);
    let list = [Property::MessageExpiryInterval(1)];
    let packet = mqtt_codec::Publish {
        properties: Properties::List(&list),
        ..publish2(7, "x")
    };
    server.send(&packet);
    assert_eq!(server.sent(), ["PUBREC 7"]);
    server.after(80_000);
    server.send(&packet);
    assert_eq!(server.happened(), ["publish q2 t x"], "delivered once");
    assert_eq!(server.sent(), ["PUBREC 7"]);
    server.send(&pubrel(7));
    assert_eq!(server.sent(), ["PUBCOMP 7"]);
}

/// CONNACK names the session expiry when the server chose another, and only then.
#[test]
fn connack_names_another_session_expiry() {
    for (chosen, named) in [(None, false), (Some(600), false), (Some(60), true)] {
        let mut server = ServerScript::<Heaped>::opened(Version::V5);
        server.answers = false;
        server.send(&Connect {
            properties: Properties::List(&[Property::SessionExpiryInterval(600)]),
            ..Connect::new(Version::V5, "c")
        });
        let accept = Accept {
            session_present: false,
            server_keep_alive: None,
            session_expiry: chosen,
            kept: (),
        };
        server.session.accept(accept).unwrap();
        let line = server.sent().remove(0);
        assert_eq!(line.contains("SessionExpiryInterval(60)"), named, "{line}");
        assert_eq!(line.contains("SessionExpiryInterval"), named, "{line}");
    }
}

/// At the very moment of its expiry a message that goes on has nothing left, and just before it has a second.
#[test]
fn nothing_is_left_at_the_moment_of_expiry() {
    for (late, left) in [(9_999, 1), (10_000, 0)] {
        let mut client = ClientScript::<Heaped>::offline(Version::V5);
        client.reconnect(false);
        client.owner.publish(&Message {
            expires: Some(client.now.plus_seconds(10)),
            ..Message::new("t", QoS::AtLeastOnce, b"x")
        });
        client.sent();
        client.cut();
        client.now = client.now.plus_millis(late);
        client.reconnect(true);
        assert_eq!(
            client.sent(),
            [format!(
                "PUBLISH 1 q1 dup t x {{MessageExpiryInterval({left})}}"
            )]
        );
    }
}
