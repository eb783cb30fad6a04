//! Clients and servers of every kind of owner, under cuts, fragments, late commits and crashes, keep the promises of the specification.

use mqtt_codec::Version;
use mqtt_testkit::owners::{Heaped, Kind, Small, Stored};
use mqtt_testkit::rng::{one_seed, seeds};
use mqtt_testkit::sim::{Counters, Sim};

/// Runs `count` seeds for each version.
fn run<C: Kind, S: Kind>(count: u64, steps: u32) -> Counters {
    let mut counters = Counters::default();
    for version in [Version::V31, Version::V311, Version::V5] {
        let name = format!("{} client, {} server, MQTT {version}", C::NAME, S::NAME);
        seeds(&name, count, |seed| {
            let mut sim = Sim::<C, S>::new(seed, version);
            sim.run(steps);
            counters.add(&sim.counters);
        });
    }
    counters
}

/// Runs every version, prints the counters, and checks that every interesting thing has happened that this pair can show.
fn check<C: Kind, S: Kind>(more: &[&str]) {
    let counters = run::<C, S>(300, 1_000);
    eprint!("{}", counters.table());
    if one_seed().is_some() {
        return;
    }
    let always = [
        "PINGREQ",
        "PUBLISH replayed",
        "PUBREL replayed",
        "alias evicted",
        "connected without a session",
        "cut",
        "cut inside a packet",
        "cut inside a payload",
        "dropped message released",
        "expired",
        "id wrapped",
        "ids turned back",
        "not reading",
        "output full",
        "payload in parts",
        "refused",
        "repetition not delivered",
        "resumed with a session",
        "timed out",
        "too large",
        "window full",
    ];
    for name in always.iter().chain(more) {
        assert!(counters.count(name) > 0, "it never happened: {name}");
    }
}

macro_rules! pairs {
    ($($name:ident $client:ident $server:ident [$($more:literal)*];)+) => {$(
        /// QoS 1 at least once, QoS 2 exactly once, order per topic and QoS, Receive Maximum, ids, commits, acknowledged is delivered,
        /// quiescence [MQTT-4.3.2-3], [MQTT-4.3.3-10], [MQTT-4.4.0-1], [MQTT-4.6.0-1], [MQTT-4.6.0-2], [MQTT-4.6.0-3],
        /// [MQTT-3.3.4-7], [MQTT-3.3.4-9].
        #[test]
        fn $name() {
            check::<$client, $server>(&[$($more),*]);
        }
    )+};
}

pairs! {
    fixed_client_and_fixed_server Small Small [];
    fixed_client_and_heap_server Small Heaped [];
    fixed_client_and_late_server Small Stored ["server crashed" "idle before a commit"];
    heap_client_and_fixed_server Heaped Small [];
    heap_client_and_heap_server Heaped Heaped [];
    heap_client_and_late_server Heaped Stored ["server crashed" "idle before a commit"];
    late_client_and_fixed_server Stored Small ["client crashed" "idle before a commit"];
    late_client_and_heap_server Stored Heaped ["client crashed" "idle before a commit"];
    late_client_and_late_server Stored Stored ["client crashed" "server crashed" "idle before a commit"];
}
