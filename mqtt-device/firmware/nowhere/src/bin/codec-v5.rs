//! See `firmware_measured::codec::v5`.
#![no_std]
#![no_main]

nowhere::start!(firmware_measured::codec::v5);
