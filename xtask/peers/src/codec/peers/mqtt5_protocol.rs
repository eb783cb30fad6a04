//! `mqtt5-protocol`: 3.1.1 and 5.0, from any `Buf`. It gets `Bytes` that were split off a `BytesMut`, so that its payloads
//! share memory; strings are copied. The version of a packet that it writes is one of the packet's fields.

use bytes::{Buf, BytesMut};
use mqtt_codec::Version::{V5, V311};
use mqtt5_protocol::packet::pingreq::PingReqPacket;
use mqtt5_protocol::packet::{FixedHeader, MqttPacket, Packet};

use crate::codec::adapter::{Adapter, BufferCodec, Taken};
use crate::codec::frames::frame_len;

const NAME: &str = "mqtt5-protocol";

pub(super) const ADAPTERS: [Adapter; 2] = [
    Adapter::buffers::<Protocol<4>>(NAME, V311),
    Adapter::buffers::<Protocol<5>>(NAME, V5),
];

struct Protocol<const VERSION: u8>;

impl<const VERSION: u8> BufferCodec for Protocol<VERSION> {
    type Packet = Packet;
    type State = ();

    fn state() {}

    #[inline]
    fn read((): &mut (), buffer: &mut BytesMut) -> Option<Taken<Packet>> {
        // Its own header reader takes the bytes away even if they are too few: the length is looked at first.
        match frame_len(buffer) {
            Ok(len) if len <= buffer.len() => {
                let mut frame = buffer.split_to(len).freeze();
                let header = FixedHeader::decode(&mut frame).ok()?;
                debug_assert_eq!(header.remaining_length as usize, frame.remaining());
                let packet = Packet::decode_from_body_with_version(
                    header.packet_type,
                    &header,
                    &mut frame,
                    VERSION,
                );
                packet.ok().map(Taken::Packet)
            }
            Ok(needed) | Err(needed) => Some(Taken::Missing(needed - buffer.len())),
        }
    }

    #[inline]
    fn write((): &mut (), packet: &Packet, buffer: &mut BytesMut) -> bool {
        match packet {
            Packet::Connect(it) => it.encode(buffer),
            Packet::Publish(it) => it.encode(buffer),
            Packet::PubAck(it) => it.encode(buffer),
            Packet::PubRel(it) => it.encode(buffer),
            Packet::Subscribe(it) => it.encode(buffer),
            Packet::PingReq => PingReqPacket::default().encode(buffer),
            _ => return false,
        }
        .is_ok()
    }
}
