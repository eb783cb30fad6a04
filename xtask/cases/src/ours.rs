//! What `mqtt-codec` does with the cases.

use core::hint::black_box;

use mqtt_codec::{
    Decoded, Decoder, Delivery, FromClient, PINGREQ, Properties, Publish, PublishHead,
    SubscriptionId, Version,
};

use crate::Op;
use crate::codec::{PacketCase, StreamCase};
use crate::packets::{self, Outgoing, packet_id, subscription_id};

/// Reads the packet.
#[must_use]
pub fn decode(case: &PacketCase) -> Op {
    let (decoder, wire) = (Decoder::new(case.version), case.wire.clone());
    Op::new(format!("decode {}", case.name), 1, move || {
        // Where it was written, as a program looks at it that takes it apart.
        black_box(&black_box(&decoder).from_client(black_box(&wire)));
    })
}

/// Writes the packet into a buffer that is long enough.
#[must_use]
pub fn encode(case: &PacketCase) -> Op {
    let name = format!("encode {}", case.name);
    let (version, mut buffer) = (case.version, vec![0; case.wire.len()]);
    // One loop for each kind of packet: a program that writes one knows which.
    macro_rules! encode {
        ($packet:expr, |$it:ident, $buffer:ident| $call:expr) => {{
            let packet = $packet;
            Op::new(name, 1, move || {
                let ($it, $buffer) = (black_box(&packet), black_box(&mut buffer[..]));
                let _ = black_box($call);
                black_box(&mut buffer[..]);
            })
        }};
    }
    match case.packet {
        Outgoing::Connect(packet) => encode!(packet, |it, buffer| it.encode(buffer)),
        Outgoing::Publish(packet) => {
            encode!(packet, |it, buffer| it.encode(black_box(version), buffer))
        }
        Outgoing::PubAck(packet) => {
            encode!(packet, |it, buffer| it.encode(black_box(version), buffer))
        }
        Outgoing::PubRel(packet) => {
            encode!(packet, |it, buffer| it.encode(black_box(version), buffer))
        }
        Outgoing::Subscribe(packet) => {
            encode!(packet, |it, buffer| it.encode(black_box(version), buffer))
        }
        Outgoing::PingReq => encode!(PINGREQ, |it, buffer| {
            buffer
                .first_chunk_mut()
                .map(|room| *room = *it)
                .map(|()| it.len())
        }),
    }
}

/// Writes the head of a PUBLISH whose payload of `len` bytes goes out by reference.
#[must_use]
pub fn encode_head(version: Version, len: u32) -> Op {
    let head = PublishHead {
        payload_len: len,
        ..head(packets::topics().0)
    };
    let mut buffer = [0; 64];
    Op::new(
        format!("encode PUBLISH head, {len} B by reference"),
        1,
        move || {
            let _ = black_box(black_box(&head).encode(black_box(version), black_box(&mut buffer)));
            black_box(&mut buffer);
        },
    )
}

const fn head(topic: &str) -> PublishHead<'_> {
    PublishHead {
        dup: false,
        retain: false,
        delivery: Delivery::AtMostOnce,
        topic,
        topic_alias: None,
        message_expiry: None,
        subscription_ids: &[],
        properties: Properties::EMPTY,
        payload_len: 0,
    }
}

/// Receivers of one message in a fan-out.
pub const RECEIVERS: u32 = 1_000;

/// Reads one PUBLISH and writes its head for a thousand receivers, each with a packet id and a subscription identifier of its own.
#[must_use]
pub fn fan_out(version: Version) -> Op {
    let wire = packets::acknowledged(9, 64).wire(version);
    let decoder = Decoder::new(version);
    let ids: Vec<[SubscriptionId; 1]> = (1..=RECEIVERS).map(|id| [subscription_id(id)]).collect();
    let mut buffer = [0; 128];
    Op::new("fan-out to 1,000 receivers", RECEIVERS, move || {
        let Some(publish) = read_publish(&decoder, &wire) else {
            return;
        };
        for (id, subscription_ids) in (1..).zip(&ids) {
            let head = PublishHead {
                delivery: Delivery::AtLeastOnce(packet_id(id)),
                subscription_ids: if version.is_v5() {
                    subscription_ids
                } else {
                    &[]
                },
                properties: publish.properties,
                payload_len: publish.payload.len() as u32,
                ..head(publish.topic)
            };
            let _ = black_box(head.encode(version, black_box(&mut buffer)));
        }
    })
}

fn read_publish<'a>(decoder: &Decoder, wire: &'a [u8]) -> Option<Publish<'a>> {
    match black_box(decoder).from_client(black_box(wire)) {
        Ok(Decoded::Complete {
            packet: FromClient::Publish(publish),
            ..
        }) => Some(publish),
        _ => None,
    }
}

/// Reads all packets of the stream as its pieces arrive.
///
/// A piece is read where it is; only a packet that goes on in the next one is put together in a buffer.
#[must_use]
pub fn stream(case: &StreamCase) -> Op {
    let StreamCase {
        version,
        ref wire,
        packets,
        piece,
        ..
    } = *case;
    let (decoder, wire) = (Decoder::new(version), wire.clone());
    let mut parts = Parts::with_capacity(2_048);
    Op::new(format!("decode {}", case.name), packets, move || {
        let mut seen = 0;
        for piece in wire.chunks(piece) {
            parts.arrived(black_box(&decoder), black_box(piece), |packet| {
                black_box(packet);
                seen += 1;
            });
        }
        assert_eq!(seen, packets, "packets of a stream");
    })
}

/// The beginning of a packet that was cut off.
#[derive(Debug)]
pub struct Parts {
    kept: Vec<u8>,
    /// Bytes from which on it is worth to try again.
    needed: usize,
}

impl Parts {
    /// Nothing yet, and room for so many bytes.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Self {
            kept: Vec::with_capacity(bytes),
            needed: 0,
        }
    }

    /// Takes the next bytes of a connection and hands every packet that is complete to `packet`.
    ///
    /// # Panics
    /// Never on the streams of this crate: all of their packets can be read.
    #[inline(always)]
    pub fn arrived(
        &mut self,
        decoder: &Decoder,
        bytes: &[u8],
        packet: impl FnMut(&FromClient<'_>),
    ) {
        let missing = self.needed.saturating_sub(self.kept.len());
        if bytes.len() >= missing || self.kept.is_empty() {
            self.read(decoder, bytes, packet);
        } else if let [byte] = *bytes {
            self.kept.push(byte);
        } else {
            self.kept.extend_from_slice(bytes);
        }
    }

    #[inline(never)]
    fn read(
        &mut self,
        decoder: &Decoder,
        mut bytes: &[u8],
        mut packet: impl FnMut(&FromClient<'_>),
    ) {
        while !self.kept.is_empty() {
            let missing = self.needed.saturating_sub(self.kept.len());
            let (now, later) = bytes.split_at(missing.min(bytes.len()));
            self.kept.extend_from_slice(now);
            bytes = later;
            if now.len() < missing {
                return;
            }
            match &decoder.from_client(&self.kept).expect("a valid stream") {
                Decoded::NeedMore(needed) => self.needed = *needed,
                Decoded::Complete { packet: read, .. } => {
                    packet(read);
                    self.kept.clear();
                }
            }
        }
        while !bytes.is_empty() {
            match &decoder.from_client(bytes).expect("a valid stream") {
                Decoded::NeedMore(needed) => {
                    self.kept.extend_from_slice(bytes);
                    self.needed = *needed;
                    return;
                }
                Decoded::Complete { packet: read, len } => {
                    packet(read);
                    bytes = bytes.get(*len..).unwrap_or_default();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec;

    /// A stream gives all its packets in whatever pieces it comes, again and again.
    #[test]
    fn streams_are_read_to_their_end() {
        for case in codec::streams() {
            for piece in [case.piece, 3, 97] {
                let case = StreamCase {
                    piece,
                    ..case.clone()
                };
                stream(&case).run(2);
            }
        }
    }
}
