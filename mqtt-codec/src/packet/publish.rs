//! PUBLISH: a message, whole or with its payload still arriving.

use crate::encode::{Layout, impl_encode};
use crate::frame::Context;
use crate::place;
use crate::plain::plain;
use crate::property::Spot;
use crate::quick::PublishFrame;
use crate::sink::Sink;
use crate::wire::{Broken, Reader, string};
use crate::{AnyVersion, Delivery, EncodeError, PacketId, PacketType, Properties, RuleId};

/// The DUP flag of the fixed header.
pub(crate) const DUP: u8 = 0x08;

/// PUBLISH: a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Publish<'a> {
    /// Whether it may have been sent before; never with QoS 0.
    pub dup: bool,
    /// Towards the server: keep this message for later subscribers. Towards a client: it was kept.
    pub retain: bool,
    /// QoS and packet identifier.
    pub delivery: Delivery,
    /// The topic name; empty in MQTT 5.0 when a topic alias stands for it. Reading does not look for wildcards, nor refuse an empty
    /// name in MQTT 3.1 and 3.1.1.
    pub topic: &'a str,
    /// Empty in MQTT 3.1 and 3.1.1.
    pub properties: Properties<'a>,
    /// The message itself.
    pub payload: &'a [u8],
}

/// A PUBLISH the head of which is complete and the payload of which may still be arriving.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartialPublish<'a> {
    /// The packet; its payload is the part that was there.
    pub publish: Publish<'a>,
    /// Bytes of payload that are still to come.
    pub missing: u32,
}

impl<'a> Publish<'a> {
    /// The packet if it is as most are: nothing is wrong with it, and it has no properties.
    #[inline(always)]
    pub(crate) fn ordinary(frame: PublishFrame<'a>, version: impl AnyVersion) -> Option<Self> {
        let PublishFrame { flags, body, .. } = frame;
        let (len, rest) = body.split_first_chunk()?;
        let (topic, mut payload) = rest.split_at_checked(u16::from_be_bytes(*len).into())?;
        let topic = match plain(topic) {
            Some(topic) => topic,
            None => string(topic)?,
        };
        let mut delivery = Delivery::AtMostOnce;
        if flags & 0x06 != 0 {
            let (id, rest) = payload.split_first_chunk()?;
            let id = PacketId::new(u16::from_be_bytes(*id))?;
            delivery = match flags & 0x02 {
                0 => Delivery::ExactlyOnce(id),
                _ => Delivery::AtLeastOnce(id),
            };
            payload = rest;
        }
        if version.is_v5() {
            payload = match payload {
                // An empty topic needs an alias.
                [0, rest @ ..] if !topic.is_empty() => rest,
                _ => return None,
            };
        }
        Some(Self {
            dup: flags & DUP != 0,
            retain: flags & 1 != 0,
            delivery,
            topic,
            properties: Properties::EMPTY,
            payload,
        })
    }

    /// Reads what follows the fixed header. `flags` have been checked. `cx` is asked for late, so that nothing of it is held meanwhile.
    #[inline(always)]
    pub(crate) fn decode<V: AnyVersion>(
        reader: &mut Reader<'a>,
        flags: u8,
        cx: impl FnOnce() -> Context<V>,
    ) -> Result<Self, Broken> {
        Self::decode_aliased(reader, flags, cx).map(|(packet, _)| packet)
    }

    /// The same, and whether a topic alias is there.
    #[inline(always)]
    pub(crate) fn decode_aliased<V: AnyVersion>(
        reader: &mut Reader<'a>,
        flags: u8,
        cx: impl FnOnce() -> Context<V>,
    ) -> Result<(Self, bool), Broken> {
        let start = reader.rest();
        let topic = reader.string()?;
        let delivery = match flags & 0x06 {
            0x00 => Delivery::AtMostOnce,
            0x02 => Delivery::AtLeastOnce(reader.packet_id()?),
            _ => Delivery::ExactlyOnce(reader.packet_id()?),
        };
        let (mut properties, mut aliased) = (Properties::EMPTY, false);
        let cx = cx();
        if cx.version.is_v5() {
            let seen;
            (properties, seen) = Properties::decode(reader, cx.limits(cx.sender.publish()))?;
            aliased = seen.topic_alias();
            if topic.is_empty() && !aliased {
                return Err(reader.broken_at(RuleId::EmptyTopicWithoutAlias, start));
            }
        }
        let packet = Self {
            // MQTT 3.1 tolerates the flag on QoS 0, where it says nothing.
            dup: flags & DUP != 0 && flags & 0x06 != 0,
            retain: flags & 1 != 0,
            delivery,
            topic,
            properties,
            payload: reader.rest(),
        };
        Ok((packet, aliased))
    }
}

/// The first byte of a PUBLISH.
#[inline]
pub(super) fn first_byte(dup: bool, retain: bool, delivery: Delivery) -> u8 {
    let dup = if dup { DUP } else { 0 };
    (PacketType::Publish as u8) << 4 | dup | (delivery.qos() as u8) << 1 | u8::from(retain)
}

impl Layout for Publish<'_> {
    #[inline]
    fn first_byte(&self) -> u8 {
        first_byte(self.dup, self.retain, self.delivery)
    }

    #[inline]
    fn check<V: AnyVersion>(&self, version: V) -> Result<(), EncodeError> {
        if self.dup && self.delivery == Delivery::AtMostOnce {
            return Err(EncodeError::DupAtMostOnce);
        }
        if self.topic.is_empty() && (!version.is_v5() || self.properties.topic_alias().is_none()) {
            return Err(EncodeError::EmptyTopic);
        }
        if version.is_v5() {
            self.properties.check(&const { Spot::new(place::PUBLISH) })
        } else {
            Ok(())
        }
    }

    #[inline(always)]
    fn body<S: Sink, V: AnyVersion>(&self, version: V, sink: &mut S) {
        sink.string(self.topic);
        if let Some(id) = self.delivery.packet_id() {
            sink.u16(id.get());
        }
        if version.is_v5() {
            self.properties.write_with_len(sink);
        }
        sink.bytes(self.payload);
    }
}

impl_encode!(Publish; encode_fields);
