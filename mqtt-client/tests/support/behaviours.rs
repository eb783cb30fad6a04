//! What must hold between the client and every broker.

use core::time::Duration;

use mqtt_client::{Client, Message, Options, QoS, ReasonCode, SubscribeOptions, Version, Will};

pub(crate) const VERSIONS: [Version; 3] = [Version::V31, Version::V311, Version::V5];
const ALL_QOS: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];

pub(crate) fn options(port: u16, version: Version) -> Options {
    Options::new(("127.0.0.1", port)).version(version)
}

/// Publish and subscribe in every version at every QoS: the delivered QoS is the lower one, binary payloads stay what they are
/// [MQTT-3.8.4-8].
pub(crate) async fn messages_pass_in_every_version_at_every_qos(port: u16) {
    let binary: Vec<u8> = (0..=255).cycle().take(70_000).collect();
    for version in VERSIONS {
        let client = Client::connect(options(port, version)).await.unwrap();
        for granted in ALL_QOS {
            let filter = SubscribeOptions::new(format!("a/{}/#", granted as u8)).qos(granted);
            let mut stream = client.subscribe(filter).await.unwrap();
            for published in ALL_QOS {
                let topic = format!("a/{}/{}", granted as u8, published as u8);
                let message = Message::new(topic.clone(), binary.clone()).qos(published);
                assert_eq!(
                    client.publish(message).await.unwrap().reason,
                    ReasonCode::SUCCESS
                );
                let received = stream.recv().await.unwrap();
                assert_eq!(received.topic(), topic);
                assert_eq!(received.qos(), granted.min(published));
                assert_eq!(received.payload(), &binary);
            }
            stream.unsubscribe().await.unwrap();
        }
        client.disconnect().await.unwrap();
    }
}

/// A thousand messages of each QoS arrive in their order, also at a broker that takes 20 at once and before 5.0 cannot say so.
pub(crate) async fn many_messages_keep_their_order(port: u16) {
    for version in VERSIONS {
        for qos in ALL_QOS {
            let client = Client::connect(options(port, version)).await.unwrap();
            let filter = SubscribeOptions::new("order").qos(qos);
            let mut stream = client.subscribe(filter).await.unwrap();
            let mut deliveries = Vec::new();
            for n in 0..1_000 {
                let message = Message::new("order", n.to_string()).qos(qos);
                deliveries.push(client.enqueue(message).await.unwrap());
            }
            for n in 0..1_000 {
                assert_eq!(stream.recv().await.unwrap().text(), Some(&*n.to_string()));
            }
            for delivery in deliveries {
                delivery.await.unwrap();
            }
            client.disconnect().await.unwrap();
        }
    }
}

/// Retained messages come with their flag to a later subscriber, and an empty one takes them away [MQTT-3.3.1-6], [MQTT-3.3.1-8].
pub(crate) async fn retained_messages_are_kept(port: u16) {
    for version in VERSIONS {
        let client = Client::connect(options(port, version)).await.unwrap();
        let retained = |payload: &'static str| {
            Message::new("state", payload)
                .retain(true)
                .qos(QoS::AtLeastOnce)
        };
        client.publish(retained("on")).await.unwrap();
        let mut stream = client.subscribe("state").await.unwrap();
        let first = stream.recv().await.unwrap();
        assert_eq!((first.text(), first.is_retained()), (Some("on"), true));
        client.publish(retained("")).await.unwrap();
        assert!(!stream.recv().await.unwrap().is_retained());
        drop(stream);
        let mut again = client.subscribe("state").await.unwrap();
        client.publish(Message::new("state", "live")).await.unwrap();
        assert_eq!(again.recv().await.unwrap().text(), Some("live"));
        client.disconnect().await.unwrap();
    }
}

/// The will is published when the client is gone without a goodbye, and not after one [MQTT-3.1.2-8], [MQTT-3.1.2-10].
pub(crate) async fn the_will_is_published(port: u16) {
    for version in VERSIONS {
        let watcher = Client::connect(options(port, version)).await.unwrap();
        let mut stream = watcher.subscribe("will/#").await.unwrap();
        let will =
            |text: &'static str| Will::new(Message::new("will/1", text).qos(QoS::AtLeastOnce));
        let polite = options(port, version).will(will("polite"));
        let polite = Client::connect(polite).await.unwrap();
        polite.disconnect().await.unwrap();
        // A second connection with the same id takes the first one over, which the broker cuts.
        let rude = options(port, version).client_id("rude");
        let gone = Client::connect(rude.clone().will(will("rude")))
            .await
            .unwrap();
        let other = Client::connect(rude).await.unwrap();
        assert_eq!(stream.recv().await.unwrap().text(), Some("rude"));
        drop(gone);
        drop(other);
        watcher.disconnect().await.unwrap();
    }
}

/// A kept session brings what was published meanwhile, also to a new run of the program [MQTT-4.1.0-1].
pub(crate) async fn a_kept_session_brings_what_was_missed(port: u16) {
    let publisher = Client::connect(options(port, Version::V5)).await.unwrap();
    for version in VERSIONS {
        let kept = options(port, version)
            .client_id(format!("keeper-{version}"))
            .clean_start(false)
            .session_expiry(Duration::from_secs(600));
        let filter = || SubscribeOptions::new("kept/#").qos(QoS::ExactlyOnce);
        let client = Client::connect(kept.clone()).await.unwrap();
        let stream = client.subscribe(filter()).await.unwrap();
        client.disconnect().await.unwrap();
        drop(stream);
        for n in ["1", "2", "3"] {
            let message = Message::new("kept/x", n).qos(QoS::ExactlyOnce);
            publisher.publish(message).await.unwrap();
        }
        let client = Client::connect(kept).await.unwrap();
        let mut stream = client.subscribe(filter()).await.unwrap();
        for n in ["1", "2", "3"] {
            assert_eq!(stream.recv().await.unwrap().text(), Some(n));
        }
        stream.unsubscribe().await.unwrap();
        client.disconnect().await.unwrap();
    }
}
