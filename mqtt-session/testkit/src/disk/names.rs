//! Which names a simulated directory has: as its users see them, and as the disk has them.

use std::collections::{BTreeMap, BTreeSet};

use super::power::Cut;
use crate::rng::Rng;

/// A change of a name.
#[derive(Clone, Debug)]
enum Change {
    Made(String, u64),
    Renamed { from: String, to: String, file: u64 },
    Removed(String),
}

/// The names, and the numbers of their files.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    seen: BTreeMap<String, u64>,
    disk: BTreeMap<String, u64>,
    /// Since the last sync, with the numbers of the calls.
    pending: Vec<(u64, Change)>,
}

fn apply(names: &mut BTreeMap<String, u64>, change: &Change) {
    match change {
        Change::Made(name, file) => {
            names.insert(name.clone(), *file);
        }
        // The file goes by its new name even if the disk never had its old one.
        Change::Renamed { from, to, file } => {
            if names.get(from) == Some(file) {
                names.remove(from);
            }
            names.insert(to.clone(), *file);
        }
        Change::Removed(name) => {
            names.remove(name);
        }
    }
}

impl Names {
    /// These, all on the disk.
    pub(super) fn durable(names: BTreeMap<String, u64>) -> Self {
        Self {
            seen: names.clone(),
            disk: names,
            pending: vec![],
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<u64> {
        self.seen.get(name).copied()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.seen.iter().map(|(name, file)| (&**name, *file))
    }

    fn change(&mut self, call: u64, change: Change) {
        apply(&mut self.seen, &change);
        self.pending.push((call, change));
    }

    pub(super) fn make(&mut self, call: u64, name: &str, file: u64) {
        self.change(call, Change::Made(name.to_owned(), file));
    }

    pub(super) fn rename(&mut self, call: u64, from: &str, to: &str, file: u64) {
        let (from, to) = (from.to_owned(), to.to_owned());
        self.change(call, Change::Renamed { from, to, file });
    }

    pub(super) fn remove(&mut self, call: u64, name: &str) {
        self.change(call, Change::Removed(name.to_owned()));
    }

    pub(super) fn sync(&mut self) {
        self.disk.clone_from(&self.seen);
        self.pending.clear();
    }

    /// The number of the first call of which something is not synced.
    pub(super) fn oldest(&self) -> Option<u64> {
        self.pending.first().map(|(call, _)| *call)
    }

    /// A sync that fails: the disk has any of the changes, and the system takes all of them for done.
    pub(super) fn sync_fails(&mut self, cut: &Cut, rng: &mut Rng) {
        self.disk = self.cut(cut, rng);
        self.pending.clear();
    }

    /// What a cut of the power leaves: each change happened or did not. Their order makes no difference to a name: the last of those that
    /// happened counts, and any can be the last.
    pub(super) fn cut(&self, cut: &Cut, rng: &mut Rng) -> BTreeMap<String, u64> {
        let mut names = self.disk.clone();
        for (call, change) in &self.pending {
            if cut.keeps(*call, rng) {
                apply(&mut names, change);
            }
        }
        names
    }

    /// The files that have a name, now or after a cut of the power.
    pub(super) fn files(&self) -> BTreeSet<u64> {
        let pending = self.pending.iter().filter_map(|(_, change)| match change {
            Change::Made(_, file) | Change::Renamed { file, .. } => Some(*file),
            Change::Removed(_) => None,
        });
        let named = self.seen.values().chain(self.disk.values()).copied();
        named.chain(pending).collect()
    }
}
