//! The only place that reads a clock.

use core::time::Duration;
use std::time;

use mqtt_session::Instant;

/// Milliseconds since the broker started, or since its store began; all workers share one origin.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    origin: time::Instant,
    /// What it showed then.
    start: u64,
}

impl Clock {
    /// Goes on from `start`.
    pub(crate) fn start_at(start: Instant) -> Self {
        Self {
            origin: time::Instant::now(),
            start: start.as_millis(),
        }
    }

    pub(crate) fn now(self) -> Instant {
        let elapsed = self.origin.elapsed().as_millis();
        let elapsed = u64::try_from(elapsed).unwrap_or(u64::MAX);
        Instant::from_millis(self.start.saturating_add(elapsed))
    }
}

/// How long to wait at `now` for `deadline`; the wait never ends before it.
pub(super) fn until(deadline: Instant, now: Instant) -> Duration {
    Duration::from_millis(deadline.millis_since(now))
}
