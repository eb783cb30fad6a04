//! From a message, or a subscription, to what everybody has to get.

use std::collections::VecDeque;

use mqtt_session::Instant;

use super::event::{Sub, What};
use super::kept::{Copy, Flight, Permit, Retained, Routing};
use super::state::{Context, Outcome, State};
use super::tables::{Kind, MATCHES, SHARED_FILTERS};

impl State {
    /// One message to everybody who gets it.
    pub(super) fn route(&mut self, r: u32, now: Instant, cx: &mut Context<'_>) -> Outcome {
        let message = cx.routings[r as usize];
        let topic = usize::from(message.topic);
        let publisher = usize::from(message.publisher);
        // A will lives from its publication on.
        let expires = message.expires.map(|at| {
            if message.is_will() {
                now.plus_millis(at.as_millis())
            } else {
                at
            }
        });
        self.order += 1;
        let mut outcome = Outcome::default();
        if message.retain && !message.unkept {
            let before = self.current(topic, now).is_some();
            self.retain(r, topic, expires, message.empty);
            // What had expired may be gone already: nothing is recorded of its end then.
            outcome.kept |= before || !message.empty;
        }
        let mut copy = Copy {
            r,
            at: self.order,
            qos: message.qos,
            retain: message.retain,
            ids: 0,
            expires,
            must: !cx.setup.lossy,
            epoch: 0,
        };
        for (c, session) in self.sessions.iter_mut().enumerate() {
            if !session.exists {
                continue;
            }
            let mut granted: Option<(u8, bool, u32)> = None;
            let mut suppressed = false;
            for (f, sub) in session.subs.iter().enumerate().take(SHARED_FILTERS) {
                let Some(sub) = sub.filter(|_| MATCHES[topic] & (1 << f) != 0) else {
                    continue;
                };
                outcome.anybody = true;
                if sub.no_local && c == publisher {
                    suppressed = true;
                    continue;
                }
                let (qos, retain, ids) = granted.unwrap_or_default();
                granted = Some((
                    qos.max(sub.qos),
                    retain | sub.retain_as_published,
                    ids | sub.ids(),
                ));
            }
            cx.counters.hit_if(suppressed, "no local suppressed");
            let Some((qos, retain, ids)) = granted else {
                continue;
            };
            if message.large && cx.setup.kinds[c].limited {
                cx.counters.hit("packet too large");
                outcome.kept |= qos.min(message.qos) > 0;
                continue;
            }
            copy.qos = message.qos.min(qos);
            copy.retain = message.retain && retain;
            copy.ids = ids;
            copy.must = !cx.setup.lossy;
            if copy.qos > 0 {
                outcome.kept = true;
                session.queue.push_back(copy);
            } else if session.link.is_some() {
                session.zero.push_back(copy);
            } else if cx.setup.kinds[c].home != cx.setup.kinds[publisher].home {
                // It may be connected when the message comes to its worker.
                copy.must = false;
                session.zero.push_back(copy);
            }
        }
        self.route_to_groups(&message, copy, &mut outcome, cx);
        outcome
    }

    fn route_to_groups(
        &mut self,
        message: &Routing,
        mut copy: Copy,
        outcome: &mut Outcome,
        cx: &mut Context<'_>,
    ) {
        for (g, group) in self.groups.iter_mut().enumerate() {
            let matches = MATCHES[usize::from(message.topic)] & (1 << (g + SHARED_FILTERS)) != 0;
            if !matches || group.members == 0 {
                continue;
            }
            outcome.anybody = true;
            outcome.kept |= message.qos > 0;
            let mut members = (0..8_usize).filter(|c| group.members & (1 << c) != 0);
            let online = members.any(|c| self.sessions[c].link.is_some());
            cx.counters
                .hit_if(!online, "group without any member online");
            copy.epoch = group.epoch;
            copy.qos = message.qos;
            let fits = !(message.large && group.has_limited(cx.setup));
            copy.must = message.qos > 0 && !cx.setup.lossy && fits;
            group.copies.push_back(copy);
        }
    }

    /// Sets or removes the retained message of a topic.
    fn retain(&mut self, r: u32, topic: usize, expires: Option<Instant>, empty: bool) {
        if self.is_retained[topic]
            && let Some(last) = self.retained[topic].last_mut()
        {
            last.until = self.order;
        }
        self.is_retained[topic] = !empty;
        if !empty {
            self.retained[topic].push(Retained {
                r,
                expires,
                until: u64::MAX,
            });
        }
        // Whoever waits for the one before gets this one, or nothing.
        for permit in self.sessions.iter_mut().flat_map(|s| &mut s.permits) {
            permit.must &= !(1 << topic);
        }
    }

    pub(super) fn subscribe(
        &mut self,
        client: usize,
        filter: usize,
        sub: Sub,
        key: u32,
        now: Instant,
        cx: &mut Context<'_>,
    ) {
        self.order += 1;
        let kind: &Kind = &cx.setup.kinds[client];
        let known = self.sessions[client].subs[filter].replace(sub).is_some();
        if let Some(group) = filter.checked_sub(SHARED_FILTERS) {
            let group = &mut self.groups[group];
            group.members |= 1 << client;
            // What is given to a member that does not take it is gone.
            for copy in group.copies.iter_mut().filter(|_| kind.limited) {
                copy.must &= !cx.routings[copy.r as usize].large;
            }
            return;
        }
        let mut must = 0;
        for (topic, matches) in MATCHES.iter().enumerate() {
            if matches & (1 << filter) == 0 {
                continue;
            }
            if let Some(current) = self.current(topic, now) {
                let large = cx.routings[current.r as usize].large;
                if !(large && kind.limited) {
                    must |= 1 << topic;
                }
            }
        }
        let wanted = match sub.retain_handling {
            0 => true,
            1 => !known,
            _ => false,
        };
        if !wanted {
            cx.counters
                .hit_if(must != 0, "retained not delivered by retain handling");
            return;
        }
        self.sessions[client].permits.push(Permit {
            key,
            filter: filter as u8,
            qos: sub.qos,
            ids: sub.ids(),
            since: self.order,
            // When messages are lost, copies that came because of RETAIN AS PUBLISHED cannot always be told from these.
            allowed: if cx.setup.lossy { 3 } else { 1 },
            taken: Default::default(),
            must: if cx.setup.lossy { 0 } else { must },
        });
    }

    pub(super) fn unsubscribe(&mut self, client: usize, filter: usize) {
        let session = &mut self.sessions[client];
        if session.subs[filter].take().is_none() {
            return;
        }
        for permit in &mut session.permits {
            if usize::from(permit.filter) == filter {
                permit.must = 0;
            }
        }
        if let Some(group) = filter.checked_sub(SHARED_FILTERS) {
            let group = &mut self.groups[group];
            group.members &= !(1 << client);
            group.left = true;
            if group.members == 0 {
                group.epoch += 1;
                // What waited ends with the group; what its last member has already may still come.
                for copy in &mut group.copies {
                    copy.must = false;
                }
            }
        }
    }

    /// The broker wrote a PUBLISH with an id for the first time.
    pub(super) fn wrote(&mut self, client: usize, id: u16, what: What, dup: bool) {
        self.sent += 1;
        let session = &mut self.sessions[client];
        // The places of a replay are others: the copy that waits is the one to go on with. After a crash there may be none: it was written
        // at QoS 1 before it was durable that it had come.
        let (what, exactly_once) = match what {
            What::Live(copy) => {
                let Some(copy) = take(&mut session.queue, copy.r) else {
                    return;
                };
                (What::Live(copy), copy.qos == 2)
            }
            What::Group {
                group,
                copy,
                exactly_once,
            } => {
                let copies = &mut self.groups[usize::from(group)].copies;
                let Some(copy) = take(copies, copy.r) else {
                    return;
                };
                let what = What::Group {
                    group,
                    copy,
                    exactly_once,
                };
                (what, exactly_once)
            }
            What::Retained { exactly_once, .. } => (what, exactly_once),
        };
        session.flights.push(Flight {
            id,
            what,
            exactly_once,
            received: false,
            opens: 0,
            sent: true,
            released: false,
            order: (!dup).then_some(self.sent),
        });
    }
}

/// Takes the copy of a routing out of those that wait.
fn take(waiting: &mut VecDeque<Copy>, r: u32) -> Option<Copy> {
    let at = waiting.iter().position(|copy| copy.r == r)?;
    waiting.remove(at)
}
