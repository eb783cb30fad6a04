//! How connections end, and the log line that says so.

use std::io;

use super::Driver;
use crate::core::ConnId;

/// What ended a connection.
#[derive(Debug)]
pub(super) enum End {
    /// The client closed its socket.
    ByClient,
    /// The socket failed.
    Failed(io::Error),
    /// This side closed, as the core wished.
    Closed,
    /// The client did not take its last packet in time.
    Unread,
}

impl Driver {
    /// The transport of this connection is gone.
    pub(super) fn end(&mut self, conn: ConnId, end: &End) {
        self.log_end(conn, end);
        if self.table.remove(conn).is_some() {
            self.core.closed(conn, self.now);
            self.ended_late = true;
        }
    }

    /// Tells an operator who left, and why; call it while core and table still know the connection.
    pub(super) fn log_end(&mut self, conn: ConnId, end: &End) {
        if !tracing::enabled!(tracing::Level::INFO) {
            return;
        }
        let Some(wire) = self
            .table
            .get(conn)
            .and_then(|connection| connection.wire.as_ref())
        else {
            return;
        };
        let address = wire.peer().address;
        let address = address.map_or_else(String::new, |address| address.to_string());
        let client = self.core.client_id(conn).unwrap_or_default();
        if let Some((violation, version)) = self.core.why(conn) {
            let reason = violation.in_words_of(version);
            tracing::info!(client, address, %reason, "closed");
            return;
        }
        match end {
            End::ByClient => tracing::info!(client, address, "closed by the client"),
            End::Failed(error) => tracing::info!(client, address, %error, "connection lost"),
            End::Closed => tracing::info!(client, address, "disconnected"),
            End::Unread => tracing::info!(client, address, "closed: its last packet was not read"),
        }
    }
}
