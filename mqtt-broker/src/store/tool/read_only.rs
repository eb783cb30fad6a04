//! A store as a start would find it, without the start.

use std::fs;
use std::path::Path;

use mqtt_session::Instant;

use super::super::error::StoreError;
use super::super::log::Opened;
use super::super::names::Name;
use super::super::open;
use super::super::options::Options;
use super::super::os::Directory;
use super::super::portable::{Clocks, Time};
use super::super::report::Report;
use super::super::survey;
use super::quiet::Quiet;

/// What was found.
pub(super) struct Found {
    pub(super) opened: Opened,
    pub(super) report: Report,
    /// Keeps brokers away.
    _files: Quiet<Directory>,
}

impl Found {
    /// The clocks, as a broker would go on with them now.
    pub(super) fn clocks(&self) -> Clocks {
        Clocks {
            wall: Time::from_millis(self.opened.clocks.wall),
            store: Instant::from_millis(self.opened.clocks.store),
        }
    }
}

/// Takes a directory that must hold a store.
pub(super) fn take(path: &Path) -> Result<Directory, StoreError> {
    // Before its lock is made: a directory that is none of ours stays as it is.
    let names = fs::read_dir(path).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => StoreError::NoStore { path: path.into() },
        _ => StoreError::Io {
            what: format!("{} cannot be read", path.display()),
            source,
        },
    })?;
    let ours = |name: &str| !matches!(Name::of(name), Name::Foreign | Name::Unfinished);
    let mut names = names.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    if !names.any(|name| ours(&name)) {
        return Err(StoreError::NoStore { path: path.into() });
    }
    directory(path)
}

/// Takes a directory, which is made when it is not there.
pub(super) fn directory(path: &Path) -> Result<Directory, StoreError> {
    Directory::take(path).map_err(|error| error.of(path))
}

/// Opens the store in this directory to read; `repair` is as if it were repaired.
pub(super) fn open(path: &Path, repair: bool) -> Result<Found, StoreError> {
    let files = Quiet(take(path)?);
    let contents = survey::survey(&files, None)?;
    let contents = contents.ok_or_else(|| StoreError::NoStore { path: path.into() })?;
    let options = Options {
        repair,
        ..Options::default()
    };
    let mut report = Report::default();
    let now = Time::now().as_millis();
    let opened = open::read(&files, contents, &options, now, &mut report)?;
    report.count(&opened);
    Ok(Found {
        opened,
        report,
        _files: files,
    })
}
