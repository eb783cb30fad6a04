//! Who gets a message of a topic: gathered from the index, one entry for each receiver, and remembered for hot topics.

use std::sync::Arc;

use mqtt_codec::{QoS, SubscriptionId, SubscriptionOptions};
use mqtt_topic::{CacheLimits, MatchCache, SubscriptionIndex, TopicName};

use super::ids::Subscriber;
use super::message::Ids;

/// One subscription, as the index holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    pub(crate) options: SubscriptionOptions,
    pub(crate) id: Option<SubscriptionId>,
}

/// The terms on which a receiver gets the one copy that all its matching subscriptions share [MQTT-3.3.4-2], [MQTT-3.3.4-4].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Terms {
    /// The highest that was granted.
    pub(super) qos: QoS,
    pub(super) retain_as_published: bool,
    pub(super) ids: Ids,
}

impl Terms {
    /// The terms of all these subscriptions together; `None` without any.
    fn of(grants: impl Iterator<Item = Grant> + Clone) -> Option<Self> {
        Some(Self {
            qos: grants.clone().map(|grant| grant.options.qos).max()?,
            retain_as_published: grants
                .clone()
                .any(|grant| grant.options.retain_as_published),
            ids: grants.filter_map(|grant| grant.id).collect(),
        })
    }
}

/// One receiver.
#[derive(Debug)]
pub(super) struct Route {
    pub(super) to: Subscriber,
    terms: Terms,
    /// What it gets of its own messages, where a subscription has No Local [MQTT-3.8.3-3].
    own: Option<Box<Option<Terms>>>,
}

impl Route {
    /// The terms for a message of `publisher`; `None` when it gets none.
    pub(super) fn terms(&self, publisher: Subscriber) -> Option<&Terms> {
        match &self.own {
            Some(own) if publisher == self.to => own.as_ref().as_ref(),
            _ => Some(&self.terms),
        }
    }
}

/// Every receiver of a topic.
pub(super) type FanOut = Vec<Route>;

/// Gathers the receivers of `name`.
pub(super) fn gather(index: &SubscriptionIndex<Subscriber, Grant>, name: &TopicName<'_>) -> FanOut {
    let mut matches: Vec<(Subscriber, Grant)> = Vec::new();
    index.visit(name, |&who, &grant| matches.push((who, grant)));
    // Stable, so that the identifiers of one receiver keep the order of the walk.
    matches.sort_by_key(|&(who, _)| who);
    let mut routes: FanOut = Vec::with_capacity(matches.len());
    for same in matches.chunk_by(|a, b| a.0 == b.0) {
        let Some(&(to, _)) = same.first() else {
            continue;
        };
        let grants = same.iter().map(|&(_, grant)| grant);
        let Some(terms) = Terms::of(grants.clone()) else {
            continue;
        };
        let own = grants
            .clone()
            .any(|grant| grant.options.no_local)
            .then(|| Box::new(Terms::of(grants.filter(|grant| !grant.options.no_local))));
        routes.push(Route { to, terms, own });
    }
    routes
}

/// The fan-out of topics that were published to lately; each worker has its own.
pub(super) type Cache = MatchCache<Arc<FanOut>>;

/// How much a cache keeps.
pub(super) fn limits() -> CacheLimits {
    CacheLimits::default()
}

/// What a fan-out weighs in the cache: its receivers. One with more of them than the cache may hold fills it alone, for it is
/// the dearest to gather.
pub(super) fn weight(fan_out: &FanOut) -> usize {
    fan_out.len().min(limits().weight)
}

#[cfg(test)]
mod tests {
    use super::super::ids::SessionKey;
    use super::*;
    use mqtt_topic::TopicFilter;

    fn who(slot: u32) -> Subscriber {
        Subscriber::session(
            0,
            SessionKey {
                slot,
                generation: 0,
            },
        )
    }

    fn index(entries: &[(&str, u32, QoS, bool, u32)]) -> SubscriptionIndex<Subscriber, Grant> {
        let mut index = SubscriptionIndex::with_seed(1);
        for &(filter, slot, qos, no_local, id) in entries {
            let options = SubscriptionOptions {
                qos,
                no_local,
                ..SubscriptionOptions::default()
            };
            let filter = TopicFilter::new(filter).unwrap();
            index.insert(
                &filter,
                who(slot),
                Grant {
                    options,
                    id: SubscriptionId::new(id),
                },
            );
        }
        index
    }

    /// Overlapping subscriptions of one client: one copy, the highest QoS, all identifiers [MQTT-3.3.4-2], [MQTT-3.3.4-4].
    #[test]
    fn one_receiver_gets_one_copy() {
        let index = index(&[
            ("a/+", 1, QoS::AtMostOnce, false, 5),
            ("a/b", 1, QoS::ExactlyOnce, false, 6),
            ("#", 2, QoS::AtLeastOnce, false, 0),
        ]);
        let fan_out = gather(&index, &TopicName::new("a/b").unwrap());
        assert_eq!(fan_out.len(), 2);
        let terms = fan_out[0].terms(who(1)).unwrap();
        let mut ids: Vec<u32> = terms.ids.as_slice().iter().map(|id| id.get()).collect();
        ids.sort_unstable();
        assert_eq!((terms.qos, ids), (QoS::ExactlyOnce, vec![5, 6]));
        assert_eq!(fan_out[1].terms(who(1)).unwrap().ids, Ids::None);
    }

    /// No Local keeps back the client's own messages, and only by the subscription that says so [MQTT-3.8.3-3].
    #[test]
    fn no_local_counts_for_its_own_subscription_only() {
        let index = index(&[
            ("a/+", 1, QoS::ExactlyOnce, true, 5),
            ("a/b", 1, QoS::AtMostOnce, false, 6),
        ]);
        let name = TopicName::new("a/b").unwrap();
        let fan_out = gather(&index, &name);
        assert_eq!(fan_out[0].terms(who(2)).unwrap().qos, QoS::ExactlyOnce);
        let own = fan_out[0].terms(who(1)).unwrap();
        assert_eq!((own.qos, own.ids.as_slice().len()), (QoS::AtMostOnce, 1));
        let only = gather(&index, &TopicName::new("a/c").unwrap());
        assert_eq!(only[0].terms(who(1)), None);
    }

    /// A topic with more subscribers than the cache's weight was gathered anew for each message.
    #[test]
    fn the_largest_fan_out_is_remembered_too() {
        let mut index = SubscriptionIndex::with_seed(1);
        let filter = TopicFilter::new("a/+").unwrap();
        let options = SubscriptionOptions::default();
        for slot in 0..=limits().weight as u32 {
            index.insert(&filter, who(slot), Grant { options, id: None });
        }
        let name = TopicName::new("a/b").unwrap();
        let fan_out = Arc::new(gather(&index, &name));
        assert!(fan_out.len() > limits().weight);
        let mut cache = Cache::with_seed(1, limits());
        for name in ["x", "y"].map(|name| TopicName::new(name).unwrap()) {
            cache.put(&name, 0, Arc::default(), 1);
        }
        cache.put(&name, 0, Arc::clone(&fan_out), weight(&fan_out));
        assert!(cache.get(&name, 0).is_some());
        assert_eq!((cache.len(), cache.weight()), (1, limits().weight));
    }
}
