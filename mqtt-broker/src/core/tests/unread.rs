//! Starting again where messages stay on the disk, and where some of them cannot be read.

use mqtt_codec::{Connect, Properties, Property, QoS, ReasonCode, SubscriptionOptions, Version};

use super::client::{Manner, Seen};
use super::net::{Net, connect_bytes, resume};

/// A session may have more different groups and identifiers than a queue in the store can tell apart: what it had from each of them comes
/// all the same. What came from the later groups was taken for its own and forgotten.
#[test]
fn a_member_of_thousands_of_groups_gets_what_each_had_for_it() {
    const COUNT: u32 = 2_500;
    for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
        let mut net = Net::new(2);
        let publisher = net.connect("pub");
        let member = net.persistent("member");
        net.set_manner(member, Manner::Silent);
        for number in 1..=COUNT {
            let filter = format!("$share/g{number}/t/{number}");
            let options = SubscriptionOptions::new(qos);
            net.subscribe_with(member, &[&filter], options, Some(number));
        }
        for number in 1..=COUNT {
            net.publish(publisher, &format!("t/{number}"), &number.to_string(), qos);
        }
        net.seen(member);
        let lost = net.restart_from_disk(2, true, |_| {});
        assert_eq!((lost, net.gauges()[3]), (0, u64::from(COUNT)));
        net.agrees_with_the_store();
        let member = net.persistent("member");
        let texts = net.texts(member);
        let mut numbers: Vec<u32> = texts.iter().map(|text| text.parse().unwrap()).collect();
        numbers.sort_unstable();
        assert!(numbers.into_iter().eq(1..=COUNT), "{} came", texts.len());
        net.agrees_with_the_store();
        assert!(net.ledgers.lock().queues.is_empty());
    }
}

/// How a client is told of its session's messages that does not know what it had, and answers nothing: texts, ids and PUBRELs.
fn look(net: &mut Net, name: &str) -> (usize, Vec<(String, u16)>) {
    let client = net.open(Version::V5);
    net.set_manner(client, Manner::Silent);
    net.send(client, &connect_bytes(&resume(name)));
    let seen = net.seen(client);
    let packets = seen.into_iter().filter_map(|seen| match seen {
        Seen::Publish(message) => Some((message.text(), message.id)),
        Seen::PubRel(id, _) => Some(("PUBREL".to_owned(), id)),
        _ => None,
    });
    (client, packets.collect())
}

/// The client may have got a message of QoS 2 whose PUBREC was lost. When the message is gone, by a repair or because it cannot be read, its
/// packet id is released before another message has it, which the client would take for the first one [MQTT-4.3.3-10]; and the message
/// does not come under another id when it can be read again.
#[test]
fn an_id_is_released_whose_message_is_gone() {
    for (repair, lazy) in [(true, true), (true, false), (false, false), (false, true)] {
        let mut net = Net::new(2);
        let publisher = net.connect("pub");
        let sub = net.persistent("sub");
        net.set_manner(sub, Manner::Silent);
        net.subscribe(sub, "t", QoS::ExactlyOnce);
        for text in ["one", "two", "three", "four"] {
            net.publish(publisher, "t", text, QoS::ExactlyOnce);
        }
        let came = net.received(sub);
        let ids: Vec<u16> = came.iter().map(|message| message.id).collect();
        net.packet(sub, &pubrec(ids[3]));
        net.seen(sub);
        net.ledgers.damage("two");
        net.ledgers.damage("three");
        let damaged = net.ledgers.damaged();
        let lost = net.restart_from_disk(1, lazy, |image| {
            if repair {
                let lost = image.forget_bodies(&damaged);
                assert_eq!(lost.iter().map(|(_, copies)| copies).sum::<usize>(), 2);
            }
        });
        assert_eq!(lost, if repair || lazy { 0 } else { 2 });
        let publisher = net.connect("pub");
        net.publish(publisher, "t", "five", QoS::ExactlyOnce);
        let (client, packets) = look(&mut net, "sub");
        let fresh = packets.last().unwrap().1;
        let of = |text: &str, id| (text.to_owned(), id);
        let mut expected = vec![of("PUBREL", ids[3])];
        let gone = [of("PUBREL", ids[1]), of("PUBREL", ids[2])];
        if lazy && !repair {
            // It shows when their turn comes.
            expected.push(of("one", ids[0]));
            expected.extend(gone);
        } else {
            expected.extend(gone);
            expected.push(of("one", ids[0]));
        }
        expected.push(of("five", fresh));
        assert_eq!(packets, expected);
        assert!(!ids.contains(&fresh));
        net.cut(client);
        // It can be read again, and is over all the same.
        net.ledgers.mend();
        net.restart_from_disk(2, lazy, |image| {
            if repair {
                image.forget_bodies(&damaged);
            }
        });
        net.set_manner(sub, Manner::Acknowledges);
        let sub = net.reconnect(sub, &resume("sub"));
        assert_eq!(net.texts(sub), ["five"], "one it has");
        net.publish(sub, "t", "six", QoS::ExactlyOnce);
        assert_eq!(net.texts(sub), ["six"]);
        assert_eq!(net.gauges()[3], 0);
    }
}

fn pubrec(id: u16) -> mqtt_codec::Packet<'static> {
    let id = mqtt_codec::PacketId::new(id).unwrap();
    mqtt_codec::Packet::PubRec(mqtt_codec::PubRec::new(id))
}

/// A retained message that could not be read at a start is not there, but the store has it: who clears the topic clears it there as well, so
/// that it does not rise again when it can be read [MQTT-3.3.1-6]. Nobody who does not: then it comes back.
#[test]
fn what_was_cleared_does_not_rise_again() {
    for clears in [true, false] {
        let mut net = Net::new(2);
        let publisher = net.connect("pub");
        for topic in ["t/1", "t/2"] {
            net.retain(publisher, topic, topic, QoS::AtLeastOnce);
        }
        net.ledgers.damage("t/1");
        assert_eq!(net.restart_from_disk(2, true, |_| {}), 1);
        let publisher = net.connect("pub");
        assert_eq!(net.shared.counters().retained.get(), 1);
        if clears {
            net.retain(publisher, "t/1", "", QoS::AtLeastOnce);
            net.retain(publisher, "t/1", "", QoS::AtLeastOnce);
            assert!(net.seen(publisher).contains(&Seen::PubAck(1, NOBODY)));
        }
        net.ledgers.mend();
        assert_eq!(net.restart_from_disk(2, true, |_| {}), 0);
        net.agrees_with_the_store();
        let sub = net.connect_with(&Connect {
            properties: Properties::List(&[Property::SessionExpiryInterval(10)]),
            ..Connect::new(Version::V5, "sub")
        });
        net.subscribe(sub, "t/#", QoS::AtLeastOnce);
        let mut texts = net.texts(sub);
        texts.sort();
        let expected: &[&str] = if clears { &["t/2"] } else { &["t/1", "t/2"] };
        assert_eq!(texts, expected);
    }
}

const NOBODY: ReasonCode = ReasonCode::NO_MATCHING_SUBSCRIBERS;
