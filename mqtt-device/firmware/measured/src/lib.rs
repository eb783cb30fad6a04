//! The lower crates at work, each in a program that does the same job: to see what a layer takes in flash and RAM.
//!
//! The job is that of the figures of other clients: CONNECT, SUBSCRIBE with QoS 1, PUBLISH with QoS 1, and that message received.
#![no_std]

pub mod client;
pub mod client_async;
pub mod codec;
pub mod modem;
pub mod session;

use mqtt_device::{Device, TopicFilter, TopicName};

/// What is subscribed to, where it is published, and what.
const FILTER: TopicFilter<'static> = TopicFilter::from_static("job");
const TOPIC: TopicName<'static> = TopicName::from_static("job");
const PAYLOAD: &[u8] = b"21.5";

/// Memory for a receive buffer of 256 bytes: a client has 24 bytes of it for what it sends, and two for each message of QoS 2 that may be
/// underway to it.
const fn receive_memory<D: Device>() -> usize {
    280 + 2 * D::RECEIVE_MAXIMUM as usize
}
