//! What must be true after a crash, from what was promised before it: no socket and no clock in here.

mod deliveries;
mod history;
mod violation;
mod wills;

pub(crate) use deliveries::{Deliveries, Receiver};
pub(crate) use history::History;
pub(crate) use violation::PROMISES;
pub use violation::{Promise, Tally, Violation};
pub(crate) use wills::Wills;
