//! From what was kept to cores that go on.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use mqtt_codec::QoS;
use mqtt_session::{Change, Commit, Instant, Seq};
use mqtt_topic::{ParsedFilter, TopicName};

use super::super::backlog;
use super::super::connection::State;
use super::super::fanout::Grant;
use super::super::ids::{GroupId, SessionKey, Subscriber};
use super::super::message::{Incoming, Message};
use super::super::queue::{Queue, Queued, Stored};
use super::super::quota::Origin;
use super::super::sessions::{Offline, Will};
use super::super::store::{Bodies, Record, Unreadable};
use super::super::{Core, Shared};
use super::image::{Copies, Copy, Image, Presence, Session};

/// The clock of the records and that of the new broker.
#[derive(Clone, Copy)]
struct Clock {
    then: Instant,
    now: Instant,
}

impl Clock {
    /// What time is left stays the same; what is over is over now.
    fn instant(self, at: Instant) -> Instant {
        self.now.plus_millis(at.millis_since(self.then))
    }
}

/// Where the messages come from.
struct Source<'a> {
    clock: Clock,
    bodies: &'a mut dyn Bodies,
    /// Those that could not be read.
    lost: &'a mut Vec<Unreadable>,
}

impl Source<'_> {
    fn message(&mut self, body: u64) -> Option<Arc<Message>> {
        let read = self.bodies.message(Commit(body));
        read.map_err(|error| self.lost.push(error)).ok()
    }

    /// Puts a copy into a queue, its message left where it is if the store can fetch it later.
    fn push(&mut self, queue: &mut Queue, number: u64, copy: Copy) -> Option<Seq> {
        let (copy_number, body) = (Commit(number), Commit(copy.body));
        if let Some(terms) = self.bodies.terms(body) {
            let stored = Stored {
                copy: copy_number,
                body,
                qos: copy.qos,
                retain: copy.retain,
                ids: copy.ids.clone(),
                group: None,
                size: terms.size.into(),
                expires: terms.expires,
            };
            if let Ok(seq) = queue.push_stored(stored) {
                return Some(seq);
            }
        }
        let message = self.message(copy.body)?;
        Some(queue.push(Queued {
            body: message.body().unwrap_or_default(),
            message,
            copy: copy_number,
            ids: copy.ids,
            qos: copy.qos,
            retain: copy.retain,
            group: None,
        }))
    }
}

/// A session in its place.
struct Placed {
    home: usize,
    key: SessionKey,
    /// Terms of a connection that was lost: how long the session outlives it, and how long its will waits, in seconds.
    lost: Option<(u32, u32)>,
    /// Places of what a group gave it and what it had not begun to deliver, and which group.
    give_back: Vec<(Seq, GroupId)>,
}

impl Image {
    /// Puts everything back. `cores` are those of all workers, in the order of their numbers, new and of one new [`Shared`]; each records
    /// the new names of what it has, and commits, then what the start changes, and commits again. Then drive them as usual, beginning with
    /// a [`tick`](Core::tick).
    ///
    /// The clock of the records stands at `then`, that of the new broker at `now`; instants in `bodies` are of the new one. Gives back
    /// which messages are lost because they could not be read.
    ///
    /// # Panics
    /// When there are not as many cores as workers.
    pub fn start(
        &self,
        cores: &mut [Core],
        bodies: &mut dyn Bodies,
        then: Instant,
        now: Instant,
    ) -> Vec<Unreadable> {
        let mut lost = Vec::new();
        let Some(first) = cores.first_mut() else {
            return lost;
        };
        let shared = Arc::clone(&first.shared);
        assert_eq!(
            cores.len(),
            usize::from(shared.workers()),
            "all cores start together"
        );
        let mut source = Source {
            clock: Clock { then, now },
            bodies,
            lost: &mut lost,
        };
        if let Some(first) = cores.first_mut() {
            first.store.record(&Record::Restarted);
        }
        for (number, (topic, (_, body))) in self.retained.iter().enumerate() {
            if let (Some(body), Ok(name)) = (*body, TopicName::new(topic)) {
                let at = number % cores.len();
                match (source.message(body), cores.get_mut(at)) {
                    (Some(message), Some(core)) => core.restore_retained(&name, message),
                    _ => drop(shared.unread().insert(topic.clone())),
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
        for session in self.sessions.values() {
            let home = usize::from(shared.home(&session.client_id));
            if let Some(core) = cores.get_mut(home) {
                let (key, lost, copies) = core.restore_session(session, &mut source);
                placed.push((home, key, lost, copies));
            }
        }
        let placed: Vec<Placed> = placed
            .into_iter()
            .filter_map(|(home, key, lost, copies)| {
                let mut give_back = Vec::new();
                let core = cores.get_mut(home)?;
                for (seq, begun, birth) in copies {
                    match group_of(&shared, birth) {
                        Some(group) if begun => core.restore_choice(key, seq, group),
                        Some(group) => give_back.push((seq, group)),
                        None => {}
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
            for (copy, stray) in &self.strays {
                if let Some(group) = group_of(&shared, stray.group) {
                    let Some(message) = source.message(stray.body) else {
                        continue;
                    };
                    let mut incoming = Incoming::of(&message);
                    first.deliver_to_group(group, &mut incoming, Origin::Moved, now);
                }
                first.store.record(&Record::Done {
                    receiver: Subscriber::BROKER,
                    copy: Commit(*copy),
                });
            }
            for group in self.groups.values().filter(|group| group.has_begun()) {
                first.restore_waiting(&group.filter, &group.waiting, &mut source);
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
        lost
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
        kept: &Session,
        source: &mut Source<'_>,
    ) -> (SessionKey, Option<(u32, u32)>, Vec<Chosen>) {
        let key = self.add_session(kept.client_id.clone());
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
        for &id in &kept.received {
            restore(Change::Received(id));
        }
        let mut seq = Seq::default();
        for &id in &kept.releasing {
            restore(Change::PeerReceived(seq, id));
            seq = seq.next();
        }
        let Some(session) = self.sessions.get_mut(key.slot, key.generation) else {
            return (key, None, chosen);
        };
        // Places for what has begun and cannot be read.
        let mut spare = seq;
        seq = Seq(seq.0 + kept.sent.len() as u64);
        session.queue_start = seq;
        session.user_name.clone_from(&kept.user_name);
        session.bridge = kept.bridge;
        // One that ended with its connection ends at every start.
        session.lasted = kept.expiry != 0 || matches!(kept.presence, Presence::Gone { .. });
        let mut push = |number: u64, copy: Copy, begun: bool| {
            let group = copy.group;
            let seq = source.push(session.queue(), number, copy)?;
            if group.is_some() {
                chosen.push((seq, begun, group));
            }
            Some(seq)
        };
        // What has begun stands in front of the cursor, as it would without the restart.
        let mut over = Vec::new();
        for &(number, id) in &kept.sent {
            let Some(copy) = kept.queue.get(number) else {
                continue;
            };
            if let Some(place) = push(number, copy, true) {
                restore(Change::Sent(place, id));
                seq = place.next();
            } else {
                // The client may have got it: its id is released before another message gets it, and it does not begin again.
                let change = Change::PeerReceived(spare, id);
                restore(change);
                spare = spare.next();
                over.push((number, change));
            }
        }
        let begun: HashSet<u64> = kept.sent.iter().map(|(number, _)| *number).collect();
        for (number, copy) in kept
            .queue
            .iter()
            .filter(|(number, _)| !begun.contains(number))
        {
            push(number, copy, false);
        }
        state.set_cursor(seq);
        if let Some(queue) = &session.queue {
            self.tally.add_queue(queue);
        }
        let lost = match kept.presence {
            Presence::Connected => {
                let delay = kept.will.as_ref().map_or(0, |will| will.delay);
                Some((kept.expiry, delay))
            }
            Presence::Gone { .. } => None,
        };
        let expires = match kept.presence {
            Presence::Gone { expires } => expires.map(|at| source.clock.instant(at)),
            Presence::Connected => None,
        };
        let will_due = kept.will.as_ref().and_then(|will| will.due);
        session.offline = Some(Box::new(Offline {
            state,
            expires,
            will_due: will_due.map(|due| source.clock.instant(due)),
        }));
        if let Some(will) = &kept.will
            && let Some(message) = source.message(will.body)
        {
            let mut message = message.duplicate();
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
        for (number, change) in over {
            let copy = Commit(number);
            tracing::error!(
                client_id,
                "the message of record {number} is lost: its delivery had begun"
            );
            self.store.record(&Record::Handshake {
                session: who,
                change,
                copy,
            });
            self.store.record(&Record::Done {
                receiver: who,
                copy,
            });
        }
        session.subscriptions = kept.subscriptions.keys().cloned().collect();
        for (filter, grant) in &kept.subscriptions {
            self.restore_subscription(who, filter, *grant);
        }
        for walk in &kept.walks {
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
                let walk = backlog::Walk::new(&parsed.filter, walk.qos, walk.id)
                    .without(walk.served.clone());
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

    /// A group gave this copy to this session, which has begun to deliver it.
    fn restore_choice(&mut self, key: SessionKey, seq: Seq, group: GroupId) {
        let who = self.subscriber(key);
        let Some(session) = self.sessions.get_mut(key.slot, key.generation) else {
            return;
        };
        let (queue, store) = (session.queue(), &mut *self.store);
        // One that cannot be read is the session's own from now on: it would have gone to nobody else anyway.
        if queue.set_group(seq, group)
            || (queue.load(seq, store).is_ok() && queue.set_group(seq, group))
        {
            self.shared.groups().chosen(group, who);
        }
    }

    /// What waits for any member of a group; without a member the group has ended.
    fn restore_waiting(&mut self, filter: &str, waiting: &Copies, source: &mut Source<'_>) {
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
        for (number, copy) in waiting.iter() {
            groups.restore_waiting(id, |queue| {
                let before = queue.bytes();
                if source.push(queue, number, copy).is_some() {
                    self.tally.queue(queue.bytes() - before);
                }
            });
        }
    }

    /// Nothing in the queue says which group gave what: it goes at once.
    fn give_back_restored(&mut self, key: SessionKey, places: &[(Seq, GroupId)], now: Instant) {
        let who = self.subscriber(key);
        for &(seq, group) in places {
            let taken = self
                .sessions
                .get_mut(key.slot, key.generation)
                .and_then(|session| session.queue().take(seq));
            if let Some(taken) = taken {
                self.tally.unqueue(&taken);
                self.pass_on(group, who, taken, Origin::Moved, now);
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
