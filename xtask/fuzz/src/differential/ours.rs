//! Our decoder.

use mqtt_codec::{
    DecodeError, Decoded, Decoder, Packet, PayloadFormat, Properties, Property, Version, Will,
};

use super::facts::{Facts, Name, Value, facts};

/// The version that a CONNECT carries, if it is one that we know.
#[must_use]
pub fn version_of_connect(frame: &[u8]) -> Option<Version> {
    let body = frame
        .iter()
        .skip(1)
        .take(4)
        .position(|byte| byte & 0x80 == 0)?
        + 2;
    let body = frame.get(body..).filter(|_| frame[0] >> 4 == 1)?;
    [Version::V31, Version::V311, Version::V5]
        .into_iter()
        .find(|version| {
            let name = version.protocol_name().as_bytes();
            let level = body.strip_prefix(&[0, name.len() as u8]);
            let level = level.and_then(|rest| rest.strip_prefix(name));
            level.is_some_and(|rest| rest.first().is_some_and(|it| it & 0x7f == version.level()))
        })
}

/// Reads the packet, whoever sent it; `None` if something is missing.
#[must_use]
pub fn read(version: Version, bytes: &[u8]) -> Option<Result<Facts, DecodeError>> {
    match Decoder::new(version).any(bytes) {
        Ok(Decoded::NeedMore(_)) => None,
        Err(error) => Some(Err(error)),
        Ok(Decoded::Complete { packet, .. }) => Some(Ok(told(&packet).sorted())),
    }
}

fn value(property: Property<'_>) -> Value {
    match property {
        Property::PayloadFormatIndicator(format) => {
            Value::Number((format == PayloadFormat::Utf8).into())
        }
        Property::RequestProblemInformation(yes)
        | Property::RequestResponseInformation(yes)
        | Property::RetainAvailable(yes)
        | Property::WildcardSubscriptionAvailable(yes)
        | Property::SubscriptionIdentifierAvailable(yes)
        | Property::SharedSubscriptionAvailable(yes) => Value::Number(yes.into()),
        Property::MaximumQoS(qos) => Value::Number(qos as u64),
        Property::MessageExpiryInterval(value)
        | Property::SessionExpiryInterval(value)
        | Property::WillDelayInterval(value) => Value::Number(value.into()),
        Property::MaximumPacketSize(value) => Value::Number(value.get().into()),
        Property::ServerKeepAlive(value) | Property::TopicAliasMaximum(value) => {
            Value::Number(value.into())
        }
        Property::ReceiveMaximum(value) => Value::Number(value.get().into()),
        Property::TopicAlias(value) => Value::Number(value.get().into()),
        Property::SubscriptionIdentifier(value) => Value::Number(value.get().into()),
        Property::ContentType(text)
        | Property::ResponseTopic(text)
        | Property::AssignedClientIdentifier(text)
        | Property::AuthenticationMethod(text)
        | Property::ResponseInformation(text)
        | Property::ServerReference(text)
        | Property::ReasonString(text) => Value::Text(text.to_owned()),
        Property::CorrelationData(bytes) | Property::AuthenticationData(bytes) => {
            Value::Bytes(bytes.to_vec())
        }
        Property::UserProperty(name, value) => Value::Pair(name.to_owned(), value.to_owned()),
    }
}

fn properties(facts: &mut Facts, properties: &Properties<'_>) {
    for property in properties {
        facts.add(Name::Property(property.id()), value(property));
    }
}

fn will(facts: &mut Facts, will: &Will<'_>) {
    facts.text("will topic", will.topic);
    facts.bytes("will payload", will.payload);
    facts.number("will qos", will.qos as u8);
    facts.number("will retain", will.retain);
    for property in &will.properties {
        facts.add(Name::Will(property.id()), value(property));
    }
}

fn told(packet: &Packet<'_>) -> Facts {
    let mut told = facts(packet.packet_type() as u8);
    match packet {
        Packet::Connect(view) => {
            told.number("version", view.version() as u8);
            told.number("clean start", view.clean_start());
            told.number("keep alive", view.keep_alive());
            told.text("client id", view.client_id());
            if let Some(name) = view.user_name() {
                told.text("user name", name);
            }
            if let Some(password) = view.password() {
                told.bytes("password", password);
            }
            if let Some(it) = view.will() {
                will(&mut told, &it);
            }
            if view.is_bridge() {
                told.number("bridge", true);
            }
            properties(&mut told, &view.properties());
        }
        Packet::ConnAck(packet) => {
            told.number("session present", packet.session_present);
            told.number("reason", packet.reason.0);
            properties(&mut told, &packet.properties);
        }
        Packet::Publish(packet) => {
            told.number("dup", packet.dup);
            told.number("retain", packet.retain);
            told.number("qos", packet.delivery.qos() as u8);
            if let Some(id) = packet.delivery.packet_id() {
                told.number("packet id", id.get());
            }
            told.text("topic", packet.topic);
            told.bytes("payload", packet.payload);
            properties(&mut told, &packet.properties);
        }
        Packet::PubAck(packet) => {
            told.number("packet id", packet.packet_id.get());
            told.number("reason", packet.reason.0);
            properties(&mut told, &packet.properties);
        }
        Packet::PubRec(packet) => {
            told.number("packet id", packet.packet_id.get());
            told.number("reason", packet.reason.0);
            properties(&mut told, &packet.properties);
        }
        Packet::PubRel(packet) => {
            told.number("packet id", packet.packet_id.get());
            told.number("reason", packet.reason.0);
            properties(&mut told, &packet.properties);
        }
        Packet::PubComp(packet) => {
            told.number("packet id", packet.packet_id.get());
            told.number("reason", packet.reason.0);
            properties(&mut told, &packet.properties);
        }
        Packet::Subscribe(packet) => {
            told.number("packet id", packet.packet_id.get());
            for filter in packet.filters.iter() {
                told.text("filter", filter.filter);
                told.number("filter qos", filter.options.qos as u8);
                told.number("no local", filter.options.no_local);
                told.number("retain as published", filter.options.retain_as_published);
                told.number("retain handling", filter.options.retain_handling as u8);
            }
            properties(&mut told, &packet.properties);
        }
        Packet::SubAck(packet) => {
            told.number("packet id", packet.packet_id.get());
            for code in packet.codes.iter() {
                told.number("reason", code.0);
            }
            properties(&mut told, &packet.properties);
        }
        Packet::Unsubscribe(packet) => {
            told.number("packet id", packet.packet_id.get());
            for filter in packet.filters.iter() {
                told.text("filter", filter);
            }
            properties(&mut told, &packet.properties);
        }
        Packet::UnsubAck(packet) => {
            told.number("packet id", packet.packet_id.get());
            for code in packet.codes.iter() {
                told.number("reason", code.0);
            }
            properties(&mut told, &packet.properties);
        }
        Packet::PingReq | Packet::PingResp => {}
        Packet::Disconnect(packet) => {
            told.number("reason", packet.reason.0);
            properties(&mut told, &packet.properties);
        }
        Packet::Auth(packet) => {
            told.number("reason", packet.reason.0);
            properties(&mut told, &packet.properties);
        }
    }
    told
}
