//! See `firmware_apps::hello::run`.
#![no_std]
#![no_main]

nowhere::start!(firmware_apps::hello::run);
