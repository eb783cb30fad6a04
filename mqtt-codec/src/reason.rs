//! Reason codes, one row each: number, name, and the packets that may carry it.

use core::fmt;

use crate::place::{self, Places};

/// The outcome of an operation, one byte; 0x80 and above is a failure.
///
/// MQTT 3.1 and 3.1.1 have return codes in CONNACK only; they are translated both ways, see
/// [`connect_return_code`](Self::connect_return_code). An unknown number is kept and printed in hex.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(transparent))]
pub struct ReasonCode(pub u8);

macro_rules! reason_codes {
    ($($code:literal $name:ident $text:literal [$($place:ident)*];)*) => {
        impl ReasonCode {
            $(#[doc = concat!($text, ".")] pub const $name: Self = Self($code);)*

            /// The name in the specification, `None` for a number it does not define.
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($code => Some($text),)*
                    _ => None,
                }
            }
        }

        /// Ordered by code; searched only for codes other than success.
        const TABLE: &[(u8, Places)] = &[$(($code, 0 $(| place::$place)*),)*];
    };
}

reason_codes! {
    0x00 SUCCESS "Success" [CONNACK PUBACK PUBREC PUBREL PUBCOMP SUBACK UNSUBACK DISCONNECT AUTH];
    0x01 GRANTED_QOS_1 "Granted QoS 1" [SUBACK];
    0x02 GRANTED_QOS_2 "Granted QoS 2" [SUBACK];
    0x04 DISCONNECT_WITH_WILL_MESSAGE "Disconnect with Will Message" [DISCONNECT_FROM_CLIENT];
    0x10 NO_MATCHING_SUBSCRIBERS "No matching subscribers" [PUBACK PUBREC];
    0x11 NO_SUBSCRIPTION_EXISTED "No subscription existed" [UNSUBACK];
    0x18 CONTINUE_AUTHENTICATION "Continue authentication" [AUTH];
    0x19 RE_AUTHENTICATE "Re-authenticate" [AUTH];
    0x80 UNSPECIFIED_ERROR "Unspecified error" [CONNACK PUBACK PUBREC SUBACK UNSUBACK DISCONNECT];
    0x81 MALFORMED_PACKET "Malformed Packet" [CONNACK DISCONNECT];
    0x82 PROTOCOL_ERROR "Protocol Error" [CONNACK DISCONNECT];
    0x83 IMPLEMENTATION_SPECIFIC_ERROR "Implementation specific error" [CONNACK PUBACK PUBREC SUBACK UNSUBACK DISCONNECT];
    0x84 UNSUPPORTED_PROTOCOL_VERSION "Unsupported Protocol Version" [CONNACK];
    0x85 CLIENT_IDENTIFIER_NOT_VALID "Client Identifier not valid" [CONNACK];
    0x86 BAD_USER_NAME_OR_PASSWORD "Bad User Name or Password" [CONNACK];
    0x87 NOT_AUTHORIZED "Not authorized" [CONNACK PUBACK PUBREC SUBACK UNSUBACK DISCONNECT_FROM_SERVER];
    0x88 SERVER_UNAVAILABLE "Server unavailable" [CONNACK];
    0x89 SERVER_BUSY "Server busy" [CONNACK DISCONNECT_FROM_SERVER];
    0x8a BANNED "Banned" [CONNACK];
    0x8b SERVER_SHUTTING_DOWN "Server shutting down" [DISCONNECT_FROM_SERVER];
    0x8c BAD_AUTHENTICATION_METHOD "Bad authentication method" [CONNACK DISCONNECT_FROM_SERVER];
    0x8d KEEP_ALIVE_TIMEOUT "Keep Alive timeout" [DISCONNECT_FROM_SERVER];
    0x8e SESSION_TAKEN_OVER "Session taken over" [DISCONNECT_FROM_SERVER];
    0x8f TOPIC_FILTER_INVALID "Topic Filter invalid" [SUBACK UNSUBACK DISCONNECT_FROM_SERVER];
    0x90 TOPIC_NAME_INVALID "Topic Name invalid" [CONNACK PUBACK PUBREC DISCONNECT];
    0x91 PACKET_IDENTIFIER_IN_USE "Packet Identifier in use" [PUBACK PUBREC SUBACK UNSUBACK];
    0x92 PACKET_IDENTIFIER_NOT_FOUND "Packet Identifier not found" [PUBREL PUBCOMP];
    0x93 RECEIVE_MAXIMUM_EXCEEDED "Receive Maximum exceeded" [DISCONNECT];
    0x94 TOPIC_ALIAS_INVALID "Topic Alias invalid" [DISCONNECT];
    0x95 PACKET_TOO_LARGE "Packet too large" [CONNACK DISCONNECT];
    0x96 MESSAGE_RATE_TOO_HIGH "Message rate too high" [DISCONNECT];
    0x97 QUOTA_EXCEEDED "Quota exceeded" [CONNACK PUBACK PUBREC SUBACK DISCONNECT];
    0x98 ADMINISTRATIVE_ACTION "Administrative action" [DISCONNECT];
    0x99 PAYLOAD_FORMAT_INVALID "Payload format invalid" [CONNACK PUBACK PUBREC DISCONNECT];
    0x9a RETAIN_NOT_SUPPORTED "Retain not supported" [CONNACK DISCONNECT_FROM_SERVER];
    0x9b QOS_NOT_SUPPORTED "QoS not supported" [CONNACK DISCONNECT_FROM_SERVER];
    0x9c USE_ANOTHER_SERVER "Use another server" [CONNACK DISCONNECT_FROM_SERVER];
    0x9d SERVER_MOVED "Server moved" [CONNACK DISCONNECT_FROM_SERVER];
    0x9e SHARED_SUBSCRIPTIONS_NOT_SUPPORTED "Shared Subscriptions not supported" [SUBACK DISCONNECT_FROM_SERVER];
    0x9f CONNECTION_RATE_EXCEEDED "Connection rate exceeded" [CONNACK DISCONNECT_FROM_SERVER];
    0xa0 MAXIMUM_CONNECT_TIME "Maximum connect time" [DISCONNECT_FROM_SERVER];
    0xa1 SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED "Subscription Identifiers not supported" [SUBACK DISCONNECT_FROM_SERVER];
    0xa2 WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED "Wildcard Subscriptions not supported" [SUBACK DISCONNECT_FROM_SERVER];
}

impl ReasonCode {
    /// Normal disconnection, the name of 0x00 in a DISCONNECT.
    pub const NORMAL_DISCONNECTION: Self = Self::SUCCESS;
    /// Granted QoS 0, the name of 0x00 in a SUBACK.
    pub const GRANTED_QOS_0: Self = Self::SUCCESS;

    /// Whether the operation failed: 0x80 and above.
    #[inline]
    pub const fn is_error(self) -> bool {
        self.0 >= 0x80
    }

    /// The return code of a CONNACK in MQTT 3.1 and 3.1.1 for this reason, 0..=5; `None` if it
    /// has no such code, and the connection is closed without a CONNACK ([3.1.1:MQTT-3.2.2-6]).
    pub const fn connect_return_code(self) -> Option<u8> {
        match self {
            Self::SUCCESS => Some(0),
            Self::UNSUPPORTED_PROTOCOL_VERSION => Some(1),
            Self::CLIENT_IDENTIFIER_NOT_VALID => Some(2),
            Self::SERVER_UNAVAILABLE => Some(3),
            Self::BAD_USER_NAME_OR_PASSWORD => Some(4),
            Self::NOT_AUTHORIZED => Some(5),
            _ => None,
        }
    }

    /// The reason for a return code of a CONNACK in MQTT 3.1 and 3.1.1; `None` above 5.
    pub const fn from_connect_return_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::SUCCESS),
            1 => Some(Self::UNSUPPORTED_PROTOCOL_VERSION),
            2 => Some(Self::CLIENT_IDENTIFIER_NOT_VALID),
            3 => Some(Self::SERVER_UNAVAILABLE),
            4 => Some(Self::BAD_USER_NAME_OR_PASSWORD),
            5 => Some(Self::NOT_AUTHORIZED),
            _ => None,
        }
    }

    /// Whether the code may stand in one of these places.
    #[inline]
    pub(crate) fn allowed_in(self, places: Places) -> bool {
        #[cfg(mutation = "fuzz-reason-table")]
        if self == Self::QUOTA_EXCEEDED && places == place::PUBREC {
            return false;
        }
        self == Self::SUCCESS
            || TABLE
                .iter()
                .any(|&(code, allowed)| code == self.0 && allowed & places != 0)
    }
}

impl fmt::Debug for ReasonCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "ReasonCode(0x{:02x} {name})", self.0),
            None => write!(f, "ReasonCode(0x{:02x})", self.0),
        }
    }
}

impl fmt::Display for ReasonCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.pad(name),
            None => write!(f, "0x{:02x}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// CONNACK of the older versions has six codes, both ways.
    #[test]
    fn return_codes_translate_both_ways() {
        for code in 0..=5 {
            let reason = ReasonCode::from_connect_return_code(code);
            assert_eq!(reason.and_then(ReasonCode::connect_return_code), Some(code));
        }
        assert_eq!(ReasonCode::from_connect_return_code(6), None);
        assert_eq!(ReasonCode::BANNED.connect_return_code(), None);
    }

    /// DISCONNECT with Will Message comes from a client, Server busy from a server
    /// [MQTT-3.14.2-1].
    #[test]
    fn the_sender_counts() {
        let from_client = place::DISCONNECT_FROM_CLIENT;
        let from_server = place::DISCONNECT_FROM_SERVER;
        assert!(ReasonCode::DISCONNECT_WITH_WILL_MESSAGE.allowed_in(from_client));
        assert!(!ReasonCode::DISCONNECT_WITH_WILL_MESSAGE.allowed_in(from_server));
        assert!(!ReasonCode::SERVER_BUSY.allowed_in(from_client));
        assert!(ReasonCode::SERVER_BUSY.allowed_in(from_client | from_server));
        assert!(!ReasonCode(0x03).allowed_in(Places::MAX));
    }
}
