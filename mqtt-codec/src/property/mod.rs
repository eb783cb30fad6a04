//! Properties of MQTT 5.0: a checked slice of a received packet, or a list to be sent.

mod check;
mod forward;
mod iter;
mod published;
mod table;
mod value;

use core::fmt;

pub(crate) use check::Limits;
pub use iter::PropertyIter;
pub use published::constant;
pub use table::Property;
pub(crate) use table::Spot;
pub use value::PayloadFormat;

use crate::sink::{Sink, WriteTo};
use crate::wire::{self, Reader};

/// The properties of a packet or will; always empty in MQTT 3.1 and 3.1.1.
///
/// Received ones are a slice of the packet, checked once and then read without failing. Those to be
/// sent are a list. Both compare equal when they hold the same properties in the same order.
#[derive(Clone, Copy)]
pub enum Properties<'a> {
    /// As received.
    Wire(WireProperties<'a>),
    /// To be sent.
    List(&'a [Property<'a>]),
}

/// Properties in their wire form, the length in front left out.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct WireProperties<'a> {
    bytes: &'a [u8],
}

impl<'a> WireProperties<'a> {
    /// No properties.
    pub const EMPTY: Self = Self { bytes: &[] };

    /// The same as [`Properties::stored`], with the same duties.
    #[inline]
    pub const fn stored(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// The bytes, as they stand in the packet behind the property length.
    #[inline]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }
}

impl<'a> Properties<'a> {
    /// No properties.
    pub const EMPTY: Self = Self::Wire(WireProperties { bytes: &[] });

    /// Properties from bytes that were checked before, when they were received: those of
    /// [`WireProperties::as_bytes`] or [`write_forwarded`](Self::write_forwarded).
    ///
    /// Costs nothing and checks nothing. Bytes that are no properties yield an iteration that is
    /// empty or ends early, never a panic; a packet written with them is refused by its receiver.
    /// For bytes of unknown origin there is [`checked_publish`](Self::checked_publish).
    #[inline]
    pub const fn stored(bytes: &'a [u8]) -> Self {
        Self::Wire(WireProperties { bytes })
    }

    /// The properties at the front of bytes that were checked before, their length in front; empty if there are none.
    #[must_use]
    pub fn at(bytes: &'a [u8]) -> Self {
        let mut reader = Reader::new(bytes, bytes.len());
        match reader.varint().and_then(|len| reader.part(len)) {
            Ok(properties) => Self::stored(properties.rest()),
            Err(_) => Self::EMPTY,
        }
    }

    /// Whether there is none.
    #[inline]
    pub const fn is_empty(&self) -> bool {
        match self {
            Self::Wire(WireProperties { bytes }) => bytes.is_empty(),
            Self::List(list) => list.is_empty(),
        }
    }

    /// Writes the length and the properties.
    #[inline(always)]
    pub(crate) fn write_with_len<S: Sink>(&self, sink: &mut S) {
        match self {
            Self::Wire(WireProperties { bytes: [] }) => sink.u8(0),
            Self::Wire(WireProperties { bytes }) => {
                sink.varint(wire::to_u32(bytes.len()));
                sink.bytes(bytes);
            }
            Self::List(_) => sink.with_len(*self),
        }
    }

    /// Writes the properties alone.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(crate) fn write<S: Sink>(&self, sink: &mut S) {
        match self {
            Self::Wire(WireProperties { bytes }) => sink.bytes(bytes),
            Self::List(list) => sink.list(list),
        }
    }
}

impl WriteTo for Properties<'_> {
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn write_to<S: Sink>(&self, sink: &mut S) {
        self.write(sink);
    }
}

impl Default for Properties<'_> {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl<'a> From<&'a [Property<'a>]> for Properties<'a> {
    fn from(list: &'a [Property<'a>]) -> Self {
        Self::List(list)
    }
}

impl<'a, const N: usize> From<&'a [Property<'a>; N]> for Properties<'a> {
    fn from(list: &'a [Property<'a>; N]) -> Self {
        Self::List(list)
    }
}

impl PartialEq for Properties<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Properties<'_> {}

impl fmt::Debug for Properties<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self).finish()
    }
}

impl fmt::Debug for WireProperties<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Properties::Wire(*self).fmt(f)
    }
}
