//! Points in time as people write them.

use core::fmt;
use core::str::FromStr;
use core::time::Duration;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// A point in time: milliseconds of the Unix epoch. As text it is RFC 3339 in UTC, `2026-11-30T15:04:05.000Z`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Time(u64);

impl Time {
    /// The last millisecond that has a text, that of the year 9999; what is later is that.
    pub const MAX: Self = Self(253_402_300_799_999);

    /// Milliseconds of the Unix epoch; no later than [`MAX`](Self::MAX).
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        if millis < Self::MAX.0 {
            Self(millis)
        } else {
            Self::MAX
        }
    }

    /// Seconds of the Unix epoch.
    #[must_use]
    pub const fn from_seconds(seconds: u64) -> Self {
        Self::from_millis(seconds.saturating_mul(1000))
    }

    /// Milliseconds of the Unix epoch.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// What the clock of this machine says; the epoch, when it stands before that.
    #[must_use]
    pub fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let millis = since.unwrap_or_default().as_millis();
        Self::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_rfc3339_millis(UNIX_EPOCH + Duration::from_millis(self.0)).fmt(f)
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is no [`Time`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a time such as \"2026-11-30T15:04:05.000Z\", from 1970 on and in UTC")]
pub struct NoTime(Box<str>);

impl FromStr for Time {
    type Err = NoTime;

    fn from_str(text: &str) -> Result<Self, NoTime> {
        let time = humantime::parse_rfc3339(text).ok();
        time.and_then(|time| time.duration_since(UNIX_EPOCH).ok())
            .and_then(|since| u64::try_from(since.as_millis()).ok())
            .map(Self::from_millis)
            .ok_or_else(|| NoTime(text.into()))
    }
}

impl TryFrom<String> for Time {
    type Error = NoTime;

    fn try_from(text: String) -> Result<Self, NoTime> {
        text.parse()
    }
}

impl From<Time> for String {
    fn from(time: Time) -> Self {
        time.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_in_utc_with_milliseconds() {
        assert_eq!(Time::from_millis(0).to_string(), "1970-01-01T00:00:00.000Z");
        let time = Time::from_millis(1_796_051_001_234);
        assert_eq!(time.to_string(), "2026-11-30T15:03:21.234Z");
        assert_eq!("2026-11-30T15:03:21.234Z".parse(), Ok(time));
        assert_eq!(
            "2026-11-30T15:03:21Z".parse(),
            Ok(Time::from_seconds(1_796_051_001))
        );
        assert_eq!(Time::from_seconds(u64::MAX), Time::MAX);
        assert_eq!(Time::MAX.to_string(), "9999-12-31T23:59:59.999Z");
        assert_eq!(Time::MAX.to_string().parse(), Ok(Time::MAX));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "tomorrow",
            "2026-11-30",
            "2026-13-30T15:04:05Z",
            "1969-12-31T23:59:59Z",
            "2026-11-30T15:04:05+01:00",
            "-2026-11-30T15:04:05Z",
        ] {
            assert!(text.parse::<Time>().is_err(), "{text:?}");
        }
    }
}
