//! A message on its way from one client to others.

use mqtt_codec::{Connect, QoS, Version};

use super::net::Net;

const ALL: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];

/// A message of each QoS goes from one client to another, at the lower of published and granted, in every version, here and at
/// another worker [MQTT-3.8.4-8], [3.1.1:MQTT-3.8.4-6]. A QoS 2 message stood still until something else happened to its receiver,
/// because nobody looked again when its id had been committed.
#[test]
fn a_message_reaches_its_subscriber_at_the_lower_qos() {
    for workers in [1, 3] {
        for version in [Version::V31, Version::V311, Version::V5] {
            for granted in ALL {
                let mut net = Net::new(workers);
                let sub = net.connect_with(&Connect::new(version, "sub"));
                let publisher = net.connect_with(&Connect::new(version, "pub"));
                net.subscribe(sub, "a/+", granted);
                for qos in ALL {
                    net.publish(publisher, "a/b", "x", qos);
                }
                let mut seen: Vec<QoS> = net
                    .received(sub)
                    .iter()
                    .map(|message| message.qos)
                    .collect();
                seen.sort_unstable();
                let expected = ALL.map(|qos| qos.min(granted));
                assert_eq!(
                    seen, expected,
                    "{workers} workers, {version:?}, {granted:?}"
                );
                assert_eq!(net.shared.counters().queued.get(), 0);
            }
        }
    }
}
