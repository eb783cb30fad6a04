//! The caller's memory: stream bytes that wait for a reader, and behind them what came from the modem and is not understood yet.
//!
//! ```text
//!  0        held            tail            len
//!  | stream |  raw, a line  |  room         |
//! ```
//!
//! What is taken out of the raw bytes closes up, so that half a line stays where it is until the rest comes.

#[derive(Debug)]
pub(super) struct Memory<'m> {
    bytes: &'m mut [u8],
    held: usize,
    tail: usize,
}

impl<'m> Memory<'m> {
    pub(super) const fn new(bytes: &'m mut [u8]) -> Self {
        Self {
            bytes,
            held: 0,
            tail: 0,
        }
    }

    pub(super) const fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) const fn held(&self) -> usize {
        self.held
    }

    pub(super) fn room(&mut self) -> &mut [u8] {
        self.bytes.get_mut(self.tail..).unwrap_or_default()
    }

    pub(super) const fn is_full(&self) -> bool {
        self.tail >= self.bytes.len()
    }

    pub(super) fn filled(&mut self, count: usize) {
        self.tail = self.tail.saturating_add(count).min(self.bytes.len());
    }

    pub(super) fn raw(&self) -> &[u8] {
        self.bytes.get(self.held..self.tail).unwrap_or_default()
    }

    /// Takes so many bytes out, from `at`.
    fn remove(&mut self, at: usize, count: usize) {
        let rest = self.bytes.get_mut(at..self.tail).unwrap_or_default();
        let count = count.min(rest.len());
        for index in count..rest.len() {
            if let Some(&byte) = rest.get(index)
                && let Some(slot) = rest.get_mut(index.wrapping_sub(count))
            {
                *slot = byte;
            }
        }
        self.tail -= count;
    }

    /// Throws the first raw bytes away.
    pub(super) fn discard(&mut self, count: usize) {
        self.remove(self.held, count);
    }

    /// Makes the first raw bytes stream bytes, at most so many; answers how many.
    pub(super) fn hold(&mut self, count: usize) -> usize {
        let count = count.min(self.tail.saturating_sub(self.held));
        self.held += count;
        count
    }

    /// Hands stream bytes to their reader; answers how many.
    pub(super) fn take(&mut self, buffer: &mut [u8]) -> usize {
        let count = self.held.min(buffer.len());
        for (slot, &byte) in buffer
            .iter_mut()
            .zip(self.bytes.get(..count).unwrap_or_default())
        {
            *slot = byte;
        }
        self.remove(0, count);
        self.held -= count;
        count
    }

    /// Forgets the stream bytes: their connection is over.
    pub(super) fn forget(&mut self) {
        self.remove(0, self.held);
        self.held = 0;
    }
}
