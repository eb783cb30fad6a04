//! The client of devices under test: a queue that watches its caller, scripts, and a simulation.

mod queue;
mod rig;

pub use queue::{Habits, Listed};
pub use rig::{Rig, versions};
