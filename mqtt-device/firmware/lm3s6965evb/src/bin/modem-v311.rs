//! See `firmware_measured::client::modem_v311`.
#![no_std]
#![no_main]

lm3s6965evb::start!(firmware_measured::client::modem_v311);
lm3s6965evb::panic_does_not_link!();
