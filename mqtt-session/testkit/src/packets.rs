//! Packets to send from a script, in the fewest words.

use mqtt_codec::{
    Auth, ConnAck, Connect, Delivery, Disconnect, Filters, PINGREQ, PINGRESP, PacketId, Properties,
    PubAck, PubComp, PubRec, PubRel, Publish, QoS, ReasonCode, ReasonCodes, SubAck, Subscribe,
    SubscribeFilter, SubscriptionOptions, UnsubAck, Unsubscribe, UnsubscribeFilters, Version,
};

/// Something that a script can send.
pub trait Raw {
    /// Its bytes in this version.
    fn bytes(&self, version: Version) -> Vec<u8>;
}

impl Raw for [u8] {
    fn bytes(&self, _version: Version) -> Vec<u8> {
        self.to_vec()
    }
}

impl<const N: usize> Raw for [u8; N] {
    fn bytes(&self, _version: Version) -> Vec<u8> {
        self.to_vec()
    }
}

impl Raw for Vec<u8> {
    fn bytes(&self, _version: Version) -> Self {
        self.clone()
    }
}

impl Raw for Connect<'_> {
    fn bytes(&self, _version: Version) -> Vec<u8> {
        let mut buffer = vec![0; self.encoded_len()];
        self.encode(&mut buffer).expect("a packet that can be sent");
        buffer
    }
}

macro_rules! raw {
    ($($packet:ident)+) => {$(
        impl Raw for $packet<'_> {
            fn bytes(&self, version: Version) -> Vec<u8> {
                let mut buffer = vec![0; self.encoded_len(version)];
                self.encode(version, &mut buffer).expect("a packet that can be sent");
                buffer
            }
        }
    )+};
}

raw!(Publish PubAck PubRec PubRel PubComp Subscribe SubAck Unsubscribe UnsubAck Disconnect Auth ConnAck);

/// A packet id.
///
/// # Panics
/// For 0, which is none.
#[must_use]
pub const fn id(id: u16) -> PacketId {
    PacketId::new(id).expect("0 is no packet id")
}

/// PUBLISH with QoS 0 to `t`.
#[must_use]
pub const fn publish(payload: &str) -> Publish<'_> {
    Publish {
        dup: false,
        retain: false,
        delivery: Delivery::AtMostOnce,
        topic: "t",
        properties: Properties::EMPTY,
        payload: payload.as_bytes(),
    }
}

/// PUBLISH with QoS 1 to `t`.
#[must_use]
pub const fn publish1(packet_id: u16, payload: &str) -> Publish<'_> {
    Publish {
        delivery: Delivery::AtLeastOnce(id(packet_id)),
        ..publish(payload)
    }
}

/// PUBLISH with QoS 2 to `t`.
#[must_use]
pub const fn publish2(packet_id: u16, payload: &str) -> Publish<'_> {
    Publish {
        delivery: Delivery::ExactlyOnce(id(packet_id)),
        ..publish(payload)
    }
}

macro_rules! acks {
    ($($(#[$doc:meta])* $name:ident $packet:ident)+) => {$(
        $(#[$doc])*
        #[must_use]
        pub const fn $name(packet_id: u16) -> $packet<'static> {
            $packet { packet_id: id(packet_id), reason: ReasonCode::SUCCESS, properties: Properties::EMPTY }
        }
    )+};
}

acks! {
    /// PUBACK with success.
    puback PubAck
    /// PUBREC with success.
    pubrec PubRec
    /// PUBREL with success.
    pubrel PubRel
    /// PUBCOMP with success.
    pubcomp PubComp
}

/// SUBSCRIBE.
#[must_use]
pub const fn subscribe<'a>(packet_id: u16, filters: &'a [SubscribeFilter<'a>]) -> Subscribe<'a> {
    Subscribe {
        packet_id: id(packet_id),
        properties: Properties::EMPTY,
        filters: Filters::List(filters),
    }
}

/// A filter with its QoS.
#[must_use]
pub fn filter(filter: &str, qos: QoS) -> SubscribeFilter<'_> {
    SubscribeFilter {
        filter,
        options: SubscriptionOptions {
            qos,
            ..SubscriptionOptions::default()
        },
    }
}

/// UNSUBSCRIBE.
#[must_use]
pub const fn unsubscribe<'a>(packet_id: u16, filters: &'a [&'a str]) -> Unsubscribe<'a> {
    Unsubscribe {
        packet_id: id(packet_id),
        properties: Properties::EMPTY,
        filters: UnsubscribeFilters::List(filters),
    }
}

/// SUBACK.
#[must_use]
pub fn suback(packet_id: u16, codes: &[u8]) -> SubAck<'_> {
    SubAck {
        packet_id: id(packet_id),
        properties: Properties::EMPTY,
        codes: ReasonCodes::from(codes),
    }
}

/// UNSUBACK.
#[must_use]
pub fn unsuback(packet_id: u16, codes: &[u8]) -> UnsubAck<'_> {
    UnsubAck {
        packet_id: id(packet_id),
        properties: Properties::EMPTY,
        codes: ReasonCodes::from(codes),
    }
}

/// CONNACK without properties.
#[must_use]
pub const fn connack(session_present: bool) -> ConnAck<'static> {
    ConnAck {
        session_present,
        reason: ReasonCode::SUCCESS,
        properties: Properties::EMPTY,
    }
}

/// DISCONNECT without properties.
#[must_use]
pub const fn disconnect(reason: ReasonCode) -> Disconnect<'static> {
    Disconnect {
        reason,
        properties: Properties::EMPTY,
    }
}

/// PINGREQ.
#[must_use]
pub fn pingreq() -> Vec<u8> {
    PINGREQ.to_vec()
}

/// PINGRESP.
#[must_use]
pub fn pingresp() -> Vec<u8> {
    PINGRESP.to_vec()
}
