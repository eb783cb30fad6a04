//! A sequence that grows at its end and shrinks at its front, in pieces: no block of memory is ever large, none is copied to grow, and what
//! one sequence gives back is what the next one asks for.
//!
//! A `VecDeque` of a million entries grows by copying itself into ever larger blocks; a hundred of them in one heap leave holes that nothing
//! fits into.

use std::collections::VecDeque;

/// Entries of a piece.
const PIECE: usize = 512;
/// Room for so many entries is not worth giving back.
const LITTLE: usize = 64;

/// A sequence of small entries, found by their position.
#[derive(Clone, Debug)]
pub(super) struct Chunks<T> {
    /// The front: at most a piece. A short sequence has nothing else.
    first: VecDeque<T>,
    /// What follows: all pieces but the last are full.
    rest: VecDeque<Vec<T>>,
}

impl<T> Default for Chunks<T> {
    fn default() -> Self {
        Self {
            first: VecDeque::new(),
            rest: VecDeque::new(),
        }
    }
}

impl<T: Copy> Chunks<T> {
    pub(super) fn len(&self) -> usize {
        let rest = match self.rest.back() {
            None => 0,
            Some(last) => (self.rest.len() - 1) * PIECE + last.len(),
        };
        self.first.len() + rest
    }

    /// Entries that there is room for.
    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.first.capacity() + self.rest.iter().map(Vec::capacity).sum::<usize>()
    }

    /// The piece behind the first that holds a position, and where in it.
    fn behind(&self, at: usize) -> (usize, usize) {
        let at = at - self.first.len();
        (at / PIECE, at % PIECE)
    }

    #[inline]
    pub(super) fn get(&self, at: usize) -> Option<&T> {
        if at < self.first.len() {
            return self.first.get(at);
        }
        let (piece, at) = self.behind(at);
        self.rest.get(piece)?.get(at)
    }

    #[inline]
    pub(super) fn get_mut(&mut self, at: usize) -> Option<&mut T> {
        if at < self.first.len() {
            return self.first.get_mut(at);
        }
        let (piece, at) = self.behind(at);
        self.rest.get_mut(piece)?.get_mut(at)
    }

    pub(super) fn front(&self) -> Option<&T> {
        self.first.front()
    }

    pub(super) fn back(&self) -> Option<&T> {
        match self.rest.back() {
            None => self.first.back(),
            Some(last) => last.last(),
        }
    }

    #[inline]
    pub(super) fn push_back(&mut self, entry: T) {
        match self.rest.back_mut() {
            None if self.first.len() < PIECE => self.first.push_back(entry),
            Some(last) if last.len() < PIECE => last.push(entry),
            None | Some(_) => {
                let mut piece = Vec::with_capacity(PIECE);
                piece.push(entry);
                self.rest.push_back(piece);
            }
        }
    }

    #[inline]
    pub(super) fn pop_front(&mut self) -> Option<T> {
        let entry = self.first.pop_front();
        if self.first.is_empty() {
            self.advance();
        }
        entry
    }

    /// The front is used up: the next piece becomes the front.
    fn advance(&mut self) {
        if let Some(piece) = self.rest.pop_front() {
            self.first = piece.into();
            if self.rest.capacity() > LITTLE && self.rest.len() < self.rest.capacity() / 8 {
                self.rest.shrink_to(self.rest.len() * 2);
            }
        }
    }

    /// Puts an entry before the one at a position, or at the end. All that follow it move: for positions near the end.
    pub(super) fn insert(&mut self, at: usize, entry: T) {
        self.push_back(entry);
        let mut above = entry;
        for at in at..self.len() {
            if let Some(here) = self.get_mut(at) {
                core::mem::swap(here, &mut above);
            }
        }
    }

    /// The entries from a position on.
    pub(super) fn iter_from(&self, at: usize) -> impl Iterator<Item = &T> + '_ {
        let first = self.first.iter().skip(at);
        let (piece, within) = match at.checked_sub(self.first.len()) {
            None => (0, 0),
            Some(behind) => (behind / PIECE, behind % PIECE),
        };
        let mut rest = self.rest.iter().skip(piece);
        let begun = rest.next().and_then(|piece| piece.get(within..));
        first.chain(begun.unwrap_or_default()).chain(rest.flatten())
    }

    /// Where the entry with a key is, or would be: keys ascend.
    pub(super) fn search<K: Ord>(&self, key: &K, of: impl Fn(&T) -> K) -> Result<usize, usize> {
        let behind = self.rest.partition_point(|piece| {
            let first = piece.first();
            first.is_some_and(|first| of(first) <= *key)
        });
        let Some(piece) = behind.checked_sub(1) else {
            return self.first.binary_search_by_key(key, of);
        };
        let before = self.first.len() + piece * PIECE;
        match self.rest.get(piece) {
            None => Err(before),
            Some(entries) => entries
                .binary_search_by_key(key, of)
                .map(|at| before + at)
                .map_err(|at| before + at),
        }
    }

    /// Keeps what `test` says so of.
    pub(super) fn retain(&mut self, test: impl Fn(&T) -> bool) {
        let all = core::mem::take(self);
        for piece in core::iter::once(Vec::from(all.first)).chain(all.rest) {
            for entry in piece.iter().filter(|entry| test(entry)) {
                self.push_back(*entry);
            }
        }
    }

    /// Gives back memory when little of it is used.
    pub(super) fn shrink(&mut self) {
        let room = self.first.capacity();
        if self.rest.is_empty() && room > LITTLE && self.first.len() < room / 8 {
            self.first.shrink_to(self.first.len() * 2);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Push(usize),
        Pop(usize),
        Insert(usize),
        Retain(u32),
        Shrink,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (1..1_500_usize).prop_map(Step::Push),
            4 => (1..1_500_usize).prop_map(Step::Pop),
            2 => (0..2_000_usize).prop_map(Step::Insert),
            1 => (2..5_u32).prop_map(Step::Retain),
            1 => Just(Step::Shrink),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn it_is_a_sequence(steps in proptest::collection::vec(step(), 1..30)) {
            let (mut chunks, mut model) = (Chunks::default(), VecDeque::new());
            // Twice as far apart as need be, so that something fits between.
            let mut next = 0_u32;
            for step in steps {
                match step {
                    Step::Push(count) => for _ in 0..count {
                        next += 2;
                        chunks.push_back(next);
                        model.push_back(next);
                    },
                    Step::Pop(count) => for _ in 0..count {
                        prop_assert_eq!(chunks.pop_front(), model.pop_front());
                    },
                    Step::Insert(back) => if let Some(at) = model.len().checked_sub(back + 1) {
                        let entry = model[at] - 1;
                        if at == 0 || model[at - 1] < entry {
                            chunks.insert(at, entry);
                            model.insert(at, entry);
                        }
                    },
                    Step::Retain(of) => {
                        chunks.retain(|entry| entry % of != 0);
                        model.retain(|entry| entry % of != 0);
                    }
                    Step::Shrink => chunks.shrink(),
                }
                prop_assert_eq!(chunks.len(), model.len());
                prop_assert_eq!(chunks.front(), model.front());
                prop_assert_eq!(chunks.back(), model.back());
                for at in [0, 1, 511, 512, 513, 1_023, 1_024, model.len().saturating_sub(1)] {
                    prop_assert_eq!(chunks.get(at), model.get(at));
                    prop_assert_eq!(chunks.get_mut(at).copied(), model.get(at).copied());
                    prop_assert!(chunks.iter_from(at).eq(model.iter().skip(at)), "from {}", at);
                }
                for key in [0, 1, next / 2, next / 2 + 1, next, next + 1] {
                    prop_assert_eq!(chunks.search(&key, |entry| *entry), model.binary_search(&key));
                }
            }
        }
    }

    /// Whatever came and went, a sequence has room for two pieces more than it holds.
    #[test]
    fn it_has_little_room_to_spare() {
        let mut chunks = Chunks::default();
        for number in 0..100_000_u32 {
            chunks.push_back(number);
        }
        assert!(chunks.capacity() < 100_000 + PIECE);
        for left in (0..100_000).rev() {
            chunks.pop_front();
            chunks.shrink();
            assert!(chunks.capacity() <= left + 2 * PIECE, "{left} are left");
        }
        assert!(chunks.capacity() <= LITTLE);
    }
}
