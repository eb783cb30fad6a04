//! See `firmware_apps::empty::run`.
#![no_std]
#![no_main]

nowhere::start!(firmware_apps::empty::run);
