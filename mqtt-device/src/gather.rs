//! Writes that travel together.

use embedded_io::{ErrorType, Read, ReadReady, Write};

use crate::Dial;

/// A connection, or what dials it, whose writes wait for the flush and leave as one.
///
/// The client writes a packet in pieces, from where they lie, and flushes when there is nothing more to write. A connection that sends
/// each write at once, as a modem does, makes a segment of each: 40 bytes of TCP's and IP's headers for every piece, and a command to the
/// modem with its answer. Gathered, a packet is one segment, and so are CONNECT and what follows it early, as far as they fit `memory`.
///
/// ```
/// # use embedded_io::{Read, ReadReady, Write};
/// use mqtt_device::Gather;
/// use mqtt_device::modem::Modem;
/// # fn dial<'m, U: Read + Write + ReadReady, C: FnMut() -> mqtt_device::Instant>(modem: Modem<'m, U, C>, memory: &'m mut [u8]) {
/// let dial = Gather::new(modem, memory); // for the client
/// # let _ = dial;
/// # }
/// ```
#[derive(Debug)]
pub struct Gather<'m, D> {
    dial: D,
    held: Held<'m>,
}

/// Bytes that wait for the flush.
#[derive(Debug)]
pub(crate) struct Held<'m> {
    memory: &'m mut [u8],
    /// Bytes in it, and how many of them are sent.
    len: usize,
    sent: usize,
}

impl<'m> Held<'m> {
    pub(crate) const fn new(memory: &'m mut [u8]) -> Self {
        Self {
            memory,
            len: 0,
            sent: 0,
        }
    }

    pub(crate) const fn forget(&mut self) {
        self.len = 0;
        self.sent = 0;
    }

    pub(crate) const fn is_full(&self) -> bool {
        self.len == self.memory.len()
    }

    /// Takes in as many as there is room for, and gives their number.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> usize {
        let room = self.memory.get_mut(self.len..).unwrap_or_default();
        let mut count = 0;
        for (to, byte) in room.iter_mut().zip(bytes) {
            *to = *byte;
            count += 1;
        }
        self.len += count;
        count
    }

    /// What was not sent.
    pub(crate) fn rest(&self) -> &[u8] {
        self.memory.get(self.sent..self.len).unwrap_or_default()
    }

    pub(crate) const fn sent(&mut self, count: usize) {
        self.sent += count;
    }
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
    fn drain(&mut self) -> Result<(), <Self as ErrorType>::Error> {
        if let Some(connection) = self.dial.connection() {
            while let rest @ [_, ..] = self.held.rest() {
                match connection.write(rest)? {
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

    fn dial(&mut self) -> Result<(), D::Error> {
        self.held.forget();
        self.dial.dial()
    }

    fn connection(&mut self) -> Option<&mut Self> {
        self.dial.connection().is_some().then_some(self)
    }

    fn hang_up(&mut self) {
        self.dial.hang_up();
    }
}

impl<D: Dial<Connection: ErrorType>> ErrorType for Gather<'_, D> {
    type Error = <D::Connection as ErrorType>::Error;
}

impl<D: Dial<Connection: Write>> Write for Gather<'_, D> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Self::Error> {
        if self.held.is_full() {
            self.drain()?;
        }
        Ok(self.held.append(bytes))
    }

    fn flush(&mut self) -> Result<(), Self::Error> {
        self.drain()?;
        self.dial.connection().map_or(Ok(()), Write::flush)
    }
}

impl<D: Dial<Connection: Read + Write>> Read for Gather<'_, D> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Self::Error> {
        match self.dial.connection() {
            Some(connection) => connection.read(buffer),
            None => Ok(0),
        }
    }
}

impl<D: Dial<Connection: ReadReady + Write>> ReadReady for Gather<'_, D> {
    /// Without a connection a read tells that at once.
    fn read_ready(&mut self) -> Result<bool, Self::Error> {
        self.dial
            .connection()
            .map_or(Ok(true), ReadReady::read_ready)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use core::convert::Infallible;
    use std::vec::Vec;

    use super::*;

    /// Notes each write; takes so many bytes of it.
    #[derive(Debug, Default)]
    struct Wire {
        writes: Vec<Vec<u8>>,
        takes: usize,
    }

    impl ErrorType for Wire {
        type Error = Infallible;
    }

    impl Write for Wire {
        fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
            let count = bytes.len().min(self.takes);
            self.writes.push(bytes[..count].to_vec());
            Ok(count)
        }

        fn flush(&mut self) -> Result<(), Infallible> {
            Ok(())
        }
    }

    impl Dial for Wire {
        type Connection = Self;
        type Error = Infallible;

        fn dial(&mut self) -> Result<(), Infallible> {
            Ok(())
        }

        fn connection(&mut self) -> Option<&mut Self> {
            Some(self)
        }

        fn hang_up(&mut self) {}
    }

    fn write(gather: &mut Gather<'_, Wire>, pieces: &[&[u8]]) {
        for piece in pieces {
            let mut piece = *piece;
            while !piece.is_empty() {
                let count = gather.write(piece).unwrap_or_default();
                assert_ne!(count, 0);
                piece = &piece[count..];
            }
        }
    }

    #[test]
    fn pieces_leave_as_one_as_far_as_there_is_room() {
        let mut memory = [0; 8];
        let wire = Wire {
            takes: 100,
            ..Wire::default()
        };
        let mut gather = Gather::new(wire, &mut memory);
        write(&mut gather, &[b"ab", b"", b"cde"]);
        assert!(gather.dial.writes.is_empty());
        assert_eq!(gather.flush(), Ok(()));
        write(&mut gather, &[b"0123456789", b"x"]);
        assert_eq!(gather.flush(), Ok(()));
        assert_eq!(gather.flush(), Ok(()));
        assert_eq!(gather.dial.writes, [&b"abcde"[..], b"01234567", b"89x"]);
    }

    #[test]
    fn what_a_connection_does_not_take_waits_for_the_next_flush_or_dies_with_it() {
        let mut memory = [0; 4];
        let mut gather = Gather::new(Wire::default(), &mut memory);
        write(&mut gather, &[b"abcd"]);
        assert_eq!((gather.flush(), gather.write(b"e")), (Ok(()), Ok(0)));
        gather.dial.takes = 3;
        assert_eq!(gather.flush(), Ok(()));
        let writes = gather.dial.writes.concat();
        assert_eq!(writes, b"abcd");
        write(&mut gather, &[b"old"]);
        assert_eq!(gather.dial(), Ok(()));
        write(&mut gather, &[b"new"]);
        assert_eq!(gather.flush(), Ok(()));
        assert_eq!(
            gather.dial.writes.last().map(Vec::as_slice),
            Some(&b"new"[..])
        );
    }
}
