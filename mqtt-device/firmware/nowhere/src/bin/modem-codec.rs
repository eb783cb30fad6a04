//! See `firmware_measured::modem::sim800`.
#![no_std]
#![no_main]

nowhere::start!(firmware_measured::modem::sim800);
