//! [`Subscribers`]: who subscribes to one filter. Most filters have one subscriber, a few have thousands.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// With more subscribers than this, a tree replaces the sorted list, so that one more costs little.
const LIST_MAX: usize = 512;
/// With fewer than this, a list replaces the tree. Well below, so that the border costs no to and fro.
const TREE_MIN: usize = LIST_MAX / 4;

/// Subscribers and their values, in the order of the subscribers.
#[derive(Clone)]
#[expect(
    clippy::box_collection,
    reason = "a filter has one subscriber as a rule: the others must not make it larger"
)]
pub(super) enum Subscribers<K, V> {
    None,
    One(K, V),
    Few(Box<Vec<(K, V)>>),
    Many(Box<BTreeMap<K, V>>),
}

impl<K: Copy + Ord, V> Subscribers<K, V> {
    pub(super) const fn is_empty(&self) -> bool {
        matches!(self, Self::None)
    }

    pub(super) fn get(&self, key: &K) -> Option<&V> {
        match self {
            Self::None => None,
            Self::One(only, value) => (only == key).then_some(value),
            Self::Few(list) => list
                .binary_search_by_key(key, |entry| entry.0)
                .ok()
                .map(|at| &list[at].1),
            Self::Many(tree) => tree.get(key),
        }
    }

    /// Adds a subscriber, or replaces its value and returns the earlier one.
    pub(super) fn insert(&mut self, key: K, value: V) -> Option<V> {
        match self {
            Self::None => *self = Self::One(key, value),
            Self::One(only, old) if *only == key => return Some(core::mem::replace(old, value)),
            Self::One(..) => {
                let mut list = Vec::with_capacity(2);
                if let Self::One(other, old) = core::mem::replace(self, Self::None) {
                    list.push((other, old));
                }
                list.insert(
                    usize::from(list.first().is_some_and(|(other, _)| *other < key)),
                    (key, value),
                );
                *self = Self::Few(Box::new(list));
            }
            Self::Few(list) => match list.binary_search_by_key(&key, |entry| entry.0) {
                Ok(at) => return Some(core::mem::replace(&mut list[at].1, value)),
                Err(_) if list.len() >= LIST_MAX => {
                    let mut tree: BTreeMap<K, V> =
                        core::mem::take(&mut **list).into_iter().collect();
                    tree.insert(key, value);
                    *self = Self::Many(Box::new(tree));
                }
                Err(at) => list.insert(at, (key, value)),
            },
            Self::Many(tree) => return tree.insert(key, value),
        }
        None
    }

    pub(super) fn remove(&mut self, key: &K) -> Option<V> {
        match self {
            Self::None => None,
            Self::One(only, _) => {
                if only != key {
                    return None;
                }
                match core::mem::replace(self, Self::None) {
                    Self::One(_, value) => Some(value),
                    _ => None,
                }
            }
            Self::Few(list) => {
                let at = list.binary_search_by_key(key, |entry| entry.0).ok()?;
                let (_, value) = list.remove(at);
                if list.len() <= 1 {
                    *self = list
                        .pop()
                        .map_or(Self::None, |(key, value)| Self::One(key, value));
                } else if list.len() < list.capacity() / 4 {
                    list.shrink_to(list.len() * 2);
                }
                Some(value)
            }
            Self::Many(tree) => {
                let value = tree.remove(key)?;
                if tree.len() < TREE_MIN {
                    *self = Self::Few(Box::new(core::mem::take(&mut **tree).into_iter().collect()));
                }
                Some(value)
            }
        }
    }

    #[inline]
    pub(super) fn visit(&self, visitor: &mut impl FnMut(&K, &V)) {
        match self {
            Self::None => {}
            Self::One(key, value) => visitor(key, value),
            Self::Few(list) => list.iter().for_each(|(key, value)| visitor(key, value)),
            Self::Many(tree) => tree.iter().for_each(|(key, value)| visitor(key, value)),
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::collections::BTreeMap;
    use std::vec::Vec;

    use super::{LIST_MAX, Subscribers};

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
