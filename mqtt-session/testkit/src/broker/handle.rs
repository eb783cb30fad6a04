//! The stores of the workers: handles on the [ledger](Ledger), each with one that lasts behind it, if there is one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mqtt_broker::core::{Message, Record, Room, Store, Unreadable};
use mqtt_session::Commit;

use super::ledger::Ledger;

/// A handle on the ledger.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledgers(Arc<Mutex<Ledger>>);

impl Ledgers {
    pub(super) fn new(late: bool) -> Self {
        Self(Arc::new(Mutex::new(Ledger::new(late))))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Ledger> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The store of one worker; with one that lasts behind it.
    pub(super) fn store(&self, worker: u16, lasting: Option<Box<dyn Store>>) -> Box<dyn Store> {
        Box::new(Handle {
            ledger: self.clone(),
            worker: usize::from(worker),
            latest: 0,
            lasting,
        })
    }
}

struct Handle {
    ledger: Ledgers,
    worker: usize,
    latest: u64,
    lasting: Option<Box<dyn Store>>,
}

impl Store for Handle {
    fn record(&mut self, record: &Record<'_>) -> Commit {
        let room = self.room() == Room::Enough;
        let lasting = self.lasting.as_mut();
        let number = lasting.map(|store| store.record(record).0);
        let mut ledger = self.ledger.lock();
        self.latest = ledger.take(self.worker, record, number, room);
        drop(ledger);
        Commit(self.latest)
    }

    fn latest(&self) -> Commit {
        let lasting = self.lasting.as_ref();
        lasting.map_or(Commit(self.latest), |store| store.latest())
    }

    fn commit(&mut self) {
        if let Some(store) = &mut self.lasting {
            store.commit();
        }
        self.ledger.lock().seal(self.worker);
    }

    fn committed(&self) -> Commit {
        let lasting = self.lasting.as_ref();
        lasting.map_or_else(
            || Commit(self.ledger.lock().committed()),
            |store| store.committed(),
        )
    }

    fn body(&self) -> Commit {
        if let Some(store) = &self.lasting {
            return store.body();
        }
        Commit(self.ledger.lock().body(self.latest))
    }

    fn kept(&self) -> Commit {
        let lasting = self.lasting.as_ref();
        lasting.map_or_else(|| self.committed(), |store| store.kept())
    }

    fn fetch(&mut self, body: Commit) -> Result<Arc<Message>, Unreadable> {
        let remembered = self.ledger.lock().fetch(body.0);
        assert!(body <= self.committed(), "{body:?} was never written");
        match &mut self.lasting {
            // Nothing is damaged here.
            Some(store) => {
                let read = store.fetch(body);
                Ok(read.unwrap_or_else(|unreadable| panic!("{unreadable}")))
            }
            None => remembered.ok_or_else(|| Unreadable {
                body,
                why: "no record brought it".into(),
            }),
        }
    }

    fn room(&self) -> Room {
        let lasting = self.lasting.as_ref();
        lasting.map_or(Room::Enough, |store| store.room())
    }
}
