//! DISCONNECT: who sends it, when, and what follows.

use mqtt_codec::{Connect, QoS, ReasonCode, Version};
use mqtt_session::Output;
use mqtt_testkit::owners::{Heaped, Message, TestOwner};
use mqtt_testkit::packets::{disconnect, publish, publish1};
use mqtt_testkit::script::{ClientScript, ServerScript};

/// A server says why it closes, in 5.0 only; nothing else is sent any more [MQTT-3.14.4-1], [MQTT-3.14.4-2], [MQTT-4.13.2-1].
#[test]
fn a_server_says_why_in_5_only() {
    for version in [Version::V31, Version::V311, Version::V5] {
        let mut server = ServerScript::<Heaped>::connected(version);
        server.answers = false;
        server.send(&publish1(1, "x"));
        server.settle(ReasonCode::SUCCESS, ());
        server
            .owner
            .publish(&Message::new("t", QoS::AtMostOnce, b"x"));
        server.session.disconnect(ReasonCode::SERVER_SHUTTING_DOWN);
        let expected: &[&str] = if version.is_v5() {
            &["DISCONNECT 0x8b", "close"]
        } else {
            &["close"]
        };
        assert_eq!(server.sent(), expected);
        server.session.disconnect(ReasonCode::SESSION_TAKEN_OVER);
        assert_eq!(server.sent(), ["close"], "said once");
    }
}

/// Before CONNACK there is no DISCONNECT [MQTT-3.14.0-1].
#[test]
fn no_disconnect_before_connack() {
    let mut server = ServerScript::<Heaped>::opened(Version::V5);
    server.answers = false;
    server.send(&Connect::new(Version::V5, "c"));
    server.session.disconnect(ReasonCode::SERVER_SHUTTING_DOWN);
    assert_eq!(server.sent(), ["close"]);
}

/// A client says goodbye in every version [MQTT-3.14.4-2], [3.1.1:MQTT-3.14.4-1], [3.1.1:MQTT-3.14.4-2]. Before 5.0 it has no way to
/// keep its will but to say nothing [MQTT-3.14.4-1].
#[test]
fn a_client_says_goodbye() {
    for version in [Version::V31, Version::V311, Version::V5] {
        let mut client = ClientScript::<Heaped>::connected(version);
        client.answers = false;
        client.send(&publish1(1, "x"));
        client.settle(ReasonCode::SUCCESS, ());
        client
            .owner
            .publish(&Message::new("t", QoS::AtMostOnce, b"late"));
        client.session.disconnect(ReasonCode::NORMAL_DISCONNECTION);
        assert_eq!(client.sent(), ["DISCONNECT", "close"]);
        let mut client = ClientScript::<Heaped>::connected(version);
        client
            .session
            .disconnect(ReasonCode::DISCONNECT_WITH_WILL_MESSAGE);
        let expected: &[&str] = if version.is_v5() {
            &["DISCONNECT 0x04", "close"]
        } else {
            &["close"]
        };
        assert_eq!(client.sent(), expected);
    }
}

/// A goodbye is an event, and nothing that follows is looked at [MQTT-3.14.4-1].
#[test]
fn nothing_behind_a_goodbye_is_looked_at() {
    for version in [Version::V31, Version::V311, Version::V5] {
        let mut server = ServerScript::<Heaped>::connected(version);
        server.send(&disconnect(ReasonCode::SUCCESS));
        server.send(&publish("late"));
        assert_eq!(server.happened(), ["disconnect 0x00"]);
        assert_eq!(server.sent(), ["close"]);
    }
    let mut client = ClientScript::<Heaped>::connected(Version::V5);
    client.send(&disconnect(ReasonCode::SERVER_SHUTTING_DOWN));
    assert_eq!(client.happened(), ["disconnect 0x8b"]);
    assert_eq!(client.sent(), ["close"]);
}

/// DISCONNECT waits for room like every packet, and what was being said is not changed by what is wrong afterwards.
#[test]
fn disconnect_waits_for_room() {
    let mut server = ServerScript::<Heaped>::connected(Version::V5);
    server.session.disconnect(ReasonCode::SESSION_TAKEN_OVER);
    let mut tx = mqtt_session::SliceTx::new(&mut []);
    let output = server
        .session
        .poll_output(&mut tx, server.now, &mut server.owner);
    assert_eq!(output, Output::Full);
    let error = server
        .session
        .decoder(&mqtt_session::Limits::default())
        .from_client(&[0xFF, 0])
        .unwrap_err();
    server.session.malformed(error);
    assert_eq!(server.sent(), ["DISCONNECT 0x8e", "close"]);
}

/// The first reason counts: a connection that is closing with one is not closed with another, nor without.
#[test]
fn the_first_reason_counts() {
    let mut server = ServerScript::<Heaped>::connected(Version::V5);
    server.send(&Connect::new(Version::V5, "c"));
    server.session.disconnect(ReasonCode::SERVER_SHUTTING_DOWN);
    assert_eq!(server.sent(), ["DISCONNECT 0x82", "close"]);
}

/// Before 5.0 a server has no DISCONNECT, not even one of peace.
#[test]
fn before_5_a_server_just_closes() {
    for version in [Version::V31, Version::V311] {
        let mut server = ServerScript::<Heaped>::connected(version);
        server.session.disconnect(ReasonCode::NORMAL_DISCONNECTION);
        assert_eq!(server.sent(), ["close"]);
    }
}
