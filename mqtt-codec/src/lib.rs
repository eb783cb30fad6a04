//! Encodes and decodes MQTT 3.1, 3.1.1 and 5.0 packets: no_std, no allocator, no copy.
#![no_std]
