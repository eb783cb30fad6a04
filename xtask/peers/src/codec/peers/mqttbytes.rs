//! `mqttbytes`: 3.1.1 and 5.0, each packet split off a `BytesMut`; payloads share its memory, strings are copied.

use bytes::BytesMut;
use mqtt_codec::Version::{V5, V311};
use mqttbytes::{Error, v4, v5};

use crate::codec::adapter::{Adapter, BufferCodec, Taken};

const NAME: &str = "mqttbytes";
const MAX_SIZE: usize = 1 << 20;

pub(super) const ADAPTERS: [Adapter; 2] = [
    Adapter::buffers::<Four>(NAME, V311),
    Adapter::buffers::<Five>(NAME, V5),
];

struct Four;
struct Five;

/// Implements the trait for the packets of one version.
macro_rules! codec {
    ($name:ident, $version:ident) => {
        impl BufferCodec for $name {
            type Packet = $version::Packet;
            type State = ();

            fn state() {}

            #[inline]
            fn read((): &mut (), buffer: &mut BytesMut) -> Option<Taken<Self::Packet>> {
                match $version::read(buffer, MAX_SIZE) {
                    Ok(packet) => Some(Taken::Packet(packet)),
                    Err(Error::InsufficientBytes(bytes)) => Some(Taken::Missing(bytes)),
                    Err(_) => None,
                }
            }

            #[inline]
            fn write((): &mut (), packet: &Self::Packet, buffer: &mut BytesMut) -> bool {
                use $version::{Packet, PingReq};
                let written = match packet {
                    Packet::Connect(it) => it.write(buffer),
                    Packet::Publish(it) => it.write(buffer),
                    Packet::PubAck(it) => it.write(buffer),
                    Packet::PubRel(it) => it.write(buffer),
                    Packet::Subscribe(it) => it.write(buffer),
                    Packet::PingReq => PingReq.write(buffer),
                    _ => return false,
                };
                written.is_ok()
            }
        }
    };
}

codec!(Four, v4);
codec!(Five, v5);
