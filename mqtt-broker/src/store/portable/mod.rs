//! A store as text: one JSON object a line, written and read as a stream.
//!
//! ```text
//!  store ─▶ Item* ─▶ Writer ─▶ lines ─▶ Reader ─▶ Item* ─▶ Recorder ─▶ new store
//! ```
//!
//! `mqtt-broker/docs/store-export.md` describes the lines. Points in time are those of the wall clock, so that an export means the same on another
//! machine and another day.

mod check;
mod item;
mod message;
mod read;
mod record;
#[cfg(test)]
mod tests;
mod text;
mod time;
mod walk;
mod write;

use serde::{Deserialize, Serialize};

pub use check::{Fault, Sequence};
pub use item::{
    Expiry, Handshake, HandshakeState, Item, Queued, Receiver, Retained, Session, Subscription,
    Will,
};
pub use message::{Message, MessageRef, Properties};
pub use read::{PortableError, Reader};
pub use record::{Clocks, RecordError, Recorded, Recorder};
pub use time::{NoTime, Time};
pub(crate) use walk::{Source, walk};
pub use write::Writer;

/// The name of the format.
pub const FORMAT: &str = "mqtt-store";
/// The version of the format that is written, and read.
pub const VERSION: u32 = 1;

/// The first line of an export.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// [`FORMAT`].
    pub format: String,
    /// [`VERSION`].
    pub version: u32,
    /// When the export was written.
    pub written: Time,
    /// Which program wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

impl Default for Header {
    fn default() -> Self {
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            written: Time::from_millis(0),
            by: None,
        }
    }
}
