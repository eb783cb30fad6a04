//! The fixed header: packet type, flags and length of a frame.

use crate::varint::{self, VarInt};
use crate::wire::to_usize;
use crate::{DecodeError, Decoded, RuleId};

/// The fifteen control packets; the discriminant is the number on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum PacketType {
    /// Opens the session; the first packet of a client.
    Connect = 1,
    /// Answers CONNECT.
    ConnAck = 2,
    /// Carries a message, either way.
    Publish = 3,
    /// Answers a QoS 1 PUBLISH.
    PubAck = 4,
    /// Answers a QoS 2 PUBLISH.
    PubRec = 5,
    /// Answers PUBREC.
    PubRel = 6,
    /// Answers PUBREL.
    PubComp = 7,
    /// Asks for messages.
    Subscribe = 8,
    /// Answers SUBSCRIBE.
    SubAck = 9,
    /// Ends subscriptions.
    Unsubscribe = 10,
    /// Answers UNSUBSCRIBE.
    UnsubAck = 11,
    /// Asks for a sign of life.
    PingReq = 12,
    /// Answers PINGREQ.
    PingResp = 13,
    /// Ends the connection; from the server in MQTT 5.0 only.
    Disconnect = 14,
    /// Enhanced authentication, MQTT 5.0 only.
    Auth = 15,
}

impl PacketType {
    /// The packet type with this number, `None` for 0 and above 15.
    #[inline]
    pub const fn from_u8(value: u8) -> Option<Self> {
        Some(match value {
            1 => Self::Connect,
            2 => Self::ConnAck,
            3 => Self::Publish,
            4 => Self::PubAck,
            5 => Self::PubRec,
            6 => Self::PubRel,
            7 => Self::PubComp,
            8 => Self::Subscribe,
            9 => Self::SubAck,
            10 => Self::Unsubscribe,
            11 => Self::UnsubAck,
            12 => Self::PingReq,
            13 => Self::PingResp,
            14 => Self::Disconnect,
            15 => Self::Auth,
            _ => return None,
        })
    }
}

/// The first two to five bytes of a packet: enough to know its type and its length.
///
/// Flags are as received; [`Decoder`](crate::Decoder) checks them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FixedHeader {
    /// The upper four bits of the first byte.
    pub packet_type: PacketType,
    /// The lower four bits of the first byte, 0..=15.
    pub flags: u8,
    /// Bytes that follow this header, 0..=268,435,455.
    pub remaining_length: u32,
    /// Bytes of this header, 2..=5.
    pub header_len: u8,
}

impl FixedHeader {
    /// Reads the header of the packet that begins with `bytes`.
    ///
    /// # Errors
    /// The reserved packet type 0, and a length of more than four bytes or not in its shortest form.
    #[inline]
    pub fn decode(bytes: &[u8]) -> Result<Decoded<Self>, DecodeError> {
        let Some((&first, rest)) = bytes.split_first() else {
            return Ok(Decoded::NeedMore(2));
        };
        let Some(packet_type) = PacketType::from_u8(first >> 4) else {
            return Err(DecodeError {
                rule: RuleId::PacketTypeReserved,
                at: 0,
            });
        };
        let rule = match varint::decode(rest) {
            VarInt::Value(remaining_length, len) => {
                let header_len = 1 + len as u8;
                let packet = Self {
                    packet_type,
                    flags: first & 0x0f,
                    remaining_length,
                    header_len,
                };
                return Ok(Decoded::Complete {
                    packet,
                    len: usize::from(header_len),
                });
            }
            VarInt::Incomplete => return Ok(Decoded::NeedMore(bytes.len() + 1)),
            VarInt::TooLong => RuleId::VarIntTooLong,
            VarInt::NotShortest => RuleId::VarIntNotShortest,
        };
        Err(DecodeError { rule, at: 1 })
    }

    /// Writes a fixed header, and says how long it is.
    #[inline]
    pub fn write(first: u8, remaining_length: u32, room: &mut [u8; 5]) -> usize {
        let [to, lengths @ ..] = room;
        *to = first;
        let (mut rest, mut len) = (remaining_length, 1);
        for to in lengths {
            len += 1;
            *to = rest as u8 & 0x7f;
            rest >>= 7;
            if rest == 0 {
                break;
            }
            *to |= 0x80;
        }
        len
    }

    /// Bytes of the whole packet, this header included: 2..=268,435,460, or `usize::MAX` where a
    /// `usize` does not hold that.
    #[inline]
    pub const fn frame_len(&self) -> usize {
        to_usize(self.total())
    }

    /// Packet type and flags as they were read.
    #[inline]
    pub(crate) const fn first_byte(&self) -> u8 {
        (self.packet_type as u8) << 4 | self.flags
    }

    /// Bytes of the whole packet.
    #[inline]
    pub(crate) const fn total(&self) -> u32 {
        self.remaining_length.saturating_add(self.header_len as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_is_known_from_the_first_bytes() {
        let Ok(Decoded::Complete { packet, len }) =
            FixedHeader::decode(&[0x3d, 0xff, 0xff, 0xff, 0x7f])
        else {
            panic!("a complete header");
        };
        assert_eq!(
            (packet.packet_type, packet.flags),
            (PacketType::Publish, 0x0d)
        );
        assert_eq!((len, packet.frame_len()), (5, 268_435_460));
        assert_eq!(FixedHeader::decode(&[]), Ok(Decoded::NeedMore(2)));
        assert_eq!(FixedHeader::decode(&[0x30, 0x80]), Ok(Decoded::NeedMore(3)));
    }

    #[test]
    fn type_zero_is_refused_from_its_first_byte() {
        let error = DecodeError {
            rule: RuleId::PacketTypeReserved,
            at: 0,
        };
        assert_eq!(FixedHeader::decode(&[0x0f]), Err(error));
    }

    #[test]
    fn every_number_but_zero_is_a_type() {
        assert_eq!(PacketType::from_u8(0), None);
        assert_eq!(PacketType::from_u8(16), None);
        for number in 1..=15 {
            assert_eq!(
                PacketType::from_u8(number).map(|packet| packet as u8),
                Some(number)
            );
        }
    }
}
