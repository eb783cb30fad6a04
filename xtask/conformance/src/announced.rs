//! What a broker says of itself in its 5.0 CONNACK: cases about what it lacks are not applicable.

use mqtt_codec::{ConnAck, QoS};

/// The limits of a broker; as long as it has not spoken, such that every case applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Announced {
    /// Highest QoS of a PUBLISH.
    pub(crate) maximum_qos: QoS,
    /// Whether messages may be retained.
    pub(crate) retain_available: bool,
    /// Whether filters may have wildcards.
    pub(crate) wildcards: bool,
    /// Whether subscriptions may have identifiers.
    pub(crate) subscription_ids: bool,
    /// Whether subscriptions may be shared.
    pub(crate) shared: bool,
    /// Bytes of the largest packet that it takes.
    pub(crate) maximum_packet_size: u32,
    /// Publications of QoS 1 and 2 that a client may leave unacknowledged.
    pub(crate) receive_maximum: u16,
    /// Highest topic alias that a client may use.
    pub(crate) topic_alias_maximum: u16,
    /// Seconds of keep-alive that it imposes.
    pub(crate) server_keep_alive: Option<u16>,
}

impl Default for Announced {
    fn default() -> Self {
        Self {
            maximum_qos: QoS::ExactlyOnce,
            retain_available: true,
            wildcards: true,
            subscription_ids: true,
            shared: true,
            maximum_packet_size: 1_000_000,
            receive_maximum: 16,
            topic_alias_maximum: 16,
            server_keep_alive: None,
        }
    }
}

impl From<&ConnAck<'_>> for Announced {
    fn from(ack: &ConnAck<'_>) -> Self {
        let properties = &ack.properties;
        let default = Self::default();
        Self {
            maximum_qos: properties.maximum_qos().unwrap_or(default.maximum_qos),
            retain_available: properties.retain_available().unwrap_or(true),
            wildcards: properties.wildcard_subscription_available().unwrap_or(true),
            subscription_ids: properties
                .subscription_identifier_available()
                .unwrap_or(true),
            shared: properties.shared_subscription_available().unwrap_or(true),
            maximum_packet_size: properties
                .maximum_packet_size()
                .map_or(u32::MAX, |size| size.get()),
            receive_maximum: properties
                .receive_maximum()
                .map_or(u16::MAX, |maximum| maximum.get()),
            topic_alias_maximum: properties.topic_alias_maximum().unwrap_or(0),
            server_keep_alive: properties.server_keep_alive(),
        }
    }
}
