//! Tests of the core as its driver sees it: bytes in, bytes out, virtual time.

mod net;

use mqtt_codec::QoS;
use net::Net;

/// A message of each QoS goes from one client to another, at the lower of published and granted [MQTT-3.8.4-8].
#[test]
fn a_message_reaches_its_subscriber_at_the_lower_qos() {
    for workers in [1, 3] {
        let mut net = Net::new(workers);
        let sub = net.connect("sub");
        let publisher = net.connect("pub");
        net.subscribe(sub, "a/+", QoS::AtLeastOnce);
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
            net.publish(publisher, "a/b", "x", qos);
        }
        let mut seen: Vec<QoS> = net
            .received(sub)
            .iter()
            .map(|message| message.qos)
            .collect();
        seen.sort_unstable();
        assert_eq!(
            seen,
            [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::AtLeastOnce],
            "{workers} workers"
        );
    }
}
