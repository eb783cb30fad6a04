//! mqtt-protocol-core, MQTT 5.0.

use mqtt_protocol_core::mqtt::common::Arc;
use mqtt_protocol_core::mqtt::packet::{Property, v5_0 as v5};
use mqtt_protocol_core::mqtt::result_code::MqttError;

use super::{Verdict, body};
use crate::differential::facts::{Facts, Name, Value, facts};

pub(super) fn decode(bytes: &[u8]) -> Verdict {
    let Some((first, body)) = body(mqtt_codec::Version::V5, bytes) else {
        return Verdict::NotAsked;
    };
    match told(first, body) {
        Ok(told) => Verdict::Packet(told),
        Err(error) => Verdict::Refused(format!("{error:?}")),
    }
}

fn property(property: &Property) -> (u8, Value) {
    use mqtt_protocol_core::mqtt::packet::prelude::*;
    let value = if let Some(value) = property.as_u8() {
        Value::Number(value.into())
    } else if let Some(value) = property.as_u16() {
        Value::Number(value.into())
    } else if let Some(value) = property.as_u32() {
        Value::Number(value.into())
    } else if let Some(text) = property.as_str() {
        Value::Text(text.to_owned())
    } else if let Some((key, value)) = property.as_key_value() {
        Value::Pair(key.to_owned(), value.to_owned())
    } else {
        Value::Bytes(property.as_bytes().unwrap_or_default().to_vec())
    };
    (property.id() as u8, value)
}

fn properties<'p>(told: &mut Facts, list: impl IntoIterator<Item = &'p Property>) {
    for it in list {
        let (id, value) = property(it);
        told.add(Name::Property(id), value);
    }
}

fn connect(packet: &v5::Connect) -> Facts {
    let mut told = facts(1);
    told.number("version", packet.protocol_version());
    told.number("clean start", packet.clean_start());
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
        for it in packet.will_props() {
            let (id, value) = property(it);
            told.add(Name::Will(id), value);
        }
    }
    properties(&mut told, packet.props());
    told
}

macro_rules! outcome {
    ($kind:literal, $packet:expr) => {{
        let packet = $packet;
        let mut told = facts($kind);
        told.number("packet id", packet.packet_id());
        told.number("reason", packet.reason_code().map_or(0, |code| code as u8));
        properties(&mut told, packet.props().iter().flatten());
        told
    }};
}

macro_rules! answer {
    ($kind:literal, $packet:expr) => {{
        let packet = $packet;
        let mut told = facts($kind);
        told.number("packet id", packet.packet_id());
        for code in packet.reason_codes() {
            told.number("reason", code as u8);
        }
        properties(&mut told, packet.props());
        told
    }};
}

fn told(first: u8, body: &[u8]) -> Result<Facts, MqttError> {
    Ok(match first >> 4 {
        1 => connect(&v5::Connect::parse(body)?.0),
        2 => {
            let packet = v5::Connack::parse(body)?.0;
            let mut told = facts(2);
            told.number("session present", packet.session_present());
            told.number("reason", packet.reason_code() as u8);
            properties(&mut told, packet.props());
            told
        }
        3 => {
            let packet = v5::Publish::parse(first & 0x0f, Arc::from(body))?.0;
            let mut told = facts(3);
            told.number("dup", packet.dup());
            told.number("retain", packet.retain());
            told.number("qos", packet.qos() as u8);
            if let Some(id) = packet.packet_id() {
                told.number("packet id", id);
            }
            told.text("topic", packet.topic_name());
            told.bytes("payload", packet.payload().as_slice());
            properties(&mut told, packet.props());
            told
        }
        4 => outcome!(4, v5::Puback::parse(body)?.0),
        5 => outcome!(5, v5::Pubrec::parse(body)?.0),
        6 => outcome!(6, v5::Pubrel::parse(body)?.0),
        7 => outcome!(7, v5::Pubcomp::parse(body)?.0),
        8 => {
            let packet = v5::Subscribe::parse(body)?.0;
            let mut told = facts(8);
            told.number("packet id", packet.packet_id());
            for entry in packet.entries() {
                let options = entry.sub_opts();
                told.text("filter", entry.topic_filter());
                told.number("filter qos", options.qos() as u8);
                told.number("no local", options.nl());
                told.number("retain as published", options.rap());
                told.number("retain handling", options.rh() as u8);
            }
            properties(&mut told, packet.props());
            told
        }
        9 => answer!(9, v5::Suback::parse(body)?.0),
        10 => {
            let packet = v5::Unsubscribe::parse(body)?.0;
            let mut told = facts(10);
            told.number("packet id", packet.packet_id());
            for entry in packet.entries() {
                told.text("filter", entry.as_str());
            }
            properties(&mut told, packet.props());
            told
        }
        11 => answer!(11, v5::Unsuback::parse(body)?.0),
        12 => v5::Pingreq::parse(body).map(|_| facts(12))?,
        13 => v5::Pingresp::parse(body).map(|_| facts(13))?,
        14 => {
            let packet = v5::Disconnect::parse(body)?.0;
            let mut told = facts(14);
            told.number("reason", packet.reason_code().map_or(0, |code| code as u8));
            properties(&mut told, packet.props().iter().flatten());
            told
        }
        _ => {
            let packet = v5::Auth::parse(body)?.0;
            let mut told = facts(15);
            told.number("reason", packet.reason_code().map_or(0, |code| code as u8));
            properties(&mut told, packet.props().iter().flatten());
            told
        }
    })
}
