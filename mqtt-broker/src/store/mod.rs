//! The durable store: what was acknowledged is on disk, and comes back.
//!
//! Nothing outside this module knows how it stores: the core sees [`core::Store`](crate::core::Store) and
//! [`core::Restore`](crate::core::Restore) only.

mod body;
mod content;
mod decode;
mod encode;
mod files;
mod header;
mod index;
mod kind;
#[cfg(feature = "cli")]
pub mod mosquitto_db;
mod names;
mod os;
#[cfg(feature = "cli")]
pub mod portable;
mod shelf;
mod snapshot;
mod varint;

pub use files::{File, Files};
