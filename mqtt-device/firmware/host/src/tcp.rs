//! A TCP connection with the traits of embedded-io.

use core::future::poll_fn;
use core::task::Poll;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::rc::Rc;

use embedded_io::{ErrorType, Read, ReadReady, Write};
use socket2::{Domain, Socket, Type};

/// Bytes that wait for a flush at most: what fits a segment.
const SEGMENT: usize = 1_400;

/// A TCP connection. The board that dialled it knows it, and wakes up when it has something to read.
///
/// What is written waits for the flush, so that packets which are written one behind the other travel in one segment.
#[derive(Debug)]
pub struct Tcp {
    stream: Rc<TcpStream>,
    written: Vec<u8>,
}

/// A connection to the first address that answers.
pub(crate) fn connect(address: impl ToSocketAddrs) -> io::Result<TcpStream> {
    let mut last = io::Error::new(ErrorKind::InvalidInput, "no address");
    for address in address.to_socket_addrs()? {
        match connect_to(address) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn connect_to(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    // TCP's acknowledgements wait a moment for a segment to ride with, the one that ends the handshake among them.
    #[cfg(target_os = "linux")]
    socket.set_tcp_quickack(false)?;
    socket.connect(&address.into())?;
    Ok(socket.into())
}

impl Tcp {
    /// A connection and a handle for the board that sleeps on it.
    pub(crate) fn new(stream: TcpStream) -> io::Result<(Self, std::rc::Weak<TcpStream>)> {
        // A flush means now.
        stream.set_nodelay(true)?;
        let stream = Rc::new(stream);
        let weak = Rc::downgrade(&stream);
        let written = Vec::new();
        Ok((Self { stream, written }, weak))
    }

    /// Whether a read has an answer now: bytes, the end, or an error.
    fn is_readable(&self) -> io::Result<bool> {
        self.without_waiting(|stream| stream.peek(&mut [0]))
            .map(|answer| answer.is_some())
    }

    /// `None` where the call would have had to wait.
    fn without_waiting(
        &self,
        call: impl FnOnce(&TcpStream) -> io::Result<usize>,
    ) -> io::Result<Option<usize>> {
        self.stream.set_nonblocking(true)?;
        let result = call(&self.stream);
        self.stream.set_nonblocking(false)?;
        match result {
            Ok(count) => Ok(Some(count)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl ErrorType for Tcp {
    type Error = io::Error;
}

impl Read for Tcp {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(None)?;
        (&*self.stream).read(buffer)
    }
}

impl ReadReady for Tcp {
    fn read_ready(&mut self) -> io::Result<bool> {
        // What a look does not find out, the read will tell.
        Ok(self.is_readable().unwrap_or(true))
    }
}

impl Write for Tcp {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.written.extend_from_slice(bytes);
        if self.written.len() >= SEGMENT {
            Write::flush(self)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let written = core::mem::take(&mut self.written);
        (&*self.stream).write_all(&written)
    }
}

impl embedded_io_async::Read for Tcp {
    async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        poll_fn(|_| {
            match self
                .without_waiting(|mut stream| stream.read(buffer))
                .transpose()
            {
                Some(result) => Poll::Ready(result),
                None => Poll::Pending,
            }
        })
        .await
    }
}

impl embedded_io_async::Write for Tcp {
    /// Waits while the network takes nothing.
    async fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Write::write(self, bytes)
    }

    async fn flush(&mut self) -> io::Result<()> {
        Write::flush(self)
    }
}
