//! Comparison benches: our crates beside their peers from crates.io, in one run.
//!
//! [`harness`] measures and reports; each bench brings its cases, contenders and bars. `cargo xtask bench` runs them.

/// Counts what is allocated, in all programs of this package.
#[global_allocator]
static ALLOCATOR: harness::CountingAllocator = harness::CountingAllocator;

#[cfg(feature = "codec")]
pub mod codec;
pub mod harness;
#[cfg(feature = "topic")]
pub mod topic;
