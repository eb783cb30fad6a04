//! The reference: what sessions, groups and retained messages are after the events so far, without workers, ids of its own, or time slices.

use mqtt_session::Instant;

use super::event::{Event, Goodbye, What, When};
use super::kept::{Flight, Group, Inbound, Retained, Routing, Session};
use super::tables::{GROUPS, Setup, TOPICS};
use crate::sim::Counters;

/// All of it.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    pub(super) sessions: [Session; 8],
    pub(super) groups: [Group; GROUPS],
    /// The retained messages of each topic, the present one last.
    pub(super) retained: [Vec<Retained>; TOPICS.len()],
    /// What the topic's last entry is worth: false when it was removed.
    pub(super) is_retained: [bool; TOPICS.len()],
    /// Counts routings and subscriptions.
    pub(super) order: u64,
    /// Counts deliveries.
    pub(super) sent: u64,
}

/// What applying an event needs beside it.
pub(super) struct Context<'a> {
    pub(super) setup: &'a Setup,
    pub(super) routings: &'a [Routing],
    pub(super) counters: &'a mut Counters,
    /// Group messages that were lost with a session to which their delivery had begun.
    pub(super) lost: &'a [u32],
}

impl State {
    /// The sessions that there are, in the order in which they began.
    pub(super) fn by_birth(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.sessions.len()).collect();
        order.retain(|&client| self.sessions[client].exists);
        order.sort_by_key(|&client| self.sessions[client].born);
        order
    }

    /// Which session each client has that has outlived a connection, or would have; 0 is none.
    pub(super) fn lasting(&self) -> [u32; 8] {
        core::array::from_fn(|client| {
            let session = &self.sessions[client];
            if session.exists && session.lasts {
                session.birth
            } else {
                0
            }
        })
    }

    /// The present retained message of a topic.
    pub(super) fn current(&self, topic: usize, now: Instant) -> Option<Retained> {
        let last = *self.retained[topic].last()?;
        (self.is_retained[topic] && last.expires.is_none_or(|at| at > now)).then_some(last)
    }

    /// Takes an event; the answer counts for a message that was routed: whether a receiver's copy or a retained message was kept, and
    /// whether anybody's subscription matched.
    pub(super) fn apply(&mut self, event: &Event, cx: &mut Context<'_>) -> Outcome {
        match *event {
            Event::Connect {
                client,
                link,
                clean,
                expiry,
                will,
                goodbye,
                when,
            } => {
                self.make_way(client, clean, goodbye, when, cx);
                self.attach(client, link, cx);
                let session = &mut self.sessions[client];
                session.expiry = expiry;
                session.lasts |= expiry != 0;
                session.will = will;
            }
            Event::Closed {
                client,
                goodbye,
                when,
            } => self.close(client, goodbye, when, cx),
            Event::Due { client, when } => self.due(client, when, cx),
            Event::Publish {
                r,
                received,
                opens,
                now,
            } => {
                if let Some(id) = received {
                    let publisher = usize::from(cx.routings[r as usize].publisher);
                    let inbound = &mut self.sessions[publisher].inbound;
                    inbound.push(Inbound { id, opens });
                }
                return self.route(r, now, cx);
            }
            Event::Used { client } => self.sessions[client].used = true,
            Event::Released { client, id } => {
                self.sessions[client].inbound.retain(|entry| entry.id != id);
            }
            Event::Subscribe {
                client,
                filter,
                sub,
                key,
                now,
            } => self.subscribe(client, filter, sub, key, now, cx),
            Event::Unsubscribe { client, filter } => self.unsubscribe(client, filter),
            Event::Wrote {
                client,
                id,
                what,
                dup,
            } => self.wrote(client, id, what, dup),
            Event::Served { client, key, topic } => {
                let mut permits = self.sessions[client].permits.iter_mut();
                if let Some(permit) = permits.find(|permit| permit.key == key) {
                    permit.taken[topic] += 1;
                    permit.must &= !(1 << topic);
                }
            }
            Event::Crashed => self.crash(cx),
            Event::Resumed { client, when } => {
                if self.sessions[client].link.is_some() {
                    self.close(client, None, when, cx);
                } else if self.sessions[client].is_due(when.now) {
                    self.due(client, when, cx);
                }
            }
            Event::Acknowledged { client, id } => {
                self.sessions[client]
                    .flights
                    .retain(|flight| flight.id != id);
            }
            Event::PeerReceived { client, id, opens } => {
                if let Some(flight) = self.sessions[client].flight(id) {
                    flight.received = true;
                    flight.opens = opens;
                }
            }
        }
        Outcome::default()
    }

    /// CONNECT: an earlier connection is taken over, and with a clean start an earlier session ends.
    fn make_way(
        &mut self,
        client: usize,
        clean: bool,
        goodbye: Option<Goodbye>,
        when: When,
        cx: &mut Context<'_>,
    ) {
        let session = &self.sessions[client];
        if session.link.is_some() {
            cx.counters.hit("takeover");
            cx.counters
                .hit_if(when.no_room, "takeover while nothing more is taken");
            let delayed = session.will.is_some_and(|(_, delay)| delay > 0);
            cx.counters.hit_if(
                delayed && session.expiry > 0 && goodbye.is_none(),
                "takeover with a delayed will",
            );
            self.close(client, goodbye, when, cx);
        }
        if clean && self.sessions[client].exists {
            self.end(client, when, cx);
        }
    }

    fn attach(&mut self, client: usize, link: u32, cx: &mut Context<'_>) {
        self.order += 1;
        let session = &mut self.sessions[client];
        if session.exists {
            let known = session.used || session.subs.iter().any(Option::is_some);
            session.present = known.then_some(true);
            cx.counters.hit_if(
                session.will_due.is_some(),
                "delayed will cancelled by a resume",
            );
            for flight in &mut session.flights {
                flight.sent = false;
                flight.released = false;
            }
            cx.counters.hit("resumed with a session");
        } else {
            *session = Session {
                exists: true,
                birth: session.birth + 1,
                born: self.order,
                present: Some(false),
                ..Session::default()
            };
            cx.counters.hit("connected without a session");
        }
        session.link = Some(link);
        session.will_due = None;
        session.expires = None;
    }

    /// The connection of a session has ended.
    fn close(&mut self, client: usize, goodbye: Option<Goodbye>, when: When, cx: &mut Context<'_>) {
        let now = when.now;
        let session = &mut self.sessions[client];
        session.link = None;
        if let Some(goodbye) = goodbye {
            session.expiry = goodbye.expiry.unwrap_or(session.expiry);
            session.will = session.will.filter(|_| goodbye.keeps_will);
        }
        for copy in &mut session.zero {
            copy.must = false;
        }
        for permit in &mut session.permits {
            for topic in 0..TOPICS.len() {
                let current = self.retained[topic].last();
                let qos = current.map_or(0, |r| cx.routings[r.r as usize].qos);
                if permit.qos.min(qos) == 0 {
                    permit.must &= !(1 << topic);
                }
            }
        }
        if session.expiry == 0 {
            self.end(client, when, cx);
            return;
        }
        let (expiry, delay) = (session.expiry, session.will.map(|(_, delay)| delay));
        session.expires = (expiry != u32::MAX).then(|| now.plus_seconds(expiry));
        session.will_due = delay.map(|delay| now.plus_seconds(delay.min(expiry)));
        if delay == Some(0) {
            self.publish_will(client, when, cx);
        }
    }

    /// Something is due of a session without a connection.
    fn due(&mut self, client: usize, when: When, cx: &mut Context<'_>) {
        let session = &self.sessions[client];
        if session.expires.is_some_and(|at| at <= when.now) {
            cx.counters.hit("session expired");
            self.end(client, when, cx);
        } else if session.will_due.is_some_and(|at| at <= when.now) {
            cx.counters.hit("delayed will published");
            self.publish_will(client, when, cx);
        }
    }

    fn publish_will(&mut self, client: usize, when: When, cx: &mut Context<'_>) {
        let session = &mut self.sessions[client];
        session.will_due = None;
        if let Some((mut r, _)) = session.will.take() {
            cx.counters.hit("will published");
            if when.no_room && cx.routings[r as usize].has_to_be_kept() {
                cx.counters.hit("will published that cannot be kept");
                r += 1;
            }
            self.route(r, when.now, cx);
        }
    }

    /// A session is over.
    fn end(&mut self, client: usize, when: When, cx: &mut Context<'_>) {
        let delayed = self.sessions[client].will_due.is_some();
        cx.counters.hit_if(delayed, "delayed will published");
        self.publish_will(client, when, cx);
        for filter in 0..self.sessions[client].subs.len() {
            self.unsubscribe(client, filter);
        }
        let session = &mut self.sessions[client];
        let flights = core::mem::take(&mut session.flights);
        let holds = |flight: &Flight| matches!(flight.what, What::Group { .. });
        let lost = flights.iter().any(holds);
        cx.counters
            .hit_if(lost, "group member lost with messages in flight");
        let birth = session.birth;
        *session = Session {
            birth,
            ..Session::default()
        };
        for flight in flights {
            // A QoS 2 delivery that has begun goes to nobody else.
            if let What::Group {
                group, mut copy, ..
            } = flight.what
                && !flight.exactly_once
                && self.groups[usize::from(group)].epoch == copy.epoch
            {
                cx.counters.hit("group message given to another member");
                let group = &mut self.groups[usize::from(group)];
                let large = cx.routings[copy.r as usize].large;
                copy.must &= !(large && group.has_limited(cx.setup));
                group.copies.push_back(copy);
            }
        }
        self.lose(cx.lost, cx.routings);
    }

    fn lose(&mut self, lost: &[u32], routings: &[Routing]) {
        for copy in self.groups.iter_mut().flat_map(|group| &mut group.copies) {
            if lost.contains(&routings[copy.r as usize].message) {
                copy.must = false;
            }
        }
    }

    /// QoS 0 is gone, and QoS 1 deliveries begin anew.
    fn crash(&mut self, cx: &Context<'_>) {
        for session in &mut self.sessions {
            session.zero.clear();
            for permit in &mut session.permits {
                permit.allowed += 1;
            }
            for flight in session
                .flights
                .extract_if(.., |flight| !flight.exactly_once)
            {
                let (queue, copy) = match flight.what {
                    What::Live(copy) => (&mut session.queue, copy),
                    What::Group {
                        group, mut copy, ..
                    } => {
                        let group = &mut self.groups[usize::from(group)];
                        let large = cx.routings[copy.r as usize].large;
                        copy.must &=
                            !(large && group.has_limited(cx.setup)) && group.epoch == copy.epoch;
                        (&mut group.copies, copy)
                    }
                    // Whether it comes again hangs on how far the search for retained messages was.
                    What::Retained { .. } => continue,
                };
                let at = queue.partition_point(|other| other.at < copy.at);
                queue.insert(at, copy);
            }
        }
        for group in &mut self.groups {
            group.copies.retain(|copy| copy.qos > 0);
        }
    }
}

/// What came of a message that was routed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Outcome {
    /// Something of it was to be recorded.
    pub(super) kept: bool,
    /// Somebody's subscription matches.
    pub(super) anybody: bool,
}
