//! A global allocator that counts, for each thread: how often memory was asked for, and how many bytes are held.
#![expect(unsafe_code, reason = "the trait of global allocators is unsafe")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    // Without a destructor and with a constant first value: reading them never allocates, and costs one instruction.
    static CALLS: Cell<u64> = const { Cell::new(0) };
    static HELD: Cell<i64> = const { Cell::new(0) };
}

/// The system's allocator, with counters that cost each call two additions.
#[derive(Debug)]
pub struct CountingAllocator;

/// How often this thread has asked for memory so far: allocations and reallocations.
#[must_use]
pub fn allocations() -> u64 {
    CALLS.get()
}

/// Bytes that this thread has asked for and not given back; memory that it frees for another thread counts against it.
///
/// What was requested, without the allocator's own rounding.
#[must_use]
pub fn held_bytes() -> i64 {
    HELD.get()
}

fn count(bytes: i64) {
    CALLS.set(CALLS.get().wrapping_add(1));
    HELD.set(HELD.get().wrapping_add(bytes));
}

// SAFETY: every call goes to the system's allocator unchanged, and counting touches nothing but two thread-local numbers.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as i64);
        // SAFETY: the caller keeps the contract of `alloc`, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as i64);
        // SAFETY: the caller keeps the contract of `alloc_zeroed`, which is the same.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size as i64 - layout.size() as i64);
        // SAFETY: the caller keeps the contract of `realloc`, which is the same.
        unsafe { System.realloc(memory, layout, size) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        HELD.set(HELD.get().wrapping_sub(layout.size() as i64));
        // SAFETY: the caller keeps the contract of `dealloc`, which is the same.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allocations_and_bytes_of_this_thread_are_counted() {
        let (calls, held) = (allocations(), held_bytes());
        let mut list: Vec<u64> = Vec::with_capacity(4);
        assert_eq!((allocations() - calls, held_bytes() - held), (1, 32));
        list.reserve_exact(8);
        assert_eq!((allocations() - calls, held_bytes() - held), (2, 64));
        std::thread::scope(|scope| {
            scope.spawn(|| drop(std::hint::black_box(vec![0u8; 1000])));
        });
        drop(list);
        // The thread's own start-up may have allocated here; its vector did not.
        assert!(held_bytes() - held < 1000);
    }
}
