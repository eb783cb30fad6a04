//! Time as the engine keeps it: one byte of the caller's eight.

use mqtt_session::Instant;

/// A tick is this power of two of milliseconds: 512, so that nothing is divided.
const SHIFT: u32 = 9;

/// Longest time that a step may have, in seconds.
pub(super) const MOST_SECONDS: u8 = 120;

/// A time in ticks of 512 ms, which begins again after 131 seconds.
///
/// What has been going on for so long is taken for as long as that less 131 seconds; so it is over later than it could be, but never later
/// than its own length from now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ticks(u8);

impl Ticks {
    pub(super) const ZERO: Self = Self(0);

    #[expect(
        clippy::cast_possible_truncation,
        reason = "it is meant to begin again"
    )]
    pub(super) const fn of(now: Instant) -> Self {
        Self((now.as_millis() >> SHIFT) as u8)
    }

    pub(super) const fn since(self, earlier: Self) -> u8 {
        self.0.wrapping_sub(earlier.0)
    }

    /// So many seconds, or up to half a second more.
    pub(super) const fn seconds(seconds: u8) -> u8 {
        seconds.wrapping_mul(2).wrapping_add(1)
    }

    /// When so many ticks from this time are over, for somebody who asks now; past if they are.
    pub(super) fn over(self, ticks: u8, now: Instant) -> Instant {
        let left = ticks.saturating_sub(Self::of(now).since(self));
        let tick = Instant::from_millis(now.as_millis() >> SHIFT << SHIFT);
        tick.plus_millis(u64::from(left) << SHIFT)
    }
}
