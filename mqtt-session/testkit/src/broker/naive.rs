//! The simplest store that could do, and the mistakes that it could have: the simulation has to find each.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mqtt_broker::core::{Core, OwnedRecord, Record, Restore, Room, Store, Unreadable};
use mqtt_broker::store::{Durability, File};
use mqtt_session::{Commit, Instant};

use super::durable::{Engine, How, Kind};
use crate::disk::SimDisk;
use crate::rng::Rng;

/// Mistakes.
pub(super) const NONE: u8 = 0;
/// Everything is said to be durable as soon as it is written.
pub(super) const NEVER_SYNCS: u8 = 1;
/// The name of the file is never made durable.
pub(super) const FORGETS_THE_NAME: u8 = 2;
/// What is said to be durable is what the next sync will make so.
pub(super) const SAYS_SO_TOO_EARLY: u8 = 3;
/// A batch of which only a part was written is read all the same.
pub(super) const READS_TORN_BATCHES: u8 = 4;
/// What a dead process had written and not synced is built upon.
pub(super) const TRUSTS_WHAT_IT_FINDS: u8 = 5;
/// A sync that failed is tried again.
pub(super) const TRIES_AGAIN: u8 = 6;

type Batch = Vec<(u64, OwnedRecord)>;

/// What the batches are that files name by their numbers: only these numbers are on the disk.
static BATCHES: Mutex<Vec<Batch>> = Mutex::new(Vec::new());

const LOG: &str = "log";
const HEAD: usize = 24;
/// Bytes for each record.
const RECORD: usize = 40;

#[derive(Debug, Default)]
struct Common {
    latest: u64,
    committed: u64,
    open: [Batch; 3],
    sealed: Vec<Batch>,
}

/// A log in one file: of each batch its length and its number, twice, and as many bytes as its records might have.
#[derive(Debug)]
pub(super) struct Naive<const MISTAKE: u8> {
    file: Arc<dyn File>,
    end: u64,
    /// What was said to be durable is so from here on.
    written: u64,
    restore: Restore,
    latest: u64,
    common: Arc<Mutex<Common>>,
    failed: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn write(file: &dyn File, mut bytes: &[u8], mut offset: u64) -> Result<(), String> {
    while !bytes.is_empty() {
        let n = file.write_at(bytes, offset).map_err(|it| it.to_string())?;
        bytes = &bytes[n..];
        offset += n as u64;
    }
    Ok(())
}

fn frame(number: u64, records: usize) -> Vec<u8> {
    let mut rng = Rng::new(number);
    let body: Vec<u8> = (0..records * RECORD)
        .map(|_| rng.next() as u8 | 1)
        .collect();
    let len = body.len() as u64;
    let head = [len, number, !number].map(u64::to_le_bytes).concat();
    [head, body].concat()
}

/// The store with this mistake.
const fn kind<const MISTAKE: u8>() -> Kind {
    Kind {
        open: open::<MISTAKE>,
        durability: &[Durability::Fsync],
        segments: &[0],
        fails: true,
        lasts: false,
    }
}

/// Opens it.
fn open<const MISTAKE: u8>(
    disk: &SimDisk,
    _how: &How,
    _now: Instant,
) -> Result<Box<dyn Engine>, String> {
    let files = disk.files();
    let fail = |error: std::io::Error| error.to_string();
    let new = !files.list().map_err(fail)?.iter().any(|name| name == LOG);
    let file = if new {
        files.create(LOG).map_err(fail)?
    } else {
        files.open(LOG).map_err(fail)?
    };
    if new && MISTAKE != FORGETS_THE_NAME {
        files.sync_names().map_err(fail)?;
    }
    let mut bytes = vec![0; file.len().map_err(fail)? as usize];
    let n = file.read_at(&mut bytes, 0).map_err(fail)?;
    bytes.truncate(n);
    let (mut at, mut latest, mut restore) = (0, 0, Restore::new());
    while let Some(rest) = bytes.get(at..)
        && let Some((head, body)) = rest.split_at_checked(HEAD)
    {
        let words = head.as_chunks::<8>().0;
        let word = |at: usize| u64::from_le_bytes(words[at]);
        let (len, number) = (word(0) as usize, word(1));
        let batches = lock(&BATCHES);
        let Some(batch) = batches.get(number as usize).filter(|_| word(2) == !number) else {
            break;
        };
        let whole = frame(number, batch.len());
        let torn = rest.get(..whole.len()) != Some(&whole);
        if (torn && MISTAKE != READS_TORN_BATCHES) || len != whole.len() - HEAD {
            break;
        }
        let same = body.iter().zip(&whole[HEAD..]);
        let intact = same.take_while(|(mine, theirs)| mine == theirs).count();
        for (number, record) in batch.iter().take(intact / RECORD) {
            let taken = restore.take(&record.record(), Commit(*number));
            taken.map_err(|malformed| malformed.to_string())?;
            latest = latest.max(*number);
        }
        at += HEAD + len;
    }
    // Everything again: a sync does nothing for what the system takes to be on the disk.
    if MISTAKE != TRUSTS_WHAT_IT_FINDS {
        let mut kept = bytes.clone();
        kept.truncate(at);
        kept.resize(bytes.len(), 0);
        write(&*file, &kept, 0)?;
        file.sync().map_err(fail)?;
    }
    let common = Common {
        latest,
        committed: latest,
        ..Common::default()
    };
    Ok(Box::new(Naive::<MISTAKE> {
        file,
        end: at as u64,
        written: latest,
        restore,
        latest,
        common: Arc::new(Mutex::new(common)),
        failed: false,
    }))
}

impl<const MISTAKE: u8> Engine for Naive<MISTAKE> {
    fn store(&mut self, worker: u16) -> Box<dyn Store> {
        Box::new(Handle {
            common: Arc::clone(&self.common),
            worker: usize::from(worker),
            latest: self.latest,
        })
    }

    fn latest(&self) -> u64 {
        self.latest
    }

    fn start(&mut self, cores: &mut [Core], now: Instant) -> Vec<Unreadable> {
        core::mem::take(&mut self.restore).start(cores, now, now);
        vec![]
    }

    fn turn(&mut self, _now: Instant) {
        if self.failed {
            return;
        }
        let sealed = core::mem::take(&mut lock(&self.common).sealed);
        for batch in sealed {
            let records = batch.len();
            self.written = batch.iter().map(|(n, _)| *n).fold(self.written, u64::max);
            let mut batches = lock(&BATCHES);
            let number = batches.len() as u64;
            batches.push(batch);
            drop(batches);
            let bytes = frame(number, records);
            self.failed |= write(&*self.file, &bytes, self.end).is_err();
            self.end += bytes.len() as u64;
        }
        let early = lock(&self.common).complete(self.written);
        if MISTAKE == SAYS_SO_TOO_EARLY && lock(&self.common).committed < early {
            lock(&self.common).committed = early;
            return;
        }
        if MISTAKE != NEVER_SYNCS {
            self.failed |= self.file.sync().is_err() && MISTAKE != TRIES_AGAIN;
        }
        if !self.failed {
            lock(&self.common).committed = early;
        }
    }

    fn aside(&mut self) -> bool {
        false
    }

    fn committed(&self) -> u64 {
        lock(&self.common).committed
    }

    fn room(&self) -> Room {
        if self.failed {
            Room::Failed
        } else {
            Room::Enough
        }
    }

    fn closed(&self) -> bool {
        lock(&self.common).sealed.is_empty()
    }
}

impl Common {
    /// No record up to here is missing when everything is durable to `written`.
    fn complete(&self, written: u64) -> u64 {
        let sealed = self.sealed.iter().filter_map(|batch| batch.first());
        let open = self.open.iter().filter_map(|batch| batch.first());
        let missing = sealed.chain(open).map(|(number, _)| *number).min();
        missing.map_or_else(|| self.latest.max(written), |number| number - 1)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.commit();
    }
}

#[derive(Debug)]
struct Handle {
    common: Arc<Mutex<Common>>,
    worker: usize,
    latest: u64,
}

impl Store for Handle {
    fn record(&mut self, record: &Record<'_>) -> Commit {
        let mut common = lock(&self.common);
        common.latest += 1;
        self.latest = common.latest;
        let numbered = (self.latest, OwnedRecord::from(record));
        common.open[self.worker].push(numbered);
        Commit(self.latest)
    }

    fn latest(&self) -> Commit {
        Commit(self.latest)
    }

    fn commit(&mut self) {
        let mut common = lock(&self.common);
        let batch = core::mem::take(&mut common.open[self.worker]);
        if !batch.is_empty() {
            common.sealed.push(batch);
        }
    }

    fn committed(&self) -> Commit {
        Commit(lock(&self.common).committed)
    }
}

#[cfg(test)]
mod tests {
    use super::super::run_on;
    use super::*;
    use crate::rng::asked_seeds;
    use crate::sim::Counters;

    fn run(kind: Kind, seeds: u64) -> Counters {
        let mut counters = Counters::default();
        crate::rng::seeds("naive store", seeds, |seed| {
            counters.add(&run_on(seed, 150, Some(kind)));
        });
        counters
    }

    #[test]
    fn a_store_without_mistakes_keeps_every_promise() {
        let counters = run(kind::<NONE>(), asked_seeds().unwrap_or(100));
        eprint!("{}", counters.table());
    }

    /// What finds each mistake, and at which seed.
    fn found(kind: Kind) -> String {
        for seed in 0..300 {
            let run = std::panic::catch_unwind(|| run_on(seed, 150, Some(kind)));
            if let Err(cause) = run {
                let text = crate::runner::message(&*cause);
                return format!("seed {seed}: {text}");
            }
        }
        panic!("nothing is found");
    }

    #[test]
    fn mistakes_are_found() {
        let mistakes: [(&str, Kind); 6] = [
            ("never syncs", kind::<NEVER_SYNCS>()),
            ("forgets the name", kind::<FORGETS_THE_NAME>()),
            ("says so too early", kind::<SAYS_SO_TOO_EARLY>()),
            ("reads torn batches", kind::<READS_TORN_BATCHES>()),
            ("trusts what it finds", kind::<TRUSTS_WHAT_IT_FINDS>()),
            ("tries again", kind::<TRIES_AGAIN>()),
        ];
        for (mistake, kind) in mistakes {
            eprintln!("{mistake}: {}", found(kind));
        }
    }
}
