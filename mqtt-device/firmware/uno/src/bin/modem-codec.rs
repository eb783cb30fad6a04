//! See `firmware_measured::modem::sim800`.
#![no_std]
#![no_main]

uno::start!(firmware_measured::modem::sim800);
uno::panic_does_not_link!();
