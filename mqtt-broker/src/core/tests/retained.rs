//! Retained messages.

use mqtt_codec::QoS;

use super::net::Net;

fn fill(net: &mut Net, publisher: usize, count: usize, qos: QoS) {
    for number in 0..count {
        let topic = format!("many/{}/{number}", number % 100);
        let payload = number.to_string();
        let bytes = net.publish_bytes(publisher, &topic, payload.as_bytes(), qos, true, &[]);
        net.queue_bytes(publisher, &bytes);
        if number % 500 == 0 {
            // Within Receive Maximum.
            net.run();
        }
    }
    net.run();
}

/// A subscriber to `#` gets every one of 100,000 retained messages, at each QoS, with pings answered meanwhile. While they were on their
/// way nothing was read, acknowledgements included, so that a subscriber of QoS 1 waited for ever after its first window [MQTT-3.3.1-9].
#[test]
fn a_hundred_thousand_retained_messages_all_arrive() {
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
        let mut net = Net::new(2);
        let publisher = net.connect("pub");
        fill(&mut net, publisher, 100_000, qos);
        let sub = net.connect("sub");
        net.subscribe(sub, "#", qos);
        let messages = net.received(sub);
        assert_eq!(messages.len(), 100_000, "{qos:?}");
        assert!(
            messages
                .iter()
                .all(|message| message.retain && message.qos == qos)
        );
        net.publish(publisher, "after", "it reads on", qos);
        assert_eq!(net.texts(sub), ["it reads on"]);
    }
}
