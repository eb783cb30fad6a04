//! Timers of connections and sessions: at most one each, and few that nobody waits for any more.

use core::cmp::Reverse;

use mqtt_session::Instant;

use super::Core;
use super::connection::Conn;
use super::ids::{ConnId, SessionKey};

/// Timers that fire in one round; the others fire in the next.
const ROUND_TIMERS: usize = 1_024;
/// Timers that nobody waits for any more, before they are thrown out.
const STALE_TIMERS: usize = 1_024;
/// A connection without keep-alive gives its tables back after so much silence, in milliseconds.
const TRIM_AFTER_MS: u64 = 60_000;

/// What a deadline was set for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Timer {
    Connection(ConnId),
    /// A session without a connection: its expiry, or its will.
    Session(SessionKey),
    Sys,
}

/// A [`Timer`] in eight bytes: every connection has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct PackedTimer(u64);

/// Generations of connections count modulo this, so that a timer fits its eight bytes.
pub(super) const CONN_GENERATIONS: u32 = 1 << 30;

impl PackedTimer {
    const KIND: u32 = 62;

    const fn new(timer: Timer) -> Self {
        let (kind, slot, generation) = match timer {
            Timer::Connection(id) => (0, id.slot, id.generation),
            Timer::Session(key) => (1, key.slot, key.generation),
            Timer::Sys => (2, 0, 0),
        };
        Self((kind << Self::KIND) | ((generation as u64) << 32) | slot as u64)
    }

    const fn unpack(self) -> Timer {
        let slot = self.0 as u32;
        let generation = (self.0 >> 32) as u32 & (CONN_GENERATIONS - 1);
        match self.0 >> Self::KIND {
            0 => Timer::Connection(ConnId { slot, generation }),
            1 => Timer::Session(SessionKey { slot, generation }),
            _ => Timer::Sys,
        }
    }
}

impl Core {
    /// When something is due without any input: [`tick`](Self::tick) then. The origin when a round is due at once.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        // What polling recorded is still to be committed: ids of QoS 2 messages that go out when that is done.
        let uncommitted = self.store.latest() > self.flushed.max(self.store.committed());
        if uncommitted || !self.touched.is_empty() || !self.effects.is_empty() {
            return Some(Instant::ZERO);
        }
        let timer = self.timers.peek().map(|Reverse((at, _))| *at);
        let expiring = self.expiring.peek().map(|Reverse((at, _))| *at);
        timer.into_iter().chain(expiring).min()
    }

    pub(super) fn set_timer(&mut self, at: Instant, timer: Timer) {
        // Timers of what has ended stay behind. They go before they outnumber the others.
        if self.timers.len() > 2 * (self.conns.len() + self.sessions.len()) + STALE_TIMERS {
            let (conns, sessions) = (&self.conns, &self.sessions);
            let mut timers = core::mem::take(&mut self.timers).into_vec();
            timers.sort_unstable();
            timers.dedup();
            timers.retain(|&Reverse((at, timer))| match timer.unpack() {
                Timer::Connection(id) => conns
                    .get(id.slot, id.generation)
                    .is_some_and(|conn| conn.armed == at),
                Timer::Session(key) => sessions
                    .get(key.slot, key.generation)
                    .and_then(|session| session.offline.as_ref()?.due())
                    .is_some_and(|due| due == at),
                Timer::Sys => true,
            });
            self.timers = timers.into();
        }
        self.timers.push(Reverse((at, PackedTimer::new(timer))));
    }

    /// Acts on what is due; when that is very much, on a part of it, and [`deadline`](Self::deadline) says that there is more.
    pub fn tick(&mut self, now: Instant) {
        self.expire_retained(ROUND_TIMERS, now);
        for _ in 0..ROUND_TIMERS {
            let Some(&Reverse((at, timer))) = self.timers.peek() else {
                break;
            };
            if at > now {
                break;
            }
            self.timers.pop();
            match timer.unpack() {
                Timer::Connection(id) => self.connection_due(id, at, now),
                Timer::Session(key) => self.session_due(key, now),
                Timer::Sys => {
                    self.publish_sys(now);
                    let next = now.plus_millis(u64::from(self.shared.settings().sys_interval_ms));
                    self.set_timer(next, Timer::Sys);
                }
            }
        }
    }

    fn connection_due(&mut self, id: ConnId, at: Instant, now: Instant) {
        let limits = &self.shared.settings().limits;
        let Some(conn) = self.conns.get_mut(id.slot, id.generation) else {
            return;
        };
        if conn.armed != at {
            // Set anew meanwhile.
            return;
        }
        conn.armed = Conn::NEVER;
        if let Err(violation) = conn.machine.timeout(now, limits) {
            conn.rare.get_or_insert_default().why = Some(violation);
            self.tally.violations += 1;
            self.touch(id);
            self.arm(id, now);
        } else {
            self.trim(id);
            // Not for trimming again, before something happens.
            if let Some(conn) = self.conns.get(id.slot, id.generation)
                && conn.machine.deadline().is_some()
            {
                self.arm(id, now);
            }
        }
    }

    /// Gives memory back when what is due has been written.
    pub(super) fn trim_soon(&mut self, id: ConnId) {
        if let Some(conn) = self.conns.get_mut(id.slot, id.generation) {
            conn.trim = true;
        }
    }

    /// Gives back the memory of what a connection does not use now.
    pub(super) fn trim(&mut self, id: ConnId) {
        if let Some(conn) = self.conns.get_mut(id.slot, id.generation) {
            conn.machine.trim();
            if let Some(key) = conn.session
                && let Some(session) = self.sessions.get_mut(key.slot, key.generation)
            {
                session.trim();
            }
        }
    }

    /// Sets the timer of a connection, unless an earlier one is set.
    pub(super) fn arm(&mut self, id: ConnId, now: Instant) {
        let Some(conn) = self.conns.get_mut(id.slot, id.generation) else {
            return;
        };
        let deadline = conn
            .machine
            .deadline()
            .unwrap_or_else(|| now.plus_millis(TRIM_AFTER_MS));
        if deadline < conn.armed {
            conn.armed = deadline;
            self.set_timer(deadline, Timer::Connection(id));
        }
    }
}
