//! Shared subscriptions.

use mqtt_codec::{Connect, Properties, Property, QoS, ReasonCode, SubscriptionOptions, Version};

use super::client::{Manner, Message, Seen};
use super::net::{Net, resume};

const GROUP: &str = "$share/g/t";

/// Members, each with a session that is kept, and a publisher; the workers differ.
fn group(workers: u16, members: usize) -> (Net, Vec<usize>, usize) {
    let mut net = Net::new(workers);
    let members: Vec<usize> = (0..members)
        .map(|number| {
            let member = net.persistent(&format!("member{number}"));
            net.subscribe(member, GROUP, QoS::ExactlyOnce);
            net.seen(member);
            member
        })
        .collect();
    let publisher = net.connect("pub");
    net.seen(publisher);
    (net, members, publisher)
}

fn numbered(net: &mut Net, publisher: usize, from: usize, to: usize, qos: QoS) {
    for number in from..to {
        net.publish(publisher, "t", &number.to_string(), qos);
    }
}

fn numbers(messages: &[String]) -> Vec<usize> {
    let mut numbers: Vec<usize> = messages.iter().map(|text| text.parse().unwrap()).collect();
    numbers.sort_unstable();
    numbers
}

/// Each message goes to one member, in turn while all acknowledge, in every version; retained messages are not sent to a new member.
#[test]
fn each_message_goes_to_one_member() {
    for workers in [1, 3] {
        for version in [Version::V311, Version::V5] {
            let mut net = Net::new(workers);
            let publisher = net.connect("pub");
            net.retain(publisher, "t", "retained", QoS::AtLeastOnce);
            let members = ["a", "b", "c"].map(|name| {
                let member = net.connect_with(&Connect::new(version, name));
                net.subscribe(member, GROUP, QoS::ExactlyOnce);
                member
            });
            for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
                numbered(&mut net, publisher, 0, 30, qos);
                let shares = members.map(|member| net.texts(member));
                assert_eq!(numbers(&shares.concat()), (0..30).collect::<Vec<_>>());
                assert!(shares.iter().all(|share| share.len() == 10), "{shares:?}");
            }
        }
    }
}

/// Whoever has the fewest outstanding is chosen, at whatever worker [DESIGN: shared groups].
#[test]
fn a_member_that_does_not_acknowledge_gets_no_more_than_its_share() {
    for workers in [1, 4] {
        let (mut net, members, publisher) = group(workers, 3);
        net.set_manner(members[0], Manner::Silent);
        numbered(&mut net, publisher, 0, 100, QoS::AtLeastOnce);
        assert_eq!(net.texts(members[0]).len(), 1);
        let others = net.texts(members[1]).len() + net.texts(members[2]).len();
        assert_eq!(others, 99);
    }
}

/// A group has the member's terms: its QoS, its identifier, its flag as published [MQTT-4.8.2-3], [MQTT-3.3.4-3].
#[test]
fn a_member_gets_what_it_asked_for() {
    let mut net = Net::new(1);
    let member = net.connect("member");
    let mut options = SubscriptionOptions::new(QoS::AtLeastOnce);
    options.retain_as_published = true;
    net.subscribe_with(member, &[GROUP], options, Some(9));
    let publisher = net.connect("pub");
    net.retain(publisher, "t", "x", QoS::ExactlyOnce);
    let messages = net.received(member);
    assert_eq!(
        (
            messages[0].qos,
            &*messages[0].subscriptions,
            messages[0].retain
        ),
        (QoS::AtLeastOnce, &[9][..], true)
    );
    options.no_local = true;
    net.subscribe_with(member, &[GROUP], options, None);
    assert_eq!(
        net.seen(member).last(),
        Some(&Seen::Closed),
        "No Local on a shared subscription [MQTT-3.8.3-4]"
    );
}

/// With nobody connected, QoS 1 and 2 wait for whoever comes first, in order, within the limits of a queue; QoS 0 does not.
#[test]
fn messages_wait_for_the_first_member_that_comes_back() {
    for workers in [1, 3] {
        let (mut net, members, publisher) = group(workers, 2);
        for member in &members {
            net.cut(*member);
        }
        numbered(&mut net, publisher, 0, 5, QoS::AtLeastOnce);
        numbered(&mut net, publisher, 90, 95, QoS::AtMostOnce);
        numbered(&mut net, publisher, 5, 10, QoS::ExactlyOnce);
        assert_eq!(net.shared.counters().queued.get(), 10);
        assert_eq!(net.shared.counters().dropped.get(), 0);
        let back = net.reconnect(members[1], &resume("member1"));
        let expected: Vec<String> = (0..10).map(|number| number.to_string()).collect();
        assert_eq!(net.texts(back), expected);
        assert_eq!(net.shared.counters().queued.get(), 0);
        assert!(net.ledgers.lock().queues.is_empty());
    }
}

/// The queue of a group is limited in messages and in bytes, and expired messages make room. Only messages were counted.
#[test]
fn the_queue_of_a_group_is_limited() {
    for (messages, bytes) in [(10, u64::MAX), (10_000, 10_500)] {
        let mut net = Net::set(|settings| {
            settings.queue_messages = messages;
            settings.queue_bytes = bytes;
        });
        let member = net.persistent("member0");
        net.subscribe(member, GROUP, QoS::ExactlyOnce);
        net.cut(member);
        let publisher = net.connect("pub");
        for _ in 0..20 {
            net.publish(publisher, "t", &"x".repeat(950), QoS::AtLeastOnce);
        }
        let waiting = net.shared.counters().queued.get();
        assert!((9..=10).contains(&waiting), "{waiting}");
        assert_eq!(net.shared.counters().dropped.get(), 20 - waiting);
        let back = net.reconnect(member, &resume("member0"));
        assert_eq!(net.received(back).len() as u64, waiting);
        assert_eq!(net.shared.counters().queued.get(), 0);
    }
}

/// A member loses its connection: what it had in flight stays with its session, the rest goes to others [MQTT-4.8.2-4].
#[test]
fn what_a_member_had_not_begun_goes_to_others() {
    for workers in [1, 3] {
        let (mut net, _, publisher) = group(workers, 1);
        let narrow = net.connect_with(&Connect {
            clean_start: false,
            properties: Properties::List(&[
                Property::SessionExpiryInterval(100),
                Property::ReceiveMaximum(mqtt_codec::ReceiveMaximum::new(2).unwrap()),
            ]),
            ..Connect::new(Version::V5, "member0")
        });
        net.set_manner(narrow, Manner::Silent);
        numbered(&mut net, publisher, 0, 10, QoS::ExactlyOnce);
        let begun = numbers(&net.texts(narrow));
        assert_eq!(begun, [0, 1]);
        net.cut(narrow);
        assert_eq!(
            net.shared.counters().queued.get(),
            10,
            "eight wait with the group"
        );
        let other = net.persistent("other");
        net.subscribe(other, GROUP, QoS::ExactlyOnce);
        assert_eq!(numbers(&net.texts(other)), (2..10).collect::<Vec<_>>());
        net.cut(other);
        let mut back = net.reconnect(narrow, &resume("member0"));
        net.set_manner(back, Manner::Acknowledges);
        net.cut(back);
        back = net.reconnect(back, &resume("member0"));
        numbered(&mut net, publisher, 10, 12, QoS::ExactlyOnce);
        assert_eq!(
            numbers(&net.texts(back)),
            [10, 11],
            "0 and 1 it had received before"
        );
        assert_eq!(net.shared.counters().queued.get(), 0);
    }
}

/// A member leaves: what it has in flight it gets to the end [MQTT-3.10.4-3], the rest goes to those that are still members, or waits
/// for them. It stayed with the session, which got it although it had left, or kept it while it was away. The last member leaves nobody
/// to whom it could go.
#[test]
fn what_a_leaving_member_had_not_begun_goes_to_others() {
    for workers in [1, 3] {
        let (mut net, members, publisher) = group(workers, 1);
        net.cut(members[0]);
        let narrow = net.connect_with(&Connect {
            properties: Properties::List(&[
                Property::SessionExpiryInterval(100),
                Property::ReceiveMaximum(mqtt_codec::ReceiveMaximum::new(2).unwrap()),
            ]),
            ..Connect::new(Version::V5, "narrow")
        });
        net.set_manner(narrow, Manner::Silent);
        net.subscribe(narrow, GROUP, QoS::ExactlyOnce);
        net.subscribe(narrow, "$share/alone/t", QoS::AtLeastOnce);
        numbered(&mut net, publisher, 0, 5, QoS::ExactlyOnce);
        assert_eq!(numbers(&net.texts(narrow)), [0, 0]);
        net.unsubscribe(narrow, &[GROUP, "$share/alone/t"]);
        net.agrees_with_the_store();
        assert_eq!(net.texts(narrow), [""; 0]);
        let other = net.reconnect(members[0], &resume("member0"));
        assert_eq!(numbers(&net.texts(other)), [1, 2, 3, 4]);
        net.cut(narrow);
        net.agrees_with_the_store();
        assert_eq!(net.shared.counters().queued.get(), 1 + 5);
        assert_eq!(net.shared.counters().dropped.get(), 0);
        net.restart(workers);
        let mut back = net.reconnect(narrow, &resume("narrow"));
        net.set_manner(back, Manner::Acknowledges);
        net.cut(back);
        back = net.reconnect(back, &resume("narrow"));
        let alone = [0, 1, 2, 3, 4];
        assert_eq!(
            numbers(&net.texts(back)),
            alone,
            "0 of the other group it had received before"
        );
        assert_eq!(net.shared.counters().queued.get(), 0);
    }
}

/// A session ends: what it had not acknowledged goes to another member, except for QoS 2 messages whose delivery had begun
/// [MQTT-4.8.2-5].
#[test]
fn what_an_ended_session_had_not_acknowledged_goes_to_others() {
    for workers in [1, 3] {
        for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
            let mut net = Net::new(workers);
            let first = net.connect_with(&Connect {
                properties: Properties::List(&[Property::ReceiveMaximum(
                    mqtt_codec::ReceiveMaximum::new(2).unwrap(),
                )]),
                ..Connect::new(Version::V5, "first")
            });
            net.subscribe(first, GROUP, qos);
            net.set_manner(first, Manner::Silent);
            net.seen(first);
            let publisher = net.connect("pub");
            numbered(&mut net, publisher, 0, 5, qos);
            assert_eq!(net.texts(first).len(), 2);
            let second = net.connect("second");
            net.subscribe(second, GROUP, qos);
            net.cut(first);
            let begun = if qos == QoS::ExactlyOnce { 2 } else { 0 };
            assert_eq!(numbers(&net.texts(second)), (begun..5).collect::<Vec<_>>());
            assert_eq!(net.shared.counters().queued.get(), 0);
            assert!(net.ledgers.lock().queues.is_empty());
        }
    }
}

/// A refusal ends the delivery: nobody else is bothered with it [MQTT-4.8.2-6].
#[test]
fn a_refused_message_goes_to_nobody_else() {
    for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
        let (mut net, members, publisher) = group(1, 2);
        net.set_manner(members[0], Manner::Refuses(ReasonCode::QUOTA_EXCEEDED));
        numbered(&mut net, publisher, 0, 10, qos);
        assert_eq!(
            net.texts(members[0]).len() + net.texts(members[1]).len(),
            10
        );
        assert_eq!(net.shared.counters().refused.get(), 5);
        assert_eq!(net.shared.counters().queued.get(), 0);
    }
}

/// A message that is larger than its member takes is dropped and counted, and the member is not thought to be busy with it
/// [MQTT-3.1.2-24], [MQTT-3.1.2-25].
#[test]
fn a_member_that_cannot_take_a_message_stays_in_the_group() {
    let mut net = Net::new(1);
    let small = net.connect_with(&Connect {
        properties: Properties::List(&[Property::MaximumPacketSize(
            core::num::NonZeroU32::new(200).unwrap(),
        )]),
        ..Connect::new(Version::V5, "small")
    });
    net.subscribe(small, GROUP, QoS::AtLeastOnce);
    let publisher = net.connect("pub");
    for _ in 0..3 {
        net.publish(publisher, "t", &"x".repeat(500), QoS::AtLeastOnce);
    }
    net.publish(publisher, "t", "fits", QoS::AtLeastOnce);
    assert_eq!(net.texts(small), ["fits"]);
    assert_eq!(net.shared.counters().too_large.get(), 3);
    let other = net.connect("other");
    net.subscribe(other, GROUP, QoS::AtLeastOnce);
    numbered(&mut net, publisher, 0, 10, QoS::AtLeastOnce);
    assert_eq!((net.texts(small).len(), net.texts(other).len()), (5, 5));
}

/// A member's message is on its way to another worker while it loses its connection, or its session: it stayed in the queue of a session
/// that was gone.
#[test]
fn a_message_that_crosses_a_disconnect_is_given_to_another_member() {
    for kept in [true, false] {
        let mut net = Net::new(2);
        let name = |net: &Net, worker| {
            (0..)
                .map(|number| format!("c{number}"))
                .find(|name| net.shared.home(name) == worker)
                .unwrap()
        };
        let (here, there) = (name(&net, 0), name(&net, 1));
        let member = if kept {
            net.persistent(&there)
        } else {
            net.connect(&there)
        };
        net.subscribe(member, GROUP, QoS::AtLeastOnce);
        let other = net.persistent("other");
        net.subscribe(other, GROUP, QoS::AtLeastOnce);
        net.cut(other);
        let publisher = net.connect(&here);
        net.seen(publisher);
        // One round of the publisher's worker alone: the batch is made, and not yet taken.
        let bytes = net.publish_bytes(publisher, "t", b"crossing", QoS::AtLeastOnce, false, &[]);
        let (worker, conn) = net.place(publisher);
        let now = net.now;
        let _ = net.cores[worker].receive(conn, &bytes, now);
        let (worker, conn) = net.place(member);
        net.cores[worker].closed(conn, now);
        net.run();
        assert_eq!(net.shared.counters().queued.get(), 1, "it waits");
        let other = net.persistent("other");
        assert_eq!(net.texts(other), ["crossing"], "kept: {kept}");
        assert_eq!(net.shared.counters().queued.get(), 0);
    }
}

/// The number of an ended group is used again: a message that was meant for the old one reached the new one, on a topic that its members
/// had not subscribed to.
#[test]
fn a_message_of_an_ended_group_never_reaches_a_later_one() {
    let mut net = Net::new(1);
    let first = net.connect("first");
    net.subscribe(first, "$share/g/secret", QoS::AtLeastOnce);
    net.set_manner(first, Manner::Silent);
    let publisher = net.connect("pub");
    net.publish(publisher, "secret", "not yours", QoS::AtLeastOnce);
    net.unsubscribe(first, &["$share/g/secret"]);
    let second = net.connect("second");
    net.subscribe(second, "$share/h/other", QoS::AtLeastOnce);
    net.seen(second);
    net.cut(first);
    assert_eq!(net.seen(second), []);
    assert_eq!(net.shared.counters().queued.get(), 0);
}

/// A group and an ordinary subscription of the same client are two: it gets both copies.
#[test]
fn a_shared_and_an_ordinary_subscription_are_two() {
    let mut net = Net::new(1);
    let sub = net.connect("sub");
    net.subscribe(sub, GROUP, QoS::AtLeastOnce);
    net.subscribe(sub, "t", QoS::AtLeastOnce);
    let publisher = net.connect("pub");
    net.publish(publisher, "t", "x", QoS::AtLeastOnce);
    let ids: Vec<u16> = net
        .received(sub)
        .iter()
        .map(|message: &Message| message.id)
        .collect();
    assert_eq!(ids.len(), 2);
    net.unsubscribe(sub, &["t"]);
    net.publish(publisher, "t", "x", QoS::AtLeastOnce);
    assert_eq!(net.received(sub).len(), 1);
}

/// The first member's QoS binds nobody else: a later one gets a higher QoS if it asked for that [MQTT-4.8.2-3].
#[test]
fn the_first_member_does_not_lower_the_qos_of_others() {
    let mut net = Net::new(1);
    let first = net.persistent("first");
    net.subscribe(first, GROUP, QoS::AtMostOnce);
    let second = net.connect("second");
    net.subscribe(second, GROUP, QoS::ExactlyOnce);
    net.cut(first);
    let publisher = net.connect("pub");
    net.publish(publisher, "t", "x", QoS::ExactlyOnce);
    assert_eq!(net.received(second)[0].qos, QoS::ExactlyOnce);
}

/// A message that waited for a member until it expired is delivered to none, and counted.
#[test]
fn what_expired_while_nobody_was_there_is_counted() {
    let mut net = Net::new(1);
    let member = net.persistent("member");
    net.subscribe(member, GROUP, QoS::AtLeastOnce);
    net.cut(member);
    let publisher = net.connect("pub");
    let expiry = [Property::MessageExpiryInterval(10)];
    net.publish_with(publisher, "t", "old", QoS::AtLeastOnce, false, &expiry);
    net.publish(publisher, "t", "new", QoS::AtLeastOnce);
    net.advance(10_000);
    let member = net.reconnect(member, &resume("member"));
    assert_eq!(net.texts(member), ["new"]);
    let counters = net.shared.counters();
    assert_eq!((counters.expired.get(), counters.queued.get()), (1, 0));
}
