//! Copies messages out of segments that hold few of them: one session that stays away must not keep the disk full.

use std::io;

use super::kind;
use super::log::Log;
use super::names;
use super::shelf::find;
use super::varint::put;

/// What is copied in one turn: commits wait for no more.
const PIECE: usize = 256 * 1024;

/// Copies a piece, if a segment is worth it.
pub(super) fn step(log: &mut Log) -> io::Result<()> {
    let Some(segment) = log.leaving.or_else(|| choose(log)) else {
        return Ok(());
    };
    log.leaving = Some(segment);
    let (moved, left) = gather(log, segment)?;
    if moved.is_empty() {
        // What is left cannot be read: it stays where it is.
        log.leaving = None;
        if left {
            log.stuck.insert(segment);
        }
        return Ok(());
    }
    if !log.append_moved(&moved)? {
        // There is no room: it will be tried again when there is.
        log.leaving = None;
    }
    Ok(())
}

/// The segment with the least in use, if so much lies idle that it is worth the copying.
fn choose(log: &Log) -> Option<u32> {
    let inner = log.shelf.lock();
    let live = inner.index.live_bytes();
    let all: u64 = log.tail.sealed.values().sum();
    if all <= 2 * live + 2 * log.options.segment_bytes {
        return None;
    }
    log.old_segments()
        .filter(|(id, _)| !log.stuck.contains(id))
        .map(|(id, len)| (inner.index.live(id), id, len))
        .filter(|(live, _, len)| *live > 0 && live * 2 < *len)
        .min()
        .map(|(_, id, _)| id)
}

/// Messages of a segment as they are to be written anew; and whether there are any.
fn gather(log: &Log, segment: u32) -> io::Result<(Vec<u8>, bool)> {
    let (here, file) = {
        let inner = log.shelf.lock();
        let file = inner.segments.get(&segment).cloned();
        (inner.index.in_segment(segment), file)
    };
    let mut moved = Vec::new();
    let Some(file) = file else {
        return Ok((moved, false));
    };
    let mut bytes = Vec::new();
    for &(offset, number) in &here {
        let len = {
            let inner = log.shelf.lock();
            inner.index.place(number).map_or(0, |(_, len)| len as usize)
        };
        bytes.resize(len + super::shelf::HEAD, 0);
        let read = super::files::read_up_to(&*file, &mut bytes, u64::from(offset))?;
        let bytes = bytes.get(..read).unwrap_or_default();
        match find(bytes, number).and_then(|body| body.check(number).map(|()| body)) {
            Ok(body) => {
                moved.push(kind::MOVED);
                put(&mut moved, number);
                body.put_again(&mut moved);
            }
            Err(wrong) => {
                let file = names::segment(segment);
                tracing::error!(file, offset, "a message cannot be copied: {}", wrong.what);
            }
        }
        if moved.len() >= PIECE {
            break;
        }
    }
    Ok((moved, !here.is_empty()))
}
