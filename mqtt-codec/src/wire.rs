//! Reads fields from bytes: the only place that takes a packet apart.

use crate::plain::{bytewise, is_plain, plain};
use crate::text::{SMALL, has_nul};
pub(crate) use crate::trace::Broken;
use crate::trace::Trace;
use crate::varint::{self, VarInt};
use crate::{DecodeError, PacketId, RuleId};

/// Takes fields from the front of a packet and knows their offset in it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    trace: Trace,
}

impl<'a> Reader<'a> {
    /// Reads `rest`, the last byte of which is followed by offset `end` of the packet.
    #[inline]
    pub(crate) fn new(rest: &'a [u8], end: usize) -> Self {
        let trace = Trace::new(to_u32(end));
        Self { rest, trace }
    }

    /// Offset of the next byte from the start of the packet.
    #[inline]
    pub(crate) fn at(&self) -> u32 {
        self.trace.at(self.rest.len())
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

    /// The rule that was broken, and where.
    #[inline]
    pub(crate) fn error(&self, broken: Broken) -> DecodeError {
        self.trace.error(broken)
    }

    /// Notes the broken rule.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(crate) fn broken(&mut self, rule: RuleId, at: u32) -> Broken {
        self.trace.broken(rule, at)
    }

    /// Notes the rule broken at the front of `rest`, which was what [`rest`](Self::rest) gave earlier.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(crate) fn broken_at(&mut self, rule: RuleId, rest: &[u8]) -> Broken {
        self.broken(rule, self.trace.at(rest.len()))
    }

    /// Notes the rule broken at the next byte.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(crate) fn broken_here(&mut self, rule: RuleId) -> Broken {
        self.broken(rule, self.at())
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], Broken> {
        let Some((taken, rest)) = self.rest.split_at_checked(len) else {
            return Err(self.broken_here(RuleId::Truncated));
        };
        self.rest = rest;
        Ok(taken)
    }

    /// A reader of the next `len` bytes alone.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(crate) fn part(&mut self, len: u32) -> Result<Self, Broken> {
        let bytes = self.take(to_usize(len))?;
        let trace = Trace::new(self.at());
        Ok(Self { rest: bytes, trace })
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Broken> {
        let Some((taken, rest)) = self.rest.split_first_chunk() else {
            return Err(self.broken_here(RuleId::Truncated));
        };
        self.rest = rest;
        Ok(*taken)
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(crate) fn u8(&mut self) -> Result<u8, Broken> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(crate) fn u16(&mut self) -> Result<u16, Broken> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    #[inline]
    pub(crate) fn u32(&mut self) -> Result<u32, Broken> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    /// A Variable Byte Integer in its shortest form.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(crate) fn varint(&mut self) -> Result<u32, Broken> {
        match varint::decode(self.rest) {
            VarInt::Value(value, len) => self.take(len).map(|_| value),
            VarInt::Incomplete => Err(self.broken_here(RuleId::Truncated)),
            VarInt::TooLong => Err(self.broken_here(RuleId::VarIntTooLong)),
            VarInt::NotShortest => Err(self.broken_here(RuleId::VarIntNotShortest)),
        }
    }

    /// Two bytes of length and as many bytes as they say.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(crate) fn binary(&mut self) -> Result<&'a [u8], Broken> {
        let len = self.u16()?;
        self.take(usize::from(len))
    }

    /// A UTF-8 string without U+0000; anything else is kept as it is, a BOM included.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(crate) fn string(&mut self) -> Result<&'a str, Broken> {
        let bytes = self.binary()?;
        if let Some(text) = plain(bytes) {
            return Ok(text);
        }
        match string(bytes) {
            Some(text) => Ok(text),
            None => Err(self.bad_string(bytes)),
        }
    }

    /// Checks a string that is read later.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(crate) fn skip_string(&mut self) -> Result<(), Broken> {
        let bytes = self.binary()?;
        if is_plain(bytes) || string(bytes).is_some() {
            Ok(())
        } else {
            Err(self.bad_string(bytes))
        }
    }

    /// Notes which of the two rules the string just read breaks, and at which byte of it.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn bad_string(&mut self, bytes: &[u8]) -> Broken {
        let (rule, behind) = broken_string(bytes);
        self.broken(rule, self.at().saturating_sub(behind))
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(crate) fn packet_id(&mut self) -> Result<PacketId, Broken> {
        let at = self.at();
        match PacketId::new(self.u16()?) {
            Some(id) => Ok(id),
            None => Err(self.broken(RuleId::PacketIdZero, at)),
        }
    }
}

/// These bytes as a string of MQTT, if they are one: UTF-8 without U+0000 ([MQTT-1.5.4-1], [MQTT-1.5.4-2]).
#[inline(never)]
#[must_use]
pub fn string(bytes: &[u8]) -> Option<&str> {
    if SMALL {
        return bytewise(bytes);
    }
    core::str::from_utf8(bytes).ok().filter(|_| !has_nul(bytes))
}

/// Which of the two rules for strings is broken, and how many bytes before the end.
#[cold]
fn broken_string(bytes: &[u8]) -> (RuleId, u32) {
    if SMALL {
        return (RuleId::Utf8Invalid, 0);
    }
    let (rule, offset) = match core::str::from_utf8(bytes) {
        Err(error) => (RuleId::Utf8Invalid, error.valid_up_to()),
        Ok(text) => (
            RuleId::NulInString,
            text.bytes().position(|byte| byte == 0).unwrap_or(0),
        ),
    };
    (rule, to_u32(bytes.len().saturating_sub(offset)))
}

/// A length of the protocol in memory; where that has 16 bits, one that no slice reaches.
#[inline]
pub(crate) const fn to_usize(len: u32) -> usize {
    if len > usize::MAX as u32 {
        usize::MAX
    } else {
        len as usize
    }
}

/// The length of a slice in the protocol; above 32 bits, one that the protocol does not have.
#[inline]
pub(crate) fn to_u32(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn string(bytes: &[u8]) -> Result<&str, DecodeError> {
        let mut reader = Reader::new(bytes, bytes.len());
        reader.string().map_err(|broken| reader.error(broken))
    }

    /// Strings are well-formed UTF-8 without surrogates [MQTT-1.5.4-1].
    #[test]
    #[cfg_attr(small, ignore = "offsets and the finer rules are not told there")]
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
    #[cfg_attr(small, ignore = "offsets and the finer rules are not told there")]
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
}
