//! The only place that reads a clock.

use core::time::Duration;
use std::time;

use mqtt_session::Instant;

/// Milliseconds since the broker started; all workers share one origin.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    origin: time::Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self {
            origin: time::Instant::now(),
        }
    }

    pub(crate) fn now(self) -> Instant {
        let elapsed = self.origin.elapsed().as_millis();
        Instant::from_millis(u64::try_from(elapsed).unwrap_or(u64::MAX))
    }
}

/// How long to wait at `now` for `deadline`; the wait never ends before it.
pub(super) fn until(deadline: Instant, now: Instant) -> Duration {
    Duration::from_millis(deadline.millis_since(now))
}
