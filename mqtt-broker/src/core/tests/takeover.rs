//! A second connection with the client id of a first.

use mqtt_codec::{Connect, Properties, Property, QoS, ReasonCode, Version, Will};

use super::client::Seen;
use super::net::{Net, connect_bytes};

const DELAY: [Property<'static>; 1] = [Property::WillDelayInterval(60)];

fn with_will(
    clean_start: bool,
    expiry: &'static [Property<'static>],
    delay: bool,
) -> Connect<'static> {
    Connect {
        clean_start,
        properties: Properties::List(expiry),
        will: Some(Will {
            topic: "will",
            payload: b"gone",
            qos: QoS::AtLeastOnce,
            retain: false,
            properties: if delay {
                Properties::List(&DELAY)
            } else {
                Properties::EMPTY
            },
        }),
        ..Connect::new(Version::V5, "same")
    }
}

const DAY: &[Property<'static>] = &[Property::SessionExpiryInterval(86_400)];

/// The old connection is told 0x8E and closed, before 5.0 just closed; the session, its subscriptions and what waited for it go on
/// [MQTT-3.1.4-3], [3.1.1:MQTT-3.1.4-2].
#[test]
fn the_old_connection_is_told_and_the_session_goes_on() {
    for workers in [1, 3] {
        let mut net = Net::new(workers);
        let old = net.persistent("same");
        net.subscribe(old, "t", QoS::AtLeastOnce);
        net.seen(old);
        let new = net.persistent("same");
        assert_eq!(
            net.seen(old),
            [
                Seen::Disconnect(ReasonCode::SESSION_TAKEN_OVER),
                Seen::Closed
            ]
        );
        assert!(net.connack(new).session_present);
        let publisher = net.connect("pub");
        net.publish(publisher, "t", "to the new one", QoS::AtLeastOnce);
        assert_eq!(net.texts(new), ["to the new one"]);
        assert_eq!(net.texts(old), [""; 0]);

        let old = net.connect_with(&Connect::new(Version::V311, "third"));
        net.seen(old);
        net.connect_with(&Connect::new(Version::V311, "third"));
        assert_eq!(net.seen(old), [Seen::Closed]);
        assert_eq!(net.shared.counters().clients_connected.get(), 3);
    }
}

/// Wherever it is accepted, a connection ends up where its client id is at home: two workers never have one client's session
/// [MQTT-3.1.3-2].
#[test]
fn one_client_id_is_always_at_one_worker() {
    let mut net = Net::new(4);
    for name in 0..40 {
        let name = format!("client{name}");
        let home = usize::from(net.shared.home(&name));
        let mut before = None;
        for _ in 0..5 {
            // Each is accepted at the next worker.
            let client = net.connect(&name);
            assert_eq!(net.place(client).0, home);
            if let Some(before) = before.replace(client) {
                assert!(!net.is_open(before));
            }
        }
    }
    assert_eq!(net.shared.counters().connections.get(), 40);
    assert_eq!(net.shared.counters().sessions.get(), 40);
}

/// The first connection has closed, so its will is due: at once without a delay; not at all when the session goes on within the delay;
/// at once when its session ends, by a clean start or because it expires with the connection [MQTT-3.1.2-8], [MQTT-3.1.3-9].
#[test]
fn the_will_of_the_old_connection() {
    let cases: [(bool, &[Property<'_>], bool, bool, bool); 5] = [
        // clean start of the second, expiry of the first, delay: published, session present
        (false, DAY, false, true, true),
        (false, DAY, true, false, true),
        (true, DAY, true, true, false),
        (false, &[], true, true, false),
        (true, DAY, false, true, false),
    ];
    for (clean_start, expiry, delay, published, present) in cases {
        let mut net = Net::new(2);
        let watcher = net.connect("watcher");
        net.subscribe(watcher, "will", QoS::AtLeastOnce);
        net.seen(watcher);
        let first = net.connect_with(&with_will(false, expiry, delay));
        net.ping(first);
        let second = net.connect_with(&Connect {
            clean_start,
            ..Connect::new(Version::V5, "same")
        });
        assert_eq!(net.connack(second).session_present, present);
        net.advance(120_000);
        let expected: &[&str] = if published { &["gone"] } else { &[] };
        let case = (clean_start, expiry.len(), delay);
        assert_eq!(net.texts(watcher), expected, "{case:?}");
    }
}

/// A client whose connection is half dead and full of unread output comes back. The old connection said nothing any more and was never
/// closed, because its output was at the limit of a round.
#[test]
fn a_connection_with_much_unread_output_is_closed_too() {
    let mut net = Net::new(1);
    let old = net.persistent("same");
    net.subscribe(old, "t", QoS::AtMostOnce);
    net.set_deaf(old, true);
    let publisher = net.connect("pub");
    for _ in 0..30 {
        net.publish(publisher, "t", &"x".repeat(5_000), QoS::AtMostOnce);
    }
    let new = net.persistent("same");
    assert!(net.connack(new).session_present);
    assert!(!net.is_open(old));
    assert_eq!(net.shared.counters().connections.get(), 2);
}

/// What is in flight goes on over the new connection, with DUP and the same ids [MQTT-4.4.0-1], [MQTT-4.3.3-10].
#[test]
fn what_is_in_flight_moves_to_the_new_connection() {
    use super::client::Manner;
    let mut net = Net::new(1);
    let old = net.persistent("same");
    net.subscribe(old, "t", QoS::ExactlyOnce);
    net.set_manner(old, Manner::Silent);
    net.seen(old);
    let publisher = net.connect("pub");
    for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce, QoS::AtLeastOnce] {
        net.publish(publisher, "t", &format!("{qos:?}"), qos);
    }
    let before = net.received(old);
    assert_eq!(before.len(), 3);
    let new = net.persistent("same");
    let after = net.received(new);
    assert!(after.iter().all(|message| message.dup));
    let ids = |messages: &[super::client::Message]| -> Vec<(u16, String)> {
        messages
            .iter()
            .map(|message| (message.id, message.text()))
            .collect()
    };
    assert_eq!(ids(&before), ids(&after));
    assert_eq!(net.shared.counters().queued.get(), 0, "all is acknowledged");
}

/// A CONNECT that comes while the first one's CONNACK is still withheld: the first is closed without a word [MQTT-3.14.0-1].
#[test]
fn a_connection_can_be_taken_over_before_its_connack() {
    let mut net = Net::new(1);
    net.ledgers.hold();
    let first = net.persistent("same");
    assert_eq!(net.seen(first), []);
    let second = net.persistent("same");
    assert_eq!(net.seen(first), [Seen::Closed]);
    net.ledgers.release();
    net.run();
    // It was never told of the first one's session, and must not take it for one that it knows.
    assert!(!net.connack(second).session_present);
}

/// A second CONNECT is an error, also during authentication and for a client id that is at home elsewhere: it was carried to that other
/// worker as if it were a first one [MQTT-3.1.0-2].
#[test]
fn a_second_connect_is_never_handed_over() {
    let mut net = Net::new(8);
    let client = net.connect("first");
    let (worker, _) = net.place(client);
    net.seen(client);
    let name = (0..)
        .map(|number| format!("other{number}"))
        .find(|name| usize::from(net.shared.home(name)) != worker)
        .unwrap();
    net.send(client, &connect_bytes(&Connect::new(Version::V5, &name)));
    assert_eq!(
        net.seen(client),
        [Seen::Disconnect(ReasonCode::PROTOCOL_ERROR), Seen::Closed]
    );
    assert_eq!(net.shared.counters().sessions.get(), 0);
}
