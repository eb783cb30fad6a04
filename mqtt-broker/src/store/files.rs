//! The few things that a store asks of a file system: small enough that a simulated disk can stand there.
//!
//! What is written is durable after [`File::sync`] of its file, and a name after [`Files::sync_names`]; before that a crash may keep it,
//! lose it, or keep any part of it, in any order. Nothing else is relied upon.

use core::fmt::Debug;
use core::ops::Range;
use std::io;
use std::sync::Arc;

/// One directory.
pub trait Files: Debug + Send + Sync {
    /// The names in it.
    ///
    /// # Errors
    /// What the system says.
    fn list(&self) -> io::Result<Vec<String>>;
    /// Opens a file to read and write.
    ///
    /// # Errors
    /// What the system says, as [`NotFound`](io::ErrorKind::NotFound).
    fn open(&self, name: &str) -> io::Result<Arc<dyn File>>;
    /// Makes an empty file; one of this name loses what it has.
    ///
    /// # Errors
    /// What the system says, as [`StorageFull`](io::ErrorKind::StorageFull).
    fn create(&self, name: &str) -> io::Result<Arc<dyn File>>;
    /// Gives a file another name; a file that has that name already is gone then, at no moment neither is there.
    ///
    /// # Errors
    /// What the system says.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file; whoever has it open can go on reading.
    ///
    /// # Errors
    /// What the system says.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Makes durable which names there are.
    ///
    /// # Errors
    /// What the system says: it is not known then which names will be there after a crash.
    fn sync_names(&self) -> io::Result<()>;
}

/// One file, read and written at offsets, by several threads at once.
pub trait File: Debug + Send + Sync {
    /// Its length in bytes.
    ///
    /// # Errors
    /// What the system says.
    fn len(&self) -> io::Result<u64>;
    /// Whether it has none.
    ///
    /// # Errors
    /// As [`len`](Self::len).
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
    /// Reads some bytes from an offset on; 0 is the end of the file.
    ///
    /// # Errors
    /// What the system says.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Writes some of these bytes at an offset; says how many.
    ///
    /// # Errors
    /// What the system says, as [`StorageFull`](io::ErrorKind::StorageFull).
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize>;
    /// Makes durable what was written.
    ///
    /// # Errors
    /// What the system says: it is not known then what is durable, and a second try would not tell either.
    fn sync(&self) -> io::Result<()>;
}

/// Reads until the buffer is full or the file ends; says how much that was.
pub(super) fn read_up_to(
    file: &dyn File,
    mut buffer: &mut [u8],
    mut offset: u64,
) -> io::Result<usize> {
    let mut read = 0;
    while !buffer.is_empty() {
        match file.read_at(buffer, offset) {
            Ok(0) => break,
            Ok(n) => {
                read += n;
                offset += n as u64;
                buffer = buffer.get_mut(n..).unwrap_or_default();
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}

/// Reads a whole file.
#[cfg(test)]
pub(super) fn read_all(file: &dyn File) -> io::Result<Vec<u8>> {
    let len = usize::try_from(file.len()?).map_err(io::Error::other)?;
    let mut bytes = vec![0; len];
    let read = read_up_to(file, &mut bytes, 0)?;
    bytes.truncate(read);
    Ok(bytes)
}

/// What is said of a place that the disk cannot read.
pub(super) const UNREADABLE: &str = "the disk cannot read it";

/// What was read of a file: zeroes where the disk could not read.
#[derive(Debug, Default)]
pub(super) struct Content {
    pub(super) bytes: Vec<u8>,
    /// Where it could not, in ascending order.
    pub(super) bad: Vec<Range<usize>>,
}

impl Content {
    /// The first place that could not be read, if there is one that begins before `end` and ends behind `from`.
    pub(super) fn first_bad(&self, from: usize, end: usize) -> Option<usize> {
        let bad = self.bad.iter().find(|bad| bad.end > from)?;
        (bad.start < end).then_some(bad.start)
    }

    /// All of it, unless something could not be read: then where that is.
    pub(super) fn whole(self) -> Result<Vec<u8>, usize> {
        match self.bad.first() {
            Some(bad) => Err(bad.start),
            None => Ok(self.bytes),
        }
    }
}

/// What is read at once, and what is given up at once where that fails.
const PIECE: usize = 1024 * 1024;
const SECTOR: u64 = 512;

/// Reads a whole file, as far as the disk can.
pub(super) fn read_parts(file: &dyn File) -> io::Result<Content> {
    let len = usize::try_from(file.len()?).map_err(io::Error::other)?;
    let mut bytes = vec![0; len];
    let mut bad = Vec::new();
    let mut read = 0;
    for (n, piece) in bytes.chunks_mut(PIECE).enumerate() {
        read += read_piece(file, piece, (n * PIECE) as u64, &mut bad);
    }
    // It became shorter meanwhile.
    bytes.truncate(read);
    Ok(Content { bytes, bad })
}

/// Reads as much as there is, and puts zeroes where the disk cannot read; says how much that was, and whether there were such places.
pub(super) fn read_around(file: &dyn File, buffer: &mut [u8], offset: u64) -> (usize, bool) {
    let mut bad = Vec::new();
    let read = read_piece(file, buffer, offset, &mut bad);
    (read, !bad.is_empty())
}

/// Reads a piece, and what cannot be read in halves.
fn read_piece(file: &dyn File, piece: &mut [u8], at: u64, bad: &mut Vec<Range<usize>>) -> usize {
    if let Ok(read) = read_up_to(file, piece, at) {
        return read;
    }
    let end = at + piece.len() as u64;
    let last = (end - 1) / SECTOR * SECTOR;
    if last <= at {
        piece.fill(0);
        let (from, to) = (at as usize, end as usize);
        match bad.last_mut() {
            Some(last) if last.end == from => last.end = to,
            _ => bad.push(from..to),
        }
        return piece.len();
    }
    let middle = (at.midpoint(end)).next_multiple_of(SECTOR).min(last);
    let (front, back) = piece.split_at_mut((middle - at) as usize);
    read_piece(file, front, at, bad) + read_piece(file, back, middle, bad)
}

/// Writes all of it.
pub(super) fn write_all(file: &dyn File, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.write_at(bytes, offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(_) if cfg!(mutation = "short-write-taken-for-whole") => break,
            Ok(n) => {
                offset += n as u64;
                bytes = bytes.get(n..).unwrap_or_default();
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
