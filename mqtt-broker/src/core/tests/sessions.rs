//! Sessions that outlive their connections, and how they end.

use mqtt_codec::{Connect, Disconnect, Packet, Properties, Property, QoS, ReasonCode, Version};
use mqtt_session::Instant;

use super::client::Seen;
use super::net::{Net, resume};

fn v3(clean_session: bool) -> Connect<'static> {
    Connect {
        clean_start: clean_session,
        ..Connect::new(Version::V311, "c")
    }
}

fn v5(expiry: &'static [Property<'static>]) -> Connect<'static> {
    Connect {
        clean_start: false,
        properties: Properties::List(expiry),
        ..Connect::new(Version::V5, "c")
    }
}

/// Session present is told as it is: never after a clean start, and only while a session exists [MQTT-3.2.2-2], [MQTT-3.2.2-3],
/// [3.1.1:MQTT-3.2.2-1], [3.1.1:MQTT-3.2.2-2], [3.1.1:MQTT-3.2.2-3], [3.1.1:MQTT-3.1.2-6].
#[test]
fn session_present_says_whether_an_earlier_session_goes_on() {
    let mut net = Net::new(2);
    let mut present = |connect: &Connect<'_>| {
        let client = net.connect_with(connect);
        let present = net.connack(client).session_present;
        // That it goes on shows that it has read CONNACK.
        net.ping(client);
        net.cut(client);
        present
    };
    assert!(!present(&v3(false)));
    assert!(present(&v3(false)));
    assert!(
        present(&v5(&[Property::SessionExpiryInterval(10)])),
        "another version resumes it"
    );
    assert!(!present(&v3(true)));
    assert!(!present(&v3(false)), "a clean session leaves nothing");
    assert!(present(&v3(false)));
    assert!(
        present(&v5(&[])),
        "it goes on, and ends with this connection"
    );
    assert!(!present(&v5(&[])));
}

/// CONNACK can get lost, and then the client does not know that its session began anew: told at the next CONNECT that it is present, it
/// would go on with what it kept of an older one. A session that its client never used counts as absent [MQTT-3.2.2-2],
/// [3.1.1:MQTT-3.2.2-3]; nothing that came with the lost CONNECT stays [MQTT-3.1.3-9].
#[test]
fn a_session_whose_client_may_not_know_of_it_is_not_present() {
    for version in [Version::V31, Version::V311, Version::V5] {
        let connect = Connect {
            clean_start: false,
            properties: v5(&[Property::SessionExpiryInterval(10)]).properties,
            ..Connect::new(version, "c")
        };
        let mut net = Net::new(2);
        for _ in 0..3 {
            let lost = net.connect_with(&connect);
            net.cut(lost);
            assert_eq!(net.shared.counters().sessions.get(), 1);
        }
        // A second connection while the first is still up is no better.
        net.connect_with(&connect);
        let client = net.connect_with(&connect);
        assert!(!net.connack(client).session_present);
        net.subscribe(client, "t", QoS::AtLeastOnce);
        net.cut(client);
        // From now on it is used, although this CONNACK is not read either.
        let lost = net.connect_with(&connect);
        net.cut(lost);
        let publisher = net.connect("pub");
        net.publish(publisher, "t", "kept", QoS::AtLeastOnce);
        let client = net.connect_with(&connect);
        let seen = net.seen(client);
        let [Seen::ConnAck(connack), Seen::Publish(message)] = &seen[..] else {
            panic!("{seen:?}");
        };
        // 3.1 has no word for it.
        assert_eq!(connack.session_present, version != Version::V31);
        assert_eq!(message.text(), "kept");
        net.disconnect(client, ReasonCode::NORMAL_DISCONNECTION);
        let client = net.connect_with(&connect);
        assert_eq!(net.connack(client).session_present, version != Version::V31);
    }
}

/// A session without a connection keeps what comes with QoS 1 and 2, in order, until it expires; then nothing of it is left
/// [MQTT-3.1.2-23], [MQTT-4.1.0-2], [MQTT-4.6.0-5].
#[test]
fn a_session_waits_for_its_client_until_it_expires() {
    let mut net = Net::new(2);
    let client = net.connect_with(&v5(&[Property::SessionExpiryInterval(10)]));
    net.subscribe(client, "t", QoS::ExactlyOnce);
    net.cut(client);
    let publisher = net.connect("pub");
    for number in 0..50 {
        let qos = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce][number % 3];
        net.publish(publisher, "t", &number.to_string(), qos);
    }
    net.advance(9_999);
    let client = net.connect_with(&v5(&[Property::SessionExpiryInterval(10)]));
    let expected: Vec<String> = (0..50)
        .filter(|number| number % 3 != 0)
        .map(|number| number.to_string())
        .collect();
    assert_eq!(net.texts(client), expected);
    net.cut(client);
    net.publish(publisher, "t", "lost", QoS::AtLeastOnce);
    net.advance(10_000);
    net.cut(publisher);
    assert_eq!(net.gauges(), [0; 7]);
    assert_eq!(net.shared.counters().sessions_expired.get(), 1);
    assert!(net.ledgers.lock().sessions.is_empty());
}

/// DISCONNECT may change how long the session is kept: not from nothing to something, and not above the limit [MQTT-3.1.2-23]. The
/// limit was forgotten there.
#[test]
fn disconnect_changes_the_expiry_within_the_limit() {
    let mut net = Net::set(|settings| settings.session_expiry_maximum = 100);
    let leave = |net: &mut Net, client: usize, seconds: u32| {
        let properties = [Property::SessionExpiryInterval(seconds)];
        net.packet(
            client,
            &Packet::Disconnect(Disconnect {
                reason: ReasonCode::NORMAL_DISCONNECTION,
                properties: Properties::List(&properties),
            }),
        );
    };
    let client = net.connect_with(&v5(&[Property::SessionExpiryInterval(10)]));
    leave(&mut net, client, 50);
    net.advance(49_000);
    assert_eq!(net.shared.counters().sessions.get(), 1);
    net.advance(1_000);
    assert_eq!(net.shared.counters().sessions.get(), 0);
    let client = net.connect_with(&v5(&[Property::SessionExpiryInterval(u32::MAX)]));
    assert_eq!(net.connack(client).session_expiry, Some(100));
    leave(&mut net, client, u32::MAX);
    net.advance(100_000);
    assert_eq!(net.shared.counters().sessions.get(), 0);
    let client = net.connect_with(&v5(&[Property::SessionExpiryInterval(10)]));
    leave(&mut net, client, 0);
    assert_eq!(net.shared.counters().sessions.get(), 0, "ended at once");
}

/// Before 5.0 a session is kept for ever, unless the operator says for how long [3.1.1:MQTT-4.1.0-2]. The store was told 0 seconds.
#[test]
fn a_session_of_3_1_1_is_kept_as_long_as_the_operator_allows() {
    let mut net = Net::new(1);
    let client = net.connect_with(&v3(false));
    assert_eq!(
        net.ledgers.lock().sessions.values().next().unwrap().expiry,
        u32::MAX
    );
    net.cut(client);
    net.advance(u64::from(u32::MAX) * 1_000 * 10);
    assert_eq!(net.shared.counters().sessions.get(), 1);
    let mut net = Net::set(|settings| settings.session_expiry_maximum = 3_600);
    let client = net.connect_with(&v3(false));
    net.cut(client);
    net.advance(3_599_999);
    assert_eq!(net.shared.counters().sessions.get(), 1);
    net.advance(1);
    assert_eq!(net.shared.counters().sessions.get(), 0);
}

/// A client that comes and goes leaves no timers behind: each connection left two, for up to a day. Those of others stay: a silent client
/// is cut off, and a session ends in its time.
#[test]
fn timers_do_not_pile_up() {
    let mut net = Net::new(1);
    let silent = net.connect_with(&Connect {
        keep_alive: 100,
        ..Connect::new(Version::V5, "silent")
    });
    let away = net.persistent("away");
    net.ping(away);
    net.cut(away);
    for _ in 0..5_000 {
        let client = net.connect_with(&Connect {
            keep_alive: 60_000,
            ..v5(&[Property::SessionExpiryInterval(86_400)])
        });
        net.cut(client);
    }
    assert!(
        net.cores[0].timers.len() < 1_100,
        "{}",
        net.cores[0].timers.len()
    );
    assert_eq!(net.cores[0].connections(), 1);
    net.advance(149_999);
    assert!(net.is_open(silent));
    net.advance(1);
    assert!(!net.is_open(silent));
    assert_eq!(net.cores[0].connections(), 0);
    assert_eq!(net.shared.counters().violations.get(), 1);
    net.advance(86_400_000);
    assert_eq!(net.gauges(), [0; 7]);
    assert_eq!(
        net.cores[0].deadline(),
        None,
        "and nothing wakes an idle broker"
    );
}

/// Very many sessions that end at once are worked off over several rounds.
#[test]
fn a_round_ends_a_bounded_number_of_sessions() {
    let mut net = Net::new(1);
    for number in 0..3_000 {
        let client = net.persistent(&format!("c{number}"));
        net.cut(client);
    }
    net.now = net.now.plus_seconds(86_400);
    while net.cores[0].sessions.len() == 3_000 {
        net.cores[0].tick(net.now);
    }
    let left = net.cores[0].sessions.len();
    assert!((1..3_000).contains(&left), "{left}");
    assert!(net.cores[0].deadline().is_some_and(|due| due <= net.now));
    net.run();
    assert_eq!(net.gauges(), [0; 7]);
    assert_eq!(net.now.millis_since(Instant::ZERO), 86_401_000);
}

/// A client that comes back without a clean start finds its session as it was: subscriptions, and what waited for it [MQTT-3.1.2-5],
/// [3.1.1:MQTT-3.1.2-4], [3.1.1:MQTT-3.1.2-5]; without a session it begins a new one [MQTT-3.1.2-6]. A clean start ends what there was
/// [MQTT-3.1.2-4], [MQTT-3.1.4-4], [3.1.1:MQTT-3.1.2-6], [3.1.1:MQTT-3.1.4-3]. The client id names the session: another one finds
/// nothing of it [MQTT-3.1.3-2], [3.1.1:MQTT-3.1.3-2].
#[test]
fn a_session_goes_on_unless_the_start_is_clean() {
    for workers in [1, 3] {
        for version in [Version::V311, Version::V5] {
            let connect = |name, clean_start| Connect {
                clean_start,
                properties: if version.is_v5() {
                    v5(&[Property::SessionExpiryInterval(1_000)]).properties
                } else {
                    Properties::EMPTY
                },
                ..Connect::new(version, name)
            };
            let mut net = Net::new(workers);
            let publisher = net.connect_with(&Connect::new(version, "pub"));
            let join = |net: &mut Net, name, clean_start| {
                let client = net.connect_with(&connect(name, clean_start));
                let seen = net.seen(client);
                let present = matches!(&seen[0], Seen::ConnAck(connack) if connack.session_present);
                (client, present, seen.len() - 1)
            };
            let (client, present, waited) = join(&mut net, "c", false);
            assert!(!present && waited == 0, "a new one");
            net.subscribe(client, "t", QoS::ExactlyOnce);
            net.cut(client);
            net.publish(publisher, "t", "1", QoS::AtLeastOnce);
            net.publish(publisher, "t", "2", QoS::ExactlyOnce);
            let (other, present, waited) = join(&mut net, "C", false);
            assert!(!present && waited == 0, "another's");
            net.publish(publisher, "t", "3", QoS::AtLeastOnce);
            assert_eq!(net.texts(other), [""; 0]);
            let (client, present, waited) = join(&mut net, "c", false);
            // Two messages and one with its PUBREL, and the third.
            assert!(present && waited == 4, "{waited}");
            net.publish(publisher, "t", "4", QoS::AtMostOnce);
            assert_eq!(net.texts(client), ["4"], "still subscribed");
            net.cut(client);
            net.publish(publisher, "t", "5", QoS::AtLeastOnce);
            let (client, present, waited) = join(&mut net, "c", true);
            assert!(!present && waited == 0, "a clean start");
            net.publish(publisher, "t", "6", QoS::AtLeastOnce);
            assert_eq!(net.texts(client), [""; 0], "no longer subscribed");
        }
    }
}

/// Client ids of 1 to 23 of the characters 0-9, a-z and A-Z are taken, and tell sessions apart [MQTT-3.1.3-5], [3.1.1:MQTT-3.1.3-5].
#[test]
fn plain_client_ids_are_taken() {
    let alphabet: String = ('0'..='9').chain('a'..='z').chain('A'..='Z').collect();
    let mut names: Vec<String> = alphabet.chars().map(String::from).collect();
    names.extend((2..=23).map(|len| alphabet[len..2 * len].to_owned()));
    names.extend(
        (0..=39)
            .filter(|from| *from != 23)
            .map(|from| alphabet[from..from + 23].to_owned()),
    );
    for version in [Version::V31, Version::V311, Version::V5] {
        let mut net = Net::new(2);
        let clients: Vec<usize> = names
            .iter()
            .map(|name| net.connect_with(&Connect::new(version, name)))
            .collect();
        for client in clients {
            assert_eq!(net.connack(client).reason, ReasonCode::SUCCESS);
            assert!(net.is_open(client));
        }
    }
}

/// Retained messages are no part of a session: they stay when the session of their publisher ends [3.1.1:MQTT-3.1.2-7].
#[test]
fn retained_messages_outlive_their_publishers_session() {
    for version in [Version::V311, Version::V5] {
        let mut net = Net::new(2);
        let publisher = net.connect_with(&Connect::new(version, "pub"));
        net.retain(publisher, "t", "kept", QoS::AtLeastOnce);
        net.disconnect(publisher, ReasonCode::SUCCESS);
        assert_eq!(net.shared.counters().sessions.get(), 0);
        let again = net.connect_with(&Connect::new(version, "pub"));
        net.subscribe(again, "t", QoS::AtLeastOnce);
        assert_eq!(net.texts(again), ["kept"]);
    }
}

/// QoS 0 that waits behind a CONNACK which is not durable yet ends with its connection: who comes back later does not get it.
#[test]
fn what_waits_with_qos_0_ends_with_its_connection() {
    let mut net = Net::new(1);
    let sub = net.persistent("sub");
    net.subscribe(sub, "t", QoS::AtMostOnce);
    net.cut(sub);
    let publisher = net.connect("pub");
    net.ledgers.hold();
    let sub = net.reconnect(sub, &resume("sub"));
    assert_eq!(net.seen(sub), []);
    net.publish(publisher, "t", "x", QoS::AtMostOnce);
    assert_eq!(net.shared.counters().queued.get(), 1);
    net.cut(sub);
    assert_eq!(net.shared.counters().queued.get(), 0);
    net.ledgers.release();
    let sub = net.reconnect(sub, &resume("sub"));
    assert_eq!(net.texts(sub), [""; 0]);
}
