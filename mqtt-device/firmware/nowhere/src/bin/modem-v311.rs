//! See `firmware_measured::client::modem_v311`.
#![no_std]
#![no_main]

nowhere::start!(firmware_measured::client::modem_v311);
