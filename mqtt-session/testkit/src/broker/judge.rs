//! What the broker may write: each packet is judged when it is written, by what the reference knows and what the store has kept.

use mqtt_codec::{ConnAck, FromServer, Publish, QoS, ReasonCode};
use mqtt_session::Instant;

use super::event::{Event, What};
use super::ledger::Ledger;
use super::model::{Model, number};
use super::state::{Copy, Permit};
use super::tables::{self, MATCHES, NAMES, SHARED_FILTERS, SHARED_TOPICS, TOPICS};
use super::wire::Wire;

/// A PUBLISH, as far as it tells which copy it is.
#[derive(Clone, Copy, Debug)]
struct Seen {
    topic: usize,
    /// `None`: it has no payload.
    message: Option<u32>,
    qos: u8,
    retain: bool,
    ids: u32,
    /// What is left of its life, in seconds, rounded up; the outer `None` is a version that has no word for it.
    left: Option<Option<u32>>,
    now: Instant,
}

impl Seen {
    /// Whether it has the life of this copy.
    fn lives(&self, expires: Option<Instant>) -> bool {
        let left = expires.map(|at| at.millis_since(self.now).div_ceil(1_000) as u32);
        self.left.is_none_or(|said| said == left)
    }
}

impl Model {
    /// The broker wrote a packet to a connection.
    ///
    /// # Panics
    /// When a promise is broken.
    pub(super) fn wrote(
        &mut self,
        link: usize,
        packet: &FromServer<'_>,
        ledger: &Ledger,
        now: Instant,
    ) {
        let committed = ledger.committed();
        let wire = &mut self.wires[link];
        let client = wire.client;
        let name = NAMES[client];
        match packet {
            FromServer::ConnAck(packet) => return self.connack(link, packet, committed),
            FromServer::Disconnect(packet) => {
                let expected = if wire.taken_over {
                    ReasonCode::SESSION_TAKEN_OVER
                } else {
                    ReasonCode::KEEP_ALIVE_TIMEOUT
                };
                assert_eq!(packet.reason, expected, "{name}: DISCONNECT");
                self.counters.hit("told why it is disconnected");
                return;
            }
            FromServer::Publish(publish) => {
                return self.publish_written(link, publish, ledger, now);
            }
            _ => {}
        }
        assert!(wire.connack.is_none(), "{name}: {packet:?} before CONNACK");
        match packet {
            FromServer::PubAck(packet) => {
                self.acknowledged(
                    link,
                    packet.packet_id.get(),
                    false,
                    packet.reason,
                    committed,
                );
            }
            FromServer::PubRec(packet) => {
                self.acknowledged(link, packet.packet_id.get(), true, packet.reason, committed);
            }
            FromServer::PubRel(packet) => {
                let id = packet.packet_id.get();
                let flight = self.state.sessions[client].flight(id);
                let Some(flight) = flight.filter(|flight| flight.exactly_once) else {
                    assert!(packet.reason.is_error(), "{name}: PUBREL {id} for nothing");
                    return;
                };
                assert!(flight.received, "{name}: PUBREL {id} before PUBREC");
                assert!(
                    flight.opens <= committed,
                    "{name}: PUBREL {id} before its commit"
                );
                let replayed = !flight.sent && !flight.released;
                flight.released = true;
                self.counters.hit_if(replayed, "PUBREL replayed");
            }
            FromServer::PubComp(packet) => {
                let id = packet.packet_id.get();
                let at = wire
                    .released
                    .iter()
                    .position(|&(released, _)| released == id);
                let at = at.unwrap_or_else(|| panic!("{name}: PUBCOMP {id} without PUBREL"));
                let (_, opens) = wire.released.remove(at);
                assert!(opens <= committed, "{name}: PUBCOMP {id} before its commit");
            }
            FromServer::SubAck(packet) => {
                self.answered(
                    link,
                    packet.packet_id.get(),
                    false,
                    packet.codes.as_bytes(),
                    committed,
                );
            }
            FromServer::UnsubAck(packet) => {
                self.answered(
                    link,
                    packet.packet_id.get(),
                    true,
                    packet.codes.as_bytes(),
                    committed,
                );
            }
            FromServer::PingResp => {
                assert!(wire.pings > 0, "{name}: PINGRESP without PINGREQ");
                wire.pings -= 1;
            }
            _ => panic!("{name}: unexpected {packet:?}"),
        }
    }

    fn connack(&mut self, link: usize, packet: &ConnAck<'_>, committed: u64) {
        let wire = &mut self.wires[link];
        let name = NAMES[wire.client];
        assert_eq!(packet.reason, ReasonCode::SUCCESS, "{name}: CONNACK");
        let opens = wire.connack.take();
        let opens = opens.unwrap_or_else(|| panic!("{name}: CONNACK for nothing"));
        assert!(opens <= committed, "{name}: CONNACK before its commit");
        let session = &self.state.sessions[wire.client];
        if session.link == Some(link as u32)
            && let Some(present) = session.present
        {
            let said = wire.version != mqtt_codec::Version::V31 && present;
            assert_eq!(packet.session_present, said, "{name}: session present");
        }
    }

    fn answered(&mut self, link: usize, id: u16, unsubscribe: bool, codes: &[u8], committed: u64) {
        let wire = &mut self.wires[link];
        let name = NAMES[wire.client];
        let request = wire.requests.pop_front();
        let request = request.unwrap_or_else(|| panic!("{name}: an answer to no request"));
        assert_eq!(
            (request.id, request.unsubscribe),
            (id, unsubscribe),
            "{name}: answers in order"
        );
        assert!(
            request.opens <= committed,
            "{name}: SUBACK or UNSUBACK {id} before its commit"
        );
        if !unsubscribe || wire.version.is_v5() {
            assert_eq!(
                codes,
                &request.codes[..request.count],
                "{name}: codes of {id}"
            );
        }
    }

    fn acknowledged(
        &mut self,
        link: usize,
        id: u16,
        exactly_once: bool,
        reason: ReasonCode,
        committed: u64,
    ) {
        let wire = &mut self.wires[link];
        let name = NAMES[wire.client];
        let owed = wire.owed.pop_front();
        let owed = owed.unwrap_or_else(|| panic!("{name}: {id} is acknowledged for nothing"));
        assert_eq!(
            (owed.id, owed.exactly_once),
            (id, exactly_once),
            "{name}: acknowledgements leave in the order of arrival"
        );
        assert!(
            owed.opens <= committed,
            "{name}: {id} is acknowledged before its commit ({} of {committed})",
            owed.opens
        );
        let expected = if owed.anybody || !wire.version.is_v5() {
            ReasonCode::SUCCESS
        } else {
            ReasonCode::NO_MATCHING_SUBSCRIBERS
        };
        // A repetition does not know any more whether somebody's subscription had matched.
        assert!(
            reason == expected || (exactly_once && !reason.is_error()),
            "{name}: {id} is acknowledged with {reason:?}, not {expected:?}"
        );
    }

    fn publish_written(
        &mut self,
        link: usize,
        publish: &Publish<'_>,
        ledger: &Ledger,
        now: Instant,
    ) {
        let wire = &mut self.wires[link];
        let client = wire.client;
        let name = NAMES[client];
        let alias = publish.properties.topic_alias().map(|alias| alias.get());
        if let Some(alias) = alias
            && !publish.topic.is_empty()
        {
            let known = wire.aliases_out[usize::from(alias)];
            self.counters
                .hit_if(known != super::wire::NO_TOPIC, "alias evicted");
        }
        let mut seen = Seen {
            topic: Wire::resolve(&mut wire.aliases_out, publish.topic, alias),
            message: number(publish.payload),
            qos: publish.delivery.qos() as u8,
            retain: publish.retain,
            ids: 0,
            left: wire
                .version
                .is_v5()
                .then(|| publish.properties.message_expiry_interval()),
            now,
        };
        for id in publish.properties.subscription_identifiers() {
            assert_eq!(
                seen.ids & (1 << id.get()),
                0,
                "{name}: one identifier twice"
            );
            seen.ids |= 1 << id.get();
        }
        let attached = self.state.sessions[client].link == Some(link as u32);
        let Some(id) = publish.delivery.packet_id() else {
            // Written before another connection took over.
            if attached || !wire.taken_over {
                assert!(wire.connack.is_none(), "{name}: PUBLISH before CONNACK");
                let what = self.identify(client, &seen);
                self.check_expiry(client, &what, publish, now);
            }
            return;
        };
        assert!(
            attached,
            "{name}: PUBLISH with an id, but it has no session"
        );
        assert!(wire.connack.is_none(), "{name}: PUBLISH before CONNACK");
        let (id, exactly_once) = (id.get(), seen.qos == QoS::ExactlyOnce as u8);
        if exactly_once {
            let sent = ledger.sent(client, id);
            assert!(
                sent.is_some_and(|at| at <= ledger.committed()),
                "{name}: QoS 2 PUBLISH {id} before its commit"
            );
        }
        if self.state.sessions[client].flight(id).is_some() {
            self.replayed(link, id, &seen, publish.dup);
        } else {
            let what = self.identify(client, &seen);
            assert!(
                !publish.dup || self.restarted_with(client, id),
                "{name}: {id} is new and has DUP"
            );
            self.check_expiry(client, &what, publish, now);
            self.happened(0, Event::Wrote { client, id, what });
        }
        let most = usize::from(self.wires[link].receive_maximum);
        let unacknowledged = self.state.sessions[client].unacknowledged();
        assert!(
            unacknowledged <= most,
            "{name}: {unacknowledged} in flight, allowed {most}"
        );
        self.counters.hit_if(unacknowledged == most, "window full");
    }

    /// A packet id that is in use was used again.
    fn replayed(&mut self, link: usize, id: u16, seen: &Seen, dup: bool) {
        let wire = &mut self.wires[link];
        let name = NAMES[wire.client];
        let Some(flight) = self.state.sessions[wire.client].flight(id) else {
            return;
        };
        let r = match flight.what {
            What::Live(copy) | What::Group { copy, .. } => copy.r,
            What::Retained { r, .. } => r,
        };
        let routing = &self.routings[r as usize];
        let same = usize::from(routing.topic) == seen.topic
            && seen
                .message
                .is_none_or(|message| message == routing.message);
        assert!(
            same,
            "{name}: {id} is still that of another message: {seen:?}, {flight:?}"
        );
        assert_eq!(flight.exactly_once, seen.qos == 2, "{name}: QoS of {id}");
        assert!(!flight.sent, "{name}: {id} is sent twice on a connection");
        assert!(!flight.received, "{name}: {id} is sent after PUBREC");
        assert!(dup, "{name}: {id} is sent again without DUP");
        assert!(
            flight.order > wire.last_replayed,
            "{name}: {id} is replayed out of its order"
        );
        wire.last_replayed = flight.order;
        flight.sent = true;
        self.counters.hit("PUBLISH replayed");
    }

    /// Whether DUP may be set although nobody has seen this id: what a crash interrupted.
    const fn restarted_with(&self, _client: usize, _id: u16) -> bool {
        false
    }

    /// Which copy this is; QoS 0 copies are taken from where they waited.
    fn identify(&mut self, client: usize, seen: &Seen) -> What {
        let name = NAMES[client];
        let found = if seen.topic >= SHARED_TOPICS {
            self.identify_group(client, seen)
        } else {
            // What would pass over others is rather a retained message, if it can be one.
            let strict = self.setup.lossy && seen.retain && seen.qos > 0;
            let first = self.identify_live(client, seen, strict);
            let found = match first {
                Err(why) => self.identify_retained(client, seen).ok_or(why),
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
            // The same message may have come twice, with another life, which members of 3.1.1 do not see. What only may come is what an
            // earlier group had.
            let copies = &group.copies;
            let find = |test: &dyn Fn(&Copy) -> bool| {
                copies.iter().position(|copy| matches(copy) && test(copy))
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
        let matches = |copy: &Copy| {
            let routing = &routings[copy.r as usize];
            copy.qos == seen.qos
                && copy.retain == seen.retain
                && copy.ids == seen.ids
                && usize::from(routing.topic) == seen.topic
                && same_message(routing.message, routing.empty, seen)
                && seen.lives(copy.expires)
        };
        let publisher = |copy: &Copy| routings[copy.r as usize].publisher;
        let is_next = |at: usize| {
            let mut before = list.iter().take(at);
            let waits = |other: &Copy| {
                let other = Copy {
                    must: other.must || strict,
                    ..*other
                };
                is_due(&other, seen.now)
            };
            !before.any(|other| publisher(other) == publisher(&list[at]) && waits(other))
        };
        // The same message may have come twice. What only may come is what was meant for an earlier connection.
        let mut candidates: Vec<usize> = (0..list.len()).filter(|&at| matches(&list[at])).collect();
        if candidates.is_empty() {
            return Err("which it was not to get");
        }
        candidates.retain(|&at| is_next(at));
        let must = candidates.iter().find(|&&at| is_due(&list[at], seen.now));
        let Some(&at) = must.or_else(|| candidates.first()) else {
            return Err("which has overtaken others of its publisher");
        };
        let copy = list[at];
        let from = |other: &Copy| publisher(other) == publisher(&copy);
        if at > 0 || seen.qos == 0 {
            // What was passed over does not come any more.
            list.retain(|other| {
                other.at > copy.at || !from(other) || (other.at == copy.at && seen.qos > 0)
            });
        }
        self.counters.hit_if(seen.qos == 0, "QoS 0 delivered");
        Ok(What::Live(copy))
    }

    fn identify_retained(&mut self, client: usize, seen: &Seen) -> Option<What> {
        if !seen.retain || seen.message.is_none() {
            return None;
        }
        let (state, routings) = (&mut self.state, &self.routings);
        let history = &state.retained[seen.topic];
        let value_for = |permit: &Permit| {
            let fits = MATCHES[seen.topic] & (1 << permit.filter) != 0
                && permit.ids == seen.ids
                && permit.taken[seen.topic] < permit.allowed;
            // The same message may have been retained twice, with another life.
            let mut values = history.iter().rev().filter(|_| fits);
            values.find(|value| {
                let routing = &routings[value.r as usize];
                value.until > permit.since
                    && value.expires.is_none_or(|expires| expires > seen.now)
                    && same_message(routing.message, routing.empty, seen)
                    && seen.lives(value.expires)
                    && routing.qos.min(permit.qos) == seen.qos
            })
        };
        // An earlier subscription that has got everything still has a place for a topic that came later.
        let permits = &mut state.sessions[client].permits;
        let owes = |permit: &Permit| permit.must & (1 << seen.topic) != 0;
        let mut found = permits.iter();
        let at = found
            .position(|permit| owes(permit) && value_for(permit).is_some())
            .or_else(|| {
                permits
                    .iter()
                    .position(|permit| value_for(permit).is_some())
            })?;
        let permit = &mut permits[at];
        let value = value_for(permit)?;
        permit.taken[seen.topic] += 1;
        permit.must &= !(1 << seen.topic);
        self.counters.hit("retained delivered");
        Some(What::Retained {
            r: value.r,
            exactly_once: seen.qos == 2,
        })
    }

    /// Nothing is sent after its end.
    fn check_expiry(&self, client: usize, what: &What, publish: &Publish<'_>, now: Instant) {
        let name = NAMES[client];
        let (r, expires) = match *what {
            What::Live(copy) | What::Group { copy, .. } => (copy.r, copy.expires),
            What::Retained { r, .. } => {
                let routing = &self.routings[r as usize];
                let history = &self.state.retained[usize::from(routing.topic)];
                let value = history.iter().find(|value| value.r == r);
                (r, value.and_then(|value| value.expires))
            }
        };
        if let Some(expires) = expires {
            let late =
                expires < now || (expires == now && publish.delivery.qos() != QoS::AtMostOnce);
            assert!(!late, "{name}: {r} was sent after it had expired");
        }
    }

    /// In the end nothing is owed to anybody.
    pub(super) fn check_end(&self, now: Instant) {
        let due = |copy: &&Copy| is_due(copy, now);
        for (session, name) in self.state.sessions.iter().zip(NAMES) {
            let missing: Vec<_> = session.queue.iter().filter(due).collect();
            assert!(missing.is_empty(), "{name} never got {missing:?}");
            if session.link.is_some() {
                let missing: Vec<_> = session.zero.iter().filter(due).collect();
                assert!(missing.is_empty(), "{name} never got {missing:?}");
            }
            for permit in &session.permits {
                for (topic, name_of) in TOPICS.iter().enumerate() {
                    let expired = self.state.current(topic, now).is_none();
                    assert!(
                        permit.must & (1 << topic) == 0 || expired,
                        "{name} never got the retained message of {}: {permit:?}",
                        name_of
                    );
                }
            }
            assert!(session.flights.is_empty(), "{name}: {:?}", session.flights);
            assert!(session.inbound.is_empty(), "{name}: {:?}", session.inbound);
        }
        for group in &self.state.groups {
            let missing: Vec<_> = group.copies.iter().filter(due).collect();
            assert!(missing.is_empty(), "a group never got {missing:?}");
        }
    }
}

/// Whether a copy has to come: it has not expired, and nothing excuses it.
fn is_due(copy: &Copy, now: Instant) -> bool {
    copy.must && copy.expires.is_none_or(|expires| expires > now)
}

/// Whether a message is the one that was seen; what has no payload has no number.
const fn same_message(message: u32, empty: bool, seen: &Seen) -> bool {
    match seen.message {
        Some(number) => number == message && !empty,
        None => empty,
    }
}
