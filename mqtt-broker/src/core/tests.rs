//! Tests of the core as its driver sees it: bytes in, bytes out, virtual time. One concern a file; [`net`] is what they stand on.

mod client;
mod ledger;
mod net;
mod talk;

mod agree;
mod aside;
mod batches;
mod commits;
mod delivery;
mod forwarding;
mod groups;
mod handshakes;
mod lifecycle;
mod limits;
mod model;
mod policy;
mod quota;
mod random;
mod regroup;
mod restart;
mod restore;
mod retained;
mod room;
mod sessions;
mod sizes;
mod subscriptions;
mod takeover;
mod unread;
mod wills;
