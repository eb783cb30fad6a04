//! [`IdTable`]: a hash table that holds ids only; hash and equality come from what the ids stand for.

use hashbrown::HashTable;

/// Below this many places a table is not made smaller.
const SMALL: usize = 64;

/// A set of ids found by a hash; four bytes and one control byte a place.
#[derive(Clone)]
pub(crate) struct IdTable(HashTable<u32>);

impl IdTable {
    pub(crate) const fn new() -> Self {
        Self(HashTable::new())
    }

    /// The id with this hash that `is` recognises.
    pub(crate) fn find(&self, hash: u64, mut is: impl FnMut(u32) -> bool) -> Option<u32> {
        self.0.find(hash, |&id| is(id)).copied()
    }

    /// Adds an id that is not in the table yet. `rehash` tells the hash of any id in the table.
    pub(crate) fn insert(&mut self, hash: u64, id: u32, rehash: impl Fn(u32) -> u64) {
        self.0.insert_unique(hash, id, |&id| rehash(id));
    }

    /// Takes an id out, and gives memory back once three quarters of it are unused.
    pub(crate) fn remove(&mut self, hash: u64, id: u32, rehash: impl Fn(u32) -> u64) {
        if let Ok(entry) = self.0.find_entry(hash, |&found| found == id) {
            entry.remove();
        }
        if self.0.is_empty() {
            *self = Self::new();
        } else if self.0.capacity() > SMALL && self.0.len() < self.0.capacity() / 4 {
            self.0.shrink_to(self.0.len() * 2, |&id| rehash(id));
        }
    }

    /// Places that hold memory.
    #[cfg(test)]
    pub(crate) fn capacity(&self) -> usize {
        self.0.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::IdTable;

    #[test]
    fn a_table_shrinks_with_what_it_holds() {
        let hash = |id: u32| u64::from(id).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut table = IdTable::new();
        for id in 0..10_000 {
            table.insert(hash(id), id, hash);
        }
        for id in 100..10_000 {
            table.remove(hash(id), id, hash);
        }
        assert!(table.capacity() < 1_000, "{}", table.capacity());
        assert_eq!(table.find(hash(99), |id| id == 99), Some(99));
        assert_eq!(table.find(hash(100), |id| id == 100), None);
        for id in 0..100 {
            table.remove(hash(id), id, hash);
        }
        assert_eq!(table.capacity(), 0);
    }
}
