//! Where messages are found again: the index and the segments that it points into, shared by all who read.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mqtt_session::Commit;

use super::body::Body;
use super::files::{File, read_around, read_up_to};
use super::index::{Index, Place};
use super::kind;
use super::names;
use super::varint::{Cursor, Wrong};
use crate::core::{Bodies, Message, Terms, Unreadable};

/// Bytes of a message on disk beside its own, at most: kind, number, length, checksum, flags, expiry, two lengths.
pub(super) const HEAD: usize = 1 + 10 + 5 + 4 + 1 + 10 + 5 + 5;
/// What is read at once, at most: messages that are asked for one after another mostly stand one behind the other.
const AHEAD: usize = 64 * 1024;
/// And at least: where they do not, as when many sessions are emptied in turn.
const LITTLE: usize = 1024;
/// A message may be moved while it is read, and again while it is read there; more often is no chance.
const TRIES: usize = 8;

/// The messages on disk.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
pub(super) struct Inner {
    pub(super) index: Index,
    /// By number.
    pub(super) segments: BTreeMap<u32, Arc<dyn File>>,
}

/// What one reader has read last.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    segment: u32,
    start: u64,
    bytes: Vec<u8>,
    /// How much to read the next time.
    window: usize,
    /// Whether something that was read ahead was asked for.
    served: bool,
}

impl Shelf {
    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        // Whoever panicked in here left numbers behind that are whole.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a message from going away until a record that names it is taken; false when it is not there, or not yet.
    pub(super) fn pin(&self, body: Commit) -> bool {
        self.lock().index.begin_use(body.0)
    }

    pub(super) fn bodies(&self) -> Shelved<'_> {
        Shelved {
            shelf: self,
            ahead: Ahead::default(),
        }
    }

    /// Reads a message.
    pub(super) fn fetch(&self, body: Commit, ahead: &mut Ahead) -> Result<Message, Unreadable> {
        let mut why = String::new();
        let mut before = None;
        for _ in 0..TRIES {
            let (place, len, file) = {
                let inner = self.lock();
                let Some((place, len)) = inner.index.place(body.0) else {
                    why = "it is not in the index".into();
                    break;
                };
                let file = inner.segments.get(&place.segment).cloned();
                (place, len, file)
            };
            if before == Some(place) && ahead.bytes.is_empty() {
                break;
            }
            before = Some(place);
            let Some(file) = file else {
                why = format!("{} is not there", names::segment(place.segment));
                continue;
            };
            match ahead.read(&*file, place, len as usize, body.0) {
                Ok(message) => return Ok(message),
                Err(error) => {
                    why = format!(
                        "{}, offset {}: {error}",
                        names::segment(place.segment),
                        place.offset
                    );
                    // What was read ahead may be older than what stands there now.
                    ahead.bytes.clear();
                }
            }
        }
        Err(Unreadable {
            body,
            why: why.into(),
        })
    }
}

/// All messages, for one who reads many of them.
#[derive(Debug)]
pub(super) struct Shelved<'a> {
    shelf: &'a Shelf,
    ahead: Ahead,
}

impl Bodies for Shelved<'_> {
    fn terms(&self, body: Commit) -> Option<Terms> {
        self.shelf.lock().index.terms(body.0)
    }

    fn message(&mut self, body: Commit) -> Result<Arc<Message>, Unreadable> {
        self.shelf.fetch(body, &mut self.ahead).map(Arc::new)
    }
}

/// Why a message cannot be read.
#[derive(Debug)]
pub(super) enum Failure {
    Io(io::Error),
    Wrong(Wrong),
}

impl core::fmt::Display for Failure {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::Wrong(wrong) => f.write_str(wrong.what),
        }
    }
}

impl Ahead {
    fn read(
        &mut self,
        file: &dyn File,
        place: Place,
        len: usize,
        number: u64,
    ) -> Result<Message, Failure> {
        let offset = u64::from(place.offset);
        let known = offset
            .checked_sub(self.start)
            .filter(|_| self.segment == place.segment)
            .and_then(|skip| self.bytes.get(usize::try_from(skip).ok()?..));
        if let Some(known) = known
            && let Ok(message) = parse(known, number)
        {
            self.served = true;
            return Ok(message);
        }
        self.window = if core::mem::take(&mut self.served) {
            (self.window * 2).min(AHEAD)
        } else {
            (self.window / 2).max(LITTLE)
        };
        // The next message as well, if it is no longer than this one: or nothing would ever be served.
        let least = (len + HEAD) * if len < AHEAD / 4 { 2 } else { 1 };
        self.bytes.resize(least.max(self.window), 0);
        (self.segment, self.start) = (place.segment, offset);
        let message = match read_up_to(file, &mut self.bytes, offset) {
            Ok(read) => {
                self.bytes.truncate(read);
                parse(&self.bytes, number).map_err(Failure::Wrong)
            }
            // What cannot be read may stand behind it.
            Err(error) => {
                self.bytes.clear();
                let mut bytes = vec![0; len + HEAD];
                let (read, _) = read_around(file, &mut bytes, offset);
                let alone = bytes.get(..read).unwrap_or_default();
                parse(alone, number).map_err(|_| Failure::Io(error))
            }
        };
        // A large message is not kept for those that stand behind it.
        if self.bytes.capacity() > 2 * AHEAD {
            self.bytes = Vec::new();
        }
        message
    }
}

/// The message at the start of these bytes, if it is the one that is kept under this number.
fn parse(bytes: &[u8], number: u64) -> Result<Message, Wrong> {
    let body = find(bytes, number)?;
    body.check(number)?;
    let message = body.message()?;
    message.note_body(Commit(number));
    Ok(message)
}

/// The same, not yet checked.
pub(super) fn find(bytes: &[u8], number: u64) -> Result<Body<'_>, Wrong> {
    let mut cursor = Cursor::new(bytes);
    let start = cursor.wrong("no message stands there");
    match cursor.byte()? {
        kind::BODY => {}
        kind::MOVED if cursor.number()? == number => {}
        _ => return Err(start),
    }
    Body::read(&mut cursor)
}
