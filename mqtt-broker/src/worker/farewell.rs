//! Ends that take a moment: last words on their way to a client that may still be sending.
//!
//! A socket that is closed with unread input is reset, and a reset overtakes what was written: the client would see "connection reset"
//! where we told it the reason. So the writing side is closed first, and what still comes is read and dropped until the client
//! closes, for a short time.

use std::collections::VecDeque;
use std::io;

use mio::{Registry, Token};
use mqtt_session::Instant;

use super::transport::Wire;
use crate::core::ConnId;

/// How long a client may take to read its last packet, in milliseconds.
const READ_LIMIT_MS: u64 = 5_000;
/// How long a client may take to close after that, in milliseconds.
const CLOSE_LIMIT_MS: u64 = 1_000;
/// Sockets that linger at once; beyond, they are closed at once.
const PLACES: usize = 1024;
/// Reads of 4 kB each that are dropped for one readiness report.
const READS: usize = 16;
/// Tokens from here on belong to sockets that linger; slots of connections lie below.
const BASE: usize = 1 << (usize::BITS - 2);

/// The connections that are about to end.
#[derive(Debug, Default)]
pub(super) struct Farewells {
    /// Connections with a close pending behind output, by the time that is given to them.
    pending: VecDeque<(Instant, ConnId)>,
    lingering: Vec<Option<Wire>>,
    free: Vec<usize>,
    /// Places by the time when they are given up.
    order: VecDeque<(Instant, usize, u32)>,
    /// Grows with every socket that lingers, so that an old entry of `order` never ends a new one.
    number: u32,
    numbers: Vec<u32>,
}

impl Farewells {
    /// The place that a token names.
    pub(super) const fn place(token: Token) -> Option<usize> {
        let place = token.0.wrapping_sub(BASE);
        if place < PLACES { Some(place) } else { None }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.free.len() == self.lingering.len()
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let pending = self.pending.front().map(|(due, _)| *due);
        let order = self.order.front().map(|(due, ..)| *due);
        pending.into_iter().chain(order).min()
    }

    /// Gives a connection that closes a time to take its output.
    pub(super) fn limit(&mut self, conn: ConnId, now: Instant) {
        self.pending
            .push_back((now.plus_millis(READ_LIMIT_MS), conn));
    }

    /// Closes the writing side, and keeps the socket until the peer closes its own.
    pub(super) fn linger(&mut self, mut wire: Wire, registry: &Registry, now: Instant) {
        let place = match self.free.pop() {
            Some(place) => place,
            None if self.lingering.len() < PLACES => {
                self.lingering.push(None);
                self.numbers.push(0);
                self.lingering.len() - 1
            }
            None => return,
        };
        if wire.finish().is_err() || wire.reregister(registry, Token(BASE + place)).is_err() {
            self.free.push(place);
            return;
        }
        self.number = self.number.wrapping_add(1);
        if let (Some(slot), Some(number)) =
            (self.lingering.get_mut(place), self.numbers.get_mut(place))
        {
            *slot = Some(wire);
            *number = self.number;
            self.order
                .push_back((now.plus_millis(CLOSE_LIMIT_MS), place, self.number));
        }
    }

    /// Drops what has come; closes at the end of it.
    pub(super) fn read(&mut self, place: usize) {
        let Some(Some(wire)) = self.lingering.get_mut(place) else {
            return;
        };
        let mut dropped = [0; 4096];
        for _ in 0..READS {
            match wire.read(&mut dropped) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => break,
            }
        }
        self.close(place);
    }

    fn close(&mut self, place: usize) {
        if let Some(slot) = self.lingering.get_mut(place)
            && slot.take().is_some()
        {
            self.free.push(place);
        }
        // Everybody is gone: nobody has to be waited for.
        if self.is_empty() {
            self.order.clear();
        }
    }

    /// Gives up what has had its time: closes sockets that linger, names connections that never took their output.
    pub(super) fn overdue(&mut self, now: Instant) -> Vec<ConnId> {
        while let Some(&(due, place, number)) = self.order.front()
            && due <= now
        {
            self.order.pop_front();
            if self.numbers.get(place) == Some(&number) {
                self.close(place);
            }
        }
        let mut late = Vec::new();
        while let Some(&(due, conn)) = self.pending.front()
            && due <= now
        {
            self.pending.pop_front();
            late.push(conn);
        }
        late
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};

    use super::*;

    fn pair() -> (Wire, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let ours = mio::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (theirs, _) = listener.accept().unwrap();
        (Wire::tcp(ours).unwrap(), theirs)
    }

    /// A client that still sends reads our last words, and not a reset.
    #[test]
    fn last_words_survive_unread_input() {
        let poll = mio::Poll::new().unwrap();
        let (mut wire, mut client) = pair();
        wire.register(poll.registry(), Token(0)).unwrap();
        client.write_all(&[0; 1000]).unwrap();
        assert_eq!(wire.write(&[io::IoSlice::new(b"bye")]).unwrap(), 3);

        let mut farewells = Farewells::default();
        let now = Instant::from_millis(7);
        farewells.linger(wire, poll.registry(), now);
        assert_eq!(farewells.deadline(), Some(now.plus_millis(CLOSE_LIMIT_MS)));
        let mut words = Vec::new();
        client.read_to_end(&mut words).unwrap();
        assert_eq!(words, b"bye");
        client.write_all(b"more").unwrap();
        farewells.read(0);
        assert!(!farewells.is_empty());
        assert!(
            farewells
                .overdue(now.plus_millis(CLOSE_LIMIT_MS))
                .is_empty()
        );
        assert!(farewells.is_empty() && farewells.deadline().is_none());
    }

    /// A client that does not take its last packet is named when its time is over, and not before.
    #[test]
    fn unread_farewells_have_a_limit() {
        let conn = ConnId {
            slot: 1,
            generation: 2,
        };
        let mut farewells = Farewells::default();
        farewells.limit(conn, Instant::ZERO);
        let due = farewells.deadline().unwrap();
        assert!(
            farewells
                .overdue(Instant::from_millis(due.as_millis() - 1))
                .is_empty()
        );
        assert_eq!(farewells.overdue(due), [conn]);
        assert_eq!(farewells.deadline(), None);
    }

    #[test]
    fn tokens_of_places_and_of_slots_differ() {
        assert_eq!(Farewells::place(Token(BASE + 5)), Some(5));
        for other in [0, 5, BASE - 1, BASE + PLACES, usize::MAX, usize::MAX - 1] {
            assert_eq!(Farewells::place(Token(other)), None);
        }
    }
}
