//! Lost connections: what is sent again, what is subscribed to again, and when the client gives up.

use core::time::Duration;

use mqtt_client::{
    Client, ConnectionError, Event, Message, QoS, ReasonCode, Reconnect, State, Version,
};

mod support;
use support::scripted::{Seen, options};

const VERSIONS: [Version; 3] = [Version::V31, Version::V311, Version::V5];

fn message(payload: &'static str, qos: QoS) -> Message {
    Message::new("t", payload).qos(qos)
}

/// What was not acknowledged is sent again with DUP in its order, and the publishers wait over the reconnect
/// [MQTT-4.4.0-1], [MQTT-4.6.0-1], [MQTT-3.3.1-1].
#[tokio::test(start_paused = true)]
async fn unacknowledged_messages_are_sent_again_when_the_session_is_present() {
    let (options, mut listener) = options();
    let client = Client::start(options).unwrap();
    let (mut peer, asked) = listener.accept(None).await;
    assert!(asked.clean_start);
    let first = client.try_publish(message("a", QoS::AtLeastOnce)).unwrap();
    let second = client.try_publish(message("b", QoS::ExactlyOnce)).unwrap();
    assert!(!peer.publish_seen().await.2);
    assert!(!peer.publish_seen().await.2);
    // The server has seen the QoS 2 message and forgets that with the rest: nothing was promised.
    drop(peer);
    let (mut peer, asked) = listener.accept(Some(Default::default())).await;
    assert!(!asked.clean_start, "the session is to go on");
    for payload in [b"a", b"b"] {
        let (_, seen, dup, delivery) = peer.publish_seen().await;
        assert_eq!((&seen[..], dup), (&payload[..], true));
        peer.settle(delivery.unwrap(), ReasonCode::SUCCESS).await;
    }
    first.await.unwrap();
    let done = tokio::select! { ack = second => ack, seen = peer.next() => panic!("{seen:?}") };
    done.unwrap();
}

/// After PUBREC a lost connection repeats PUBREL only: the message is not sent twice [MQTT-4.3.3-1], [MQTT-4.4.0-1].
#[tokio::test(start_paused = true)]
async fn a_released_message_is_not_sent_again() {
    let (options, mut listener) = options();
    let client = Client::start(options).unwrap();
    let (mut peer, _) = listener.accept(None).await;
    let delivery = client.try_publish(message("a", QoS::ExactlyOnce)).unwrap();
    let (.., id) = peer.publish_seen().await;
    peer.settle(id.unwrap(), ReasonCode::SUCCESS).await;
    // The client has handled PUBREC once it writes something after it.
    let marker = client.try_publish(message("m", QoS::AtMostOnce)).unwrap();
    marker.await.unwrap();
    let (mut peer, _) = listener.accept(Some(peer.cut())).await;
    let ack = tokio::select! { ack = delivery => ack, seen = peer.next() => panic!("{seen:?}") };
    ack.unwrap();
}

/// Without its session the server gets every filter again, and messages as new ones: DUP is not set [MQTT-3.3.1-1].
#[tokio::test(start_paused = true)]
async fn a_lost_session_is_made_anew() {
    for version in VERSIONS {
        let (options, mut listener) = options();
        let client = Client::start(options.version(version).clean_start(false)).unwrap();
        let subscribing = tokio::spawn({
            let client = client.clone();
            async move {
                let first = client.subscribe("a/#").await.unwrap();
                (first, client.subscribe("b").await.unwrap())
            }
        });
        let (mut peer, _) = listener.accept(None).await;
        assert_eq!(peer.grant().await.0, "a/#");
        assert_eq!(peer.grant().await.0, "b");
        let (mut first, mut second) = subscribing.await.unwrap();
        let delivery = client.try_publish(message("x", QoS::AtLeastOnce)).unwrap();
        peer.publish_seen().await;
        drop(peer);

        let (mut peer, _) = listener.accept(None).await;
        assert_eq!(peer.grant().await.0, "a/#");
        assert_eq!(peer.grant().await.0, "b");
        let (_, payload, dup, id) = peer.publish_seen().await;
        // MQTT 3.1 does not tell whether the session is present, so there the message counts as sent before.
        assert_eq!((&payload[..], dup), (&b"x"[..], version == Version::V31));
        peer.settle(id.unwrap(), ReasonCode::SUCCESS).await;
        delivery.await.unwrap();
        peer.send("a/1", QoS::AtLeastOnce, b"1").await;
        peer.send("b", QoS::AtLeastOnce, b"2").await;
        assert_eq!(first.recv().await.unwrap().payload(), "1");
        assert_eq!(second.recv().await.unwrap().payload(), "2");
    }
}

/// With its session present nothing that was granted is asked for again; what was not answered is.
#[tokio::test(start_paused = true)]
async fn an_unanswered_subscribe_is_sent_again() {
    let (options, mut listener) = options();
    let client = Client::start(options).unwrap();
    let subscribe = |filter: &'static str| {
        let client = client.clone();
        tokio::spawn(async move { client.subscribe(filter).await.unwrap() })
    };
    let first = subscribe("a");
    let (mut peer, _) = listener.accept(None).await;
    peer.grant().await;
    let _first = first.await.unwrap();
    let second = subscribe("b");
    assert!(matches!(peer.next().await, Seen::Subscribe(..)));
    let (mut peer, _) = listener.accept(Some(peer.cut())).await;
    assert_eq!(peer.grant().await.0, "b");
    assert_eq!(second.await.unwrap().granted(), [ReasonCode::GRANTED_QOS_2]);
}

/// A filter that is refused after a reconnect is told as an event.
#[tokio::test(start_paused = true)]
async fn a_subscription_that_is_lost_is_told() {
    let (options, mut listener) = options();
    let client = Client::start(options).unwrap();
    let mut events = client.events();
    let subscribing = tokio::spawn({
        let client = client.clone();
        async move { client.subscribe("a").await.unwrap() }
    });
    let (mut peer, _) = listener.accept(None).await;
    peer.grant().await;
    let _stream = subscribing.await.unwrap();
    drop(peer);
    let (mut peer, _) = listener.accept(None).await;
    peer.answer(ReasonCode::NOT_AUTHORIZED).await;
    loop {
        if let Event::SubscriptionLost { filter, reason } = events.recv().await.unwrap() {
            assert_eq!((&*filter, reason), ("a", ReasonCode::NOT_AUTHORIZED));
            break;
        }
    }
}

/// Waits grow, and what the client does is told by events and by its state.
#[tokio::test(start_paused = true)]
async fn waits_grow_and_are_told() {
    let (options, mut listener) = options();
    let client = Client::start(options).unwrap();
    let mut events = client.events();
    let mut waits = Vec::new();
    for _ in 0..3 {
        drop(listener.open().await);
        let Some(Event::Disconnected {
            error: ConnectionError::Ended,
            retry_in,
        }) = events.recv().await
        else {
            panic!("a lost connection");
        };
        waits.push(retry_in.unwrap().as_millis());
        assert_eq!(client.state(), State::Waiting);
    }
    // The randomness of the test is 0: the lower half of 0.5, 1 and 2 seconds.
    assert_eq!(waits, [250, 500, 1_000]);
    let (peer, _) = listener.accept(None).await;
    let Some(Event::Connected(accepted)) = events.recv().await else {
        panic!("a connection");
    };
    assert!(!accepted.session_present());
    assert_eq!(
        (accepted.client_id(), client.state()),
        ("me", State::Connected)
    );
    drop(peer);
    let Some(Event::Disconnected { retry_in, .. }) = events.recv().await else {
        panic!("a lost connection");
    };
    assert_eq!(retry_in, Some(Duration::from_millis(250)), "counted anew");
}

/// `connect` tells why the first attempt failed, and tries no other.
#[tokio::test(start_paused = true)]
async fn a_refused_first_attempt_is_an_error() {
    for (version, reason) in [
        (Version::V31, ReasonCode::NOT_AUTHORIZED),
        (Version::V311, ReasonCode::SERVER_UNAVAILABLE),
        (Version::V5, ReasonCode::BANNED),
    ] {
        let (options, mut listener) = options();
        let options = options.version(version).user_name("u").password("p");
        let (result, asked) = tokio::join!(Client::connect(options), listener.refuse(reason));
        assert_eq!(
            (asked.user_name.as_deref(), asked.password.as_deref()),
            (Some("u"), Some(&b"p"[..]))
        );
        assert!(
            matches!(result, Err(ConnectionError::Refused { reason: told, .. }) if told == reason)
        );
        listener.assert_quiet();
    }
}

/// A server that does not answer CONNECT is given up after ten seconds.
#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_answer_is_told() {
    let (options, mut listener) = options();
    let client = tokio::spawn(Client::connect(options));
    let _peer = listener.open().await;
    assert!(matches!(
        client.await.unwrap(),
        Err(ConnectionError::TimedOut { .. })
    ));
}

/// A session that another client took over is not taken back, and a policy of no reconnect ends the client.
#[tokio::test(start_paused = true)]
async fn a_client_ends_for_good() {
    let (options, mut listener) = options();
    let client = Client::start(options).unwrap();
    let (mut peer, _) = listener.accept(None).await;
    peer.disconnect(ReasonCode::SESSION_TAKEN_OVER).await;
    let ended = client.ended().await;
    assert!(matches!(
        ended,
        Err(ConnectionError::Disconnected {
            reason: ReasonCode::SESSION_TAKEN_OVER,
            ..
        })
    ));
    assert!(client.publish(message("x", QoS::AtMostOnce)).await.is_err());

    let (options, mut listener) = support::scripted::options();
    let client = Client::start(options.reconnect(Reconnect::never())).unwrap();
    let (peer, _) = listener.accept(None).await;
    drop(peer);
    assert!(matches!(client.ended().await, Err(ConnectionError::Ended)));
    assert_eq!(client.state(), State::Ended);
}

/// A server that does not answer PINGREQ is gone, and one that breaks the rules is told so by DISCONNECT
/// [MQTT-3.1.2-20], [MQTT-4.13.1-1].
#[tokio::test(start_paused = true)]
async fn a_silent_or_broken_server_is_left() {
    let (options, mut listener) = options();
    let client = Client::start(options.keep_alive(Duration::from_secs(30))).unwrap();
    let mut events = client.events();
    let (_silent, _) = listener.accept(None).await;
    assert!(matches!(events.recv().await, Some(Event::Connected(_))));
    let Some(Event::Disconnected { error, .. }) = events.recv().await else {
        panic!("a lost connection");
    };
    assert!(matches!(error, ConnectionError::Violation(_)), "{error}");

    let (mut peer, _) = listener.accept(None).await;
    peer.raw(&[0x36, 0x00]).await;
    assert_eq!(
        peer.next().await,
        Seen::Disconnect(ReasonCode::MALFORMED_PACKET, None)
    );
    assert_eq!(peer.next().await, Seen::End);
}

/// A client id that the server chose is kept [MQTT-3.1.3-6], [MQTT-3.2.2-16].
#[tokio::test(start_paused = true)]
async fn the_client_id_stays_the_same() {
    let (options, mut listener) = options();
    let _client = Client::start(options.client_id("")).unwrap();
    let mut peer = listener.open().await;
    // CONNACK with Assigned Client Identifier "x9".
    peer.raw(&[0x20, 8, 0, 0, 5, 0x12, 0, 2, b'x', b'9']).await;
    drop(peer);
    let (_peer, asked) = listener.accept(None).await;
    assert_eq!(asked.client_id, "x9");
}
