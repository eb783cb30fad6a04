//! How peers are driven: the loops are the same for all, and know two shapes of codec. One reads from a slice and writes
//! into a slice, the other takes packets off a `BytesMut` and appends to one.
//!
//! What is charged: reading and dropping the packet; clearing the buffer and writing. What is not: filling the `BytesMut`
//! that a codec takes its packets from, for which the kernel pays in a program; and copies of packets for a codec that
//! consumes what it writes. In streams a `BytesMut` is filled on the clock, piece by piece.

use std::hint::black_box;

use bytes::BytesMut;
use mqtt_cases::codec::StreamCase;
use mqtt_codec::Version;

use super::frames;
use crate::harness::Op;

/// Makes an operation of the bytes of a packet; `None` if the peer cannot do it with these.
pub type MakeOp = fn(&[u8]) -> Option<Op>;

/// What a peer can do in one version. `None`: not with these bytes.
#[derive(Clone, Copy, Debug)]
pub struct Adapter {
    /// Package of the peer.
    pub peer: &'static str,
    /// Version of its packets.
    pub version: Version,
    /// Reads the packet, again and again.
    pub decode: MakeOp,
    /// Writes the packet that it has read from these bytes, again and again.
    pub encode: MakeOp,
    /// Reads a stream.
    pub stream: fn(&StreamCase) -> Option<Op>,
    /// Reads the packet and writes it, once.
    pub rewrite: fn(&[u8]) -> Option<Vec<u8>>,
}

/// A codec that reads from a slice.
pub trait Reader: 'static {
    /// Any packet.
    type Packet<'a>;

    /// Reads the packet that fills the slice.
    fn read(frame: &[u8]) -> Option<Self::Packet<'_>>;
}

/// A codec that writes into a slice, too.
pub trait SliceCodec: Reader {
    /// Writes into the slice; returns the length.
    fn write(packet: &Self::Packet<'_>, buffer: &mut [u8]) -> Option<usize>;
}

/// A codec that hands out the bytes of a packet in memory of their own.
pub trait OwningCodec: Reader {
    /// The bytes.
    type Bytes: AsRef<[u8]>;

    /// Writes the packet.
    fn bytes(packet: &Self::Packet<'_>) -> Option<Self::Bytes>;
}

/// A codec that takes packets off a growing buffer.
pub trait BufferCodec: 'static {
    /// Any packet.
    type Packet: Clone;
    /// What it keeps between packets.
    type State: 'static;

    /// At the start of a connection.
    fn state() -> Self::State;

    /// Takes the next packet off, or says how many bytes are missing at least; `None` if it refuses them.
    fn read(state: &mut Self::State, buffer: &mut BytesMut) -> Option<Taken<Self::Packet>>;

    /// Appends the packet; returns whether it can.
    fn write(state: &mut Self::State, packet: &Self::Packet, buffer: &mut BytesMut) -> bool;
}

/// A codec that takes packets off a growing buffer, and consumes the packets that it writes.
pub trait ConsumingCodec: BufferCodec {
    /// Appends the packet; returns whether it can.
    fn write_owned(state: &mut Self::State, packet: Self::Packet, buffer: &mut BytesMut) -> bool;
}

/// What [`BufferCodec::read`] found.
#[derive(Debug)]
pub enum Taken<P> {
    /// A packet, which is no longer in the buffer.
    Packet(P),
    /// At least so many more bytes are needed.
    Missing(usize),
}

/// Largest packet of all cases, with room to spare.
const LARGEST: usize = 70_000;

impl Adapter {
    /// A codec over slices.
    #[must_use]
    pub const fn slices<C: SliceCodec>(peer: &'static str, version: Version) -> Self {
        Self {
            peer,
            version,
            decode: slices::decode::<C>,
            encode: slices::encode::<C>,
            stream: slices::stream::<C>,
            rewrite: slices::rewrite::<C>,
        }
    }

    /// A codec from slices to memory of its own. What it hands out is not copied further.
    #[must_use]
    pub const fn owning<C: OwningCodec>(peer: &'static str, version: Version) -> Self {
        Self {
            peer,
            version,
            decode: slices::decode::<C>,
            encode: slices::encode_owning::<C>,
            stream: slices::stream::<C>,
            rewrite: slices::rewrite_owning::<C>,
        }
    }

    /// A codec over `BytesMut`.
    #[must_use]
    pub const fn buffers<C: BufferCodec>(peer: &'static str, version: Version) -> Self {
        Self {
            peer,
            version,
            decode: buffers::decode::<C>,
            encode: buffers::encode::<C>,
            stream: buffers::stream::<C>,
            rewrite: buffers::rewrite::<C>,
        }
    }

    /// A codec over `BytesMut` that consumes what it writes.
    #[must_use]
    pub const fn consuming<C: ConsumingCodec>(peer: &'static str, version: Version) -> Self {
        Self {
            encode: buffers::encode_owned::<C>,
            ..Self::buffers::<C>(peer, version)
        }
    }
}

mod slices {
    use super::{LARGEST, Op, OwningCodec, Reader, SliceCodec, StreamCase, black_box, frames};

    pub(super) fn decode<C: Reader>(wire: &[u8]) -> Option<Op> {
        C::read(wire)?;
        let wire = wire.to_vec();
        Some(Op::new(1, move |n| {
            for _ in 0..n {
                let _ = black_box(&C::read(black_box(&wire)));
            }
        }))
    }

    pub(super) fn encode<C: SliceCodec>(wire: &[u8]) -> Option<Op> {
        // The packet borrows from bytes that have to live as long as the operation.
        let packet = C::read(wire.to_vec().leak())?;
        let mut buffer = vec![0; LARGEST];
        C::write(&packet, &mut buffer)?;
        Some(Op::new(1, move |n| {
            for _ in 0..n {
                let _ = black_box(C::write(black_box(&packet), black_box(&mut buffer[..])));
                black_box(&mut buffer[..]);
            }
        }))
    }

    pub(super) fn stream<C: Reader>(case: &StreamCase) -> Option<Op> {
        let (wire, piece, packets) = (case.wire.clone(), case.piece, case.packets);
        let mut parts = frames::Parts::with_capacity(2_048);
        let mut read = move || {
            let mut seen = 0;
            for piece in wire.chunks(piece) {
                parts.arrived(black_box(piece), |frame| {
                    seen += u32::from(black_box(&C::read(frame)).is_some());
                })?;
            }
            (seen == packets).then_some(())
        };
        read()?;
        Some(Op::new(packets, move |n| {
            for _ in 0..n {
                read().expect("it has read this before");
            }
        }))
    }

    pub(super) fn rewrite<C: SliceCodec>(wire: &[u8]) -> Option<Vec<u8>> {
        let mut buffer = vec![0; LARGEST];
        let len = C::write(&C::read(wire)?, &mut buffer)?;
        buffer.truncate(len);
        Some(buffer)
    }

    pub(super) fn encode_owning<C: OwningCodec>(wire: &[u8]) -> Option<Op> {
        let packet = C::read(wire.to_vec().leak())?;
        C::bytes(&packet)?;
        Some(Op::new(1, move |n| {
            for _ in 0..n {
                let _ = black_box(&C::bytes(black_box(&packet)));
            }
        }))
    }

    pub(super) fn rewrite_owning<C: OwningCodec>(wire: &[u8]) -> Option<Vec<u8>> {
        Some(C::bytes(&C::read(wire)?)?.as_ref().to_vec())
    }
}

mod buffers {
    use super::{BufferCodec, BytesMut, ConsumingCodec, LARGEST, Op, StreamCase, Taken, black_box};

    /// Bytes that are filled in at once where they fit into the first cache; and packets at least and at most.
    const BATCH_BYTES: usize = 16 * 1024;
    const FEWEST: usize = 8;
    const MOST: usize = 256;

    fn read_one<C: BufferCodec>(state: &mut C::State, wire: &[u8]) -> Option<C::Packet> {
        match C::read(state, &mut BytesMut::from(wire))? {
            Taken::Packet(packet) => Some(packet),
            Taken::Missing(_) => None,
        }
    }

    pub(super) fn decode<C: BufferCodec>(wire: &[u8]) -> Option<Op> {
        let mut state = C::state();
        read_one::<C>(&mut state, wire)?;
        let count = (BATCH_BYTES / wire.len()).clamp(FEWEST, MOST);
        let batch = wire.repeat(count);
        let mut buffer = BytesMut::with_capacity(batch.len());
        Some(Op::watched(count as u32, move |watch| {
            buffer.extend_from_slice(&batch);
            watch.time(|| {
                for _ in 0..count {
                    let _ = black_box(&C::read(black_box(&mut state), black_box(&mut buffer)));
                }
            });
            assert!(buffer.is_empty(), "all packets were taken off");
        }))
    }

    pub(super) fn encode<C: BufferCodec>(wire: &[u8]) -> Option<Op> {
        let mut state = C::state();
        let packet = read_one::<C>(&mut state, wire)?;
        let mut buffer = BytesMut::with_capacity(LARGEST);
        C::write(&mut state, &packet, &mut buffer).then_some(())?;
        Some(Op::new(1, move |n| {
            for _ in 0..n {
                buffer.clear();
                let _ = black_box(C::write(
                    &mut state,
                    black_box(&packet),
                    black_box(&mut buffer),
                ));
                black_box(&mut buffer);
            }
        }))
    }

    pub(super) fn encode_owned<C: ConsumingCodec>(wire: &[u8]) -> Option<Op> {
        let mut state = C::state();
        let packet = read_one::<C>(&mut state, wire)?;
        let mut buffer = BytesMut::with_capacity(LARGEST);
        C::write_owned(&mut state, packet.clone(), &mut buffer).then_some(())?;
        let count = (BATCH_BYTES / wire.len()).clamp(FEWEST, MOST);
        let mut batch = Vec::with_capacity(count);
        Some(Op::watched(count as u32, move |watch| {
            batch.resize_with(count, || packet.clone());
            watch.time(|| {
                for packet in batch.drain(..) {
                    buffer.clear();
                    black_box(C::write_owned(&mut state, packet, black_box(&mut buffer)));
                    black_box(&mut buffer);
                }
            });
        }))
    }

    pub(super) fn stream<C: BufferCodec>(case: &StreamCase) -> Option<Op> {
        let (wire, piece, packets) = (case.wire.clone(), case.piece, case.packets);
        let mut buffer = BytesMut::with_capacity(128 * 1024);
        let mut state = C::state();
        let mut read = move || {
            let (mut seen, mut needed) = (0, 0);
            for piece in wire.chunks(piece) {
                buffer.extend_from_slice(black_box(piece));
                while buffer.len() >= needed.max(1) {
                    let read = C::read(&mut state, &mut buffer);
                    black_box(&read);
                    match read? {
                        Taken::Packet(_) => (seen, needed) = (seen + 1, 0),
                        Taken::Missing(bytes) => needed = buffer.len() + bytes.max(1),
                    }
                }
            }
            (seen == packets && buffer.is_empty()).then_some(())
        };
        read()?;
        Some(Op::new(packets, move |n| {
            for _ in 0..n {
                read().expect("it has read this before");
            }
        }))
    }

    pub(super) fn rewrite<C: BufferCodec>(wire: &[u8]) -> Option<Vec<u8>> {
        let mut state = C::state();
        let packet = read_one::<C>(&mut state, wire)?;
        let mut buffer = BytesMut::new();
        C::write(&mut state, &packet, &mut buffer).then(|| buffer.to_vec())
    }
}
