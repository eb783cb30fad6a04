//! What the broker may write: each packet is judged when it is written, by what the reference knows and what the store has kept.

use mqtt_codec::{ConnAck, FromServer, Publish, QoS, ReasonCode};
use mqtt_session::Instant;

use super::event::{Event, What};
use super::identify::{Seen, is_due};
use super::kept::Copy;
use super::ledger::Ledger;
use super::model::{Model, number};
use super::tables::{NAMES, SHARED, TOPICS};
use super::wire::Wire;

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
                    // After a crash the broker cannot tell whether it had sent what it cannot send now.
                    assert!(
                        packet.reason.is_error() || self.restarts > 0,
                        "{name}: PUBREL {id} for nothing"
                    );
                    return;
                };
                assert!(flight.received, "{name}: PUBREL {id} before PUBREC");
                assert!(
                    flight.opens <= committed,
                    "{name}: PUBREL {id} before its commit"
                );
                if wire.to_release.contains(&id) {
                    assert_eq!(
                        wire.to_release.pop_front(),
                        Some(id),
                        "{name}: PUBRELs leave in the order of PUBREC"
                    );
                }
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
        let reason = wire.refusal.unwrap_or(ReasonCode::SUCCESS);
        assert_eq!(packet.reason, reason, "{name}: CONNACK");
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
        let expected = match owed.refusal {
            Some(refusal) => refusal,
            None if owed.anybody || !wire.version.is_v5() => ReasonCode::SUCCESS,
            None => ReasonCode::NO_MATCHING_SUBSCRIBERS,
        };
        // A repetition does not know any more whether somebody's subscription had matched.
        let known = exactly_once && owed.refusal.is_none();
        assert!(
            reason == expected || (known && !reason.is_error()),
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
        if let Some(number) = seen.message {
            let published = self.payloads.get(&number).map(Vec::as_slice);
            // Not shown: it may have thousands of bytes.
            assert!(
                published == Some(publish.payload),
                "{name}: the payload of message {number} arrives changed"
            );
        }
        self.counters.hit_if(
            publish.payload.len() >= SHARED,
            "payload that is not copied",
        );
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
            // What ends with its connection need not wait for a store without room.
            let passes = self.state.sessions[client].expiry == 0;
            assert!(
                sent.is_some_and(|(at, room)| at <= ledger.committed() || (passes && !room)),
                "{name}: QoS 2 PUBLISH {id} before its commit"
            );
        }
        if self.state.sessions[client].flight(id).is_some() {
            self.replayed(link, id, &seen, publish.dup);
        } else {
            let what = self.identify(client, &seen);
            assert!(
                !publish.dup || (exactly_once && self.restarts > 0),
                "{name}: {id} is new and has DUP"
            );
            self.check_expiry(client, &what, publish, now);
            let dup = publish.dup;
            self.happened(
                0,
                Event::Wrote {
                    client,
                    id,
                    what,
                    dup,
                },
            );
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
        if let What::Live(copy) = flight.what {
            assert_eq!(
                (copy.retain, copy.ids),
                (seen.retain, seen.ids),
                "{name}: RETAIN and identifiers of {id}, sent again"
            );
        }
        assert!(!flight.sent, "{name}: {id} is sent twice on a connection");
        assert!(!flight.received, "{name}: {id} is sent after PUBREC");
        assert!(dup, "{name}: {id} is sent again without DUP");
        if let Some(order) = flight.order {
            assert!(
                order > wire.last_replayed,
                "{name}: {id} is replayed out of its order"
            );
            wire.last_replayed = order;
        }
        flight.sent = true;
        self.counters.hit("PUBLISH replayed");
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
