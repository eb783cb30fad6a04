//! Validates, matches and indexes MQTT topics.
//!
//! A message is published under a *name* (`site/7/temperature`); a subscription asks with a *filter*
//! (`site/+/temperature`, `site/#`). This crate decides what is a valid name or filter, which filters
//! match which names, and finds the matching ones among millions. It follows section 4.7 and 4.8.2 of
//! MQTT 5.0, which MQTT 3.1.1 shares but for shared subscriptions. `no_std`, no unsafe code, no
//! dependency, and without features no allocator.
//!
//! ```text
//!   mqtt-broker     mqtt-client     mqtt-device
//!         \              |              /
//!          +------- mqtt-session -----+
//!                  /           \
//!            mqtt-codec     mqtt-topic        <- you are here: useful alone, knows none of the others
//! ```
//!
//! # Does this filter match this name?
//!
//! ```
//! use mqtt_topic::{TopicFilter, TopicName};
//!
//! let filter = TopicFilter::new("site/+/temperature/#")?;
//! assert!(filter.matches(&TopicName::new("site/7/temperature").unwrap()));
//! assert!(filter.matches(&TopicName::new("site/7/temperature/max").unwrap()));
//!
//! let error = TopicFilter::new("site/#/temperature").unwrap_err();
//! assert_eq!(error.to_string(), "the wildcard # is the last level (byte 5)");
//! # Ok::<(), mqtt_topic::TopicFilterError>(())
//! ```
//!
#![cfg_attr(
    feature = "alloc",
    doc = r#"# Who gets this message, and which retained messages does this subscription get?

```
use mqtt_topic::{ParsedFilter, RetainedIndex, SubscriptionIndex, TopicFilter, TopicName};

let seed = 0x5eed; // in earnest a random number, so that nobody can tell which topics collide
let mut subscriptions = SubscriptionIndex::with_seed(seed);
let mut retained = RetainedIndex::with_seed(seed);

// A subscriber (42) asks for a filter with an option (QoS 1) ...
let asked = ParsedFilter::parse("site/+/temperature")?;
assert!(asked.share.is_none());
subscriptions.insert(&asked.filter, 42, 1);

// ... and is found by a message, without an allocation.
let name = TopicName::new("site/7/temperature").unwrap();
let mut receivers = Vec::new();
subscriptions.visit(&name, |&who, &qos| receivers.push((who, qos)));
assert_eq!(receivers, [(42, 1)]);

// The last message of each name, found by filter.
retained.insert(&name, "21.5");
let mut found = Vec::new();
retained.visit(&TopicFilter::new("site/#")?, |name, payload| found.push(format!("{name}: {payload}")));
assert_eq!(found, ["site/7/temperature: 21.5"]);
# Ok::<(), mqtt_topic::TopicFilterError>(())
```
"#
)]
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | – | always | `TopicName`, `TopicFilter` (`matches`, `covers`), `ShareName`, `ParsedFilter`: borrowed, `Copy` |
//! | `alloc` | off | `TopicNameBuf`, `TopicFilterBuf`, `ShareNameBuf`, `SubscriptionIndex`, `MatchCache`, `RetainedIndex`, `RetainedWalk`; needs the crate `alloc` |
//!
//! # What is promised
//!
//! * No input panics, recurses, or costs more than its length and its matches.
//! * Topics are compared byte by byte; nothing is trimmed, folded or normalised. \[MQTT-4.7.3-4\]
//! * The indexes take their hash seed from their owner; who does not know it cannot tell which
//!   topics collide.
//! * Nothing is limited below what MQTT allows (65,535 bytes, 65,536 levels): an owner that wants less
//!   compares `level_count()` and the length of the text before it stores anything.
#![no_std]

#[cfg(feature = "alloc")]
extern crate alloc;

#[cfg(feature = "alloc")]
mod cache;
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
mod short;
#[cfg(feature = "alloc")]
mod slab;
#[cfg(feature = "alloc")]
mod subscription;
#[cfg(feature = "alloc")]
mod table;

#[cfg(feature = "alloc")]
pub use cache::{CacheLimits, MatchCache};
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

/// The examples of the README are tested with those of the crate.
#[cfg(all(doctest, feature = "alloc"))]
#[doc = include_str!("../README.md")]
struct Readme;
