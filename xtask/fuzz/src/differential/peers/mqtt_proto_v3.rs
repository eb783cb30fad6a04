//! mqtt-proto, MQTT 3.1 and 3.1.1.

use core::future::Future;
use core::pin::pin;
use core::task::{Context, Poll, Waker};

use mqtt_proto::QosPid;
use mqtt_proto::v3::{ConnectReturnCode, Packet, PollPacket, PollPacketState, SubscribeReturnCode};

use super::Verdict;
use crate::differential::facts::{Facts, facts};

pub(super) fn decode(mut bytes: &[u8]) -> Verdict {
    let mut state = PollPacketState::default();
    let future = pin!(PollPacket::new(&mut state, &mut bytes));
    match future.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Pending => Verdict::Waits,
        Poll::Ready(Ok((_, _, packet))) => Verdict::Packet(told(&packet)),
        Poll::Ready(Err(error)) if error.is_eof() => Verdict::Waits,
        Poll::Ready(Err(error)) => Verdict::Refused(format!("{error:?}")),
    }
}

pub(super) fn delivery(told: &mut Facts, delivery: QosPid) {
    told.number("qos", delivery.qos() as u8);
    if let Some(id) = delivery.pid() {
        told.number("packet id", id.value());
    }
}

fn told(packet: &Packet) -> Facts {
    match packet {
        Packet::Connect(packet) => {
            let mut told = facts(1);
            told.number("version", packet.protocol as u8);
            told.number("clean start", packet.clean_session);
            told.number("keep alive", packet.keep_alive);
            told.text("client id", &packet.client_id);
            if let Some(name) = &packet.username {
                told.text("user name", name);
            }
            if let Some(password) = &packet.password {
                told.bytes("password", password);
            }
            if let Some(will) = &packet.last_will {
                told.text("will topic", &*will.topic_name);
                told.bytes("will payload", &will.message);
                told.number("will qos", will.qos as u8);
                told.number("will retain", will.retain);
            }
            told
        }
        Packet::Connack(packet) => {
            let mut told = facts(2);
            told.number("session present", packet.session_present);
            let reason: u8 = match packet.code {
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
        Packet::Publish(packet) => {
            let mut told = facts(3);
            told.number("dup", packet.dup);
            told.number("retain", packet.retain);
            delivery(&mut told, packet.qos_pid);
            told.text("topic", &*packet.topic_name);
            told.bytes("payload", &packet.payload);
            told
        }
        Packet::Puback(id) => ack(4, id.value()),
        Packet::Pubrec(id) => ack(5, id.value()),
        Packet::Pubrel(id) => ack(6, id.value()),
        Packet::Pubcomp(id) => ack(7, id.value()),
        Packet::Subscribe(packet) => {
            let mut told = facts(8);
            told.number("packet id", packet.pid.value());
            for (filter, qos) in &packet.topics {
                super::protocol_core_v3::filter(&mut told, filter, *qos as u8);
            }
            told
        }
        Packet::Suback(packet) => {
            let mut told = facts(9);
            told.number("packet id", packet.pid.value());
            for code in &packet.topics {
                let code: u8 = match code {
                    SubscribeReturnCode::MaxLevel0 => 0,
                    SubscribeReturnCode::MaxLevel1 => 1,
                    SubscribeReturnCode::MaxLevel2 => 2,
                    SubscribeReturnCode::Failure => 0x80,
                };
                told.number("reason", code);
            }
            told
        }
        Packet::Unsubscribe(packet) => {
            let mut told = facts(10);
            told.number("packet id", packet.pid.value());
            for filter in &packet.topics {
                told.text("filter", &**filter);
            }
            told
        }
        Packet::Unsuback(id) => {
            let mut told = facts(11);
            told.number("packet id", id.value());
            told
        }
        Packet::Pingreq => facts(12),
        Packet::Pingresp => facts(13),
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
