//! Any packet that may be sent, as owned values that lend the packets of the crate.

mod strategy;

use mqtt_codec::*;
pub(crate) use strategy::{any_packet, any_publish, version};

/// A property that owns its text.
#[derive(Clone, Debug)]
pub(crate) enum Owned {
    Plain(Property<'static>),
    Text(fn(&str) -> Property<'_>, String),
    Bytes(fn(&[u8]) -> Property<'_>, Vec<u8>),
    User(String, String),
}

impl Owned {
    fn lend(&self) -> Property<'_> {
        match self {
            Self::Plain(property) => *property,
            Self::Text(property, text) => property(text),
            Self::Bytes(property, bytes) => property(bytes),
            Self::User(name, value) => Property::UserProperty(name, value),
        }
    }
}

pub(crate) fn lend(properties: &[Owned]) -> Vec<Property<'_>> {
    properties.iter().map(Owned::lend).collect()
}

/// Topic, payload, QoS, retain and properties.
type OwnedWill = (String, Vec<u8>, QoS, bool, Vec<Owned>);

/// A packet that owns its contents, with the version it is meant for.
#[derive(Clone, Debug)]
pub(crate) enum Sent {
    Connect {
        version: Version,
        clean_start: bool,
        keep_alive: u16,
        client_id: String,
        will: Option<OwnedWill>,
        user: Option<(String, Option<Vec<u8>>)>,
        properties: Vec<Owned>,
        bridge: bool,
    },
    ConnAck(Version, bool, ReasonCode, Vec<Owned>),
    Publish {
        version: Version,
        dup: bool,
        retain: bool,
        delivery: Delivery,
        topic: String,
        properties: Vec<Owned>,
        payload: Vec<u8>,
    },
    /// PUBACK, PUBREC, PUBREL and PUBCOMP by their number.
    Ack(Version, u8, PacketId, ReasonCode, Vec<Owned>),
    Subscribe(
        Version,
        PacketId,
        Vec<Owned>,
        Vec<(String, SubscriptionOptions)>,
    ),
    SubAck(Version, PacketId, Vec<Owned>, Vec<u8>),
    Unsubscribe(Version, PacketId, Vec<Owned>, Vec<String>),
    UnsubAck(Version, PacketId, Vec<Owned>, Vec<u8>),
    PingReq(Version),
    PingResp(Version),
    Disconnect(Version, ReasonCode, Vec<Owned>),
    Auth(ReasonCode, Vec<Owned>),
}

impl Sent {
    pub(crate) fn version(&self) -> Version {
        match self {
            Self::Connect { version, .. } | Self::Publish { version, .. } => *version,
            Self::ConnAck(version, ..)
            | Self::Ack(version, ..)
            | Self::Subscribe(version, ..)
            | Self::SubAck(version, ..)
            | Self::Unsubscribe(version, ..)
            | Self::UnsubAck(version, ..)
            | Self::PingReq(version)
            | Self::PingResp(version)
            | Self::Disconnect(version, ..) => *version,
            Self::Auth(..) => Version::V5,
        }
    }

    /// Lends the packet; a CONNECT, which has another type when it is sent, on the other way.
    pub(crate) fn lend<T>(
        &self,
        packet: impl FnOnce(Packet<'_>) -> T,
        connect: impl FnOnce(Connect<'_>) -> T,
    ) -> T {
        let list = match self {
            Self::Connect { properties, .. } | Self::Publish { properties, .. } => lend(properties),
            Self::ConnAck(_, _, _, properties)
            | Self::Ack(_, _, _, _, properties)
            | Self::Subscribe(_, _, properties, _)
            | Self::SubAck(_, _, properties, _)
            | Self::Unsubscribe(_, _, properties, _)
            | Self::UnsubAck(_, _, properties, _)
            | Self::Disconnect(_, _, properties)
            | Self::Auth(_, properties) => lend(properties),
            Self::PingReq(_) | Self::PingResp(_) => Vec::new(),
        };
        let properties = Properties::List(&list);
        let lent = match self {
            Self::Connect {
                version,
                clean_start,
                keep_alive,
                client_id,
                will,
                user,
                bridge,
                ..
            } => {
                let will_list = will
                    .as_ref()
                    .map(|(.., properties)| lend(properties))
                    .unwrap_or_default();
                return connect(Connect {
                    version: *version,
                    clean_start: *clean_start,
                    keep_alive: *keep_alive,
                    client_id,
                    will: will.as_ref().map(|(topic, payload, qos, retain, _)| Will {
                        topic,
                        payload,
                        qos: *qos,
                        retain: *retain,
                        properties: Properties::List(&will_list),
                    }),
                    user_name: user.as_ref().map(|(name, _)| name.as_str()),
                    password: user.as_ref().and_then(|(_, password)| password.as_deref()),
                    properties,
                    bridge: *bridge,
                });
            }
            Self::ConnAck(_, session_present, reason, _) => Packet::ConnAck(ConnAck {
                session_present: *session_present,
                reason: *reason,
                properties,
            }),
            Self::Publish {
                dup,
                retain,
                delivery,
                topic,
                payload,
                ..
            } => Packet::Publish(Publish {
                dup: *dup,
                retain: *retain,
                delivery: *delivery,
                topic,
                properties,
                payload,
            }),
            Self::Ack(_, number, packet_id, reason, _) => {
                let (packet_id, reason) = (*packet_id, *reason);
                match number {
                    4 => Packet::PubAck(PubAck {
                        packet_id,
                        reason,
                        properties,
                    }),
                    5 => Packet::PubRec(PubRec {
                        packet_id,
                        reason,
                        properties,
                    }),
                    6 => Packet::PubRel(PubRel {
                        packet_id,
                        reason,
                        properties,
                    }),
                    _ => Packet::PubComp(PubComp {
                        packet_id,
                        reason,
                        properties,
                    }),
                }
            }
            Self::Subscribe(_, packet_id, _, filters) => {
                let filters: Vec<_> = filters
                    .iter()
                    .map(|(filter, options)| SubscribeFilter {
                        filter,
                        options: *options,
                    })
                    .collect();
                let filters = Filters::List(&filters);
                return packet(Packet::Subscribe(Subscribe {
                    packet_id: *packet_id,
                    properties,
                    filters,
                }));
            }
            Self::SubAck(_, packet_id, _, codes) => Packet::SubAck(SubAck {
                packet_id: *packet_id,
                properties,
                codes: ReasonCodes::new(codes),
            }),
            Self::Unsubscribe(_, packet_id, _, filters) => {
                let filters: Vec<_> = filters.iter().map(String::as_str).collect();
                let filters = UnsubscribeFilters::List(&filters);
                return packet(Packet::Unsubscribe(Unsubscribe {
                    packet_id: *packet_id,
                    properties,
                    filters,
                }));
            }
            Self::UnsubAck(_, packet_id, _, codes) => Packet::UnsubAck(UnsubAck {
                packet_id: *packet_id,
                properties,
                codes: ReasonCodes::new(codes),
            }),
            Self::PingReq(_) => Packet::PingReq,
            Self::PingResp(_) => Packet::PingResp,
            Self::Disconnect(_, reason, _) => Packet::Disconnect(Disconnect {
                reason: *reason,
                properties,
            }),
            Self::Auth(reason, _) => Packet::Auth(Auth {
                reason: *reason,
                properties,
            }),
        };
        packet(lent)
    }

    /// The bytes of the packet; the length is the one announced.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let version = self.version();
        let checked =
            |announced: usize, encode: &dyn Fn(&mut [u8]) -> Result<usize, EncodeError>| {
                let mut buffer = vec![0; announced];
                assert_eq!(encode(&mut buffer), Ok(announced));
                for short in [0, announced / 2, announced - 1] {
                    assert_eq!(
                        encode(&mut buffer.clone()[..short]),
                        Err(EncodeError::TooSmall { needed: announced })
                    );
                }
                buffer
            };
        self.lend(
            |packet| {
                checked(packet.encoded_len(version), &|buffer| {
                    packet.encode(version, buffer)
                })
            },
            |connect| checked(connect.encoded_len(), &|buffer| connect.encode(buffer)),
        )
    }
}
