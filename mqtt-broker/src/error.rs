//! Why a broker does not start, or has ended.

use core::net::SocketAddr;
use std::io;

use crate::store::StoreError;

/// A broker that did not start, or that ended by itself.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BrokerError {
    /// The text is no address, or its name has none.
    #[error(
        "`{text}` is no address to listen on: write HOST:PORT, as 127.0.0.1:1883 or [::1]:1883"
    )]
    Address {
        /// What was given.
        text: String,
        /// What the resolver said, if it was asked.
        source: Option<io::Error>,
    },
    /// Somebody else listens there.
    #[error(
        "{address} is in use: another broker (Mosquitto, perhaps) listens there; stop it, or choose another port, as in --listen {}",
        next_port(*address)
    )]
    InUse {
        /// The address.
        address: SocketAddr,
    },
    /// It is not possible to listen there.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The address can be reached from outside, and nothing checks who comes.
    #[error(
        "{address} can be reached from other machines, and nothing says who may come: name users in the section [users] of the configuration (`mqtt-broker hash-password` makes the line), or say `allow_anonymous = true` there or --allow-anonymous if everybody may publish and subscribe, or listen on 127.0.0.1"
    )]
    Anonymous {
        /// The address.
        address: SocketAddr,
    },
    /// The system refused a thread, an event queue or random numbers.
    #[error("cannot start a worker")]
    Worker {
        /// What the system said.
        source: io::Error,
    },
    /// Something was said about how the store is kept, and none is.
    #[error(
        "{what} counts with a data directory only: without one nothing is kept over a restart; say `data_dir = \"DIR\"` in the configuration or --data-dir DIR"
    )]
    NoDataDir {
        /// What was said, and where.
        what: String,
    },
    /// The store does not open.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A worker ended although nobody had asked for it; its last log line says why.
    #[error("a worker has failed")]
    Failed,
}

fn next_port(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip(), address.port().checked_add(1).unwrap_or(1883))
}
