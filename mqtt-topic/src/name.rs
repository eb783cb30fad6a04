//! [`TopicName`]: what a message is published under.

use core::fmt;

use crate::error::{TopicNameError, TopicNameErrorKind};
use crate::levels::Levels;

/// Largest length of a topic name, filter or share name, in bytes of UTF-8. \[MQTT-4.7.3-3\]
pub const MAX_TOPIC_BYTES: usize = 65_535;

/// A valid topic name: 1 to 65,535 bytes without U+0000, `+` and `#`.
///
/// Borrowed and `Copy`; its owned twin is `TopicNameBuf` (feature `alloc`). Two names are equal when
/// their bytes are: case counts, and nothing is normalised. \[MQTT-4.7.3-4\]
///
/// ```
/// use mqtt_topic::TopicName;
///
/// let name = TopicName::new("site/7/temperature")?;
/// assert_eq!(name.level_count(), 3);
/// assert_eq!(TopicName::new("site/+/temperature").unwrap_err().at, 5);
/// # Ok::<(), mqtt_topic::TopicNameError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicName<'a>(&'a str);

impl<'a> TopicName<'a> {
    /// Checks that `text` is a topic name. Cost: one pass over the bytes.
    ///
    /// # Errors
    /// The first broken rule among [MQTT-4.7.3-1], [MQTT-4.7.3-3], [MQTT-4.7.3-2] and [MQTT-3.3.2-2].
    pub fn new(text: &'a str) -> Result<Self, TopicNameError> {
        use TopicNameErrorKind::{Empty, Nul, TooLong, Wildcard};
        let bytes = text.as_bytes();
        if bytes.is_empty() {
            return Err(TopicNameError::new(Empty, 0));
        }
        if bytes.len() > MAX_TOPIC_BYTES {
            return Err(TopicNameError::new(TooLong, MAX_TOPIC_BYTES));
        }
        if !has_special(bytes) {
            return Ok(Self(text));
        }
        let at = bytes.iter().position(|&byte| is_special(byte)).unwrap_or(0);
        let kind = if bytes.get(at) == Some(&0) {
            Nul
        } else {
            Wildcard
        };
        Err(TopicNameError::new(kind, at))
    }

    /// A name that is known while the program is compiled: in a `const` it costs nothing when it runs.
    ///
    /// ```
    /// use mqtt_topic::TopicName;
    ///
    /// const TEMPERATURE: TopicName<'static> = TopicName::from_static("site/7/temperature");
    /// assert_eq!(TEMPERATURE.as_str(), "site/7/temperature");
    /// ```
    ///
    /// # Panics
    /// If it is none; in a `const` the program does not compile then.
    #[must_use]
    pub const fn from_static(text: &'static str) -> TopicName<'static> {
        let mut rest = text.as_bytes();
        assert!(
            !rest.is_empty() && rest.len() <= MAX_TOPIC_BYTES,
            "a topic name has 1 to 65,535 bytes"
        );
        while let [byte, tail @ ..] = rest {
            assert!(!is_special(*byte), "a topic name has no U+0000, + or #");
            rest = tail;
        }
        TopicName(text)
    }

    /// Wraps a text that is known to be a name, because it came from one.
    pub(crate) const fn trusted(text: &'a str) -> Self {
        Self(text)
    }

    /// The name as it was given.
    #[must_use]
    pub const fn as_str(self) -> &'a str {
        self.0
    }

    /// The levels from left to right, split at `/`.
    #[must_use]
    pub fn levels(self) -> Levels<'a> {
        Levels::of(self.0)
    }

    /// How many levels the name has: the number of `/` plus one, 1 to 65,536.
    ///
    /// An owner that limits the depth of topics compares this before it stores anything.
    #[must_use]
    pub fn level_count(self) -> usize {
        Levels::count(self.0)
    }

    /// Whether the first character is `$`, so that a filter that begins with a wildcard does not
    /// match. \[MQTT-4.7.2-1\]
    #[must_use]
    pub fn is_dollar(self) -> bool {
        self.0.starts_with('$')
    }
}

/// Three comparisons that do not depend on each other, so that they can be made on many bytes at once.
const fn is_special(byte: u8) -> bool {
    (byte == 0) | (byte == b'+') | (byte == b'#')
}

/// Whether a byte is U+0000, `+` or `#`.
///
/// Looks at all bytes, which is faster than stopping early: the compiler compares many at once. Most topics are short, so that the
/// last piece overlaps the one before it instead of being gone through byte by byte.
pub(crate) fn has_special(bytes: &[u8]) -> bool {
    if cfg!(any(small, target_os = "none")) {
        // On a microcontroller flash counts for more than speed.
        return bytes.iter().copied().any(is_special);
    }
    if let Some(last) = bytes.last_chunk::<16>() {
        let (pieces, _) = bytes.as_chunks();
        return any_special(last) | pieces.iter().any(any_special::<16>);
    }
    if let (Some(first), Some(last)) = (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
        return any_special(first) | any_special(last);
    }
    if let (Some(first), Some(last)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        return any_special(first) | any_special(last);
    }
    bytes.iter().copied().any(is_special)
}

#[inline(always)]
fn any_special<const N: usize>(piece: &[u8; N]) -> bool {
    piece
        .iter()
        .fold(false, |found, &byte| found | is_special(byte))
}

impl AsRef<str> for TopicName<'_> {
    fn as_ref(&self) -> &str {
        self.0
    }
}

impl<'a> TryFrom<&'a str> for TopicName<'a> {
    type Error = TopicNameError;

    fn try_from(text: &'a str) -> Result<Self, TopicNameError> {
        Self::new(text)
    }
}

impl fmt::Debug for TopicName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.0, f)
    }
}

impl fmt::Display for TopicName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_TOPIC_BYTES, TopicName};
    use crate::error::TopicNameErrorKind::{self, Empty, Nul, TooLong, Wildcard};

    fn check(text: &str, expected: Result<(), (TopicNameErrorKind, u32)>) {
        let found = TopicName::new(text)
            .map(|_| ())
            .map_err(|error| (error.kind, error.at));
        assert_eq!(found, expected, "{:?}", text.get(..40).unwrap_or(text));
    }

    /// A name has at least one character. [MQTT-4.7.3-1], [3.1.1:MQTT-4.7.3-1]
    #[test]
    fn an_empty_name_is_refused() {
        check("", Err((Empty, 0)));
        check("/", Ok(()));
        check(" ", Ok(()));
    }

    /// A name contains no U+0000. [MQTT-4.7.3-2], [3.1.1:MQTT-4.7.3-2]
    #[test]
    fn a_name_with_nul_is_refused() {
        check("a/\0", Err((Nul, 2)));
        check("\0", Err((Nul, 0)));
        check("a\u{1}\u{7f}\u{feff}\u{fffe}", Ok(()));
    }

    /// Wildcards are for filters only. [MQTT-3.3.2-2], [MQTT-4.7.0-1], [3.1.1:MQTT-3.3.2-2], [3.1.1:MQTT-4.7.1-1]
    #[test]
    fn a_name_with_a_wildcard_is_refused() {
        check("+", Err((Wildcard, 0)));
        check("a/#", Err((Wildcard, 2)));
        check("ä/b+", Err((Wildcard, 4)));
    }

    /// A name has at most 65,535 bytes. [MQTT-4.7.3-3], [3.1.1:MQTT-4.7.3-3]
    #[test]
    fn a_name_over_65535_bytes_is_refused() {
        let bytes = [b'x'; MAX_TOPIC_BYTES + 1];
        let text = core::str::from_utf8(&bytes).unwrap();
        check(&text[1..], Ok(()));
        check(text, Err((TooLong, 65_535)));
    }

    /// Names that begin with `$` are known as such. [MQTT-4.7.2-1], [3.1.1:MQTT-4.7.2-1]
    #[test]
    fn dollar_names_are_told_apart() {
        assert!(TopicName::new("$SYS/uptime").unwrap().is_dollar());
        assert!(!TopicName::new("a/$b").unwrap().is_dollar());
        assert!(!TopicName::new("/$SYS").unwrap().is_dollar());
    }
}
