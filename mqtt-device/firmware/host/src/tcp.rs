//! A TCP connection with the traits of embedded-io.

use core::future::poll_fn;
use core::task::Poll;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::rc::Rc;

use embedded_io::{ErrorType, Read, ReadReady, Write};

/// A TCP connection. The board that dialled it knows it, and wakes up when it has something to read.
#[derive(Debug)]
pub struct Tcp(Rc<TcpStream>);

impl Tcp {
    /// A connection and a handle for the board that sleeps on it.
    pub(crate) fn new(stream: TcpStream) -> io::Result<(Self, std::rc::Weak<TcpStream>)> {
        // Whole packets are written: waiting for more to send would only be late.
        stream.set_nodelay(true)?;
        let stream = Rc::new(stream);
        let weak = Rc::downgrade(&stream);
        Ok((Self(stream), weak))
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
        self.0.set_nonblocking(true)?;
        let result = call(&self.0);
        self.0.set_nonblocking(false)?;
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
        self.0.set_read_timeout(None)?;
        (&*self.0).read(buffer)
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
        (&*self.0).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
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
        Ok(())
    }
}
