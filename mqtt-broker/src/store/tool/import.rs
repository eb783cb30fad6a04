//! A new store from an export, or from Mosquitto's file.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek};
use std::path::{Path, PathBuf};

use super::super::error::StoreError;
use super::super::mosquitto_db::{MosquittoDb, MosquittoError, Remarks, Unclean, is_mosquitto_db};
use super::super::portable::{Item, PortableError, Reader, RecordError, Recorded, Recorder, Time};
use super::new::New;

/// Bytes that tell what a file is.
const FIRST: u64 = 16;
/// Bytes that are read at once.
const CAPACITY: usize = 64 * 1024;

/// Why nothing was imported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The file cannot be read.
    #[error("{} cannot be read", file.display())]
    Read {
        /// Which.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is neither.
    #[error("{}, byte 0: this is neither an export of a store nor a mosquitto.db", file.display())]
    Unknown {
        /// Which.
        file: PathBuf,
    },
    /// It is an export, and not one that can be read.
    #[error("{}", file.display())]
    Portable {
        /// Which.
        file: PathBuf,
        /// Where, and what is wrong.
        source: PortableError,
    },
    /// It is a file of Mosquitto's, and not one that can be read.
    #[error("{}", file.display())]
    Mosquitto {
        /// Which.
        file: PathBuf,
        /// Where, and what is wrong.
        source: MosquittoError,
    },
    /// An item cannot be stored.
    #[error("{}", file.display())]
    Record {
        /// Of which file.
        file: PathBuf,
        /// Why.
        source: RecordError,
    },
    /// The new store cannot be made.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What was imported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Imported {
    /// How many of what.
    pub recorded: Recorded,
    /// Of a file of Mosquitto's: what an operator should know.
    pub remarks: Option<Remarks>,
    /// Of an export: messages that were left out because the group for which they wait has no member.
    pub without_group: u64,
}

/// Makes a new store in a directory, which must be empty or not there, of an export or a `mosquitto.db`: its first bytes tell which. An
/// export may come from a pipe. Whatever goes wrong, no store is there then. `progress` is told now and then how many items came, and how much is done of how much.
///
/// # Errors
/// [`ImportError`], with the place in the file where that is to blame.
pub fn import(
    path: &Path,
    file: &Path,
    unclean: Unclean,
    progress: &mut dyn FnMut(u64, (u64, u64)),
) -> Result<Imported, ImportError> {
    let unreadable = |source| ImportError::Read {
        file: file.to_owned(),
        source,
    };
    let mut input = File::open(file).map_err(unreadable)?;
    let mut first = Vec::new();
    let read = input.by_ref().take(FIRST).read_to_end(&mut first);
    read.map_err(unreadable)?;
    let len = input.metadata().map_err(unreadable)?.len();
    let wrong = |source| ImportError::Mosquitto {
        file: file.to_owned(),
        source,
    };
    if is_mosquitto_db(&first) {
        let again = |error: io::Error| match error.kind() {
            io::ErrorKind::NotSeekable => {
                let why = "a mosquitto.db is read twice, and cannot come from a pipe";
                unreadable(io::Error::new(error.kind(), why))
            }
            _ => unreadable(error),
        };
        input.rewind().map_err(again)?;
        let input = BufReader::with_capacity(CAPACITY, input);
        let database = MosquittoDb::open(input, unclean).map_err(wrong)?;
        let (remarks, all) = (Some(database.remarks()), database.len());
        let items = database.into_items().map(|item| item.map_err(wrong));
        let recorded = fill(path, file, Time::now(), items, &mut |items| {
            progress(items, (items, all));
        })?;
        return Ok(Imported {
            recorded,
            remarks,
            without_group: 0,
        });
    }
    if !first.trim_ascii_start().starts_with(b"{") {
        let file = file.to_owned();
        return Err(ImportError::Unknown { file });
    }
    let wrong = |source| ImportError::Portable {
        file: file.to_owned(),
        source,
    };
    // It may come from a pipe, of which nothing can be read twice.
    let input = BufReader::with_capacity(CAPACITY, input);
    let counted = Counted {
        input: io::Cursor::new(first).chain(input),
        count: std::rc::Rc::default(),
    };
    let count = std::rc::Rc::clone(&counted.count);
    let mut reader = Reader::new(counted).map_err(wrong)?;
    // On a machine whose clock stands before that, nothing ends early.
    let now = Time::now().max(reader.header().written);
    let items = reader.by_ref().map(|item| item.map_err(wrong));
    let recorded = fill(path, file, now, items, &mut |items| {
        progress(items, (count.get(), len));
    })?;
    Ok(Imported {
        recorded,
        remarks: None,
        without_group: reader.without_group(),
    })
}

fn fill(
    path: &Path,
    file: &Path,
    now: Time,
    items: impl Iterator<Item = Result<Item, ImportError>>,
    progress: &mut dyn FnMut(u64),
) -> Result<Recorded, ImportError> {
    let new = New::create(path, now)?;
    let clocks = new.clocks();
    let mut recorder = Recorder::new(new, clocks);
    for (count, item) in (1..).zip(items) {
        recorder
            .item(&item?)
            .map_err(|source| ImportError::Record {
                file: file.to_owned(),
                source,
            })?;
        if count % 256 == 0 {
            recorder.store().trouble()?;
            progress(count);
        }
    }
    let (new, recorded) = recorder.finish();
    new.finish()?;
    Ok(recorded)
}

/// Counts the bytes that were read.
struct Counted<R> {
    input: R,
    count: std::rc::Rc<core::cell::Cell<u64>>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        self.count.set(self.count.get() + read as u64);
        Ok(read)
    }
}

impl<R: BufRead> BufRead for Counted<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.input.fill_buf()
    }

    fn consume(&mut self, read: usize) {
        self.count.set(self.count.get() + read as u64);
        self.input.consume(read);
    }
}
