//! What all indexes can do, for the bench: ours; those of the peers are in [`super::peers`].

use mqtt_topic::{MatchCache, SubscriptionIndex, TopicFilter, TopicName};

/// A subscription's options and its identifier, as a broker keeps them.
pub type Value = (u32, u8);

/// Found subscribers: how many, and the sum of their numbers, so that none can be left out unnoticed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// How many.
    pub count: u64,
    /// Sum of their numbers.
    pub sum: u64,
}

impl Found {
    /// Adds a subscriber.
    pub const fn add(&mut self, who: u32) {
        self.count += 1;
        self.sum += who as u64;
    }
}

/// An index of subscriptions. Texts come as they come from a packet, and each index does with them what it needs.
pub trait Index: Default + 'static {
    /// What ends a subscription again.
    type Token;

    /// Column of the report.
    const NAME: &'static str;

    /// A subscription of `who`, who has not subscribed to this filter yet.
    fn subscribe(&mut self, filter: &str, who: u32) -> Self::Token;

    /// Ends it.
    fn unsubscribe(&mut self, filter: &str, who: u32, token: Self::Token);

    /// Everyone whose filter matches the name.
    fn find(&self, name: &str) -> Found;
}

/// Ours.
#[derive(Debug)]
pub struct Ours(pub SubscriptionIndex<u32, Value>);

/// In earnest a random number; here every run is the same.
pub const SEED: u64 = 0x5eed;

impl Default for Ours {
    fn default() -> Self {
        Self(SubscriptionIndex::with_seed(SEED))
    }
}

/// A filter that the bench made.
pub fn valid(filter: &str) -> TopicFilter<'_> {
    TopicFilter::new(filter).expect("a valid filter")
}

impl Index for Ours {
    type Token = ();

    const NAME: &'static str = "ours";

    fn subscribe(&mut self, filter: &str, who: u32) {
        self.0.insert(&valid(filter), who, (who, 1));
    }

    fn unsubscribe(&mut self, filter: &str, who: u32, (): ()) {
        self.0.remove(&valid(filter), &who);
    }

    #[inline]
    fn find(&self, name: &str) -> Found {
        let name = TopicName::new(name).expect("a valid name");
        let mut found = Found::default();
        self.0.visit(&name, |who, _| found.add(*who));
        found
    }
}

/// The matches of hot names, as a worker keeps them.
pub type Cache = MatchCache<Box<[(u32, Value)]>>;

impl Ours {
    /// The same through a worker's cache.
    #[inline]
    pub fn find_through(&self, cache: &mut Cache, name: &str) -> Found {
        let name = TopicName::new(name).expect("a valid name");
        let generation = self.0.generation(&name);
        let mut found = Found::default();
        if let Some(known) = cache.get(&name, generation) {
            for (who, _) in known {
                found.add(*who);
            }
            return found;
        }
        let mut matches = Vec::new();
        self.0
            .visit(&name, |who, value| matches.push((*who, *value)));
        for (who, _) in &matches {
            found.add(*who);
        }
        let weight = matches.len();
        cache.put(&name, generation, matches.into(), weight);
        found
    }
}
