//! The start code and nothing else: what the other programs are compared with.
#![no_std]
#![no_main]

mqtt_size::start!(mqtt_size::stop);
