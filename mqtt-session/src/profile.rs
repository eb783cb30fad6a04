//! Which parts of the protocol are compiled in.

use core::fmt::Debug;
use core::marker::PhantomData;

use mqtt_codec::{AnyVersion, OnlyV311, QoS, Version};

use crate::compact::Spoken;
use crate::owner::{Commit, Gate};

/// Which parts of the protocol a session has: code behind a false constant, and of versions that it does not speak, is not compiled in.
///
/// No cargo feature removes protocol behaviour, so that one program can hold sessions of different profiles.
pub trait Profile: Debug {
    /// Highest QoS in either direction.
    const MAX_QOS: QoS;
    /// Topic aliases in both directions (5.0).
    const ALIASES: bool;
    /// Enhanced authentication (5.0).
    const AUTH: bool;
    /// Sentences for people in DISCONNECT and CONNACK (5.0).
    const REASON_STRINGS: bool;
    /// The versions of its connections, one of which is known while compiling where there is no other.
    type Version: Spoken;
    /// `()` for an owner without a disk.
    type Gate: Gate;

    /// Whether a session of this profile speaks `version`.
    #[must_use]
    fn speaks(version: Version) -> bool {
        Self::Version::of(version).is_some()
    }
}

/// Everything: the profile of the broker and of the async client. `G` is the owner's [`Gate`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Full<G = ()>(PhantomData<G>);

/// Everything, for an owner whose commits come late.
pub type Durable = Full<Commit>;

impl<G: Gate> Profile for Full<G> {
    const MAX_QOS: QoS = QoS::ExactlyOnce;
    const ALIASES: bool = true;
    const AUTH: bool = true;
    const REASON_STRINGS: bool = true;
    type Version = Version;
    type Gate = G;
}

/// MQTT 3.1.1 with QoS 0 and 1: the smallest.
#[derive(Clone, Copy, Debug, Default)]
pub struct V3QoS1;

impl Profile for V3QoS1 {
    const MAX_QOS: QoS = QoS::AtLeastOnce;
    const ALIASES: bool = false;
    const AUTH: bool = false;
    const REASON_STRINGS: bool = false;
    type Version = OnlyV311;
    type Gate = ();
}

/// MQTT 3.1.1 with every QoS.
#[derive(Clone, Copy, Debug, Default)]
pub struct V3;

impl Profile for V3 {
    const MAX_QOS: QoS = QoS::ExactlyOnce;
    const ALIASES: bool = false;
    const AUTH: bool = false;
    const REASON_STRINGS: bool = false;
    type Version = OnlyV311;
    type Gate = ();
}

/// Every version with every QoS, without aliases and enhanced authentication.
#[derive(Clone, Copy, Debug, Default)]
pub struct V3V5;

impl Profile for V3V5 {
    const MAX_QOS: QoS = QoS::ExactlyOnce;
    const ALIASES: bool = false;
    const AUTH: bool = false;
    const REASON_STRINGS: bool = false;
    type Version = Version;
    type Gate = ();
}
