//! `mqtt-proto`: 3.1.1 and 5.0, from a slice; everything is copied, and bytes are handed out in memory of their own.

use mqtt_codec::Version::{V5, V311};
use mqtt_proto::{VarBytes, v3, v5};

use crate::codec::adapter::{Adapter, OwningCodec, Reader};

const NAME: &str = "mqtt-proto";

pub(super) const ADAPTERS: [Adapter; 2] = [
    Adapter::owning::<Three>(NAME, V311),
    Adapter::owning::<Five>(NAME, V5),
];

struct Three;
struct Five;

/// Implements the traits for the packets of one version.
macro_rules! codec {
    ($name:ident, $version:ident) => {
        impl Reader for $name {
            type Packet<'a> = $version::Packet;

            #[inline]
            fn read(frame: &[u8]) -> Option<Self::Packet<'_>> {
                $version::Packet::decode(frame).ok().flatten()
            }
        }

        impl OwningCodec for $name {
            type Bytes = VarBytes;

            #[inline]
            fn bytes(packet: &Self::Packet<'_>) -> Option<VarBytes> {
                packet.encode().ok()
            }
        }
    };
}

codec!(Three, v3);
codec!(Five, v5);
