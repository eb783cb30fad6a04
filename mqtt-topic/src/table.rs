//! [`IdTable`]: a hash table that holds ids only; hash and equality come from what the ids stand for.
//!
//! What a probe costs among millions is the cache line it has to wait for. So ids stand in lines of one
//! cache line each, beside a byte of their hash: a probe reads one line as a rule, and almost never looks
//! at what a wrong id stands for.
//!
//! A table that grows moves all it holds. So that one insert among millions does not hold everything up,
//! a large table is many small ones, each of which grows by itself and at its own time.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::array;

/// Ids in a line.
const WIDTH: usize = 12;
/// A part grows when more than this many ids come on a line, and shrinks below a quarter of it.
const FULL: usize = 10;
/// Lines below which a part is not made smaller.
const SMALL: usize = 8;
/// Parts of a large table.
const PARTS: usize = 256;
/// With more ids than this, the table is split into its parts.
const WHOLE_MAX: usize = 8 * 1024;
/// With fewer than this, the parts are put together. Well below, so that the border costs no to and fro.
const SPLIT_MIN: usize = WHOLE_MAX / 8;

/// A set of ids found by a hash.
#[derive(Clone)]
pub(crate) struct IdTable {
    parts: Parts,
    len: usize,
}

#[derive(Clone)]
enum Parts {
    Whole(Part),
    Split(Box<[Part; PARTS]>),
}

/// Lines in a row. An id whose line is full goes to the next one that is not.
#[derive(Clone)]
struct Part {
    lines: Vec<Line>,
    len: u32,
}

#[derive(Clone)]
#[repr(align(64))]
struct Line {
    ids: [u32; WIDTH],
    /// One byte of each id's hash; `FREE` where there is no id.
    tags: [u8; WIDTH],
    /// How many ids went past this line because it was full; stays at the largest number once there.
    passed: u16,
}

/// No id stands here.
const FREE: u8 = 0;

const EMPTY: Line = Line {
    ids: [0; WIDTH],
    tags: [FREE; WIDTH],
    passed: 0,
};

impl Line {
    /// The places whose tag is `tag`, all at once.
    #[inline]
    fn equal(&self, tag: u8) -> Places {
        let [a, b, c, d, e, f, g, h, rest @ ..] = self.tags;
        let first = zeros(u64::from_le_bytes([a, b, c, d, e, f, g, h]) ^ (LOWEST * u64::from(tag)));
        let last = zeros(u64::from(u32::from_le_bytes(rest)) ^ ((LOWEST >> 32) * u64::from(tag)));
        // The upper bytes of the second word are not those of a tag.
        Places(first | (last & u64::from(u32::MAX)) << 1)
    }
}

/// The lowest bit of every byte.
const LOWEST: u64 = u64::from_le_bytes([1; 8]);

/// The lowest bit of those bytes that are zero.
#[inline]
const fn zeros(word: u64) -> u64 {
    // A carry into the uppermost bit of its byte from any bit below it; never out of the byte.
    let below = (word & (LOWEST * 0x7f)) + LOWEST * 0x7f;
    (!(below | word) >> 7) & LOWEST
}

/// Places in a line: the first eight as the lowest bits of the bytes of a number, the others one bit above.
#[derive(Clone, Copy)]
struct Places(u64);

impl Iterator for Places {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        if self.0 == 0 {
            return None;
        }
        let bit = self.0.trailing_zeros() as usize;
        self.0 &= self.0 - 1;
        Some(bit / 8 + 8 * (bit % 8))
    }
}

/// The byte of a hash that stands beside its id: of bits that do not choose part or line.
const fn tag(hash: u64) -> u8 {
    let tag = hash as u8;
    if tag == FREE { 1 } else { tag }
}

impl Part {
    const fn new() -> Self {
        Self {
            lines: Vec::new(),
            len: 0,
        }
    }

    fn with_lines(lines: usize) -> Self {
        let mut part = Self::new();
        part.lines.reserve_exact(lines);
        part.lines.resize(lines, EMPTY);
        part
    }

    /// The line where ids with this hash are, unless it is full. There is at least one line.
    #[inline]
    fn home(&self, hash: u64) -> usize {
        (((hash >> 32) * self.lines.len() as u64) >> 32) as usize
    }

    fn next(&self, line: usize) -> usize {
        if line + 1 < self.lines.len() {
            line + 1
        } else {
            0
        }
    }

    #[inline]
    fn find(&self, hash: u64, mut is: impl FnMut(u32) -> bool) -> Option<u32> {
        let mut at = self.home(hash);
        for _ in 0..self.lines.len() {
            let line = &self.lines[at];
            for place in line.equal(tag(hash)) {
                let id = line.ids[place];
                if is(id) {
                    return Some(id);
                }
            }
            if line.passed == 0 {
                break;
            }
            at = self.next(at);
        }
        None
    }

    /// Puts an id where it belongs; there is room.
    fn insert(&mut self, hash: u64, id: u32) {
        let mut at = self.home(hash);
        loop {
            let line = &mut self.lines[at];
            if let Some(place) = line.equal(FREE).next() {
                line.ids[place] = id;
                line.tags[place] = tag(hash);
                self.len += 1;
                return;
            }
            line.passed = line.passed.saturating_add(1);
            at = self.next(at);
        }
    }

    /// Whether `id` was there.
    fn remove(&mut self, hash: u64, id: u32) -> bool {
        let home = self.home(hash);
        let mut at = home;
        for _ in 0..self.lines.len() {
            let line = &mut self.lines[at];
            if let Some(place) = line.equal(tag(hash)).find(|&place| line.ids[place] == id) {
                line.tags[place] = FREE;
                self.len -= 1;
                self.unpass(home, at);
                return true;
            }
            if line.passed == 0 {
                break;
            }
            at = self.next(at);
        }
        false
    }

    /// An id that had gone from line `home` to line `end` is no longer there.
    fn unpass(&mut self, home: usize, end: usize) {
        let mut at = home;
        while at != end {
            let passed = &mut self.lines[at].passed;
            if *passed < u16::MAX {
                *passed -= 1;
            }
            at = self.next(at);
        }
    }

    fn ids(&self) -> impl Iterator<Item = u32> {
        self.lines.iter().flat_map(|line| {
            line.ids
                .iter()
                .zip(&line.tags)
                .filter_map(|(&id, &tag)| (tag != FREE).then_some(id))
        })
    }

    /// Moves everything into as many lines.
    fn resize(&mut self, lines: usize, rehash: &impl Fn(u32) -> u64) {
        let mut part = Self::with_lines(lines);
        for id in self.ids() {
            part.insert(rehash(id), id);
        }
        *self = part;
    }

    /// Makes room for one more id.
    fn reserve(&mut self, rehash: &impl Fn(u32) -> u64) {
        if self.len as usize >= self.lines.len() * FULL {
            let lines = self.lines.len();
            self.resize((lines + lines.div_ceil(2)).max(1), rehash);
        }
    }

    /// Gives memory back once three quarters are unused.
    fn give_back(&mut self, rehash: &impl Fn(u32) -> u64) {
        if self.len == 0 {
            *self = Self::new();
        } else if self.lines.len() > SMALL && (self.len as usize) < self.lines.len() * FULL / 4 {
            self.resize((self.len as usize).div_ceil(FULL / 2), rehash);
        }
    }
}

impl Parts {
    /// The part where ids with this hash are. The bits are none of those that choose line and tag.
    #[inline]
    const fn of(&self, hash: u64) -> &Part {
        match self {
            Self::Whole(part) => part,
            Self::Split(parts) => &parts[(hash >> 8) as usize % PARTS],
        }
    }

    const fn of_mut(&mut self, hash: u64) -> &mut Part {
        match self {
            Self::Whole(part) => part,
            Self::Split(parts) => &mut parts[(hash >> 8) as usize % PARTS],
        }
    }

    fn ids(&self) -> impl Iterator<Item = u32> {
        let (whole, split) = match self {
            Self::Whole(part) => (Some(part), None),
            Self::Split(parts) => (None, Some(parts)),
        };
        let parts = split.into_iter().flat_map(|parts| parts.iter());
        whole.into_iter().chain(parts).flat_map(Part::ids)
    }
}

impl IdTable {
    pub(crate) const fn new() -> Self {
        Self {
            parts: Parts::Whole(Part::new()),
            len: 0,
        }
    }

    /// The id with this hash that `is` recognises.
    #[inline]
    pub(crate) fn find(&self, hash: u64, is: impl FnMut(u32) -> bool) -> Option<u32> {
        self.parts.of(hash).find(hash, is)
    }

    /// Adds an id that is not in the table yet. `rehash` tells the hash of any id in the table.
    pub(crate) fn insert(&mut self, hash: u64, id: u32, rehash: impl Fn(u32) -> u64) {
        if self.len == WHOLE_MAX && matches!(self.parts, Parts::Whole(_)) {
            // Parts of one size would all grow at once, and be half empty at once.
            let ids_a_part = WHOLE_MAX / PARTS;
            let split = Parts::Split(Box::new(array::from_fn(|part| {
                Part::with_lines((ids_a_part * (2 * PARTS + part)).div_ceil(PARTS * FULL))
            })));
            self.move_to(split, &rehash);
        }
        let part = self.parts.of_mut(hash);
        part.reserve(&rehash);
        part.insert(hash, id);
        self.len += 1;
    }

    /// Takes an id out, and gives memory back once three quarters of a part are unused.
    pub(crate) fn remove(&mut self, hash: u64, id: u32, rehash: impl Fn(u32) -> u64) {
        let part = self.parts.of_mut(hash);
        if !part.remove(hash, id) {
            return;
        }
        part.give_back(&rehash);
        self.len -= 1;
        if self.len < SPLIT_MIN && matches!(self.parts, Parts::Split(_)) {
            let whole = Part::with_lines(self.len.div_ceil(FULL / 2));
            self.move_to(Parts::Whole(whole), &rehash);
        }
    }

    fn move_to(&mut self, mut to: Parts, rehash: &impl Fn(u32) -> u64) {
        for id in self.parts.ids() {
            let hash = rehash(id);
            let part = to.of_mut(hash);
            part.reserve(rehash);
            part.insert(hash, id);
        }
        self.parts = to;
    }

    /// Places that hold memory.
    #[cfg(test)]
    pub(crate) fn capacity(&self) -> usize {
        let places = |part: &Part| part.lines.capacity() * WIDTH;
        match &self.parts {
            Parts::Whole(part) => places(part),
            Parts::Split(parts) => parts.iter().map(places).sum(),
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use core::cell::Cell;
    use std::collections::BTreeSet;
    use std::vec::Vec;

    use super::{EMPTY, IdTable, Line, PARTS, Parts, WHOLE_MAX, WIDTH};
    use crate::hash::HashKey;

    fn hash(id: u32) -> u64 {
        HashKey::from_seed(1).edge(id, id)
    }

    #[test]
    fn a_line_is_a_cache_line() {
        assert_eq!((size_of::<Line>(), align_of::<Line>()), (64, 64));
    }

    #[test]
    fn all_places_of_a_tag_are_found() {
        let mut line = EMPTY;
        for (at, tag) in line.tags.iter_mut().enumerate() {
            *tag = [0, 1, 0x7f, 0x80, 0x81, 0xff][at * 5 % 6];
        }
        for tag in [0, 1, 2, 0x7e, 0x7f, 0x80, 0x81, 0xfe, 0xff] {
            let mut found: Vec<usize> = line.equal(tag).collect();
            found.sort_unstable();
            let expected: Vec<usize> = (0..WIDTH).filter(|&at| line.tags[at] == tag).collect();
            assert_eq!(found, expected, "tag {tag}");
        }
    }

    /// Whatever the hashes, the table is a set: hashes that are all the same or in few lines included.
    #[test]
    fn crowded_lines_lose_nothing() {
        let hashes: [fn(u32) -> u64; 3] = [
            |_| 0,
            |id| u64::from(id % 3) << 40,
            |id| u64::from(id % 2) << 63 | u64::from(id % 300),
        ];
        for hash in hashes {
            let mut table = IdTable::new();
            let mut oracle = BTreeSet::new();
            // An odd number goes through all ids in a scattered order.
            let ids: Vec<u32> = (0..1_000_u32).map(|n| n * 7_919 % 1_000).collect();
            for (step, &id) in ids.iter().chain(&ids).chain(&ids).enumerate() {
                if step % 3 == 2 || step >= 2_000 {
                    table.remove(hash(id), id, hash);
                    oracle.remove(&id);
                } else if oracle.insert(id) {
                    table.insert(hash(id), id, hash);
                }
                if step % 97 == 0 {
                    for &id in &ids {
                        let found = table.find(hash(id), |other| other == id);
                        assert_eq!(
                            found.is_some(),
                            oracle.contains(&id),
                            "step {step}, id {id}"
                        );
                    }
                }
            }
            assert!(oracle.is_empty());
            assert_eq!((table.len, table.capacity()), (0, 0));
        }
    }

    #[test]
    fn a_table_shrinks_with_what_it_holds() {
        let mut table = IdTable::new();
        for id in 0..30_000 {
            table.insert(hash(id), id, hash);
        }
        assert!(matches!(table.parts, Parts::Split(_)));
        assert!(table.capacity() < 60_000, "{}", table.capacity());
        for id in 100..30_000 {
            assert_eq!(table.find(hash(id), |found| found == id), Some(id));
            table.remove(hash(id), id, hash);
            table.remove(hash(id), id, hash);
        }
        assert!(matches!(table.parts, Parts::Whole(_)));
        assert!(table.capacity() < 1_000, "{}", table.capacity());
        assert_eq!(table.find(hash(99), |id| id == 99), Some(99));
        assert_eq!(table.find(hash(100), |id| id == 100), None);
        for id in 0..100 {
            table.remove(hash(id), id, hash);
        }
        assert_eq!((table.capacity(), table.len), (0, 0));
    }

    /// One insert among many moves a part of them only, and the parts do not all grow at the same time.
    #[test]
    fn no_insert_moves_everything() {
        const IDS: u32 = 300_000;
        let moved = Cell::new(0);
        let mut most = 0;
        let mut table = IdTable::new();
        for id in 0..IDS {
            moved.set(0);
            table.insert(hash(id), id, |id| {
                moved.set(moved.get() + 1);
                hash(id)
            });
            most = most.max(moved.get());
            if id > 100_000 && id.is_multiple_of(1_000) {
                let places = table.capacity();
                assert!(places < id as usize * 2, "{places} places for {id} ids");
            }
        }
        assert!(most <= 2 * WHOLE_MAX.max(IDS as usize / PARTS), "{most}");
    }
}
