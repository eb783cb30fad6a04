//! MQTT.js over TCP against the broker binary, in MQTT 3.1.1 and 5; the scenarios are in `clients/mqttjs.cjs`.

mod support;

use support::{Broker, foreign, need, not_for_mosquitto};

/// Declares tests that run one scenario in one version.
macro_rules! scenarios {
    ($($(#[$doc:meta])* $name:ident => $scenario:literal $version:literal)*) => { $(
        $(#[$doc])*
        #[test]
        fn $name() {
            let node = need!(foreign::node());
            let broker = Broker::start();
            node.run(broker.port(), "mqttjs.cjs", &[$scenario, $version]);
        }
    )* };
}

scenarios! {
    /// Every published QoS at every granted QoS, the lower one delivered. [3.1.1:MQTT-3.8.4-6]
    mqttjs_delivers_at_the_lower_qos_in_3_1_1 => "qos" "4"
    /// Every published QoS at every granted QoS, the lower one delivered. [MQTT-3.8.4-8]
    mqttjs_delivers_at_the_lower_qos_in_5 => "qos" "5"
    /// Wildcards, `$` topics and UNSUBSCRIBE. [3.1.1:MQTT-4.7.1-2] [3.1.1:MQTT-4.7.1-3] [3.1.1:MQTT-4.7.2-1] [3.1.1:MQTT-3.10.4-2]
    mqttjs_wildcards_in_3_1_1 => "wildcard" "4"
    /// Wildcards, `$` topics and UNSUBSCRIBE. [MQTT-4.7.1-1] [MQTT-4.7.1-2] [MQTT-4.7.2-1] [MQTT-3.10.4-2]
    mqttjs_wildcards_in_5 => "wildcard" "5"
    /// Retained messages are kept, replaced and removed. [3.1.1:MQTT-3.3.1-6] [3.1.1:MQTT-3.3.1-10]
    mqttjs_retained_messages_in_3_1_1 => "retained" "4"
    /// Retained messages are kept, replaced and removed. [MQTT-3.3.1-5] [MQTT-3.3.1-6]
    mqttjs_retained_messages_in_5 => "retained" "5"
    /// Five hundred publishes at once are acknowledged and arrive in order. [3.1.1:MQTT-4.6.0-6]
    mqttjs_burst_of_500_in_3_1_1 => "burst" "4"
    /// Five hundred publishes at once: the announced Receive Maximum does not get in the way. [MQTT-4.6.0-5]
    mqttjs_burst_of_500_in_5 => "burst" "5"
    /// An offline session keeps its messages. [3.1.1:MQTT-3.1.2-5] [3.1.1:MQTT-3.2.2-2]
    mqttjs_offline_session_in_3_1_1 => "session" "4"
    /// An offline session keeps its messages. [MQTT-3.1.2-5] [MQTT-3.2.2-3]
    mqttjs_offline_session_in_5 => "session" "5"
    /// A broken connection publishes the will. [3.1.1:MQTT-3.1.2-8]
    mqttjs_will_in_3_1_1 => "will" "4"
    /// A broken connection publishes the will. [MQTT-3.1.2-8]
    mqttjs_will_in_5 => "will" "5"
    /// A payload of 500 kB comes back whole. [3.1.1:MQTT-4.2.0-1]
    mqttjs_large_payload_in_3_1_1 => "large" "4"
    /// A payload of 500 kB comes back whole. [MQTT-4.2-1]
    mqttjs_large_payload_in_5 => "large" "5"
    /// Properties, subscription identifiers, automatic aliases, No Local. [MQTT-3.3.2-17] [MQTT-3.3.4-3] [MQTT-3.3.2-12] [MQTT-3.8.3-3]
    mqttjs_properties_in_5 => "properties" "5"
}

/// The client's Receive Maximum, Topic Alias Maximum and Maximum Packet Size are kept. [MQTT-3.3.4-9] [MQTT-3.3.2-11] [MQTT-3.1.2-24] [MQTT-3.1.2-25]
#[test]
fn mqttjs_limits_of_the_client_in_5() {
    not_for_mosquitto!(
        "2.0.11 stops sending QoS 2 to a client whose Maximum Packet Size a message has exceeded"
    );
    let node = need!(foreign::node());
    let broker = Broker::start();
    node.run(broker.port(), "mqttjs.cjs", &["limits", "5"]);
}
