//! After the replay: messages of before the snapshot are looked at, and what is not known to be durable is made so.

use std::collections::HashSet;
use std::io;

use super::error::StoreError;
use super::files::{File, Files, UNREADABLE, read_parts, read_up_to, write_all};
use super::index::Place;
use super::mend;
use super::names;
use super::replay::Replay;
use super::report::Report;
use super::shelf::{HEAD, find};
use super::snapshot::Position;

/// What is written at once.
const PIECE: usize = 64 * 1024;

impl Replay<'_> {
    /// Every record was read: what nobody uses is not needed.
    pub(super) fn keep_used(&self) {
        self.shelf.lock().index.keep_used();
    }

    /// Whether messages that the snapshot names are what they were; those of later groups were looked at with their groups.
    pub(super) fn check_messages(
        &mut self,
        files: &dyn Files,
        position: Position,
        report: &mut Report,
    ) -> Result<(), StoreError> {
        let before = Place {
            segment: position.segment,
            offset: position.offset,
        };
        // In the order of their places: each segment is read once, and the index gone through once for all of them.
        let mut old: Vec<(Place, u64)> = {
            let inner = self.shelf.lock();
            let all = inner.index.iter().map(|(number, place, _)| (place, number));
            all.filter(|(place, _)| *place < before).collect()
        };
        old.sort_unstable();
        let mut lost = HashSet::new();
        for here in old.chunk_by(|(one, _), (other, _)| one.segment == other.segment) {
            self.check_segment(files, here, &mut lost, report)?;
        }
        if !lost.is_empty() {
            let losers = self.image.forget_bodies(&lost);
            report.lost_messages(lost.len(), &losers);
            let mut inner = self.shelf.lock();
            for body in self.image.uses.ended.drain(..) {
                inner.index.end_use(body);
            }
        }
        Ok(())
    }

    /// The same of messages that stand in one segment.
    fn check_segment(
        &self,
        files: &dyn Files,
        here: &[(Place, u64)],
        lost: &mut HashSet<u64>,
        report: &mut Report,
    ) -> Result<(), StoreError> {
        let Some(segment) = here.first().map(|(place, _)| place.segment) else {
            return Ok(());
        };
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
            return Ok(());
        };
        if let Some(fault) = found.fault(segment, self.store) {
            if !self.repairs() {
                return Err(fault);
            }
            report.set_aside(files, &name, &fault.to_string())?;
        }
        let content = read_parts(&*found.file);
        let content = content.map_err(StoreError::io(format!("{name} cannot be read")))?;
        let mut wrongs = 0_usize;
        for &(Place { offset, .. }, number) in here {
            let start = offset as usize;
            let rest = content.bytes.get(start..).unwrap_or_default();
            let read = find(rest, number).and_then(|body| body.check(number));
            let Err(wrong) = read else { continue };
            let len = self.shelf.lock().index.place(number);
            let end = start + HEAD + len.map_or(0, |(_, len)| len as usize);
            let (at, what) = match content.first_bad(start, end) {
                Some(bad) => (bad.max(start), UNREADABLE),
                None => (start + wrong.at, wrong.what),
            };
            if !self.repairs() {
                return Err(StoreError::Damaged {
                    file: name,
                    offset: at as u64,
                    what: what.into(),
                });
            }
            if wrongs == 0 {
                report.set_aside(files, &name, &format!("offset {at}: {what}"))?;
            }
            wrongs += 1;
            lost.insert(number);
        }
        if wrongs > 1 {
            report.lost(format!("{name}: {wrongs} messages in it cannot be read"));
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
        for here in ranges.chunk_by(|(one, ..), (other, ..)| one == other) {
            let segment = here.first().map_or(0, |(segment, ..)| *segment);
            let Some(found) = self.segments.get(&segment) else {
                continue;
            };
            let again = write_again(&*found.file, here);
            again.map_err(cannot_write(segment))?;
        }
        if let Some(found) = self.segments.get(&self.segment) {
            if self.has_holes {
                let from = if self.repairs() { 0 } else { self.at };
                let written = mend::write_over(&*found.file, from);
                written.map_err(cannot_write(self.segment))?;
            }
            if self.stale {
                let cleared = clear(&*found.file, self.at as u64, found.len);
                cleared.map_err(cannot_write(self.segment))?;
            }
        }
        if report.repaired {
            report.say("the store was repaired".into());
        }
        Ok(())
    }
}

fn cannot_write(segment: u32) -> impl FnOnce(io::Error) -> StoreError {
    StoreError::io(format!("{} cannot be written", names::segment(segment)))
}

/// Writes what stands in these ranges of a file once more, and syncs it once.
fn write_again(file: &dyn File, ranges: &[(u32, usize, usize)]) -> io::Result<()> {
    let mut piece = vec![0; PIECE];
    for &(_, from, to) in ranges {
        for at in (from..to).step_by(PIECE) {
            let piece = piece.get_mut(..(to - at).min(PIECE)).unwrap_or_default();
            let read = read_up_to(file, piece, at as u64)?;
            write_all(file, piece.get(..read).unwrap_or_default(), at as u64)?;
        }
    }
    file.sync()
}

/// Writes zeroes from here to the end of a file.
fn clear(file: &dyn File, from: u64, len: u64) -> io::Result<()> {
    let zeros = vec![0; PIECE];
    let mut at = from;
    while at < len {
        let piece = usize::try_from(len - at).map_or(PIECE, |rest| rest.min(PIECE));
        write_all(file, zeros.get(..piece).unwrap_or_default(), at)?;
        at += piece as u64;
    }
    file.sync()
}
