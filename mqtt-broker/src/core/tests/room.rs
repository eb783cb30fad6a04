//! A store that takes nothing more: what is refused, what goes on, and that everything is as before when there is room again.

use mqtt_codec::{
    Connect, Disconnect, Packet, Properties, Property, QoS, ReasonCode, Version, Will,
};

use super::client::Seen;
use super::net::{Net, resume};
use crate::core::{Message, Room};

const FULL: ReasonCode = ReasonCode::QUOTA_EXCEEDED;
const FAILED: ReasonCode = ReasonCode::UNSPECIFIED_ERROR;

fn refused(net: &Net) -> u64 {
    net.shared.counters().refused_full.get()
}

/// A resumable session before 5.0.
fn old(client_id: &str) -> Connect<'_> {
    Connect {
        clean_start: false,
        ..Connect::new(Version::V311, client_id)
    }
}

/// A 5.0 publisher is told, QoS 0 goes on, and nothing of what was refused is anywhere; then everything goes on on the same connections.
#[test]
fn a_5_0_publisher_is_told() {
    for (room, reason) in [(Room::Full, FULL), (Room::Failed, FAILED)] {
        let mut net = Net::new(2);
        let sub = net.persistent("sub");
        net.subscribe(sub, "t", QoS::ExactlyOnce);
        let publisher = net.persistent("pub");
        net.ping(publisher);
        net.seen(publisher);
        net.ledgers.set_room(room);
        net.publish(publisher, "t", "one", QoS::AtLeastOnce);
        net.publish(publisher, "t", "two", QoS::ExactlyOnce);
        net.retain(publisher, "t", "kept", QoS::AtMostOnce);
        net.publish(publisher, "t", "quick", QoS::AtMostOnce);
        net.ping(publisher);
        assert_eq!(
            net.seen(publisher),
            [
                Seen::PubAck(1, reason),
                Seen::PubRec(2, reason),
                Seen::PingResp
            ]
        );
        assert_eq!(net.texts(sub), ["quick"]);
        assert_eq!(refused(&net), 3);
        assert_eq!(net.gauges()[3..5], [0, 0], "queued, retained");
        if room == Room::Failed {
            continue;
        }
        net.agrees_with_the_store();
        net.ledgers.set_room(Room::Enough);
        net.publish(publisher, "t", "one", QoS::AtLeastOnce);
        net.publish(publisher, "t", "two", QoS::ExactlyOnce);
        net.retain(publisher, "t", "kept", QoS::AtMostOnce);
        assert_eq!(net.texts(sub), ["one", "two", "kept"]);
        let success = |seen: &Seen| !matches!(seen, Seen::PubAck(_, reason) | Seen::PubRec(_, reason) if reason.is_error());
        let seen = net.seen(publisher);
        assert!(seen.len() == 3 && seen.iter().all(success), "{seen:?}");
        assert_eq!(net.gauges()[4], 1);
        net.agrees_with_the_store();
    }
}

/// Before 5.0 there is no answer: the client has its messages still, and what it sends when there is room again is answered at once. On its
/// next connection it repeats the others, with their packet ids, and they come.
#[test]
fn before_5_0_nothing_is_said() {
    let mut net = Net::new(2);
    let sub = net.persistent("sub");
    net.subscribe(sub, "t", QoS::ExactlyOnce);
    let publisher = net.connect_with(&old("pub"));
    net.ping(publisher);
    net.seen(publisher);
    net.ledgers.set_room(Room::Full);
    let packets: Vec<Vec<u8>> = [("one", QoS::AtLeastOnce), ("two", QoS::ExactlyOnce)]
        .map(|(text, qos)| net.publish_bytes(publisher, "t", text.as_bytes(), qos, false, &[]))
        .into();
    for packet in &packets {
        net.send(publisher, packet);
    }
    net.ping(publisher);
    assert_eq!(net.seen(publisher), [Seen::PingResp]);
    assert_eq!((net.texts(sub), refused(&net)), (vec![], 2));
    net.agrees_with_the_store();
    net.ledgers.set_room(Room::Enough);
    net.publish(publisher, "t", "three", QoS::AtLeastOnce);
    net.publish(publisher, "t", "four", QoS::ExactlyOnce);
    let success = ReasonCode::SUCCESS;
    assert_eq!(
        net.seen(publisher),
        [
            Seen::PubAck(3, success),
            Seen::PubRec(4, success),
            Seen::PubComp(4, success)
        ]
    );
    assert_eq!(net.texts(sub), ["three", "four"]);
    net.cut(publisher);
    let publisher = net.reconnect(publisher, &old("pub"));
    for packet in &packets {
        let mut again = packet.clone();
        again[0] |= 8;
        net.send(publisher, &again);
    }
    assert_eq!(net.texts(sub), ["one", "two"]);
    let seen = net.seen(publisher);
    assert_eq!(
        seen[1..],
        [
            Seen::PubAck(1, success),
            Seen::PubRec(2, success),
            Seen::PubComp(2, success)
        ]
    );
    net.agrees_with_the_store();
}

/// A session that outlives its connection gets no further subscription; one that does not may subscribe, and gives up what it likes.
#[test]
fn subscriptions_that_would_be_kept_are_refused() {
    for (room, reason) in [(Room::Full, FULL), (Room::Failed, FAILED)] {
        let mut net = Net::new(1);
        let lasting = net.persistent("lasting");
        let older = net.connect_with(&old("older"));
        let passing = net.connect("passing");
        net.subscribe(lasting, "a", QoS::AtLeastOnce);
        net.ledgers.set_room(room);
        assert_eq!(net.subscribe(lasting, "b", QoS::AtLeastOnce), [reason]);
        assert_eq!(
            net.subscribe(older, "b", QoS::AtLeastOnce),
            [ReasonCode::UNSPECIFIED_ERROR]
        );
        assert_eq!(
            net.subscribe(passing, "b", QoS::AtLeastOnce),
            [ReasonCode::GRANTED_QOS_1]
        );
        assert_eq!(net.unsubscribe(passing, &["b"]), [ReasonCode::SUCCESS]);
        assert_eq!(refused(&net), 2);
        assert_eq!(net.gauges()[5], 1);
        if room == Room::Failed {
            continue;
        }
        assert_eq!(net.unsubscribe(lasting, &["a"]), [ReasonCode::SUCCESS]);
        net.agrees_with_the_store();
        net.ledgers.set_room(Room::Enough);
        for client in [lasting, older] {
            assert_eq!(
                net.subscribe(client, "b", QoS::AtLeastOnce),
                [ReasonCode::GRANTED_QOS_1]
            );
        }
        net.agrees_with_the_store();
    }
}

/// No new session that outlives its connection; but whoever has one comes back and takes what waits, or ends it, for that makes room.
#[test]
fn a_full_store_lets_sessions_go_on_and_end() {
    let mut net = Net::new(2);
    let publisher = net.connect("pub");
    for name in ["a", "b", "c"] {
        let sub = net.persistent(name);
        net.subscribe(sub, "t", QoS::ExactlyOnce);
        if name != "c" {
            net.cut(sub);
        }
    }
    net.publish(publisher, "t", "waits", QoS::ExactlyOnce);
    net.ledgers.set_room(Room::Full);
    let new = net.persistent("new");
    assert_eq!(net.connack(new).reason, FULL);
    assert!(!net.is_open(new));
    let new = net.connect_with(&old("new"));
    assert_eq!(net.connack(new).reason, ReasonCode::SERVER_UNAVAILABLE);
    let passing = net.connect("passing");
    assert_eq!(net.connack(passing).reason, ReasonCode::SUCCESS);
    // It takes what waits.
    let back = net.persistent("a");
    let seen = net.seen(back);
    assert!(
        matches!(&seen[0], Seen::ConnAck(connected) if connected.session_present)
            && matches!(&seen[1], Seen::Publish(message) if message.text() == "waits"),
        "{seen:?}"
    );
    // It ends what was there.
    let clean = net.connect("b");
    let connack = net.connack(clean);
    assert_eq!(
        (connack.reason, connack.session_present),
        (ReasonCode::SUCCESS, false)
    );
    assert_eq!(net.gauges()[3], 0);
    // It would begin another one: nothing changes, not even its connection.
    let replacing = net.connect_with(&Connect {
        clean_start: true,
        ..resume("c")
    });
    assert_eq!(net.connack(replacing).reason, FULL);
    assert_eq!(refused(&net), 3);
    net.agrees_with_the_store();
    net.ledgers.set_room(Room::Enough);
    let new = net.persistent("new");
    assert_eq!(net.connack(new).reason, ReasonCode::SUCCESS);
    net.publish(publisher, "t", "later", QoS::ExactlyOnce);
    assert_eq!(net.texts(back), ["later"]);
    net.agrees_with_the_store();
}

/// A store that has failed cannot vouch for any session: those that outlive their connection get none. The others are served with what
/// promises nothing, although no commit ever comes.
#[test]
fn a_failed_store_serves_what_promises_nothing() {
    let mut net = Net::new(2);
    let lasting = net.persistent("lasting");
    net.subscribe(lasting, "t", QoS::ExactlyOnce);
    net.cut(lasting);
    let connected = net.persistent("connected");
    net.subscribe(connected, "t", QoS::AtMostOnce);
    net.ledgers.set_room(Room::Failed);
    for connect in [
        resume("lasting"),
        resume("new"),
        Connect::new(Version::V5, "lasting"),
    ] {
        let client = net.connect_with(&connect);
        assert_eq!(net.connack(client).reason, ReasonCode::SERVER_UNAVAILABLE);
        assert!(!net.is_open(client));
    }
    let client = net.connect_with(&old("older"));
    assert_eq!(net.connack(client).reason, ReasonCode::SERVER_UNAVAILABLE);
    let passing = net.connect("passing");
    assert_eq!(net.connack(passing).reason, ReasonCode::SUCCESS);
    assert_eq!(
        net.subscribe(passing, "t", QoS::ExactlyOnce),
        [ReasonCode::GRANTED_QOS_2]
    );
    net.publish(passing, "t", "quick", QoS::AtMostOnce);
    assert_eq!(net.texts(passing), ["quick"]);
    assert_eq!(net.texts(connected), ["quick"]);
    let again = net.connect("passing");
    assert_eq!(net.connack(again).reason, ReasonCode::SUCCESS);
    assert_eq!(refused(&net), 4);
    // Whoever starts it again finds what was durable.
    net.restart(2);
    net.agrees_with_the_store();
    let back = net.persistent("lasting");
    assert!(net.connack(back).session_present);
    assert_eq!(net.gauges()[5], 2);
}

/// What was taken and not yet durable when the store failed is never acknowledged, nor anything behind it.
#[test]
fn what_was_on_its_way_is_never_acknowledged() {
    for version in [Version::V311, Version::V5] {
        let mut net = Net::new(1);
        let sub = net.persistent("sub");
        net.subscribe(sub, "t", QoS::ExactlyOnce);
        net.cut(sub);
        let [first, second] = ["first", "second"].map(|name| {
            let client = net.connect_with(&Connect::new(version, name));
            net.ping(client);
            net.seen(client);
            client
        });
        net.ledgers.hold();
        net.publish(first, "t", "one", QoS::AtLeastOnce);
        net.publish(first, "t", "two", QoS::ExactlyOnce);
        net.ledgers.set_room(Room::Failed);
        net.publish(first, "t", "three", QoS::AtLeastOnce);
        net.publish(second, "t", "four", QoS::ExactlyOnce);
        net.advance(10_000);
        for client in [first, second] {
            net.ping(client);
        }
        assert_eq!(net.seen(first), [Seen::PingResp]);
        let told = [Seen::PubRec(1, FAILED), Seen::PingResp];
        let expected = usize::from(!version.is_v5());
        assert_eq!(net.seen(second), told[expected..]);
    }
}

/// A will is published when it is due, whatever room there is: who is connected gets it, nothing is promised, and it is counted.
#[test]
fn a_will_reaches_whoever_is_connected() {
    for room in [Room::Full, Room::Failed] {
        let mut net = Net::new(2);
        let watcher = net.connect("watcher");
        let away = net.persistent("away");
        for client in [watcher, away] {
            net.subscribe(client, "w", QoS::ExactlyOnce);
        }
        net.cut(away);
        let willing = net.connect_with(&Connect {
            will: Some(Will {
                topic: "w",
                payload: b"gone",
                qos: QoS::ExactlyOnce,
                retain: true,
                properties: Properties::EMPTY,
            }),
            ..Connect::new(Version::V5, "willing")
        });
        net.received(watcher);
        net.ledgers.set_room(room);
        net.cut(willing);
        let came = net.received(watcher);
        assert_eq!((came.len(), came[0].qos), (1, QoS::AtMostOnce));
        assert_eq!(came[0].text(), "gone");
        let counters = net.shared.counters();
        assert_eq!((counters.unstored.get(), refused(&net)), (1, 0));
        assert_eq!(net.gauges()[3..5], [0, 0], "queued, retained");
        if room == Room::Full {
            net.agrees_with_the_store();
        }
    }
}

/// Somebody inside the process is told as well, and learns what to wait for when there is room.
#[test]
fn a_publisher_inside_the_process_is_told() {
    let mut net = Net::new(1);
    let sub = net.persistent("sub");
    net.subscribe(sub, "t", QoS::ExactlyOnce);
    let now = net.now;
    let message = |qos, retain| Message::new("t", &[], b"x", qos, retain).into();
    let publish = |net: &mut Net, qos, retain| {
        let published = net.cores[0].publish(&message(qos, retain), now);
        net.run();
        published.map(|promised| promised <= net.cores[0].committed())
    };
    assert_eq!(publish(&mut net, QoS::ExactlyOnce, true), Ok(true));
    net.ledgers.hold();
    assert_eq!(publish(&mut net, QoS::AtLeastOnce, false), Ok(false));
    assert_eq!(publish(&mut net, QoS::AtMostOnce, false), Ok(true));
    for room in [Room::Full, Room::Failed] {
        net.ledgers.set_room(room);
        assert_eq!(publish(&mut net, QoS::AtLeastOnce, false), Err(room));
        assert_eq!(publish(&mut net, QoS::AtMostOnce, true), Err(room));
        assert_eq!(publish(&mut net, QoS::AtMostOnce, false), Ok(true));
    }
    assert_eq!(refused(&net), 4);
}

/// A retained message is taken away while the store is full: that makes room. With QoS 1 it is a message like any other.
#[test]
fn a_retained_message_can_be_taken_away() {
    let mut net = Net::new(1);
    let publisher = net.connect("pub");
    net.retain(publisher, "t", "kept", QoS::AtLeastOnce);
    assert_eq!(net.gauges()[4], 1);
    net.ledgers.set_room(Room::Full);
    net.retain(publisher, "t", "", QoS::AtLeastOnce);
    assert_eq!((net.gauges()[4], refused(&net)), (1, 1));
    net.retain(publisher, "t", "", QoS::AtMostOnce);
    assert_eq!((net.gauges()[4], refused(&net)), (0, 1));
    net.agrees_with_the_store();
}

/// The same client may be told so a thousand times: nothing is left of what was refused.
#[test]
fn refusals_leave_nothing_behind() {
    for version in [Version::V311, Version::V5] {
        let mut net = Net::new(1);
        let publisher = net.connect_with(&Connect {
            properties: Properties::List(match version {
                Version::V5 => &[Property::SessionExpiryInterval(100)],
                _ => &[],
            }),
            clean_start: false,
            ..Connect::new(version, "pub")
        });
        net.ledgers.set_room(Room::Full);
        for number in 0..3_000 {
            let qos = [QoS::AtLeastOnce, QoS::ExactlyOnce][number % 2];
            net.publish(publisher, "t", "x", qos);
        }
        assert!(net.is_open(publisher));
        net.packet(publisher, &Packet::PingReq);
        assert_eq!(net.seen(publisher).last(), Some(&Seen::PingResp));
        assert_eq!(refused(&net), 3_000);
        net.agrees_with_the_store();
    }
}

/// While nothing becomes durable, the end of a session that a crash would bring back is confirmed to nobody, however often its client tries,
/// and whatever it says; one that never outlived a connection is not waited for. CONNACK left at the second try: the session was gone
/// already.
#[test]
fn the_end_of_a_session_is_not_confirmed_before_it_is_durable() {
    let clean = Connect::new(Version::V5, "sub");
    let passing = Connect {
        clean_start: false,
        ..clean
    };
    for (first, cut) in [(clean, true), (passing, true), (passing, false)] {
        let mut net = Net::new(2);
        let sub = net.persistent("sub");
        net.subscribe(sub, "t", QoS::AtLeastOnce);
        net.cut(sub);
        net.ledgers.hold();
        net.ledgers.set_room(Room::Full);
        for connect in [first, clean, clean] {
            let client = net.connect_with(&connect);
            assert_eq!(net.seen(client), []);
            let other = net.connect("other");
            assert_eq!(net.connack(other).reason, ReasonCode::SUCCESS);
            if cut {
                net.cut(client);
            }
        }
        // It would rise again.
        assert_eq!(net.gauges()[5], 0);
        let last = net.connect_with(&clean);
        net.ledgers.release();
        net.run();
        let connack = net.connack(last);
        assert_eq!(
            (connack.reason, connack.session_present),
            (ReasonCode::SUCCESS, false)
        );
        // Nothing is left to wait for.
        net.ledgers.set_room(Room::Full);
        let again = net.connect_with(&clean);
        assert_eq!(net.connack(again).reason, ReasonCode::SUCCESS);
        net.restart(1);
        assert_eq!(net.gauges()[2], 0);
    }
}

/// The same where nothing will become durable any more: the client is refused.
#[test]
fn a_store_that_has_failed_confirms_no_end() {
    let mut net = Net::new(2);
    let sub = net.persistent("sub");
    net.ledgers.set_room(Room::Failed);
    net.packet(
        sub,
        &Packet::Disconnect(Disconnect {
            reason: ReasonCode::NORMAL_DISCONNECTION,
            properties: Properties::List(&[Property::SessionExpiryInterval(0)]),
        }),
    );
    let again = net.connect("sub");
    assert_eq!(net.connack(again).reason, ReasonCode::SERVER_UNAVAILABLE);
    let other = net.connect("other");
    assert_eq!(net.connack(other).reason, ReasonCode::SUCCESS);
    net.restart(1);
    assert_eq!(net.gauges()[2], 1, "it is there again");
}
