//! Writing packets: counted first, then written and looked at in one pass.

use crate::sink::{Count, Sink, Writer};
#[cfg(feature = "bytes")]
use crate::sink::{Inspect, WriteTo};
use crate::{AnyVersion, EncodeError, varint, wire};

/// The bytes of a PINGREQ, the same in all versions.
pub const PINGREQ: [u8; 2] = [0xc0, 0];

/// The bytes of a PINGRESP, the same in all versions.
pub const PINGRESP: [u8; 2] = [0xd0, 0];

/// What a packet is made of. `body` describes the bytes once, for measuring and for writing.
pub(crate) trait Layout {
    /// The first byte: packet type and flags.
    fn first_byte(&self) -> u8;

    /// Whether this version can carry the packet, apart from what a look at its fields finds.
    fn check<V: AnyVersion>(&self, version: V) -> Result<(), EncodeError>;

    /// Everything behind the fixed header.
    fn body<S: Sink, V: AnyVersion>(&self, version: V, sink: &mut S);

    /// The whole packet where it is one of four bytes, as nearly all acknowledgements are.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn shortest<V: AnyVersion>(&self, _version: V) -> Option<[u8; 4]> {
        None
    }

    /// Bytes that belong to the packet and are written elsewhere.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn elsewhere(&self) -> u32 {
        0
    }
}

/// Bytes behind the fixed header that `body` writes.
#[inline(always)]
fn body_len(packet: &impl Layout, version: impl AnyVersion) -> usize {
    let mut count = Count::default();
    packet.body(version, &mut count);
    count.0
}

/// Bytes behind the fixed header, wherever they are written.
#[inline]
fn remaining_len(packet: &impl Layout, body: usize) -> u32 {
    wire::to_u32(body).saturating_add(packet.elsewhere())
}

/// Bytes of the fixed header and the body.
#[inline]
fn frame_len(remaining: u32, body: usize) -> usize {
    body.saturating_add(1 + varint::len(remaining))
}

/// Bytes that `encode` writes.
#[cfg_attr(target_pointer_width = "64", inline(always))]
pub(crate) fn encoded_len(packet: &impl Layout, version: impl AnyVersion) -> usize {
    match packet.shortest(version) {
        Some(bytes) => bytes.len(),
        None => fields_len(packet, version),
    }
}

#[cfg_attr(target_pointer_width = "64", inline(never))]
fn fields_len(packet: &impl Layout, version: impl AnyVersion) -> usize {
    let body = body_len(packet, version);
    frame_len(remaining_len(packet, body), body)
}

/// Checks the packet but for its fields, and gives its remaining length and the bytes to be written.
#[inline(always)]
fn measure(packet: &impl Layout, version: impl AnyVersion) -> Result<(u32, usize), EncodeError> {
    packet.check(version)?;
    let body = body_len(packet, version);
    let remaining = remaining_len(packet, body);
    if remaining > varint::MAX {
        return Err(EncodeError::TooLong);
    }
    Ok((remaining, frame_len(remaining, body)))
}

#[inline(always)]
fn write<S: Sink>(packet: &impl Layout, version: impl AnyVersion, remaining: u32, sink: &mut S) {
    sink.u8(packet.first_byte());
    sink.varint(remaining);
    packet.body(version, sink);
}

/// Writes the packet to the front of `buffer` and gives its length.
#[inline(always)]
pub(crate) fn encode(
    packet: &impl Layout,
    version: impl AnyVersion,
    buffer: &mut [u8],
) -> Result<usize, EncodeError> {
    match packet.shortest(version) {
        Some(bytes) => encode_bytes(bytes, buffer),
        None => encode_apart(packet, version, buffer),
    }
}

/// In a function of its own: few packets are written so often that they should be a part of their caller.
#[cfg_attr(target_pointer_width = "64", inline(never))]
fn encode_apart(
    packet: &impl Layout,
    version: impl AnyVersion,
    buffer: &mut [u8],
) -> Result<usize, EncodeError> {
    encode_fields(packet, version, buffer)
}

#[cfg_attr(target_pointer_width = "64", inline(always))]
fn encode_bytes(bytes: [u8; 4], buffer: &mut [u8]) -> Result<usize, EncodeError> {
    let needed = bytes.len();
    let Some(room) = buffer.first_chunk_mut() else {
        return Err(EncodeError::TooSmall { needed });
    };
    *room = bytes;
    Ok(needed)
}

#[inline(always)]
pub(crate) fn encode_fields(
    packet: &impl Layout,
    version: impl AnyVersion,
    buffer: &mut [u8],
) -> Result<usize, EncodeError> {
    let (remaining, needed) = measure(packet, version)?;
    let Some(room) = buffer.get_mut(..needed) else {
        return Err(EncodeError::TooSmall { needed });
    };
    let mut writer = Writer::new(room);
    write(packet, version, remaining, &mut writer);
    writer.finish().map(|()| needed)
}

#[cfg(feature = "bytes")]
struct Buffer<B>(B);

#[cfg(feature = "bytes")]
impl<B: bytes::BufMut> Sink for Buffer<B> {
    fn bytes(&mut self, bytes: &[u8]) {
        self.0.put_slice(bytes);
    }

    fn with_len(&mut self, write: impl WriteTo) {
        let mut count = Count::default();
        write.write_to(&mut count);
        self.varint(wire::to_u32(count.0));
        write.write_to(self);
    }
}

/// Appends the packet to `buffer` and gives its length.
#[cfg(feature = "bytes")]
pub(crate) fn encode_to(
    packet: &impl Layout,
    version: impl AnyVersion,
    buffer: &mut impl bytes::BufMut,
) -> Result<usize, EncodeError> {
    let (remaining, needed) = measure(packet, version)?;
    let mut inspect = Inspect::default();
    packet.body(version, &mut inspect);
    inspect.0.check()?;
    if buffer.remaining_mut() < needed {
        return Err(EncodeError::TooSmall { needed });
    }
    write(packet, version, remaining, &mut Buffer(buffer));
    Ok(needed)
}

/// The public methods of a packet that is written for the version of the connection.
macro_rules! impl_encode {
    ($($packet:ident)*) => {
        $crate::encode::impl_encode!($($packet)*; encode);
    };
    ($($packet:ident)*; $encode:ident) => {
        $(
            impl $packet<'_> {
                /// Bytes that [`encode`](Self::encode) writes, exactly, for a packet that can be written.
                #[inline]
                pub fn encoded_len(&self, version: impl $crate::AnyVersion) -> usize {
                    $crate::encode::encoded_len(self, version)
                }

                /// Writes the packet to the front of `buffer` and gives its length in bytes.
                ///
                /// # Errors
                /// A buffer that is too small, and contents that this version cannot carry, see
                /// [`EncodeError`](crate::EncodeError).
                #[inline]
                pub fn encode(
                    &self,
                    version: impl $crate::AnyVersion,
                    buffer: &mut [u8],
                ) -> Result<usize, $crate::EncodeError> {
                    $crate::encode::$encode(self, version, buffer)
                }

                /// Appends the packet to `buffer` and gives its length in bytes.
                ///
                /// # Errors
                /// As for [`encode`](Self::encode); nothing is written then.
                #[cfg(feature = "bytes")]
                pub fn encode_to(
                    &self,
                    version: impl $crate::AnyVersion,
                    buffer: &mut impl bytes::BufMut,
                ) -> Result<usize, $crate::EncodeError> {
                    $crate::encode::encode_to(self, version, buffer)
                }
            }
        )*
    };
}
pub(crate) use impl_encode;
