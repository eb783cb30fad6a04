//! Validates, matches and indexes MQTT topics.
#![no_std]

#[cfg(feature = "alloc")]
extern crate alloc;

mod error;
mod filter;
#[cfg(feature = "alloc")]
mod hash;
#[cfg(feature = "alloc")]
mod intern;
mod levels;
mod matches;
mod name;
#[cfg(feature = "alloc")]
mod owned;
#[cfg(feature = "alloc")]
mod retained;
mod share;
#[cfg(feature = "alloc")]
mod slab;
#[cfg(feature = "alloc")]
mod subscription;
#[cfg(feature = "alloc")]
mod table;

pub use error::{TopicFilterError, TopicFilterErrorKind, TopicNameError, TopicNameErrorKind};
pub use filter::TopicFilter;
pub use levels::{FilterLevels, Level, Levels};
pub use name::{MAX_TOPIC_BYTES, TopicName};
#[cfg(feature = "alloc")]
pub use owned::{ShareNameBuf, TopicFilterBuf, TopicNameBuf};
#[cfg(feature = "alloc")]
pub use retained::{RetainedIndex, RetainedWalk};
pub use share::{ParsedFilter, ShareName};
#[cfg(feature = "alloc")]
pub use subscription::SubscriptionIndex;
