//! Packets as one line of text, for expectations that a person can read.

use core::fmt::Write;

use mqtt_codec::{Decoded, Decoder, Packet, Properties, Property, QoS, ReasonCode, Version};

/// All packets in `bytes`, one line each, as [`describe`] writes them.
///
/// # Panics
/// When `bytes` are not whole, well-formed packets of `version`.
#[must_use]
pub fn describe_all(version: Version, mut bytes: &[u8]) -> Vec<String> {
    let decoder = Decoder::new(version);
    let mut lines = vec![];
    while !bytes.is_empty() {
        match decoder.any(bytes) {
            Ok(Decoded::Complete { packet, len }) => {
                lines.push(describe(&packet));
                bytes = &bytes[len..];
            }
            other => panic!("not a packet: {other:?} in {bytes:02x?}"),
        }
    }
    lines
}

/// One packet: its name, its packet id, its flags, its content, a reason code that is not 0, its properties (without reason strings).
///
/// `PUBLISH 7 q2 dup t/a hello`, `PUBACK 7 0x97`, `SUBACK 3 [01 80]`, `CONNACK present {TopicAliasMaximum(64)}`.
#[must_use]
pub fn describe(packet: &Packet<'_>) -> String {
    let mut line = String::new();
    match packet {
        Packet::Connect(connect) => {
            word(&mut line, "CONNECT");
            word(&mut line, connect.client_id());
            flag(&mut line, connect.clean_start(), "clean");
            properties(&mut line, connect.properties());
        }
        Packet::ConnAck(packet) => {
            word(&mut line, "CONNACK");
            flag(&mut line, packet.session_present, "present");
            reason(&mut line, packet.reason);
            properties(&mut line, packet.properties);
        }
        Packet::Publish(publish) => {
            word(&mut line, "PUBLISH");
            if let Some(id) = publish.delivery.packet_id() {
                word(&mut line, &id.get().to_string());
            }
            match publish.delivery.qos() {
                QoS::AtMostOnce => {}
                QoS::AtLeastOnce => word(&mut line, "q1"),
                QoS::ExactlyOnce => word(&mut line, "q2"),
            }
            flag(&mut line, publish.dup, "dup");
            flag(&mut line, publish.retain, "retain");
            if !publish.topic.is_empty() {
                word(&mut line, publish.topic);
            }
            word(&mut line, &String::from_utf8_lossy(publish.payload));
            properties(&mut line, publish.properties);
        }
        Packet::PubAck(p) => ack(&mut line, "PUBACK", p.packet_id.get(), p.reason),
        Packet::PubRec(p) => ack(&mut line, "PUBREC", p.packet_id.get(), p.reason),
        Packet::PubRel(p) => ack(&mut line, "PUBREL", p.packet_id.get(), p.reason),
        Packet::PubComp(p) => ack(&mut line, "PUBCOMP", p.packet_id.get(), p.reason),
        Packet::Subscribe(p) => {
            ack(
                &mut line,
                "SUBSCRIBE",
                p.packet_id.get(),
                ReasonCode::SUCCESS,
            );
            for entry in p.filters.iter() {
                word(&mut line, entry.filter);
                word(&mut line, &format!("q{}", entry.options.qos as u8));
            }
        }
        Packet::SubAck(p) => {
            ack(&mut line, "SUBACK", p.packet_id.get(), ReasonCode::SUCCESS);
            codes(&mut line, p.codes.iter());
        }
        Packet::Unsubscribe(p) => {
            ack(
                &mut line,
                "UNSUBSCRIBE",
                p.packet_id.get(),
                ReasonCode::SUCCESS,
            );
            for filter in p.filters.iter() {
                word(&mut line, filter);
            }
        }
        Packet::UnsubAck(p) => {
            ack(
                &mut line,
                "UNSUBACK",
                p.packet_id.get(),
                ReasonCode::SUCCESS,
            );
            codes(&mut line, p.codes.iter());
        }
        Packet::PingReq => word(&mut line, "PINGREQ"),
        Packet::PingResp => word(&mut line, "PINGRESP"),
        Packet::Disconnect(packet) => {
            word(&mut line, "DISCONNECT");
            reason(&mut line, packet.reason);
            properties(&mut line, packet.properties);
        }
        Packet::Auth(packet) => {
            word(&mut line, "AUTH");
            reason(&mut line, packet.reason);
            properties(&mut line, packet.properties);
        }
    }
    line
}

fn word(line: &mut String, word: &str) {
    if !line.is_empty() {
        line.push(' ');
    }
    line.push_str(word);
}

fn flag(line: &mut String, set: bool, name: &str) {
    if set {
        word(line, name);
    }
}

fn ack(line: &mut String, name: &str, id: u16, code: ReasonCode) {
    word(line, name);
    word(line, &id.to_string());
    reason(line, code);
}

fn reason(line: &mut String, code: ReasonCode) {
    if code != ReasonCode::SUCCESS {
        word(line, &format!("0x{:02x}", code.0));
    }
}

fn codes(line: &mut String, codes: impl Iterator<Item = ReasonCode>) {
    let codes: Vec<String> = codes.map(|code| format!("{:02x}", code.0)).collect();
    if !codes.is_empty() {
        word(line, &format!("[{}]", codes.join(" ")));
    }
}

pub(crate) fn properties(line: &mut String, properties: Properties<'_>) {
    let mut first = true;
    for property in properties.iter() {
        if matches!(property, Property::ReasonString(_)) {
            continue;
        }
        line.push_str(if first { " {" } else { " " });
        first = false;
        // Writing to a string cannot fail.
        let _ = write!(line, "{property:?}");
    }
    if !first {
        line.push('}');
    }
}
