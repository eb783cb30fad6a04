//! A log of all workers whose batches become durable when the input says so.

use std::sync::{Arc, Mutex, MutexGuard};

use mqtt_broker::core::{OwnedRecord, Record, Restore, Store};
use mqtt_session::Commit;

/// The log.
#[derive(Debug, Default)]
struct Inner {
    next: u64,
    /// What each worker has recorded since it last committed, and the number of its latest record.
    pending: Vec<(Vec<(u64, OwnedRecord)>, u64)>,
    batches: Vec<(usize, Vec<(u64, OwnedRecord)>)>,
    /// How many batches are durable.
    durable: usize,
    /// Up to where each worker's records are.
    committed: Vec<u64>,
}

/// The log, shared by the stores of all workers.
#[derive(Clone, Debug, Default)]
pub(super) struct Log(Arc<Mutex<Inner>>);

impl Log {
    /// An empty log for so many workers.
    pub(super) fn new(workers: usize) -> Self {
        let log = Self::default();
        log.workers(workers);
        log
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().expect("nobody panics under this lock")
    }

    fn workers(&self, workers: usize) {
        let mut log = self.lock();
        let next = log.next;
        log.pending = (0..workers).map(|_| (Vec::new(), next)).collect();
        log.committed = vec![next; workers];
    }

    /// The store of a worker.
    pub(super) fn store(&self, worker: usize) -> Box<dyn Store> {
        Box::new(Handle {
            log: self.clone(),
            worker,
        })
    }

    /// Makes up to `most` further batches durable; says whether there were any.
    pub(super) fn commit(&self, most: usize) -> bool {
        let mut log = self.lock();
        let begin = log.durable;
        log.durable = begin.saturating_add(most).min(log.batches.len());
        for at in begin..log.durable {
            let (worker, records) = &log.batches[at];
            let (worker, last) = (*worker, records.last().map(|(number, _)| *number));
            log.committed[worker] = last.expect("no batch is empty");
        }
        log.durable > begin
    }

    /// A crash: what is not durable is lost, the rest is replayed.
    pub(super) fn restart(&self, workers: usize) -> Restore {
        let mut restore = Restore::new();
        {
            let mut log = self.lock();
            let durable = log.durable;
            log.batches.truncate(durable);
            for (number, record) in log.batches.iter().flat_map(|(_, records)| records) {
                let taken = restore.take(&record.record(), Commit(*number));
                assert!(taken.is_ok(), "{taken:?}: {record:?}");
            }
        }
        self.workers(workers);
        restore
    }
}

/// One worker's store.
#[derive(Debug)]
struct Handle {
    log: Log,
    worker: usize,
}

impl Store for Handle {
    fn record(&mut self, record: &Record<'_>) -> Commit {
        let mut log = self.log.lock();
        log.next += 1;
        let number = log.next;
        let (pending, latest) = &mut log.pending[self.worker];
        pending.push((number, OwnedRecord::from(record)));
        *latest = number;
        Commit(number)
    }

    fn latest(&self) -> Commit {
        Commit(self.log.lock().pending[self.worker].1)
    }

    fn commit(&mut self) {
        let mut log = self.log.lock();
        let batch = core::mem::take(&mut log.pending[self.worker].0);
        if !batch.is_empty() {
            log.batches.push((self.worker, batch));
        }
    }

    fn committed(&self) -> Commit {
        Commit(self.log.lock().committed[self.worker])
    }
}
