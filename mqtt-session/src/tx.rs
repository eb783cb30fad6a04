//! Where packets are written: a buffer of the owner's that gives room for whole packets.

/// A buffer that takes whole packets.
///
/// Implemented for `Vec<u8>` (feature `alloc`), which grows, and for [`SliceTx`], which does not. Implement it for your own ring or
/// pool; [`claim`](Self::claim) is the only call that the state machines make.
pub trait Tx {
    /// Gives exactly `len` bytes at the end of the buffer, which then count as written, or `None` when they do not fit now.
    ///
    /// The caller overwrites all of them before it returns.
    fn claim(&mut self, len: usize) -> Option<&mut [u8]>;
    /// Takes back the last `len` bytes that were claimed: the packet turned out not to be encodable.
    fn retract(&mut self, len: usize);
}

/// A [`Tx`] over borrowed memory.
#[derive(Debug)]
pub struct SliceTx<'b> {
    buffer: &'b mut [u8],
    len: usize,
}

impl<'b> SliceTx<'b> {
    /// An empty buffer over all of `buffer`.
    pub const fn new(buffer: &'b mut [u8]) -> Self {
        Self { buffer, len: 0 }
    }

    /// A buffer whose first `len` bytes are already written; `len` is capped at the size.
    pub fn with_len(buffer: &'b mut [u8], len: usize) -> Self {
        let len = len.min(buffer.len());
        Self { buffer, len }
    }

    /// The bytes written so far.
    #[must_use]
    pub fn written(&self) -> &[u8] {
        self.buffer.get(..self.len).unwrap_or_default()
    }

    /// How many bytes are written.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing is written.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Forgets all that was written.
    pub const fn clear(&mut self) {
        self.len = 0;
    }
}

impl Tx for SliceTx<'_> {
    fn claim(&mut self, len: usize) -> Option<&mut [u8]> {
        let end = self.len.checked_add(len)?;
        let room = self.buffer.get_mut(self.len..end)?;
        self.len = end;
        Some(room)
    }

    fn retract(&mut self, len: usize) {
        self.len = self.len.saturating_sub(len);
    }
}

#[cfg(feature = "alloc")]
impl Tx for alloc::vec::Vec<u8> {
    fn claim(&mut self, len: usize) -> Option<&mut [u8]> {
        let start = self.len();
        self.resize(start.checked_add(len)?, 0);
        self.get_mut(start..)
    }

    fn retract(&mut self, len: usize) {
        self.truncate(self.len().saturating_sub(len));
    }
}

impl<T: Tx + ?Sized> Tx for &mut T {
    fn claim(&mut self, len: usize) -> Option<&mut [u8]> {
        (**self).claim(len)
    }

    fn retract(&mut self, len: usize) {
        (**self).retract(len);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_takes_what_fits_and_gives_back_what_was_not_used() {
        let mut buffer = [0; 4];
        let mut tx = SliceTx::new(&mut buffer);
        assert!(tx.is_empty());
        {
            // A borrowed buffer is the buffer.
            let mut borrowed: &mut SliceTx<'_> = &mut tx;
            let both: &mut dyn Tx = &mut borrowed;
            assert!(both.claim(2).is_some() && both.claim(3).is_none());
            both.retract(1);
        }
        assert!((tx.len(), tx.is_empty()) == (1, false));
        tx.clear();
        tx.claim(3).expect("three of four").copy_from_slice(b"abc");
        assert_eq!(tx.claim(2), None);
        assert_eq!((tx.written(), tx.len()), (&b"abc"[..], 3));
        tx.retract(2);
        tx.claim(3).expect("one is left, and three are free");
        assert_eq!((tx.written()[0], tx.len()), (b'a', 4));
        tx.clear();
        assert!(tx.is_empty());
    }
}
