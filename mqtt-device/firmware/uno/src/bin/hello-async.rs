//! See the application of the same name.
#![no_std]
#![no_main]

uno::start!(firmware_apps::hello_async::run);
uno::panic_exits!();
