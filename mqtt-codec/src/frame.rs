//! Frames: what is known of a packet before its fields are read.

use crate::header::{FixedHeader, PacketType};
use crate::packet::{DUP, Publish};
use crate::place::{self, Places};
use crate::property::{Limits, Properties};
use crate::varint::{self, VarInt};
use crate::wire::{Broken, Reader, to_u32, to_usize};
use crate::{RuleId, Version};

/// Who sent a packet, as far as the reader knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sender {
    Client,
    Server,
    Either,
}

impl Sender {
    /// Whether this side sends packets of the type; of AUTH the version has been checked.
    #[inline]
    pub(crate) const fn sends(self, packet_type: PacketType, version: Version) -> bool {
        match packet_type {
            PacketType::Connect
            | PacketType::Subscribe
            | PacketType::Unsubscribe
            | PacketType::PingReq => !matches!(self, Self::Server),
            PacketType::ConnAck
            | PacketType::SubAck
            | PacketType::UnsubAck
            | PacketType::PingResp => !matches!(self, Self::Client),
            PacketType::Disconnect => version.is_v5() || !matches!(self, Self::Server),
            PacketType::Publish
            | PacketType::PubAck
            | PacketType::PubRec
            | PacketType::PubRel
            | PacketType::PubComp
            | PacketType::Auth => true,
        }
    }

    #[inline]
    pub(crate) const fn publish(self) -> Places {
        match self {
            Self::Client => place::PUBLISH_FROM_CLIENT,
            Self::Server => place::PUBLISH_FROM_SERVER,
            Self::Either => place::PUBLISH,
        }
    }

    #[inline]
    pub(crate) const fn disconnect(self) -> Places {
        match self {
            Self::Client => place::DISCONNECT_FROM_CLIENT,
            Self::Server => place::DISCONNECT_FROM_SERVER,
            Self::Either => place::DISCONNECT,
        }
    }
}

/// What the packets need to know when they are read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Context {
    pub(crate) version: Version,
    pub(crate) sender: Sender,
    pub(crate) maximum_user_properties: u16,
}

impl Context {
    #[inline]
    pub(crate) const fn with_version(self, version: Version) -> Self {
        Self { version, ..self }
    }

    #[inline]
    pub(crate) const fn limits(self, places: Places) -> Limits {
        Limits {
            places,
            user_properties: self.maximum_user_properties,
        }
    }

    /// The properties at this point of the packet; none in the older versions.
    #[inline]
    pub(crate) fn properties<'a>(
        self,
        reader: &mut Reader<'a>,
        places: Places,
    ) -> Result<Properties<'a>, Broken> {
        if self.version.is_v5() {
            Properties::decode(reader, self.limits(places)).map(|(properties, _)| properties)
        } else {
            Ok(Properties::EMPTY)
        }
    }
}

/// A packet that is there in full and about to be taken apart.
pub(crate) struct Frame<'a> {
    pub(crate) header: FixedHeader,
    pub(crate) body: Reader<'a>,
    pub(crate) cx: Context,
}

impl<'a> Frame<'a> {
    /// Reads the body with `decode` and makes sure that nothing is left of it.
    #[inline(always)]
    pub(crate) fn read<T>(
        &mut self,
        decode: impl FnOnce(&mut Reader<'a>, Context) -> Result<T, Broken>,
    ) -> Result<T, Broken> {
        let packet = decode(&mut self.body, self.cx)?;
        self.body.finish()?;
        Ok(packet)
    }

    #[inline(always)]
    pub(crate) fn publish(&mut self) -> Result<Publish<'a>, Broken> {
        Publish::decode(&mut self.body, self.header.flags, self.cx)
    }

    #[inline(always)]
    pub(crate) fn ping<T>(&mut self, packet: T) -> Result<T, Broken> {
        self.body.finish().map(|()| packet)
    }

    /// For the packets that the check of the header has refused already.
    #[cold]
    pub(crate) fn wrong_side<T>(&mut self) -> Result<T, Broken> {
        Err(self.body.broken(RuleId::PacketFromWrongSide, 0))
    }
}

/// The rule that packet type or flags of the first byte break.
#[inline]
pub(crate) fn broken_first_byte(
    header: FixedHeader,
    sender: Sender,
    version: Version,
) -> Option<RuleId> {
    // MQTT 3.1 allows DUP on the packets that it sends again.
    let (dup, flags) = (version == Version::V31, header.flags);
    let resent = if dup { flags & !DUP } else { flags };
    let (fixed, rule) = match header.packet_type {
        PacketType::Publish if flags & 0x06 == 0x06 => return Some(RuleId::PublishQoS),
        PacketType::Publish if flags & 0x0e == DUP && !dup => return Some(RuleId::DupAtMostOnce),
        PacketType::Publish => return None,
        PacketType::Auth if !version.is_v5() => return Some(RuleId::PacketTypeReserved),
        packet_type if !sender.sends(packet_type, version) => {
            return Some(RuleId::PacketFromWrongSide);
        }
        PacketType::PubRel => (resent == 2, RuleId::PubRelFlags),
        PacketType::Subscribe => (resent == 2, RuleId::SubscribeFlags),
        PacketType::Unsubscribe => (resent == 2, RuleId::UnsubscribeFlags),
        PacketType::Disconnect => (flags == 0, RuleId::DisconnectFlags),
        PacketType::Auth => (flags == 0, RuleId::AuthFlags),
        PacketType::Connect
        | PacketType::ConnAck
        | PacketType::PubAck
        | PacketType::PubRec
        | PacketType::PubComp
        | PacketType::SubAck
        | PacketType::UnsubAck
        | PacketType::PingReq
        | PacketType::PingResp => (flags == 0, RuleId::HeaderFlags),
    };
    if fixed { None } else { Some(rule) }
}

/// Bytes behind the fixed header of a packet that has a fixed length.
#[inline]
pub(crate) const fn longest_body(packet_type: PacketType, version: Version) -> Option<u32> {
    match packet_type {
        PacketType::PingReq | PacketType::PingResp => Some(0),
        _ if version.is_v5() => None,
        PacketType::Disconnect => Some(0),
        PacketType::ConnAck
        | PacketType::PubAck
        | PacketType::PubRec
        | PacketType::PubRel
        | PacketType::PubComp
        | PacketType::UnsubAck => Some(2),
        PacketType::Connect
        | PacketType::Publish
        | PacketType::Subscribe
        | PacketType::SubAck
        | PacketType::Unsubscribe
        | PacketType::Auth => None,
    }
}

/// Bytes up to the payload of a PUBLISH, or as many as are needed to say more.
pub(crate) fn head_len(frame: &[u8], header: FixedHeader, version: Version) -> u32 {
    let behind = |len| frame.get(to_usize(len)..).unwrap_or_default();
    let mut len = u32::from(header.header_len);
    let topic = behind(len);
    len += 2;
    let Some(topic_len) = topic.first_chunk() else {
        return len;
    };
    len += u32::from(u16::from_be_bytes(*topic_len));
    if header.flags & 0x06 != 0 {
        len += 2;
    }
    if version.is_v5() {
        let properties = behind(len);
        match varint::decode(properties) {
            #[cfg(mutation = "fuzz-head-length")]
            VarInt::Value(value, 2) if header.flags & 0x06 == 0x04 => len += 1 + value,
            VarInt::Value(value, bytes) => len += to_u32(bytes) + value,
            VarInt::Incomplete => len += to_u32(properties.len()) + 1,
            VarInt::TooLong | VarInt::NotShortest => {}
        }
    }
    len
}
