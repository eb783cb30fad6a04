//! What the files of a store are called.

/// Says which store a directory holds.
pub(super) const IDENTITY: &str = "store";
/// The same, while an import fills the store.
pub(super) const IMPORTING: &str = "store.import";
/// What is being written and has no name yet.
pub(super) const UNFINISHED: &str = ".tmp";
/// What a repair has set aside.
pub(super) const DAMAGED: &str = ".damaged";

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
        if name.ends_with(UNFINISHED) {
            return Self::Unfinished;
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
    fn names_are_known_again() {
        assert_eq!(Name::of(&segment(7)), Name::Segment(7));
        assert_eq!(Name::of(&segment(u32::MAX)), Name::Segment(u32::MAX));
        assert_eq!(Name::of(&snapshot(u64::MAX)), Name::Snapshot(u64::MAX));
        assert_eq!(Name::of(&unfinished(&segment(7))), Name::Unfinished);
        assert_eq!(Name::of("store"), Name::Identity);
        for name in [
            "7.log",
            "+000000007.log",
            "0000000007.log.damaged",
            "notes.txt",
            "99999999999.log",
        ] {
            assert_eq!(Name::of(name), Name::Foreign, "{name}");
        }
    }
}
