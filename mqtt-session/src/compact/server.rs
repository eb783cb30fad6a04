//! What a 5.0 broker allows its client.

use mqtt_codec::ReasonCode;

use super::queue::Record;

/// The limits of a CONNACK; before it has come, those of a broker that says nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Server {
    /// Its Receive Maximum.
    pub(super) window: u16,
    pub(super) maximum_packet_size: u32,
    pub(super) alias_maximum: u16,
    pub(super) maximum_qos: u8,
    pub(super) retain_available: bool,
}

impl Server {
    pub(super) const DEFAULT: Self = Self {
        window: u16::MAX,
        maximum_packet_size: u32::MAX,
        alias_maximum: 0,
        maximum_qos: 2,
        retain_available: true,
    };

    /// Why a packet must not be sent [MQTT-3.2.2-11], [MQTT-3.2.2-14], [MQTT-3.2.2-15].
    pub(super) fn refuses(&self, record: Record) -> Option<ReasonCode> {
        let header = match record.len {
            0..=0x7f => 2,
            0x80..=0x3fff => 3,
            _ => 4,
        };
        if u32::from(record.len) + header > self.maximum_packet_size {
            Some(ReasonCode::PACKET_TOO_LARGE)
        } else if !record.is_publish() {
            None
        } else if record.qos() > self.maximum_qos {
            Some(ReasonCode::QOS_NOT_SUPPORTED)
        } else if record.is_retained() && !self.retain_available {
            Some(ReasonCode::RETAIN_NOT_SUPPORTED)
        } else {
            None
        }
    }
}
