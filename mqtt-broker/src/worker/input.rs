//! From sockets into the core: one read a connection and round, unfinished packets kept aside.

use std::io;

use super::connection::{Flag, Rest};
use super::inbox::{Arrival, Item};
use super::{Driver, End, SCRATCH};
use crate::core::{ConnId, Received};

/// A rest up to this size, in bytes, is read on behind a copy of it: cheaper than to grow it, and whole packets need no further copy.
const COPIED_REST: usize = SCRATCH / 8;
/// Buffers for unfinished packets that are kept for reuse.
const SPARE: usize = 64;
/// Only buffers up to this size are kept, in bytes.
const SPARE_BYTES: usize = 16 * 1024;

impl Driver {
    /// Goes on with a connection that was put on the list.
    pub(super) fn read_on(&mut self, conn: ConnId) {
        let Some(connection) = self.table.get(conn) else {
            return;
        };
        connection.clear(Flag::LISTED);
        if self.held {
            return self.list(conn);
        }
        if connection.is(Flag::RESUMED) {
            connection.clear(Flag::RESUMED);
            if let Some(rest) = connection.rest.take() {
                self.hand_in_rest(conn, rest);
            }
        }
        self.read(conn);
    }

    /// Puts the connection on the list of the next round.
    pub(super) fn list(&mut self, conn: ConnId) {
        if let Some(connection) = self.table.get(conn)
            && !connection.is(Flag::LISTED)
        {
            connection.set(Flag::LISTED);
            self.ready.push(conn);
        }
    }

    /// Reads once, if there may be something and the core takes it.
    pub(super) fn read(&mut self, conn: ConnId) {
        let Some(connection) = self.table.get(conn) else {
            return;
        };
        if !connection.is(Flag::READABLE) || connection.is(Flag::PAUSED) {
            return;
        }
        if connection.is(Flag::CLOSING) {
            // What comes now does not count; only the end of the peer does, if we are still waiting for it to read.
            if connection.is(Flag::HUNG_UP) && connection.is(Flag::BLOCKED) {
                self.end(conn, &End::ByClient);
            }
            return;
        }
        if self.held || self.core.has_gathered_enough() {
            self.list(conn);
            return;
        }
        let kept = connection.rest.take();
        let ahead = match &kept {
            Some(rest) if rest.bytes.len() <= COPIED_REST => {
                let (front, _) = self.scratch.split_at_mut(rest.bytes.len());
                front.copy_from_slice(&rest.bytes);
                rest.bytes.len()
            }
            _ => 0,
        };
        let Some(wire) = &mut connection.wire else {
            return;
        };
        let (_, space) = self.scratch.split_at_mut(ahead);
        let room = space.len();
        match wire.read(space) {
            Ok(0) => self.end(conn, &End::ByClient),
            Ok(n) => {
                let again = n == room || connection.is(Flag::HUNG_UP);
                if again {
                    self.list(conn);
                } else {
                    connection.clear(Flag::READABLE);
                }
                match kept {
                    Some(mut rest) if ahead == 0 => {
                        rest.bytes.extend_from_slice(self.scratch.split_at(n).0);
                        self.hand_in_rest(conn, rest);
                    }
                    kept => self.hand_in_scratch(conn, ahead + n, kept),
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                connection.clear(Flag::READABLE);
                // A report that was meant for an earlier connection of this slot.
                connection.clear(Flag::HUNG_UP);
                connection.rest = kept;
            }
            Err(error) => self.end(conn, &End::Failed(error)),
        }
    }

    /// Gives the core the first `filled` bytes of the scratch; `buffer` takes what is left of them.
    fn hand_in_scratch(&mut self, conn: ConnId, filled: usize, buffer: Option<Box<Rest>>) {
        let (bytes, _) = self.scratch.split_at(filled);
        let received = self.core.receive(conn, bytes, self.now);
        let left = match received {
            Received::More { consumed, .. } | Received::Paused { consumed } => {
                bytes.get(consumed..).unwrap_or_default()
            }
            Received::HandOver { .. } => bytes,
            Received::Closing => &[],
        };
        let rest = if left.is_empty() {
            if let Some(buffer) = buffer {
                self.put_back(buffer);
            }
            None
        } else {
            let mut rest = buffer.or_else(|| self.spare.pop()).unwrap_or_default();
            rest.bytes.clear();
            rest.bytes.extend_from_slice(left);
            Some(rest)
        };
        self.after_receive(conn, &received, rest);
    }

    /// Gives the core the bytes of `rest`.
    pub(super) fn hand_in_rest(&mut self, conn: ConnId, mut rest: Box<Rest>) {
        let received = self.core.receive(conn, &rest.bytes, self.now);
        match received {
            Received::More { consumed, .. } | Received::Paused { consumed } => {
                let consumed = consumed.min(rest.bytes.len());
                rest.bytes.drain(..consumed);
            }
            Received::HandOver { .. } => {}
            Received::Closing => rest.bytes.clear(),
        }
        let rest = if rest.bytes.is_empty() {
            self.put_back(rest);
            None
        } else {
            Some(rest)
        };
        self.after_receive(conn, &received, rest);
    }

    fn after_receive(&mut self, conn: ConnId, received: &Received, rest: Option<Box<Rest>>) {
        let Some(connection) = self.table.get(conn) else {
            return;
        };
        match *received {
            Received::More { .. } => connection.rest = rest,
            Received::Paused { .. } => {
                connection.rest = rest;
                connection.set(Flag::PAUSED);
            }
            Received::HandOver { worker } => {
                let bytes = rest.map(|rest| rest.bytes).unwrap_or_default();
                self.hand_over(conn, worker, bytes);
            }
            Received::Closing => connection.set(Flag::CLOSING),
        }
    }

    /// Keeps a buffer for the next unfinished packet, unless there are enough or it is large.
    fn put_back(&mut self, mut buffer: Box<Rest>) {
        if self.spare.len() < SPARE && buffer.bytes.capacity() <= SPARE_BYTES {
            buffer.bytes.clear();
            self.spare.push(buffer);
        }
    }

    /// Sends the connection to the worker that has its session.
    fn hand_over(&mut self, conn: ConnId, worker: u16, bytes: Vec<u8>) {
        let Some(mut wire) = self
            .table
            .remove(conn)
            .and_then(|connection| connection.wire)
        else {
            return;
        };
        self.core.closed(conn, self.now);
        let target = self.surroundings.inboxes.get(usize::from(worker));
        match (wire.deregister(&self.registry), target) {
            (Ok(()), Some(inbox)) => inbox.send(Item::Arrival(Arrival { wire, bytes })),
            (Err(error), _) => {
                tracing::warn!(%error, "a connection is lost on its way to its worker");
            }
            (Ok(()), None) => tracing::error!(worker, "there is no such worker"),
        }
    }

    /// Takes a connection from another worker.
    pub(super) fn arrive(&mut self, arrival: Arrival) {
        let Arrival { wire, bytes } = arrival;
        if self.stop.is_some() {
            return;
        }
        let peer = wire.peer();
        if let Some(conn) = self.admit(wire, peer) {
            self.hand_in_rest(conn, Box::new(Rest { bytes }));
        }
    }
}
