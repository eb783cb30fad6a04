//! See `firmware_measured::session::v311_v5`.
#![no_std]
#![no_main]

lm3s6965evb::start!(firmware_measured::session::v311_v5);
lm3s6965evb::panic_exits!();
