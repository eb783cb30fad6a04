//! New connections: accepted by the first worker, a bounded number a round.

use core::mem;
use std::io;

use mio::{Interest, Registry, Token};
use mqtt_session::Instant;

use super::Driver;
use super::transport::Wire;
use crate::core::{ConnId, Peer};
use crate::listener::Listener;

/// Connections that one listener gives in a round.
const ACCEPTS: usize = 64;
/// Pause after the system refused a socket, in milliseconds: without it, a process at its limit of open files would spin.
const REFUSED_PAUSE_MS: u64 = 100;
/// Tokens of listeners count down from here.
const FIRST: usize = usize::MAX - 1;

/// The listeners of a worker.
#[derive(Debug, Default)]
pub(super) struct Doors {
    doors: Vec<Door>,
    /// Not before this time, after the system refused.
    pause: Option<Instant>,
    /// The system refused the last time, and the log says so: once, not ten times a second.
    refused: bool,
}

#[derive(Debug)]
struct Door {
    listener: Listener,
    /// Somebody may be waiting.
    ready: bool,
}

impl Doors {
    pub(super) fn open(listeners: Vec<Listener>, registry: &Registry) -> io::Result<Self> {
        let mut doors = Vec::new();
        for (place, mut listener) in listeners.into_iter().enumerate() {
            registry.register(
                &mut listener.socket,
                Token(FIRST - place),
                Interest::READABLE,
            )?;
            doors.push(Door {
                listener,
                ready: true,
            });
        }
        Ok(Self {
            doors,
            ..Self::default()
        })
    }

    /// Notes that somebody waits at the door of this token, if it is one.
    pub(super) fn knock(&mut self, token: Token) -> bool {
        match self.doors.get_mut(FIRST.wrapping_sub(token.0)) {
            Some(door) => {
                door.ready = true;
                true
            }
            None => false,
        }
    }

    pub(super) fn are_ready(&self) -> bool {
        self.pause.is_none() && self.doors.iter().any(|door| door.ready)
    }

    pub(super) const fn deadline(&self) -> Option<Instant> {
        self.pause
    }

    /// Closes them all.
    pub(super) fn shut(&mut self) {
        *self = Self::default();
    }
}

impl Driver {
    /// Accepts who waits, a share of each listener.
    pub(super) fn accept(&mut self) {
        if self.doors.pause.is_some_and(|until| self.now < until) {
            return;
        }
        self.doors.pause = None;
        if !self.doors.are_ready() {
            return;
        }
        let mut doors = mem::take(&mut self.doors.doors);
        for door in doors.iter_mut().filter(|door| door.ready) {
            door.ready = self.accept_some(door);
        }
        self.doors.doors = doors;
    }

    /// Accepts a share; whether there may be more.
    fn accept_some(&mut self, door: &Door) -> bool {
        for _ in 0..ACCEPTS {
            match door.listener.socket.accept() {
                Ok((stream, from)) => match Wire::tcp(stream) {
                    Ok(wire) => {
                        if mem::take(&mut self.doors.refused) {
                            tracing::info!("accepting again");
                        }
                        let address = Some(from);
                        self.admit(wire, Peer { address });
                    }
                    Err(error) => tracing::debug!(%from, %error, "gone before it was served"),
                },
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => return false,
                    io::ErrorKind::ConnectionAborted
                    | io::ErrorKind::ConnectionReset
                    | io::ErrorKind::Interrupted => {}
                    _ => {
                        let address = door.listener.address;
                        if !mem::replace(&mut self.doors.refused, true) {
                            tracing::warn!(%address, %error, "cannot accept for now; is the limit of open files reached?");
                        }
                        self.doors.pause = Some(self.now.plus_millis(REFUSED_PAUSE_MS));
                        return true;
                    }
                },
            }
        }
        true
    }

    /// Registers a connection with the core and the kernel, if there is room for it.
    pub(super) fn admit(&mut self, mut wire: Wire, peer: Peer) -> Option<ConnId> {
        let Some(conn) = self.core.open(peer, self.now) else {
            tracing::debug!("closed at once: the limit of connections is reached");
            return None;
        };
        match wire.register(&self.registry, Token(conn.slot as usize)) {
            Ok(()) => {
                self.table.insert(conn, wire);
                Some(conn)
            }
            Err(error) => {
                tracing::warn!(%error, "a connection cannot be watched");
                self.core.closed(conn, self.now);
                None
            }
        }
    }
}
