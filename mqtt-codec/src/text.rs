//! Looks at all bytes of a text, many at a time.
//!
//! Texts are short: where the last piece is not a whole one, it overlaps the one before, and there is no loop over single bytes but
//! for the shortest. Processors with vector registers compare sixteen bytes at once, which the compiler sees by itself; all others
//! take words.

/// Whether a byte is zero.
#[cfg_attr(target_pointer_width = "64", inline)]
pub(crate) fn has_nul(bytes: &[u8]) -> bool {
    if SMALL {
        return bytes.iter().fold(false, |found, byte| found | (*byte == 0));
    }
    any_byte(bytes, |byte| byte == 0, has_word_nul)
}

#[inline(always)]
fn has_piece_nul(piece: &[u8; PIECE]) -> bool {
    piece.iter().fold(false, |found, byte| found | (*byte == 0))
}

#[inline(always)]
const fn has_word_nul(word: usize) -> bool {
    word.wrapping_sub(LOW) & !word & HIGH != 0
}

/// Whether the code has to be small rather than fast: where there is no operating system.
pub(crate) const SMALL: bool = cfg!(any(small, target_os = "none"));

/// Bytes in a vector register.
const PIECE: usize = 16;
/// Whether the processor has such registers for certain. Where pointers have 32 bits on these processors, words have too, and two of
/// them are less than a register.
const VECTORS: bool = cfg!(all(
    any(target_arch = "x86_64", target_arch = "aarch64"),
    target_pointer_width = "64"
));
// What is shorter than a register is two words, which may overlap.
const _: () = assert!(!VECTORS || 2 * size_of::<usize>() >= PIECE);

/// A one in each byte of a word.
pub(crate) const LOW: usize = usize::MAX / 0xff;
/// The highest bit of each byte of a word.
pub(crate) const HIGH: usize = LOW << 7;

/// Whether the test is true of a byte; `word` is the same test for a word, or for a few bytes filled up with ones.
#[inline(always)]
pub(crate) fn any_byte(
    bytes: &[u8],
    byte: impl Fn(u8) -> bool,
    word: impl Fn(usize) -> bool,
) -> bool {
    if VECTORS && let (Some(first), Some(last)) = (bytes.first_chunk::<PIECE>(), bytes.last_chunk())
    {
        let pairs = first.iter().zip::<&[u8; PIECE]>(last);
        let found = pairs.fold(false, |found, (a, b)| found | byte(*a) | byte(*b));
        if found || bytes.len() <= 2 * PIECE {
            return found;
        }
        return any_of_pieces(bytes, byte);
    }
    any_word(bytes, word)
}

/// The whole pieces of a longer text. In a function of its own, and one after the other: the compiler would look at many pieces side by
/// side, with kilobytes of code wherever a text is read.
#[inline(never)]
fn any_of_pieces(bytes: &[u8], byte: impl Fn(u8) -> bool) -> bool {
    let (pieces, _) = bytes.as_chunks::<PIECE>();
    let test = |piece: &[u8; PIECE]| piece.iter().fold(false, |found, it| found | byte(*it));
    pieces.iter().any(test)
}

/// Whether the test is true of a word of `bytes`, or of a few of them filled up with ones.
#[inline(always)]
fn any_word(bytes: &[u8], test: impl Fn(usize) -> bool) -> bool {
    if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        let mut found = test(usize::from_ne_bytes(*first)) | test(usize::from_ne_bytes(*last));
        // With vectors two words are all.
        if !VECTORS {
            for word in bytes.as_chunks().0 {
                found |= test(usize::from_ne_bytes(*word));
            }
        }
        return found;
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
#[inline(always)]
const fn half(bytes: [u8; 4]) -> usize {
    // Where a word has four bytes there is nothing to fill up; where it has two, one byte is all that comes here.
    u32::from_ne_bytes(bytes) as usize | LOW & !(u32::MAX as usize)
}

/// Bytes up to which a loop over pieces is faster than a call.
const SHORT: usize = 64;

/// Copies a text to a place of the same length, and tells whether it holds a zero.
///
/// A short text is copied in the same registers in which it is looked at.
#[cfg_attr(target_pointer_width = "64", inline(always))]
#[cfg_attr(not(target_pointer_width = "64"), inline(never))]
pub(crate) fn copy_text(to: &mut [u8], text: &[u8]) -> bool {
    if to.len() != text.len() {
        return false;
    }
    if !VECTORS || text.len() > SHORT {
        return copy_long(to, text);
    }
    if let Some((first, last)) = copy_ends(to, text) {
        let mut found = has_piece_nul(&first) | has_piece_nul(&last);
        if text.len() > 2 * PIECE {
            let ((to, _), (pieces, _)) = (to.as_chunks_mut::<PIECE>(), text.as_chunks());
            for (to, piece) in to.iter_mut().zip(pieces) {
                *to = *piece;
                found |= has_piece_nul(piece);
            }
        }
        return found;
    }
    if let Some((first, last)) = copy_ends(to, text) {
        return has_word_nul(usize::from_ne_bytes(first))
            | has_word_nul(usize::from_ne_bytes(last));
    }
    if let Some((first, last)) = copy_ends(to, text) {
        return has_word_nul(half(first)) | has_word_nul(half(last));
    }
    copy_bytewise(to, text)
}

/// Copies byte by byte, and says whether there is a zero among them.
#[inline]
pub(crate) fn copy_bytewise(to: &mut [u8], text: &[u8]) -> bool {
    let mut found = false;
    for (to, byte) in to.iter_mut().zip(text) {
        *to = *byte;
        found |= *byte == 0;
    }
    found
}

/// Copies bytes to a place of the same length.
#[cfg_attr(target_pointer_width = "64", inline(always))]
#[cfg_attr(not(target_pointer_width = "64"), inline(never))]
pub(crate) fn copy_bytes(to: &mut [u8], bytes: &[u8]) {
    let copied = VECTORS
        && bytes.len() <= 2 * PIECE
        && (copy_ends::<PIECE>(to, bytes).is_some() || copy_ends::<8>(to, bytes).is_some());
    if !copied {
        to.copy_from_slice(bytes);
    }
}

#[inline(never)]
fn copy_long(to: &mut [u8], text: &[u8]) -> bool {
    to.copy_from_slice(text);
    has_nul(text)
}

/// Copies the first and the last `N` bytes, which may overlap, and gives them; `None` if there are fewer.
#[inline(always)]
fn copy_ends<const N: usize>(to: &mut [u8], text: &[u8]) -> Option<([u8; N], [u8; N])> {
    let (first, last) = (*text.first_chunk()?, *text.last_chunk()?);
    *to.first_chunk_mut()? = first;
    *to.last_chunk_mut()? = last;
    Some((first, last))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A zero is seen at every place of every length, among bytes that come close to one.
    #[test]
    fn a_zero_is_seen_wherever_it_is() {
        for len in 0..=130_usize {
            for around in [0x01, 0x80, 0xff] {
                let mut bytes = [around; 130];
                let bytes = bytes.get_mut(..len).expect("len is at most 130");
                assert!(!has_nul(bytes));
                for at in 0..len {
                    *bytes.get_mut(at).expect("at is below len") = 0;
                    assert!(has_nul(bytes), "{len} {at}");
                    *bytes.get_mut(at).expect("at is below len") = around;
                }
            }
        }
    }

    /// The copy is the text, nothing around it is touched, and a zero is told.
    #[test]
    fn a_copy_is_the_text() {
        let text: [u8; 130] = core::array::from_fn(|at| 1 + at as u8);
        for len in 0..=130_usize {
            let mut text = text;
            for zero in [None, Some(0), Some(len / 2), len.checked_sub(1)] {
                let zero = zero.filter(|at| *at < len);
                if let Some(at) = zero {
                    text[at] = 0;
                }
                let mut to = [0xee; 132];
                assert_eq!(copy_text(&mut to[1..=len], &text[..len]), zero.is_some());
                assert_eq!(to[1..=len], text[..len]);
                assert_eq!((to[0], to[len + 1]), (0xee, 0xee), "{len}");
                if let Some(at) = zero {
                    text[at] = 1 + at as u8;
                }
            }
        }
    }
}
