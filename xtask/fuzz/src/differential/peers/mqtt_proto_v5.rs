//! mqtt-proto, MQTT 5.0.

use core::future::Future;
use core::pin::pin;
use core::task::{Context, Poll, Waker};

use mqtt_proto::v5::{
    Connack, Connect, Packet, PollPacket, PollPacketState, Publish, Subscribe, UserProperty,
    VarByteInt,
};

use super::Verdict;
use super::mqtt_proto_v3::delivery;
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

fn users(list: &[UserProperty]) -> impl Iterator<Item = (&str, &str)> {
    list.iter().map(|it| (&*it.name, &*it.value))
}

fn connect(packet: &Connect) -> Facts {
    let mut told = facts(1);
    told.number("version", packet.protocol as u8);
    told.number("clean start", packet.clean_start);
    told.number("keep alive", packet.keep_alive);
    told.text("client id", &packet.client_id);
    if let Some(name) = &packet.username {
        told.text("user name", name);
    }
    if let Some(password) = &packet.password {
        told.bytes("password", password);
    }
    let it = &packet.properties;
    told.properties()
        .number(0x11, it.session_expiry_interval)
        .number(0x21, it.receive_max)
        .number(0x27, it.max_packet_size)
        .number(0x22, it.topic_alias_max)
        .number(0x19, it.request_response_info)
        .number(0x17, it.request_problem_info)
        .text(0x15, it.auth_method.as_ref())
        .bytes(0x16, it.auth_data.as_ref())
        .users(users(&it.user_properties));
    if let Some(will) = &packet.last_will {
        told.text("will topic", &*will.topic_name);
        told.bytes("will payload", &will.payload);
        told.number("will qos", will.qos as u8);
        told.number("will retain", will.retain);
        let it = &will.properties;
        told.will()
            .number(0x18, it.delay_interval)
            .number(0x01, it.payload_is_utf8)
            .number(0x02, it.message_expiry_interval)
            .text(0x03, it.content_type.as_ref())
            .text(0x08, it.response_topic.as_deref())
            .bytes(0x09, it.correlation_data.as_ref())
            .users(users(&it.user_properties));
    }
    told
}

fn connack(packet: &Connack) -> Facts {
    let mut told = facts(2);
    told.number("session present", packet.session_present);
    told.number("reason", packet.reason_code as u8);
    let it = &packet.properties;
    told.properties()
        .number(0x11, it.session_expiry_interval)
        .number(0x21, it.receive_max)
        .number(0x24, it.max_qos.map(|qos| qos as u8))
        .number(0x25, it.retain_available)
        .number(0x27, it.max_packet_size)
        .text(0x12, it.assigned_client_id.as_ref())
        .number(0x22, it.topic_alias_max)
        .text(0x1f, it.reason_string.as_ref())
        .users(users(&it.user_properties))
        .number(0x28, it.wildcard_subscription_available)
        .number(0x29, it.subscription_id_available)
        .number(0x2a, it.shared_subscription_available)
        .number(0x13, it.server_keep_alive)
        .text(0x1a, it.response_info.as_ref())
        .text(0x1c, it.server_reference.as_ref())
        .text(0x15, it.auth_method.as_ref())
        .bytes(0x16, it.auth_data.as_ref());
    told
}

fn publish(packet: &Publish) -> Facts {
    let mut told = facts(3);
    told.number("dup", packet.dup);
    told.number("retain", packet.retain);
    delivery(&mut told, packet.qos_pid);
    told.text("topic", &*packet.topic_name);
    told.bytes("payload", &packet.payload);
    let it = &packet.properties;
    told.properties()
        .number(0x01, it.payload_is_utf8)
        .number(0x02, it.message_expiry_interval)
        .number(0x23, it.topic_alias)
        .text(0x08, it.response_topic.as_deref())
        .bytes(0x09, it.correlation_data.as_ref())
        .users(users(&it.user_properties))
        .number(0x0b, it.subscription_id.map(VarByteInt::value))
        .text(0x03, it.content_type.as_ref());
    told
}

fn subscribe(packet: &Subscribe) -> Facts {
    let mut told = facts(8);
    told.number("packet id", packet.pid.value());
    for (filter, options) in &packet.topics {
        told.text("filter", &**filter);
        told.number("filter qos", options.max_qos as u8);
        told.number("no local", options.no_local);
        told.number("retain as published", options.retain_as_published);
        told.number("retain handling", options.retain_handling as u8);
    }
    let it = &packet.properties;
    told.properties()
        .number(0x0b, it.subscription_id.map(VarByteInt::value))
        .users(users(&it.user_properties));
    told
}

macro_rules! outcome {
    ($kind:literal, $packet:expr) => {{
        let mut told = facts($kind);
        told.number("packet id", $packet.pid.value());
        told.number("reason", $packet.reason_code as u8);
        let it = &$packet.properties;
        told.properties()
            .text(0x1f, it.reason_string.as_ref())
            .users(users(&it.user_properties));
        told
    }};
}

macro_rules! answer {
    ($kind:literal, $packet:expr) => {{
        let mut told = facts($kind);
        told.number("packet id", $packet.pid.value());
        for code in &$packet.topics {
            told.number("reason", *code as u8);
        }
        let it = &$packet.properties;
        told.properties()
            .text(0x1f, it.reason_string.as_ref())
            .users(users(&it.user_properties));
        told
    }};
}

fn told(packet: &Packet) -> Facts {
    match packet {
        Packet::Connect(packet) => connect(packet),
        Packet::Connack(packet) => connack(packet),
        Packet::Publish(packet) => publish(packet),
        Packet::Puback(packet) => outcome!(4, packet),
        Packet::Pubrec(packet) => outcome!(5, packet),
        Packet::Pubrel(packet) => outcome!(6, packet),
        Packet::Pubcomp(packet) => outcome!(7, packet),
        Packet::Subscribe(packet) => subscribe(packet),
        Packet::Suback(packet) => answer!(9, packet),
        Packet::Unsubscribe(packet) => {
            let mut told = facts(10);
            told.number("packet id", packet.pid.value());
            for filter in &packet.topics {
                told.text("filter", &**filter);
            }
            told.properties()
                .users(users(&packet.properties.user_properties));
            told
        }
        Packet::Unsuback(packet) => answer!(11, packet),
        Packet::Pingreq => facts(12),
        Packet::Pingresp => facts(13),
        Packet::Disconnect(packet) => {
            let mut told = facts(14);
            told.number("reason", packet.reason_code as u8);
            let it = &packet.properties;
            told.properties()
                .number(0x11, it.session_expiry_interval)
                .text(0x1f, it.reason_string.as_ref())
                .users(users(&it.user_properties))
                .text(0x1c, it.server_reference.as_ref());
            told
        }
        Packet::Auth(packet) => {
            let mut told = facts(15);
            told.number("reason", packet.reason_code as u8);
            let it = &packet.properties;
            told.properties()
                .text(0x15, it.auth_method.as_ref())
                .bytes(0x16, it.auth_data.as_ref())
                .text(0x1f, it.reason_string.as_ref())
                .users(users(&it.user_properties));
            told
        }
    }
}
