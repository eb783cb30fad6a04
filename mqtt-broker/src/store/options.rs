//! What an operator chooses of a store.

use core::ops::RangeInclusive;

/// When a change counts as durable, and its answer leaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Durability {
    /// When the disk has it: survives a power cut. An SD card writes whole blocks of some 16 kB for it, however small the message; many
    /// messages that come together share one.
    #[default]
    Fsync,
    /// When the operating system has it: survives a crash of the broker, not a power cut, which may take the last half minute. An SD card
    /// is written to when the system thinks fit.
    Os,
    /// At once: a crash of the broker takes about the last second, a power cut the last half minute. The least that an SD card can be
    /// written to.
    None,
}

impl Durability {
    /// The names, in order.
    pub const NAMES: &'static [&'static str] = &["fsync", "os", "none"];

    /// The one of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "fsync" => Some(Self::Fsync),
            "os" => Some(Self::Os),
            "none" => Some(Self::None),
            _ => None,
        }
    }

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fsync => "fsync",
            Self::Os => "os",
            Self::None => "none",
        }
    }
}

/// How a store is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// When a change counts as durable.
    pub durability: Durability,
    /// Length of a segment of the log in bytes; default 8 MiB, from 4 KiB to 1 GiB. The smallest store takes two of them.
    pub segment_bytes: u64,
    /// Goes on where something is damaged: sets it aside, restores what can be read, and says what is gone.
    pub repair: bool,
}

/// What [`Options::segment_bytes`] may be: places in a segment have 32 bits.
pub(super) const SEGMENT_BYTES: RangeInclusive<u64> = 4 * 1024..=1024 * 1024 * 1024;

impl Default for Options {
    fn default() -> Self {
        Self {
            durability: Durability::default(),
            segment_bytes: 8 * 1024 * 1024,
            repair: false,
        }
    }
}
