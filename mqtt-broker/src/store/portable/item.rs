//! What a store holds, as plain values: the lines of an export.

use core::fmt;

use mqtt_codec::{PacketId, QoS, SubscriptionId, SubscriptionOptions};
use serde::{Deserialize, Serialize};

use super::message::{Message, MessageRef};
use super::text::{self, QueuedText, SubscriptionText};
use super::time::Time;

/// One thing that a store holds.
///
/// A sequence of them makes a store when names come first: a session before what is of it, the subscription of a group's member before what
/// waits for the group, a message with a number before what refers to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Item {
    /// A retained message.
    Retained(Retained),
    /// A session.
    Session(Session),
    /// The will of a session.
    Will(Will),
    /// A subscription of a session.
    Subscription(Subscription),
    /// A copy of a message that waits for a session or a group.
    Queued(Queued),
    /// An unfinished QoS 2 handshake of a session whose message is not in its queue.
    Handshake(Handshake),
}

impl Item {
    /// The key under which it stands in a line.
    #[must_use]
    pub const fn key(&self) -> &'static str {
        match self {
            Self::Retained(_) => "retained",
            Self::Session(_) => "session",
            Self::Will(_) => "will",
            Self::Subscription(_) => "subscription",
            Self::Queued(_) => "queued",
            Self::Handshake(_) => "handshake",
        }
    }
}

/// A retained message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retained {
    /// What.
    pub message: MessageRef,
}

/// A session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Session {
    /// Whose.
    pub client_id: String,
    /// The user that its client named last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_name: Option<String>,
    /// How long it outlives its connection.
    #[serde(default)]
    pub expiry: Expiry,
    /// It is a bridge of 3.1.1.
    #[serde(default, skip_serializing_if = "text::is_false")]
    pub bridge: bool,
    /// The client knows of it: it has sent something after its CONNECT.
    #[serde(default, skip_serializing_if = "text::is_false")]
    pub used: bool,
    /// It had a connection when this was written: its expiry counts from the next start of a broker.
    #[serde(default, skip_serializing_if = "text::is_false")]
    pub connected: bool,
    /// When it ends, where that is known: not while it is connected, and not for one that never ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends: Option<Time>,
}

/// How long a session outlives its connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Expiry {
    /// For so many seconds; never `u32::MAX`.
    After(u32),
    /// For ever.
    #[default]
    Never,
}

impl Expiry {
    /// From the Session Expiry Interval of MQTT 5.0, in which `u32::MAX` is for ever.
    #[must_use]
    pub const fn from_interval(seconds: u32) -> Self {
        match seconds {
            u32::MAX => Self::Never,
            seconds => Self::After(seconds),
        }
    }

    /// The Session Expiry Interval of MQTT 5.0.
    #[must_use]
    pub const fn interval(self) -> u32 {
        match self {
            Self::After(seconds) => seconds,
            Self::Never => u32::MAX,
        }
    }
}

/// A subscription of a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "SubscriptionText", into = "SubscriptionText")]
pub struct Subscription {
    /// Whose.
    pub client_id: String,
    /// To what, `$share/group/` included.
    pub filter: String,
    /// How.
    pub options: SubscriptionOptions,
    /// The subscription identifier.
    pub id: Option<SubscriptionId>,
    /// Retained messages are still on their way to it; these topics had their turn.
    pub retained_sent: Option<Vec<String>>,
}

/// The will of a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Will {
    /// Whose.
    pub client_id: String,
    /// What; without a time at which it expires.
    pub message: Message,
    /// Its Message Expiry Interval in seconds, which counts from its publication.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_expiry: Option<u32>,
    /// The Will Delay Interval in seconds.
    #[serde(default, skip_serializing_if = "text::is_zero")]
    pub delay: u32,
    /// When it is published, unless the client comes back; not while the session is connected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Time>,
}

/// A copy of a message that waits for a session, or for any member of a group. Copies for the same receiver stand in the order in which
/// they are to be delivered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "QueuedText")]
pub struct Queued {
    /// For whom.
    #[serde(flatten)]
    pub receiver: Receiver,
    /// 1 or 2: the lower of published and granted.
    #[serde(with = "text::qos")]
    pub qos: QoS,
    /// The RETAIN flag of this copy.
    #[serde(skip_serializing_if = "text::is_false")]
    pub retain: bool,
    /// The subscription identifiers of this copy.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub subscription_ids: Vec<SubscriptionId>,
    /// The group that chose this session, as `$share/group/filter`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chosen_by: Option<String>,
    /// QoS 2: it was sent with this packet id, and PUBREC has not come.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sent: Option<PacketId>,
    /// What.
    pub message: MessageRef,
}

/// For whom a copy of a message waits.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Receiver {
    /// A session, by its client id.
    #[serde(rename = "client_id")]
    Client(String),
    /// Any member of a group, by `$share/group/filter`.
    #[serde(rename = "group")]
    Group(String),
}

impl fmt::Display for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client(id) => write!(f, "client {id:?}"),
            Self::Group(filter) => write!(f, "group {filter:?}"),
        }
    }
}

/// An unfinished QoS 2 handshake whose message is not in the session's queue: it has not come there, or is there no longer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Handshake {
    /// Whose.
    pub client_id: String,
    /// The id of its PUBLISH.
    pub packet_id: PacketId,
    /// How far it has come.
    pub state: HandshakeState,
}

/// How far a handshake has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HandshakeState {
    /// From the client: its message was taken, its PUBREL is awaited.
    Received,
    /// To the client: it has the message, our PUBREL is due or its PUBCOMP is awaited. These stand in the order of PUBREC.
    Releasing,
}
