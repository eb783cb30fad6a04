//! When to try again after a connection was lost or could not be made.

use core::time::Duration;

use mqtt_codec::ReasonCode;

use crate::error::ConnectionError;

/// How long to wait between attempts to connect: doubling from [`min`](Self::min) to [`max`](Self::max), with jitter.
///
/// A wait is drawn evenly from the upper half of the present span, so that a thousand clients that lost the same broker do not
/// come back in the same instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reconnect {
    min: Duration,
    max: Duration,
    attempts: Option<u32>,
}

impl Default for Reconnect {
    /// For ever, between 0.5 seconds and one minute.
    fn default() -> Self {
        Self {
            min: Duration::from_millis(500),
            max: Duration::from_secs(60),
            attempts: None,
        }
    }
}

impl Reconnect {
    /// Never: the client ends when its connection does.
    #[must_use]
    pub fn never() -> Self {
        Self::default().attempts(0)
    }

    /// The first span; default 0.5 seconds.
    #[must_use]
    pub const fn min(mut self, span: Duration) -> Self {
        self.min = span;
        self
    }

    /// The longest span; default one minute. Never below the first one.
    #[must_use]
    pub const fn max(mut self, span: Duration) -> Self {
        self.max = span;
        self
    }

    /// Attempts in a row that may fail; default no limit. A connection that comes about starts the count again.
    #[must_use]
    pub const fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = Some(attempts);
        self
    }

    /// The wait before attempt number `attempt`, counted from 0 since the last connection; `None` when there is to be none.
    pub(crate) fn delay(&self, attempt: u32, random: u64) -> Option<Duration> {
        if self.attempts.is_some_and(|most| attempt >= most) {
            return None;
        }
        let span = self
            .min
            .saturating_mul(1_u32.checked_shl(attempt).unwrap_or(u32::MAX))
            .min(self.max.max(self.min));
        let half = span / 2;
        let nanos = u64::try_from(half.as_nanos()).unwrap_or(u64::MAX);
        Some(half + Duration::from_nanos(random % nanos.saturating_add(1)))
    }
}

/// Whether trying again would only fail again, or take the session away from whoever has it now.
pub(crate) fn is_final(error: &ConnectionError) -> bool {
    match error {
        ConnectionError::Refused { reason, .. } | ConnectionError::Disconnected { reason, .. } => {
            matches!(
                *reason,
                ReasonCode::UNSUPPORTED_PROTOCOL_VERSION
                    | ReasonCode::CLIENT_IDENTIFIER_NOT_VALID
                    | ReasonCode::BAD_USER_NAME_OR_PASSWORD
                    | ReasonCode::NOT_AUTHORIZED
                    | ReasonCode::BANNED
                    | ReasonCode::BAD_AUTHENTICATION_METHOD
                    | ReasonCode::SESSION_TAKEN_OVER
                    | ReasonCode::ADMINISTRATIVE_ACTION
                    | ReasonCode::SERVER_MOVED
            )
        }
        ConnectionError::Options(_) => true,
        ConnectionError::Connect { .. }
        | ConnectionError::TimedOut { .. }
        | ConnectionError::Ended
        | ConnectionError::Io(_)
        | ConnectionError::Violation(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_double_up_to_the_longest_and_jitter_takes_at_most_half() {
        let policy = Reconnect::default()
            .min(Duration::from_secs(1))
            .max(Duration::from_secs(5));
        for (attempt, span) in [(0, 1), (1, 2), (2, 4), (3, 5), (60, 5)] {
            let span = Duration::from_secs(span);
            for random in [0, 1, u64::MAX / 3, u64::MAX] {
                let delay = policy.delay(attempt, random).unwrap();
                assert!(delay >= span / 2 && delay <= span, "{attempt}: {delay:?}");
            }
        }
    }

    #[test]
    fn attempts_are_counted() {
        assert_eq!(Reconnect::never().delay(0, 0), None);
        let twice = Reconnect::default().attempts(2);
        assert!(twice.delay(1, 7).is_some());
        assert_eq!(twice.delay(2, 7), None);
    }

    #[test]
    fn a_client_whose_session_was_taken_over_does_not_take_it_back() {
        let error = |reason| ConnectionError::Disconnected {
            reason,
            text: None,
            server_reference: None,
        };
        assert!(is_final(&error(ReasonCode::SESSION_TAKEN_OVER)));
        assert!(!is_final(&error(ReasonCode::SERVER_SHUTTING_DOWN)));
        assert!(!is_final(&ConnectionError::Ended));
    }
}
