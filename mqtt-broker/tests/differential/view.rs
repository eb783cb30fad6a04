//! What a client saw of a broker, without what each broker is free to choose: packet ids, aliases, announced limits, reason strings.

use core::fmt;
use std::collections::HashMap;

use mqtt_codec::{Delivery, FromServer, Properties, Property, Publish, QoS, ReasonCode};

use crate::trace::{LATE_S, SOON_S, short};

/// What one client saw in one step, in an order in which only what may not change places is as it came.
pub(crate) type Seen = Vec<Event>;

/// What all clients saw in one step.
pub(crate) type View = Vec<Seen>;

/// One packet from the broker, or the end of a connection. The order of the variants is that of a [`Seen`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Event {
    /// The connection that was taken over got this DISCONNECT.
    OldDisconnect(u8),
    /// The connection that was taken over got this message.
    OldGot(String),
    /// CONNACK: session present and reason.
    ConnAck(bool, u8),
    /// An answer with the client's packet id and its reason codes.
    Answer(Answer, u16, Vec<u8>),
    /// PUBREL for the message with this payload, `None` for an id that stands for no message.
    Release(Option<String>),
    /// A message.
    Got(Got),
    /// DISCONNECT of this reason.
    Disconnect(u8),
    /// The broker closed the connection.
    Closed,
    /// Something a valid trace never gets; the test fails unless a rule explains it.
    Strange(String),
}

/// Which answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Answer {
    /// SUBACK.
    SubAck,
    /// UNSUBACK.
    UnsubAck,
    /// PUBACK.
    PubAck,
    /// PUBREC.
    PubRec,
    /// PUBCOMP.
    PubComp,
}

/// A received PUBLISH.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Got {
    /// The topic, an alias resolved.
    pub(crate) topic: String,
    /// The payload.
    pub(crate) payload: String,
    /// The QoS.
    pub(crate) qos: u8,
    /// The RETAIN flag.
    pub(crate) retain: bool,
    /// What its DUP flag and its packet id say.
    pub(crate) delivery: Copy,
    /// Subscription identifiers, sorted.
    pub(crate) ids: Vec<u32>,
    /// Message Expiry Interval, a value close to [`LATE_S`] as that.
    pub(crate) expiry: Option<u32>,
    /// The other properties, as text, in order.
    pub(crate) properties: String,
}

/// Whether a message was sent before.
#[derive(Clone, core::marker::Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Copy {
    /// DUP is 0, and its packet id was free.
    First,
    /// DUP is 1, and the message was sent with this id before.
    Again,
    /// DUP is 1, but the message was not sent with this id before.
    AgainWithAnotherId,
    /// DUP is 0, but the message was sent with this id before.
    AgainWithoutDup,
    /// DUP is 0, but another message has this id.
    IdInUse,
}

impl Event {
    /// The message, if it is one.
    pub(crate) fn got(&self) -> Option<&Got> {
        match self {
            Self::Got(got) => Some(got),
            _ => None,
        }
    }
}

/// What an observer remembers of a session to judge packet ids: which message each of them stands for.
pub(crate) type InFlight = HashMap<u16, String>;

/// Reads a PUBLISH: `aliases` are those of the connection, `prefix` is what the run puts before each topic.
pub(crate) fn got(
    publish: &Publish<'_>,
    prefix: &str,
    in_flight: &mut InFlight,
    aliases: &mut HashMap<u16, String>,
) -> Result<Got, String> {
    let topic = match publish.properties.topic_alias() {
        None => publish.topic.to_owned(),
        Some(alias) if publish.topic.is_empty() => aliases
            .get(&alias.get())
            .cloned()
            .ok_or_else(|| format!("alias {} stands for no topic", alias.get()))?,
        Some(alias) => {
            aliases.insert(alias.get(), publish.topic.to_owned());
            publish.topic.to_owned()
        }
    };
    let topic = topic
        .strip_prefix(prefix)
        .ok_or_else(|| format!("a message of another trace: {topic}"))?
        .to_owned();
    let payload = String::from_utf8_lossy(publish.payload).into_owned();
    let delivery = match publish.delivery {
        Delivery::AtMostOnce => Copy::First,
        Delivery::AtLeastOnce(id) | Delivery::ExactlyOnce(id) => {
            let message = format!("{topic} {}", short(&payload));
            let known = in_flight.insert(id.get(), message.clone());
            match (publish.dup, known) {
                (false, None) => Copy::First,
                (false, Some(known)) if known == message => Copy::AgainWithoutDup,
                (false, Some(_)) => Copy::IdInUse,
                (true, Some(known)) if known == message => Copy::Again,
                (true, _) => Copy::AgainWithAnotherId,
            }
        }
    };
    let mut ids: Vec<u32> = publish
        .properties
        .subscription_identifiers()
        .map(|id| id.get())
        .collect();
    ids.sort_unstable();
    let expiry = publish.properties.message_expiry_interval();
    let close = |seconds: u32| (LATE_S - 100..=LATE_S).contains(&seconds);
    // A clock that counts whole seconds may have gone on.
    let soon = |seconds: u32| seconds + 1 == SOON_S;
    Ok(Got {
        topic,
        payload: short(&payload).to_owned(),
        qos: publish.delivery.qos() as u8,
        retain: publish.retain,
        delivery,
        ids,
        expiry: expiry.map(|seconds| match seconds {
            seconds if close(seconds) => LATE_S,
            seconds if soon(seconds) => SOON_S,
            seconds => seconds,
        }),
        properties: properties(&publish.properties, prefix),
    })
}

/// Those that go through unchanged; user properties in their order [MQTT-3.3.2-18], the others sorted.
fn properties(properties: &Properties<'_>, prefix: &str) -> String {
    let mut once = Vec::new();
    let mut user = Vec::new();
    for property in properties.iter() {
        match property {
            Property::SubscriptionIdentifier(_)
            | Property::TopicAlias(_)
            | Property::MessageExpiryInterval(_) => {}
            Property::UserProperty(..) => user.push(format!("{property:?}")),
            other => once.push(format!("{other:?}").replace(prefix, "")),
        }
    }
    once.sort();
    once.extend(user);
    once.join(" ")
}

/// Any packet but PUBLISH; `None` for PINGRESP.
pub(crate) fn other(packet: &FromServer<'_>, in_flight: &InFlight) -> Option<Event> {
    let one = |answer, id: mqtt_codec::PacketId, reason: ReasonCode| {
        Some(Event::Answer(answer, id.get(), vec![reason.0]))
    };
    match packet {
        FromServer::ConnAck(ack) => Some(Event::ConnAck(ack.session_present, ack.reason.0)),
        FromServer::SubAck(ack) => {
            let codes = ack.codes.iter().map(|code| code.0).collect();
            Some(Event::Answer(Answer::SubAck, ack.packet_id.get(), codes))
        }
        FromServer::UnsubAck(ack) => {
            let codes = ack.codes.iter().map(|code| code.0).collect();
            Some(Event::Answer(Answer::UnsubAck, ack.packet_id.get(), codes))
        }
        FromServer::PubAck(ack) => one(Answer::PubAck, ack.packet_id, ack.reason),
        FromServer::PubRec(ack) => one(Answer::PubRec, ack.packet_id, ack.reason),
        FromServer::PubComp(ack) => one(Answer::PubComp, ack.packet_id, ack.reason),
        FromServer::PubRel(release) => Some(Event::Release(
            in_flight.get(&release.packet_id.get()).cloned(),
        )),
        FromServer::Disconnect(disconnect) => Some(Event::Disconnect(disconnect.reason.0)),
        FromServer::PingResp => None,
        FromServer::Publish(_) | FromServer::Auth(_) => Some(Event::Strange(format!("{packet:?}"))),
    }
}

/// Brings the events of a step into an order that does not depend on what the specification leaves open: messages by topic and QoS,
/// in their order within each [MQTT-4.6.0-6]; answers in their order. The order of PUBRELs is looked at by the driver.
pub(crate) fn sort(seen: &mut Seen) {
    let order = |event: &Event| match event {
        Event::OldDisconnect(_) | Event::OldGot(_) => (0, None),
        Event::ConnAck(..) => (1, None),
        Event::Answer(..) => (2, None),
        Event::Release(message) => (3, message.clone().map(|message| (message, 0))),
        Event::Got(got) => (4, Some((got.topic.clone(), got.qos))),
        Event::Strange(_) => (5, None),
        Event::Disconnect(_) => (6, None),
        Event::Closed => (7, None),
    };
    seen.sort_by_cached_key(order);
    // Copies of one message may come in any order.
    let copies = |one: &Event, other: &Event| match (one.got(), other.got()) {
        (Some(one), Some(other)) => {
            (&one.topic, &one.payload, one.qos) == (&other.topic, &other.payload, other.qos)
        }
        _ => false,
    };
    seen.chunk_by_mut(copies).for_each(<[Event]>::sort);
}

/// The QoS as it is in a [`Got`].
pub(crate) fn level(qos: QoS) -> u8 {
    qos as u8
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OldDisconnect(reason) => write!(f, "old connection: DISCONNECT 0x{reason:02x}"),
            Self::OldGot(what) => write!(f, "old connection: {what}"),
            Self::ConnAck(present, reason) => {
                write!(f, "CONNACK session present {present}, 0x{reason:02x}")
            }
            Self::Answer(answer, id, codes) => write!(f, "{answer:?} {id} {codes:02x?}"),
            Self::Release(Some(message)) => write!(f, "PUBREL of {message}"),
            Self::Release(None) => f.write_str("PUBREL of nothing"),
            Self::Got(got) => got.fmt(f),
            Self::Disconnect(reason) => write!(f, "DISCONNECT 0x{reason:02x}"),
            Self::Closed => f.write_str("closed"),
            Self::Strange(what) => f.write_str(what),
        }
    }
}

impl fmt::Display for Got {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "PUBLISH {} {:?} QoS {}",
            self.topic, self.payload, self.qos
        )?;
        if self.retain {
            f.write_str(" retain")?;
        }
        if self.delivery != Copy::First {
            write!(f, " {:?}", self.delivery)?;
        }
        if !self.ids.is_empty() {
            write!(f, " ids {:?}", self.ids)?;
        }
        if let Some(expiry) = self.expiry {
            write!(f, " expiry={expiry}")?;
        }
        if !self.properties.is_empty() {
            write!(f, " {}", self.properties)?;
        }
        Ok(())
    }
}
