//! See `firmware_measured::session::v311`.
#![no_std]
#![no_main]

nowhere::start!(firmware_measured::session::v311);
