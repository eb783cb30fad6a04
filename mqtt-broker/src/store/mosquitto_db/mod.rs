//! Mosquitto's persistence file, `mosquitto.db`, as items of a store.
//!
//! Version 6 is read, which Mosquitto 2.0 writes, of little-endian machines:
//!
//! ```text
//!  header       00 B5 00 "mosquitto db", 4 bytes of no use, version
//!  chunks       kind, length, content:
//!    1  how the file was written                  the first one
//!    2  message: topic, payload, properties       all of them before what names them
//!    6  session, each with
//!    3    its messages: a message's number, packet id, QoS, state, direction
//!    5  subscription
//!    4  retained message: its number
//! ```
//!
//! It is read twice: once from end to end, where everything is checked and only names and places are kept, and once more for what waits.
//! Anything that is not as expected is refused with its place; nothing is guessed. What Mosquitto itself has no place for in the file cannot
//! come: wills, shared subscriptions, and sessions of 5.0 that began with Clean Start.

mod chunk;
mod error;
mod file;
mod items;
mod meaning;
mod routing;
mod scan;
#[cfg(test)]
mod tests;
mod user_names;

use std::io::{BufRead, Seek};

pub use error::MosquittoError;
pub use items::Items;

/// A file of Mosquitto's, checked from end to end.
#[derive(Debug)]
pub struct MosquittoDb<R> {
    chunks: file::Chunks<R>,
    index: scan::Index,
}

/// What to do with a file that Mosquitto wrote while it was running, as it does now and then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unclean {
    /// Refuse it: what came later is missing.
    #[default]
    Refuse,
    /// Take it as it is.
    Accept,
}

/// What an operator should know of a file: what stands in it and has no place in a store of ours, and what may be of no use there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Remarks {
    /// Messages of QoS 0 that waited for a client.
    pub at_most_once: u64,
    /// Sessions that end with their connection.
    pub sessions: u64,
    /// Messages from clients who were not told that they had arrived, and will send them again.
    pub not_acknowledged: u64,
    /// User names that may be left over from another session. They come with the client again.
    pub user_names: u64,
    /// Sessions that come, and look like Mosquitto's own ends of bridges: nobody will come for what waits for them.
    pub bridge_ends: u64,
}

impl<R: BufRead + Seek> MosquittoDb<R> {
    /// Reads the file and checks it.
    ///
    /// # Errors
    /// [`MosquittoError`] when it is anything but a whole file of version 6.
    pub fn open(input: R, unclean: Unclean) -> Result<Self, MosquittoError> {
        let (chunks, index) = scan::scan(input, unclean)?;
        Ok(Self { chunks, index })
    }

    /// What an operator should know of it.
    #[must_use]
    pub const fn remarks(&self) -> Remarks {
        self.index.remarks
    }

    /// About how many items there will be.
    #[must_use]
    pub fn len(&self) -> u64 {
        let index = &self.index;
        let references = index
            .messages
            .values()
            .map(|place| u64::from(place.references));
        (index.sessions.len() + index.subscriptions.len() + index.unreleased.len()) as u64
            + references.sum::<u64>()
    }

    /// Whether there will be none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Everything in it that has a place in a store of ours, in an order that makes one.
    #[must_use]
    pub fn into_items(self) -> Items<R> {
        Items::new(self.chunks, self.index)
    }
}

/// Whether a file that begins with these bytes is a `mosquitto.db`, of whatever version.
#[must_use]
pub fn is_mosquitto_db(first: &[u8]) -> bool {
    first.starts_with(&file::MAGIC)
}
