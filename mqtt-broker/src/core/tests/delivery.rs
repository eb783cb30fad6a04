//! A message on its way from one client to others.

use mqtt_codec::{Connect, Delivery, Packet, Properties, Property, Publish, QoS, Version};

use super::net::Net;
use crate::core::{Effect, Received};

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

/// A QoS 0 message that came late from another worker was sent after its life had ended, with nothing left of it: "0 seconds". The
/// simulation of the broker core found it [MQTT-3.3.2-5].
#[test]
fn a_qos_0_message_that_another_worker_brings_late_is_not_sent_after_its_end() {
    let mut net = Net::new(2);
    let names: Vec<String> = (0..9).map(|n| format!("c{n}")).collect();
    let home = |name: &&String| net.shared.home(name);
    let here = names.iter().find(|name| home(name) == 0).unwrap();
    let there = names.iter().find(|name| home(name) == 1).unwrap();
    let publisher = net.connect(here);
    let sub = net.connect(there);
    net.subscribe(sub, "t", QoS::AtMostOnce);
    for (late_ms, expected) in [(1_000, vec!["x"]), (2_000, vec![])] {
        let packet = Packet::Publish(Publish {
            dup: false,
            retain: false,
            delivery: Delivery::AtMostOnce,
            topic: "t",
            properties: Properties::List(&[Property::MessageExpiryInterval(2)]),
            payload: b"x",
        });
        let bytes = net.bytes_of(publisher, &packet);
        let (worker, conn) = net.place(publisher);
        let received = net.cores[worker].receive(conn, &bytes, net.now);
        assert!(matches!(received, Received::More { .. }));
        net.cores[worker].commit();
        let effects: Vec<Effect> = net.cores[worker].effects().collect();
        while let Some(conn) = net.cores[worker].next_touched() {
            let _ = net.cores[worker].poll(conn, net.now);
        }
        net.advance(late_ms);
        for effect in effects {
            let Effect::ToWorker { worker, batch } = effect else {
                panic!("{effect:?}");
            };
            net.cores[usize::from(worker)].inbox(batch, net.now);
        }
        net.run();
        assert_eq!(net.texts(sub), expected, "{late_ms} ms late");
    }
    assert_eq!(net.shared.counters().expired.get(), 1);
}
