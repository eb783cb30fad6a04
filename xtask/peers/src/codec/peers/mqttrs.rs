//! `mqttrs`: 3.1.1, borrowing from a slice; the filters of a SUBSCRIBE are copied.

use mqtt_codec::Version::V311;

use crate::codec::adapter::{Adapter, Reader, SliceCodec};

pub(super) const ADAPTERS: [Adapter; 1] = [Adapter::slices::<Mqttrs>("mqttrs", V311)];

struct Mqttrs;

impl Reader for Mqttrs {
    type Packet<'a> = mqttrs::Packet<'a>;

    #[inline]
    fn read(frame: &[u8]) -> Option<Self::Packet<'_>> {
        mqttrs::decode_slice(frame).ok().flatten()
    }
}

impl SliceCodec for Mqttrs {
    #[inline]
    fn write(packet: &Self::Packet<'_>, buffer: &mut [u8]) -> Option<usize> {
        mqttrs::encode_slice(packet, buffer).ok()
    }
}
