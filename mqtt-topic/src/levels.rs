//! Splits topic names and filters into their levels.

use core::iter::FusedIterator;

/// The levels of a topic name, from left to right; empty levels count.
///
/// `"a//b"` has the three levels `"a"`, `""` and `"b"`; `"/"` has two empty ones.
#[derive(Debug, Clone)]
pub struct Levels<'a>(core::str::Split<'a, char>);

/// The levels of a topic filter, from left to right; empty levels count.
#[derive(Debug, Clone)]
pub struct FilterLevels<'a>(Levels<'a>);

/// One level of a topic filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Level<'a> {
    /// A level that stands for itself, byte by byte; may be empty.
    Name(&'a str),
    /// `+`: exactly one level, whatever it is, also an empty one.
    Plus,
    /// `#`: the level before it and everything below that.
    Hash,
}

impl<'a> Levels<'a> {
    pub(crate) fn of(text: &'a str) -> Self {
        Self(text.split('/'))
    }

    /// How many levels `text` has.
    pub(crate) fn count(text: &str) -> usize {
        text.bytes().filter(|&byte| byte == b'/').count() + 1
    }
}

impl<'a> FilterLevels<'a> {
    pub(crate) fn of(text: &'a str) -> Self {
        Self(Levels::of(text))
    }
}

impl<'a> Level<'a> {
    fn of(text: &'a str) -> Self {
        match text {
            "+" => Self::Plus,
            "#" => Self::Hash,
            name => Self::Name(name),
        }
    }

    /// The level as it is written.
    #[must_use]
    pub const fn as_str(self) -> &'a str {
        match self {
            Self::Name(name) => name,
            Self::Plus => "+",
            Self::Hash => "#",
        }
    }
}

impl<'a> Iterator for Levels<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        self.0.next()
    }
}

impl DoubleEndedIterator for Levels<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.0.next_back()
    }
}

impl FusedIterator for Levels<'_> {}

impl<'a> Iterator for FilterLevels<'a> {
    type Item = Level<'a>;

    fn next(&mut self) -> Option<Level<'a>> {
        self.0.next().map(Level::of)
    }
}

impl DoubleEndedIterator for FilterLevels<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.0.next_back().map(Level::of)
    }
}

impl FusedIterator for FilterLevels<'_> {}

#[cfg(test)]
mod tests {
    use super::{FilterLevels, Level, Levels};

    fn check(text: &str, levels: &[&str]) {
        assert!(
            Levels::of(text).eq(levels.iter().copied()),
            "{text:?} forwards"
        );
        assert!(
            Levels::of(text).rev().eq(levels.iter().rev().copied()),
            "{text:?} backwards"
        );
        assert_eq!(Levels::count(text), levels.len(), "{text:?} counted");
    }

    /// Levels are kept as they are written: no merging of empty ones, no trimming. [MQTT-4.7.3-4], [3.1.1:MQTT-4.7.3-4]
    #[test]
    fn empty_levels_count() {
        check("a", &["a"]);
        check("/", &["", ""]);
        check("/a", &["", "a"]);
        check("a/", &["a", ""]);
        check("a//b", &["a", "", "b"]);
        check("Größe/ m ", &["Größe", " m "]);
    }

    #[test]
    fn wildcards_are_levels_of_their_own_kind() {
        let levels = FilterLevels::of("+/a//#");
        assert!(
            levels
                .clone()
                .eq([Level::Plus, Level::Name("a"), Level::Name(""), Level::Hash])
        );
        assert!(levels.map(Level::as_str).eq(["+", "a", "", "#"]));
    }
}
