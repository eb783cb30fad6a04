//! See `firmware_measured::client::v311_qos1`.
#![no_std]
#![no_main]

uno::start!(firmware_measured::client::v311_qos1);
uno::panic_does_not_link!();
