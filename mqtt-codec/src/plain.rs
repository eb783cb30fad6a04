//! Plain text, ASCII without U+0000, as a `str` without a second look at it: the one place with unsafe code in this crate.
//!
//! `core::str::from_utf8` reads the ends of a text byte by byte. For the topic of an ordinary PUBLISH that takes more
//! instructions than everything else in the packet.

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

#[cfg(test)]
mod tests {
    use super::*;

    /// What `plain` gives is what the safe way gives, for every byte at every place of every length up to some vectors.
    #[test]
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
