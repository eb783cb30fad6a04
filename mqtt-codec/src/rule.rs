//! The rules a decoder enforces, one row each: statement of each version, reason code, sentence.

use crate::{ReasonCode, Version};

macro_rules! rules {
    ($($name:ident $reason:ident [$v31:literal $v311:literal $v5:literal] $sentence:literal;)*) => {
        /// A rule of the protocol that received bytes can break.
        ///
        /// Each has a sentence, the statement it comes from in each version of the specification, and
        /// the reason code an MQTT 5.0 peer is told. In MQTT 3.1 and 3.1.1 the answer to a broken
        /// rule is to close the connection; only for an unsupported protocol level is a CONNACK sent.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        #[repr(u8)]
        pub enum RuleId {
            $(#[doc = concat!($sentence, " [", $v5, "]")] $name,)*
        }

        impl RuleId {
            /// Every rule, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The reason code for a DISCONNECT or CONNACK that answers the broken rule.
            pub const fn reason_code(self) -> ReasonCode {
                match self {
                    $(Self::$name => ReasonCode::$reason,)*
                }
            }

            /// The statement of the specification, for instance `MQTT-1.5.4-1`.
            ///
            /// Where a version has no numbered statement: `V31-section-n`, `V311-section-n` or
            /// `V5-section-n` for its section n. A rule of 5.0 only has the same text for all.
            pub const fn statement(self, version: Version) -> &'static str {
                match self {
                    $(Self::$name => match version {
                        Version::V31 => $v31,
                        Version::V311 => $v311,
                        Version::V5 => $v5,
                    },)*
                }
            }

            /// What is wrong, in lower case and without a full stop.
            pub const fn sentence(self) -> &'static str {
                match self {
                    $(Self::$name => $sentence,)*
                }
            }

            /// The name of the variant, for tables and logs.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }
        }
    };
}

rules! {
    // Frames.
    PacketTypeReserved MALFORMED_PACKET ["V31-section-2.1" "V311-section-2.2.1" "V5-section-2.1.2"] "packet type does not exist in this version";
    PacketFromWrongSide PROTOCOL_ERROR ["V31-section-2.1" "V311-section-2.2.1" "V5-section-2.1.2"] "packet type is not sent in this direction";
    HeaderFlags MALFORMED_PACKET ["V31-section-2.6" "MQTT-2.2.2-2" "MQTT-2.1.3-1"] "reserved flags of the fixed header are not at their fixed value";
    PubRelFlags MALFORMED_PACKET ["V31-section-3.6" "MQTT-3.6.1-1" "MQTT-3.6.1-1"] "flags of PUBREL are not 0010";
    SubscribeFlags MALFORMED_PACKET ["V31-section-3.8" "MQTT-3.8.1-1" "MQTT-3.8.1-1"] "flags of SUBSCRIBE are not 0010";
    UnsubscribeFlags MALFORMED_PACKET ["V31-section-3.10" "MQTT-3.10.1-1" "MQTT-3.10.1-1"] "flags of UNSUBSCRIBE are not 0010";
    DisconnectFlags MALFORMED_PACKET ["V31-section-3.14" "MQTT-3.14.1-1" "MQTT-3.14.1-1"] "flags of DISCONNECT are not 0000";
    AuthFlags MALFORMED_PACKET ["MQTT-3.15.1-1" "MQTT-3.15.1-1" "MQTT-3.15.1-1"] "flags of AUTH are not 0000";
    VarIntTooLong MALFORMED_PACKET ["V31-section-2.1" "V311-section-2.2.3" "V5-section-1.5.5"] "variable byte integer is longer than four bytes";
    VarIntNotShortest MALFORMED_PACKET ["V31-section-2.1" "V311-section-2.2.3" "MQTT-1.5.5-1"] "variable byte integer is not in its shortest form";
    PacketTooLarge PACKET_TOO_LARGE ["V31-section-2.1" "V311-section-2.2.3" "V5-section-3.1.2.11.4"] "packet is larger than the receiver accepts";
    Truncated MALFORMED_PACKET ["V31-section-2.1" "MQTT-4.8.0-1" "MQTT-4.13.1-1"] "field runs past the end of the packet";
    TrailingBytes MALFORMED_PACKET ["V31-section-2.1" "MQTT-4.8.0-1" "MQTT-4.13.1-1"] "packet goes on after its last field";
    // Fields.
    Utf8Invalid MALFORMED_PACKET ["V31-section-2.5" "MQTT-1.5.3-1" "MQTT-1.5.4-1"] "string is not valid UTF-8";
    NulInString MALFORMED_PACKET ["V31-section-2.5" "MQTT-1.5.3-2" "MQTT-1.5.4-2"] "string contains U+0000";
    PacketIdZero PROTOCOL_ERROR ["V31-section-2.4" "MQTT-2.3.1-1" "MQTT-2.2.1-3"] "packet identifier is zero";
    // Properties.
    PropertyUnknown MALFORMED_PACKET ["V5-section-2.2.2.2" "V5-section-2.2.2.2" "V5-section-2.2.2.2"] "property identifier is unknown";
    PropertyNotAllowed MALFORMED_PACKET ["V5-section-2.2.2.2" "V5-section-2.2.2.2" "V5-section-2.2.2.2"] "property does not belong in this packet";
    PropertyRepeated PROTOCOL_ERROR ["V5-section-2.2.2.2" "V5-section-2.2.2.2" "V5-section-2.2.2.2"] "property is there twice";
    PropertyByteRange PROTOCOL_ERROR ["V5-section-2.2.2.2" "V5-section-2.2.2.2" "V5-section-2.2.2.2"] "property of one byte is neither 0 nor 1";
    TooManyUserProperties QUOTA_EXCEEDED ["V5-section-2.2.2.2" "V5-section-2.2.2.2" "V5-section-2.2.2.2"] "more user properties than the receiver accepts";
    ReceiveMaximumZero PROTOCOL_ERROR ["V5-section-3.1.2.11.3" "V5-section-3.1.2.11.3" "V5-section-3.1.2.11.3"] "receive maximum is zero";
    MaximumPacketSizeZero PROTOCOL_ERROR ["V5-section-3.1.2.11.4" "V5-section-3.1.2.11.4" "V5-section-3.1.2.11.4"] "maximum packet size is zero";
    TopicAliasZero TOPIC_ALIAS_INVALID ["MQTT-3.3.2-8" "MQTT-3.3.2-8" "MQTT-3.3.2-8"] "topic alias is zero";
    SubscriptionIdZero PROTOCOL_ERROR ["V5-section-3.8.2.1.2" "V5-section-3.8.2.1.2" "V5-section-3.8.2.1.2"] "subscription identifier is zero";
    SubscriptionIdFromClient PROTOCOL_ERROR ["MQTT-3.3.4-6" "MQTT-3.3.4-6" "MQTT-3.3.4-6"] "subscription identifier in a PUBLISH from a client";
    SessionExpiryFromServer PROTOCOL_ERROR ["MQTT-3.14.2-2" "MQTT-3.14.2-2" "MQTT-3.14.2-2"] "session expiry interval in a DISCONNECT from a server";
    ResponseTopicWildcard PROTOCOL_ERROR ["MQTT-3.3.2-14" "MQTT-3.3.2-14" "MQTT-3.3.2-14"] "response topic contains a wildcard";
    ResponseTopicEmpty PROTOCOL_ERROR ["MQTT-4.7.3-1" "MQTT-4.7.3-1" "MQTT-4.7.3-1"] "response topic is empty";
    AuthenticationDataAlone PROTOCOL_ERROR ["V5-section-3.1.2.11.10" "V5-section-3.1.2.11.10" "V5-section-3.1.2.11.10"] "authentication data without an authentication method";
    AuthenticationMethodMissing PROTOCOL_ERROR ["V5-section-3.15.2.2.2" "V5-section-3.15.2.2.2" "V5-section-3.15.2.2.2"] "AUTH without an authentication method";
    // CONNECT.
    ProtocolName UNSUPPORTED_PROTOCOL_VERSION ["V31-section-3.1" "MQTT-3.1.2-1" "MQTT-3.1.2-1"] "protocol name is neither MQTT nor MQIsdp";
    ProtocolLevel UNSUPPORTED_PROTOCOL_VERSION ["V31-section-3.1" "MQTT-3.1.2-2" "MQTT-3.1.2-2"] "protocol level is not supported";
    ConnectReservedFlag MALFORMED_PACKET ["V31-section-3.1" "MQTT-3.1.2-3" "MQTT-3.1.2-3"] "reserved flag of CONNECT is set";
    WillQoSWithoutWill MALFORMED_PACKET ["V31-section-3.1" "MQTT-3.1.2-13" "MQTT-3.1.2-11"] "will QoS without a will";
    WillRetainWithoutWill MALFORMED_PACKET ["V31-section-3.1" "MQTT-3.1.2-15" "MQTT-3.1.2-13"] "will retain flag without a will";
    WillQoS MALFORMED_PACKET ["V31-section-3.1" "MQTT-3.1.2-14" "MQTT-3.1.2-12"] "will QoS is 3";
    PasswordWithoutUserName MALFORMED_PACKET ["V31-section-3.1" "MQTT-3.1.2-22" "V5-section-3.1.2.9"] "password without a user name";
    // CONNACK.
    ConnAckFlags MALFORMED_PACKET ["V31-section-3.2" "V311-section-3.2.2.1" "MQTT-3.2.2-1"] "reserved flag of CONNACK is set";
    ConnAckReason PROTOCOL_ERROR ["V31-section-3.2" "V311-section-3.2.2.3" "MQTT-3.2.2-8"] "code of CONNACK is not in the table";
    // PUBLISH and its answers.
    PublishQoS MALFORMED_PACKET ["V31-section-2.1" "MQTT-3.3.1-4" "MQTT-3.3.1-4"] "QoS of PUBLISH is 3";
    DupAtMostOnce MALFORMED_PACKET ["V31-section-2.1" "MQTT-3.3.1-2" "MQTT-3.3.1-2"] "DUP is set on a QoS 0 PUBLISH";
    EmptyTopicWithoutAlias PROTOCOL_ERROR ["V5-section-3.3.2.1" "V5-section-3.3.2.1" "V5-section-3.3.2.1"] "PUBLISH has neither a topic name nor a topic alias";
    PubAckReason PROTOCOL_ERROR ["MQTT-3.4.2-1" "MQTT-3.4.2-1" "MQTT-3.4.2-1"] "reason code of PUBACK is not in the table";
    PubRecReason PROTOCOL_ERROR ["MQTT-3.5.2-1" "MQTT-3.5.2-1" "MQTT-3.5.2-1"] "reason code of PUBREC is not in the table";
    PubRelReason PROTOCOL_ERROR ["MQTT-3.6.2-1" "MQTT-3.6.2-1" "MQTT-3.6.2-1"] "reason code of PUBREL is not in the table";
    PubCompReason PROTOCOL_ERROR ["MQTT-3.7.2-1" "MQTT-3.7.2-1" "MQTT-3.7.2-1"] "reason code of PUBCOMP is not in the table";
    // Subscriptions.
    SubscribeEmpty PROTOCOL_ERROR ["V31-section-3.8" "MQTT-3.8.3-3" "MQTT-3.8.3-2"] "SUBSCRIBE has no filter";
    SubscriptionOptionsReserved MALFORMED_PACKET ["V31-section-3.8" "MQTT-3.8.3-4" "MQTT-3.8.3-5"] "reserved bits of the subscription options are set";
    SubscriptionQoS PROTOCOL_ERROR ["V31-section-3.8" "MQTT-3.8.3-4" "V5-section-3.8.3.1"] "requested QoS is 3";
    RetainHandling PROTOCOL_ERROR ["V5-section-3.8.3.1" "V5-section-3.8.3.1" "V5-section-3.8.3.1"] "retain handling is 3";
    SubAckEmpty PROTOCOL_ERROR ["V31-section-3.9" "MQTT-3.8.4-5" "MQTT-3.8.4-6"] "SUBACK has no reason code";
    SubAckReason PROTOCOL_ERROR ["V31-section-3.9" "MQTT-3.9.3-2" "MQTT-3.9.3-2"] "reason code of SUBACK is not in the table";
    UnsubscribeEmpty PROTOCOL_ERROR ["V31-section-3.10" "MQTT-3.10.3-2" "MQTT-3.10.3-2"] "UNSUBSCRIBE has no filter";
    UnsubAckEmpty PROTOCOL_ERROR ["V5-section-3.11.3" "V5-section-3.11.3" "V5-section-3.11.3"] "UNSUBACK has no reason code";
    UnsubAckReason PROTOCOL_ERROR ["MQTT-3.11.3-2" "MQTT-3.11.3-2" "MQTT-3.11.3-2"] "reason code of UNSUBACK is not in the table";
    // DISCONNECT and AUTH.
    DisconnectReason PROTOCOL_ERROR ["MQTT-3.14.2-1" "MQTT-3.14.2-1" "MQTT-3.14.2-1"] "reason code of DISCONNECT is not in the table of its sender";
    AuthReason PROTOCOL_ERROR ["MQTT-3.15.2-1" "MQTT-3.15.2-1" "MQTT-3.15.2-1"] "reason code of AUTH is not in the table of its sender";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_answers_with_an_error() {
        for rule in RuleId::ALL {
            assert!(rule.reason_code().is_error(), "{rule:?}");
            assert!(!rule.sentence().ends_with('.'), "{rule:?}");
        }
    }
}
