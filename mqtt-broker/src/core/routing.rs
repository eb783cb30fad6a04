//! From a published message to everybody who gets it.

use std::sync::Arc;

use mqtt_codec::QoS;
use mqtt_session::{Commit, Instant, Misuse, Seq};
use mqtt_topic::TopicName;

use super::Core;
use super::effect::{Effect, Item};
use super::fanout::{FanOut, gather, weight};
use super::groups::{Choice, Groups};
use super::ids::{GroupId, Receiver, SessionKey, Subscriber};
use super::message::{Ids, Incoming};
use super::output::SHARE_FROM;
use super::queue::{Queued, Taken};
use super::quota::{Full, Gone, Origin, Quota};
use super::store::{Record, Store};

/// How one receiver gets a message.
#[derive(Clone)]
struct Copy {
    qos: QoS,
    retain: bool,
    ids: Ids,
    group: Option<GroupId>,
    origin: Origin,
}

/// Whether a topic is one that only the broker itself publishes to.
pub(crate) fn is_reserved(topic: &str) -> bool {
    topic == "$SYS" || topic.starts_with("$SYS/")
}

impl Queued {
    fn new(incoming: &mut Incoming<'_>, copy: Copy) -> Self {
        Self {
            message: Arc::clone(incoming.shared()),
            copy: Commit::default(),
            body: Commit::default(),
            ids: copy.ids,
            qos: copy.qos,
            retain: copy.retain,
            group: copy.group,
        }
    }

    /// Records that it waits for `receiver`, unless nothing is promised about it.
    pub(super) fn record(&mut self, store: &mut dyn Store, receiver: Subscriber) {
        if self.qos != QoS::AtMostOnce {
            self.copy = store.record(&Record::Queued {
                receiver,
                message: &self.message,
                qos: self.qos,
                retain: self.retain,
                ids: self.ids.as_slice(),
                group: self.group,
            });
            self.body = store.body();
        }
    }
}

impl Core {
    /// Stores a retained message, and delivers to everybody whose subscription matches. Says whether anybody's does.
    pub(super) fn route(&mut self, incoming: &mut Incoming<'_>, now: Instant) -> bool {
        let Ok(name) = TopicName::new(incoming.topic) else {
            return false;
        };
        // Retained first, then the index: who subscribes meanwhile gets the message one way or the other.
        if incoming.retain {
            self.store_retained(&name, incoming);
        }
        self.deliver_to_all(&name, incoming, now)
    }

    /// To everybody whose subscription matches. Says whether anybody's does.
    pub(super) fn deliver_to_all(
        &mut self,
        name: &TopicName<'_>,
        incoming: &mut Incoming<'_>,
        now: Instant,
    ) -> bool {
        let fan_out = self.fan_out(name);
        for route in fan_out.iter() {
            let Some(terms) = route.terms(incoming.publisher) else {
                continue;
            };
            let copy = Copy {
                // [MQTT-3.8.4-8]
                qos: incoming.qos.min(terms.qos),
                // [MQTT-3.3.1-12], [MQTT-3.3.1-13]
                retain: incoming.retain && terms.retain_as_published,
                ids: terms.ids.clone(),
                group: None,
                origin: Origin::New,
            };
            match route.to.receiver() {
                Some(Receiver::Session { worker, key }) => {
                    self.deliver(worker, key, incoming, copy, now);
                }
                Some(Receiver::Group(group)) => {
                    self.deliver_to_group(group, incoming, Origin::New, now);
                }
                Some(Receiver::Local(subscriber)) => {
                    let (qos, retain) = (copy.qos, copy.retain);
                    self.effects.push(Effect::Local {
                        subscriber,
                        message: Arc::clone(incoming.shared()),
                        qos,
                        retain,
                    });
                }
                None => {}
            }
        }
        !fan_out.is_empty()
    }

    fn fan_out(&mut self, name: &TopicName<'_>) -> Arc<FanOut> {
        let index = self.shared.subscriptions();
        let generation = index.generation(name);
        if let Some(known) = self.cache.get(name, generation) {
            return Arc::clone(known);
        }
        let fan_out = Arc::new(gather(&index, name));
        drop(index);
        self.cache
            .put(name, generation, Arc::clone(&fan_out), weight(&fan_out));
        fan_out
    }

    /// To a session, here or at another worker.
    fn deliver(
        &mut self,
        worker: u16,
        key: SessionKey,
        incoming: &mut Incoming<'_>,
        copy: Copy,
        now: Instant,
    ) {
        if worker == self.worker && copy.qos == QoS::AtMostOnce {
            return self.deliver_now(key, incoming, &copy, now);
        }
        let (origin, group) = (copy.origin, copy.group);
        let (here, who) = (worker == self.worker, Subscriber::session(worker, key));
        let size = incoming.shared().size() as u64;
        // Before it is recorded: what is not taken is not written to a disk either.
        if here && !self.admits(key, group, size, origin, now) {
            self.ended.extend(group.map(|group| (group, who)));
            return;
        }
        let mut queued = Queued::new(incoming, copy);
        queued.record(&mut *self.store, who);
        if here {
            self.put(key, queued, origin, now);
        } else if let Some(batch) = self.batches.get_mut(usize::from(worker)) {
            self.gathered += batch.deliver(key, queued, origin);
        }
    }

    /// From another worker.
    pub(super) fn deliver_queued(&mut self, item: Item, now: Instant) {
        let Item {
            key,
            queued,
            origin,
        } = item;
        if queued.qos == QoS::AtMostOnce {
            let message = Arc::clone(&queued.message);
            let copy = Copy {
                qos: queued.qos,
                retain: queued.retain,
                ids: queued.ids,
                group: queued.group,
                origin,
            };
            self.deliver_now(key, &mut Incoming::of(&message), &copy, now);
        } else {
            self.enqueue(key, queued, origin, now);
        }
    }

    /// QoS 0: into the output at once, or not at all. From another worker it may come late, after its end [MQTT-3.3.2-5]. Nothing is promised
    /// about it, so that limits are for what has [moved](Origin::Moved) as well.
    fn deliver_now(
        &mut self,
        key: SessionKey,
        incoming: &mut Incoming<'_>,
        copy: &Copy,
        now: Instant,
    ) {
        if incoming.expires.is_some_and(|expires| expires <= now) {
            self.tally.expired += 1;
            return;
        }
        let Some(session) = self.sessions.get(key.slot, key.generation) else {
            return;
        };
        let Some(id) = session.conn else { return };
        // What waits already, such as retained messages for a new subscription, is not overtaken [MQTT-4.6.0-6].
        let waits = session.backlog.is_some()
            || session
                .queue
                .as_ref()
                .is_some_and(|queue| queue.holds_at_most_once());
        if waits {
            let queued = Queued::new(incoming, copy.clone());
            return self.enqueue(key, queued, Origin::New, now);
        }
        let Some(conn) = self.conns.get_mut(id.slot, id.generation) else {
            return;
        };
        let unread = conn.output.as_ref().map_or(0, |output| output.len());
        if unread > self.shared.settings().unread_output_bytes as usize {
            self.tally.dropped += 1;
            return;
        }
        let output = conn.output.get_or_insert_with(|| self.pool.take());
        match conn.machine.publish_at_most_once(
            &incoming.outgoing(copy.retain, copy.ids.as_slice()),
            &mut **output,
            now,
        ) {
            Ok(()) => {
                if incoming.payload.len() < SHARE_FROM {
                    output.copy(incoming.payload);
                } else {
                    output.append(incoming.shared());
                }
                self.tally.packets_sent += 1;
                self.tally.publish_sent += 1;
                self.tally.payload_sent += incoming.payload.len() as i64;
                if !conn.touched {
                    conn.touched = true;
                    self.touched.push(id);
                }
            }
            Err(why) => {
                if output.is_empty()
                    && let Some(output) = conn.output.take()
                {
                    self.pool.give(output);
                }
                match why {
                    // CONNACK is still withheld: the message waits behind it.
                    Misuse::NotNow if !conn.machine.is_closing() => {
                        let queued = Queued::new(incoming, copy.clone());
                        self.enqueue(key, queued, Origin::New, now);
                    }
                    Misuse::TooLarge => self.tally.too_large += 1,
                    _ => self.tally.dropped += 1,
                }
            }
        }
    }

    /// Into the session's sequence, as far as its limits go.
    fn enqueue(&mut self, key: SessionKey, queued: Queued, origin: Origin, now: Instant) {
        let size = queued.message.size() as u64;
        if self.admits(key, queued.group, size, origin, now) {
            self.put(key, queued, origin, now);
        } else {
            self.forget_copy(self.subscriber(key), &Taken::Loaded(queued));
        }
    }

    /// Whether a session's sequence takes a message of this size, with room made for it if need be; one that it does not take is counted.
    fn admits(
        &mut self,
        key: SessionKey,
        group: Option<GroupId>,
        size: u64,
        origin: Origin,
        now: Instant,
    ) -> bool {
        let Some(session) = self.sessions.get_mut(key.slot, key.generation) else {
            return true;
        };
        if session.conn.is_none() && group.is_some() {
            // It is not for this one.
            return true;
        }
        let (settings, counters) = (self.shared.settings(), self.shared.counters());
        let mut quota = Quota::new(settings, counters, &self.tally, origin);
        quota.connected = session.conn.is_some();
        if quota.full(session.queue(), size).is_some()
            && let Err(full) = self.make_room(key, &quota, size, now)
        {
            self.tally.dropped += 1;
            self.overflowed(key, full);
            return false;
        }
        true
    }

    /// Into the session's sequence, which has room for it.
    fn put(&mut self, key: SessionKey, queued: Queued, origin: Origin, now: Instant) {
        let who = self.subscriber(key);
        let Some(session) = self.sessions.get_mut(key.slot, key.generation) else {
            // It has ended meanwhile.
            return self.give_back(who, Taken::Loaded(queued), origin, now);
        };
        if session.conn.is_none() && queued.group.is_some() {
            // It has lost its connection since the group chose it.
            return self.give_back(who, Taken::Loaded(queued), origin, now);
        }
        let size = queued.message.size() as u64;
        let copy = (queued.body != Commit::default()).then_some(queued.copy);
        session.queue().push(queued);
        if session.overflowed {
            let (settings, counters) = (self.shared.settings(), self.shared.counters());
            let quota = Quota::new(settings, counters, &self.tally, origin);
            session.overflowed = !quota.is_half_empty(session.queue());
        }
        self.tally.queue(size);
        if let Some(id) = session.conn {
            self.touch(id);
        }
        if let Some(copy) = copy {
            self.put_away_soon(key, copy);
        }
    }

    /// Makes room in a session's queue.
    fn make_room(
        &mut self,
        key: SessionKey,
        quota: &Quota,
        size: u64,
        now: Instant,
    ) -> Result<(), Full> {
        let who = self.subscriber(key);
        let cursor = self.cursor(key);
        let Some(session) = self.sessions.get_mut(key.slot, key.generation) else {
            return Ok(());
        };
        let full = quota.full(session.queue(), size);
        let mut gone = Vec::new();
        let made = quota.make_room(session.queue(), cursor, size, now, |taken, why| {
            gone.push((taken, why));
        });
        if gone.iter().any(|(_, why)| *why == Gone::Oldest)
            && let Some(full) = full
        {
            self.overflowed(key, full);
        }
        for (taken, why) in gone {
            self.tally.gone(&taken, why);
            self.forget_copy(who, &taken);
        }
        made
    }

    /// A copy is needed no longer.
    pub(super) fn forget_copy(&mut self, who: Subscriber, taken: &Taken) {
        if taken.qos() != QoS::AtMostOnce {
            self.store.record(&Record::Done {
                receiver: who,
                copy: taken.copy(),
            });
            if let Some(group) = taken.group() {
                self.ended.push((group, who));
            }
        }
    }

    /// The session that was to get this has no connection, or has ended: what its group had given it goes to another member.
    pub(super) fn give_back(
        &mut self,
        who: Subscriber,
        taken: Taken,
        origin: Origin,
        now: Instant,
    ) {
        let Some(group) = taken.group() else {
            return self.forget_copy(who, &taken);
        };
        if !self.pass_on(group, who, taken, origin, now) {
            self.ended.push((group, who));
        }
    }

    /// What this session was to get goes to another member of the group, or waits for one. Says whether it could be read.
    pub(super) fn pass_on(
        &mut self,
        group: GroupId,
        who: Subscriber,
        taken: Taken,
        origin: Origin,
        now: Instant,
    ) -> bool {
        let Some(queued) = self.load_taken(taken) else {
            return false;
        };
        // First to somebody else, so that there is no moment at which nobody has it.
        let mut incoming = Incoming::of(&queued.message);
        self.deliver_to_group(group, &mut incoming, origin, now);
        self.forget_copy(who, &Taken::Loaded(queued));
        true
    }

    /// To one member of a shared group.
    pub(super) fn deliver_to_group(
        &mut self,
        id: GroupId,
        incoming: &mut Incoming<'_>,
        origin: Origin,
        now: Instant,
    ) {
        self.tell_groups();
        let qos = incoming.qos;
        let shared = Arc::clone(&self.shared);
        let mut groups = shared.groups();
        match groups.choose(id, qos) {
            Choice::Member(member) => {
                drop(groups);
                let copy = Copy {
                    qos: qos.min(member.options.qos),
                    retain: incoming.retain && member.options.retain_as_published,
                    ids: Ids::one(member.id),
                    group: Some(id),
                    origin,
                };
                if let Some(Receiver::Session { worker, key }) = member.who.receiver() {
                    self.deliver(worker, key, incoming, copy, now);
                }
            }
            // Under the same lock: a member that came between the two would never be told of the message.
            Choice::Nobody if qos != QoS::AtMostOnce => {
                self.wait_for_group(&mut groups, id, incoming, origin, now);
            }
            Choice::Ended if qos != QoS::AtMostOnce => self.tally.dropped += 1,
            Choice::Nobody | Choice::Ended => {}
        }
    }

    /// Nobody of the group is connected: the message waits for whoever comes first.
    fn wait_for_group(
        &mut self,
        groups: &mut Groups,
        id: GroupId,
        incoming: &mut Incoming<'_>,
        origin: Origin,
        now: Instant,
    ) {
        let receiver = Subscriber::group(id);
        let message = Arc::clone(incoming.shared());
        let size = message.size() as u64;
        let quota = self.quota(origin);
        let (store, tally) = (&mut self.store, &mut self.tally);
        let room = groups.make_room(id, &quota, size, now, |taken, why| {
            tally.gone(&taken, why);
            store.record(&Record::Done {
                receiver,
                copy: taken.copy(),
            });
        });
        match room {
            Ok(()) => {}
            Err(full) => {
                self.tally.dropped += 1;
                if full == Full::Total {
                    self.total_overflow();
                }
                return;
            }
        }
        let mut queued = Queued {
            message,
            copy: Commit::default(),
            body: Commit::default(),
            ids: Ids::None,
            qos: incoming.qos,
            retain: incoming.retain,
            group: None,
        };
        queued.record(&mut *self.store, receiver);
        self.tally.queue(size);
        let copy = (queued.body != Commit::default()).then_some(queued.copy);
        groups.wait(id, queued);
        if let Some(copy) = copy
            && groups.wants_putting_away(id)
        {
            self.aside.group(id, copy);
        }
    }

    /// A member is back: it gets what waited for any of them.
    pub(super) fn deliver_waiting(&mut self, id: GroupId, now: Instant) {
        let mut waiting = self.shared.groups().take_waiting(id);
        let mut at = Seq::default();
        while let Some(seq) = waiting.next(at) {
            at = seq.next();
            let Some(taken) = waiting.take(seq) else {
                continue;
            };
            self.tally.unqueue(&taken);
            let copy = taken.copy();
            let queued = if taken.expired(now) {
                None
            } else {
                let Some(queued) = self.load_taken(taken) else {
                    continue;
                };
                Some(queued)
            };
            // As long as it was put away its end was known to the second only.
            let ended = |queued: &Queued| queued.message.expires.is_some_and(|end| end <= now);
            match queued.filter(|queued| !ended(queued)) {
                Some(queued) => {
                    let mut incoming = Incoming::of(&queued.message);
                    self.deliver_to_group(id, &mut incoming, Origin::Moved, now);
                }
                None => self.tally.expired += 1,
            }
            self.store.record(&Record::Done {
                receiver: Subscriber::group(id),
                copy,
            });
        }
    }
}
