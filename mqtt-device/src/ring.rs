//! A queue in a piece of RAM: what waits, and what is in flight.
//!
//! Records follow each other, oldest first. Room is given back at the front; when the end of the memory is reached, all move to the
//! front, so that every record lies in one piece.
//!
//! ```text
//!  byte 0..2  length of the body
//!       2     first byte of the packet: type and flags
//!       3     how far it has come
//!       4..6  packet id, or 0
//!       6..   body, as it is sent
//! ```

use core::num::NonZeroU8;

use mqtt_session::compact::{Full, Queue, Record, Slot, Stage};

const HEADER: usize = 6;
const STAGE: usize = 3;

/// Packets in memory of the caller's, oldest first.
///
/// A packet takes 6 bytes more than its body. Room is given back from the front: one that is done behind one that is not still takes
/// its place.
#[derive(Debug)]
pub struct Ring<'m> {
    memory: &'m mut [u8],
    /// Index of the oldest record.
    start: usize,
    /// Its slot: the number of bytes that were given back before it.
    first: u16,
    /// Index behind the newest record.
    end: usize,
}

impl<'m> Ring<'m> {
    /// An empty queue in `memory`, of which the first 32,767 bytes are used.
    #[must_use]
    pub fn new(memory: &'m mut [u8]) -> Self {
        let len = memory.len().min(i16::MAX as usize);
        Self {
            memory: memory.get_mut(..len).unwrap_or_default(),
            start: 0,
            first: 0,
            end: 0,
        }
    }

    /// Whether nothing waits or is in flight.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Bytes that are taken, finished packets behind an unfinished one included.
    #[must_use]
    pub const fn used(&self) -> usize {
        self.end - self.start
    }

    /// Where the next record will lie.
    pub(crate) const fn end(&self) -> Slot {
        Slot(self.first.wrapping_add((self.end - self.start) as u16))
    }

    /// Where a record lies.
    fn index(&self, slot: Slot) -> usize {
        self.start + usize::from(slot.0.wrapping_sub(self.first))
    }

    /// Moves all records to the front of the memory.
    fn slide(&mut self) {
        let (start, end) = (self.start, self.end);
        self.start = 0;
        self.end = 0;
        for index in start..end {
            let byte = self.memory.get(index).copied().unwrap_or_default();
            self.append(&[byte]);
        }
    }

    /// Appends bytes for which there is room.
    fn append(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if let Some(to) = self.memory.get_mut(self.end) {
                *to = *byte;
            }
            self.end += 1;
        }
    }
}

impl Queue for Ring<'_> {
    fn start(&self) -> Slot {
        Slot(self.first)
    }

    fn get(&self, from: Slot) -> Option<Record> {
        let from = if from.is_before(self.start()) {
            self.start()
        } else {
            from
        };
        let mut index = self.index(from);
        while index < self.end {
            let header = self.memory.get(index..)?.first_chunk()?;
            let &[l0, l1, first, stage, i0, i1] = header;
            let (stage, len) = (Stage(stage), u16::from_be_bytes([l0, l1]));
            if stage != Stage::DONE {
                let slot = (index - self.start) as u16;
                return Some(Record {
                    slot: Slot(slot.wrapping_add(self.first)),
                    len,
                    id: u16::from_be_bytes([i0, i1]),
                    first: NonZeroU8::new(first)?,
                    stage,
                });
            }
            index += HEADER + usize::from(len);
        }
        None
    }

    fn after(&self, record: Record) -> Slot {
        Slot(record.slot.0.wrapping_add(HEADER as u16 + record.len))
    }

    fn bytes(&self, record: Record, from: u16) -> &[u8] {
        let body = self.index(record.slot) + HEADER;
        let range = body + usize::from(from)..body + usize::from(record.len);
        self.memory.get(range).unwrap_or_default()
    }

    fn mark(&mut self, slot: Slot, stage: Stage) {
        let index = self.index(slot) + STAGE;
        if let Some(to) = self.memory.get_mut(index) {
            *to = stage.0;
        }
        // The room of what is over at the front is free.
        let start = match self.get(self.start()) {
            Some(oldest) => self.index(oldest.slot),
            None => self.end,
        };
        self.first = self.first.wrapping_add((start - self.start) as u16);
        self.start = start;
    }

    fn push(&mut self, first: NonZeroU8, id: u16, pieces: &[&[u8]]) -> Result<(), Full> {
        let mut len = 0_usize;
        for piece in pieces {
            len = len.saturating_add(piece.len());
        }
        let needed = len.saturating_add(HEADER);
        let free = self.memory.len().saturating_sub(self.end);
        if needed > free + self.start {
            return Err(Full);
        }
        if needed > free {
            self.slide();
        }
        let [l0, l1] = (len as u16).to_be_bytes();
        let [i0, i1] = id.to_be_bytes();
        self.append(&[l0, l1, first.get(), Stage::NEW.0, i0, i1]);
        for piece in pieces {
            self.append(piece);
        }
        Ok(())
    }
}
