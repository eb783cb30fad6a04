//! Inputs that fuzzing found worth keeping, replayed; and a short run over random ones.

use mqtt_testkit::fuzz::{TARGETS, random_input};
use mqtt_testkit::rng::seeds;

/// Random inputs are judged like those of a fuzzer; more than a few of them get somewhere.
#[test]
fn random_inputs_find_nothing() {
    for target in TARGETS {
        let mut decode = 0;
        seeds(target.name, 3_000, |seed| {
            let input = random_input(seed, 300);
            decode += u64::from((target.run)(&input).decodes);
        });
        eprintln!("{}: {decode} of 3000 random inputs decode", target.name);
    }
}
