//! `mqttbytes`: 3.1.1 and 5.0, each packet split off a `BytesMut`; payloads share its memory, strings are copied.

use bytes::BytesMut;
use mqtt_codec::Version::{V5, V311};
use mqttbytes::{Error, v4, v5};

use crate::codec::adapter::{Adapter, BufferCodec, Taken};

const NAME: &str = "mqttbytes";
const MAX_SIZE: usize = 1 << 20;

pub(super) const ADAPTERS: [Adapter; 2] = [
    Adapter::buffers::<V4>(NAME, V311),
    Adapter::buffers::<Five>(NAME, V5),
];

struct V4;
struct Five;

fn taken<P>(read: Result<P, Error>) -> Option<Taken<P>> {
    match read {
        Ok(packet) => Some(Taken::Packet(packet)),
        Err(Error::InsufficientBytes(bytes)) => Some(Taken::Missing(bytes)),
        Err(_) => None,
    }
}

impl BufferCodec for V4 {
    type Packet = v4::Packet;
    type State = ();

    fn state() {}

    #[inline]
    fn read((): &mut (), buffer: &mut BytesMut) -> Option<Taken<Self::Packet>> {
        taken(v4::read(buffer, MAX_SIZE))
    }

    #[inline]
    fn write((): &mut (), packet: &Self::Packet, buffer: &mut BytesMut) -> bool {
        use v4::Packet;
        let written = match packet {
            Packet::Connect(it) => it.write(buffer),
            Packet::Publish(it) => it.write(buffer),
            Packet::PubAck(it) => it.write(buffer),
            Packet::PubRel(it) => it.write(buffer),
            Packet::Subscribe(it) => it.write(buffer),
            Packet::PingReq => v4::PingReq.write(buffer),
            _ => return false,
        };
        written.is_ok()
    }
}

impl BufferCodec for Five {
    type Packet = v5::Packet;
    type State = ();

    fn state() {}

    #[inline]
    fn read((): &mut (), buffer: &mut BytesMut) -> Option<Taken<Self::Packet>> {
        taken(v5::read(buffer, MAX_SIZE))
    }

    #[inline]
    fn write((): &mut (), packet: &Self::Packet, buffer: &mut BytesMut) -> bool {
        use v5::Packet;
        let written = match packet {
            Packet::Connect(it) => it.write(buffer),
            Packet::Publish(it) => it.write(buffer),
            Packet::PubAck(it) => it.write(buffer),
            Packet::PubRel(it) => it.write(buffer),
            Packet::Subscribe(it) => it.write(buffer),
            Packet::PingReq => v5::PingReq.write(buffer),
            _ => return false,
        };
        written.is_ok()
    }
}
