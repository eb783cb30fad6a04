//! Looks at all bytes of a text, many at a time.
//!
//! Texts are short: where the last piece is not a whole one, it overlaps the one before, and there is no loop over single bytes but
//! for the shortest. Processors with vector registers compare sixteen bytes at once, which the compiler sees by itself; all others
//! take words.

/// Whether a byte is zero.
#[inline]
pub(crate) fn has_nul(bytes: &[u8]) -> bool {
    any_piece(bytes, piece_has_nul, |word| {
        word.wrapping_sub(LOW) & !word & HIGH != 0
    })
}

/// Whether all bytes are ASCII and none is zero, as in most texts.
#[inline]
pub(crate) fn is_plain(bytes: &[u8]) -> bool {
    !any_piece(
        bytes,
        |piece| {
            piece
                .iter()
                .fold(false, |found, byte| found | (byte.wrapping_sub(1) >= 0x7f))
        },
        |word| (word.wrapping_sub(LOW) | word) & HIGH != 0,
    )
}

/// Copies a text to a place of the same length, and tells whether it holds a zero.
///
/// A short text is copied in the same registers in which it is looked at.
#[cfg_attr(target_pointer_width = "64", inline(always))]
pub(crate) fn copy_text(to: &mut [u8], text: &[u8]) -> bool {
    if to.len() != text.len() {
        return false;
    }
    if !VECTORS || text.len() > SHORT {
        return copy_long(to, text);
    }
    if let (Some(to_last), Some(last)) = (to.last_chunk_mut(), text.last_chunk()) {
        *to_last = *last;
        let mut found = piece_has_nul(last);
        let ((to, _), (pieces, _)) = (to.as_chunks_mut::<PIECE>(), text.as_chunks());
        for (to, piece) in to.iter_mut().zip(pieces) {
            *to = *piece;
            found |= piece_has_nul(piece);
        }
        return found;
    }
    if let Some((first, last)) = copy_ends(to, text) {
        return word_has_nul(usize::from_ne_bytes(first))
            | word_has_nul(usize::from_ne_bytes(last));
    }
    if let Some((first, last)) = copy_ends(to, text) {
        return word_has_nul(half(first)) | word_has_nul(half(last));
    }
    let mut found = false;
    for (to, byte) in to.iter_mut().zip(text) {
        *to = *byte;
        found |= *byte == 0;
    }
    found
}

#[inline(never)]
fn copy_long(to: &mut [u8], text: &[u8]) -> bool {
    to.copy_from_slice(text);
    has_nul(text)
}

/// Copies the first and the last `N` bytes, which may overlap, and gives them; `None` if there are fewer.
#[cfg_attr(target_pointer_width = "64", inline(always))]
fn copy_ends<const N: usize>(to: &mut [u8], text: &[u8]) -> Option<([u8; N], [u8; N])> {
    let (first, last) = (*text.first_chunk()?, *text.last_chunk()?);
    *to.first_chunk_mut()? = first;
    *to.last_chunk_mut()? = last;
    Some((first, last))
}

/// Bytes up to which a loop over pieces is faster than a call.
const SHORT: usize = 64;

#[cfg_attr(target_pointer_width = "64", inline(always))]
const fn word_has_nul(word: usize) -> bool {
    word.wrapping_sub(LOW) & !word & HIGH != 0
}

#[cfg_attr(target_pointer_width = "64", inline(always))]
fn piece_has_nul(piece: &[u8; PIECE]) -> bool {
    piece.iter().fold(false, |found, byte| found | (*byte == 0))
}

/// Bytes in a vector register.
const PIECE: usize = 16;
/// Whether the processor has such registers for certain.
const VECTORS: bool = cfg!(any(target_arch = "x86_64", target_arch = "aarch64"));

/// Whether the test is true of a piece of `bytes`; `word` is the same test for a word, or for a few bytes filled up with ones.
#[cfg_attr(target_pointer_width = "64", inline(always))]
fn any_piece(
    bytes: &[u8],
    piece: impl Fn(&[u8; PIECE]) -> bool,
    word: impl Fn(usize) -> bool,
) -> bool {
    if VECTORS && let Some(last) = bytes.last_chunk::<PIECE>() {
        let (pieces, _) = bytes.as_chunks::<PIECE>();
        return piece(last) || pieces.iter().any(piece);
    }
    any_word(bytes, word)
}

/// A one in each byte of a word.
const LOW: usize = usize::MAX / 0xff;
/// The highest bit of each byte of a word.
const HIGH: usize = LOW << 7;
/// Whether the test is true of a word of `bytes`, or of a few of them filled up with ones.
#[cfg_attr(target_pointer_width = "64", inline(always))]
fn any_word(bytes: &[u8], test: impl Fn(usize) -> bool) -> bool {
    const WORD: usize = size_of::<usize>();
    if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        let ends = test(usize::from_ne_bytes(*first)) | test(usize::from_ne_bytes(*last));
        let (words, _) = bytes.as_chunks::<WORD>();
        return ends
            || words
                .iter()
                .skip(1)
                .any(|word| test(usize::from_ne_bytes(*word)));
    }
    if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        return test(half(*first)) | test(half(*last));
    }
    match *bytes {
        [] => false,
        [first, ..] => {
            let at = |index: usize| bytes.get(index).copied().unwrap_or(first);
            test(half([first, at(1), at(2), 1]))
        }
    }
}

/// A word that ends in ones.
#[cfg_attr(target_pointer_width = "64", inline(always))]
const fn half(bytes: [u8; 4]) -> usize {
    // Where a word has four bytes there is nothing to fill up; where it has two, one byte is all that comes here.
    u32::from_ne_bytes(bytes) as usize | LOW & !(u32::MAX as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_strings_are_ascii_without_nul() {
        for len in 0..40 {
            let mut bytes = [0x7f_u8; 40];
            let bytes = bytes.get_mut(..len).expect("len is below 40");
            for fine in [0x01, 0x7f] {
                bytes.fill(fine);
                assert!(is_plain(bytes));
                for at in 0..len {
                    for wrong in [0x00, 0x80, 0xff] {
                        *bytes.get_mut(at).expect("at is below len") = wrong;
                        assert!(!is_plain(bytes), "{len} {at}");
                    }
                    *bytes.get_mut(at).expect("at is below len") = fine;
                }
            }
        }
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
