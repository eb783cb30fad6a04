//! What the two roles do differently inside the shared parts; not for other crates.

use core::fmt::Debug;

use mqtt_codec::{QoS, ReasonCode};

use crate::limits::Limits;
use crate::owner::Owner;
use crate::profile::Profile;
use crate::session::Session;
use crate::storage::Storage;
use crate::time::Instant;
use crate::tx::Tx;
use crate::violation::{Misuse, Rule};

/// How quiet a connection is.
#[derive(Clone, Copy, Debug)]
#[expect(unnameable_types, reason = "part of a sealed trait")]
pub struct Quiet {
    /// When the peer last gave a sign of life.
    pub heard: Instant,
    /// In seconds; 0 for none.
    pub keep_alive: u16,
    /// Nothing is read.
    pub paused: bool,
}

/// The hooks of a role; nothing outside can implement it.
#[expect(
    unnameable_types,
    reason = "sealed: the public trait `Role` is the name for it"
)]
pub trait Role: Sized + Debug {
    /// Whether this is the server's end.
    const SERVER: bool;
    /// What only this role remembers of a connection.
    type Link<S: Storage>: Default + Debug;

    /// Writes the packet that ends the handshake, if it is due; says whether it did.
    fn poll_handshake<P: Profile, S: Storage, T: Tx, O: Owner<Gate = P::Gate>>(
        session: &mut Session<Self, P, S>,
        tx: &mut T,
        now: Instant,
        owner: &mut O,
    ) -> Result<bool, Misuse>
    where
        Self: crate::Role;

    /// The smallest ring distance from `from` to a packet id that a request of this role holds; 65,535 where there is none.
    fn nearest<S: Storage>(_link: &Self::Link<S>, _from: u16) -> u16 {
        u16::MAX
    }

    /// The deadline of a connection that is up; `keep_alive` in seconds, 0 for none.
    fn deadline<S: Storage>(
        _link: &Self::Link<S>,
        _keep_alive: u16,
        _paused: bool,
    ) -> Option<Instant> {
        None
    }

    /// The deadline has come: says whether a ping is due, or that the peer is gone.
    fn time_to_ping<S: Storage>(
        _link: &mut Self::Link<S>,
        _now: Instant,
        _quiet: Quiet,
        _limits: &Limits,
    ) -> Result<bool, Rule> {
        Ok(false)
    }

    /// Reading goes on after it had stopped.
    fn resumed<S: Storage>(_link: &mut Self::Link<S>, _now: Instant, _limits: &Limits) {}

    /// A packet was written.
    fn wrote<S: Storage>(_link: &mut Self::Link<S>, _now: Instant) {}

    /// Why a message cannot be sent to this peer at all.
    fn refuses<S: Storage>(_link: &Self::Link<S>, _qos: QoS, _retain: bool) -> Option<ReasonCode> {
        None
    }

    /// The session's state went to another connection: nothing of it is this one's business.
    fn detached<S: Storage>(_link: &mut Self::Link<S>) {}

    /// When the will is due if the connection ends now.
    fn will_due<S: Storage>(
        _link: &Self::Link<S>,
        _now: Instant,
        _session_expiry: u32,
    ) -> Option<Instant> {
        None
    }
}
