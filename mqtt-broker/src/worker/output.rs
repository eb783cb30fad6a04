//! From the core into sockets: one write a connection and round, as long as that empties it.

use std::io::{self, IoSlice};

use super::connection::Flag;
use super::{Driver, End};
use crate::core::ConnId;

/// Pieces of one vectored write: small messages share a piece, large ones have their own.
const PIECES: usize = 32;

impl Driver {
    /// Lets the core fill the output of a connection that it has named.
    pub(super) fn poll_output(&mut self, conn: ConnId) {
        let polled = self.core.poll(conn, self.now);
        let Some(connection) = self.table.get(conn) else {
            return;
        };
        if polled.resume && connection.is(Flag::PAUSED) {
            connection.clear(Flag::PAUSED);
            connection.set(Flag::RESUMED);
            if !connection.is(Flag::LISTED) {
                connection.set(Flag::LISTED);
                self.ready.push(conn);
            }
        }
        let has_output = self
            .core
            .output(conn)
            .is_some_and(|output| !output.is_empty());
        if polled.close && !connection.is(Flag::ENDING) {
            connection.set(Flag::CLOSING);
            connection.set(Flag::ENDING);
            if has_output {
                connection.set(Flag::FAREWELL);
                self.farewells.limit(conn, self.now);
            }
        }
        if has_output || polled.close {
            self.dirty.push(conn);
        }
    }

    /// Writes the output of a connection; the core names it again when there is more than a round's share.
    pub(super) fn write(&mut self, conn: ConnId) {
        loop {
            let Some(connection) = self.table.get(conn) else {
                return;
            };
            let Some(output) = self.core.output(conn).filter(|output| !output.is_empty()) else {
                if connection.is(Flag::ENDING) {
                    self.close(conn);
                }
                return;
            };
            if connection.is(Flag::BLOCKED) {
                return;
            }
            let mut pieces = [IoSlice::new(&[]); PIECES];
            let count = output.slices(&mut pieces);
            let pieces = pieces.split_at(count.min(PIECES)).0;
            let offered: usize = pieces.iter().map(|piece| piece.len()).sum();
            let Some(wire) = &mut connection.wire else {
                return;
            };
            match wire.write(pieces) {
                Ok(n) => {
                    if n < offered {
                        // The kernel notes that we were short of room: an edge follows when there is some.
                        connection.set(Flag::BLOCKED);
                    }
                    self.core.written(conn, n);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    connection.set(Flag::BLOCKED);
                }
                Err(error) => {
                    self.end(conn, &End::Failed(error));
                    return;
                }
            }
        }
    }

    /// Ends a connection from this side, everything written.
    fn close(&mut self, conn: ConnId) {
        self.log_end(conn, &End::Closed);
        let Some(connection) = self.table.remove(conn) else {
            return;
        };
        let last_words = connection.is(Flag::FAREWELL) && !connection.is(Flag::HUNG_UP);
        self.core.closed(conn, self.now);
        self.ended_late = true;
        if let Some(wire) = connection.wire
            && last_words
        {
            self.farewells.linger(wire, &self.registry, self.now);
        }
    }
}
