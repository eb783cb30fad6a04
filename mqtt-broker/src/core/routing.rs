//! From a published message to everybody who gets it.

use std::sync::Arc;

use mqtt_codec::QoS;
use mqtt_session::{Instant, Misuse, Seq};
use mqtt_topic::TopicName;

use super::effect::{Effect, Item};
use super::fanout::{FanOut, gather};
use super::groups::Choice;
use super::ids::{GroupId, Receiver, SessionKey, Subscriber};
use super::message::{Ids, Incoming};
use super::output::SHARE_FROM;
use super::queue::{Queue, Queued};
use super::store::Record;
use super::{Core, Message};

/// How one receiver gets a message.
struct Copy {
    qos: QoS,
    retain: bool,
    ids: Ids,
    group: Option<GroupId>,
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
        let fan_out = self.fan_out(&name);
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
            };
            match route.to.receiver() {
                Some(Receiver::Session { worker, key }) => {
                    self.deliver(worker, key, incoming, copy, now);
                }
                Some(Receiver::Group(group)) => self.deliver_to_group(group, incoming, now),
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
        if let Some(known) = self.cache.get(name.as_str(), generation) {
            return known;
        }
        let fan_out = Arc::new(gather(&index, name));
        drop(index);
        self.cache.put(name.as_str(), generation, &fan_out);
        fan_out
    }

    /// RETAIN 1 replaces the retained message, an empty payload removes it [MQTT-3.3.1-5], [MQTT-3.3.1-6], [MQTT-3.3.1-7].
    fn store_retained(&mut self, name: &TopicName<'_>, incoming: &mut Incoming<'_>) {
        if incoming.payload.is_empty() {
            if self.shared.retained_mut().remove(name).is_some() {
                self.tally.retained -= 1;
                self.store.record(&Record::Unretained(name.as_str()));
            }
            return;
        }
        let message = Arc::clone(incoming.shared());
        let mut retained = self.shared.retained_mut();
        let most = self.shared.settings().retained_messages as usize;
        if retained.len() >= most && retained.get(name).is_none() {
            self.tally.retained_rejected += 1;
            tracing::warn!(
                topic = name.as_str(),
                most,
                "retained message not stored: there are `retained_messages` already"
            );
            return;
        }
        self.store.record(&Record::Retained(&message));
        if retained.insert(name, message).is_none() {
            self.tally.retained += 1;
        }
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
        if worker != self.worker {
            let queued = queued(incoming, copy);
            if let Some(batch) = self.batches.get_mut(usize::from(worker)) {
                batch.items.push(Item::Deliver(key, queued));
            }
        } else if copy.qos == QoS::AtMostOnce {
            self.deliver_now(key, incoming, &copy, now);
        } else {
            self.enqueue(key, queued(incoming, copy));
        }
    }

    /// From another worker.
    pub(super) fn deliver_queued(&mut self, key: SessionKey, queued: Queued, now: Instant) {
        if queued.qos == QoS::AtMostOnce {
            let message = Arc::clone(&queued.message);
            let copy = Copy {
                qos: queued.qos,
                retain: queued.retain,
                ids: queued.ids,
                group: queued.group,
            };
            self.deliver_now(key, &mut Incoming::of(&message), &copy, now);
        } else {
            self.enqueue(key, queued);
        }
    }

    /// QoS 0: into the output at once, or not at all.
    fn deliver_now(
        &mut self,
        key: SessionKey,
        incoming: &mut Incoming<'_>,
        copy: &Copy,
        now: Instant,
    ) {
        let Some(id) = self
            .sessions
            .get(key.slot, key.generation)
            .and_then(|session| session.conn)
        else {
            return;
        };
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
                        let copy = Copy {
                            qos: copy.qos,
                            retain: copy.retain,
                            ids: copy.ids.clone(),
                            group: copy.group,
                        };
                        self.enqueue(key, queued(incoming, copy));
                    }
                    Misuse::TooLarge => self.tally.too_large += 1,
                    _ => self.tally.dropped += 1,
                }
            }
        }
    }

    /// QoS 1 and 2: into the session's sequence, as far as its limits go.
    pub(super) fn enqueue(&mut self, key: SessionKey, queued: Queued) -> Option<Seq> {
        let settings = self.shared.settings();
        let Some(session) = self.sessions.get_mut(key.slot, key.generation) else {
            self.give_back(queued);
            return None;
        };
        let queue = session.queue.get_or_insert_with(Box::default);
        let size = queued.message.size() as u64;
        if queue.len() >= settings.queue_messages as usize
            || queue.bytes() + size > settings.queue_bytes
        {
            self.tally.dropped += 1;
            if !core::mem::replace(&mut session.overflowed, true) {
                tracing::warn!(
                    client_id = &*session.client_id,
                    messages = queue.len(),
                    bytes = queue.bytes(),
                    "queue is full: messages are dropped"
                );
            }
            if let Some(group) = queued.group {
                self.ended
                    .push((group, Subscriber::session(self.worker, key)));
            }
            return None;
        }
        session.overflowed = false;
        let seq = queue.push(queued);
        self.tally.queued += 1;
        if let Some(queued) = queue.get(seq)
            && queued.qos != QoS::AtMostOnce
        {
            self.store.record(&Record::Queued {
                session: key,
                seq,
                message: &queued.message,
            });
        }
        if let Some(id) = session.conn {
            self.touch(id);
        }
        Some(seq)
    }

    /// The session has ended meanwhile: its group's message goes to another member.
    fn give_back(&mut self, queued: Queued) {
        if let Some(group) = queued.group {
            self.deliver_to_group(group, &mut Incoming::of(&queued.message), Instant::ZERO);
        }
    }

    /// To one member of a shared group.
    pub(super) fn deliver_to_group(
        &mut self,
        id: GroupId,
        incoming: &mut Incoming<'_>,
        now: Instant,
    ) {
        self.tell_groups();
        let most = self.shared.settings().queue_messages as usize;
        let qos = incoming.qos;
        let choice = self
            .shared
            .groups()
            .choose(id, qos, most, || Arc::clone(incoming.shared()));
        match choice {
            Choice::Member(member) => {
                let copy = Copy {
                    qos: qos.min(member.options.qos),
                    retain: incoming.retain && member.options.retain_as_published,
                    ids: Ids::None.with(member.id),
                    group: Some(id),
                };
                if let Some(Receiver::Session { worker, key }) = member.who.receiver() {
                    self.deliver(worker, key, incoming, copy, now);
                }
            }
            Choice::Waits => {}
            Choice::Dropped => self.tally.dropped += 1,
        }
    }

    /// A member is back: it gets what waited for any of them.
    pub(super) fn deliver_waiting(&mut self, id: GroupId, now: Instant) {
        let waiting = self.shared.groups().take_waiting(id);
        for message in waiting {
            if message.expired(now) {
                self.tally.expired += 1;
            } else {
                self.deliver_to_group(id, &mut Incoming::of(&message), now);
            }
        }
    }

    /// Puts retained messages of new subscriptions into the queue, a few at a time; says whether any were.
    pub(super) fn refill(&mut self, id: super::ConnId, now: Instant) -> bool {
        let Some(conn) = self.conns.get_mut(id.slot, id.generation) else {
            return false;
        };
        let (Some(key), Some(backlog)) = (conn.session, conn.backlog.as_mut()) else {
            return false;
        };
        let Some(session) = self.sessions.get_mut(key.slot, key.generation) else {
            return false;
        };
        let queue = session.queue.get_or_insert_with(Box::default);
        let before = queue.len();
        // What is in flight already need not be doubled: the window opens again.
        while queue.len() < before + super::WALK_STEP && queue.len() < super::WALK_STEP * 8 {
            let Some(walk) = backlog.0.last_mut() else {
                break;
            };
            if walk_on(walk, queue, &self.shared.retained(), now) {
                backlog.0.pop();
            }
        }
        let added = queue.len() - before;
        self.tally.queued += added as i64;
        if backlog.0.is_empty() {
            conn.backlog = None;
        }
        added > 0
    }

    /// Removes retained messages that have expired, a step at a time.
    pub(super) fn sweep_retained(&mut self, now: Instant) {
        let Ok(everything) = mqtt_topic::TopicFilter::new("#") else {
            return;
        };
        let walk = self
            .sweep
            .get_or_insert_with(|| mqtt_topic::RetainedWalk::new(&everything));
        let mut expired: Vec<String> = Vec::new();
        let done = walk.advance(
            &self.shared.retained(),
            super::WALK_STEP * 16,
            |name, message: &Arc<Message>| {
                if message.expired(now) {
                    expired.push(name.as_str().to_owned());
                }
            },
        );
        if done {
            self.sweep = None;
        }
        if expired.is_empty() {
            return;
        }
        let mut retained = self.shared.retained_mut();
        for topic in expired {
            let Ok(name) = TopicName::new(&topic) else {
                continue;
            };
            if retained
                .get(&name)
                .is_some_and(|message| message.expired(now))
            {
                retained.remove(&name);
                self.tally.retained -= 1;
                self.store.record(&Record::Unretained(&topic));
            }
        }
    }
}

/// Advances one walk; says whether it is done.
pub(super) fn walk_on(
    walk: &mut super::connection::Walk,
    queue: &mut Queue,
    retained: &mqtt_topic::RetainedIndex<Arc<Message>>,
    now: Instant,
) -> bool {
    let (qos, ids) = (walk.qos, &walk.ids);
    walk.walk
        .advance(retained, super::WALK_STEP, |_, message: &Arc<Message>| {
            if !message.expired(now) {
                // RETAIN is set on what a new subscription gets [3.1.1: MQTT-3.3.1-8].
                queue.push(Queued {
                    message: Arc::clone(message),
                    ids: ids.clone(),
                    qos: qos.min(message.qos),
                    retain: true,
                    group: None,
                });
            }
        })
}

fn queued(incoming: &mut Incoming<'_>, copy: Copy) -> Queued {
    Queued {
        message: Arc::clone(incoming.shared()),
        ids: copy.ids,
        qos: copy.qos,
        retain: copy.retain,
        group: copy.group,
    }
}
