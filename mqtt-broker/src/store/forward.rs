//! Copies messages out of segments that hold few of them: one session that stays away must not keep the disk full.

use std::collections::BTreeSet;
use std::io;

use super::files::{UNREADABLE, read_around};
use super::index::Place;
use super::kind;
use super::log::{Log, Moved};
use super::names;
use super::shelf::find;
use super::tail::{Next, Trouble};
use super::varint::{Wrong, put};

/// What is copied in one turn, unless one message alone has more: commits wait for no more.
const PIECE: usize = 256 * 1024;
/// Entries of the index that are looked at in one turn, under one lock.
const LOOK: usize = 64 * 1024;

/// Which segment is being left, and which cannot be.
#[derive(Debug, Default)]
pub(super) struct Forward {
    leaving: Option<Leaving>,
    /// Segments that could not be emptied.
    stuck: BTreeSet<u32>,
    /// The segment that was written to, and that of the snapshot, when there was nothing to choose.
    seen: (u32, u32),
    /// Bytes of messages that have gone since.
    left: u64,
}

/// A segment whose messages are being copied.
#[derive(Debug)]
struct Leaving {
    segment: u32,
    /// Offsets and numbers, in order as soon as all are known.
    messages: Vec<(u32, u64)>,
    /// Up to where in the index they are known, as long as that is not the end.
    known: Option<u64>,
    /// So many of them were looked at.
    done: usize,
    /// For the next segment of the log.
    waits: bool,
    /// One that is longer than usual was asked for.
    asked: bool,
}

impl Forward {
    /// Whether there is something to copy now.
    pub(super) fn is_busy(&self) -> bool {
        self.leaving.as_ref().is_some_and(|leaving| !leaving.waits)
    }

    /// A segment is no longer there; true when a part of it could not be read or left.
    pub(super) fn forget(&mut self, segment: u32) -> bool {
        self.leaving.take_if(|it| it.segment == segment);
        self.stuck.remove(&segment)
    }
}

/// Copies a piece, if a segment is worth it.
pub(super) fn step(log: &mut Log) -> io::Result<()> {
    let leaving = log.forward.leaving.take();
    let Some(mut leaving) = leaving.or_else(|| choose(log).map(Leaving::new)) else {
        return Ok(());
    };
    if leaving.known.is_some() {
        leaving.look(log);
        log.forward.leaving = Some(leaving);
        return Ok(());
    }
    let is_ready = matches!(log.tail.next, Next::Ready(..)) && !log.tail.asked_larger;
    if leaving.waits && !is_ready {
        log.forward.leaving = Some(leaving);
        return Ok(());
    }
    let (moved, done) = leaving.gather(log);
    leaving.waits = false;
    let appended = if moved.is_empty() {
        Moved::Done
    } else {
        log.append_moved(&moved)?
    };
    match appended {
        Moved::Done => leaving.done = done,
        // It is prepared, or will be as soon as there is room.
        Moved::NoSegment(_) if !is_ready => leaving.waits = true,
        Moved::NoSegment(len) if !leaving.asked => {
            log.trouble(Trouble::NoSegment(len));
            (leaving.asked, leaving.waits) = (true, true);
        }
        // There is no room for one message that is longer than a segment: it stays where it is.
        Moved::NoSegment(_) => leaving.done = leaving.messages.len(),
        Moved::Full => leaving.waits = true,
    }
    if leaving.done < leaving.messages.len() {
        log.forward.leaving = Some(leaving);
    } else if log.shelf.lock().index.live(leaving.segment) > 0 {
        log.forward.stuck.insert(leaving.segment);
    }
    Ok(())
}

/// Whether a segment of this length, with so many bytes in use, is to be emptied: more is won than is written, and without room for another
/// segment half of what is left in this one stays for acknowledgements.
pub(super) const fn is_worth_it(log: &Log, live: u64, len: u64) -> bool {
    live * 2 < len && (!log.is_short || live <= log.tail.left_over() / 2)
}

/// The segment with the least in use, if so much lies idle that it is worth the copying, or there is no room for another one.
fn choose(log: &mut Log) -> Option<u32> {
    let mut inner = log.shelf.lock();
    let forward = &mut log.forward;
    forward.left += inner.index.left();
    let seen = (log.tail.active.id, log.snapshot.1);
    if !log.is_short && seen == forward.seen && forward.left < log.options.segment_bytes / 16 {
        return None;
    }
    (forward.seen, forward.left) = (seen, 0);
    let live = inner.index.live_bytes();
    let all: u64 = log.tail.sealed.values().sum();
    if !log.is_short && all <= 2 * live + 2 * log.options.segment_bytes {
        return None;
    }
    // Behind the snapshot they are needed for the replay.
    let old = log.tail.sealed.range(..log.snapshot.1);
    old.filter(|(id, _)| !log.forward.stuck.contains(id))
        .map(|(id, len)| (inner.index.live(*id), *id, *len))
        .filter(|(live, _, len)| *live > 0 && is_worth_it(log, *live, *len))
        .min()
        .map(|(_, id, _)| id)
}

impl Leaving {
    const fn new(segment: u32) -> Self {
        Self {
            segment,
            messages: Vec::new(),
            known: Some(0),
            done: 0,
            waits: false,
            asked: false,
        }
    }

    /// Looks for its messages in a piece of the index. None comes to an old segment meanwhile.
    fn look(&mut self, log: &Log) {
        let Some(from) = self.known.take() else {
            return;
        };
        let inner = log.shelf.lock();
        for (n, (number, place, _)) in inner.index.iter_from(from).enumerate() {
            if n == LOOK {
                self.known = Some(number);
                return;
            }
            if place.segment == self.segment {
                self.messages.push((place.offset, number));
            }
        }
        drop(inner);
        self.messages.sort_unstable();
    }

    /// Messages as they are to be written anew, and how many will have been looked at then.
    fn gather(&self, log: &Log) -> (Vec<u8>, usize) {
        let (mut moved, mut bytes) = (Vec::new(), Vec::new());
        let segment = self.segment;
        let rest = self.messages.iter().enumerate().skip(self.done);
        for (at, &(offset, number)) in rest {
            let inner = log.shelf.lock();
            let here = Place { segment, offset };
            // It may be gone meanwhile.
            let entry = inner
                .index
                .place(number)
                .filter(|(place, _)| *place == here);
            let file = inner.segments.get(&segment).cloned();
            drop(inner);
            let (Some((_, len)), Some(file)) = (entry, file) else {
                continue;
            };
            let len = len as usize + super::shelf::HEAD;
            if !moved.is_empty() && moved.len() + len > PIECE {
                return (moved, at);
            }
            bytes.resize(len, 0);
            let (read, has_holes) = read_around(&*file, &mut bytes, offset.into());
            let bytes = bytes.get(..read).unwrap_or_default();
            if let Err(wrong) = copy(bytes, number, &mut moved) {
                let file = names::segment(segment);
                let what = if has_holes { UNREADABLE } else { wrong.what };
                tracing::error!(file, offset, "a message cannot be copied: {what}");
            }
        }
        (moved, self.messages.len())
    }
}

/// Appends the message at the start of these bytes.
fn copy(bytes: &[u8], number: u64, moved: &mut Vec<u8>) -> Result<(), Wrong> {
    let body = find(bytes, number)?;
    body.check(number)?;
    moved.push(kind::MOVED);
    put(moved, number);
    body.put_again(moved);
    Ok(())
}
