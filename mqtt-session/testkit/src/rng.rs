//! Randomness that a seed repeats, and the loop over seeds that says which one failed.

use core::panic::AssertUnwindSafe;
use std::panic;

/// A small generator (SplitMix64): the same seed gives the same numbers on every machine.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// A generator that starts at `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    /// The next number.
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
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

/// The seed that the environment names in `MQTT_SEED`: only that is run.
#[must_use]
pub fn one_seed() -> Option<u64> {
    std::env::var("MQTT_SEED").ok()?.parse().ok()
}

/// Runs `check` for the seeds 0..`count`, or for the one that the environment names in `MQTT_SEED`; prints a seed that fails.
///
/// # Panics
/// When a check panics: with its message, after the line that repeats it.
pub fn seeds(name: &str, count: u64, mut check: impl FnMut(u64)) {
    let range = one_seed().map_or(0..count, |seed| seed..seed + 1);
    for seed in range {
        let run = panic::catch_unwind(AssertUnwindSafe(|| check(seed)));
        if let Err(cause) = run {
            eprintln!("{name}: seed {seed} fails; repeat it with MQTT_SEED={seed}");
            panic::resume_unwind(cause);
        }
    }
}
