//! A bounded queue with one reader, which it can wake: behind every stream that the library gives out.

use core::task::{Context, Poll, Waker};
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks a mutex; a panic of another holder leaves nothing half done in any of ours.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Items on their way to a stream.
#[derive(Debug)]
pub(crate) struct Queue<T>(Mutex<Inner<T>>);

#[derive(Debug)]
struct Inner<T> {
    items: VecDeque<T>,
    waker: Option<Waker>,
    missed: u64,
    closed: bool,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self(Mutex::new(Inner {
            items: VecDeque::new(),
            waker: None,
            missed: 0,
            closed: false,
        }))
    }
}

impl<T> Queue<T> {
    /// Appends an item. When `capacity` items wait already the oldest goes; says whether one did.
    pub(crate) fn push(&self, item: T, capacity: usize) -> bool {
        let (dropped, waker) = {
            let mut inner = locked(&self.0);
            if inner.closed {
                return false;
            }
            let dropped = if inner.items.len() >= capacity.max(1) {
                inner.missed += 1;
                inner.items.pop_front()
            } else {
                None
            };
            inner.items.push_back(item);
            (dropped, inner.waker.take())
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        // An item may do something when it is dropped, so that happens outside the lock.
        dropped.is_some()
    }

    /// Counts an item that was not even put in.
    pub(crate) fn miss(&self) {
        locked(&self.0).missed += 1;
    }

    pub(crate) fn len(&self) -> usize {
        locked(&self.0).items.len()
    }

    /// How many items were lost because the reader was too slow.
    pub(crate) fn missed(&self) -> u64 {
        locked(&self.0).missed
    }

    /// Nothing more will come: the reader gets what there is, then the end.
    pub(crate) fn close(&self) {
        let waker = {
            let mut inner = locked(&self.0);
            inner.closed = true;
            inner.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Forgets what waits: the reader is gone.
    pub(crate) fn abandon(&self) {
        let items = {
            let mut inner = locked(&self.0);
            inner.closed = true;
            core::mem::take(&mut inner.items)
        };
        drop(items);
    }

    pub(crate) fn poll_pop(&self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let mut inner = locked(&self.0);
        if let Some(item) = inner.items.pop_front() {
            return Poll::Ready(Some(item));
        }
        if inner.closed {
            return Poll::Ready(None);
        }
        match &mut inner.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            None => inner.waker = Some(cx.waker().clone()),
        }
        Poll::Pending
    }

    pub(crate) fn try_pop(&self) -> Option<T> {
        locked(&self.0).items.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pop<T>(queue: &Queue<T>) -> Poll<Option<T>> {
        queue.poll_pop(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn a_full_queue_gives_up_its_oldest_item_and_counts_it() {
        let queue = Queue::default();
        assert_eq!(
            [1, 2, 3].map(|item| queue.push(item, 2)),
            [false, false, true]
        );
        assert_eq!((queue.len(), queue.missed()), (2, 1));
        assert_eq!(pop(&queue), Poll::Ready(Some(2)));
        assert_eq!(queue.try_pop(), Some(3));
        assert_eq!(pop(&queue), Poll::Pending);
    }

    #[test]
    fn a_closed_queue_is_read_to_its_end() {
        let queue = Queue::default();
        queue.push(1, 9);
        queue.close();
        queue.push(2, 9);
        assert_eq!(pop(&queue), Poll::Ready(Some(1)));
        assert_eq!(pop(&queue), Poll::Ready(None));
    }
}
