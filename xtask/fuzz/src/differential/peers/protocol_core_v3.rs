//! mqtt-protocol-core, MQTT 3.1.1.

use mqtt_protocol_core::mqtt::common::Arc;
use mqtt_protocol_core::mqtt::packet::v3_1_1 as v3;
use mqtt_protocol_core::mqtt::result_code::{ConnectReturnCode, MqttError};

use super::{Verdict, body};
use crate::differential::facts::{Facts, facts};

pub(super) fn decode(bytes: &[u8]) -> Verdict {
    let Some((first, body)) = body(mqtt_codec::Version::V311, bytes) else {
        return Verdict::NotAsked;
    };
    match told(first, body) {
        Ok(told) => Verdict::Packet(told),
        Err(error) => Verdict::Refused(format!("{error:?}")),
    }
}

/// A filter of a version that knows no options but the QoS.
pub(super) fn filter(told: &mut Facts, filter: &str, qos: u8) {
    told.text("filter", filter);
    told.number("filter qos", qos);
    told.number("no local", 0_u8);
    told.number("retain as published", 0_u8);
    told.number("retain handling", 0_u8);
}

fn connect(packet: &v3::Connect) -> Facts {
    let mut told = facts(1);
    told.number("version", packet.protocol_version());
    told.number("clean start", packet.clean_session());
    told.number("keep alive", packet.keep_alive());
    told.text("client id", packet.client_id());
    if let Some(name) = packet.user_name() {
        told.text("user name", name);
    }
    if let Some(password) = packet.password() {
        told.bytes("password", password);
    }
    if packet.will_flag() {
        told.text("will topic", packet.will_topic().unwrap_or_default());
        told.bytes("will payload", packet.will_payload().unwrap_or_default());
        told.number("will qos", packet.will_qos() as u8);
        told.number("will retain", packet.will_retain());
    }
    told
}

fn connack(packet: &v3::Connack) -> Facts {
    let mut told = facts(2);
    told.number("session present", packet.session_present());
    let reason: u8 = match packet.return_code() {
        ConnectReturnCode::Accepted => 0,
        ConnectReturnCode::UnacceptableProtocolVersion => 0x84,
        ConnectReturnCode::IdentifierRejected => 0x85,
        ConnectReturnCode::ServerUnavailable => 0x88,
        ConnectReturnCode::BadUserNameOrPassword => 0x86,
        ConnectReturnCode::NotAuthorized => 0x87,
    };
    told.number("reason", reason);
    told
}

fn publish(packet: &v3::Publish) -> Facts {
    let mut told = facts(3);
    told.number("dup", packet.dup());
    told.number("retain", packet.retain());
    told.number("qos", packet.qos() as u8);
    if let Some(id) = packet.packet_id() {
        told.number("packet id", id);
    }
    told.text("topic", packet.topic_name());
    told.bytes("payload", packet.payload().as_slice());
    told
}

fn ack(kind: u8, id: u16) -> Facts {
    let mut told = facts(kind);
    told.number("packet id", id);
    told.number("reason", 0_u8);
    told
}

fn told(first: u8, body: &[u8]) -> Result<Facts, MqttError> {
    Ok(match first >> 4 {
        1 => connect(&v3::Connect::parse(body)?.0),
        2 => connack(&v3::Connack::parse(body)?.0),
        3 => publish(&v3::Publish::parse(first & 0x0f, Arc::from(body))?.0),
        4 => ack(4, v3::Puback::parse(body)?.0.packet_id()),
        5 => ack(5, v3::Pubrec::parse(body)?.0.packet_id()),
        6 => ack(6, v3::Pubrel::parse(body)?.0.packet_id()),
        7 => ack(7, v3::Pubcomp::parse(body)?.0.packet_id()),
        8 => {
            let packet = v3::Subscribe::parse(body)?.0;
            let mut told = facts(8);
            told.number("packet id", packet.packet_id());
            for entry in packet.entries() {
                filter(
                    &mut told,
                    entry.topic_filter(),
                    entry.sub_opts().qos() as u8,
                );
            }
            told
        }
        9 => {
            let packet = v3::Suback::parse(body)?.0;
            let mut told = facts(9);
            told.number("packet id", packet.packet_id());
            for code in packet.return_codes() {
                told.number("reason", code as u8);
            }
            told
        }
        10 => {
            let packet = v3::Unsubscribe::parse(body)?.0;
            let mut told = facts(10);
            told.number("packet id", packet.packet_id());
            for entry in packet.entries() {
                told.text("filter", entry.as_str());
            }
            told
        }
        11 => {
            let mut told = facts(11);
            told.number("packet id", v3::Unsuback::parse(body)?.0.packet_id());
            told
        }
        12 => v3::Pingreq::parse(body).map(|_| facts(12))?,
        13 => v3::Pingresp::parse(body).map(|_| facts(13))?,
        _ => {
            v3::Disconnect::parse(body)?;
            let mut told = facts(14);
            told.number("reason", 0_u8);
            told
        }
    })
}
