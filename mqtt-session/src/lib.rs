//! The MQTT protocol as a sans-IO state machine.
#![no_std]
