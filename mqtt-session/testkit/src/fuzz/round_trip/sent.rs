//! Packets out of an input as a program would build them: fields, and lists of properties and filters.

use core::num::NonZeroU32;
use std::sync::LazyLock;

use mqtt_codec::*;

use super::super::input::Input;

/// Text as long as a length of two bytes can say, and one character longer.
static LONG: LazyLock<String> = LazyLock::new(|| "l".repeat(65_536));

/// Every property that is not a user property, those of a message first.
const PROPERTIES: [u8; 26] = [
    0x01, 0x02, 0x03, 0x08, 0x09, 0x0b, 0x23, 0x18, 0x11, 0x15, 0x16, 0x17, 0x19, 0x21, 0x22, 0x27,
    0x12, 0x13, 0x1a, 0x1c, 0x1f, 0x24, 0x25, 0x28, 0x29, 0x2a,
];
/// Of these most of the properties of each packet are chosen, the packets in the order of their numbers.
const OF: [&[u8]; 16] = [
    &[0x1f],
    &[0x11, 0x21, 0x22, 0x27, 0x17, 0x19, 0x15, 0x16],
    &[
        0x21, 0x22, 0x27, 0x11, 0x13, 0x12, 0x24, 0x25, 0x28, 0x29, 0x2a, 0x15, 0x16, 0x1a, 0x1c,
        0x1f,
    ],
    &[0x01, 0x02, 0x03, 0x08, 0x09, 0x0b, 0x23, 0x0b],
    &[0x1f],
    &[0x1f],
    &[0x1f],
    &[0x1f],
    &[0x0b],
    &[0x1f],
    &[],
    &[0x1f],
    &[],
    &[],
    &[0x11, 0x1c, 0x1f],
    &[0x15, 0x16, 0x1f],
];
const OF_WILL: &[u8] = &[0x18, 0x01, 0x02, 0x03, 0x08, 0x09];
/// Reason codes, the frequent ones first.
const REASONS: [u8; 24] = [
    0, 0, 0, 0, 0x10, 0x80, 0x87, 0x97, 0x92, 0x18, 0x19, 0x04, 0x11, 1, 2, 0x84, 0x85, 0x86, 0x88,
    0x8f, 0x9e, 0x81, 0xa2, 0x05,
];

/// What a packet borrows.
#[derive(Debug, Default)]
pub(super) struct Parts<'a> {
    kind: u8,
    properties: Vec<Property<'a>>,
    will: Vec<Property<'a>>,
    filters: Vec<SubscribeFilter<'a>>,
    names: Vec<&'a str>,
    codes: &'a [u8],
}

impl<'a> Parts<'a> {
    /// Reads which packet it is, and its lists.
    pub(super) fn read(&mut self, version: Version, input: &mut Input<'a>) {
        self.kind = input.byte();
        let kind = usize::from(self.kind & 0x0f);
        // Most packets of the older versions have none, as they cannot be written.
        if version.is_v5() || self.kind >= 0xf0 {
            properties(input, OF[kind], &mut self.properties);
            if kind == 1 {
                properties(input, OF_WILL, &mut self.will);
            }
        }
        match kind {
            8 => {
                for _ in 0..input.byte() >> 5 {
                    let filter = text(input);
                    let byte = input.byte();
                    let byte = if version.is_v5() || byte >= 0xe0 {
                        byte & 0x3f
                    } else {
                        byte & 0x03
                    };
                    let options = SubscriptionOptions::from_byte(byte).unwrap_or_default();
                    self.filters.push(SubscribeFilter { filter, options });
                }
            }
            9 | 11 => {
                let codes: [&[u8]; 8] =
                    [&[0], &[0x80], &[1, 2], &[0, 0x11], &[0x87], &[], &[], &[3]];
                self.codes = match input.byte() {
                    byte if byte < 0xe0 => codes[usize::from(byte & 7)],
                    byte => input.take(usize::from(byte & 0x1f)),
                };
            }
            10 => {
                for _ in 0..input.byte() >> 5 {
                    self.names.push(text(input));
                }
            }
            _ => {}
        }
    }
}

/// A list of properties: mostly out of `usual`, sometimes any; rarely so long that its length takes three or four bytes.
fn properties<'a>(input: &mut Input<'a>, usual: &[u8], list: &mut Vec<Property<'a>>) {
    let count = input.byte();
    for _ in 0..(count >> 3).saturating_sub(0x10) {
        let byte = input.byte();
        let id = match byte {
            0..0xa0 if !usual.is_empty() => usual[usize::from(byte) % usual.len()],
            0..0xf0 => 0x26,
            _ => input.pick(&PROPERTIES),
        };
        list.push(property(id, input));
    }
    match count & 7 {
        6 if count >= 0x80 => list.push(Property::UserProperty("k", &LONG[..16_400])),
        7 if count == 0xff => list.extend([Property::UserProperty("k", &LONG[..65_535]); 33]),
        _ => {}
    }
}

fn property<'a>(id: u8, input: &mut Input<'a>) -> Property<'a> {
    match id {
        0x01 => Property::PayloadFormatIndicator(if input.flag() {
            PayloadFormat::Utf8
        } else {
            PayloadFormat::Unspecified
        }),
        0x02 => Property::MessageExpiryInterval(long(input)),
        0x03 => Property::ContentType(text(input)),
        0x08 => Property::ResponseTopic(text(input)),
        0x09 => Property::CorrelationData(binary(input)),
        0x0b => {
            let id = input.pick(&[1, 127, 128, 16_384, 2_097_152, 268_435_455]);
            Property::SubscriptionIdentifier(SubscriptionId::new(id).unwrap_or(SubscriptionId::MIN))
        }
        0x11 => Property::SessionExpiryInterval(long(input)),
        0x12 => Property::AssignedClientIdentifier(text(input)),
        0x13 => Property::ServerKeepAlive(input.short()),
        0x15 => Property::AuthenticationMethod(text(input)),
        0x16 => Property::AuthenticationData(binary(input)),
        0x17 => Property::RequestProblemInformation(input.flag()),
        0x18 => Property::WillDelayInterval(long(input)),
        0x19 => Property::RequestResponseInformation(input.flag()),
        0x1a => Property::ResponseInformation(text(input)),
        0x1c => Property::ServerReference(text(input)),
        0x1f => Property::ReasonString(text(input)),
        0x21 => Property::ReceiveMaximum(ReceiveMaximum::new(input.short()).unwrap_or_default()),
        0x22 => Property::TopicAliasMaximum(input.short()),
        0x23 => Property::TopicAlias(TopicAlias::new(input.short()).unwrap_or(TopicAlias::MAX)),
        0x24 => Property::MaximumQoS(qos(input.byte())),
        0x25 => Property::RetainAvailable(input.flag()),
        0x27 => {
            Property::MaximumPacketSize(NonZeroU32::new(long(input)).unwrap_or(NonZeroU32::MAX))
        }
        0x28 => Property::WildcardSubscriptionAvailable(input.flag()),
        0x29 => Property::SubscriptionIdentifierAvailable(input.flag()),
        0x2a => Property::SharedSubscriptionAvailable(input.flag()),
        _ => Property::UserProperty(text(input), text(input)),
    }
}

fn long(input: &mut Input<'_>) -> u32 {
    u32::from(input.short()) << 16 | u32::from(input.byte())
}

fn qos(byte: u8) -> QoS {
    [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce][usize::from(byte) % 3]
}

/// Text: usual, out of the input, or long.
fn text<'a>(input: &mut Input<'a>) -> &'a str {
    match input.byte() {
        byte if byte < 0xc0 => {
            let usual = ["a", "a/b", "\u{e9}\u{1f600}", "x/y/z", "", "+", "a/#", "k"];
            usual[usize::from(byte & 7)]
        }
        0xf8 => &LONG[..128],
        0xf9 => &LONG[..127],
        0xfa => &LONG[..16_384],
        0xfb => &LONG[..65_535],
        0xfc => &LONG,
        0xfd => "a\0b",
        byte => {
            let bytes = input.take(usize::from(byte & 0x1f));
            let valid = match core::str::from_utf8(bytes) {
                Ok(text) => return text,
                Err(error) => error.valid_up_to(),
            };
            core::str::from_utf8(&bytes[..valid]).unwrap_or_default()
        }
    }
}

fn binary<'a>(input: &mut Input<'a>) -> &'a [u8] {
    match input.byte() {
        0xfb => LONG[..65_535].as_bytes(),
        0xfc => LONG.as_bytes(),
        byte => input.take(usize::from(byte & 0x1f)),
    }
}

fn packet_id(input: &mut Input<'_>) -> PacketId {
    match input.byte() {
        0 => PacketId::MAX,
        0xff => PacketId::new(input.short()).unwrap_or(PacketId::MIN),
        byte => PacketId::new(byte.into()).unwrap_or(PacketId::MIN),
    }
}

fn reason(input: &mut Input<'_>) -> ReasonCode {
    ReasonCode(match input.byte() {
        0xff => input.byte(),
        byte => REASONS[usize::from(byte) % REASONS.len()],
    })
}

/// A packet to be sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Sent<'a> {
    /// Which has a type of its own on this way.
    Connect(Connect<'a>),
    /// Any other.
    Packet(Packet<'a>),
}

impl<'a> Sent<'a> {
    /// Reads the fields of the packet that the parts are for.
    pub(super) fn read<'i: 'a>(
        version: Version,
        parts: &'a Parts<'i>,
        input: &mut Input<'i>,
    ) -> Self {
        let properties = Properties::List(&parts.properties);
        let packet = match parts.kind & 0x0f {
            1 => return Self::Connect(connect(version, parts, input)),
            2 => Packet::ConnAck(ConnAck {
                session_present: input.flag(),
                reason: reason(input),
                properties,
            }),
            3 => Packet::Publish(publish(properties, input)),
            4 => Packet::PubAck(PubAck {
                packet_id: packet_id(input),
                reason: reason(input),
                properties,
            }),
            5 => Packet::PubRec(PubRec {
                packet_id: packet_id(input),
                reason: reason(input),
                properties,
            }),
            6 => Packet::PubRel(PubRel {
                packet_id: packet_id(input),
                reason: reason(input),
                properties,
            }),
            7 => Packet::PubComp(PubComp {
                packet_id: packet_id(input),
                reason: reason(input),
                properties,
            }),
            8 => Packet::Subscribe(Subscribe {
                packet_id: packet_id(input),
                properties,
                filters: Filters::List(&parts.filters),
            }),
            9 => Packet::SubAck(SubAck {
                packet_id: packet_id(input),
                properties,
                codes: ReasonCodes::new(parts.codes),
            }),
            10 => Packet::Unsubscribe(Unsubscribe {
                packet_id: packet_id(input),
                properties,
                filters: UnsubscribeFilters::List(&parts.names),
            }),
            11 => Packet::UnsubAck(UnsubAck {
                packet_id: packet_id(input),
                properties,
                codes: ReasonCodes::new(parts.codes),
            }),
            12 => Packet::PingReq,
            13 => Packet::PingResp,
            14 => Packet::Disconnect(Disconnect {
                reason: reason(input),
                properties,
            }),
            15 => Packet::Auth(Auth {
                reason: reason(input),
                properties,
            }),
            _ => Packet::PubAck(PubAck::new(packet_id(input))),
        };
        Self::Packet(packet)
    }

    /// What `encoded_len` says.
    pub(super) fn encoded_len(&self, version: Version) -> usize {
        match self {
            Self::Connect(connect) => connect.encoded_len(),
            Self::Packet(packet) => packet.encoded_len(version),
        }
    }

    /// Writes it.
    pub(super) fn encode(&self, version: Version, buffer: &mut [u8]) -> Result<usize, EncodeError> {
        match self {
            Self::Connect(connect) => connect.encode(buffer),
            Self::Packet(packet) => packet.encode(version, buffer),
        }
    }

    /// The same without what the older versions leave out.
    pub(super) fn as_read(&self, version: Version) -> Self {
        if version.is_v5() {
            return *self;
        }
        let properties = Properties::EMPTY;
        let reason = ReasonCode::SUCCESS;
        let packet = match *self {
            Self::Connect(connect) => {
                return Self::Connect(Connect {
                    properties,
                    will: connect.will.map(|will| Will { properties, ..will }),
                    ..connect
                });
            }
            Self::Packet(packet) => packet,
        };
        Self::Packet(match packet {
            Packet::ConnAck(packet) => Packet::ConnAck(ConnAck {
                session_present: packet.session_present && version != Version::V31,
                properties,
                ..packet
            }),
            Packet::Publish(packet) => Packet::Publish(Publish {
                properties,
                ..packet
            }),
            Packet::PubAck(packet) => Packet::PubAck(PubAck::new(packet.packet_id)),
            Packet::PubRec(packet) => Packet::PubRec(PubRec::new(packet.packet_id)),
            Packet::PubRel(packet) => Packet::PubRel(PubRel::new(packet.packet_id)),
            Packet::PubComp(packet) => Packet::PubComp(PubComp::new(packet.packet_id)),
            Packet::Subscribe(packet) => Packet::Subscribe(Subscribe {
                properties,
                ..packet
            }),
            Packet::SubAck(packet) => Packet::SubAck(SubAck {
                properties,
                ..packet
            }),
            Packet::Unsubscribe(packet) => Packet::Unsubscribe(Unsubscribe {
                properties,
                ..packet
            }),
            Packet::UnsubAck(packet) => Packet::UnsubAck(UnsubAck {
                properties,
                codes: ReasonCodes::default(),
                ..packet
            }),
            Packet::Disconnect(_) => Packet::Disconnect(Disconnect::new(reason)),
            other @ (Packet::Connect(_) | Packet::PingReq | Packet::PingResp | Packet::Auth(_)) => {
                other
            }
        })
    }

    /// Whether that is what was read.
    pub(super) fn is(&self, read: &Packet<'_>) -> bool {
        match (self, read) {
            (Self::Connect(sent), Packet::Connect(view)) => {
                view.to_connect() == *sent
                    && view.will() == sent.will
                    && view.user_name() == sent.user_name
                    && view.password() == sent.password
                    && view.client_id() == sent.client_id
            }
            // Before 5.0 there is one code for all failures.
            (Self::Packet(Packet::SubAck(sent)), Packet::SubAck(read)) => {
                sent.packet_id == read.packet_id
                    && sent.properties == read.properties
                    && sent.codes.len() == read.codes.len()
                    && sent
                        .codes
                        .iter()
                        .zip(read.codes.iter())
                        .all(|(sent, read)| {
                            sent == read || (sent.is_error() && read == ReasonCode(0x80))
                        })
            }
            (Self::Packet(sent), read) => sent == read,
            (Self::Connect(_), _) => false,
        }
    }
}

fn connect<'a, 'i: 'a>(
    version: Version,
    parts: &'a Parts<'i>,
    input: &mut Input<'i>,
) -> Connect<'a> {
    let choice = input.byte();
    let will = (choice & 4 != 0).then(|| Will {
        topic: text(input),
        payload: binary(input),
        qos: qos(choice >> 3),
        retain: choice & 0x20 != 0,
        properties: Properties::List(&parts.will),
    });
    let names = input.byte();
    Connect {
        version,
        clean_start: choice & 2 != 0,
        keep_alive: input.short(),
        client_id: text(input),
        will,
        user_name: (names & 1 != 0).then(|| text(input)),
        password: (names & 2 != 0).then(|| binary(input)),
        properties: Properties::List(&parts.properties),
        bridge: names >= 0xe0,
    }
}

fn publish<'a, 'i: 'a>(properties: Properties<'a>, input: &mut Input<'i>) -> Publish<'a> {
    let choice = input.byte();
    let delivery = match choice & 3 {
        0 => Delivery::AtMostOnce,
        1 => Delivery::AtLeastOnce(packet_id(input)),
        _ => Delivery::ExactlyOnce(packet_id(input)),
    };
    Publish {
        // With QoS 0 it cannot be written: that is tried now and then.
        dup: choice & 8 != 0 && (choice & 3 != 0 || choice >= 0xc0),
        retain: choice & 4 != 0,
        delivery,
        topic: text(input),
        properties,
        payload: binary(input),
    }
}
