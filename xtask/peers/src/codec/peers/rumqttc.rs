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
    Adapter::buffers::<Four>(NAME, V311),
    Adapter::buffers::<Five>(NAME, V5),
];

struct Four;
struct Five;

/// Implements the trait for the packets of one version, with its kind of error and its way to say the largest size.
macro_rules! codec {
    ($name:ident, $version:ident, $error:ident, $max_size:expr) => {
        impl BufferCodec for $name {
            type Packet = $version::Packet;
            type State = ();

            fn state() {}

            #[inline]
            fn read((): &mut (), buffer: &mut BytesMut) -> Option<Taken<Self::Packet>> {
                match $version::Packet::read(buffer, $max_size) {
                    Ok(packet) => Some(Taken::Packet(packet)),
                    Err($error::InsufficientBytes(bytes)) => Some(Taken::Missing(bytes)),
                    Err(_) => None,
                }
            }

            #[inline]
            fn write((): &mut (), packet: &Self::Packet, buffer: &mut BytesMut) -> bool {
                packet.write(buffer, $max_size).is_ok()
            }
        }
    };
}

codec!(Four, v4, Error, MAX_SIZE);
codec!(Five, v5, Error5, Some(MAX_SIZE as u32));
