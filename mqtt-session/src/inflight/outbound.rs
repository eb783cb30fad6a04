//! Messages on their way to the peer: in the order of sending, then in the order of PUBREC.

use mqtt_codec::PacketId;

use super::packet_ids::distance;
use crate::owner::{Gate, Seq};
use crate::rules::Awaits;
use crate::storage::{Deque, NoRoom, Storage};

/// A PUBLISH that was sent, or is due: awaits PUBACK or PUBREC.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sending<G> {
    pub(crate) seq: Seq,
    /// Opens when the packet id is durable.
    pub(crate) gate: G,
    pub(crate) id: u16,
    pub(crate) exactly_once: bool,
    /// It was sent before, on this or an earlier connection [MQTT-3.3.1-1].
    pub(crate) dup: bool,
}

/// A PUBREL that was sent, or is due: awaits PUBCOMP.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Releasing<G> {
    pub(crate) seq: Seq,
    /// Opens when the PUBREC is durable.
    pub(crate) gate: G,
    pub(crate) id: u16,
}

/// Both tables. Entries before the cursor were sent on this connection; the others are due, which at a new connection is all of them.
#[derive(Debug)]
pub(crate) struct Outbound<G: Gate, S: Storage> {
    window: S::Window<Sending<G>>,
    sent: usize,
    released: S::Window<Releasing<G>>,
    released_sent: usize,
    /// The latest message that ever entered: after a restart the outbox still has messages that stand here already.
    newest: Seq,
}

impl<G: Gate, S: Storage> Default for Outbound<G, S> {
    fn default() -> Self {
        Self {
            window: Default::default(),
            sent: 0,
            released: Default::default(),
            released_sent: 0,
            newest: Seq::default(),
        }
    }
}

/// What an acknowledgement's packet id stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    AwaitPubAck(usize),
    AwaitPubRec(usize),
    AwaitPubComp(usize),
    /// Its PUBREL is due on this connection.
    DuePubRel,
    /// Nothing waits for this.
    Nothing,
}

impl Found {
    /// What a message in this place waits for.
    pub(crate) const fn awaits(self) -> Awaits {
        match self {
            Self::AwaitPubAck(_) => Awaits::PubAck,
            Self::AwaitPubRec(_) => Awaits::PubRec,
            Self::AwaitPubComp(_) => Awaits::PubComp,
            Self::DuePubRel => Awaits::DuePubRel,
            Self::Nothing => Awaits::Nothing,
        }
    }
}

impl<G: Gate, S: Storage> Outbound<G, S> {
    /// Messages in flight, whichever way through their handshake they are.
    pub(crate) fn len(&self) -> usize {
        self.window.len() + self.released.len()
    }

    /// Messages that the peer counts against its Receive Maximum: sent on this connection, or held there from an earlier one.
    pub(crate) fn unacknowledged(&self) -> usize {
        self.sent + self.released.len()
    }

    /// Whether the tables could hold one more message until its end, in a window of `most`.
    pub(crate) fn has_room(&self, most: usize) -> bool {
        self.len() < <S::Window<Sending<G>> as Deque<_>>::CAPACITY.min(most)
    }

    /// Whether this message of the outbox has its packet id already.
    pub(crate) fn holds(&self, seq: Seq) -> bool {
        seq <= self.newest
            && (self.window.position(|entry| entry.seq == seq).is_some()
                || self.released.position(|entry| entry.seq == seq).is_some())
    }

    /// A new connection: everything is due again, in its order [MQTT-4.4.0-1], [MQTT-4.6.0-1].
    pub(crate) fn rewind(&mut self) {
        self.sent = 0;
        self.released_sent = 0;
        if cfg!(mutation = "pubrel-not-replayed") {
            self.released_sent = self.released.len();
        }
        #[cfg(mutation = "replay-in-id-order")]
        while self.sending().next().map(|it| it.id) > self.sending().last().map(|it| it.id) {
            self.window.remove(0).map(|it| self.window.push(it));
        }
    }

    pub(crate) fn find(&self, id: PacketId) -> Found {
        let id = id.get();
        if let Some(at) = self.window.position(|entry| entry.id == id) {
            return match self.window.get(at) {
                // A peer may tell by itself that it holds a message of an earlier connection: sent again, it would be a new one.
                Some(entry) if entry.exactly_once && (at < self.sent || entry.dup) => {
                    Found::AwaitPubRec(at)
                }
                Some(entry) if !entry.exactly_once && at < self.sent => Found::AwaitPubAck(at),
                _ => Found::Nothing,
            };
        }
        match self.released.position(|entry| entry.id == id) {
            Some(at) if at < self.released_sent => Found::AwaitPubComp(at),
            Some(_) => Found::DuePubRel,
            None => Found::Nothing,
        }
    }

    /// The smallest ring distance from `from` to an id in use.
    pub(crate) fn nearest(&self, from: u16) -> u16 {
        let mut nearest = u16::MAX;
        for entry in self.sending() {
            nearest = nearest.min(distance(from, entry.id));
        }
        if !cfg!(mutation = "id-reused-before-pubcomp") {
            for entry in self.releasing() {
                nearest = nearest.min(distance(from, entry.id));
            }
        }
        nearest
    }

    /// The first PUBLISH that is due.
    pub(crate) fn due_publish(&self) -> Option<Sending<G>> {
        self.window.get(self.sent).copied()
    }

    /// The due PUBLISH was written.
    pub(crate) fn publish_written(&mut self) {
        if let Some(entry) = self.window.get_mut(self.sent) {
            entry.dup = true;
            self.sent += 1;
        }
    }

    /// The due PUBLISH will not be sent: its id is free.
    pub(crate) fn drop_due_publish(&mut self) {
        self.window.remove(self.sent);
    }

    /// Appends a message that is due.
    pub(crate) fn push(&mut self, entry: Sending<G>) -> Result<(), NoRoom> {
        self.newest = self.newest.max(entry.seq);
        self.window.push(entry)
    }

    /// Ends the wait for the PUBACK or PUBREC of an entry that was [found](Self::find).
    pub(crate) fn acknowledged(&mut self, at: usize) -> Option<Sending<G>> {
        let entry = self.window.remove(at)?;
        if at < self.sent {
            self.sent -= 1;
        }
        Some(entry)
    }

    /// PUBREC came: its PUBREL is due after those of earlier PUBRECs [MQTT-4.6.0-4].
    pub(crate) fn release(&mut self, entry: Releasing<G>) -> Result<(), NoRoom> {
        self.newest = self.newest.max(entry.seq);
        self.released.push(entry)
    }

    /// PUBREC came again: its PUBREL is due again.
    pub(crate) fn release_again(&mut self, at: usize) {
        if let Some(entry) = self.completed(at) {
            // The place that was just given back is free.
            let _ = self.released.push(entry);
        }
    }

    /// The first PUBREL that is due.
    pub(crate) fn due_release(&self) -> Option<Releasing<G>> {
        self.released.get(self.released_sent).copied()
    }

    /// The due PUBREL was written.
    pub(crate) fn release_written(&mut self) {
        self.released_sent += 1;
    }

    /// PUBCOMP came.
    pub(crate) fn completed(&mut self, at: usize) -> Option<Releasing<G>> {
        let entry = self.released.remove(at)?;
        if at < self.released_sent {
            self.released_sent -= 1;
        }
        Some(entry)
    }

    /// Takes a PUBLISH out by its id: for a session that is restored.
    pub(crate) fn drop_publish(&mut self, id: PacketId) {
        if let Some(at) = self.window.position(|entry| entry.id == id.get()) {
            self.acknowledged(at);
        }
    }

    /// Takes a PUBREL out by its id: for a session that is restored.
    pub(crate) fn drop_release(&mut self, id: PacketId) {
        if let Some(at) = self.released.position(|entry| entry.id == id.get()) {
            self.completed(at);
        }
    }

    /// The earliest message in the window, if any: from there on all is sent anew when the peer has lost its session.
    pub(crate) fn first_seq(&self) -> Option<Seq> {
        // Not always the front: after a restart the ids that were recorded come before the messages that were not.
        self.sending().map(|entry| entry.seq).min()
    }

    /// The PUBLISH packets that await their acknowledgement, in the order of sending.
    pub(crate) fn sending(&self) -> impl Iterator<Item = Sending<G>> + '_ {
        (0..self.window.len()).filter_map(|at| self.window.get(at).copied())
    }

    /// The PUBREL packets that await PUBCOMP, in the order of PUBREC.
    pub(crate) fn releasing(&self) -> impl Iterator<Item = Releasing<G>> + '_ {
        (0..self.released.len()).filter_map(|at| self.released.get(at).copied())
    }

    /// Takes the PUBRELs out, one a call.
    pub(crate) fn pop_released(&mut self) -> Option<Releasing<G>> {
        self.completed(0)
    }
}
