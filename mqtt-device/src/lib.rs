//! MQTT for firmware: no_std, no allocator, memory from the caller.
//!
//! What is here so far is the part that a battery-powered device cannot do without: [`Ring`], a queue of messages in a piece of RAM
//! that is the offline queue and the resend buffer in one. It plugs into the protocol's state machine, [`mqtt_session`], as its
//! `Outbox`; what a device has to send waits in it while the network is away, and what was sent stays in it
//! until the broker has acknowledged it. And [`modem`], which makes a TCP connection out of a UART with a
//! SIM800 or an ESP32 behind it. A client that drives them is not here yet.
//!
//! ```text
//!  mqtt-broker        mqtt-client       ▶ mqtt-device
//!        \                 |               /
//!         +--------- mqtt-session --------+        the protocol of one connection, sans-IO
//!                    /          \
//!              mqtt-codec     mqtt-topic
//! ```
//!
//! ```
//! use mqtt_codec::QoS;
//! use mqtt_device::Ring;
//! use mqtt_session::{Outbox, Outcome, Seq};
//!
//! let mut memory = [0; 256];
//! let mut ring = Ring::new(&mut memory);
//! let first = ring.push("plant1/sensor4/temperature", b"21.5", QoS::AtLeastOnce, false)?;
//!
//! // The session asks for what is due, and says when the broker has it.
//! assert_eq!(ring.next(Seq::default()), Some(first));
//! assert_eq!(ring.payload(first), Some(&b"21.5"[..]));
//! ring.done(first, Outcome::Acknowledged(mqtt_codec::ReasonCode::SUCCESS));
//! assert!(ring.is_empty());
//! # Ok::<(), mqtt_device::RingFull>(())
//! ```
#![no_std]

pub mod modem;
mod ring;

pub use ring::{Ring, RingFull};

/// The examples of the README are tested with those of the crate.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
