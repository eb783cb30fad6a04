//! Peers that answer: the state of `rumqttc` (a client's), and the connection of `mqtt-protocol-core` (a server's).
//!
//! Bytes in, bytes out, as for ours: what a `BytesMut` is filled with is on the clock, and so is the copy of an answer that
//! comes in memory of its own.

use std::hint::black_box;

use bytes::BytesMut;
use mqtt_cases::packets::{self, Outgoing, packet_id};
use mqtt_codec::{Connect, Delivery, Version};
use mqtt_protocol_core::mqtt::common::Cursor;
use mqtt_protocol_core::mqtt::connection::{Event, role};
use mqtt_protocol_core::mqtt::packet::{GenericPacketTrait, v3_1_1, v5_0};
use mqtt_protocol_core::mqtt::result_code::{ConnectReasonCode, ConnectReturnCode};
use mqtt_protocol_core::mqtt::{self, Connection};
use rumqttc::mqttbytes::v4;
use rumqttc::v5::mqttbytes::v5;

use crate::harness::Op;

/// Identifiers that may be in flight.
const INFLIGHT: u16 = 100;
const MAX_SIZE: usize = 1 << 20;

/// One end of a connection that is up.
trait Answers: 'static {
    /// One packet in; everything that answers it is appended.
    fn exchange(&mut self, bytes: &[u8], out: &mut BytesMut);
}

struct Rumqttc4 {
    state: rumqttc::MqttState,
    input: BytesMut,
}

impl Answers for Rumqttc4 {
    #[inline]
    fn exchange(&mut self, bytes: &[u8], out: &mut BytesMut) {
        self.input.extend_from_slice(bytes);
        let packet = v4::Packet::read(&mut self.input, MAX_SIZE).expect("a whole packet");
        let answer = self
            .state
            .handle_incoming_packet(packet)
            .expect("a valid packet");
        // Its event loop hands these to the program.
        while let Some(event) = self.state.events.pop_front() {
            black_box(&event);
        }
        if let Some(answer) = answer {
            answer.write(out, MAX_SIZE).expect("it fits");
        }
    }
}

struct Rumqttc5 {
    state: rumqttc::v5::MqttState,
    input: BytesMut,
}

impl Answers for Rumqttc5 {
    #[inline]
    fn exchange(&mut self, bytes: &[u8], out: &mut BytesMut) {
        let max = Some(MAX_SIZE as u32);
        self.input.extend_from_slice(bytes);
        let packet = v5::Packet::read(&mut self.input, max).expect("a whole packet");
        let answer = self
            .state
            .handle_incoming_packet(packet)
            .expect("a valid packet");
        while let Some(event) = self.state.events.pop_front() {
            black_box(&event);
        }
        if let Some(answer) = answer {
            answer.write(out, max).expect("it fits");
        }
    }
}

struct ProtocolCore(Connection<role::Server>);

impl Answers for ProtocolCore {
    #[inline]
    fn exchange(&mut self, bytes: &[u8], out: &mut BytesMut) {
        for event in self.0.recv(&mut Cursor::new(bytes)) {
            match &event {
                Event::RequestSendPacket { packet, .. } => {
                    out.extend_from_slice(&packet.to_continuous_buffer());
                }
                Event::NotifyError(error) => panic!("{error:?}"),
                other => {
                    black_box(other);
                }
            }
        }
    }
}

impl ProtocolCore {
    fn connected(version: Version) -> Self {
        let spoken = if version == Version::V5 {
            mqtt::Version::V5_0
        } else {
            mqtt::Version::V3_1_1
        };
        let mut connection = Connection::new(spoken);
        connection.set_auto_pub_response(true);
        let connect = Outgoing::Connect(Connect::new(version, "thermometer-0042")).wire(version);
        connection.recv(&mut Cursor::new(&connect));
        let accepted = if version == Version::V5 {
            let connack = v5_0::Connack::builder().session_present(false);
            connack
                .reason_code(ConnectReasonCode::Success)
                .build()
                .map(Into::into)
        } else {
            let connack = v3_1_1::Connack::builder().session_present(false);
            connack
                .return_code(ConnectReturnCode::Accepted)
                .build()
                .map(Into::into)
        };
        connection.send(accepted.expect("a CONNACK"));
        Self(connection)
    }
}

/// A PUBLISH with QoS 1 in, its PUBACK out: one operation for each peer.
pub(super) fn qos1(version: Version) -> Vec<(&'static str, Op)> {
    let publish = packets::acknowledged(5, 64).wire(version);
    each(version, vec![publish], &[0x40, 2, 0, 5])
}

/// PUBLISH with QoS 2 in, PUBREC out, PUBREL in, PUBCOMP out: one operation for each peer.
pub(super) fn qos2(version: Version) -> Vec<(&'static str, Op)> {
    let Outgoing::Publish(mut publish) = packets::acknowledged(5, 64) else {
        unreachable!("a PUBLISH");
    };
    publish.delivery = Delivery::ExactlyOnce(packet_id(5));
    let publish = Outgoing::Publish(publish).wire(version);
    let release = packets::pubrel(5).wire(version);
    each(
        version,
        vec![publish, release],
        &[0x50, 2, 0, 5, 0x70, 2, 0, 5],
    )
}

fn each(version: Version, input: Vec<Vec<u8>>, answers: &'static [u8]) -> Vec<(&'static str, Op)> {
    let core = (
        "mqtt-protocol-core",
        op(ProtocolCore::connected(version), input.clone(), answers),
    );
    let rumqttc = if version == Version::V5 {
        let state = rumqttc::v5::MqttState::new(INFLIGHT, false);
        op(
            Rumqttc5 {
                state,
                input: BytesMut::with_capacity(4_096),
            },
            input,
            answers,
        )
    } else {
        let state = rumqttc::MqttState::new(INFLIGHT, false);
        op(
            Rumqttc4 {
                state,
                input: BytesMut::with_capacity(4_096),
            },
            input,
            answers,
        )
    };
    vec![("rumqttc", rumqttc), core]
}

fn op(mut peer: impl Answers, input: Vec<Vec<u8>>, answers: &'static [u8]) -> Op {
    let mut out = BytesMut::with_capacity(256);
    Op::new(1, move |n| {
        for _ in 0..n {
            out.clear();
            for bytes in &input {
                peer.exchange(black_box(bytes), black_box(&mut out));
            }
            assert_eq!(out[..], *answers, "the answers of a peer");
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::Stopwatch;

    /// The operations look at the answers themselves.
    #[test]
    fn peers_answer_again_and_again() {
        for version in [Version::V311, Version::V5] {
            for (name, mut op) in qos1(version).into_iter().chain(qos2(version)) {
                let watch: Stopwatch = op.perform(1_000);
                assert!(!watch.elapsed().is_zero(), "{name}");
            }
        }
    }
}
