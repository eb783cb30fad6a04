//! A store on a simulated disk behind the cores: turned by hand, cut in the middle of any call, and opened again.
//!
//! Beside it stands the [`Ledger`], which remembers every record: what a broker shows that starts from the disk is compared with what one
//! shows that starts from the front of the ledger, up to where the disk says that it has come; and that front has everything that was
//! acknowledged.

use std::io;
use std::sync::Arc;

use mqtt_broker::core::{AllowAll, Core, Room, Settings, Shared, Store, Unreadable};
use mqtt_broker::store::Durability;
use mqtt_session::Instant;

use super::clocks::Clocks;
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
    /// Puts back into new cores what it found; gives the messages that could not be read.
    fn start(&mut self, cores: &mut [Core], now: Instant) -> Vec<Unreadable>;
    /// What its clock says at the start: that of the broker goes on from there. `None`: nobody has told it the time.
    fn now(&self) -> Option<Instant> {
        None
    }
    /// The clock of the day is so many milliseconds ahead of the simulation's from now on.
    fn set_clock(&mut self, _ahead: u64) {}
    /// What it has to say about what it found.
    fn words(&self) -> Vec<String> {
        vec![]
    }
    /// Writes what was committed, and makes it durable; it may need more than one turn.
    fn turn(&mut self, now: Instant);
    /// Does some of the work that takes its time; says whether there was any.
    fn aside(&mut self) -> bool;
    /// How far everything is durable, as it says.
    fn committed(&self) -> u64;
    /// Whether it takes more.
    fn room(&self) -> Room;
    /// It has failed, and makes nothing durable any more.
    fn failed(&self) -> bool {
        self.room() == Room::Failed
    }
    /// Everything is written, and nobody has a hold on it any more.
    fn closed(&self) -> bool;
}

/// Opens what is on a disk.
pub(super) type Open = fn(&SimDisk, &How, Instant) -> Result<Box<dyn Engine>, String>;

/// A kind of store.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    pub(super) open: Open,
    /// What it can be asked to survive.
    pub(super) durability: &'static [Durability],
    /// Bytes that a segment may have.
    pub(super) segments: &'static [u64],
    /// The disk may fail.
    pub(super) fails: bool,
    /// The disk may run full, and the clock of the day may be set.
    pub(super) lasts: bool,
}

/// How a store is kept.
#[derive(Clone, Debug)]
pub(super) struct How {
    pub(super) durability: Durability,
    /// Bytes of a segment.
    pub(super) segment: u64,
    /// Goes on where something is damaged.
    pub(super) repair: bool,
    /// How far the clock of the day is ahead of the simulation's, in milliseconds.
    pub(super) ahead: u64,
}

/// The store of the broker's process.
pub(super) struct Durable {
    open: Open,
    pub(super) how: How,
    pub(super) disk: SimDisk,
    pub(super) engine: Box<dyn Engine>,
    pub(super) rng: Rng,
    /// The disk fails now and then.
    pub(super) fails: bool,
    /// The disk runs full now and then.
    pub(super) fills: bool,
    /// No write finds room, not even where something stands already.
    pub(super) takes_no_write: bool,
    clocks: Clocks,
    /// Moments of the latest turn, if they are to be looked at.
    moments: Vec<Moment>,
}

/// How far the clock of the day is ahead, before anybody sets it.
pub(super) const DAY_ZERO: u64 = 1_700_000_000_000;
/// After so many milliseconds a full disk has been tried again.
pub(super) const RETRIED: u64 = 1_000;
/// A store that cannot write what it holds gives up after so many turns, when it is to close.
const TURNS_TO_CLOSE: usize = 10;
/// What fails; the first most often.
const FAILING: [Call; 8] = [
    Call::Sync,
    Call::Sync,
    Call::Sync,
    Call::Write,
    Call::Write,
    Call::SyncNames,
    Call::Create,
    Call::Rename,
];
/// And what is said of it then.
const KINDS: [io::ErrorKind; 4] = [
    io::ErrorKind::Other,
    io::ErrorKind::Other,
    io::ErrorKind::StorageFull,
    io::ErrorKind::Interrupted,
];

/// How a process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// With the whole machine.
    Power,
    /// Alone.
    Process,
    /// In good order.
    Stop,
}

/// What the end of a process has left.
pub(super) struct Left {
    disk: SimDisk,
    /// The process has ended in good order before.
    pub(super) stopped: bool,
    /// How many batches have to be there.
    least: usize,
    what: String,
}

impl Durable {
    /// A store on an empty disk.
    pub(super) fn new(kind: Kind, now: Instant, seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let how = How {
            durability: kind.durability[rng.below(kind.durability.len())],
            segment: kind.segments[rng.below(kind.segments.len())],
            repair: false,
            ahead: DAY_ZERO,
        };
        let disk = SimDisk::new(rng.next());
        if kind.fails && rng.one_in(2) {
            disk.write_short(5);
        }
        let engine = (kind.open)(&disk, &how, now);
        Self {
            open: kind.open,
            engine: engine.unwrap_or_else(|error| panic!("a new store does not open: {error}")),
            disk,
            // Without a sync nobody is told that one has failed.
            fails: kind.fails && rng.one_in(3) && how.durability == Durability::Fsync,
            fills: kind.lasts && rng.one_in(2),
            takes_no_write: false,
            clocks: Clocks::new(kind.lasts && rng.one_in(2)),
            how,
            rng,
            moments: vec![],
        }
    }

    /// The process ends as the store's durability lets it: `cores` are its cores, `ledger` has what they recorded.
    pub(super) fn end(&mut self, cores: &mut Vec<Core>, ledger: &mut Ledger, now: Instant) -> Left {
        let end = match (self.how.durability, self.rng.below(5)) {
            (Durability::Fsync | Durability::Os, 0) => End::Stop,
            (Durability::Fsync, 1..3) => End::Power,
            (Durability::Fsync | Durability::Os, _) => End::Process,
            _ => End::Stop,
        };
        if end == End::Stop && !self.engine.failed() {
            return self.stop(cores, ledger, now);
        }
        let moment = if self.rng.one_in(4) {
            None
        } else {
            self.disk.watch(Watch::Everything);
            let _ = self.disk.moments();
            self.work(now);
            self.disk.mend();
            self.any_moment()
        };
        cores.clear();
        self.cut(moment, end, ledger)
    }

    /// The cores give their stores back, and the store closes.
    pub(super) fn stop(
        &mut self,
        cores: &mut Vec<Core>,
        ledger: &mut Ledger,
        now: Instant,
    ) -> Left {
        cores.clear();
        ledger.seal_all();
        let mut now = now;
        if self.how.durability == Durability::None {
            // Without room it would lose what everybody was told of.
            self.make_room();
            now = now.plus_millis(RETRIED);
        }
        self.plan_refusals();
        self.clocks.turned(now, self.how.ahead);
        for _ in 0..TURNS_TO_CLOSE {
            settle(&mut *self.engine, now);
        }
        self.disk.mend();
        assert!(self.engine.closed(), "it does not close");
        // What it could not write, nobody was told of.
        let all = self.engine.room() == Room::Enough;
        let mut end = End::Stop;
        if self.how.durability == Durability::Fsync && self.rng.one_in(2) {
            end = End::Power;
        }
        let mut left = self.cut(None, end, ledger);
        if all {
            left.least = ledger.batches();
        }
        left.stopped = true;
        left.what.push_str(" after a stop");
        left
    }

    /// Some turns, with some of the work aside.
    fn work(&mut self, now: Instant) {
        self.plan_refusals();
        self.clocks.turned(now, self.how.ahead);
        self.engine.turn(now);
        while self.rng.one_in(2) && self.engine.aside() {
            self.engine.turn(now);
        }
    }

    fn any_moment(&mut self) -> Option<Moment> {
        self.disk.watch(Watch::Nothing);
        let mut moments = self.disk.moments();
        let at = self.rng.below(moments.len() + 1);
        (at < moments.len()).then(|| moments.swap_remove(at))
    }

    fn cut(&mut self, moment: Option<Moment>, end: End, ledger: &Ledger) -> Left {
        let (disk, at) = match moment {
            Some(moment) => {
                let at = format!("in call {} ({:?})", moment.number, moment.call);
                (moment.disk, at)
            }
            None => (self.disk.clone(), "between calls".to_owned()),
        };
        let (disk, who) = match end {
            End::Power => (disk.crash(&mut self.rng), "the power goes"),
            End::Process | End::Stop => (disk.kill(), "the process ends"),
        };
        let survives = match self.how.durability {
            Durability::Fsync => true,
            Durability::Os => end != End::Power,
            _ => false,
        };
        Left {
            disk,
            stopped: false,
            least: if survives { ledger.acknowledged() } else { 0 },
            what: format!("{who} {at}, durability {}", self.how.durability.name()),
        }
    }

    /// Opens what is left, after a while; that may end in another crash. Says how many batches are there, and what time it is.
    pub(super) fn reopen(
        &mut self,
        mut left: Left,
        ledger: &Ledger,
        mut now: Instant,
    ) -> (usize, Instant) {
        if self.rng.one_in(3) {
            now = now.plus_millis(self.rng.below(40_000) as u64);
        }
        self.clocks.may_be_set(&mut self.how.ahead, &mut self.rng);
        while self.rng.one_in(4) {
            left.disk.watch(Watch::Everything);
            // A process that dies while it opens has opened nothing.
            drop(left.open(self.open, &self.how, now));
            self.disk = left.disk;
            let moment = self.any_moment();
            let end = if self.how.durability == Durability::Fsync && self.rng.one_in(2) {
                End::Power
            } else {
                End::Process
            };
            let next = self.cut(moment, end, ledger);
            left = Left {
                disk: next.disk,
                what: format!("{}, and as it starts again {}", left.what, next.what),
                ..left
            };
        }
        let batches = self.check(&left, ledger, now);
        self.engine = left.open(self.open, &self.how, now);
        self.disk = left.disk;
        (batches, self.engine.now().unwrap_or(now))
    }

    fn check(&mut self, left: &Left, ledger: &Ledger, now: Instant) -> usize {
        left.check(
            self.open,
            &self.how,
            &self.clocks,
            ledger,
            now,
            &mut self.rng,
        )
    }

    /// Looks at what the end of the power, and that of the process, may leave in the moments of the latest turn.
    pub(super) fn check_cuts(&mut self, ledger: &Ledger, now: Instant) -> usize {
        let moments = core::mem::take(&mut self.moments);
        let cuts = moments.len();
        // The trace is the same however often it is looked at.
        let trace = self.rng.clone();
        for moment in moments {
            let end = [End::Power, End::Power, End::Process][self.rng.below(3)];
            let left = self.cut(Some(moment), end, ledger);
            self.check(&left, ledger, now);
        }
        self.rng = trace;
        cuts
    }

    /// Looks at what is left when everything has come to rest.
    pub(super) fn check_now(&mut self, ledger: &Ledger, now: Instant) {
        for end in [End::Power, End::Process] {
            let left = self.cut(None, end, ledger);
            self.check(&left, ledger, now);
        }
    }

    /// Makes durable what was committed; now and then the disk fails. Of a turn that is watched, moments are kept. Says whether the clock
    /// of the day was set.
    pub(super) fn turn(&mut self, now: Instant, watch: Watch) -> bool {
        let before = self.engine.committed();
        let failed = self.engine.failed();
        let ahead = self.how.ahead;
        if self.fails && self.rng.one_in(14) {
            let call = FAILING[self.rng.below(FAILING.len())];
            let after = self.rng.below(4) / 2;
            let kind = KINDS[self.rng.below(KINDS.len())];
            self.disk.fail(call, after as u64, 1, kind);
        }
        if self.rng.one_in(10) {
            self.clocks.may_be_set(&mut self.how.ahead, &mut self.rng);
            self.engine.set_clock(self.how.ahead);
        }
        let was_set = self.how.ahead != ahead;
        self.disk.watch(watch);
        self.work(now);
        self.disk.watch(Watch::Nothing);
        self.moments = self.disk.moments();
        self.disk.mend();
        assert!(
            !failed || (self.engine.failed() && self.engine.committed() == before),
            "something becomes durable after a failure"
        );
        was_set
    }

    /// Does everything that there is to do.
    pub(super) fn settle(&mut self, now: Instant) {
        self.plan_refusals();
        self.clocks.turned(now, self.how.ahead);
        settle(&mut *self.engine, now);
        self.disk.mend();
    }
}

impl Left {
    fn open(&self, open: Open, how: &How, now: Instant) -> Box<dyn Engine> {
        open(&self.disk, how, now)
            .unwrap_or_else(|error| panic!("the store does not open when {}: {error}", self.what))
    }

    /// Looks at what a broker shows that starts from this; says how many batches are there.
    ///
    /// # Panics
    /// When something is missing that was, or something else is there.
    pub(super) fn check(
        &self,
        open: Open,
        how: &How,
        clocks: &Clocks,
        ledger: &Ledger,
        now: Instant,
        rng: &mut Rng,
    ) -> usize {
        let workers = 1 + rng.below(3) as u16;
        let seconds = rng.below(100) as u32;
        let copy = Self {
            disk: self.disk.kill(),
            what: self.what.clone(),
            ..*self
        };
        let mut engine = copy.open(open, how, now);
        // It has opened without; what is there can be looked at.
        copy.disk.limit(None);
        let now = clocks.check(engine.now(), now, how.ahead);
        let latest = engine.latest();
        let fronts = ledger.fronts(latest, self.least);
        assert!(
            !fronts.is_empty(),
            "what is there when {} ends with record {latest}; {} batches have to be there, and they end with {:?}",
            self.what,
            self.least,
            ledger.ends(),
        );
        let at = Look {
            workers,
            seconds,
            now,
        };
        let (found, unreadable) = at.found(&mut *engine);
        assert!(unreadable.is_empty(), "{unreadable:?}");
        let mut difference = None;
        for batches in fronts {
            let at_once = how.durability == Durability::None;
            let expected = at.expected(ledger, batches, at_once);
            match expected.difference(&found) {
                None => return batches,
                Some(text) => difference = Some(text),
            }
        }
        let difference = difference.unwrap_or_default();
        panic!("something else is there when {}: {difference}", self.what);
    }
}

/// Turns a store until everything is done.
fn settle(engine: &mut dyn Engine, now: Instant) {
    engine.turn(now);
    while engine.aside() {
        engine.turn(now);
    }
}

/// How a broker is looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    /// How many workers it has.
    pub(super) workers: u16,
    /// How many seconds pass before anybody comes.
    pub(super) seconds: u32,
    pub(super) now: Instant,
}

impl Look {
    /// What a broker shows that starts with what a store has found, and what of that cannot be read.
    pub(super) fn found(self, engine: &mut dyn Engine) -> (Seen, Vec<Unreadable>) {
        let notes = Notes::default();
        let (shared, mut cores) = self.cores(|worker| notes.of(engine.store(worker)));
        let unreadable = engine.start(&mut cores, self.now);
        let mut sync = |now| {
            let before = engine.committed();
            settle(engine, now);
            engine.committed() > before
        };
        let probe = Probe::new(shared, &mut cores, self.now, &notes, &mut sync);
        (probe.look(self.seconds), unreadable)
    }

    /// What a broker shows that starts with the first batches of the ledger; `at_once` when its store says of everything that it is durable.
    pub(super) fn expected(self, ledger: &Ledger, batches: usize, at_once: bool) -> Seen {
        let late = Late::new(at_once);
        let notes = Notes::default();
        let (shared, mut cores) = self.cores(|worker| notes.of(late.store(worker)));
        ledger.front(batches).start(&mut cores, self.now, self.now);
        let mut sync = |_| late.sync();
        Probe::new(shared, &mut cores, self.now, &notes, &mut sync).look(self.seconds)
    }

    fn cores(self, mut store: impl FnMut(u16) -> Box<dyn Store>) -> (Arc<Shared>, Vec<Core>) {
        let mut settings = Settings::default();
        settings.sys_interval_ms = 0;
        let shared = Shared::new(settings, self.workers, 5);
        let cores = (0..self.workers).map(|worker| {
            let (shared, policy) = (Arc::clone(&shared), Arc::new(AllowAll));
            Core::new(shared, worker, store(worker), policy, 5, self.now)
        });
        let cores = cores.collect();
        (shared, cores)
    }
}
