//! Writing: the length first, then one pass.

use std::hint::black_box;

use mqtt_cases::packets::Outgoing;
use mqtt_codec::{Properties, Property, Version};

use super::writer::{Prop, Props, Writer, ack, props_len, varint_len};
use crate::harness::Op;

/// A PUBLISH; its properties as values.
#[derive(Clone, Copy, Debug)]
struct Publish<'a> {
    first: u8,
    id: u16,
    topic: &'a str,
    properties: &'a [Prop<'a>],
    payload: &'a [u8],
}

impl Publish<'_> {
    #[inline(always)]
    fn encode<const V5: bool>(&self, buffer: &mut [u8]) -> Option<usize> {
        if V5 && !self.properties.is_empty() {
            return self.with_properties(buffer);
        }
        let len = 2 + self.topic.len() + self.id_len() + usize::from(V5) + self.payload.len();
        let room = buffer.len();
        let mut writer = self.start(len, buffer)?;
        if V5 {
            writer.array([0])?;
        }
        writer.bytes(self.payload)?;
        Some(room - writer.left.len())
    }

    /// Apart, so that the way of those without any stays short.
    #[inline(always)]
    fn with_properties(&self, buffer: &mut [u8]) -> Option<usize> {
        let properties = props_len(self.properties);
        let with_len = varint_len(properties) + properties;
        let len = 2 + self.topic.len() + self.id_len() + with_len + self.payload.len();
        let room = buffer.len();
        let mut writer = self.start(len, buffer)?;
        writer.props(properties, self.properties)?;
        writer.bytes(self.payload)?;
        Some(room - writer.left.len())
    }

    #[inline(always)]
    fn id_len(&self) -> usize {
        if self.first & 6 == 0 { 0 } else { 2 }
    }

    /// Everything before the properties.
    #[inline(always)]
    fn start<'b>(&self, len: usize, buffer: &'b mut [u8]) -> Option<Writer<'b>> {
        let mut writer = Writer { left: buffer };
        writer.array([self.first])?;
        writer.varint(len)?;
        writer.text(self.topic.as_bytes())?;
        if self.id_len() > 0 {
            writer.array(self.id.to_be_bytes())?;
        }
        Some(writer)
    }
}

/// A CONNECT.
#[derive(Clone, Copy, Debug)]
struct Connect {
    flags: u8,
    keep_alive: u16,
    properties: Props,
    client_id: &'static str,
    will: Option<(Props, &'static str, &'static [u8])>,
    user_name: Option<&'static str>,
    password: Option<&'static [u8]>,
}

impl Connect {
    #[inline(always)]
    fn encode<const V5: bool>(&self, buffer: &mut [u8]) -> Option<usize> {
        let with_len = |len: usize| if V5 { varint_len(len) + len } else { 0 };
        let properties = if V5 { props_len(self.properties) } else { 0 };
        let will_properties = match self.will {
            Some((list, ..)) if V5 => props_len(list),
            _ => 0,
        };
        let mut len = 12 + with_len(properties) + self.client_id.len();
        if let Some((_, topic, payload)) = self.will {
            len += with_len(will_properties) + 4 + topic.len() + payload.len();
        }
        len += self.user_name.map_or(0, |name| 2 + name.len());
        len += self.password.map_or(0, |word| 2 + word.len());
        let room = buffer.len();
        let mut writer = Writer { left: buffer };
        writer.array([0x10])?;
        writer.varint(len)?;
        let [high, low] = self.keep_alive.to_be_bytes();
        let level = if V5 { 5 } else { 4 };
        writer.array([0, 4, b'M', b'Q', b'T', b'T', level, self.flags, high, low])?;
        if V5 {
            writer.props(properties, self.properties)?;
        }
        writer.text(self.client_id.as_bytes())?;
        if let Some((list, topic, payload)) = self.will {
            if V5 {
                writer.props(will_properties, list)?;
            }
            writer.text(topic.as_bytes())?;
            writer.text(payload)?;
        }
        if let Some(name) = self.user_name {
            writer.text(name.as_bytes())?;
        }
        if let Some(word) = self.password {
            writer.text(word)?;
        }
        Some(room - writer.left.len())
    }
}

/// A SUBSCRIBE.
#[derive(Clone, Copy, Debug)]
struct Subscribe {
    id: u16,
    properties: Props,
    filters: &'static [(&'static str, u8)],
}

impl Subscribe {
    #[inline(always)]
    fn encode<const V5: bool>(&self, buffer: &mut [u8]) -> Option<usize> {
        let properties = if V5 { props_len(self.properties) } else { 0 };
        let with_len = if V5 {
            varint_len(properties) + properties
        } else {
            0
        };
        let filters: usize = self
            .filters
            .iter()
            .map(|(filter, _)| 3 + filter.len())
            .sum();
        let room = buffer.len();
        let mut writer = Writer { left: buffer };
        writer.array([0x82])?;
        writer.varint(2 + with_len + filters)?;
        writer.array(self.id.to_be_bytes())?;
        if V5 {
            writer.props(properties, self.properties)?;
        }
        for (filter, options) in self.filters {
            writer.text(filter.as_bytes())?;
            writer.array([*options])?;
        }
        Some(room - writer.left.len())
    }
}

/// The properties of a case by shape; they live as long as the program.
fn shapes(properties: &Properties<'static>) -> Props {
    if properties.is_empty() {
        return &[];
    }
    if let Properties::Wire(bytes) = properties {
        return vec![Prop::Raw(bytes.as_bytes())].leak();
    }
    let shape = |property: Property<'static>| {
        let id = property.id();
        match property {
            Property::UserProperty(name, value) => Prop::Pair(name, value),
            Property::TopicAlias(alias) => Prop::U16(id, alias.get()),
            Property::ReceiveMaximum(maximum) => Prop::U16(id, maximum.get()),
            Property::TopicAliasMaximum(maximum) => Prop::U16(id, maximum),
            Property::SessionExpiryInterval(value)
            | Property::WillDelayInterval(value)
            | Property::MessageExpiryInterval(value) => Prop::U32(id, value),
            Property::MaximumPacketSize(size) => Prop::U32(id, size.get()),
            Property::PayloadFormatIndicator(format) => Prop::U8(id, format as u8),
            Property::ContentType(text) => Prop::Text(id, text),
            Property::SubscriptionIdentifier(subscription) => Prop::Varint(id, subscription.get()),
            other => unreachable!("the cases have no {other:?}"),
        }
    };
    properties.iter().map(shape).collect::<Vec<_>>().leak()
}

/// A packet of a case as the floor writes it.
#[derive(Clone, Copy, Debug)]
enum Packet {
    Connect(Connect),
    Publish(Publish<'static>),
    Ack(u8, u16),
    Subscribe(Subscribe),
    PingReq,
}

fn packet(packet: &Outgoing) -> Packet {
    match packet {
        Outgoing::Connect(it) => {
            let will = it
                .will
                .map(|will| (shapes(&will.properties), will.topic, will.payload));
            let will_flags = it.will.map_or(0, |will| {
                0x04 | (will.qos as u8) << 3 | u8::from(will.retain) << 5
            });
            let given =
                u8::from(it.user_name.is_some()) << 7 | u8::from(it.password.is_some()) << 6;
            Packet::Connect(Connect {
                flags: given | will_flags | u8::from(it.clean_start) << 1,
                keep_alive: it.keep_alive,
                properties: shapes(&it.properties),
                client_id: it.client_id,
                will,
                user_name: it.user_name,
                password: it.password,
            })
        }
        Outgoing::Publish(it) => Packet::Publish(Publish {
            first: 0x30
                | u8::from(it.dup) << 3
                | (it.delivery.qos() as u8) << 1
                | u8::from(it.retain),
            id: it.delivery.packet_id().map_or(0, mqtt_codec::PacketId::get),
            topic: it.topic,
            properties: shapes(&it.properties),
            payload: it.payload,
        }),
        Outgoing::PubAck(it) => Packet::Ack(0x40, it.packet_id.get()),
        Outgoing::PubRel(it) => Packet::Ack(0x62, it.packet_id.get()),
        Outgoing::Subscribe(it) => {
            let filters = it
                .filters
                .iter()
                .map(|it| (it.filter, it.options.to_byte()));
            Packet::Subscribe(Subscribe {
                id: it.packet_id.get(),
                properties: shapes(&it.properties),
                filters: filters.collect::<Vec<_>>().leak(),
            })
        }
        Outgoing::PingReq => Packet::PingReq,
    }
}

/// As long as the buffers of the peers: how fast a long payload is copied depends on where the buffer lies.
pub(super) const LARGEST: usize = 70_000;

/// One loop for each kind of packet: a program that writes one knows which.
macro_rules! encoding {
    ($len:expr, $packet:expr, |$it:ident, $buffer:ident| $call:expr) => {{
        let (packet, mut buffer) = ($packet, vec![0; $len.max(LARGEST)]);
        Op::new(1, move |n| {
            for _ in 0..n {
                let ($it, $buffer) = (black_box(&packet), black_box(&mut buffer[..]));
                let _ = black_box($call);
                black_box(&mut buffer[..]);
            }
        })
    }};
}

pub(super) use encoding;

/// Writes the packet into a buffer that is long enough.
pub(super) fn op(outgoing: &Outgoing, version: Version) -> Op {
    fn op<const V5: bool>(outgoing: &Outgoing, len: usize) -> Op {
        match packet(outgoing) {
            Packet::Connect(packet) => encoding!(len, packet, |it, buffer| it.encode::<V5>(buffer)),
            Packet::Publish(packet) => encoding!(len, packet, |it, buffer| it.encode::<V5>(buffer)),
            Packet::Ack(first, id) => encoding!(len, id, |id, buffer| ack(first, *id, buffer)),
            Packet::Subscribe(packet) => {
                encoding!(len, packet, |it, buffer| it.encode::<V5>(buffer))
            }
            Packet::PingReq => encoding!(len, (), |_it, buffer| {
                buffer.first_chunk_mut().map(|room| *room = [0xc0, 0])
            }),
        }
    }
    let len = outgoing.wire(version).len();
    if version == Version::V5 {
        op::<true>(outgoing, len)
    } else {
        op::<false>(outgoing, len)
    }
}

/// What the floor writes for a packet.
#[cfg(test)]
pub(super) fn written(outgoing: &Outgoing, version: Version) -> Vec<u8> {
    let mut buffer = vec![0; 70_000];
    let v5 = version == Version::V5;
    let len = match packet(outgoing) {
        Packet::Connect(it) if v5 => it.encode::<true>(&mut buffer),
        Packet::Connect(it) => it.encode::<false>(&mut buffer),
        Packet::Publish(it) if v5 => it.encode::<true>(&mut buffer),
        Packet::Publish(it) => it.encode::<false>(&mut buffer),
        Packet::Ack(first, id) => ack(first, id, &mut buffer),
        Packet::Subscribe(it) if v5 => it.encode::<true>(&mut buffer),
        Packet::Subscribe(it) => it.encode::<false>(&mut buffer),
        Packet::PingReq => super::writer::header(0xc0, 0, &mut buffer),
    };
    buffer.truncate(len.expect("room enough"));
    buffer
}
