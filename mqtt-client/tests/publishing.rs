//! What a publisher is told, and when.

use core::time::Duration;

use futures::FutureExt as _;
use mqtt_client::{Client, Message, PublishError, QoS, ReasonCode, Version, WhenFull};

mod support;
use support::scripted::{Seen, options};

fn message(payload: &'static str, qos: QoS) -> Message {
    Message::new("t", payload).qos(qos)
}

/// `publish` at QoS 1 returns with PUBACK and its reason, not before [MQTT-4.3.2-1].
#[tokio::test(start_paused = true)]
async fn qos_1_returns_with_puback() {
    let (options, mut listener) = options();
    let client = Client::start(options).unwrap();
    let (mut peer, _) = listener.accept(None).await;
    let mut delivery = client.try_publish(message("a", QoS::AtLeastOnce)).unwrap();
    let (_, payload, _, id) = peer.publish_seen().await;
    assert_eq!(payload, b"a");
    assert!((&mut delivery).now_or_never().is_none());
    assert_eq!(client.waiting(), 1);
    peer.settle(id.unwrap(), ReasonCode::NO_MATCHING_SUBSCRIBERS)
        .await;
    assert_eq!(
        delivery.await.unwrap().reason,
        ReasonCode::NO_MATCHING_SUBSCRIBERS
    );
    assert_eq!(client.waiting(), 0);
}

/// `publish` at QoS 2 returns with PUBCOMP and tells the reason of PUBREC [MQTT-4.3.3-1].
#[tokio::test(start_paused = true)]
async fn qos_2_returns_with_pubcomp() {
    for version in [Version::V31, Version::V311, Version::V5] {
        let (options, mut listener) = options();
        let client = Client::start(options.version(version)).unwrap();
        let (mut peer, asked) = listener.accept(None).await;
        assert_eq!(asked.version, version);
        let delivery = client.try_publish(message("a", QoS::ExactlyOnce)).unwrap();
        assert_eq!(peer.take().await, ("t".into(), b"a".to_vec()));
        // The client answers PUBREC with PUBREL, which the server session answers while it reads on.
        let ack =
            tokio::select! { ack = delivery => ack, seen = peer.next() => panic!("{seen:?}") };
        assert_eq!(ack.unwrap().reason, ReasonCode::SUCCESS);
        assert_eq!(client.waiting(), 0);
    }
}

/// At QoS 0 `publish` returns when the transport has the bytes.
#[tokio::test(start_paused = true)]
async fn qos_0_returns_when_written() {
    let (options, mut listener) = options();
    let client = Client::start(options).unwrap();
    let mut waiting = client.try_publish(message("a", QoS::AtMostOnce)).unwrap();
    let peer = listener.open().await;
    assert!(
        (&mut waiting).now_or_never().is_none(),
        "there is no connection yet"
    );
    drop(peer);
    let (mut peer, _) = listener.accept(None).await;
    assert!(waiting.await.is_ok());
    assert_eq!(peer.take().await.1, b"a");
}

/// Long and binary payloads arrive as they are, in the order in which they were queued.
#[tokio::test(start_paused = true)]
async fn payloads_arrive_unaltered_and_in_order() {
    let (options, mut listener) = options();
    let client = Client::start(options).unwrap();
    let (mut peer, _) = listener.accept(None).await;
    let long: Vec<u8> = (0..300_000_u32).map(|n| (n % 251) as u8).collect();
    let payloads = [vec![], vec![0, 255, 10, 13], long, b"end".to_vec()];
    for payload in &payloads {
        drop(
            client
                .try_publish(Message::new("t", payload.clone()).qos(QoS::AtLeastOnce))
                .unwrap(),
        );
    }
    for payload in payloads {
        assert_eq!(peer.take().await.1, payload);
    }
}

/// A refusal is an error with its reason [MQTT-4.4.0-2]; what the server does not support is not sent at all [MQTT-3.2.2-11].
#[tokio::test(start_paused = true)]
async fn refusals_are_told() {
    let (options, mut listener) = options();
    let client = Client::start(options).unwrap();
    let (mut peer, _) = listener
        .accept_with(None, |limits| limits.maximum_qos = QoS::AtLeastOnce)
        .await;
    let delivery = client.try_publish(message("a", QoS::AtLeastOnce)).unwrap();
    let (.., id) = peer.publish_seen().await;
    peer.settle(id.unwrap(), ReasonCode::NOT_AUTHORIZED).await;
    assert!(matches!(
        delivery.await,
        Err(PublishError::Refused(ReasonCode::NOT_AUTHORIZED))
    ));
    let result = client.publish(message("a", QoS::ExactlyOnce)).await;
    assert!(matches!(
        result,
        Err(PublishError::Refused(ReasonCode::QOS_NOT_SUPPORTED))
    ));
    let invalid = client.publish(Message::new("a/#", "")).await;
    assert!(matches!(invalid, Err(PublishError::Topic(_))));
}

/// A full window holds messages back and no caller up: the queue takes them, and they leave as PUBACKs come [MQTT-4.9.0-2].
#[tokio::test(start_paused = true)]
async fn publishing_from_the_reading_task_with_a_full_window_goes_on() {
    let (options, mut listener) = options();
    let client = Client::start(options).unwrap();
    let (mut peer, _) = listener
        .accept_with(None, |limits| limits.receive_maximum = 1)
        .await;
    let subscribing = tokio::spawn({
        let client = client.clone();
        async move { client.subscribe("in").await.unwrap() }
    });
    peer.grant().await;
    let mut stream = subscribing.await.unwrap();
    let worker = tokio::spawn(async move {
        let mut deliveries = Vec::new();
        for _ in 0..3 {
            let received = stream.recv().await.unwrap();
            let answer = Message::new("out", received.payload().clone()).qos(QoS::AtLeastOnce);
            deliveries.push(client.enqueue(answer).await.unwrap());
        }
        for delivery in deliveries {
            delivery.await.unwrap();
        }
        stream
    });
    for payload in [b"1", b"2", b"3"] {
        peer.send("in", QoS::AtLeastOnce, payload).await;
    }
    peer.until_ended(3).await;
    for payload in [b"1", b"2", b"3"] {
        assert_eq!(peer.take().await, ("out".into(), payload.to_vec()));
    }
    let done = tokio::select! { done = worker => done, seen = peer.next() => panic!("{seen:?}") };
    done.unwrap();
}

/// The queue is bounded in messages and in bytes: `try_publish` refuses, `publish` waits and goes on when there is room.
#[tokio::test(start_paused = true)]
async fn a_full_queue_refuses_or_waits() {
    let (options, mut listener) = options();
    let client = Client::start(options.queue(2, 100)).unwrap();
    let first = client.try_publish(message("a", QoS::AtLeastOnce)).unwrap();
    let second = client.try_publish(message("b", QoS::AtLeastOnce)).unwrap();
    let refused = client.try_publish(message("c", QoS::AtLeastOnce));
    assert!(matches!(refused, Err(PublishError::QueueFull)));
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.publish(message("c", QoS::AtLeastOnce)).await }
    });
    let (mut peer, _) = listener.accept(None).await;
    for payload in [b"a", b"b", b"c"] {
        assert_eq!(peer.take().await.1, payload);
    }
    first.await.unwrap();
    second.await.unwrap();
    waiting.await.unwrap().unwrap();
    // One message above the limit in bytes is taken alone.
    let large = client
        .try_publish(Message::new("t", vec![0; 1_000]))
        .unwrap();
    assert!(matches!(
        client.try_publish(message("d", QoS::AtMostOnce)),
        Err(PublishError::QueueFull)
    ));
    assert_eq!(peer.take().await.1.len(), 1_000);
    large.await.unwrap();
}

/// With `DropOldest` the newest readings are kept, and whoever published an old one is told.
#[tokio::test(start_paused = true)]
async fn a_full_queue_may_drop_its_oldest_message() {
    let (options, mut listener) = options();
    let client = Client::start(options.queue(2, 1_000).when_full(WhenFull::DropOldest)).unwrap();
    let deliveries = ["a", "b", "c", "d"].map(|payload| {
        client
            .try_publish(message(payload, QoS::AtLeastOnce))
            .unwrap()
    });
    let [a, b, ..] = deliveries;
    assert!(matches!(a.await, Err(PublishError::Dropped)));
    assert!(matches!(b.await, Err(PublishError::Dropped)));
    let (mut peer, _) = listener.accept(None).await;
    assert_eq!(peer.take().await.1, b"c");
    assert_eq!(peer.take().await.1, b"d");
}

/// A message that waits longer than its expiry is not sent, and what has waited is taken off the interval [MQTT-3.3.2-5], [MQTT-3.3.2-6].
#[tokio::test(start_paused = true)]
async fn a_message_expires_while_there_is_no_connection() {
    let (options, mut listener) = options();
    let client = Client::start(options).unwrap();
    let short = message("short", QoS::AtLeastOnce).expires_after(Duration::from_secs(5));
    let long = message("long", QoS::AtLeastOnce).expires_after(Duration::from_secs(100));
    let short = client.try_publish(short).unwrap();
    drop(client.try_publish(long).unwrap());
    tokio::time::advance(Duration::from_secs(6)).await;
    let (mut peer, _) = listener.accept(None).await;
    let Seen::Publish {
        payload, expiry, ..
    } = peer.next().await
    else {
        panic!("a PUBLISH");
    };
    assert_eq!((payload, expiry), (b"long".to_vec(), Some(94)));
    assert!(matches!(short.await, Err(PublishError::Expired)));
}

/// A publisher that stops waiting does not take its message back.
#[tokio::test(start_paused = true)]
async fn a_dropped_publish_is_sent_all_the_same() {
    let (options, mut listener) = options();
    let client = Client::start(options).unwrap();
    assert!(
        client
            .publish(message("a", QoS::AtLeastOnce))
            .now_or_never()
            .is_none()
    );
    let (mut peer, _) = listener.accept(None).await;
    assert_eq!(peer.take().await.1, b"a");
}

/// A message that is larger than the server takes is not sent [MQTT-3.1.2-24].
#[tokio::test(start_paused = true)]
async fn a_message_that_the_server_does_not_take_is_told() {
    let (options, mut listener) = options();
    let client = Client::start(options).unwrap();
    let (mut peer, _) = listener
        .accept_with(None, |limits| limits.maximum_packet_size = 50)
        .await;
    let large = client
        .try_publish(Message::new("t", vec![0; 60]).qos(QoS::AtLeastOnce))
        .unwrap();
    let small = client.try_publish(message("b", QoS::AtLeastOnce)).unwrap();
    assert_eq!(peer.take().await.1, b"b");
    assert!(matches!(large.await, Err(PublishError::TooLarge)));
    small.await.unwrap();
}
