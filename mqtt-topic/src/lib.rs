//! Validates, matches and indexes MQTT topics.
#![no_std]

#[cfg(feature = "alloc")]
extern crate alloc;

mod error;
mod filter;
mod levels;
mod matches;
mod name;
#[cfg(feature = "alloc")]
mod owned;
mod share;

pub use error::{TopicFilterError, TopicFilterErrorKind, TopicNameError, TopicNameErrorKind};
pub use filter::TopicFilter;
pub use levels::{FilterLevels, Level, Levels};
pub use name::{MAX_TOPIC_BYTES, TopicName};
#[cfg(feature = "alloc")]
pub use owned::{ShareNameBuf, TopicFilterBuf, TopicNameBuf};
pub use share::{ParsedFilter, ShareName};
