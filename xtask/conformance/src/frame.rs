//! Packets to send and packets received, as the client of the suite handles them.

use core::fmt;

use mqtt_codec::{
    Auth, ConnAck, Connect, Decoded, Decoder, Delivery, Disconnect, EncodeError, FromServer,
    PINGREQ, PacketId, Properties, PubAck, PubComp, PubRec, PubRel, Publish, QoS, SubAck,
    Subscribe, SubscriptionOptions, UnsubAck, Unsubscribe, Version,
};

use crate::failure::{Step, failed};
use crate::trace::Trace;

/// Something that a client may send.
pub(crate) trait Encode {
    /// The packet's bytes in `version`.
    fn bytes(&self, version: Version) -> Vec<u8>;

    /// What a trace shows.
    fn text(&self) -> String;

    /// Notes what the broker may keep of it.
    fn note(&self, _: &Trace) {}
}

fn exact(length: usize, encode: impl FnOnce(&mut [u8]) -> Result<usize, EncodeError>) -> Vec<u8> {
    let mut bytes = vec![0; length];
    let written = encode(&mut bytes).expect("a case sends a packet that its version has");
    bytes.truncate(written);
    bytes
}

macro_rules! encode {
    ($($packet:ident)*) => { $(
        impl Encode for $packet<'_> {
            fn bytes(&self, version: Version) -> Vec<u8> {
                exact(self.encoded_len(version), |buffer| self.encode(version, buffer))
            }

            fn text(&self) -> String {
                format!("{self:?}")
            }
        }
    )* };
}
encode!(PubAck PubRec PubRel PubComp Subscribe Unsubscribe Disconnect Auth);

impl Encode for Publish<'_> {
    fn bytes(&self, version: Version) -> Vec<u8> {
        exact(self.encoded_len(version), |buffer| {
            self.encode(version, buffer)
        })
    }

    fn text(&self) -> String {
        show_publish(self)
    }

    fn note(&self, trace: &Trace) {
        if self.retain && !self.topic.is_empty() {
            trace.retained(self.topic);
        }
    }
}

impl Encode for Connect<'_> {
    fn bytes(&self, _: Version) -> Vec<u8> {
        exact(self.encoded_len(), |buffer| self.encode(buffer))
    }

    fn text(&self) -> String {
        format!("{self:?}")
    }

    fn note(&self, trace: &Trace) {
        let kept = if self.version.is_v5() {
            self.properties.session_expiry_interval().is_some()
        } else {
            !self.clean_start
        };
        if kept && !self.client_id.is_empty() {
            trace.session(self.client_id);
        }
        if let Some(will) = self.will.filter(|will| will.retain) {
            trace.retained(will.topic);
        }
    }
}

/// PINGREQ, to be sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PingReq;

impl Encode for PingReq {
    fn bytes(&self, _: Version) -> Vec<u8> {
        PINGREQ.to_vec()
    }

    fn text(&self) -> String {
        "PingReq".to_owned()
    }
}

/// A QoS 0 PUBLISH without properties.
pub(crate) fn publish<'a>(topic: &'a str, payload: &'a (impl AsRef<[u8]> + ?Sized)) -> Publish<'a> {
    Publish {
        dup: false,
        retain: false,
        delivery: Delivery::AtMostOnce,
        topic,
        properties: Properties::EMPTY,
        payload: payload.as_ref(),
    }
}

/// A QoS 0 PUBLISH with RETAIN 1.
pub(crate) fn retained<'a>(
    topic: &'a str,
    payload: &'a (impl AsRef<[u8]> + ?Sized),
) -> Publish<'a> {
    Publish {
        retain: true,
        ..publish(topic, payload)
    }
}

/// The packet identifier `id`, which is not 0.
pub(crate) fn packet_id(id: u16) -> PacketId {
    PacketId::new(id).expect("a case's packet identifier is not 0")
}

/// The delivery of this QoS, with packet identifier `id` where the QoS has one.
pub(crate) fn delivery(qos: QoS, id: u16) -> Delivery {
    match qos {
        QoS::AtMostOnce => Delivery::AtMostOnce,
        QoS::AtLeastOnce => Delivery::AtLeastOnce(packet_id(id)),
        QoS::ExactlyOnce => Delivery::ExactlyOnce(packet_id(id)),
    }
}

/// Subscription options with QoS `qos` and the defaults.
pub(crate) fn at(qos: QoS) -> SubscriptionOptions {
    SubscriptionOptions::new(qos)
}

/// One packet from the broker, which the decoder has accepted, with its bytes.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) version: Version,
    /// As they came over the wire.
    pub(crate) bytes: Vec<u8>,
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.packet() {
            FromServer::Publish(publish) => f.write_str(&show_publish(&publish)),
            packet => write!(f, "{packet:?}"),
        }
    }
}

/// A PUBLISH for people: its payload as text.
fn show_publish(publish: &Publish<'_>) -> String {
    const SHOWN: usize = 40;
    let Publish {
        dup,
        retain,
        delivery,
        topic,
        ..
    } = publish;
    let payload = String::from_utf8_lossy(publish.payload);
    let mut text = format!("Publish({delivery:?}");
    if *dup {
        text += ", dup";
    }
    if *retain {
        text += ", retain";
    }
    let start: String = payload.chars().take(SHOWN).collect();
    text += &format!(", {topic:?}, {start:?}");
    if start.len() < payload.len() {
        text += &format!("… of {} bytes", publish.payload.len());
    }
    if !publish.properties.is_empty() {
        text += &format!(", {:?}", publish.properties);
    }
    text + ")"
}

macro_rules! frame_as {
    ($($name:ident $variant:ident)*) => { $(
        /// The packet, which must be of this kind.
        #[track_caller]
        pub(crate) fn $name(&self) -> Step<$variant<'_>> {
            match self.packet() {
                FromServer::$variant(packet) => Ok(packet),
                _ => failed(stringify!($variant), format!("{self:?}")),
            }
        }
    )* };
}

impl Frame {
    /// The packet.
    pub(crate) fn packet(&self) -> FromServer<'_> {
        match Decoder::new(self.version).from_server(&self.bytes) {
            Ok(Decoded::Complete { packet, .. }) => packet,
            other => unreachable!("a frame holds one whole valid packet: {other:?}"),
        }
    }

    frame_as! {
        conn_ack ConnAck publish Publish pub_ack PubAck pub_rec PubRec pub_rel PubRel pub_comp PubComp
        sub_ack SubAck unsub_ack UnsubAck disconnect Disconnect
    }

    /// The packet identifier of a PUBLISH of QoS 1 or 2.
    #[track_caller]
    pub(crate) fn publish_id(&self) -> Step<PacketId> {
        match self.publish()?.delivery.packet_id() {
            Some(id) => Ok(id),
            None => failed("PUBLISH of QoS 1 or 2", format!("{self:?}")),
        }
    }
}
