//! The end of the log, where groups are written: one segment that fills up, and the next one, ready before it is needed.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use super::files::{File, write_all};
use super::header::{GROUP, GroupHeader, GroupKind, SEGMENT, SegmentHeader, short};
use super::index::Place;
use super::job::Job;

/// A segment that is written to.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) id: u32,
    pub(super) file: Arc<dyn File>,
    pub(super) len: u64,
    /// Where the next group goes.
    pub(super) at: u64,
}

/// The segment that comes after.
#[derive(Debug)]
pub(super) enum Next {
    /// Nobody was asked for one, or in vain.
    Missing,
    /// It is being prepared.
    Asked,
    Ready(SegmentHeader, Arc<dyn File>),
}

/// Why a group was not written.
#[derive(Debug)]
pub(super) enum Trouble {
    /// There is no segment for it yet: one of so many bytes is needed.
    NoSegment(u64),
    Io(io::Error),
}

/// The clocks that every group notes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Clocks {
    /// The store's, in milliseconds.
    pub(super) store: u64,
    /// The time of day, in milliseconds of the Unix epoch.
    pub(super) wall: u64,
}

#[derive(Debug)]
pub(super) struct Tail {
    pub(super) store: u64,
    /// The number of the next group.
    pub(super) seq: u64,
    pub(super) active: Segment,
    pub(super) next: Next,
    /// One that takes the place of the next is being prepared, since that is too small: nothing is written there.
    pub(super) asked_larger: bool,
    /// Segments that are full, with their lengths.
    pub(super) sealed: BTreeMap<u32, u64>,
    /// All that was written so far is durable.
    pub(super) synced: bool,
    /// The group that was written last, header included.
    pub(super) buffer: Vec<u8>,
    /// Segments that were left since somebody last asked.
    pub(super) left: Vec<Segment>,
    /// Files of segments that were left before they were durable.
    unsynced: Vec<Arc<dyn File>>,
}

impl Tail {
    /// The end of a log whose groups so far are durable.
    pub(super) fn new(store: u64, seq: u64, active: Segment) -> Self {
        Self {
            store,
            seq,
            active,
            next: Next::Missing,
            asked_larger: false,
            sealed: BTreeMap::new(),
            synced: true,
            buffer: Vec::new(),
            left: Vec::new(),
            unsynced: Vec::new(),
        }
    }

    /// Whether a payload of this length fits, with the header that leads to the next segment behind it.
    fn fits(at: u64, len: u64, segment: u64) -> bool {
        at + GROUP as u64 + len + GROUP as u64 <= segment
    }

    /// The length that a segment needs for a payload of this length.
    pub(super) const fn needed(len: u64) -> u64 {
        SEGMENT as u64 + 2 * GROUP as u64 + len
    }

    /// Bytes that are left in the segment.
    pub(super) const fn left_over(&self) -> u64 {
        self.active
            .len
            .saturating_sub(self.active.at + 2 * GROUP as u64)
    }

    /// Writes a group of what `fill` appends; says where its payload begins.
    pub(super) fn append(
        &mut self,
        kind: GroupKind,
        clocks: Clocks,
        fill: impl FnOnce(&mut Vec<u8>),
    ) -> Result<Place, Trouble> {
        self.buffer.clear();
        self.buffer.resize(GROUP, 0);
        fill(&mut self.buffer);
        let len = (self.buffer.len() - GROUP) as u64;
        if !Self::fits(self.active.at, len, self.active.len) {
            self.roll(len, clocks)?;
        }
        let (offset, end) = (
            self.active.at + GROUP as u64,
            self.active.at + self.buffer.len() as u64,
        );
        let offset = u32::try_from(offset).and_then(|offset| u32::try_from(end).map(|_| offset));
        let offset = offset
            .map_err(|_| Trouble::Io(io::Error::other("places in a segment have 32 bits")))?;
        self.write(kind, clocks)?;
        let place = Place {
            segment: self.active.id,
            offset,
        };
        self.active.at += self.buffer.len() as u64;
        self.seq += 1;
        self.synced = false;
        Ok(place)
    }

    /// Writes what the buffer holds behind its header.
    fn write(&mut self, kind: GroupKind, clocks: Clocks) -> Result<(), Trouble> {
        let (head, payload) = self.buffer.split_at_mut(GROUP);
        let header = GroupHeader {
            kind,
            after_sync: self.synced,
            len: payload.len() as u32,
            sum: crc32c::crc32c(payload),
            seq: self.seq,
            segment: self.active.id,
            store: short(self.store),
            clock: clocks.store,
            wall: clocks.wall,
        };
        head.copy_from_slice(&header.to_bytes());
        write_all(&*self.active.file, &self.buffer, self.active.at).map_err(Trouble::Io)
    }

    /// Goes on in the next segment.
    fn roll(&mut self, len: u64, clocks: Clocks) -> Result<(), Trouble> {
        let needed = Self::needed(len);
        let enough = matches!(&self.next, Next::Ready(header, _) if header.len >= needed);
        if !enough || self.asked_larger {
            return Err(Trouble::NoSegment(needed));
        }
        self.note(GroupKind::End, clocks)?;
        let Next::Ready(header, file) = core::mem::replace(&mut self.next, Next::Missing) else {
            return Err(Trouble::NoSegment(needed));
        };
        self.seq += 1;
        let next = Segment {
            id: header.id,
            file,
            len: header.len,
            at: SEGMENT as u64,
        };
        let full = core::mem::replace(&mut self.active, next);
        self.sealed.insert(full.id, full.len);
        if !self.synced {
            self.unsynced.push(Arc::clone(&full.file));
        }
        self.left.push(full);
        Ok(())
    }

    /// Writes a header without a payload, and stays where it is.
    fn note(&mut self, kind: GroupKind, clocks: Clocks) -> Result<(), Trouble> {
        let header = GroupHeader {
            kind,
            after_sync: self.synced,
            len: 0,
            sum: 0,
            seq: self.seq,
            segment: self.active.id,
            store: short(self.store),
            clock: clocks.store,
            wall: clocks.wall,
        };
        write_all(&*self.active.file, &header.to_bytes(), self.active.at).map_err(Trouble::Io)
    }

    /// Makes durable what was written.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        for file in &self.unsynced {
            file.sync()?;
        }
        self.unsynced.clear();
        let synced = self.active.file.sync();
        if cfg!(mutation = "sync-retried") && synced.is_err() {
            self.active.file.sync()?;
        } else {
            synced?;
        }
        self.synced = true;
        Ok(())
    }

    /// Says, for whoever reads this after a crash, that everything so far is durable. Nobody waits for this to be durable itself.
    pub(super) fn mark(&mut self, clocks: Clocks) -> Result<(), Trouble> {
        if self.synced {
            self.note(GroupKind::Mark, clocks)?;
        }
        Ok(())
    }

    /// The job that prepares the next segment, if there is none.
    pub(super) fn prepare(
        &mut self,
        len: u64,
        from: Option<(String, Arc<dyn File>)>,
    ) -> Option<Job> {
        if !matches!(self.next, Next::Missing) {
            return None;
        }
        self.next = Next::Asked;
        Some(self.job(len, from))
    }

    /// The job that prepares a segment of this length in place of the next one, which is too small for a large batch. That one stays until
    /// then: there may be no room for the larger.
    pub(super) fn prepare_larger(&mut self, len: u64) -> Option<Job> {
        if core::mem::replace(&mut self.asked_larger, true) {
            return None;
        }
        Some(self.job(len, None))
    }

    const fn job(&self, len: u64, from: Option<(String, Arc<dyn File>)>) -> Job {
        let header = SegmentHeader {
            store: self.store,
            id: self.active.id + 1,
            len,
        };
        Job::Prepare { header, from }
    }
}
