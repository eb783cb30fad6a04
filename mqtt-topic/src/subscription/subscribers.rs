//! [`Subscribers`]: who subscribes to one filter. Most filters have one subscriber, a few have thousands.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::mem;

use super::blocks::Blocks;

/// With more subscribers than this, many lists replace the one, so that one more costs little.
const LIST_MAX: usize = 512;
/// With fewer than this, a list replaces them. Well below, so that the border costs no to and fro.
const MANY_MIN: usize = LIST_MAX / 4;
/// Up to so many subscribers stand in a block of just their size.
const BLOCK_MAX: usize = 6;

/// Subscribers and their values, in the order of the subscribers.
///
/// A block is one step in memory away, a list two: its length and place stand in a box of their own.
#[derive(Clone)]
#[expect(
    clippy::box_collection,
    reason = "a filter has one subscriber as a rule: the others must not make it larger"
)]
pub(super) enum Subscribers<K, V> {
    None,
    One(K, V),
    Two(Box<[(K, V); 2]>),
    Three(Box<[(K, V); 3]>),
    Four(Box<[(K, V); 4]>),
    Five(Box<[(K, V); 5]>),
    Six(Box<[(K, V); 6]>),
    Few(Box<Vec<(K, V)>>),
    Many(Box<Blocks<K, V>>),
}

impl<K: Copy + Ord, V> Subscribers<K, V> {
    pub(super) const fn is_empty(&self) -> bool {
        matches!(self, Self::None)
    }

    pub(super) fn get(&self, key: &K) -> Option<&V> {
        match self {
            Self::None => None,
            Self::One(only, value) => (only == key).then_some(value),
            Self::Many(blocks) => blocks.get(key),
            _ => {
                let list = self.as_list()?;
                let at = list.binary_search_by_key(key, |entry| entry.0).ok()?;
                Some(&list[at].1)
            }
        }
    }

    /// Blocks and lists as what they have in common.
    fn as_list(&self) -> Option<&[(K, V)]> {
        match self {
            Self::Two(block) => Some(&block[..]),
            Self::Three(block) => Some(&block[..]),
            Self::Four(block) => Some(&block[..]),
            Self::Five(block) => Some(&block[..]),
            Self::Six(block) => Some(&block[..]),
            Self::Few(list) => Some(list),
            Self::None | Self::One(..) | Self::Many(_) => None,
        }
    }

    fn as_list_mut(&mut self) -> Option<&mut [(K, V)]> {
        match self {
            Self::Two(block) => Some(&mut block[..]),
            Self::Three(block) => Some(&mut block[..]),
            Self::Four(block) => Some(&mut block[..]),
            Self::Five(block) => Some(&mut block[..]),
            Self::Six(block) => Some(&mut block[..]),
            Self::Few(list) => Some(list),
            Self::None | Self::One(..) | Self::Many(_) => None,
        }
    }

    /// The form for so many entries, up to the longest list.
    fn of(mut list: Vec<(K, V)>) -> Self {
        let list = match list.len() {
            0 => return Self::None,
            1 => {
                return list
                    .pop()
                    .map_or(Self::None, |(key, value)| Self::One(key, value));
            }
            2 => list.try_into().map(Self::Two),
            3 => list.try_into().map(Self::Three),
            4 => list.try_into().map(Self::Four),
            5 => list.try_into().map(Self::Five),
            BLOCK_MAX => list.try_into().map(Self::Six),
            _ => Err(list),
        };
        list.unwrap_or_else(|list| Self::Few(Box::new(list)))
    }

    /// Takes the entries out as a list with room for one more.
    fn take_list(&mut self) -> Vec<(K, V)> {
        let mut list = Vec::with_capacity(BLOCK_MAX + 2);
        match mem::replace(self, Self::None) {
            Self::None => {}
            Self::One(key, value) => list.push((key, value)),
            Self::Two(block) => list.extend(*block),
            Self::Three(block) => list.extend(*block),
            Self::Four(block) => list.extend(*block),
            Self::Five(block) => list.extend(*block),
            Self::Six(block) => list.extend(*block),
            Self::Few(few) => return *few,
            Self::Many(blocks) => return blocks.into_list(),
        }
        list
    }

    /// Adds a subscriber, or replaces its value and returns the earlier one.
    pub(super) fn insert(&mut self, key: K, value: V) -> Option<V> {
        match self {
            Self::None => *self = Self::One(key, value),
            Self::One(only, old) if *only == key => return Some(mem::replace(old, value)),
            Self::Many(blocks) => return blocks.insert(key, value),
            Self::Few(list) if list.len() < LIST_MAX => {
                match list.binary_search_by_key(&key, |entry| entry.0) {
                    Ok(at) => return Some(mem::replace(&mut list[at].1, value)),
                    Err(at) => list.insert(at, (key, value)),
                }
            }
            _ => return self.insert_and_change(key, value),
        }
        None
    }

    /// The same where one more makes another form of it.
    fn insert_and_change(&mut self, key: K, value: V) -> Option<V> {
        if let Some(list) = self.as_list_mut()
            && let Ok(at) = list.binary_search_by_key(&key, |entry| entry.0)
        {
            return Some(mem::replace(&mut list[at].1, value));
        }
        let mut list = self.take_list();
        let at = list.partition_point(|entry| entry.0 < key);
        list.insert(at, (key, value));
        *self = if list.len() > LIST_MAX {
            Self::Many(Box::new(Blocks::of(list)))
        } else {
            Self::of(list)
        };
        None
    }

    pub(super) fn remove(&mut self, key: &K) -> Option<V> {
        match self {
            Self::None => None,
            Self::One(only, _) => {
                if only != key {
                    return None;
                }
                match mem::replace(self, Self::None) {
                    Self::One(_, value) => Some(value),
                    _ => None,
                }
            }
            Self::Few(list) if list.len() > BLOCK_MAX + 1 => {
                let at = list.binary_search_by_key(key, |entry| entry.0).ok()?;
                let (_, value) = list.remove(at);
                if list.len() < list.capacity() / 4 {
                    list.shrink_to(list.len() * 2);
                }
                Some(value)
            }
            Self::Many(blocks) => {
                let value = blocks.remove(key)?;
                if blocks.len() < MANY_MIN {
                    *self = Self::of(self.take_list());
                }
                Some(value)
            }
            _ => {
                let list = self.as_list()?;
                let at = list.binary_search_by_key(key, |entry| entry.0).ok()?;
                let mut list = self.take_list();
                let (_, value) = list.remove(at);
                *self = Self::of(list);
                Some(value)
            }
        }
    }

    #[inline]
    pub(super) fn visit(&self, visitor: &mut impl FnMut(&K, &V)) {
        match self {
            Self::None => {}
            Self::One(key, value) => visitor(key, value),
            Self::Many(blocks) => blocks.iter().for_each(|(key, value)| visitor(key, value)),
            _ => {
                for (key, value) in self.as_list().unwrap_or_default() {
                    visitor(key, value);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::collections::BTreeMap;
    use std::vec::Vec;

    use super::{BLOCK_MAX, LIST_MAX, Subscribers};

    fn listed(subscribers: &Subscribers<u32, u64>) -> Vec<(u32, u64)> {
        let mut all = Vec::new();
        subscribers.visit(&mut |key, value| all.push((*key, *value)));
        all
    }

    /// A map of the standard library is the oracle on the way up through all forms and down again.
    #[test]
    fn all_forms_behave_like_a_map() {
        let mut subscribers = Subscribers::None;
        let mut oracle = BTreeMap::new();
        // Multiplying by an odd number goes through all keys in a scattered order.
        let keys: Vec<u32> = (0..2 * LIST_MAX as u32)
            .map(|n| n.wrapping_mul(0x9e37_79b1))
            .collect();
        for (value, key) in keys.iter().chain(&keys[..5]).enumerate() {
            assert_eq!(
                subscribers.insert(*key, value as u64),
                oracle.insert(*key, value as u64)
            );
        }
        assert!(listed(&subscribers).into_iter().eq(oracle.clone()));
        assert!(matches!(subscribers, Subscribers::Many(_)));
        for key in &keys {
            assert_eq!(subscribers.get(key), oracle.get(key));
            assert_eq!(subscribers.remove(key), oracle.remove(key));
            assert_eq!(subscribers.remove(key), None);
            if oracle.len() < 200 {
                let block = oracle.len() <= BLOCK_MAX;
                assert_eq!(
                    block,
                    !matches!(subscribers, Subscribers::Few(_) | Subscribers::Many(_))
                );
                assert!(listed(&subscribers).into_iter().eq(oracle.clone()));
            }
        }
        assert!(subscribers.is_empty());
    }

    #[test]
    fn a_subscriber_of_12_bytes_takes_16() {
        assert_eq!(size_of::<Subscribers<u32, (u32, u32)>>(), 16);
    }
}
