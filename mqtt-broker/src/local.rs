//! Publishing and subscribing inside the process: no socket, no client id, no session.

use core::pin::Pin;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use core::task::{Context, Poll};
use core::time::Duration;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::Stream;
use futures::channel::mpsc;
use mqtt_codec::{Properties, Property, QoS, RetainHandling, SubscriptionOptions};
use mqtt_session::Instant;
use mqtt_topic::{TopicFilter, TopicFilterBuf, TopicName};

use crate::core::{LocalId, Message, Room, Shared};

/// Messages that a [`Subscription`] holds until they are taken; more are dropped and counted.
const WAITING: usize = 10_000;

/// Why a message was not published, or a subscription not made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LocalError {
    /// The topic is not one.
    #[error("the topic name is not valid")]
    TopicName(#[source] mqtt_topic::TopicNameError),
    /// The filter is not one.
    #[error("the topic filter is not valid")]
    TopicFilter(#[source] mqtt_topic::TopicFilterError),
    /// The group of a shared subscription would have a member without a session.
    #[error("a shared subscription needs a client")]
    Shared,
    /// A property is too long: no text may be above 65,535 bytes.
    #[error("a property is too long")]
    Property,
    /// The message is larger than [`Limits::maximum_packet_size`](mqtt_session::Limits::maximum_packet_size) allows clients to send.
    #[error("the message is larger than the limit")]
    TooLarge,
    /// The disk is full; it passes. QoS 0 that is not retained needs no disk.
    #[error("the store is full")]
    Full,
    /// The store has failed, and nothing can be kept until the operator has acted. Of a message that was on its way to the disk it is not known
    /// whether it came there.
    #[error("the store has failed")]
    Failed,
    /// The broker has stopped.
    #[error("the broker has stopped")]
    Stopped,
}

impl LocalError {
    /// What the store says that does not take a message.
    pub(crate) const fn of(room: Room) -> Self {
        match room {
            Room::Failed => Self::Failed,
            Room::Enough | Room::Full => Self::Full,
        }
    }
}

/// How to publish. The default is QoS 0, not retained, never expiring, without properties.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct PublishOptions {
    qos: Option<QoS>,
    retain: bool,
    expires_in: Option<Duration>,
    content_type: Option<String>,
    response_topic: Option<String>,
    correlation_data: Option<Vec<u8>>,
    user_properties: Vec<(String, String)>,
}

impl PublishOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// The QoS; a subscriber gets the lower of this and its own.
    pub const fn qos(mut self, qos: QoS) -> Self {
        self.qos = Some(qos);
        self
    }

    /// Keeps the message for those who subscribe later; an empty payload removes the one that is kept [MQTT-3.3.1-6].
    pub const fn retained(mut self) -> Self {
        self.retain = true;
        self
    }

    /// Drops the message where it was not delivered within this time, rounded up to seconds.
    pub const fn expires_in(mut self, time: Duration) -> Self {
        self.expires_in = Some(time);
        self
    }

    /// What the payload is, as a MIME type.
    pub fn content_type(mut self, text: impl Into<String>) -> Self {
        self.content_type = Some(text.into());
        self
    }

    /// Where an answer should go.
    pub fn response_topic(mut self, topic: impl Into<String>) -> Self {
        self.response_topic = Some(topic.into());
        self
    }

    /// What an answer should repeat.
    pub fn correlation_data(mut self, data: impl Into<Vec<u8>>) -> Self {
        self.correlation_data = Some(data.into());
        self
    }

    /// A name and a value; may be called again.
    pub fn user_property(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.user_properties.push((name.into(), value.into()));
        self
    }

    /// The message that these options make.
    pub(crate) fn message(
        &self,
        topic: &str,
        payload: &[u8],
        limit: u32,
        now: Instant,
    ) -> Result<Message, LocalError> {
        let name = TopicName::new(topic).map_err(LocalError::TopicName)?;
        let properties = self.properties()?;
        if name.as_str().len() + properties.len() + payload.len() > limit as usize {
            return Err(LocalError::TooLarge);
        }
        let qos = self.qos.unwrap_or(QoS::AtMostOnce);
        let mut message = Message::new(name.as_str(), &properties, payload, qos, self.retain);
        message.expires = self.expires_in.map(|time| {
            let seconds = time.as_secs() + u64::from(time.subsec_nanos() > 0);
            now.plus_seconds(u32::try_from(seconds).unwrap_or(u32::MAX))
        });
        Ok(message)
    }

    /// The properties as the bytes that travel with the message.
    fn properties(&self) -> Result<Vec<u8>, LocalError> {
        let mut list = Vec::new();
        if let Some(text) = &self.content_type {
            list.push(Property::ContentType(text));
        }
        if let Some(topic) = &self.response_topic {
            list.push(Property::ResponseTopic(topic));
        }
        if let Some(data) = &self.correlation_data {
            list.push(Property::CorrelationData(data));
        }
        for (name, value) in &self.user_properties {
            list.push(Property::UserProperty(name, value));
        }
        let properties = Properties::from(&*list);
        let mut bytes = vec![0; properties.forwarded_len()];
        match properties.write_forwarded(&mut bytes) {
            Ok(written) => bytes.truncate(written),
            Err(_) => return Err(LocalError::Property),
        }
        Ok(bytes)
    }
}

/// A message as a subscriber inside this process gets it; cheap to clone.
#[derive(Clone, Debug)]
pub struct LocalMessage {
    message: Arc<Message>,
    qos: QoS,
    retain: bool,
}

impl LocalMessage {
    /// The topic name.
    #[must_use]
    pub fn topic(&self) -> &str {
        self.message.topic()
    }

    /// The payload.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        self.message.payload()
    }

    /// The lower of the QoS that it was published with and that of the subscription.
    #[must_use]
    pub const fn qos(&self) -> QoS {
        self.qos
    }

    /// Whether it was kept from before the subscription.
    #[must_use]
    pub const fn is_retained(&self) -> bool {
        self.retain
    }

    /// The properties that its publisher gave it: payload format, content type, response topic, correlation data, user properties.
    #[must_use]
    pub fn properties(&self) -> Properties<'_> {
        Properties::stored(self.message.properties())
    }
}

/// The messages of a subscription inside this process, as a stream; it ends when the broker stops.
///
/// Retained messages come first. Up to 10,000 messages wait for a reader that is slow; further ones are dropped, and
/// [`missed`](Self::missed) counts them. Dropping the stream ends the subscription.
#[derive(Debug)]
pub struct Subscription {
    messages: mpsc::Receiver<LocalMessage>,
    missed: Arc<AtomicU64>,
    id: LocalId,
    filter: TopicFilterBuf,
    shared: Arc<Shared>,
    locals: Arc<Locals>,
}

impl Subscription {
    /// How many messages were dropped because too many were waiting.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }

    /// The filter.
    #[must_use]
    pub fn filter(&self) -> &str {
        self.filter.as_str()
    }
}

impl Stream for Subscription {
    type Item = LocalMessage;

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<LocalMessage>> {
        Pin::new(&mut self.messages).poll_next(context)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.shared
            .unsubscribe_local(self.id, &self.filter.as_filter());
        self.locals.lock().senders.remove(&self.id.0);
    }
}

#[derive(Debug)]
struct Sender {
    channel: mpsc::Sender<LocalMessage>,
    missed: Arc<AtomicU64>,
}

#[derive(Debug, Default)]
struct Senders {
    senders: HashMap<u32, Sender>,
    closed: bool,
}

/// Who subscribes inside this process.
#[derive(Debug, Default)]
pub(crate) struct Locals {
    senders: Mutex<Senders>,
    next: AtomicU32,
}

impl Locals {
    fn lock(&self) -> MutexGuard<'_, Senders> {
        self.senders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a subscription; what was retained at `now` comes first.
    pub(crate) fn subscribe(
        self: &Arc<Self>,
        shared: &Arc<Shared>,
        filter: &str,
        qos: QoS,
        now: Instant,
    ) -> Result<Subscription, LocalError> {
        if filter.starts_with("$share/") {
            return Err(LocalError::Shared);
        }
        let filter = TopicFilter::new(filter).map_err(LocalError::TopicFilter)?;
        let options = SubscriptionOptions {
            qos,
            no_local: false,
            retain_as_published: false,
            retain_handling: RetainHandling::SendAtSubscribe,
        };
        let id = LocalId(self.next.fetch_add(1, Ordering::Relaxed));
        let (channel, messages) = mpsc::channel(WAITING);
        let mut sender = Sender {
            channel,
            missed: Arc::default(),
        };
        let missed = Arc::clone(&sender.missed);
        // Live messages wait for the lock, so that those that were retained before come first.
        let mut senders = self.lock();
        if senders.closed {
            return Err(LocalError::Stopped);
        }
        shared.subscribe_local(id, &filter, options);
        for message in shared.retained_matches(&filter, now) {
            let qos = qos.min(message.qos);
            sender.send(LocalMessage {
                message,
                qos,
                retain: true,
            });
        }
        senders.senders.insert(id.0, sender);
        drop(senders);
        Ok(Subscription {
            messages,
            missed,
            id,
            filter: filter.to_buf(),
            shared: Arc::clone(shared),
            locals: Arc::clone(self),
        })
    }

    /// Passes a message on; one for a subscription that has just ended is dropped.
    pub(crate) fn deliver(&self, id: LocalId, message: Arc<Message>, qos: QoS, retain: bool) {
        if let Some(sender) = self.lock().senders.get_mut(&id.0) {
            sender.send(LocalMessage {
                message,
                qos,
                retain,
            });
        }
    }

    /// Ends all streams.
    pub(crate) fn close(&self) {
        let mut senders = self.lock();
        senders.closed = true;
        senders.senders.clear();
    }
}

impl Sender {
    fn send(&mut self, message: LocalMessage) {
        if self.channel.try_send(message).is_err() {
            self.missed.fetch_add(1, Ordering::Relaxed);
        }
    }
}
