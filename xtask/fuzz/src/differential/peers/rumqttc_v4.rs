//! rumqttc, MQTT 3.1.1.

use bytes::BytesMut;
use rumqttc::mqttbytes::v4::{ConnectReturnCode, Login, Packet, SubscribeReasonCode};
use rumqttc::mqttbytes::{Error, Protocol, QoS};

use super::Verdict;
use crate::differential::facts::{Facts, facts};

pub(super) fn decode(bytes: &[u8]) -> Verdict {
    match Packet::read(&mut BytesMut::from(bytes), usize::MAX) {
        Ok(packet) => Verdict::Packet(told(&packet)),
        Err(Error::InsufficientBytes(_)) => Verdict::Waits,
        Err(error) => Verdict::Refused(format!("{error:?}")),
    }
}

fn login(told: &mut Facts, login: Option<&Login>) {
    // The type has no room for one without the other: an empty one is taken as absent.
    if let Some(login) = login {
        if !login.username.is_empty() {
            told.text("user name", &login.username);
        }
        if !login.password.is_empty() {
            told.bytes("password", &login.password);
        }
    }
}

fn told(packet: &Packet) -> Facts {
    match packet {
        Packet::Connect(packet) => {
            let mut told = facts(1);
            let version: u8 = match packet.protocol {
                Protocol::V4 => 4,
                Protocol::V5 => 5,
            };
            told.number("version", version);
            told.number("clean start", packet.clean_session);
            told.number("keep alive", packet.keep_alive);
            told.text("client id", &packet.client_id);
            login(&mut told, packet.login.as_ref());
            if let Some(will) = &packet.last_will {
                told.text("will topic", &will.topic);
                told.bytes("will payload", &will.message);
                told.number("will qos", will.qos as u8);
                told.number("will retain", will.retain);
            }
            told
        }
        Packet::ConnAck(packet) => {
            let mut told = facts(2);
            told.number("session present", packet.session_present);
            let reason: u8 = match packet.code {
                ConnectReturnCode::Success => 0,
                ConnectReturnCode::RefusedProtocolVersion => 0x84,
                ConnectReturnCode::BadClientId => 0x85,
                ConnectReturnCode::ServiceUnavailable => 0x88,
                ConnectReturnCode::BadUserNamePassword => 0x86,
                ConnectReturnCode::NotAuthorized => 0x87,
            };
            told.number("reason", reason);
            told
        }
        Packet::Publish(packet) => {
            let mut told = facts(3);
            told.number("dup", packet.dup);
            told.number("retain", packet.retain);
            told.number("qos", packet.qos as u8);
            if packet.qos != QoS::AtMostOnce {
                told.number("packet id", packet.pkid);
            }
            told.text("topic", &packet.topic);
            told.bytes("payload", &packet.payload);
            told
        }
        Packet::PubAck(packet) => ack(4, packet.pkid),
        Packet::PubRec(packet) => ack(5, packet.pkid),
        Packet::PubRel(packet) => ack(6, packet.pkid),
        Packet::PubComp(packet) => ack(7, packet.pkid),
        Packet::Subscribe(packet) => {
            let mut told = facts(8);
            told.number("packet id", packet.pkid);
            for filter in &packet.filters {
                super::protocol_core_v3::filter(&mut told, &filter.path, filter.qos as u8);
            }
            told
        }
        Packet::SubAck(packet) => {
            let mut told = facts(9);
            told.number("packet id", packet.pkid);
            for code in &packet.return_codes {
                let code = match code {
                    SubscribeReasonCode::Success(qos) => *qos as u8,
                    SubscribeReasonCode::Failure => 0x80,
                };
                told.number("reason", code);
            }
            told
        }
        Packet::Unsubscribe(packet) => {
            let mut told = facts(10);
            told.number("packet id", packet.pkid);
            for filter in &packet.topics {
                told.text("filter", filter);
            }
            told
        }
        Packet::UnsubAck(packet) => {
            let mut told = facts(11);
            told.number("packet id", packet.pkid);
            told
        }
        Packet::PingReq => facts(12),
        Packet::PingResp => facts(13),
        Packet::Disconnect => {
            let mut told = facts(14);
            told.number("reason", 0_u8);
            told
        }
    }
}

fn ack(kind: u8, id: u16) -> Facts {
    let mut told = facts(kind);
    told.number("packet id", id);
    told.number("reason", 0_u8);
    told
}
