//! Python's paho-mqtt against the broker binary, in MQTT 3.1, 3.1.1 and 5; the scenarios are in `clients/paho_*.py`.

mod support;

use support::{Broker, foreign, need, not_for_mosquitto};

/// Declares one test for each version, all running the same scenario.
macro_rules! in_every_version {
    ($($(#[$doc:meta])* $name:ident => $file:literal $scenario:literal)*) => { $(
        mod $name {
            use super::*;

            fn run(version: &str) {
                let python = need!(foreign::python());
                let broker = Broker::start();
                python.run(broker.port(), $file, &[$scenario, version]);
            }

            $(#[$doc])*
            #[test]
            fn in_3_1() {
                run("3.1");
            }

            $(#[$doc])*
            #[test]
            fn in_3_1_1() {
                run("3.1.1");
            }

            $(#[$doc])*
            #[test]
            fn in_5() {
                run("5");
            }
        }
    )* };
}

in_every_version! {
    /// Every published QoS at every granted QoS, the lower one delivered. [3.1.1:MQTT-3.8.4-6] [MQTT-3.8.4-8]
    paho_delivers_at_the_lower_qos => "paho_messages.py" "qos"
    /// Three hundred messages in flight at once are acknowledged and arrive in order. [3.1.1:MQTT-4.6.0-6] [MQTT-4.6.0-5]
    paho_burst_of_300_arrives_in_order => "paho_messages.py" "burst"
    /// Retained messages are kept, found by wildcard and removed. [3.1.1:MQTT-3.3.1-6] [3.1.1:MQTT-3.3.1-10] [MQTT-3.3.1-6] [MQTT-3.3.1-9]
    paho_retained_messages => "paho_messages.py" "retained"
    /// Wildcards match as specified, `$` topics stay hidden, UNSUBSCRIBE ends delivery. [MQTT-4.7.1-1] [MQTT-4.7.1-2] [MQTT-4.7.2-1] [MQTT-3.10.4-2] [MQTT-3.11.3-1]
    paho_wildcards_and_unsubscribe => "paho_messages.py" "wildcards"
    /// An offline session keeps its messages; CONNACK tells of it. [3.1.1:MQTT-3.1.2-5] [3.1.1:MQTT-3.2.2-2] [MQTT-3.1.2-5] [MQTT-3.2.2-3]
    paho_offline_session => "paho_sessions.py" "offline"
    /// Broken links lose nothing at QoS 1 and 2, and double nothing at QoS 2. [3.1.1:MQTT-4.4.0-1] [MQTT-4.4.0-1] [MQTT-4.3.3-10]
    paho_broken_links_lose_nothing => "paho_sessions.py" "broken_link"
    /// A crash publishes the will, a DISCONNECT drops it. [3.1.1:MQTT-3.1.2-8] [3.1.1:MQTT-3.14.4-3] [MQTT-3.1.2-8] [MQTT-3.14.4-3]
    paho_will => "paho_sessions.py" "will"
}

/// Runs one scenario of MQTT 5.0.
macro_rules! in_5 {
    ($($(#[$doc:meta])* $name:ident => $file:literal $scenario:literal)*) => { $(
        $(#[$doc])*
        #[test]
        fn $name() {
            let python = need!(foreign::python());
            let broker = Broker::start();
            python.run(broker.port(), $file, &[$scenario]);
        }
    )* };
}

in_5! {
    /// A will with a delay waits, and is dropped when its client comes back. [MQTT-3.1.2-8] [MQTT-3.1.3-9]
    paho_will_delay => "paho_sessions.py" "will_delay"
    /// The properties of a PUBLISH arrive unaltered and in order. [MQTT-3.3.2-4] [MQTT-3.3.2-15] [MQTT-3.3.2-16] [MQTT-3.3.2-17] [MQTT-3.3.2-18] [MQTT-3.3.2-20]
    paho_properties_end_to_end => "paho_properties.py" "end_to_end"
    /// Request and response by response topic and correlation data. [MQTT-3.3.2-15] [MQTT-3.3.2-16]
    paho_request_response => "paho_properties.py" "request_response"
    /// Message expiry is reduced by the waiting time, and what has expired is not delivered. [MQTT-3.3.2-5] [MQTT-3.3.2-6]
    paho_message_expiry => "paho_properties.py" "message_expiry"
    /// Messages carry the identifiers of their subscriptions. [MQTT-3.3.4-3] [MQTT-3.3.4-4] [MQTT-3.3.4-5]
    paho_subscription_identifiers => "paho_properties.py" "subscription_identifiers"
    /// The client's topic aliases are understood and may be set anew. [MQTT-3.3.2-12]
    paho_topic_alias => "paho_properties.py" "topic_alias"
    /// No Local, Retain As Published, Retain Handling. [MQTT-3.8.3-3] [MQTT-3.3.1-13] [MQTT-3.3.1-9] [MQTT-3.3.1-10] [MQTT-3.3.1-11]
    paho_subscribe_options => "paho_properties.py" "subscribe_options"
    /// DISCONNECT may change the session expiry, and an expired session is gone. [MQTT-3.1.2-23] [MQTT-4.1.0-2]
    paho_session_expiry => "paho_properties.py" "session_expiry"
    /// A client without an id is given a unique one. [MQTT-3.1.3-6] [MQTT-3.1.3-7] [MQTT-3.2.2-16]
    paho_assigned_client_id => "paho_properties.py" "assigned_client_id"
    /// The members of a share divide its messages.
    paho_shared_subscription => "paho_properties.py" "shared"
}

/// The later of two clients with one id stays. [3.1.1:MQTT-3.1.4-2]
#[test]
fn paho_takeover_in_3_1_1() {
    let python = need!(foreign::python());
    let broker = Broker::start();
    python.run(broker.port(), "paho_sessions.py", &["takeover", "3.1.1"]);
}

/// The later of two clients with one id stays. [MQTT-3.1.4-3]
#[test]
fn paho_takeover_in_5() {
    not_for_mosquitto!("2.0.11 closes without DISCONNECT 0x8E");
    let python = need!(foreign::python());
    let broker = Broker::start();
    python.run(broker.port(), "paho_sessions.py", &["takeover", "5"]);
}
