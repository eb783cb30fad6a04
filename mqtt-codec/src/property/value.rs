//! How the type of a property is read and written.

use core::num::NonZeroU32;

use crate::sink::Sink;
use crate::wire::Reader;
use crate::{QoS, ReceiveMaximum, SubscriptionId, TopicAlias};

/// Whether a payload is text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum PayloadFormat {
    /// Bytes of which nothing is said; the same as leaving the property out.
    #[default]
    Unspecified,
    /// UTF-8 text.
    Utf8,
}

/// A type a property can have. Reading expects bytes that were checked, and gives `None` otherwise.
pub(super) trait Value<'a>: Copy {
    fn read(reader: &mut Reader<'a>) -> Option<Self>;
    /// Writes the identifier, and the value behind it.
    fn write<S: Sink>(self, id: u8, sink: &mut S);
}

impl Value<'_> for bool {
    #[inline]
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        reader.u8().ok().map(|byte| byte != 0)
    }

    #[inline]
    fn write<S: Sink>(self, id: u8, sink: &mut S) {
        sink.tagged(id, [u8::from(self)]);
    }
}

impl Value<'_> for PayloadFormat {
    #[inline]
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        bool::read(reader).map(|utf8| if utf8 { Self::Utf8 } else { Self::Unspecified })
    }

    #[inline]
    fn write<S: Sink>(self, id: u8, sink: &mut S) {
        (self == Self::Utf8).write(id, sink);
    }
}

impl Value<'_> for QoS {
    #[inline]
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        reader.u8().ok().and_then(Self::from_u8)
    }

    #[inline]
    fn write<S: Sink>(self, id: u8, sink: &mut S) {
        sink.tagged(id, [self as u8]);
    }
}

impl Value<'_> for u16 {
    #[inline]
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        reader.u16().ok()
    }

    #[inline]
    fn write<S: Sink>(self, id: u8, sink: &mut S) {
        sink.tagged(id, self.to_be_bytes());
    }
}

impl Value<'_> for u32 {
    #[inline]
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        reader.u32().ok()
    }

    #[inline]
    fn write<S: Sink>(self, id: u8, sink: &mut S) {
        sink.tagged(id, self.to_be_bytes());
    }
}

impl Value<'_> for NonZeroU32 {
    #[inline]
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        reader.u32().ok().and_then(Self::new)
    }

    #[inline]
    fn write<S: Sink>(self, id: u8, sink: &mut S) {
        self.get().write(id, sink);
    }
}

impl Value<'_> for ReceiveMaximum {
    #[inline]
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        reader.u16().ok().and_then(Self::new)
    }

    #[inline]
    fn write<S: Sink>(self, id: u8, sink: &mut S) {
        self.get().write(id, sink);
    }
}

impl Value<'_> for TopicAlias {
    #[inline]
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        reader.u16().ok().and_then(Self::new)
    }

    #[inline]
    fn write<S: Sink>(self, id: u8, sink: &mut S) {
        self.get().write(id, sink);
    }
}

impl Value<'_> for SubscriptionId {
    #[inline]
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        reader.varint().ok().and_then(Self::new)
    }

    #[inline]
    fn write<S: Sink>(self, id: u8, sink: &mut S) {
        sink.u8(id);
        sink.varint(self.get());
    }
}

impl<'a> Value<'a> for &'a str {
    #[inline]
    fn read(reader: &mut Reader<'a>) -> Option<Self> {
        reader.string().ok()
    }

    #[inline]
    fn write<S: Sink>(self, id: u8, sink: &mut S) {
        sink.u8(id);
        sink.string(self);
    }
}

impl<'a> Value<'a> for &'a [u8] {
    #[inline]
    fn read(reader: &mut Reader<'a>) -> Option<Self> {
        reader.binary().ok()
    }

    #[inline]
    fn write<S: Sink>(self, id: u8, sink: &mut S) {
        sink.u8(id);
        sink.binary(self);
    }
}

/// The two strings of a user property [MQTT-1.5.7-1].
impl<'a> Value<'a> for (&'a str, &'a str) {
    #[inline]
    fn read(reader: &mut Reader<'a>) -> Option<Self> {
        Some((reader.string().ok()?, reader.string().ok()?))
    }

    #[inline]
    fn write<S: Sink>(self, id: u8, sink: &mut S) {
        sink.u8(id);
        sink.string(self.0);
        sink.string(self.1);
    }
}
