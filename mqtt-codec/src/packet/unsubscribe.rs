//! UNSUBSCRIBE: filters of subscriptions that end.

use core::fmt;

use crate::encode::{Layout, impl_encode};
use crate::frame::Context;
use crate::place;
use crate::property::Spot;
use crate::sink::Sink;
use crate::wire::{Broken, Reader};
use crate::{AnyVersion, EncodeError, PacketId, PacketType, Properties, RuleId};

/// The filters of an UNSUBSCRIBE. Both forms compare equal when they hold the same filters.
#[derive(Clone, Copy)]
pub enum UnsubscribeFilters<'a> {
    /// As received.
    Wire(WireUnsubscribeFilters<'a>),
    /// To be sent.
    List(&'a [&'a str]),
}

/// Filters in a received packet, checked.
#[derive(Clone, Copy)]
pub struct WireUnsubscribeFilters<'a> {
    bytes: &'a [u8],
}

impl<'a> WireUnsubscribeFilters<'a> {
    #[inline(always)]
    fn decode(reader: &mut Reader<'a>) -> Result<Self, Broken> {
        if reader.is_empty() {
            return Err(reader.broken_here(RuleId::UnsubscribeEmpty));
        }
        let bytes = reader.rest();
        while !reader.is_empty() {
            reader.skip_string()?;
        }
        Ok(Self { bytes })
    }
}

impl<'a> UnsubscribeFilters<'a> {
    /// The filters in their order, that of the reason codes in the UNSUBACK.
    pub fn iter(&self) -> impl Iterator<Item = &'a str> + Clone + use<'a> {
        let (bytes, list): (&'a [u8], &'a [&'a str]) = match self {
            Self::Wire(WireUnsubscribeFilters { bytes }) => (bytes, &[]),
            Self::List(list) => (&[], list),
        };
        let mut reader = Reader::new(bytes, bytes.len());
        core::iter::from_fn(move || reader.string().ok()).chain(list.iter().copied())
    }

    /// How many there are; walks over received ones.
    pub fn len(&self) -> usize {
        match self {
            Self::Wire(_) => self.iter().count(),
            Self::List(list) => list.len(),
        }
    }

    /// Whether there is none, which cannot be sent ([MQTT-3.10.3-2]).
    pub const fn is_empty(&self) -> bool {
        match self {
            Self::Wire(WireUnsubscribeFilters { bytes }) => bytes.is_empty(),
            Self::List(list) => list.is_empty(),
        }
    }
}

impl<'a> From<&'a [&'a str]> for UnsubscribeFilters<'a> {
    fn from(list: &'a [&'a str]) -> Self {
        Self::List(list)
    }
}

impl PartialEq for UnsubscribeFilters<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for UnsubscribeFilters<'_> {}

impl fmt::Debug for UnsubscribeFilters<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl fmt::Debug for WireUnsubscribeFilters<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        UnsubscribeFilters::Wire(*self).fmt(f)
    }
}

/// UNSUBSCRIBE: ends the subscriptions of one or more filters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unsubscribe<'a> {
    /// Comes back in the UNSUBACK.
    pub packet_id: PacketId,
    /// User properties.
    pub properties: Properties<'a>,
    /// At least one.
    pub filters: UnsubscribeFilters<'a>,
}

impl<'a> Unsubscribe<'a> {
    #[inline(always)]
    pub(crate) fn decode(
        reader: &mut Reader<'a>,
        cx: Context<impl AnyVersion>,
    ) -> Result<Self, Broken> {
        let packet_id = reader.packet_id()?;
        let properties = cx.properties(reader, &const { Spot::new(place::UNSUBSCRIBE) })?;
        let filters = UnsubscribeFilters::Wire(WireUnsubscribeFilters::decode(reader)?);
        Ok(Self {
            packet_id,
            properties,
            filters,
        })
    }
}

impl Layout for Unsubscribe<'_> {
    fn first_byte(&self) -> u8 {
        (PacketType::Unsubscribe as u8) << 4 | 2
    }

    fn check<V: AnyVersion>(&self, version: V) -> Result<(), EncodeError> {
        if self.filters.is_empty() {
            return Err(EncodeError::Empty);
        }
        if version.is_v5() {
            self.properties
                .check(&const { Spot::new(place::UNSUBSCRIBE) })
        } else {
            Ok(())
        }
    }

    #[inline(always)]
    fn body<S: Sink, V: AnyVersion>(&self, version: V, sink: &mut S) {
        sink.u16(self.packet_id.get());
        if version.is_v5() {
            self.properties.write_with_len(sink);
        }
        match self.filters {
            UnsubscribeFilters::Wire(WireUnsubscribeFilters { bytes }) => sink.bytes(bytes),
            UnsubscribeFilters::List(list) => list.iter().for_each(|filter| sink.string(filter)),
        }
    }
}

impl_encode!(Unsubscribe);
