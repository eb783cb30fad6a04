//! An MQTT broker to run or to embed.

fn main() {}
