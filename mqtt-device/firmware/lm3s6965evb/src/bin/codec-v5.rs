//! See `firmware_measured::codec::v5`.
#![no_std]
#![no_main]

lm3s6965evb::start!(firmware_measured::codec::v5);
lm3s6965evb::panic_does_not_link!();
