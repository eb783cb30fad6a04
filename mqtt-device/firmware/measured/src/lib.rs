//! The lower crates at work, each in a program that does the same job: to see what a layer takes in flash and RAM.
//!
//! The job is that of the figures of other clients: CONNECT, SUBSCRIBE with QoS 1, PUBLISH with QoS 1, and that message received.
#![no_std]

pub mod codec;
pub mod modem;
pub mod session;
