//! [`ShareName`] and [`ParsedFilter`]: shared subscriptions, `$share/group/filter`.

use core::fmt;

use crate::error::{TopicFilterError, TopicFilterErrorKind};
use crate::filter::TopicFilter;
use crate::name::MAX_TOPIC_BYTES;

const PREFIX: &str = "$share/";

/// A valid name of a shared subscription: 1 to 65,535 bytes without `/`, `+`, `#` and U+0000.
///
/// Borrowed and `Copy`; its owned twin is `ShareNameBuf` (feature `alloc`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShareName<'a>(&'a str);

/// What the text in a SUBSCRIBE or UNSUBSCRIBE asks for: a filter, perhaps shared.
///
/// ```
/// use mqtt_topic::ParsedFilter;
///
/// let shared = ParsedFilter::parse("$share/workers/jobs/+")?;
/// assert_eq!(shared.share.unwrap().as_str(), "workers");
/// assert_eq!(shared.filter.as_str(), "jobs/+");
///
/// let plain = ParsedFilter::parse("jobs/+")?;
/// assert!(plain.share.is_none());
/// # Ok::<(), mqtt_topic::TopicFilterError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ParsedFilter<'a> {
    /// The group whose members share the messages; `None` for an ordinary subscription.
    pub share: Option<ShareName<'a>>,
    /// What the messages' names are matched with.
    pub filter: TopicFilter<'a>,
}

impl<'a> ShareName<'a> {
    /// Checks that `text` is a share name.
    ///
    /// # Errors
    /// The first broken rule among [MQTT-4.8.2-1], [MQTT-4.8.2-2] and [MQTT-4.7.3-2].
    pub fn new(text: &'a str) -> Result<Self, TopicFilterError> {
        use TopicFilterErrorKind::{Nul, ShareNameCharacter, ShareNameEmpty, TooLong};
        if text.is_empty() {
            return Err(TopicFilterError::new(ShareNameEmpty, 0));
        }
        if text.len() > MAX_TOPIC_BYTES {
            return Err(TopicFilterError::new(TooLong, MAX_TOPIC_BYTES));
        }
        match text
            .bytes()
            .enumerate()
            .find(|(_, byte)| matches!(byte, 0 | b'/' | b'+' | b'#'))
        {
            None => Ok(Self(text)),
            Some((at, 0)) => Err(TopicFilterError::new(Nul, at)),
            Some((at, _)) => Err(TopicFilterError::new(ShareNameCharacter, at)),
        }
    }

    /// Wraps a text that is known to be valid, because it came from a checked one.
    #[cfg(feature = "alloc")]
    pub(crate) const fn trusted(text: &'a str) -> Self {
        Self(text)
    }

    /// The share name as it was given, without `$share/`.
    #[must_use]
    pub const fn as_str(self) -> &'a str {
        self.0
    }
}

impl<'a> ParsedFilter<'a> {
    /// Takes a text apart into share name and filter, and checks both.
    ///
    /// A text that begins with `$share/` is a shared subscription and must have the form
    /// `$share/ShareName/filter`; every other text (`$share` alone included) is a filter. MQTT 3.1.1 does
    /// not know shared subscriptions: who wants `$share/…` taken literally there calls [`TopicFilter::new`].
    ///
    /// # Errors
    /// The first broken rule among [MQTT-4.7.3-3], [MQTT-4.8.2-1], [MQTT-4.8.2-2] and those of
    /// [`TopicFilter::new`]; the offset counts from the start of `text`.
    pub fn parse(text: &'a str) -> Result<Self, TopicFilterError> {
        let Some(rest) = text.strip_prefix(PREFIX) else {
            return Ok(Self {
                share: None,
                filter: TopicFilter::new(text)?,
            });
        };
        if text.len() > MAX_TOPIC_BYTES {
            return Err(TopicFilterError::new(
                TopicFilterErrorKind::TooLong,
                MAX_TOPIC_BYTES,
            ));
        }
        let (share, filter) = match rest.split_once('/') {
            Some((share, filter)) => (share, Some(filter)),
            None => (rest, None),
        };
        let name = ShareName::new(share).map_err(|error| error.shifted(PREFIX.len()))?;
        let begin = PREFIX.len() + share.len() + 1;
        let Some(filter) = filter.filter(|filter| !filter.is_empty()) else {
            return Err(TopicFilterError::new(
                TopicFilterErrorKind::ShareWithoutFilter,
                begin.min(text.len()),
            ));
        };
        let filter = TopicFilter::new(filter).map_err(|error| error.shifted(begin))?;
        Ok(Self {
            share: Some(name),
            filter,
        })
    }

    /// Whether this is a shared subscription.
    #[must_use]
    pub const fn is_shared(self) -> bool {
        self.share.is_some()
    }
}

impl<'a> From<TopicFilter<'a>> for ParsedFilter<'a> {
    /// An ordinary subscription to `filter`.
    fn from(filter: TopicFilter<'a>) -> Self {
        Self {
            share: None,
            filter,
        }
    }
}

impl<'a> TryFrom<&'a str> for ShareName<'a> {
    type Error = TopicFilterError;

    fn try_from(text: &'a str) -> Result<Self, TopicFilterError> {
        Self::new(text)
    }
}

impl AsRef<str> for ShareName<'_> {
    fn as_ref(&self) -> &str {
        self.0
    }
}

impl fmt::Debug for ShareName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.0, f)
    }
}

impl fmt::Display for ShareName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0)
    }
}

impl fmt::Display for ParsedFilter<'_> {
    /// Writes the text that [`ParsedFilter::parse`] takes apart.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(share) = self.share {
            write!(f, "{PREFIX}{share}/")?;
        }
        fmt::Display::fmt(&self.filter, f)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::string::ToString;

    use super::{ParsedFilter, ShareName};
    use crate::error::TopicFilterErrorKind::{
        self, HashNotLast, Nul, ShareNameCharacter, ShareNameEmpty, ShareWithoutFilter, TooLong,
    };

    fn shared(text: &str, share: Option<&str>, filter: &str) {
        let parsed = ParsedFilter::parse(text).unwrap();
        assert_eq!(parsed.share.map(ShareName::as_str), share, "{text}");
        assert_eq!(parsed.filter.as_str(), filter, "{text}");
        assert_eq!(parsed.to_string(), text);
    }

    fn refused(text: &str, kind: TopicFilterErrorKind, at: u32) {
        let error = ParsedFilter::parse(text).unwrap_err();
        assert_eq!(
            (error.kind, error.at),
            (kind, at),
            "{:?}",
            text.get(..40).unwrap_or(text)
        );
    }

    /// A shared subscription begins with `$share/` and a name of at least one character. [MQTT-4.8.2-1]
    #[test]
    fn a_share_name_has_at_least_one_character() {
        shared(
            "$share/consumer1/sport/tennis/+",
            Some("consumer1"),
            "sport/tennis/+",
        );
        shared("$share/c/#", Some("c"), "#");
        shared("$share/c//finance", Some("c"), "/finance");
        shared("$share/c//", Some("c"), "/");
        refused("$share//a", ShareNameEmpty, 7);
        refused("$share/", ShareNameEmpty, 7);
        refused("$share//", ShareNameEmpty, 7);
    }

    /// A share name has no `/`, `+`, `#`, and is followed by `/` and a filter. [MQTT-4.8.2-2]
    #[test]
    fn a_share_name_is_followed_by_a_filter() {
        refused("$share/+/a", ShareNameCharacter, 7);
        refused("$share/c#/a", ShareNameCharacter, 8);
        refused("$share/c", ShareWithoutFilter, 8);
        refused("$share/c/", ShareWithoutFilter, 9);
        refused("$share/c\0/a", Nul, 8);
        refused("$share/c/#/a", HashNotLast, 9);
    }

    #[test]
    fn other_texts_are_ordinary_filters() {
        shared("$share", None, "$share");
        shared("$shared/a/b", None, "$shared/a/b");
        shared("$SHARE/a/b", None, "$SHARE/a/b");
        shared("a/$share/b", None, "a/$share/b");
    }

    /// The limit counts the whole text. [MQTT-4.7.3-3], [3.1.1:MQTT-4.7.3-3]
    #[test]
    fn the_whole_text_has_at_most_65535_bytes() {
        let mut text = std::string::String::from("$share/g/");
        text.extend(core::iter::repeat_n('x', 65_535 - text.len()));
        assert!(ParsedFilter::parse(&text).is_ok());
        text.push('x');
        refused(&text, TooLong, 65_535);
    }
}
