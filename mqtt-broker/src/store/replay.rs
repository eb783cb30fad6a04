//! Reads the groups behind a snapshot, and tells a write that a crash cut short from damage.
//!
//! A group is written only when those before it are durable, and says so. So where the log cannot be read on, and something stands behind
//! that was written later, what was durable is gone: damage. Where nothing does, the last write was under way, nobody was told of it, and
//! it is cut.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::apply::{Changes, Reader, apply};
use super::error::StoreError;
use super::files::{Files, read_all, read_up_to, write_all};
use super::header::{GROUP, GROUP_MAGIC, GroupHeader, GroupKind, NoHeader, SEGMENT};
use super::index::Place;
use super::names;
use super::open::{Base, Contents, Found, belongs};
use super::report::Report;
use super::shelf::{Shelf, find};
use super::snapshot::Position;
use super::tail::{Clocks, Segment, Tail};
use crate::core::Image;

pub(super) struct Replay<'c> {
    store: u64,
    closed: u64,
    segments: &'c BTreeMap<u32, Found>,
    image: Image,
    shelf: Shelf,
    changes: Changes,
    reader: Reader,
    /// The number of the next group.
    seq: u64,
    /// Where it is.
    segment: u32,
    at: usize,
    clocks: Clocks,
    /// Groups of which nothing says that they are durable: segment, begin, end.
    unproven: Vec<(u32, usize, usize)>,
    /// Something behind the end has to be made unreadable.
    stale: bool,
}

/// How the groups of a segment end.
enum End {
    /// The log goes on in the next one.
    GoesOn,
    /// The log ends here.
    Last { torn: bool },
    /// It cannot be read on, though it has to go on.
    Damaged(&'static str),
}

impl<'c> Replay<'c> {
    pub(super) fn new(contents: &'c Contents, base: Base, repair: bool) -> Self {
        let (image, index) = match base.snapshot {
            Some(snapshot) => (snapshot.image, snapshot.index),
            None => Default::default(),
        };
        let shelf = Shelf::default();
        shelf.lock().index = index;
        // The broker that wrote this held messages for records that it had not yet written.
        shelf.lock().index.keeps_unused = true;
        let position = base.position;
        Self {
            store: contents.store,
            closed: contents.closed,
            segments: &contents.segments,
            image,
            shelf,
            changes: Changes::default(),
            reader: if repair {
                Reader::Repair
            } else {
                Reader::Replay
            },
            seq: position.seq,
            segment: position.segment,
            at: position.offset as usize,
            clocks: Clocks {
                store: position.clock,
                wall: position.wall,
            },
            unproven: Vec::new(),
            stale: false,
        }
    }

    fn repairs(&self) -> bool {
        self.reader == Reader::Repair
    }

    fn damaged(&self, at: usize, what: impl Into<String>) -> StoreError {
        StoreError::Damaged {
            file: names::segment(self.segment),
            offset: at as u64,
            what: what.into(),
        }
    }

    /// Reads to the end of the log.
    pub(super) fn run(&mut self, files: &dyn Files, report: &mut Report) -> Result<(), StoreError> {
        loop {
            let Some(found) = self.segments.get(&self.segment) else {
                let missing = StoreError::Missing {
                    file: names::segment(self.segment),
                    why: "the log goes on there".into(),
                };
                let later = self.segments.range(self.segment + 1..).next();
                match later {
                    Some((&later, _)) if self.repairs() => {
                        report.lost(missing.to_string());
                        (self.segment, self.at) = (later, SEGMENT);
                        continue;
                    }
                    None if self.repairs() => {
                        report.lost(missing.to_string());
                        break;
                    }
                    _ => return Err(missing),
                }
            };
            if let Some(fault) = found.fault(self.segment, self.store) {
                // What a newer program has written is no damage.
                if !self.repairs() || matches!(fault, StoreError::Version { .. }) {
                    return Err(fault);
                }
                report.set_aside(files, &names::segment(self.segment), &fault.to_string())?;
            }
            let bytes = read_all(&*found.file);
            let name = names::segment(self.segment);
            let bytes = bytes.map_err(StoreError::io(format!("{name} cannot be read")))?;
            match self.segment(&bytes, report)? {
                End::GoesOn => (self.segment, self.at) = (self.segment + 1, SEGMENT),
                End::Last { torn } => {
                    if torn {
                        report.say(format!(
                            "{name}, offset {}: the last write was cut short by the crash; nobody was told that it was stored, and it is left out",
                            self.at
                        ));
                    }
                    break;
                }
                End::Damaged(what) if !self.repairs() => return Err(self.damaged(self.at, what)),
                End::Damaged(what) => {
                    if !report.repaired {
                        report.set_aside(files, &name, what)?;
                    }
                    if !self.skip(&bytes, report) {
                        break;
                    }
                }
            }
        }
        if self.closed >= self.seq {
            let what = format!(
                "the log ends with group {}, and the broker was stopped after group {}: is the file an older copy?",
                self.seq - 1,
                self.closed
            );
            if !self.repairs() {
                return Err(self.damaged(self.at, what));
            }
            report.lost(what);
            // Or the next start would ask for them again.
            self.seq = self.closed + 1;
        }
        Ok(())
    }

    /// Takes the groups of a segment.
    fn segment(&mut self, bytes: &[u8], report: &mut Report) -> Result<End, StoreError> {
        loop {
            let rest = bytes.get(self.at..).unwrap_or_default();
            let header = match GroupHeader::read(rest) {
                Ok(header)
                    if belongs(&header, self.store, self.segment) && header.seq == self.seq =>
                {
                    header
                }
                Err(NoHeader::Version(version)) => {
                    return Err(StoreError::Version {
                        file: names::segment(self.segment),
                        version,
                    });
                }
                Err(NoHeader::Damaged) => {
                    return Ok(self.end(bytes, true, "the header of a group is damaged"));
                }
                Ok(_) | Err(NoHeader::Foreign) => {
                    let something = rest.iter().take(GROUP).any(|byte| *byte != 0);
                    return Ok(self.end(bytes, something, "a group is not where it should be"));
                }
            };
            if header.after_sync {
                self.unproven.clear();
            }
            let clocks = Clocks {
                store: header.clock,
                wall: header.wall,
            };
            match header.kind {
                // It may be an older one: what leads to the next segment took its place, and was not made durable.
                GroupKind::Mark if cfg!(mutation = "mark-ends-the-log") => {
                    return Ok(End::Last { torn: false });
                }
                GroupKind::Mark => return Ok(self.end(bytes, false, "a group is missing")),
                GroupKind::End => {
                    self.seq += 1;
                    return Ok(End::GoesOn);
                }
                GroupKind::Data | GroupKind::Closed => {}
            }
            let len = header.len as usize;
            let payload = rest.get(GROUP..).and_then(|payload| payload.get(..len));
            let Some(payload) = payload.filter(|payload| crc32c::crc32c(payload) == header.sum)
            else {
                return Ok(self.end(bytes, true, "the checksum of a group is wrong"));
            };
            let place = Place {
                segment: self.segment,
                offset: (self.at + GROUP) as u32,
            };
            let (image, changes) = (&mut self.image, &mut self.changes);
            if let Err(wrong) = apply(payload, place, self.reader, image, &self.shelf, changes) {
                let at = self.at + GROUP + wrong.at;
                if !self.repairs() {
                    return Err(self.damaged(at, wrong.what));
                }
                report.lost(format!(
                    "{}, offset {at}: {}",
                    names::segment(self.segment),
                    wrong.what
                ));
            }
            for wrong in self.changes.misfits.drain(..) {
                let at = self.at + GROUP + wrong.at;
                report.lost(format!(
                    "{}, offset {at}: {}",
                    names::segment(self.segment),
                    wrong.what
                ));
            }
            report.groups += 1;
            self.unproven
                .push((self.segment, self.at, self.at + GROUP + len));
            self.at += GROUP + len;
            self.seq += 1;
            self.clocks = clocks;
        }
    }

    /// The log cannot be read on here: it ends, or it is damaged.
    fn end(&mut self, bytes: &[u8], something: bool, what: &'static str) -> End {
        let later = self.later(bytes, self.at + 1);
        if later
            .iter()
            .any(|(_, header)| header.after_sync && header.seq > self.seq)
        {
            return End::Damaged(what);
        }
        // What leads to the next segment is not made durable before that is written to.
        match self.first_group(self.segment + 1) {
            Some(header) if header.seq == self.seq + 1 => {
                self.seq += 1;
                return End::GoesOn;
            }
            Some(header) if header.seq > self.seq && header.after_sync => {
                return End::Damaged(what);
            }
            Some(_) => self.stale = true,
            None => {}
        }
        self.stale |= !later.is_empty();
        End::Last { torn: something }
    }

    /// Groups of this segment that stand behind `from`, by their headers, and are not older than what comes next.
    fn later(&self, bytes: &[u8], from: usize) -> Vec<(usize, GroupHeader)> {
        let rest = bytes.get(from..).unwrap_or_default();
        memchr::memmem::find_iter(rest, &GROUP_MAGIC)
            .filter_map(|at| {
                let header = GroupHeader::read(rest.get(at..)?).ok()?;
                let ours = belongs(&header, self.store, self.segment) && header.seq >= self.seq;
                ours.then_some((from + at, header))
            })
            .collect()
    }

    fn first_group(&self, segment: u32) -> Option<GroupHeader> {
        let found = self.segments.get(&segment)?;
        let mut bytes = [0; GROUP];
        read_up_to(&*found.file, &mut bytes, SEGMENT as u64).ok()?;
        let header = GroupHeader::read(&bytes).ok()?;
        belongs(&header, self.store, segment).then_some(header)
    }

    /// In a repair: goes on with the next group that can be read; false when there is none.
    fn skip(&mut self, bytes: &[u8], report: &mut Report) -> bool {
        let from = self.at;
        let name = names::segment(self.segment);
        if let Some((at, header)) = self.later(bytes, from + 1).first() {
            report.lost(format!(
                "{name}, offset {from} to {at}: groups {} to {} cannot be read, and what they changed is lost",
                self.seq,
                header.seq.saturating_sub(1).max(self.seq)
            ));
            (self.at, self.seq) = (*at, header.seq);
            return true;
        }
        let next = (self.segment + 1..=self.segments.keys().next_back().copied().unwrap_or(0))
            .find_map(|id| Some((id, self.first_group(id)?)));
        match next {
            Some((id, header)) if header.seq >= self.seq => {
                report.lost(format!(
                    "{name}, from offset {from} on: groups {} to {} cannot be read, and what they changed is lost",
                    self.seq,
                    header.seq.saturating_sub(1)
                ));
                (self.segment, self.at, self.seq) = (id, SEGMENT, header.seq);
                true
            }
            _ => {
                report.lost(format!(
                    "{name}, from offset {from} on: what stands there cannot be read"
                ));
                self.stale = true;
                false
            }
        }
    }

    /// Every record was read: what nobody uses is not needed.
    pub(super) fn keep_used(&self) {
        self.shelf.lock().index.keep_used();
    }

    /// Whether messages that the snapshot names are what they were; those of later groups were looked at with their groups.
    pub(super) fn check_messages(
        &mut self,
        position: Position,
        report: &mut Report,
    ) -> Result<(), StoreError> {
        let before = Place {
            segment: position.segment,
            offset: position.offset,
        };
        let mut lost = HashSet::new();
        let segments: Vec<u32> = self.shelf.lock().index.segments().collect();
        for segment in segments {
            let here = self.shelf.lock().index.in_segment(segment);
            let old = |offset| Place { segment, offset } < before;
            if !here.iter().any(|&(offset, _)| old(offset)) {
                continue;
            }
            let name = names::segment(segment);
            let Some(found) = self.segments.get(&segment) else {
                let missing = StoreError::Missing {
                    file: name,
                    why: format!("{} messages stand there", here.len()),
                };
                if !self.repairs() {
                    return Err(missing);
                }
                report.lost(missing.to_string());
                lost.extend(here.iter().map(|(_, number)| *number));
                continue;
            };
            if let Some(fault) = found.fault(segment, self.store) {
                if !self.repairs() {
                    return Err(fault);
                }
                report.lost(fault.to_string());
            }
            let bytes = read_all(&*found.file);
            let bytes = bytes.map_err(StoreError::io(format!("{name} cannot be read")))?;
            for (offset, number) in here {
                if !old(offset) {
                    continue;
                }
                let rest = bytes.get(offset as usize..).unwrap_or_default();
                let read = find(rest, number).and_then(|body| body.check(number));
                let Err(wrong) = read else { continue };
                let damaged = StoreError::Damaged {
                    file: name.clone(),
                    offset: u64::from(offset) + wrong.at as u64,
                    what: wrong.what.into(),
                };
                if !self.repairs() {
                    return Err(damaged);
                }
                report.lost(damaged.to_string());
                lost.insert(number);
            }
        }
        if !lost.is_empty() {
            let copies = self.image.forget_bodies(&lost);
            report.lost(format!(
                "{} messages, {copies} copies of them, are lost",
                lost.len()
            ));
            let mut inner = self.shelf.lock();
            for body in self.image.uses.ended.drain(..) {
                inner.index.end_use(body);
            }
        }
        Ok(())
    }

    /// Makes sure of what is not known to be durable: a sync that failed leaves it where only this machine, until it is switched off, can
    /// read it. And what must not be read by the next start goes.
    pub(super) fn settle(&mut self, report: &mut Report) -> Result<(), StoreError> {
        let mut ranges = core::mem::take(&mut self.unproven);
        if cfg!(mutation = "not-written-again") {
            ranges.clear();
        }
        ranges.retain(|(_, from, to)| to > from);
        for (segment, from, to) in ranges {
            let Some(found) = self.segments.get(&segment) else {
                continue;
            };
            let mut bytes = vec![0; to - from];
            let again = read_up_to(&*found.file, &mut bytes, from as u64)
                .and_then(|_| write_all(&*found.file, &bytes, from as u64))
                .and_then(|()| found.file.sync());
            again.map_err(StoreError::io(format!(
                "{} cannot be written",
                names::segment(segment)
            )))?;
        }
        if self.stale
            && let Some(found) = self.segments.get(&self.segment)
        {
            let zeros = vec![0; 64 * 1024];
            let mut at = self.at as u64;
            while at < found.len {
                let piece = usize::try_from(found.len - at)
                    .map_or(zeros.len(), |rest| rest.min(zeros.len()));
                let written = write_all(&*found.file, zeros.get(..piece).unwrap_or_default(), at);
                written.map_err(StoreError::io(format!(
                    "{} cannot be written",
                    names::segment(self.segment)
                )))?;
                at += piece as u64;
            }
            found.file.sync().map_err(StoreError::io("a sync failed"))?;
        }
        if report.repaired {
            report.say("the store was repaired".into());
        }
        Ok(())
    }

    /// Whether messages that are in use stand in this segment.
    pub(super) fn holds(&self, segment: u32) -> bool {
        self.shelf.lock().index.live(segment) > 0
    }

    /// The least length of a segment in which the log ends here and can go on.
    pub(super) const fn room_needed(&self) -> u64 {
        (self.at + 2 * GROUP) as u64
    }

    /// The segment in which the log ends.
    pub(super) const fn last(&self) -> u32 {
        self.segment
    }

    /// Whether groups behind the end were left out: segments behind it are not what they seem.
    pub(super) const fn was_cut(&self) -> bool {
        self.stale
    }

    pub(super) fn into_parts(self, active: Segment) -> (Tail, Image, Shelf, Clocks) {
        let active = Segment {
            at: self.at as u64,
            file: Arc::clone(&active.file),
            ..active
        };
        let mut image = self.image;
        image.uses = Default::default();
        let tail = Tail::new(self.store, self.seq, active);
        (tail, image, self.shelf, self.clocks)
    }
}
