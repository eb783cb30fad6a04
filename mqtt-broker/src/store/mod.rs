//! The durable store: what was acknowledged is on disk, and comes back.
//!
//! Nothing outside this module knows how it stores: the core records through [`core::Store`](crate::core::Store), and a restart gives it what
//! is left as a [`core::Image`](crate::core::Image), with messages by [`core::Bodies`](crate::core::Bodies).

mod apply;
mod body;
mod content;
mod decode;
mod encode;
mod ending;
mod error;
mod files;
mod forward;
mod handle;
mod header;
mod index;
mod job;
mod kind;
mod log;
mod mend;
#[cfg(feature = "cli")]
pub mod mosquitto_db;
mod names;
mod open;
mod options;
mod os;
#[cfg(feature = "cli")]
pub mod portable;
mod queue;
mod replay;
mod report;
mod settle;
mod shelf;
mod snapshot;
mod survey;
mod tail;
mod thread;
#[cfg(feature = "cli")]
pub mod tool;
mod trouble;
mod upkeep;
mod varint;

pub use error::StoreError;
pub use files::{File, Files};
pub use handle::Handle;
pub use log::Log;
pub use options::{Durability, Options};
pub use queue::Wake;
pub use report::Report;
pub(crate) use thread::wall;

use std::path::Path;
use std::sync::Arc;

impl Log {
    /// Opens the store in these files, or makes a new one where there is nothing. `wall` is the time of day in milliseconds of the Unix
    /// epoch.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read, or is damaged and [`Options::repair`] does not say to go on; nothing was changed then.
    pub fn open(
        files: Arc<dyn Files>,
        options: &Options,
        wall: u64,
    ) -> Result<(Self, Report), StoreError> {
        open::open(files, options, wall)
    }

    /// The same, of a directory, which nobody else can open meanwhile.
    ///
    /// # Errors
    /// As [`open`](Self::open), and when somebody else has it open.
    pub fn open_directory(
        path: &Path,
        options: &Options,
        wall: u64,
    ) -> Result<(Self, Report), StoreError> {
        let directory = os::Directory::take(path).map_err(|error| error.of(path))?;
        Self::open(Arc::new(directory), options, wall).map_err(|error| error.within(path))
    }
}

#[cfg(test)]
mod tests;
