//! A queue on the heap that does no more than its contract promises, and holds its caller to it.

use core::num::NonZeroU8;
use std::collections::VecDeque;

use mqtt_session::compact::{Full, Queue, Record, Slot, Stage};

/// Packets in a list. Its slots begin just before they wrap.
#[derive(Debug)]
pub struct Listed {
    records: VecDeque<(Record, Vec<u8>)>,
    next: Slot,
    habits: Habits,
}

/// How a [`Listed`] uses what its contract leaves open.
#[derive(Clone, Copy, Debug)]
pub struct Habits {
    /// Bytes of bodies that it takes, at most.
    pub room: usize,
    /// Bytes of a body that lie in one piece, at most, but four.
    pub piece: usize,
    /// Room is given back with the next push, not at once.
    pub lazy: bool,
}

impl Default for Habits {
    fn default() -> Self {
        Self {
            room: 4_096,
            piece: usize::MAX,
            lazy: false,
        }
    }
}

/// From one slot to the next.
const UNIT: u16 = 3;

impl Default for Listed {
    fn default() -> Self {
        Self::new(Habits::default())
    }
}

impl Listed {
    /// An empty queue.
    #[must_use]
    pub const fn new(habits: Habits) -> Self {
        Self {
            records: VecDeque::new(),
            next: Slot(u16::MAX - 5 * UNIT),
            habits,
        }
    }

    /// What is not over, oldest first.
    pub fn waiting(&self) -> impl Iterator<Item = (Record, &[u8])> {
        let records = self.records.iter();
        records
            .filter(|(record, _)| record.stage != Stage::DONE)
            .map(|(record, body)| (*record, &body[..]))
    }

    fn distance(&self, slot: Slot) -> u16 {
        slot.0.wrapping_sub(self.start().0)
    }

    fn give_back(&mut self) {
        while let Some((record, _)) = self.records.front()
            && record.stage == Stage::DONE
        {
            self.records.pop_front();
        }
    }
}

impl Queue for Listed {
    fn start(&self) -> Slot {
        let oldest = self.records.front();
        oldest.map_or(self.next, |(record, _)| record.slot)
    }

    fn get(&self, from: Slot) -> Option<Record> {
        // A place before the start stands for the start.
        let from = self.distance(from);
        let from = if from > u16::MAX / 2 { 0 } else { from };
        let behind = |record: &Record| self.distance(record.slot) >= from;
        let mut waiting = self.waiting().map(|(record, _)| record);
        waiting.find(behind)
    }

    fn after(&self, record: Record) -> Slot {
        Slot(record.slot.0.wrapping_add(UNIT))
    }

    fn bytes(&self, record: Record, from: u16) -> &[u8] {
        let found = self.records.iter().find(|(r, _)| r.slot == record.slot);
        let (_, body) = found.expect("a record that is there");
        let rest = &body[usize::from(from)..];
        &rest[..rest.len().min(self.habits.piece.max(4))]
    }

    fn mark(&mut self, slot: Slot, stage: Stage) {
        let mut records = self.records.iter_mut();
        let (record, _) = records
            .find(|(record, _)| record.slot == slot)
            .expect("only what is there is marked");
        assert_eq!(
            record.stage.0 & stage.0,
            record.stage.0,
            "bits are only ever set: {record:?} is to be {stage:?}"
        );
        record.stage = stage;
        if !self.habits.lazy {
            self.give_back();
        }
    }

    fn push(&mut self, first: NonZeroU8, id: u16, pieces: &[&[u8]]) -> Result<(), Full> {
        self.give_back();
        let body = pieces.concat();
        let used: usize = self.records.iter().map(|(_, body)| body.len()).sum();
        if used + body.len() > self.habits.room {
            return Err(Full);
        }
        let record = Record {
            slot: self.next,
            len: body.len() as u16,
            id,
            first,
            stage: Stage::NEW,
        };
        assert!(
            id == 0 || self.waiting().all(|(other, _)| other.id != id),
            "packet id {id} is in use"
        );
        self.next = self.after(record);
        self.records.push_back((record, body));
        Ok(())
    }
}
