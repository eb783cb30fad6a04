//! What can go wrong, by what was asked for.

use std::io;
use std::sync::Arc;

use mqtt_codec::{DecodeError, ReasonCode};
use mqtt_session::{Misuse, Violation};
use mqtt_topic::{TopicFilterError, TopicNameError};

use crate::address::Address;

/// Why there is no connection, or no longer.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectionError {
    /// The transport could not be opened.
    #[error("cannot connect to {address}")]
    Connect {
        /// Where to.
        address: Address,
        /// Why not.
        source: Arc<io::Error>,
    },
    /// The transport, or CONNACK, took too long.
    #[error("no answer from {address} in time")]
    TimedOut {
        /// From whom.
        address: Address,
    },
    /// The server refused the connection with CONNACK.
    #[error("the server refused the connection: {reason}{}", said(.text))]
    Refused {
        /// Its reason.
        reason: ReasonCode,
        /// Its words, if it had any (5.0).
        text: Option<Box<str>>,
        /// Another server to use (5.0).
        server_reference: Option<Box<str>>,
    },
    /// The server said why it closes the connection (5.0).
    #[error("the server closed the connection: {reason}{}", said(.text))]
    Disconnected {
        /// Its reason.
        reason: ReasonCode,
        /// Its words, if it had any.
        text: Option<Box<str>>,
        /// Another server to use.
        server_reference: Option<Box<str>>,
    },
    /// The server closed the connection without a word.
    #[error("the server closed the connection")]
    Ended,
    /// The transport failed.
    #[error("the connection broke")]
    Io(#[source] Arc<io::Error>),
    /// The server broke a rule of the protocol, or was silent for too long.
    #[error("the server broke a rule of the protocol")]
    Violation(#[source] Violation),
    /// CONNECT cannot be written with these options, see [`OptionsError`].
    #[error(transparent)]
    Options(#[from] OptionsError),
}

fn said(text: &Option<Box<str>>) -> String {
    text.as_ref()
        .map_or_else(String::new, |text| format!(" ({text})"))
}

/// Options that cannot go together, or into a CONNECT of their version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OptionsError {
    /// The topic of the will is not a topic name.
    #[error("the will's topic is not valid")]
    WillTopic(#[source] TopicNameError),
    /// The properties of the will are not valid.
    #[error("the properties of the will are not valid")]
    WillProperties(#[source] DecodeError),
    /// Something else: a text that is too long, or (before 5.0) a password without a user name.
    #[error(
        "CONNECT cannot carry these options: a text is too long, or the version does not know it (before 5.0 a password needs a user name)"
    )]
    Connect(#[source] Misuse),
}

/// Why a message was not delivered to the server.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The topic is not a topic name.
    #[error("the topic is not valid")]
    Topic(#[from] TopicNameError),
    /// The properties are too long or contradict each other.
    #[error("the message's properties are not valid")]
    Properties(#[source] DecodeError),
    /// The payload is longer than any packet: 268,435,455 bytes.
    #[error("the payload is longer than a packet can be")]
    PayloadTooLong,
    /// The queue of outgoing messages is full ([`try_publish`](crate::Client::try_publish)).
    #[error("the queue of outgoing messages is full")]
    QueueFull,
    /// A newer message took its place in the full queue ([`WhenFull::DropOldest`](crate::WhenFull::DropOldest)).
    #[error("the message was dropped for a newer one because the queue is full")]
    Dropped,
    /// The server refused it (5.0), or does not support its QoS or RETAIN.
    #[error("the server refused the message: {0}")]
    Refused(ReasonCode),
    /// It expired before it could be sent.
    #[error("the message expired before it could be sent")]
    Expired,
    /// It is larger than the server takes.
    #[error("the message is larger than the server takes")]
    TooLarge,
    /// QoS 0: the connection broke while it was being written; it may or may not have arrived.
    #[error("the connection broke while the message was being written")]
    ConnectionLost,
    /// The client has ended, or is ending.
    #[error("the client has ended")]
    Closed,
}

/// Why there is no subscription.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SubscribeError {
    /// A filter is not valid.
    #[error("the topic filter {filter:?} is not valid")]
    Filter {
        /// Which one.
        filter: Box<str>,
        /// What is wrong with it.
        source: TopicFilterError,
    },
    /// There was no filter at all.
    #[error("a subscription needs a topic filter")]
    NoFilter,
    /// The server refused every filter.
    #[error("the server refused the subscription: {}", .0.first().copied().unwrap_or(ReasonCode::UNSPECIFIED_ERROR))]
    Refused(Vec<ReasonCode>),
    /// The request cannot be made of this server, or in this version of MQTT.
    #[error("the subscription cannot be made of this server or in this version of MQTT")]
    NotPossible(#[source] Misuse),
    /// The client has ended, or is ending.
    #[error("the client has ended")]
    Closed,
}

/// Why [`Client::disconnect`](crate::Client::disconnect) was not clean.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DisconnectError {
    /// Messages were still not acknowledged when the time was over; they are lost with the client.
    #[error("{0} messages were not acknowledged in time")]
    Unsent(usize),
    /// DISCONNECT cannot carry these options; the connection was closed with a plain one.
    #[error("DISCONNECT cannot carry these options")]
    NotPossible(#[source] Misuse),
    /// The client had ended before.
    #[error("the client has ended")]
    Closed,
}
