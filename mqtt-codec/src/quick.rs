//! Packets that are read where they are asked for, without a call: acknowledgements, known by two or four bytes, and what is ordinary
//! among PUBLISH.
//!
//! Nothing is decided here that the way through all rules would decide otherwise: what is not known to be right goes there.

use crate::admission::{Sender, broken_first_byte};
use crate::text::SMALL;
use crate::wire::to_usize;
use crate::{PacketId, PacketType, Version};

/// The packets that are nothing but a type and an identifier: the same bytes in all versions, and most of what answers messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Short {
    PubAck(PacketId),
    PubRec(PacketId),
    PubRel(PacketId),
    PubComp(PacketId),
    PingReq,
    PingResp,
}

/// The packet at the front of `bytes` and its length, if it is one of these and nothing is wrong with it. `None` says nothing: all other
/// bytes go the way through all rules.
#[inline(always)]
pub(crate) fn short(bytes: &[u8], maximum_packet_size: u32) -> Option<(Short, usize)> {
    if SMALL {
        return None;
    }
    let [first, len @ (0 | 2), rest @ ..] = bytes else {
        return None;
    };
    match (len, rest) {
        // Whoever takes less than four bytes has to be asked.
        _ if maximum_packet_size < 4 => None,
        (2, [high, low, ..]) => {
            let id = PacketId::new(u16::from_be_bytes([*high, *low]))?;
            let short = match first {
                0x40 => Short::PubAck(id),
                0x50 => Short::PubRec(id),
                0x62 => Short::PubRel(id),
                0x70 => Short::PubComp(id),
                _ => return None,
            };
            Some((short, 4))
        }
        (0, _) if *first == 0xc0 => Some((Short::PingReq, 2)),
        (0, _) if *first == 0xd0 => Some((Short::PingResp, 2)),
        _ => None,
    }
}

/// A PUBLISH that is there in full, and the first byte of which is allowed in all versions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PublishFrame<'a> {
    /// The lower half of the first byte.
    pub(crate) flags: u8,
    pub(crate) body: &'a [u8],
    /// Bytes of the whole packet.
    pub(crate) len: usize,
}

/// The flags of a PUBLISH that are allowed in all versions, a bit for each value.
const FLAGS: u16 = {
    let (mut allowed, mut flags) = (0, 0);
    while flags < 16 {
        let version = Version::V311;
        if broken_first_byte(PacketType::Publish, flags, Sender::Either, version).is_none() {
            allowed |= 1 << flags;
        }
        flags += 1;
    }
    allowed
};

/// The PUBLISH at the front of `bytes`. `None` says nothing; with pointers of less than 64 bits it is all that is said.
#[inline(always)]
pub(crate) fn publish(bytes: &[u8], maximum_packet_size: u32) -> Option<PublishFrame<'_>> {
    if !cfg!(target_pointer_width = "64") {
        return None;
    }
    let (first, header_len, remaining) = match *bytes {
        [first, len @ ..0x80, ..] => (first, 2, usize::from(len)),
        [first, low, high @ 1..0x80, ..] => {
            let low = usize::from(low & 0x7f);
            (first, 3, low | usize::from(high) << 7)
        }
        [first, low, middle @ 0x80..=0xff, high @ 1..0x80, ..] => {
            let low = usize::from(low & 0x7f) | usize::from(middle & 0x7f) << 7;
            (first, 4, low | usize::from(high) << 14)
        }
        _ => return None,
    };
    let flags = first.wrapping_sub((PacketType::Publish as u8) << 4);
    let len = header_len + remaining;
    if flags > 15 || FLAGS >> flags & 1 == 0 || len > to_usize(maximum_packet_size) {
        return None;
    }
    let body = bytes.get(header_len..len)?;
    Some(PublishFrame { flags, body, len })
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::vec;
    use std::vec::Vec;

    use crate::{Decoded, Decoder, Delivery, FromClient, Properties, Publish, Version};

    /// The short way gives what the way through all rules gives, for every first byte, lengths of these packets and others, and whatever limits.
    #[test]
    fn the_short_way_comes_to_the_same() {
        for first in 0..=u8::MAX {
            for bytes in [
                &[first, 2, 0, 7][..],
                &[first, 2, 0, 0],
                &[first, 2, 1],
                &[first, 2, 0xff, 0xff, 0xc0, 0],
                &[first, 0],
                &[first, 0, 0xff],
                &[first, 3, 0, 7, 0],
                &[first],
            ] {
                for version in [Version::V31, Version::V311, Version::V5] {
                    for maximum_packet_size in [1, 2, 3, 4, 5, 1_000] {
                        let decoder = Decoder {
                            maximum_packet_size,
                            ..Decoder::new(version)
                        };
                        let client = decoder.any_from_client(bytes);
                        assert_eq!(decoder.from_client(bytes), client, "{bytes:?}");
                        let server = decoder.any_from_server(bytes);
                        assert_eq!(decoder.from_server(bytes), server, "{bytes:?}");
                    }
                }
            }
        }
    }

    /// Reads `bytes` on both ways, from both sides, in all versions, and tells whether they are a PUBLISH.
    fn both_ways(bytes: &[u8]) -> bool {
        [1, 30, 1_000]
            .map(|limit| both_ways_within(bytes, limit))
            .contains(&true)
    }

    /// The same with one limit.
    fn both_ways_within(bytes: &[u8], maximum_packet_size: u32) -> bool {
        let mut is_publish = false;
        for version in [Version::V31, Version::V311, Version::V5] {
            let decoder = Decoder {
                maximum_packet_size,
                ..Decoder::new(version)
            };
            let client = decoder.from_client(bytes);
            assert_eq!(client, decoder.any_from_client(bytes), "{bytes:?}");
            let server = decoder.from_server(bytes);
            assert_eq!(server, decoder.any_from_server(bytes), "{bytes:?}");
            is_publish |= matches!(
                client,
                Ok(Decoded::Complete {
                    packet: FromClient::Publish(_),
                    ..
                })
            );
        }
        is_publish
    }

    /// A PUBLISH of these flags with the topic, an identifier if it has one, and what follows.
    fn publish(flags: u8, topic: &str, rest: &[u8]) -> Vec<u8> {
        let id: &[u8] = if flags & 6 == 0 { &[] } else { &[0, 7] };
        let len = 2 + topic.len() + id.len() + rest.len();
        let mut bytes = vec![0x30 | flags];
        match len {
            0..=0x7f => bytes.push(len as u8),
            _ => bytes.extend([len as u8 | 0x80, (len >> 7) as u8]),
        }
        bytes.extend((topic.len() as u16).to_be_bytes());
        bytes.extend(topic.as_bytes());
        bytes.extend(id);
        bytes.extend(rest);
        bytes
    }

    /// An ordinary PUBLISH, and everything that nearly is one: cut off anywhere, or with any byte changed.
    #[test]
    fn an_ordinary_publish_is_what_all_rules_say() {
        let mut seen = 0;
        let topics = ["", "a", "plant/1", "plant/1/temperature", "Größe/温度"];
        let rests = [
            &b""[..],
            b"\0",
            b"\0payload",
            b"\x03\x23\0\x05payload",
            b"\x02\x01\x01",
            b"\x80\x01",
        ];
        for flags in 0..16 {
            for topic in topics {
                for rest in rests {
                    let whole = publish(flags, topic, rest);
                    for len in 0..=whole.len() {
                        seen += u32::from(both_ways(&whole[..len]));
                    }
                    for at in 0..whole.len() {
                        for byte in [0, 1, 2, 5, 0x23, 0x7f, 0x80, 0xc3, 0xff] {
                            let mut changed = whole.clone();
                            changed[at] = byte;
                            seen += u32::from(both_ways(&changed));
                        }
                    }
                }
            }
        }
        assert!(seen > 10_000, "{seen} of them can be read");
    }

    /// Without this, the tests above might compare the way through all rules with itself.
    #[test]
    fn an_ordinary_publish_goes_the_short_way() {
        let is_quick = |bytes: &[u8], version| {
            let frame = super::publish(bytes, bytes.len() as u32);
            frame.is_some_and(|frame| Publish::ordinary(frame, version).is_some())
        };
        for flags in [0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x0a, 0x0b, 0x0c, 0x0d] {
            for topic in ["plant/1/temperature", "Größe/温度"] {
                for version in [Version::V31, Version::V311, Version::V5] {
                    let bytes = publish(flags, topic, b"\0payload");
                    let short = cfg!(target_pointer_width = "64");
                    assert_eq!(is_quick(&bytes, version), short, "{bytes:?}");
                }
                let with_alias = publish(flags, topic, b"\x03\x23\0\x05payload");
                assert!(!is_quick(&with_alias, Version::V5));
            }
        }
    }

    /// Bodies on both sides of where their length takes a byte more, up to four, and limits on both sides of the packet's length.
    #[test]
    fn a_long_publish_is_what_all_rules_say() {
        for body in [
            126, 127, 128, 129, 16_383, 16_384, 16_385, 2_097_151, 2_097_152,
        ] {
            // Three bytes are the topic and its length.
            let publish = Publish {
                dup: false,
                retain: false,
                delivery: Delivery::AtMostOnce,
                topic: "a",
                properties: Properties::EMPTY,
                payload: &vec![0; body - 3],
            };
            let mut whole = vec![0; body + 5];
            let written = publish.encode(Version::V311, &mut whole);
            let len = written.expect("there is room");
            whole.truncate(len);
            for limit in [len - 1, len, len + 1] {
                for bytes in [&whole[..], &whole[..len - 1]] {
                    let read = both_ways_within(bytes, limit as u32);
                    assert_eq!(read, limit >= len && bytes.len() == len, "{body} {limit}");
                }
            }
        }
    }
}
