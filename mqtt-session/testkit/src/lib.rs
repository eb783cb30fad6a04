//! Virtual time, scripted peers, seeded links, owners and a reference model for testing MQTT state machines.
//!
//! * [`script`]: one session against raw packets. `send` a packet, look at what was `sent`.
//! * [`owners`]: three owners of a session. Fixed memory, heap, and a store that commits late and can crash.
//! * [`sim`]: two sessions joined by a link that delays, fragments, cuts and reconnects, under the eyes of [`watch`].
//! * [`compact`]: the client of devices: a queue to test it with, scripts against it, and its own simulation against a server session.
//! * `broker` (feature `broker`): the whole broker core with several clients and workers, in the same style.
//! * `disk` (feature `broker`): a disk that loses power, runs full, fails and lies, for the store of the broker.
//! * [`fuzz`]: the bodies of the fuzz targets.
//! * [`runner`]: a simulation over many seeds on all cores.
//! * [`rng`]: seeds; a failing one is printed and repeated with `MQTT_SEED=…`.

#[cfg(feature = "broker")]
pub mod broker;
pub mod compact;
#[cfg(feature = "broker")]
pub mod disk;
pub mod fuzz;
pub mod owners;
pub mod packets;
pub mod rng;
pub mod runner;
pub mod script;
pub mod sim;
pub mod text;
pub mod watch;
