//! TCP sockets that listen.

use core::net::SocketAddr;
use std::io;

use mio::net::TcpListener;
use socket2::{Domain, Protocol, Socket, Type};

use super::Listener;

/// Connections that the system holds until they are accepted: a fleet that comes back after a power cut is no attack.
const BACKLOG: i32 = 4096;

/// Binds and listens. An IPv6 address takes IPv6 only, so that `0.0.0.0` and `[::]` can stand side by side.
pub(super) fn bind(address: SocketAddr) -> io::Result<Listener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // On Unix this lets a restarted broker listen while old connections fade; elsewhere it would let two brokers share a port.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    adopt(socket.into())
}

/// Takes a socket that listens already.
pub(super) fn adopt(socket: std::net::TcpListener) -> io::Result<Listener> {
    socket.set_nonblocking(true)?;
    let address = socket.local_addr()?;
    Ok(Listener {
        socket: TcpListener::from_std(socket),
        address,
    })
}
