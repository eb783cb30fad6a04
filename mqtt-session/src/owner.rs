//! What a session asks of its owner: the queue of outgoing messages, and a memory that outlives it.

use core::fmt::Debug;

use mqtt_codec::{PacketId, Properties, QoS, ReasonCode, SubscriptionId};

use crate::limits::Limits;
use crate::time::Instant;

/// The place of a message in the one ordered sequence that its owner sends: it grows and never comes back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seq(pub u64);

impl Seq {
    /// The next place.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// Opens when everything recorded up to some point is durable.
///
/// `()` is the gate of an owner without a disk: always open, and no code.
pub trait Gate: Copy + Default + PartialEq + Debug {
    /// Whether this gate is open once everything up to `committed` is durable.
    fn is_open(self, committed: Self) -> bool;
    /// The gate that opens when both are open.
    #[must_use]
    fn and(self, other: Self) -> Self;
}

impl Gate for () {
    fn is_open(self, (): Self) -> bool {
        true
    }
    fn and(self, (): Self) {}
}

/// How far a store has come: changes become durable in the order in which they were recorded, so one growing number says it all.
///
/// The default, 0, is what was never recorded: always open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Commit(pub u64);

impl Gate for Commit {
    fn is_open(self, committed: Self) -> bool {
        self <= committed
    }
    fn and(self, other: Self) -> Self {
        self.max(other)
    }
}

/// Something that a resumed session must remember.
///
/// An owner with a store writes it before it lets the gate open that [`Owner::record`] returned; replayed in order into
/// [`SessionState`](crate::SessionState), the changes give the state back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// A QoS 2 message with this id was received; its id and the owner's copy belong into one atomic batch.
    Received(PacketId),
    /// The handshake of a received QoS 2 message is over: the id is free again.
    Released(PacketId),
    /// A QoS 2 message is about to be sent with this id.
    Sent(Seq, PacketId),
    /// The peer has received the QoS 2 message: it will never be sent again, its PUBREL will.
    PeerReceived(Seq, PacketId),
    /// The peer has released the id of an outgoing QoS 2 message.
    Completed(PacketId),
    /// The peer has no session: all ids of both directions are free.
    Reset,
}

/// How an outgoing message ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// QoS 1: PUBACK came. The reason is [`ReasonCode::SUCCESS`] or [`ReasonCode::NO_MATCHING_SUBSCRIBERS`].
    Acknowledged(ReasonCode),
    /// QoS 2: PUBREC came; the peer owns the message now and [`Outbox::complete`] follows.
    Received(ReasonCode),
    /// The peer refused the message with a reason of 0x80 or more [MQTT-4.4.0-2].
    Refused(ReasonCode),
    /// Its Message Expiry Interval had passed before delivery began [MQTT-3.3.2-5].
    Expired,
    /// It is larger than the peer's Maximum Packet Size, and dropped as if it had been sent [MQTT-3.1.2-25].
    TooLarge,
}

/// A message as its owner holds it, borrowed while its head is written.
#[derive(Clone, Copy, Debug)]
pub struct OutgoingMessage<'m> {
    /// The topic name.
    pub topic: &'m str,
    /// The QoS to deliver with: for a broker already the lower of published and granted.
    pub qos: QoS,
    /// The RETAIN flag to send.
    pub retain: bool,
    /// When the message expires.
    pub expires: Option<Instant>,
    /// The identifiers of the subscriptions that it matched.
    pub subscription_ids: &'m [SubscriptionId],
    /// The properties that travel end to end: neither alias, expiry nor subscription identifiers.
    pub properties: Properties<'m>,
    /// Length of the payload in bytes.
    pub payload_len: u32,
}

/// The ordered sequence of messages that wait or are in flight; the owner keeps it, the session holds only places in it.
pub trait Outbox {
    /// The first message at or after `from`.
    fn next(&mut self, from: Seq) -> Option<Seq>;
    /// The message at `seq`, or `None` when the owner has dropped it.
    fn message(&mut self, seq: Seq) -> Option<OutgoingMessage<'_>>;
    /// The session needs the message no longer.
    ///
    /// Called exactly once for every QoS 1 and QoS 2 message, in any order, and for messages of every QoS that are not sent at all
    /// ([`Outcome::Expired`], [`Outcome::TooLarge`]). A QoS 0 message that was sent ends with
    /// [`Output::Publish`](crate::Output::Publish) instead.
    fn done(&mut self, seq: Seq, outcome: Outcome);
    /// The QoS 2 handshake of the message is over.
    fn complete(&mut self, _seq: Seq, _reason: ReasonCode) {}
}

/// Text that only the owner knows and that goes into CONNACK, AUTH or a refusal (5.0 only; ignored before).
#[derive(Clone, Copy, Debug, Default)]
pub struct HandshakeText<'o> {
    /// The client id that the server chose; set exactly when the client sent an empty one [MQTT-3.2.2-16].
    pub assigned_client_id: Option<&'o str>,
    /// Response Information; sent only when the client asked for it [MQTT-3.1.2-28].
    pub response_information: Option<&'o str>,
    /// The authentication method, repeated from CONNECT [MQTT-4.12.0-5].
    pub authentication_method: Option<&'o str>,
    /// Authentication data for the client.
    pub authentication_data: Option<&'o [u8]>,
    /// Another server to use.
    pub server_reference: Option<&'o str>,
    /// A sentence for a person who debugs; sent only while it fits and the client takes it [MQTT-3.2.2-19].
    pub reason_string: Option<&'o str>,
}

/// The owner of a session: keeps its messages, records its changes, knows its limits.
pub trait Owner: Outbox {
    /// `()` without a disk, [`Commit`] with one; the same as the profile's.
    type Gate: Gate;

    /// Notes what a resumed session must remember; the gate opens when that is durable.
    fn record(&mut self, change: Change) -> Self::Gate;
    /// Everything that opens at this gate is durable.
    fn committed(&self) -> Self::Gate;
    /// The limits to hold the peer to and to announce.
    fn limits(&self) -> &Limits;
    /// Text for CONNACK (server only).
    fn handshake_text(&self) -> HandshakeText<'_> {
        HandshakeText::default()
    }
}
