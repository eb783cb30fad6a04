//! The client of devices under test: a queue that watches its caller, scripts, and a simulation against a server session.

mod client;
mod queue;
mod rig;
pub mod runs;
mod server;
mod sim;

pub use queue::{Habits, Listed};
pub(crate) use rig::overhead;
pub use rig::{Rig, versions};
pub use sim::Sim;
