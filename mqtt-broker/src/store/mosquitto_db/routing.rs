//! Whom a message is for that Mosquitto had not given to anybody yet.
//!
//! It keeps a message of QoS 2 until its client releases it, and delivers it then; our broker delivers at once, and remembers the packet id
//! until it is released. So what the client has handed over goes to its subscribers when the file is imported.

use std::collections::BTreeMap;

use mqtt_codec::{QoS, SubscriptionId};
use mqtt_topic::{ParsedFilter, SubscriptionIndex, TopicFilter, TopicName};

use crate::store::portable::{Receiver, Session, Subscription};

/// Finds the receivers of messages.
#[derive(Debug)]
pub(super) struct Routes {
    /// By the number of a session: its subscription.
    index: SubscriptionIndex<(u32, u32), ()>,
    /// Filters of groups, each once.
    groups: Vec<Group>,
}

#[derive(Debug)]
struct Group {
    /// `$share/group/filter`.
    filter: String,
}

/// One receiver, and the terms on which it gets a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Route {
    pub(super) receiver: Receiver,
    pub(super) qos: QoS,
    pub(super) retain: bool,
    pub(super) ids: Vec<SubscriptionId>,
}

impl Routes {
    /// `clients` names the session of each client id.
    pub(super) fn new(
        subscriptions: &[Subscription],
        client: impl Fn(&str) -> Option<u32>,
    ) -> Self {
        let mut routes = Self {
            // The file was checked, and whoever imports it waits for nobody else.
            index: SubscriptionIndex::with_seed(0),
            groups: Vec::new(),
        };
        for (at, subscription) in (0..).zip(subscriptions) {
            let Ok(parsed) = ParsedFilter::parse(&subscription.filter) else {
                continue;
            };
            if parsed.share.is_some() {
                let filter = &subscription.filter;
                if routes.groups.iter().all(|group| group.filter != *filter) {
                    routes.groups.push(Group {
                        filter: filter.clone(),
                    });
                }
            } else if let Some(client) = client(&subscription.client_id) {
                routes.index.insert(&parsed.filter, (client, at), ());
            }
        }
        routes
    }

    /// The receivers of a message that `publisher` sent, each once.
    pub(super) fn receivers(
        &self,
        topic: &str,
        retain: bool,
        publisher: u32,
        sessions: &[Session],
        subscriptions: &[Subscription],
    ) -> Vec<Route> {
        let Ok(name) = TopicName::new(topic) else {
            return Vec::new();
        };
        let mut found: BTreeMap<u32, Route> = BTreeMap::new();
        self.index.visit(&name, |&(client, at), ()| {
            let (Some(session), Some(subscription)) = (
                sessions.get(client as usize),
                subscriptions.get(at as usize),
            ) else {
                return;
            };
            let options = subscription.options;
            if options.no_local && client == publisher {
                return;
            }
            let route = found.entry(client).or_insert_with(|| Route {
                receiver: Receiver::Client(session.client_id.clone()),
                qos: QoS::AtMostOnce,
                retain: false,
                ids: Vec::new(),
            });
            // One copy for all of them: the highest QoS, all identifiers [MQTT-3.3.4-2].
            route.qos = route.qos.max(options.qos);
            route.retain |= retain && options.retain_as_published;
            route.ids.extend(subscription.id);
        });
        let groups = self.groups.iter().filter(|group| {
            let filter = ParsedFilter::parse(&group.filter).map(|parsed| parsed.filter);
            filter.is_ok_and(|filter: TopicFilter<'_>| filter.matches(&name))
        });
        let groups = groups.map(|group| Route {
            receiver: Receiver::Group(group.filter.clone()),
            qos: QoS::ExactlyOnce,
            retain: false,
            ids: Vec::new(),
        });
        let mut routes: Vec<Route> = found.into_values().chain(groups).collect();
        // Nobody waits for QoS 0 while he is away.
        routes.retain(|route| route.qos > QoS::AtMostOnce);
        routes
    }
}

#[cfg(test)]
mod tests {
    use mqtt_codec::SubscriptionOptions;

    use super::*;
    use crate::store::portable::Expiry;

    fn session(client_id: &str) -> Session {
        Session {
            client_id: client_id.to_owned(),
            user_name: None,
            expiry: Expiry::Never,
            bridge: false,
            used: true,
            connected: false,
            ends: None,
        }
    }

    fn subscription(client_id: &str, filter: &str, byte: u8, id: u32) -> Subscription {
        Subscription {
            client_id: client_id.to_owned(),
            filter: filter.to_owned(),
            options: SubscriptionOptions::from_byte(byte).unwrap(),
            id: SubscriptionId::new(id),
            retained_sent: None,
        }
    }

    #[test]
    fn a_message_goes_to_all_who_subscribe() {
        let sessions = ["a", "b", "c"].map(session);
        let subscriptions = [
            subscription("a", "x/+", 1, 5),
            subscription("a", "x/y", 2 | 8, 6),
            subscription("b", "x/y", 2 | 4, 0),
            subscription("c", "x/#", 0, 0),
            subscription("c", "$share/g/x/#", 1, 0),
            subscription("a", "$share/g/x/#", 1, 0),
        ];
        let client = |id: &str| (0..).zip(["a", "b", "c"]).find(|(_, name)| *name == id);
        let routes = Routes::new(&subscriptions, |id| client(id).map(|(at, _)| at));
        let to = |publisher| {
            let mut found = routes.receivers("x/y", true, publisher, &sessions, &subscriptions);
            found
                .iter_mut()
                .for_each(|route| route.ids.sort_by_key(|id| id.get()));
            found
        };
        let group = Route {
            receiver: Receiver::Group("$share/g/x/#".into()),
            qos: QoS::ExactlyOnce,
            retain: false,
            ids: vec![],
        };
        let a = Route {
            receiver: Receiver::Client("a".into()),
            qos: QoS::ExactlyOnce,
            retain: true,
            ids: [5, 6].map(|id| SubscriptionId::new(id).unwrap()).into(),
        };
        let b = Route {
            receiver: Receiver::Client("b".into()),
            qos: QoS::ExactlyOnce,
            retain: false,
            ids: vec![],
        };
        assert_eq!(to(0), [a.clone(), b, group.clone()]);
        assert_eq!(
            to(1),
            [a, group],
            "not to its publisher, who wants none of its own"
        );
    }
}
