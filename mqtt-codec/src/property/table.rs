//! The properties, one row each: identifier, type, packets that carry it, packets that repeat it.

use core::fmt;
use core::num::NonZeroU32;

use super::value::{PayloadFormat, Value};
use super::{Properties, WireProperties};
use crate::place::{self, Places};
use crate::sink::Sink;
use crate::text::SMALL;
use crate::wire::Reader;
use crate::{QoS, ReceiveMaximum, SubscriptionId, TopicAlias};

/// What the bytes of a property have to look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// No property has this identifier.
    Unknown,
    /// One byte, 0 or 1.
    Bit,
    U16,
    U32,
    /// Two bytes, not zero.
    ReceiveMaximum,
    /// Two bytes, not zero.
    TopicAlias,
    /// Four bytes, not zero.
    MaximumPacketSize,
    /// A Variable Byte Integer, not zero.
    SubscriptionId,
    String,
    /// A string that is a topic name.
    Topic,
    Binary,
    /// Two strings.
    Pair,
}

/// One row of the table.
#[derive(Clone, Copy)]
struct Row {
    kind: Kind,
    places: Places,
    repeats: Places,
}

/// Where properties stand, and which of them may: the column of the table that a packet needs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spot {
    /// Several places where the sender is not known; where few bytes are to spare only CONNACK, which alone a check asks for there: what
    /// allows the same is one constant then.
    pub(super) places: Places,
    /// Properties that may stand there, one bit for each identifier.
    pub(super) allowed: u64,
    /// Those that may not be repeated there.
    pub(super) once: u64,
}

impl Spot {
    /// To be called while compiling: `&const { Spot::new(place::CONNECT) }`.
    pub(crate) const fn new(places: Places) -> Self {
        let (mut allowed, mut once) = (0, 0);
        let mut id = 0;
        let mut rows: &[Row] = &ROWS;
        while let [row, rest @ ..] = rows {
            if row.places & places != 0 {
                allowed |= 1 << id;
            }
            if row.repeats & places == 0 {
                once |= 1 << id;
            }
            id += 1;
            rows = rest;
        }
        let places = if SMALL {
            places & place::CONNACK
        } else {
            places
        };
        // What may not stand there need not be told from what may not be repeated.
        Self {
            places,
            allowed,
            once: once & allowed,
        }
    }
}

impl Spot {
    /// Whether the same properties may stand here and there, as often.
    pub(crate) const fn allows_as(&self, other: &Self) -> bool {
        self.allowed == other.allowed && self.once == other.once
    }
}

/// Identifiers of the properties that have a rule of their own.
pub(super) const SUBSCRIPTION_IDENTIFIER: u8 = 0x0b;
pub(super) const SESSION_EXPIRY_INTERVAL: u8 = 0x11;
pub(super) const AUTHENTICATION_METHOD: u8 = 0x15;
pub(super) const AUTHENTICATION_DATA: u8 = 0x16;
pub(super) const TOPIC_ALIAS: u8 = 0x23;
pub(super) const USER_PROPERTY: u8 = 0x26;

/// One more than the highest identifier.
const IDS: usize = 0x2b;

const UNKNOWN: Row = Row {
    kind: Kind::Unknown,
    places: 0,
    repeats: 0,
};

static KINDS: [Kind; IDS] = {
    let mut kinds = [Kind::Unknown; IDS];
    let mut id = 0;
    while id < IDS {
        #[expect(clippy::indexing_slicing, reason = "evaluated while compiling")]
        {
            kinds[id] = ROWS[id].kind;
        }
        id += 1;
    }
    kinds
};

/// What the bytes of the property with this identifier look like.
#[inline]
pub(super) fn kind(id: u8) -> Kind {
    KINDS.get(usize::from(id)).copied().unwrap_or(Kind::Unknown)
}

macro_rules! properties {
    ($(
        $(#[$doc:meta])*
        $id:literal $variant:ident($ty:ty) $lookup:ident $kind:ident [$($place:ident)*] repeats [$($repeat:ident)*];
    )*) => {
        /// One property of an MQTT 5.0 packet or will.
        ///
        /// `Debug` leaves authentication data out.
        #[derive(Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Property<'a> {
            $($(#[$doc])* $variant($ty),)*
            /// A name and a value that mean what sender and receiver agree on; may be repeated, and
            /// keeps its order.
            UserProperty(&'a str, &'a str),
        }

        const ROWS: [Row; IDS] = {
            let mut rows = [UNKNOWN; IDS];
            let mut list: &[(usize, Row)] = &[
                $(($id, Row {
                    kind: Kind::$kind,
                    places: 0 $(| place::$place)*,
                    repeats: 0 $(| place::$repeat)*,
                }),)*
                (USER_PROPERTY as usize, Row { kind: Kind::Pair, places: Places::MAX, repeats: Places::MAX }),
            ];
            while let [(id, row), rest @ ..] = list {
                #[expect(clippy::indexing_slicing, reason = "evaluated while compiling")]
                {
                    rows[*id] = *row;
                }
                list = rest;
            }
            rows
        };

        impl<'a> Property<'a> {
            /// The identifier on the wire.
            pub const fn id(&self) -> u8 {
                match self {
                    $(Self::$variant(_) => $id,)*
                    Self::UserProperty(..) => USER_PROPERTY,
                }
            }

            /// The property `id` from bytes that were checked; `None` otherwise.
            pub(super) fn read(id: u8, reader: &mut Reader<'a>) -> Option<Self> {
                Some(match id {
                    $($id => Self::$variant(Value::read(reader)?),)*
                    USER_PROPERTY => {
                        let (name, value) = Value::read(reader)?;
                        Self::UserProperty(name, value)
                    }
                    _ => return None,
                })
            }

            #[cfg_attr(target_pointer_width = "64", inline(always))]
            pub(crate) fn write<S: Sink>(&self, sink: &mut S) {
                match *self {
                    $(Self::$variant(value) => value.write($id, sink),)*
                    Self::UserProperty(name, value) => (name, value).write(USER_PROPERTY, sink),
                }
            }
        }

        impl fmt::Debug for Property<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                if let Self::AuthenticationData(data) = self {
                    return write!(f, "AuthenticationData({} bytes)", data.len());
                }
                match self {
                    $(Self::$variant(value) => {
                        f.debug_tuple(stringify!($variant)).field(value).finish()
                    })*
                    Self::UserProperty(name, value) => {
                        f.debug_tuple("UserProperty").field(name).field(value).finish()
                    }
                }
            }
        }

        /// One look-up for every property that a packet holds once; `None` when absent.
        impl<'a> Properties<'a> {
            $(
                $(#[$doc])*
                pub fn $lookup(&self) -> Option<$ty> {
                    match self {
                        Self::Wire(WireProperties { bytes }) => Value::read(&mut super::iter::find(bytes, $id)?),
                        Self::List(list) => list.iter().find_map(|property| match property {
                            Property::$variant(value) => Some(*value),
                            _ => None,
                        }),
                    }
                }
            )*
        }
    };
}

properties! {
    /// Whether the payload is text.
    0x01 PayloadFormatIndicator(PayloadFormat) payload_format_indicator Bit [PUBLISH WILL] repeats [];
    /// Seconds until the message is no longer of interest; never, when absent.
    0x02 MessageExpiryInterval(u32) message_expiry_interval U32 [PUBLISH WILL] repeats [];
    /// The kind of the payload, for instance a media type.
    0x03 ContentType(&'a str) content_type String [PUBLISH WILL] repeats [];
    /// The topic name for a response; not empty, no wildcards [MQTT-3.3.2-14].
    0x08 ResponseTopic(&'a str) response_topic Topic [PUBLISH WILL] repeats [];
    /// Bytes by which the requester knows its request again.
    0x09 CorrelationData(&'a [u8]) correlation_data Binary [PUBLISH WILL] repeats [];
    /// The identifier of the subscription; one in a SUBSCRIBE, any number in a PUBLISH of a server.
    0x0b SubscriptionIdentifier(SubscriptionId) subscription_identifier SubscriptionId [PUBLISH_FROM_SERVER SUBSCRIBE] repeats [PUBLISH_FROM_SERVER];
    /// Seconds the session lives on after the connection; 0 when absent, 4,294,967,295 is for ever.
    0x11 SessionExpiryInterval(u32) session_expiry_interval U32 [CONNECT CONNACK DISCONNECT_FROM_CLIENT] repeats [];
    /// The client identifier that the server chose.
    0x12 AssignedClientIdentifier(&'a str) assigned_client_identifier String [CONNACK] repeats [];
    /// Seconds of keep-alive that the server imposes.
    0x13 ServerKeepAlive(u16) server_keep_alive U16 [CONNACK] repeats [];
    /// The method of enhanced authentication.
    0x15 AuthenticationMethod(&'a str) authentication_method String [CONNECT CONNACK AUTH] repeats [];
    /// Bytes of enhanced authentication; only beside a method.
    0x16 AuthenticationData(&'a [u8]) authentication_data Binary [CONNECT CONNACK AUTH] repeats [];
    /// Whether reason strings and user properties may be sent in all packets; true when absent.
    0x17 RequestProblemInformation(bool) request_problem_information Bit [CONNECT] repeats [];
    /// Seconds between the end of the connection and the will; 0 when absent.
    0x18 WillDelayInterval(u32) will_delay_interval U32 [WILL] repeats [];
    /// Whether the client asks for response information; false when absent.
    0x19 RequestResponseInformation(bool) request_response_information Bit [CONNECT] repeats [];
    /// The basis of a response topic.
    0x1a ResponseInformation(&'a str) response_information String [CONNACK] repeats [];
    /// Another server to use.
    0x1c ServerReference(&'a str) server_reference String [CONNACK DISCONNECT_FROM_SERVER] repeats [];
    /// The reason for people to read.
    0x1f ReasonString(&'a str) reason_string String [CONNACK PUBACK PUBREC PUBREL PUBCOMP SUBACK UNSUBACK DISCONNECT AUTH] repeats [];
    /// How many QoS 1 and QoS 2 messages the sender takes at once; 65,535 when absent.
    0x21 ReceiveMaximum(ReceiveMaximum) receive_maximum ReceiveMaximum [CONNECT CONNACK] repeats [];
    /// The highest topic alias the sender takes; 0, none, when absent.
    0x22 TopicAliasMaximum(u16) topic_alias_maximum U16 [CONNECT CONNACK] repeats [];
    /// The number that stands for the topic name.
    0x23 TopicAlias(TopicAlias) topic_alias TopicAlias [PUBLISH] repeats [];
    /// The highest QoS the server takes, 0 or 1; 2 when absent, and never written.
    0x24 MaximumQoS(QoS) maximum_qos Bit [CONNACK] repeats [];
    /// Whether the server keeps retained messages; true when absent.
    0x25 RetainAvailable(bool) retain_available Bit [CONNACK] repeats [];
    /// The largest packet the sender takes, in bytes; no limit when absent.
    0x27 MaximumPacketSize(NonZeroU32) maximum_packet_size MaximumPacketSize [CONNECT CONNACK] repeats [];
    /// Whether the server takes filters with wildcards; true when absent.
    0x28 WildcardSubscriptionAvailable(bool) wildcard_subscription_available Bit [CONNACK] repeats [];
    /// Whether the server takes subscription identifiers; true when absent.
    0x29 SubscriptionIdentifierAvailable(bool) subscription_identifier_available Bit [CONNACK] repeats [];
    /// Whether the server takes shared subscriptions; true when absent.
    0x2a SharedSubscriptionAvailable(bool) shared_subscription_available Bit [CONNACK] repeats [];
}

impl Property<'_> {
    /// Whether the value is one that may be sent; the types leave two gaps.
    pub(super) fn is_valid(&self) -> bool {
        match self {
            Self::ResponseTopic(topic) => !topic.is_empty() && !has_wildcard(topic),
            Self::MaximumQoS(qos) => *qos < QoS::ExactlyOnce,
            _ => true,
        }
    }

    /// Whether the property travels with a message from its publisher to its subscribers as it is.
    pub(super) const fn is_forwarded(id: u8) -> bool {
        matches!(id, 0x01 | 0x03 | 0x08 | 0x09 | USER_PROPERTY)
    }
}

/// Whether a topic holds `+` or `#`.
pub(super) fn has_wildcard(topic: &str) -> bool {
    topic.bytes().any(|byte| matches!(byte, b'+' | b'#'))
}
