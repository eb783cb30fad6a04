//! What the files of a store are called.

/// Says which store a directory holds.
pub(super) const IDENTITY: &str = "store";
/// The same, while an import fills the store.
pub(super) const IMPORTING: &str = "store.import";
/// What is being written and has no name yet.
pub(super) const UNFINISHED: &str = ".tmp";
/// What a repair has set aside.
const DAMAGED: &str = ".damaged";

pub(super) fn segment(id: u32) -> String {
    format!("{id:010}.log")
}

/// The snapshot of everything before this group.
pub(super) fn snapshot(seq: u64) -> String {
    format!("{seq:020}.snap")
}

pub(super) fn unfinished(name: &str) -> String {
    format!("{name}{UNFINISHED}")
}

/// The name under which a damaged file is set aside: one that nothing has yet.
pub(super) fn damaged(name: &str, taken: &[String]) -> String {
    let first = format!("{name}{DAMAGED}");
    let further = (2..).map(|n: u32| format!("{first}.{n}"));
    let mut names = core::iter::once(first.clone()).chain(further);
    names.find(|name| !taken.contains(name)).unwrap_or(first)
}

/// What a file of a store is, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name {
    Identity,
    Segment(u32),
    Snapshot(u64),
    /// Nobody needs it after a crash.
    Unfinished,
    Foreign,
}

impl Name {
    pub(super) fn of(name: &str) -> Self {
        if name == IDENTITY {
            return Self::Identity;
        }
        // Only of what is ours: other people have names that end so, too.
        if let Some(stem) = name.strip_suffix(UNFINISHED) {
            return match Self::of(stem) {
                Self::Unfinished | Self::Foreign => Self::Foreign,
                Self::Identity | Self::Segment(_) | Self::Snapshot(_) => Self::Unfinished,
            };
        }
        let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if let Some(text) = name.strip_suffix(".log")
            && number(text)
            && let Ok(id) = text.parse()
            && segment(id) == name
        {
            return Self::Segment(id);
        }
        if let Some(text) = name.strip_suffix(".snap")
            && number(text)
            && let Ok(seq) = text.parse()
            && snapshot(seq) == name
        {
            return Self::Snapshot(seq);
        }
        Self::Foreign
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_set_aside_before_stays() {
        let taken = ["store.damaged".into(), "store.damaged.2".into()];
        assert_eq!(damaged("store", &taken), "store.damaged.3");
        assert_eq!(damaged(&segment(7), &taken), "0000000007.log.damaged");
        assert_eq!(Name::of("0000000007.log.damaged.2"), Name::Foreign);
    }

    #[test]
    fn names_are_known_again() {
        assert_eq!(Name::of(&segment(7)), Name::Segment(7));
        assert_eq!(Name::of(&segment(u32::MAX)), Name::Segment(u32::MAX));
        assert_eq!(Name::of(&snapshot(u64::MAX)), Name::Snapshot(u64::MAX));
        for name in [&segment(7), &snapshot(7), IDENTITY] {
            assert_eq!(Name::of(&unfinished(name)), Name::Unfinished);
        }
        assert_eq!(Name::of("store"), Name::Identity);
        for name in [
            "7.log",
            "+000000007.log",
            "0000000007.log.damaged",
            "0000000007.log.tmp.tmp",
            "letter.tmp",
            ".tmp",
            "notes.txt",
            "99999999999.log",
        ] {
            assert_eq!(Name::of(name), Name::Foreign, "{name}");
        }
    }
}
