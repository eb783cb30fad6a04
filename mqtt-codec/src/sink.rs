//! Writes fields, or measures them: the only place that puts a packet together.

use crate::text::has_nul;
use crate::wire::to_u32;
use crate::{EncodeError, varint};

/// Where the fields of a packet go. The same code that writes a packet thus measures it.
pub(crate) trait Sink {
    fn bytes(&mut self, bytes: &[u8]);

    #[inline]
    fn u8(&mut self, value: u8) {
        self.bytes(&[value]);
    }

    #[inline]
    fn u16(&mut self, value: u16) {
        self.bytes(&value.to_be_bytes());
    }

    #[inline]
    fn u32(&mut self, value: u32) {
        self.bytes(&value.to_be_bytes());
    }

    #[inline]
    fn varint(&mut self, value: u32) {
        let mut rest = value;
        while rest > 0x7f {
            self.u8(rest as u8 | 0x80);
            rest >>= 7;
        }
        self.u8(rest as u8);
    }

    /// `Measure` has refused anything longer before it gets here.
    #[inline]
    fn binary(&mut self, bytes: &[u8]) {
        self.u16(bytes.len() as u16);
        self.bytes(bytes);
    }

    #[inline]
    fn string(&mut self, text: &str) {
        self.binary(text.as_bytes());
    }

    /// What `write` writes, behind a Variable Byte Integer that is its length.
    fn with_len(&mut self, write: impl WriteTo);
}

/// Something that goes to any sink.
pub(crate) trait WriteTo {
    fn write_to<S: Sink>(&self, sink: &mut S);
}

/// Counts.
#[derive(Default)]
pub(crate) struct Count(pub(crate) usize);

impl Sink for Count {
    #[inline]
    fn bytes(&mut self, bytes: &[u8]) {
        self.0 = self.0.saturating_add(bytes.len());
    }

    #[inline]
    fn varint(&mut self, value: u32) {
        self.0 = self.0.saturating_add(varint::len(value));
    }

    #[inline]
    fn with_len(&mut self, write: impl WriteTo) {
        let before = self.0;
        write.write_to(self);
        self.varint(to_u32(self.0 - before));
    }
}

/// Counts, and finds the fields that cannot be written.
#[derive(Default)]
pub(crate) struct Measure {
    count: Count,
    fault: Option<EncodeError>,
}

impl Measure {
    /// The length, unless a field was at fault.
    #[inline]
    pub(crate) fn finish(self) -> Result<usize, EncodeError> {
        match self.fault {
            None => Ok(self.count.0),
            Some(fault) => Err(fault),
        }
    }
}

impl Sink for Measure {
    #[inline]
    fn bytes(&mut self, bytes: &[u8]) {
        self.count.bytes(bytes);
    }

    #[inline]
    fn varint(&mut self, value: u32) {
        self.count.varint(value);
    }

    #[inline]
    fn binary(&mut self, bytes: &[u8]) {
        if bytes.len() > usize::from(u16::MAX) {
            self.fault = Some(EncodeError::TooLong);
        }
        self.count.binary(bytes);
    }

    #[inline]
    fn string(&mut self, text: &str) {
        self.binary(text.as_bytes());
        if has_nul(text.as_bytes()) {
            self.fault.get_or_insert(EncodeError::NulInString);
        }
    }

    #[inline]
    fn with_len(&mut self, write: impl WriteTo) {
        let before = self.count.0;
        write.write_to(self);
        self.count.varint(to_u32(self.count.0 - before));
    }
}

/// Writes to the front of a buffer that was measured before; what does not fit is dropped.
pub(crate) struct Writer<'b> {
    buffer: &'b mut [u8],
    written: usize,
}

impl<'b> Writer<'b> {
    #[inline]
    pub(crate) fn new(buffer: &'b mut [u8]) -> Self {
        Self { buffer, written: 0 }
    }
}

impl Sink for Writer<'_> {
    #[inline]
    fn bytes(&mut self, bytes: &[u8]) {
        let end = self.written + bytes.len();
        if let Some(room) = self.buffer.get_mut(self.written..end) {
            room.copy_from_slice(bytes);
            self.written = end;
        }
    }

    #[inline]
    fn u8(&mut self, value: u8) {
        if let Some(room) = self.buffer.get_mut(self.written) {
            *room = value;
            self.written += 1;
        }
    }

    #[inline]
    fn binary(&mut self, bytes: &[u8]) {
        let end = self.written + 2 + bytes.len();
        let room = self.buffer.get_mut(self.written..end);
        if let Some((len, room)) = room.and_then(<[u8]>::split_first_chunk_mut) {
            *len = (bytes.len() as u16).to_be_bytes();
            room.copy_from_slice(bytes);
            self.written = end;
        }
    }

    /// Guesses that the length takes one byte, and moves what was written when it takes more.
    #[inline]
    fn with_len(&mut self, write: impl WriteTo) {
        let start = self.written;
        self.u8(0);
        write.write_to(self);
        let len = self.written.saturating_sub(start + 1);
        self.written = start;
        if len > 0x7f {
            let moved = start + varint::len(to_u32(len));
            if moved + len <= self.buffer.len() {
                self.buffer.copy_within(start + 1..start + 1 + len, moved);
            }
        }
        self.varint(to_u32(len));
        self.written += len;
    }
}
