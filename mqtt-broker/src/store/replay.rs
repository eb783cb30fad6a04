//! Reads the groups behind a snapshot, and tells a write that a crash cut short from damage.
//!
//! A group is written only when those before it are durable, and says so. So where the log cannot be read on, and something stands behind
//! that was written later, what was durable is gone: damage. Where nothing does, the last write was under way, nobody was told of it, and
//! it is cut.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::apply::{Changes, Reader, apply};
use super::ending::{Cut, End};
use super::error::StoreError;
use super::files::{Content, Files, UNREADABLE, read_parts};
use super::header::{GROUP, GroupHeader, GroupKind, NoHeader, SEGMENT};
use super::index::Place;
use super::names;
use super::open::{Base, belongs};
use super::options::{Durability, Options};
use super::report::Report;
use super::shelf::Shelf;
use super::survey::{Contents, Found};
use super::tail::{Clocks, Segment, Tail};
use crate::core::Image;

pub(super) struct Replay<'c> {
    pub(super) store: u64,
    closed: u64,
    pub(super) segments: &'c BTreeMap<u32, Found>,
    pub(super) image: Image,
    pub(super) shelf: Shelf,
    changes: Changes,
    reader: Reader,
    /// The number of the next group.
    pub(super) seq: u64,
    /// Where it is.
    pub(super) segment: u32,
    pub(super) at: usize,
    clocks: Clocks,
    /// Where groups stand of which nothing says that they are durable: segment, begin, end.
    pub(super) unproven: Vec<(u32, usize, usize)>,
    /// Groups were written that did not wait for a sync, now or before.
    pub(super) lax: bool,
    /// Something behind the end has to be made unreadable.
    pub(super) stale: bool,
    /// The disk cannot read something in the segment where the log ends.
    pub(super) has_holes: bool,
}

impl<'c> Replay<'c> {
    pub(super) fn new(contents: &'c Contents, base: Base, options: &Options) -> Self {
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
            reader: if options.repair {
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
            lax: options.durability != Durability::Fsync,
            stale: false,
            has_holes: false,
        }
    }

    pub(super) fn repairs(&self) -> bool {
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
            let content = read_parts(&*found.file);
            let name = names::segment(self.segment);
            let content = content.map_err(StoreError::io(format!("{name} cannot be read")))?;
            self.has_holes = !content.bad.is_empty();
            match self.segment(&content, report)? {
                End::GoesOn => (self.segment, self.at) = (self.segment + 1, SEGMENT),
                End::Last(cut) => {
                    report.notes.extend(cut.words(&name, self.at));
                    break;
                }
                End::Damaged { at, what } if !self.repairs() => {
                    return Err(self.damaged(at, what));
                }
                End::Damaged { at, what } => {
                    report.set_aside(files, &name, &format!("offset {at}: {what}"))?;
                    if !self.skip(&content, report) {
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
    fn segment(&mut self, content: &Content, report: &mut Report) -> Result<End, StoreError> {
        loop {
            let rest = content.bytes.get(self.at..).unwrap_or_default();
            if let Some(at) = content.first_bad(self.at, self.at + GROUP) {
                return Ok(End::Damaged {
                    at: at.max(self.at),
                    what: UNREADABLE,
                });
            }
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
                    return Ok(self.end(content, true, "the header of a group is damaged"));
                }
                Ok(_) | Err(NoHeader::Foreign) => {
                    let something = rest.iter().take(GROUP).any(|byte| *byte != 0);
                    return Ok(self.end(content, something, "a group is not where it should be"));
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
                    return Ok(End::Last(Cut::Nothing));
                }
                GroupKind::Mark => return Ok(self.end(content, false, "a group is missing")),
                GroupKind::End => {
                    self.seq += 1;
                    return Ok(End::GoesOn);
                }
                GroupKind::Data | GroupKind::Closed => {}
            }
            let len = header.len as usize;
            let end = self.at + GROUP + len;
            if let Some(at) = content.first_bad(self.at, end) {
                return Ok(End::Damaged {
                    at,
                    what: UNREADABLE,
                });
            }
            let payload = rest.get(GROUP..).and_then(|payload| payload.get(..len));
            let Some(payload) = payload.filter(|payload| crc32c::crc32c(payload) == header.sum)
            else {
                return Ok(self.end(content, true, "the checksum of a group is wrong"));
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
            self.lax |= !header.after_sync;
            match self.unproven.last_mut() {
                Some((segment, _, last)) if (*segment, *last) == (self.segment, self.at) => {
                    *last = end;
                }
                _ => self.unproven.push((self.segment, self.at, end)),
            }
            self.at = end;
            self.seq += 1;
            self.clocks = clocks;
        }
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
