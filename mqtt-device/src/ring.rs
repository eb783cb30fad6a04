//! A queue of messages in a piece of memory: what waits, and what is in flight.
//!
//! Records follow each other in a ring of bytes and never wrap, so that topic and payload can be borrowed in one piece; what is left at
//! the end of the memory is filled with a gap. A place ([`Seq`]) counts bytes from the start of all time, which makes finding a record a
//! subtraction.
//!
//! ```text
//!  byte 0..2  length of the record, header included
//!       2..4  length of the topic
//!       4     QoS in bits 0-1, RETAIN, DONE, GAP
//!       5..   topic, then payload
//! ```

use core::fmt;

use mqtt_codec::{Properties, QoS};
use mqtt_session::{Outbox, Outcome, OutgoingMessage, Seq};

const HEADER: usize = 5;
const QOS: u8 = 0b0000_0011;
const RETAIN: u8 = 0b0000_0100;
const DONE: u8 = 0b0000_1000;
const GAP: u8 = 0b0001_0000;

/// There is no room for the message until an earlier one is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingFull;

impl fmt::Display for RingFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no room for the message until an earlier one is done")
    }
}

impl core::error::Error for RingFull {}

/// Messages in memory of the caller's, oldest first.
///
/// A message takes 5 bytes more than its topic and payload. Room is given back from the front: a message that is done behind one that
/// is not still takes its place.
#[derive(Debug)]
pub struct Ring<'m> {
    memory: &'m mut [u8],
    /// Index of the oldest record.
    head: usize,
    /// Its place.
    first: u64,
    /// Bytes from the oldest record to the end of the newest.
    used: usize,
}

struct Record {
    /// Index of the header.
    at: usize,
    len: usize,
    topic_len: usize,
    flags: u8,
}

impl<'m> Ring<'m> {
    /// An empty queue in `memory`, of which the first 65,535 bytes are used.
    #[must_use]
    pub fn new(memory: &'m mut [u8]) -> Self {
        let len = memory.len().min(usize::from(u16::MAX));
        let (memory, _) = memory.split_at_mut(len);
        Self {
            memory,
            head: 0,
            first: 0,
            used: 0,
        }
    }

    /// Whether no message waits or is in flight.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.used == 0
    }

    /// Bytes that are taken, gaps and finished messages behind an unfinished one included.
    #[must_use]
    pub const fn used(&self) -> usize {
        self.used
    }

    /// Appends a message.
    ///
    /// # Errors
    /// [`RingFull`]: the ring is unchanged.
    pub fn push(
        &mut self,
        topic: &str,
        payload: &[u8],
        qos: QoS,
        retain: bool,
    ) -> Result<Seq, RingFull> {
        let len = HEADER + topic.len() + payload.len();
        let mut at = self.wrap(self.head + self.used);
        let behind = self.memory.len() - at;
        // A record that does not fit behind the newest one starts at the front of the memory.
        let gap = if len > behind { behind } else { 0 };
        if self.used + gap + len > self.memory.len() {
            return Err(RingFull);
        }
        if gap > 0 {
            self.write_header(at, gap, 0, GAP | DONE);
            self.used += gap;
            at = 0;
        }
        self.write_header(
            at,
            len,
            topic.len(),
            qos as u8 | if retain { RETAIN } else { 0 },
        );
        let (topic_at, payload_at) = (at + HEADER, at + HEADER + topic.len());
        if let Some(room) = self.memory.get_mut(topic_at..payload_at) {
            room.copy_from_slice(topic.as_bytes());
        }
        if let Some(room) = self.memory.get_mut(payload_at..at + len) {
            room.copy_from_slice(payload);
        }
        let seq = Seq(self.first + self.used as u64);
        self.used += len;
        Ok(seq)
    }

    /// The payload of a message that is not done.
    #[must_use]
    pub fn payload(&self, seq: Seq) -> Option<&[u8]> {
        let record = self.live(seq)?;
        self.memory
            .get(record.at + HEADER + record.topic_len..record.at + record.len)
    }

    const fn wrap(&self, index: usize) -> usize {
        if index >= self.memory.len() {
            index - self.memory.len()
        } else {
            index
        }
    }

    fn write_header(&mut self, at: usize, len: usize, topic_len: usize, flags: u8) {
        let [l0, l1] = (len as u16).to_be_bytes();
        let [t0, t1] = (topic_len as u16).to_be_bytes();
        // The gap at the end of the memory may be shorter than a header: its length then follows from where it stands.
        for (slot, byte) in self.memory.iter_mut().skip(at).zip([l0, l1, t0, t1, flags]) {
            *slot = byte;
        }
    }

    /// The record at a place between the oldest and the newest.
    fn record(&self, seq: Seq) -> Option<Record> {
        let offset = usize::try_from(seq.0.checked_sub(self.first)?)
            .ok()
            .filter(|&offset| offset < self.used)?;
        let at = self.wrap(self.head + offset);
        let behind = self.memory.len() - at;
        let Some(&[l0, l1, t0, t1, flags]) = self.memory.get(at..at + HEADER) else {
            return Some(Record {
                at,
                len: behind,
                topic_len: 0,
                flags: GAP | DONE,
            });
        };
        let (len, topic_len) = (u16::from_be_bytes([l0, l1]), u16::from_be_bytes([t0, t1]));
        Some(Record {
            at,
            len: usize::from(len),
            topic_len: usize::from(topic_len),
            flags,
        })
    }

    fn live(&self, seq: Seq) -> Option<Record> {
        self.record(seq).filter(|record| record.flags & DONE == 0)
    }

    /// Gives back the room of finished messages at the front.
    fn shrink(&mut self) {
        while let Some(record) = self
            .record(Seq(self.first))
            .filter(|record| record.flags & DONE != 0)
        {
            self.first += record.len as u64;
            self.head = self.wrap(self.head + record.len);
            self.used -= record.len;
        }
        if self.used == 0 {
            // All of the memory in one piece for the next one.
            self.head = 0;
        }
    }
}

impl Outbox for Ring<'_> {
    fn next(&mut self, from: Seq) -> Option<Seq> {
        // `from` may point into a record: only a walk from the front finds where the next one begins.
        let mut seq = Seq(self.first);
        loop {
            let record = self.record(seq)?;
            if record.flags & DONE == 0 && seq >= from {
                return Some(seq);
            }
            seq = Seq(seq.0 + record.len as u64);
        }
    }

    fn message(&mut self, seq: Seq) -> Option<OutgoingMessage<'_>> {
        let record = self.live(seq)?;
        let topic_at = record.at + HEADER;
        let topic = self.memory.get(topic_at..topic_at + record.topic_len)?;
        Some(OutgoingMessage {
            topic: core::str::from_utf8(topic).ok()?,
            qos: QoS::from_u8(record.flags & QOS)?,
            retain: record.flags & RETAIN != 0,
            expires: None,
            subscription_ids: &[],
            properties: Properties::EMPTY,
            payload_len: (record.len - HEADER - record.topic_len) as u32,
        })
    }

    fn done(&mut self, seq: Seq, _outcome: Outcome) {
        if let Some(record) = self.live(seq)
            && let Some(flags) = self.memory.get_mut(record.at + HEADER - 1)
        {
            *flags |= DONE;
            self.shrink();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    extern crate std;
    use mqtt_codec::ReasonCode;
    use proptest::prelude::*;
    use std::collections::VecDeque;
    use std::string::String;
    use std::vec::Vec;

    const OK: Outcome = Outcome::Acknowledged(ReasonCode::SUCCESS);

    fn after(ring: &mut Ring<'_>, seq: Seq) -> Option<Seq> {
        ring.next(seq.next())
    }

    #[test]
    fn a_message_that_does_not_fit_leaves_the_ring_as_it_was() {
        let mut memory = [0; 24];
        let mut ring = Ring::new(&mut memory);
        let first = ring
            .push("a/b", b"0123456", QoS::ExactlyOnce, true)
            .unwrap();
        assert_eq!(
            ring.push("a/b", b"01234567", QoS::AtMostOnce, false),
            Err(RingFull)
        );
        assert_eq!(ring.used(), 15);
        let message = ring.message(first).unwrap();
        assert_eq!(
            (
                message.topic,
                message.qos,
                message.retain,
                message.payload_len
            ),
            ("a/b", QoS::ExactlyOnce, true, 7)
        );
        assert_eq!(ring.payload(first), Some(&b"0123456"[..]));
    }

    #[test]
    fn a_finished_message_is_skipped_and_its_room_comes_back_from_the_front() {
        let mut memory = [0; 64];
        let mut ring = Ring::new(&mut memory);
        let [a, b, c] =
            ["a", "b", "c"].map(|topic| ring.push(topic, b"", QoS::AtLeastOnce, false).unwrap());
        ring.done(b, OK);
        assert_eq!((after(&mut ring, a), ring.payload(b)), (Some(c), None));
        assert_eq!(ring.used(), 18, "b is behind a, which is not done");
        ring.done(a, OK);
        assert_eq!(ring.used(), 6);
        ring.done(a, OK);
        assert_eq!(ring.used(), 6, "once");
    }

    proptest! {
            /// Whatever is pushed and done in whatever order, the ring holds exactly what a plain queue holds.
            #[test]
            fn the_ring_equals_a_queue(size in 0_usize..200, steps in prop::collection::vec((0_usize..40, 0_usize..6, any::<u8>()), 1..200)) {
                let mut memory = std::vec![0xAA; size];
                let mut ring = Ring::new(&mut memory);
                let mut model: VecDeque<(Seq, String, Vec<u8>)> = VecDeque::new();
                for (len, victim, byte) in steps {
                    let payload = std::vec![byte; len];
                    let topic: String = "t".repeat(len % 7);
                    match ring.push(&topic, &payload, QoS::AtLeastOnce, false) {
                        Ok(seq) => model.push_back((seq, topic, payload)),
                        Err(RingFull) => prop_assert!(!model.is_empty() || HEADER + len + len % 7 > size),
                    }
                    if let Some((seq, ..)) = model.get(victim).cloned() {
                        ring.done(seq, OK);
                        model.remove(victim);
                    }
                    let mut last = None;
                    for (seq, topic, payload) in &model {
                        let found = match last {
     None => ring.next(Seq::default()),
     Some(seq) => after(&mut ring, seq),
     };
    prop_assert_eq!(found, Some(*seq));
                        prop_assert_eq!(ring.message(*seq).map(|message| String::from(message.topic)), Some(topic.clone()));
                        prop_assert_eq!(ring.payload(*seq), Some(&payload[..]));
                        last = Some(*seq);
                    }
                    prop_assert_eq!(ring.is_empty(), model.is_empty());
                }
            }
        }
}
