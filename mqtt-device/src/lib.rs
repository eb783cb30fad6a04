//! An MQTT client for firmware: no_std, no allocator.
#![no_std]
