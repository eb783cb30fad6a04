//! Files that can be read, and take every change without making it.

use std::io;
use std::sync::Arc;

use super::super::files::{File, Files};

/// Files as they were: what a start mends in them, it mends in vain.
#[derive(Debug)]
pub(super) struct Quiet<F>(pub(super) F);

impl<F: Files> Files for Quiet<F> {
    fn list(&self) -> io::Result<Vec<String>> {
        self.0.list()
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        Ok(Arc::new(QuietFile(Some(self.0.open(name)?))))
    }

    fn create(&self, _name: &str) -> io::Result<Arc<dyn File>> {
        Ok(Arc::new(QuietFile(None)))
    }

    fn rename(&self, _from: &str, _to: &str) -> io::Result<()> {
        Ok(())
    }

    fn remove(&self, _name: &str) -> io::Result<()> {
        Ok(())
    }

    fn sync_names(&self) -> io::Result<()> {
        Ok(())
    }
}

/// A file that is there, or one that would be.
#[derive(Debug)]
struct QuietFile(Option<Arc<dyn File>>);

impl File for QuietFile {
    fn len(&self) -> io::Result<u64> {
        self.0.as_ref().map_or(Ok(0), |file| file.len())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let file = self.0.as_ref();
        file.map_or(Ok(0), |file| file.read_at(buffer, offset))
    }

    fn write_at(&self, bytes: &[u8], _offset: u64) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}
