//! An MQTT broker to run or to embed.

pub mod core;
