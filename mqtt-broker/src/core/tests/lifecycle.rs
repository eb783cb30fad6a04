//! A connection's life: handshake, keep-alive, hand-over, shutdown, and what is left of it in the end.

use mqtt_codec::{Connect, Packet, Properties, Property, QoS, ReasonCode, Version};

use super::client::Seen;
use super::net::{Net, Setup, connect_bytes, resume};
use crate::core::{AllowAll, ConnId, Peer, Received};

/// An empty client id is replaced by one that is new, at home where the connection is, and told to 5.0 clients [MQTT-3.1.3-6],
/// [MQTT-3.1.3-7], [MQTT-3.2.2-16], [3.1.1:MQTT-3.1.3-6], [3.1.1:MQTT-3.1.3-8].
#[test]
fn an_empty_client_id_is_replaced() {
    let mut net = Net::new(4);
    let mut ids = std::collections::BTreeSet::new();
    for _ in 0..100 {
        let client = net.connect("");
        let worker = net.place(client).0;
        let id = net.connack(client).assigned_id.unwrap();
        assert_eq!(usize::from(net.shared.home(&id)), worker);
        assert!(ids.insert(id));
    }
    let old = [(); 2].map(|()| net.connect_with(&Connect::new(Version::V311, "")));
    for client in old {
        assert_eq!(net.connack(client).reason, ReasonCode::SUCCESS);
        assert!(net.is_open(client), "each has an id of its own");
    }
    for (version, clean_start) in [(Version::V311, false), (Version::V31, true)] {
        let refused = net.connect_with(&Connect {
            clean_start,
            ..Connect::new(version, "")
        });
        assert_eq!(
            net.connack(refused).reason,
            ReasonCode::CLIENT_IDENTIFIER_NOT_VALID
        );
    }
    let named = net.connect("named");
    assert_eq!(net.connack(named).assigned_id, None);
}

/// What the server announces, and what only on request [MQTT-3.1.2-28].
#[test]
fn connack_announces_the_limits() {
    let mut net = Net::new(1);
    let plain = net.connect("plain");
    let connected = net.connack(plain);
    assert_eq!(connected.receive_maximum, Some(1_000));
    assert_eq!(connected.maximum_packet_size, Some(1_000_000));
    assert_eq!(connected.alias_maximum, Some(64));
    assert_eq!(
        (connected.response_information, connected.keep_alive),
        (None, None)
    );
    let asking = net.connect_with(&Connect {
        properties: Properties::List(&[Property::RequestResponseInformation(true)]),
        ..Connect::new(Version::V5, "asking")
    });
    let told = net.connack(asking).response_information;
    assert_eq!(told.as_deref(), Some("response/asking"));
}

/// Silence for one and a half times the keep-alive ends a connection, with a reason where the version has one; a ping or a part of a
/// packet is a sign of life; 0 switches it off [MQTT-3.1.2-22], [3.1.1:MQTT-3.1.2-24].
#[test]
fn keep_alive_is_one_and_a_half_times_as_long() {
    for version in [Version::V31, Version::V311, Version::V5] {
        let mut net = Net::new(1);
        let client = net.connect_with(&Connect {
            keep_alive: 10,
            ..Connect::new(version, "c")
        });
        let forever = net.connect_with(&Connect {
            keep_alive: 0,
            ..Connect::new(version, "forever")
        });
        for _ in 0..5 {
            net.advance(14_999);
            net.ping(client);
        }
        net.advance(14_000);
        // The first byte of a PUBLISH.
        net.send(client, &[0x30]);
        net.advance(14_999);
        assert!(net.is_open(client));
        net.seen(client);
        net.advance(1);
        let mut expected = vec![Seen::Closed];
        if version == Version::V5 {
            expected.insert(0, Seen::Disconnect(ReasonCode::KEEP_ALIVE_TIMEOUT));
        }
        assert_eq!(net.seen(client), expected);
        net.advance(10_000_000);
        assert!(net.is_open(forever));
    }
}

/// The operator's longest keep-alive is told to clients of 5.0 and held; others, who cannot be told, are taken at their own word: they were
/// cut off for it [MQTT-3.1.2-21], [MQTT-3.2.2-21], [MQTT-3.2.2-22].
#[test]
fn the_server_may_shorten_the_keep_alive() {
    for (version, asked, told, closes_after) in [
        (Version::V5, 100, Some(20), 30_000),
        (Version::V5, 0, Some(20), 30_000),
        (Version::V5, 10, None, 15_000),
        (Version::V311, 100, None, 150_000),
    ] {
        let mut net = Net::set(|settings| settings.keep_alive_maximum = 20);
        let client = net.connect_with(&Connect {
            keep_alive: asked,
            ..Connect::new(version, "c")
        });
        assert_eq!(net.connack(client).keep_alive, told);
        net.advance(closes_after - 1);
        assert!(net.is_open(client), "{version:?}, {asked}");
        net.advance(1);
        assert!(!net.is_open(client), "{version:?}, {asked}");
    }
}

/// CONNECT must come within ten seconds, and be the first packet [MQTT-3.1.0-1], [3.1.1:MQTT-3.1.0-1].
#[test]
fn connect_must_come_in_time() {
    for version in [Version::V311, Version::V5] {
        let mut net = Net::new(2);
        let silent = net.open(version);
        let slow = net.open(version);
        let wrong = net.open(version);
        net.packet(wrong, &Packet::PingReq);
        assert_eq!(net.seen(wrong), [Seen::Closed]);
        for byte in connect_bytes(&Connect::new(version, "slow")).iter().take(8) {
            net.advance(1_200);
            net.send(slow, &[*byte]);
        }
        net.advance(500);
        assert_eq!(
            (net.seen(silent), net.seen(slow)),
            (vec![Seen::Closed], vec![Seen::Closed])
        );
        assert_eq!(net.gauges(), [0; 7]);
    }
}

/// Bytes may come in any pieces, a connection may be handed over in the middle of a stream, and the result is the same
/// [MQTT-4.2-1].
#[test]
fn pieces_make_no_difference() {
    let transcript = |chunk: Option<usize>, workers: u16| {
        let mut net = Net::with(
            Setup {
                workers,
                ..Setup::default()
            },
            AllowAll,
        );
        net.chunk = chunk;
        let client = net.open(Version::V5);
        let mut bytes = connect_bytes(&resume("c"));
        for qos in [QoS::ExactlyOnce, QoS::AtLeastOnce, QoS::AtMostOnce] {
            bytes.extend(net.publish_bytes(client, "t", b"before", qos, true, &[]));
        }
        net.send(client, &bytes);
        net.subscribe(client, "t", QoS::ExactlyOnce);
        net.publish(client, "t", "after", QoS::ExactlyOnce);
        net.disconnect(client, ReasonCode::SUCCESS);
        assert!(!net.is_open(client));
        net.seen(client)
    };
    let whole = transcript(None, 1);
    assert_eq!(whole.len(), 11, "{whole:?}");
    for chunk in [1, 2, 3, 7, 50] {
        for workers in [1, 3] {
            assert_eq!(
                transcript(Some(chunk), workers),
                whole,
                "{chunk} bytes, {workers} workers"
            );
        }
    }
}

/// The clients of 5.0 are told that the broker shuts down, others are just closed; nobody new is let in, and sessions are kept
/// [MQTT-3.14.0-1].
#[test]
fn shutdown_tells_the_clients() {
    let mut net = Net::new(1);
    let new = net.persistent("new");
    let old = net.connect_with(&Connect::new(Version::V311, "old"));
    let young = net.open(Version::V5);
    net.seen(new);
    net.seen(old);
    let now = net.now;
    net.cores[0].shutdown(now);
    net.run();
    assert_eq!(
        net.seen(new),
        [
            Seen::Disconnect(ReasonCode::SERVER_SHUTTING_DOWN),
            Seen::Closed
        ]
    );
    assert_eq!(
        (net.seen(old), net.seen(young)),
        (vec![Seen::Closed], vec![Seen::Closed])
    );
    let late = net.open(Version::V5);
    assert!(!net.is_open(late));
    assert_eq!(net.gauges(), [0, 0, 1, 0, 0, 0, 0]);
}

/// A key from an earlier connection never reaches a later one in the same slot.
#[test]
fn stale_keys_reach_nobody() {
    let mut net = Net::new(1);
    let first = net.connect("first");
    let (worker, stale) = net.place(first);
    net.cut(first);
    let second = net.connect("second");
    let (_, fresh) = net.place(second);
    assert_eq!(stale.slot, fresh.slot);
    assert_ne!(stale.generation, fresh.generation);
    let now = net.now;
    let core = &mut net.cores[worker];
    assert_eq!(core.receive(stale, &[0xC0, 0], now), Received::Closing);
    core.closed(stale, now);
    core.written(stale, 10);
    let polled = core.poll(stale, now);
    assert!(!polled.close && !polled.resume);
    assert!(core.output(stale).is_none() && core.client_id(stale).is_none());
    assert_eq!(core.client_id(fresh), Some("second"));
    let never = ConnId {
        slot: 99,
        generation: 0,
    };
    assert_eq!(core.receive(never, &[], now), Received::Closing);
    net.run();
    assert!(net.is_open(second));
}

/// A message that another worker sends to a session that has ended meanwhile does not reach the session that now has its slot.
#[test]
fn a_late_delivery_reaches_no_other_session() {
    let mut net = Net::new(2);
    let name = |net: &Net, worker, from: usize| {
        (from..)
            .map(|number| format!("c{number}"))
            .find(|name| net.shared.home(name) == worker)
            .unwrap()
    };
    let (here, there) = (name(&net, 0, 0), name(&net, 1, 0));
    let next = name(&net, 1, 1_000);
    let sub = net.connect(&there);
    net.subscribe(sub, "t", QoS::AtLeastOnce);
    let publisher = net.connect(&here);
    let bytes = net.publish_bytes(publisher, "t", b"late", QoS::AtLeastOnce, false, &[]);
    let (worker, conn) = net.place(publisher);
    let now = net.now;
    let _ = net.cores[worker].receive(conn, &bytes, now);
    let (worker, conn) = net.place(sub);
    net.cores[worker].closed(conn, now);
    // Opened at that worker directly, so that no round passes.
    let conn = net.cores[worker].open(Peer::default(), now).unwrap();
    let _ = net.cores[worker].receive(conn, &connect_bytes(&Connect::new(Version::V5, &next)), now);
    assert_eq!(net.cores[worker].sessions.len(), 1);
    net.run();
    net.cores[worker].closed(conn, now);
    net.cut(publisher);
    assert_eq!(net.gauges(), [0; 7]);
    assert!(net.ledgers.lock().queues.is_empty());
}

/// After a busy life nothing is left: no session, subscription, message or gauge, and no table that grew.
#[test]
fn everything_is_given_back() {
    let mut net = Net::new(3);
    let clients: Vec<usize> = (0..30)
        .map(|number| {
            let client = net.connect(&format!("c{number}"));
            net.subscribe(client, &format!("t/{}", number % 3), QoS::ExactlyOnce);
            net.subscribe(client, "$share/g/t/+", QoS::ExactlyOnce);
            net.subscribe(client, "t/#", QoS::AtLeastOnce);
            client
        })
        .collect();
    for round in 0..20 {
        for client in &clients {
            let qos = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce][round % 3];
            net.retain(*client, &format!("t/{}", round % 5), "x", qos);
        }
    }
    assert_eq!(net.gauges()[3], 0, "all is acknowledged");
    for topic in 0..5 {
        net.retain(clients[0], &format!("t/{topic}"), "", QoS::AtLeastOnce);
    }
    for client in clients {
        net.disconnect(client, ReasonCode::SUCCESS);
    }
    net.advance(200_000);
    assert_eq!(net.gauges(), [0; 7]);
    for core in &net.cores {
        assert!(core.by_client.is_empty() && core.timers.is_empty() && core.withheld.is_empty());
        assert!(core.ended.is_empty() && core.touched.is_empty());
    }
    assert!(net.shared.subscriptions().is_empty() && net.shared.retained().is_empty());
    let ledger = net.ledgers.lock();
    assert!(ledger.sessions.is_empty() && ledger.groups.is_empty() && ledger.queues.is_empty());
}

/// A flood of one connection is worked off a round at a time, and others are served between.
#[test]
fn a_round_writes_a_bounded_part() {
    let mut net = Net::new(1);
    let publisher = net.connect("pub");
    for number in 0..500 {
        net.retain(
            publisher,
            &format!("r/{number}"),
            &"x".repeat(2_000),
            QoS::AtMostOnce,
        );
    }
    let greedy = net.connect("greedy");
    let modest = net.connect("modest");
    net.set_deaf(greedy, true);
    net.subscribe(greedy, "#", QoS::AtMostOnce);
    let (worker, conn) = net.place(greedy);
    let len = net.cores[worker].output(conn).unwrap().len();
    assert!((60_000..70_000).contains(&len), "{len}");
    net.seen(modest);
    net.ping(modest);
    assert_eq!(net.seen(modest), [Seen::PingResp]);
    net.set_deaf(greedy, false);
    assert_eq!(net.received(greedy).len(), 500);
}
