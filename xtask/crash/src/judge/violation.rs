//! The promises, and how often each was broken.

use core::fmt;

/// What a broker that keeps what it acknowledges never breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Promise {
    /// An accepted message reaches every subscription that was confirmed before.
    Delivered,
    /// QoS 2 comes once.
    Once,
    /// Messages of a publisher come in their order.
    Ordered,
    /// What comes was sent, byte for byte, and on the terms of the subscription.
    Genuine,
    /// A retained value is the last accepted one, or one that was sent after it.
    Retained,
    /// A session is there when it was confirmed, and gone when its end was.
    Session,
    /// A subscription is there when it was confirmed, and gone when its end was.
    Subscription,
    /// A will is published when its connection was lost, and not when it was withdrawn.
    Will,
    /// The broker starts, answers, and keeps connections open.
    Serving,
}

/// All of them, as they stand in a table.
pub(crate) const PROMISES: [Promise; 9] = [
    Promise::Delivered,
    Promise::Once,
    Promise::Ordered,
    Promise::Genuine,
    Promise::Retained,
    Promise::Session,
    Promise::Subscription,
    Promise::Will,
    Promise::Serving,
];

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Violation {
    /// In which round, from 1.
    pub round: u32,
    /// Which.
    pub promise: Promise,
    /// What happened, in words.
    pub text: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "round {}: {}", self.round, self.text)
    }
}

/// Violations are kept up to so many of each promise; the others are counted.
const KEPT: usize = 20;

/// Violations, counted by promise.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    counts: [usize; PROMISES.len()],
    kept: Vec<Violation>,
}

impl Tally {
    pub(crate) fn add(&mut self, round: u32, promise: Promise, text: impl Into<String>) {
        let count = &mut self.counts[promise as usize];
        *count += 1;
        if *count <= KEPT {
            self.kept.push(Violation {
                round,
                promise,
                text: text.into(),
            });
        }
    }

    /// How often it was broken.
    #[must_use]
    pub fn count(&self, promise: Promise) -> usize {
        self.counts[promise as usize]
    }

    /// How often any was broken.
    #[must_use]
    pub fn total(&self) -> usize {
        self.counts.iter().sum()
    }

    /// The first ones, in the order in which they were found.
    #[must_use]
    pub fn violations(&self) -> &[Violation] {
        &self.kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_counted_and_not_kept() {
        let mut tally = Tally::default();
        for number in 0..100 {
            tally.add(1, Promise::Delivered, format!("message {number}"));
        }
        tally.add(2, Promise::Once, "twice");
        assert_eq!(tally.count(Promise::Delivered), 100);
        assert_eq!(tally.total(), 101);
        assert_eq!(tally.violations().len(), KEPT + 1);
        assert_eq!(tally.violations()[KEPT].to_string(), "round 2: twice");
    }

    #[test]
    fn every_promise_has_its_place() {
        for (place, promise) in PROMISES.into_iter().enumerate() {
            assert_eq!(promise as usize, place);
        }
    }
}
