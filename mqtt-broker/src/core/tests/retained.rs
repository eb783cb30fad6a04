//! Retained messages: stored, replaced, removed, expired, and sent to new subscriptions.

use mqtt_codec::{
    Connect, Properties, Property, QoS, RetainHandling, SubscriptionOptions, Version,
};

use super::client::Manner;
use super::net::Net;

fn fill(net: &mut Net, publisher: usize, count: usize, qos: QoS) {
    for number in 0..count {
        let topic = format!("many/{}/{number}", number % 100);
        let payload = number.to_string();
        let bytes = net.publish_bytes(publisher, &topic, payload.as_bytes(), qos, true, &[]);
        net.queue_bytes(publisher, &bytes);
        if number % 500 == 0 {
            // Within Receive Maximum.
            net.run();
        }
    }
    net.run();
}

const fn options(qos: QoS, retain_handling: RetainHandling) -> SubscriptionOptions {
    let mut options = SubscriptionOptions::new(qos);
    options.retain_handling = retain_handling;
    options
}

/// A subscriber to `#` gets every one of 100,000 retained messages, at each QoS, with pings answered meanwhile. While they were on their
/// way nothing was read, acknowledgements included, so that a subscriber of QoS 1 waited for ever after its first window [MQTT-3.3.1-9].
#[test]
fn a_hundred_thousand_retained_messages_all_arrive() {
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
        let mut net = Net::new(2);
        let publisher = net.connect("pub");
        fill(&mut net, publisher, 100_000, qos);
        let sub = net.connect("sub");
        net.subscribe(sub, "#", qos);
        let messages = net.received(sub);
        assert_eq!(messages.len(), 100_000, "{qos:?}");
        assert!(
            messages
                .iter()
                .all(|message| message.retain && message.qos == qos)
        );
        net.publish(publisher, "after", "it reads on", qos);
        assert_eq!(net.texts(sub), ["it reads on"]);
        assert_eq!(net.shared.counters().queued.get(), 0);
    }
}

/// They are queued a few at a time, however many there are and however slow the client is; its pings are answered meanwhile.
#[test]
fn a_backlog_takes_bounded_memory() {
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce] {
        let mut net = Net::new(1);
        let publisher = net.connect("pub");
        fill(&mut net, publisher, 20_000, qos);
        let sub = net.connect("sub");
        net.set_manner(sub, Manner::Silent);
        net.set_deaf(sub, true);
        net.subscribe(sub, "#", qos);
        assert!(net.shared.counters().queued.get() < 2_500);
        let (worker, conn) = net.place(sub);
        assert!(net.cores[worker].output(conn).unwrap().len() < 70_000);
        net.set_deaf(sub, false);
        if qos == QoS::AtMostOnce {
            assert_eq!(net.received(sub).len(), 20_000);
        } else {
            assert_eq!(net.received(sub).len(), 1_000, "a window");
        }
        net.ping(sub);
        assert_eq!(net.seen(sub), [super::client::Seen::PingResp]);
    }
}

/// The connection breaks in the middle; the session gets the rest when it is resumed, every message once at QoS 2. What did not fit
/// the queue was lost [MQTT-3.3.1-9], [MQTT-4.1.0-1].
#[test]
fn a_backlog_survives_the_connection() {
    for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
        let mut net = Net::new(2);
        let publisher = net.connect("pub");
        fill(&mut net, publisher, 30_000, qos);
        let mut sub = net.persistent("sub");
        net.set_manner(sub, Manner::Silent);
        net.subscribe(sub, "many/#", qos);
        let mut texts = Vec::new();
        for round in 0..3 {
            let first = net.received(sub);
            let expected = if qos == QoS::AtLeastOnce || round == 0 {
                1_000
            } else {
                0 // It has them already.
            };
            assert_eq!(first.len(), expected);
            texts.extend(first.iter().map(super::client::Message::text));
            net.cut(sub);
            net.publish(publisher, "many/0/0", "live", qos);
            sub = net.reconnect(sub, &super::net::resume("sub"));
        }
        net.set_manner(sub, Manner::Acknowledges);
        net.cut(sub);
        sub = net.reconnect(sub, &super::net::resume("sub"));
        texts.extend(net.texts(sub));
        let live = texts.iter().filter(|text| *text == "live").count();
        assert_eq!(live, 3, "{qos:?}");
        texts.retain(|text| text != "live");
        let all = texts.len();
        texts.sort_unstable();
        texts.dedup();
        assert_eq!(texts.len(), 30_000, "{qos:?}");
        if qos == QoS::ExactlyOnce {
            assert_eq!(all, 30_000);
        }
        assert!(
            net.ledgers
                .lock()
                .sessions
                .values()
                .all(|kept| kept.unserved.is_empty())
        );
    }
}

/// RETAIN 1 stores and replaces, also with QoS 0; an empty payload removes and is not stored; RETAIN 0 changes nothing; live messages
/// come with RETAIN 0 [MQTT-3.3.1-5], [MQTT-3.3.1-6], [MQTT-3.3.1-7], [MQTT-3.3.1-8], [MQTT-3.3.1-12], [3.1.1:MQTT-3.3.1-5],
/// [3.1.1:MQTT-3.3.1-7], [3.1.1:MQTT-3.3.1-9], [3.1.1:MQTT-3.3.1-10], [3.1.1:MQTT-3.3.1-11], [3.1.1:MQTT-3.3.1-12],
/// [3.1.1:MQTT-3.3.1-6], [3.1.1:MQTT-3.3.1-8].
#[test]
fn the_last_retained_message_of_a_topic_counts() {
    for version in [Version::V311, Version::V5] {
        let mut net = Net::new(2);
        let publisher = net.connect_with(&Connect::new(version, "pub"));
        let live = net.connect_with(&Connect::new(version, "live"));
        net.subscribe(live, "t", QoS::ExactlyOnce);
        let late = |net: &mut Net| {
            let sub = net.connect_with(&Connect::new(version, "late"));
            net.subscribe(sub, "t", QoS::ExactlyOnce);
            let messages = net.received(sub);
            assert!(messages.iter().all(|message| message.retain));
            messages
                .iter()
                .map(super::client::Message::text)
                .collect::<Vec<_>>()
        };
        net.retain(publisher, "t", "1", QoS::AtLeastOnce);
        assert_eq!(late(&mut net), ["1"]);
        net.publish(publisher, "t", "2", QoS::AtLeastOnce);
        net.publish(publisher, "t", "", QoS::AtLeastOnce);
        assert_eq!(late(&mut net), ["1"]);
        net.retain(publisher, "t", "3", QoS::AtMostOnce);
        assert_eq!(late(&mut net), ["3"]);
        net.retain(publisher, "t", "", QoS::AtMostOnce);
        assert_eq!(late(&mut net), [""; 0]);
        let messages = net.received(live);
        let texts: Vec<String> = messages.iter().map(super::client::Message::text).collect();
        assert_eq!(texts, ["1", "2", "", "3", ""]);
        assert!(messages.iter().all(|message| !message.retain));
        assert!(net.ledgers.lock().retained.is_empty());
        assert_eq!(net.shared.counters().retained.get(), 0);
    }
}

/// Retain Handling 0 sends at every SUBSCRIBE, 1 for a new subscription only, 2 never; before 5.0 it is as with 0 [MQTT-3.3.1-9],
/// [MQTT-3.3.1-10], [MQTT-3.3.1-11], [MQTT-3.8.4-4], [3.1.1:MQTT-3.8.4-3].
#[test]
fn retain_handling_says_when_retained_messages_are_sent() {
    let mut net = Net::new(1);
    let publisher = net.connect("pub");
    net.retain(publisher, "t", "kept", QoS::AtLeastOnce);
    let count = |net: &mut Net, client: usize, handling: RetainHandling| {
        net.subscribe_with(client, &["t"], options(QoS::AtLeastOnce, handling), None);
        net.received(client).len()
    };
    let (send, new, never) = (
        RetainHandling::SendAtSubscribe,
        RetainHandling::SendIfNew,
        RetainHandling::DoNotSend,
    );
    let sub = net.connect("sub");
    let counts = [never, new, send, send, new].map(|handling| count(&mut net, sub, handling));
    assert_eq!(counts, [0, 0, 1, 1, 0]);
    net.unsubscribe(sub, &["t"]);
    assert_eq!(count(&mut net, sub, new), 1);
    let old = net.connect_with(&Connect::new(Version::V311, "old"));
    assert_eq!(
        [send, send].map(|handling| count(&mut net, old, handling)),
        [1, 1]
    );
    // Two subscriptions in one packet are like two packets [MQTT-3.8.4-5].
    net.subscribe_with(sub, &["t", "+"], options(QoS::AtMostOnce, send), None);
    assert_eq!(net.received(sub).len(), 2);
}

/// An expired message is not sent, and its memory is given back, below `$` too: the search for them never went there [MQTT-3.3.2-5],
/// [MQTT-3.3.2-6].
#[test]
fn retained_messages_expire() {
    let mut net = Net::new(2);
    let publisher = net.connect("pub");
    for topic in ["a", "b/c", "$odd/d"] {
        let expiry = [Property::MessageExpiryInterval(10)];
        net.publish_with(publisher, topic, "x", QoS::AtLeastOnce, true, &expiry);
    }
    net.retain(publisher, "stays", "x", QoS::AtLeastOnce);
    net.advance(4_000);
    let expiry = [Property::MessageExpiryInterval(100)];
    net.publish_with(publisher, "a", "renewed", QoS::AtLeastOnce, true, &expiry);
    let sub = net.connect("sub");
    net.subscribe(sub, "#", QoS::AtMostOnce);
    let mut left: Vec<_> = net
        .received(sub)
        .iter()
        .map(|message| message.expiry)
        .collect();
    left.sort_unstable();
    assert_eq!(left, [None, Some(6), Some(100)]);
    net.advance(6_000);
    assert_eq!(net.shared.counters().retained.get(), 2);
    let kept: Vec<String> = net.ledgers.lock().retained.keys().cloned().collect();
    assert_eq!(kept, ["a", "stays"]);
}

/// A topic that is renewed all the time leaves no notes of earlier expiries.
#[test]
fn notes_of_expiries_do_not_pile_up() {
    let mut net = Net::new(1);
    let publisher = net.connect("pub");
    for second in 0..2_000 {
        let expiry = [Property::MessageExpiryInterval(100_000 - second)];
        net.publish_with(publisher, "t", "x", QoS::AtMostOnce, true, &expiry);
    }
    assert!(
        net.cores[0].expiring.len() <= 260,
        "{}",
        net.cores[0].expiring.len()
    );
}

/// There is a limit; what exists can be replaced and removed, and `$SYS` needs no place.
#[test]
fn retained_messages_have_a_limit() {
    let mut net = Net::set(|settings| {
        settings.retained_messages = 2;
        settings.sys_interval_ms = 1_000;
    });
    net.run();
    let sys = net.shared.counters().retained.get();
    assert!(sys > 30);
    net.shared.retained_mut().retain(|_, _| false);
    let publisher = net.connect("pub");
    for topic in ["a", "b", "c", "a"] {
        net.retain(publisher, topic, "x", QoS::AtLeastOnce);
    }
    assert_eq!(net.shared.counters().retained_rejected.get(), 1);
    net.retain(publisher, "a", "", QoS::AtLeastOnce);
    net.retain(publisher, "c", "x", QoS::AtLeastOnce);
    assert_eq!(net.shared.counters().retained_rejected.get(), 1);
    assert_eq!(net.ledgers.lock().retained.len(), 2);
}

/// A live message of QoS 0 waits behind retained ones on their way: it overtook them, so that the last that came was the older one
/// [MQTT-4.6.0-6].
#[test]
fn a_live_message_does_not_overtake_the_backlog() {
    let mut net = Net::new(1);
    let publisher = net.connect("pub");
    for number in 0..200 {
        let topic = format!("t/{number}");
        net.retain(publisher, &topic, &"old".repeat(300), QoS::AtMostOnce);
    }
    let sub = net.connect("sub");
    net.set_deaf(sub, true);
    net.subscribe(sub, "t/#", QoS::AtMostOnce);
    for number in 0..200 {
        net.retain(publisher, &format!("t/{number}"), "new", QoS::AtMostOnce);
    }
    net.set_deaf(sub, false);
    let mut last = std::collections::BTreeMap::new();
    for message in net.received(sub) {
        last.insert(message.topic.clone(), message.text());
    }
    assert_eq!(last.len(), 200);
    assert!(last.values().all(|text| text == "new"), "{last:?}");
}

/// After UNSUBSCRIBE no further retained message is added [MQTT-3.10.4-2].
#[test]
fn unsubscribe_ends_the_backlog() {
    let mut net = Net::new(1);
    let publisher = net.connect("pub");
    fill(&mut net, publisher, 10_000, QoS::AtMostOnce);
    let sub = net.connect_with(&Connect {
        properties: Properties::List(&[Property::SessionExpiryInterval(9)]),
        ..Connect::new(Version::V5, "sub")
    });
    net.set_deaf(sub, true);
    net.subscribe(sub, "#", QoS::AtMostOnce);
    net.unsubscribe(sub, &["#"]);
    net.set_deaf(sub, false);
    let count = net.received(sub).len();
    assert!((100..5_000).contains(&count), "{count}");
    assert!(
        net.ledgers
            .lock()
            .sessions
            .values()
            .all(|kept| kept.unserved.is_empty())
    );
}

/// A filter that passes all topics for few matches is searched over many rounds.
#[test]
fn a_search_is_spread_over_rounds() {
    let mut net = Net::new(1);
    let publisher = net.connect("pub");
    fill(&mut net, publisher, 50_000, QoS::AtMostOnce);
    net.retain(publisher, "many/x/needle/x", "found", QoS::AtMostOnce);
    let sub = net.connect("sub");
    net.seen(sub);
    let packet_id = net.next_id(sub);
    let filters = [mqtt_codec::SubscribeFilter {
        filter: "+/+/+/x",
        options: SubscriptionOptions::new(QoS::AtMostOnce),
    }];
    let subscribe = mqtt_codec::Packet::Subscribe(mqtt_codec::Subscribe {
        packet_id,
        properties: Properties::EMPTY,
        filters: mqtt_codec::Filters::List(&filters),
    });
    let bytes = net.bytes_of(sub, &subscribe);
    net.queue_bytes(sub, &bytes);
    let mut rounds = 0;
    while net.round() {
        rounds += 1;
        if rounds == 5 {
            let due = net.cores[0].deadline();
            assert_eq!(due, Some(mqtt_session::Instant::ZERO), "at once");
        }
    }
    assert!(rounds > 10, "{rounds}");
    assert_eq!(net.texts(sub), ["found"]);
}

/// Someone inside the process finds the retained messages that match and have not expired.
#[test]
fn retained_messages_are_found_from_inside() {
    let mut net = Net::new(1);
    let publisher = net.connect("pub");
    let expiry = [Property::MessageExpiryInterval(10)];
    net.publish_with(publisher, "a/1", "short", QoS::AtLeastOnce, true, &expiry);
    net.retain(publisher, "a/2", "long", QoS::AtLeastOnce);
    net.retain(publisher, "b", "other", QoS::AtLeastOnce);
    let filter = mqtt_topic::TopicFilter::new("a/+").unwrap();
    let found = |now| -> Vec<Vec<u8>> {
        let mut found: Vec<_> = net
            .shared
            .retained_matches(&filter, now)
            .iter()
            .map(|message| message.payload().to_vec())
            .collect();
        found.sort();
        found
    };
    assert_eq!(found(net.now), [b"long".to_vec(), b"short".to_vec()]);
    assert_eq!(found(net.now.plus_seconds(10)), [b"long".to_vec()]);
}

/// Retained messages that were on their way with QoS 0 end with the connection, like any other message of QoS 0: who resumes the session
/// does not get the rest.
#[test]
fn what_was_on_its_way_with_qos_0_ends_with_the_connection() {
    let mut net = Net::new(1);
    let publisher = net.connect("pub");
    fill(&mut net, publisher, 6_000, QoS::AtLeastOnce);
    let sub = net.persistent("sub");
    net.set_deaf(sub, true);
    net.subscribe(sub, "many/#", QoS::AtMostOnce);
    let waiting = net.shared.counters().queued.get();
    assert!(waiting > 0 && waiting < 6_000, "some are still to be found");
    net.cut(sub);
    assert_eq!(net.shared.counters().queued.get(), 0);
    let sub = net.reconnect(sub, &super::net::resume("sub"));
    assert_eq!(net.texts(sub).len(), 0);
    net.publish(publisher, "many/new", "live", QoS::AtMostOnce);
    assert_eq!(net.texts(sub), ["live"]);
    net.agrees_with_the_store();
}
