//! See the application of the same name.
#![no_std]
#![no_main]

uno::start!(firmware_apps::tracker::run);
uno::panic_does_not_link!();
