//! `rmqtt-codec`, the codec of the broker RMQTT: 3.1.1 and 5.0, through the traits of `tokio-util`. Payloads and strings
//! share the memory of the `BytesMut` that a packet was split off. A packet is consumed when it is written.

use bytes::BytesMut;
use mqtt_codec::Version::{V5, V311};
use rmqtt_codec::{v3, v5};
use tokio_util::codec::{Decoder, Encoder};

use crate::codec::adapter::{Adapter, BufferCodec, ConsumingCodec, Taken};

const NAME: &str = "rmqtt-codec";

pub(super) const ADAPTERS: [Adapter; 2] = [
    Adapter::consuming::<Three>(NAME, V311),
    Adapter::consuming::<Five>(NAME, V5),
];

struct Three;
struct Five;

/// Implements the traits for the codec of one version.
macro_rules! codec {
    ($name:ident, $version:ident, $new:expr) => {
        impl BufferCodec for $name {
            type Packet = $version::Packet;
            type State = $version::Codec;

            fn state() -> Self::State {
                $new
            }

            #[inline]
            fn read(state: &mut Self::State, buffer: &mut BytesMut) -> Option<Taken<Self::Packet>> {
                // It does not say how many bytes it needs.
                Some(match state.decode(buffer).ok()? {
                    Some((packet, _)) => Taken::Packet(packet),
                    None => Taken::Missing(1),
                })
            }

            fn write(
                state: &mut Self::State,
                packet: &Self::Packet,
                buffer: &mut BytesMut,
            ) -> bool {
                Self::write_owned(state, packet.clone(), buffer)
            }
        }

        impl ConsumingCodec for $name {
            #[inline]
            fn write_owned(
                state: &mut Self::State,
                packet: Self::Packet,
                buffer: &mut BytesMut,
            ) -> bool {
                state.encode(packet, buffer).is_ok()
            }
        }
    };
}

codec!(Three, v3, v3::Codec::new(1 << 20));
codec!(Five, v5, v5::Codec::new(1 << 20, 0));
