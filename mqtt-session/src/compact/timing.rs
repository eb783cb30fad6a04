//! When something is due: an answer of the broker, a ping of ours, acknowledgements that were held back.

use mqtt_codec::PINGREQ;

use crate::time::Instant;
use crate::violation::Rule;

use super::OUT;
use super::device::Device;
use super::queue::Queue;
use super::state::{Core, Phase};

/// Milliseconds modulo 2^32: enough for the distances that a connection knows, the longest of which are the 18 hours of a keep-alive.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ticks(u32);

impl Ticks {
    pub(super) const ZERO: Self = Self(0);

    pub(super) const fn of(instant: Instant) -> Self {
        Self(instant.as_millis() as u32)
    }

    pub(super) const fn plus(self, ms: u32) -> Self {
        Self(self.0.wrapping_add(ms))
    }

    /// Milliseconds from here until then, 0 if that is past.
    const fn until(self, then: Self) -> u32 {
        let distance = then.0.wrapping_sub(self.0);
        if distance > i32::MAX as u32 {
            0
        } else {
            distance
        }
    }

    pub(super) const fn is_past(self, now: Self) -> bool {
        now.until(self) == 0
    }
}

impl<D: Device, Q: Queue> Core<'_, D, Q> {
    pub(super) fn await_answer(&mut self, now: Instant) {
        self.awaits_answer = true;
        self.answer_due = Ticks::of(now).plus(D::ANSWER_TIMEOUT_MS);
    }

    /// Bytes have come: whoever sends them lives, and PINGRESP may stand behind them.
    pub(super) fn heard(&mut self, now: Instant) {
        if self.phase == Phase::Connected {
            self.await_answer(now);
            self.awaits_answer = false;
        }
    }

    pub(super) fn deadline(&self, now: Instant) -> Option<Instant> {
        if self.phase == Phase::Closed || self.phase == Phase::Closing {
            return None;
        }
        if self.could_send() {
            // Something was queued since the last output.
            return Some(now);
        }
        let ticks = Ticks::of(now);
        let mut wait = if self.awaits_answer {
            ticks.until(self.answer_due)
        } else {
            self.until_ping(ticks)
        };
        if D::HOLD_MS > 0 && self.out_len > 0 {
            wait = wait.min(ticks.until(self.held));
        }
        (wait != u32::MAX).then(|| now.plus_millis(u64::from(wait)))
    }

    /// Something was sent that the broker has to answer.
    fn is_owed(&self) -> bool {
        let oldest = self.queue.get(self.queue.start());
        oldest.is_some_and(|record| self.was_sent(record))
    }

    /// Bytes were written; the time for an answer begins when none was due.
    pub(super) fn has_sent(&mut self) {
        if !self.awaits_answer && !self.is_owed() {
            self.answer_due = self.sent.plus(D::ANSWER_TIMEOUT_MS);
        }
    }

    /// How long until the broker is asked for a sign of life: when the next packet must have been sent [MQTT-3.1.2-20], or when nothing
    /// has come though an answer is due.
    fn until_ping(&self, now: Ticks) -> u32 {
        let mut wait = u32::MAX;
        if self.keep_alive != 0 {
            wait = now.until(self.sent.plus(u32::from(self.keep_alive) * 1_000));
        }
        if self.is_owed() {
            wait = wait.min(now.until(self.answer_due));
        }
        wait
    }

    pub(super) fn timeout(&mut self, now: Instant) {
        let ticks = Ticks::of(now);
        if self.awaits_answer {
            if self.answer_due.is_past(ticks) {
                let rule = if self.phase == Phase::Connected {
                    Rule::PingTimeout
                } else {
                    Rule::ConnectTimeout
                };
                self.broken(rule);
                self.break_off();
            }
        } else if self.phase == Phase::Connected && self.until_ping(ticks) == 0 {
            // Several may wait for a transport that takes nothing, but not all room for DISCONNECT.
            if self.out_len <= OUT {
                self.answer(&PINGREQ);
            }
            self.held = ticks;
            self.await_answer(now);
        }
    }
}
