//! What a packet from the peer means to the owner.

use mqtt_codec::{
    Auth, ConnAck, ConnectView, Disconnect, PacketId, Properties, QoS, ReasonCode, ReasonCodes,
    Subscribe, TopicAlias, Unsubscribe,
};
use mqtt_topic::TopicName;

/// Names a received QoS 1 or QoS 2 message until it is [settled](crate::Session::settle).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DeliveryId {
    pub(crate) number: u32,
    pub(crate) id: u16,
    pub(crate) handshake: Handshake,
}

/// What settles a message. Two bytes, so that a [`DeliveryId`] has no gap and is moved in one piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u16)]
pub(crate) enum Handshake {
    PubAck,
    PubRec,
}

impl DeliveryId {
    pub(crate) const fn exactly_once(self) -> bool {
        matches!(self.handshake, Handshake::PubRec)
    }
}

/// The topic of a received message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic<'p> {
    /// In full.
    Name(TopicName<'p>),
    /// An alias that [`Session::topic`](crate::Session::topic) resolves while the connection lasts.
    Alias(TopicAlias),
}

/// A message from the peer, borrowed from its packet.
#[derive(Clone, Copy, Debug)]
pub struct Publication<'p> {
    /// What to settle; `None` at QoS 0.
    pub delivery: Option<DeliveryId>,
    /// The topic.
    pub topic: Topic<'p>,
    /// The QoS that it was sent with.
    pub qos: QoS,
    /// The RETAIN flag.
    pub retain: bool,
    /// The DUP flag; for information only, the session has already used it up.
    pub dup: bool,
    /// All properties (5.0).
    pub properties: Properties<'p>,
    /// The payload, or the first part of it when it arrives in parts.
    pub payload: &'p [u8],
}

/// What a server learns from one packet of its client.
#[derive(Debug)]
pub enum ServerEvent<'p> {
    /// Nothing that the owner has to act on.
    Nothing,
    /// Question: answer with `accept`, `refuse` or `challenge`.
    Connect(ConnectView<'p>),
    /// Question during an authentication exchange: answer with `accept`, `refuse` or `challenge`; when
    /// [`is_connected`](crate::Session::is_connected) it is a re-authentication.
    Auth(Auth<'p>),
    /// A message: settle it when it has a delivery.
    Publication(Publication<'p>),
    /// Question: answer with `answer_subscribe`.
    Subscribe(Subscribe<'p>),
    /// Question: answer with `answer_unsubscribe`.
    Unsubscribe(Unsubscribe<'p>),
    /// The client says goodbye: close the connection.
    Disconnect(Disconnect<'p>),
}

/// What a client learns from one packet of its server.
#[derive(Debug)]
pub enum ClientEvent<'p> {
    /// Nothing that the owner has to act on.
    Nothing,
    /// The connection is there. `session_present` says whether the server still had the session; if it had not, what was in flight is
    /// sent anew and subscriptions have to be made again.
    Connected(ConnAck<'p>),
    /// The server refused: the connection closes.
    Refused(ConnAck<'p>),
    /// The server wants more authentication data, or (reason 0) has accepted a re-authentication.
    Auth(Auth<'p>),
    /// A message: settle it when it has a delivery.
    Publication(Publication<'p>),
    /// The answer to the SUBSCRIBE with this id: one code for each filter, in their order.
    Subscribed(PacketId, ReasonCodes<'p>, Properties<'p>),
    /// The answer to the UNSUBSCRIBE with this id; no codes before 5.0.
    Unsubscribed(PacketId, ReasonCodes<'p>, Properties<'p>),
    /// The server says why it closes the connection (5.0).
    Disconnect(Disconnect<'p>),
}

/// What [`poll_output`](crate::Session::poll_output) did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Output {
    /// Nothing to write now.
    Idle,
    /// One packet was written, or messages that cannot be sent were ended; there may be more to do.
    Wrote,
    /// The head of a PUBLISH was written: append the payload of message `seq` before the next call.
    Publish {
        /// Which message.
        seq: crate::Seq,
        /// QoS 0: the message has ended, drop it once its payload is written.
        last_use: bool,
    },
    /// The buffer has no room for the next packet: write it out, then call again.
    Full,
    /// Write out what there is, then close the connection.
    Close,
}

/// What is left when a connection has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed {
    /// Server: when to publish the will, unless the session is resumed before; `None` when there is none to publish.
    pub will_due: Option<crate::Instant>,
    /// When the session ends.
    pub expires: Expires,
}

/// When a session without a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expires {
    /// With its connection.
    Now,
    /// At this instant [MQTT-4.1.0-2].
    At(crate::Instant),
    /// Never: an interval of 0xFFFFFFFF, and every kept session before 5.0.
    Never,
}

/// The verdict of a server on CONNECT.
#[derive(Clone, Copy, Debug)]
pub struct Accept<G> {
    /// Whether an earlier session goes on; ignored when the client wants a clean start [MQTT-3.2.2-2].
    pub session_present: bool,
    /// Replaces the client's keep-alive, in seconds [MQTT-3.1.2-21]; before 5.0 it binds the server only.
    pub server_keep_alive: Option<u16>,
    /// Session expiry in seconds where it differs from what the client asked for.
    pub session_expiry: Option<u32>,
    /// Opens when what CONNACK says about the session is durable.
    pub kept: G,
}

/// The return code of SUBACK before 5.0: every refusal is 0x80 [3.1.1:MQTT-3.9.3-2].
pub(crate) const fn v3_subscribe_code(code: ReasonCode) -> u8 {
    if code.is_error() { 0x80 } else { code.0 }
}
