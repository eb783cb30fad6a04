//! See `firmware_measured::client::v311`.
#![no_std]
#![no_main]

uno::start!(firmware_measured::client::v311);
uno::panic_does_not_link!();
