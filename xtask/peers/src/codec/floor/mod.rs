//! The floor: the least code, safe and by hand, that reads and writes the packets of the cases. What it is measured for is
//! how close anybody can get; nobody would want to use it.
//!
//! It checks UTF-8, lengths, flags and identifiers of properties. Texts stay bytes that were checked, for without unsafe
//! code a `&str` costs a second look; properties and filters stay slices that were checked. It does not look for U+0000 or
//! for repeated properties, has one kind of error, and writes whatever it is told to.

mod copy;
mod decode;
mod encode;
mod heads;
mod session;
mod text;
mod writer;

use std::hint::black_box;

use mqtt_cases::codec::{PacketCase, StreamCase};
use mqtt_codec::Version;

pub use copy::{copy_in, copy_out};
pub use session::{qos1, qos2};

use super::frames::frame_len;
use crate::harness::Op;

/// Reads the packet.
#[must_use]
pub fn decode(case: &PacketCase) -> Op {
    let wire = case.wire.clone();
    /// One loop for each version, as our decoder is told its version once.
    fn op<const V5: bool>(wire: Vec<u8>) -> Op {
        Op::new(1, move |n| {
            for _ in 0..n {
                let _ = black_box(&decode::decode::<V5>(black_box(&wire)));
            }
        })
    }
    if case.version == Version::V5 {
        op::<true>(wire)
    } else {
        op::<false>(wire)
    }
}

/// Writes the packet into a buffer that is long enough.
#[must_use]
pub fn encode(case: &PacketCase) -> Op {
    encode::op(&case.packet, case.version)
}

/// Writes the head of a PUBLISH whose payload goes out by reference.
#[must_use]
pub fn encode_head(len: usize) -> Op {
    heads::op(len)
}

/// Reads one PUBLISH and writes its head for every receiver.
#[must_use]
pub fn fan_out(version: Version) -> Op {
    if version == Version::V5 {
        heads::fan_out::<true>()
    } else {
        heads::fan_out::<false>()
    }
}

/// Reads the packets of a stream: where they are if they are whole, else from a buffer in which they are put together.
#[must_use]
pub fn stream(case: &StreamCase) -> Op {
    if case.version == Version::V5 {
        stream_op::<true>(case)
    } else {
        stream_op::<false>(case)
    }
}

fn stream_op<const V5: bool>(case: &StreamCase) -> Op {
    let (wire, piece, packets) = (case.wire.clone(), case.piece, case.packets);
    let mut parts = Parts::new();
    Op::new(packets, move |n| {
        for _ in 0..n {
            let mut seen = 0;
            for piece in wire.chunks(piece) {
                seen += parts.arrived::<V5>(black_box(piece));
            }
            assert_eq!(seen, packets, "packets of a stream");
        }
    })
}

/// The beginning of a packet that was cut off.
struct Parts {
    kept: Box<[u8]>,
    len: usize,
    needed: usize,
}

impl Parts {
    fn new() -> Self {
        Self {
            kept: vec![0; 2_048].into(),
            len: 0,
            needed: 2,
        }
    }

    /// Reads what there is to read; returns how many packets.
    #[inline]
    fn arrived<const V5: bool>(&mut self, bytes: &[u8]) -> u32 {
        if self.len > 0 && self.len + bytes.len() < self.needed {
            // Not enough yet: nothing but to keep it.
            if let [byte] = bytes {
                self.kept[self.len] = *byte;
            } else {
                self.kept[self.len..self.len + bytes.len()].copy_from_slice(bytes);
            }
            self.len += bytes.len();
            return 0;
        }
        self.complete::<V5>(bytes)
    }

    #[inline(never)]
    fn complete<const V5: bool>(&mut self, mut bytes: &[u8]) -> u32 {
        let mut seen = 0;
        while self.len > 0 {
            let wanted = (self.needed - self.len).min(bytes.len());
            let (now, later) = bytes.split_at(wanted);
            self.kept[self.len..self.len + wanted].copy_from_slice(now);
            self.len += wanted;
            bytes = later;
            if self.len < self.needed {
                return seen;
            }
            match frame_len(&self.kept[..self.len]) {
                Ok(len) if len == self.len => {
                    let _ = black_box(&decode::decode::<V5>(&self.kept[..len]));
                    seen += 1;
                    self.len = 0;
                }
                Ok(needed) | Err(needed) => self.needed = needed,
            }
        }
        while !bytes.is_empty() {
            let read = decode::decode::<V5>(bytes);
            match black_box(&read) {
                Ok((_, len)) => {
                    seen += 1;
                    bytes = &bytes[*len..];
                }
                Err(decode::Stop::Missing(needed)) => {
                    self.kept[..bytes.len()].copy_from_slice(bytes);
                    self.len = bytes.len();
                    self.needed = *needed;
                    break;
                }
                Err(decode::Stop::Malformed) => break,
            }
        }
        seen
    }
}

#[cfg(test)]
mod tests {
    use mqtt_cases::codec;

    use super::super::frames::frame_len;
    use super::*;

    /// The floor reads what it writes, and both are the cases.
    #[test]
    fn the_floor_keeps_the_cases() {
        for case in codec::packets() {
            let v5 = case.version == Version::V5;
            let written = encode::written(&case.packet, case.version);
            assert_eq!(written, case.wire, "{}", case.name);
            let read = if v5 {
                decode::decode::<true>(&case.wire)
            } else {
                decode::decode::<false>(&case.wire)
            };
            let (packet, len) = read.unwrap_or_else(|stop| panic!("{}: {stop:?}", case.name));
            assert_eq!(len, case.wire.len(), "{}", case.name);
            assert!(
                decode::tests::is(&packet, &case),
                "{}: {packet:?}",
                case.name
            );
        }
    }

    /// Whatever ours refuses among the changes of one byte that the floor's own rules are about, it refuses as well.
    #[test]
    fn the_floor_looks_at_every_byte_that_it_says_it_checks() {
        use mqtt_codec::{Decoder, RuleId};
        let mut refused = 0;
        for case in codec::packets().iter().filter(|case| case.wire.len() < 512) {
            for at in 0..case.wire.len() {
                for byte in [0x00, 0x01, 0x03, 0x7f, 0x80, 0xc0, 0xff] {
                    let mut wire = case.wire.clone();
                    wire[at] = byte;
                    let Err(error) = Decoder::new(case.version).from_client(&wire) else {
                        continue;
                    };
                    let read = match case.version {
                        Version::V5 => decode::decode::<true>(&wire),
                        _ => decode::decode::<false>(&wire),
                    };
                    let text = error.to_string();
                    // Said to be left out: U+0000, repetition, values of properties.
                    if read.is_ok() {
                        let left_out = [
                            "U+0000",
                            "neither 0 nor 1",
                            "maximum is zero",
                            "size is zero",
                            "alias is zero",
                        ];
                        assert!(
                            left_out.iter().any(|it| text.contains(it)),
                            "{}, byte {at} = {byte:#x}: {text}",
                            case.name
                        );
                    } else {
                        refused += 1;
                    }
                    let _: RuleId = error.rule;
                }
            }
        }
        assert!(refused > 1_000, "{refused}");
    }

    #[test]
    fn streams_are_read_in_all_pieces() {
        for case in codec::streams() {
            let mut parts = Parts::new();
            for piece in [case.piece, 3, 97] {
                let v5 = case.version == Version::V5;
                let mut arrived = |bytes: &[u8]| {
                    if v5 {
                        parts.arrived::<true>(bytes)
                    } else {
                        parts.arrived::<false>(bytes)
                    }
                };
                let seen: u32 = case.wire.chunks(piece).map(&mut arrived).sum();
                assert_eq!(seen, case.packets, "{} in pieces of {piece}", case.name);
            }
        }
        assert_eq!(frame_len(&[0x30, 0x80]), Err(3));
    }
}
