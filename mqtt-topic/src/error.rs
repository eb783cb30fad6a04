//! What is wrong with a topic name, filter or share name, and at which byte.

use core::error::Error;
use core::fmt;

/// Why a text is no topic name: the rule it breaks, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TopicNameError {
    /// The rule that the text breaks.
    pub kind: TopicNameErrorKind,
    /// Offset of the offending character in bytes; 0 for an empty text, 65,535 for one that is too long.
    pub at: u32,
}

/// The rules a topic name can break.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TopicNameErrorKind {
    /// A name has at least one character. \[MQTT-4.7.3-1\]
    Empty,
    /// A name has at most 65,535 bytes of UTF-8. \[MQTT-4.7.3-3\]
    TooLong,
    /// A name does not contain U+0000. \[MQTT-4.7.3-2\]
    Nul,
    /// A name contains neither `+` nor `#`. \[MQTT-3.3.2-2\], \[MQTT-4.7.0-1\]
    Wildcard,
}

/// Why a text is no topic filter, share name or shared subscription: the rule it breaks, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TopicFilterError {
    /// The rule that the text breaks.
    pub kind: TopicFilterErrorKind,
    /// Offset of the offending character in bytes, counted from the start of the whole text
    /// (`$share/…/` included); 65,535 for a text that is too long.
    pub at: u32,
}

/// The rules a topic filter, a share name or a shared subscription can break.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TopicFilterErrorKind {
    /// A filter has at least one character. \[MQTT-4.7.3-1\]
    Empty,
    /// A filter has at most 65,535 bytes of UTF-8. \[MQTT-4.7.3-3\]
    TooLong,
    /// A filter does not contain U+0000. \[MQTT-4.7.3-2\]
    Nul,
    /// `#` fills a whole level. \[MQTT-4.7.1-1\]
    HashNotAlone,
    /// `#` is the last level. \[MQTT-4.7.1-1\]
    HashNotLast,
    /// `+` fills a whole level. \[MQTT-4.7.1-2\]
    PlusNotAlone,
    /// A share name has at least one character. \[MQTT-4.8.2-1\]
    ShareNameEmpty,
    /// A share name contains none of `/`, `+` and `#`. \[MQTT-4.8.2-2\]
    ShareNameCharacter,
    /// A share name is followed by `/` and a topic filter. \[MQTT-4.8.2-2\]
    ShareWithoutFilter,
}

impl TopicNameErrorKind {
    const fn text(self) -> &'static str {
        match self {
            Self::Empty => "a topic name has at least one character",
            Self::TooLong => "a topic name has at most 65,535 bytes",
            Self::Nul => "a topic name does not contain U+0000",
            Self::Wildcard => "a topic name does not contain a wildcard",
        }
    }
}

impl TopicFilterErrorKind {
    const fn text(self) -> &'static str {
        match self {
            Self::Empty => "a topic filter has at least one character",
            Self::TooLong => "a topic filter has at most 65,535 bytes",
            Self::Nul => "a topic filter does not contain U+0000",
            Self::HashNotAlone => "the wildcard # fills a whole level",
            Self::HashNotLast => "the wildcard # is the last level",
            Self::PlusNotAlone => "the wildcard + fills a whole level",
            Self::ShareNameEmpty => "a share name has at least one character",
            Self::ShareNameCharacter => "a share name contains none of /, + and #",
            Self::ShareWithoutFilter => "a share name is followed by / and a topic filter",
        }
    }
}

impl fmt::Display for TopicNameErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl fmt::Display for TopicFilterErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl fmt::Display for TopicNameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (byte {})", self.kind, self.at)
    }
}

impl fmt::Display for TopicFilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (byte {})", self.kind, self.at)
    }
}

impl Error for TopicNameError {}

impl Error for TopicFilterError {}

impl TopicNameError {
    pub(crate) const fn new(kind: TopicNameErrorKind, at: usize) -> Self {
        Self {
            kind,
            at: saturate(at),
        }
    }
}

impl TopicFilterError {
    pub(crate) const fn new(kind: TopicFilterErrorKind, at: usize) -> Self {
        Self {
            kind,
            at: saturate(at),
        }
    }

    /// The same error in a text of which the judged one was the part from `offset` on.
    pub(crate) const fn shifted(self, offset: usize) -> Self {
        Self {
            kind: self.kind,
            at: self.at.saturating_add(saturate(offset)),
        }
    }
}

const fn saturate(at: usize) -> u32 {
    if at > u32::MAX as usize {
        u32::MAX
    } else {
        at as u32
    }
}
