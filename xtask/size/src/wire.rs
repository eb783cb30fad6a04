//! A wire that the optimiser cannot see through: bytes come from it and go to it.

use core::hint::black_box;

/// Fills the front of the buffer and says how many bytes have come.
#[inline(never)]
pub fn read(buffer: &mut [u8]) -> usize {
    black_box(&mut *buffer);
    black_box(buffer.len())
}

/// Takes bytes away.
#[inline(never)]
pub fn write(bytes: &[u8]) {
    black_box(bytes);
}

/// Four bytes that nothing is known of.
#[inline(never)]
pub fn take() -> [u8; 4] {
    black_box([1; 4])
}
