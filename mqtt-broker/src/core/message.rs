//! A message as its receivers share it.

use core::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use mqtt_codec::{Properties, QoS, SubscriptionId};
use mqtt_session::{Commit, Instant, OutgoingMessage};

use super::ids::Subscriber;

/// A published message: topic, end-to-end properties and payload in one piece of memory.
#[derive(Debug)]
pub struct Message {
    data: Box<[u8]>,
    topic_len: u32,
    properties_len: u32,
    /// The QoS that it was published with.
    pub qos: QoS,
    /// The RETAIN flag that it was published with.
    pub retain: bool,
    /// When it expires.
    pub expires: Option<Instant>,
    /// Who published it.
    pub publisher: Subscriber,
    /// The number under which a store keeps it; 0 is none.
    kept_as: AtomicU64,
}

impl Message {
    /// Copies the parts into one piece of memory. `properties` are those that travel end to end, as encoded bytes.
    #[must_use]
    pub fn new(topic: &str, properties: &[u8], payload: &[u8], qos: QoS, retain: bool) -> Self {
        let mut data = Vec::with_capacity(topic.len() + properties.len() + payload.len());
        data.extend_from_slice(topic.as_bytes());
        data.extend_from_slice(properties);
        data.extend_from_slice(payload);
        Self {
            data: data.into_boxed_slice(),
            topic_len: topic.len() as u32,
            properties_len: properties.len() as u32,
            qos,
            retain,
            expires: None,
            publisher: Subscriber::BROKER,
            kept_as: AtomicU64::new(0),
        }
    }

    /// The same once more, in memory of its own; to a store it is another one.
    pub(super) fn duplicate(&self) -> Self {
        Self {
            data: self.data.clone(),
            kept_as: AtomicU64::new(0),
            ..*self
        }
    }

    /// The number under which a store keeps it, as the store has [noted](Self::note_body) it here. Whether it still does is the store's to
    /// know.
    #[must_use]
    pub fn body(&self) -> Option<Commit> {
        let number = self.kept_as.load(Ordering::Relaxed);
        (number != 0).then_some(Commit(number))
    }

    /// Notes the number under which a store keeps it.
    pub fn note_body(&self, number: Commit) {
        self.kept_as.store(number.0, Ordering::Relaxed);
    }

    fn split(&self) -> (&[u8], &[u8], &[u8]) {
        let (topic, rest) = self.data.split_at(self.topic_len as usize);
        let (properties, payload) = rest.split_at(self.properties_len as usize);
        (topic, properties, payload)
    }

    /// The topic name.
    #[must_use]
    pub fn topic(&self) -> &str {
        // It went in as a `str`.
        core::str::from_utf8(self.split().0).unwrap_or_default()
    }

    /// The properties that travel end to end, encoded.
    #[must_use]
    pub fn properties(&self) -> &[u8] {
        self.split().1
    }

    /// The payload.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        self.split().2
    }

    /// Bytes of memory that it keeps.
    #[must_use]
    pub fn size(&self) -> usize {
        self.data.len() + size_of::<Self>()
    }

    /// Whether it has expired at `now` [MQTT-3.3.2-5].
    #[must_use]
    pub fn expired(&self, now: Instant) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }

    /// How it goes out to one receiver.
    #[must_use]
    pub fn outgoing<'m>(
        &'m self,
        qos: QoS,
        retain: bool,
        subscription_ids: &'m [SubscriptionId],
    ) -> OutgoingMessage<'m> {
        OutgoingMessage {
            topic: self.topic(),
            qos,
            retain,
            expires: self.expires,
            subscription_ids,
            properties: Properties::stored(self.properties()),
            payload_len: self.payload().len() as u32,
        }
    }
}

/// A message on its way through the routing: borrowed from a packet, and shared as soon as someone has to keep it.
#[derive(Debug)]
pub(super) struct Incoming<'a> {
    pub(super) topic: &'a str,
    /// End-to-end properties, encoded.
    pub(super) properties: &'a [u8],
    pub(super) payload: &'a [u8],
    pub(super) qos: QoS,
    pub(super) retain: bool,
    pub(super) expires: Option<Instant>,
    pub(super) publisher: Subscriber,
    shared: Option<Arc<Message>>,
}

impl<'a> Incoming<'a> {
    pub(super) const fn new(
        topic: &'a str,
        properties: &'a [u8],
        payload: &'a [u8],
        qos: QoS,
        retain: bool,
    ) -> Self {
        Self {
            topic,
            properties,
            payload,
            qos,
            retain,
            expires: None,
            publisher: Subscriber::BROKER,
            shared: None,
        }
    }

    /// The view of a message that is shared already.
    pub(super) fn of(message: &'a Arc<Message>) -> Self {
        Self {
            topic: message.topic(),
            properties: message.properties(),
            payload: message.payload(),
            qos: message.qos,
            retain: message.retain,
            expires: message.expires,
            publisher: message.publisher,
            shared: Some(Arc::clone(message)),
        }
    }

    /// The message for keeping: copied once, however many keep it.
    pub(super) fn shared(&mut self) -> &Arc<Message> {
        self.shared.get_or_insert_with(|| {
            let mut message = Message::new(
                self.topic,
                self.properties,
                self.payload,
                self.qos,
                self.retain,
            );
            message.expires = self.expires;
            message.publisher = self.publisher;
            Arc::new(message)
        })
    }

    pub(super) fn outgoing<'m>(
        &'m self,
        retain: bool,
        subscription_ids: &'m [SubscriptionId],
    ) -> OutgoingMessage<'m> {
        OutgoingMessage {
            topic: self.topic,
            qos: QoS::AtMostOnce,
            retain,
            expires: self.expires,
            subscription_ids,
            properties: Properties::stored(self.properties),
            payload_len: self.payload.len() as u32,
        }
    }
}

/// The identifiers of the subscriptions that a message matched: seldom any, mostly one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Ids {
    #[default]
    None,
    One([SubscriptionId; 1]),
    /// Behind a thin pointer: it stands in every entry of every queue.
    Many(Arc<Box<[SubscriptionId]>>),
}

impl Ids {
    pub(crate) fn as_slice(&self) -> &[SubscriptionId] {
        match self {
            Self::None => &[],
            Self::One(id) => id,
            Self::Many(ids) => ids,
        }
    }

    pub(super) fn one(id: Option<SubscriptionId>) -> Self {
        id.map_or(Self::None, |id| Self::One([id]))
    }
}

impl FromIterator<SubscriptionId> for Ids {
    /// All of them, in their order [MQTT-3.3.4-4].
    fn from_iter<I: IntoIterator<Item = SubscriptionId>>(ids: I) -> Self {
        let mut ids = ids.into_iter();
        let Some(first) = ids.next() else {
            return Self::None;
        };
        let Some(second) = ids.next() else {
            return Self::One([first]);
        };
        Self::Many(Arc::new([first, second].into_iter().chain(ids).collect()))
    }
}
