//! What one end of a connection may write, whatever its peer sends: judged from the packets that it took and wrote.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use mqtt_codec::{Delivery, Packet, PacketId, QoS, ReasonCode, Version};

use crate::owners::TestOwner;

/// How far the store had come, counted in entries.
pub(super) type Position = u64;

/// What the peer announced.
#[derive(Clone, Copy, Debug)]
pub(super) struct Announced {
    pub(super) receive_maximum: u16,
    pub(super) packet_size: u32,
    pub(super) aliases: u16,
}

impl Default for Announced {
    fn default() -> Self {
        Self {
            receive_maximum: u16::MAX,
            packet_size: u32::MAX,
            aliases: 0,
        }
    }
}

/// What an id of ours is in use for on this connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    Once,
    Exactly,
    /// PUBREC came; the position of its record.
    Received(Position),
    /// PUBREL was written.
    Released,
    Request,
}

/// A verdict on a message of the peer's: what its acknowledgement waits for.
#[derive(Clone, Copy, Debug)]
struct Verdict {
    id: PacketId,
    kept: Position,
}

/// The ledger of one end.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub(super) announced: Announced,
    /// Entries of the store that are durable.
    pub(super) durable: Position,
    /// Nothing may be written but what ends the connection, and that once.
    last_words: Option<u32>,
    greeted: bool,
    ours: BTreeMap<PacketId, Use>,
    /// PUBLISH packets taken and not acknowledged, by id.
    owed_pubacks: BTreeMap<PacketId, u32>,
    owed_pubrecs: BTreeMap<PacketId, u32>,
    once: Vec<Verdict>,
    /// QoS 2: stands until the id is released.
    exactly: BTreeMap<PacketId, Position>,
    /// Those of them that were refused in a version that cannot say so: a connection of 5.0 still may.
    untold: BTreeSet<PacketId>,
    /// Those of which a refusal is being told while the id is in use again.
    telling: BTreeSet<PacketId>,
    /// Refused at QoS 2: one PUBREC, and the id is free.
    refused: Vec<Verdict>,
    /// PUBREL packets taken; where their records stand.
    releases: BTreeMap<PacketId, VecDeque<Position>>,
    /// PUBREC packets that an unknown id was answered to.
    strays: BTreeMap<PacketId, u32>,
    pings: u32,
    /// CONNACK, then SUBACKs and UNSUBACKs: filters, and what they wait for.
    pub(super) greeting: Option<Position>,
    pub(super) answers: VecDeque<(PacketId, usize, Position)>,
    aliases: BTreeMap<u16, String>,
    theirs: BTreeMap<u16, String>,
}

impl Ledger {
    /// The connection ended.
    pub(super) fn cut(&mut self) {
        *self = Self {
            durable: self.durable,
            exactly: core::mem::take(&mut self.exactly),
            untold: core::mem::take(&mut self.untold),
            refused: core::mem::take(&mut self.refused),
            ..Self::default()
        };
    }

    /// The session ended, or went back to what a restart found.
    pub(super) fn forget(&mut self) {
        self.exactly.clear();
        self.untold.clear();
        self.telling.clear();
        self.refused.clear();
        self.once.clear();
        self.ours.clear();
    }

    /// A restart found the id of a received message.
    pub(super) fn restored(&mut self, id: PacketId) {
        self.exactly.insert(id, 0);
    }

    /// The peer broke a rule, or somebody says goodbye.
    pub(super) fn ending(&mut self) {
        self.last_words.get_or_insert(1);
    }

    /// The session was taken out of its connection, which has only to say goodbye.
    pub(super) fn detached(&mut self) {
        self.ending();
        self.ours.clear();
    }

    /// Ids that the peer may acknowledge, release or answer.
    pub(super) fn awaited(&self) -> Vec<u16> {
        let released = self.exactly.keys();
        self.ours
            .keys()
            .chain(released)
            .map(|id| id.get())
            .collect()
    }

    /// Packets that answer the peer's and were not written yet.
    pub(super) fn pending(&self) -> usize {
        self.answers.len() + self.pings as usize
    }

    /// A PUBLISH with this alias was taken, and its event names that topic.
    pub(super) fn topic(&self, alias: Option<u16>, topic: &str, resolved: &str) {
        match alias {
            Some(alias) if topic.is_empty() => {
                let known = self.theirs.get(&alias).map(String::as_str);
                assert_eq!(Some(resolved), known, "alias {alias}");
            }
            Some(_) | None => assert_eq!(topic, resolved),
        }
        assert!(!resolved.is_empty() && !resolved.contains(['+', '#', '\0']));
    }

    /// The owner's verdict was taken; its copy stands at `kept`.
    pub(super) fn settled(
        &mut self,
        id: PacketId,
        exactly_once: bool,
        refused: bool,
        kept: Position,
    ) {
        let verdict = Verdict { id, kept };
        if !exactly_once {
            self.once.push(verdict);
        } else if refused {
            self.refused.push(verdict);
        } else {
            if self.untold.remove(&id) {
                // Its refusal is on its way, and the next message with the id is here.
                self.telling.insert(id);
            }
            self.exactly.insert(id, kept);
        }
    }

    /// This end took a packet and found no fault with it; the store stands at `position` after it.
    pub(super) fn took(&mut self, packet: &Packet<'_>, position: Position) {
        match packet {
            Packet::Connect(connect) => {
                let v5 = connect.version().is_v5();
                let properties = connect.properties();
                self.announced = Announced::default();
                if v5 {
                    self.announce(&properties);
                }
            }
            Packet::ConnAck(connack) => self.announce(&connack.properties),
            Packet::Publish(publish) => {
                // A repetition, which is no event, teaches an alias as well.
                if let Some(alias) = publish.properties.topic_alias()
                    && !publish.topic.is_empty()
                {
                    self.theirs.insert(alias.get(), publish.topic.to_owned());
                }
                match publish.delivery {
                    Delivery::AtMostOnce => {}
                    Delivery::AtLeastOnce(id) => *self.owed_pubacks.entry(id).or_default() += 1,
                    Delivery::ExactlyOnce(id) => *self.owed_pubrecs.entry(id).or_default() += 1,
                }
            }
            Packet::PubAck(packet) => {
                if self.ours.get(&packet.packet_id) == Some(&Use::Once) {
                    self.ours.remove(&packet.packet_id);
                }
            }
            Packet::PubRec(packet) => match self.ours.get(&packet.packet_id) {
                Some(Use::Exactly) if packet.reason.is_error() => {
                    self.ours.remove(&packet.packet_id);
                }
                Some(Use::Exactly) => {
                    self.ours.insert(packet.packet_id, Use::Received(position));
                }
                Some(Use::Released) => {
                    self.ours.insert(packet.packet_id, Use::Received(0));
                }
                Some(Use::Received(_)) => {}
                Some(Use::Once | Use::Request) | None => {
                    *self.strays.entry(packet.packet_id).or_default() += 1;
                }
            },
            Packet::PubRel(packet) => {
                self.exactly.remove(&packet.packet_id);
                self.untold.remove(&packet.packet_id);
                let queue = self.releases.entry(packet.packet_id).or_default();
                queue.push_back(position);
            }
            Packet::PubComp(packet) => {
                if self.ours.get(&packet.packet_id) == Some(&Use::Released) {
                    self.ours.remove(&packet.packet_id);
                }
            }
            Packet::SubAck(packet) => self.answered(packet.packet_id),
            Packet::UnsubAck(packet) => self.answered(packet.packet_id),
            Packet::PingReq => self.pings += 1,
            Packet::Disconnect(_) => self.ending(),
            Packet::Subscribe(_) | Packet::Unsubscribe(_) | Packet::PingResp | Packet::Auth(_) => {}
        }
    }

    fn announce(&mut self, properties: &mqtt_codec::Properties<'_>) {
        if let Some(most) = properties.receive_maximum() {
            self.announced.receive_maximum = most.get();
        }
        if let Some(size) = properties.maximum_packet_size() {
            self.announced.packet_size = size.get();
        }
        self.announced.aliases = properties.topic_alias_maximum().unwrap_or(0);
    }

    fn answered(&mut self, id: PacketId) {
        assert_eq!(self.ours.remove(&id), Some(Use::Request), "{id:?}");
    }

    /// This end wrote a packet.
    ///
    /// # Panics
    /// When it may not.
    pub(super) fn wrote<O: TestOwner>(
        &mut self,
        packet: &Packet<'_>,
        len: usize,
        version: Version,
        topic: Option<&str>,
        owner: &O,
    ) {
        if !matches!(packet, Packet::Connect(_)) {
            let most = self.announced.packet_size as usize;
            assert!(len <= most, "{len} bytes, allowed {most}: {packet:?}");
        }
        if let Some(left) = &mut self.last_words {
            let last = matches!(packet, Packet::Disconnect(_) | Packet::ConnAck(_));
            assert!(last && *left > 0, "after the end: {packet:?}");
            *left -= 1;
        }
        match packet {
            Packet::Connect(_) => {
                assert!(!self.greeted, "a second CONNECT");
                self.greeted = true;
            }
            Packet::ConnAck(connack) => {
                assert!(!self.greeted, "a second CONNACK");
                self.greeted = true;
                if connack.reason == ReasonCode::SUCCESS {
                    let greeting = self.greeting.take();
                    self.open(greeting, "CONNACK");
                } else {
                    self.last_words = Some(0);
                }
            }
            Packet::Auth(_) => {}
            Packet::Disconnect(_) => {
                assert!(self.greeted, "DISCONNECT before the handshake is over");
                self.last_words = Some(0);
            }
            _ => assert!(self.greeted, "before the handshake is over: {packet:?}"),
        }
        match packet {
            Packet::Publish(publish) => self.publish(publish, version, topic, owner),
            Packet::PubAck(packet) => self.puback(packet.packet_id),
            Packet::PubRec(packet) => self.pubrec(packet.packet_id, packet.reason),
            Packet::PubRel(packet) => self.pubrel(packet.packet_id, packet.reason),
            Packet::PubComp(packet) => {
                let queue = self.releases.get_mut(&packet.packet_id);
                let position = queue.and_then(VecDeque::pop_front);
                self.open(position, "PUBCOMP");
            }
            Packet::Subscribe(packet) => self.request(packet.packet_id),
            Packet::Unsubscribe(packet) => self.request(packet.packet_id),
            Packet::SubAck(packet) => self.answer(packet.packet_id, Some(packet.codes.len())),
            Packet::UnsubAck(packet) => {
                let codes = version.is_v5().then(|| packet.codes.len());
                self.answer(packet.packet_id, codes);
            }
            Packet::PingResp => {
                self.pings = self.pings.checked_sub(1).expect("PINGRESP to nothing");
            }
            Packet::Connect(_)
            | Packet::ConnAck(_)
            | Packet::PingReq
            | Packet::Disconnect(_)
            | Packet::Auth(_) => {}
        }
    }

    fn open(&self, position: Option<Position>, what: &str) {
        let position = position.unwrap_or_else(|| panic!("{what} for nothing"));
        assert!(position <= self.durable, "{what} before its commit");
    }

    fn request(&mut self, id: PacketId) {
        let before = self.ours.insert(id, Use::Request);
        assert_eq!(before, None, "{id:?} is in use");
    }

    fn answer(&mut self, id: PacketId, codes: Option<usize>) {
        let (expected, filters, position) = self.answers.pop_front().expect("something was asked");
        assert_eq!((id, codes.unwrap_or(filters)), (expected, filters));
        self.open(Some(position), "SUBACK or UNSUBACK");
    }

    fn publish<O: TestOwner>(
        &mut self,
        publish: &mqtt_codec::Publish<'_>,
        version: Version,
        topic: Option<&str>,
        owner: &O,
    ) {
        let alias = publish.properties.topic_alias().map(|alias| alias.get());
        let named = match alias {
            Some(alias) => {
                assert!(version.is_v5() && alias <= self.announced.aliases);
                if publish.topic.is_empty() {
                    self.aliases.get(&alias).map(String::as_str)
                } else {
                    self.aliases.insert(alias, publish.topic.to_owned());
                    Some(publish.topic)
                }
            }
            None => Some(publish.topic),
        };
        assert_eq!(named, topic, "the topic of the message");
        let Some(id) = publish.delivery.packet_id() else {
            return;
        };
        let exactly_once = publish.delivery.qos() == QoS::ExactlyOnce;
        let (new, waits) = if exactly_once {
            (Use::Exactly, !owner.is_durable(false, id))
        } else {
            (Use::Once, false)
        };
        assert!(!waits, "QoS 2 PUBLISH {id:?} before its commit");
        let before = self.ours.insert(id, new);
        assert_eq!(before, None, "{id:?} is in use");
        let in_flight = self.ours.values().filter(|used| **used != Use::Request);
        let (in_flight, most) = (in_flight.count(), self.announced.receive_maximum);
        assert!(
            in_flight <= usize::from(most),
            "{in_flight} in flight, allowed {most}"
        );
    }

    fn puback(&mut self, id: PacketId) {
        count_down(&mut self.owed_pubacks, id, "PUBACK");
        let open = |verdict: &Verdict| verdict.id == id && verdict.kept <= self.durable;
        let at = self.once.iter().position(open);
        self.once
            .remove(at.expect("PUBACK before its verdict and its commit"));
    }

    fn pubrec(&mut self, id: PacketId, reason: ReasonCode) {
        count_down(&mut self.owed_pubrecs, id, "PUBREC");
        let open = |verdict: &Verdict| verdict.id == id && verdict.kept <= self.durable;
        if reason.is_error() {
            if let Some(at) = self.refused.iter().position(open) {
                self.refused.remove(at);
            } else if self.untold.remove(&id) {
                self.exactly.remove(&id);
            } else {
                assert!(
                    self.telling.remove(&id),
                    "a refusal that is not yet durable"
                );
            }
        } else if let Some(at) = self.refused.iter().position(open) {
            // Before 5.0 a refusal cannot be told.
            let verdict = self.refused.remove(at);
            self.exactly.insert(id, verdict.kept);
            self.untold.insert(id);
        } else {
            self.open(self.exactly.get(&id).copied(), "PUBREC");
        }
    }

    fn pubrel(&mut self, id: PacketId, reason: ReasonCode) {
        match self.ours.get(&id) {
            _ if reason.is_error() => count_down(&mut self.strays, id, "PUBREL 0x92"),
            Some(Use::Received(position)) => {
                self.open(Some(*position), "PUBREL");
                self.ours.insert(id, Use::Released);
            }
            // Before 5.0 the answer to an unknown id looks like any other.
            None if self.strays.get(&id).is_some_and(|count| *count > 0) => {
                count_down(&mut self.strays, id, "PUBREL");
            }
            // From an earlier connection.
            None => {
                self.ours.insert(id, Use::Released);
            }
            Some(used) => {
                let stray = self.strays.get(&id).is_some_and(|count| *count > 0);
                assert!(stray, "PUBREL {id:?} while it is {used:?}");
            }
        }
    }
}

fn count_down(owed: &mut BTreeMap<PacketId, u32>, id: PacketId, what: &str) {
    let count = owed.get_mut(&id).and_then(|count| {
        *count = count.checked_sub(1)?;
        Some(())
    });
    assert!(count.is_some(), "{what} {id:?} for nothing");
}
