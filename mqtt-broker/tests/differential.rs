//! Random traces of several clients against our broker and Mosquitto at once; every difference must be one that is judged in
//! `differential/judge.rs`.
//!
//! * `MQTT_SEED=n` repeats one trace, `MQTT_SEEDS=n` runs so many.

#[path = "differential/generate.rs"]
mod generate;
#[path = "differential/judge.rs"]
mod judge;
#[path = "differential/opinion.rs"]
mod opinion;
#[path = "differential/past.rs"]
mod past;
#[path = "differential/play.rs"]
mod play;
#[path = "differential/rules/mod.rs"]
mod rules;
#[path = "differential/run.rs"]
mod run;
mod support;
#[path = "differential/trace.rs"]
mod trace;
#[path = "differential/view.rs"]
mod view;

use crate::play::{Brokers, Tally};
use crate::support::{foreign, need};

/// Traces of the ordinary run: about 20 seconds.
const SEEDS: u64 = 250;
/// Traces of the long run.
const MANY: u64 = 2_000;

/// Our broker and Mosquitto 2.0.11 do the same, or differ as is judged.
#[test]
fn our_broker_and_mosquitto_differ_only_as_judged() {
    need!(foreign::mosquitto_broker());
    compare(SEEDS);
}

/// The same for many more traces, among which every rule has its case.
#[test]
#[ignore = "minutes: `cargo xtask test --full`"]
fn many_traces_differ_only_as_judged() {
    need!(foreign::mosquitto_broker());
    let tally = compare(MANY);
    let never = tally.never();
    assert!(
        tally.traces() < MANY || never.is_empty(),
        "rules that explained nothing: {never:?}"
    );
}

fn compare(seeds: u64) -> Tally {
    let count = std::env::var("MQTT_SEEDS").ok();
    let count = count.map_or(seeds, |n| n.parse().expect("MQTT_SEEDS is a number"));
    let seeds = mqtt_testkit::rng::one_seed().map_or(0..count, |seed| seed..seed + 1);
    let tally = Brokers::start().compare(seeds);
    eprintln!("{tally}");
    tally
}

/// The table of judged differences in the README is that of the rules. To mend it: paste what the failure shows.
#[test]
fn the_readme_lists_the_judged_differences() {
    let table = judge::table();
    let readme = include_str!("README.md");
    assert!(
        readme.contains(&table),
        "tests/README.md should have this table:\n{table}"
    );
}
