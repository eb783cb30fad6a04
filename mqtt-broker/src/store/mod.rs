//! The durable store: what was acknowledged is on disk, and comes back.
//!
//! Nothing outside this module knows how it stores: the core sees [`core::Store`](crate::core::Store) and
//! [`core::Restore`](crate::core::Restore) only.

mod files;
mod os;
#[cfg(feature = "cli")]
pub mod portable;

pub use files::{File, Files};
