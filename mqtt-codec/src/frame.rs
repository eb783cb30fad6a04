//! Frames: what is known of a packet before its fields are read.

use crate::admission::Sender;
use crate::header::{FixedHeader, PacketType};
use crate::packet::Publish;
use crate::property::{Limits, Properties, Spot};
use crate::varint::{self, VarInt};
use crate::wire::{Broken, Reader, to_u32, to_usize};
use crate::{AnyVersion, DecodeError, Decoded, RuleId, Version};

/// What the packets need to know when they are read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Context<V> {
    pub(crate) version: V,
    pub(crate) sender: Sender,
    pub(crate) maximum_user_properties: u16,
}

impl<V: AnyVersion> Context<V> {
    #[inline]
    pub(crate) const fn with_version(self, version: Version) -> Context<Version> {
        Context {
            version,
            sender: self.sender,
            maximum_user_properties: self.maximum_user_properties,
        }
    }

    #[inline]
    pub(crate) const fn limits(self, spot: &'static Spot) -> Limits {
        Limits {
            spot,
            user_properties: self.maximum_user_properties,
        }
    }

    /// The properties at this point of the packet; none in the older versions.
    #[inline]
    pub(crate) fn properties<'a>(
        self,
        reader: &mut Reader<'a>,
        spot: &'static Spot,
    ) -> Result<Properties<'a>, Broken> {
        if self.version.is_v5() {
            Properties::decode(reader, self.limits(spot)).map(|(properties, _)| properties)
        } else {
            Ok(Properties::EMPTY)
        }
    }
}

/// A packet that is there in full and about to be taken apart.
pub(crate) struct Frame<'a, V> {
    /// The first byte, which is admitted.
    pub(crate) first: u8,
    pub(crate) body: Reader<'a>,
    /// Bytes of the whole packet.
    pub(crate) len: usize,
    pub(crate) cx: Context<V>,
}

impl<'a, V: AnyVersion> Frame<'a, V> {
    /// `None` for a number that is never admitted.
    #[inline(always)]
    pub(crate) fn packet_type(&self) -> Option<PacketType> {
        PacketType::from_u8(self.first >> 4)
    }

    /// Reads the body with `decode`, makes sure that nothing is left of it, and wraps the packet.
    ///
    /// Each kind of packet is put where the caller wants it in one step, without a stop at a place that is fit for all of them.
    #[inline(always)]
    pub(crate) fn read<T, P>(
        self,
        decode: impl FnOnce(&mut Reader<'a>, Context<V>) -> Result<P, Broken>,
        wrap: impl FnOnce(P) -> T,
    ) -> Result<Decoded<T>, DecodeError> {
        let mut body = self.body;
        match decode(&mut body, self.cx) {
            Ok(packet) if body.is_empty() => self.complete(wrap(packet)),
            Ok(_) => Err(DecodeError {
                rule: RuleId::TrailingBytes,
                at: body.at(),
            }),
            Err(broken) => Err(body.error(broken)),
        }
    }

    /// The same in a function of its own: what few packets need costs the others nothing.
    #[cfg_attr(target_pointer_width = "64", inline(never))]
    pub(crate) fn read_apart<T, P>(
        self,
        decode: impl FnOnce(&mut Reader<'a>, Context<V>) -> Result<P, Broken>,
        wrap: impl FnOnce(P) -> T,
    ) -> Result<Decoded<T>, DecodeError> {
        self.read(decode, wrap)
    }

    #[inline(always)]
    pub(crate) fn publish<T>(
        mut self,
        wrap: impl FnOnce(Publish<'a>) -> T,
    ) -> Result<Decoded<T>, DecodeError> {
        match Publish::decode(&mut self.body, self.first, || self.cx) {
            Ok(packet) => self.complete(wrap(packet)),
            Err(broken) => Err(self.body.error(broken)),
        }
    }

    /// PINGREQ and PINGRESP, which are nothing but a fixed header.
    #[inline(always)]
    pub(crate) const fn complete<T>(self, packet: T) -> Result<Decoded<T>, DecodeError> {
        let len = self.len;
        Ok(Decoded::Complete { packet, len })
    }

    /// For the packets that are not admitted.
    #[cold]
    pub(crate) fn wrong_side<T>(self) -> Result<Decoded<T>, DecodeError> {
        Err(DecodeError {
            rule: RuleId::PacketFromWrongSide,
            at: 0,
        })
    }
}

/// Bytes up to the payload of a PUBLISH, or as many as are needed to say more.
pub(crate) fn head_len(frame: &[u8], header: FixedHeader, version: impl AnyVersion) -> u32 {
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
