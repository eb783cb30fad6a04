//! A small reference of what every client has to get: sessions as lists of messages, without windows, ids, workers and time slices.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use mqtt_codec::QoS;
use mqtt_topic::{TopicFilter, TopicName};

use super::client::Message;

/// A copy that a client has to get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Expected {
    pub(super) topic: String,
    pub(super) payload: String,
    pub(super) qos: QoS,
    pub(super) ids: Vec<u32>,
}

impl Expected {
    fn of(message: &Message) -> Self {
        Self {
            topic: message.topic.clone(),
            payload: message.text(),
            qos: message.qos,
            ids: message.subscriptions.clone(),
        }
    }
}

/// One subscription.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    pub(super) qos: QoS,
    pub(super) no_local: bool,
    pub(super) id: Option<u32>,
}

/// One session.
#[derive(Clone, Debug, Default)]
pub(super) struct Session {
    pub(super) connected: bool,
    pub(super) subscriptions: BTreeMap<String, Terms>,
    /// QoS 1 and 2, in order.
    queue: VecDeque<Expected>,
    /// QoS 0, in order.
    at_most_once: VecDeque<Expected>,
    /// Retained messages for new subscriptions, in any order.
    retained: Vec<Expected>,
    /// Those of QoS 0 that may have been lost with the connection, or come with the next.
    perhaps: Vec<Expected>,
    /// Payloads and RETAIN flags that came, so that a repetition is known.
    seen: Vec<(String, bool)>,
    /// Payloads of QoS 1 that were in flight when the broker died: each comes once more, and not marked as a repetition.
    again: BTreeSet<String>,
    /// In milliseconds; a session without a connection ends then.
    pub(super) ends: Option<u64>,
}

/// All sessions, and what is retained.
#[derive(Clone, Debug, Default)]
pub(super) struct Model {
    pub(super) sessions: BTreeMap<String, Session>,
    pub(super) retained: BTreeMap<String, (String, QoS)>,
    /// Messages for the shared group, and how often they came.
    pub(super) shared: BTreeMap<String, (QoS, usize)>,
    /// Those of QoS 1 that may come once more, as the broker died before they were acknowledged.
    shared_again: BTreeSet<String>,
}

/// Topics of the shared group; no wildcard at the front of a filter matches them.
pub(super) const SHARED: &str = "$s/";
/// The topic of all wills.
pub(super) const WILLS: &str = "w/x";

impl Model {
    pub(super) fn publish(
        &mut self,
        publisher: &str,
        topic: &str,
        payload: &str,
        qos: QoS,
        retain: bool,
    ) {
        if topic.starts_with(SHARED) {
            if qos != QoS::AtMostOnce {
                self.shared.insert(payload.to_owned(), (qos, 0));
            }
            return;
        }
        if retain && payload.is_empty() {
            self.retained.remove(topic);
        } else if retain {
            let value = (payload.to_owned(), qos);
            self.retained.insert(topic.to_owned(), value);
        }
        let name = TopicName::new(topic).unwrap();
        for (client_id, session) in &mut self.sessions {
            let matching: Vec<Terms> = session
                .subscriptions
                .iter()
                .filter(|(filter, _)| TopicFilter::new(filter).unwrap().matches(&name))
                .map(|(_, terms)| *terms)
                .filter(|terms| !(terms.no_local && client_id == publisher))
                .collect();
            let Some(granted) = matching.iter().map(|terms| terms.qos).max() else {
                continue;
            };
            let mut ids: Vec<u32> = matching.iter().filter_map(|terms| terms.id).collect();
            ids.sort_unstable();
            let expected = Expected {
                topic: topic.to_owned(),
                payload: payload.to_owned(),
                qos: qos.min(granted),
                ids,
            };
            if expected.qos != QoS::AtMostOnce {
                session.queue.push_back(expected);
            } else if session.connected {
                session.at_most_once.push_back(expected);
            }
        }
    }

    pub(super) fn subscribe(&mut self, client_id: &str, filter: &str, terms: Terms) {
        let session = self.sessions.get_mut(client_id).unwrap();
        session.subscriptions.insert(filter.to_owned(), terms);
        let filter = TopicFilter::new(filter).unwrap();
        for (topic, (payload, qos)) in &self.retained {
            if filter.matches(&TopicName::new(topic).unwrap()) {
                session.retained.push(Expected {
                    topic: topic.clone(),
                    payload: payload.clone(),
                    qos: terms.qos.min(*qos),
                    ids: terms.id.into_iter().collect(),
                });
            }
        }
    }

    /// The connection is gone, and with it what was to come with QoS 0.
    pub(super) fn disconnected(&mut self, client_id: &str, ends: Option<u64>) {
        if let Some(session) = self.sessions.get_mut(client_id) {
            session.connected = false;
            session.ends = ends;
            session.at_most_once.clear();
            let lost = session
                .retained
                .extract_if(.., |expected| expected.qos == QoS::AtMostOnce);
            session.perhaps.extend(lost);
        }
    }

    /// Sessions whose time is over end.
    pub(super) fn advance(&mut self, now: u64) {
        self.sessions
            .retain(|_, session| session.connected || session.ends.is_none_or(|ends| ends > now));
    }

    /// The broker died, and goes on as if this had been all: `later` knows what the clients have got since.
    pub(super) fn back_from(&mut self, later: &Self) {
        for (client_id, session) in &mut self.sessions {
            let Some(later) = later.sessions.get(client_id) else {
                continue;
            };
            session.seen.clone_from(&later.seen);
            // What had come with QoS 2 does not come again; the rest does.
            session.queue.retain(|expected| {
                expected.qos != QoS::ExactlyOnce || later.queue.contains(expected)
            });
            session.retained.retain(|expected| {
                expected.qos != QoS::ExactlyOnce || later.retained.contains(expected)
            });
        }
        for (text, (qos, count)) in &mut self.shared {
            if *qos == QoS::ExactlyOnce
                && let Some((_, later)) = later.shared.get(text)
            {
                *count = *later;
            }
        }
    }

    /// These of QoS 1 wait for this client, or for any of the group, and may have come already.
    pub(super) fn may_come_again(&mut self, client_id: &str, payloads: BTreeSet<String>) {
        self.shared_again.extend(payloads.iter().cloned());
        if let Some(session) = self.sessions.get_mut(client_id) {
            session.again = payloads;
        }
    }

    /// A client got a message: it must be the next one that it has to get.
    pub(super) fn received(&mut self, client_id: &str, message: &Message) {
        let Some(session) = self.sessions.get_mut(client_id) else {
            // It came while the client was saying goodbye.
            return;
        };
        let got = Expected::of(message);
        let key = (got.payload.clone(), message.retain);
        // Only QoS 1 may come again. DUP may be set at the first time, too: the connection before did not get it across.
        let known = got.qos == QoS::AtLeastOnce && session.seen.contains(&key);
        if got.topic.starts_with(SHARED) {
            if let Some((qos, count)) = self.shared.get_mut(&got.payload)
                && !(known && message.dup)
            {
                if *qos == QoS::AtLeastOnce && self.shared_again.remove(&got.payload) {
                    *count = 0;
                }
                *count += 1;
                assert_eq!(*count, 1, "{got:?} went to two members");
            }
        } else if message.retain {
            let find = |list: &[Expected]| list.iter().position(|expected| *expected == got);
            if let Some(at) = find(&session.retained) {
                session.retained.remove(at);
            } else if let Some(at) = find(&session.perhaps) {
                session.perhaps.remove(at);
            } else {
                // Two subscriptions bring the same twice: which of them comes again cannot be told.
                assert!(known, "{client_id} got {got:?}, retained, and should not");
            }
        } else {
            let queue = if got.qos == QoS::AtMostOnce {
                &mut session.at_most_once
            } else {
                &mut session.queue
            };
            // Wills of clients that were cut off at once come in any order.
            let wills = queue.iter().take_while(|next| next.topic == WILLS).count();
            let place = queue.iter().position(|expected| *expected == got);
            if let Some(at) = place.filter(|at| *at == 0 || *at < wills) {
                queue.remove(at);
            } else {
                let next = queue.front();
                // What removes a retained message has no payload by which to tell it from another.
                let again = known
                    && (message.dup
                        || got.payload.is_empty()
                        || session.again.remove(&got.payload));
                assert!(again, "{client_id} got {got:?}, but {next:?} was next");
            }
        }
        session.seen.push(key);
    }

    /// Nothing is missing at a client that is connected.
    pub(super) fn complete(&self) {
        for (client_id, session) in self
            .sessions
            .iter()
            .filter(|(_, session)| session.connected)
        {
            assert_eq!(session.queue, [], "missing at {client_id}");
            assert_eq!(session.at_most_once, [], "missing at {client_id}");
            assert_eq!(session.retained, [], "missing at {client_id}");
        }
    }
}
