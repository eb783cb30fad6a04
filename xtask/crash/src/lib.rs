//! Kills a broker with SIGKILL while messages are on their way, starts it again on what that left, and judges what comes back against
//! what it had acknowledged. Ours, Mosquitto beside it, and controls that must fail.
//!
//! # The library
//!
//! [`run()`] kills one broker, so that a test can do it; [`trace()`] watches its system calls. [`Running`] and [`Link`] are brokers and
//! connections for other benches.

mod broker;
mod cast;
mod client;
mod judge;
mod link;
mod plan;
mod report;
mod rng;
mod role;
mod run;
mod stamp;
mod trace;
mod world;

pub use broker::{Durability, Opened, Program, Running};
pub use judge::{Promise, Tally, Violation};
pub use link::Link;
pub use report::{findings, table, trace_table};
pub use run::{Kill, Options, Report, run, seed_of_the_moment};
pub use trace::{LONE, SHARED, Traced, trace};
