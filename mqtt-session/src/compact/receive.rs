//! What comes in: frames out of the receive buffer, events and acknowledgements out of frames.

use mqtt_codec::{
    AnyVersion, Body, ConnAck, Decoded, Decoder, Delivery, FixedHeader, PacketId, PacketType,
    Properties, Publish, QoS, ReasonCode, RuleId, SubAck, Version,
};
use mqtt_topic::TopicName;

use crate::profile::Profile;
use crate::rules::session_claim;
use crate::violation::Rule;

use super::VersionOf;
use super::device::Device;
use super::event::Event;
use super::five::{Five, Place};
use super::queue::Queue;
use super::server::Server;
use super::state::{Core, Phase, Violated};
use super::timing::Ticks;

/// What becomes of a message that is larger than the buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Delivered,
    /// It came before.
    Dropped,
    /// Its topic does not fit.
    Skipped,
}

/// The broker broke a rule; which one was noted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Broken;

impl<D: Device, Q: Queue> Core<'_, D, Q> {
    /// Acknowledges what the caller has taken.
    pub(super) fn settle(&mut self, now: Ticks) {
        if self.owed_first == 0 || self.missing > 0 {
            return;
        }
        if D::HOLD_MS > 0 && self.out_len == 0 {
            self.held = now.plus(D::HOLD_MS);
        }
        self.note_received();
        self.answer_id(self.owed_first, self.owed_id, true);
        self.owed_first = 0;
    }

    /// Remembers a QoS 2 message that the caller has taken [MQTT-4.3.3-10].
    pub(super) fn note_received(&mut self) {
        if D::Profile::MAX_QOS == QoS::ExactlyOnce
            && self.owed_first == (PacketType::PubRec as u8) << 4
            && self.missing == 0
            && !self.has_received(self.owed_id)
        {
            self.replace_received(0, self.owed_id);
        }
    }

    fn has_received(&self, id: u16) -> bool {
        self.received.contains(&id.to_be_bytes())
    }

    /// Puts `new` where `old` is in the list of received ids, if that is there.
    pub(super) fn replace_received(&mut self, old: u16, new: u16) -> bool {
        let old = old.to_be_bytes();
        let place = self.received.iter_mut().find(|id| **id == old);
        place.map(|place| *place = new.to_be_bytes()).is_some()
    }

    /// Notes the rule that the broker broke, as far as somebody asks for it.
    #[cold]
    pub(super) fn broken(&mut self, violated: impl Into<Violated>) -> Broken {
        if D::DIAGNOSES || self.five.get().is_some() {
            self.violation = Some(violated.into());
        }
        Broken
    }

    /// The connection ends for the rule that was noted.
    pub(super) fn break_off(&mut self) {
        if self.version.is_v5()
            && let Some(violated) = self.violation
        {
            self.end(match violated {
                Violated::Bytes(rule) => rule.reason_code(),
                Violated::Rule(rule) => rule.reason_code(),
            });
        }
        self.phase = Phase::Closing;
    }

    fn owe(&mut self, packet_type: PacketType, id: PacketId) {
        self.owed_first = (packet_type as u8) << 4;
        self.owed_id = id.get();
    }

    pub(super) fn takes_input(&self) -> bool {
        self.has_room() && (self.phase == Phase::Awaiting || self.phase == Phase::Connected)
    }

    /// What the bytes at the front of the buffer mean, and how many of them are `used` up.
    pub(super) fn take(
        &mut self,
        bytes: &[u8],
        full: bool,
        used: &mut usize,
    ) -> Result<Event, Broken> {
        if self.missing > 0 {
            return self.part(bytes, used);
        }
        let decoder = Decoder::new(self.version);
        let Decoded::Complete {
            packet: header,
            len,
        } = decoder
            .header_from_server(bytes)
            .map_err(|error| self.broken(error))?
        else {
            return Ok(Event::Waiting);
        };
        let total = header.frame_len();
        let whole = bytes.len() >= total;
        if !whole && !full {
            return Ok(Event::Waiting);
        }
        *used = total.min(bytes.len());
        let inside = bytes.get(len..*used).unwrap_or_default();
        let body = decoder.body_from_server(header, inside);
        if header.packet_type == PacketType::Publish && self.phase == Phase::Connected {
            return match body.publish() {
                Ok((packet, aliased)) => {
                    self.missing = header.remaining_length.saturating_sub(inside.len() as u32);
                    self.topic_at = len as u8;
                    self.payload_at = (*used - packet.payload.len()) as u16;
                    self.publish(&packet, aliased)
                }
                Err(error) if !whole && error.rule == RuleId::Truncated => {
                    *used = len + self.skip(header, inside)?;
                    Ok(Event::Nothing)
                }
                Err(error) => Err(self.broken(error)),
            };
        }
        if !whole {
            return Err(self.broken(Violated::Bytes(RuleId::PacketTooLarge)));
        }
        self.packet(header.packet_type, body)
    }

    fn packet(
        &mut self,
        packet_type: PacketType,
        body: Body<'_, VersionOf<D>>,
    ) -> Result<Event, Broken> {
        if (self.phase == Phase::Awaiting) != (packet_type == PacketType::ConnAck) {
            let rule = if self.phase == Phase::Awaiting {
                Rule::ConnAckFirst
            } else {
                Rule::SecondConnAck
            };
            return Err(self.broken(rule));
        }
        match packet_type {
            PacketType::ConnAck => {
                let packet = body.connack().map_err(|error| self.broken(error))?;
                return self.connack(&packet);
            }
            PacketType::PubAck | PacketType::PubRec | PacketType::PubComp => {
                let (id, reason) = body.acknowledgement().map_err(|error| self.broken(error))?;
                return self.acknowledged(packet_type, id, reason);
            }
            PacketType::PubRel => {
                let (id, _) = body.acknowledgement().map_err(|error| self.broken(error))?;
                self.released(id)?;
            }
            PacketType::SubAck => {
                let SubAck {
                    packet_id, codes, ..
                } = body.suback().map_err(|error| self.broken(error))?;
                let Some(code) = codes.iter().next().filter(|_| codes.len() == 1) else {
                    return Err(self.broken(Rule::SubAckCount));
                };
                self.answered(PacketType::Subscribe, packet_id)?;
                return Ok(Event::Subscribed(packet_id, code));
            }
            PacketType::UnsubAck => {
                let packet_id = body
                    .unsuback()
                    .map_err(|error| self.broken(error))?
                    .packet_id;
                self.answered(PacketType::Unsubscribe, packet_id)?;
                return Ok(Event::Unsubscribed(packet_id));
            }
            PacketType::PingResp => self.awaits_answer = false,
            PacketType::Disconnect if self.version.is_v5() => {
                self.phase = Phase::Closing;
                let reason = body.disconnect().map_err(|error| self.broken(error))?;
                return Ok(Event::Disconnected(reason));
            }
            // No exchange was begun [MQTT-4.12.0-6].
            PacketType::Auth => return Err(self.broken(Rule::AuthUnexpected)),
            // The header of what a server does not send was refused.
            PacketType::Publish
            | PacketType::Connect
            | PacketType::Subscribe
            | PacketType::Unsubscribe
            | PacketType::PingReq
            | PacketType::Disconnect => {}
        }
        Ok(Event::Nothing)
    }

    #[cfg_attr(target_arch = "avr", inline(never))]
    fn connack(&mut self, packet: &ConnAck<'_>) -> Result<Event, Broken> {
        if packet.reason != ReasonCode::SUCCESS {
            self.phase = Phase::Closing;
            return Ok(Event::Refused(packet.reason));
        }
        let session_present = packet.session_present;
        if let Err(rule) = session_claim(session_present, self.clean_start) {
            return Err(self.broken(rule));
        }
        if self.version.is_v5() {
            self.obey(&packet.properties);
        }
        if !session_present && self.version.version() != Version::V31 {
            self.forget_peer();
        }
        self.phase = Phase::Connected;
        self.awaits_answer = false;
        let resumed = session_present && self.has_session;
        self.has_session = true;
        if !resumed {
            self.unsubscribed = D::SUBSCRIPTIONS;
            self.forget_subscribes();
        }
        Ok(Event::Connected {
            resumed,
            session_present,
        })
    }

    /// What an earlier connection has left of the device's own subscriptions will be asked for anew.
    fn forget_subscribes(&mut self) {
        if D::SUBSCRIPTIONS.is_empty() || cfg!(mutation = "compact-subscribes-pile-up") {
            return;
        }
        let mut at = self.queue.start();
        while let Some(record) = self.queue.get(at) {
            at = self.queue.after(record);
            let underway = self.writes_body && record.slot == self.body.slot;
            if record.packet_type() == PacketType::Subscribe as u8
                && !underway
                && !self.was_sent(record)
            {
                self.finish(record);
            }
        }
    }

    fn publish(&mut self, packet: &Publish<'_>, aliased: bool) -> Result<Event, Broken> {
        if aliased {
            // None were allowed [MQTT-3.1.2-26].
            return Err(self.broken(Rule::TopicAliasRange));
        }
        #[cfg(mutation = "fuzz-acknowledged-broken")]
        if let Delivery::AtLeastOnce(id) = packet.delivery {
            self.owe(PacketType::PubAck, id);
        }
        if TopicName::new(packet.topic).is_err() {
            return Err(self.broken(Rule::TopicName));
        }
        // What breaks a rule is not acknowledged.
        let mut dropped = false;
        match packet.delivery {
            Delivery::AtMostOnce => {}
            Delivery::AtLeastOnce(id) => self.owe(PacketType::PubAck, id),
            Delivery::ExactlyOnce(_) if D::Profile::MAX_QOS != QoS::ExactlyOnce => {
                // Asked for by an earlier program in the same session: an end of the connection would bring it again and again.
                self.payload_at = u16::MAX;
                self.fate = Fate::Dropped;
                return Ok(Event::Skipped);
            }
            Delivery::ExactlyOnce(id) => {
                dropped = self.has_received(id.get());
                if dropped || self.has_received(0) {
                    self.owe(PacketType::PubRec, id);
                } else {
                    // Unanswered it comes again, with the next connection: there are brokers that send as many as they like.
                    self.left_out = !cfg!(mutation = "compact-left-for-good");
                    dropped = true;
                }
            }
        }
        if dropped {
            // It came before [MQTT-4.3.3-10], or is left out.
            self.payload_at = u16::MAX;
            self.fate = Fate::Dropped;
            return Ok(Event::Nothing);
        }
        self.fate = Fate::Delivered;
        Ok(Event::Message)
    }

    /// The topic of a message does not fit: looks for its packet id behind it.
    fn skip(&mut self, header: FixedHeader, inside: &[u8]) -> Result<usize, Broken> {
        let remaining = header.remaining_length;
        let topic = inside
            .first_chunk()
            .map_or(0, |len| u16::from_be_bytes(*len));
        let before_id = 2 + u32::from(topic);
        let id_at = remaining.saturating_sub(before_id);
        let qos = header.flags & 0x06;
        let id_len = if qos == 0 { 0 } else { 2 };
        if before_id.saturating_add(id_len) > remaining
            && !cfg!(mutation = "compact-topic-behind-the-end")
        {
            return Err(self.broken(Violated::Bytes(RuleId::Truncated)));
        }
        self.id_at = 0;
        let answer = match qos {
            0x02 => Some(PacketType::PubAck),
            0x04 if D::Profile::MAX_QOS == QoS::ExactlyOnce
                || cfg!(mutation = "compact-qos-2-skipped") =>
            {
                Some(PacketType::PubRec)
            }
            _ => None,
        };
        if let Some(answer) = answer {
            self.id_at = id_at;
            self.owe(answer, PacketId::MIN);
        }
        let used = inside.len().min(to_usize(before_id));
        self.missing = remaining.saturating_sub(used as u32);
        self.fate = Fate::Skipped;
        Ok(used)
    }

    /// More of a message that is larger than the buffer.
    fn part(&mut self, bytes: &[u8], used: &mut usize) -> Result<Event, Broken> {
        let (missing, id_at) = (self.missing, self.id_at);
        let mut most = missing;
        if id_at != 0 && missing > id_at {
            most = missing - id_at;
        } else if id_at != 0 {
            let Some(id) = bytes.first_chunk() else {
                return Ok(Event::Waiting);
            };
            let Some(id) = PacketId::new(u16::from_be_bytes(*id)) else {
                return Err(self.broken(Violated::Bytes(RuleId::PacketIdZero)));
            };
            self.owed_id = id.get();
            self.id_at = 0;
            most = 2;
            if D::Profile::MAX_QOS == QoS::ExactlyOnce
                && self.owed_first == (PacketType::PubRec as u8) << 4
                && self.has_received(id.get())
            {
                self.fate = Fate::Dropped;
            }
        }
        if bytes.is_empty() {
            return Ok(Event::Waiting);
        }
        *used = bytes.len().min(to_usize(most));
        let missing = missing.saturating_sub(*used as u32);
        self.missing = missing;
        Ok(match self.fate {
            Fate::Delivered => {
                self.payload_at = 0;
                Event::Part
            }
            Fate::Skipped if missing == 0 => Event::Skipped,
            Fate::Skipped | Fate::Dropped => Event::Nothing,
        })
    }

    /// What a 5.0 broker allows [MQTT-3.2.2-11], [MQTT-3.2.2-14], [MQTT-3.2.2-15], [MQTT-3.2.2-17], [MQTT-3.2.2-21], [MQTT-3.3.4-7].
    fn obey(&mut self, properties: &Properties<'_>) {
        let Some(Five { server, .. }) = self.five.get_mut() else {
            return;
        };
        *server = Server::DEFAULT;
        for (id, number) in properties.numbers() {
            match id {
                SERVER_KEEP_ALIVE => self.keep_alive = number as u16,
                RECEIVE_MAXIMUM => server.window = number as u16,
                TOPIC_ALIAS_MAXIMUM => server.alias_maximum = number as u16,
                MAXIMUM_QOS => server.maximum_qos = number as u8,
                RETAIN_AVAILABLE => server.retain_available = number != 0,
                MAXIMUM_PACKET_SIZE => server.maximum_packet_size = number,
                _ => {}
            }
        }
    }
}

// Identifiers of properties, MQTT 5.0, table 2-4.
const SERVER_KEEP_ALIVE: u8 = 0x13;
const RECEIVE_MAXIMUM: u8 = 0x21;
const TOPIC_ALIAS_MAXIMUM: u8 = 0x22;
const MAXIMUM_QOS: u8 = 0x24;
const RETAIN_AVAILABLE: u8 = 0x25;
const MAXIMUM_PACKET_SIZE: u8 = 0x27;

/// A length that was compared with the buffer's before.
const fn to_usize(len: u32) -> usize {
    if len > usize::MAX as u32 {
        usize::MAX
    } else {
        len as usize
    }
}
