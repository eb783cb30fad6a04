//! Numbers with a range of their own: packet identifiers, aliases, subscription identifiers.

use core::fmt;
use core::num::NonZeroU16;

/// Identifies a packet that awaits an answer, within one direction of one session.
///
/// Range 1..=65,535 ([MQTT-2.2.1-3], [MQTT-2.2.1-4]).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(transparent))]
pub struct PacketId(NonZeroU16);

/// A number that stands for a topic name on one connection, in one direction.
///
/// Range 1..=65,535 ([MQTT-3.3.2-8]), further limited by the Topic Alias Maximum of the receiver.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(transparent))]
pub struct TopicAlias(NonZeroU16);

/// Largest number of QoS 1 and QoS 2 publications the peer may leave unacknowledged at once.
///
/// Range 1..=65,535, default 65,535 when absent. Counts messages, not bytes; QoS 0 is never
/// counted. Binds the client ([MQTT-3.3.4-7]) and the server ([MQTT-3.3.4-9]) when sending.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(transparent))]
pub struct ReceiveMaximum(NonZeroU16);

macro_rules! non_zero_u16 {
    ($name:ident) => {
        impl $name {
            /// The smallest value, 1.
            pub const MIN: Self = Self(NonZeroU16::MIN);
            /// The largest value, 65,535.
            pub const MAX: Self = Self(NonZeroU16::MAX);

            /// The value with this number, `None` for 0.
            #[inline]
            pub const fn new(value: u16) -> Option<Self> {
                match NonZeroU16::new(value) {
                    Some(value) => Some(Self(value)),
                    None => None,
                }
            }

            /// The number, never 0.
            #[inline]
            pub const fn get(self) -> u16 {
                self.0.get()
            }
        }

        impl From<NonZeroU16> for $name {
            fn from(value: NonZeroU16) -> Self {
                Self(value)
            }
        }

        impl From<$name> for u16 {
            fn from(value: $name) -> Self {
                value.get()
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

non_zero_u16!(PacketId);
non_zero_u16!(TopicAlias);
non_zero_u16!(ReceiveMaximum);

impl Default for ReceiveMaximum {
    /// 65,535, what holds when the property is absent.
    fn default() -> Self {
        Self::MAX
    }
}

/// A number that a client gives to a subscription and gets back with every message of it.
///
/// Range 1..=268,435,455, the non-zero Variable Byte Integers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "u32", into = "u32"))]
pub struct SubscriptionId(core::num::NonZeroU32);

impl SubscriptionId {
    /// The smallest value, 1.
    pub const MIN: Self = Self(core::num::NonZeroU32::MIN);

    /// The value with this number, `None` for 0 and above 268,435,455.
    #[inline]
    pub const fn new(value: u32) -> Option<Self> {
        match core::num::NonZeroU32::new(value) {
            Some(id) if value <= crate::varint::MAX => Some(Self(id)),
            _ => None,
        }
    }

    /// The number, 1..=268,435,455.
    #[inline]
    pub const fn get(self) -> u32 {
        self.0.get()
    }
}

impl From<SubscriptionId> for u32 {
    fn from(value: SubscriptionId) -> Self {
        value.get()
    }
}

impl TryFrom<u32> for SubscriptionId {
    type Error = OutOfRange;

    fn try_from(value: u32) -> Result<Self, OutOfRange> {
        Self::new(value).ok_or(OutOfRange)
    }
}

impl fmt::Debug for SubscriptionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SubscriptionId({})", self.0)
    }
}

impl fmt::Display for SubscriptionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// A number outside the range of the type it was meant for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfRange;

impl fmt::Display for OutOfRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("number out of range")
    }
}

impl core::error::Error for OutOfRange {}

#[cfg(test)]
mod tests {
    use super::*;

    /// Packet identifiers and aliases are never zero [MQTT-2.2.1-3] [MQTT-3.3.2-8].
    #[test]
    fn zero_is_no_identifier() {
        assert_eq!(PacketId::new(0), None);
        assert_eq!(TopicAlias::new(0), None);
        assert_eq!(ReceiveMaximum::new(0), None);
        assert_eq!(ReceiveMaximum::default().get(), 65_535);
    }

    #[test]
    fn subscription_ids_end_where_variable_byte_integers_do() {
        assert_eq!(SubscriptionId::new(0), None);
        assert_eq!(
            SubscriptionId::new(268_435_455).map(SubscriptionId::get),
            Some(268_435_455)
        );
        assert_eq!(SubscriptionId::new(268_435_456), None);
        assert_eq!(SubscriptionId::try_from(0), Err(OutOfRange));
    }
}
