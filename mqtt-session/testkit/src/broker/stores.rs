//! Stores of brokers that start only to be looked at.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mqtt_broker::core::{Message, Record, Room, Store, Unreadable};
use mqtt_session::Commit;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A store that keeps nothing, and answers as late as one that does: a broker that has it keeps the same time.
#[derive(Clone, Debug, Default)]
pub(super) struct Late(Arc<Mutex<Recorded>>);

#[derive(Debug, Default)]
struct Recorded {
    latest: u64,
    committed: u64,
    /// The first record of each worker since its last commit.
    open: [Option<u64>; 3],
    /// What was committed is durable at once.
    at_once: bool,
}

impl Recorded {
    fn sync(&mut self) -> bool {
        let open = self.open.iter().flatten().min();
        let committed = open.map_or(self.latest, |first| first - 1);
        core::mem::replace(&mut self.committed, committed) < committed
    }
}

impl Late {
    /// One that is late, or one that is not.
    pub(super) fn new(at_once: bool) -> Self {
        let recorded = Recorded {
            at_once,
            ..Recorded::default()
        };
        Self(Arc::new(Mutex::new(recorded)))
    }

    /// Takes for durable what was committed; says whether that was anything.
    pub(super) fn sync(&self) -> bool {
        lock(&self.0).sync()
    }

    /// The store of a worker.
    pub(super) fn store(&self, worker: u16) -> Box<dyn Store> {
        Box::new(LateHandle {
            late: self.clone(),
            worker: usize::from(worker),
            latest: 0,
        })
    }
}

struct LateHandle {
    late: Late,
    worker: usize,
    latest: u64,
}

impl Store for LateHandle {
    fn record(&mut self, _record: &Record<'_>) -> Commit {
        let mut recorded = lock(&self.late.0);
        recorded.latest += 1;
        self.latest = recorded.latest;
        recorded.open[self.worker].get_or_insert(self.latest);
        Commit(self.latest)
    }

    fn latest(&self) -> Commit {
        Commit(self.latest)
    }

    fn commit(&mut self) {
        let mut recorded = lock(&self.late.0);
        recorded.open[self.worker] = None;
        if recorded.at_once {
            recorded.sync();
        }
    }

    fn committed(&self) -> Commit {
        Commit(lock(&self.late.0).committed)
    }
}

/// What brokers record, in words: without what hangs on numbers that a store gives.
#[derive(Clone, Debug, Default)]
pub(super) struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    /// The same store, with notes of what it is told.
    pub(super) fn of(&self, store: Box<dyn Store>) -> Box<dyn Store> {
        Box::new(Noted {
            notes: self.clone(),
            store,
        })
    }

    /// The notes so far.
    pub(super) fn take(&self) -> Vec<String> {
        core::mem::take(&mut lock(&self.0))
    }
}

struct Noted {
    notes: Notes,
    store: Box<dyn Store>,
}

fn note(record: &Record<'_>) -> String {
    match record {
        Record::Session { client_id, .. } => format!("session of {client_id}"),
        Record::Renamed { client_id, .. } => format!("renamed {client_id}"),
        Record::Group { filter, .. } => format!("group {filter}"),
        Record::Ended(who) => format!("ended {who:?}"),
        Record::Disconnected { session, .. } => format!("disconnected {session:?}"),
        Record::Will { session, .. } => format!("will of {session:?}"),
        Record::WillGone(session) => format!("will gone of {session:?}"),
        Record::RetainedSent { filter, .. } => format!("retained sent of {filter}"),
        Record::Queued {
            receiver, message, ..
        } => format!("queued for {receiver:?}: {}", message.topic()),
        Record::Done { receiver, .. } => format!("done by {receiver:?}"),
        Record::Retained(message) => format!("retained {}", message.topic()),
        Record::Restarted => "restarted".to_owned(),
        other => format!("{other:?}"),
    }
}

impl Store for Noted {
    fn record(&mut self, record: &Record<'_>) -> Commit {
        lock(&self.notes.0).push(note(record));
        self.store.record(record)
    }

    fn latest(&self) -> Commit {
        self.store.latest()
    }

    fn commit(&mut self) {
        self.store.commit();
    }

    fn committed(&self) -> Commit {
        self.store.committed()
    }

    fn body(&self) -> Commit {
        self.store.body()
    }

    fn kept(&self) -> Commit {
        self.store.kept()
    }

    fn fetch(&mut self, body: Commit) -> Result<Arc<Message>, Unreadable> {
        self.store.fetch(body)
    }

    fn room(&self) -> Room {
        self.store.room()
    }
}
