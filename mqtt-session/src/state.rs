//! What a session remembers between connections.

use core::fmt::Debug;

use mqtt_codec::{PacketId, ReasonCode};

use crate::inflight::inbound::{Inbound, Status};
use crate::inflight::outbound::Outbound;
use crate::inflight::packet_ids::PacketIds;
use crate::owner::{Change, Gate, Owner, Seq};
use crate::profile::Profile;
use crate::session::NEVER;
use crate::storage::{Part, Storage};
use crate::violation::Misuse;

/// What a session remembers between connections: packet ids, and places in its owner's [`Outbox`](crate::Outbox).
#[derive(Debug)]
pub struct SessionState<P: Profile, S: Storage> {
    pub(crate) outbound: S::Part<Outbound<P::Gate, S>>,
    pub(crate) inbound: S::Part<Inbound<P::Gate, S>>,
    /// The first message that was not yet pulled from the outbox.
    pub(crate) cursor: Seq,
    /// The gate of the latest change: an answer about an id that is unknown by now waits for what made it so.
    pub(crate) latest: P::Gate,
    /// The number of the last delivery; 0 means that the peer has not used the session at all.
    last_delivery: u32,
    pub(crate) session_expiry: u32,
    pub(crate) ids: PacketIds,
}

impl<P: Profile, S: Storage> Default for SessionState<P, S> {
    fn default() -> Self {
        Self {
            outbound: Default::default(),
            inbound: Default::default(),
            cursor: Seq::default(),
            latest: Default::default(),
            last_delivery: 0,
            session_expiry: 0,
            ids: PacketIds::default(),
        }
    }
}

impl<P: Profile, S: Storage> SessionState<P, S> {
    /// Whether no handshake of any message is open.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.in_flight() == 0 && self.received() == 0
    }

    /// Messages on their way to the peer whose handshake is not over.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.outbound.get().map_or(0, Outbound::len)
    }

    /// QoS 2 messages from the peer whose handshake is not over.
    #[must_use]
    pub fn received(&self) -> usize {
        self.inbound.get().map_or(0, Inbound::len)
    }

    /// Whether the client of a server has used the session: has sent something after a CONNECT, or left a change that was
    /// [restored](Self::restore).
    ///
    /// Nobody can tell whether the client of a session that was never used knows of it: CONNACK may have been lost.
    #[must_use]
    pub const fn is_used(&self) -> bool {
        self.last_delivery != 0
    }

    /// The first place of the outbox that was not yet pulled.
    #[must_use]
    pub const fn cursor(&self) -> Seq {
        self.cursor
    }

    /// Starts pulling at `cursor`: for a session whose outbox was restored.
    pub const fn set_cursor(&mut self, cursor: Seq) {
        self.cursor = cursor;
    }

    /// How long the session outlives its connection, in seconds; `u32::MAX` is for ever.
    #[must_use]
    pub const fn session_expiry(&self) -> u32 {
        self.session_expiry
    }

    /// Sets how long the session outlives its connection: for a session that is restored.
    pub const fn set_session_expiry(&mut self, seconds: u32) {
        self.session_expiry = seconds;
    }

    /// Replays a change that was recorded earlier; a received message counts as settled with success.
    ///
    /// A state that had no [expiry](Self::set_session_expiry) never expires from then on.
    ///
    /// The place in the outbox needs no restoring: pulling starts at the front of what the outbox still has, and what has its packet id
    /// already is not pulled twice.
    ///
    /// # Errors
    /// [`Misuse::Exhausted`] when a fixed table has no room for it.
    pub fn restore(&mut self, change: Change) -> Result<(), Misuse> {
        use crate::inflight::inbound::Received;
        use crate::inflight::outbound::{Releasing, Sending};
        let full = |_| Misuse::Exhausted;
        if self.session_expiry == 0 {
            // What was recorded outlived a connection.
            self.session_expiry = NEVER;
        }
        self.mark_used();
        match change {
            Change::Received(id) => {
                let number = self.next_number();
                let entry = Received {
                    id: id.get(),
                    status: Status::Settled(ReasonCode::SUCCESS),
                    here: false,
                    number,
                    gate: P::Gate::default(),
                };
                self.inbound.make().push(entry).map_err(full)?;
            }
            Change::Released(id) => {
                self.inbound.make().remove(id.get());
            }
            Change::Sent(seq, id) => {
                self.ids.taken(id);
                let entry = Sending {
                    seq,
                    gate: P::Gate::default(),
                    id: id.get(),
                    exactly_once: true,
                    dup: true,
                };
                self.outbound.make().push(entry).map_err(full)?;
            }
            Change::PeerReceived(seq, id) => {
                let outbound = self.outbound.make();
                outbound.drop_publish(id);
                outbound
                    .release(Releasing {
                        seq,
                        gate: P::Gate::default(),
                        id: id.get(),
                    })
                    .map_err(full)?;
            }
            Change::Completed(id) => {
                let outbound = self.outbound.make();
                outbound.drop_publish(id);
                outbound.drop_release(id);
            }
            Change::Reset => self.restart(),
        }
        Ok(())
    }

    /// The changes that lead from nothing to this state, for a store that starts a new log with them.
    ///
    /// They are what [`restore`](Self::restore) takes. QoS 1 messages in flight are not among them: they start anew after a restart.
    pub fn changes(&self) -> impl Iterator<Item = Change> + '_ {
        let received = self.inbound.get().into_iter().flat_map(Inbound::ids);
        let sent = self.outbound.get().into_iter().flat_map(Outbound::sending);
        let released = self
            .outbound
            .get()
            .into_iter()
            .flat_map(Outbound::releasing);
        received
            .filter_map(|id| PacketId::new(id).map(Change::Received))
            .chain(
                sent.filter(|entry| entry.exactly_once)
                    .filter_map(|entry| Some(Change::Sent(entry.seq, PacketId::new(entry.id)?))),
            )
            .chain(released.filter_map(|entry| {
                Some(Change::PeerReceived(entry.seq, PacketId::new(entry.id)?))
            }))
    }

    pub(crate) fn next_number(&mut self) -> u32 {
        self.last_delivery = self.last_delivery.wrapping_add(1).max(1);
        self.last_delivery
    }

    /// Something other than CONNECT came from the client of a server.
    pub(crate) fn mark_used(&mut self) {
        self.last_delivery = self.last_delivery.max(1);
    }

    /// Records a change and remembers its gate.
    pub(crate) fn record<O: Owner<Gate = P::Gate>>(
        &mut self,
        owner: &mut O,
        change: Change,
    ) -> P::Gate {
        self.latest = owner.record(change);
        self.latest
    }

    /// The peer has no session: what was in flight will be sent as new, and what was received is forgotten.
    pub(crate) fn forget_peer<O: Owner<Gate = P::Gate>>(&mut self, owner: &mut O) {
        // What is over here and not yet in the store would come back from there.
        if !self.is_quiet() || !self.latest.is_open(owner.committed()) {
            self.record(owner, Change::Reset);
        }
        if let Some(outbound) = self.outbound.get_mut() {
            while let Some(entry) = outbound.pop_released() {
                owner.complete(entry.seq, ReasonCode::PACKET_IDENTIFIER_NOT_FOUND);
            }
        }
        self.restart();
    }

    /// All ids are free, and what was in flight will be sent as new.
    pub(crate) fn restart(&mut self) {
        if let Some(first) = self.outbound.get().and_then(Outbound::first_seq) {
            self.cursor = self.cursor.min(first);
        }
        self.outbound.drop_part();
        self.inbound.drop_part();
    }

    pub(crate) fn trim(&mut self) {
        if self.in_flight() == 0 {
            self.outbound.drop_part();
        }
        if self.received() == 0 {
            self.inbound.drop_part();
        }
    }
}
