//! The published indexes. A subscriber is a number of four bytes; options and identifiers, which only ours keeps beside
//! it, would come on top.

use mqtt_topic_engine::{QoS, SubscriptionId, TopicPath, TopicRouter};
use quill::{Pattern, Registry, Topic};
use rmqtt::trie::TopicTree;

use super::index::{Found, Index};

/// quill-pubsub.
#[derive(Debug, Default)]
pub struct Quill(Registry<u32>);

fn pattern(filter: &str) -> Pattern {
    Pattern::parse(filter).expect("a valid filter")
}

impl Index for Quill {
    type Token = ();

    const NAME: &'static str = "quill-pubsub";

    fn subscribe(&mut self, filter: &str, who: u32) {
        self.0.subscribe(pattern(filter), who);
    }

    fn unsubscribe(&mut self, filter: &str, who: u32, (): ()) {
        self.0.unsubscribe(&pattern(filter), &who);
    }

    #[inline]
    fn find(&self, name: &str) -> Found {
        let mut found = Found::default();
        let name = Topic::parse(name).expect("a valid name");
        for who in self.0.matching(&name) {
            found.add(who);
        }
        found
    }
}

/// The tree of rmqtt, a broker.
#[derive(Debug, Default)]
pub struct Rmqtt(TopicTree<u32>);

fn topic(text: &str) -> rmqtt::topic::Topic {
    text.parse().expect("a valid topic")
}

impl Index for Rmqtt {
    type Token = ();

    const NAME: &'static str = "rmqtt";

    fn subscribe(&mut self, filter: &str, who: u32) {
        self.0.insert(&topic(filter), who);
    }

    fn unsubscribe(&mut self, filter: &str, who: u32, (): ()) {
        self.0.remove(&topic(filter), &who);
    }

    #[inline]
    fn find(&self, name: &str) -> Found {
        let mut found = Found::default();
        let name = topic(name);
        for (_, subscribers) in self.0.matches(&name).iter() {
            for who in subscribers {
                found.add(*who);
            }
        }
        found
    }
}

/// mqtt-topic-engine.
#[derive(Default)]
pub struct Engine(TopicRouter<u32>);

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").finish_non_exhaustive()
    }
}

impl Index for Engine {
    type Token = SubscriptionId;

    const NAME: &'static str = "mqtt-topic-engine";

    fn subscribe(&mut self, filter: &str, who: u32) -> SubscriptionId {
        let pattern = filter.try_into().expect("a valid filter");
        self.0.add_subscription(pattern, QoS::AtLeastOnce, who).1
    }

    fn unsubscribe(&mut self, _: &str, _: u32, token: SubscriptionId) {
        self.0.unsubscribe(&token).expect("a subscription");
    }

    #[inline]
    fn find(&self, name: &str) -> Found {
        let mut found = Found::default();
        let name = TopicPath::new(name).expect("a valid name");
        for (_, _, who) in self.0.get_subscribers(&name) {
            found.add(*who);
        }
        found
    }
}
