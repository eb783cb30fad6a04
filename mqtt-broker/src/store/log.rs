//! The log of a store that is open: takes what the workers commit, makes it durable, keeps what a restart would find.
//!
//! ```text
//!   batches of all workers ─▶ one group ─▶ write ─▶ sync ─▶ publish ─▶ image and index ─▶ the workers may let go of messages
//! ```
//!
//! A [`Log`] is turned by one thread. What takes its time beside that — the next segment, a snapshot's sync — is a
//! [job](Log::aside) that somebody else runs meanwhile.

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::Arc;

use mqtt_session::{Commit, Instant};

use super::apply::{Changes, Reader, apply};
use super::files::{File, Files};
use super::forward::Forward;
use super::handle::Handle;
use super::header::{GROUP, GroupKind};
use super::index::Place;
use super::job::Job;
use super::options::{Durability, Options};
use super::queue::{Batch, Front, Queue};
use super::shelf::Shelf;
use super::survey::note_closed;
use super::tail::{Clocks, Next, Tail, Trouble};
use super::trouble::{RETRY, is_full};
use crate::core::{Core, Image, Room, Unreadable};

/// Bytes of batches that become one group, unless one batch alone has more.
const GROUP_BYTES: usize = 4 * 1024 * 1024;
/// Without durability: how long batches gather, unless there are many.
const LAZY: Duration = Duration::from_secs(1);
/// A clock of the day that has gone this much further than ours, or less far, was set.
const JUMP_MS: u64 = 10_000;
/// How long the log lies still at most: a clock that was set is noted then, for a start after a crash.
const LOOK: Duration = Duration::from_secs(60);
/// How often a full disk is tried again before a broker that is to stop does so.
const CLOSING_TRIES: u32 = 6;

/// A store that is open.
#[derive(Debug)]
pub struct Log {
    pub(super) files: Arc<dyn Files>,
    pub(super) options: Options,
    pub(super) shelf: Arc<Shelf>,
    pub(super) queue: Arc<Queue>,
    pub(super) image: Image,
    pub(super) tail: Tail,
    pub(super) changes: Changes,
    pub(super) front: Front,
    /// Taken, but not written yet.
    pub(super) held: VecDeque<Batch>,
    pub(super) jobs: VecDeque<Job>,
    /// Segments that nobody needs any more.
    pub(super) spares: BTreeMap<u32, Arc<dyn File>>,
    /// The latest snapshot: the group behind it, and the segment of that.
    pub(super) snapshot: (u64, u32),
    /// How long it is.
    pub(super) snapshot_len: u64,
    /// The one that is being made durable.
    pub(super) naming: Option<(u64, u32, u64)>,
    /// When it was last tried in vain to write one.
    pub(super) unwritten: Option<u64>,
    /// Bytes of groups since then.
    pub(super) since_snapshot: u64,
    /// What is copied from old segments.
    pub(super) forward: Forward,
    pub(super) clocks: Clocks,
    /// How far the time of day was ahead of the store's clock.
    pub(super) ahead: i128,
    /// It was set, and no group says so yet.
    pub(super) is_set: bool,
    /// The last try to get another segment failed for want of room.
    pub(super) is_short: bool,
    /// Nothing new is taken.
    pub(super) full: bool,
    /// When the disk was full for the last time.
    pub(super) tried: Option<u64>,
    pub(super) failed: Option<String>,
    pub(super) closed: bool,
    pub(super) closing_tries: u32,
}

/// What became of a group of messages that were to stand elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moved {
    Done,
    /// It needs a segment of so many bytes.
    NoSegment(u64),
    /// The disk is full.
    Full,
}

/// Where a store that was opened stands.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) image: Image,
    pub(super) shelf: Shelf,
    pub(super) tail: Tail,
    pub(super) snapshot: (u64, u32),
    pub(super) snapshot_len: u64,
    pub(super) since_snapshot: u64,
    pub(super) clocks: Clocks,
}

impl Log {
    pub(super) fn start(files: Arc<dyn Files>, options: &Options, opened: Opened) -> Self {
        let latest = opened.image.latest().0;
        let queue = Queue::new(latest, options.durability == Durability::None);
        let mut log = Self {
            files,
            options: options.clone(),
            shelf: Arc::new(opened.shelf),
            queue,
            image: opened.image,
            tail: opened.tail,
            changes: Changes::default(),
            front: Front::starting_at(latest + 1),
            held: VecDeque::new(),
            jobs: VecDeque::new(),
            spares: BTreeMap::new(),
            snapshot: opened.snapshot,
            snapshot_len: opened.snapshot_len,
            naming: None,
            unwritten: None,
            since_snapshot: opened.since_snapshot,
            forward: Forward::default(),
            clocks: opened.clocks,
            ahead: i128::from(opened.clocks.wall) - i128::from(opened.clocks.store),
            is_set: false,
            is_short: false,
            full: false,
            tried: None,
            failed: None,
            closed: false,
            closing_tries: 0,
        };
        if let Next::Ready(header, file) = &log.tail.next {
            let file = Arc::clone(file);
            log.shelf.lock().segments.insert(header.id, file);
        }
        log.free();
        log.prepare(0);
        log
    }

    /// A worker's hold on the store. To be asked for before the first [turn](Self::turn), once for each worker.
    #[must_use]
    pub fn handle(&self) -> Handle {
        Handle::new(Arc::clone(&self.queue), Arc::clone(&self.shelf))
    }

    /// The number of the latest record that is there.
    #[must_use]
    pub fn latest(&self) -> Commit {
        self.image.latest()
    }

    /// Where the store's clock stands: the broker's has to go on from here, so that instants mean the same to both.
    #[must_use]
    pub const fn now(&self) -> Instant {
        Instant::from_millis(self.clocks.store)
    }

    /// How far everything is durable.
    #[must_use]
    pub fn committed(&self) -> Commit {
        self.queue.committed()
    }

    /// Why nothing becomes durable any more, if that is so.
    #[must_use]
    pub fn failed(&self) -> Option<&str> {
        self.failed.as_deref()
    }

    /// Whether the store takes more.
    #[must_use]
    pub fn room(&self) -> Room {
        self.queue.room()
    }

    /// Puts everything back that was kept, as [`Image::start`] does; to be called once, before the first [turn](Self::turn), with
    /// cores that have this log's [handles](Self::handle). Gives back which messages could not be read.
    ///
    /// # Panics
    /// When there are not as many cores as workers.
    pub fn restore(&self, cores: &mut [Core]) -> Vec<Unreadable> {
        let mut bodies = self.shelf.bodies();
        self.image.start(cores, &mut bodies, self.now(), self.now())
    }

    /// Does what there is to do: `now` is the store's clock, `wall` the time of day in milliseconds of the Unix epoch. Says after how long it
    /// has to be turned again although nothing has come; `None` is never.
    pub fn turn(&mut self, now: Instant, wall: u64) -> Option<Duration> {
        let mut work = self.queue.take(self.most());
        for done in work.finished.drain(..) {
            self.finished(done);
        }
        self.tell_time(now, wall);
        self.held.append(&mut work.batches);
        if self.failed.is_none() {
            self.write();
            self.note_time();
        }
        // A failure ends everything: what the system says after it is not to be believed.
        if self.failed.is_none() {
            self.tidy();
        }
        if work.closing {
            self.close();
        }
        self.next_turn()
    }

    /// Waits until there is something to do, but not longer than `wait`.
    pub(super) fn wait(&self, wait: Option<Duration>) {
        self.queue.wait(self.most(), wait, self.is_lazy());
    }

    /// How many bytes of batches to take: none as long as others are held, which go first.
    fn most(&self) -> usize {
        if self.held.is_empty() { GROUP_BYTES } else { 0 }
    }

    /// Whether batches gather although nobody holds them up.
    fn is_lazy(&self) -> bool {
        self.options.durability == Durability::None && self.failed.is_none()
    }

    fn next_turn(&self) -> Option<Duration> {
        if self.failed.is_some() {
            return None;
        }
        if self.forward.is_busy() {
            return Some(Duration::ZERO);
        }
        if self.full || self.is_short || !self.held.is_empty() {
            return Some(RETRY);
        }
        Some(if self.is_lazy() { LAZY } else { LOOK })
    }

    /// Whether the last handle is gone and everything is written.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        self.closed
    }

    /// Something to do beside: run it and tell the queue how it ended. `None` when there is nothing.
    pub(super) fn job(&mut self) -> Option<Job> {
        self.jobs.pop_front()
    }

    /// Runs one job, if there is one: for those who turn the log by hand.
    pub fn aside(&mut self) -> bool {
        let Some(job) = self.job() else { return false };
        let done = job.run(&*self.files);
        self.queue.finish(done);
        true
    }

    fn tell_time(&mut self, now: Instant, wall: u64) {
        let ahead = i128::from(wall) - i128::from(now.as_millis());
        if ahead.abs_diff(self.ahead) > u128::from(JUMP_MS) {
            let seconds = (ahead - self.ahead) / 1000;
            tracing::info!(
                seconds = seconds as i64,
                "the clock of this machine was set, or the machine slept: nothing expires earlier or later because of that"
            );
            self.is_set = true;
        }
        self.ahead = ahead;
        self.clocks = Clocks {
            store: now.as_millis(),
            wall,
        };
    }

    /// After a crash the time of day has to be compared with one of the same clock: an empty group notes it, if no other has come.
    fn note_time(&mut self) {
        if !self.is_set || self.failed.is_some() || !self.held.is_empty() {
            return;
        }
        match self.append_moved(&[]) {
            Ok(noted) => self.is_set = noted != Moved::Done,
            Err(error) => self.fail("a write failed", &error),
        }
    }

    /// Writes what is held, as one group.
    fn write(&mut self) {
        if self.held.is_empty() {
            return;
        }
        if cfg!(mutation = "committed-before-write") {
            for (first, end) in self.held.iter().flat_map(|batch| &batch.numbers) {
                self.front.take(*first, *end);
            }
            self.queue.publish(self.front.latest());
        }
        let held = &self.held;
        let appended = self.tail.append(GroupKind::Data, self.clocks, |bytes| {
            for batch in held {
                bytes.extend_from_slice(&batch.bytes);
            }
        });
        let place = match appended {
            Ok(place) => place,
            Err(trouble) => return self.trouble(trouble),
        };
        if self.options.durability == Durability::Fsync
            && let Err(error) = self.tail.sync()
        {
            return self.fail("a sync failed", &error);
        }
        if self.full && !self.is_short {
            self.set_enough();
        }
        self.is_set = false;
        for batch in self.held.drain(..) {
            for (first, end) in batch.numbers {
                self.front.take(first, end);
            }
        }
        let committed = self.front.latest();
        self.queue.publish(committed);
        if let Err(error) = self.take_group(place) {
            // What was recorded contradicts itself. It is on disk as it is; a start will say so.
            return self.fail("records contradict each other", &error);
        }
        self.image.settle(committed.0);
        self.queue.publish_kept(committed);
        if !self.queue.has_batches() {
            // Best effort: it spares a question after a crash, and promises nothing.
            let _ = self.tail.mark(self.clocks);
        }
    }

    /// A group that nobody committed: messages that stand elsewhere now.
    pub(super) fn append_moved(&mut self, bytes: &[u8]) -> io::Result<Moved> {
        let appended = self.tail.append(GroupKind::Data, self.clocks, |group| {
            group.extend_from_slice(bytes);
        });
        let place = match appended {
            Ok(place) => place,
            Err(Trouble::NoSegment(len)) => return Ok(Moved::NoSegment(len)),
            Err(Trouble::Io(error)) if is_full(&error) => return Ok(Moved::Full),
            Err(Trouble::Io(error)) => return Err(error),
        };
        if self.options.durability == Durability::Fsync {
            self.tail.sync()?;
        }
        self.take_group(place)?;
        Ok(Moved::Done)
    }

    /// Takes what the group says that was just written.
    fn take_group(&mut self, place: Place) -> io::Result<()> {
        let group = &self.tail.buffer;
        self.since_snapshot += group.len() as u64;
        let payload = group.get(GROUP..).unwrap_or_default();
        let (image, changes) = (&mut self.image, &mut self.changes);
        apply(payload, place, Reader::Writer, image, &self.shelf, changes)
            .map_err(|wrong| io::Error::other(format!("at {place:?}+{}: {}", wrong.at, wrong.what)))
    }

    /// The broker stops in good order.
    fn close(&mut self) {
        if self.closed {
            return;
        }
        let waits = !self.held.is_empty() || self.queue.has_batches();
        if waits && self.failed.is_none() {
            // It may only be slow: a segment is being made.
            if !self.is_short && !self.full {
                return;
            }
            self.closing_tries += 1;
            if self.closing_tries < CLOSING_TRIES {
                return;
            }
        }
        self.closed = true;
        if self.failed.is_some() {
            return;
        }
        if waits {
            let told = match self.options.durability {
                Durability::None => "what came last is lost",
                _ => "what nobody was told of yet is lost",
            };
            tracing::warn!("the store is closed without room for everything: {told}");
            return;
        }
        if self
            .tail
            .append(GroupKind::Closed, self.clocks, |_| {})
            .is_err()
        {
            // There is no room for it. What was promised is there without.
            return;
        }
        let synced = self.tail.sync();
        if let Err(error) = synced.and_then(|()| note_closed(&*self.files, self.tail.seq - 1)) {
            self.fail("a sync failed", &error);
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        // Nobody turns it any more: nothing becomes durable.
        self.queue.set_room(Room::Failed);
    }
}
