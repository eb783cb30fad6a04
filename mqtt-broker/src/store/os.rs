//! A directory of the operating system.

use std::fs::{self, OpenOptions, TryLockError};
use std::io;
#[cfg(unix)]
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
#[cfg(windows)]
use std::os::windows::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::StoreError;
use super::files::{File, Files};

/// The file whose lock says that the directory is in use.
const LOCK: &str = "lock";

/// A directory that nobody else uses as long as this lives.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    /// Kept for its lock, which goes with the process however that ends.
    _lock: fs::File,
}

/// Why a directory cannot be used.
#[derive(Debug)]
pub(super) enum NotOurs {
    /// Somebody has it: another broker, most likely.
    InUse,
    /// The system refuses.
    Io(io::Error),
}

impl NotOurs {
    /// The same, said of this directory.
    pub(super) fn of(self, path: &Path) -> StoreError {
        match self {
            Self::InUse => StoreError::InUse { path: path.into() },
            Self::Io(source) => StoreError::Io {
                what: format!("{} cannot be used", path.display()),
                source,
            },
        }
    }
}

impl From<io::Error> for NotOurs {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Directory {
    /// Takes a directory for ourselves; makes it, for its owner alone, when it is not there.
    pub(super) fn take(path: &Path) -> Result<Self, NotOurs> {
        make(path)?;
        let lock = own(OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false))
        .open(path.join(LOCK))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self {
                path: path.to_owned(),
                _lock: lock,
            }),
            Err(TryLockError::WouldBlock) => Err(NotOurs::InUse),
            Err(TryLockError::Error(error)) => Err(error.into()),
        }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

/// Makes the directory, if need be, and those above it.
fn make(path: &Path) -> io::Result<()> {
    let made: Vec<&Path> = path.ancestors().take_while(|it| is_missing(it)).collect();
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    builder.mode(0o700);
    builder.create(path)?;
    // A directory is as durable as its name in the one above.
    for path in made {
        sync_directory(above(path))?;
    }
    Ok(())
}

fn is_missing(path: &Path) -> bool {
    !path.as_os_str().is_empty() && path.symlink_metadata().is_err()
}

/// The directory in which this one is.
fn above(path: &Path) -> &Path {
    let above = path.parent().filter(|it| !it.as_os_str().is_empty());
    above.unwrap_or_else(|| Path::new("."))
}

/// Elsewhere a directory is no file that could be synced, and names are durable with the files.
#[cfg(unix)]
fn sync_directory(path: &Path) -> io::Result<()> {
    fs::File::open(path)?.sync_all()
}

#[cfg(not(unix))]
fn sync_directory(_path: &Path) -> io::Result<()> {
    Ok(())
}

/// Files hold what people publish: nobody else reads them.
fn own(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    options.mode(0o600);
    options
}

impl Files for Directory {
    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            // A name that is no text is not one of ours.
            if let Ok(name) = entry?.file_name().into_string()
                && name != LOCK
            {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(self.at(name))?;
        Ok(Arc::new(file))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        // Never through what has the name already: it may lead to somebody else's file.
        match self.remove(name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file =
            own(OpenOptions::new().read(true).write(true).create_new(true)).open(self.at(name))?;
        Ok(Arc::new(file))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.at(from), self.at(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.at(name))
    }

    fn sync_names(&self) -> io::Result<()> {
        sync_directory(&self.path)
    }
}

impl File for fs::File {
    fn len(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    #[cfg(unix)]
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        FileExt::read_at(self, buffer, offset)
    }

    #[cfg(windows)]
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.seek_read(buffer, offset)
    }

    #[cfg(unix)]
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        FileExt::write_at(self, bytes, offset)
    }

    #[cfg(windows)]
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.seek_write(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}

#[cfg(test)]
mod tests {
    use super::super::files::{read_all, write_all};
    use super::*;

    #[test]
    fn a_directory_is_used_by_one_at_a_time() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("new/store");
        let first = Directory::take(&path).unwrap();
        assert!(matches!(Directory::take(&path), Err(NotOurs::InUse)));
        drop(first);
        assert!(Directory::take(&path).is_ok());
    }

    #[test]
    fn what_has_to_be_made_is_known_up_to_what_is_there() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("a/b");
        let made: Vec<&Path> = path.ancestors().take_while(|it| is_missing(it)).collect();
        let above: Vec<&Path> = made.into_iter().map(above).collect();
        assert_eq!(above, [&place.path().join("a"), place.path()]);
        assert_eq!(super::above(Path::new("data")), Path::new("."));
        assert!(!is_missing(Path::new("")));
        make(&path).unwrap();
        make(&path).unwrap();
    }

    /// Whoever may write into the directory does not lead us to other files.
    #[cfg(unix)]
    #[test]
    fn a_file_is_not_made_through_a_link() {
        let place = tempfile::tempdir().unwrap();
        let directory = Directory::take(&place.path().join("store")).unwrap();
        let other = place.path().join("other");
        fs::write(&other, "theirs").unwrap();
        std::os::unix::fs::symlink(&other, directory.at("a.tmp")).unwrap();
        let file = directory.create("a.tmp").unwrap();
        write_all(&*file, b"ours", 0).unwrap();
        assert_eq!(fs::read(&other).unwrap(), b"theirs");
        assert_eq!(fs::read(directory.at("a.tmp")).unwrap(), b"ours");
    }

    #[test]
    fn what_is_written_is_read() {
        let place = tempfile::tempdir().unwrap();
        let directory = Directory::take(place.path()).unwrap();
        let file = directory.create("a").unwrap();
        write_all(&*file, b"world", 6).unwrap();
        write_all(&*file, b"hello ", 0).unwrap();
        file.sync().unwrap();
        directory.rename("a", "b").unwrap();
        directory.sync_names().unwrap();
        assert_eq!(directory.list().unwrap(), ["b"]);
        assert_eq!(
            read_all(&*directory.open("b").unwrap()).unwrap(),
            b"hello world"
        );
        let missing = directory.open("a").unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
        directory.remove("b").unwrap();
        assert_eq!(read_all(&*file).unwrap(), b"hello world");
    }
}
