//! One client's end of a connection: what it saw, and the acknowledgements that it gives.

use std::collections::BTreeSet;

use mqtt_codec::{
    Decoded, Decoder, Delivery, FromServer, Packet, Properties, PubAck, PubComp, PubRec, PubRel,
    QoS, ReasonCode, Version,
};

/// A message as a client received it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) topic: String,
    pub(super) payload: Vec<u8>,
    pub(super) qos: QoS,
    pub(super) retain: bool,
    pub(super) dup: bool,
    /// The packet id; 0 at QoS 0.
    pub(super) id: u16,
    /// The subscription identifiers, in ascending order.
    pub(super) subscriptions: Vec<u32>,
    pub(super) expiry: Option<u32>,
    pub(super) user: Vec<(String, String)>,
}

impl Message {
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.payload).into_owned()
    }
}

/// What CONNACK said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Connected {
    pub(super) session_present: bool,
    pub(super) reason: ReasonCode,
    pub(super) assigned_id: Option<String>,
    pub(super) keep_alive: Option<u16>,
    pub(super) session_expiry: Option<u32>,
    pub(super) response_information: Option<String>,
    pub(super) authentication: Option<(String, Vec<u8>)>,
    pub(super) maximum_packet_size: Option<u32>,
    pub(super) receive_maximum: Option<u16>,
    pub(super) alias_maximum: Option<u16>,
}

/// A packet that a client got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    ConnAck(Box<Connected>),
    Publish(Message),
    PubAck(u16, ReasonCode),
    PubRec(u16, ReasonCode),
    PubRel(u16, ReasonCode),
    PubComp(u16, ReasonCode),
    SubAck(u16, Vec<ReasonCode>),
    UnsubAck(u16, Vec<ReasonCode>),
    PingResp,
    Disconnect(ReasonCode),
    Auth(ReasonCode, Vec<u8>),
    /// The broker closed.
    Closed,
}

/// What a client does with a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Manner {
    /// Acknowledges at once, to the end.
    #[default]
    Acknowledges,
    /// Answers nothing: the test does.
    Silent,
    /// Refuses every message with this reason.
    Refuses(ReasonCode),
}

/// The protocol's half of a client; it outlives its connection when the session is resumed.
#[derive(Clone, Debug)]
pub(super) struct End {
    pub(super) version: Version,
    pub(super) manner: Manner,
    pub(super) seen: Vec<Seen>,
    unread: Vec<u8>,
    /// Ids of QoS 2 messages that were received and not yet released.
    unreleased: BTreeSet<u16>,
}

impl End {
    pub(super) const fn new(version: Version) -> Self {
        Self {
            version,
            manner: Manner::Acknowledges,
            seen: Vec::new(),
            unread: Vec::new(),
            unreleased: BTreeSet::new(),
        }
    }

    /// What is left of it for a new connection.
    pub(super) fn resumed(&self) -> Self {
        Self {
            manner: self.manner,
            unreleased: self.unreleased.clone(),
            ..Self::new(self.version)
        }
    }

    /// Takes what the broker sent, and gives the bytes that answer it.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.unread.extend_from_slice(bytes);
        let mut answers = Vec::new();
        let unread = core::mem::take(&mut self.unread);
        let mut rest = &unread[..];
        let decoder = Decoder::new(self.version);
        while !rest.is_empty() {
            match decoder.from_server(rest) {
                Ok(Decoded::Complete { packet, len }) => {
                    rest = &rest[len..];
                    if let Some(answer) = self.packet(packet) {
                        answers.extend(encode(&answer, self.version));
                    }
                }
                Ok(Decoded::NeedMore(_)) => break,
                Err(error) => panic!("the broker sent {rest:02x?}: {error:?}"),
            }
        }
        self.unread = rest.to_vec();
        answers
    }

    fn packet(&mut self, packet: FromServer<'_>) -> Option<Packet<'static>> {
        let (seen, answer) = match packet {
            FromServer::Publish(publish) => return self.publish(&publish),
            FromServer::ConnAck(packet) => {
                let properties = packet.properties;
                let connected = Connected {
                    session_present: packet.session_present,
                    reason: packet.reason,
                    assigned_id: properties.assigned_client_identifier().map(Into::into),
                    keep_alive: properties.server_keep_alive(),
                    session_expiry: properties.session_expiry_interval(),
                    response_information: properties.response_information().map(Into::into),
                    authentication: properties.authentication_method().map(|method| {
                        let data = properties.authentication_data().unwrap_or_default();
                        (method.to_owned(), data.to_vec())
                    }),
                    maximum_packet_size: properties.maximum_packet_size().map(|size| size.get()),
                    receive_maximum: properties.receive_maximum().map(|maximum| maximum.get()),
                    alias_maximum: properties.topic_alias_maximum(),
                };
                (Seen::ConnAck(Box::new(connected)), None)
            }
            FromServer::PubAck(packet) => {
                (Seen::PubAck(packet.packet_id.get(), packet.reason), None)
            }
            FromServer::PubRec(packet) => {
                let answer = (self.manner != Manner::Silent && !packet.reason.is_error())
                    .then(|| Packet::PubRel(PubRel::new(packet.packet_id)));
                (Seen::PubRec(packet.packet_id.get(), packet.reason), answer)
            }
            FromServer::PubRel(packet) => {
                self.unreleased.remove(&packet.packet_id.get());
                let answer = (self.manner != Manner::Silent)
                    .then(|| Packet::PubComp(PubComp::new(packet.packet_id)));
                (Seen::PubRel(packet.packet_id.get(), packet.reason), answer)
            }
            FromServer::PubComp(packet) => {
                (Seen::PubComp(packet.packet_id.get(), packet.reason), None)
            }
            FromServer::SubAck(packet) => {
                let codes = packet.codes.iter().collect();
                (Seen::SubAck(packet.packet_id.get(), codes), None)
            }
            FromServer::UnsubAck(packet) => {
                let codes = packet.codes.iter().collect();
                (Seen::UnsubAck(packet.packet_id.get(), codes), None)
            }
            FromServer::PingResp => (Seen::PingResp, None),
            FromServer::Disconnect(packet) => (Seen::Disconnect(packet.reason), None),
            FromServer::Auth(packet) => {
                let data = packet.properties.authentication_data().unwrap_or_default();
                (Seen::Auth(packet.reason, data.to_vec()), None)
            }
        };
        self.seen.push(seen);
        answer
    }

    fn publish(&mut self, publish: &mqtt_codec::Publish<'_>) -> Option<Packet<'static>> {
        let properties = publish.properties;
        let packet_id = publish.delivery.packet_id();
        let mut message = Message {
            topic: publish.topic.to_owned(),
            payload: publish.payload.to_vec(),
            qos: publish.delivery.qos(),
            retain: publish.retain,
            dup: publish.dup,
            id: packet_id.map_or(0, |id| id.get()),
            subscriptions: properties
                .subscription_identifiers()
                .map(|id| id.get())
                .collect(),
            expiry: properties.message_expiry_interval(),
            user: properties
                .user_properties()
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        };
        message.subscriptions.sort_unstable();
        let (manner, properties) = (self.manner, Properties::EMPTY);
        let reason = match manner {
            Manner::Refuses(reason) => reason,
            Manner::Acknowledges | Manner::Silent => ReasonCode::SUCCESS,
        };
        let answer = match publish.delivery {
            Delivery::AtMostOnce => None,
            Delivery::AtLeastOnce(packet_id) => Some(Packet::PubAck(PubAck {
                packet_id,
                reason,
                properties,
            })),
            Delivery::ExactlyOnce(packet_id) => {
                let again = !reason.is_error() && !self.unreleased.insert(packet_id.get());
                if again {
                    // It has this message already [MQTT-4.3.3-10].
                    assert!(publish.dup, "a used id without DUP: {publish:?}");
                    return (manner != Manner::Silent)
                        .then(|| Packet::PubRec(PubRec::new(packet_id)));
                }
                Some(Packet::PubRec(PubRec {
                    packet_id,
                    reason,
                    properties,
                }))
            }
        };
        self.seen.push(Seen::Publish(message));
        answer.filter(|_| manner != Manner::Silent)
    }
}

/// The bytes of a packet.
pub(super) fn encode(packet: &Packet<'_>, version: Version) -> Vec<u8> {
    let mut bytes = vec![0; packet.encoded_len(version)];
    let len = packet.encode(version, &mut bytes).unwrap();
    assert_eq!(len, bytes.len());
    bytes
}
