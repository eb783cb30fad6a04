//! Reader and writers over bytes: the only place that takes fields apart and puts them together.

use crate::varint::{self, VarInt};
use crate::{DecodeError, EncodeError, PacketId, RuleId};

/// Takes fields from the front of a packet and knows their offset in it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    /// Offset of the end of `rest` from the start of the packet.
    end: u32,
}

impl<'a> Reader<'a> {
    /// Reads `rest`, the last byte of which is followed by offset `end` of the packet.
    #[inline]
    pub(crate) fn new(rest: &'a [u8], end: usize) -> Self {
        Self {
            rest,
            end: end as u32,
        }
    }

    /// Offset of the next byte from the start of the packet.
    #[inline]
    pub(crate) fn at(&self) -> u32 {
        self.end.saturating_sub(self.rest.len() as u32)
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// What has not been read.
    #[inline]
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    #[cold]
    fn truncated(&self) -> DecodeError {
        DecodeError {
            rule: RuleId::Truncated,
            at: self.at(),
        }
    }

    #[inline]
    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        let Some((taken, rest)) = self.rest.split_at_checked(len) else {
            return Err(self.truncated());
        };
        self.rest = rest;
        Ok(taken)
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let Some((taken, rest)) = self.rest.split_first_chunk() else {
            return Err(self.truncated());
        };
        self.rest = rest;
        Ok(*taken)
    }

    #[inline]
    pub(crate) fn u8(&mut self) -> Result<u8, DecodeError> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    #[inline]
    pub(crate) fn u16(&mut self) -> Result<u16, DecodeError> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    #[inline]
    pub(crate) fn u32(&mut self) -> Result<u32, DecodeError> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    /// A Variable Byte Integer in its shortest form.
    #[inline]
    pub(crate) fn varint(&mut self) -> Result<u32, DecodeError> {
        let rule = match varint::decode(self.rest) {
            VarInt::Value(value, len) => {
                self.take(len)?;
                return Ok(value);
            }
            VarInt::Incomplete => return Err(self.truncated()),
            VarInt::TooLong => RuleId::VarIntTooLong,
            VarInt::NotShortest => RuleId::VarIntNotShortest,
        };
        Err(DecodeError {
            rule,
            at: self.at(),
        })
    }

    /// Two bytes of length and as many bytes as they say.
    #[inline]
    pub(crate) fn binary(&mut self) -> Result<&'a [u8], DecodeError> {
        let len = self.u16()?;
        self.take(usize::from(len))
    }

    /// A UTF-8 string without U+0000; anything else is kept as it is, a BOM included.
    #[inline]
    pub(crate) fn string(&mut self) -> Result<&'a str, DecodeError> {
        let bytes = self.binary()?;
        match core::str::from_utf8(bytes) {
            Ok(text) if !has_nul(bytes) => Ok(text),
            _ => Err(self.bad_string(bytes)),
        }
    }

    /// Which of the two rules the string just read breaks, and at which byte of it.
    #[cold]
    fn bad_string(&self, bytes: &[u8]) -> DecodeError {
        let (rule, offset) = match core::str::from_utf8(bytes) {
            Err(error) => (RuleId::Utf8Invalid, error.valid_up_to()),
            Ok(text) => (RuleId::NulInString, text.find('\0').unwrap_or(0)),
        };
        let behind = bytes.len().saturating_sub(offset) as u32;
        DecodeError {
            rule,
            at: self.at().saturating_sub(behind),
        }
    }

    #[inline]
    pub(crate) fn packet_id(&mut self) -> Result<PacketId, DecodeError> {
        let at = self.at();
        PacketId::new(self.u16()?).ok_or(DecodeError {
            rule: RuleId::PacketIdZero,
            at,
        })
    }

    /// The packet must end here.
    #[inline]
    pub(crate) fn finish(&self) -> Result<(), DecodeError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(DecodeError {
                rule: RuleId::TrailingBytes,
                at: self.at(),
            })
        }
    }
}

/// Whether a byte is zero; a word at a time, since strings are short and mostly have none.
#[inline]
pub(crate) fn has_nul(bytes: &[u8]) -> bool {
    const WORD: usize = size_of::<usize>();
    const LOW: usize = usize::MAX / 0xff;
    const HIGH: usize = LOW << 7;
    let (words, tail) = bytes.as_chunks::<WORD>();
    let mut found = 0;
    for word in words {
        let word = usize::from_ne_bytes(*word);
        found |= word.wrapping_sub(LOW) & !word & HIGH;
    }
    found != 0 || tail.contains(&0)
}

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
    fn varint(&mut self, value: usize) {
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
    fn varint(&mut self, value: usize) {
        self.0 = self.0.saturating_add(varint::len(value));
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
    fn varint(&mut self, value: usize) {
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
}

/// Writes to the front of a buffer that was measured before; what does not fit is dropped.
pub(crate) struct Writer<'b> {
    room: &'b mut [u8],
}

impl<'b> Writer<'b> {
    #[inline]
    pub(crate) fn new(room: &'b mut [u8]) -> Self {
        Self { room }
    }
}

impl Sink for Writer<'_> {
    #[inline]
    fn bytes(&mut self, bytes: &[u8]) {
        if let Some((front, room)) =
            core::mem::take(&mut self.room).split_at_mut_checked(bytes.len())
        {
            front.copy_from_slice(bytes);
            self.room = room;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn string(bytes: &[u8]) -> Result<&str, DecodeError> {
        Reader::new(bytes, bytes.len()).string()
    }

    /// Strings are well-formed UTF-8 without surrogates [MQTT-1.5.4-1].
    #[test]
    fn ill_formed_utf8_is_found_at_its_byte() {
        for (bytes, at) in [
            (&b"\0\x03ab\xff"[..], 4),
            (b"\0\x03\xed\xa0\x80", 2),
            (b"\0\x02\xc0\x80", 2),
        ] {
            assert_eq!(
                string(bytes),
                Err(DecodeError {
                    rule: RuleId::Utf8Invalid,
                    at
                })
            );
        }
    }

    /// Strings hold no U+0000 [MQTT-1.5.4-2].
    #[test]
    fn nul_is_found_at_its_byte() {
        assert_eq!(
            string(b"\0\x03ab\0"),
            Err(DecodeError {
                rule: RuleId::NulInString,
                at: 4
            })
        );
    }

    /// U+FEFF is data and not stripped [MQTT-1.5.4-3].
    #[test]
    fn a_byte_order_mark_is_kept() {
        assert_eq!(string("\0\x04\u{feff}a".as_bytes()), Ok("\u{feff}a"));
    }

    #[test]
    fn has_nul_sees_every_position() {
        for len in 0..40 {
            let mut bytes = [0x80_u8; 40];
            let bytes = bytes.get_mut(..len).expect("len is below 40");
            assert!(!has_nul(bytes));
            for at in 0..len {
                bytes.fill(0x01);
                *bytes.get_mut(at).expect("at is below len") = 0;
                assert!(has_nul(bytes), "{len} {at}");
            }
        }
    }
}
