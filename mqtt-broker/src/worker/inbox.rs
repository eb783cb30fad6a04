//! What other threads tell a worker: one queue, one wake-up when it was empty.

use core::mem;
use core::sync::atomic::{AtomicUsize, Ordering};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::channel::oneshot;
use mio::{Registry, Token, Waker};

use super::transport::Wire;
use crate::auth::Finding;
use crate::core::{Batch, ConnectRequest, Decision, Message, QuestionId};
use crate::local::LocalError;

/// Bytes of messages in one inbox from which on the other workers read no more of their clients.
const ENOUGH: usize = 16 * 1024 * 1024;

/// Tells a publisher inside this process what became of its message.
pub(crate) type Published = oneshot::Sender<Result<(), LocalError>>;

/// Something for a worker.
pub(crate) enum Item {
    /// From another worker's core.
    Batch(Batch),
    /// From this process; its publisher is told once the message is routed and what it promises is durable.
    Publish(Arc<Message>, Published),
    /// A connection whose session lives here, with what was read of it: at least its CONNECT.
    Arrival(Arrival),
    /// The answer of a hook to a CONNECT.
    MayConnect(QuestionId, Decision),
    /// What is known about the password of a CONNECT.
    Checked(QuestionId, Box<ConnectRequest>, Finding),
    /// The answer of a hook to a SUBSCRIBE, filter by filter.
    MaySubscribe(QuestionId, Vec<Decision>),
    /// Say goodbye to every client, then end.
    Stop,
}

/// A connection on its way to its worker.
pub(crate) struct Arrival {
    pub(super) wire: Wire,
    pub(super) bytes: Vec<u8>,
}

/// The queue of one worker.
#[derive(Debug)]
pub(crate) struct Inbox {
    /// None: the worker has ended.
    items: Mutex<Option<Vec<Item>>>,
    /// Bytes of the batches in it.
    bytes: AtomicUsize,
    waker: Waker,
}

impl core::fmt::Debug for Item {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Batch(_) => "Batch",
            Self::Publish(..) => "Publish",
            Self::Arrival(_) => "Arrival",
            Self::MayConnect(..) => "MayConnect",
            Self::Checked(..) => "Checked",
            Self::MaySubscribe(..) => "MaySubscribe",
            Self::Stop => "Stop",
        })
    }
}

impl Inbox {
    pub(super) fn new(registry: &Registry, token: Token) -> io::Result<Self> {
        Ok(Self {
            items: Mutex::new(Some(Vec::new())),
            bytes: AtomicUsize::new(0),
            waker: Waker::new(registry, token)?,
        })
    }

    /// Puts `item` at the end, and wakes the worker if nothing was waiting; drops it when the worker has ended.
    pub(crate) fn send(&self, item: Item) {
        let mut queue = self.lock();
        let Some(items) = &mut *queue else {
            return;
        };
        let first = items.is_empty();
        if let Item::Batch(batch) = &item {
            self.bytes.fetch_add(batch.bytes(), Ordering::Relaxed);
        }
        items.push(item);
        drop(queue);
        if first {
            self.wake();
        }
    }

    /// Wakes the worker: there is something to look at that does not come through here.
    pub(crate) fn wake(&self) {
        if let Err(error) = self.waker.wake() {
            tracing::error!(%error, "a worker cannot be woken");
        }
    }

    /// Takes everything, in order; `empty` becomes the next queue.
    pub(super) fn take(&self, empty: &mut Vec<Item>) {
        if let Some(items) = &mut *self.lock() {
            mem::swap(items, empty);
            self.bytes.store(0, Ordering::Relaxed);
        }
    }

    /// Whether its worker is so far behind that others should rather not make more work for it.
    pub(super) fn is_full(&self) -> bool {
        self.bytes.load(Ordering::Relaxed) >= ENOUGH
    }

    /// Drops what is there and what will come: whoever waits for an answer learns that there is none.
    pub(crate) fn close(&self) {
        let items = self.lock().take();
        self.bytes.store(0, Ordering::Relaxed);
        drop(items);
    }

    /// A sender that panicked between two lines here has left a whole queue behind.
    fn lock(&self) -> MutexGuard<'_, Option<Vec<Item>>> {
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
