//! Wills: what is published when a client goes without a goodbye.

use mqtt_codec::{Connect, Properties, Property, QoS, ReasonCode, Version, Will};

use super::client::Seen;
use super::net::{Net, Setup};
use crate::core::{Identity, Policy};

fn connect<'a>(
    version: Version,
    expiry: &'a [Property<'a>],
    will: &'a [Property<'a>],
    topic: &'a str,
) -> Connect<'a> {
    Connect {
        clean_start: false,
        properties: Properties::List(expiry),
        will: Some(Will {
            topic,
            payload: b"gone",
            qos: QoS::AtLeastOnce,
            retain: true,
            properties: Properties::List(will),
        }),
        ..Connect::new(version, "willing")
    }
}

fn watched(workers: u16) -> (Net, usize) {
    let mut net = Net::new(workers);
    let watcher = net.connect("watcher");
    net.subscribe(watcher, "w/#", QoS::ExactlyOnce);
    net.seen(watcher);
    (net, watcher)
}

/// Published when the connection breaks, when the client says 0x04, and when it falls silent; not after a normal goodbye
/// [MQTT-3.1.2-8], [MQTT-3.1.2-10], [MQTT-3.14.4-3], [3.1.1:MQTT-3.1.2-8], [3.1.1:MQTT-3.14.4-3].
#[test]
fn a_will_is_published_once_unless_the_client_says_goodbye() {
    for version in [Version::V31, Version::V311, Version::V5] {
        for how in ["cut", "silence", "goodbye", "with will"] {
            let (mut net, watcher) = watched(2);
            let client = net.connect_with(&connect(version, &[], &[], "w/1"));
            match how {
                "cut" => net.cut(client),
                "silence" => {
                    for _ in 0..9 {
                        net.advance(10_000);
                        net.ping(watcher);
                    }
                    assert!(!net.is_open(client), "keep-alive is 60 seconds");
                }
                "goodbye" => net.disconnect(client, ReasonCode::NORMAL_DISCONNECTION),
                _ if version != Version::V5 => continue,
                _ => net.disconnect(client, ReasonCode::DISCONNECT_WITH_WILL_MESSAGE),
            }
            let expected: &[&str] = if how == "goodbye" { &[] } else { &["gone"] };
            assert_eq!(net.texts(watcher), expected, "{version:?}, {how}");
            assert_eq!(net.shared.counters().retained.get(), expected.len() as u64);
            assert!(
                net.ledgers
                    .lock()
                    .sessions
                    .values()
                    .all(|kept| kept.will.is_none())
            );
        }
    }
}

/// With a delay it waits, until the session ends or is resumed, whichever comes first [MQTT-3.1.2-8], [MQTT-3.1.3-9].
#[test]
fn a_delayed_will_waits_for_its_client() {
    let day = [Property::SessionExpiryInterval(86_400)];
    let ten = [Property::SessionExpiryInterval(10)];
    let delay = [Property::WillDelayInterval(60)];
    for (expiry, after_ms) in [(&day, 60_000), (&ten, 10_000)] {
        let (mut net, watcher) = watched(2);
        let client = net.connect_with(&connect(Version::V5, expiry, &delay, "w/1"));
        net.cut(client);
        net.advance(after_ms - 1);
        assert_eq!(net.texts(watcher), [""; 0]);
        net.advance(1);
        assert_eq!(net.texts(watcher), ["gone"]);
        net.ping(watcher);
        net.advance(80_000);
        assert_eq!(net.texts(watcher), [""; 0], "once");
    }
    let (mut net, watcher) = watched(2);
    let client = net.connect_with(&connect(Version::V5, &day, &delay, "w/1"));
    net.cut(client);
    net.advance(59_999);
    let client = net.persistent("willing");
    net.advance(10_000);
    net.ping(watcher);
    net.cut(client);
    net.advance(80_000);
    assert_eq!(
        net.texts(watcher),
        [""; 0],
        "resumed in time, and the second connection has none"
    );
    assert!(
        net.ledgers
            .lock()
            .sessions
            .values()
            .all(|kept| kept.will.is_none())
    );
}

/// Its Message Expiry Interval counts from its publication, and its user properties keep their order [MQTT-3.1.3-10],
/// [MQTT-3.3.2-6].
#[test]
fn the_life_of_a_will_begins_when_it_is_published() {
    let day = [Property::SessionExpiryInterval(86_400)];
    let will = [
        Property::WillDelayInterval(100),
        Property::MessageExpiryInterval(7),
        Property::UserProperty("b", "1"),
        Property::UserProperty("a", "2"),
    ];
    let (mut net, watcher) = watched(1);
    let client = net.connect_with(&connect(Version::V5, &day, &will, "w/1"));
    net.cut(client);
    net.advance(50_000);
    net.ping(watcher);
    net.advance(50_000);
    let messages = net.received(watcher);
    assert_eq!(messages[0].expiry, Some(7));
    let user = [("b", "1"), ("a", "2")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(messages[0].user, user);
    net.ping(watcher);
    net.advance(7_000);
    assert_eq!(
        net.shared.counters().retained.get(),
        0,
        "the retained copy has expired"
    );
}

/// Only the broker publishes below `$SYS`: a will did, too.
#[test]
fn a_will_to_sys_is_refused_at_connect() {
    let mut net = Net::new(1);
    for (version, reason) in [
        (Version::V5, ReasonCode::NOT_AUTHORIZED),
        (Version::V311, ReasonCode::NOT_AUTHORIZED),
    ] {
        let client = net.connect_with(&connect(version, &[], &[], "$SYS/broker/version"));
        assert_eq!(net.connack(client).reason, reason);
        assert!(!net.is_open(client));
    }
    assert_eq!(net.gauges(), [0; 7]);
}

struct Revoking(core::sync::atomic::AtomicBool);

impl Policy for Revoking {
    fn publish(&self, _: Identity<'_>, topic: &str, _: QoS, _: bool) -> bool {
        topic != "w/never" && !self.0.load(core::sync::atomic::Ordering::Relaxed)
    }
}

/// A will is a publication: nobody asked whether its client may publish there.
#[test]
fn a_will_needs_the_right_to_publish() {
    let policy = std::sync::Arc::new(Revoking(false.into()));
    struct Handle(std::sync::Arc<Revoking>);
    impl Policy for Handle {
        fn publish(&self, client: Identity<'_>, topic: &str, qos: QoS, retain: bool) -> bool {
            self.0.publish(client, topic, qos, retain)
        }
    }
    let mut net = Net::with(Setup::default(), Handle(std::sync::Arc::clone(&policy)));
    let refused = net.connect_with(&connect(Version::V5, &[], &[], "w/never"));
    assert_eq!(net.connack(refused).reason, ReasonCode::NOT_AUTHORIZED);
    let watcher = net.connect("watcher");
    net.subscribe(watcher, "w/#", QoS::AtMostOnce);
    let client = net.connect_with(&connect(Version::V5, &[], &[], "w/1"));
    assert_eq!(net.connack(client).reason, ReasonCode::SUCCESS);
    policy.0.store(true, core::sync::atomic::Ordering::Relaxed);
    net.cut(client);
    net.seen(watcher);
    assert_eq!(net.texts(watcher), [""; 0], "revoked meanwhile");
    assert_eq!(net.shared.counters().retained.get(), 0);
}

/// A will goes to its own client's other sessions and subscriptions like any message, and what its session would have got ends with it.
#[test]
fn a_session_that_would_get_its_own_will_ends_cleanly() {
    let mut net = Net::new(1);
    let client = net.connect_with(&connect(Version::V5, &[], &[], "w/1"));
    net.subscribe(client, "w/#", QoS::AtLeastOnce);
    net.subscribe(client, "$share/g/w/#", QoS::AtLeastOnce);
    net.cut(client);
    assert_eq!(
        net.gauges(),
        [0, 0, 0, 0, 1, 0, 0],
        "only the retained will is left"
    );
    let day = [Property::SessionExpiryInterval(86_400)];
    let client = net.connect_with(&connect(Version::V5, &day, &[], "w/1"));
    net.subscribe(client, "w/#", QoS::AtLeastOnce);
    net.cut(client);
    let client = net.persistent("willing");
    let messages = net.seen(client);
    let texts = messages
        .iter()
        .filter(|seen| matches!(seen, Seen::Publish(_)))
        .count();
    assert_eq!(texts, 1, "{messages:?}");
}

/// A will is retained if its flag says so [MQTT-3.1.2-15], [3.1.1:MQTT-3.1.2-17], and not otherwise [MQTT-3.1.2-14],
/// [3.1.1:MQTT-3.1.2-16]; it has the QoS that it asked for.
#[test]
fn a_will_is_retained_if_it_says_so() {
    for version in [Version::V311, Version::V5] {
        for retain in [true, false] {
            for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
                let (mut net, watcher) = watched(2);
                let mut connect = connect(version, &[], &[], "w/1");
                if let Some(will) = &mut connect.will {
                    (will.retain, will.qos) = (retain, qos);
                }
                let client = net.connect_with(&connect);
                net.cut(client);
                let live = net.received(watcher);
                assert_eq!((live.len(), live[0].qos), (1, qos));
                assert_eq!((&*live[0].topic, &*live[0].text()), ("w/1", "gone"));
                let late = net.connect_with(&Connect::new(version, "late"));
                net.subscribe(late, "w/1", QoS::ExactlyOnce);
                let expected: &[&str] = if retain { &["gone"] } else { &[] };
                assert_eq!(net.texts(late), expected, "{version}, {qos:?}");
            }
        }
    }
}
