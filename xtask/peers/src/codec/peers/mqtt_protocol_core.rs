//! `mqtt-protocol-core`: 3.1.1 and 5.0. Its packets are parsed without their fixed header, which is read here; a PUBLISH
//! wants its body in an `Arc`, and shares that. Bytes are handed out in memory of their own.

use mqtt_codec::Version::{V5, V311};
use mqtt_protocol_core::mqtt::Arc;
use mqtt_protocol_core::mqtt::packet::{GenericPacketTrait, Packet, v3_1_1, v5_0};
use mqtt_protocol_core::mqtt::result_code::MqttError;

use crate::codec::adapter::{Adapter, OwningCodec, Reader};

const NAME: &str = "mqtt-protocol-core";

pub(super) const ADAPTERS: [Adapter; 2] = [
    Adapter::owning::<Three>(NAME, V311),
    Adapter::owning::<Five>(NAME, V5),
];

struct Three;
struct Five;

/// First byte and body of a frame.
#[inline]
fn split(frame: &[u8]) -> Option<(u8, &[u8])> {
    let (&first, rest) = frame.split_first()?;
    let end = rest.iter().take(4).position(|byte| byte & 0x80 == 0)?;
    Some((first, &rest[end + 1..]))
}

#[inline]
fn whole<P: Into<Packet>>(parsed: Result<(P, usize), MqttError>, body: &[u8]) -> Option<Packet> {
    let (packet, consumed) = parsed.ok()?;
    (consumed == body.len()).then(|| packet.into())
}

/// Implements the traits for the packets of one version.
macro_rules! codec {
    ($name:ident, $version:ident) => {
        impl Reader for $name {
            type Packet<'a> = Packet;

            #[inline]
            fn read(frame: &[u8]) -> Option<Packet> {
                let (first, body) = split(frame)?;
                match first >> 4 {
                    1 => whole($version::Connect::parse(body), body),
                    3 => {
                        let shared: Arc<[u8]> = Arc::from(body);
                        whole($version::Publish::parse(first & 0x0f, shared), body)
                    }
                    4 => whole($version::Puback::parse(body), body),
                    5 => whole($version::Pubrec::parse(body), body),
                    6 => whole($version::Pubrel::parse(body), body),
                    7 => whole($version::Pubcomp::parse(body), body),
                    8 => whole($version::Subscribe::parse(body), body),
                    10 => whole($version::Unsubscribe::parse(body), body),
                    12 => whole($version::Pingreq::parse(body), body),
                    14 => whole($version::Disconnect::parse(body), body),
                    _ => None,
                }
            }
        }

        impl OwningCodec for $name {
            type Bytes = Vec<u8>;

            #[inline]
            fn bytes(packet: &Packet) -> Option<Vec<u8>> {
                Some(packet.to_continuous_buffer())
            }
        }
    };
}

codec!(Three, v3_1_1);
codec!(Five, v5_0);
