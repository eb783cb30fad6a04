//! `rumqttc`, the codec inside the client: 3.1.1 and 5.0, each packet split off a `BytesMut`. Payloads share its memory,
//! and in 5.0 topics too, which are not checked for UTF-8.

use bytes::BytesMut;
use mqtt_codec::Version::{V5, V311};
use rumqttc::mqttbytes::{Error, v4};
use rumqttc::v5::mqttbytes::{Error as Error5, v5};

use crate::codec::adapter::{Adapter, BufferCodec, Taken};

const NAME: &str = "rumqttc";
const MAX_SIZE: usize = 1 << 20;

pub(super) const ADAPTERS: [Adapter; 2] = [
    Adapter::buffers::<V4>(NAME, V311),
    Adapter::buffers::<Five>(NAME, V5),
];

struct V4;
struct Five;

impl BufferCodec for V4 {
    type Packet = v4::Packet;
    type State = ();

    fn state() {}

    #[inline]
    fn read((): &mut (), buffer: &mut BytesMut) -> Option<Taken<Self::Packet>> {
        match v4::Packet::read(buffer, MAX_SIZE) {
            Ok(packet) => Some(Taken::Packet(packet)),
            Err(Error::InsufficientBytes(bytes)) => Some(Taken::Missing(bytes)),
            Err(_) => None,
        }
    }

    #[inline]
    fn write((): &mut (), packet: &Self::Packet, buffer: &mut BytesMut) -> bool {
        packet.write(buffer, MAX_SIZE).is_ok()
    }
}

impl BufferCodec for Five {
    type Packet = v5::Packet;
    type State = ();

    fn state() {}

    #[inline]
    fn read((): &mut (), buffer: &mut BytesMut) -> Option<Taken<Self::Packet>> {
        match v5::Packet::read(buffer, Some(MAX_SIZE as u32)) {
            Ok(packet) => Some(Taken::Packet(packet)),
            Err(Error5::InsufficientBytes(bytes)) => Some(Taken::Missing(bytes)),
            Err(_) => None,
        }
    }

    #[inline]
    fn write((): &mut (), packet: &Self::Packet, buffer: &mut BytesMut) -> bool {
        packet.write(buffer, Some(MAX_SIZE as u32)).is_ok()
    }
}
