//! Runs firmware in QEMU: its UART as a socket, its verdict as a value.
//!
//! [`Qemu`] is one run of one program; [`wire`](Qemu::wire) is the other end of its UART. [`Mosquitto`] is a broker for it to talk to,
//! [`AtModem`] a modem in between, and [`pipe`] joins two wires. The program `run-firmware` does that on the command line.

mod broker;
mod modem;
mod pipe;
mod qemu;
mod verdict;

pub use broker::Mosquitto;
pub use modem::AtModem;
pub use pipe::pipe;
pub use qemu::{Machine, Qemu};
pub use verdict::Verdict;
