//! [`TopicFilter`]: what a subscription asks for.

use core::fmt;

use crate::error::{TopicFilterError, TopicFilterErrorKind};
use crate::levels::{FilterLevels, Levels};
use crate::matches;
use crate::name::{MAX_TOPIC_BYTES, TopicName, has_special};

/// A valid topic filter: 1 to 65,535 bytes without U+0000, `+` alone in its level, `#` alone in the
/// last one.
///
/// Borrowed and `Copy`; its owned twin is `TopicFilterBuf` (feature `alloc`). A text of the form
/// `$share/…` is taken literally here; [`ParsedFilter`](crate::ParsedFilter) knows shared subscriptions.
///
/// ```
/// use mqtt_topic::{TopicFilter, TopicName};
///
/// let filter = TopicFilter::new("site/+/temperature")?;
/// assert!(filter.matches(&TopicName::new("site/7/temperature").unwrap()));
/// assert!(!filter.matches(&TopicName::new("site/7/humidity").unwrap()));
/// # Ok::<(), mqtt_topic::TopicFilterError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicFilter<'a>(&'a str);

impl<'a> TopicFilter<'a> {
    /// Checks that `text` is a topic filter. Cost: one pass over the bytes.
    ///
    /// # Errors
    /// The first broken rule among [MQTT-4.7.3-1], [MQTT-4.7.3-3], [MQTT-4.7.3-2], [MQTT-4.7.1-1]
    /// and [MQTT-4.7.1-2].
    pub fn new(text: &'a str) -> Result<Self, TopicFilterError> {
        let bytes = text.as_bytes();
        if bytes.is_empty() {
            return Err(TopicFilterError::new(TopicFilterErrorKind::Empty, 0));
        }
        if bytes.len() > MAX_TOPIC_BYTES {
            return Err(TopicFilterError::new(
                TopicFilterErrorKind::TooLong,
                MAX_TOPIC_BYTES,
            ));
        }
        if has_special(bytes) {
            check_special(bytes)?;
        }
        Ok(Self(text))
    }

    /// A filter that is known while the program is compiled: in a `const` it costs nothing when it runs.
    ///
    /// ```
    /// use mqtt_topic::TopicFilter;
    ///
    /// const ALL: TopicFilter<'static> = TopicFilter::from_static("site/+/temperature");
    /// assert_eq!(ALL.as_str(), "site/+/temperature");
    /// ```
    ///
    /// # Panics
    /// If it is none; in a `const` the program does not compile then.
    #[must_use]
    pub const fn from_static(text: &'static str) -> TopicFilter<'static> {
        let mut rest = text.as_bytes();
        assert!(
            !rest.is_empty() && rest.len() <= MAX_TOPIC_BYTES,
            "a topic filter has 1 to 65,535 bytes"
        );
        let mut first_of_level = true;
        while let [byte, tail @ ..] = rest {
            assert!(*byte != 0, "a topic filter has no U+0000");
            let wildcard = *byte == b'+' || *byte == b'#';
            assert!(
                !wildcard || (first_of_level && matches!(tail, [] | [b'/', ..])),
                "a wildcard is a whole level"
            );
            assert!(
                *byte != b'#' || tail.is_empty(),
                "the wildcard # is the last level"
            );
            first_of_level = *byte == b'/';
            rest = tail;
        }
        TopicFilter(text)
    }

    /// Wraps a text that is known to be valid, because it came from a checked one.
    #[cfg(feature = "alloc")]
    pub(crate) const fn trusted(text: &'a str) -> Self {
        Self(text)
    }

    /// The filter as it was given.
    #[must_use]
    pub const fn as_str(self) -> &'a str {
        self.0
    }

    /// The levels from left to right, split at `/`.
    #[must_use]
    pub fn levels(self) -> FilterLevels<'a> {
        FilterLevels::of(self.0)
    }

    /// How many levels the filter has, wildcards included: the number of `/` plus one, 1 to 65,536.
    #[must_use]
    pub fn level_count(self) -> usize {
        Levels::count(self.0)
    }

    /// Whether a level is `+` or `#`.
    #[must_use]
    pub fn has_wildcards(self) -> bool {
        has_special(self.0.as_bytes())
    }

    /// Whether the first level is `+` or `#`, so that no name that begins with `$` matches.
    /// \[MQTT-4.7.2-1\]
    #[must_use]
    pub fn begins_with_wildcard(self) -> bool {
        self.0.starts_with(['+', '#'])
    }

    /// The filter as the only name that it matches; `None` if it has wildcards.
    #[must_use]
    pub fn as_name(self) -> Option<TopicName<'a>> {
        (!self.has_wildcards()).then(|| TopicName::trusted(self.0))
    }

    /// Whether a message published under `name` belongs to a subscription to this filter.
    ///
    /// Compares byte by byte without normalisation \[MQTT-4.7.3-4\]; a filter that begins with a
    /// wildcard does not match a name that begins with `$` \[MQTT-4.7.2-1\]. Allocates nothing.
    /// Cost: one pass over the shorter text.
    #[must_use]
    pub fn matches(self, name: &TopicName<'_>) -> bool {
        matches::matches(self, *name)
    }

    /// Whether every name that `other` matches is matched by this filter too.
    ///
    /// An access rule that allows `site/#` covers a subscription to `site/+/temperature`, and none to
    /// `+/7`. Allocates nothing. Cost: one pass over the shorter text.
    ///
    /// ```
    /// use mqtt_topic::TopicFilter;
    ///
    /// let allowed = TopicFilter::new("site/#")?;
    /// assert!(allowed.covers(&TopicFilter::new("site/+/temperature")?));
    /// assert!(!allowed.covers(&TopicFilter::new("+/7")?));
    /// # Ok::<(), mqtt_topic::TopicFilterError>(())
    /// ```
    #[must_use]
    pub fn covers(self, other: &TopicFilter<'_>) -> bool {
        matches::covers(self, *other)
    }
}

/// Judges every `+`, `#` and U+0000 by its neighbours.
fn check_special(bytes: &[u8]) -> Result<(), TopicFilterError> {
    use TopicFilterErrorKind::{HashNotAlone, HashNotLast, Nul, PlusNotAlone};
    let mut before = b'/';
    for (at, &byte) in bytes.iter().enumerate() {
        let after = bytes.get(at + 1).copied();
        let kind = match byte {
            0 => Some(Nul),
            b'+' => {
                (before != b'/' || after.is_some_and(|after| after != b'/')).then_some(PlusNotAlone)
            }
            b'#' if before != b'/' || after.is_some_and(|after| after != b'/') => {
                Some(HashNotAlone)
            }
            b'#' => after.is_some().then_some(HashNotLast),
            _ => None,
        };
        if let Some(kind) = kind {
            return Err(TopicFilterError::new(kind, at));
        }
        before = byte;
    }
    Ok(())
}

impl<'a> From<TopicName<'a>> for TopicFilter<'a> {
    /// The filter that matches exactly this name.
    fn from(name: TopicName<'a>) -> Self {
        Self(name.as_str())
    }
}

impl AsRef<str> for TopicFilter<'_> {
    fn as_ref(&self) -> &str {
        self.0
    }
}

impl<'a> TryFrom<&'a str> for TopicFilter<'a> {
    type Error = TopicFilterError;

    fn try_from(text: &'a str) -> Result<Self, TopicFilterError> {
        Self::new(text)
    }
}

impl fmt::Debug for TopicFilter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.0, f)
    }
}

impl fmt::Display for TopicFilter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_TOPIC_BYTES, TopicFilter};
    use crate::error::TopicFilterErrorKind::{
        self, Empty, HashNotAlone, HashNotLast, Nul, PlusNotAlone, TooLong,
    };

    fn check(text: &str, expected: Result<(), (TopicFilterErrorKind, u32)>) {
        let found = TopicFilter::new(text)
            .map(|_| ())
            .map_err(|error| (error.kind, error.at));
        assert_eq!(found, expected, "{:?}", text.get(..40).unwrap_or(text));
    }

    /// `#` stands alone in its level, and that level is the last. [MQTT-4.7.1-1], [3.1.1:MQTT-4.7.1-2]
    #[test]
    fn hash_is_alone_and_last() {
        check("#", Ok(()));
        check("/#", Ok(()));
        check("sport/tennis/#", Ok(()));
        check("sport/tennis#", Err((HashNotAlone, 12)));
        check("#sport", Err((HashNotAlone, 0)));
        check("##", Err((HashNotAlone, 0)));
        check("+#", Err((PlusNotAlone, 0)));
        check("sport/tennis/#/ranking", Err((HashNotLast, 13)));
        check("#/", Err((HashNotLast, 0)));
    }

    /// `+` fills the level that it stands in, wherever that is. [MQTT-4.7.1-2], [3.1.1:MQTT-4.7.1-3]
    #[test]
    fn plus_fills_its_level() {
        check("+", Ok(()));
        check("+/tennis/#", Ok(()));
        check("sport/+/player1", Ok(()));
        check("/+", Ok(()));
        check("+/+/+", Ok(()));
        check("sport+", Err((PlusNotAlone, 5)));
        check("sport/+x/a", Err((PlusNotAlone, 6)));
        check("++", Err((PlusNotAlone, 0)));
    }

    /// A filter has at least one character. [MQTT-4.7.3-1], [3.1.1:MQTT-4.7.3-1]
    #[test]
    fn an_empty_filter_is_refused() {
        check("", Err((Empty, 0)));
        check("/", Ok(()));
    }

    /// A filter contains no U+0000. [MQTT-4.7.3-2], [3.1.1:MQTT-4.7.3-2]
    #[test]
    fn a_filter_with_nul_is_refused() {
        check("a\0b", Err((Nul, 1)));
        check("a/+/\0", Err((Nul, 4)));
    }

    /// A filter has at most 65,535 bytes. [MQTT-4.7.3-3], [3.1.1:MQTT-4.7.3-3]
    #[test]
    fn a_filter_over_65535_bytes_is_refused() {
        let bytes = [b'/'; MAX_TOPIC_BYTES + 1];
        let text = core::str::from_utf8(&bytes).unwrap();
        check(&text[1..], Ok(()));
        assert_eq!(TopicFilter::new(&text[1..]).unwrap().level_count(), 65_536);
        check(text, Err((TooLong, 65_535)));
    }

    #[test]
    fn only_a_filter_without_wildcards_is_a_name() {
        assert_eq!(
            TopicFilter::new("a/b").unwrap().as_name().unwrap().as_str(),
            "a/b"
        );
        assert!(TopicFilter::new("a/+").unwrap().as_name().is_none());
        assert!(TopicFilter::new("a/#").unwrap().has_wildcards());
    }
}
