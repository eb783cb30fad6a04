//! The MQTT protocol as a sans-IO state machine: packets and time in; events, packets and deadlines out.
#![no_std]

#[cfg(any(feature = "alloc", test))]
extern crate alloc;

mod alias;
mod client;
mod event;
mod inflight;
mod limits;
mod link;
pub mod manual;
mod output;
mod owner;
pub mod profile;
mod receive;
mod sealed;
mod server;
mod session;
pub mod storage;
mod time;
mod tx;
mod violation;

pub use client::{Client, ClientSession};
pub use event::{
    Accept, ClientEvent, Closed, DeliveryId, Expires, Output, Publication, ServerEvent, Topic,
};
pub use limits::Limits;
pub use owner::{
    Change, Commit, Gate, HandshakeText, Outbox, Outcome, OutgoingMessage, Owner, Seq,
};
pub use profile::Profile;
pub use server::{Server, ServerSession};
pub use session::{Role, Session, SessionState};
pub use storage::Storage;
pub use time::Instant;
pub use tx::{SliceTx, Tx};
pub use violation::{Misuse, Rule, Violation};
