//! What can go wrong when reading and when writing.

use core::fmt;

use crate::RuleId;

/// Bytes that break a rule of the protocol: which rule, and where.
///
/// At most eight bytes and `Copy`. The sentence, the statement of the specification and the reason code to
/// answer with are look-ups on [`rule`](Self::rule), linked only where they are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DecodeError {
    /// The broken rule.
    pub rule: RuleId,
    /// Offset of the offending byte or field from the start of the packet.
    pub at: u32,
}

const _: () = assert!(size_of::<DecodeError>() <= 8);

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let statement = self.rule.statement(crate::Version::V5);
        write!(
            f,
            "byte {}: {} [{statement}]",
            self.at,
            self.rule.sentence()
        )
    }
}

impl core::error::Error for DecodeError {}

/// Why a packet was not written. Nothing that was written before the error is a valid packet.
///
/// Where several reasons hold, one is told: `encode` measures before it looks into texts and long fields,
/// so that `TooSmall`, or `TooLong` for a packet that no length can say, comes first; `encode_to`, which
/// leaves nothing behind, looks first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EncodeError {
    /// The buffer is too small.
    TooSmall {
        /// Bytes the packet takes.
        needed: usize,
    },
    /// A string or binary field above 65,535 bytes, or a packet above 268,435,455.
    TooLong,
    /// A string holds U+0000 [MQTT-1.5.4-2].
    NulInString,
    /// The protocol version has no way to say this, and leaving it out would change its meaning.
    NotInVersion,
    /// A property that this packet may not carry, carries twice, or with a forbidden value.
    InvalidProperty,
    /// A reason code that this packet may not carry.
    InvalidReason,
    /// DUP on a QoS 0 PUBLISH [MQTT-3.3.1-2].
    DupAtMostOnce,
    /// A PUBLISH with neither a topic name nor a topic alias.
    EmptyTopic,
    /// A SUBSCRIBE or UNSUBSCRIBE without a filter, or the answer to one without a reason code.
    Empty,
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooSmall { needed } => return write!(f, "the packet takes {needed} bytes"),
            Self::TooLong => "a field or the packet is longer than its length can say",
            Self::NulInString => "a string holds the character U+0000",
            Self::NotInVersion => "the protocol version cannot express this",
            Self::InvalidProperty => "a property is not allowed here, repeated or out of range",
            Self::InvalidReason => "the reason code is not one of this packet",
            Self::DupAtMostOnce => "the DUP flag is set on a QoS 0 message",
            Self::EmptyTopic => "the topic is empty and there is no alias for it",
            Self::Empty => "the list of filters or reason codes is empty",
        })
    }
}

impl core::error::Error for EncodeError {}
