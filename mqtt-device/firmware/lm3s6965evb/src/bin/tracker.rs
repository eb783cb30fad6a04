//! See the application of the same name.
#![no_std]
#![no_main]

lm3s6965evb::start!(firmware_apps::tracker::run);
lm3s6965evb::panic_does_not_link!();
