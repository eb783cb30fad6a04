//! [`IdTable`]: a hash table that holds ids only; hash and equality come from what the ids stand for.
//!
//! A table that grows moves all it holds. So that one insert among millions does not hold everything
//! up, a large table is many small ones, each of which grows by itself.

use alloc::boxed::Box;
use core::array;

use hashbrown::HashTable;

/// Below this many places a part is not made smaller.
const SMALL: usize = 64;
/// Parts of a large table.
const PARTS: usize = 256;
/// With more ids than this, the table is split into its parts.
const WHOLE_MAX: usize = 8 * 1024;
/// With fewer than this, the parts are put together. Well below, so that the border costs no to and fro.
const SPLIT_MIN: usize = WHOLE_MAX / 8;

/// A set of ids found by a hash; four bytes and one control byte a place.
#[derive(Clone)]
pub(crate) struct IdTable {
    parts: Parts,
    len: usize,
}

#[derive(Clone)]
enum Parts {
    Whole(HashTable<u32>),
    Split(Box<[HashTable<u32>; PARTS]>),
}

impl Parts {
    /// The part where ids with this hash are. The bits are none of those that a part itself looks at first.
    const fn of(&self, hash: u64) -> &HashTable<u32> {
        match self {
            Self::Whole(table) => table,
            Self::Split(tables) => &tables[(hash >> 40) as usize % PARTS],
        }
    }

    const fn of_mut(&mut self, hash: u64) -> &mut HashTable<u32> {
        match self {
            Self::Whole(table) => table,
            Self::Split(tables) => &mut tables[(hash >> 40) as usize % PARTS],
        }
    }

    fn drain_into(self, parts: &mut Self, rehash: &impl Fn(u32) -> u64) {
        let mut add = |id| {
            let hash = rehash(id);
            parts.of_mut(hash).insert_unique(hash, id, |&id| rehash(id));
        };
        match self {
            Self::Whole(table) => table.into_iter().for_each(&mut add),
            Self::Split(tables) => (*tables).into_iter().flatten().for_each(&mut add),
        }
    }
}

impl IdTable {
    pub(crate) const fn new() -> Self {
        Self {
            parts: Parts::Whole(HashTable::new()),
            len: 0,
        }
    }

    /// The id with this hash that `is` recognises.
    pub(crate) fn find(&self, hash: u64, mut is: impl FnMut(u32) -> bool) -> Option<u32> {
        self.parts.of(hash).find(hash, |&id| is(id)).copied()
    }

    /// Adds an id that is not in the table yet. `rehash` tells the hash of any id in the table.
    pub(crate) fn insert(&mut self, hash: u64, id: u32, rehash: impl Fn(u32) -> u64) {
        if self.len == WHOLE_MAX && matches!(self.parts, Parts::Whole(_)) {
            let split = Parts::Split(Box::new(array::from_fn(|_| {
                HashTable::with_capacity(WHOLE_MAX / PARTS)
            })));
            core::mem::replace(&mut self.parts, split).drain_into(&mut self.parts, &rehash);
        }
        self.parts
            .of_mut(hash)
            .insert_unique(hash, id, |&id| rehash(id));
        self.len += 1;
    }

    /// Takes an id out, and gives memory back once three quarters of a part are unused.
    pub(crate) fn remove(&mut self, hash: u64, id: u32, rehash: impl Fn(u32) -> u64) {
        let part = self.parts.of_mut(hash);
        let Ok(entry) = part.find_entry(hash, |&found| found == id) else {
            return;
        };
        entry.remove();
        self.len -= 1;
        if part.is_empty() {
            *part = HashTable::new();
        } else if part.capacity() > SMALL && part.len() < part.capacity() / 4 {
            part.shrink_to(part.len() * 2, |&id| rehash(id));
        }
        if self.len < SPLIT_MIN && matches!(self.parts, Parts::Split(_)) {
            let whole = Parts::Whole(HashTable::with_capacity(self.len));
            core::mem::replace(&mut self.parts, whole).drain_into(&mut self.parts, &rehash);
        }
    }

    /// Places that hold memory.
    #[cfg(test)]
    pub(crate) fn capacity(&self) -> usize {
        match &self.parts {
            Parts::Whole(table) => table.capacity(),
            Parts::Split(tables) => tables.iter().map(HashTable::capacity).sum(),
        }
    }
}

#[cfg(test)]
mod tests {
    use core::cell::Cell;

    use super::{IdTable, PARTS, Parts, WHOLE_MAX};
    use crate::hash::HashKey;

    fn hash(id: u32) -> u64 {
        HashKey::from_seed(1).edge(id, id)
    }

    #[test]
    fn a_table_shrinks_with_what_it_holds() {
        let mut table = IdTable::new();
        for id in 0..30_000 {
            table.insert(hash(id), id, hash);
        }
        assert!(matches!(table.parts, Parts::Split(_)));
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

    /// One insert among many moves a part of them only.
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
        }
        assert!(most <= 2 * WHOLE_MAX.max(IDS as usize / PARTS), "{most}");
    }
}
