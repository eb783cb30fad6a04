//! Randomness that a seed repeats: every decision of a run comes from here.

use core::time::Duration;

/// A small generator (SplitMix64): the same seed gives the same numbers on every machine.
#[derive(Clone, Debug)]
pub(crate) struct Rng(u64);

/// How far the state goes with each number.
const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

const fn mixed(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

impl Rng {
    /// The generator for one purpose: what others draw, and how often, changes nothing here.
    pub(crate) fn of(seed: u64, purpose: &[u64]) -> Self {
        let fold = |state, part: &u64| mixed(mixed(state) ^ part.wrapping_add(STEP));
        Self(purpose.iter().fold(mixed(seed.wrapping_add(STEP)), fold))
    }

    /// The next number.
    pub(crate) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        mixed(self.0)
    }

    /// A number from 0 to `end - 1`; 0 when `end` is 0.
    pub(crate) const fn below(&mut self, end: u64) -> u64 {
        if end == 0 { 0 } else { self.next() % end }
    }

    /// Whether the one case in `n` is now.
    pub(crate) const fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// A time shorter than `end`, in whole microseconds.
    pub(crate) fn shorter_than(&mut self, end: Duration) -> Duration {
        let micros = u64::try_from(end.as_micros()).unwrap_or(u64::MAX);
        Duration::from_micros(self.below(micros))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn purposes_have_nothing_in_common_and_repeat() {
        let draw = |purpose: &[u64]| Rng::of(7, purpose).next();
        assert_eq!(draw(&[1, 2]), draw(&[1, 2]));
        assert_ne!(draw(&[1, 2]), draw(&[2, 1]));
        assert_ne!(draw(&[1]), Rng::of(8, &[1]).next());
    }
}
