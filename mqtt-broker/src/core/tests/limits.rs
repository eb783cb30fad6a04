//! Limits: what is turned away, counted, and given back.

use core::num::NonZeroU32;

use mqtt_codec::{Connect, Properties, Property, QoS, ReasonCode, ReceiveMaximum, Version};

use super::client::{Manner, Seen};
use super::net::{Net, resume};
use crate::core::Message;

/// A queue has a limit of messages and of bytes: the first stay, later ones are dropped and counted, their publisher is not held up.
#[test]
fn a_queue_is_limited_in_messages_and_bytes() {
    for (messages, bytes) in [(10, u64::MAX), (10_000, 10_500)] {
        let mut net = Net::set(|settings| {
            settings.queue_messages = messages;
            settings.queue_bytes = bytes;
        });
        let sub = net.persistent("sub");
        net.subscribe(sub, "t", QoS::AtLeastOnce);
        net.cut(sub);
        let publisher = net.connect("pub");
        for number in 0..20 {
            let text = format!("{number:0950}");
            net.publish(publisher, "t", &text, QoS::AtLeastOnce);
        }
        let waiting = net.shared.counters().queued.get();
        assert!((9..=10).contains(&waiting));
        assert_eq!(net.shared.counters().dropped.get(), 20 - waiting);
        assert_eq!(
            net.seen(publisher).len(),
            21,
            "CONNACK, and PUBACK for each"
        );
        net.agrees_with_the_store();
        let sub = net.reconnect(sub, &resume("sub"));
        let texts = net.texts(sub);
        let expected: Vec<String> = (0..waiting)
            .map(|number| format!("{number:0950}"))
            .collect();
        assert!(texts == expected);
        net.publish(publisher, "t", "room again", QoS::AtLeastOnce);
        assert_eq!(net.texts(sub), ["room again"]);
    }
}

/// Messages that have expired make room in a full queue; they kept their places until the client came back [MQTT-3.3.2-5].
#[test]
fn expired_messages_make_room() {
    let mut net = Net::set(|settings| settings.queue_messages = 3);
    let sub = net.persistent("sub");
    net.subscribe(sub, "t", QoS::AtLeastOnce);
    net.cut(sub);
    let publisher = net.connect("pub");
    let expiry = [Property::MessageExpiryInterval(10)];
    net.publish_with(publisher, "t", "old", QoS::AtLeastOnce, false, &expiry);
    net.publish(publisher, "t", "1", QoS::AtLeastOnce);
    net.publish_with(publisher, "t", "old", QoS::AtLeastOnce, false, &expiry);
    net.advance(10_000);
    for text in ["2", "3", "4"] {
        net.publish(publisher, "t", text, QoS::AtLeastOnce);
    }
    let counters = net.shared.counters();
    assert_eq!(
        (
            counters.expired.get(),
            counters.dropped.get(),
            counters.queued.get()
        ),
        (2, 1, 3)
    );
    net.agrees_with_the_store();
    let sub = net.reconnect(sub, &resume("sub"));
    assert_eq!(net.texts(sub), ["1", "2", "3"]);
}

/// A message's life is shortened by what it waited, in the queue and at other workers; one whose delivery has begun does not expire
/// [MQTT-3.3.2-5], [MQTT-3.3.2-6], [MQTT-4.3.3-7].
#[test]
fn message_expiry_counts_the_time_of_waiting() {
    let mut net = Net::new(3);
    let sub = net.persistent("sub");
    net.subscribe(sub, "t", QoS::ExactlyOnce);
    net.set_manner(sub, Manner::Silent);
    let publisher = net.connect("pub");
    let life = |seconds| [Property::MessageExpiryInterval(seconds)];
    net.publish_with(publisher, "t", "begun", QoS::ExactlyOnce, false, &life(5));
    net.cut(sub);
    net.publish_with(publisher, "t", "short", QoS::ExactlyOnce, false, &life(5));
    net.publish_with(publisher, "t", "long", QoS::AtLeastOnce, false, &life(100));
    net.seen(sub);
    net.advance(30_000);
    let sub = net.connect_with(&resume("sub"));
    let messages = net.received(sub);
    let seen: Vec<(String, Option<u32>)> = messages
        .iter()
        .map(|message| (message.text(), message.expiry))
        .collect();
    assert_eq!(
        seen,
        [("begun".to_owned(), Some(0)), ("long".to_owned(), Some(70))]
    );
    assert_eq!(net.shared.counters().expired.get(), 1);
    assert_eq!(net.shared.counters().queued.get(), 0);
}

/// QoS 0 to a client that does not read is dropped and counted; what it reads later is whole and in order, and its pings are answered.
#[test]
fn unread_output_is_limited() {
    let mut net = Net::set(|settings| settings.unread_output_bytes = 100_000);
    let sub = net.connect("sub");
    net.subscribe(sub, "t", QoS::AtMostOnce);
    net.seen(sub);
    net.set_deaf(sub, true);
    let publisher = net.connect("pub");
    for number in 0..1_000 {
        net.publish(publisher, "t", &format!("{number:01000}"), QoS::AtMostOnce);
    }
    // One large payload, which is shared and not copied.
    net.publish(publisher, "t", &"y".repeat(20_000), QoS::AtMostOnce);
    let (worker, conn) = net.place(sub);
    let unread = net.cores[worker].output(conn).unwrap().len();
    assert!((100_000..102_000).contains(&unread), "{unread}");
    net.ping(sub);
    net.set_deaf(sub, false);
    let seen = net.seen(sub);
    let dropped = net.shared.counters().dropped.get();
    assert_eq!(seen.len() as u64, 1_001 - dropped + 1);
    assert_eq!(seen.last(), Some(&Seen::PingResp));
    net.publish(publisher, "t", "room again", QoS::AtMostOnce);
    assert_eq!(net.texts(sub), ["room again"]);
}

/// A client that reads slowly, yet always something, gets what fits, and its output keeps no memory of what it has read.
#[test]
fn a_slow_reader_takes_bounded_memory() {
    let mut net = Net::new(1);
    let sub = net.connect("sub");
    net.subscribe(sub, "t", QoS::ExactlyOnce);
    net.set_deaf(sub, true);
    let publisher = net.connect("pub");
    for _ in 0..9_000 {
        net.publish(publisher, "t", &"x".repeat(1_000), QoS::AtLeastOnce);
    }
    let (worker, conn) = net.place(sub);
    let unread = net.cores[worker].output(conn).unwrap().len();
    assert!(
        unread < 70_000,
        "a round's output, and the rest waits in the queue: {unread}"
    );
    net.set_deaf(sub, false);
    assert_eq!(net.received(sub).len(), 9_000);
    assert_eq!(net.gauges()[3], 0);
    assert!(
        net.cores[worker].output(conn).is_none(),
        "an idle connection has no buffer"
    );
}

/// The client's Receive Maximum bounds what is in flight to it, in every version the broker's own limit [MQTT-3.3.4-9], [MQTT-4.9.0-1],
/// [MQTT-4.9.0-2].
#[test]
fn receive_maximum_is_kept() {
    for (version, maximum, expected) in [
        (Version::V5, Some(7), 7),
        (Version::V5, None, 100),
        (Version::V311, None, 100),
        (Version::V5, Some(60_000), 100),
    ] {
        let mut net = Net::set(|settings| settings.limits.send_maximum = 100);
        let list: Vec<Property<'_>> = maximum
            .and_then(ReceiveMaximum::new)
            .map(Property::ReceiveMaximum)
            .into_iter()
            .collect();
        let sub = net.connect_with(&Connect {
            properties: Properties::List(&list),
            ..Connect::new(version, "sub")
        });
        net.subscribe(sub, "t", QoS::ExactlyOnce);
        net.set_manner(sub, Manner::Silent);
        net.seen(sub);
        let publisher = net.connect("pub");
        for number in 0..300 {
            let qos = [QoS::AtLeastOnce, QoS::ExactlyOnce][number % 2];
            net.publish(publisher, "t", "x", qos);
        }
        assert_eq!(
            net.received(sub).len(),
            expected,
            "{version:?}, {maximum:?}"
        );
        net.publish(publisher, "t", "not held back", QoS::AtMostOnce);
        assert_eq!(net.texts(sub), ["not held back"]);
    }
}

/// Nothing above the receiver's Maximum Packet Size is sent; it is dropped as if it had been, and others get it [MQTT-3.1.2-24],
/// [MQTT-3.1.2-25].
#[test]
fn maximum_packet_size_is_kept() {
    let mut net = Net::new(1);
    let small = net.connect_with(&Connect {
        properties: Properties::List(&[Property::MaximumPacketSize(NonZeroU32::new(100).unwrap())]),
        ..Connect::new(Version::V5, "small")
    });
    let large = net.connect("large");
    let publisher = net.connect("pub");
    for sub in [small, large] {
        net.subscribe(sub, "t", QoS::ExactlyOnce);
        net.seen(sub);
    }
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
        net.publish(publisher, "t", &"x".repeat(200), qos);
        net.publish(publisher, "t", "small", qos);
    }
    assert_eq!(net.texts(small), ["small"; 3]);
    assert_eq!(net.received(large).len(), 6);
    assert_eq!(net.shared.counters().too_large.get(), 3);
    assert_eq!(net.shared.counters().queued.get(), 0);
}

/// Limits of incoming packets: size, user properties, levels of topics and filters.
#[test]
fn incoming_packets_are_limited() {
    let user = [Property::UserProperty("a", "b"); 5];
    let cases: [(&str, ReasonCode); 4] = [
        ("size", ReasonCode::PACKET_TOO_LARGE),
        ("user properties", ReasonCode::QUOTA_EXCEEDED),
        ("topic levels", ReasonCode::TOPIC_NAME_INVALID),
        ("filter levels", ReasonCode::TOPIC_FILTER_INVALID),
    ];
    for (what, reason) in cases {
        let mut net = Net::set(|settings| {
            settings.limits.maximum_packet_size = 300;
            settings.limits.topic_levels = 4;
            settings.user_properties = 4;
        });
        let client = net.connect("c");
        let connected = net.connack(client);
        assert_eq!(connected.maximum_packet_size, Some(300));
        net.publish_with(client, "a/b/c/d", "x", QoS::AtMostOnce, false, &user[..4]);
        net.subscribe(client, "$share/group/a/b/c/+", QoS::AtMostOnce);
        assert!(net.is_open(client));
        net.seen(client);
        match what {
            "size" => net.publish(client, "t", &"x".repeat(300), QoS::AtMostOnce),
            "user properties" => {
                net.publish_with(client, "t", "x", QoS::AtMostOnce, false, &user);
            }
            "topic levels" => net.publish(client, "a/b/c/d/e", "x", QoS::AtMostOnce),
            _ => drop(net.subscribe(client, "a/b/c/d/#", QoS::AtMostOnce)),
        }
        assert_eq!(
            net.seen(client),
            [Seen::Disconnect(reason), Seen::Closed],
            "{what}"
        );
        assert_eq!(net.shared.counters().violations.get(), 1);
    }
}

/// Too many connections are not taken, too many sessions are told so; both are counted.
#[test]
fn connections_and_sessions_are_limited() {
    let mut net = Net::set(|settings| settings.connections = 2);
    let first = net.connect("a");
    net.connect("b");
    let third = net.open(Version::V5);
    assert_eq!(net.seen(third), [Seen::Closed]);
    net.cut(first);
    let third = net.connect("c");
    assert_eq!(net.connack(third).reason, ReasonCode::SUCCESS);
    assert_eq!(net.shared.counters().turned_away.get(), 1);

    let mut net = Net::set(|settings| settings.sessions = 2);
    let first = net.persistent("a");
    net.persistent("b");
    net.ping(first);
    net.cut(first);
    for (version, reason) in [
        (Version::V5, ReasonCode::SERVER_UNAVAILABLE),
        (Version::V311, ReasonCode::SERVER_UNAVAILABLE),
    ] {
        let third = net.connect_with(&Connect::new(version, "c"));
        assert_eq!(net.connack(third).reason, reason);
        assert!(!net.is_open(third));
    }
    assert_eq!(net.shared.counters().turned_away.get(), 2);
    let again = net.persistent("a");
    assert!(
        net.connack(again).session_present,
        "who has a session may come back"
    );
}

/// A queue may be filled to the last byte, that of a session and that of a group, and expired messages give back their bytes.
#[test]
fn a_queue_takes_exactly_what_its_limit_says() {
    let size = Message::new("t", &[], b"12345", QoS::AtLeastOnce, false).size() as u64;
    for filter in ["t", "$share/g/t"] {
        let mut net = Net::set(|settings| settings.queue_bytes = 3 * size);
        let sub = net.persistent("sub");
        net.subscribe(sub, filter, QoS::AtLeastOnce);
        net.cut(sub);
        let publisher = net.connect("pub");
        let expiry = [Property::MessageExpiryInterval(10)];
        for _ in 0..3 {
            net.publish_with(publisher, "t", "older", QoS::AtLeastOnce, false, &expiry);
        }
        assert_eq!(net.shared.counters().queued.get(), 3, "{filter}");
        net.advance(10_000);
        for text in ["after", "again", "third", "beyond"] {
            net.publish(publisher, "t", text, QoS::AtLeastOnce);
        }
        let counters = net.shared.counters();
        assert_eq!(
            (
                counters.expired.get(),
                counters.dropped.get(),
                counters.queued.get()
            ),
            (3, 1, 3),
            "{filter}"
        );
        let sub = net.reconnect(sub, &resume("sub"));
        assert_eq!(net.texts(sub), ["after", "again", "third"], "{filter}");
        net.agrees_with_the_store();
    }
}

/// What comes in and goes out is counted: packets, messages, bytes of payload, and bytes.
#[test]
fn traffic_is_counted() {
    let large = "x".repeat(50_000);
    for workers in [1, 3] {
        let mut net = Net::new(workers);
        let sub = net.connect("sub");
        let publisher = net.connect("pub");
        net.subscribe(sub, "t", QoS::AtLeastOnce);
        let counters = |net: &Net| {
            let counters = net.shared.counters();
            [
                &counters.packets_received,
                &counters.packets_sent,
                &counters.publish_received,
                &counters.publish_sent,
                &counters.payload_received,
                &counters.payload_sent,
                &counters.bytes_received,
                &counters.bytes_sent,
            ]
            .map(crate::core::Gauge::get)
        };
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce] {
            for text in ["hello", &large] {
                let before = counters(&net);
                net.publish(publisher, "t", text, qos);
                assert_eq!(net.texts(sub), [text]);
                let after = counters(&net);
                let grown: Vec<u64> = (0..8).map(|at| after[at] - before[at]).collect();
                let len = text.len() as u64;
                let acks = u64::from(qos != QoS::AtMostOnce);
                assert_eq!(grown[..6], [1 + acks, 1 + acks, 1, 1, len, len], "{qos:?}");
                assert!(grown[6] > len && grown[6] < len + 20, "{grown:?}");
                assert!(grown[7] > len && grown[7] < len + 20, "{grown:?}");
            }
        }
    }
}

/// `$SYS/broker/load` says averages a minute, over 1, 5 and 15 minutes; what is stored is what is retained and what waits.
#[test]
fn load_and_store_are_told() {
    let mut net = Net::set(|settings| settings.sys_interval_ms = 60_000);
    let publisher = net.connect("pub");
    let away = net.persistent("away");
    net.subscribe(away, "t", QoS::AtLeastOnce);
    net.cut(away);
    let told = |net: &mut Net, topics: &[&str]| -> Vec<String> {
        let asking = net.connect("asking");
        let all = topics.iter().map(|topic| {
            let topic = format!("$SYS/broker/{topic}");
            net.subscribe(asking, &topic, QoS::AtMostOnce);
            net.texts(asking).join(" ")
        });
        all.collect()
    };
    let load = ["1min", "5min", "15min"].map(|time| format!("load/publish/received/{time}"));
    let load = [&*load[0], &load[1], &load[2]];
    net.advance(60_000);
    let stored = told(&mut net, &["messages/stored", "retained messages/count"]);
    let [before, retained] = [&stored[0], &stored[1]].map(|text| text.parse::<u64>().unwrap());
    assert_eq!(before, retained);
    for number in 0..60 {
        net.publish(publisher, "t", &number.to_string(), QoS::AtLeastOnce);
    }
    net.advance(60_000);
    // 60 (1 - e^(-1/n)) for n minutes.
    assert_eq!(told(&mut net, &load), ["37.93", "10.88", "3.87"]);
    let stored = told(
        &mut net,
        &[
            "messages/stored",
            "store/messages/count",
            "retained messages/count",
        ],
    );
    let [messages, store, retained] =
        [&stored[0], &stored[1], &stored[2]].map(|text| text.parse::<u64>().unwrap());
    assert_eq!((messages, store), (retained + 60, retained + 60));
    net.advance(60_000);
    assert_eq!(told(&mut net, &load), ["13.95", "8.90", "3.62"]);
}
