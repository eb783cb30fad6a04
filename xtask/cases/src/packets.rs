//! The packets that are measured, as a program that sends them writes them down.

use core::num::NonZeroU32;

use mqtt_codec::{
    Connect, Delivery, EncodeError, FromClient, PINGREQ, PacketId, PayloadFormat, Properties,
    Property, PubAck, PubRel, Publish, QoS, ReceiveMaximum, RetainHandling, Subscribe,
    SubscribeFilter, SubscriptionId, SubscriptionOptions, TopicAlias, Version, Will,
};

/// A packet of a client, to be written.
#[derive(Clone, Copy, Debug)]
pub enum Outgoing {
    /// CONNECT.
    Connect(Connect<'static>),
    /// PUBLISH.
    Publish(Publish<'static>),
    /// PUBACK.
    PubAck(PubAck<'static>),
    /// PUBREL.
    PubRel(PubRel<'static>),
    /// SUBSCRIBE.
    Subscribe(Subscribe<'static>),
    /// PINGREQ.
    PingReq,
}

impl Outgoing {
    /// Writes it to the front of `buffer`.
    ///
    /// # Errors
    /// As the packet's own `encode`.
    pub fn encode(&self, version: Version, buffer: &mut [u8]) -> Result<usize, EncodeError> {
        match self {
            Self::Connect(packet) => packet.encode(buffer),
            Self::Publish(packet) => packet.encode(version, buffer),
            Self::PubAck(packet) => packet.encode(version, buffer),
            Self::PubRel(packet) => packet.encode(version, buffer),
            Self::Subscribe(packet) => packet.encode(version, buffer),
            Self::PingReq => {
                let Some(room) = buffer.first_chunk_mut() else {
                    return Err(EncodeError::TooSmall { needed: 2 });
                };
                *room = PINGREQ;
                Ok(PINGREQ.len())
            }
        }
    }

    /// The bytes on the wire.
    #[must_use]
    pub fn wire(&self, version: Version) -> Vec<u8> {
        let mut wire = vec![0; 70_000];
        let len = self
            .encode(version, &mut wire)
            .expect("the packets of this module can be written");
        wire.truncate(len);
        wire
    }

    /// Whether a packet that was read is this one.
    #[must_use]
    pub fn is(&self, read: &FromClient<'_>) -> bool {
        match (self, read) {
            (Self::Connect(sent), FromClient::Connect(read)) => *sent == read.to_connect(),
            (Self::Publish(sent), FromClient::Publish(read)) => sent == read,
            (Self::PubAck(sent), FromClient::PubAck(read)) => sent == read,
            (Self::PubRel(sent), FromClient::PubRel(read)) => sent == read,
            (Self::Subscribe(sent), FromClient::Subscribe(read)) => sent == read,
            (Self::PingReq, FromClient::PingReq) => true,
            _ => false,
        }
    }
}

/// An identifier that is not zero.
#[must_use]
pub const fn packet_id(id: u16) -> PacketId {
    PacketId::new(id).expect("not zero")
}

/// An identifier that is not zero.
#[must_use]
pub const fn subscription_id(id: u32) -> SubscriptionId {
    SubscriptionId::new(id).expect("not zero, and small")
}

const ALIAS: TopicAlias = TopicAlias::new(7).expect("not zero");
const TOPIC: &str = "site/7/machine/12/temperature";
/// Two, three and four bytes a character.
const NOT_ASCII: &str = "Gebäude/Süd/Größe/温度/センサー/🌡";
static PAYLOAD: [u8; 65_536] = [b'7'; 65_536];

/// The first `len` bytes of a payload of up to 64 KiB.
#[must_use]
pub fn payload(len: usize) -> &'static [u8] {
    PAYLOAD.get(..len).unwrap_or(&PAYLOAD)
}

/// CONNECT of a device with user name and password.
#[must_use]
pub const fn connect_v311() -> Outgoing {
    Outgoing::Connect(Connect {
        keep_alive: 300,
        user_name: Some("plant-1"),
        password: Some(b"correct horse battery"),
        ..Connect::new(Version::V311, "thermometer-0042")
    })
}

/// CONNECT of a device with a will, and properties for both.
#[must_use]
pub const fn connect_v5() -> Outgoing {
    const RECEIVE_MAXIMUM: ReceiveMaximum = ReceiveMaximum::new(100).expect("not zero");
    const PROPERTIES: [Property<'static>; 5] = [
        Property::SessionExpiryInterval(3_600),
        Property::ReceiveMaximum(RECEIVE_MAXIMUM),
        Property::MaximumPacketSize(NonZeroU32::new(65_536).expect("not zero")),
        Property::TopicAliasMaximum(16),
        Property::UserProperty("firmware", "1.4.2"),
    ];
    Outgoing::Connect(Connect {
        clean_start: false,
        keep_alive: 300,
        user_name: Some("plant-1"),
        password: Some(b"correct horse battery"),
        will: Some(Will {
            topic: "plant1/sensor4/status",
            payload: b"offline",
            qos: QoS::AtLeastOnce,
            retain: true,
            properties: Properties::List(&[
                Property::WillDelayInterval(30),
                Property::PayloadFormatIndicator(PayloadFormat::Utf8),
                Property::MessageExpiryInterval(86_400),
                Property::ContentType("text/plain"),
            ]),
        }),
        properties: Properties::List(&PROPERTIES),
        ..Connect::new(Version::V5, "thermometer-0042")
    })
}

/// PUBLISH with QoS 0 and a payload of `len` bytes.
#[must_use]
pub fn reading(topic: &'static str, len: usize) -> Outgoing {
    Outgoing::Publish(Publish {
        dup: false,
        retain: false,
        delivery: Delivery::AtMostOnce,
        topic,
        properties: Properties::EMPTY,
        payload: payload(len),
    })
}

/// PUBLISH with QoS 1 and a payload of `len` bytes.
#[must_use]
pub fn acknowledged(id: u16, len: usize) -> Outgoing {
    Outgoing::Publish(Publish {
        dup: false,
        retain: false,
        delivery: Delivery::AtLeastOnce(packet_id(id)),
        topic: TOPIC,
        properties: Properties::EMPTY,
        payload: payload(len),
    })
}

/// PUBLISH with QoS 1, a topic alias and three user properties.
#[must_use]
pub fn with_properties(id: u16) -> Outgoing {
    Outgoing::Publish(Publish {
        dup: false,
        retain: false,
        delivery: Delivery::AtLeastOnce(packet_id(id)),
        topic: TOPIC,
        properties: Properties::List(&[
            Property::TopicAlias(ALIAS),
            Property::UserProperty("unit", "celsius"),
            Property::UserProperty("sensor", "pt100-b"),
            Property::UserProperty("calibrated", "2025-11-02"),
        ]),
        payload: payload(64),
    })
}

const fn filter(
    filter: &'static str,
    qos: QoS,
    retain_handling: RetainHandling,
) -> SubscribeFilter<'static> {
    SubscribeFilter {
        filter,
        options: SubscriptionOptions {
            retain_handling,
            ..SubscriptionOptions::new(qos)
        },
    }
}

/// SUBSCRIBE with eight filters.
#[must_use]
pub const fn subscribe_v5() -> Outgoing {
    use RetainHandling::{DoNotSend, SendAtSubscribe, SendIfNew};
    const PROPERTIES: [Property<'static>; 1] =
        [Property::SubscriptionIdentifier(subscription_id(4_711))];
    const FILTERS: [SubscribeFilter<'static>; 8] = [
        filter("site/7/+/temperature", QoS::AtLeastOnce, SendAtSubscribe),
        filter("site/7/+/humidity", QoS::AtMostOnce, SendIfNew),
        filter(
            "site/7/machine/12/command",
            QoS::ExactlyOnce,
            SendAtSubscribe,
        ),
        filter("site/7/machine/12/config/#", QoS::AtLeastOnce, SendIfNew),
        filter("$share/fleet/site/+/alarm", QoS::AtLeastOnce, DoNotSend),
        filter("plant1/#", QoS::AtMostOnce, SendAtSubscribe),
        filter("weather/region/4", QoS::AtMostOnce, SendAtSubscribe),
        filter("time", QoS::AtMostOnce, DoNotSend),
    ];
    Outgoing::Subscribe(Subscribe {
        packet_id: packet_id(10),
        properties: Properties::List(&PROPERTIES),
        filters: mqtt_codec::Filters::List(&FILTERS),
    })
}

/// SUBSCRIBE with two filters, in any version.
#[must_use]
pub const fn subscribe() -> Outgoing {
    const FILTERS: [SubscribeFilter<'static>; 2] = [
        filter(
            "site/7/+/temperature",
            QoS::AtLeastOnce,
            RetainHandling::SendAtSubscribe,
        ),
        filter("plant1/#", QoS::AtMostOnce, RetainHandling::SendAtSubscribe),
    ];
    Outgoing::Subscribe(Subscribe {
        packet_id: packet_id(10),
        properties: Properties::EMPTY,
        filters: mqtt_codec::Filters::List(&FILTERS),
    })
}

/// PUBACK.
#[must_use]
pub const fn puback(id: u16) -> Outgoing {
    Outgoing::PubAck(PubAck::new(packet_id(id)))
}

/// PUBREL.
#[must_use]
pub const fn pubrel(id: u16) -> Outgoing {
    Outgoing::PubRel(PubRel::new(packet_id(id)))
}

/// The topic of most packets, 29 bytes, and one in which no level is ASCII alone.
#[must_use]
pub const fn topics() -> (&'static str, &'static str) {
    (TOPIC, NOT_ASCII)
}
