//! A group that is durable, taken into what a restart would find: the image, the index.

use mqtt_session::Commit;

use super::decode::{Decoder, Item};
use super::index::Place;
use super::shelf::Shelf;
use super::varint::Wrong;
use crate::core::{Image, Record, Terms};

/// Who reads a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reader {
    /// The broker that wrote it: messages of earlier groups that it names were held for it.
    Writer,
    /// A start.
    Replay,
    /// A start that goes on where something does not fit.
    Repair,
}

/// What a group changes in the index; kept to use its memory again.
#[derive(Debug, Default)]
pub(super) struct Changes {
    put: Vec<(u64, Place, Terms)>,
    moved: Vec<(u64, Place)>,
    /// Messages of earlier groups that were named.
    named: Vec<u64>,
    /// What did not fit, in a repair.
    pub(super) misfits: Vec<Wrong>,
}

/// Takes the payload of a group that stands at `place`.
pub(super) fn apply(
    payload: &[u8],
    place: Place,
    reader: Reader,
    image: &mut Image,
    shelf: &Shelf,
    changes: &mut Changes,
) -> Result<(), Wrong> {
    changes.put.clear();
    changes.moved.clear();
    changes.named.clear();
    let mut decoder = Decoder::new(payload);
    let at = |at: usize| Place {
        offset: place.offset + at as u32,
        ..place
    };
    loop {
        let position = decoder.at();
        match decoder.next()? {
            None => break,
            Some(Item::Body {
                number,
                body,
                at: offset,
            }) => changes.put.push((number, at(offset), body.terms()?)),
            Some(Item::Moved { number, at: offset }) => changes.moved.push((number, at(offset))),
            Some(Item::Record(number, record)) => {
                if let Record::Queued { message, .. }
                | Record::Retained(message)
                | Record::Will { message, .. } = &record
                {
                    let body = message.body.0;
                    let brought = changes.put.last().is_some_and(|(last, ..)| *last == body)
                        || changes.put.iter().rev().any(|(known, ..)| *known == body);
                    if !brought {
                        changes.named.push(body);
                    }
                }
                if let Err(malformed) = image.take(&record, Commit(number)) {
                    let wrong = Wrong {
                        at: position,
                        what: malformed.what,
                    };
                    if reader != Reader::Repair {
                        return Err(wrong);
                    }
                    changes.misfits.push(wrong);
                }
            }
        }
    }
    let mut inner = shelf.lock();
    let index = &mut inner.index;
    for &(number, place, terms) in &changes.put {
        index.put(number, place, terms);
    }
    for &(number, place) in &changes.moved {
        index.move_to(number, place);
    }
    for number in image.uses.begun.drain(..) {
        index.begin_use(number);
    }
    for number in image.uses.ended.drain(..) {
        index.end_use(number);
    }
    if reader == Reader::Writer {
        for &number in &changes.named {
            index.end_use(number);
        }
    }
    for &(number, ..) in &changes.put {
        index.forget_unused(number);
    }
    Ok(())
}
