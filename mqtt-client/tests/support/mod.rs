//! What the tests share: a scripted server in memory, and the real Mosquitto.
#![allow(
    dead_code,
    unused_imports,
    clippy::unwrap_used,
    reason = "every test binary uses its own part of this module, and a test that fails says where"
)]

pub(crate) mod behaviours;
pub(crate) mod process;
pub(crate) mod scripted;
