//! Clients and servers of every kind of owner, under cuts, fragments, late commits and crashes, keep the promises of the specification.

use mqtt_testkit::rng::{asked_seeds, one_seed, these_seeds};
use mqtt_testkit::sim::Counters;
use mqtt_testkit::sim::runs::{self, ALWAYS, LATE_CLIENT, LATE_SERVER, PAIRS, STEPS};

/// Seeds in all: 400 for each pair of owners and each version.
const SEEDS: u64 = 10_800;

/// Runs the seeds of a pair, prints the counters, and checks that everything has happened that this pair can show.
fn check(pair: u64, more: &[&[&str]]) {
    let mut counters = Counters::default();
    let count = asked_seeds().unwrap_or(SEEDS);
    let seeds = one_seed().map_or(0..count, |seed| seed..seed + 1);
    let mine = seeds.filter(|seed| seed % PAIRS == pair);
    these_seeds(&runs::describe(pair), mine, |seed| {
        counters.add(&runs::run(seed, STEPS));
    });
    eprintln!(
        "{}, in every version: {} seeds, {} steps",
        runs::describe(pair),
        count / PAIRS,
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

macro_rules! pairs {
    ($($name:ident $pair:literal [$($more:expr)*];)+) => {$(
        /// QoS 1 at least once, QoS 2 exactly once, order per topic and QoS, Receive Maximum, ids, commits, acknowledged is delivered,
        /// quiescence [MQTT-4.3.2-3], [MQTT-4.3.3-10], [MQTT-4.4.0-1], [MQTT-4.6.0-1], [MQTT-4.6.0-2], [MQTT-4.6.0-3],
        /// [MQTT-4.6.0-4], [MQTT-3.3.4-7], [MQTT-3.3.4-9].
        #[test]
        fn $name() {
            check($pair, &[$(&$more),*]);
        }
    )+};
}

pairs! {
    fixed_client_and_fixed_server 0 [];
    fixed_client_and_heap_server 1 [];
    fixed_client_and_late_server 2 [LATE_SERVER];
    heap_client_and_fixed_server 3 [];
    heap_client_and_heap_server 4 [];
    heap_client_and_late_server 5 [LATE_SERVER];
    late_client_and_fixed_server 6 [LATE_CLIENT];
    late_client_and_heap_server 7 [LATE_CLIENT];
    late_client_and_late_server 8 [LATE_CLIENT LATE_SERVER];
}
