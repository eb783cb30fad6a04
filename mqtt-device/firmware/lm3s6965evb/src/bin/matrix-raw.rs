//! See `firmware_apps::matrix::raw`.
#![no_std]
#![no_main]

lm3s6965evb::start!(firmware_apps::matrix::raw);
lm3s6965evb::panic_does_not_link!();
