//! The reference: what sessions, groups and retained messages are after the events so far, without workers, ids of its own, or time slices.

use std::collections::VecDeque;

use mqtt_session::Instant;

use super::event::{Event, Goodbye, Sub, What};
use super::tables::{GROUPS, Setup, TOPICS};
use crate::sim::Counters;

/// A message on its way through the broker: one PUBLISH that it took, or one will.
#[derive(Clone, Copy, Debug)]
pub(super) struct Routing {
    /// Its number, which its payload begins with.
    pub(super) message: u32,
    /// The client that published it.
    pub(super) publisher: u8,
    pub(super) topic: u8,
    pub(super) qos: u8,
    pub(super) retain: bool,
    /// It has no payload.
    pub(super) empty: bool,
    /// Limited clients do not take it.
    pub(super) large: bool,
    /// When it expires; for a will, how long it lives from its publication on.
    pub(super) expires: Option<Instant>,
}

/// A copy that a session has to get.
#[derive(Clone, Copy, Debug)]
pub(super) struct Copy {
    /// Which [`Routing`].
    pub(super) r: u32,
    /// Its place in the order of routing.
    pub(super) at: u64,
    pub(super) qos: u8,
    pub(super) retain: bool,
    /// The subscription identifiers, as bits.
    pub(super) ids: u32,
    pub(super) expires: Option<Instant>,
    /// It has to come; otherwise it may.
    pub(super) must: bool,
    /// Which of the groups that had this filter, one after the other.
    pub(super) epoch: u32,
}

/// A delivery that the broker has begun and not ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flight {
    pub(super) id: u16,
    pub(super) what: What,
    pub(super) exactly_once: bool,
    /// PUBREC came: only PUBREL may be sent.
    pub(super) received: bool,
    /// Records up to here open PUBREL.
    pub(super) opens: u64,
    /// PUBLISH was sent on this connection.
    pub(super) sent: bool,
    /// PUBREL was sent on this connection.
    pub(super) released: bool,
    /// When it was first sent, in the order of sending; `None` when that was, if at all, before a restart.
    pub(super) order: Option<u64>,
}

/// A received QoS 2 message whose handshake is open.
#[derive(Clone, Copy, Debug)]
pub(super) struct Inbound {
    pub(super) id: u16,
    pub(super) opens: u64,
}

/// Retained messages on their way to one new subscription.
#[derive(Clone, Debug)]
pub(super) struct Permit {
    /// Which SUBSCRIBE made it.
    pub(super) key: u32,
    pub(super) filter: u8,
    pub(super) qos: u8,
    pub(super) ids: u32,
    /// What was retained before this place in the order of routing, and is no more, does not count.
    pub(super) since: u64,
    /// Copies of each topic that may come: one, and one more for each restart.
    pub(super) allowed: u8,
    pub(super) taken: [u8; TOPICS.len()],
    /// Topics that have to come, as bits.
    pub(super) must: u8,
}

/// One session.
#[derive(Clone, Debug, Default)]
pub(super) struct Session {
    pub(super) exists: bool,
    /// How many sessions there were of this client.
    pub(super) birth: u32,
    /// Its place in the order.
    pub(super) born: u64,
    /// The connection that has it.
    pub(super) link: Option<u32>,
    /// The client has used it: it knows of it.
    pub(super) used: bool,
    /// Whether CONNACK says that it was there: either, after a restart that cannot tell whether it was used.
    pub(super) present: Option<bool>,
    pub(super) subs: [Option<Sub>; 8],
    /// QoS 1 and 2.
    pub(super) queue: VecDeque<Copy>,
    /// QoS 0.
    pub(super) zero: VecDeque<Copy>,
    pub(super) flights: Vec<Flight>,
    pub(super) inbound: Vec<Inbound>,
    pub(super) permits: Vec<Permit>,
    pub(super) expiry: u32,
    /// Its routing, and its delay in seconds.
    pub(super) will: Option<(u32, u32)>,
    pub(super) will_due: Option<Instant>,
    pub(super) expires: Option<Instant>,
}

/// One shared group.
#[derive(Clone, Debug, Default)]
pub(super) struct Group {
    /// Its members, as bits.
    pub(super) members: u8,
    /// A member has left, and may still have what it was given before.
    pub(super) left: bool,
    /// How many groups with this filter have ended.
    pub(super) epoch: u32,
    /// What no member was sent.
    pub(super) copies: VecDeque<Copy>,
}

/// A retained message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Retained {
    pub(super) r: u32,
    pub(super) expires: Option<Instant>,
    /// When it was replaced.
    pub(super) until: u64,
}

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

impl Session {
    /// Whether its time is over, or its will is due.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.exists
            && self.link.is_none()
            && (self.expires.is_some_and(|at| at <= now)
                || self.will_due.is_some_and(|at| at <= now))
    }

    /// When its timer fires.
    pub(super) fn due(&self) -> Option<Instant> {
        [self.expires, self.will_due].into_iter().flatten().min()
    }

    pub(super) fn flight(&mut self, id: u16) -> Option<&mut Flight> {
        self.flights.iter_mut().find(|flight| flight.id == id)
    }

    /// How many the peer counts against its Receive Maximum.
    pub(super) fn unacknowledged(&self) -> usize {
        let counts = |flight: &&Flight| flight.sent || flight.received;
        self.flights.iter().filter(counts).count()
    }
}

impl Group {
    /// Whether a member does not take large messages: what is given to it is gone.
    pub(super) fn has_limited(&self, setup: &Setup) -> bool {
        let mut kinds = setup.kinds.iter().enumerate();
        kinds.any(|(c, kind)| kind.limited && self.members & (1 << c) != 0)
    }
}

impl State {
    /// The sessions that there are, in the order in which they began.
    pub(super) fn by_birth(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.sessions.len()).collect();
        order.retain(|&client| self.sessions[client].exists);
        order.sort_by_key(|&client| self.sessions[client].born);
        order
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
                now,
            } => {
                self.make_way(client, clean, goodbye, now, cx);
                self.attach(client, link, cx);
                let session = &mut self.sessions[client];
                session.expiry = expiry;
                session.will = will;
            }
            Event::Closed {
                client,
                goodbye,
                now,
            } => self.close(client, goodbye, now, cx),
            Event::Due { client, now } => self.due(client, now, cx),
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
            Event::Resumed { client, now } => {
                if self.sessions[client].link.is_some() {
                    self.close(client, None, now, cx);
                } else if self.sessions[client].is_due(now) {
                    self.due(client, now, cx);
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
        now: Instant,
        cx: &mut Context<'_>,
    ) {
        let session = &self.sessions[client];
        if session.link.is_some() {
            cx.counters.hit("takeover");
            let delayed = session.will.is_some_and(|(_, delay)| delay > 0);
            cx.counters.hit_if(
                delayed && session.expiry > 0 && goodbye.is_none(),
                "takeover with a delayed will",
            );
            self.close(client, goodbye, now, cx);
        }
        if clean && self.sessions[client].exists {
            self.end(client, now, cx);
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
    fn close(
        &mut self,
        client: usize,
        goodbye: Option<Goodbye>,
        now: Instant,
        cx: &mut Context<'_>,
    ) {
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
            self.end(client, now, cx);
            return;
        }
        let (expiry, delay) = (session.expiry, session.will.map(|(_, delay)| delay));
        session.expires = (expiry != u32::MAX).then(|| now.plus_seconds(expiry));
        session.will_due = delay.map(|delay| now.plus_seconds(delay.min(expiry)));
        if delay == Some(0) {
            self.publish_will(client, now, cx);
        }
    }

    /// Something is due of a session without a connection.
    fn due(&mut self, client: usize, now: Instant, cx: &mut Context<'_>) {
        let session = &self.sessions[client];
        if session.expires.is_some_and(|at| at <= now) {
            cx.counters.hit("session expired");
            self.end(client, now, cx);
        } else if session.will_due.is_some_and(|at| at <= now) {
            cx.counters.hit("delayed will published");
            self.publish_will(client, now, cx);
        }
    }

    fn publish_will(&mut self, client: usize, now: Instant, cx: &mut Context<'_>) {
        let session = &mut self.sessions[client];
        session.will_due = None;
        if let Some((r, _)) = session.will.take() {
            cx.counters.hit("will published");
            self.route(r, now, cx);
        }
    }

    /// A session is over.
    fn end(&mut self, client: usize, now: Instant, cx: &mut Context<'_>) {
        let delayed = self.sessions[client].will_due.is_some();
        cx.counters.hit_if(delayed, "delayed will published");
        self.publish_will(client, now, cx);
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

impl Routing {
    /// Whether it is a will: its number tells.
    pub(super) const fn is_will(&self) -> bool {
        self.message & WILL != 0
    }
}

/// Set in the numbers of wills.
pub(super) const WILL: u32 = 1 << 31;
