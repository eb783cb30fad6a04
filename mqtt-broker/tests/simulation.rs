//! The whole broker core under seeded cuts, fragments, delays, take-overs and late commits keeps the promises of the specification.
//!
//! `MQTT_SEED=n` repeats one seed, `MQTT_SEEDS=n` runs so many in each half, `MQTT_TRACE=1` tells every packet.

use mqtt_testkit::broker::{INTERESTING, run};
use mqtt_testkit::rng::{asked_seeds, one_seed, seeds};
use mqtt_testkit::sim::Counters;

const SEEDS: u64 = 5_000;
const STEPS: u32 = 200;

/// Runs every second seed.
fn half(which: u64) {
    let count = asked_seeds().unwrap_or(SEEDS);
    let mut counters = Counters::default();
    seeds("broker core", 2 * count, |seed| {
        if seed % 2 == which {
            counters.add(&run(seed, STEPS));
        }
    });
    eprint!("{}", counters.table());
    if one_seed().is_some() || count < SEEDS {
        return;
    }
    for name in INTERESTING {
        assert!(counters.count(name) > 0, "it never happened: {name}");
    }
}

#[test]
fn even_seeds_keep_every_promise() {
    half(0);
}

#[test]
fn odd_seeds_keep_every_promise() {
    half(1);
}
