//! Brokers that do next to nothing: a case that all of them pass proves nothing.

use core::net::{Ipv4Addr, SocketAddr};
use core::num::NonZeroU32;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread;

use mqtt_codec::{
    ConnAck, Decoded, Decoder, Delivery, FixedHeader, FromClient, PINGRESP, PacketId, PacketType,
    Properties, Property, PubAck, PubComp, PubRec, QoS, ReasonCode, ReasonCodes, ReceiveMaximum,
    SubAck, UnsubAck, Version,
};

/// The Receive Maximum of a stub, which it does not mind.
const ANNOUNCED: ReceiveMaximum = ReceiveMaximum::new(16).expect("16 is not 0");

/// What a stub does with what it reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stub {
    /// Nothing.
    Silent,
    /// Acknowledges every packet as if it had done what it asks for, whatever it holds, and routes nothing.
    Acknowledging,
    /// Sends every byte back.
    Echoing,
    /// Closes the connection at the first byte; the others never close one.
    Closing,
}

impl Stub {
    /// Starts it, until the end of the process.
    pub(crate) fn start(self) -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .expect("the loopback interface has a free port");
        let address = listener
            .local_addr()
            .expect("a bound socket has an address");
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                thread::spawn(move || self.serve(stream));
            }
        });
        address
    }

    fn serve(self, mut stream: TcpStream) {
        let mut version = Version::V311;
        let mut input = Vec::new();
        let mut chunk = [0; 4096];
        while let Ok(read) = stream.read(&mut chunk) {
            if read == 0 {
                return;
            }
            let output = match self {
                Self::Closing => return,
                Self::Silent => Vec::new(),
                Self::Echoing => chunk[..read].to_vec(),
                Self::Acknowledging => {
                    input.extend_from_slice(&chunk[..read]);
                    acknowledge_all(&mut input, &mut version)
                }
            };
            if stream.write_all(&output).is_err() {
                return;
            }
        }
    }
}

/// Takes all whole packets off `input` and gives their answers.
fn acknowledge_all(input: &mut Vec<u8>, version: &mut Version) -> Vec<u8> {
    let mut output = Vec::new();
    loop {
        let (packet_type, len) = match FixedHeader::decode(input) {
            Ok(Decoded::Complete { packet, .. }) if packet.frame_len() <= input.len() => {
                (packet.packet_type, packet.frame_len())
            }
            Ok(_) => return output,
            // Not even a packet type, or flags that it cannot have.
            Err(_) => match (input.first(), input.get(1)) {
                (Some(first), Some(&remaining)) if remaining < 0x80 => {
                    let Some(packet_type) = PacketType::from_u8(first >> 4) else {
                        input.clear();
                        return output;
                    };
                    (packet_type, (2 + usize::from(remaining)).min(input.len()))
                }
                _ => {
                    input.clear();
                    return output;
                }
            },
        };
        let frame: Vec<u8> = input.drain(..len).collect();
        if packet_type == PacketType::Connect && frame.get(8) == Some(&5) {
            *version = Version::V5;
        }
        output.extend(acknowledge(packet_type, &frame, *version));
    }
}

fn acknowledge(packet_type: PacketType, frame: &[u8], version: Version) -> Vec<u8> {
    let codes = codes(frame, version);
    let codes = ReasonCodes::new(&codes);
    let mut buffer = vec![0; 64 + codes.len()];
    let properties = Properties::EMPTY;
    // Behind the fixed header, if it has its shortest form.
    let packet_id = || packet_id(frame, 2);
    let written = match packet_type {
        PacketType::Connect => {
            let announced: &[Property<'_>] = if version.is_v5() {
                const SIZE: NonZeroU32 = NonZeroU32::MIN.saturating_add(999_999);
                &[
                    Property::TopicAliasMaximum(16),
                    Property::MaximumPacketSize(SIZE),
                    Property::ReceiveMaximum(ANNOUNCED),
                ]
            } else {
                &[]
            };
            ConnAck {
                session_present: false,
                reason: ReasonCode::SUCCESS,
                properties: Properties::List(announced),
            }
            .encode(version, &mut buffer)
        }
        PacketType::Publish => {
            let packet = Decoder::new(version).from_client(frame);
            let delivery = match packet {
                Ok(Decoded::Complete {
                    packet: FromClient::Publish(publish),
                    ..
                }) => publish.delivery,
                _ => guessed_delivery(frame),
            };
            match delivery {
                Delivery::AtMostOnce => return Vec::new(),
                Delivery::AtLeastOnce(id) => PubAck::new(id).encode(version, &mut buffer),
                Delivery::ExactlyOnce(id) => PubRec::new(id).encode(version, &mut buffer),
            }
        }
        PacketType::PubRel => PubComp::new(packet_id()).encode(version, &mut buffer),
        PacketType::PubRec => mqtt_codec::PubRel::new(packet_id()).encode(version, &mut buffer),
        PacketType::Subscribe => SubAck {
            packet_id: packet_id(),
            properties,
            codes,
        }
        .encode(version, &mut buffer),
        PacketType::Unsubscribe => UnsubAck {
            packet_id: packet_id(),
            properties,
            codes: if version.is_v5() {
                codes
            } else {
                ReasonCodes::new(&[])
            },
        }
        .encode(version, &mut buffer),
        PacketType::PingReq => return PINGRESP.to_vec(),
        _ => return Vec::new(),
    };
    buffer.truncate(written.unwrap_or(0));
    buffer
}

/// One code for each filter of a SUBSCRIBE or UNSUBSCRIBE, the QoS that is asked for.
fn codes(frame: &[u8], version: Version) -> Vec<u8> {
    match Decoder::new(version).from_client(frame) {
        Ok(Decoded::Complete { packet, .. }) => match packet {
            FromClient::Subscribe(subscribe) => subscribe
                .filters
                .iter()
                .map(|filter| filter.options.qos as u8)
                .collect(),
            FromClient::Unsubscribe(unsubscribe) => vec![0; unsubscribe.filters.len()],
            _ => vec![0],
        },
        _ => vec![0],
    }
}

/// The delivery of a PUBLISH that is malformed.
fn guessed_delivery(frame: &[u8]) -> Delivery {
    let topic_len = frame.get(3).map_or(0, |&len| usize::from(len));
    let id = packet_id(frame, 4 + topic_len);
    match QoS::from_u8(frame[0] >> 1 & 3) {
        Some(QoS::AtMostOnce) => Delivery::AtMostOnce,
        Some(QoS::AtLeastOnce) => Delivery::AtLeastOnce(id),
        Some(QoS::ExactlyOnce) | None => Delivery::ExactlyOnce(id),
    }
}

/// The packet identifier at byte `at`, or 1.
fn packet_id(frame: &[u8], at: usize) -> PacketId {
    let bytes = frame.get(at..at + 2);
    bytes
        .and_then(|bytes| PacketId::new(u16::from_be_bytes([bytes[0], bytes[1]])))
        .unwrap_or(PacketId::MIN)
}
