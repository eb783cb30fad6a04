//! [`MatchCache`]: what was worked out for the names that were published to lately.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use crate::TopicName;
use crate::hash::{HashKey, same};
use crate::table::IdTable;

/// How much a [`MatchCache`] may hold. Clients choose the names, so all of it has a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheLimits {
    /// Names.
    pub names: usize,
    /// Sum of the weights that the owner gives to values: receivers, bytes, or whatever makes them large.
    pub weight: usize,
    /// Bytes of a name; a longer one is not kept.
    pub name_bytes: usize,
}

impl Default for CacheLimits {
    /// 8,192 names of at most 512 bytes, and a weight of 262,144.
    fn default() -> Self {
        Self {
            names: 8_192,
            weight: 262_144,
            name_bytes: 512,
        }
    }
}

/// What matches a name (the receivers of a message, say), kept until a subscription changes that.
///
/// A value is stored under the [`generation`](crate::SubscriptionIndex::generation) of its name and found as
/// long as that is the same. When the cache is full, names that were not looked for since the last time
/// round make room. A hit allocates nothing.
///
/// One for each thread: nothing in it is shared, and a look-up notes that it took place.
///
/// ```
/// use mqtt_topic::{CacheLimits, MatchCache, SubscriptionIndex, TopicFilter, TopicName};
///
/// let seed = 0x5eed; // a random number in earnest
/// let mut index = SubscriptionIndex::with_seed(seed);
/// let mut cache = MatchCache::with_seed(seed, CacheLimits::default());
/// index.insert(&TopicFilter::new("site/+")?, 42, "QoS 1");
///
/// let name = TopicName::new("site/7").unwrap();
/// let generation = index.generation(&name);
/// assert_eq!(cache.get(&name, generation), None);
/// let mut receivers = Vec::new();
/// index.visit(&name, |&who, _| receivers.push(who));
/// let weight = receivers.len();
/// cache.put(&name, generation, receivers, weight);
/// assert_eq!(cache.get(&name, generation), Some(&vec![42]));
///
/// index.insert(&TopicFilter::new("site/#")?, 43, "QoS 0");
/// assert_eq!(cache.get(&name, index.generation(&name)), None);
/// # Ok::<(), mqtt_topic::TopicFilterError>(())
/// ```
#[derive(Clone)]
pub struct MatchCache<T> {
    key: HashKey,
    limits: CacheLimits,
    entries: Vec<Entry<T>>,
    /// Places in `entries`, by name.
    places: IdTable,
    weight: usize,
    /// Where the search for an entry to give up goes on.
    hand: usize,
}

#[derive(Clone)]
struct Entry<T> {
    name: Box<str>,
    generation: u64,
    weight: usize,
    /// Whether it was looked for since the hand was here.
    used: bool,
    value: T,
}

impl<T> MatchCache<T> {
    /// An empty cache whose hash table depends on `seed`, which clients cannot know.
    #[must_use]
    pub const fn with_seed(seed: u64, limits: CacheLimits) -> Self {
        Self {
            key: HashKey::from_seed(seed),
            limits,
            entries: Vec::new(),
            places: IdTable::new(),
            weight: 0,
            hand: 0,
        }
    }

    /// The value of `name`, if it was stored under this generation. Cost: one probe.
    #[inline]
    pub fn get(&mut self, name: &TopicName<'_>, generation: u64) -> Option<&T> {
        let place = self.place(self.key.text(name.as_str()), name.as_str())?;
        let entry = &mut self.entries[place];
        entry.used = true;
        (entry.generation == generation).then_some(&entry.value)
    }

    /// Stores the value of `name` under a generation, in place of the one before; not if it is beyond a limit
    /// by itself.
    ///
    /// The generation was read before the value was worked out, under the same lock if there is one. Cost: a
    /// probe and two more for each entry that makes room; a search among the entries that amounts to one step
    /// for each look-up before.
    pub fn put(&mut self, name: &TopicName<'_>, generation: u64, value: T, weight: usize) {
        let text = name.as_str();
        let hash = self.key.text(text);
        let known = self.place(hash, text).map(|place| self.take(place).name);
        let CacheLimits {
            names,
            weight: most,
            name_bytes,
        } = self.limits;
        if names == 0 || weight > most || text.len() > name_bytes {
            return;
        }
        while self.entries.len() >= names || self.weight > most - weight {
            self.give_up_one();
        }
        let (key, entries) = (self.key, &self.entries);
        let place = entries.len() as u32;
        self.places
            .insert(hash, place, |place| key.text(&entries[place as usize].name));
        self.entries.push(Entry {
            name: known.unwrap_or_else(|| text.into()),
            generation,
            weight,
            used: false,
            value,
        });
        self.weight += weight;
    }

    /// How many names have a value, of whichever generation.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no name has a value.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The sum of the weights of all values.
    #[must_use]
    pub const fn weight(&self) -> usize {
        self.weight
    }

    fn place(&self, hash: u64, name: &str) -> Option<usize> {
        let is = |place: u32| {
            same(
                self.entries[place as usize].name.as_bytes(),
                name.as_bytes(),
            )
        };
        self.places.find(hash, is).map(|place| place as usize)
    }

    /// Gives up the next entry that was not used since the hand was there. There is an entry.
    fn give_up_one(&mut self) {
        loop {
            self.hand = if self.hand < self.entries.len() {
                self.hand
            } else {
                0
            };
            let entry = &mut self.entries[self.hand];
            if !core::mem::take(&mut entry.used) {
                self.take(self.hand);
                return;
            }
            self.hand += 1;
        }
    }

    /// Takes an entry out; the last one takes its place.
    fn take(&mut self, place: usize) -> Entry<T> {
        self.forget(place);
        let last = self.entries.len() - 1;
        if place < last {
            self.forget(last);
            let (key, entries) = (self.key, &self.entries);
            let rehash = |place: u32| key.text(&entries[place as usize].name);
            // Its hash is that of its name, wherever it stands.
            let hash = rehash(last as u32);
            let moved = |other: u32| {
                let at = if other == place as u32 {
                    last as u32
                } else {
                    other
                };
                rehash(at)
            };
            self.places.insert(hash, place as u32, moved);
        }
        let entry = self.entries.swap_remove(place);
        self.weight -= entry.weight;
        entry
    }

    /// Takes a place out of the table.
    fn forget(&mut self, place: usize) {
        let (key, entries) = (self.key, &self.entries);
        let rehash = |place: u32| key.text(&entries[place as usize].name);
        self.places
            .remove(rehash(place as u32), place as u32, rehash);
    }
}

impl<T> fmt::Debug for MatchCache<T> {
    /// Shows the numbers only: the content may be thousands of entries.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MatchCache")
            .field("names", &self.len())
            .field("weight", &self.weight)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::collections::BTreeMap;
    use std::format;

    use super::{CacheLimits, MatchCache};
    use crate::TopicName;

    fn limits(names: usize, weight: usize) -> CacheLimits {
        CacheLimits {
            names,
            weight,
            name_bytes: 10,
        }
    }

    fn name(text: &str) -> TopicName<'_> {
        TopicName::new(text).unwrap()
    }

    #[test]
    fn a_value_is_found_only_under_its_generation() {
        let mut cache = MatchCache::with_seed(1, CacheLimits::default());
        cache.put(&name("t"), 7, 'x', 1);
        assert_eq!(cache.get(&name("t"), 7), Some(&'x'));
        assert_eq!(cache.get(&name("t"), 8), None);
        assert_eq!(cache.get(&name("u"), 7), None);
        cache.put(&name("t"), 8, 'y', 3);
        assert_eq!(cache.get(&name("t"), 8), Some(&'y'));
        assert_eq!((cache.len(), cache.weight()), (1, 3));
    }

    /// Names that are looked for stay when a stream of others passes.
    #[test]
    fn what_is_used_stays() {
        let mut cache = MatchCache::with_seed(1, limits(100, 1_000));
        for number in 0..50 {
            cache.put(&name(&format!("hot{number}")), 0, number, 1);
        }
        for number in 0..10_000 {
            let hot = number % 50;
            let passing = format!("cold{number}");
            assert_eq!(
                cache.get(&name(&format!("hot{hot}")), 0),
                Some(&hot),
                "after {number}"
            );
            assert_eq!(cache.get(&name(&passing), 0), None);
            cache.put(&name(&passing), 0, number, 1);
        }
        assert_eq!(cache.len(), 100);
    }

    /// Clients choose the names and how many match them: the cache grows by none of that.
    #[test]
    fn names_weight_and_length_are_bounded() {
        let mut cache = MatchCache::with_seed(1, limits(50, 200));
        cache.put(&name("longer than that"), 0, 0, 1);
        cache.put(&name("heavy"), 0, 0, 201);
        assert!(cache.is_empty());
        let mut oracle = BTreeMap::new();
        for number in 0..5_000_u64 {
            let text = format!("{}", number * number % 97);
            let weight = (number * 31 % 45) as usize;
            cache.put(&name(&text), number, number, weight);
            oracle.insert(text, (number, weight));
            let mut sum = 0;
            for (text, &(value, weight)) in &oracle {
                if let Some(&found) = cache.get(&name(text), value) {
                    assert_eq!(found, value);
                    sum += weight;
                }
            }
            assert_eq!(sum, cache.weight());
            assert!(sum <= 200 && cache.len() <= 50);
        }
        // What no longer fits goes out with its earlier value.
        let (text, &(generation, _)) = oracle
            .iter()
            .find(|(text, (number, _))| cache.get(&name(text), *number).is_some())
            .unwrap();
        cache.put(&name(text), generation, 0, 201);
        assert_eq!(cache.get(&name(text), generation), None);
    }

    #[test]
    fn a_cache_without_room_keeps_nothing() {
        let mut cache = MatchCache::with_seed(1, limits(0, 10));
        cache.put(&name("t"), 0, (), 1);
        assert!(cache.is_empty());
    }
}
