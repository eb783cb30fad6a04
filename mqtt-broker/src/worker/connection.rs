//! The driver's side of a connection: a socket, a few flags, and bytes of an unfinished packet only while there are some.

use super::transport::Wire;
use crate::core::ConnId;

/// Bytes that were read and wait for the rest of their packet, or for the core to take them.
#[derive(Debug, Default)]
pub(super) struct Rest {
    pub(super) bytes: Vec<u8>,
}

/// One connection; an idle one owns nothing else.
#[derive(Debug, Default)]
pub(super) struct Connection {
    /// None: the slot is free.
    pub(super) wire: Option<Wire>,
    generation: u32,
    pub(super) rest: Option<Box<Rest>>,
    flags: u16,
}

// With debug assertions mio's sockets know their selector.
#[cfg(not(debug_assertions))]
const _: () = assert!(
    size_of::<Connection>() <= 24,
    "this is paid by every idle connection"
);

/// A state that a connection is in, or not.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flag(u16);

impl Flag {
    /// The core takes nothing now: what comes stays in the socket.
    pub(super) const PAUSED: Self = Self(1);
    /// The core takes bytes again: what is kept goes first.
    pub(super) const RESUMED: Self = Self(2);
    /// There may be more to read, and no edge will tell again.
    pub(super) const READABLE: Self = Self(4);
    /// The peer has closed its side: read on until the end.
    pub(super) const HUNG_UP: Self = Self(8);
    /// The socket takes nothing more: its next edge tells when it does.
    pub(super) const BLOCKED: Self = Self(16);
    /// Input is ignored: the end is near.
    pub(super) const CLOSING: Self = Self(32);
    /// It is in the list of the next round.
    pub(super) const LISTED: Self = Self(64);
    /// It is closed once its output is written.
    pub(super) const ENDING: Self = Self(128);
    /// Its last words are among what is written.
    pub(super) const FAREWELL: Self = Self(256);
}

impl Connection {
    pub(super) const fn is(&self, flag: Flag) -> bool {
        self.flags & flag.0 != 0
    }

    pub(super) const fn set(&mut self, flag: Flag) {
        self.flags |= flag.0;
    }

    pub(super) const fn clear(&mut self, flag: Flag) {
        self.flags &= !flag.0;
    }
}

/// All connections of a worker, under the dense slot numbers of the core.
#[derive(Debug, Default)]
pub(super) struct Table {
    slots: Vec<Connection>,
    used: usize,
}

impl Table {
    pub(super) const fn is_empty(&self) -> bool {
        self.used == 0
    }

    pub(super) fn insert(&mut self, conn: ConnId, wire: Wire) {
        let slot = conn.slot as usize;
        if slot >= self.slots.len() {
            self.slots.resize_with(slot + 1, Connection::default);
        }
        if let Some(place) = self.slots.get_mut(slot) {
            self.used += usize::from(place.wire.is_none());
            *place = Connection {
                wire: Some(wire),
                generation: conn.generation,
                ..Connection::default()
            };
        }
    }

    /// Frees the slot.
    pub(super) fn remove(&mut self, conn: ConnId) -> Option<Connection> {
        let connection = core::mem::take(self.get(conn)?);
        self.used -= 1;
        Some(connection)
    }

    /// The connection, unless its slot has been used anew since.
    pub(super) fn get(&mut self, conn: ConnId) -> Option<&mut Connection> {
        self.slots
            .get_mut(conn.slot as usize)
            .filter(|place| place.wire.is_some() && place.generation == conn.generation)
    }

    /// The connection that has this slot now.
    pub(super) fn at(&self, slot: usize) -> Option<ConnId> {
        let place = self.slots.get(slot).filter(|place| place.wire.is_some())?;
        Some(ConnId {
            slot: u32::try_from(slot).ok()?,
            generation: place.generation,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire() -> Wire {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        Wire::tcp(mio::net::TcpStream::from_std(stream)).unwrap()
    }

    /// A key of an earlier connection never reaches a later one of the same slot.
    #[test]
    fn a_slot_that_is_used_anew_has_another_key() {
        let first = ConnId {
            slot: 3,
            generation: 0,
        };
        let second = ConnId {
            generation: 1,
            ..first
        };
        let mut table = Table::default();
        table.insert(first, wire());
        assert_eq!(table.at(3), Some(first));
        assert!(table.at(2).is_none() && table.at(4).is_none());
        assert!(table.remove(first).is_some() && table.remove(first).is_none());
        assert!(table.is_empty());
        table.insert(second, wire());
        assert!(table.get(first).is_none() && table.get(second).is_some());
        assert!(table.remove(first).is_none());
        assert_eq!(table.at(3), Some(second));
    }

    #[test]
    fn flags_are_independent() {
        let mut connection = Connection::default();
        connection.set(Flag::PAUSED);
        connection.set(Flag::FAREWELL);
        connection.clear(Flag::PAUSED);
        assert!(!connection.is(Flag::PAUSED) && connection.is(Flag::FAREWELL));
    }
}
