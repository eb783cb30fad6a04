//! One connection: a socket that never blocks, what came and is no whole packet yet, and what is still to be written.

use core::net::SocketAddr;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::Shutdown;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

/// A connection to the broker.
#[derive(Debug)]
pub struct Link {
    socket: TcpStream,
    /// From the start of a packet on.
    pub input: Vec<u8>,
    output: Vec<u8>,
    /// Nothing more comes.
    pub ended: bool,
}

impl Link {
    /// Opens a connection.
    ///
    /// # Errors
    /// When nobody listens there.
    pub fn open(address: SocketAddr, registry: &Registry, token: Token) -> io::Result<Self> {
        // On the loopback interface this answers at once.
        let socket = std::net::TcpStream::connect(address)?;
        socket.set_nodelay(true)?;
        socket.set_nonblocking(true)?;
        let mut socket = TcpStream::from_std(socket);
        registry.register(
            &mut socket,
            token,
            Interest::READABLE.add(Interest::WRITABLE),
        )?;
        Ok(Self {
            socket,
            input: Vec::new(),
            output: Vec::new(),
            ended: false,
        })
    }

    /// Reads what there is; says whether anything came.
    pub fn read(&mut self) -> bool {
        let before = self.input.len();
        let mut buffer = [0; 32 * 1024];
        while !self.ended {
            match self.socket.read(&mut buffer) {
                Ok(0) => self.ended = true,
                Ok(n) => self.input.extend_from_slice(&buffer[..n]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // A broker that is killed resets its connections; what had come before was read first.
                Err(_) => self.ended = true,
            }
        }
        self.input.len() > before
    }

    /// Says that nothing more is sent: the broker reads what came before, and closes.
    pub fn finish(&self) {
        // An error means that it is closed already.
        self.socket.shutdown(Shutdown::Write).ok();
    }

    /// Adds bytes to what is to be written.
    pub fn send(&mut self, bytes: &[u8]) {
        self.output.extend_from_slice(bytes);
    }

    /// Writes what the socket takes. An error shows when reading.
    pub fn flush(&mut self) {
        let mut written = 0;
        while let Some(rest) = self.output.get(written..).filter(|rest| !rest.is_empty()) {
            match self.socket.write(rest) {
                Ok(n) => written += n,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => {
                    self.output.clear();
                    return;
                }
            }
        }
        self.output.drain(..written);
    }
}
