//! What the tests share: a scripted server in memory, and the real Mosquitto.
#![allow(
    dead_code,
    reason = "every test binary uses its own part of this module"
)]

pub(crate) mod scripted;
