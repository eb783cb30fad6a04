//! The client against the broker of this workspace, in this process.

use mqtt_broker::{Broker, BrokerHandle};

mod support;
use support::behaviours;

async fn broker() -> (BrokerHandle, u16) {
    let broker = Broker::builder().listen("127.0.0.1:0").start().await;
    let broker = broker.expect("the loopback interface has a free port");
    let port = broker.local_addrs().first().expect("one address").port();
    (broker, port)
}

/// Publish and subscribe in every version at every QoS: the delivered QoS is the lower one, binary payloads of many
/// segments stay what they are, over TCP [MQTT-4.2-1], [3.1.1:MQTT-4.2.0-1], [3.1.1:MQTT-7.1.2-1].
#[tokio::test]
async fn messages_pass_in_every_version_at_every_qos() {
    let (broker, port) = broker().await;
    behaviours::messages_pass_in_every_version_at_every_qos(port).await;
    broker.shutdown().await;
}

/// A thousand messages of each QoS arrive in their order, also at a broker that takes 20 at once and before 5.0 cannot say so.
#[tokio::test]
async fn many_messages_keep_their_order() {
    let (broker, port) = broker().await;
    behaviours::many_messages_keep_their_order(port).await;
    broker.shutdown().await;
}

/// Retained messages come with their flag to a later subscriber, and an empty one takes them away [MQTT-3.3.1-6], [MQTT-3.3.1-8].
#[tokio::test]
async fn retained_messages_are_kept() {
    let (broker, port) = broker().await;
    behaviours::retained_messages_are_kept(port).await;
    broker.shutdown().await;
}

/// The will is published when the client is gone without a goodbye, and not after one [MQTT-3.1.2-8], [MQTT-3.1.2-10].
#[tokio::test]
async fn the_will_is_published() {
    let (broker, port) = broker().await;
    behaviours::the_will_is_published(port).await;
    broker.shutdown().await;
}

/// A kept session brings what was published meanwhile, also to a new run of the program [MQTT-4.1.0-1].
#[tokio::test]
async fn a_kept_session_brings_what_was_missed() {
    let (broker, port) = broker().await;
    behaviours::a_kept_session_brings_what_was_missed(port).await;
    broker.shutdown().await;
}

/// A broker that shuts down says so (5.0), and the client tries again [MQTT-4.13.2-1].
#[tokio::test]
async fn a_broker_that_shuts_down_says_so() {
    let (broker, port) = broker().await;
    let options = behaviours::options(port, mqtt_client::Version::V5);
    let client = mqtt_client::Client::connect(options).await.unwrap();
    let mut events = client.events();
    broker.shutdown().await;
    let Some(mqtt_client::Event::Disconnected { error, retry_in }) = events.recv().await else {
        panic!("a lost connection");
    };
    assert!(
        matches!(
            error,
            mqtt_client::ConnectionError::Disconnected {
                reason: mqtt_client::ReasonCode::SERVER_SHUTTING_DOWN,
                ..
            }
        ),
        "{error}"
    );
    assert!(retry_in.is_some());
}
