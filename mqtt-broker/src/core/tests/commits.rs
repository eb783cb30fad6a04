//! A store whose commits come late and in batches: nothing is promised before it is kept, and nothing else waits for it.

use mqtt_codec::{
    Connect, Packet, PacketId, PubRel, QoS, ReasonCode, SubscriptionOptions, Version,
};

use super::client::{Manner, Seen};
use super::net::{Net, resume};

/// Lets the store come as far as it was told to.
fn release(net: &mut Net) {
    net.ledgers.release();
    net.run();
}

const SUCCESS: ReasonCode = ReasonCode::SUCCESS;
const NOBODY: ReasonCode = ReasonCode::NO_MATCHING_SUBSCRIBERS;

/// CONNACK is withheld until the session is kept; then the client is served without any other cause.
#[test]
fn connack_waits_for_its_session() {
    for version in [Version::V311, Version::V5] {
        let mut net = Net::new(2);
        net.ledgers.hold();
        let client = net.connect_with(&Connect::new(version, "c"));
        net.ping(client);
        net.advance(5_000);
        assert_eq!(net.seen(client), []);
        release(&mut net);
        let seen = net.seen(client);
        assert!(
            matches!(&seen[..], [Seen::ConnAck(_), Seen::PingResp]),
            "{seen:?}"
        );
    }
}

/// PUBACK, PUBREC and PUBCOMP are withheld; QoS 0 and pings go on, and reading does, too [MQTT-4.9.0-3].
#[test]
fn acknowledgements_wait_and_nothing_else_does() {
    for workers in [1, 3] {
        let mut net = Net::new(workers);
        let publisher = net.connect("pub");
        let sub = net.persistent("sub");
        net.subscribe(sub, "t", QoS::ExactlyOnce);
        net.seen(publisher);
        net.seen(sub);
        net.ledgers.hold();
        net.publish(publisher, "t", "1", QoS::AtLeastOnce);
        net.publish(publisher, "t", "2", QoS::ExactlyOnce);
        net.publish(publisher, "t", "3", QoS::AtMostOnce);
        net.ping(publisher);
        assert_eq!(net.seen(publisher), [Seen::PingResp]);
        // A message of QoS 1 needs no id that outlives the connection; one of QoS 2 does.
        let texts = net.texts(sub);
        assert!(
            texts.contains(&"1".to_owned()) && texts.contains(&"3".to_owned()),
            "{texts:?}"
        );
        assert_eq!(texts.len(), 2);
        net.set_manner(publisher, Manner::Silent);
        release(&mut net);
        assert_eq!(
            net.seen(publisher),
            [Seen::PubAck(1, SUCCESS), Seen::PubRec(2, SUCCESS)]
        );
        release(&mut net);
        net.packet(
            publisher,
            &Packet::PubRel(PubRel::new(PacketId::new(2).unwrap())),
        );
        assert_eq!(
            net.seen(publisher),
            [],
            "PUBCOMP waits for the id's release"
        );
        release(&mut net);
        assert_eq!(net.seen(publisher), [Seen::PubComp(2, SUCCESS)]);
        for _ in 0..4 {
            release(&mut net);
        }
        assert_eq!(net.texts(sub), ["2"]);
        assert_eq!(net.shared.counters().queued.get(), 0);
    }
}

/// The store moves while a connection is polled, after its session has looked and before the core has: the answer leaves all the same,
/// in the round for which the store wakes the worker.
#[test]
fn a_commit_in_the_middle_of_a_round_is_not_missed() {
    for looks in 0..32 {
        let mut net = Net::new(1);
        let publisher = net.connect("pub");
        let sub = net.persistent("sub");
        net.subscribe(sub, "t", QoS::AtLeastOnce);
        net.seen(publisher);
        net.ledgers.hold();
        net.ledgers.release_after(looks);
        net.publish(publisher, "t", "1", QoS::AtLeastOnce);
        // The rounds for which the store wakes the worker.
        while net.ledgers.looks_left() {
            net.round();
        }
        net.run();
        // If it came before the message was told to commit, the store has to move once more.
        release(&mut net);
        assert_eq!(
            net.seen(publisher),
            [Seen::PubAck(1, SUCCESS)],
            "after {looks} looks"
        );
    }
}

/// SUBACK and UNSUBACK are withheld; the subscription counts at once.
#[test]
fn suback_and_unsuback_wait() {
    let mut net = Net::new(1);
    let client = net.connect("c");
    net.seen(client);
    net.ledgers.hold();
    let options = SubscriptionOptions::new(QoS::AtMostOnce);
    assert_eq!(net.subscribe_with(client, &["t"], options, None), []);
    net.publish(client, "t", "already", QoS::AtMostOnce);
    assert_eq!(net.texts(client), ["already"]);
    release(&mut net);
    assert_eq!(net.seen(client), [Seen::SubAck(1, vec![SUCCESS])]);
    net.unsubscribe(client, &["t", "u"]);
    assert_eq!(net.seen(client), []);
    release(&mut net);
    let codes = vec![SUCCESS, ReasonCode::NO_SUBSCRIPTION_EXISTED];
    assert_eq!(net.seen(client), [Seen::UnsubAck(2, codes)]);
}

/// What has no receiver but is retained is withheld as well; a message nobody keeps is not promised to anyone.
#[test]
fn a_retained_message_is_kept_before_it_is_acknowledged() {
    let mut net = Net::new(1);
    let client = net.connect("c");
    net.seen(client);
    net.ledgers.hold();
    net.publish(client, "t", "nobody", QoS::AtLeastOnce);
    assert_eq!(net.seen(client), [Seen::PubAck(1, NOBODY)]);
    net.retain(client, "t", "kept", QoS::AtLeastOnce);
    assert_eq!(net.seen(client), []);
    release(&mut net);
    assert_eq!(net.seen(client), [Seen::PubAck(2, NOBODY)]);
    net.retain(client, "t", "", QoS::AtLeastOnce);
    assert_eq!(net.seen(client), []);
    release(&mut net);
    assert_eq!(net.seen(client), [Seen::PubAck(3, NOBODY)]);
}

/// A flood that the store does not follow is stopped by not reading, at the window of what may be unacknowledged, and goes on when the
/// store has come on.
#[test]
fn a_flood_of_3_1_1_waits_for_the_store() {
    let mut net = Net::new(1);
    let publisher = net.connect_with(&Connect::new(Version::V311, "pub"));
    let sub = net.persistent("sub");
    net.subscribe(sub, "t", QoS::AtLeastOnce);
    net.seen(publisher);
    net.ledgers.hold();
    for number in 0..5_000 {
        let text = number.to_string();
        let bytes = net.publish_bytes(
            publisher,
            "t",
            text.as_bytes(),
            QoS::AtLeastOnce,
            false,
            &[],
        );
        net.queue_bytes(publisher, &bytes);
    }
    net.run();
    assert_eq!(net.seen(publisher), []);
    let expected: Vec<String> = (0..5_000).map(|number| number.to_string()).collect();
    let mut texts = Vec::new();
    for _ in 0..6 {
        release(&mut net);
        texts.extend(net.texts(sub));
    }
    assert!(texts == expected, "{} messages", texts.len());
    assert_eq!(net.seen(publisher).len(), 5_000);
}

/// What a restart would find is what the sessions hold: every copy that was promised and not yet acknowledged, in order, under its own
/// flags, also for sessions of other workers; and nothing is left when they are done.
#[test]
fn the_store_knows_what_every_session_holds() {
    let mut net = Net::new(3);
    let publisher = net.connect("pub");
    let subs = ["a", "b", "c", "d"].map(|name| {
        let sub = net.persistent(name);
        net.subscribe(sub, "t/+", QoS::AtLeastOnce);
        net.subscribe(sub, "t/#", QoS::ExactlyOnce);
        net.subscribe(sub, "$share/g/t/1", QoS::ExactlyOnce);
        net.set_manner(sub, Manner::Silent);
        sub
    });
    net.cut(subs[1]);
    for number in 0..40 {
        let qos = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce][number % 3];
        net.publish(
            publisher,
            &format!("t/{}", number % 4),
            &number.to_string(),
            qos,
        );
        net.agrees_with_the_store();
    }
    net.cut(subs[2]);
    net.agrees_with_the_store();
    for (at, name) in ["a", "b", "c", "d"].into_iter().enumerate() {
        net.cut(subs[at]);
        let back = net.reconnect(subs[at], &resume(name));
        net.agrees_with_the_store();
        net.set_manner(back, Manner::Acknowledges);
        net.cut(back);
        net.reconnect(back, &resume(name));
        net.agrees_with_the_store();
    }
    assert!(net.ledgers.lock().queues.is_empty());
    net.advance(86_400_000 + 200_000);
    net.agrees_with_the_store();
    assert!(net.ledgers.lock().sessions.is_empty() && net.ledgers.lock().groups.is_empty());
    assert_eq!(net.gauges(), [0; 7]);
}
