//! See `firmware_measured::client::modem_v311`.
#![no_std]
#![no_main]

uno::start!(firmware_measured::client::modem_v311);
uno::panic_does_not_link!();
