//! See `firmware_measured::client_async::v311`.
#![no_std]
#![no_main]

uno::start!(firmware_measured::client_async::v311);
uno::panic_exits!();
