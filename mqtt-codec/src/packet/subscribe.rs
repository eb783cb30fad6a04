//! SUBSCRIBE: filters with the options of each subscription.

use core::fmt;

use crate::encode::{Layout, impl_encode};
use crate::frame::Context;
use crate::place;
use crate::property::Spot;
use crate::sink::Sink;
use crate::wire::{Broken, Reader};
use crate::{AnyVersion, EncodeError, PacketId, PacketType, Properties, QoS, RuleId};

/// When retained messages are sent for a subscription, MQTT 5.0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[repr(u8)]
pub enum RetainHandling {
    /// At every SUBSCRIBE, as in the older versions [MQTT-3.3.1-9].
    #[default]
    SendAtSubscribe = 0,
    /// Only if the subscription did not exist [MQTT-3.3.1-10].
    SendIfNew = 1,
    /// Never [MQTT-3.3.1-11].
    DoNotSend = 2,
}

/// The options of a subscription; MQTT 3.1 and 3.1.1 have the QoS only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct SubscriptionOptions {
    /// The highest QoS at which messages are to be sent.
    pub qos: QoS,
    /// Whether the subscriber's own messages are left out [MQTT-3.8.3-3].
    pub no_local: bool,
    /// Whether the RETAIN flag is kept as published [MQTT-3.3.1-13].
    pub retain_as_published: bool,
    /// When retained messages are sent.
    pub retain_handling: RetainHandling,
}

impl SubscriptionOptions {
    /// Options with this QoS and everything else as in MQTT 3.1.1.
    pub const fn new(qos: QoS) -> Self {
        let retain_handling = RetainHandling::SendAtSubscribe;
        Self {
            qos,
            no_local: false,
            retain_as_published: false,
            retain_handling,
        }
    }

    /// The byte of MQTT 5.0, which is also that of the older versions if only the QoS is set.
    #[inline]
    pub const fn to_byte(self) -> u8 {
        self.qos as u8
            | (self.no_local as u8) << 2
            | (self.retain_as_published as u8) << 3
            | (self.retain_handling as u8) << 4
    }

    /// The options in a byte of MQTT 5.0; `None` for QoS 3, retain handling 3 and reserved bits.
    #[inline]
    pub const fn from_byte(byte: u8) -> Option<Self> {
        let Some(qos) = QoS::from_u8(byte & 0x03) else {
            return None;
        };
        let retain_handling = match byte >> 4 {
            0 => RetainHandling::SendAtSubscribe,
            1 => RetainHandling::SendIfNew,
            2 => RetainHandling::DoNotSend,
            _ => return None,
        };
        let (no_local, retain_as_published) = (byte & 0x04 != 0, byte & 0x08 != 0);
        Some(Self {
            qos,
            no_local,
            retain_as_published,
            retain_handling,
        })
    }

    #[inline(always)]
    fn decode(reader: &mut Reader<'_>, version: impl AnyVersion) -> Result<Self, Broken> {
        let start = reader.rest();
        let byte = reader.u8()?;
        let reserved = if version.is_v5() { 0xc0 } else { 0xfc };
        match Self::from_byte(byte) {
            Some(options) if byte & reserved == 0 => Ok(options),
            _ => Err(reader.broken_at(bad_options(byte, reserved), start)),
        }
    }
}

#[cold]
fn bad_options(byte: u8, reserved: u8) -> RuleId {
    if byte & reserved != 0 {
        RuleId::SubscriptionOptionsReserved
    } else if byte & 0x03 == 0x03 {
        RuleId::SubscriptionQoS
    } else {
        RuleId::RetainHandling
    }
}

/// One filter of a SUBSCRIBE.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SubscribeFilter<'a> {
    /// The topic filter; its form is not looked at.
    pub filter: &'a str,
    /// How its messages are to be sent.
    pub options: SubscriptionOptions,
}

/// The filters of a SUBSCRIBE. Both forms compare equal when they hold the same filters.
#[derive(Clone, Copy)]
pub enum Filters<'a> {
    /// As received.
    Wire(WireFilters<'a>),
    /// To be sent.
    List(&'a [SubscribeFilter<'a>]),
}

/// Filters in a received packet, checked.
#[derive(Clone, Copy)]
pub struct WireFilters<'a> {
    bytes: &'a [u8],
}

impl<'a> WireFilters<'a> {
    #[inline(always)]
    fn decode(reader: &mut Reader<'a>, version: impl AnyVersion) -> Result<Self, Broken> {
        if reader.is_empty() {
            return Err(reader.broken_here(RuleId::SubscribeEmpty));
        }
        let bytes = reader.rest();
        while !reader.is_empty() {
            reader.skip_string()?;
            SubscriptionOptions::decode(reader, version)?;
        }
        Ok(Self { bytes })
    }
}

impl<'a> Filters<'a> {
    /// The filters in their order, that of the reason codes in the SUBACK.
    pub fn iter(&self) -> impl Iterator<Item = SubscribeFilter<'a>> + Clone + use<'a> {
        let (bytes, list): (&'a [u8], &'a [SubscribeFilter<'a>]) = match self {
            Self::Wire(WireFilters { bytes }) => (bytes, &[]),
            Self::List(list) => (&[], list),
        };
        let mut reader = Reader::new(bytes, bytes.len());
        let wire = core::iter::from_fn(move || {
            let filter = reader.string().ok()?;
            let options = SubscriptionOptions::from_byte(reader.u8().ok()?)?;
            Some(SubscribeFilter { filter, options })
        });
        wire.chain(list.iter().copied())
    }

    /// How many there are; walks over received ones.
    pub fn len(&self) -> usize {
        match self {
            Self::Wire(_) => self.iter().count(),
            Self::List(list) => list.len(),
        }
    }

    /// Whether there is none, which cannot be sent ([MQTT-3.8.3-2]).
    pub const fn is_empty(&self) -> bool {
        match self {
            Self::Wire(WireFilters { bytes }) => bytes.is_empty(),
            Self::List(list) => list.is_empty(),
        }
    }
}

impl<'a> From<&'a [SubscribeFilter<'a>]> for Filters<'a> {
    fn from(list: &'a [SubscribeFilter<'a>]) -> Self {
        Self::List(list)
    }
}

impl PartialEq for Filters<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Filters<'_> {}

impl fmt::Debug for Filters<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl fmt::Debug for WireFilters<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Filters::Wire(*self).fmt(f)
    }
}

/// SUBSCRIBE: asks for the messages of one or more filters.
///
/// Options that MQTT 3.1 and 3.1.1 do not have cannot be written there; properties are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subscribe<'a> {
    /// Comes back in the SUBACK.
    pub packet_id: PacketId,
    /// Subscription identifier and user properties.
    pub properties: Properties<'a>,
    /// At least one.
    pub filters: Filters<'a>,
}

impl<'a> Subscribe<'a> {
    #[inline(always)]
    pub(crate) fn decode(
        reader: &mut Reader<'a>,
        cx: Context<impl AnyVersion>,
    ) -> Result<Self, Broken> {
        let packet_id = reader.packet_id()?;
        let properties = cx.properties(reader, &const { Spot::new(place::SUBSCRIBE) })?;
        let filters = Filters::Wire(WireFilters::decode(reader, cx.version)?);
        Ok(Self {
            packet_id,
            properties,
            filters,
        })
    }
}

impl Layout for Subscribe<'_> {
    fn first_byte(&self) -> u8 {
        (PacketType::Subscribe as u8) << 4 | 2
    }

    fn check<V: AnyVersion>(&self, version: V) -> Result<(), EncodeError> {
        if self.filters.is_empty() {
            return Err(EncodeError::Empty);
        }
        if version.is_v5() {
            return self
                .properties
                .check(&const { Spot::new(place::SUBSCRIBE) });
        }
        let plain = |filter: SubscribeFilter<'_>| {
            filter.options == SubscriptionOptions::new(filter.options.qos)
        };
        if self.filters.iter().all(plain) {
            Ok(())
        } else {
            Err(EncodeError::NotInVersion)
        }
    }

    #[inline(always)]
    fn body<S: Sink, V: AnyVersion>(&self, version: V, sink: &mut S) {
        sink.u16(self.packet_id.get());
        if version.is_v5() {
            self.properties.write_with_len(sink);
        }
        match self.filters {
            Filters::Wire(WireFilters { bytes }) => sink.bytes(bytes),
            Filters::List(list) => {
                for SubscribeFilter { filter, options } in list {
                    sink.string(filter);
                    sink.u8(options.to_byte());
                }
            }
        }
    }
}

impl_encode!(Subscribe);

#[cfg(test)]
mod tests {
    use super::*;

    /// Reserved bits, QoS 3 and retain handling 3 are no options [MQTT-3.8.3-5].
    #[test]
    fn every_byte_of_options_is_read_back_or_refused() {
        for byte in 0..=u8::MAX {
            let valid = byte & 0xc0 == 0 && byte & 0x03 != 0x03 && byte & 0x30 != 0x30;
            let options = SubscriptionOptions::from_byte(byte);
            assert_eq!(
                options.map(SubscriptionOptions::to_byte),
                valid.then_some(byte)
            );
        }
    }

    #[test]
    fn options_take_four_bytes() {
        assert_eq!(size_of::<SubscriptionOptions>(), 4);
    }
}
