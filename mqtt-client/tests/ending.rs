//! The end of a client: in order, in bounded time, and told to everybody who waits.

use core::time::Duration;

use mqtt_client::{
    Client, ConnectionError, DisconnectError, Event, Goodbye, Message, PublishError, QoS,
    ReasonCode, State, SubscribeError, Version,
};

mod support;
use support::scripted::{Seen, options};

fn message(payload: &'static str, qos: QoS) -> Message {
    Message::new("t", payload).qos(qos)
}

/// `disconnect` waits for the acknowledgements, then says goodbye and nothing after it [MQTT-3.14.4-1].
#[tokio::test(start_paused = true)]
async fn disconnect_flushes_first() {
    for version in [Version::V31, Version::V311, Version::V5] {
        let (options, mut listener) = options();
        let client = Client::start(options.version(version)).unwrap();
        let (mut peer, _) = listener.accept(None).await;
        let deliveries = [QoS::ExactlyOnce, QoS::AtLeastOnce, QoS::AtMostOnce]
            .map(|qos| client.try_publish(message("x", qos)).unwrap());
        let ending = tokio::spawn({
            let client = client.clone();
            async move { client.disconnect().await }
        });
        for _ in 0..3 {
            peer.take().await;
        }
        assert_eq!(
            peer.next().await,
            Seen::Disconnect(ReasonCode::NORMAL_DISCONNECTION, None)
        );
        for delivery in deliveries {
            delivery.await.unwrap();
        }
        assert_eq!(peer.next().await, Seen::End);
        ending.await.unwrap().unwrap();
        assert_eq!(client.state(), State::Ended);
        assert!(client.ended().await.is_ok());
        assert!(matches!(
            client.publish(message("y", QoS::AtMostOnce)).await,
            Err(PublishError::Closed)
        ));
        assert!(matches!(
            client.subscribe("a").await,
            Err(SubscribeError::Closed)
        ));
        assert!(matches!(
            client.disconnect().await,
            Err(DisconnectError::Closed)
        ));
    }
}

/// DISCONNECT with a reason, an expiry and properties (5.0) [MQTT-3.14.2-1]; before, a reason other than normal closes without it,
/// so that the will is published.
#[tokio::test(start_paused = true)]
async fn a_goodbye_has_its_reason() {
    let goodbye = Goodbye::new()
        .reason(ReasonCode::DISCONNECT_WITH_WILL_MESSAGE)
        .session_expiry(Duration::from_secs(7))
        .user_property("a", "b");
    for (version, expected) in [
        (
            Version::V5,
            Seen::Disconnect(ReasonCode::DISCONNECT_WITH_WILL_MESSAGE, Some(7)),
        ),
        (Version::V311, Seen::End),
    ] {
        let (options, mut listener) = options();
        let client = Client::start(options.version(version)).unwrap();
        let (mut peer, _) = listener.accept(None).await;
        let (result, seen) = tokio::join!(client.disconnect_with(goodbye.clone()), async {
            let seen = peer.next().await;
            drop(peer);
            seen
        });
        assert_eq!(seen, expected);
        assert_eq!(result.is_ok(), version == Version::V5);
    }
}

/// The time for flushing is bounded, and what was not acknowledged is counted.
#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_acknowledge_does_not_keep_the_client() {
    let (options, mut listener) = options();
    let client = Client::start(options).unwrap();
    let (mut peer, _) = listener.accept(None).await;
    let delivery = client.try_publish(message("x", QoS::AtLeastOnce)).unwrap();
    peer.publish_seen().await;
    let (result, seen) = tokio::join!(client.disconnect(), async {
        let seen = peer.next().await;
        drop(peer);
        seen
    });
    assert_eq!(
        seen,
        Seen::Disconnect(ReasonCode::NORMAL_DISCONNECTION, None)
    );
    assert!(matches!(result, Err(DisconnectError::Unsent(1))));
    assert!(matches!(delivery.await, Err(PublishError::Closed)));
}

/// Without a connection a client with messages tries for as long as it may, one without ends at once.
#[tokio::test(start_paused = true)]
async fn an_offline_client_ends() {
    let (options, listener) = options();
    drop(listener);
    let client = Client::start(options).unwrap();
    let mut events = client.events();
    assert!(matches!(
        events.recv().await,
        Some(Event::Disconnected { .. })
    ));
    let before = tokio::time::Instant::now();
    client.disconnect().await.unwrap();
    assert_eq!(before.elapsed(), Duration::ZERO);

    let (options, listener) = support::scripted::options();
    drop(listener);
    let client = Client::start(options).unwrap();
    drop(client.try_publish(message("x", QoS::AtLeastOnce)).unwrap());
    let before = tokio::time::Instant::now();
    let goodbye = Goodbye::new().flush_timeout(Duration::from_secs(3));
    assert!(matches!(
        client.disconnect_with(goodbye).await,
        Err(DisconnectError::Unsent(1))
    ));
    assert_eq!(before.elapsed().as_secs(), 3);
}

/// When the last handle is gone the client ends as if it had been asked to; a stream is a handle too.
#[tokio::test(start_paused = true)]
async fn the_last_handle_ends_the_client() {
    let (options, mut listener) = options();
    let client = Client::start(options).unwrap();
    let (mut peer, _) = listener.accept(None).await;
    let (stream, _) = tokio::join!(client.subscribe("a"), peer.grant());
    let mut stream = stream.unwrap();
    drop(client.try_publish(message("x", QoS::AtLeastOnce)).unwrap());
    drop(client);
    peer.send("a", QoS::AtLeastOnce, b"still").await;
    assert_eq!(stream.recv().await.unwrap().payload(), "still");
    drop(stream);
    assert_eq!(peer.take().await.1, b"x");
    assert_eq!(peer.release().await, ["a"]);
    assert_eq!(
        peer.next().await,
        Seen::Disconnect(ReasonCode::NORMAL_DISCONNECTION, None)
    );
}

/// A `connect` that is no longer waited for ends its client.
#[tokio::test(start_paused = true)]
async fn a_dropped_connect_ends_the_client() {
    let (options, mut listener) = options();
    let waiting = tokio::time::timeout(Duration::from_secs(1), Client::connect(options)).await;
    assert!(waiting.is_err());
    let mut peer = listener.open().await;
    assert_eq!(peer.next().await, Seen::End);
}

/// Streams and events end with the client, after what was received before.
#[tokio::test(start_paused = true)]
async fn streams_end_with_the_client() {
    let (options, mut listener) = options();
    let client = Client::start(options.reconnect(mqtt_client::Reconnect::never())).unwrap();
    let mut events = client.events();
    let (mut peer, _) = listener.accept(None).await;
    let (stream, _) = tokio::join!(client.subscribe("a"), peer.grant());
    let mut stream = stream.unwrap();
    peer.send("a", QoS::AtLeastOnce, b"last").await;
    peer.until_ended(1).await;
    drop(peer);
    assert_eq!(stream.recv().await.unwrap().payload(), "last");
    assert!(stream.recv().await.is_none());
    let mut seen = Vec::new();
    while let Some(event) = events.recv().await {
        seen.push(event);
    }
    assert!(matches!(
        &seen[..],
        [
            Event::Connected(_),
            Event::Disconnected {
                error: ConnectionError::Ended,
                retry_in: None
            },
            Event::Ended
        ]
    ));
    assert!(client.events().recv().await.is_none());
}
