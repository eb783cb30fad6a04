//! A store that no broker has open: looked into, exported, and filled from elsewhere.

mod check;
mod export;
mod import;
mod new;
mod quiet;
mod read_only;
mod stats;
#[cfg(test)]
mod tests;

pub use check::{Checked, check};
pub use export::{Exported, export};
pub use import::{ImportError, Imported, import};
pub use stats::{Backlog, Stats, stats};
