//! QoS 2 across a crash: exactly once in both directions, wherever the handshake was.

use mqtt_codec::{
    Delivery, Packet, PacketId, Properties, PubComp, PubRec, PubRel, Publish, QoS, ReasonCode,
    Version,
};

use super::client::{Manner, Seen};
use super::net::{Net, connect_bytes, resume};
use super::restart::WORKERS;

const SUCCESS: ReasonCode = ReasonCode::SUCCESS;

fn id(number: u16) -> PacketId {
    PacketId::new(number).unwrap()
}

/// A message that the broker had received and not released is not routed again when its client repeats it, until PUBREL; then the id
/// is free, and a message under it is a new one [MQTT-4.3.3-10], [MQTT-4.3.3-11].
#[test]
fn a_received_message_is_routed_once() {
    for (before, after) in WORKERS {
        let mut net = Net::new(before);
        let sub = net.persistent("sub");
        net.subscribe(sub, "t", QoS::ExactlyOnce);
        net.cut(sub);
        let publisher = net.persistent("pub");
        net.set_manner(publisher, Manner::Silent);
        net.publish(publisher, "t", "once", QoS::ExactlyOnce);
        net.publish(publisher, "t", "released", QoS::ExactlyOnce);
        net.packet(publisher, &Packet::PubRel(PubRel::new(id(2))));
        net.restart(after);
        net.agrees_with_the_store();
        let publisher = net.reconnect(publisher, &resume("pub"));
        let repeat = |net: &mut Net, number, dup, text: &str| {
            let packet = Packet::Publish(Publish {
                dup,
                retain: false,
                delivery: Delivery::ExactlyOnce(id(number)),
                topic: "t",
                properties: Properties::EMPTY,
                payload: text.as_bytes(),
            });
            net.packet(publisher, &packet);
        };
        repeat(&mut net, 1, true, "once");
        repeat(&mut net, 2, false, "another");
        let seen = net.seen(publisher);
        assert!(
            seen.ends_with(&[Seen::PubRec(1, SUCCESS), Seen::PubRec(2, SUCCESS)]),
            "{seen:?}"
        );
        net.packet(publisher, &Packet::PubRel(PubRel::new(id(1))));
        assert_eq!(net.seen(publisher), [Seen::PubComp(1, SUCCESS)]);
        repeat(&mut net, 1, false, "new");
        net.restart(before);
        net.agrees_with_the_store();
        let sub = net.reconnect(sub, &resume("sub"));
        assert_eq!(net.texts(sub), ["once", "released", "another", "new"]);
    }
}

/// A message that was sent comes again under its id and with DUP; one whose PUBREC came does not, its PUBREL does, in the order of
/// PUBREC; one that was completed is over. Nothing comes twice to its client [MQTT-4.3.3-4], [MQTT-4.3.3-8], [MQTT-4.4.0-1],
/// [MQTT-4.6.0-4].
#[test]
fn a_sent_message_goes_on_where_it_was() {
    for (before, after) in WORKERS {
        let mut net = Net::new(before);
        let publisher = net.connect("pub");
        let sub = net.persistent("sub");
        net.set_manner(sub, Manner::Silent);
        net.subscribe(sub, "t", QoS::ExactlyOnce);
        for text in ["sent 1", "released 2", "released 3", "over", "sent 5"] {
            net.publish(publisher, "t", text, QoS::ExactlyOnce);
        }
        let ids: Vec<u16> = net.received(sub).iter().map(|message| message.id).collect();
        for at in [2, 1, 3] {
            net.packet(sub, &Packet::PubRec(PubRec::new(id(ids[at]))));
        }
        net.packet(sub, &Packet::PubComp(PubComp::new(id(ids[3]))));
        net.cut(sub);
        net.publish(publisher, "t", "waits", QoS::ExactlyOnce);
        net.restart(after);
        net.agrees_with_the_store();
        net.restart(before);
        net.agrees_with_the_store();
        assert_eq!(net.gauges()[3], 3);
        // One that remembers nothing sees what comes.
        let amnesiac = net.open(Version::V5);
        net.set_manner(amnesiac, Manner::Silent);
        net.send(amnesiac, &connect_bytes(&resume("sub")));
        let seen = net.seen(amnesiac);
        let packets: Vec<(String, u16, bool)> = seen
            .iter()
            .filter_map(|seen| match seen {
                Seen::Publish(message) => Some((message.text(), message.id, message.dup)),
                Seen::PubRel(id, SUCCESS) => Some(("PUBREL".to_owned(), *id, false)),
                _ => None,
            })
            .collect();
        let of = |text: &str, id, dup| (text.to_owned(), id, dup);
        let fresh = packets.last().unwrap().1;
        assert_eq!(
            packets,
            [
                of("PUBREL", ids[2], false),
                of("PUBREL", ids[1], false),
                of("sent 1", ids[0], true),
                of("sent 5", ids[4], true),
                of("waits", fresh, false),
            ]
        );
        assert!(!ids.contains(&fresh) || fresh == ids[3]);
        net.restart(after);
        net.agrees_with_the_store();
        // One that does gets what it has not got.
        let sub = net.reconnect(sub, &resume("sub"));
        net.set_manner(sub, Manner::Acknowledges);
        net.cut(sub);
        let sub = net.reconnect(sub, &resume("sub"));
        assert_eq!(net.gauges()[3], 0);
        net.agrees_with_the_store();
        assert!(net.ledgers.lock().queues.is_empty());
        net.seen(sub);
        net.publish(sub, "t", "later", QoS::ExactlyOnce);
        assert_eq!(net.texts(sub), ["later"]);
    }
}

/// What was in flight with QoS 1 comes again, after what QoS 2 had begun, and is over when it is acknowledged [MQTT-4.3.2-1].
#[test]
fn at_least_once_starts_anew() {
    let mut net = Net::new(2);
    let publisher = net.connect("pub");
    let sub = net.persistent("sub");
    net.set_manner(sub, Manner::Silent);
    net.subscribe(sub, "t", QoS::ExactlyOnce);
    net.publish(publisher, "t", "1", QoS::AtLeastOnce);
    net.publish(publisher, "t", "2", QoS::ExactlyOnce);
    net.publish(publisher, "t", "3", QoS::AtLeastOnce);
    assert_eq!(net.texts(sub), ["1", "2", "3"]);
    net.restart(3);
    let sub = net.persistent("sub");
    assert_eq!(net.texts(sub), ["2", "1", "3"]);
    assert_eq!(net.gauges()[3], 0);
    net.agrees_with_the_store();
}

/// A queue that is full of what expires gives it up, but not what a client has begun to get before the crash [MQTT-4.3.3-7].
#[test]
fn what_had_begun_does_not_expire() {
    let mut net = Net::set(|settings| settings.queue_messages = 2);
    let publisher = net.connect("pub");
    let sub = net.persistent("sub");
    net.set_manner(sub, Manner::Silent);
    net.subscribe(sub, "t", QoS::ExactlyOnce);
    let expiry = [mqtt_codec::Property::MessageExpiryInterval(10)];
    net.publish_with(publisher, "t", "begun", QoS::ExactlyOnce, false, &expiry);
    assert_eq!(net.texts(sub), ["begun"]);
    net.cut(sub);
    net.publish_with(publisher, "t", "waits", QoS::ExactlyOnce, false, &expiry);
    net.restart(1);
    net.advance(10_000);
    let publisher = net.connect("pub");
    net.publish(publisher, "t", "new", QoS::ExactlyOnce);
    net.agrees_with_the_store();
    let sub = net.persistent("sub");
    assert_eq!(net.texts(sub), ["begun", "new"]);
}
