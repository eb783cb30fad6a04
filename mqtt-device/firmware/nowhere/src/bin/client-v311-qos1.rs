//! See `firmware_measured::client::v311_qos1`.
#![no_std]
#![no_main]

nowhere::start!(firmware_measured::client::v311_qos1);
