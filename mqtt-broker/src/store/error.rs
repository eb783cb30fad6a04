//! Why a store does not open.

use std::io;
use std::path::{Path, PathBuf};

/// A store that is not opened; unless it was to be repaired, nothing that was stored in it was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Somebody else has it open.
    #[error("{} is in use: another broker has it open", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// The system refuses.
    #[error("{what}")]
    Io {
        /// What was tried, with the file's name.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// A file is not what was written.
    #[error(
        "{file}, offset {offset}: {what}; what was stored there is damaged. Look after the disk; `--repair` sets the damaged part aside, and goes on with the rest"
    )]
    Damaged {
        /// Its name.
        file: String,
        /// Where, in bytes.
        offset: u64,
        /// What is wrong.
        what: String,
    },
    /// A file is not there.
    #[error("{file} is missing: {why}. Put it back; or let `--repair` go on with what is there")]
    Missing {
        /// Its name.
        file: String,
        /// Why it should be there.
        why: String,
    },
    /// The store is of a version that this program does not know.
    #[error(
        "{file} is of version {version} of the format, and this program knows version {known}: use {}",
        knower(*version),
        known = super::header::VERSION
    )]
    Version {
        /// Its name.
        file: String,
        /// The version.
        version: u8,
    },
    /// A file has the name of one of a store, and is none.
    #[error("{file} is there, and is none of a store: give the broker a directory of its own")]
    Foreign {
        /// Its name.
        file: String,
    },
    /// Segments cannot be of this length.
    #[error(
        "segments cannot have {bytes} bytes: they have from {least} to {most}",
        least = super::options::SEGMENT_BYTES.start(),
        most = super::options::SEGMENT_BYTES.end()
    )]
    SegmentBytes {
        /// What was asked for.
        bytes: u64,
    },
    /// There is no store there.
    #[error("{} holds no store", path.display())]
    NoStore {
        /// The directory.
        path: PathBuf,
    },
    /// An import was interrupted, or is under way.
    #[error("{importing} says that an import into this directory was interrupted: remove its files, and import again", importing = super::names::IMPORTING)]
    Unfinished,
    /// A new store was to be made, and something is there.
    #[error("{} is not empty: a new store needs a directory of its own", path.display())]
    NotEmpty {
        /// The directory.
        path: PathBuf,
    },
    /// Whoever asked for what is stored did not want to hear more.
    #[error("what is stored cannot be told")]
    Listener(#[source] io::Error),
}

/// Which program opens a store of this version.
const fn knower(version: u8) -> &'static str {
    if version > super::header::VERSION {
        "a newer mqtt-broker"
    } else {
        "the mqtt-broker that wrote it"
    }
}

impl StoreError {
    /// The same, with the directory in which it was found.
    pub(super) fn within(mut self, path: &Path) -> Self {
        match &mut self {
            Self::Damaged { file, .. }
            | Self::Missing { file, .. }
            | Self::Version { file, .. }
            | Self::Foreign { file } => *file = path.join(&*file).display().to_string(),
            Self::Io { what, .. } => *what = format!("{}: {what}", path.display()),
            Self::InUse { .. }
            | Self::SegmentBytes { .. }
            | Self::NoStore { .. }
            | Self::Unfinished
            | Self::NotEmpty { .. }
            | Self::Listener(_) => {}
        }
        self
    }

    pub(super) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        |source| Self::Io { what, source }
    }
}
