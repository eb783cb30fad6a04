//! Retained messages on their way to new subscriptions: a piece at a time, however many there are.

use std::collections::BTreeSet;
use std::sync::Arc;

use mqtt_codec::{QoS, SubscriptionId};
use mqtt_session::{Commit, Instant};
use mqtt_topic::{RetainedWalk, TopicFilter};

use super::ids::{ConnId, SessionKey};
use super::message::{Ids, Message};
use super::queue::Queued;
use super::store::Record;
use super::{Core, WALK_STEP};

/// Pieces looked at for one connection and round.
const STEPS: usize = 16;
/// Messages that wait for a session before it gets no further retained ones.
const ENOUGH: usize = WALK_STEP * 8;

/// New subscriptions of one session that still have to get retained messages, in the order in which they were made. They survive the
/// connection: whoever resumes the session gets the rest.
#[derive(Debug, Default)]
pub(super) struct Backlog(Vec<Walk>);

impl Backlog {
    pub(super) const fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn push(&mut self, walk: Walk) {
        self.0.push(walk);
    }
}

/// Retained messages on their way to one new subscription.
#[derive(Debug)]
pub(super) struct Walk {
    search: RetainedWalk,
    filter: Box<str>,
    qos: QoS,
    id: Option<SubscriptionId>,
    /// Topics whose message it got before a restart.
    served: BTreeSet<Box<str>>,
}

impl Walk {
    pub(super) fn new(filter: &TopicFilter<'_>, qos: QoS, id: Option<SubscriptionId>) -> Self {
        Self {
            search: RetainedWalk::new(filter),
            filter: filter.as_str().into(),
            qos,
            id,
            served: BTreeSet::new(),
        }
    }

    /// The same, but for these topics.
    pub(super) fn without(self, served: BTreeSet<Box<str>>) -> Self {
        Self { served, ..self }
    }
}

/// What [`Core::refill`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refill {
    /// There are messages to send.
    Added,
    /// Nothing was found so far: the search goes on in the next round.
    Searching,
    /// There is nothing to do.
    Nothing,
}

impl Core {
    /// Puts retained messages of new subscriptions into the queue, a few at a time. `steps` counts the pieces of this round.
    pub(super) fn refill(&mut self, id: ConnId, steps: &mut usize, now: Instant) -> Refill {
        let Some(key) = self
            .conns
            .get(id.slot, id.generation)
            .filter(|conn| conn.machine.is_connected())
            .and_then(|conn| conn.session)
        else {
            return Refill::Nothing;
        };
        let who = self.subscriber(key);
        let Some(session) = self.sessions.get_mut(key.slot, key.generation) else {
            return Refill::Nothing;
        };
        let Some(mut backlog) = session.backlog.take() else {
            return Refill::Nothing;
        };
        let queue = session.queue();
        let (before, bytes) = (queue.len(), queue.bytes());
        let mut ended = 0;
        for walk in &mut backlog.0 {
            let mut done = false;
            // What waits already is enough: the window opens again, and this is called again.
            while !done
                && *steps < STEPS
                && queue.len() < ENOUGH
                && queue.len() < before + WALK_STEP
            {
                *steps += 1;
                let (qos, ids, served) = (walk.qos, Ids::one(walk.id), &walk.served);
                let store = &mut self.store;
                done = walk.search.advance(
                    &self.shared.retained(),
                    WALK_STEP,
                    |_, message: &Arc<Message>| {
                        if message.expired(now) || served.contains(message.topic()) {
                            return;
                        }
                        let mut queued = Queued {
                            message: Arc::clone(message),
                            copy: Commit::default(),
                            body: Commit::default(),
                            ids: ids.clone(),
                            qos: qos.min(message.qos),
                            // RETAIN is set on what a new subscription gets [3.1.1:MQTT-3.3.1-8].
                            retain: true,
                            group: None,
                        };
                        queued.record(&mut **store, who);
                        queue.push(queued);
                    },
                );
            }
            if !done {
                break;
            }
            self.store.record(&Record::RetainedSent {
                session: who,
                filter: &walk.filter,
            });
            ended += 1;
        }
        let added = queue.len() - before;
        let full = queue.len() >= ENOUGH;
        self.tally.queued += added as i64;
        self.tally.queued_bytes += (queue.bytes() - bytes) as i64;
        if ended < backlog.0.len() {
            backlog.0.drain(..ended);
            session.backlog = Some(backlog);
        }
        let searching = session.backlog.is_some() && !full;
        if added > 0 {
            self.put_away_soon(key, self.store.latest());
            Refill::Added
        } else if searching {
            Refill::Searching
        } else {
            Refill::Nothing
        }
    }

    /// The connection went: what would have come with QoS 0 is lost like any other message of QoS 0.
    pub(super) fn cut_backlog(&mut self, key: SessionKey) {
        self.drop_walks(key, |walk| walk.qos == QoS::AtMostOnce);
    }

    /// These subscriptions were given up: no new message is added for them [MQTT-3.10.4-2]. `filters` is in ascending order.
    pub(super) fn forget_walks(&mut self, key: SessionKey, filters: &[&str]) {
        self.drop_walks(key, |walk| filters.binary_search(&&*walk.filter).is_ok());
    }

    fn drop_walks(&mut self, key: SessionKey, test: impl Fn(&Walk) -> bool) {
        let who = self.subscriber(key);
        let Some(session) = self.sessions.get_mut(key.slot, key.generation) else {
            return;
        };
        let Some(backlog) = &mut session.backlog else {
            return;
        };
        for walk in backlog.0.extract_if(.., |walk| test(walk)) {
            self.store.record(&Record::RetainedSent {
                session: who,
                filter: &walk.filter,
            });
        }
        if backlog.0.is_empty() {
            session.backlog = None;
        }
    }
}
