//! The one deadline: the handshake, the silence of the peer, our own.

use crate::limits::Limits;
use crate::link::Phase;
use crate::profile::Profile;
use crate::sealed::Quiet;
use crate::storage::Storage;
use crate::time::{Instant, millis};
use crate::violation::{Rule, Violation};

use crate::session::{Role, Session};

impl<R: Role, P: Profile, S: Storage> Session<R, P, S> {
    /// The one deadline: call [`timeout`](Self::timeout) then, or later.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        match self.link.phase {
            // An owner that never answers must not keep a connection for ever: its time is part of the handshake's.
            Phase::AwaitConnect | Phase::Deciding | Phase::AwaitAuth | Phase::AwaitConnAck => {
                Some(self.link.clock)
            }
            Phase::Connected if R::SERVER => {
                if self.link.keep_alive == 0 || self.is_paused() {
                    return None;
                }
                // One and a half times [MQTT-3.1.2-22].
                let span = millis(u32::from(self.link.keep_alive));
                Some(self.link.clock.plus_millis(span + (span >> 1)))
            }
            Phase::Connected => {
                // A ping that is due already is not due again.
                let keep_alive = match self.link.pings_due {
                    0 => self.link.keep_alive,
                    _ => 0,
                };
                R::deadline(&self.link.role, keep_alive, self.is_paused())
            }
            Phase::Closed | Phase::Accepted | Phase::Refused | Phase::Failing | Phase::Closing => {
                None
            }
        }
    }

    /// Whether the peer's silence counts for nothing, since it may be ours: its bytes are not read.
    fn is_paused(&self) -> bool {
        self.link.paused || !self.wants_input()
    }

    /// Time has passed: acts on the deadline if it has come, else does nothing.
    ///
    /// # Errors
    /// The peer was silent for too long; the connection closes as after any other violation.
    pub fn timeout(&mut self, now: Instant, limits: &Limits) -> Result<(), Violation> {
        if self.deadline().is_none_or(|deadline| deadline > now) {
            return Ok(());
        }
        let rule = match self.link.phase {
            Phase::Connected if R::SERVER => Rule::KeepAliveTimeout,
            Phase::Connected => {
                let quiet = Quiet {
                    heard: self.link.clock,
                    keep_alive: self.link.keep_alive,
                    paused: self.is_paused(),
                };
                match R::time_to_ping(&mut self.link.role, now, quiet, limits) {
                    Ok(due) => {
                        if due {
                            self.link.pings_due = 1;
                        }
                        return Ok(());
                    }
                    Err(rule) => rule,
                }
            }
            _ => {
                self.link.phase = Phase::Closing;
                return Err(Violation::Rule(Rule::ConnectTimeout));
            }
        };
        Err(self.fail(rule.into()))
    }

    /// Bytes of the peer came in, whether or not they complete a packet: it is alive.
    ///
    /// A client may also tell so that the transport took bytes of its output: a PINGREQ that waits behind a long payload is then not
    /// given up.
    pub fn heard(&mut self, now: Instant) {
        if self.link.phase == Phase::Connected {
            self.link.clock = now;
        }
    }
}
