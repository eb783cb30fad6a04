//! From what was kept to cores that go on.

use std::collections::HashMap;
use std::sync::Arc;

use mqtt_codec::QoS;
use mqtt_session::{Change, Commit, Instant, Seq};
use mqtt_topic::{ParsedFilter, TopicName};

use super::super::backlog;
use super::super::connection::State;
use super::super::fanout::Grant;
use super::super::ids::{GroupId, SessionKey, Subscriber};
use super::super::message::{Ids, Incoming, Message};
use super::super::queue::Queued;
use super::super::sessions::{Offline, Will};
use super::super::store::Record;
use super::super::{Core, Shared};
use super::image::{Copy, Group, Presence, Restore, Session};

/// The clock of the records and that of the new broker.
struct Clock {
    then: Instant,
    now: Instant,
    /// Messages that were translated: copies go on sharing them.
    messages: HashMap<*const Message, (Arc<Message>, Arc<Message>)>,
}

impl Clock {
    /// What time is left stays the same; what is over is over now.
    fn instant(&self, at: Instant) -> Instant {
        self.now.plus_millis(at.millis_since(self.then))
    }

    fn message(&mut self, message: Arc<Message>) -> Arc<Message> {
        let Some(expires) = message.expires.filter(|_| self.then != self.now) else {
            return message;
        };
        let expires = self.instant(expires);
        let (_, translated) = self
            .messages
            .entry(Arc::as_ptr(&message))
            .or_insert_with(|| {
                let mut translated = message.duplicate();
                translated.expires = Some(expires);
                // The old one stays alive, so that its address names no other.
                (message, Arc::new(translated))
            });
        Arc::clone(translated)
    }
}

/// A session in its place.
struct Placed {
    home: usize,
    key: SessionKey,
    /// Terms of a connection that was lost: how long the session outlives it, and how long its will waits, in seconds.
    lost: Option<(u32, u32)>,
    /// Places of what a group gave it and what it had not begun to deliver.
    give_back: Vec<Seq>,
}

impl Restore {
    /// Puts everything back. `cores` are those of all workers, in the order of their numbers, new and of one new [`Shared`]; each records
    /// the new names of what it has, and commits, then what the start changes, and commits again. Then drive them as usual, beginning with
    /// a [`tick`](Core::tick).
    ///
    /// The clock of the records stands at `then`, that of the new broker at `now`.
    ///
    /// # Panics
    /// When there are not as many cores as workers.
    pub fn start(self, cores: &mut [Core], then: Instant, now: Instant) {
        let Some(first) = cores.first_mut() else {
            return;
        };
        let shared = Arc::clone(&first.shared);
        assert_eq!(
            cores.len(),
            usize::from(shared.workers()),
            "all cores start together"
        );
        let mut clock = Clock {
            then,
            now,
            messages: HashMap::new(),
        };
        if let Some(first) = cores.first_mut() {
            first.store.record(&Record::Restarted);
        }
        for (number, (topic, (_, message))) in self.retained.into_iter().enumerate() {
            if let (Some(message), Ok(name)) = (message, TopicName::new(&topic)) {
                let message = clock.message(message);
                let at = number % cores.len();
                if let Some(core) = cores.get_mut(at) {
                    core.restore_retained(&name, message);
                }
            }
        }
        // Groups come with their members; what waits for one is put back when all are there.
        let births: HashMap<u64, &str> = self
            .groups
            .iter()
            .map(|(birth, group)| (*birth, &*group.filter))
            .collect();
        let group_of = |shared: &Shared, birth: Option<u64>| {
            births
                .get(&birth?)
                .and_then(|filter| shared.groups().find(filter))
        };
        let mut placed = Vec::with_capacity(self.sessions.len());
        for session in self.sessions.into_values() {
            let home = usize::from(shared.home(&session.client_id));
            if let Some(core) = cores.get_mut(home) {
                let (key, lost, copies) = core.restore_session(session, &mut clock);
                placed.push((home, key, lost, copies));
            }
        }
        let placed: Vec<Placed> = placed
            .into_iter()
            .filter_map(|(home, key, lost, copies)| {
                let mut give_back = Vec::new();
                let core = cores.get_mut(home)?;
                for (seq, begun, birth) in copies {
                    let group = group_of(&shared, birth);
                    core.restore_choice(key, seq, group);
                    if group.is_some() && !begun {
                        give_back.push(seq);
                    }
                }
                Some(Placed {
                    home,
                    key,
                    lost,
                    give_back,
                })
            })
            .collect();
        // A batch of its own, in this order: what is given to a session from here on, by whatever worker, stands behind its new name.
        for core in cores.iter_mut() {
            core.store.commit();
        }
        if let Some(first) = cores.first_mut() {
            for (copy, stray) in self.strays {
                if let Some(group) = group_of(&shared, stray.group) {
                    let message = clock.message(stray.message);
                    first.deliver_to_group(group, &mut Incoming::of(&message), now);
                }
                first.store.record(&Record::Done {
                    receiver: Subscriber::BROKER,
                    copy: Commit(copy),
                });
            }
            let begun = |group: &Group| group.has_begun();
            for group in self.groups.into_values().filter(begun) {
                first.restore_waiting(&group.filter, group.waiting, &mut clock);
            }
        }
        for session in &placed {
            if let Some(core) = cores.get_mut(session.home) {
                core.give_back_restored(session.key, &session.give_back, now);
            }
        }
        // Last, because wills go to everybody.
        for session in &placed {
            if let Some(core) = cores.get_mut(session.home) {
                core.go_on_without(session.key, session.lost, now);
            }
        }
        for core in cores {
            core.tally.flush(core.shared.counters());
            core.store.commit();
            core.flushed = core.store.latest();
        }
    }
}

/// The place of a copy that a group gave, whether its delivery has begun, and which group.
type Chosen = (Seq, bool, Option<u64>);

impl Core {
    fn restore_retained(&mut self, name: &TopicName<'_>, message: Arc<Message>) {
        let expires = message.expires;
        if self.shared.retained_mut().insert(name, message).is_none() {
            self.tally.retained += 1;
        }
        if let Some(at) = expires {
            self.note_expiry(at, name.as_str());
        }
    }

    /// Puts a session in its place; nobody is told of it yet.
    fn restore_session(
        &mut self,
        kept: Session,
        clock: &mut Clock,
    ) -> (SessionKey, Option<(u32, u32)>, Vec<Chosen>) {
        let key = self.add_session(kept.client_id);
        let who = self.subscriber(key);
        let mut chosen = Vec::new();
        let mut state = State::default();
        state.set_session_expiry(kept.expiry);
        // A heap has room for every change.
        let mut restore = |change| {
            let _ = state.restore(change);
        };
        if kept.used {
            restore(Change::Reset);
        }
        for id in kept.received {
            restore(Change::Received(id));
        }
        let mut seq = Seq::default();
        for id in kept.releasing {
            restore(Change::PeerReceived(seq, id));
            seq = seq.next();
        }
        let Some(session) = self.sessions.get_mut(key.slot, key.generation) else {
            return (key, None, chosen);
        };
        session.queue_start = seq;
        session.user_name = kept.user_name;
        session.bridge = kept.bridge;
        let mut queue = kept.queue;
        let mut push = |number: u64, copy: Copy, begun: bool| {
            let message = clock.message(copy.message);
            let seq = session.queue().push(Queued {
                body: message.body().unwrap_or_default(),
                message,
                copy: Commit(number),
                ids: copy.ids,
                qos: copy.qos,
                retain: copy.retain,
                group: None,
            });
            if copy.group.is_some() {
                chosen.push((seq, begun, copy.group));
            }
            seq
        };
        // What has begun stands in front of the cursor, as it would without the restart.
        for (number, id) in kept.sent {
            if let Some(copy) = queue.remove(&number) {
                seq = push(number, copy, true);
                restore(Change::Sent(seq, id));
                seq = seq.next();
            }
        }
        for (number, copy) in queue {
            push(number, copy, false);
        }
        state.set_cursor(seq);
        let queued = session.queue.as_ref().map_or(0, |queue| queue.len());
        self.tally.queued += queued as i64;
        let lost = match kept.presence {
            Presence::Connected => {
                let delay = kept.will.as_ref().map_or(0, |will| will.delay);
                Some((kept.expiry, delay))
            }
            Presence::Gone { .. } => None,
        };
        let expires = match kept.presence {
            Presence::Gone { expires } => expires.map(|at| clock.instant(at)),
            Presence::Connected => None,
        };
        let will_due = kept.will.as_ref().and_then(|will| will.due);
        session.offline = Some(Box::new(Offline {
            state,
            expires,
            will_due: will_due.map(|due| clock.instant(due)),
        }));
        if let Some(will) = kept.will {
            // Its expiry counts from its publication: no clock is in it.
            let mut message = will.message.duplicate();
            message.publisher = who;
            session.will = Some(Box::new(Will {
                message: Arc::new(message),
                delay: will.delay,
            }));
        }
        let client_id = &*session.client_id;
        self.store.record(&Record::Renamed {
            session: who,
            client_id,
        });
        session.subscriptions = kept.subscriptions.keys().cloned().collect();
        for (filter, grant) in &kept.subscriptions {
            self.restore_subscription(who, filter, *grant);
        }
        for walk in kept.walks {
            let Ok(parsed) = ParsedFilter::parse(&walk.filter) else {
                continue;
            };
            if walk.qos == QoS::AtMostOnce {
                // Like any other message of QoS 0 when the connection goes.
                self.store.record(&Record::RetainedSent {
                    session: who,
                    filter: &walk.filter,
                });
            } else if let Some(session) = self.sessions.get_mut(key.slot, key.generation) {
                let walk =
                    backlog::Walk::new(&parsed.filter, walk.qos, walk.id).without(walk.served);
                session.backlog.get_or_insert_default().push(walk);
            }
        }
        (key, lost, chosen)
    }

    fn restore_subscription(&mut self, who: Subscriber, text: &str, grant: Grant) {
        let Ok(parsed) = ParsedFilter::parse(text) else {
            return;
        };
        self.tally.subscriptions += 1;
        if parsed.share.is_none() {
            self.shared
                .subscriptions_mut()
                .insert(&parsed.filter, who, grant);
        } else {
            self.tally.shared_subscriptions += 1;
            let group = self.join_group(who, text, &parsed, grant);
            self.shared.groups().set_connected(group, who, false);
        }
    }

    /// A group gave this copy to this session.
    fn restore_choice(&mut self, key: SessionKey, seq: Seq, group: Option<GroupId>) {
        let who = self.subscriber(key);
        if let Some(group) = group
            && let Some(session) = self.sessions.get_mut(key.slot, key.generation)
            && session.queue().set_group(seq, group)
        {
            self.shared.groups().chosen(group, who);
        }
    }

    /// What waits for any member of a group; without a member the group has ended.
    fn restore_waiting(
        &mut self,
        filter: &str,
        waiting: std::collections::BTreeMap<u64, Copy>,
        clock: &mut Clock,
    ) {
        let shared = Arc::clone(&self.shared);
        let mut groups = shared.groups();
        let Some(id) = groups.find(filter) else {
            // A number that no group ever has.
            let group = GroupId {
                slot: u32::MAX,
                generation: 0,
            };
            self.store.record(&Record::Group { group, filter });
            self.store.record(&Record::Ended(Subscriber::group(group)));
            return;
        };
        self.tally.queued += waiting.len() as i64;
        for (number, copy) in waiting {
            let message = clock.message(copy.message);
            groups.wait(
                id,
                Queued {
                    body: message.body().unwrap_or_default(),
                    message,
                    copy: Commit(number),
                    ids: Ids::None,
                    qos: copy.qos,
                    retain: copy.retain,
                    group: None,
                },
            );
        }
    }

    fn give_back_restored(&mut self, key: SessionKey, places: &[Seq], now: Instant) {
        let who = self.subscriber(key);
        for &seq in places {
            let queued = self
                .sessions
                .get_mut(key.slot, key.generation)
                .and_then(|session| session.queue().take(seq));
            if let Some(queued) = queued {
                self.tally.queued -= 1;
                self.give_back(who, queued, now);
            }
        }
    }

    /// A restored session goes on without a connection, or ends; `lost` when it had one until the crash.
    fn go_on_without(&mut self, key: SessionKey, lost: Option<(u32, u32)>, now: Instant) {
        let who = self.subscriber(key);
        let Some(session) = self.sessions.get_mut(key.slot, key.generation) else {
            return;
        };
        session.trim();
        let most = self.shared.settings().session_expiry_maximum;
        let lost = lost.map(|(expiry, delay)| (expiry.min(most), delay));
        if let Some((0, _)) = lost {
            // It ends with its connection.
            return self.end_session(key, now);
        }
        if let Some((expiry, delay)) = lost {
            let Some(offline) = session.offline.as_mut() else {
                return;
            };
            offline.expires = (expiry != u32::MAX).then(|| now.plus_seconds(expiry));
            // Whichever comes first: the delay has passed or the session ends [MQTT-3.1.2-8].
            let due = now.plus_seconds(delay.min(expiry));
            offline.will_due = session.will.is_some().then_some(due);
            let (expires, will_due) = (offline.expires, offline.will_due);
            if let Some(will) = &session.will {
                self.store.record(&Record::Will {
                    session: who,
                    message: &will.message,
                    delay,
                    due: will_due,
                });
            }
            self.store.record(&Record::Disconnected {
                session: who,
                expires,
            });
        }
        self.session_due(key, now);
        self.arm_session(key);
    }
}
