//! Devices of every kind with their ring in RAM against a server session keep the promises of the specification, whatever happens on the
//! line.

use mqtt_device::Ring;
use mqtt_testkit::compact::runs::{self, STEPS};
use mqtt_testkit::rng::{asked_seeds, seeds};
use mqtt_testkit::sim::Counters;

/// QoS 1 at least once, QoS 2 exactly once, in order, nothing lost [MQTT-4.3.2-3], [MQTT-4.3.3-10], [MQTT-4.4.0-1], [MQTT-4.6.0-1].
///
/// The memory of the rings is never given back: a few hundred bytes each.
#[test]
fn a_ring_keeps_what_devices_promise() {
    let mut counters = Counters::default();
    seeds(
        "devices with a ring",
        asked_seeds().unwrap_or(2_000),
        |seed| {
            counters.add(&runs::run_with(seed, STEPS, |rng| {
                Ring::new(vec![0xA5; 60 + rng.below(600)].leak())
            }));
        },
    );
    eprint!("{}", counters.table());
    for name in [
        "PUBLISH replayed",
        "PUBREL replayed",
        "queue full",
        "window full",
    ] {
        assert!(counters.count(name) > 0, "it never happened: {name}");
    }
}
