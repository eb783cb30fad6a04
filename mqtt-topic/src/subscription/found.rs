//! [`Found`]: the filters that a walk has found, to be shown a few at a time.

use super::subscribers::Subscribers;

/// Filters that are kept until they are shown.
const KEPT: usize = 16;

/// Found filters, whose subscribers are shown later.
///
/// How many subscribers a filter has and where they are is known only when its memory has come. A walk that waits
/// for that at each filter waits for one at a time; one that goes on meanwhile waits for several at once.
pub(super) struct Found<'i, 'v, K, V, F> {
    visitor: &'v mut F,
    filters: [Option<&'i Subscribers<K, V>>; KEPT],
    len: usize,
}

impl<'i, 'v, K: Copy + Ord, V, F: FnMut(&K, &V)> Found<'i, 'v, K, V, F> {
    pub(super) const fn new(visitor: &'v mut F) -> Self {
        Self {
            visitor,
            filters: [None; KEPT],
            len: 0,
        }
    }

    /// Adds the subscribers to a filter; none is as good as no filter.
    #[inline]
    pub(super) fn add(&mut self, subscribers: &'i Subscribers<K, V>) {
        if self.len == KEPT {
            self.show();
        }
        self.filters[self.len] = Some(subscribers);
        // No jump that depends on memory that may still be on its way.
        self.len += usize::from(!subscribers.is_empty());
    }

    /// Shows what was added since the last time.
    #[inline]
    pub(super) fn show(&mut self) {
        for subscribers in self.filters[..self.len].iter().flatten() {
            subscribers.visit(self.visitor);
        }
        self.len = 0;
    }
}
