//! Quality of service, and the packet identifier that goes with it.

use crate::PacketId;

/// How often a message arrives: at most once, at least once or exactly once.
///
/// Ordered by strength, so that the QoS of a delivery is `published.min(granted)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[repr(u8)]
pub enum QoS {
    /// QoS 0: sent once and forgotten.
    #[default]
    AtMostOnce = 0,
    /// QoS 1: sent until a PUBACK arrives; may arrive more than once.
    AtLeastOnce = 1,
    /// QoS 2: sent with the four-packet handshake; arrives once.
    ExactlyOnce = 2,
}

impl QoS {
    /// The QoS with this number, `None` above 2.
    #[inline]
    pub const fn from_u8(value: u8) -> Option<Self> {
        match value {
            0 => Some(Self::AtMostOnce),
            1 => Some(Self::AtLeastOnce),
            2 => Some(Self::ExactlyOnce),
            _ => None,
        }
    }
}

/// The QoS of a PUBLISH together with its packet identifier, which QoS 0 has none of
/// ([MQTT-2.2.1-2]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Delivery {
    /// QoS 0.
    AtMostOnce,
    /// QoS 1, answered with a PUBACK of this identifier.
    AtLeastOnce(PacketId),
    /// QoS 2, answered with a PUBREC of this identifier.
    ExactlyOnce(PacketId),
}

impl Delivery {
    /// The QoS alone.
    #[inline]
    pub const fn qos(self) -> QoS {
        match self {
            Self::AtMostOnce => QoS::AtMostOnce,
            Self::AtLeastOnce(_) => QoS::AtLeastOnce,
            Self::ExactlyOnce(_) => QoS::ExactlyOnce,
        }
    }

    /// The packet identifier, `None` for QoS 0.
    #[inline]
    pub const fn packet_id(self) -> Option<PacketId> {
        match self {
            Self::AtMostOnce => None,
            Self::AtLeastOnce(id) | Self::ExactlyOnce(id) => Some(id),
        }
    }
}
