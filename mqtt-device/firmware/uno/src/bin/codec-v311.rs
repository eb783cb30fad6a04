//! See `firmware_measured::codec::v311`.
#![no_std]
#![no_main]

uno::start!(firmware_measured::codec::v311);
uno::panic_does_not_link!();
