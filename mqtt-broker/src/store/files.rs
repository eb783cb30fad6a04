//! The few things that a store asks of a file system: small enough that a simulated disk can stand there.
//!
//! What is written is durable after [`File::sync`] of its file, and a name after [`Files::sync_names`]; before that a crash may keep it,
//! lose it, or keep any part of it, in any order. Nothing else is relied upon.

use core::fmt::Debug;
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
pub(super) fn read_all(file: &dyn File) -> io::Result<Vec<u8>> {
    let len = usize::try_from(file.len()?).map_err(io::Error::other)?;
    let mut bytes = vec![0; len];
    let read = read_up_to(file, &mut bytes, 0)?;
    bytes.truncate(read);
    Ok(bytes)
}

/// Writes all of it.
pub(super) fn write_all(file: &dyn File, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.write_at(bytes, offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
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
