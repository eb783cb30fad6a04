//! The broker's store on a simulated disk, under the simulation of the whole broker: whatever the power, the process and the disk do, the
//! store opens, and everything that was acknowledged is there. The power is cut at every sync, and in some turns at every call.
//!
//! `MQTT_SEED=n` repeats one seed, `MQTT_SEEDS=n` runs so many in each half, `MQTT_TRACE=1` tells every packet.

use mqtt_testkit::broker::{INTERESTING_STORED, run_stored};
use mqtt_testkit::rng::{asked_seeds, one_seed, these_seeds};
use mqtt_testkit::sim::Counters;

/// Traces of an ordinary run, and of a long one, in each half.
const SEEDS: u64 = 500;
const MANY_SEEDS: u64 = 5_000;
const STEPS: u32 = 150;

/// Runs every second seed.
fn half(which: u64, count: u64) {
    let mut counters = Counters::default();
    let count = asked_seeds().unwrap_or(count);
    let seeds = one_seed().map_or(0..2 * count, |seed| seed..seed + 1);
    let mine = seeds.filter(|seed| seed % 2 == which);
    these_seeds("broker store", mine, |seed| {
        counters.add(&run_stored(seed, STEPS));
    });
    eprint!("{}", counters.table());
    if one_seed().is_some() || count < SEEDS {
        return;
    }
    for name in INTERESTING_STORED {
        assert!(counters.count(name) > 0, "it never happened: {name}");
    }
}

#[test]
fn even_traces_lose_nothing_that_was_acknowledged() {
    half(0, SEEDS);
}

#[test]
fn odd_traces_lose_nothing_that_was_acknowledged() {
    half(1, SEEDS);
}

#[test]
#[ignore = "minutes: `cargo xtask test --full`"]
fn many_even_traces_lose_nothing_that_was_acknowledged() {
    half(0, MANY_SEEDS);
}

#[test]
#[ignore = "minutes: `cargo xtask test --full`"]
fn many_odd_traces_lose_nothing_that_was_acknowledged() {
    half(1, MANY_SEEDS);
}
