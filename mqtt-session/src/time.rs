//! Time as the caller tells it: milliseconds from any fixed origin.

use core::fmt;

/// A point in time, in milliseconds from an origin that the owner of the clock chooses.
///
/// The state machines never read a clock: `now` comes in with every call and deadlines go out. Arithmetic saturates, and it adds and
/// compares only, so that a microcontroller without a 64-bit divider links none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// The origin.
    pub const ZERO: Self = Self(0);

    /// The instant `ms` milliseconds after the origin.
    #[must_use]
    pub const fn from_millis(ms: u64) -> Self {
        Self(ms)
    }

    /// Milliseconds since the origin.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// This instant plus `ms` milliseconds.
    #[must_use]
    pub const fn plus_millis(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// This instant plus `seconds` seconds.
    #[must_use]
    pub const fn plus_seconds(self, seconds: u32) -> Self {
        self.plus_millis(millis(seconds))
    }

    /// Milliseconds from `earlier` to this instant; 0 when `earlier` is later.
    #[must_use]
    pub const fn millis_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Whole seconds from `earlier` to this instant, rounded down; 0 when `earlier` is later.
    ///
    /// Saturates at `u32::MAX`, which is also the largest interval that MQTT can say.
    #[must_use]
    pub const fn seconds_since(self, earlier: Self) -> u32 {
        seconds(self.millis_since(earlier))
    }
}

impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ms", self.0)
    }
}

/// Seconds in milliseconds, by shifts: 1000 = 1024 − 16 − 8.
#[must_use]
pub(crate) const fn millis(seconds: u32) -> u64 {
    let s = seconds as u64;
    (s << 10) - (s << 4) - (s << 3)
}

/// Milliseconds in whole seconds, by long division over 16-bit digits: no 64-bit divider is linked.
const fn seconds(ms: u64) -> u32 {
    let digits = [
        (ms >> 48) as u32 & 0xFFFF,
        (ms >> 32) as u32 & 0xFFFF,
        (ms >> 16) as u32 & 0xFFFF,
        ms as u32 & 0xFFFF,
    ];
    let [a, b, c, d] = digits;
    let mut rest = a % 1000;
    if a / 1000 != 0 {
        return u32::MAX;
    }
    let x = (rest << 16) | b;
    rest = x % 1000;
    if x / 1000 != 0 {
        return u32::MAX;
    }
    let y = (rest << 16) | c;
    rest = y % 1000;
    let z = (rest << 16) | d;
    // `y / 1000` is below 65,536 because `rest` was below 1,000 when it was shifted.
    ((y / 1000) << 16) | (z / 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conversions_agree_with_the_plain_arithmetic() {
        for s in [
            0,
            1,
            59,
            60,
            65_535,
            65_536,
            4_294_967,
            u32::MAX - 1,
            u32::MAX,
        ] {
            assert_eq!(millis(s), u64::from(s) * 1000);
            assert_eq!(seconds(u64::from(s) * 1000), s);
            assert_eq!(seconds(u64::from(s) * 1000 + 999), s);
        }
        for ms in [
            0,
            1,
            999,
            1000,
            1001,
            65_535_999,
            65_536_000,
            u64::from(u32::MAX) * 7,
        ] {
            assert_eq!(u64::from(seconds(ms)), ms / 1000);
        }
        for (most, shift) in [(1, 48), (999, 48), (1_000, 48), (1_001, 48), (1_000, 32)] {
            assert_eq!(seconds(most << shift), u32::MAX);
        }
        assert_eq!(seconds(u64::MAX), u32::MAX);
    }

    #[test]
    fn differences_saturate() {
        let early = Instant::from_millis(5);
        let late = early.plus_seconds(3);
        assert_eq!(late.seconds_since(early), 3);
        assert_eq!(early.seconds_since(late), 0);
        assert_eq!(
            Instant::from_millis(u64::MAX).plus_seconds(9).as_millis(),
            u64::MAX
        );
    }
}
