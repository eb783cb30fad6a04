//! See the application of the same name.
#![no_std]
#![no_main]

lm3s6965evb::start!(firmware_apps::sensor::on_a_line);
lm3s6965evb::panic_does_not_link!();
