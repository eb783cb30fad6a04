//! Keep-alive, at both ends: who must send, who must listen, and when the clock stands still.

use mqtt_codec::{ConnAck, Connect, Properties, Property, QoS, Version};
use mqtt_session::Accept;
use mqtt_testkit::owners::{Heaped, Message, TestOwner};
use mqtt_testkit::packets::{
    Raw, connack, filter, pingreq, pingresp, publish, publish1, subscribe,
};
use mqtt_testkit::script::{ClientScript, ServerScript};

const VERSIONS: [Version; 3] = [Version::V31, Version::V311, Version::V5];

/// Silence for one and a half times the keep-alive closes; 5.0 says so [MQTT-3.1.2-22], [3.1.1:MQTT-3.1.2-24].
#[test]
fn silence_closes_after_one_and_a_half_times() {
    for version in VERSIONS {
        let mut server = ServerScript::<Heaped>::connected(version);
        assert_eq!(server.deadline(), Some(90_000));
        server.after(89_999);
        assert!(!server.session.is_closing());
        server.after(1);
        assert_eq!(server.happened(), ["violation Rule(KeepAliveTimeout)"]);
        let expected: &[&str] = if version.is_v5() {
            &["DISCONNECT 0x8d", "close"]
        } else {
            &["close"]
        };
        assert_eq!(server.sent(), expected);
    }
}

/// Every packet counts, and the bytes of one that is not complete; PINGREQ is answered [MQTT-3.12.4-1], [3.1.1:MQTT-3.12.4-1].
#[test]
fn every_byte_is_a_sign_of_life() {
    for version in VERSIONS {
        let mut server = ServerScript::<Heaped>::connected(version);
        server.after(80_000);
        server.send(&pingreq());
        assert_eq!(server.sent(), ["PINGRESP"]);
        server.after(80_000);
        server.session.heard(server.now);
        server.after(80_000);
        server.send(&publish("x"));
        server.after(80_000);
        assert!(!server.session.is_closing());
    }
}

/// A keep-alive of 0 switches it off; the server may name another [MQTT-3.1.2-21], [MQTT-3.2.2-22].
#[test]
fn the_server_may_name_another_keep_alive() {
    for (asked, named, expected) in [
        (0, None, None),
        (60, None, Some(90_000)),
        (60, Some(10), Some(15_000)),
        (60, Some(0), None),
    ] {
        let mut server = ServerScript::<Heaped>::opened(Version::V5);
        server.answers = false;
        server.send(&Connect {
            keep_alive: asked,
            ..Connect::new(Version::V5, "c")
        });
        let accept = Accept {
            session_present: false,
            server_keep_alive: named,
            session_expiry: None,
            kept: (),
        };
        server.session.accept(accept).unwrap();
        assert_eq!(
            server.sent()[0].contains("ServerKeepAlive"),
            named.is_some()
        );
        assert_eq!(server.deadline(), expected);
    }
}

/// While nothing is read the clock stands still, and it starts afresh when reading goes on: it does not fire at once.
#[test]
fn the_clock_stands_still_while_nothing_is_read() {
    let mut server = ServerScript::<Heaped>::connected(Version::V311);
    server.answers = false;
    server.send(&subscribe(1, &[filter("a", QoS::AtMostOnce)]));
    assert!(!server.session.wants_input());
    server.sent();
    assert_eq!(server.deadline(), None);
    server.after(10_000_000);
    server
        .session
        .answer_subscribe([mqtt_codec::ReasonCode::SUCCESS], ())
        .unwrap();
    server.after(0);
    assert!(!server.session.is_closing());
    assert_eq!(server.sent(), ["SUBACK 1 [00]"]);
    assert_eq!(server.deadline(), Some(90_000));
}

/// An idle client sends PINGREQ within the keep-alive; whatever else it sends puts that off [MQTT-3.1.2-20], [3.1.1:MQTT-3.1.2-23].
#[test]
fn an_idle_client_pings() {
    for version in VERSIONS {
        let mut client = ClientScript::<Heaped>::connected(version);
        client.after(59_000);
        assert!(client.sent().is_empty());
        client
            .owner
            .publish(&Message::new("t", QoS::AtMostOnce, b"x"));
        assert_eq!(client.sent().len(), 1);
        client.after(59_000);
        assert!(client.sent().is_empty());
        client.after(1_000);
        assert_eq!(client.sent(), ["PINGREQ"]);
        client.send(&pingresp());
        client.after(59_000);
        assert!(client.sent().is_empty() && !client.session.is_closing());
    }
}

/// The client uses the Server Keep Alive [MQTT-3.1.2-21], [MQTT-3.2.2-21].
#[test]
fn a_client_uses_the_server_keep_alive() {
    let mut client = ClientScript::<Heaped>::offline(Version::V5);
    client.connect(&Connect::new(Version::V5, "c"));
    client.send(&ConnAck {
        properties: Properties::List(&[Property::ServerKeepAlive(7)]),
        ..connack(false)
    });
    assert_eq!(client.deadline(), Some(7_000));
}

/// PINGRESP must come in time; anything else that comes meanwhile puts the end off, for PINGRESP may stand behind it.
#[test]
fn a_silent_server_is_given_up() {
    let mut client = ClientScript::<Heaped>::connected(Version::V311);
    client.after(60_000);
    assert_eq!(client.sent(), ["PINGREQ"]);
    client.after(6_000);
    client.send(&publish("large and slow"));
    client.after(6_000);
    assert!(!client.session.is_closing());
    client.after(4_000);
    assert_eq!(client.happened()[1], "violation Rule(PingTimeout)");
    assert!(client.session.is_closing());
}

/// A client that does not read for a while must not take its own deafness for the server's silence. It once did. Pings go on.
#[test]
fn an_unread_pingresp_is_waited_for() {
    let mut client = ClientScript::<Heaped>::offline(Version::V311);
    client.owner.limits.receive_maximum = 1;
    client.answers = false;
    client.connect(&Connect::new(Version::V311, "c"));
    client.send(&connack(false));
    client.send(&publish1(1, "x"));
    assert!(!client.session.wants_input());
    for _ in 0..3 {
        client.after(60_000);
        assert_eq!(client.sent(), ["PINGREQ"]);
        client.send(&pingresp());
    }
    assert!(!client.session.is_closing());
    client.settle(mqtt_codec::ReasonCode::SUCCESS, ());
    assert_eq!(client.sent(), ["PUBACK 1"]);
    client.sent();
    client.after(9_000);
    client.read();
    client.after(9_000);
    assert!(!client.session.is_closing());
}

/// A client that was deaf while PINGRESP was due waits for it as long again, from when it reads on: nothing has come yet, and nothing
/// could.
#[test]
fn an_answer_is_waited_for_afresh_after_a_pause() {
    let mut client = ClientScript::<Heaped>::offline(Version::V311);
    client.owner.limits.receive_maximum = 1;
    client.answers = false;
    client.connect(&Connect::new(Version::V311, "c"));
    client.send(&connack(false));
    client.after(60_000);
    assert_eq!(client.sent(), ["PINGREQ"]);
    client.after(1_000);
    client.send(&publish1(1, "x"));
    assert!(client.sent().is_empty() && !client.session.wants_input());
    client.after(40_000);
    client.settle(mqtt_codec::ReasonCode::SUCCESS, ());
    assert_eq!(client.sent(), ["PUBACK 1"]);
    client.sent();
    assert_eq!(client.deadline(), Some(10_000), "as if just asked");
    client.after(9_999);
    assert!(!client.session.is_closing());
    client.after(1);
    assert_eq!(client.happened()[2], "violation Rule(PingTimeout)");
}

/// A flood of PINGREQ is not read on and on while its answers cannot leave.
#[test]
fn a_flood_of_pings_is_read_as_fast_as_it_is_answered() {
    let mut server = ServerScript::<Heaped>::connected(Version::V311);
    let flood: Vec<u8> = (0..1_000)
        .flat_map(|_| pingreq().bytes(Version::V311))
        .collect();
    server.send(&flood);
    assert!(!server.session.wants_input());
    let mut answers = 0;
    while answers < 1_000 {
        answers += server.sent().len();
        server.read();
    }
    assert!(server.session.wants_input());
}

/// A program may ask for a PINGREQ at any time once the connection is up; none goes out while PINGRESP is awaited.
#[test]
fn a_program_may_ask_for_a_ping() {
    let mut client = ClientScript::<Heaped>::offline(Version::V5);
    let limits = client.owner.limits.clone();
    client.session.ping(client.now, &limits);
    client.connect(&Connect::new(Version::V5, "c"));
    client.sent();
    client.session.ping(client.now, &limits);
    assert!(client.sent().is_empty(), "there is no connection yet");
    client.send(&connack(false));
    for _ in 0..2 {
        client.session.ping(client.now, &limits);
        client.session.ping(client.now, &limits);
        assert_eq!(client.sent(), ["PINGREQ"]);
        client.session.ping(client.now, &limits);
        assert!(client.sent().is_empty(), "its answer is awaited");
        client.send(&pingresp());
    }
}

/// What the server sends does not make a silent client live longer [MQTT-3.1.2-22].
#[test]
fn talking_to_a_silent_client_does_not_keep_it() {
    let mut server = ServerScript::<Heaped>::connected(Version::V5);
    for n in 0..9 {
        assert!(!server.session.is_closing(), "{n}");
        server
            .owner
            .publish(&Message::new("t", QoS::AtMostOnce, b"x"));
        assert_eq!(server.sent(), ["PUBLISH t x"]);
        server.after(10_000);
    }
    assert_eq!(server.happened(), ["violation Rule(KeepAliveTimeout)"]);
}

/// A clock that looks in too early makes no PINGREQ, and one that comes late makes it then.
#[test]
fn pingreq_is_made_in_time_or_late_and_not_before() {
    let mut client = ClientScript::<Heaped>::connected(Version::V5);
    let due = client.deadline().expect("a keep-alive");
    let limits = client.owner.limits.clone();
    let at = |ms| client.now.plus_millis(ms);
    let (early, late) = (at(due - 1), at(due + 5));
    assert_eq!(client.session.timeout(early, &limits), Ok(()));
    assert!(client.sent().is_empty());
    assert_eq!(client.session.timeout(late, &limits), Ok(()));
    assert_eq!(client.sent(), ["PINGREQ"]);
}
