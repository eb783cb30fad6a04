//! rumqttc, MQTT 5.0.

use bytes::BytesMut;
use rumqttc::v5::mqttbytes::v5::{
    ConnAck, Connect, ConnectReturnCode, LastWill, Login, Packet, PubAckReason, PubCompReason,
    PubRecReason, PubRelReason, Publish, RetainForwardRule, Subscribe, SubscribeReasonCode,
    UnsubAckReason,
};
use rumqttc::v5::mqttbytes::{Error, QoS};

use super::Verdict;
use crate::differential::facts::{Facts, facts};

pub(super) fn decode(bytes: &[u8]) -> Verdict {
    match Packet::read(&mut BytesMut::from(bytes), None) {
        Ok(packet) => Verdict::Packet(told(&packet)),
        Err(Error::InsufficientBytes(_)) => Verdict::Waits,
        Err(error) => Verdict::Refused(format!("{error:?}")),
    }
}

fn users(list: &[(String, String)]) -> impl Iterator<Item = (&str, &str)> {
    list.iter().map(|(name, value)| (&**name, &**value))
}

fn connect(packet: &Connect, will: Option<&LastWill>, login: Option<&Login>) -> Facts {
    let mut told = facts(1);
    told.number("version", 5_u8);
    told.number("clean start", packet.clean_start);
    told.number("keep alive", packet.keep_alive);
    told.text("client id", &packet.client_id);
    // The type has no room for one without the other: an empty one is taken as absent.
    if let Some(login) = login {
        if !login.username.is_empty() {
            told.text("user name", &login.username);
        }
        if !login.password.is_empty() {
            told.bytes("password", &login.password);
        }
    }
    if let Some(it) = &packet.properties {
        told.properties()
            .number(0x11, it.session_expiry_interval)
            .number(0x21, it.receive_maximum)
            .number(0x27, it.max_packet_size)
            .number(0x22, it.topic_alias_max)
            .number(0x19, it.request_response_info)
            .number(0x17, it.request_problem_info)
            .text(0x15, it.authentication_method.as_ref())
            .bytes(0x16, it.authentication_data.as_ref())
            .users(users(&it.user_properties));
    }
    if let Some(will) = will {
        told.text("will topic", String::from_utf8_lossy(&will.topic));
        told.bytes("will payload", &will.message);
        told.number("will qos", will.qos as u8);
        told.number("will retain", will.retain);
        if let Some(it) = &will.properties {
            told.will()
                .number(0x18, it.delay_interval)
                .number(0x01, it.payload_format_indicator)
                .number(0x02, it.message_expiry_interval)
                .text(0x03, it.content_type.as_ref())
                .text(0x08, it.response_topic.as_ref())
                .bytes(0x09, it.correlation_data.as_ref())
                .users(users(&it.user_properties));
        }
    }
    told
}

fn connack(packet: &ConnAck) -> Facts {
    let mut told = facts(2);
    told.number("session present", packet.session_present);
    told.number("reason", connect_reason(packet.code));
    if let Some(it) = &packet.properties {
        told.properties()
            .number(0x11, it.session_expiry_interval)
            .number(0x21, it.receive_max)
            .number(0x24, it.max_qos)
            .number(0x25, it.retain_available)
            .number(0x27, it.max_packet_size)
            .text(0x12, it.assigned_client_identifier.as_ref())
            .number(0x22, it.topic_alias_max)
            .text(0x1f, it.reason_string.as_ref())
            .users(users(&it.user_properties))
            .number(0x28, it.wildcard_subscription_available)
            .number(0x29, it.subscription_identifiers_available)
            .number(0x2a, it.shared_subscription_available)
            .number(0x13, it.server_keep_alive)
            .text(0x1a, it.response_information.as_ref())
            .text(0x1c, it.server_reference.as_ref())
            .text(0x15, it.authentication_method.as_ref())
            .bytes(0x16, it.authentication_data.as_ref());
    }
    told
}

fn publish(packet: &Publish) -> Facts {
    let mut told = facts(3);
    told.number("dup", packet.dup);
    told.number("retain", packet.retain);
    told.number("qos", packet.qos as u8);
    if packet.qos != QoS::AtMostOnce {
        told.number("packet id", packet.pkid);
    }
    told.text("topic", String::from_utf8_lossy(&packet.topic));
    told.bytes("payload", &packet.payload);
    if let Some(it) = &packet.properties {
        let mut list = told.properties();
        list.number(0x01, it.payload_format_indicator)
            .number(0x02, it.message_expiry_interval)
            .number(0x23, it.topic_alias)
            .text(0x08, it.response_topic.as_ref())
            .bytes(0x09, it.correlation_data.as_ref())
            .users(users(&it.user_properties))
            .text(0x03, it.content_type.as_ref());
        for id in &it.subscription_identifiers {
            list.number(0x0b, Some(*id as u64));
        }
    }
    told
}

fn subscribe(packet: &Subscribe) -> Facts {
    let mut told = facts(8);
    told.number("packet id", packet.pkid);
    for filter in &packet.filters {
        told.text("filter", &filter.path);
        told.number("filter qos", filter.qos as u8);
        told.number("no local", filter.nolocal);
        told.number("retain as published", filter.preserve_retain);
        let handling: u8 = match filter.retain_forward_rule {
            RetainForwardRule::OnEverySubscribe => 0,
            RetainForwardRule::OnNewSubscribe => 1,
            RetainForwardRule::Never => 2,
        };
        told.number("retain handling", handling);
    }
    if let Some(it) = &packet.properties {
        told.properties()
            .number(0x0b, it.id.map(|id| id as u64))
            .users(users(&it.user_properties));
    }
    told
}

macro_rules! outcome {
    ($kind:literal, $packet:expr, $reason:ident) => {{
        let mut told = facts($kind);
        told.number("packet id", $packet.pkid);
        told.number("reason", $reason(&$packet.reason));
        if let Some(it) = &$packet.properties {
            told.properties()
                .text(0x1f, it.reason_string.as_ref())
                .users(users(&it.user_properties));
        }
        told
    }};
}

macro_rules! answer {
    ($kind:literal, $packet:expr, $codes:ident, $reason:ident) => {{
        let mut told = facts($kind);
        told.number("packet id", $packet.pkid);
        for code in &$packet.$codes {
            told.number("reason", $reason(code));
        }
        if let Some(it) = &$packet.properties {
            told.properties()
                .text(0x1f, it.reason_string.as_ref())
                .users(users(&it.user_properties));
        }
        told
    }};
}

fn told(packet: &Packet) -> Facts {
    match packet {
        Packet::Connect(packet, will, login) => connect(packet, will.as_ref(), login.as_ref()),
        Packet::ConnAck(packet) => connack(packet),
        Packet::Publish(packet) => publish(packet),
        Packet::PubAck(packet) => outcome!(4, packet, puback),
        Packet::PubRec(packet) => outcome!(5, packet, pubrec),
        Packet::PubRel(packet) => outcome!(6, packet, pubrel),
        Packet::PubComp(packet) => outcome!(7, packet, pubcomp),
        Packet::Subscribe(packet) => subscribe(packet),
        Packet::SubAck(packet) => answer!(9, packet, return_codes, suback),
        Packet::Unsubscribe(packet) => {
            let mut told = facts(10);
            told.number("packet id", packet.pkid);
            for filter in &packet.filters {
                told.text("filter", filter);
            }
            if let Some(it) = &packet.properties {
                told.properties().users(users(&it.user_properties));
            }
            told
        }
        Packet::UnsubAck(packet) => answer!(11, packet, reasons, unsuback),
        Packet::PingReq(_) => facts(12),
        Packet::PingResp(_) => facts(13),
        Packet::Disconnect(packet) => {
            let mut told = facts(14);
            told.number("reason", packet.reason_code as u8);
            if let Some(it) = &packet.properties {
                told.properties()
                    .number(0x11, it.session_expiry_interval)
                    .text(0x1f, it.reason_string.as_ref())
                    .users(users(&it.user_properties))
                    .text(0x1c, it.server_reference.as_ref());
            }
            told
        }
        // It is never read.
        Packet::Auth(_) => facts(15),
    }
}

fn connect_reason(code: ConnectReturnCode) -> u8 {
    match code {
        ConnectReturnCode::Success => 0,
        ConnectReturnCode::RefusedProtocolVersion => 1,
        ConnectReturnCode::BadClientId => 2,
        ConnectReturnCode::ServiceUnavailable => 3,
        ConnectReturnCode::UnspecifiedError => 0x80,
        ConnectReturnCode::MalformedPacket => 0x81,
        ConnectReturnCode::ProtocolError => 0x82,
        ConnectReturnCode::ImplementationSpecificError => 0x83,
        ConnectReturnCode::UnsupportedProtocolVersion => 0x84,
        ConnectReturnCode::ClientIdentifierNotValid => 0x85,
        ConnectReturnCode::BadUserNamePassword => 0x86,
        ConnectReturnCode::NotAuthorized => 0x87,
        ConnectReturnCode::ServerUnavailable => 0x88,
        ConnectReturnCode::ServerBusy => 0x89,
        ConnectReturnCode::Banned => 0x8a,
        ConnectReturnCode::BadAuthenticationMethod => 0x8c,
        ConnectReturnCode::TopicNameInvalid => 0x90,
        ConnectReturnCode::PacketTooLarge => 0x95,
        ConnectReturnCode::QuotaExceeded => 0x97,
        ConnectReturnCode::PayloadFormatInvalid => 0x99,
        ConnectReturnCode::RetainNotSupported => 0x9a,
        ConnectReturnCode::QoSNotSupported => 0x9b,
        ConnectReturnCode::UseAnotherServer => 0x9c,
        ConnectReturnCode::ServerMoved => 0x9d,
        ConnectReturnCode::ConnectionRateExceeded => 0x9f,
    }
}

const fn puback(reason: &PubAckReason) -> u8 {
    match reason {
        PubAckReason::Success => 0,
        PubAckReason::NoMatchingSubscribers => 0x10,
        PubAckReason::UnspecifiedError => 0x80,
        PubAckReason::ImplementationSpecificError => 0x83,
        PubAckReason::NotAuthorized => 0x87,
        PubAckReason::TopicNameInvalid => 0x90,
        PubAckReason::PacketIdentifierInUse => 0x91,
        PubAckReason::QuotaExceeded => 0x97,
        PubAckReason::PayloadFormatInvalid => 0x99,
    }
}

const fn pubrec(reason: &PubRecReason) -> u8 {
    match reason {
        PubRecReason::Success => 0,
        PubRecReason::NoMatchingSubscribers => 0x10,
        PubRecReason::UnspecifiedError => 0x80,
        PubRecReason::ImplementationSpecificError => 0x83,
        PubRecReason::NotAuthorized => 0x87,
        PubRecReason::TopicNameInvalid => 0x90,
        PubRecReason::PacketIdentifierInUse => 0x91,
        PubRecReason::QuotaExceeded => 0x97,
        PubRecReason::PayloadFormatInvalid => 0x99,
    }
}

const fn pubrel(reason: &PubRelReason) -> u8 {
    match reason {
        PubRelReason::Success => 0,
        PubRelReason::PacketIdentifierNotFound => 0x92,
    }
}

const fn pubcomp(reason: &PubCompReason) -> u8 {
    match reason {
        PubCompReason::Success => 0,
        PubCompReason::PacketIdentifierNotFound => 0x92,
    }
}

const fn suback(reason: &SubscribeReasonCode) -> u8 {
    match reason {
        SubscribeReasonCode::Success(qos) => *qos as u8,
        SubscribeReasonCode::Failure | SubscribeReasonCode::Unspecified => 0x80,
        SubscribeReasonCode::ImplementationSpecific => 0x83,
        SubscribeReasonCode::NotAuthorized => 0x87,
        SubscribeReasonCode::TopicFilterInvalid => 0x8f,
        SubscribeReasonCode::PkidInUse => 0x91,
        SubscribeReasonCode::QuotaExceeded => 0x97,
        SubscribeReasonCode::SharedSubscriptionsNotSupported => 0x9e,
        SubscribeReasonCode::SubscriptionIdNotSupported => 0xa1,
        SubscribeReasonCode::WildcardSubscriptionsNotSupported => 0xa2,
    }
}

const fn unsuback(reason: &UnsubAckReason) -> u8 {
    match reason {
        UnsubAckReason::Success => 0,
        UnsubAckReason::NoSubscriptionExisted => 0x11,
        UnsubAckReason::UnspecifiedError => 0x80,
        UnsubAckReason::ImplementationSpecificError => 0x83,
        UnsubAckReason::NotAuthorized => 0x87,
        UnsubAckReason::TopicFilterInvalid => 0x8f,
        UnsubAckReason::PacketIdentifierInUse => 0x91,
    }
}
