//! See `firmware_measured::client_async::v311`.
#![no_std]
#![no_main]

nowhere::start!(firmware_measured::client_async::v311);
