//! A program that says it has no panic, and has one: to see that the linker refuses it.
#![no_std]
#![no_main]

use firmware_board::Board;
use lm3s6965evb::{Lm3s6965evb, Uart};

lm3s6965evb::start!(run);
lm3s6965evb::panic_does_not_link!();

fn run(board: &Lm3s6965evb, _: Uart) -> u8 {
    assert!(board.temperature() < 1_000, "too hot");
    0
}
