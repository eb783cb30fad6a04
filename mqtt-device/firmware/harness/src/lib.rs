//! Runs firmware in QEMU: its UART as a socket, its verdict as a value.
//!
//! [`Qemu`] is one run of one program; [`wire`](Qemu::wire) is the other end of its UART. [`Mosquitto`] and [`OurBroker`] are brokers
//! for it to talk to, [`AtModem`] a modem in between, [`Observer`] a client at the other end, and [`pipe`] joins two wires. The program `run-firmware` does that on the command line.

mod broker;
pub mod matrix;
mod modem;
mod observer;
mod options;
mod ours;
mod pipe;
mod qemu;
mod verdict;

pub use broker::Mosquitto;
pub use modem::AtModem;
pub use observer::{Heard, Observer};
pub use options::options;
pub use ours::OurBroker;
pub use pipe::pipe;
pub use qemu::{Machine, Qemu};
pub use verdict::Verdict;
