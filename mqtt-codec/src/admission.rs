//! What the first byte and the length of a frame have to look like, before a byte behind them is there.

use crate::header::PacketType;
use crate::packet::DUP;
use crate::place::{self, Places};
use crate::property::Spot;
use crate::{RuleId, Version};

/// Who sent a packet, as far as the reader knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sender {
    Client,
    Server,
    Either,
}

impl Sender {
    /// Whether this side sends packets of the type; of AUTH the version has been checked.
    #[inline]
    pub(crate) const fn sends(self, packet_type: PacketType, version: Version) -> bool {
        match packet_type {
            PacketType::Connect
            | PacketType::Subscribe
            | PacketType::Unsubscribe
            | PacketType::PingReq => !matches!(self, Self::Server),
            PacketType::ConnAck
            | PacketType::SubAck
            | PacketType::UnsubAck
            | PacketType::PingResp => !matches!(self, Self::Client),
            PacketType::Disconnect => version.is_v5() || !matches!(self, Self::Server),
            PacketType::Publish
            | PacketType::PubAck
            | PacketType::PubRec
            | PacketType::PubRel
            | PacketType::PubComp
            | PacketType::Auth => true,
        }
    }

    #[inline]
    pub(crate) const fn publish(self) -> &'static Spot {
        match self {
            Self::Client => &const { Spot::new(place::PUBLISH_FROM_CLIENT) },
            Self::Server => &const { Spot::new(place::PUBLISH_FROM_SERVER) },
            Self::Either => &const { Spot::new(place::PUBLISH) },
        }
    }

    #[inline]
    pub(crate) const fn disconnect(self) -> (Places, &'static Spot) {
        match self {
            Self::Client => (
                place::DISCONNECT_FROM_CLIENT,
                &const { Spot::new(place::DISCONNECT_FROM_CLIENT) },
            ),
            Self::Server => (
                place::DISCONNECT_FROM_SERVER,
                &const { Spot::new(place::DISCONNECT_FROM_SERVER) },
            ),
            Self::Either => (place::DISCONNECT, &const { Spot::new(place::DISCONNECT) }),
        }
    }
}

/// The rule that packet type or flags of the first byte break.
pub(crate) const fn broken_first_byte(
    packet_type: PacketType,
    flags: u8,
    sender: Sender,
    version: Version,
) -> Option<RuleId> {
    // MQTT 3.1 allows DUP on the packets that it sends again.
    let dup = matches!(version, Version::V31);
    let resent = if dup { flags & !DUP } else { flags };
    let (fixed, rule) = match packet_type {
        PacketType::Publish if flags & 0x06 == 0x06 => return Some(RuleId::PublishQoS),
        PacketType::Publish if flags & 0x0e == DUP && !dup => return Some(RuleId::DupAtMostOnce),
        PacketType::Publish => return None,
        PacketType::Auth if !version.is_v5() => return Some(RuleId::PacketTypeReserved),
        packet_type if !sender.sends(packet_type, version) => {
            return Some(RuleId::PacketFromWrongSide);
        }
        PacketType::PubRel => (resent == 2, RuleId::PubRelFlags),
        PacketType::Subscribe => (resent == 2, RuleId::SubscribeFlags),
        PacketType::Unsubscribe => (resent == 2, RuleId::UnsubscribeFlags),
        PacketType::Disconnect => (flags == 0, RuleId::DisconnectFlags),
        PacketType::Auth => (flags == 0, RuleId::AuthFlags),
        PacketType::Connect
        | PacketType::ConnAck
        | PacketType::PubAck
        | PacketType::PubRec
        | PacketType::PubComp
        | PacketType::SubAck
        | PacketType::UnsubAck
        | PacketType::PingReq
        | PacketType::PingResp => (flags == 0, RuleId::HeaderFlags),
    };
    if fixed { None } else { Some(rule) }
}

/// Bytes behind the fixed header of a packet that has a fixed length.
#[inline]
pub(crate) const fn longest_body(packet_type: PacketType, version: Version) -> Option<u32> {
    match packet_type {
        PacketType::PingReq | PacketType::PingResp => Some(0),
        _ if version.is_v5() => None,
        PacketType::Disconnect => Some(0),
        PacketType::ConnAck
        | PacketType::PubAck
        | PacketType::PubRec
        | PacketType::PubRel
        | PacketType::PubComp
        | PacketType::UnsubAck => Some(2),
        PacketType::Connect
        | PacketType::Publish
        | PacketType::Subscribe
        | PacketType::SubAck
        | PacketType::Unsubscribe
        | PacketType::Auth => None,
    }
}

/// What the frames of one packet type look like from one sender in one version: the rules above, as one look.
#[derive(Clone, Copy)]
struct Row {
    /// Values of the flags that are allowed, a bit each.
    flags: u16,
    /// Bytes of the longest body; `ANY` where there is no such limit.
    longest: u16,
}

const ANY: u16 = u16::MAX;
const VERSIONS: [Version; 3] = [Version::V31, Version::V311, Version::V5];

/// For each number that the upper half of the first byte can have, a row for each version.
type Table = [[Row; VERSIONS.len()]; 16];

/// What a server's packet must look like, a byte for each type: the flags below, the longest body above, 15 for any.
///
/// The same as [`Row`] in a quarter of the room; PUBLISH, whose flags say something, is looked at apart.
const fn narrow_table(version: Version) -> [u8; 16] {
    let mut table = [NOT_SENT; 16];
    let mut number = 1;
    while let Some(packet_type) = PacketType::from_u8(number) {
        let mut flags = 0;
        while flags < 16 {
            let allowed = broken_first_byte(packet_type, flags, Sender::Server, version).is_none();
            // Of the flags without DUP: that is looked at apart.
            if allowed && flags & DUP == 0 {
                let longest = match longest_body(packet_type, version) {
                    Some(longest) => longest as u8,
                    None => 15,
                };
                let mut at = 0;
                let mut rest: &mut [u8] = &mut table;
                while let Some((row, tail)) = rest.split_first_mut() {
                    if at == number {
                        *row = longest << 4 | flags;
                    }
                    at += 1;
                    rest = tail;
                }
            }
            flags += 1;
        }
        number += 1;
    }
    table
}

/// A type that a server does not send: no packet has these flags and this length.
const NOT_SENT: u8 = 0xee;

/// Of MQTT 3.1, too: but for DUP their tables are the same.
static NARROW_V311: [u8; 16] = narrow_table(Version::V311);
static NARROW_V5: [u8; 16] = narrow_table(Version::V5);

/// Which rule, in coarse words, the first byte of a server's packet and its length break.
pub(crate) fn broken_narrowly(first: u8, remaining: u32, version: Version) -> Option<RuleId> {
    if first >> 4 == PacketType::Publish as u8 {
        return broken_first_byte(PacketType::Publish, first & 0x0f, Sender::Server, version);
    }
    // A program that speaks one version links one table.
    let table = match version {
        Version::V31 | Version::V311 => &NARROW_V311,
        Version::V5 => &NARROW_V5,
    };
    let row = *table.get(usize::from(first >> 4))?;
    let resent = version == Version::V31 && first >> 4 == PacketType::PubRel as u8;
    let first = if resent { first & !DUP } else { first };
    if row == NOT_SENT {
        Some(RuleId::PacketFromWrongSide)
    } else if first & 0x0f != row & 0x0f {
        Some(RuleId::HeaderFlags)
    } else if row < 0xf0 && remaining > u32::from(row >> 4) {
        Some(RuleId::TrailingBytes)
    } else {
        None
    }
}

static FROM_CLIENT: Table = table(Sender::Client);
static FROM_SERVER: Table = table(Sender::Server);
static FROM_EITHER: Table = table(Sender::Either);

#[expect(clippy::indexing_slicing, reason = "evaluated while compiling")]
const fn table(sender: Sender) -> Table {
    let nobody = Row {
        flags: 0,
        longest: 0,
    };
    let mut table = [[nobody; VERSIONS.len()]; 16];
    let mut number = 1;
    while let Some(packet_type) = PacketType::from_u8(number) {
        let mut at = 0;
        while at < VERSIONS.len() {
            table[number as usize][at] = row(packet_type, sender, VERSIONS[at]);
            at += 1;
        }
        number += 1;
    }
    table
}

const fn row(packet_type: PacketType, sender: Sender, version: Version) -> Row {
    let longest = match longest_body(packet_type, version) {
        Some(longest) => longest as u16,
        None => ANY,
    };
    let mut row = Row { flags: 0, longest };
    let mut flags = 0;
    while flags < 16 {
        if broken_first_byte(packet_type, flags, sender, version).is_none() {
            row.flags |= 1 << flags;
        }
        flags += 1;
    }
    row
}

/// Whether no rule is broken by a first byte and the number of bytes that follow the fixed header.
#[cfg_attr(target_pointer_width = "64", inline(always))]
pub(crate) fn admits(first: u8, remaining: u32, sender: Sender, version: Version) -> bool {
    let table = match sender {
        Sender::Client => &FROM_CLIENT,
        Sender::Server => &FROM_SERVER,
        Sender::Either => &FROM_EITHER,
    };
    let version = usize::from(version.level() - Version::V31.level());
    let row = table
        .get(usize::from(first >> 4))
        .and_then(|rows| rows.get(version));
    row.is_some_and(|row| {
        row.flags >> (first & 0x0f) & 1 != 0
            && (row.longest == ANY || remaining <= u32::from(row.longest))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table for firmware admits the same, whatever the flags and the length, and its rules are worth no less.
    #[test]
    fn the_narrow_table_admits_the_same() {
        for first in 0..=u8::MAX {
            for version in [Version::V31, Version::V311, Version::V5] {
                for remaining in [0, 1, 2, 3, 14, 15, 16, 254, 255, 256, 268_435_455] {
                    // Numbers that are no packet's are refused before.
                    let named = PacketType::from_u8(first >> 4).is_some();
                    assert_eq!(
                        named && broken_narrowly(first, remaining, version).is_none(),
                        admits(first, remaining, Sender::Server, version),
                        "{first:#04x} {remaining} {version:?}"
                    );
                }
            }
        }
    }

    /// The table says the same as the rules it was made from, for every first byte.
    #[test]
    fn the_table_admits_what_breaks_no_rule() {
        for first in 0..=u8::MAX {
            for version in [Version::V31, Version::V311, Version::V5] {
                for sender in [Sender::Client, Sender::Server, Sender::Either] {
                    for remaining in [0, 1, 2, 3, 254, 255, 256, 268_435_455] {
                        let right = PacketType::from_u8(first >> 4).is_some_and(|packet_type| {
                            broken_first_byte(packet_type, first & 0x0f, sender, version).is_none()
                                && longest_body(packet_type, version)
                                    .is_none_or(|longest| remaining <= longest)
                        });
                        assert_eq!(
                            admits(first, remaining, sender, version),
                            right,
                            "{first:#04x} {remaining} {sender:?} {version:?}"
                        );
                    }
                }
            }
        }
    }
}
