//! What goes wrong on a simulated disk without a crash: calls that fail, writes that are short, room that ends.

use std::io;

use crate::rng::Rng;

/// What is asked of a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// Which names there are.
    List,
    /// A file to be opened.
    Open,
    /// A file to be made.
    Create,
    /// Another name for a file.
    Rename,
    /// A file to be removed.
    Remove,
    /// Names to be made durable.
    SyncNames,
    /// Bytes of a file.
    Read,
    /// Bytes into a file.
    Write,
    /// Bytes to be made durable.
    Sync,
}

impl Call {
    /// Whether it changes what a crash leaves.
    pub(super) const fn changes(self) -> bool {
        !matches!(self, Self::List | Self::Open | Self::Read)
    }
}

/// Calls that will fail.
#[derive(Clone, Copy, Debug)]
struct Planned {
    call: Call,
    /// So many go well before.
    after: u64,
    /// So many fail then.
    times: u64,
    kind: io::ErrorKind,
}

/// What goes wrong.
#[derive(Clone, Debug, Default)]
pub(super) struct Faults {
    planned: Vec<Planned>,
    /// One in so many writes takes only a part; 0 is none.
    pub(super) short_writes: usize,
    /// How many bytes all files together may have.
    pub(super) capacity: Option<u64>,
}

impl Faults {
    pub(super) fn plan(&mut self, call: Call, after: u64, times: u64, kind: io::ErrorKind) {
        self.planned.push(Planned {
            call,
            after,
            times,
            kind,
        });
    }

    /// Those that do not end with the process: how much there is room for.
    pub(super) fn of_the_disk(&self) -> Self {
        Self {
            capacity: self.capacity,
            ..Self::default()
        }
    }

    pub(super) fn clear(&mut self) {
        self.planned.clear();
    }

    /// Counts a call; gives the error with which it fails.
    pub(super) fn strike(&mut self, call: Call) -> Option<io::Error> {
        let mut failure = None;
        for planned in self.planned.iter_mut().filter(|it| it.call == call) {
            match planned.after.checked_sub(1) {
                Some(left) => planned.after = left,
                None if planned.times > 0 => {
                    planned.times -= 1;
                    let text = format!("simulated failure of {call:?}");
                    failure = Some(io::Error::new(planned.kind, text));
                }
                None => {}
            }
        }
        self.planned.retain(|planned| planned.times > 0);
        failure
    }

    /// How many of so many bytes a write takes that nothing else stops.
    pub(super) fn taken(&self, len: usize, rng: &mut Rng) -> usize {
        if len > 1 && self.short_writes > 0 && rng.one_in(self.short_writes) {
            return 1 + rng.below(len - 1);
        }
        len
    }
}

/// There is no room.
pub(super) fn full() -> io::Error {
    io::Error::new(io::ErrorKind::StorageFull, "simulated disk is full")
}
