//! What a link adds to acknowledgements: the properties of a peer that says more than our sessions do.

use mqtt_codec::{Packet, Properties, Property, Version};

use crate::rng::Rng;

/// The bytes of the packet with a reason string and user properties; `None` for what is no acknowledgement, and most of the time.
pub(super) fn dressed(packet: &Packet<'_>, version: Version, rng: &mut Rng) -> Option<Vec<u8>> {
    if !version.is_v5() || !rng.one_in(4) {
        return None;
    }
    let list = [
        Property::ReasonString("as you like it"),
        Property::UserProperty("a", "1"),
        Property::UserProperty("a", ""),
    ];
    // All three, or only the text, or only what a user says.
    let properties = match rng.below(3) {
        0 => &list[..1],
        1 => &list[1..],
        _ => &list[..],
    };
    let properties = Properties::List(properties);
    let mut room = [0; 64];
    let written = match *packet {
        Packet::PubAck(mut packet) => {
            packet.properties = properties;
            packet.encode(version, &mut room)
        }
        Packet::PubRec(mut packet) => {
            packet.properties = properties;
            packet.encode(version, &mut room)
        }
        Packet::PubRel(mut packet) => {
            packet.properties = properties;
            packet.encode(version, &mut room)
        }
        Packet::PubComp(mut packet) => {
            packet.properties = properties;
            packet.encode(version, &mut room)
        }
        _ => return None,
    };
    let len = written.expect("an acknowledgement may have these, and they fit");
    Some(room[..len].to_vec())
}
