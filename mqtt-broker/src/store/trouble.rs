//! What goes wrong: room that is missing for a while, and failures that stay.

use core::time::Duration;
use std::io;

use super::log::Log;
use super::tail::{Next, Trouble};
use crate::core::Room;

/// How long to wait before a full disk is tried again.
pub(super) const RETRY: Duration = Duration::from_millis(500);

impl Log {
    pub(super) fn trouble(&mut self, trouble: Trouble) {
        match trouble {
            Trouble::NoSegment(len) => {
                if !self.may_try() {
                    // What came is held until there is a segment for it.
                    self.set_full("there is no room for another segment");
                } else if matches!(&self.tail.next, Next::Ready(header, _) if header.len < len) {
                    self.jobs.extend(self.tail.prepare_larger(len));
                } else {
                    self.prepare(len);
                }
            }
            Trouble::Io(error) if is_full(&error) => {
                self.tried = Some(self.clocks.store);
                if cfg!(mutation = "full-forgets") {
                    for (first, end) in self.held.drain(..).flat_map(|batch| batch.numbers) {
                        self.front.take(first, end);
                    }
                }
                self.set_full("the disk is full");
            }
            Trouble::Io(error) => self.fail("a write failed", &error),
        }
    }

    pub(super) fn fail(&mut self, what: &str, error: &io::Error) {
        tracing::error!(
            %error,
            "the store: {what}; nothing is acknowledged any more that has to be kept. Look after the disk, then start the broker again"
        );
        self.failed = Some(format!("{what}: {error}"));
        self.held.clear();
        self.jobs.clear();
        self.queue.set_room(Room::Failed);
    }

    pub(super) fn set_full(&mut self, why: &str) {
        if self.failed.is_some() {
            return;
        }
        if !self.full {
            self.full = true;
            tracing::warn!(
                "the store takes nothing more for now: {why}; what would have to be kept is refused until that has changed"
            );
        }
        self.queue.set_room(Room::Full);
    }

    pub(super) fn set_enough(&mut self) {
        if self.failed.is_some() {
            return;
        }
        if cfg!(mutation = "full-for-good") && self.full {
            return;
        }
        self.full = false;
        self.queue.set_room(Room::Enough);
    }

    /// Whether it is time to try again what failed for want of room, if something did.
    pub(super) fn may_try(&self) -> bool {
        self.tried
            .is_none_or(|tried| self.clocks.store >= tried + RETRY.as_millis() as u64)
    }
}

/// Whether an error says that there is no room.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}
