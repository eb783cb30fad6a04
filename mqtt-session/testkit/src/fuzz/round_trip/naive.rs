//! A packet put into bytes as it stands, and nothing checked: so that the encoder is not its own judge.

use mqtt_codec::{
    Connect, Delivery, Packet, Properties, Property, Publish, ReasonCode, SubAck, Version,
};

use super::super::grammar::push_varint;
use super::sent::Sent;

/// The codes that a SUBACK of 5.0 may carry; the older versions have a few of them and say 0x80 for all others.
const SUBACK: [u8; 12] = [
    0, 1, 2, 0x80, 0x83, 0x87, 0x8f, 0x91, 0x97, 0x9e, 0xa1, 0xa2,
];
/// A code that no packet of any version may carry.
const NO_CODE: u8 = 0xfe;

/// The bytes; `None` if a length cannot be said in them.
pub(super) fn write(version: Version, sent: &Sent<'_>) -> Option<Vec<u8>> {
    let mut body = Body {
        bytes: Vec::new(),
        v5: version.is_v5(),
        fits: true,
    };
    let first = match sent {
        Sent::Connect(connect) => body.connect(connect),
        Sent::Packet(packet) => body.packet(version, packet),
    };
    body.fits &= body.bytes.len() <= 268_435_455;
    let mut all = vec![first];
    push_varint(&mut all, body.bytes.len());
    all.append(&mut body.bytes);
    body.fits.then_some(all)
}

struct Body {
    bytes: Vec<u8>,
    v5: bool,
    fits: bool,
}

impl Body {
    fn byte(&mut self, byte: u8) {
        self.bytes.push(byte);
    }

    fn short(&mut self, value: u16) {
        self.bytes.extend(value.to_be_bytes());
    }

    fn binary(&mut self, bytes: &[u8]) {
        self.fits &= bytes.len() <= 65_535;
        self.short(bytes.len() as u16);
        self.bytes.extend(bytes);
    }

    fn string(&mut self, text: &str) {
        self.binary(text.as_bytes());
    }

    fn property(&mut self, property: Property<'_>) {
        self.byte(property.id());
        match property {
            Property::PayloadFormatIndicator(format) => {
                self.byte(u8::from(format == mqtt_codec::PayloadFormat::Utf8));
            }
            Property::RequestProblemInformation(yes)
            | Property::RequestResponseInformation(yes)
            | Property::RetainAvailable(yes)
            | Property::WildcardSubscriptionAvailable(yes)
            | Property::SubscriptionIdentifierAvailable(yes)
            | Property::SharedSubscriptionAvailable(yes) => self.byte(u8::from(yes)),
            Property::MaximumQoS(qos) => self.byte(qos as u8),
            Property::MessageExpiryInterval(value)
            | Property::SessionExpiryInterval(value)
            | Property::WillDelayInterval(value) => self.bytes.extend(value.to_be_bytes()),
            Property::MaximumPacketSize(value) => self.bytes.extend(value.get().to_be_bytes()),
            Property::ServerKeepAlive(value) | Property::TopicAliasMaximum(value) => {
                self.short(value);
            }
            Property::ReceiveMaximum(value) => self.short(value.get()),
            Property::TopicAlias(value) => self.short(value.get()),
            Property::SubscriptionIdentifier(id) => push_varint(&mut self.bytes, id.get() as usize),
            Property::ContentType(text)
            | Property::ResponseTopic(text)
            | Property::AssignedClientIdentifier(text)
            | Property::AuthenticationMethod(text)
            | Property::ResponseInformation(text)
            | Property::ServerReference(text)
            | Property::ReasonString(text) => self.string(text),
            Property::CorrelationData(bytes) | Property::AuthenticationData(bytes) => {
                self.binary(bytes);
            }
            Property::UserProperty(name, value) => {
                self.string(name);
                self.string(value);
            }
        }
    }

    fn properties(&mut self, properties: &Properties<'_>) {
        if !self.v5 {
            return;
        }
        let before = core::mem::take(&mut self.bytes);
        for property in properties {
            self.property(property);
        }
        let list = core::mem::replace(&mut self.bytes, before);
        push_varint(&mut self.bytes, list.len());
        self.bytes.extend(list);
    }

    /// The reason code and the properties at the end of a packet, as short as they may be.
    fn outcome(&mut self, reason: ReasonCode, properties: &Properties<'_>) {
        let properties_follow = self.v5 && !properties.is_empty();
        // The older versions have no place for a code: what stands here nevertheless is too much.
        let told = if self.v5 {
            reason != ReasonCode::SUCCESS
        } else {
            reason.is_error()
        };
        if told || properties_follow {
            self.byte(reason.0);
        }
        if properties_follow {
            self.properties(properties);
        }
    }

    fn connect(&mut self, connect: &Connect<'_>) -> u8 {
        self.v5 = connect.version.is_v5();
        self.string(match connect.version {
            Version::V31 => "MQIsdp",
            Version::V311 | Version::V5 => "MQTT",
        });
        let level = match connect.version {
            Version::V31 => 3,
            Version::V311 => 4,
            Version::V5 => 5,
        };
        self.byte(level | u8::from(connect.bridge) << 7);
        let mut flags = u8::from(connect.clean_start) << 1;
        if let Some(will) = &connect.will {
            flags |= 0x04 | (will.qos as u8) << 3 | u8::from(will.retain) << 5;
        }
        flags |= u8::from(connect.password.is_some()) << 6;
        flags |= u8::from(connect.user_name.is_some()) << 7;
        self.byte(flags);
        self.short(connect.keep_alive);
        self.properties(&connect.properties);
        self.string(connect.client_id);
        if let Some(will) = &connect.will {
            self.properties(&will.properties);
            self.string(will.topic);
            self.binary(will.payload);
        }
        if let Some(name) = connect.user_name {
            self.string(name);
        }
        if let Some(password) = connect.password {
            self.binary(password);
        }
        0x10
    }

    fn publish(&mut self, publish: &Publish<'_>) -> u8 {
        self.string(publish.topic);
        let (qos, id) = match publish.delivery {
            Delivery::AtMostOnce => (0, None),
            Delivery::AtLeastOnce(id) => (1, Some(id)),
            Delivery::ExactlyOnce(id) => (2, Some(id)),
        };
        if let Some(id) = id {
            self.short(id.get());
        }
        self.properties(&publish.properties);
        self.bytes.extend(publish.payload);
        0x30 | u8::from(publish.dup) << 3 | qos << 1 | u8::from(publish.retain)
    }

    fn suback(&mut self, suback: &SubAck<'_>) -> u8 {
        self.short(suback.packet_id.get());
        self.properties(&suback.properties);
        for code in suback.codes.iter() {
            self.byte(match code.0 {
                code if self.v5 => code,
                code if !SUBACK.contains(&code) => NO_CODE,
                code => code.min(0x80),
            });
        }
        0x90
    }

    fn packet(&mut self, version: Version, packet: &Packet<'_>) -> u8 {
        match packet {
            Packet::Connect(view) => self.connect(&view.to_connect()),
            Packet::ConnAck(packet) => {
                let present = packet.session_present && version != Version::V31;
                self.byte(u8::from(present));
                self.byte(if self.v5 {
                    packet.reason.0
                } else {
                    packet.reason.connect_return_code().unwrap_or(NO_CODE)
                });
                self.properties(&packet.properties);
                0x20
            }
            Packet::Publish(packet) => self.publish(packet),
            Packet::PubAck(packet) => {
                self.short(packet.packet_id.get());
                self.outcome(packet.reason, &packet.properties);
                0x40
            }
            Packet::PubRec(packet) => {
                self.short(packet.packet_id.get());
                self.outcome(packet.reason, &packet.properties);
                0x50
            }
            Packet::PubRel(packet) => {
                self.short(packet.packet_id.get());
                self.outcome(packet.reason, &packet.properties);
                0x62
            }
            Packet::PubComp(packet) => {
                self.short(packet.packet_id.get());
                self.outcome(packet.reason, &packet.properties);
                0x70
            }
            Packet::Subscribe(packet) => {
                self.short(packet.packet_id.get());
                self.properties(&packet.properties);
                for it in packet.filters.iter() {
                    self.string(it.filter);
                    let options = it.options;
                    self.byte(
                        options.qos as u8
                            | u8::from(options.no_local) << 2
                            | u8::from(options.retain_as_published) << 3
                            | (options.retain_handling as u8) << 4,
                    );
                }
                0x82
            }
            Packet::SubAck(packet) => self.suback(packet),
            Packet::Unsubscribe(packet) => {
                self.short(packet.packet_id.get());
                self.properties(&packet.properties);
                packet.filters.iter().for_each(|filter| self.string(filter));
                0xa2
            }
            Packet::UnsubAck(packet) => {
                self.short(packet.packet_id.get());
                self.properties(&packet.properties);
                if self.v5 {
                    self.bytes.extend(packet.codes.as_bytes());
                }
                0xb0
            }
            Packet::PingReq => 0xc0,
            Packet::PingResp => 0xd0,
            Packet::Disconnect(packet) => {
                let reason = packet.reason;
                if !self.v5 && reason != ReasonCode::NORMAL_DISCONNECTION {
                    self.byte(reason.0);
                } else {
                    self.outcome(reason, &packet.properties);
                }
                0xe0
            }
            Packet::Auth(packet) => {
                self.outcome(packet.reason, &packet.properties);
                0xf0
            }
        }
    }
}
