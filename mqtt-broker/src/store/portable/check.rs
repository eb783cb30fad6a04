//! What makes a sequence of items a store: each fit for the protocol, and each behind what it names.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use mqtt_codec::{PacketId, QoS};
use mqtt_topic::{ParsedFilter, TopicName};

use super::item::{
    Expiry, Handshake, HandshakeState, Item, Queued, Receiver, Retained, Session, Subscription,
    Will,
};
use super::message::{Message, MessageRef, Properties};
use crate::core::is_reserved;

/// An item that does not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{key}`: {why}")]
pub struct Fault {
    /// Where, as in `queued.message.topic`.
    pub key: String,
    /// What is wrong there.
    pub why: String,
}

impl Fault {
    fn new(key: &str, why: impl Into<String>) -> Self {
        Self {
            key: key.to_owned(),
            why: why.into(),
        }
    }

    fn within(mut self, parent: &str) -> Self {
        self.key = format!("{parent}.{}", self.key);
        self
    }
}

type Checked = Result<(), Fault>;

/// Bytes of the longest string or binary field of a packet.
const FIELD_MAX: usize = u16::MAX as usize;
/// Bytes of the longest packet.
const PACKET_MAX: usize = 268_435_455;

/// Checks items one after the other; remembers names and numbers, no messages.
#[derive(Debug, Default)]
pub struct Sequence {
    /// By client id.
    sessions: HashMap<Box<str>, Known>,
    /// With the session's number.
    subscriptions: HashSet<(u32, Box<str>)>,
    wills: HashSet<u32>,
    /// Packet ids in use, with the session's number.
    received: HashSet<(u32, PacketId)>,
    sending: HashSet<(u32, PacketId)>,
    groups: HashSet<Box<str>>,
    retained: HashSet<Box<str>>,
    messages: HashSet<u64>,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    number: u32,
    connected: bool,
    /// A subscription has retained messages on their way to it.
    awaits_retained: bool,
}

impl Sequence {
    /// Nothing has come yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Checks the next item.
    ///
    /// # Errors
    /// What is wrong with it; the sequence cannot go on then.
    pub fn check(&mut self, item: &Item) -> Checked {
        let checked = match item {
            Item::Retained(item) => self.retained(item),
            Item::Session(item) => self.session(item),
            Item::Will(item) => self.will(item),
            Item::Subscription(item) => self.subscription(item),
            Item::Queued(item) => self.queued(item),
            Item::Handshake(item) => self.handshake(item),
        };
        checked.map_err(|fault| fault.within(item.key()))
    }

    /// Checks a message that stands for itself, and gives its number.
    pub(super) fn numbered(&self, whole: &Message) -> Result<u64, Fault> {
        message(whole).map_err(|fault| fault.within("message"))?;
        let Some(id) = whole.id else {
            let why = "it is missing: nothing can refer to this message";
            return Err(Fault::new("message.id", why));
        };
        if self.messages.contains(&id) {
            return Err(Fault::new("message.id", "another message has this number"));
        }
        Ok(id)
    }

    /// Whether a subscription of a member of this group has come.
    pub(super) fn has_members(&self, filter: &str) -> bool {
        self.groups.contains(filter)
    }

    fn retained(&mut self, item: &Retained) -> Checked {
        self.reference(&item.message)?;
        let MessageRef::Whole(message) = &item.message else {
            let why = "a retained message stands before what else refers to it";
            return Err(Fault::new("message", why));
        };
        if !self.retained.insert(message.topic.as_str().into()) {
            let why = "this topic has a retained message already";
            return Err(Fault::new("message.topic", why));
        }
        if is_reserved(&message.topic) {
            let why = "the broker publishes this topic itself";
            return Err(Fault::new("message.topic", why));
        }
        if message.payload.is_empty() {
            let why = "a retained message has a payload: an empty one clears its topic";
            return Err(Fault::new("message.payload", why));
        }
        Ok(())
    }

    fn session(&mut self, item: &Session) -> Checked {
        if item.client_id.is_empty() {
            return Err(Fault::new("client_id", "it is empty"));
        }
        string("client_id", &item.client_id)?;
        string("user_name", item.user_name.as_deref().unwrap_or_default())?;
        if item.connected && item.ends.is_some() {
            let why = "while the session is connected, nobody knows when it ends";
            return Err(Fault::new("ends", why));
        }
        if !item.connected && item.ends.is_none() && item.expiry != Expiry::Never {
            let why = "it is missing: the session is not connected, and does not live for ever";
            return Err(Fault::new("ends", why));
        }
        let Ok(number) = u32::try_from(self.sessions.len()) else {
            return Err(Fault::new("client_id", "there are too many sessions"));
        };
        let Entry::Vacant(vacant) = self.sessions.entry(item.client_id.as_str().into()) else {
            return Err(Fault::new("client_id", "this client has a session already"));
        };
        vacant.insert(Known {
            number,
            connected: item.connected,
            awaits_retained: false,
        });
        Ok(())
    }

    fn known(&self, client_id: &str) -> Result<Known, Fault> {
        let known = self.sessions.get(client_id).copied();
        known.ok_or_else(|| {
            Fault::new(
                "client_id",
                format!("no session of {client_id:?} stands before"),
            )
        })
    }

    fn will(&mut self, item: &Will) -> Checked {
        let session = self.known(&item.client_id)?;
        if !self.wills.insert(session.number) {
            return Err(Fault::new("client_id", "this session has a will already"));
        }
        message(&item.message).map_err(|fault| fault.within("message"))?;
        if item.message.id.is_some() {
            return Err(Fault::new("message.id", "nothing can refer to a will"));
        }
        if item.message.expires.is_some() {
            let why = "the expiry of a will is `message_expiry`, in seconds from its publication";
            return Err(Fault::new("message.expires", why));
        }
        if session.connected == item.due.is_some() {
            let why = if session.connected {
                "while the session is connected, nobody knows when its will is due"
            } else {
                "it is missing: the session is not connected"
            };
            return Err(Fault::new("due", why));
        }
        Ok(())
    }

    fn subscription(&mut self, item: &Subscription) -> Checked {
        let session = self.known(&item.client_id)?;
        let parsed = ParsedFilter::parse(&item.filter)
            .map_err(|error| Fault::new("filter", error.to_string()))?;
        if parsed.share.is_some() {
            if item.options.no_local {
                let why = "a shared subscription has no such option";
                return Err(Fault::new("no_local", why));
            }
            if item.retained_sent.is_some() {
                let why = "a shared subscription gets no retained messages";
                return Err(Fault::new("retained_sent", why));
            }
            self.groups.insert(item.filter.as_str().into());
        }
        if let Some(topics) = &item.retained_sent {
            // They have their turn one after the other.
            if session.awaits_retained && !topics.is_empty() {
                let why = "only the first of the session's subscriptions with this key has begun";
                return Err(Fault::new("retained_sent", why));
            }
            for name in topics {
                topic("retained_sent", name)?;
            }
            if let Some(known) = self.sessions.get_mut(item.client_id.as_str()) {
                known.awaits_retained = true;
            }
        }
        let key = (session.number, item.filter.as_str().into());
        if !self.subscriptions.insert(key) {
            return Err(Fault::new("filter", "this subscription stands before"));
        }
        Ok(())
    }

    fn queued(&mut self, item: &Queued) -> Checked {
        if item.qos == QoS::AtMostOnce {
            return Err(Fault::new("qos", "messages of QoS 0 do not wait"));
        }
        match &item.receiver {
            Receiver::Client(id) => {
                let session = self.known(id)?;
                if let Some(packet_id) = item.sent {
                    if item.qos != QoS::ExactlyOnce {
                        let why = "only messages of QoS 2 keep their packet id";
                        return Err(Fault::new("sent", why));
                    }
                    if !self.sending.insert((session.number, packet_id)) {
                        return Err(Fault::new("sent", "this packet id is in use"));
                    }
                }
                if let Some(group) = &item.chosen_by {
                    self.group("chosen_by", group)?;
                }
            }
            Receiver::Group(filter) => {
                self.group("group", filter)?;
                if item.sent.is_some() {
                    return Err(Fault::new("sent", "a group has no connection"));
                }
                if item.chosen_by.is_some() {
                    return Err(Fault::new("chosen_by", "a group chooses a session"));
                }
            }
        }
        self.reference(&item.message)
    }

    fn handshake(&mut self, item: &Handshake) -> Checked {
        let session = self.known(&item.client_id)?;
        let ids = match item.state {
            HandshakeState::Received => &mut self.received,
            HandshakeState::Releasing => &mut self.sending,
        };
        if !ids.insert((session.number, item.packet_id)) {
            return Err(Fault::new("packet_id", "this packet id is in use"));
        }
        Ok(())
    }

    fn group(&self, key: &str, filter: &str) -> Checked {
        if self.groups.contains(filter) {
            return Ok(());
        }
        let why = format!("no subscription of a member of {filter:?} stands before");
        Err(Fault::new(key, why))
    }

    fn reference(&mut self, reference: &MessageRef) -> Checked {
        match reference {
            MessageRef::Whole(whole) => {
                message(whole).map_err(|fault| fault.within("message"))?;
                if whole.id.is_some_and(|id| !self.messages.insert(id)) {
                    let why = "another message has this number";
                    return Err(Fault::new("message.id", why));
                }
            }
            MessageRef::Again(id) if !self.messages.contains(id) => {
                let why = format!("no message with the number {id} stands before");
                return Err(Fault::new("message", why));
            }
            MessageRef::Again(_) => {}
        }
        Ok(())
    }
}

fn message(message: &Message) -> Checked {
    topic("topic", &message.topic)?;
    let Properties {
        payload_format: _,
        content_type,
        response_topic,
        correlation_data,
        user,
    } = &message.properties;
    let within = |fault: Fault| fault.within("properties");
    let mut size = message.topic.len() + message.payload.len();
    if let Some(text) = content_type {
        string("content_type", text).map_err(within)?;
        size += text.len();
    }
    if let Some(name) = response_topic {
        topic("response_topic", name).map_err(within)?;
        size += name.len();
    }
    if let Some(data) = correlation_data {
        if data.len() > FIELD_MAX {
            let why = "it is longer than 65535 bytes";
            return Err(within(Fault::new("correlation_data", why)));
        }
        size += data.len();
    }
    for (name, value) in user {
        string("user", name)
            .and_then(|()| string("user", value))
            .map_err(within)?;
        size += name.len() + value.len() + 5;
    }
    // What else a packet has takes less than this.
    if size > PACKET_MAX - 100 {
        let why = "the message is larger than a packet can be";
        return Err(Fault::new("payload", why));
    }
    Ok(())
}

fn topic(key: &str, name: &str) -> Checked {
    let checked = TopicName::new(name).map(drop);
    checked.map_err(|error| Fault::new(key, error.to_string()))
}

fn string(key: &str, text: &str) -> Checked {
    if text.len() > FIELD_MAX {
        return Err(Fault::new(key, "it is longer than 65535 bytes"));
    }
    if text.contains('\0') {
        return Err(Fault::new(key, "it holds the character U+0000"));
    }
    Ok(())
}
