//! Text as a `str` without a second look at it: the one place with unsafe code in this crate.
//!
//! `core::str::from_utf8` reads the ends of a text byte by byte. For the topic of an ordinary PUBLISH, which is ASCII, that takes
//! more instructions than everything else in the packet. And it takes 360 bytes of flash, a seventh of what the smallest client
//! takes as a whole, because it also says where it stopped and whether more might have come.

use crate::text::{HIGH, LOW, SMALL, any_byte};

/// The text in `bytes`, if it is known to be plain.
#[cfg_attr(target_pointer_width = "64", inline(always))]
#[cfg_attr(not(target_pointer_width = "64"), inline(never))]
pub(crate) fn plain(bytes: &[u8]) -> Option<&str> {
    if !is_plain(bytes) {
        return None;
    }
    #[expect(unsafe_code, reason = "measured, see the head of this file")]
    // SAFETY: each byte is one from 1 to 127, and every sequence of those is UTF-8.
    Some(unsafe { core::str::from_utf8_unchecked(bytes) })
}

/// Whether all bytes are ASCII and none is zero, as in most texts. `false` says nothing: where code has to be small, nobody looks.
#[cfg_attr(target_pointer_width = "64", inline(always))]
#[cfg_attr(not(target_pointer_width = "64"), inline(never))]
pub(crate) fn is_plain(bytes: &[u8]) -> bool {
    !SMALL && !any_byte(bytes, |byte| byte.wrapping_sub(1) >= 0x7f, is_word_special)
}

/// Subtracting borrows from a byte above only out of a zero, and then the word is special already.
#[inline(always)]
const fn is_word_special(word: usize) -> bool {
    (word.wrapping_sub(LOW) | word) & HIGH != 0
}

/// The bytes as text, if they are UTF-8 without U+0000: in few instructions, of which there are some for each byte.
#[inline(never)]
pub(crate) fn bytewise(bytes: &[u8]) -> Option<&str> {
    if !is_text(bytes) {
        return None;
    }
    #[expect(unsafe_code, reason = "measured, see the head of this file")]
    // SAFETY: `is_text` lets through what table 3-7 of the Unicode standard lists, and a test compares it with `from_utf8`.
    Some(unsafe { core::str::from_utf8_unchecked(bytes) })
}

/// Whether these are well-formed sequences (Unicode 16.0, table 3-7) other than U+0000.
fn is_text(bytes: &[u8]) -> bool {
    // How many bytes the sequence still has, and where the next of them must lie, as the lowest and a width.
    let (mut left, mut low, mut width) = (0_u8, 1_u8, 0x7f);
    for &byte in bytes {
        if left == 0 && byte >= 0xc2 {
            (low, width) = match byte {
                0xe0 => (0xa0, 0x20),
                0xed => (0x80, 0x20),
                0xf0 => (0x90, 0x30),
                0xf4 => (0x80, 0x10),
                _ => (0x80, 0x40),
            };
            left = match byte {
                ..=0xdf => 1,
                0xe0..=0xef => 2,
                0xf0..=0xf4 => 3,
                _ => return false,
            };
            continue;
        }
        if byte.wrapping_sub(low) >= width {
            return false;
        }
        left = left.saturating_sub(1);
        (low, width) = if left > 0 { (0x80, 0x40) } else { (1, 0x7f) };
    }
    left == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every sequence of up to three bytes, and every one of four that begins at an edge of the table.
    #[test]
    fn text_is_what_core_says_it_is() {
        fn right(bytes: &[u8]) -> Option<&str> {
            let text = core::str::from_utf8(bytes).ok()?;
            (!text.contains('\0')).then_some(text)
        }
        let check = |bytes: &[u8]| assert_eq!(bytewise(bytes), right(bytes), "{bytes:02x?}");
        check(&[]);
        for a in 0..=u8::MAX {
            check(&[a]);
            for b in 0..=u8::MAX {
                check(&[a, b]);
                for c in 0..=u8::MAX {
                    check(&[a, b, c]);
                }
            }
        }
        let edges = [
            0x00, 0x01, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0,
            0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff,
        ];
        for a in edges {
            for b in edges {
                for c in edges {
                    for d in edges {
                        check(&[a, b, c, d]);
                        check(&[b'x', a, b, c, d, b'y']);
                    }
                }
            }
        }
    }

    /// What `plain` gives is what the safe way gives, for every byte at every place of every length up to some vectors.
    #[test]
    #[cfg_attr(small, ignore = "there are no vectors there")]
    fn plain_text_is_what_core_says_it_is() {
        for len in 0..=80 {
            let mut bytes = [b'a'; 80];
            let bytes = bytes.get_mut(..len).expect("len is at most 80");
            assert_eq!(plain(bytes), core::str::from_utf8(bytes).ok());
            for at in 0..len {
                for byte in 0..=u8::MAX {
                    *bytes.get_mut(at).expect("at is below len") = byte;
                    let expected = (1..0x80)
                        .contains(&byte)
                        .then(|| core::str::from_utf8(bytes).expect("ASCII"));
                    assert_eq!(plain(bytes), expected, "{byte:#04x} at {at} of {len}");
                }
                *bytes.get_mut(at).expect("at is below len") = b'a';
            }
        }
    }

    /// Two bytes at a time: one that is special does not hide another, wherever they stand in a word.
    #[test]
    #[cfg_attr(small, ignore = "there are no vectors there")]
    fn neighbours_do_not_hide_each_other() {
        let edges = [0x00, 0x01, 0x7f, 0x80, 0x81, 0xff];
        for len in 2..=40 {
            for at in 0..len - 1 {
                for first in edges {
                    for second in edges {
                        let mut bytes = [1; 40];
                        bytes[at] = first;
                        bytes[at + 1] = second;
                        let expected = [first, second].iter().all(|byte| (1..0x80).contains(byte));
                        assert_eq!(plain(&bytes[..len]).is_some(), expected, "{bytes:?}");
                    }
                }
            }
        }
    }
}
