//! Sessions at their home: found by client id, kept without a connection, ended when their time is over.

use core::cmp::Reverse;
use std::sync::Arc;

use mqtt_codec::QoS;
use mqtt_session::{Closed, Expires, Instant};
use mqtt_topic::ParsedFilter;

use super::connection::{Backlog, State, Walk};
use super::ids::{ConnId, GroupId, SessionKey, Subscriber};
use super::message::{Incoming, Message};
use super::policy::Identity;
use super::queue::Queue;
use super::routing::walk_on;
use super::store::Record;
use super::{Core, Timer};

/// A session.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) client_id: Box<str>,
    pub(super) user_name: Option<Box<str>>,
    /// The connection that has it; its machine then holds the state.
    pub(super) conn: Option<ConnId>,
    /// Messages that wait or are in flight.
    pub(super) queue: Option<Box<Queue>>,
    /// Filters it is subscribed to, `$share/group/` included.
    pub(super) subscriptions: Vec<Box<str>>,
    /// To be published if the connection ends without a goodbye.
    pub(super) will: Option<Arc<Message>>,
    /// Without a connection: what a new one goes on with.
    pub(super) offline: Option<Box<Offline>>,
    /// It is a bridge: its subscriptions behave as No Local and Retain As Published [3.1.1].
    pub(super) bridge: bool,
    /// Its queue was full when the latest message came.
    pub(super) overflowed: bool,
}

/// A session without a connection.
#[derive(Debug)]
pub(super) struct Offline {
    pub(super) state: State,
    pub(super) expires: Option<Instant>,
    /// When its will is to be published.
    pub(super) will_due: Option<Instant>,
}

impl Core {
    pub(super) fn find_session(&self, client_id: &str) -> Option<SessionKey> {
        let sessions = &self.sessions;
        let same = |&(slot, generation): &(u32, u32)| {
            sessions
                .get(slot, generation)
                .is_some_and(|session| &*session.client_id == client_id)
        };
        self.by_client
            .find(self.shared.hash(client_id), same)
            .map(|&(slot, generation)| SessionKey { slot, generation })
    }

    pub(super) fn add_session(
        &mut self,
        client_id: Box<str>,
        user_name: Option<Box<str>>,
    ) -> SessionKey {
        let hash = self.shared.hash(&client_id);
        let session = Session {
            client_id,
            user_name,
            conn: None,
            queue: None,
            subscriptions: Vec::new(),
            will: None,
            offline: None,
            bridge: false,
            overflowed: false,
        };
        let (slot, generation) = self.sessions.insert(session);
        let (sessions, shared) = (&self.sessions, &self.shared);
        self.by_client
            .insert_unique(hash, (slot, generation), |&(slot, generation)| {
                sessions
                    .get(slot, generation)
                    .map_or(0, |session| shared.hash(&session.client_id))
            });
        self.tally.sessions += 1;
        SessionKey { slot, generation }
    }

    /// A session has lost its connection.
    pub(super) fn session_closed(
        &mut self,
        key: SessionKey,
        state: State,
        closed: Closed,
        backlog: Option<Box<Backlog>>,
        now: Instant,
    ) {
        let Some(session) = self.sessions.get_mut(key.slot, key.generation) else {
            return;
        };
        session.conn = None;
        self.tally.clients_connected -= 1;
        self.policy.disconnected(Identity {
            client_id: &session.client_id,
            user_name: session.user_name.as_deref(),
        });
        if closed.will_due.is_none() {
            session.will = None;
        }
        if Self::ends_now(closed.expires) {
            self.end_session(key, &state, now);
            return;
        }
        if let Some(walks) = backlog {
            self.finish_walks(key, walks.0, now);
        }
        self.leave_groups(key, &state, now);
        let will_due = closed.will_due.filter(|&due| due > now);
        if will_due.is_none() {
            self.publish_will(key, now);
        }
        let Some(session) = self.sessions.get_mut(key.slot, key.generation) else {
            return;
        };
        let expires = match closed.expires {
            Expires::At(at) => Some(at),
            Expires::Never | Expires::Now => None,
        };
        if let (Some(message), Some(_)) = (&session.will, will_due) {
            self.store.record(&Record::Will {
                session: key,
                message,
                due: will_due,
            });
        }
        session.offline = Some(Box::new(Offline {
            state,
            expires,
            will_due,
        }));
        for at in [expires, will_due].into_iter().flatten() {
            self.timers.push(Reverse((at, Timer::Session(key))));
        }
        self.store.record(&Record::Disconnected {
            session: key,
            expires,
        });
    }

    /// A session without a connection has something due: its will, its end.
    pub(super) fn session_due(&mut self, key: SessionKey, now: Instant) {
        let Some(offline) = self
            .sessions
            .get_mut(key.slot, key.generation)
            .and_then(|session| session.offline.as_mut())
        else {
            return;
        };
        if offline.expires.is_some_and(|expires| expires <= now) {
            let state = core::mem::take(&mut offline.state);
            self.tally.sessions_expired += 1;
            self.end_session(key, &state, now);
        } else if offline.will_due.is_some_and(|due| due <= now) {
            offline.will_due = None;
            self.publish_will(key, now);
        }
    }

    /// Publishes the will, once [MQTT-3.1.2-8], [MQTT-3.1.2-10].
    pub(super) fn publish_will(&mut self, key: SessionKey, now: Instant) {
        let Some(will) = self
            .sessions
            .get_mut(key.slot, key.generation)
            .and_then(|session| session.will.take())
        else {
            return;
        };
        self.store.record(&Record::Will {
            session: key,
            message: &will,
            due: None,
        });
        let mut incoming = Incoming::of(&will);
        // Its life begins when it is published, not when CONNECT brought it.
        let lifetime = will
            .expires
            .map(|expires| expires.millis_since(Instant::ZERO));
        if let Some(lifetime) = lifetime {
            let mut fresh = Message::new(
                will.topic(),
                will.properties(),
                will.payload(),
                will.qos,
                will.retain,
            );
            fresh.publisher = will.publisher;
            fresh.expires = Some(now.plus_millis(lifetime));
            let fresh = Arc::new(fresh);
            self.route(&mut Incoming::of(&fresh), now);
        } else {
            self.route(&mut incoming, now);
        }
    }

    /// The session is over: its will is published if it has one left, its subscriptions go, what its groups had given it goes to others.
    pub(super) fn end_session(&mut self, key: SessionKey, state: &State, now: Instant) {
        self.publish_will(key, now);
        let Some(session) = self.sessions.remove(key.slot, key.generation) else {
            return;
        };
        let hash = self.shared.hash(&session.client_id);
        if let Ok(entry) = self.by_client.find_entry(hash, |&(slot, generation)| {
            (slot, generation) == (key.slot, key.generation)
        }) {
            entry.remove();
        }
        self.tally.sessions -= 1;
        self.store.record(&Record::Ended(key));
        let who = Subscriber::session(self.worker, key);
        for filter in &session.subscriptions {
            self.drop_subscription(who, filter);
        }
        if let Some(mut queue) = session.queue {
            self.tally.queued -= queue.len() as i64;
            let mut at = mqtt_session::Seq(0);
            while let Some(seq) = queue.next(at) {
                at = seq.next();
                let Some(queued) = queue.take(seq) else {
                    continue;
                };
                // A QoS 2 delivery that has begun goes to nobody else [MQTT-4.8.2-5].
                let begun = seq < state.cursor();
                if let Some(group) = queued.group
                    && !(begun && queued.qos == QoS::ExactlyOnce)
                {
                    self.deliver_to_group(group, &mut Incoming::of(&queued.message), now);
                }
            }
        }
    }

    /// Takes one subscription out of the index, or out of its group. Says whether it was there.
    pub(super) fn drop_subscription(&mut self, who: Subscriber, text: &str) -> bool {
        let Ok(parsed) = ParsedFilter::parse(text) else {
            return false;
        };
        let was_there = if parsed.share.is_some() {
            let mut groups = self.shared.groups();
            let left = groups.leave(text, who);
            if let Some((group, true)) = left {
                self.shared
                    .subscriptions_mut()
                    .remove(&parsed.filter, &Subscriber::group(group));
            }
            self.tally.shared_subscriptions -= i64::from(left.is_some());
            left.is_some()
        } else {
            self.shared
                .subscriptions_mut()
                .remove(&parsed.filter, &who)
                .is_some()
        };
        self.tally.subscriptions -= i64::from(was_there);
        was_there
    }

    /// The groups that a session is a member of.
    fn groups_of(&self, key: SessionKey) -> Vec<GroupId> {
        let Some(session) = self.sessions.get(key.slot, key.generation) else {
            return Vec::new();
        };
        let shared: Vec<&str> = session
            .subscriptions
            .iter()
            .map(|filter| &**filter)
            .filter(|filter| filter.starts_with("$share/"))
            .collect();
        if shared.is_empty() {
            return Vec::new();
        }
        let groups = self.shared.groups();
        shared
            .into_iter()
            .filter_map(|filter| groups.find(filter))
            .collect()
    }

    /// A member without a connection gets no more; what it had not begun to deliver goes to others.
    fn leave_groups(&mut self, key: SessionKey, state: &State, now: Instant) {
        let groups = self.groups_of(key);
        if groups.is_empty() {
            return;
        }
        let who = Subscriber::session(self.worker, key);
        for &group in &groups {
            self.shared.groups().set_connected(group, who, false);
        }
        let mut back = Vec::new();
        if let Some(queue) = self
            .sessions
            .get_mut(key.slot, key.generation)
            .and_then(|session| session.queue.as_mut())
        {
            let mut at = state.cursor();
            while let Some(seq) = queue.next(at) {
                at = seq.next();
                if let Some(group) = queue.get(seq).and_then(|queued| queued.group)
                    && let Some(queued) = queue.take(seq)
                {
                    back.push((group, seq, queued));
                }
            }
        }
        for (group, seq, queued) in back {
            self.tally.queued -= 1;
            self.store.record(&Record::Done { session: key, seq });
            self.ended.push((group, who));
            self.deliver_to_group(group, &mut Incoming::of(&queued.message), now);
        }
    }

    /// A session has a connection again: its groups may choose it.
    pub(super) fn join_groups(&mut self, key: SessionKey, now: Instant) {
        let who = Subscriber::session(self.worker, key);
        for group in self.groups_of(key) {
            self.shared.groups().set_connected(group, who, true);
            self.deliver_waiting(group, now);
        }
    }

    /// The connection went before its new subscriptions had all their retained messages: the rest waits in the queue, as far as that goes.
    fn finish_walks(&mut self, key: SessionKey, mut walks: Vec<Walk>, now: Instant) {
        let most = self.shared.settings().queue_messages as usize;
        let Some(session) = self.sessions.get_mut(key.slot, key.generation) else {
            return;
        };
        let queue = session.queue.get_or_insert_with(Box::default);
        let before = queue.len();
        let retained = self.shared.retained();
        while let Some(walk) = walks.last_mut() {
            if queue.len() >= most {
                break;
            }
            if walk.qos == QoS::AtMostOnce || walk_on(walk, queue, &retained, now) {
                walks.pop();
            }
        }
        self.tally.queued += (queue.len() - before) as i64;
    }
}
