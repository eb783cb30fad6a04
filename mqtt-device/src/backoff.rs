//! The pause between two dials: longer each time, and never the same for two devices.

use mqtt_session::Instant;

/// With a first pause of one to two seconds, the longest is four and a half to nine minutes.
const MOST_DOUBLINGS: u8 = 8;

/// Pauses that begin with one to two times the first, and double: a random part keeps a fleet from dialling at once when its broker comes back.
#[derive(Debug)]
pub(crate) struct Backoff {
    random: u32,
    doublings: u8,
    /// A pause has to begin, at the time of the next call: a dial may have taken minutes.
    begins: bool,
    /// When the next dial is due, or the next call.
    pub(crate) at: Instant,
}

impl Backoff {
    pub(crate) const fn new(seed: u32) -> Self {
        Self {
            random: seed,
            doublings: 0,
            begins: false,
            at: Instant::ZERO,
        }
    }

    /// A broker has answered: the next pause is the first again.
    pub(crate) const fn reset(&mut self) {
        self.doublings = 0;
    }

    /// A connection ended, or none came about.
    pub(crate) const fn begin(&mut self) {
        self.begins = true;
        self.at = Instant::ZERO;
    }

    /// Whether a pause lasts.
    pub(crate) fn pauses(&mut self, first_ms: u32, now: Instant) -> bool {
        if self.begins {
            self.wait(first_ms, now);
        }
        now < self.at
    }

    /// A pause begins; the first is a power of two.
    const fn wait(&mut self, first_ms: u32, now: Instant) {
        // A linear congruential generator (Knuth, Numerical Recipes): its high bits are the better ones.
        self.random = self
            .random
            .wrapping_mul(1_664_525)
            .wrapping_add(1_013_904_223);
        let least = first_ms << self.doublings;
        let pause = least + ((self.random >> 8) & (least - 1));
        self.at = Instant::from_millis(now.as_millis() + pause as u64);
        self.begins = false;
        if self.doublings < MOST_DOUBLINGS {
            self.doublings += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_and_differ() {
        let (mut one, mut other) = (Backoff::new(1), Backoff::new(2));
        let (mut alike, mut least) = (0, 1_024);
        for _ in 0..12 {
            one.wait(1_024, Instant::ZERO);
            other.wait(1_024, Instant::ZERO);
            let pause = one.at.as_millis();
            assert!((least..2 * least).contains(&pause), "{pause}");
            alike += u32::from(pause == other.at.as_millis());
            least = (2 * least).min(1_024 << 8);
        }
        assert_eq!(alike, 0);
        one.reset();
        one.wait(1_024, Instant::ZERO);
        assert!(one.at.as_millis() < 2_048);
    }
}
