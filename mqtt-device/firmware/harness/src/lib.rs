//! Runs firmware in QEMU: its UART as a socket, its verdict as a value.
//!
//! [`Qemu`] is one run of one program; [`wire`](Qemu::wire) is the other end of its UART. [`Mosquitto`] is a broker for it to talk to, and
//! [`pipe`] joins the two. The program `run-firmware` does that on the command line.

mod broker;
mod pipe;
mod qemu;
mod verdict;

pub use broker::Mosquitto;
pub use pipe::pipe;
pub use qemu::{Machine, Qemu};
pub use verdict::Verdict;
