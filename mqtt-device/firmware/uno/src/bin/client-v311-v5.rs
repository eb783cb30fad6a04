//! See `firmware_measured::client::v311_v5`.
#![no_std]
#![no_main]

uno::start!(firmware_measured::client::v311_v5);
uno::panic_does_not_link!();
