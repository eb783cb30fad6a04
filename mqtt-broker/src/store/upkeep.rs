//! What a log needs beside its groups: the next segment, snapshots, room.

use core::time::Duration;
use std::io;
use std::sync::Arc;

use super::error::StoreError;
use super::forward;
use super::job::{Done, Job};
use super::log::Log;
use super::names;
use super::options::Durability;
use super::snapshot::{self, Position};
use super::tail::Next;

/// How long to wait before a snapshot is tried again that could not be written.
const SNAPSHOT_RETRY: Duration = Duration::from_secs(5);
/// Segments that are kept for later use.
const SPARES: usize = 1;

impl Log {
    /// Asks for the next segment, if there is none: of these many bytes at least.
    pub(super) fn prepare(&mut self, needed: u64) {
        let usual = self.options.segment_bytes;
        let len = needed.max(usual);
        if !matches!(self.tail.next, Next::Missing) {
            return;
        }
        let spare = if len == usual {
            self.spares.pop_first()
        } else {
            None
        };
        let from = spare.map(|(id, file)| (names::segment(id), file));
        if from.is_some() && self.options.durability != Durability::Fsync {
            // What made it superfluous must not be lost with the power, once its place is taken.
            if let Err(error) = self.tail.sync() {
                return self.fail("a sync failed", &error);
            }
        }
        self.jobs.extend(self.tail.prepare(len, from));
    }

    pub(super) fn finished(&mut self, done: Done) {
        if self.failed.is_some() {
            return;
        }
        match done {
            Done::Prepared(Ok((header, file))) => {
                let shared = Arc::clone(&file);
                self.shelf.lock().segments.insert(header.id, shared);
                self.tail.next = Next::Ready(header, file);
                self.tail.asked_larger = false;
                self.set_enough();
            }
            Done::Prepared(Err(error)) => {
                if !core::mem::take(&mut self.tail.asked_larger) {
                    self.tail.next = Next::Missing;
                }
                // It has promised nothing, so it is tried again, whatever was missing: room, or a file descriptor. There is room in the
                // segment that is written to: the alarm is early enough for what is under way.
                if !self.is_short {
                    tracing::warn!(%error, "no further segment can be made; it is tried again and again");
                }
                self.tried = Some(self.clocks.store);
                self.is_short = true;
            }
            Done::Synced(Ok(())) | Done::Removed => {}
            Done::Synced(Err(error)) => self.fail("a sync failed", &error),
            Done::Named(named) => self.named(named),
        }
    }

    /// After each turn: what the log has left behind, and what it will need.
    pub(super) fn tidy(&mut self) {
        for segment in self.tail.left.drain(..) {
            if self.options.durability == Durability::Fsync {
                self.jobs.push_back(Job::Sync(Arc::clone(&segment.file)));
            }
        }
        let retry = self.may_try();
        if matches!(self.tail.next, Next::Ready(..)) {
            // A larger one may still be missing: then what needs it is held.
            if self.held.is_empty() {
                (self.is_short, self.tried) = (false, None);
            }
        } else if retry {
            self.prepare(0);
        }
        if self.is_short && self.tail.left_over() < self.options.segment_bytes / 2 {
            self.set_full("there is no room for another segment");
        }
        let grown = self.since_snapshot >= self.options.segment_bytes.max(2 * self.snapshot_len);
        let frees = self.is_short && retry && self.would_free();
        let due = self
            .unwritten
            .is_none_or(|tried| self.clocks.store >= tried + SNAPSHOT_RETRY.as_millis() as u64);
        if (grown || frees) && due {
            self.snapshot();
        }
        if let Err(error) = forward::step(self) {
            self.fail("messages cannot be copied forward", &error);
        }
        let emptied = self.shelf.lock().index.has_emptied();
        if emptied {
            self.free();
        }
    }

    /// Whether a snapshot would help a full disk: segments are needed for nothing but the replay, or for so little beside that it can be
    /// copied forward.
    fn would_free(&self) -> bool {
        let inner = self.shelf.lock();
        let mut later = self.tail.sealed.range(self.snapshot.1..);
        later.any(|(id, len)| forward::is_worth_it(self, inner.index.live(*id), *len))
    }

    /// Writes a snapshot of what is there now.
    pub(super) fn snapshot(&mut self) {
        if self.naming.is_some() || self.failed.is_some() {
            return;
        }
        let position = Position {
            seq: self.tail.seq,
            segment: self.tail.active.id,
            offset: self.tail.active.at as u32,
            clock: self.clocks.store,
            wall: self.clocks.wall,
        };
        if self.options.durability != Durability::Fsync
            && let Err(error) = self.tail.sync()
        {
            // The messages that it names stand in groups of before.
            return self.fail("a sync failed", &error);
        }
        let name = names::unfinished(&names::snapshot(position.seq));
        let written = self.files.create(&name).and_then(|file| {
            let (store, image) = (self.tail.store, &self.image);
            let len = snapshot::write(&*file, store, position, image, &self.shelf);
            len.map(|len| (file, len))
        });
        match written {
            Ok((file, len)) => {
                self.naming = Some((position.seq, position.segment, len));
                self.since_snapshot = 0;
                self.unwritten = None;
                self.jobs.push_back(Job::Name {
                    file,
                    seq: position.seq,
                });
            }
            Err(error) => {
                // The log goes on without: only a start takes longer.
                tracing::warn!(%error, "no snapshot was written");
                self.unwritten = Some(self.clocks.store);
                // At once: the next try may have the same name.
                let _ = self.files.remove(&name);
            }
        }
    }

    pub(super) fn named(&mut self, named: io::Result<u64>) {
        let Some((seq, segment, len)) = self.naming.take() else {
            return;
        };
        match named {
            Ok(_) => {
                let (before, _) = core::mem::replace(&mut self.snapshot, (seq, segment));
                self.snapshot_len = len;
                // After a repair it may be the same again, written anew.
                if before != 0 && before != seq {
                    self.jobs
                        .push_back(Job::Remove(vec![names::snapshot(before)]));
                }
                self.free();
            }
            Err(error) => tracing::warn!(%error, "no snapshot was made"),
        }
    }

    /// Segments before the snapshot without a message in use become spares, or go.
    pub(super) fn free(&mut self) {
        let mut inner = self.shelf.lock();
        let first = self.snapshot.1;
        let dead = |id: &u32| *id < first && inner.index.live(*id) == 0;
        let dead: Vec<u32> = self.tail.sealed.keys().copied().filter(dead).collect();
        let mut gone = Vec::new();
        for id in dead {
            let len = self.tail.sealed.remove(&id).unwrap_or(0);
            let file = inner.segments.remove(&id);
            // What could not be read may not be writable either.
            let sound = !self.forward.forget(id);
            let usual = len == self.options.segment_bytes;
            let wanted = self.spares.len() < SPARES && usual && sound;
            match file {
                Some(file) if wanted => {
                    self.spares.insert(id, file);
                }
                _ => gone.push(names::segment(id)),
            }
        }
        drop(inner);
        if !gone.is_empty() {
            if self.options.durability != Durability::Fsync
                && let Err(error) = self.tail.sync()
            {
                return self.fail("a sync failed", &error);
            }
            self.jobs.push_back(Job::Remove(gone));
        }
    }

    /// After a repair: a snapshot of what was restored, durable before anything else happens, so that nobody reads again what is damaged.
    pub(super) fn settle_repair(&mut self) -> Result<(), StoreError> {
        self.snapshot();
        if self.naming.is_none() {
            return Err(StoreError::Io {
                what: "the repaired store cannot be written".into(),
                source: io::Error::other("no snapshot was written; the log says why"),
            });
        }
        while let Some(job) = self.job() {
            let done = job.run(&*self.files);
            if let Done::Named(Err(source)) = done {
                return Err(StoreError::Io {
                    what: "the repaired store cannot be written".into(),
                    source,
                });
            }
            self.finished(done);
        }
        Ok(())
    }
}
