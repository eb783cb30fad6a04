//! The reference: what sessions, groups and retained messages are after the events so far, without workers, ids of its own, or time slices.

use std::collections::VecDeque;

use mqtt_session::Instant;

use super::event::{Event, Goodbye, Sub, What};
use super::tables::{GROUPS, Kind, MATCHES, SHARED_FILTERS, Setup, TOPICS};
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
    /// When it was first sent, in the order of sending.
    pub(super) order: u64,
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
    sent: u64,
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
    fn has_limited(&self, setup: &Setup) -> bool {
        let mut kinds = setup.kinds.iter().enumerate();
        kinds.any(|(c, kind)| kind.limited && self.members & (1 << c) != 0)
    }
}

impl State {
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
                now,
            } => self.subscribe(client, filter, sub, now, cx),
            Event::Unsubscribe { client, filter } => self.unsubscribe(client, filter),
            Event::Wrote { client, id, what } => self.wrote(client, id, what),
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
        let holds = self.sessions[client].flights.iter();
        let holds = holds.filter(|flight| matches!(flight.what, What::Group { .. }));
        if holds.count() > 0 {
            cx.counters.hit("group member lost with messages in flight");
        }
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
                && self.groups[usize::from(group)].members != 0
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

    /// One message to everybody who gets it.
    fn route(&mut self, r: u32, now: Instant, cx: &mut Context<'_>) -> Outcome {
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
        if message.retain {
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

    fn subscribe(
        &mut self,
        client: usize,
        filter: usize,
        sub: Sub,
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

    fn unsubscribe(&mut self, client: usize, filter: usize) {
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
            if group.members == 0 {
                // What waited ends with the group; what its last member has already may still come.
                for copy in &mut group.copies {
                    copy.must = false;
                }
            }
        }
    }

    /// The broker wrote a PUBLISH with an id for the first time.
    fn wrote(&mut self, client: usize, id: u16, what: What) {
        self.sent += 1;
        let session = &mut self.sessions[client];
        let exactly_once = match what {
            What::Live(copy) => {
                session.queue.retain(|waiting| waiting.at != copy.at);
                copy.qos == 2
            }
            What::Retained { exactly_once, .. } => exactly_once,
            What::Group {
                group,
                copy,
                exactly_once,
            } => {
                let copies = &mut self.groups[usize::from(group)].copies;
                copies.retain(|waiting| waiting.at != copy.at);
                exactly_once
            }
        };
        session.flights.push(Flight {
            id,
            what,
            exactly_once,
            received: false,
            opens: 0,
            sent: true,
            released: false,
            order: self.sent,
        });
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
