//! Devices of every kind against a server session, under cuts, fragments and full buffers, keep the promises of the specification.

use mqtt_testkit::compact::runs::{
    self, ALIASES, ALWAYS, ASKED, DEVICES, EARLY, HOLD, LARGE, LISTENS, QOS_2, STEPS, V5,
};
use mqtt_testkit::rng::{asked_seeds, one_seed, these_seeds};
use mqtt_testkit::sim::Counters;

/// Seeds in all: 400 for each device and version, of which a device has three at most.
const SEEDS: u64 = 10_800;

/// Runs the seeds of a device, prints the counters, and checks that everything has happened that this device can show.
fn check(device: u64, more: &[&[&str]]) {
    let mut counters = Counters::default();
    let count = asked_seeds().unwrap_or(SEEDS);
    let seeds = one_seed().map_or(0..count, |seed| seed..seed + 1);
    let mine = seeds.filter(|seed| seed % DEVICES == device);
    these_seeds(&runs::describe(device), mine, |seed| {
        counters.add(&runs::run(seed, STEPS));
    });
    eprintln!(
        "{}, in all its versions: {} seeds, {} steps",
        runs::describe(device),
        count / DEVICES,
        counters.count("steps")
    );
    eprint!("{}", counters.table());
    if one_seed().is_some() || asked_seeds().is_some() {
        return;
    }
    for name in [&ALWAYS[..]].iter().chain(more).copied().flatten() {
        assert!(counters.count(name) > 0, "it never happened: {name}");
    }
}

macro_rules! devices {
    ($($name:ident $device:literal [$($more:expr)*];)+) => {$(
        /// QoS 1 at least once, QoS 2 exactly once, order per topic and QoS, Receive Maximum, ids, acknowledged is delivered, quiescence
        /// [MQTT-4.3.2-3], [MQTT-4.3.3-10], [MQTT-4.4.0-1], [MQTT-4.6.0-1], [MQTT-4.6.0-2], [MQTT-4.6.0-3], [MQTT-4.6.0-4],
        /// [MQTT-3.3.4-7].
        #[test]
        fn $name() {
            check($device, &[$(&$more),*]);
        }
    )+};
}

devices! {
    a_device_with_qos_0_and_1 0 [ASKED];
    a_device_of_v3 1 [QOS_2 ASKED];
    a_device_of_v3_and_v5 2 [QOS_2 V5 LARGE ASKED];
    a_device_with_everything 3 [QOS_2 V5 LARGE ALIASES ASKED];
    a_narrow_device 4 [QOS_2 V5 LARGE ASKED];
    an_eager_device 5 [QOS_2 V5 ALIASES EARLY ASKED];
    a_patient_device 6 [QOS_2 V5 LARGE HOLD ASKED];
    an_eager_and_patient_device 7 [QOS_2 EARLY HOLD ASKED];
    a_device_that_subscribes_by_itself 8 [QOS_2 V5 LARGE ALIASES LISTENS];
}
