//! See `firmware_measured::session::v311_qos1`.
#![no_std]
#![no_main]

nowhere::start!(firmware_measured::session::v311_qos1);
