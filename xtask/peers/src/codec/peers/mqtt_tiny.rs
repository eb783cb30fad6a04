//! `mqtt-tiny`: 3.1.1, from and to iterators of bytes; everything is copied, byte by byte, strings are not checked for
//! UTF-8. A packet is consumed when it is written: the copies that are written are made off the clock. It has no cell
//! where a packet is longer than 127 bytes: it reads and writes the bytes of such a length in the wrong order.

use std::hint::black_box;

use mqtt_codec::Version::V311;
use mqtt_tiny::Packet;
use mqtt_tiny::packets::TryFromIterator;

use crate::codec::adapter::{Adapter, Reader, SliceCodec};
use crate::harness::Op;

pub(super) const ADAPTERS: [Adapter; 1] = [Adapter {
    encode,
    ..Adapter::slices::<Tiny>("mqtt-tiny", V311)
}];

/// Copies that are made at once.
const BATCH: usize = 64;

struct Tiny;

impl Reader for Tiny {
    type Packet<'a> = Packet;

    #[inline]
    fn read(frame: &[u8]) -> Option<Packet> {
        Packet::try_from_iter(frame.iter().copied()).ok()
    }
}

impl SliceCodec for Tiny {
    fn write(packet: &Packet, buffer: &mut [u8]) -> Option<usize> {
        let mut len = 0;
        for (byte, room) in packet.clone().into_iter().zip(buffer) {
            *room = byte;
            len += 1;
        }
        Some(len)
    }
}

fn encode(wire: &[u8]) -> Option<Op> {
    let packet = Tiny::read(wire)?;
    let mut batch = Vec::with_capacity(BATCH);
    let mut buffer = Vec::with_capacity(wire.len());
    Some(Op::watched(BATCH as u32, move |watch| {
        batch.resize_with(BATCH, || packet.clone());
        watch.time(|| {
            for packet in batch.drain(..) {
                buffer.clear();
                buffer.extend(black_box(packet));
                black_box(&mut buffer);
            }
        });
    }))
}
