//! A broker that died and started again: sessions, their subscriptions, what waits for them, retained messages, time.

use mqtt_codec::{Connect, Properties, Property, QoS, SubscriptionOptions, Version, Will};
use mqtt_session::Instant;

use super::client::{Manner, Seen};
use super::net::{Net, resume};

/// The same store under one worker, and under another number of them.
pub(super) const WORKERS: [(u16, u16); 4] = [(1, 1), (1, 3), (3, 1), (3, 4)];

const NOBODY: mqtt_codec::ReasonCode = mqtt_codec::ReasonCode::NO_MATCHING_SUBSCRIBERS;

/// A session outlives the broker whether it was connected or not: the client is told that it is there, and its subscriptions hold with
/// their options and identifiers [MQTT-3.1.2-5], [MQTT-3.2.2-3], [MQTT-4.1.0-1], [MQTT-4.1.0-2].
#[test]
fn sessions_and_subscriptions_come_back() {
    for (before, after) in WORKERS {
        let mut net = Net::new(before);
        let away = net.connect_with(&Connect {
            user_name: Some("user"),
            ..resume("away")
        });
        net.subscribe_with(
            away,
            &["t/+"],
            SubscriptionOptions {
                no_local: true,
                retain_as_published: true,
                ..SubscriptionOptions::new(QoS::AtLeastOnce)
            },
            Some(7),
        );
        net.subscribe_with(
            away,
            &["t/#", "gone"],
            SubscriptionOptions::new(QoS::ExactlyOnce),
            Some(8),
        );
        net.unsubscribe(away, &["gone"]);
        net.cut(away);
        let here = net.persistent("here");
        net.subscribe(here, "t/1", QoS::AtLeastOnce);
        net.seen(here);
        net.restart(after);
        assert!(!net.is_open(here));
        net.agrees_with_the_store();
        assert_eq!(net.gauges(), [0, 0, 2, 0, 0, 3, 0]);
        let here = net.reconnect(here, &resume("here"));
        assert!(net.connack(here).session_present);
        net.publish(here, "gone", "nobody", QoS::AtLeastOnce);
        assert_eq!(net.seen(here), [Seen::PubAck(2, NOBODY)]);
        net.retain(here, "t/1", "while away", QoS::AtLeastOnce);
        assert_eq!(net.texts(here), ["while away"]);
        let away = net.reconnect(away, &resume("away"));
        let seen = net.seen(away);
        assert!(matches!(&seen[0], Seen::ConnAck(connected) if connected.session_present));
        assert!(
            matches!(&seen[1], Seen::Publish(message)
                if message.retain && message.qos == QoS::AtLeastOnce && message.subscriptions == [7, 8]),
            "{seen:?}"
        );
        net.retain(away, "t/1", "own", QoS::AtLeastOnce);
        let own = net.received(away);
        assert_eq!((own.len(), &own[0].subscriptions[..]), (1, &[8][..]));
        assert!(!own[0].retain, "No Local and its flag were another's");
        net.agrees_with_the_store();
    }
}

/// A session without subscriptions is there for a client that has used it, and only for such a one. That it was used had not been
/// recorded: after a restart its client would have been told that there was no session.
#[test]
fn a_session_is_present_when_its_client_knows_of_it() {
    let mut net = Net::new(2);
    let used = net.persistent("used");
    net.ping(used);
    net.persistent("unused");
    net.restart(3);
    net.restart(2);
    net.agrees_with_the_store();
    let used = net.persistent("used");
    assert!(net.connack(used).session_present);
    let unused = net.persistent("unused");
    assert!(!net.connack(unused).session_present);
}

/// Sessions that end with their connection have ended, and so have those whose time went by while the broker was away; the others have
/// as much time left as they had [MQTT-3.1.2-23]. The new clock has nothing to do with the old one.
#[test]
fn session_expiry_goes_on_while_the_broker_is_away() {
    let connect = |name, seconds: &'static [Property<'static>]| Connect {
        clean_start: false,
        properties: Properties::List(seconds),
        ..Connect::new(Version::V5, name)
    };
    const TEN: &[Property<'static>] = &[Property::SessionExpiryInterval(10)];
    const EVER: &[Property<'static>] = &[Property::SessionExpiryInterval(u32::MAX)];
    for now in [1_000_000, 5] {
        let mut net = Net::new(2);
        for (name, expiry) in [("gone", TEN), ("left", TEN), ("ever", EVER)] {
            let client = net.connect_with(&connect(name, expiry));
            net.subscribe(client, "t", QoS::AtLeastOnce);
            if name == "left" {
                net.advance(4_000);
            }
            net.cut(client);
        }
        net.connect_with(&connect("connected", TEN));
        net.connect_with(&connect("clean", &[]));
        // 4,000 ms after "gone", which has 6,000 left.
        net.restart_later(3, 6_000, Instant::from_millis(now));
        net.agrees_with_the_store();
        assert_eq!(net.gauges()[2], 3, "left, ever, connected");
        // The other that ended did so with its connection.
        assert_eq!(net.shared.counters().sessions_expired.get(), 1);
        net.advance(3_999);
        assert_eq!(net.gauges()[2], 3);
        net.advance(1);
        assert_eq!(net.gauges()[2], 2, "it had 4,000 ms left");
        net.advance(5_999);
        assert_eq!(net.gauges()[2], 2);
        net.advance(1);
        assert_eq!(net.gauges()[2], 1, "10,000 ms after the start");
        net.advance(1_000_000);
        assert_eq!(net.gauges()[2], 1);
        net.agrees_with_the_store();
    }
}

/// What waited for a session comes in its order, with its flags and identifiers; what was acknowledged does not; QoS 0 is gone
/// [MQTT-4.1.0-1], [MQTT-4.4.0-1], [MQTT-4.6.0-1].
#[test]
fn what_waited_comes_in_order() {
    for (before, after) in WORKERS {
        let mut net = Net::new(before);
        let publisher = net.connect("pub");
        let sub = net.persistent("sub");
        let options = SubscriptionOptions::new(QoS::ExactlyOnce);
        net.subscribe_with(sub, &["t"], options, Some(3));
        net.publish(publisher, "t", "acknowledged", QoS::AtLeastOnce);
        assert_eq!(net.texts(sub), ["acknowledged"]);
        net.cut(sub);
        for number in 0..30 {
            let qos = [QoS::AtLeastOnce, QoS::ExactlyOnce, QoS::AtMostOnce][number % 3];
            net.publish(publisher, "t", &number.to_string(), qos);
        }
        net.restart(after);
        net.agrees_with_the_store();
        assert_eq!(net.gauges()[3], 20);
        net.restart(before);
        let sub = net.reconnect(sub, &resume("sub"));
        let came = net.received(sub);
        let expected: Vec<String> = (0..30)
            .filter(|number| number % 3 != 2)
            .map(|number| number.to_string())
            .collect();
        let texts: Vec<String> = came.iter().map(|message| message.text()).collect();
        assert_eq!(texts, expected);
        assert!(came.iter().all(|message| message.subscriptions == [3]
            && message.qos != QoS::AtMostOnce
            && !message.retain));
        assert_eq!(net.gauges()[3], 0);
        net.agrees_with_the_store();
        assert!(net.ledgers.lock().queues.is_empty());
        net.restart(after);
        let sub = net.reconnect(sub, &resume("sub"));
        assert_eq!(net.texts(sub), [""; 0]);
    }
}

/// What was not durable was not acknowledged, and is gone; what was acknowledged is there [MQTT-4.9.0-3].
#[test]
fn only_what_was_acknowledged_is_sure() {
    let mut net = Net::new(2);
    let publisher = net.persistent("pub");
    let sub = net.persistent("sub");
    net.subscribe(sub, "t", QoS::AtLeastOnce);
    net.cut(sub);
    net.publish(publisher, "t", "acknowledged", QoS::AtLeastOnce);
    net.seen(publisher);
    net.ledgers.hold();
    net.publish(publisher, "t", "not yet", QoS::AtLeastOnce);
    net.subscribe(publisher, "u", QoS::AtLeastOnce);
    assert_eq!(net.seen(publisher), []);
    net.restart(2);
    net.agrees_with_the_store();
    assert_eq!(net.gauges()[5], 1);
    let sub = net.reconnect(sub, &resume("sub"));
    assert_eq!(net.texts(sub), ["acknowledged"]);
}

/// A message has as much time left as it had; one whose time went by is not delivered [MQTT-3.3.2-5], [MQTT-3.3.2-6].
#[test]
fn message_expiry_goes_on_while_the_broker_is_away() {
    for now in [2_000_000, 0] {
        let mut net = Net::new(2);
        let publisher = net.connect("pub");
        let sub = net.persistent("sub");
        net.subscribe(sub, "t", QoS::AtLeastOnce);
        net.cut(sub);
        for (text, seconds) in [("short", 10), ("long", 100)] {
            let expiry = [Property::MessageExpiryInterval(seconds)];
            net.publish_with(publisher, "t", text, QoS::AtLeastOnce, false, &expiry);
            net.publish_with(publisher, text, text, QoS::AtLeastOnce, true, &expiry);
        }
        net.advance(4_000);
        net.restart_later(3, 6_000, Instant::from_millis(now));
        net.agrees_with_the_store();
        assert_eq!(net.shared.counters().retained.get(), 1);
        net.advance(10_000);
        let sub = net.reconnect(sub, &resume("sub"));
        let came = net.received(sub);
        assert_eq!((came.len(), came[0].text()), (1, "long".to_owned()));
        assert_eq!(came[0].expiry, Some(80));
        net.advance(79_999);
        assert_eq!(net.shared.counters().retained.get(), 1);
        net.advance(1);
        assert_eq!(net.shared.counters().retained.get(), 0);
        net.agrees_with_the_store();
    }
}

/// Retained messages are what they were: the latest of each topic, with QoS and properties, and none where it was removed
/// [MQTT-3.3.1-5], [MQTT-3.3.1-6].
#[test]
fn retained_messages_come_back() {
    for (before, after) in WORKERS {
        let mut net = Net::new(before);
        let publishers = ["p1", "p2", "p3"].map(|name| net.connect(name));
        let user = [Property::UserProperty("a", "b")];
        net.retain(publishers[0], "t/1", "old", QoS::AtLeastOnce);
        net.publish_with(publishers[1], "t/1", "new", QoS::ExactlyOnce, true, &user);
        net.retain(publishers[2], "t/2", "removed", QoS::AtLeastOnce);
        net.retain(publishers[0], "t/2", "", QoS::AtLeastOnce);
        net.retain(publishers[1], "t/3", "at most once", QoS::AtMostOnce);
        net.restart(after);
        net.agrees_with_the_store();
        let sub = net.connect("sub");
        net.subscribe(sub, "t/#", QoS::ExactlyOnce);
        let mut came = net.received(sub);
        came.sort_by(|a, b| a.topic.cmp(&b.topic));
        let texts: Vec<String> = came.iter().map(|message| message.text()).collect();
        assert_eq!(texts, ["new", "at most once"]);
        assert_eq!((came[0].qos, came[0].retain), (QoS::ExactlyOnce, true));
        assert_eq!(came[0].user, [("a".to_owned(), "b".to_owned())]);
        net.retain(sub, "t/1", "", QoS::AtLeastOnce);
        net.restart(before);
        net.agrees_with_the_store();
        assert_eq!(net.shared.counters().retained.get(), 1);
    }
}

/// Retained messages that were on their way to a new subscription when the broker died: the rest comes after it, and what had come
/// already does not come again, whether or not the subscription has an identifier.
#[test]
fn retained_messages_on_their_way_come_once() {
    for id in [None, Some(7)] {
        retained_messages_come_once(id);
    }
}

fn retained_messages_come_once(id: Option<u32>) {
    const COUNT: usize = 6_000;
    let mut net = Net::new(1);
    let publisher = net.connect("pub");
    for number in 0..COUNT {
        let topic = format!("t/{number}");
        net.retain(publisher, &topic, &number.to_string(), QoS::ExactlyOnce);
    }
    let sub = net.persistent("sub");
    net.set_manner(sub, Manner::Silent);
    let options = SubscriptionOptions::new(QoS::ExactlyOnce);
    net.subscribe_with(sub, &["t/#"], options, id);
    let first = net.received(sub);
    net.agrees_with_the_store();
    assert!(net.gauges()[3] < COUNT as u64, "some are still to be found");
    // Some that have come are done with: nothing but the store knows of them.
    net.cut(sub);
    let sub = net.reconnect(sub, &resume("sub"));
    net.set_manner(sub, Manner::Acknowledges);
    for _ in 0..3 {
        net.round();
    }
    let second = net.received(sub);
    net.agrees_with_the_store();
    net.restart(2);
    net.agrees_with_the_store();
    let sub = net.reconnect(sub, &resume("sub"));
    let mut texts: Vec<usize> = [first, second, net.received(sub)]
        .concat()
        .iter()
        .map(|message| message.text().parse().unwrap())
        .collect();
    texts.sort_unstable();
    assert_eq!(texts, (0..COUNT).collect::<Vec<_>>());
    net.agrees_with_the_store();
    assert!(net.ledgers.lock().queues.is_empty());
}

/// A bridge of 3.1.1 gets no echo and the flag as it was, and its session goes on with that for new subscriptions, too.
#[test]
fn a_bridge_is_still_one() {
    let bridge = Connect {
        bridge: true,
        clean_start: false,
        ..Connect::new(Version::V311, "bridge")
    };
    let mut net = Net::new(1);
    let link = net.connect_with(&bridge);
    net.subscribe(link, "#", QoS::AtLeastOnce);
    net.restart(2);
    net.agrees_with_the_store();
    let link = net.connect_with(&bridge);
    net.publish(link, "t", "own", QoS::AtLeastOnce);
    assert_eq!(net.texts(link), [""; 0]);
    let publisher = net.connect("pub");
    net.retain(publisher, "t", "kept", QoS::AtLeastOnce);
    assert!(net.received(link)[0].retain);
}

fn willing<'a>(expiry: &'a [Property<'a>], will: &'a [Property<'a>]) -> Connect<'a> {
    Connect {
        clean_start: false,
        properties: Properties::List(expiry),
        will: Some(Will {
            topic: "w",
            payload: b"gone",
            qos: QoS::AtLeastOnce,
            retain: false,
            properties: Properties::List(will),
        }),
        ..Connect::new(Version::V5, "willing")
    }
}

/// The will of a client that was connected is published at the start, after its delay or when its session ends, whichever comes first;
/// that of a client that had said goodbye is not, nor one of before [MQTT-3.1.2-8], [MQTT-3.1.2-10], [MQTT-3.1.3-9]. The delay had not
/// been recorded: a restart could not have known it.
#[test]
fn wills_are_published_after_a_crash() {
    const DAY: &[Property<'static>] = &[Property::SessionExpiryInterval(86_400)];
    const TEN: &[Property<'static>] = &[Property::SessionExpiryInterval(10)];
    const DELAY: &[Property<'static>] = &[Property::WillDelayInterval(60)];
    // How long it waits, from the restart on.
    for (expiry, delay, waits) in [
        (DAY, &[][..], 0),
        (&[][..], &[][..], 0),
        (&[][..], DELAY, 0),
        (DAY, DELAY, 60_000),
        (TEN, DELAY, 10_000),
    ] {
        let mut net = Net::new(2);
        let watcher = net.persistent("watcher");
        net.subscribe(watcher, "w", QoS::ExactlyOnce);
        net.connect_with(&willing(expiry, delay));
        net.restart(3);
        net.agrees_with_the_store();
        if waits > 0 {
            net.advance(waits / 2);
            // Another crash begins nothing anew.
            net.restart(1);
            net.advance(waits / 2 - 1);
            assert_eq!(net.gauges()[3], 0);
            net.advance(1);
        }
        assert_eq!(net.gauges()[3], 1);
        net.agrees_with_the_store();
        net.restart(2);
        let watcher = net.reconnect(watcher, &resume("watcher"));
        assert_eq!(net.texts(watcher), ["gone"]);
        net.advance(100_000);
        assert_eq!(net.texts(watcher), [""; 0], "once");
    }
    let mut net = Net::new(2);
    let watcher = net.persistent("watcher");
    net.subscribe(watcher, "w", QoS::ExactlyOnce);
    let client = net.connect_with(&willing(DAY, &[]));
    net.disconnect(client, mqtt_codec::ReasonCode::NORMAL_DISCONNECTION);
    net.restart(3);
    assert_eq!(net.gauges()[3], 0);
}

/// A will that was delayed when the broker died waits no longer for that, also while the broker was away; its own expiry still counts
/// from its publication, and its client, back in time, withdraws it.
#[test]
fn a_delayed_will_waits_on() {
    const DAY: &[Property<'static>] = &[Property::SessionExpiryInterval(86_400)];
    const WILL: &[Property<'static>] = &[
        Property::WillDelayInterval(60),
        Property::MessageExpiryInterval(30),
    ];
    for (down, left) in [(0, 40_000), (30_000, 10_000), (70_000, 0)] {
        let mut net = Net::new(2);
        let watcher = net.persistent("watcher");
        net.subscribe(watcher, "w", QoS::ExactlyOnce);
        let client = net.connect_with(&willing(DAY, WILL));
        net.cut(client);
        net.advance(20_000);
        net.restart_later(3, down, Instant::from_millis(77));
        net.agrees_with_the_store();
        if left > 0 {
            net.advance(left - 1);
            assert_eq!(net.gauges()[3], 0);
            net.advance(1);
        }
        assert_eq!(net.gauges()[3], 1);
        let watcher = net.reconnect(watcher, &resume("watcher"));
        assert_eq!(net.received(watcher)[0].expiry, Some(30));
    }
    let mut net = Net::new(2);
    let watcher = net.persistent("watcher");
    net.subscribe(watcher, "w", QoS::ExactlyOnce);
    let client = net.connect_with(&willing(DAY, WILL));
    net.cut(client);
    net.restart(3);
    net.advance(59_999);
    net.persistent("willing");
    net.advance(10_000);
    net.restart(2);
    net.advance(100_000);
    assert_eq!(net.gauges()[3], 0);
}

/// A will that a crash made due, and what a session that the crash ended gives back to its group, wait for sessions of all workers: when
/// the broker dies again at once, they are still there.
#[test]
fn what_a_start_does_for_sessions_of_other_workers_outlives_the_next_crash() {
    for seed in 0..8_u16 {
        let mut net = Net::new(1 + seed % 3);
        let mut watchers = Vec::new();
        for number in 0..6 {
            let name = format!("watcher{seed}-{number}");
            let watcher = net.persistent(&name);
            net.subscribe(watcher, "w", QoS::ExactlyOnce);
            net.cut(watcher);
            watchers.push((watcher, name));
        }
        let member = format!("member{seed}");
        let stays = net.persistent(&member);
        net.subscribe(stays, "$share/g/t", QoS::AtLeastOnce);
        net.cut(stays);
        let leaves = net.connect_with(&willing(&[], &[]));
        net.set_manner(leaves, Manner::Silent);
        net.subscribe(leaves, "$share/g/t", QoS::AtLeastOnce);
        let publisher = net.connect("pub");
        net.publish(publisher, "t", "given back", QoS::AtLeastOnce);
        assert_eq!(net.texts(leaves), ["given back"]);
        net.restart(3);
        net.restart(3);
        net.agrees_with_the_store();
        for (watcher, name) in watchers {
            let watcher = net.reconnect(watcher, &resume(&name));
            assert_eq!(net.texts(watcher), ["gone"], "{name}");
        }
        let stays = net.reconnect(stays, &resume(&member));
        assert_eq!(net.texts(stays), ["given back"]);
    }
}
