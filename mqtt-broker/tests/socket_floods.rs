//! Too much of something: slow, large and many packets are bounded, and nobody else notices.

mod support;

use core::time::Duration;
use std::thread::JoinHandle;
use std::time::Instant;

use mqtt_codec::{Connect, Delivery, Publish, QoS, ReasonCode, Version};
use support::frame::{Encode as _, VERSIONS, at, keeping, packet_id, publish};
use support::healthy::Healthy;
use support::raw::let_pass;
use support::{Broker, Client, not_for_mosquitto};

/// A CONNECT that does not end is given up after its time-out (10 s), however slowly bytes trickle in, and so is silence; meanwhile
/// others connect.
#[test]
fn slow_connect_is_closed_in_time() {
    not_for_mosquitto!("2.0.11 waits for much longer");
    let mut broker = Broker::start();
    let mut healthy = Healthy::start(&broker);
    let since = Instant::now();
    let connect =
        Connect::new(Version::V311, "a client id that takes its time").bytes(Version::V311);
    let mut silent: Vec<Client> = (0..20)
        .map(|_| Client::open(&broker, Version::V311))
        .collect();
    let mut slow: Vec<Client> = (0..20)
        .map(|_| Client::open(&broker, Version::V311))
        .collect();
    for (n, byte) in connect.iter().enumerate().take(connect.len() - 1) {
        for client in &mut slow {
            // Once it is closed there is an error to expect.
            let _ = client.try_send_bytes(&[*byte]);
        }
        healthy.exchange(&mut broker);
        Client::connect(&broker, Version::V5, "quick").disconnect();
        let_pass(Duration::from_millis(if n < 20 { 50 } else { 400 }));
        if since.elapsed() > Duration::from_secs(11) {
            break;
        }
    }
    for client in silent.iter_mut().chain(&mut slow) {
        assert_eq!(client.rest(), b"");
    }
    let elapsed = since.elapsed();
    assert!(
        elapsed > Duration::from_secs(8) && elapsed < Duration::from_secs(16),
        "{elapsed:?}"
    );
    healthy.finish(&mut broker);
}

/// Declared sizes beyond the limit are refused when they are announced, without memory for them.
#[test]
fn oversized_packets_are_refused_when_announced() {
    not_for_mosquitto!("2.0.11 has no limit by default");
    let mut broker = Broker::start();
    let mut healthy = Healthy::start(&broker);
    for first in [0x10, 0x30, 0x82, 0x32, 0xa2, 0xe0, 0xf0] {
        for version in VERSIONS {
            let mut client = Client::open(&broker, version);
            if first != 0x10 {
                client.send(&Connect::new(version, "large"));
                client.receive().conn_ack();
            }
            // 256 MB less one byte is announced.
            client.send_bytes(&[first, 0xff, 0xff, 0xff, 0x7f]);
            let answer = client.rest();
            let refusal: &[u8] = if version.is_v5() && first != 0x10 {
                &[0xe0]
            } else {
                &[]
            };
            assert!(
                answer.starts_with(refusal) && answer.len() < 100,
                "{version} {first:02x}: {answer:02x?}"
            );
        }
        healthy.exchange(&mut broker);
    }
    healthy.finish(&mut broker);
}

/// Half-sent packets of many connections cost at most what has been sent.
#[test]
fn unfinished_packets_cost_only_what_was_sent() {
    let mut broker = Broker::start();
    let mut healthy = Healthy::start(&broker);
    let mut clients: Vec<Client> = (0..200)
        .map(|n| Client::connect(&broker, Version::V311, &format!("half-{n}")))
        .collect();
    for client in &mut clients {
        // 1,000,000 bytes are announced, 1,000 come.
        client.send_bytes(&[0x30, 0xc0, 0x84, 0x3d, 0x00, 0x01, b't']);
        client.send_bytes(&[0; 1000]);
    }
    for _ in 0..20 {
        healthy.exchange(&mut broker);
    }
    healthy.finish(&mut broker);
}

/// Runs `flood` in a thread of its own.
fn flooding(flood: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    std::thread::spawn(flood)
}

/// A flood of SUBSCRIBEs is answered or refused up to a limit on the subscriptions of a client. [MQTT-3.8.4-1]
#[test]
fn flood_of_subscribes_is_bounded() {
    let mut broker = Broker::start();
    let mut healthy = Healthy::start(&broker);
    let mut client = Client::connect(&broker, Version::V5, "greedy");
    let flood = flooding(move || {
        let mut refused = 0;
        for n in 0..300 {
            let filters: Vec<String> = (0..100).map(|m| format!("greedy/{n}/{m}/+")).collect();
            let filters: Vec<_> = filters
                .iter()
                .map(|filter| (filter.as_str(), at(QoS::AtMostOnce)))
                .collect();
            refused += client
                .subscribe(&filters)
                .iter()
                .filter(|code| **code == ReasonCode::QUOTA_EXCEEDED)
                .count();
        }
        if !support::broker::is_mosquitto() {
            assert_eq!(refused, 30_000 - 10_000, "10,000 subscriptions are allowed");
        }
    });
    while !flood.is_finished() {
        healthy.exchange(&mut broker);
    }
    flood.join().expect("the flood is answered");
    healthy.finish(&mut broker);
}

/// Connections that come and go, each with a session and a subscription, leave nothing behind.
#[test]
fn flood_of_connections_leaves_nothing_behind() {
    let mut broker = Broker::start();
    let mut healthy = Healthy::start(&broker);
    let address = broker.address();
    let flood = flooding(move || {
        for n in 0..1500 {
            let mut client = Client::open_at(address, Version::V311);
            client.send(&Connect::new(Version::V311, &format!("flood-{}", n % 700)));
            client.receive().conn_ack();
            if n % 2 == 0 {
                client.subscribe(&[(&format!("flood/{n}/#"), at(QoS::AtLeastOnce))]);
            }
        }
    });
    while !flood.is_finished() {
        healthy.exchange(&mut broker);
    }
    flood.join().expect("every connection is served");
    healthy.finish(&mut broker);
}

/// A subscriber that does not read costs no more than its limit: QoS 0 to it is dropped, and its publisher goes on.
#[test]
fn reader_that_does_not_read_is_bounded() {
    not_for_mosquitto!("2.0.11 queues without a limit here");
    let mut broker = Broker::start();
    let mut healthy = Healthy::start(&broker);
    let mut deaf = Client::subscribed(&broker, Version::V311, "deaf", "loud", QoS::AtMostOnce);
    let mut publisher = Client::connect(&broker, Version::V311, "loud");
    let payload = "x".repeat(10_000);
    let flood = flooding(move || {
        // 200 MB; the last message is acknowledged, so all were read.
        for _ in 0..20_000 {
            publisher.publish("loud", &payload, QoS::AtMostOnce);
        }
        publisher.publish("quiet", "", QoS::AtLeastOnce);
    });
    while !flood.is_finished() {
        healthy.exchange(&mut broker);
    }
    flood.join().expect("the publisher is not held up");
    // It still gets what fits, and is not disconnected.
    assert_eq!(deaf.receive().publish().payload.len(), 10_000);
    healthy.finish(&mut broker);
}

/// A queue of an absent client holds no more than its limit: 10,000 messages and 10 MB.
#[test]
fn offline_queue_is_bounded() {
    not_for_mosquitto!("its limit is lifted for the other tests");
    let mut broker = Broker::start();
    let mut healthy = Healthy::start(&broker);
    let (mut client, _) = Client::connect_with(&broker, &keeping(Version::V5, "away"));
    client.subscribe(&[("q", at(QoS::AtLeastOnce))]);
    client.disconnect();
    let mut publisher = Client::connect(&broker, Version::V311, "p");
    let payload = "x".repeat(100_000);
    for _ in 0..400 {
        publisher.publish("q", &payload, QoS::AtLeastOnce);
    }
    healthy.exchange(&mut broker);
    let (mut client, _) = Client::connect_with(&broker, &keeping(Version::V5, "away"));
    publisher.publish("q", "end", QoS::AtLeastOnce);
    let kept = client.take_up_to_end().len();
    assert!(
        (90..=105).contains(&kept),
        "{kept} messages of 100 kB in a queue of 10 MB"
    );
    healthy.finish(&mut broker);
}

/// A subscriber that reads and never acknowledges costs no more than its queue, and its publisher goes on. [MQTT-4.9.0-2]
#[test]
fn reader_that_never_acknowledges_is_bounded() {
    not_for_mosquitto!("its limit is lifted for the other tests");
    let mut broker = Broker::start();
    let mut healthy = Healthy::start(&broker);
    let mut mute = Client::subscribed(&broker, Version::V5, "mute", "q", QoS::AtLeastOnce);
    let mut publisher = Client::connect(&broker, Version::V311, "p");
    let payload = "x".repeat(100_000);
    for round in 0..400 {
        publisher.publish("q", &payload, QoS::AtLeastOnce);
        if round % 20 == 0 {
            mute.ping();
            while mute.waiting().is_some() {}
            healthy.exchange(&mut broker);
        }
    }
    healthy.finish(&mut broker);
}

/// QoS 2 messages whose PUBREL never comes fill a window, not the memory: 5.0 is told 0x93 beyond its Receive Maximum; before, the
/// broker may stop reading or close the connection. [MQTT-3.3.4-7]
#[test]
fn publisher_that_never_releases_is_bounded() {
    let mut broker = Broker::start();
    let mut healthy = Healthy::start(&broker);
    for version in VERSIONS {
        let mut client = Client::connect(&broker, version, "hoarder");
        client.set_write_patience(Duration::from_secs(2));
        let flood = flooding(move || {
            let payload = "x".repeat(10_000);
            for id in 1..=20_000 {
                let delivery = Delivery::ExactlyOnce(packet_id(id));
                let packet = Publish {
                    delivery,
                    ..publish("hoard", &payload)
                };
                // Sooner or later there is nobody who reads.
                if client.try_send_bytes(&packet.bytes(version)).is_err() {
                    return;
                }
            }
        });
        while !flood.is_finished() {
            healthy.exchange(&mut broker);
        }
        flood.join().expect("a flood ends");
        healthy.exchange(&mut broker);
    }
    healthy.finish(&mut broker);
}

/// Two clients that take each other's id over and over leave one of them connected, and nothing behind. [MQTT-3.1.4-3]
#[test]
fn takeover_storm_leaves_one_connection() {
    let mut broker = Broker::start();
    let mut healthy = Healthy::start(&broker);
    let address = broker.address();
    let (mut first, _) = Client::connect_with(&broker, &keeping(Version::V5, "contested"));
    first.subscribe(&[("contested", at(QoS::AtLeastOnce))]);
    first.disconnect();
    let storms: Vec<_> = (0..4)
        .map(|_| {
            flooding(move || {
                for _ in 0..100 {
                    let mut client = Client::open_at(address, Version::V5);
                    client.send(&keeping(Version::V5, "contested"));
                    // Another one may be faster than CONNACK.
                    client.receive_or_end();
                }
            })
        })
        .collect();
    while !storms.iter().all(JoinHandle::is_finished) {
        healthy.exchange(&mut broker);
    }
    for storm in storms {
        storm
            .join()
            .expect("every connection is answered or closed");
    }
    let (mut last, answer) = Client::connect_with(&broker, &keeping(Version::V5, "contested"));
    assert!(answer.conn_ack().session_present);
    last.expect_silence();
    healthy.finish(&mut broker);
}

/// Retained messages are kept up to their limit; more are delivered and not kept.
#[test]
fn retained_messages_are_bounded() {
    not_for_mosquitto!("the configuration is ours");
    let mut broker = Broker::configured("[limits]\nretained_messages = 100\n", "");
    let mut healthy = Healthy::start(&broker);
    let mut subscriber = Client::subscribed(&broker, Version::V5, "s", "kept/#", QoS::AtLeastOnce);
    let mut publisher = Client::connect(&broker, Version::V311, "p");
    for n in 0..200 {
        let topic = format!("kept/{n}");
        let packet = Publish {
            retain: true,
            ..publish(&topic, "m")
        };
        publisher.publish_packet(&packet, QoS::AtLeastOnce);
        assert_eq!(subscriber.take_text(), format!("kept/{n}|1|0|m"));
    }
    let mut late = Client::subscribed(&broker, Version::V5, "late", "kept/#", QoS::AtMostOnce);
    late.ping();
    let kept = core::iter::from_fn(|| late.waiting()).count();
    // Those under $SYS are counted too.
    assert!((40..=100).contains(&kept), "{kept} are kept");
    healthy.exchange(&mut broker);
    healthy.finish(&mut broker);
}
