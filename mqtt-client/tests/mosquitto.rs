//! The client against the real Mosquitto broker.

use core::time::Duration;

use mqtt_client::{Client, ConnectionError, Event, Message, QoS, ReasonCode, Version};

mod support;
use support::behaviours::{self, VERSIONS, options};
use support::process::{Mosquitto, messages};

/// Publish and subscribe in every version at every QoS: the delivered QoS is the lower one, binary payloads stay what they are;
/// with a broker that knows nothing of this client [3.1.1:MQTT-7.0.0-2].
#[tokio::test]
async fn messages_pass_in_every_version_at_every_qos() {
    let Some(broker) = Mosquitto::start("messages_pass_in_every_version_at_every_qos", "") else {
        return;
    };
    behaviours::messages_pass_in_every_version_at_every_qos(broker.port).await;
}

/// A thousand messages of each QoS arrive in their order, also at a broker that takes 20 at once and before 5.0 cannot say so.
#[tokio::test]
async fn many_messages_keep_their_order() {
    let Some(broker) = Mosquitto::start("many_messages_keep_their_order", "max_queued_messages 0")
    else {
        return;
    };
    behaviours::many_messages_keep_their_order(broker.port).await;
}

/// Retained messages come with their flag to a later subscriber, and an empty one takes them away [MQTT-3.3.1-6], [MQTT-3.3.1-8].
#[tokio::test]
async fn retained_messages_are_kept() {
    let Some(broker) = Mosquitto::start("retained_messages_are_kept", "") else {
        return;
    };
    behaviours::retained_messages_are_kept(broker.port).await;
}

/// The will is published when the client is gone without a goodbye, and not after one [MQTT-3.1.2-8], [MQTT-3.1.2-10].
#[tokio::test]
async fn the_will_is_published() {
    let Some(broker) = Mosquitto::start("the_will_is_published", "") else {
        return;
    };
    behaviours::the_will_is_published(broker.port).await;
}

/// A kept session brings what was published meanwhile, also to a new run of the program [MQTT-4.1.0-1].
#[tokio::test]
async fn a_kept_session_brings_what_was_missed() {
    let Some(broker) = Mosquitto::start("a_kept_session_brings_what_was_missed", "") else {
        return;
    };
    behaviours::a_kept_session_brings_what_was_missed(broker.port).await;
}

/// Properties reach a foreign subscriber, and a foreign publisher's reach us [MQTT-3.3.2-4], [MQTT-3.3.2-18].
#[tokio::test]
async fn properties_pass_both_ways() {
    let Some(broker) = Mosquitto::start("properties_pass_both_ways", "") else {
        return;
    };
    let client = Client::connect(options(broker.port, Version::V5))
        .await
        .unwrap();
    let mut stream = client.subscribe("in").await.unwrap();
    broker.publish(&[
        "-V",
        "5",
        "-t",
        "in",
        "-m",
        "x",
        "-D",
        "publish",
        "content-type",
        "text/x",
        "-D",
        "publish",
        "user-property",
        "b",
        "1",
        "-D",
        "publish",
        "user-property",
        "a",
        "2",
    ]);
    let received = stream.recv().await.unwrap();
    assert_eq!(received.properties().content_type(), Some("text/x"));
    let pairs: Vec<_> = received.properties().user_properties().collect();
    assert_eq!(pairs, [("b", "1"), ("a", "2")]);

    let subscriber = broker.tool(
        "mosquitto_sub",
        &[
            "-V",
            "5",
            "-d",
            "-t",
            "out",
            "-C",
            "1",
            "-F",
            "MSG %C|%R|%D|%P",
        ],
    );
    subscriber.says("Subscribed (mid");
    let message = Message::new("out", "x")
        .content_type("text/y")
        .response_topic("answer")
        .correlation_data(b"77")
        .user_property("k", "v");
    client.publish(message).await.unwrap();
    assert_eq!(
        messages(&subscriber.finish().ok().stdout),
        ["text/y|answer|77|k:v"]
    );
    client.disconnect().await.unwrap();
}

/// A broker that is killed and comes back on its port: the client finds it, subscribes again, and sends what waited.
#[tokio::test]
async fn a_restarted_broker_is_found_again() {
    let Some(mut broker) = Mosquitto::start("a_restarted_broker_is_found_again", "") else {
        return;
    };
    for version in VERSIONS {
        let policy = mqtt_client::Reconnect::default()
            .min(Duration::from_millis(20))
            .max(Duration::from_millis(100));
        let client = Client::connect(options(broker.port, version).reconnect(policy))
            .await
            .unwrap();
        let mut events = client.events();
        let mut stream = client.subscribe("a").await.unwrap();
        broker.kill();
        loop {
            if let Event::Disconnected { .. } = events.recv().await.unwrap() {
                break;
            }
        }
        let delivery = client
            .enqueue(Message::new("a", "waited").qos(QoS::AtLeastOnce))
            .await
            .unwrap();
        broker.restart();
        delivery.await.unwrap();
        assert_eq!(stream.recv().await.unwrap().text(), Some("waited"));
        client.disconnect().await.unwrap();
    }
}

/// A wrong password is told at once, in every version [MQTT-3.2.2-7].
#[tokio::test]
async fn a_wrong_password_is_told() {
    let lines = "allow_anonymous false";
    let Some(broker) = Mosquitto::start("a_wrong_password_is_told", lines) else {
        return;
    };
    for version in VERSIONS {
        let options = options(broker.port, version).user_name("u").password("p");
        let Err(ConnectionError::Refused { reason, .. }) = Client::connect(options).await else {
            panic!("refused");
        };
        assert_eq!(reason, ReasonCode::NOT_AUTHORIZED);
    }
}
