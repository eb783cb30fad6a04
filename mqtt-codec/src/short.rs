//! Packets that are known by their first two or four bytes.

use crate::PacketId;

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

#[cfg(test)]
mod tests {
    use crate::{Decoder, Version};

    /// The short way gives what the way through all rules gives, for every first byte, both lengths, and whatever limits.
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
}
