//! What is measured: packets, streams and conversations, and what our crates do with them.
//!
//! The same cases serve the comparison with other crates (`cargo xtask bench`), the count of instructions
//! (`cargo xtask bench --check`) and `cargo bench`, so that their figures mean the same thing.

pub mod codec;
mod op;
pub mod ours;
pub mod packets;
pub mod session;

pub use op::Op;
