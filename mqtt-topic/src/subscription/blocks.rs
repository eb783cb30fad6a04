//! [`Blocks`]: thousands of subscribers to one filter, in order, so that a visit passes plain lists.

use alloc::vec::Vec;
use core::mem;

/// Entries in a block: few enough that one more moves little.
const BLOCK_MAX: usize = 512;
/// A block with fewer is put together with its neighbour if both have room in three quarters of one.
const BLOCK_MIN: usize = BLOCK_MAX / 4;

/// Keys and values in blocks; the blocks and what is in them stand in the order of the keys.
#[derive(Clone)]
pub(super) struct Blocks<K, V> {
    /// None of them is empty.
    blocks: Vec<Vec<(K, V)>>,
    len: usize,
}

impl<K: Copy + Ord, V> Blocks<K, V> {
    /// Those of a list in order.
    pub(super) fn of(mut list: Vec<(K, V)>) -> Self {
        let len = list.len();
        let mut blocks = Vec::new();
        while !list.is_empty() {
            blocks.push(list.split_off((list.len() - 1) / (BLOCK_MAX / 2) * (BLOCK_MAX / 2)));
        }
        blocks.reverse();
        Self { blocks, len }
    }

    pub(super) fn into_list(self) -> Vec<(K, V)> {
        self.blocks.into_iter().flatten().collect()
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &(K, V)> {
        self.blocks.iter().flatten()
    }

    /// The block where `key` is, if it is anywhere.
    fn block(&self, key: &K) -> usize {
        let later = |block: &Vec<(K, V)>| block.first().is_some_and(|first| first.0 <= *key);
        self.blocks.partition_point(later).saturating_sub(1)
    }

    pub(super) fn get(&self, key: &K) -> Option<&V> {
        let block = self.blocks.get(self.block(key))?;
        let at = block.binary_search_by_key(key, |entry| entry.0).ok()?;
        Some(&block[at].1)
    }

    pub(super) fn insert(&mut self, key: K, value: V) -> Option<V> {
        let at = self.block(&key);
        let Some(block) = self.blocks.get_mut(at) else {
            self.blocks.push([(key, value)].into());
            self.len += 1;
            return None;
        };
        let place = match block.binary_search_by_key(&key, |entry| entry.0) {
            Ok(place) => return Some(mem::replace(&mut block[place].1, value)),
            Err(place) => place,
        };
        self.len += 1;
        if block.len() < BLOCK_MAX {
            block.insert(place, (key, value));
            return None;
        }
        let mut upper = block.split_off(BLOCK_MAX / 2);
        if place <= BLOCK_MAX / 2 {
            block.insert(place, (key, value));
        } else {
            upper.insert(place - BLOCK_MAX / 2, (key, value));
        }
        self.blocks.insert(at + 1, upper);
        None
    }

    pub(super) fn remove(&mut self, key: &K) -> Option<V> {
        let at = self.block(key);
        let block = self.blocks.get_mut(at)?;
        let place = block.binary_search_by_key(key, |entry| entry.0).ok()?;
        let (_, value) = block.remove(place);
        self.len -= 1;
        if block.len() < BLOCK_MIN {
            self.put_together(at);
        }
        Some(value)
    }

    /// Moves a small block's entries to the block before or behind it, if there is room.
    fn put_together(&mut self, at: usize) {
        if self.blocks[at].is_empty() {
            self.blocks.remove(at);
            return;
        }
        let first = if at + 1 < self.blocks.len() {
            at
        } else {
            at.saturating_sub(1)
        };
        if let Some([one, other]) = self.blocks.get(first..first + 2)
            && one.len() + other.len() <= BLOCK_MAX * 3 / 4
        {
            let mut behind = self.blocks.remove(first + 1);
            self.blocks[first].append(&mut behind);
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::collections::BTreeMap;
    use std::vec::Vec;

    use super::{BLOCK_MAX, Blocks};

    /// A map of the standard library is the oracle, on the way up and down again.
    #[test]
    fn blocks_behave_like_a_map() {
        const KEYS: u32 = 10_000;
        let mut blocks = Blocks::of(Vec::new());
        let mut oracle = BTreeMap::new();
        // Multiplying by an odd number goes through keys in a scattered order; a quarter of them come twice.
        for step in 0..KEYS {
            let key = step.wrapping_mul(0x9e37_79b1) % (KEYS * 3 / 4);
            assert_eq!(blocks.get(&key), oracle.get(&key));
            assert_eq!(blocks.insert(key, step), oracle.insert(key, step));
        }
        let listed = |blocks: &Blocks<u32, u32>| blocks.iter().copied().collect::<Vec<_>>();
        let expected = |oracle: &BTreeMap<u32, u32>| oracle.clone().into_iter().collect::<Vec<_>>();
        assert_eq!(listed(&blocks), expected(&oracle));
        let again = Blocks::of(blocks.clone().into_list());
        assert_eq!(listed(&again), expected(&oracle));
        assert!(
            again
                .blocks
                .iter()
                .all(|block| (1..=BLOCK_MAX).contains(&block.len()))
        );
        for step in 0..KEYS {
            let key = step.wrapping_mul(0x2545_f491) % KEYS;
            assert_eq!(blocks.remove(&key), oracle.remove(&key));
            if step % 500 == 0 {
                assert_eq!(listed(&blocks), expected(&oracle));
            }
        }
        for key in 0..KEYS {
            assert_eq!(blocks.remove(&key), oracle.remove(&key));
            assert_eq!(blocks.len(), oracle.len());
            // Few entries do not stay in many blocks.
            assert!(
                blocks.blocks.len() <= 2 + 4 * blocks.len() / BLOCK_MAX * 2,
                "{} in {}",
                blocks.len(),
                blocks.blocks.len()
            );
        }
        assert!(blocks.blocks.is_empty());
    }
}
