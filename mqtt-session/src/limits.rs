//! What a session holds its peer to; announced where the protocol has a word for it.

use mqtt_codec::QoS;

/// Limits of one end of a connection, announced in CONNECT or CONNACK (5.0) and held in every version.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// QoS 1 and QoS 2 messages that the peer may leave unacknowledged; 1..=65,535, default 1,000.
    pub receive_maximum: u16,
    /// The same for a peer to which Receive Maximum cannot be announced (before 5.0), and which may pipeline more without knowing better;
    /// default 10,000.
    pub unannounced_receive_maximum: u16,
    /// Most QoS 1 and QoS 2 messages in flight towards the peer, whatever it allows; 1..=65,535, default 1,000.
    pub send_maximum: u16,
    /// The same towards a peer that cannot announce its Receive Maximum (before 5.0), the lower of both counts; default 1,000.
    pub unannounced_send_maximum: u16,
    /// Largest packet taken, in bytes with its header; default 1,000,000.
    pub maximum_packet_size: u32,
    /// Aliases that the peer may use; default 64.
    pub topic_alias_maximum: u16,
    /// Aliases used towards the peer, when it allows as many; default 64.
    pub topic_alias_send_maximum: u16,
    /// Levels that a topic or filter may have; default 128.
    pub topic_levels: u16,
    /// Highest QoS that a client may publish with (server only); default 2.
    pub maximum_qos: QoS,
    /// Whether messages may be retained (server only); default yes.
    pub retain_available: bool,
    /// Time for the handshake, in milliseconds: on the server until CONNECT has come and its owner has decided, on the client until
    /// CONNACK; each AUTH of an exchange begins it anew; default 10,000.
    pub connect_timeout_ms: u32,
    /// Time that a client waits for PINGRESP, in milliseconds; default 10,000.
    pub ping_timeout_ms: u32,
}

impl Limits {
    /// The window towards a peer that announced nothing.
    pub(crate) fn window(&self, v5: bool) -> u16 {
        let announced = if v5 {
            u16::MAX
        } else {
            self.unannounced_send_maximum
        };
        self.send_maximum.min(announced).max(1)
    }

    /// The defaults that each field names.
    pub const DEFAULT: Self = Self {
        receive_maximum: 1_000,
        unannounced_receive_maximum: 10_000,
        send_maximum: 1_000,
        unannounced_send_maximum: 1_000,
        maximum_packet_size: 1_000_000,
        topic_alias_maximum: 64,
        topic_alias_send_maximum: 64,
        topic_levels: 128,
        maximum_qos: QoS::ExactlyOnce,
        retain_available: true,
        connect_timeout_ms: 10_000,
        ping_timeout_ms: 10_000,
    };
}

impl Limits {
    /// The Receive Maximum that a table of `capacity` places can stand by.
    pub(crate) fn held_to(&self, v5: bool, capacity: usize) -> u16 {
        let capacity = u16::try_from(capacity).unwrap_or(u16::MAX);
        let maximum = if v5 {
            self.receive_maximum
        } else {
            self.unannounced_receive_maximum
        };
        maximum.max(1).min(capacity)
    }
}

/// The largest packet in memory: one that is too large for any slice where memory has fewer bits than the protocol's lengths.
pub(crate) const fn packet_size(bytes: u32) -> usize {
    within(bytes, usize::MAX)
}

/// The number, or `most` if it is larger; a conversion alone would drop the upper half where `usize` has 16 bits.
const fn within(number: u32, most: usize) -> usize {
    if number as u64 > most as u64 {
        most
    } else {
        number as usize
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that takes packets of 65,536 bytes was one that takes none, on a processor with 16 bits.
    #[test]
    fn a_large_packet_size_is_no_small_one_where_memory_has_16_bits() {
        for (announced, held) in [
            (1, 1),
            (65_535, 65_535),
            (65_536, 65_535),
            (1_000_000, 65_535),
        ] {
            assert_eq!(within(announced, usize::from(u16::MAX)), held);
        }
        assert_eq!(packet_size(u32::MAX), u32::MAX as usize);
    }
}
