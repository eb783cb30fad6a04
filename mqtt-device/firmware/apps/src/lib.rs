//! Applications that know no board: each is a function over a [`Board`](firmware_board::Board) and a connection.
//!
//! | | what it is | where it runs |
//! |---|---|---|
//! | [`sensor`] | a thermometer with an interval that is set from afar, and a status | boards, QEMU, this computer |
//! | [`tracker`] | the same behind a modem | boards, QEMU, this computer |
//! | [`solar`] | gathers readings asleep, and sends them in one flight | boards, QEMU, this computer |
//! | [`hello`], [`hello_async`] | shows that a board works | boards, QEMU, this computer |
//! | [`empty`] | what flash is counted from | boards, QEMU |
#![no_std]

pub mod empty;
pub mod hello;
pub mod hello_async;
mod line;
pub mod matrix;
pub mod sensor;
pub mod solar;
mod text;
mod thermometer;
pub mod tracker;

pub use line::Line;
