//! What went wrong: the peer broke a rule ([`Violation`]), or our own caller did ([`Misuse`]).

use core::fmt;

use mqtt_codec::{DecodeError, ReasonCode, Version};

/// The peer broke a rule: the connection ends.
///
/// The session has already decided how: keep polling its output, which writes the DISCONNECT or CONNACK that answers (if any does)
/// and then says [`Output::Close`](crate::Output::Close).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    /// The bytes of a packet are wrong.
    Bytes(DecodeError),
    /// The packet is well-formed, but not allowed here and now.
    Rule(Rule),
}

impl Violation {
    /// The reason code that answers it in 5.0.
    #[must_use]
    pub fn reason_code(&self) -> ReasonCode {
        match self {
            Self::Bytes(error) => error.rule.reason_code(),
            Self::Rule(rule) => rule.reason_code(),
        }
    }

    /// One sentence for a person.
    #[must_use]
    pub fn sentence(&self) -> &'static str {
        match self {
            Self::Bytes(error) => error.rule.sentence(),
            Self::Rule(rule) => rule.sentence(),
        }
    }

    /// The statement of the specification that was broken, in the words of `version`.
    #[must_use]
    pub fn statement(&self, version: Version) -> &'static str {
        match self {
            Self::Bytes(error) => error.rule.statement(version),
            Self::Rule(rule) => rule.statement(version),
        }
    }

    /// For a log: where in the packet if known, what is wrong, and the statement in the words of the `version` that the connection speaks.
    #[must_use]
    pub const fn in_words_of(self, version: Version) -> impl fmt::Display {
        Worded(self, version)
    }
}

/// In the words of 5.0; [`in_words_of`](Violation::in_words_of) another version.
impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.in_words_of(Version::V5).fmt(f)
    }
}

/// A violation, and the version whose text is cited.
struct Worded(Violation, Version);

impl fmt::Display for Worded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(violation, version) = self;
        if let Violation::Bytes(error) = violation {
            write!(f, "byte {}: ", error.at)?;
        }
        let (sentence, statement) = (violation.sentence(), violation.statement(*version));
        write!(f, "{sentence} [{statement}]")
    }
}

impl core::error::Error for Violation {}

impl From<DecodeError> for Violation {
    fn from(error: DecodeError) -> Self {
        Self::Bytes(error)
    }
}

impl From<Rule> for Violation {
    fn from(rule: Rule) -> Self {
        Self::Rule(rule)
    }
}

macro_rules! rules {
    ($($(#[$doc:meta])* $name:ident, $v3:literal, $v5:literal, $reason:ident, $sentence:literal;)+) => {
        /// A rule about the order and the content of packets that a peer can break.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Rule {
            $(#[doc = $sentence] $(#[$doc])* $name,)+
        }

        impl Rule {
            /// Every rule.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The reason code that answers it in 5.0.
            #[must_use]
            pub const fn reason_code(self) -> ReasonCode {
                match self { $(Self::$name => ReasonCode::$reason,)+ }
            }

            /// The statement of the specification, in the words of `version`; a section where no statement says it.
            #[must_use]
            pub const fn statement(self, version: Version) -> &'static str {
                match self { $(Self::$name => if version.is_v5() { $v5 } else { $v3 },)+ }
            }

            /// One sentence for a person.
            #[must_use]
            pub const fn sentence(self) -> &'static str {
                match self { $(Self::$name => $sentence,)+ }
            }
        }
    };
}

rules! {
    ConnectFirst, "MQTT-3.1.0-1", "MQTT-3.1.0-1", PROTOCOL_ERROR, "the first packet of a client is CONNECT";
    SecondConnect, "MQTT-3.1.0-2", "MQTT-3.1.0-2", PROTOCOL_ERROR, "a client sends CONNECT once";
    ConnAckFirst, "MQTT-3.2.0-1", "MQTT-3.2.0-1", PROTOCOL_ERROR, "the first packet of a server is CONNACK";
    SecondConnAck, "MQTT-3.2.0-1", "MQTT-3.2.0-2", PROTOCOL_ERROR, "a server sends CONNACK once";
    VersionNotSpoken, "MQTT-3.1.2-2", "MQTT-3.1.2-2", UNSUPPORTED_PROTOCOL_VERSION, "this version of MQTT is not spoken here";
    EmptyClientId, "MQTT-3.1.3-8", "MQTT-3.1.3-8", CLIENT_IDENTIFIER_NOT_VALID, "an empty client id needs a clean session";
    WillTopic, "MQTT-4.7.1-1", "MQTT-4.7.0-1", TOPIC_NAME_INVALID, "the will topic is not a topic name";
    WillQoSNotSupported, "V5-section-3.2.2.3.4", "MQTT-3.2.2-12", QOS_NOT_SUPPORTED, "the will's QoS is above the maximum";
    WillRetainNotSupported, "V5-section-3.2.2.3.5", "MQTT-3.2.2-13", RETAIN_NOT_SUPPORTED, "the will is retained, which is not available";
    UnexpectedSession, "MQTT-3.2.2-1", "MQTT-3.2.2-4", PROTOCOL_ERROR, "the server claims a session that the client does not have";
    TopicName, "MQTT-3.3.2-2", "MQTT-3.3.2-2", TOPIC_NAME_INVALID, "the topic is not a topic name, or has too many levels";
    TopicFilter, "MQTT-4.7.1-2", "MQTT-4.7.1-1", TOPIC_FILTER_INVALID, "the topic filter is not valid, or has too many levels";
    NoLocalOnShared, "V5-section-3.8.3.1", "MQTT-3.8.3-4", PROTOCOL_ERROR, "No Local is set on a shared subscription";
    QoSNotSupported, "V5-section-3.2.2.3.4", "MQTT-3.2.2-11", QOS_NOT_SUPPORTED, "the QoS is above the announced maximum";
    RetainNotSupported, "V5-section-3.2.2.3.5", "MQTT-3.2.2-14", RETAIN_NOT_SUPPORTED, "retained messages are not available";
    ReceiveMaximumExceeded, "V5-section-3.3.4", "MQTT-3.3.4-7", RECEIVE_MAXIMUM_EXCEEDED, "more messages are unacknowledged than Receive Maximum allows";
    TopicAliasRange, "V5-section-3.3.2.3.4", "MQTT-3.3.2-9", TOPIC_ALIAS_INVALID, "the topic alias is above the announced maximum";
    TopicAliasUnknown, "V5-section-3.3.2.3.4", "MQTT-3.3.2-7", PROTOCOL_ERROR, "the topic alias stands for nothing on this connection";
    AliasTopicTooLong, "V5-section-3.3.2.3.4", "MQTT-3.3.2-12", QUOTA_EXCEEDED, "the aliased topic is longer than this receiver stores";
    ReleaseTooEarly, "MQTT-4.3.3-1", "MQTT-4.3.3-4", PROTOCOL_ERROR, "PUBREL came before PUBREC was sent";
    WrongAcknowledgement, "MQTT-4.3.2-1", "MQTT-4.3.2-3", PROTOCOL_ERROR, "the acknowledgement is not the one that the message's QoS asks for";
    UnknownSubAck, "MQTT-3.8.4-2", "MQTT-3.8.4-2", PROTOCOL_ERROR, "SUBACK or UNSUBACK has a packet id that nothing waits for";
    SubAckCount, "MQTT-3.8.4-5", "MQTT-3.8.4-6", PROTOCOL_ERROR, "SUBACK has not one reason code for each filter";
    SessionExpiryRaised, "V5-section-3.14.2.2.2", "V5-section-3.14.2.2.2", PROTOCOL_ERROR, "a session that expires at once cannot be kept by DISCONNECT";
    AuthUnexpected, "V5-section-3.15", "MQTT-4.12.0-6", PROTOCOL_ERROR, "AUTH without an exchange that asks for it";
    AuthMethodChanged, "V5-section-4.12", "MQTT-4.12.1-1", PROTOCOL_ERROR, "the authentication method is not that of CONNECT";
    UnexpectedPacket, "MQTT-4.8.0-1", "MQTT-4.13.1-1", PROTOCOL_ERROR, "the packet is not allowed before the handshake is over";
    KeepAliveTimeout, "MQTT-3.1.2-24", "MQTT-3.1.2-22", KEEP_ALIVE_TIMEOUT, "nothing was received for one and a half times the keep-alive";
    ConnectTimeout, "MQTT-3.1.4-1", "MQTT-3.1.4-1", UNSPECIFIED_ERROR, "the handshake took too long";
    PingTimeout, "MQTT-3.1.2-23", "V5-section-3.1.2.10", UNSPECIFIED_ERROR, "PINGRESP did not come in time";
    TooManyAnswers, "MQTT-4.8.0-1", "V5-section-4.13", QUOTA_EXCEEDED, "more requests are unanswered than this end remembers";
}

/// Our own caller asked for what is not possible here and now; nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Misuse {
    /// The connection is not in the state that the call needs.
    NotNow,
    /// The buffer has no room for the packet: write out, then call again.
    Full,
    /// The packet is larger than the peer takes.
    TooLarge,
    /// The peer, or this version of MQTT, has no such thing.
    NotSupported,
    /// A topic name or filter is not valid.
    Topic,
    /// Every packet id, or every place of a fixed table, is taken.
    Exhausted,
    /// The number of reason codes is not that of the filters.
    Count,
    /// The packet cannot be encoded: a field is too long or does not belong there.
    Encode,
}

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotNow => "the connection is not in the state that this needs",
            Self::Full => "the output buffer has no room for the packet",
            Self::TooLarge => "the packet is larger than the peer takes",
            Self::NotSupported => "the peer or this version of MQTT does not support it",
            Self::Topic => "the topic is not valid",
            Self::Exhausted => "no packet id or table entry is free",
            Self::Count => "there is not one reason code for each filter",
            Self::Encode => "the packet cannot be encoded",
        })
    }
}

impl core::error::Error for Misuse {}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::ToString;

    use super::*;

    /// Whoever looks up what a 3.1.1 client did wrong needs the statement of 3.1.1.
    #[test]
    fn a_violation_cites_the_text_of_its_version() {
        let silence = Violation::from(Rule::KeepAliveTimeout);
        let said = "nothing was received for one and a half times the keep-alive";
        for (version, statement) in [
            (Version::V31, "MQTT-3.1.2-24"),
            (Version::V311, "MQTT-3.1.2-24"),
            (Version::V5, "MQTT-3.1.2-22"),
        ] {
            assert_eq!(
                silence.in_words_of(version).to_string(),
                format!("{said} [{statement}]")
            );
        }
        let bytes = mqtt_codec::Decoder::new(Version::V311).from_client(&[0x32, 4, 0, 0, 0, 0]);
        let error = bytes.unwrap_err();
        let violation = Violation::from(error);
        assert_eq!(violation.to_string(), error.to_string());
        let statement = error.rule.statement(Version::V311);
        let worded = violation.in_words_of(Version::V311).to_string();
        assert!(worded.ends_with(&format!(" [{statement}]")), "{worded}");
    }

    #[test]
    fn every_rule_has_a_statement_and_an_error_code() {
        for rule in Rule::ALL {
            for version in [Version::V311, Version::V5] {
                let statement = rule.statement(version);
                assert!(
                    statement.starts_with("MQTT-") || statement.starts_with("V5-section-"),
                    "{rule:?}"
                );
            }
            assert!(rule.reason_code().is_error(), "{rule:?}");
        }
    }
}
