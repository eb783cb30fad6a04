//! Variable Byte Integers: one to four bytes, seven bits each, lowest first.

use crate::text::SMALL;

/// The largest value, 268,435,455.
pub(crate) const MAX: u32 = 268_435_455;

/// What the front of a byte slice holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum VarInt {
    /// A value and its length in bytes, 1..=4.
    Value(u32, usize),
    /// The slice ends before the integer does.
    Incomplete,
    /// The fourth byte announces a fifth.
    TooLong,
    /// A shorter encoding exists [MQTT-1.5.5-1].
    NotShortest,
}

/// Reads the integer at the front of `bytes`.
#[inline]
pub(crate) fn decode(bytes: &[u8]) -> VarInt {
    if SMALL {
        return decode_bytewise(bytes);
    }
    match bytes.first() {
        None => VarInt::Incomplete,
        Some(&byte) if byte < 0x80 => VarInt::Value(u32::from(byte), 1),
        Some(&byte) => decode_long(u32::from(byte & 0x7f), bytes),
    }
}

fn decode_long(first: u32, bytes: &[u8]) -> VarInt {
    let mut value = first;
    for (len, &byte) in (2..=4).zip(bytes.iter().skip(1)) {
        value |= u32::from(byte & 0x7f) << (7 * (len - 1));
        if byte < 0x80 {
            return if byte == 0 {
                VarInt::NotShortest
            } else {
                VarInt::Value(value, len)
            };
        }
    }
    if bytes.len() < 4 {
        VarInt::Incomplete
    } else {
        VarInt::TooLong
    }
}

/// The same in few instructions.
fn decode_bytewise(bytes: &[u8]) -> VarInt {
    let (mut value, mut len) = (0, 0_u32);
    for &byte in bytes {
        value |= u32::from(byte & 0x7f) << (7 * len);
        len += 1;
        if byte < 0x80 {
            return if byte == 0 && len > 1 {
                VarInt::NotShortest
            } else {
                VarInt::Value(value, len as usize)
            };
        }
        if len == 4 {
            return VarInt::TooLong;
        }
    }
    VarInt::Incomplete
}

/// The length of `value` in bytes, 1..=4.
#[inline]
pub(crate) const fn len(value: u32) -> usize {
    match value {
        0..=0x7f => 1,
        0x80..=0x3fff => 2,
        #[cfg(mutation = "fuzz-varint-three")]
        0x4000..=0x7fff => 2,
        0x4000..=0x1f_ffff => 3,
        _ => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The boundary values of the table in section 1.5.5.
    #[test]
    fn boundaries_have_the_length_of_the_table() {
        let table: [(u32, &[u8]); 8] = [
            (0, &[0x00]),
            (127, &[0x7f]),
            (128, &[0x80, 0x01]),
            (16_383, &[0xff, 0x7f]),
            (16_384, &[0x80, 0x80, 0x01]),
            (2_097_151, &[0xff, 0xff, 0x7f]),
            (2_097_152, &[0x80, 0x80, 0x80, 0x01]),
            (MAX, &[0xff, 0xff, 0xff, 0x7f]),
        ];
        for (value, bytes) in table {
            assert_eq!(decode(bytes), VarInt::Value(value, bytes.len()));
            assert_eq!(decode_bytewise(bytes), decode(bytes));
            assert_eq!(len(value), bytes.len());
            for cut in 0..bytes.len() {
                let cut = bytes.get(..cut).unwrap_or(&[]);
                assert_eq!(decode(cut), VarInt::Incomplete);
                assert_eq!(decode_bytewise(cut), VarInt::Incomplete);
            }
        }
    }

    /// The encoding uses the least number of bytes [MQTT-1.5.5-1].
    #[test]
    fn longer_than_needed_is_told_apart() {
        for bytes in [
            &[0x80, 0x00][..],
            &[0xff, 0x80, 0x00],
            &[0x80, 0x80, 0x80, 0x00],
        ] {
            assert_eq!(decode(bytes), VarInt::NotShortest);
            assert_eq!(decode_bytewise(bytes), VarInt::NotShortest);
        }
    }

    #[test]
    fn a_fifth_byte_is_refused_when_announced() {
        assert_eq!(decode(&[0x80, 0x80, 0x80, 0x80]), VarInt::TooLong);
        assert_eq!(decode(&[0xff, 0xff, 0xff, 0xff, 0x7f]), VarInt::TooLong);
        assert_eq!(decode_bytewise(&[0x80, 0x80, 0x80, 0x80]), VarInt::TooLong);
    }
}
