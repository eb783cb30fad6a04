//! A disk that a seed makes lose power, run full, fail and lie, for tests of whatever stores something.
//!
//! What is written and what is synced are kept apart, for each sector, for the length of each file, and for names. [`SimDisk::crash`] gives
//! the disk as it is after a power cut: of what was not synced any part is there, and of a sector that was written several times any of
//! its versions. [`SimDisk::kill`] gives it as it is after the death of the process alone: everything written is seen, and still not
//! synced. Both leave the disk as it is, so that one run can be cut at every moment: [`SimDisk::watch`].
//!
//! A sector that was synced and is written again keeps the bytes that did not change, whatever a power cut does to the others: drives
//! that lose a whole sector then are not simulated.

mod content;
mod damage;
mod faults;
mod files;
mod names;
mod power;
mod state;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use mqtt_broker::store::Files;

use crate::rng::Rng;
use content::Content;
pub use content::SECTOR;
pub use damage::{Damaged, bit_flips, damages};
pub use faults::Call;
use names::Names;
use state::{Disk, Node};

/// All files of a disk by their names.
pub type Contents = BTreeMap<String, Vec<u8>>;

/// A disk with one directory; clones are the same disk.
#[derive(Clone, Debug)]
pub struct SimDisk(Arc<Mutex<Disk>>);

/// What a disk has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiskCounters {
    /// Calls that wrote something.
    pub writes: u64,
    /// Bytes they wrote.
    pub bytes_written: u64,
    /// Syncs of files.
    pub syncs: u64,
    /// Bytes of sectors that these brought to the disk.
    pub bytes_synced: u64,
    /// Syncs of names.
    pub name_syncs: u64,
    /// Reads.
    pub reads: u64,
    /// Bytes read.
    pub bytes_read: u64,
}

/// At which calls a copy of the disk is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Watch {
    /// At none.
    #[default]
    Nothing,
    /// At each sync, of a file or of names.
    Syncs,
    /// At each call that changes something.
    Everything,
    /// At the one that has this number; see [`SimDisk::calls`].
    One(u64),
}

/// The disk in the middle of a call.
#[derive(Clone, Debug)]
pub struct Moment {
    /// The number of the call.
    pub number: u64,
    /// What it was.
    pub call: Call,
    /// A write is done in part, everything else not at all.
    pub disk: SimDisk,
}

impl SimDisk {
    /// An empty disk; the seed decides what its faults do.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self::of(Disk::new(seed))
    }

    /// A disk with these files, all synced.
    #[must_use]
    pub fn with(contents: &Contents, seed: u64) -> Self {
        let mut disk = Disk::new(seed);
        let mut names = BTreeMap::new();
        for (name, bytes) in contents {
            names.insert(name.clone(), disk.next_node);
            let content = Content::durable(bytes);
            let users = Weak::new();
            disk.nodes.insert(disk.next_node, Node { content, users });
            disk.next_node += 1;
        }
        disk.names = Names::durable(names);
        Self::of(disk)
    }

    fn of(disk: Disk) -> Self {
        Self(Arc::new(Mutex::new(disk)))
    }

    fn lock(&self) -> MutexGuard<'_, Disk> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a store asks for.
    #[must_use]
    pub fn files(&self) -> Arc<dyn Files> {
        Arc::new(self.clone())
    }

    /// The disk after a power cut at this moment: one of the many that it may be.
    #[must_use]
    pub fn crash(&self, rng: &mut Rng) -> Self {
        let disk = self.lock();
        let cut = disk.any_cut(rng);
        let names = disk.names.cut(&cut, rng);
        let mut left = Disk::new(rng.next());
        left.next_node = disk.next_node;
        for &number in names.values() {
            if let Some(node) = disk.nodes.get(&number) {
                let content = node.content.cut(&cut, rng);
                let users = Weak::new();
                left.nodes.insert(number, Node { content, users });
            }
        }
        left.names = Names::durable(names);
        left.faults = disk.faults.of_the_disk();
        Self::of(left)
    }

    /// The disk after the process that used it has died, and the system has not: nothing is lost, and nothing more is synced.
    #[must_use]
    pub fn kill(&self) -> Self {
        let disk = self.lock();
        let mut left = disk.copy();
        left.sweep();
        Self::of(left)
    }

    /// All files, as they are read now.
    #[must_use]
    pub fn contents(&self) -> Contents {
        let disk = self.lock();
        let files = disk.names.iter().filter_map(|(name, number)| {
            let node = disk.nodes.get(&number)?;
            Some((name.to_owned(), node.content.bytes()))
        });
        files.collect()
    }

    /// What it has done so far.
    #[must_use]
    pub fn counters(&self) -> DiskCounters {
        self.lock().counters
    }

    /// How many calls there were that change something.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.lock().calls
    }

    /// Keeps copies of the disk in the middle of calls from now on.
    pub fn watch(&self, watch: Watch) {
        self.lock().watch = watch;
    }

    /// The copies since the last time.
    #[must_use]
    pub fn moments(&self) -> Vec<Moment> {
        core::mem::take(&mut self.lock().moments)
    }

    /// Of these calls `after` go well, and the `times` after that fail so. A sync that fails leaves what was not synced on the disk, or not,
    /// or in part, and the next one says that all is well.
    pub fn fail(&self, call: Call, after: u64, times: u64, kind: io::ErrorKind) {
        self.lock().faults.plan(call, after, times, kind);
    }

    /// Nothing that [`fail`](Self::fail) planned happens any more.
    pub fn mend(&self) {
        self.lock().faults.clear();
    }

    /// One in so many writes takes only a part of its bytes; 0 is none.
    pub fn write_short(&self, one_in: usize) {
        self.lock().faults.short_writes = one_in;
    }

    /// How many bytes all files together may have; `None` is as many as one likes.
    pub fn limit(&self, capacity: Option<u64>) {
        self.lock().faults.capacity = capacity;
    }

    /// The limit, if there is one.
    #[must_use]
    pub fn capacity(&self) -> Option<u64> {
        self.lock().faults.capacity
    }

    /// How many bytes all files together have.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.lock().used()
    }

    /// Flips one bit of a file, wherever it is kept.
    ///
    /// # Panics
    /// When there is no such file.
    pub fn flip(&self, name: &str, offset: u64, bit: u8) {
        self.content(name, |content| {
            content.damage(offset, |byte| byte ^ (1 << bit));
        });
    }

    /// The sector of a file at this offset cannot be read from now on, until it is written as a whole.
    ///
    /// # Panics
    /// When there is no such file.
    pub fn spoil(&self, name: &str, offset: u64) {
        self.content(name, |content| content.spoil(offset));
    }

    fn content(&self, name: &str, change: impl FnOnce(&mut Content)) {
        let mut disk = self.lock();
        let number = disk.names.get(name);
        let node = number.and_then(|number| disk.nodes.get_mut(&number));
        change(&mut node.unwrap_or_else(|| panic!("there is no {name}")).content);
    }
}
