//! Topic aliases: a number of two bytes instead of the topic, one table for each direction, both gone with the connection.

use mqtt_codec::TopicAlias;

use crate::storage::{NoRoom, Storage, Topics};

/// Aliases beyond this number are never assigned: what saves bytes is in the first few.
const MOST: u16 = 64;
/// A topic of up to so many bytes is no longer than the alias property.
const SHORT: usize = 3;

/// The aliases of one connection [MQTT-3.3.2-7].
#[derive(Debug)]
pub(crate) struct Aliases<S: Storage> {
    /// What the peer's numbers stand for.
    pub(crate) theirs: S::Topics,
    ours: S::Topics,
    assigned: u16,
    /// Which of our aliases were used since the hand passed, and where the hand is: the CLOCK rule of eviction.
    used: u64,
    hand: u16,
}

impl<S: Storage> Default for Aliases<S> {
    fn default() -> Self {
        Self {
            theirs: Default::default(),
            ours: Default::default(),
            assigned: 0,
            used: 0,
            hand: 0,
        }
    }
}

/// How a topic goes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    /// In full.
    Topic,
    /// The alias alone.
    Known(TopicAlias),
    /// Topic and alias; from then on the alias alone.
    New(TopicAlias),
}

impl Plan {
    pub(crate) const fn alias(self) -> Option<TopicAlias> {
        match self {
            Self::Topic => None,
            Self::Known(alias) | Self::New(alias) => Some(alias),
        }
    }
}

impl<S: Storage> Aliases<S> {
    /// Decides how `topic` goes out to a peer that allows `maximum` aliases [MQTT-3.1.2-26], [MQTT-3.2.2-17].
    ///
    /// A full table gives up the first alias that was not used since the last miss that looked at it; a miss looks at one only, so
    /// that a flood of new topics does not empty the table.
    pub(crate) fn plan(&mut self, topic: &str, maximum: u16) -> Plan {
        if topic.len() <= SHORT || !self.ours.fits(topic) {
            return Plan::Topic;
        }
        let known = (1..=self.assigned)
            .filter_map(TopicAlias::new)
            .find(|&alias| self.ours.get(alias) == Some(topic));
        if let Some(alias) = known {
            self.used |= bit(alias.get());
            return Plan::Known(alias);
        }
        let maximum = maximum.min(MOST).min(S::Topics::CAPACITY);
        if self.assigned < maximum {
            return TopicAlias::new(self.assigned + 1).map_or(Plan::Topic, Plan::New);
        }
        if maximum == 0 {
            return Plan::Topic;
        }
        let candidate = self.hand % maximum + 1;
        self.hand = candidate;
        if self.used & bit(candidate) != 0 {
            self.used &= !bit(candidate);
            return Plan::Topic;
        }
        TopicAlias::new(candidate).map_or(Plan::Topic, Plan::New)
    }

    /// The packet with that plan was written.
    pub(crate) fn written(&mut self, plan: Plan, topic: &str) {
        #[cfg(mutation = "fuzz-alias-evicted")]
        if matches!(plan, Plan::New(alias) if alias.get() <= self.assigned) {
            return;
        }
        if let Plan::New(alias) = plan
            && self.ours.set(alias, topic) == Ok(())
        {
            self.assigned = self.assigned.max(alias.get());
            self.used |= bit(alias.get());
        }
    }

    /// Takes note of what the peer's alias stands for.
    pub(crate) fn learn(&mut self, alias: TopicAlias, topic: &str) -> Result<(), NoRoom> {
        self.theirs.set(alias, topic)
    }
}

const fn bit(alias: u16) -> u64 {
    1 << ((alias - 1) % 64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::Fixed;
    extern crate std;

    type Table = Aliases<Fixed<1, 1, 1, 2, 8>>;

    fn send(table: &mut Table, topic: &str) -> Plan {
        let plan = table.plan(topic, 2);
        table.written(plan, topic);
        plan
    }

    fn alias(n: u16) -> TopicAlias {
        TopicAlias::new(n).unwrap()
    }

    /// No alias is above the peer's maximum, none is 0 [MQTT-3.3.2-8], [MQTT-3.3.2-9].
    #[test]
    fn a_topic_gets_an_alias_and_then_only_that_is_sent() {
        let mut table = Table::default();
        for too in ["abc", "longer than the slot"] {
            assert_eq!(table.plan(too, 2), Plan::Topic, "short or long: {too}");
        }
        assert_eq!(send(&mut table, "one/t"), Plan::New(alias(1)));
        assert_eq!(send(&mut table, "one/t"), Plan::Known(alias(1)));
        assert_eq!(send(&mut table, "two/t"), Plan::New(alias(2)));
        assert_eq!(
            send(&mut table, "abc"),
            Plan::Topic,
            "shorter than the property"
        );
        assert_eq!(send(&mut table, "longer than the slot"), Plan::Topic);
        assert_eq!(table.plan("three", 0), Plan::Topic);
    }

    #[test]
    fn an_alias_in_use_survives_a_flood_of_new_topics_and_an_idle_one_goes() {
        let mut table = Table::default();
        send(&mut table, "hot/t");
        send(&mut table, "cold/t");
        assert_eq!(
            send(&mut table, "new/1"),
            Plan::Topic,
            "the first miss only takes away the mark of alias 1"
        );
        assert_eq!(send(&mut table, "hot/t"), Plan::Known(alias(1)));
        assert_eq!(
            send(&mut table, "new/2"),
            Plan::Topic,
            "and the second that of alias 2"
        );
        assert_eq!(send(&mut table, "hot/t"), Plan::Known(alias(1)));
        assert_eq!(send(&mut table, "new/3"), Plan::Topic);
        assert_eq!(
            send(&mut table, "new/4"),
            Plan::New(alias(2)),
            "cold/t was not used since"
        );
        assert_eq!(send(&mut table, "hot/t"), Plan::Known(alias(1)));
    }

    /// Each alias has a mark of its own: one that is used again and again stays, whatever comes and goes beside it.
    #[test]
    fn the_marks_of_aliases_do_not_mix() {
        type Wide = Aliases<Fixed<1, 1, 1, 4, 8>>;
        let send = |table: &mut Wide, topic: &str| {
            let plan = table.plan(topic, 4);
            table.written(plan, topic);
            plan
        };
        let mut table = Wide::default();
        for topic in ["hot/t", "b/top", "c/top", "d/top"] {
            send(&mut table, topic);
        }
        let mut evicted = 0;
        for n in 0..32 {
            assert_eq!(send(&mut table, "hot/t"), Plan::Known(alias(1)), "{n}");
            let plan = send(&mut table, &std::format!("new/{n}"));
            evicted += usize::from(matches!(plan, Plan::New(_)));
        }
        // A new topic is not used again: every second look at its alias gives it up.
        assert_eq!(evicted, 12);
    }

    #[test]
    fn a_plan_that_was_not_written_changes_nothing() {
        let mut table = Table::default();
        assert_eq!(table.plan("one/t", 2), Plan::New(alias(1)));
        assert_eq!(table.plan("one/t", 2), Plan::New(alias(1)));
    }
}
