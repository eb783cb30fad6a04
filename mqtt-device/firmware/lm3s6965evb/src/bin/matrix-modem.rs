//! See `firmware_apps::matrix::modem`.
#![no_std]
#![no_main]

lm3s6965evb::start!(firmware_apps::matrix::modem);
lm3s6965evb::panic_does_not_link!();
