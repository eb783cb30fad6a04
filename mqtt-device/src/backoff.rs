//! The pause between two dials: longer each time, and never the same for two devices.

use mqtt_session::Instant;
use mqtt_session::compact::Event;

/// With a first pause of one to two seconds, the longest is four and a half to nine minutes.
const MOST_DOUBLINGS: u8 = 8;

/// Pauses that begin with one to two times the first, and double: a random part keeps a fleet from dialling at once when its broker comes back.
#[derive(Debug)]
pub(crate) struct Backoff {
    random: u32,
    /// When the next dial is due, or what is left must have been written: milliseconds modulo 2^32.
    at: u32,
    doublings: u8,
    /// A pause has to begin, at the time of the next call: a dial may have taken minutes.
    begins: bool,
    /// A connection was opened, and CONNECT is for the next call.
    pub(crate) dialled: bool,
}

impl Backoff {
    pub(crate) const fn new(seed: u32) -> Self {
        Self {
            random: seed,
            at: 0,
            doublings: 0,
            begins: false,
            dialled: false,
        }
    }

    /// The connection was worth its dial: the next pause is the first again.
    pub(crate) const fn reset(&mut self) {
        self.doublings = 0;
    }

    /// This has come on a connection. To accept one is no service, for the broker may close it at once, and a subscription may be made again
    /// on each: the pauses go on until something has gone through, or a ping come back.
    #[inline(always)]
    pub(crate) const fn saw(&mut self, event: &Event) {
        let served = !matches!(
            event,
            Event::Waiting
                | Event::Connected { .. }
                | Event::Refused(_)
                | Event::Subscribed(..)
                | Event::Unsubscribed(_)
                | Event::Disconnected(_)
                | Event::Broken
        );
        if served || cfg!(mutation = "device-pause-forgotten") {
            self.reset();
        }
    }

    /// A connection ended, or none came about.
    pub(crate) const fn begin(&mut self) {
        self.begins = true;
    }

    /// How long the pause lasts, if one does; the first is a power of two. None lasts longer than the longest, whenever it is asked for.
    pub(crate) fn pause(&mut self, first_ms: u32, now: Instant) -> u32 {
        if self.begins {
            self.wait(first_ms, now);
        }
        let left = self.left(now);
        // Before the first there is none.
        if self.doublings > 0 && left >> (MOST_DOUBLINGS + 1) < first_ms {
            left
        } else {
            0
        }
    }

    /// The time that is left begins.
    pub(crate) const fn set(&mut self, ms: u32, now: Instant) {
        self.at = (now.as_millis() as u32).wrapping_add(ms);
        self.begins = false;
    }

    /// Milliseconds that are left.
    pub(crate) const fn left(&self, now: Instant) -> u32 {
        let left = self.at.wrapping_sub(now.as_millis() as u32);
        if self.begins || left > i32::MAX as u32 {
            0
        } else {
            left
        }
    }

    const fn wait(&mut self, first_ms: u32, now: Instant) {
        // A linear congruential generator (Knuth, Numerical Recipes): its high bits are the better ones.
        self.random = self
            .random
            .wrapping_mul(1_664_525)
            .wrapping_add(1_013_904_223);
        let least = first_ms << self.doublings;
        let pause = least + ((self.random >> 8) & (least - 1));
        self.set(pause, now);
        if self.doublings < MOST_DOUBLINGS {
            self.doublings += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: u64 = u32::MAX as u64 - 3_000;

    fn next(backoff: &mut Backoff) -> u32 {
        backoff.begin();
        assert_eq!(
            backoff.left(Instant::from_millis(START)),
            0,
            "a call is due"
        );
        backoff.pause(1_024, Instant::from_millis(START))
    }

    #[test]
    fn pauses_double_and_differ() {
        let (mut one, mut other) = (Backoff::new(1), Backoff::new(2));
        let (mut alike, mut least) = (0, 1_024);
        for _ in 0..12 {
            let (pause, another) = (next(&mut one), next(&mut other));
            assert!((least..2 * least).contains(&pause), "{pause}");
            alike += u32::from(pause == another);
            least = (2 * least).min(1_024 << 8);
        }
        assert_eq!(alike, 0);
        one.reset();
        assert!(next(&mut one) < 2_048);
    }

    /// Over the end of 32 bits, too, and for a caller who comes back after weeks.
    #[test]
    fn a_pause_ends() {
        let mut backoff = Backoff::new(1);
        assert_eq!(backoff.pause(1_024, Instant::from_millis(START)), 0);
        let pause = u64::from(next(&mut backoff));
        for (later, left) in [(1, pause - 1), (pause - 1, 1), (pause, 0), (pause + 1, 0)] {
            let now = Instant::from_millis(START + later);
            assert_eq!(u64::from(backoff.pause(1_024, now)), left, "{later}");
        }
        for weeks in 1..10 {
            let now = Instant::from_millis(START + weeks * 604_800_000);
            assert_eq!(backoff.pause(1_024, now), 0, "{weeks}");
        }
    }
}
