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
    /// Messages of earlier groups that were named; of interest to their writer only.
    named: Vec<u64>,
    /// Where the numbers of `put` begin to ascend, up to its end: nowhere behind the beginning of a batch.
    ascending: usize,
    /// What did not fit, in a repair.
    pub(super) misfits: Vec<Wrong>,
}

impl Changes {
    fn bring(&mut self, number: u64, place: Place, terms: Terms) {
        if self.put.last().is_some_and(|(last, ..)| *last >= number) {
            self.ascending = self.put.len();
        }
        self.put.push((number, place, terms));
    }

    /// Whether the batch that is being read has brought this message: what a batch names it has brought, or an earlier group has.
    fn brings(&self, number: u64) -> bool {
        let batch = self.put.get(self.ascending..).unwrap_or_default();
        batch
            .binary_search_by_key(&number, |(known, ..)| *known)
            .is_ok()
    }
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
    changes.ascending = 0;
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
            }) => changes.bring(number, at(offset), body.terms()?),
            Some(Item::Moved { number, at: offset }) => changes.moved.push((number, at(offset))),
            Some(Item::Record(number, record)) => {
                if reader == Reader::Writer
                    && let Record::Queued { message, .. }
                    | Record::Retained(message)
                    | Record::Will { message, .. } = &record
                    && !changes.brings(message.body.0)
                {
                    changes.named.push(message.body.0);
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
    for &number in &changes.named {
        index.end_use(number);
    }
    for &(number, ..) in &changes.put {
        index.forget_unused(number);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers ascend in a batch, and the next batch may have smaller ones.
    #[test]
    fn what_a_batch_brings_is_told_from_what_was_there() {
        let mut changes = Changes::default();
        for batch in [[4, 5, 9], [1, 2, 3], [3, 7, 8], [20, 21, 30]] {
            for number in batch {
                let place = Place {
                    segment: 1,
                    offset: number,
                };
                let terms = Terms {
                    size: 0,
                    expires: None,
                };
                changes.bring(number.into(), place, terms);
                assert!(changes.brings(number.into()), "{number}");
                assert!(!changes.brings(6), "{number}");
            }
            for number in batch {
                assert!(changes.brings(number.into()), "{number}");
            }
        }
    }
}
