//! [`Generations`]: counters that move when the matches of a name may have changed.

use alloc::boxed::Box;

use crate::hash::HashKey;
use crate::{TopicFilter, TopicName};

/// Counters for first levels; two of them may share one, which costs a cache a miss and nothing else.
const BUCKETS: usize = 256;

/// One counter for each bucket of first levels, one for filters that begin with a wildcard.
#[derive(Clone)]
pub(super) struct Generations {
    key: HashKey,
    by_first_level: Box<[u64; BUCKETS]>,
    wildcard: u64,
}

impl Generations {
    pub(super) fn new(key: HashKey) -> Self {
        Self {
            key,
            by_first_level: Box::new([0; BUCKETS]),
            wildcard: 0,
        }
    }

    /// The counter for names that begin like `text`.
    fn bucket(&self, text: &str) -> usize {
        let first = text.split('/').next().unwrap_or(text);
        self.key.text(first) as usize % BUCKETS
    }

    /// Notes a change in the subscriptions to `filter`.
    pub(super) fn advance(&mut self, filter: TopicFilter<'_>) {
        let counter = if filter.begins_with_wildcard() {
            &mut self.wildcard
        } else {
            let bucket = self.bucket(filter.as_str());
            &mut self.by_first_level[bucket]
        };
        *counter += 1;
    }

    /// Both counters only grow, so their sum differs as soon as one of them does.
    pub(super) fn of(&self, name: TopicName<'_>) -> u64 {
        self.by_first_level[self.bucket(name.as_str())] + self.wildcard
    }
}
