//! SUBACK and UNSUBACK: one reason code for each filter.

use crate::encode::{Layout, impl_encode};
use crate::frame::Context;
use crate::place::{self, Places};
use crate::property::Spot;
use crate::sink::Sink;
use crate::wire::{Broken, Reader, to_u32};
use crate::{AnyVersion, EncodeError, PacketId, PacketType, Properties, ReasonCode, RuleId};

/// Reason codes in the order of the filters they answer, a byte each.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct ReasonCodes<'a>(&'a [u8]);

impl<'a> ReasonCodes<'a> {
    /// The codes with these numbers.
    #[inline]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The numbers of the codes.
    #[inline]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.0
    }

    /// The codes in their order.
    #[inline]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = ReasonCode> + Clone + use<'a> {
        self.0.iter().map(|code| ReasonCode(*code))
    }

    /// How many there are.
    #[inline]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn all_in(&self, places: Places) -> bool {
        self.iter().all(|code| code.allowed_in(places))
    }
}

impl<'a> From<&'a [u8]> for ReasonCodes<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }
}

impl core::fmt::Debug for ReasonCodes<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// SUBACK: the answer to SUBSCRIBE.
///
/// MQTT 3.1 and 3.1.1 have 0x80 as their only failure: every error is written as that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubAck<'a> {
    /// The identifier of the SUBSCRIBE.
    pub packet_id: PacketId,
    /// Reason string and user properties.
    pub properties: Properties<'a>,
    /// The granted QoS or the failure of each filter, at least one.
    pub codes: ReasonCodes<'a>,
}

/// UNSUBACK: the answer to UNSUBSCRIBE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnsubAck<'a> {
    /// The identifier of the UNSUBSCRIBE.
    pub packet_id: PacketId,
    /// Reason string and user properties.
    pub properties: Properties<'a>,
    /// The outcome for each filter; empty in MQTT 3.1 and 3.1.1, which do not carry it.
    pub codes: ReasonCodes<'a>,
}

/// Reads codes up to the end of the packet.
fn decode_codes<'a>(
    reader: &mut Reader<'a>,
    empty: RuleId,
    rule: RuleId,
    allowed: impl Fn(ReasonCode) -> bool,
) -> Result<ReasonCodes<'a>, Broken> {
    let at = reader.at();
    let codes = ReasonCodes(reader.take(reader.rest().len())?);
    if codes.is_empty() {
        return Err(reader.broken(empty, at));
    }
    match codes.iter().position(|code| !allowed(code)) {
        None => Ok(codes),
        Some(index) => Err(reader.broken(rule, at.saturating_add(to_u32(index)))),
    }
}

impl<'a> SubAck<'a> {
    #[inline(always)]
    pub(crate) fn decode(
        reader: &mut Reader<'a>,
        cx: Context<impl AnyVersion>,
    ) -> Result<Self, Broken> {
        let packet_id = reader.packet_id()?;
        let properties = cx.properties(reader, &const { Spot::new(place::SUBACK) })?;
        // MQTT 3.1 has no failure code, but servers of today send 0x80 to its clients as well.
        let codes = decode_codes(reader, RuleId::SubAckEmpty, RuleId::SubAckReason, |code| {
            if cx.version.is_v5() {
                code.allowed_in(place::SUBACK)
            } else {
                matches!(code.0, 0..=2 | 0x80)
            }
        })?;
        Ok(Self {
            packet_id,
            properties,
            codes,
        })
    }
}

impl Layout for SubAck<'_> {
    fn first_byte(&self) -> u8 {
        (PacketType::SubAck as u8) << 4
    }

    fn check<V: AnyVersion>(&self, version: V) -> Result<(), EncodeError> {
        if self.codes.is_empty() {
            return Err(EncodeError::Empty);
        }
        if !self.codes.all_in(place::SUBACK) {
            return Err(EncodeError::InvalidReason);
        }
        if version.is_v5() {
            self.properties.check(&const { Spot::new(place::SUBACK) })
        } else {
            Ok(())
        }
    }

    #[inline(always)]
    fn body<S: Sink, V: AnyVersion>(&self, version: V, sink: &mut S) {
        sink.u16(self.packet_id.get());
        if version.is_v5() {
            self.properties.write_with_len(sink);
            sink.bytes(self.codes.0);
        } else {
            self.codes.iter().for_each(|code| sink.u8(code.0.min(0x80)));
        }
    }
}

impl<'a> UnsubAck<'a> {
    #[inline(always)]
    pub(crate) fn decode(
        reader: &mut Reader<'a>,
        cx: Context<impl AnyVersion>,
    ) -> Result<Self, Broken> {
        let packet_id = reader.packet_id()?;
        let properties = cx.properties(reader, &const { Spot::new(place::UNSUBACK) })?;
        let mut codes = ReasonCodes::default();
        if cx.version.is_v5() {
            codes = decode_codes(
                reader,
                RuleId::UnsubAckEmpty,
                RuleId::UnsubAckReason,
                |code| code.allowed_in(place::UNSUBACK),
            )?;
        }
        Ok(Self {
            packet_id,
            properties,
            codes,
        })
    }
}

impl Layout for UnsubAck<'_> {
    fn first_byte(&self) -> u8 {
        (PacketType::UnsubAck as u8) << 4
    }

    fn check<V: AnyVersion>(&self, version: V) -> Result<(), EncodeError> {
        if !version.is_v5() {
            return Ok(());
        }
        if self.codes.is_empty() {
            return Err(EncodeError::Empty);
        }
        if !self.codes.all_in(place::UNSUBACK) {
            return Err(EncodeError::InvalidReason);
        }
        self.properties.check(&const { Spot::new(place::UNSUBACK) })
    }

    #[inline(always)]
    fn body<S: Sink, V: AnyVersion>(&self, version: V, sink: &mut S) {
        sink.u16(self.packet_id.get());
        if version.is_v5() {
            self.properties.write_with_len(sink);
            sink.bytes(self.codes.0);
        }
    }
}

impl_encode!(SubAck UnsubAck);
