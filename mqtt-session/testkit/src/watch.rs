//! The reference model: what one end may write, judged from the packets alone and from what its store says is durable.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use mqtt_codec::{Delivery, Packet, PacketId, Publish, QoS, ReasonCode};
use mqtt_session::{Change, Gate, Profile, Seq, SessionState, Storage};

use crate::owners::TestOwner;
use crate::sim::Counters;

/// A message that this end has sent and that is not acknowledged to the end.
#[derive(Clone, Copy, Debug)]
struct Flight {
    number: usize,
    exactly_once: bool,
    /// PUBREC came: only PUBREL may be sent.
    received: bool,
    /// PUBLISH was sent on this connection.
    sent: bool,
    /// PUBREL was sent on this connection.
    released: bool,
    /// When it was first sent, in the order of sending.
    order: u64,
    /// Its owner has dropped the message.
    lost: bool,
    /// A restart may have made it: whether it was sent before is not known.
    restored: bool,
    /// The peer of this connection knows nothing of it.
    renewed: bool,
    /// Its first bytes may have been written before that was known.
    begun: bool,
}

/// A PUBLISH that this end has received and not acknowledged.
#[derive(Clone, Copy, Debug)]
struct Owed<G> {
    id: PacketId,
    exactly_once: bool,
    kept: Option<G>,
}

/// Watches one end.
#[derive(Debug)]
pub struct Watch<G> {
    name: &'static str,
    /// What the peer announced.
    pub receive_maximum: u16,
    /// The aliases that the peer announced that it takes.
    pub alias_maximum: Option<u16>,
    /// The window was full, and this ended a message in it: the next one may go.
    refilled: Option<&'static str>,
    flights: BTreeMap<PacketId, Flight>,
    owed: VecDeque<Owed<G>>,
    /// Ids whose PUBREC came on this connection and whose PUBREL was not sent since.
    to_release: VecDeque<PacketId>,
    /// Gates of the copies of QoS 2 messages whose handshake is open.
    copies: BTreeMap<PacketId, G>,
    aliases: BTreeMap<u16, String>,
    requests: BTreeSet<PacketId>,
    /// Opens CONNACK.
    pub connack: G,
    /// Opens each SUBACK and UNSUBACK.
    pub subacks: VecDeque<G>,
    sent: u64,
    last_replayed: u64,
    last_id: u16,
}

impl<G: Gate> Watch<G> {
    /// A watch over the end of that name.
    #[must_use]
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            receive_maximum: u16::MAX,
            alias_maximum: None,
            refilled: None,
            flights: BTreeMap::new(),
            owed: VecDeque::new(),
            to_release: VecDeque::new(),
            copies: BTreeMap::new(),
            aliases: BTreeMap::new(),
            requests: BTreeSet::new(),
            connack: G::default(),
            subacks: VecDeque::new(),
            sent: 0,
            last_replayed: 0,
            last_id: 0,
        }
    }

    /// Which end this is.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The connection ended.
    pub fn cut(&mut self) {
        self.owed.clear();
        self.to_release.clear();
        self.aliases.clear();
        self.alias_maximum = None;
        self.refilled = None;
        self.requests.clear();
        self.subacks.clear();
        self.last_replayed = 0;
        for flight in self.flights.values_mut() {
            flight.sent = false;
            flight.released = false;
            flight.renewed = false;
            flight.begun = false;
        }
    }

    /// The session ended.
    pub fn forget(&mut self) {
        self.flights.clear();
        self.copies.clear();
    }

    /// The peer lost the session, and this end sends what was not answered again under the same ids; what the peer had is over, and
    /// its ids are given back. `begun` where a message may have been begun before that was known.
    pub fn renew(&mut self, begun: bool) -> Vec<u16> {
        let received = self.flights.iter().filter(|(_, flight)| flight.received);
        let over = received.map(|(id, _)| id.get()).collect();
        self.flights.retain(|_, flight| !flight.received);
        for flight in self.flights.values_mut() {
            flight.renewed = !flight.sent;
            flight.begun = begun;
        }
        self.to_release.clear();
        self.copies.clear();
        over
    }

    /// The numbers of the messages in flight with their ids, in the order in which they were first sent.
    pub(crate) fn numbers(&self) -> Vec<(u16, usize)> {
        let mut all: Vec<_> = self.flights.iter().collect();
        all.sort_by_key(|(_, flight)| flight.order);
        all.iter()
            .map(|(id, flight)| (id.get(), flight.number))
            .collect()
    }

    /// A crash: what is in flight is what was restored.
    pub fn restart<P: Profile, S: Storage>(
        &mut self,
        state: &SessionState<P, S>,
        number: impl Fn(Seq) -> usize,
    ) {
        self.cut();
        self.copies.clear();
        let old = core::mem::take(&mut self.flights);
        for change in state.changes() {
            let (seq, id, received) = match change {
                Change::Sent(seq, id) => (seq, id, false),
                Change::PeerReceived(seq, id) => (seq, id, true),
                Change::Received(id) => {
                    self.copies.insert(id, G::default());
                    continue;
                }
                _ => continue,
            };
            let order = old.get(&id).map_or(0, |flight| flight.order);
            self.flights.insert(
                id,
                Flight {
                    number: number(seq),
                    exactly_once: true,
                    received,
                    sent: false,
                    released: false,
                    order,
                    lost: false,
                    restored: true,
                    renewed: false,
                    begun: false,
                },
            );
        }
    }

    /// The owner dropped a message: a QoS 1 id is free when it is not sent again.
    pub fn lost(&mut self, number: usize) {
        for flight in self.flights.values_mut() {
            flight.lost |= flight.number == number;
        }
    }

    /// The id of a QoS 1 message that its owner dropped is free, unless it was sent again on this connection.
    fn forget_lost(&mut self, id: PacketId) {
        self.end_if(id, |flight| {
            flight.lost && !flight.exactly_once && !flight.sent
        });
    }

    /// The ids of messages in flight; `None` while the id of a QoS 1 message that its owner dropped may be free already.
    pub fn ids(&self) -> Option<Vec<u16>> {
        self.flights
            .iter()
            .map(|(id, flight)| (flight.exactly_once || !flight.lost).then_some(id.get()))
            .collect()
    }

    /// Messages that the peer counts against its Receive Maximum.
    #[must_use]
    pub fn unacknowledged(&self) -> usize {
        let counts = |flight: &&Flight| flight.sent || flight.received;
        self.flights.values().filter(counts).count()
    }

    /// A PUBLISH of the peer's was taken; `copy` is the gate of a new copy, `None` when it is not yet there.
    pub fn took_publish(&mut self, delivery: Delivery) {
        let (id, exactly_once) = match delivery {
            Delivery::AtMostOnce => return,
            Delivery::AtLeastOnce(id) => (id, false),
            Delivery::ExactlyOnce(id) => (id, true),
        };
        let waits = |owed: &Owed<G>| owed.exactly_once && owed.id == id;
        if !(exactly_once && self.owed.iter().any(waits)) {
            let kept = exactly_once
                .then(|| self.copies.get(&id).copied())
                .flatten();
            self.owed.push_back(Owed {
                id,
                exactly_once,
                kept,
            });
        }
    }

    /// The verdict on a message is there; its acknowledgement needs this gate.
    pub fn settled(&mut self, delivery: Delivery, kept: G) {
        let Some(id) = delivery.packet_id() else {
            return;
        };
        let exactly_once = delivery.qos() == QoS::ExactlyOnce;
        if exactly_once {
            self.copies.insert(id, kept);
        }
        let matches = |owed: &&mut Owed<G>| {
            owed.id == id && owed.exactly_once == exactly_once && owed.kept.is_none()
        };
        if let Some(owed) = self.owed.iter_mut().find(matches) {
            owed.kept = Some(kept);
        }
    }

    fn end_if(&mut self, id: PacketId, test: impl Fn(&Flight) -> bool) {
        if self.flights.get(&id).is_some_and(test) {
            self.flights.remove(&id);
        }
    }

    /// This end took an acknowledgement.
    pub fn took(&mut self, packet: &Packet<'_>) {
        let full = self.unacknowledged() >= usize::from(self.receive_maximum);
        match packet {
            Packet::PubAck(packet) => self.end_if(packet.packet_id, |flight| flight.sent),
            Packet::PubRec(packet) if packet.reason.is_error() => {
                self.flights.remove(&packet.packet_id);
            }
            Packet::PubRec(packet) => {
                if let Some(flight) = self.flights.get_mut(&packet.packet_id) {
                    if flight.sent && !flight.received {
                        self.to_release.push_back(packet.packet_id);
                    }
                    flight.received = true;
                }
            }
            Packet::PubComp(packet) => self.end_if(packet.packet_id, |flight| flight.released),
            Packet::SubAck(packet) => {
                self.requests.remove(&packet.packet_id);
            }
            Packet::UnsubAck(packet) => {
                self.requests.remove(&packet.packet_id);
            }
            _ => {}
        }
        if full && self.unacknowledged() < usize::from(self.receive_maximum) {
            self.refilled = match packet {
                Packet::PubComp(_) => Some("quota refilled by a PUBCOMP"),
                Packet::PubRec(_) => Some("quota refilled by a refusal"),
                _ => None,
            };
        }
    }

    /// This end wrote a packet.
    ///
    /// # Panics
    /// When the specification, or the store, forbids it.
    pub fn wrote<O: TestOwner<Gate = G>>(
        &mut self,
        packet: &Packet<'_>,
        number: usize,
        owner: &O,
        counters: &mut Counters,
    ) {
        match packet {
            Packet::Publish(publish) => {
                self.topic(publish, counters);
                if let Some(id) = publish.delivery.packet_id() {
                    let exactly_once = publish.delivery.qos() == QoS::ExactlyOnce;
                    self.publish(id, exactly_once, publish.dup, number, owner, counters);
                }
            }
            Packet::PubAck(packet) => self.acknowledged(packet.packet_id, false, owner),
            Packet::PubRec(packet) => {
                self.acknowledged(packet.packet_id, true, owner);
                assert!(
                    owner.is_durable(true, packet.packet_id),
                    "{}: PUBREC {:?} before its commit",
                    self.name,
                    packet.packet_id
                );
                if packet.reason.is_error() {
                    self.copies.remove(&packet.packet_id);
                } else {
                    assert!(
                        owner.is_recorded(true, packet.packet_id),
                        "{}: PUBREC {:?}, which a restart would not know",
                        self.name,
                        packet.packet_id
                    );
                }
            }
            Packet::PubRel(packet) => self.pubrel(packet.packet_id, packet.reason, owner, counters),
            Packet::PubComp(packet) => {
                self.copies.remove(&packet.packet_id);
                assert!(
                    owner.is_durable(true, packet.packet_id),
                    "{}: PUBCOMP {:?} before its commit",
                    self.name,
                    packet.packet_id
                );
            }
            Packet::Subscribe(packet) => self.requested(packet.packet_id),
            Packet::Unsubscribe(packet) => self.requested(packet.packet_id),
            Packet::ConnAck(packet) if packet.reason == ReasonCode::SUCCESS => assert!(
                self.connack.is_open(owner.committed()),
                "{}: CONNACK before its commit",
                self.name
            ),
            Packet::SubAck(_) | Packet::UnsubAck(_) => {
                let gate = self.subacks.pop_front().expect("one answer a request");
                assert!(
                    gate.is_open(owner.committed()),
                    "{}: an answer before its commit",
                    self.name
                );
            }
            _ => {}
        }
    }

    /// SUBSCRIBE or UNSUBSCRIBE was written.
    fn requested(&mut self, id: PacketId) {
        self.forget_lost(id);
        assert!(
            !self.flights.contains_key(&id),
            "{}: a request takes {id:?}, which is in flight",
            self.name
        );
        assert!(self.requests.insert(id));
    }

    /// Aliases stand for a topic within one connection, and within what its other end announced.
    fn topic(&mut self, publish: &Publish<'_>, counters: &mut Counters) {
        let name = self.name;
        let Some(alias) = publish.properties.topic_alias() else {
            assert!(!publish.topic.is_empty(), "{name}: neither topic nor alias");
            return;
        };
        assert!(
            alias.get() <= self.alias_maximum.unwrap_or(0),
            "{name}: alias {alias:?} where the peer takes {:?}",
            self.alias_maximum
        );
        if publish.topic.is_empty() {
            assert!(
                self.aliases.contains_key(&alias.get()),
                "{name}: alias {alias:?} stands for nothing on this connection"
            );
            counters.hit("alias used");
        } else {
            let before = self.aliases.insert(alias.get(), publish.topic.to_owned());
            counters.hit_if(before.is_some(), "alias evicted");
        }
    }

    fn publish<O: TestOwner<Gate = G>>(
        &mut self,
        id: PacketId,
        exactly_once: bool,
        dup: bool,
        number: usize,
        owner: &O,
        counters: &mut Counters,
    ) {
        let name = self.name;
        self.forget_lost(id);
        let other = |(&other, flight): (&PacketId, &Flight)| other != id && flight.number == number;
        assert!(
            !self.flights.iter().any(other),
            "{name}: message {number} has two ids"
        );
        assert!(
            !self.requests.contains(&id),
            "{name}: {id:?} is that of a SUBSCRIBE"
        );
        if let Some(flight) = self.flights.get_mut(&id) {
            assert_eq!(
                flight.number, number,
                "{name}: {id:?} is still that of another message"
            );
            assert!(!flight.sent, "{name}: {id:?} is sent twice on a connection");
            assert!(!flight.received, "{name}: {id:?} is sent after PUBREC");
            assert!(
                dup != flight.renewed || flight.begun,
                "{name}: DUP {dup} of {id:?}, which is sent again"
            );
            counters.hit_if(flight.renewed, "sent as new");
            assert!(
                flight.restored || flight.order > self.last_replayed,
                "{name}: {id:?} is replayed out of its order"
            );
            self.last_replayed = flight.order.max(self.last_replayed);
            flight.sent = true;
            counters.hit("PUBLISH replayed");
        } else {
            if let Some(cause) = self.refilled.take() {
                counters.hit(cause);
            }
            assert!(!dup, "{name}: {id:?} is new and has DUP");
            self.sent += 1;
            self.flights.insert(
                id,
                Flight {
                    number,
                    exactly_once,
                    received: false,
                    sent: true,
                    released: false,
                    order: self.sent,
                    lost: false,
                    restored: false,
                    renewed: false,
                    begun: false,
                },
            );
            // From one end of the ring to the other: a new session begins at 1 too, and ids are turned back.
            counters.hit_if(id.get() < 1_000 && self.last_id > 65_000, "id wrapped");
            self.last_id = id.get();
        }
        let unacknowledged = self.unacknowledged();
        assert!(
            unacknowledged <= usize::from(self.receive_maximum),
            "{name}: {unacknowledged} in flight, allowed {}",
            self.receive_maximum
        );
        if exactly_once {
            assert!(
                owner.is_durable(false, id) && owner.is_recorded(false, id),
                "{name}: QoS 2 PUBLISH {id:?} before its commit"
            );
        }
    }

    fn acknowledged<O: TestOwner<Gate = G>>(
        &mut self,
        id: PacketId,
        exactly_once: bool,
        owner: &O,
    ) {
        let name = self.name;
        let owed = self.owed.pop_front().expect("something was received");
        assert_eq!(
            (owed.id, owed.exactly_once),
            (id, exactly_once),
            "{name}: acknowledgements leave in the order of arrival"
        );
        let kept = owed
            .kept
            .unwrap_or_else(|| panic!("{name}: {id:?} is acknowledged before its verdict"));
        assert!(
            kept.is_open(owner.committed()),
            "{name}: {id:?} is acknowledged before its copy is durable"
        );
    }

    fn pubrel<O: TestOwner<Gate = G>>(
        &mut self,
        id: PacketId,
        reason: ReasonCode,
        owner: &O,
        counters: &mut Counters,
    ) {
        let name = self.name;
        assert!(
            owner.is_durable(false, id),
            "{name}: PUBREL {id:?} before its commit"
        );
        let Some(flight) = self.flights.get_mut(&id) else {
            assert!(reason.is_error(), "{name}: PUBREL {id:?} for nothing");
            return;
        };
        assert!(flight.exactly_once, "{name}: PUBREL {id:?} at QoS 1");
        if self.to_release.contains(&id) {
            assert_eq!(
                self.to_release.pop_front(),
                Some(id),
                "{name}: PUBRELs leave in the order of PUBREC"
            );
        }
        if flight.received {
            if !flight.released && !flight.sent {
                counters.hit("PUBREL replayed");
            }
        } else {
            // The owner dropped a message whose delivery had begun.
            assert!(
                !flight.sent,
                "{name}: PUBREL {id:?} before PUBREC on this connection"
            );
            counters.hit("dropped message released");
            flight.received = true;
        }
        flight.released = true;
    }
}
