//! Subscriptions: every stream gets its own messages, and only a stream that is not read loses any.
#![expect(clippy::unwrap_used, reason = "a test that fails says where")]

use core::time::Duration;

use futures::{FutureExt as _, StreamExt as _};
use mqtt_client::{
    Acknowledge, Client, QoS, ReasonCode, SubscribeError, SubscribeOptions, Subscription, Version,
};
use mqtt_session::Outcome;

mod support;
use support::scripted::{Listener, Peer, Seen, options};

async fn connected(version: Version) -> (Client, Peer, Listener) {
    let (options, mut listener) = options();
    let client = Client::start(options.version(version)).unwrap();
    let (peer, _) = listener.accept(None).await;
    (client, peer, listener)
}

async fn subscribe(
    client: &Client,
    peer: &mut Peer,
    options: impl Into<SubscribeOptions>,
) -> Subscription {
    let subscribing = client.subscribe(options);
    tokio::pin!(subscribing);
    loop {
        tokio::select! {
            biased;
            stream = &mut subscribing => return stream.unwrap(),
            _ = peer.grant() => {}
        }
    }
}

async fn payload(stream: &mut Subscription) -> Vec<u8> {
    stream.recv().await.unwrap().payload().to_vec()
}

/// A message goes to each stream whose filters match, once, by Subscription Identifier or by topic [MQTT-3.3.4-3].
#[tokio::test(start_paused = true)]
async fn every_stream_gets_its_own_messages() {
    for version in [Version::V311, Version::V5] {
        let (client, mut peer, _listener) = connected(version).await;
        let mut all = subscribe(
            &client,
            &mut peer,
            SubscribeOptions::new("a/#").filter("+/1"),
        )
        .await;
        let mut one = subscribe(&client, &mut peer, "a/1").await;
        peer.send("a/1", QoS::AtLeastOnce, b"both").await;
        peer.send("a/2", QoS::AtMostOnce, b"all").await;
        peer.send("a/1", QoS::ExactlyOnce, b"again").await;
        for expected in [&b"both"[..], b"all", b"again"] {
            assert_eq!(payload(&mut all).await, expected);
        }
        for expected in [&b"both"[..], b"again"] {
            assert_eq!(payload(&mut one).await, expected);
        }
        assert!(all.next().now_or_never().is_none() && one.next().now_or_never().is_none());
    }
}

/// A server that sends a copy for each subscription tells them apart by Subscription Identifier [MQTT-3.3.4-4]; an identifier of an
/// earlier run that does not fit the topic is ignored.
#[tokio::test(start_paused = true)]
async fn copies_are_told_apart_by_identifier() {
    let (client, mut peer, _listener) = connected(Version::V5).await;
    let mut all = subscribe(&client, &mut peer, "a/#").await;
    let mut one = subscribe(&client, &mut peer, "a/1").await;
    peer.send_with("a/1", QoS::AtMostOnce, b"x", &[1]).await;
    peer.send_with("a/1", QoS::AtMostOnce, b"y", &[2]).await;
    peer.send_with("a/9", QoS::AtMostOnce, b"z", &[2]).await;
    assert_eq!(
        [payload(&mut all).await, payload(&mut all).await],
        [b"x", b"z"]
    );
    assert_eq!(payload(&mut one).await, b"y");
}

/// A stream that is not read loses its oldest messages and counts them; the others get all of theirs.
#[tokio::test(start_paused = true)]
async fn a_slow_stream_harms_only_itself() {
    let (client, mut peer, _listener) = connected(Version::V5).await;
    let mut slow = subscribe(
        &client,
        &mut peer,
        SubscribeOptions::new("slow").capacity(2),
    )
    .await;
    let mut quick = subscribe(&client, &mut peer, "quick").await;
    for n in 0..5_u8 {
        peer.send("slow", QoS::AtLeastOnce, &[n]).await;
    }
    peer.send("quick", QoS::AtLeastOnce, b"q").await;
    assert_eq!(payload(&mut quick).await, b"q");
    peer.until_ended(6).await;
    assert_eq!((slow.waiting(), slow.missed()), (2, 3));
    assert_eq!(
        [payload(&mut slow).await, payload(&mut slow).await],
        [[3], [4]]
    );
}

/// With `WhenTaken` a message is acknowledged when it was taken, and none is lost.
#[tokio::test(start_paused = true)]
async fn acknowledgements_can_wait_for_the_reader() {
    let (client, mut peer, _listener) = connected(Version::V5).await;
    let options = SubscribeOptions::new("t")
        .capacity(1)
        .acknowledge(Acknowledge::WhenTaken);
    let mut stream = subscribe(&client, &mut peer, options).await;
    for n in 0..3_u8 {
        peer.send("t", QoS::AtLeastOnce, &[n]).await;
    }
    // A request behind the messages shows that they were handled, and not acknowledged.
    let mut other = subscribe(&client, &mut peer, "other").await;
    assert_eq!((stream.waiting(), peer.messages.ended.len()), (3, 0));
    for n in 0..3_u8 {
        assert_eq!(payload(&mut stream).await, [n]);
        peer.until_ended(usize::from(n) + 1).await;
    }
    assert_eq!(
        peer.messages.ended[0],
        (0, Outcome::Acknowledged(ReasonCode::SUCCESS))
    );
    assert_eq!(stream.missed(), 0);
    // Dropping the stream settles what it had not taken.
    peer.send("t", QoS::AtLeastOnce, b"left").await;
    peer.send("other", QoS::AtLeastOnce, b"o").await;
    assert_eq!(payload(&mut other).await, b"o");
    drop(stream);
    assert_eq!(peer.release().await, ["t"]);
    peer.until_ended(5).await;
}

/// A QoS 2 message that the server repeats is delivered once [MQTT-4.3.3-10].
#[tokio::test(start_paused = true)]
async fn a_repeated_qos_2_message_is_delivered_once() {
    let (client, mut peer, mut listener) = connected(Version::V5).await;
    let mut stream = subscribe(&client, &mut peer, "t").await;
    peer.send("t", QoS::ExactlyOnce, b"once").await;
    assert_eq!(payload(&mut stream).await, b"once");
    // The server has not seen PUBREC, and sends the message again.
    let (mut peer, _) = listener.accept(Some(peer.cut())).await;
    peer.until_ended(1).await;
    peer.send("t", QoS::ExactlyOnce, b"next").await;
    peer.until_ended(2).await;
    assert_eq!(payload(&mut stream).await, b"next");
}

/// Refusals: all of them are an error, some of them are told by `granted` [MQTT-3.8.4-6].
#[tokio::test(start_paused = true)]
async fn refused_filters_are_told() {
    let (client, mut peer, _listener) = connected(Version::V5).await;
    let (result, _) = tokio::join!(
        client.subscribe("a"),
        peer.answer(ReasonCode::NOT_AUTHORIZED)
    );
    assert!(
        matches!(result, Err(SubscribeError::Refused(codes)) if codes == [ReasonCode::NOT_AUTHORIZED])
    );
    let options = SubscribeOptions::new("b").filter("c");
    let (stream, ()) = tokio::join!(client.subscribe(options), async {
        peer.answer(ReasonCode::QUOTA_EXCEEDED).await;
        peer.grant().await;
    });
    let mut stream = stream.unwrap();
    assert_eq!(
        stream.granted(),
        [ReasonCode::QUOTA_EXCEEDED, ReasonCode::GRANTED_QOS_2]
    );
    peer.send("c", QoS::AtMostOnce, b"x").await;
    assert_eq!(payload(&mut stream).await, b"x");
    let wrong = client.subscribe("a/#/b").await;
    assert!(matches!(wrong, Err(SubscribeError::Filter { .. })));
}

/// What MQTT 3.1.1 cannot say is refused before it is sent.
#[tokio::test(start_paused = true)]
async fn an_option_that_the_version_does_not_know_is_told() {
    let (client, mut peer, _listener) = connected(Version::V311).await;
    let result = client
        .subscribe(SubscribeOptions::new("a").no_local(true))
        .await;
    assert!(
        matches!(result, Err(SubscribeError::NotPossible(_))),
        "{result:?}"
    );
    subscribe(&client, &mut peer, "b").await;
}

/// A filter is given back when the last stream that asked for it is gone.
#[tokio::test(start_paused = true)]
async fn the_last_stream_of_a_filter_unsubscribes() {
    let (client, mut peer, _listener) = connected(Version::V5).await;
    let first = subscribe(&client, &mut peer, "a").await;
    let mut second = subscribe(&client, &mut peer, "a").await;
    drop(first);
    peer.send("a", QoS::AtLeastOnce, b"x").await;
    assert_eq!(payload(&mut second).await, b"x");
    peer.until_ended(1).await;
    let (codes, filters) = tokio::join!(second.unsubscribe(), peer.release());
    assert_eq!(
        (filters, codes.unwrap()),
        (vec!["a".to_owned()], vec![ReasonCode::SUCCESS])
    );
    // A detached stream leaves its filter where it is.
    subscribe(&client, &mut peer, "b").await.detach();
    let (codes, filters) = tokio::join!(client.unsubscribe(["z"]), peer.release());
    assert_eq!((filters, codes.unwrap().len()), (vec!["z".to_owned()], 1));
}

/// A subscribe that is no longer waited for is taken back.
#[tokio::test(start_paused = true)]
async fn a_dropped_subscribe_is_taken_back() {
    let (client, mut peer, _listener) = connected(Version::V5).await;
    let waiting = tokio::time::timeout(Duration::from_secs(1), client.subscribe("a")).await;
    assert!(waiting.is_err());
    assert_eq!(peer.grant().await.0, "a");
    assert_eq!(peer.release().await, ["a"]);
    assert!(client.subscribe("b").now_or_never().is_none());
    // That one was taken back before it was even sent, or is given back.
    let mut seen = Vec::new();
    let (_, ()) = tokio::join!(client.subscribe("c"), async {
        loop {
            match peer.next().await {
                Seen::Subscribe(filters, _) => {
                    let filter = filters[0].0.clone();
                    seen.push(filter.clone());
                    peer.answer_pending(ReasonCode::GRANTED_QOS_0).await;
                    if filter == "c" {
                        break;
                    }
                }
                Seen::Unsubscribe(_) => peer.answer_unsubscribe_pending().await,
                other => panic!("{other:?}"),
            }
        }
    });
    assert_eq!(seen.last().map(String::as_str), Some("c"));
}

/// Messages of a session from an earlier run that come before their subscription wait for it [MQTT-4.1.0-1].
#[tokio::test(start_paused = true)]
async fn messages_that_come_first_wait_for_their_stream() {
    let (options, mut listener) = options();
    let client = Client::start(options.clean_start(false)).unwrap();
    let (mut peer, _) = listener.accept(Some(Default::default())).await;
    peer.send("a/1", QoS::AtLeastOnce, b"early").await;
    peer.send("b", QoS::AtLeastOnce, b"other").await;
    let marker = subscribe(&client, &mut peer, "marker").await;
    assert_eq!(peer.messages.ended.len(), 0, "nobody has them yet");
    let mut stream = subscribe(&client, &mut peer, "a/+").await;
    assert_eq!(payload(&mut stream).await, b"early");
    peer.until_ended(1).await;
    let mut other = subscribe(&client, &mut peer, "b").await;
    peer.send("a/2", QoS::AtLeastOnce, b"late").await;
    assert_eq!(payload(&mut other).await, b"other");
    assert_eq!(payload(&mut stream).await, b"late");
    peer.until_ended(3).await;
    drop(marker);
}

/// What the program does with a message is its business: one that no stream asked for, and one whose stream is never read, are
/// acknowledged like any other [MQTT-4.5.0-2], [3.1.1:MQTT-4.5.0-2].
#[tokio::test(start_paused = true)]
async fn what_nobody_reads_is_acknowledged() {
    for version in [Version::V311, Version::V5] {
        let (client, mut peer, _listener) = connected(version).await;
        let unread = subscribe(
            &client,
            &mut peer,
            SubscribeOptions::new("unread").capacity(1),
        )
        .await;
        for topic in ["nobody", "unread", "unread"] {
            for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
                peer.send(topic, qos, b"x").await;
            }
        }
        let acknowledged = async {
            peer.until_ended(6).await;
            peer.until_completed(3).await;
        };
        let soon = tokio::time::timeout(Duration::from_secs(5), acknowledged);
        assert!(soon.await.is_ok(), "every message is acknowledged");
        drop(unread);
    }
}
