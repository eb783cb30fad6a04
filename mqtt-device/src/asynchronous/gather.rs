//! Writes that travel together, for the async client.

use embedded_io::ErrorType;
use embedded_io_async::{Read, Write};

use super::Dial;
use crate::gather::Held;

/// A connection, or what dials it, whose writes wait for the flush and leave as one: the async twin of [`crate::Gather`], which says why.
///
/// What has gathered lies in `memory`, not in a future: a write or flush that is dropped loses nothing, and the next goes on with
/// the same bytes, as a modem asks for.
#[derive(Debug)]
pub struct Gather<'m, D> {
    dial: D,
    held: Held<'m>,
}

impl<'m, D> Gather<'m, D> {
    /// Gathers in `memory`, of a byte or more, what is written to the connections that are dialled.
    pub const fn new(dial: D, memory: &'m mut [u8]) -> Self {
        Self {
            dial,
            held: Held::new(memory),
        }
    }

    /// What dials.
    pub const fn dial_mut(&mut self) -> &mut D {
        &mut self.dial
    }
}

impl<D: Dial<Connection: Write>> Gather<'_, D> {
    /// Writes what has gathered. A connection that takes nothing leaves the rest here.
    async fn drain(&mut self) -> Result<(), <Self as ErrorType>::Error> {
        if let Some(connection) = self.dial.connection() {
            while let rest @ [_, ..] = self.held.rest() {
                match connection.write(rest).await? {
                    0 => return Ok(()),
                    count => self.held.sent(count),
                }
            }
        }
        self.held.forget();
        Ok(())
    }
}

impl<D: Dial<Connection: Write>> Dial for Gather<'_, D> {
    type Connection = Self;
    type Error = D::Error;

    async fn dial(&mut self) -> Result<(), D::Error> {
        self.held.forget();
        self.dial.dial().await
    }

    fn connection(&mut self) -> Option<&mut Self> {
        self.dial.connection().is_some().then_some(self)
    }

    fn hang_up(&mut self) {
        self.dial.hang_up();
    }

    fn is_midway(&self) -> bool {
        self.dial.is_midway()
    }
}

impl<D: Dial<Connection: ErrorType>> ErrorType for Gather<'_, D> {
    type Error = <D::Connection as ErrorType>::Error;
}

impl<D: Dial<Connection: Write>> Write for Gather<'_, D> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Self::Error> {
        if self.held.is_full() {
            self.drain().await?;
        }
        Ok(self.held.append(bytes))
    }

    async fn flush(&mut self) -> Result<(), Self::Error> {
        self.drain().await?;
        match self.dial.connection() {
            Some(connection) => connection.flush().await,
            None => Ok(()),
        }
    }
}

impl<D: Dial<Connection: Read + Write>> Read for Gather<'_, D> {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Self::Error> {
        match self.dial.connection() {
            Some(connection) => connection.read(buffer).await,
            None => Ok(0),
        }
    }
}
