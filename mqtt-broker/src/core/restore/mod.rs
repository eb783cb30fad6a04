//! Starting again: what a store has kept, taken record by record, and put back into new cores.
//!
//! ```text
//!  the store's records, in their order ─▶ Restore::take* ─▶ Restore::start ─▶ cores that go on
//! ```
//!
//! Two types do that: an [`Image`] knows messages by the numbers under which the store keeps them, and reads them from it at the start; a
//! [`Restore`] has them in memory, for stores that do.
//!
//! Both hold what is live: taking a record that ends something frees it. Of a retained message that was removed the topic
//! stays until the next [`Restarted`](super::Record::Restarted), and of a copy that was done before it came the number: batches of
//! several workers may bring what belongs together in either order, so a group is there from the first record that names it. What it
//! needs of the order is that a batch (what one worker records from one [commit](super::Store::commit) to the next) is taken as a whole
//! or not at all, and batches in the order of their commits.
//!
//! # What comes back
//!
//! Sessions with their terms, subscriptions and wills; QoS 1 and 2 messages that wait, in the order of their numbers; the handshakes of
//! QoS 2 in both directions; shared groups and what waits for them; retained messages; and for new subscriptions the retained messages
//! that they still have to get. QoS 0 messages are gone, as with any connection. QoS 1 messages that were in flight start anew, with an
//! id of their own; those of a shared group go to whichever member comes first.
//!
//! A session that was connected has lost its connection now: its expiry and its Will Delay Interval count from the start, and one
//! that expires with its connection has ended. Its will is published: the server closed the connection without a DISCONNECT
//! [MQTT-3.1.2-8]. What fell due while the broker was away happens at the start.
//!
//! # Keys and numbers
//!
//! The new cores name sessions and groups anew, because the number of workers may be another. They tell the store:
//! [`Restarted`](super::Record::Restarted), then [`Renamed`](super::Record::Renamed) for each session and
//! [`Group`](super::Record::Group) for each group. So the same log goes on, and nothing in it has to be written again. The numbers of
//! copies stay what they were: the store that the new cores record to must give larger ones than [`Restore::latest`]. A broker that
//! crashes while it starts is started again from the same log.

mod copies;
mod image;
mod start;
mod take;
mod whole;

#[cfg(doc)]
use super::Subscriber;

pub use image::{Image, Uses};
pub use take::Malformed;
pub use whole::Restore;

pub(crate) use super::fanout::Grant;
pub(crate) use image::{Copies, Copy, Group, Loser, Presence, Session, Walk, Will};
