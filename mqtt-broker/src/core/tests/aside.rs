//! What waits is in the store and not in memory, and comes from there as it went.

use mqtt_codec::{
    Connect, Packet, PacketId, Properties, Property, PubAck, QoS, ReasonCode, ReceiveMaximum,
    SubscriptionOptions, Version,
};

use super::client::{Manner, Seen};
use super::net::{Net, resume};
use crate::core::Subscriber;

/// Messages of a client's session that are in memory.
fn in_memory(net: &Net, client_id: &str) -> usize {
    let home = usize::from(net.shared.home(client_id));
    let core = &net.cores[home];
    let key = core.find_session(client_id).unwrap();
    let session = core.sessions.get(key.slot, key.generation).unwrap();
    session.queue.as_ref().map_or(0, |queue| queue.in_memory())
}

fn fetched(net: &Net) -> usize {
    net.ledgers.lock().fetched
}

/// Nothing of a client that is away stays in memory, and it gets everything as it was published [MQTT-4.4.0-1], [MQTT-4.6.0-6].
#[test]
fn what_waits_for_a_client_that_is_away_is_not_in_memory() {
    for workers in [1, 3] {
        let mut net = Net::new(workers);
        let publisher = net.connect("pub");
        let sub = net.persistent("sub");
        let options = SubscriptionOptions {
            retain_as_published: true,
            ..SubscriptionOptions::new(QoS::ExactlyOnce)
        };
        net.subscribe_with(sub, &["t/#", "t/+"], options, Some(9));
        net.cut(sub);
        let properties = [
            Property::ContentType("text"),
            Property::UserProperty("key", "value"),
            Property::MessageExpiryInterval(100),
        ];
        for number in 0..40 {
            let qos = [QoS::AtLeastOnce, QoS::ExactlyOnce][number % 2];
            let text = number.to_string();
            let list = &properties[..number % 4];
            net.publish_with(publisher, "t/x", &text, qos, number % 3 == 0, list);
            assert_eq!(in_memory(&net, "sub"), 0);
        }
        assert_eq!(net.gauges()[3], 40);
        net.agrees_with_the_store();
        let sub = net.reconnect(sub, &resume("sub"));
        let came = net.received(sub);
        assert_eq!(fetched(&net), 40);
        assert_eq!(came.len(), 40);
        for (number, message) in came.iter().enumerate() {
            assert_eq!(message.text(), number.to_string());
            assert_eq!(
                message.qos,
                [QoS::AtLeastOnce, QoS::ExactlyOnce][number % 2]
            );
            assert_eq!(message.retain, number % 3 == 0);
            assert_eq!(message.subscriptions, [9, 9]);
        }
        assert_eq!(net.gauges()[3], 0);
        net.agrees_with_the_store();
    }
}

/// What the store has not made durable yet stays in memory until it has.
#[test]
fn what_is_not_durable_stays_in_memory() {
    let mut net = Net::new(1);
    let publisher = net.connect("pub");
    let sub = net.persistent("sub");
    net.subscribe(sub, "t", QoS::AtLeastOnce);
    net.cut(sub);
    net.ledgers.hold();
    for number in 0..50 {
        net.publish(publisher, "t", &number.to_string(), QoS::AtLeastOnce);
    }
    assert_eq!(in_memory(&net, "sub"), 50);
    net.ledgers.release();
    net.publish(publisher, "t", "one more", QoS::AtLeastOnce);
    assert_eq!(in_memory(&net, "sub"), 1, "the latest");
    net.ledgers.release();
    net.run();
    assert_eq!(in_memory(&net, "sub"), 0);
    let sub = net.reconnect(sub, &resume("sub"));
    net.ledgers.release();
    net.run();
    assert_eq!(net.received(sub).len(), 51);
}

/// A client that reads slowly keeps its window and a little more in memory; one that keeps up never costs a look.
#[test]
fn what_is_far_behind_is_not_in_memory() {
    let mut net = Net::new(1);
    let publisher = net.connect("pub");
    let quick = net.persistent("quick");
    let slow = net.connect_with(&Connect {
        properties: Properties::List(&[
            Property::SessionExpiryInterval(100),
            Property::ReceiveMaximum(ReceiveMaximum::new(10).unwrap()),
        ]),
        ..Connect::new(Version::V5, "slow")
    });
    for client in [quick, slow] {
        net.subscribe(client, "t", QoS::AtLeastOnce);
    }
    net.set_manner(slow, Manner::Silent);
    for number in 0..3_000 {
        net.publish(publisher, "t", &number.to_string(), QoS::AtLeastOnce);
        let there = in_memory(&net, "slow");
        assert!(there <= 3 * (10 + 64), "{there} after {number}");
    }
    assert_eq!(net.texts(quick).len(), 3_000);
    assert_eq!((fetched(&net), in_memory(&net, "quick")), (0, 0));
    // It goes on, and gets the rest in order.
    net.set_manner(slow, Manner::Acknowledges);
    for id in 1..=10 {
        net.packet(
            slow,
            &Packet::PubAck(PubAck {
                packet_id: PacketId::new(id).unwrap(),
                reason: ReasonCode::SUCCESS,
                properties: Properties::EMPTY,
            }),
        );
    }
    let texts = net.texts(slow);
    let expected: Vec<String> = (0..3_000).map(|number: u32| number.to_string()).collect();
    assert!(texts == expected, "{} came", texts.len());
    assert!(fetched(&net) > 2_000);
    net.agrees_with_the_store();
}

/// What was in flight when the connection went leaves memory as well, and is repeated from the store [MQTT-4.4.0-1].
#[test]
fn what_was_in_flight_is_put_away_with_the_connection() {
    let mut net = Net::new(2);
    let publisher = net.connect("pub");
    let sub = net.persistent("sub");
    net.subscribe(sub, "t", QoS::ExactlyOnce);
    net.set_manner(sub, Manner::Silent);
    for number in 0..6 {
        let qos = [QoS::AtLeastOnce, QoS::ExactlyOnce][number % 2];
        net.publish(publisher, "t", &number.to_string(), qos);
    }
    assert_eq!(net.received(sub).len(), 6);
    assert_eq!(in_memory(&net, "sub"), 6);
    net.cut(sub);
    assert_eq!(in_memory(&net, "sub"), 0);
    net.agrees_with_the_store();
    let again = net.persistent("sub");
    let came = net.received(again);
    let texts: Vec<String> = came.iter().map(|message| message.text()).collect();
    assert_eq!(texts, ["0", "1", "2", "3", "4", "5"]);
    assert!(came.iter().all(|message| message.dup));
    assert_eq!(fetched(&net), 6);
    net.agrees_with_the_store();
}

/// A message that the store cannot read is not delivered as garbage and does not go silently: it is counted, the others come, and the store
/// is not told that it is done with, so that a repair finds it. But for one of QoS 2 that the client may have: that is lost, and never sent
/// under another id [MQTT-4.3.3-4].
#[test]
fn what_cannot_be_read_is_counted_and_kept() {
    for in_flight in [false, true] {
        let mut net = Net::new(2);
        let publisher = net.connect("pub");
        let sub = net.persistent("sub");
        net.subscribe(sub, "t", QoS::ExactlyOnce);
        net.set_manner(sub, Manner::Silent);
        if !in_flight {
            net.cut(sub);
        }
        let texts = ["one", "two", "three", "four", "five"];
        for (number, text) in texts.iter().enumerate() {
            let qos = [QoS::AtLeastOnce, QoS::ExactlyOnce][number % 2];
            net.publish(publisher, "t", text, qos);
        }
        if in_flight {
            assert_eq!(net.received(sub).len(), 5);
            net.cut(sub);
        }
        net.ledgers.damage("two");
        net.ledgers.damage("three");
        let again = net.persistent("sub");
        let came = net.texts(again);
        let expected = ["one", "four", "five"];
        assert_eq!(came, expected);
        assert!(net.is_open(again));
        let counters = net.shared.counters();
        assert_eq!((counters.unreadable.get(), counters.queued.get()), (2, 0));
        // Its place is free: the next one comes as ever.
        net.publish(publisher, "t", "six", QoS::ExactlyOnce);
        assert_eq!(net.texts(again), ["six"]);
        let home = net.shared.home("sub");
        let key = net.cores[usize::from(home)].find_session("sub").unwrap();
        let left = net.ledgers.lock().queue(Subscriber::session(home, key));
        let left: Vec<&[u8]> = left.iter().map(|copy| &copy.payload[..]).collect();
        let kept: &[&str] = if in_flight {
            &["three"]
        } else {
            &["two", "three"]
        };
        assert!(left.into_iter().eq(kept.iter().map(|text| text.as_bytes())));
        // Repaired, and started again.
        net.restart(2);
        net.agrees_with_the_store();
        let again = net.reconnect(again, &resume("sub"));
        assert_eq!(net.texts(again), kept);
        net.agrees_with_the_store();
    }
}

/// What waits for a group is not in memory either; what cannot be read is counted, and the others come to whoever is first.
#[test]
fn what_waits_for_a_group_is_not_in_memory() {
    let mut net = Net::new(3);
    let publisher = net.connect("pub");
    let members = ["a", "b"].map(|name| net.persistent(name));
    for member in members {
        net.subscribe(member, "$share/g/t", QoS::ExactlyOnce);
        net.cut(member);
    }
    for number in 0..20 {
        net.publish(publisher, "t", &number.to_string(), QoS::ExactlyOnce);
    }
    let expiry = [Property::MessageExpiryInterval(10)];
    net.publish_with(publisher, "t", "late", QoS::AtLeastOnce, false, &expiry);
    assert_eq!(net.gauges()[3], 21);
    let group = net.shared.groups().find("$share/g/t").unwrap();
    {
        let mut groups = net.shared.groups();
        let waiting = groups.take_waiting(group);
        assert_eq!((waiting.len(), waiting.in_memory()), (21, 0));
        groups.put_back(group, waiting);
    }
    net.ledgers.damage("7");
    net.advance(20_000);
    let back = net.reconnect(members[0], &resume("a"));
    let texts = net.texts(back);
    let expected = (0..20).filter(|number| *number != 7);
    let expected: Vec<String> = expected.map(|number: u32| number.to_string()).collect();
    assert_eq!(texts, expected);
    let counters = net.shared.counters();
    let counted = [&counters.unreadable, &counters.expired, &counters.queued];
    assert_eq!(counted.map(|counter| counter.get()), [1, 1, 0]);
    let kept = net.ledgers.lock().queue(Subscriber::group(group));
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0].payload, b"7");
}

/// What has waited for a group and ended in this very second is given to nobody: it would cost whoever was to get it his turn.
#[test]
fn what_ended_within_the_second_takes_nobodys_turn() {
    let mut net = Net::new(1);
    let publisher = net.connect("pub");
    let members = ["a", "b"].map(|name| net.persistent(name));
    for member in members {
        net.subscribe(member, "$share/g/t", QoS::AtLeastOnce);
        net.cut(member);
    }
    net.advance(1_300 - net.now.as_millis() % 1_000);
    let expiry = [Property::MessageExpiryInterval(1)];
    net.publish_with(publisher, "t", "late", QoS::AtLeastOnce, false, &expiry);
    assert_eq!(net.gauges()[3], 1);
    net.advance(1_000);
    let [a, b] = [(0, "a"), (1, "b")].map(|(at, name)| net.reconnect(members[at], &resume(name)));
    assert_eq!(net.shared.counters().expired.get(), 1);
    net.publish(publisher, "t", "next", QoS::AtLeastOnce);
    assert_eq!((net.texts(a), net.texts(b)), (vec!["next".into()], vec![]));
}

/// What a group gave to a member that goes is read back for another one; what cannot be read is counted, and the group chooses as before.
#[test]
fn what_a_member_gives_back_comes_from_the_store() {
    let mut net = Net::new(2);
    let publisher = net.connect("pub");
    let names = ["a", "b"];
    let members = names.map(|name| {
        net.connect_with(&Connect {
            properties: Properties::List(&[
                Property::SessionExpiryInterval(100),
                Property::ReceiveMaximum(ReceiveMaximum::new(1).unwrap()),
            ]),
            ..Connect::new(Version::V5, name)
        })
    });
    for member in members {
        net.subscribe(member, "$share/g/t", QoS::AtLeastOnce);
        net.set_manner(member, Manner::Silent);
    }
    for number in 0..400 {
        net.publish(publisher, "t", &number.to_string(), QoS::AtLeastOnce);
    }
    assert!(in_memory(&net, "a") <= 3 * 65);
    net.ledgers.damage("300");
    net.cut(members[0]);
    net.cut(members[1]);
    assert_eq!(net.shared.counters().unreadable.get(), 1);
    let mut texts = Vec::new();
    for (name, member) in names.iter().zip(members) {
        net.set_manner(member, Manner::Acknowledges);
        let back = net.reconnect(member, &resume(name));
        texts.extend(net.seen(back).into_iter().filter_map(|seen| match seen {
            Seen::Publish(message) => Some(message.text()),
            _ => None,
        }));
    }
    let mut numbers: Vec<u32> = texts.iter().map(|text| text.parse().unwrap()).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let expected = (0..400).filter(|number| *number != 300);
    assert!(numbers.iter().copied().eq(expected), "{numbers:?}");
    assert_eq!(net.gauges()[3], 0);
}
