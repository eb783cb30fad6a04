//! [`SubscriptionIndex`]: finds the subscriptions that a published name matches.

mod blocks;
mod exact;
mod found;
mod generation;
mod subscribers;
mod tree;
mod walk;

use core::fmt;

use self::exact::ExactFilters;
use self::found::Found;
use self::generation::Generations;
use self::subscribers::Subscribers;
use self::tree::WildcardTree;
use crate::hash::HashKey;
use crate::{TopicFilter, TopicName};

/// Subscriptions by filter: many subscribers `K`, each with a value `V`, under each filter.
///
/// Filters without wildcards are found by one probe for the whole name, those with wildcards by a walk
/// level by level. Matching costs by the levels of the name and by what matches, never by how many
/// filters there are. Memory is given back as subscriptions are removed.
///
/// `K` names a subscriber (a number, usually); `V` is what it asked for (QoS, options, subscription id).
/// There is room for about four thousand million filters and tree nodes.
///
/// ```
/// use mqtt_topic::{SubscriptionIndex, TopicFilter, TopicName};
///
/// let mut index = SubscriptionIndex::with_seed(0x5eed); // a random number in earnest
/// index.insert(&TopicFilter::new("site/+/temperature")?, 1, "QoS 1");
/// index.insert(&TopicFilter::new("site/7/#")?, 2, "QoS 0");
///
/// let mut found = Vec::new();
/// index.visit(&TopicName::new("site/7/temperature").unwrap(), |&who, _| found.push(who));
/// found.sort();
/// assert_eq!(found, [1, 2]);
/// # Ok::<(), mqtt_topic::TopicFilterError>(())
/// ```
#[derive(Clone)]
pub struct SubscriptionIndex<K, V> {
    exact: ExactFilters<K, V>,
    wildcard: WildcardTree<K, V>,
    generations: Generations,
    len: usize,
}

impl<K: Copy + Ord, V> SubscriptionIndex<K, V> {
    /// An empty index whose hash tables depend on `seed`.
    ///
    /// Clients choose the filters. With a seed that they cannot know, they cannot tell which
    /// collide; take it from a source of randomness, anew at each start.
    #[must_use]
    pub fn with_seed(seed: u64) -> Self {
        let key = HashKey::from_seed(seed);
        Self {
            exact: ExactFilters::new(key),
            wildcard: WildcardTree::new(key),
            generations: Generations::new(key),
            len: 0,
        }
    }

    /// Subscribes `key` to `filter`, or replaces the value of that subscription and returns the earlier.
    ///
    /// Cost: by the length of the filter; by the logarithm of how many subscribe to it. No limit on depth
    /// is kept here: compare [`TopicFilter::level_count`] first.
    pub fn insert(&mut self, filter: &TopicFilter<'_>, key: K, value: V) -> Option<V> {
        self.generations.advance(*filter);
        let replaced = match filter.as_name() {
            Some(name) => self.exact.insert(name.as_str(), key, value),
            None => self.wildcard.insert(*filter, key, value),
        };
        self.len += usize::from(replaced.is_none());
        replaced
    }

    /// Ends the subscription of `key` to `filter` and returns its value; `None` if there was none.
    ///
    /// Cost: as [`SubscriptionIndex::insert`].
    pub fn remove(&mut self, filter: &TopicFilter<'_>, key: &K) -> Option<V> {
        let removed = match filter.as_name() {
            Some(name) => self.exact.remove(name.as_str(), key),
            None => self.wildcard.remove(*filter, key),
        };
        if removed.is_some() {
            self.generations.advance(*filter);
            self.len -= 1;
        }
        removed
    }

    /// The value of the subscription of `key` to exactly this filter.
    #[must_use]
    pub fn get(&self, filter: &TopicFilter<'_>, key: &K) -> Option<&V> {
        self.subscribers(*filter)?.get(key)
    }

    /// Calls `visitor` for each subscriber to exactly this filter, in ascending order.
    pub fn visit_filter(&self, filter: &TopicFilter<'_>, mut visitor: impl FnMut(&K, &V)) {
        if let Some(subscribers) = self.subscribers(*filter) {
            subscribers.visit(&mut visitor);
        }
    }

    fn subscribers(&self, filter: TopicFilter<'_>) -> Option<&Subscribers<K, V>> {
        match filter.as_name() {
            Some(name) => self.exact.subscribers(name.as_str()),
            None => self.wildcard.subscribers(filter),
        }
    }

    /// Calls `visitor` for every subscription whose filter matches `name`. \[MQTT-3.3.2-3\]
    ///
    /// A subscriber with several such filters is visited once for each. The subscribers to one filter come
    /// in ascending order, the filters in no order to rely on.
    ///
    /// Allocates nothing, unless `name` and a filter with wildcards both have more than 128 levels (then one
    /// buffer of 16 bytes a level). Does not recurse. Cost: one pass over the name, one probe for the whole
    /// name, and one probe for each tree node that the levels of the name lead to. These are two at most for
    /// each at the level before (by name and by `+`): a handful as a rule. Filters made up for it, with `+` or
    /// the name in every level by turns, can make them many, though never more than such filters' levels: a
    /// limit on a client's subscriptions and on levels bounds that.
    pub fn visit(&self, name: &TopicName<'_>, mut visitor: impl FnMut(&K, &V)) {
        let mut found = Found::new(&mut visitor);
        if let Some(subscribers) = self.exact.subscribers(name.as_str()) {
            found.add(subscribers);
        }
        self.wildcard.visit(*name, &mut found);
        found.show();
    }

    /// A number that has changed if the matches of `name` have, so that a cache of matches can be kept.
    ///
    /// It also moves with some changes that do not concern `name`: those to filters with the same first
    /// level (or one that shares its counter, 1 in 256), and those to filters that begin with a wildcard.
    /// Numbers of one index only compare with each other for the same name. Cost: one hash of the first level.
    #[must_use]
    pub fn generation(&self, name: &TopicName<'_>) -> u64 {
        self.generations.of(*name)
    }

    /// How many subscriptions there are: pairs of a filter and a subscriber.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no subscription.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many different filters have a subscriber.
    #[must_use]
    pub const fn filters(&self) -> usize {
        self.exact.len() + self.wildcard.len()
    }
}

impl<K: Copy + Ord, V> fmt::Debug for SubscriptionIndex<K, V> {
    /// Shows the numbers only: the content may be millions of entries.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SubscriptionIndex")
            .field("subscriptions", &self.len)
            .field("exact_filters", &self.exact.len())
            .field("wildcard_filters", &self.wildcard.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
