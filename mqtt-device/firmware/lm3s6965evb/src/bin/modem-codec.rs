//! See `firmware_measured::modem::sim800`.
#![no_std]
#![no_main]

lm3s6965evb::start!(firmware_measured::modem::sim800);
lm3s6965evb::panic_does_not_link!();
