//! [`ShortText`]: the text of a level, in place if it is as short as levels are.

use alloc::boxed::Box;

/// Bytes that have room in place: as many as fit beside the length into what a longer text needs.
const IN_PLACE: usize = 22;

/// A text of its own, which costs no step in memory up to 22 bytes.
#[derive(Clone)]
pub(crate) enum ShortText {
    Here { len: u8, bytes: [u8; IN_PLACE] },
    Elsewhere(Box<str>),
}

impl From<&str> for ShortText {
    fn from(text: &str) -> Self {
        let mut bytes = [0; IN_PLACE];
        match bytes.get_mut(..text.len()) {
            Some(place) => {
                place.copy_from_slice(text.as_bytes());
                Self::Here {
                    len: text.len() as u8,
                    bytes,
                }
            }
            None => Self::Elsewhere(text.into()),
        }
    }
}

impl ShortText {
    #[inline]
    pub(crate) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Here { len, bytes } => &bytes[..usize::from(*len)],
            Self::Elsewhere(text) => text.as_bytes(),
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::{IN_PLACE, ShortText};

    #[test]
    fn a_text_stays_the_same_wherever_it_stands() {
        for len in 0..2 * IN_PLACE {
            for text in ["x".repeat(len), "\u{e9}".repeat(len / 2)] {
                let short = ShortText::from(text.as_str());
                assert_eq!(short.as_bytes(), text.as_bytes());
                assert_eq!(
                    matches!(short, ShortText::Here { .. }),
                    text.len() <= IN_PLACE
                );
            }
        }
        assert_eq!(size_of::<ShortText>(), 24);
    }
}
