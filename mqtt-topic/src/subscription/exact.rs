//! [`ExactFilters`]: filters without wildcards, found by one probe for the whole name.

use alloc::boxed::Box;

use super::subscribers::Subscribers;
use crate::hash::{HashKey, same};
use crate::slab::Slab;
use crate::table::IdTable;

/// Whole names and who subscribes to them.
#[derive(Clone)]
pub(super) struct ExactFilters<K, V> {
    key: HashKey,
    filters: Slab<Filter<K, V>>,
    ids: IdTable,
}

#[derive(Clone)]
struct Filter<K, V> {
    name: Box<str>,
    subscribers: Subscribers<K, V>,
}

impl<K: Copy + Ord, V> ExactFilters<K, V> {
    pub(super) const fn new(key: HashKey) -> Self {
        Self {
            key,
            filters: Slab::new(),
            ids: IdTable::new(),
        }
    }

    pub(super) const fn len(&self) -> usize {
        self.filters.len()
    }

    fn find(&self, name: &str) -> Option<u32> {
        if self.filters.len() == 0 {
            return None;
        }
        self.ids.find(self.key.text(name), |id| {
            same(self.filters[id].name.as_bytes(), name.as_bytes())
        })
    }

    pub(super) fn subscribers(&self, name: &str) -> Option<&Subscribers<K, V>> {
        self.find(name).map(|id| &self.filters[id].subscribers)
    }

    pub(super) fn insert(&mut self, name: &str, key: K, value: V) -> Option<V> {
        if let Some(id) = self.find(name) {
            return self.filters[id].subscribers.insert(key, value);
        }
        let id = self.filters.insert(Filter {
            name: name.into(),
            subscribers: Subscribers::One(key, value),
        });
        let (key, filters) = (self.key, &self.filters);
        self.ids
            .insert(key.text(name), id, |id| key.text(&filters[id].name));
        None
    }

    pub(super) fn remove(&mut self, name: &str, key: &K) -> Option<V> {
        let id = self.find(name)?;
        let filter = &mut self.filters[id];
        let value = filter.subscribers.remove(key)?;
        if filter.subscribers.is_empty() {
            let (key, filters) = (self.key, &self.filters);
            self.ids
                .remove(key.text(name), id, |id| key.text(&filters[id].name));
            self.filters.remove(id);
        }
        Some(value)
    }

    /// Places that hold memory.
    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.filters.capacity() + self.ids.capacity()
    }
}
