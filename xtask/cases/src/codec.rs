//! Packets and streams on the wire.

use mqtt_codec::Version::{self, V5, V311};

use crate::packets::{self, Outgoing};

/// One packet of a client, read and written again and again.
#[derive(Clone, Debug)]
pub struct PacketCase {
    /// What it is, the version included.
    pub name: &'static str,
    /// The version of the connection.
    pub version: Version,
    /// The packet, to be written.
    pub packet: Outgoing,
    /// Its bytes.
    pub wire: Vec<u8>,
}

/// Packets of a client as they arrive, so many bytes at a time.
#[derive(Clone, Debug)]
pub struct StreamCase {
    /// What it is, the version included.
    pub name: String,
    /// The version of the connection.
    pub version: Version,
    /// All bytes.
    pub wire: Vec<u8>,
    /// Packets in it.
    pub packets: u32,
    /// Bytes that arrive together.
    pub piece: usize,
}

/// All packets.
#[must_use]
pub fn packets() -> Vec<PacketCase> {
    let (topic, not_ascii) = packets::topics();
    [
        ("CONNECT v3.1.1", V311, packets::connect_v311()),
        ("CONNECT v5, will + properties", V5, packets::connect_v5()),
        (
            "PUBLISH QoS 0, 16 B, v3.1.1",
            V311,
            packets::reading(topic, 16),
        ),
        (
            "PUBLISH QoS 0, 64 B, v3.1.1",
            V311,
            packets::reading(topic, 64),
        ),
        (
            "PUBLISH QoS 0, 1 KiB, v3.1.1",
            V311,
            packets::reading(topic, 1_024),
        ),
        (
            "PUBLISH QoS 0, 64 KiB, v3.1.1",
            V311,
            packets::reading(topic, 65_536),
        ),
        (
            "PUBLISH QoS 0, 64 B, not ASCII, v3.1.1",
            V311,
            packets::reading(not_ascii, 64),
        ),
        ("PUBLISH QoS 0, 64 B, v5", V5, packets::reading(topic, 64)),
        (
            "PUBLISH QoS 1, alias + 3 user properties, v5",
            V5,
            packets::with_properties(5),
        ),
        (
            "PUBLISH QoS 1, 4 KiB, v5",
            V5,
            packets::acknowledged(5, 4_096),
        ),
        ("SUBSCRIBE, 8 filters, v5", V5, packets::subscribe_v5()),
        ("PUBACK v3.1.1", V311, packets::puback(5)),
        ("PUBACK v5", V5, packets::puback(5)),
        ("PINGREQ", V311, Outgoing::PingReq),
    ]
    .map(|(name, version, packet)| PacketCase {
        name,
        version,
        packet,
        wire: packet.wire(version),
    })
    .into()
}

/// What a busy connection carries: mostly readings, some acknowledged, now and then something else.
fn mixed(version: Version) -> (Vec<u8>, u32) {
    let (topic, not_ascii) = packets::topics();
    let mut wire = Vec::new();
    let mut count = 0;
    let mut push = |packet: Outgoing| {
        wire.extend(packet.wire(version));
        count += 1;
    };
    for round in 0..32_u16 {
        let id = 1 + 4 * round;
        push(packets::reading(topic, 16));
        push(packets::acknowledged(id, 64));
        push(packets::reading("plant1/sensor4/humidity", 5));
        push(packets::puback(id));
        if version == V5 {
            push(packets::with_properties(id + 1));
        } else {
            push(packets::acknowledged(id + 1, 120));
        }
        push(packets::reading(not_ascii, 24));
        push(packets::acknowledged(id + 2, 300));
        push(packets::pubrel(id + 3));
        if round % 8 == 0 {
            push(if version == V5 {
                packets::subscribe_v5()
            } else {
                packets::subscribe()
            });
            push(packets::reading(topic, 900));
            push(Outgoing::PingReq);
        }
    }
    (wire, count)
}

/// Mixed packets in pieces of 1 byte, 100 bytes, 1 KiB and 64 KiB, in both versions.
#[must_use]
pub fn streams() -> Vec<StreamCase> {
    let mut cases = Vec::new();
    for (version, label) in [(V311, "v3.1.1"), (V5, "v5")] {
        let (wire, packets) = mixed(version);
        for (piece, size) in [
            (1, "1 byte"),
            (100, "100 bytes"),
            (1_024, "1 KiB"),
            (65_536, "64 KiB"),
        ] {
            cases.push(StreamCase {
                name: format!("mixed packets in pieces of {size}, {label}"),
                version,
                wire: wire.clone(),
                packets,
                piece,
            });
        }
    }
    cases
}

#[cfg(test)]
mod tests {
    use mqtt_codec::{Decoded, Decoder};

    use super::*;

    /// What is measured is what it says: the bytes of each case are read as the packet they were written from.
    #[test]
    fn every_case_is_read_back() {
        for case in packets() {
            let read = Decoder::new(case.version).from_client(&case.wire);
            let Ok(Decoded::Complete { packet, len }) = read else {
                panic!("{}: {read:?}", case.name);
            };
            assert!(case.packet.is(&packet), "{}: {packet:?}", case.name);
            assert_eq!(len, case.wire.len(), "{}", case.name);
        }
    }

    /// Figures are compared over months: a case that changes gets another name.
    #[test]
    fn the_cases_stay_the_same() {
        let sizes: Vec<_> = packets().iter().map(|case| case.wire.len()).collect();
        assert_eq!(
            sizes,
            [
                62, 156, 49, 97, 1_058, 65_571, 114, 98, 163, 4_133, 174, 4, 4, 2
            ]
        );
        let streams: Vec<_> = streams()
            .iter()
            .step_by(4)
            .map(|case| (case.packets, case.wire.len()))
            .collect();
        assert_eq!(streams, [(268, 28_024), (268, 28_956)]);
    }
}
