//! Bytes between the interrupt of a UART, which puts them in, and the program, which takes them out.

use core::cell::Cell;

/// A ring of received bytes, and the note that some were lost.
///
/// It has no lock: interrupt and program reach it through a critical section. `N` is a power of two up to 128.
#[derive(Debug)]
pub struct Received<const N: usize> {
    bytes: [Cell<u8>; N],
    first: Cell<u8>,
    len: Cell<u8>,
    lost: Cell<bool>,
}

impl<const N: usize> Received<N> {
    const MASK: u8 = {
        assert!(N.is_power_of_two() && N <= 128);
        N as u8 - 1
    };

    /// An empty ring.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            bytes: [const { Cell::new(0) }; N],
            first: Cell::new(0),
            len: Cell::new(0),
            lost: Cell::new(false),
        }
    }

    /// Whether nothing is there to be taken, not even a loss.
    pub fn is_empty(&self) -> bool {
        self.len.get() == 0 && !self.lost.get()
    }

    /// Whether [`Received::push`] would lose a byte.
    pub fn is_full(&self) -> bool {
        self.len.get() > Self::MASK
    }

    /// Puts a byte at the end; if there is no room, notes a loss.
    pub fn push(&self, byte: u8) {
        if self.is_full() {
            self.lose();
            return;
        }
        let at = self.first.get().wrapping_add(self.len.get()) & Self::MASK;
        if let Some(cell) = self.bytes.get(usize::from(at)) {
            cell.set(byte);
            self.len.set(self.len.get() + 1);
        }
    }

    /// Notes that bytes were lost behind those that are in the ring.
    pub fn lose(&self) {
        self.lost.set(true);
    }

    /// Takes the first byte.
    pub fn pop(&self) -> Option<u8> {
        let len = self.len.get().checked_sub(1)?;
        let at = self.first.get();
        let byte = self.bytes.get(usize::from(at))?.get();
        self.first.set(at.wrapping_add(1) & Self::MASK);
        self.len.set(len);
        Some(byte)
    }

    /// Takes the note of a loss, once the bytes in front of it are taken.
    pub fn take_loss(&self) -> bool {
        self.len.get() == 0 && self.lost.replace(false)
    }
}

impl<const N: usize> Default for Received<N> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::Received;

    #[test]
    fn bytes_come_out_in_order_round_the_end() {
        let ring = Received::<4>::new();
        for start in 0..9 {
            for byte in start..start + 4 {
                assert!(!ring.is_full());
                ring.push(byte);
            }
            assert!(ring.is_full());
            for byte in start..start + 4 {
                assert_eq!(ring.pop(), Some(byte));
            }
            assert!(ring.is_empty());
            assert_eq!(ring.pop(), None);
            // The next lap begins one place further.
            ring.push(0);
            assert_eq!(ring.pop(), Some(0));
        }
    }

    /// What was received before the loss is whole, and is read first.
    #[test]
    fn a_loss_is_told_once_behind_the_bytes_before_it() {
        let ring = Received::<128>::new();
        for byte in 0..=128 {
            ring.push(byte);
        }
        for byte in 0..128 {
            assert!(!ring.take_loss());
            assert_eq!(ring.pop(), Some(byte));
        }
        assert!(!ring.is_empty());
        assert!(ring.take_loss());
        assert!(!ring.take_loss());
        assert!(ring.is_empty());
    }
}
