//! The layer between the socket and the core: where encryption and framing go.

use core::net::SocketAddr;
use std::io::{self, IoSlice, Read, Write};
use std::net::Shutdown;

use mio::event::Source;
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

use crate::core::Peer;

/// A connection as bytes of MQTT.
///
/// Plain TCP now. TLS and WebSocket are further variants, boxed, which hold their own state and unfinished frames: `read` gives
/// decrypted and unframed bytes, `write` takes plain ones, and the rounds of the worker stay as they are.
#[derive(Debug)]
pub(super) enum Wire {
    /// The bytes of the socket are MQTT.
    Tcp(TcpStream),
}

impl Wire {
    /// Takes an accepted socket. Small packets leave at once: rounds do the batching, not the kernel.
    pub(super) fn tcp(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self::Tcp(stream))
    }

    /// Registers for everything, once and for all: readiness comes as edges.
    pub(super) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        let Self::Tcp(stream) = self;
        stream.register(registry, token, Interest::READABLE | Interest::WRITABLE)
    }

    /// Changes the token.
    pub(super) fn reregister(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        let Self::Tcp(stream) = self;
        stream.reregister(registry, token, Interest::READABLE | Interest::WRITABLE)
    }

    /// Prepares for another worker's registry; a socket that is closed instead leaves by itself.
    pub(super) fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        let Self::Tcp(stream) = self;
        stream.deregister(registry)
    }

    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Self::Tcp(stream) = self;
        loop {
            match stream.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return other,
            }
        }
    }

    pub(super) fn write(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let Self::Tcp(stream) = self;
        loop {
            let written = match slices {
                [slice] => stream.write(slice),
                slices => stream.write_vectored(slices),
            };
            match written {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return other,
            }
        }
    }

    /// Says that nothing more will be written.
    pub(super) fn finish(&self) -> io::Result<()> {
        let Self::Tcp(stream) = self;
        stream.shutdown(Shutdown::Write)
    }

    pub(super) fn peer(&self) -> Peer {
        let Self::Tcp(stream) = self;
        let address: Option<SocketAddr> = stream.peer_addr().ok();
        Peer { address }
    }
}
