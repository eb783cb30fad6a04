//! Randomness that a seed repeats, and the loop over seeds that says which one failed.

use core::panic::AssertUnwindSafe;
use std::panic;

/// A small generator (SplitMix64): the same seed gives the same numbers on every machine.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// A generator that starts at `seed`; neighbouring seeds have nothing in common.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        // The state walks in steps of one size: seeds must not lie on one walk.
        Self(mixed(mixed(seed.wrapping_add(STEP))))
    }

    /// The next number.
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        mixed(self.0)
    }

    /// A number from 0 to `end - 1`; 0 when `end` is 0.
    pub const fn below(&mut self, end: usize) -> usize {
        if end == 0 {
            return 0;
        }
        (self.next() % end as u64) as usize
    }

    /// Whether the one case in `n` is now.
    pub const fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

/// How far the state goes with each number.
const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

const fn mixed(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// The number that the environment gives to `name`.
fn named(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    let number = text.parse();
    Some(number.unwrap_or_else(|_| panic!("{name} is to be a number, not `{text}`")))
}

/// The seed that the environment names in `MQTT_SEED`: only that is run.
///
/// # Panics
/// When it is no number: everything would run, and the seed that was meant might not.
#[must_use]
pub fn one_seed() -> Option<u64> {
    named("MQTT_SEED")
}

/// The seeds that the environment asks for with `MQTT_SEEDS`, instead of so many as the test would run.
///
/// # Panics
/// When it is no number.
#[must_use]
pub fn asked_seeds() -> Option<u64> {
    named("MQTT_SEEDS")
}

/// Runs `check` for the seeds 0..`count`, or for the one that the environment names in `MQTT_SEED`; prints a seed that fails.
///
/// # Panics
/// When a check panics: with its message, after the line that repeats it.
pub fn seeds(name: &str, count: u64, check: impl FnMut(u64)) {
    let range = one_seed().map_or(0..count, |seed| seed..seed + 1);
    these_seeds(name, range, check);
}

/// Runs `check` for these seeds; prints one that fails.
///
/// # Panics
/// When a check panics: with its message, after the line that repeats it.
pub fn these_seeds(name: &str, seeds: impl IntoIterator<Item = u64>, mut check: impl FnMut(u64)) {
    for seed in seeds {
        let run = panic::catch_unwind(AssertUnwindSafe(|| check(seed)));
        if let Err(cause) = run {
            eprintln!("{name}: seed {seed} fails; repeat it with MQTT_SEED={seed}");
            panic::resume_unwind(cause);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The state of seed n + 1 was that of seed n after one number: thousands of seeds were one sequence, each begun one number later,
    /// and simulations over them saw a fraction of what they seemed to. It showed as bands of seeds that failed with the same message.
    #[test]
    fn seeds_do_not_share_their_numbers() {
        let numbers = |seed| {
            let mut rng = Rng::new(seed);
            core::array::from_fn::<u64, 200, _>(|_| rng.next())
        };
        let mut all: Vec<u64> = (0..200).flat_map(numbers).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 200 * 200);
    }
}
