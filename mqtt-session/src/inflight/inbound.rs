//! Messages from the peer: QoS 2 ids that outlive the connection.

use mqtt_codec::{PacketId, ReasonCode};

use crate::owner::Gate;
use crate::storage::{Deque, NoRoom, Storage};

/// How far the owner is with a received QoS 2 message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Status {
    /// Its payload is still arriving: nothing of it survives the connection.
    #[default]
    Arriving,
    /// The owner has it and has not yet said what became of it.
    Unsettled,
    /// The verdict that PUBREC tells.
    Settled(ReasonCode),
}

/// A QoS 2 message between its PUBLISH and its PUBREL.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Received<G> {
    pub(crate) id: u16,
    pub(crate) status: Status,
    /// It was sent on this connection, and counts against its Receive Maximum.
    pub(crate) here: bool,
    /// Which [`DeliveryId`](crate::DeliveryId) names it.
    pub(crate) number: u32,
    /// Opens when the id and the owner's copy are durable.
    pub(crate) gate: G,
}

/// The ids of received QoS 2 messages, in the order of arrival.
#[derive(Debug)]
pub(crate) struct Inbound<G: Gate, S: Storage>(S::Inbound<Received<G>>);

impl<G: Gate, S: Storage> Default for Inbound<G, S> {
    fn default() -> Self {
        Self(Default::default())
    }
}

impl<G: Gate, S: Storage> Inbound<G, S> {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn find(&self, id: PacketId) -> Option<Received<G>> {
        let id = id.get();
        self.0
            .get(self.0.position(|entry| entry.id == id)?)
            .copied()
    }

    /// The entry of this id, if it is still the message that `number` names.
    pub(crate) fn entry(&mut self, id: u16, number: u32) -> Option<&mut Received<G>> {
        let at = self
            .0
            .position(|entry| entry.id == id && entry.number == number)?;
        self.0.get_mut(at)
    }

    /// The ids that survive the connection, in the order of arrival.
    pub(crate) fn ids(&self) -> impl Iterator<Item = u16> + '_ {
        (0..self.0.len())
            .filter_map(|at| self.0.get(at))
            .filter(|entry| entry.status != Status::Arriving)
            .map(|entry| entry.id)
    }

    pub(crate) fn has_room(&self) -> bool {
        self.0.len() < <S::Inbound<Received<G>> as Deque<_>>::CAPACITY
    }

    pub(crate) fn push(&mut self, entry: Received<G>) -> Result<(), NoRoom> {
        self.0.push(entry)
    }

    pub(crate) fn remove(&mut self, id: u16) -> Option<Received<G>> {
        let at = self.0.position(|entry| entry.id == id)?;
        self.0.remove(at)
    }

    /// The connection ended: messages that had not arrived in full were never received, and nothing was sent on the next one.
    pub(crate) fn rewind(&mut self) {
        if cfg!(mutation = "received-ids-forgotten") {
            self.0.clear();
        }
        for at in 0..self.0.len() {
            if let Some(entry) = self.0.get_mut(at) {
                entry.here = false;
            }
        }
        while let Some(at) = self.0.position(|entry| entry.status == Status::Arriving) {
            self.0.remove(at);
        }
    }
}
