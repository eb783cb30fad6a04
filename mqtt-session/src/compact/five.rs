//! What only a connection of 5.0 remembers: a device that does not speak it has no memory for it.

use core::fmt::Debug;

use mqtt_codec::{AnyVersion, OnlyV5, OnlyV311, Version};

use super::event::Event;
use super::server::Server;
use super::shorten::Shortened;

/// Memory of a connection.
#[derive(Clone, Copy, Debug)]
#[expect(unnameable_types, reason = "part of a sealed trait")]
pub struct Five {
    /// What the broker allows.
    pub(super) server: Server,
    /// Topic aliases that it knows, a bit each.
    pub(super) aliases: u32,
    /// How the body in writing is shortened by one.
    pub(super) shortened: Shortened,
    /// The end of a packet that the broker does not allow, which the application has not been told yet.
    pub(super) refused: Option<Event>,
}

impl Five {
    const NEW: Self = Self {
        server: Server::DEFAULT,
        aliases: 0,
        shortened: Shortened::NOT,
        refused: None,
    };
}

/// A place for it, or none.
#[expect(unnameable_types, reason = "part of a sealed trait")]
pub trait Place: Copy + Debug {
    /// As it is when a connection begins.
    const NEW: Self;
    /// What is there.
    fn get(&self) -> Option<&Five>;
    /// The same, for changing it.
    fn get_mut(&mut self) -> Option<&mut Five>;
}

impl Place for () {
    const NEW: Self = ();

    fn get(&self) -> Option<&Five> {
        None
    }

    fn get_mut(&mut self) -> Option<&mut Five> {
        None
    }
}

impl Place for Five {
    const NEW: Self = Self::NEW;

    fn get(&self) -> Option<&Five> {
        Some(self)
    }

    fn get_mut(&mut self) -> Option<&mut Five> {
        Some(self)
    }
}

/// The versions that a profile can speak, and whether 5.0 is among them.
pub trait Spoken: AnyVersion {
    /// `()` where 5.0 is not spoken.
    type Five: Place;
}

impl Spoken for Version {
    type Five = Five;
}

impl Spoken for OnlyV311 {
    type Five = ();
}

impl Spoken for OnlyV5 {
    type Five = Five;
}
