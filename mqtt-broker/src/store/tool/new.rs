//! A store that is being filled, in a directory that holds none before it is whole.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mqtt_session::Commit;

use super::super::error::StoreError;
use super::super::files::{File, Files};
use super::super::handle::Handle;
use super::super::log::Log;
use super::super::names;
use super::super::open;
use super::super::options::Options;
use super::super::os::Directory;
use super::super::portable::{Clocks, Time};
use super::read_only;
use crate::core::{Message, Record, Room, Store, Unreadable};

/// A directory in which the file that makes it a store has another name for now.
#[derive(Debug)]
struct Unnamed(Directory);

impl Unnamed {
    fn name(name: &str) -> &str {
        if name == names::IDENTITY {
            names::IMPORTING
        } else {
            name
        }
    }
}

impl Files for Unnamed {
    fn list(&self) -> io::Result<Vec<String>> {
        self.0.list()
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        self.0.open(Self::name(name))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        self.0.create(Self::name(name))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.0.rename(Self::name(from), Self::name(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.0.remove(Self::name(name))
    }

    fn sync_names(&self) -> io::Result<()> {
        self.0.sync_names()
    }
}

/// A store that is being filled. Dropped before it is [finished](Self::finish), it leaves nothing behind.
#[derive(Debug)]
pub(super) struct New {
    path: PathBuf,
    files: Arc<Unnamed>,
    log: Log,
    /// There until the end.
    handle: Option<Handle>,
    wall: Time,
    /// The directory was there before.
    was_there: bool,
    finished: bool,
}

impl New {
    /// Begins a store in a directory that is empty or not there. `wall` is what its clock begins with.
    pub(super) fn create(path: &Path, wall: Time) -> Result<Self, StoreError> {
        let unreadable = || StoreError::io(format!("{} cannot be read", path.display()));
        let names = fs::read_dir(path).and_then(|entries| {
            let names = entries.map(|entry| Ok(entry?.file_name()));
            names.collect::<io::Result<Vec<_>>>()
        });
        let was_there = match names {
            Ok(names) if names.iter().any(|name| name == names::IMPORTING) => {
                return Err(StoreError::Unfinished);
            }
            // A lock is what a broker leaves that did not start.
            Ok(names) if names.iter().any(|name| name != "lock") => {
                return Err(StoreError::NotEmpty { path: path.into() });
            }
            Ok(_) => true,
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(unreadable()(error)),
        };
        let files = Arc::new(Unnamed(read_only::directory(path)?));
        let options = Options::default();
        let mut opened = open::create(&*files, &options, wall.as_millis())?;
        // So that what has ended before now has an instant as well.
        opened.clocks.store = wall.as_millis();
        let log = Log::start(Arc::clone(&files) as Arc<dyn Files>, &options, opened);
        let handle = Some(log.handle());
        Ok(Self {
            path: path.to_owned(),
            files,
            log,
            handle,
            wall,
            was_there,
            finished: false,
        })
    }

    /// The two clocks.
    pub(super) fn clocks(&self) -> Clocks {
        Clocks {
            wall: self.wall,
            store: self.log.now(),
        }
    }

    /// Has everything written that was committed; the clock stands.
    fn turn(&mut self) {
        let (now, wall) = (self.log.now(), self.wall.as_millis());
        self.log.turn(now, wall);
        while self.log.aside() {
            self.log.turn(now, wall);
        }
    }

    /// Why it goes on no more, if so.
    pub(super) fn trouble(&self) -> Result<(), StoreError> {
        let failed = |source: io::Error| {
            let what = format!("the new store in {} cannot be written", self.path.display());
            Err(StoreError::Io { what, source })
        };
        match (self.log.failed(), self.room()) {
            (Some(why), _) => failed(io::Error::other(why.to_owned())),
            (None, Room::Full) => failed(io::ErrorKind::StorageFull.into()),
            (None, _) => Ok(()),
        }
    }

    /// Makes it a store.
    pub(super) fn finish(mut self) -> Result<(), StoreError> {
        if let Some(handle) = &mut self.handle {
            handle.commit();
        }
        self.turn();
        self.trouble()?;
        self.handle = None;
        self.turn();
        if !self.log.is_closed() || self.log.failed().is_some() {
            self.trouble()?;
        }
        let directory = &self.files.0;
        let named = directory
            .rename(names::IMPORTING, names::IDENTITY)
            .and_then(|()| directory.sync_names());
        named.map_err(StoreError::io("the new store cannot be given its name"))?;
        self.finished = true;
        Ok(())
    }
}

impl Drop for New {
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        // As far as it goes: what is left is known by the name of its identity.
        let names = self.files.list().unwrap_or_default();
        for name in names.iter().filter(|name| *name != names::IMPORTING) {
            let _ = self.files.remove(name);
        }
        let _ = self.files.0.remove(names::IMPORTING);
        if !self.was_there {
            let _ = fs::remove_file(self.path.join("lock"));
            let _ = fs::remove_dir(&self.path);
        }
    }
}

impl Store for New {
    fn record(&mut self, record: &Record<'_>) -> Commit {
        let handle = self.handle.as_mut();
        handle.map_or_else(Commit::default, |handle| handle.record(record))
    }

    fn latest(&self) -> Commit {
        let handle = self.handle.as_ref();
        handle.map_or_else(Commit::default, Store::latest)
    }

    fn commit(&mut self) {
        if let Some(handle) = &mut self.handle {
            handle.commit();
        }
        self.turn();
    }

    fn committed(&self) -> Commit {
        self.log.committed()
    }

    fn body(&self) -> Commit {
        let handle = self.handle.as_ref();
        handle.map_or_else(Commit::default, Store::body)
    }

    fn kept(&self) -> Commit {
        let handle = self.handle.as_ref();
        handle.map_or_else(Commit::default, Store::kept)
    }

    fn fetch(&mut self, body: Commit) -> Result<Arc<Message>, Unreadable> {
        match &mut self.handle {
            Some(handle) => handle.fetch(body),
            None => Err(Unreadable {
                body,
                why: "the store is closed".into(),
            }),
        }
    }

    fn room(&self) -> Room {
        self.handle.as_ref().map_or(Room::Enough, Store::room)
    }
}
