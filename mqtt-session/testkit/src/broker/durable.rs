//! A store on a simulated disk behind the cores: turned by hand, cut in the middle of any call, and opened again.
//!
//! Beside it stands the [`Ledger`], which remembers every record: what a broker shows that starts from the disk is compared with what one
//! shows that starts from the front of the ledger, up to where the disk says that it has come; and that front has everything that was
//! acknowledged.

use std::io;
use std::sync::Arc;

use mqtt_broker::core::{AllowAll, Core, Settings, Shared, Store};
use mqtt_session::Instant;

use super::ledger::Ledger;
use super::probe::{Probe, Seen};
use super::stores::{Late, Notes};
use crate::disk::{Call, Moment, SimDisk, Watch};
use crate::rng::Rng;

/// A store that a process has open.
pub(super) trait Engine {
    /// The handle of one worker.
    fn store(&mut self, worker: u16) -> Box<dyn Store>;
    /// The number of the latest record that it found.
    fn latest(&self) -> u64;
    /// Puts back into new cores what it found.
    fn start(&mut self, cores: &mut [Core], now: Instant);
    /// Writes what was committed, and makes it durable.
    fn turn(&mut self, now: Instant);
    /// Does some of the work for which nobody waits; says whether there was any.
    fn aside(&mut self, now: Instant) -> bool;
    /// How far everything is durable, as it says.
    fn committed(&self) -> u64;
    /// It has failed, and makes nothing durable any more.
    fn failed(&self) -> bool;
}

/// Opens what is on a disk, for so many workers.
pub(super) type Open = fn(&SimDisk, u16, Instant) -> Result<Box<dyn Engine>, String>;

/// The store of the broker's process.
pub(super) struct Durable {
    open: Open,
    pub(super) disk: SimDisk,
    pub(super) engine: Box<dyn Engine>,
    rng: Rng,
    /// The disk fails now and then.
    pub(super) fails: bool,
    /// The syncs of the latest turn, if they are to be looked at.
    moments: Vec<Moment>,
}

/// What a crash leaves.
pub(super) struct Left {
    disk: SimDisk,
    what: String,
}

impl Durable {
    /// A store on an empty disk.
    pub(super) fn new(open: Open, workers: u16, now: Instant, seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let disk = SimDisk::new(rng.next());
        if rng.one_in(2) {
            disk.write_short(5);
        }
        let engine = open(&disk, workers, now);
        Self {
            open,
            engine: engine.unwrap_or_else(|error| panic!("a new store does not open: {error}")),
            disk,
            fails: rng.one_in(3),
            rng,
            moments: vec![],
        }
    }

    /// A crash now, or in the middle of the next turn: of the power, or of the process alone.
    pub(super) fn crash(&mut self, now: Instant) -> Left {
        let moment = if self.rng.one_in(4) {
            None
        } else {
            self.disk.watch(Watch::Everything);
            let _ = self.disk.moments();
            self.engine.turn(now);
            self.any_moment()
        };
        self.cut(moment)
    }

    fn any_moment(&mut self) -> Option<Moment> {
        self.disk.watch(Watch::Nothing);
        let mut moments = self.disk.moments();
        let at = self.rng.below(moments.len() + 1);
        (at < moments.len()).then(|| moments.swap_remove(at))
    }

    fn cut(&mut self, moment: Option<Moment>) -> Left {
        let (disk, at) = match moment {
            Some(moment) => {
                let at = format!("in call {} ({:?})", moment.number, moment.call);
                (moment.disk, at)
            }
            None => (self.disk.clone(), "between calls".to_owned()),
        };
        if self.rng.one_in(2) {
            let disk = disk.kill();
            let what = format!("the process dies {at}");
            return Left { disk, what };
        }
        let disk = disk.crash(&mut self.rng);
        let what = format!("the power goes {at}");
        Left { disk, what }
    }

    /// Opens what a crash has left; that may end in another crash. Says how many batches are there that were not acknowledged.
    pub(super) fn reopen(
        &mut self,
        mut left: Left,
        ledger: &Ledger,
        workers: u16,
        now: Instant,
    ) -> usize {
        while self.rng.one_in(4) {
            left.disk.watch(Watch::Everything);
            // A process that dies while it opens has opened nothing.
            drop(left.open(self.open, workers, now));
            self.disk = left.disk;
            let moment = self.any_moment();
            let next = self.cut(moment);
            left = Left {
                disk: next.disk,
                what: format!("{}, and as it starts again {}", left.what, next.what),
            };
        }
        let batches = left.check(self.open, ledger, now, &mut self.rng);
        self.engine = left.open(self.open, workers, now);
        self.disk = left.disk;
        batches
    }

    /// Looks at what a crash at each sync of the latest turn may have left.
    pub(super) fn check_cuts(&mut self, ledger: &Ledger, now: Instant) -> usize {
        let moments = core::mem::take(&mut self.moments);
        let cuts = moments.len();
        for moment in moments {
            let left = self.cut(Some(moment));
            left.check(self.open, ledger, now, &mut self.rng);
        }
        cuts
    }

    /// Looks at what a crash may leave now.
    pub(super) fn check_now(&mut self, ledger: &Ledger, now: Instant) {
        let left = self.crash(now);
        left.check(self.open, ledger, now, &mut self.rng);
    }

    /// Makes durable what was committed; now and then the disk fails.
    pub(super) fn turn(&mut self, now: Instant, watched: bool) {
        let before = self.engine.committed();
        let failed = self.engine.failed();
        if self.fails && self.rng.one_in(20) {
            let call = [Call::Sync, Call::Sync, Call::Write][self.rng.below(3)];
            self.disk.fail(call, 0, 1, io::ErrorKind::Other);
        }
        if watched {
            self.disk.watch(Watch::Syncs);
        }
        self.engine.turn(now);
        if watched {
            self.disk.watch(Watch::Nothing);
            self.moments = self.disk.moments();
        }
        self.disk.mend();
        assert!(
            !failed || self.engine.committed() == before,
            "something becomes durable after a failure"
        );
    }
}

impl Left {
    fn open(&self, open: Open, workers: u16, now: Instant) -> Box<dyn Engine> {
        open(&self.disk, workers, now)
            .unwrap_or_else(|error| panic!("the store does not open when {}: {error}", self.what))
    }

    /// Looks at what a broker shows that starts from this; says how many batches are there that were not acknowledged.
    ///
    /// # Panics
    /// When something is missing that was, or something else is there.
    pub(super) fn check(&self, open: Open, ledger: &Ledger, now: Instant, rng: &mut Rng) -> usize {
        let workers = 1 + rng.below(3) as u16;
        let seconds = rng.below(100) as u32;
        let copy = Self {
            disk: self.disk.kill(),
            what: self.what.clone(),
        };
        let mut engine = copy.open(open, workers, now);
        let latest = engine.latest();
        let fronts = ledger.fronts(latest);
        assert!(
            !fronts.is_empty(),
            "what is there when {} ends with record {latest}; acknowledged are those to {}, and batches end with {:?}",
            self.what,
            ledger.committed(),
            ledger.ends(),
        );
        let notes = Notes::default();
        let (shared, mut cores) = cores(workers, now, |worker| notes.of(engine.store(worker)));
        engine.start(&mut cores, now);
        let mut sync = |now| {
            let before = engine.committed();
            engine.turn(now);
            engine.committed() > before
        };
        let found = Probe::new(shared, &mut cores, now, &notes, &mut sync).look(seconds);
        let mut difference = None;
        for batches in fronts {
            let expected = expected(ledger, batches, workers, seconds, now);
            match expected.difference(&found) {
                None => return batches,
                Some(text) => difference = Some(text),
            }
        }
        let difference = difference.unwrap_or_default();
        panic!("something else is there when {}: {difference}", self.what);
    }
}

/// What a broker shows that starts with what the ledger has.
fn expected(ledger: &Ledger, batches: usize, workers: u16, seconds: u32, now: Instant) -> Seen {
    let late = Late::default();
    let notes = Notes::default();
    let (shared, mut cores) = cores(workers, now, |worker| notes.of(late.store(worker)));
    ledger.front(batches).start(&mut cores, now, now);
    let mut sync = |_| late.sync();
    Probe::new(shared, &mut cores, now, &notes, &mut sync).look(seconds)
}

fn cores(
    workers: u16,
    now: Instant,
    mut store: impl FnMut(u16) -> Box<dyn Store>,
) -> (Arc<Shared>, Vec<Core>) {
    let mut settings = Settings::default();
    settings.sys_interval_ms = 0;
    let shared = Shared::new(settings, workers, 5);
    let cores = (0..workers).map(|worker| {
        let (shared, policy) = (Arc::clone(&shared), Arc::new(AllowAll));
        Core::new(shared, worker, store(worker), policy, 5, now)
    });
    let cores = cores.collect();
    (shared, cores)
}
