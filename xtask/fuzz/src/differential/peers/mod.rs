//! The peers: other people's decoders, each with a function that tells what it makes of one frame.

mod mqtt_proto_v3;
mod mqtt_proto_v5;
mod protocol_core_v3;
mod protocol_core_v5;
mod rumqttc_v4;
mod rumqttc_v5;

use core::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

use mqtt_codec::Version;

use super::facts::Facts;

/// What a peer makes of a frame.
#[derive(Debug)]
pub enum Verdict {
    /// It reads a packet.
    Packet(Facts),
    /// It refuses, for this reason.
    Refused(String),
    /// It waits for more, although the frame is there in full.
    Waits,
    /// It panics.
    Panics(String),
    /// It has no function for this.
    NotAsked,
}

/// Someone else's decoder.
pub struct Peer {
    /// The crate.
    pub name: &'static str,
    /// Its version in our lock file.
    pub release: &'static str,
    /// The function of it that is called, for the report.
    pub entry: &'static str,
    decode: fn(Version, &[u8]) -> Verdict,
}

/// All of them.
pub const PEERS: [Peer; 3] = [
    Peer {
        name: "mqtt-proto",
        release: "0.4.0",
        entry: "`v3::PollPacket` (3.1 and 3.1.1), `v5::PollPacket`",
        decode: |version, bytes| {
            if version.is_v5() {
                mqtt_proto_v5::decode(bytes)
            } else {
                mqtt_proto_v3::decode(bytes)
            }
        },
    },
    Peer {
        name: "mqtt-protocol-core",
        release: "0.7.9",
        entry: "`parse` of `v3_1_1` and `v5_0`; it gets the body, the fixed header is not its task",
        decode: |version, bytes| match version {
            Version::V31 => Verdict::NotAsked,
            Version::V311 => protocol_core_v3::decode(bytes),
            Version::V5 => protocol_core_v5::decode(bytes),
        },
    },
    Peer {
        name: "rumqttc",
        release: "0.25.1",
        entry: "`mqttbytes::v4::Packet::read` (3.1.1), `v5::mqttbytes::v5::Packet::read`",
        decode: |version, bytes| match version {
            Version::V31 => Verdict::NotAsked,
            Version::V311 => rumqttc_v4::decode(bytes),
            Version::V5 => rumqttc_v5::decode(bytes),
        },
    },
];

thread_local! {
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

impl Peer {
    /// Lets it read a frame; a panic of its own is a verdict too.
    #[must_use]
    pub fn read(&self, version: Version, bytes: &[u8]) -> Verdict {
        quiet_inside();
        INSIDE.set(true);
        let result = panic::catch_unwind(AssertUnwindSafe(|| (self.decode)(version, bytes)));
        INSIDE.set(false);
        match result {
            Ok(Verdict::Packet(facts)) => Verdict::Packet(facts.sorted()),
            Ok(verdict) => verdict,
            Err(panic) => {
                let text = panic.downcast_ref::<String>().cloned();
                let text = text.or_else(|| panic.downcast_ref::<&str>().map(|it| (*it).to_owned()));
                Verdict::Panics(text.unwrap_or_default())
            }
        }
    }
}

/// libFuzzer ends the process at every panic; those of a peer are caught instead.
fn quiet_inside() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !INSIDE.get() {
                usual(info);
            }
        }));
    });
}

/// The body of a frame whose fixed header is as it has to be.
fn body(version: Version, bytes: &[u8]) -> Option<(u8, &[u8])> {
    let header = match mqtt_codec::FixedHeader::decode(bytes) {
        Ok(mqtt_codec::Decoded::Complete { packet, .. }) => packet,
        _ => return None,
    };
    let kind = bytes[0] >> 4;
    let flags = match kind {
        3 => bytes[0] & 0x0f,
        6 | 8 | 10 => 2,
        _ => 0,
    };
    let known = kind < 15 || version.is_v5();
    let body = bytes.get(header.frame_len() - header.remaining_length as usize..)?;
    (known && bytes[0] & 0x0f == flags).then_some((bytes[0], body))
}
