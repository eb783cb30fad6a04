//! A session goes on with a new connection, or starts anew.

use mqtt_codec::{Connect, QoS, ReasonCode, Version};
use mqtt_session::{Change, Seq, SessionState};
use mqtt_testkit::owners::{Heaped, Kind, Message, Small, TestOwner};
use mqtt_testkit::packets::{connack, id, pingreq, puback, pubcomp, publish2, pubrec, pubrel};
use mqtt_testkit::script::{ClientScript, ServerScript};

const VERSIONS: [Version; 3] = [Version::V31, Version::V311, Version::V5];

fn busy(version: Version) -> ClientScript<Heaped> {
    let mut client = ClientScript::<Heaped>::offline(version);
    client.reconnect(false);
    for (qos, payload) in [
        (QoS::ExactlyOnce, b"a"),
        (QoS::AtLeastOnce, b"b"),
        (QoS::ExactlyOnce, b"c"),
        (QoS::ExactlyOnce, b"d"),
    ] {
        client.owner.publish(&Message::new("t", qos, payload));
    }
    client.sent();
    client.send(&pubrec(3));
    client
}

/// PUBREL in the order of PUBREC, PUBLISH with DUP in the order of sending, same ids [MQTT-4.4.0-1], [MQTT-4.6.0-1], [MQTT-3.3.1-1],
/// [3.1.1:MQTT-4.4.0-1], [3.1.1:MQTT-2.3.1-3], [3.1.1:MQTT-3.3.1-1], [3.1.1:MQTT-4.6.0-1], [3.1.1:MQTT-4.1.0-2].
#[test]
fn what_was_in_flight_is_sent_again() {
    for version in VERSIONS {
        let mut client = busy(version);
        for _ in 0..2 {
            client.cut();
            client.reconnect(true);
            assert_eq!(
                client.sent(),
                [
                    "PUBREL 3",
                    "PUBLISH 1 q2 dup t a",
                    "PUBLISH 2 q1 dup t b",
                    "PUBLISH 4 q2 dup t d",
                ]
            );
        }
    }
}

/// On one connection nothing is sent again [MQTT-4.4.0-1].
#[test]
fn nothing_is_sent_again_on_the_same_connection() {
    let mut client = busy(Version::V5);
    assert_eq!(client.sent(), ["PUBREL 3"]);
    client.now = client.now.plus_seconds(50);
    assert!(client.sent().is_empty());
}

/// When the server has no session any more, what was in flight is sent as new, and what was released is over [MQTT-3.2.2-5].
#[test]
fn without_a_session_messages_are_sent_as_new() {
    for version in [Version::V311, Version::V5] {
        let mut client = busy(version);
        client.cut();
        client.reconnect(false);
        assert_eq!(
            client.sent(),
            ["PUBLISH 5 q2 t a", "PUBLISH 6 q1 t b", "PUBLISH 7 q2 t d"]
        );
        assert_eq!(
            client
                .owner
                .changes
                .iter()
                .filter(|&&change| change == Change::Reset)
                .count(),
            1
        );
        assert_eq!(client.owner.completed, [Seq(2)]);
    }
}

/// A session of which only PUBRELs are open is lost like any other: that is recorded. It once was not.
#[test]
fn the_loss_of_open_pubrels_is_recorded() {
    let mut client = ClientScript::<Heaped>::offline(Version::V5);
    client.reconnect(false);
    client
        .owner
        .publish(&Message::new("t", QoS::ExactlyOnce, b"a"));
    client.sent();
    client.send(&pubrec(1));
    client.cut();
    client.reconnect(false);
    assert_eq!(client.owner.changes.last(), Some(&Change::Reset));
}

/// A 3.1 server cannot tell that it has no session, so a client keeps its state; but not that of a clean session, which ended with its
/// connection [3.1.1:MQTT-3.1.2-6].
#[test]
fn a_3_1_client_keeps_its_state_unless_it_was_clean() {
    let mut client = ClientScript::<Heaped>::connected(Version::V31);
    client
        .owner
        .publish(&Message::new("t", QoS::AtLeastOnce, b"a"));
    client.sent();
    client.cut();
    client.reconnect(false);
    assert_eq!(client.sent(), ["PUBLISH 2 q1 t a"]);
    client.cut();
    client.reconnect(false);
    assert_eq!(client.sent(), ["PUBLISH 2 q1 dup t a"]);
}

/// QoS 2 ids that were received outlive the connection, also when it is taken over by another [MQTT-4.3.3-10], [3.1.1:MQTT-3.1.2-4].
#[test]
fn received_ids_outlive_the_connection() {
    for version in VERSIONS {
        let mut server = ServerScript::<Heaped>::opened(version);
        let connect = Connect {
            clean_start: false,
            ..Connect::new(version, "c")
        };
        server.send(&connect);
        server.sent();
        server.send(&publish2(7, "a"));
        assert_eq!(server.sent(), ["PUBREC 7"]);
        let (state, _) = server.session.detach(server.now);
        server.session.disconnect(ReasonCode::SESSION_TAKEN_OVER);
        server.sent();

        let mut next = ServerScript::<Heaped>::opened(version);
        next.answers = false;
        next.send(&connect);
        next.session.replace_state(state);
        next.session_present = true;
        next.accept();
        next.sent();
        next.happened();
        next.send(&publish2(7, "a"));
        next.send(&pubrel(7));
        assert_eq!(next.happened(), [""; 0]);
        assert_eq!(next.sent(), ["PUBCOMP 7"]);
    }
}

/// The changes of a state lead back to it; a QoS 1 message before a recorded QoS 2 id is not lost, and none is sent twice. It once was.
#[test]
fn a_restored_state_goes_on_where_it_was() {
    let client = busy(Version::V5);
    let changes: Vec<Change> = client.session.state().changes().collect();
    assert_eq!(
        changes,
        [
            Change::Sent(Seq(0), id(1)),
            Change::Sent(Seq(3), id(4)),
            Change::PeerReceived(Seq(2), id(3)),
        ]
    );
    let mut state = SessionState::default();
    for change in changes {
        state.restore(change).unwrap();
    }
    let mut again = ClientScript::<Heaped>::offline(Version::V5);
    again.owner = client.owner;
    again.session.replace_state(state);
    again.reconnect(true);
    assert_eq!(
        again.sent(),
        [
            "PUBREL 3",
            "PUBLISH 1 q2 dup t a",
            "PUBLISH 4 q2 dup t d",
            "PUBLISH 5 q1 t b",
        ]
    );
    again.send(&pubcomp(3));
    assert_eq!(again.session.state().in_flight(), 3);
}

/// A fixed table that is too small for what was recorded says so.
#[test]
fn a_state_that_does_not_fit_is_refused() {
    let mut state = SessionState::<<Small as Kind>::Profile, <Small as Kind>::Storage>::default();
    for n in 1..=Small::ROOM {
        state.restore(Change::Received(id(n))).unwrap();
    }
    assert!(state.restore(Change::Received(id(99))).is_err());
    assert_eq!(state.received(), usize::from(Small::ROOM));
}

/// A clean start forgets what the session had, at the client: what was in flight goes out as new, what was released is over, and the ids
/// of received messages are free [MQTT-3.1.2-4], [3.1.1:MQTT-3.1.2-6].
#[test]
fn a_clean_start_forgets_at_the_client() {
    for version in VERSIONS {
        let mut client = busy(version);
        client.send(&publish2(7, "old"));
        client.happened();
        client.cut();
        client.connect(&Connect::new(version, "c"));
        client.send(&connack(false));
        client.happened();
        assert_eq!(
            client.sent(),
            ["PUBLISH 5 q2 t a", "PUBLISH 6 q1 t b", "PUBLISH 7 q2 t d"]
        );
        client.send(&publish2(7, "new"));
        assert_eq!(client.happened(), ["publish q2 t new"]);
    }
}

/// A client without a session at the server forgets which ids the server had used [MQTT-3.2.2-5].
#[test]
fn without_a_session_received_ids_are_forgotten() {
    for version in [Version::V311, Version::V5] {
        let mut client = ClientScript::<Heaped>::offline(version);
        client.reconnect(false);
        client.send(&publish2(7, "old"));
        client.cut();
        client.reconnect(true);
        client.happened();
        client.send(&publish2(7, "old"));
        assert!(client.happened().is_empty(), "a repetition");
        client.cut();
        client.reconnect(false);
        client.happened();
        client.send(&publish2(7, "new"));
        assert_eq!(client.happened(), ["publish q2 t new"]);
    }
}

/// A session that ends with its connection is there as long as the connection is, at both ends [MQTT-4.1.0-1], [3.1.1:MQTT-4.1.0-1].
#[test]
fn the_session_lasts_as_long_as_the_connection() {
    for version in VERSIONS {
        let mut server = ServerScript::<Heaped>::connected(version);
        let mut client = ClientScript::<Heaped>::connected(version);
        let message = Message::new("t", QoS::ExactlyOnce, b"x");
        server.owner.publish(&message);
        client.owner.publish(&message);
        server.send(&publish2(7, "a"));
        client.send(&publish2(7, "a"));
        assert_eq!(server.sent(), ["PUBREC 7", "PUBLISH 1 q2 t x"]);
        assert_eq!(client.sent(), ["PUBREC 7", "PUBLISH 1 q2 t x"]);
        server.happened();
        client.happened();
        for _ in 0..10 {
            server.after(50_000);
            client.after(50_000);
            server.send(&mqtt_codec::PINGREQ);
            client.sent();
            client.send(&mqtt_codec::PINGRESP);
            server.session.trim();
            client.session.trim();
        }
        server.sent();
        server.send(&publish2(7, "a"));
        client.send(&publish2(7, "a"));
        server.send(&pubrec(1));
        client.send(&pubrec(1));
        assert!(server.happened().is_empty() && client.happened().is_empty());
        assert_eq!(server.sent(), ["PUBREL 1", "PUBREC 7"]);
        assert_eq!(client.sent(), ["PUBREL 1", "PUBREC 7"]);
    }
}

/// A state that is restored from a store outlives its connections, unless it says how long it does.
#[test]
fn a_restored_state_is_kept() {
    let id = mqtt_codec::PacketId::new(7).expect("not 0");
    let received = Change::Received(id);
    let mut state =
        SessionState::<mqtt_session::profile::Full, mqtt_session::storage::Heap>::default();
    state.restore(received).expect("there is room");
    assert_eq!(state.session_expiry(), u32::MAX);
    state.set_session_expiry(60);
    let released = Change::Released(id);
    state.restore(released).expect("there is room");
    assert_eq!(state.session_expiry(), 60);
}

/// An acknowledgement that comes on a new connection before its message was sent there acknowledges nothing: all is sent again.
#[test]
fn what_was_not_sent_again_is_not_acknowledged() {
    for version in VERSIONS {
        let mut client = busy(version);
        client.cut();
        client.reconnect(true);
        client.send(&puback(2));
        client.send(&pubcomp(3));
        assert!(!client.session.is_closing());
        assert_eq!(
            client.sent(),
            [
                "PUBREL 3",
                "PUBLISH 1 q2 dup t a",
                "PUBLISH 2 q1 dup t b",
                "PUBLISH 4 q2 dup t d",
            ]
        );
        client.send(&puback(2));
        client.send(&pubcomp(3));
        assert_eq!(client.session.state().in_flight(), 2);
    }
    let mut client = ClientScript::<Heaped>::offline(Version::V5);
    client.reconnect(false);
    client
        .owner
        .publish(&Message::new("t", QoS::AtLeastOnce, b"first"));
    client.sent();
    client.cut();
    client.reconnect(true);
    client.send(&puback(1));
    assert_eq!(client.sent(), ["PUBLISH 1 q1 dup t first"]);
}

/// A session counts as used when its client has sent something after CONNECT, or left a change.
#[test]
fn a_session_is_used_after_connect() {
    let mut server = ServerScript::<Heaped>::connected(Version::V5);
    assert!(!server.session.state().is_used());
    server.send(&pingreq());
    assert!(server.session.state().is_used());

    let mut state = SessionState::<<Heaped as Kind>::Profile, <Heaped as Kind>::Storage>::default();
    assert!(!state.is_used());
    state.restore(Change::Received(id(1))).unwrap();
    assert!(state.is_used());
}

/// A state pulls from the place that it was told.
#[test]
fn a_state_pulls_from_its_cursor() {
    let mut client = ClientScript::<Heaped>::offline(Version::V311);
    for payload in [b"a", b"b", b"c"] {
        client
            .owner
            .publish(&Message::new("t", QoS::AtLeastOnce, payload));
    }
    let mut state = SessionState::default();
    state.set_cursor(Seq(1));
    assert_eq!(state.cursor(), Seq(1));
    client.session.replace_state(state);
    client.reconnect(true);
    assert_eq!(client.sent(), ["PUBLISH 1 q1 t b", "PUBLISH 2 q1 t c"]);
}
