//! The client of devices, packet by packet.

mod aliases;
mod early;
mod handshake;
mod held;
mod keep_alive;
mod large;
mod limits;
mod malformed;
mod messages;
mod properties;
mod qos1;
mod qos1_only;
mod qos2;
mod resume;
mod subscribe;
mod subscriptions;
mod window;
