//! A disk that runs full while the broker is at work, and has room again.

use std::io;

use super::durable::Durable;
use crate::disk::Call;

impl Durable {
    /// Whether the disk has no room.
    pub(super) fn is_full(&self) -> bool {
        self.takes_no_write || self.disk.capacity().is_some()
    }

    /// The disk runs full: at once, or soon.
    pub(super) fn fill(&mut self) {
        if self.rng.one_in(3) {
            self.takes_no_write = true;
        } else {
            let more = self.rng.below(2 * self.how.segment as usize) as u64;
            self.disk.limit(Some(self.disk.used() + more));
        }
    }

    /// The disk has room again.
    pub(super) fn make_room(&mut self) {
        self.takes_no_write = false;
        self.disk.limit(None);
    }

    /// To be called before each turn: what was planned ends with it.
    pub(super) fn plan_refusals(&self) {
        if self.takes_no_write {
            let full = io::ErrorKind::StorageFull;
            self.disk.fail(Call::Write, 0, u64::MAX, full);
        }
    }
}
