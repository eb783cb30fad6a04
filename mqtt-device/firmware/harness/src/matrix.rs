//! Firmware under faults: every transport, every fault, every broker.

mod brokers;
mod case;
mod run;

pub use brokers::{Broker, BrokerKind};
pub use case::{Case, Fault, Transport, cases};
pub use run::{Outcome, Programs, play};
