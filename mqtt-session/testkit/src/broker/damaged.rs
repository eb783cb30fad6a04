//! A store whose files were damaged: it opens with everything that was in it, or says what it cannot give back.

use std::collections::BTreeSet;

use mqtt_session::Instant;

use super::durable::{Engine, How, Look};
use super::probe::Seen;
use super::{Sim, log};
use crate::disk::{Contents, SimDisk, bit_flips, damages};

/// Bytes of a segment before its first group.
const SEGMENT_HEADER: usize = 40;
/// Steps of the run that fills the store.
const STEPS: u32 = 90;

/// A small store, and what it holds.
#[derive(Debug)]
pub struct SmallStore {
    contents: Contents,
    stopped: bool,
    /// Its files when it held half as much.
    older: Contents,
    how: How,
    now: Instant,
    expected: Seen,
    /// What was ever published.
    payloads: BTreeSet<Vec<u8>>,
}

/// What a store did that was damaged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It holds what it held.
    Same,
    /// It holds less, and says so.
    Told(Vec<String>),
    /// It does not open, and says why.
    Refused(String),
}

impl SmallStore {
    /// The store of the first run that leaves one of several segments and with a snapshot; `stopped` in good order, or left by a process
    /// that died when nothing was to be done.
    #[must_use]
    pub fn new(stopped: bool) -> Self {
        (0..1_000)
            .map(|seed| Self::of(seed, stopped))
            .find(Self::has_everything)
            .unwrap_or_else(|| panic!("no run leaves such a store"))
    }

    fn of(seed: u64, stopped: bool) -> Self {
        let mut sim = Sim::new(seed, Some(log::SMALL));
        sim.crashes = false;
        let mut older = Contents::new();
        for step in 0..STEPS {
            sim.step();
            if let Some(durable) = sim.net.durable.as_mut().filter(|_| step == STEPS / 2) {
                durable.settle(sim.net.now);
                older = durable.disk.contents();
            }
        }
        sim.net.calm = true;
        sim.net.poll_all();
        sim.net.sync(usize::MAX, &mut sim.rng);
        let now = sim.net.now;
        let mut ledger = sim.net.ledgers.lock();
        let durable = sim.net.durable.as_mut();
        let durable = durable.unwrap_or_else(|| panic!("the simulation has a store"));
        if stopped {
            durable.stop(&mut sim.net.cores, &mut ledger, now);
        }
        let batches = ledger.acknowledged();
        let payloads = sim.net.model.payloads.values().cloned();
        let mut store = Self {
            contents: durable.disk.contents(),
            stopped,
            older,
            how: durable.how.clone(),
            now,
            expected: at(now).expected(&ledger, batches, false),
            payloads: payloads.collect(),
        };
        store.payloads.extend([b"new".to_vec(), vec![]]);
        store
    }

    fn has_everything(&self) -> bool {
        let of_kind = |end: &str| {
            let names = self.contents.keys();
            names.filter(|name| name.ends_with(end)).count()
        };
        let bytes: usize = self.contents.values().map(Vec::len).sum();
        of_kind(".log") >= 3 && of_kind(".snap") == 1 && bytes < 24_000
    }

    /// It as it is.
    #[must_use]
    pub fn whole(&self) -> SimDisk {
        SimDisk::with(&self.contents, 1)
    }

    /// The segment in which its log ends: those behind it have no group.
    fn last_segment(&self) -> Option<&String> {
        let has_groups = |bytes: &Vec<u8>| bytes.iter().skip(SEGMENT_HEADER).any(|byte| *byte != 0);
        let logs = self.contents.iter().rev();
        let mut logs = logs.filter(|(name, _)| name.ends_with(".log"));
        logs.find(|(_, bytes)| has_groups(bytes))
            .map(|(name, _)| name)
    }

    /// The store with every bit flipped that `wanted` names, one after the other.
    pub fn flips(
        &self,
        wanted: impl Fn(u64, u8) -> bool,
    ) -> impl Iterator<Item = (String, SimDisk)> {
        let whole = self.whole();
        let flips = bit_flips(&self.contents).filter(move |&(_, offset, bit)| wanted(offset, bit));
        flips.map(move |(name, offset, bit)| {
            let disk = whole.kill();
            disk.flip(name, offset, bit);
            (
                format!("{name}: bit {bit} of byte {offset} is flipped"),
                disk,
            )
        })
    }

    /// The store with every other damage. An older copy of the segment in which the log ends is none, unless the store was stopped in good
    /// order: nothing tells it from what an earlier crash would have left.
    pub fn damages(&self) -> impl Iterator<Item = (String, SimDisk)> {
        let last = self.last_segment();
        let rollback = last.map(|name| format!("{name} is an older copy"));
        let rollback = rollback.filter(|_| !self.stopped);
        let damaged = damages(&self.contents, &self.older);
        let damaged = damaged.filter(move |it| Some(&it.what) != rollback.as_ref());
        damaged.map(|damaged| (damaged.what, SimDisk::with(&damaged.contents, 1)))
    }

    /// Opens a damaged store; repairs it if that is needed, and opens it again.
    ///
    /// # Panics
    /// When less is there and nothing is said, when something is delivered that was never published, when a refusal does not say where, and
    /// when a repair does not help.
    #[must_use]
    pub fn judge(&self, what: &str, disk: &SimDisk) -> Verdict {
        let damaged = disk.kill();
        match self.open(disk, false) {
            Ok(engine) => match self.look(what, engine) {
                words if words.is_empty() => Verdict::Same,
                words => Verdict::Told(words),
            },
            Err(error) => {
                let named = [".log", ".snap", "store"]
                    .iter()
                    .any(|it| error.contains(it));
                assert!(named, "{what}: which file? {error}");
                assert_eq!(
                    disk.contents(),
                    damaged.contents(),
                    "{what}: {error}, and it is changed"
                );
                self.repair(what, &damaged);
                Verdict::Refused(error)
            }
        }
    }

    fn open(&self, disk: &SimDisk, repair: bool) -> Result<Box<dyn Engine>, String> {
        let how = How {
            repair,
            ..self.how.clone()
        };
        (log::SMALL.open)(disk, &how, self.now)
    }

    /// What is said of a store that has opened; nothing when it has everything.
    fn look(&self, what: &str, mut engine: Box<dyn Engine>) -> Vec<String> {
        let mut words = engine.words();
        let (seen, unreadable) = at(self.now).found(&mut *engine);
        words.extend(unreadable.iter().map(ToString::to_string));
        if seen.unreadable > 0 {
            words.push(format!("{} copies could not be read", seen.unreadable));
        }
        for payload in seen.payloads() {
            let known = self.payloads.contains(payload);
            assert!(known, "{what}: this was never published: {payload:02x?}");
        }
        let Some(difference) = self.expected.difference(&seen) else {
            return vec![];
        };
        assert!(!words.is_empty(), "{what}: not a word of {difference}");
        words
    }

    fn repair(&self, what: &str, disk: &SimDisk) {
        let engine = self.open(disk, true);
        let engine = engine.unwrap_or_else(|error| panic!("{what}: no repair: {error}"));
        assert!(
            !engine.words().is_empty(),
            "{what}: repaired without a word"
        );
        self.look(what, engine);
        let again = self.open(&disk.kill(), false);
        let again = again.unwrap_or_else(|error| panic!("{what}: repaired in vain: {error}"));
        drop(again);
    }
}

const fn at(now: Instant) -> Look {
    Look {
        workers: 2,
        seconds: 20,
        now,
    }
}
