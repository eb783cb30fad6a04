//! The normative statements of MQTT 3.1.1 and 5.0: how each is proven (`statements.tsv`), and a suite that checks any running broker
//! against them over its socket.
//!
//! # The socket suite
//!
//! Each case names the statements that it proves in its doc comment, runs with client identifiers and topics of its own, and tidies
//! up behind itself, so that a broker in use can be checked, by many cases at a time. A failure shows what was expected, what came,
//! and the packets that led there.
//!
//! ```no_run
//! use mqtt_conformance::{Options, cases, report, run};
//!
//! let address = "127.0.0.1:1883".parse()?;
//! let reports = run(address, &cases(), &Options::default(), |_| ());
//! print!("{}", report::text(&reports));
//! # Ok::<(), core::net::AddrParseError>(())
//! ```
#![expect(
    clippy::indexing_slicing,
    reason = "indices come from the length of the same list"
)]

mod announced;
mod case;
mod cases;
mod client;
mod ctx;
mod failure;
mod frame;
mod raw;
pub mod report;
mod run;
mod talk;
mod trace;

pub use case::Case;
pub use cases::cases;
pub use failure::Failure;
pub use run::{Options, Report, Verdict, run};
