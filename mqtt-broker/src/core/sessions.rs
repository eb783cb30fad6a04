//! Sessions at their home: found by client id, kept without a connection, ended when their time is over.

use std::sync::Arc;

use mqtt_codec::QoS;
use mqtt_session::{Closed, Commit, Expires, Instant, Seq};

use super::backlog::Backlog;
use super::connection::State;
use super::ids::{ConnId, GroupId, SessionKey, Subscriber};
use super::message::{Incoming, Message};
use super::policy::Identity;
use super::queue::{Queue, Taken};
use super::quota::Origin;
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
    /// Where the next queue begins: places never come back.
    pub(super) queue_start: Seq,
    /// Filters it is subscribed to, `$share/group/` included, in ascending order.
    pub(super) subscriptions: Vec<Box<str>>,
    /// Retained messages that its new subscriptions still have to get.
    pub(super) backlog: Option<Box<Backlog>>,
    /// To be published if the connection ends without a goodbye.
    pub(super) will: Option<Box<Will>>,
    /// Without a connection: what a new one goes on with.
    pub(super) offline: Option<Box<Offline>>,
    /// It is a bridge: its subscriptions behave as No Local and Retain As Published [3.1.1].
    pub(super) bridge: bool,
    /// Its queue was full when the latest message came.
    pub(super) overflowed: bool,
    /// It stands in the list of those whose queue is put away when the store has come further.
    pub(super) aside: bool,
    /// The store was told that it outlives a connection: after a crash it may be there.
    pub(super) lasted: bool,
}

impl Session {
    pub(super) fn identity(&self) -> Identity<'_> {
        Identity {
            client_id: &self.client_id,
            user_name: self.user_name.as_deref(),
        }
    }

    /// The queue, made now if need be.
    #[inline]
    pub(super) fn queue(&mut self) -> &mut Queue {
        let start = self.queue_start;
        self.queue
            .get_or_insert_with(|| Box::new(Queue::starting_at(start)))
    }

    /// Gives back the memory of a queue that is empty.
    pub(super) fn trim(&mut self) {
        if let Some(queue) = self.queue.take_if(|queue| queue.len() == 0) {
            self.queue_start = queue.end();
        }
        self.subscriptions.shrink_to_fit();
    }
}

/// A will.
#[derive(Debug)]
pub(super) struct Will {
    pub(super) message: Arc<Message>,
    /// The Will Delay Interval in seconds.
    pub(super) delay: u32,
}

/// A session without a connection.
#[derive(Debug)]
pub(super) struct Offline {
    pub(super) state: State,
    pub(super) expires: Option<Instant>,
    /// When its will is to be published.
    pub(super) will_due: Option<Instant>,
}

impl Offline {
    /// When its timer fires.
    pub(super) fn due(&self) -> Option<Instant> {
        [self.expires, self.will_due].into_iter().flatten().min()
    }
}

impl Core {
    /// How a session is named in the index and to the store.
    pub(super) const fn subscriber(&self, key: SessionKey) -> Subscriber {
        Subscriber::session(self.worker, key)
    }

    pub(super) fn find_session(&self, client_id: &str) -> Option<SessionKey> {
        let sessions = &self.sessions;
        let same = |&slot: &u32| {
            sessions
                .at(slot)
                .is_some_and(|(_, session)| &*session.client_id == client_id)
        };
        let slot = *self.by_client.find(self.shared.hash(client_id), same)?;
        let (generation, _) = sessions.at(slot)?;
        Some(SessionKey { slot, generation })
    }

    pub(super) fn add_session(&mut self, client_id: Box<str>) -> SessionKey {
        let hash = self.shared.hash(&client_id);
        let session = Session {
            client_id,
            user_name: None,
            conn: None,
            queue: None,
            queue_start: Seq::default(),
            subscriptions: Vec::new(),
            backlog: None,
            will: None,
            offline: None,
            bridge: false,
            overflowed: false,
            aside: false,
            lasted: false,
        };
        let (slot, generation) = self.sessions.insert(session);
        let (sessions, shared) = (&self.sessions, &self.shared);
        self.by_client.insert_unique(hash, slot, |&slot| {
            sessions
                .at(slot)
                .map_or(0, |(_, session)| shared.hash(&session.client_id))
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
        now: Instant,
    ) {
        let who = self.subscriber(key);
        let Some(session) = self.sessions.get_mut(key.slot, key.generation) else {
            return;
        };
        session.conn = None;
        self.tally.clients_connected -= 1;
        self.policy.disconnected(session.identity());
        if closed.will_due.is_none() && session.will.take().is_some() {
            self.store.record(&Record::WillGone(who));
        }
        let expires = match closed.expires {
            Expires::At(at) => Some(at),
            Expires::Never | Expires::Now => None,
        };
        // DISCONNECT may have asked for more than CONNECT was granted.
        let most = self.shared.settings().session_expiry_maximum;
        let expires = if most == u32::MAX {
            expires
        } else {
            let most = now.plus_seconds(most);
            Some(expires.map_or(most, |at| at.min(most)))
        };
        let will_due = closed.will_due.filter(|&due| due > now);
        // First of all, so that whatever is routed from here on finds a session without a connection.
        session.offline = Some(Box::new(Offline {
            state,
            expires,
            will_due,
        }));
        let groups = self.groups_of(key);
        for &group in &groups {
            self.shared.groups().set_connected(group, who, false);
        }
        if closed.expires == Expires::Now {
            self.end_session(key, now);
            return;
        }
        self.drop_at_most_once(key);
        self.give_back_waiting(key, groups, now);
        if will_due.is_none() {
            self.publish_will(key, now);
        }
        let Some(session) = self.sessions.get_mut(key.slot, key.generation) else {
            return;
        };
        session.trim();
        let has_queue = session.queue.is_some();
        if let (Some(will), Some(_)) = (&session.will, will_due) {
            self.store.record(&Record::Will {
                session: who,
                message: &will.message,
                delay: will.delay,
                due: will_due,
            });
        }
        self.store.record(&Record::Disconnected {
            session: who,
            expires,
        });
        if has_queue {
            self.put_away_soon(key, Commit::default());
        }
        self.arm_session(key);
    }

    /// The connection went, and with it what would have come with QoS 0.
    fn drop_at_most_once(&mut self, key: SessionKey) {
        self.cut_backlog(key);
        if let Some(session) = self.sessions.get_mut(key.slot, key.generation)
            && let Some(queue) = &mut session.queue
            && queue.holds_at_most_once()
        {
            let tally = &mut self.tally;
            queue.take_if(
                Seq::default(),
                |view| view.qos == QoS::AtMostOnce,
                |taken| tally.unqueue(&taken),
            );
        }
    }

    /// The first place in a session's queue whose delivery has not begun.
    pub(super) fn cursor(&self, key: SessionKey) -> Seq {
        let Some(session) = self.sessions.get(key.slot, key.generation) else {
            return Seq::default();
        };
        let conn = session.conn;
        let conn = conn.and_then(|id| self.conns.get(id.slot, id.generation));
        match (conn, &session.offline) {
            (Some(conn), _) => conn.machine.state().cursor(),
            (None, Some(offline)) => offline.state.cursor(),
            (None, None) => Seq::default(),
        }
    }

    /// Sets the timer of a session without a connection.
    pub(super) fn arm_session(&mut self, key: SessionKey) {
        if let Some(due) = self
            .sessions
            .get(key.slot, key.generation)
            .and_then(|session| session.offline.as_ref()?.due())
        {
            self.set_timer(due, Timer::Session(key));
        }
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
            self.tally.sessions_expired += 1;
            self.end_session(key, now);
        } else if offline.will_due.is_some_and(|due| due <= now) {
            offline.will_due = None;
            self.publish_will(key, now);
            self.arm_session(key);
        }
    }

    /// Publishes the will, once [MQTT-3.1.2-8], [MQTT-3.1.2-10].
    pub(super) fn publish_will(&mut self, key: SessionKey, now: Instant) {
        let who = self.subscriber(key);
        let Some(session) = self.sessions.get_mut(key.slot, key.generation) else {
            return;
        };
        let Some(will) = session.will.take().map(|will| will.message) else {
            return;
        };
        self.store.record(&Record::WillGone(who));
        // What CONNECT was allowed may have been revoked since.
        let client = session.identity();
        if !self
            .policy
            .publish(client, will.topic(), will.qos, will.retain)
        {
            tracing::debug!(
                client = client.client_id,
                topic = will.topic(),
                "will not published: its client may not"
            );
            return;
        }
        if self.policy.wants_messages() {
            self.policy.message(
                Some(client),
                will.topic(),
                will.payload(),
                will.qos,
                will.retain,
            );
        }
        let mut incoming = Incoming::of(&will);
        // Its life begins when it is published, not when CONNECT brought it.
        if let Some(expires) = will.expires {
            let mut fresh = will.duplicate();
            fresh.expires = Some(now.plus_millis(expires.millis_since(Instant::ZERO)));
            let fresh = Arc::new(fresh);
            self.route_own(&mut Incoming::of(&fresh), now);
        } else {
            self.route_own(&mut incoming, now);
        }
    }

    /// A session without a connection is over: its will is published if it has one left, its subscriptions go, what its groups had given
    /// it goes to others.
    pub(super) fn end_session(&mut self, key: SessionKey, now: Instant) {
        self.publish_will(key, now);
        let Some(session) = self.sessions.remove(key.slot, key.generation) else {
            return;
        };
        let hash = self.shared.hash(&session.client_id);
        if let Ok(entry) = self.by_client.find_entry(hash, |&slot| slot == key.slot) {
            entry.remove();
        }
        self.tally.sessions -= 1;
        let who = self.subscriber(key);
        for filter in &session.subscriptions {
            self.drop_subscription(who, filter);
        }
        let cursor = session
            .offline
            .map_or(Seq(0), |offline| offline.state.cursor());
        if let Some(mut queue) = session.queue {
            self.tally.drop_queue(&queue);
            let mut at = Seq::default();
            while let Some(seq) = queue.next(at) {
                at = seq.next();
                let Some(taken) = queue.take(seq) else {
                    continue;
                };
                if taken.group().is_none() {
                    continue;
                }
                // A QoS 2 delivery that has begun goes to nobody else [MQTT-4.8.2-5].
                let begun = seq < cursor;
                // A restart tells it so from a copy that another worker has sent, and that is given back when it comes.
                if (begun && taken.qos() == QoS::ExactlyOnce)
                    || cfg!(mutation = "group-message-lost")
                {
                    self.forget_copy(who, &taken);
                } else {
                    self.give_back(who, taken, Origin::Moved, now);
                }
            }
        }
        // Last, so that a restart finds what others took over before it misses the session.
        let ended = self.store.record(&Record::Ended(who));
        if session.lasted {
            self.ending.insert(hash, ended);
        }
    }

    /// The groups that a session is a member of.
    fn groups_of(&self, key: SessionKey) -> Vec<GroupId> {
        let Some(session) = self.sessions.get(key.slot, key.generation) else {
            return Vec::new();
        };
        // In ascending order they stand together.
        let from = session
            .subscriptions
            .partition_point(|filter| &**filter < "$share/");
        let mut shared = session
            .subscriptions
            .iter()
            .skip(from)
            .take_while(|filter| filter.starts_with("$share/"))
            .peekable();
        if shared.peek().is_none() {
            return Vec::new();
        }
        let groups = self.shared.groups();
        shared.filter_map(|filter| groups.find(filter)).collect()
    }

    /// The session gets no more of these groups; what they gave it and what it had not begun to deliver goes to others.
    pub(super) fn give_back_waiting(
        &mut self,
        key: SessionKey,
        mut groups: Vec<GroupId>,
        now: Instant,
    ) {
        if groups.is_empty() {
            return;
        }
        groups.sort_unstable();
        let of_these = |group| groups.binary_search(&group).is_ok();
        let who = self.subscriber(key);
        let mut back: Vec<Taken> = Vec::new();
        let cursor = self.cursor(key);
        if let Some(session) = self.sessions.get_mut(key.slot, key.generation)
            && let Some(queue) = &mut session.queue
        {
            queue.take_if(
                cursor,
                |view| view.group.is_some_and(of_these),
                |taken| back.push(taken),
            );
        }
        for taken in back {
            self.tally.unqueue(&taken);
            self.give_back(who, taken, Origin::Moved, now);
        }
    }

    /// A session has a connection again: its groups may choose it.
    pub(super) fn join_groups(&mut self, key: SessionKey, now: Instant) {
        let who = self.subscriber(key);
        for group in self.groups_of(key) {
            self.shared.groups().set_connected(group, who, true);
            self.deliver_waiting(group, now);
        }
    }
}
