//! What passes between the workers and the thread that writes: batches one way, how far everything is durable the other.

use core::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use mqtt_session::Commit;

use super::job::Done;
use crate::core::Room;

/// What one worker recorded from one commit to the next.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) bytes: Vec<u8>,
    /// The numbers that went into it, first and end of each run; some of them no record has got.
    pub(super) numbers: Vec<(u64, u64)>,
}

/// Numbers without a gap, from whatever order they come in.
#[derive(Debug, Default)]
pub(super) struct Front {
    /// All below have come.
    end: u64,
    /// Runs behind it, by their first.
    behind: BTreeMap<u64, u64>,
}

impl Front {
    pub(super) const fn starting_at(end: u64) -> Self {
        Self {
            end,
            behind: BTreeMap::new(),
        }
    }

    /// Takes a run of numbers.
    pub(super) fn take(&mut self, first: u64, end: u64) {
        self.behind.insert(first, end);
        while let Some(entry) = self.behind.first_entry()
            && *entry.key() <= self.end
        {
            self.end = self.end.max(entry.remove());
        }
    }

    /// The last of those without a gap.
    pub(super) const fn latest(&self) -> Commit {
        Commit(self.end.saturating_sub(1))
    }
}

/// Bytes of batches that whoever is patient waits for.
pub(super) const PATIENCE: usize = 1024 * 1024;
/// Bytes of batches that wait from which on the workers read no more of their clients.
const ENOUGH: usize = 16 * 1024 * 1024;

/// Wakes a worker.
pub type Wake = Box<dyn Fn() + Send + Sync>;

/// One for all workers of a store.
pub(super) struct Queue {
    inner: Mutex<Inner>,
    /// Something is there for the thread that writes.
    arrived: Condvar,
    /// The next number that nobody has.
    next: AtomicU64,
    committed: AtomicU64,
    kept: AtomicU64,
    room: AtomicU8,
    /// Bytes of the batches that wait.
    waiting: AtomicUsize,
    /// Batches are as durable as they get as soon as they are here.
    at_once: bool,
}

#[derive(Default)]
struct Inner {
    batches: VecDeque<Batch>,
    finished: Vec<Done>,
    /// By worker: the last number that it has told to commit, and how to wake it.
    workers: Vec<(u64, Option<Wake>)>,
    /// Of what is committed at once.
    front: Front,
    /// Handles that are left; the thread ends with the last.
    handles: usize,
    closing: bool,
}

impl core::fmt::Debug for Queue {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Queue").finish_non_exhaustive()
    }
}

/// What there is to do.
#[derive(Debug, Default)]
pub(super) struct Work {
    pub(super) batches: VecDeque<Batch>,
    pub(super) finished: Vec<Done>,
    /// Nothing more will come.
    pub(super) closing: bool,
}

impl Inner {
    /// Wakes workers, by their number and the last number that they have told to commit.
    fn wake(&self, test: impl Fn(usize, u64) -> bool) {
        for (worker, (told, wake)) in self.workers.iter().enumerate() {
            if test(worker, *told)
                && let Some(wake) = wake
            {
                wake();
            }
        }
    }
}

impl Queue {
    /// A queue behind the records up to `latest`.
    pub(super) fn new(latest: u64, at_once: bool) -> Arc<Self> {
        Arc::new(Self {
            inner: Mutex::new(Inner {
                front: Front::starting_at(latest + 1),
                ..Inner::default()
            }),
            arrived: Condvar::new(),
            next: AtomicU64::new(latest + 1),
            committed: AtomicU64::new(latest),
            kept: AtomicU64::new(latest),
            room: AtomicU8::new(0),
            waiting: AtomicUsize::new(0),
            at_once,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Whoever panicked in here left whole batches behind.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A run of so many numbers that nobody else gets.
    pub(super) fn numbers(&self, count: u64) -> (u64, u64) {
        let first = self.next.fetch_add(count, Ordering::Relaxed);
        (first, first + count)
    }

    /// Whether no number was given to anybody behind this run.
    pub(super) fn is_latest(&self, end: u64) -> bool {
        self.next.load(Ordering::Relaxed) == end
    }

    pub(super) fn join(&self) -> usize {
        let mut inner = self.lock();
        inner.workers.push((0, None));
        inner.handles += 1;
        inner.workers.len() - 1
    }

    pub(super) fn leave(&self) {
        let mut inner = self.lock();
        inner.handles -= 1;
        if inner.handles == 0 {
            inner.closing = true;
            self.arrived.notify_one();
        }
    }

    pub(super) fn wake_with(&self, worker: usize, wake: Wake) {
        if let Some((_, place)) = self.lock().workers.get_mut(worker) {
            *place = Some(wake);
        }
    }

    /// Takes a batch of a worker.
    pub(super) fn push(&self, worker: usize, batch: Batch) {
        let mut inner = self.lock();
        let end = batch.numbers.last().map_or(0, |(_, end)| *end);
        if let Some((told, _)) = inner.workers.get_mut(worker) {
            *told = end.saturating_sub(1);
        }
        // What has failed is not to be trusted with anything more.
        if self.at_once && self.room() != Room::Failed {
            for &(first, end) in &batch.numbers {
                inner.front.take(first, end);
            }
            let latest = inner.front.latest();
            let before = self.committed.fetch_max(latest.0, Ordering::AcqRel);
            // Others may have waited for the gap that this batch closes; this worker looks next.
            if latest.0 > before {
                inner.wake(|other, told| other != worker && told > before);
            }
        }
        let bytes = batch.bytes.len();
        let before = self.waiting.fetch_add(bytes, Ordering::Relaxed);
        let notify = inner.batches.is_empty() || (before < PATIENCE && before + bytes >= PATIENCE);
        inner.batches.push_back(batch);
        drop(inner);
        if notify {
            self.arrived.notify_one();
        }
    }

    /// A job has ended.
    pub(super) fn finish(&self, done: Done) {
        self.lock().finished.push(done);
        self.arrived.notify_one();
    }

    /// Waits until there is something, but not longer than `wait`: until there are batches, unless `most` is 0; `patient` waits for
    /// [so many bytes](PATIENCE) of them. That nothing more will come does not end the wait when `most` is 0: then batches are held that have
    /// to wait in any case.
    pub(super) fn wait(&self, most: usize, wait: Option<Duration>, patient: bool) {
        let inner = self.lock();
        let idle = |inner: &mut Inner| {
            let few = patient && self.waiting.load(Ordering::Relaxed) < PATIENCE;
            (most == 0 || inner.batches.is_empty() || few)
                && inner.finished.is_empty()
                && (!inner.closing || (most == 0 && wait.is_some()))
        };
        match wait {
            Some(wait) => {
                let waited = self.arrived.wait_timeout_while(inner, wait, idle);
                drop(waited.unwrap_or_else(PoisonError::into_inner));
            }
            None => drop(
                self.arrived
                    .wait_while(inner, idle)
                    .unwrap_or_else(PoisonError::into_inner),
            ),
        }
    }

    /// Takes what there is: batches up to so many bytes together, at least one; none when `most` is 0.
    pub(super) fn take(&self, most: usize) -> Work {
        let mut inner = self.lock();
        let mut work = Work {
            finished: core::mem::take(&mut inner.finished),
            ..Work::default()
        };
        let mut bytes = 0;
        while most > 0
            && let Some(batch) = inner.batches.front()
            && (bytes == 0 || bytes + batch.bytes.len() <= most)
        {
            bytes += batch.bytes.len();
            work.batches.extend(inner.batches.pop_front());
        }
        self.waiting.fetch_sub(bytes, Ordering::Relaxed);
        work.closing = inner.closing;
        work
    }

    /// Whether so much waits that nothing more is to be taken from clients.
    pub(super) fn is_behind(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) >= ENOUGH
    }

    /// Whether batches wait.
    pub(super) fn has_batches(&self) -> bool {
        !self.lock().batches.is_empty()
    }

    /// Everything up to here is durable: wakes the workers that wait for that.
    pub(super) fn publish(&self, committed: Commit) {
        let before = self.committed.fetch_max(committed.0, Ordering::AcqRel);
        self.lock().wake(|_, told| told > before);
    }

    pub(super) fn publish_kept(&self, kept: Commit) {
        self.kept.store(kept.0, Ordering::Release);
    }

    pub(super) fn set_room(&self, room: Room) {
        let code = match room {
            Room::Enough => 0,
            Room::Full => 1,
            Room::Failed => 2,
        };
        if self.room.swap(code, Ordering::AcqRel) != code {
            // Whoever keeps something back until there is room again looks now.
            self.lock().wake(|_, _| true);
        }
    }

    pub(super) fn room(&self) -> Room {
        match self.room.load(Ordering::Acquire) {
            0 => Room::Enough,
            1 => Room::Full,
            _ => Room::Failed,
        }
    }

    pub(super) fn committed(&self) -> Commit {
        Commit(self.committed.load(Ordering::Acquire))
    }

    pub(super) fn kept(&self) -> Commit {
        Commit(self.kept.load(Ordering::Acquire))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Without durability a batch is committed as it comes, unless another worker has taken numbers before it: when those come, whoever
    /// waits for them is woken.
    #[test]
    fn whoever_closes_a_gap_wakes_those_who_waited_for_it() {
        let queue = Queue::new(0, true);
        let woken = Arc::new(AtomicU64::new(0));
        for worker in 0..2 {
            queue.join();
            let woken = Arc::clone(&woken);
            let wake = move || {
                woken.fetch_add(1 << (8 * worker), Ordering::Relaxed);
            };
            queue.wake_with(worker, Box::new(wake));
        }
        let numbers = [queue.numbers(4), queue.numbers(4)];
        let push = |worker: usize| {
            let batch = Batch {
                bytes: vec![0],
                numbers: vec![numbers[worker]],
            };
            queue.push(worker, batch);
        };
        push(1);
        assert_eq!(queue.committed(), Commit(0), "the first four are missing");
        assert_eq!(woken.load(Ordering::Relaxed), 0);
        push(0);
        assert_eq!(queue.committed(), Commit(8));
        assert_eq!(woken.load(Ordering::Relaxed), 1 << 8, "the other one");
    }

    #[test]
    fn a_gap_holds_back_what_stands_behind_it() {
        let mut front = Front::starting_at(5);
        assert_eq!(front.latest(), Commit(4));
        front.take(9, 12);
        assert_eq!(front.latest(), Commit(4));
        front.take(5, 7);
        assert_eq!(front.latest(), Commit(6));
        front.take(7, 9);
        assert_eq!(front.latest(), Commit(11));
        assert!(front.behind.is_empty());
    }
}
