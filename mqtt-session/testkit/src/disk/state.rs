//! The state of a simulated disk, and what each call does to it.

use std::collections::BTreeMap;
use std::io;
use std::sync::Weak;

use super::content::Content;
use super::faults::{Call, Faults, full};
use super::names::Names;
use super::power::Cut;
use super::{DiskCounters, Moment, SimDisk, Watch};
use crate::rng::Rng;

/// A file, whatever it is called.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) content: Content,
    /// Whoever has it open.
    pub(super) users: Weak<()>,
}

/// Everything.
#[derive(Debug)]
pub(super) struct Disk {
    pub(super) nodes: BTreeMap<u64, Node>,
    pub(super) names: Names,
    pub(super) next_node: u64,
    /// Calls that changed something.
    pub(super) calls: u64,
    pub(super) faults: Faults,
    pub(super) counters: DiskCounters,
    pub(super) watch: Watch,
    pub(super) moments: Vec<Moment>,
    pub(super) rng: Rng,
}

impl Disk {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            nodes: BTreeMap::new(),
            names: Names::default(),
            next_node: 0,
            calls: 0,
            faults: Faults::default(),
            counters: DiskCounters::default(),
            watch: Watch::Nothing,
            moments: vec![],
            rng: Rng::new(seed),
        }
    }

    /// A copy that nobody has open.
    pub(super) fn copy(&self) -> Self {
        let nodes = self.nodes.iter().map(|(&number, node)| {
            let content = node.content.clone();
            let users = Weak::new();
            (number, Node { content, users })
        });
        Self {
            nodes: nodes.collect(),
            names: self.names.clone(),
            faults: self.faults.of_the_disk(),
            counters: DiskCounters::default(),
            watch: Watch::Nothing,
            moments: vec![],
            rng: self.rng.clone(),
            ..*self
        }
    }

    /// A call begins: it may fail. `partly` does the part of it that may be done when the process dies.
    pub(super) fn call(&mut self, call: Call, partly: impl FnOnce(&mut Self)) -> io::Result<()> {
        if call.changes() {
            self.calls += 1;
            let wanted = match self.watch {
                Watch::Nothing => false,
                Watch::Syncs => matches!(call, Call::Sync | Call::SyncNames),
                Watch::Everything => true,
                Watch::One(number) => number == self.calls,
            };
            if wanted {
                let mut disk = self.copy();
                partly(&mut disk);
                self.moments.push(Moment {
                    number: self.calls,
                    call,
                    disk: SimDisk::of(disk),
                });
            }
        }
        self.faults.strike(call).map_or(Ok(()), Err)
    }

    pub(super) fn node(&mut self, number: u64) -> io::Result<&mut Node> {
        self.nodes
            .get_mut(&number)
            .ok_or_else(|| io::Error::other("a file of another disk"))
    }

    /// A way in which the power may be cut now.
    pub(super) fn any_cut(&self, rng: &mut Rng) -> Cut {
        let files = self.nodes.values().filter_map(|node| node.content.oldest());
        let first = files.chain(self.names.oldest()).min();
        Cut::any(first.unwrap_or(self.calls), self.calls, rng)
    }

    /// Bytes that files have together; one without a name counts as long as somebody has it open.
    pub(super) fn used(&self) -> u64 {
        let named: Vec<u64> = self.names.iter().map(|(_, node)| node).collect();
        let nodes = self
            .nodes
            .iter()
            .filter(|(number, node)| named.contains(number) || node.users.strong_count() > 0);
        nodes.map(|(_, node)| node.content.len()).sum()
    }

    pub(super) fn room(&self) -> u64 {
        let capacity = self.faults.capacity;
        capacity.map_or(u64::MAX, |capacity| capacity.saturating_sub(self.used()))
    }

    /// Forgets files that nobody can reach.
    pub(super) fn sweep(&mut self) {
        let named = self.names.files();
        self.nodes
            .retain(|number, node| named.contains(number) || node.users.strong_count() > 0);
    }

    pub(super) fn found(&self, name: &str) -> io::Result<u64> {
        let node = self.names.get(name);
        node.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("there is no {name}")))
    }

    pub(super) fn write(&mut self, number: u64, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let part = self.rng.below(bytes.len() + 1);
        let struck = self.call(Call::Write, |disk| {
            let call = disk.calls;
            if let Ok(node) = disk.node(number) {
                node.content.write(call, &bytes[..part], offset);
            }
        });
        let call = self.calls;
        if let Err(error) = struck {
            // Who knows how far it came; one that has done everything does not fail.
            let part = part.min(bytes.len().saturating_sub(1));
            self.node(number)?
                .content
                .write(call, &bytes[..part], offset);
            return Err(error);
        }
        let room = self.room();
        let len = self.node(number)?.content.len();
        let allowed = len.max(offset).saturating_add(room) - offset;
        let mut n = bytes
            .len()
            .min(usize::try_from(allowed).unwrap_or(usize::MAX));
        if n == 0 && !bytes.is_empty() {
            return Err(full());
        }
        n = self.faults.taken(n, &mut self.rng);
        self.node(number)?.content.write(call, &bytes[..n], offset);
        self.counters.writes += 1;
        self.counters.bytes_written += n as u64;
        Ok(n)
    }

    pub(super) fn sync(&mut self, number: u64) -> io::Result<()> {
        if let Err(error) = self.call(Call::Sync, |_| {}) {
            let mut rng = Rng::new(self.rng.next());
            let cut = self.any_cut(&mut rng);
            self.node(number)?.content.sync_fails(&cut, &mut rng);
            return Err(error);
        }
        self.counters.bytes_synced += self.node(number)?.content.sync();
        self.counters.syncs += 1;
        Ok(())
    }
}
