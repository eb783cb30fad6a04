//! Where messages stand on disk, and how often each is in use: sixteen bytes a message.

use std::collections::{BTreeMap, HashMap, btree_map};

use mqtt_session::Instant;

use crate::core::{Message, Terms};

/// A place on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) segment: u32,
    pub(super) offset: u32,
}

/// A message that is kept.
#[derive(Clone, Copy, Debug)]
struct Entry {
    /// Its number, counted from the first of its chunk.
    number: u16,
    /// How often it is in use; [`MANY`] is said elsewhere.
    uses: u16,
    /// Bytes of topic, properties and payload.
    len: u32,
    place: Place,
}

const MANY: u16 = u16::MAX;
/// Entries of one chunk.
const CHUNK: usize = 512;
/// Bytes that a message takes on disk beside its own, about.
const OVERHEAD: u64 = 24;

/// The messages, by number.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// By the number of the first; a chunk holds what is below the next one's.
    chunks: BTreeMap<u64, Vec<Entry>>,
    /// Uses that do not fit in an entry.
    many: HashMap<u64, u32>,
    /// Those that expire.
    expiring: HashMap<u64, Instant>,
    /// Bytes of messages in use, by segment.
    live: BTreeMap<u32, u64>,
    messages: usize,
    /// Bytes of messages that stand no longer where they stood, since somebody [asked](Self::left).
    left: u64,
    /// Segments have lost their last message since somebody [asked](Self::has_emptied).
    emptied: bool,
    /// What nobody uses stays: a record that comes later may have held it.
    pub(super) keeps_unused: bool,
}

impl Index {
    fn chunk(&self, number: u64) -> Option<(u64, &Vec<Entry>)> {
        let (first, chunk) = self.chunks.range(..=number).next_back()?;
        Some((*first, chunk))
    }

    fn entry(&self, number: u64) -> Option<&Entry> {
        let (first, chunk) = self.chunk(number)?;
        let offset = u16::try_from(number - first).ok()?;
        let at = chunk
            .binary_search_by_key(&offset, |entry| entry.number)
            .ok()?;
        chunk.get(at)
    }

    fn entry_mut(&mut self, number: u64) -> Option<&mut Entry> {
        let (first, chunk) = self.chunks.range_mut(..=number).next_back()?;
        let offset = u16::try_from(number - first).ok()?;
        let at = chunk
            .binary_search_by_key(&offset, |entry| entry.number)
            .ok()?;
        chunk.get_mut(at)
    }

    fn come(&mut self, entry: Entry) {
        *self.live.entry(entry.place.segment).or_default() += u64::from(entry.len) + OVERHEAD;
    }

    fn leave(&mut self, entry: Entry) {
        let bytes = u64::from(entry.len) + OVERHEAD;
        self.left += bytes;
        if let btree_map::Entry::Occupied(mut sum) = self.live.entry(entry.place.segment) {
            *sum.get_mut() = sum.get().saturating_sub(bytes);
            if *sum.get() == 0 {
                sum.remove();
                self.emptied = true;
            }
        }
    }

    /// How many bytes of messages have left their places since this was last asked.
    pub(super) const fn left(&mut self) -> u64 {
        core::mem::replace(&mut self.left, 0)
    }

    /// Whether a segment has lost its last message since this was last asked.
    pub(super) const fn has_emptied(&mut self) -> bool {
        core::mem::replace(&mut self.emptied, false)
    }

    /// A message was written; nobody uses it yet.
    pub(super) fn put(&mut self, number: u64, place: Place, terms: Terms) {
        if self.entry(number).is_some() {
            return;
        }
        if let Some(expires) = terms.expires {
            self.expiring.insert(number, expires);
        }
        let len = (terms.size as usize).saturating_sub(size_of::<Message>()) as u32;
        let mut entry = Entry {
            number: 0,
            uses: 0,
            len,
            place,
        };
        self.come(entry);
        self.messages += 1;
        if let Some((first, chunk)) = self.chunks.range_mut(..=number).next_back()
            && let Ok(offset) = u16::try_from(number - first)
        {
            let at = chunk.partition_point(|entry| entry.number < offset);
            if chunk.len() < CHUNK || at < chunk.len() {
                entry.number = offset;
                chunk.insert(at, entry);
                return;
            }
        }
        let mut chunk = Vec::with_capacity(CHUNK);
        chunk.push(entry);
        self.chunks.insert(number, chunk);
    }

    /// It is in use once more; false when it is not there.
    pub(super) fn begin_use(&mut self, number: u64) -> bool {
        let Some(entry) = self.entry_mut(number) else {
            return false;
        };
        if entry.uses < MANY - 1 {
            entry.uses += 1;
        } else {
            entry.uses = MANY;
            *self
                .many
                .entry(number)
                .or_insert_with(|| u32::from(MANY - 1)) += 1;
        }
        true
    }

    /// It is in use once less; what nobody uses is forgotten.
    pub(super) fn end_use(&mut self, number: u64) {
        let Some(entry) = self.entry_mut(number) else {
            return;
        };
        if entry.uses == MANY {
            if let Some(uses) = self.many.get_mut(&number) {
                *uses -= 1;
                if *uses == u32::from(MANY - 1) {
                    self.many.remove(&number);
                    if let Some(entry) = self.entry_mut(number) {
                        entry.uses = MANY - 1;
                    }
                }
            }
            return;
        }
        entry.uses = entry.uses.saturating_sub(1);
        self.forget_unused(number);
    }

    /// Forgets everything that nobody uses, now and from now on.
    pub(super) fn keep_used(&mut self) {
        self.keeps_unused = false;
        let unused = self.chunks.iter().flat_map(|(first, chunk)| {
            let unused = chunk.iter().filter(|entry| entry.uses == 0);
            unused.map(move |entry| first + u64::from(entry.number))
        });
        for number in unused.collect::<Vec<_>>() {
            self.forget_unused(number);
        }
    }

    /// Forgets it if nobody uses it.
    pub(super) fn forget_unused(&mut self, number: u64) {
        if self.keeps_unused {
            return;
        }
        let Some((&first, chunk)) = self.chunks.range_mut(..=number).next_back() else {
            return;
        };
        let Ok(offset) = u16::try_from(number - first) else {
            return;
        };
        let Ok(at) = chunk.binary_search_by_key(&offset, |entry| entry.number) else {
            return;
        };
        if chunk.get(at).is_none_or(|entry| entry.uses != 0) {
            return;
        }
        let entry = chunk.remove(at);
        if chunk.is_empty() {
            self.chunks.remove(&first);
        } else if chunk.len() < chunk.capacity() / 4 {
            chunk.shrink_to(chunk.len() * 2);
        }
        self.leave(entry);
        self.expiring.remove(&number);
        self.messages -= 1;
    }

    /// Where it stands, and the bytes of its own that it has there.
    pub(super) fn place(&self, number: u64) -> Option<(Place, u32)> {
        self.entry(number).map(|entry| (entry.place, entry.len))
    }

    /// It stands elsewhere now.
    pub(super) fn move_to(&mut self, number: u64, place: Place) {
        let Some(entry) = self.entry_mut(number) else {
            return;
        };
        let before = *entry;
        entry.place = place;
        let after = *entry;
        self.leave(before);
        self.come(after);
    }

    pub(super) fn terms(&self, number: u64) -> Option<Terms> {
        let entry = self.entry(number)?;
        Some(Terms {
            size: entry.len + size_of::<Message>() as u32,
            expires: self.expires(number),
        })
    }

    #[cfg(any(test, feature = "cli"))]
    pub(super) fn uses(&self, number: u64) -> u32 {
        match self.entry(number) {
            Some(entry) if entry.uses == MANY => self.many.get(&number).copied().unwrap_or(0),
            Some(entry) => entry.uses.into(),
            None => 0,
        }
    }

    pub(super) const fn messages(&self) -> usize {
        self.messages
    }

    /// Bytes of messages in use in a segment.
    pub(super) fn live(&self, segment: u32) -> u64 {
        self.live.get(&segment).copied().unwrap_or(0)
    }

    /// Bytes of messages in use, in all segments.
    pub(super) fn live_bytes(&self) -> u64 {
        self.live.values().sum()
    }

    /// When it expires.
    pub(super) fn expires(&self, number: u64) -> Option<Instant> {
        self.expiring.get(&number).copied()
    }

    /// Those from this number on, in ascending order: number, place, length.
    pub(super) fn iter_from(&self, from: u64) -> impl Iterator<Item = (u64, Place, u32)> + '_ {
        let chunk = self.chunk(from).map_or(from, |(first, _)| first);
        self.chunks.range(chunk..).flat_map(move |(first, chunk)| {
            let skip = chunk.partition_point(|entry| first + u64::from(entry.number) < from);
            let rest = chunk.get(skip..).unwrap_or_default();
            let whole =
                move |entry: &Entry| (first + u64::from(entry.number), entry.place, entry.len);
            rest.iter().map(whole)
        })
    }

    /// All of them in ascending order: number, place, length.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, Place, u32)> + '_ {
        self.chunks.iter().flat_map(|(first, chunk)| {
            chunk
                .iter()
                .map(move |entry| (first + u64::from(entry.number), entry.place, entry.len))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn terms(len: u32) -> Terms {
        Terms {
            size: len + size_of::<Message>() as u32,
            expires: None,
        }
    }

    /// Against a map: numbers come nearly in order, are used, moved and forgotten.
    #[test]
    fn it_is_a_map_of_places() {
        let mut random = 7_u64;
        let mut next = move |below: u64| {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) % below
        };
        let (mut index, mut map) = (Index::default(), BTreeMap::<u64, (Place, u32, u32)>::new());
        let mut latest = 1_000_u64;
        for _ in 0..40_000 {
            latest += if next(50) == 0 {
                next(200_000)
            } else {
                next(4)
            };
            let number = latest - next(40);
            let place = Place {
                segment: next(5) as u32,
                offset: next(1 << 20) as u32,
            };
            if let btree_map::Entry::Vacant(vacant) = map.entry(number) {
                let uses = 1 + next(3) as u32;
                index.put(number, place, terms(next(90) as u32));
                for _ in 0..uses {
                    assert!(index.begin_use(number));
                }
                let (_, len) = index.place(number).unwrap();
                vacant.insert((place, len, uses));
            }
            for _ in 0..next(4) {
                let Some((&number, _)) = map.range(latest - next(100)..).next() else {
                    continue;
                };
                if next(4) == 0 {
                    index.move_to(number, place);
                    map.get_mut(&number).unwrap().0 = place;
                } else {
                    index.end_use(number);
                    let uses = &mut map.get_mut(&number).unwrap().2;
                    *uses -= 1;
                    if *uses == 0 {
                        map.remove(&number);
                    }
                }
            }
        }
        assert!(map.len() > 1_000, "{}", map.len());
        assert_eq!(index.messages(), map.len());
        let all: Vec<_> = index.iter().collect();
        let expected = map
            .iter()
            .map(|(number, (place, len, _))| (*number, *place, *len));
        assert_eq!(all, expected.collect::<Vec<_>>());
        for at in (0..all.len()).step_by(97) {
            let from: Vec<_> = index.iter_from(all[at].0).take(3).collect();
            assert_eq!(from, all[at..(at + 3).min(all.len())]);
        }
        for segment in 0..5 {
            let here = map.values().filter(|(place, ..)| place.segment == segment);
            let bytes: u64 = here.map(|(_, len, _)| u64::from(*len) + OVERHEAD).sum();
            assert_eq!(index.live(segment), bytes);
        }
        for (number, (.., uses)) in map {
            assert_eq!(index.uses(number), uses);
            for _ in 0..uses {
                index.end_use(number);
            }
            assert!(index.place(number).is_none());
        }
        assert_eq!((index.messages(), index.live_bytes()), (0, 0));
        assert_eq!(size_of::<Entry>(), 16);
    }

    #[test]
    fn more_uses_than_an_entry_can_count() {
        let mut index = Index::default();
        let uses = 200_000;
        index.put(
            5,
            Place {
                segment: 1,
                offset: 9,
            },
            terms(1),
        );
        for _ in 0..uses {
            index.begin_use(5);
        }
        assert_eq!(index.uses(5), uses);
        for left in (1..uses).rev() {
            index.end_use(5);
            assert_eq!(index.uses(5), left);
        }
        index.end_use(5);
        assert_eq!(index.messages(), 0);
        assert!(index.many.is_empty());
    }
}
