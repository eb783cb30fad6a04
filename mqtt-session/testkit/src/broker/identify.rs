//! Which copy a PUBLISH is that the broker has written.

use mqtt_codec::{Publish, QoS};
use mqtt_session::Instant;

use super::event::{Event, What};
use super::kept::{Copy, Permit, Routing};
use super::model::Model;
use super::tables::{self, MATCHES, NAMES, SHARED_FILTERS, SHARED_TOPICS};

/// A PUBLISH, as far as it tells which copy it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) topic: usize,
    /// `None`: it has no payload.
    pub(super) message: Option<u32>,
    pub(super) qos: u8,
    pub(super) retain: bool,
    pub(super) ids: u32,
    /// What is left of its life, in the nearest number of seconds, at least one unless it is over; the outer `None` is a version that
    /// has no word for it.
    pub(super) left: Option<Option<u32>>,
    pub(super) now: Instant,
}

impl Seen {
    /// Whether it has the life of this copy.
    fn lives(&self, expires: Option<Instant>) -> bool {
        let left = expires.map(|at| match at.millis_since(self.now) {
            0 => 0,
            ms => ((ms + 500) / 1_000).max(1) as u32,
        });
        self.left.is_none_or(|said| said == left)
    }

    /// Whether it can be this copy of a message for everybody.
    fn is(&self, copy: &Copy, routings: &[Routing]) -> bool {
        let routing = &routings[copy.r as usize];
        copy.qos == self.qos
            && copy.retain == self.retain
            && copy.ids == self.ids
            && usize::from(routing.topic) == self.topic
            && same_message(routing.message, routing.empty, self)
            && self.lives(copy.expires)
    }
}

impl Model {
    /// Which copy this is; QoS 0 copies are taken from where they waited.
    pub(super) fn identify(&mut self, client: usize, seen: &Seen) -> What {
        let name = NAMES[client];
        let found = if seen.topic >= SHARED_TOPICS {
            self.identify_group(client, seen)
        } else {
            // What would pass over others is rather a retained message, if it can be one.
            let strict = self.setup.lossy && seen.retain;
            // So is what only may come, where a retained message has to.
            let owed = seen.retain && !self.is_due_live(client, seen);
            let owed = owed.then(|| self.identify_retained(client, seen, true));
            let found = owed
                .flatten()
                .map_or_else(|| self.identify_live(client, seen, strict), Ok);
            let found = match found {
                Err(why) => self.identify_retained(client, seen, false).ok_or(why),
                found => found,
            };
            let found = match found {
                Err(_) if strict => self.identify_live(client, seen, false),
                found => found,
            };
            if let Err(why) = found {
                let session = &self.state.sessions[client];
                let waits = session.queue.iter().chain(&session.zero);
                let waits = waits.map(|copy| (copy, self.routings[copy.r as usize]));
                let waits: Vec<_> = waits.collect();
                panic!(
                    "{name} was sent {seen:?}, {why}; it waits for {waits:#?}, {:#?}; it has {:?}",
                    session.permits, session.subs
                );
            }
            found.ok()
        };
        found.unwrap_or_else(|| {
            panic!(
                "{name} was sent {seen:?} of a group; {:?}",
                self.state.groups
            )
        })
    }

    fn identify_group(&mut self, client: usize, seen: &Seen) -> Option<What> {
        let v5 = self.setup.kinds[client].version.is_v5();
        let routings = &self.routings;
        for (g, group) in self.state.groups.iter_mut().enumerate() {
            let sub = tables::group_subscription(client, g, v5);
            if seen.ids != sub.ids() || MATCHES[seen.topic] & (1 << (g + SHARED_FILTERS)) == 0 {
                continue;
            }
            let matches = |copy: &Copy| {
                let routing = &routings[copy.r as usize];
                usize::from(routing.topic) == seen.topic
                    && same_message(routing.message, routing.empty, seen)
                    && routing.qos.min(sub.qos) == seen.qos
                    && (routing.retain && sub.retain_as_published) == seen.retain
            };
            // The same message may have come twice, with another life, which members of 3.1.1 do not see: it may have been the one that
            // lives longest, and the others may expire unseen. What only may come is what an earlier group had.
            let copies = &group.copies;
            let find = |test: &dyn Fn(&Copy) -> bool| {
                let fitting = copies.iter().enumerate().rev();
                let fitting = fitting.filter(|(_, copy)| matches(copy) && test(copy));
                let end = |copy: &Copy| copy.expires.map_or(u64::MAX, Instant::as_millis);
                let longest = fitting.max_by_key(|(_, copy)| end(copy));
                longest.map(|(at, _)| at)
            };
            let at = find(&|copy| is_due(copy, seen.now) && seen.lives(copy.expires))
                .or_else(|| find(&|copy| is_due(copy, seen.now)))
                .or_else(|| find(&|_| true));
            let Some(at) = at else { continue };
            let copy = group.copies[at];
            if seen.qos == 0 {
                group.copies.remove(at);
            }
            self.counters.hit("group message");
            return Some(What::Group {
                group: g as u8,
                copy,
                exactly_once: seen.qos == 2,
            });
        }
        None
    }

    /// Whether this is a copy that has to come.
    fn is_due_live(&self, client: usize, seen: &Seen) -> bool {
        let session = &self.state.sessions[client];
        let mut list = session.zero.iter().chain(&session.queue);
        list.any(|copy| is_due(copy, seen.now) && seen.is(copy, &self.routings))
    }

    /// `strict`: nothing that could still come is passed over, even if it need not come.
    fn identify_live(
        &mut self,
        client: usize,
        seen: &Seen,
        strict: bool,
    ) -> Result<What, &'static str> {
        let routings = &self.routings;
        let session = &mut self.state.sessions[client];
        let list = if seen.qos == 0 {
            &mut session.zero
        } else {
            &mut session.queue
        };
        let matches = |copy: &Copy| seen.is(copy, routings);
        let publisher = |copy: &Copy| routings[copy.r as usize].publisher;
        // After a crash QoS 2 messages whose delivery had begun come first, and in their own order.
        let restarted = self.restarts > 0;
        let of_one =
            |a: &Copy, b: &Copy| publisher(a) == publisher(b) && (a.qos == b.qos || !restarted);
        let is_next = |at: usize| {
            let mut before = list.iter().take(at);
            let waits = |other: &Copy| {
                let other = Copy {
                    must: other.must || strict,
                    ..*other
                };
                is_due(&other, seen.now)
            };
            !before.any(|other| of_one(other, &list[at]) && waits(other))
        };
        // The same message may have come twice. What only may come is what was meant for an earlier connection.
        let mut candidates: Vec<usize> = (0..list.len()).filter(|&at| matches(&list[at])).collect();
        if candidates.is_empty() {
            return Err("which it was not to get");
        }
        candidates.retain(|&at| is_next(at));
        let Some(&first) = candidates.first() else {
            return Err("which has overtaken others of its publisher");
        };
        let find = |test: &dyn Fn(&Copy) -> bool| {
            let mut candidates = candidates.iter();
            candidates.find(|&&at| test(&list[at])).copied()
        };
        let chosen = find(&|copy| is_due(copy, seen.now))
            .or_else(|| find(&|copy| copy.expires.is_none_or(|at| at > seen.now)))
            .unwrap_or(first);
        let (copy, earliest) = (list[chosen], list[first]);
        let from = |other: &Copy| of_one(other, &earliest);
        // What was passed over does not come any more. Of copies that look the same it may have been the earliest.
        list.retain(|other| other.at >= earliest.at || !from(other));
        if seen.qos == 0 {
            // It has come, or its twin has.
            for other in list.iter_mut().filter(|other| other.at == copy.at) {
                other.must = false;
            }
            list.retain(|other| other.at != earliest.at);
        }
        self.counters.hit_if(seen.qos == 0, "QoS 0 delivered");
        Ok(What::Live(copy))
    }

    /// `owed`: only one that has to come.
    fn identify_retained(&mut self, client: usize, seen: &Seen, owed: bool) -> Option<What> {
        if !seen.retain || seen.message.is_none() {
            return None;
        }
        let (state, routings) = (&self.state, &self.routings);
        let history = &state.retained[seen.topic];
        // What has begun does not expire any more, and a QoS 2 message begins when its id is recorded.
        let begun = seen.qos == 2 && (self.setup.late || self.restarts > 0);
        let value_for = |permit: &Permit| {
            let fits = MATCHES[seen.topic] & (1 << permit.filter) != 0
                && permit.ids == seen.ids
                && permit.taken[seen.topic] < permit.allowed;
            // The same message may have been retained twice, with another life.
            let mut values = history.iter().rev().filter(|_| fits);
            values.find(|value| {
                let routing = &routings[value.r as usize];
                value.until > permit.since
                    && (begun || value.expires.is_none_or(|expires| expires > seen.now))
                    && same_message(routing.message, routing.empty, seen)
                    && seen.lives(value.expires)
                    && routing.qos.min(permit.qos) == seen.qos
            })
        };
        // An earlier subscription that has got everything still has a place for a topic that came later.
        let permits = &state.sessions[client].permits;
        let owes = |permit: &Permit| permit.must & (1 << seen.topic) != 0;
        let find = |test: &dyn Fn(&Permit) -> bool| {
            let mut permits = permits.iter();
            permits.position(|permit| test(permit) && value_for(permit).is_some())
        };
        let at = find(&owes).or_else(|| find(&|_| !owed))?;
        let (key, r) = (permits[at].key, value_for(&permits[at])?.r);
        self.counters.hit("retained delivered");
        let topic = seen.topic;
        self.happened(0, Event::Served { client, key, topic });
        Some(What::Retained {
            r,
            exactly_once: seen.qos == 2,
        })
    }

    /// Nothing is sent after its end.
    pub(super) fn check_expiry(
        &self,
        client: usize,
        what: &What,
        publish: &Publish<'_>,
        now: Instant,
    ) {
        let name = NAMES[client];
        let (r, expires) = match *what {
            What::Live(copy) => (copy.r, copy.expires),
            // The same message may have come twice, with another life: which of them this is cannot always be told.
            What::Group { copy, .. } => {
                let routing = self.routings[copy.r as usize];
                let same = |other: &&Routing| {
                    (other.message, other.unkept) == (routing.message, routing.unkept)
                };
                let twins = self.routings.iter().filter(same);
                let once = twins.take(2).count() == 1;
                (copy.r, copy.expires.filter(|_| once))
            }
            What::Retained { r, .. } => {
                let routing = &self.routings[r as usize];
                let history = &self.state.retained[usize::from(routing.topic)];
                let value = history.iter().find(|value| value.r == r);
                (r, value.and_then(|value| value.expires))
            }
        };
        // What has begun does not expire any more, and a QoS 2 message begins when its id is recorded.
        let begun = publish.delivery.qos() == QoS::ExactlyOnce && (self.setup.late || publish.dup);
        if let Some(expires) = expires.filter(|_| !begun) {
            let late =
                expires < now || (expires == now && publish.delivery.qos() != QoS::AtMostOnce);
            assert!(!late, "{name}: {r} was sent after it had expired");
        }
    }
}

/// Whether a copy has to come: it has not expired, and nothing excuses it.
pub(super) fn is_due(copy: &Copy, now: Instant) -> bool {
    copy.must && copy.expires.is_none_or(|expires| expires > now)
}

/// Whether a message is the one that was seen; what has no payload has no number.
const fn same_message(message: u32, empty: bool, seen: &Seen) -> bool {
    match seen.message {
        Some(number) => number == message && !empty,
        None => empty,
    }
}
