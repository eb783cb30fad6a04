//! Messages: one to be published, and one that was received.

use core::fmt;
use core::time::Duration;
use std::sync::Arc;

use bytes::Bytes;
use mqtt_codec::{PayloadFormat, Properties, Property, QoS};
use mqtt_topic::TopicName;

use crate::error::PublishError;

/// The longest payload that any packet could carry, in bytes.
const LONGEST: usize = 268_435_455;

/// A message to be published: topic and payload, and how to deliver it.
///
/// QoS 0 and not retained unless told otherwise. The payload is shared, not copied: a `Bytes`, a `Vec<u8>`, a `String` or a static
/// text becomes one without a copy. Properties exist in MQTT 5.0 only and are left out before.
///
/// ```
/// use mqtt_client::{Message, QoS};
///
/// let reading = Message::new("greenhouse/3/temperature", "21.5")
///     .qos(QoS::AtLeastOnce)
///     .retain(true)
///     .expires_after(core::time::Duration::from_secs(600))
///     .user_property("unit", "C");
/// assert_eq!(reading.topic(), "greenhouse/3/temperature");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    topic: Arc<str>,
    payload: Bytes,
    qos: QoS,
    retain: bool,
    expiry: Option<Duration>,
    /// In wire form.
    properties: Vec<u8>,
    /// A property could not be written: told when the message is used.
    unfit: bool,
}

impl Message {
    /// A message with QoS 0.
    pub fn new(topic: impl Into<Arc<str>>, payload: impl Into<Bytes>) -> Self {
        Self {
            topic: topic.into(),
            payload: payload.into(),
            qos: QoS::AtMostOnce,
            retain: false,
            expiry: None,
            properties: Vec::new(),
            unfit: false,
        }
    }

    /// How often it may arrive: at most, at least or exactly once. Default QoS 0.
    #[must_use]
    pub const fn qos(mut self, qos: QoS) -> Self {
        self.qos = qos;
        self
    }

    /// Whether the server keeps it for later subscribers. Default no.
    #[must_use]
    pub const fn retain(mut self, retain: bool) -> Self {
        self.retain = retain;
        self
    }

    /// How long it is of interest: a message that waits longer is not sent at all, in any version, and a 5.0 server is told what is left.
    ///
    /// In whole seconds on the wire, rounded down. Default for ever.
    #[must_use]
    pub const fn expires_after(mut self, time: Duration) -> Self {
        self.expiry = Some(time);
        self
    }

    /// Says that the payload is text in UTF-8.
    #[must_use]
    pub fn text(self) -> Self {
        self.with(Property::PayloadFormatIndicator(PayloadFormat::Utf8))
    }

    /// The kind of payload, for instance a media type.
    #[must_use]
    pub fn content_type(self, kind: &str) -> Self {
        self.with(Property::ContentType(kind))
    }

    /// Where to send an answer.
    #[must_use]
    pub fn response_topic(self, topic: &str) -> Self {
        self.with(Property::ResponseTopic(topic))
    }

    /// Bytes by which the sender of a request knows its answer.
    #[must_use]
    pub fn correlation_data(self, data: &[u8]) -> Self {
        self.with(Property::CorrelationData(data))
    }

    /// A name and a value of your own; may be repeated.
    #[must_use]
    pub fn user_property(self, name: &str, value: &str) -> Self {
        self.with(Property::UserProperty(name, value))
    }

    fn with(mut self, property: Property<'_>) -> Self {
        let list = [property];
        let list = Properties::List(&list);
        let start = self.properties.len();
        self.properties.resize(start + list.forwarded_len(), 0);
        if list
            .write_forwarded(self.properties.get_mut(start..).unwrap_or_default())
            .is_err()
        {
            self.properties.truncate(start);
            self.unfit = true;
        }
        self
    }

    /// The topic.
    #[must_use]
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// The payload.
    #[must_use]
    pub const fn payload(&self) -> &Bytes {
        &self.payload
    }

    pub(crate) const fn expiry(&self) -> Option<Duration> {
        self.expiry
    }

    pub(crate) const fn quality(&self) -> QoS {
        self.qos
    }

    pub(crate) const fn is_retained(&self) -> bool {
        self.retain
    }

    pub(crate) const fn properties(&self) -> Properties<'_> {
        Properties::stored(self.properties.as_slice())
    }

    /// What it takes of a queue's limit, in bytes.
    pub(crate) fn weight(&self) -> usize {
        self.topic.len() + self.payload.len() + self.properties.len()
    }

    /// Whether it can be sent at all.
    pub(crate) fn check(&self) -> Result<(), PublishError> {
        TopicName::new(&self.topic)?;
        if self.payload.len() > LONGEST {
            return Err(PublishError::PayloadTooLong);
        }
        if self.unfit {
            // The rule that a text of more than 65,535 bytes, or with NUL, breaks first.
            return Err(PublishError::Properties(mqtt_codec::DecodeError {
                rule: mqtt_codec::RuleId::PropertyNotAllowed,
                at: 0,
            }));
        }
        Properties::checked_publish(&self.properties).map_err(PublishError::Properties)?;
        Ok(())
    }

    /// Gives the payload up, once it was written.
    pub(crate) fn take_payload(&mut self) -> Bytes {
        core::mem::take(&mut self.payload)
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("topic", &self.topic)
            .field("qos", &self.qos)
            .field("retain", &self.retain)
            .field("payload_len", &self.payload.len())
            .field("properties", &self.properties())
            .finish_non_exhaustive()
    }
}

/// A message that was received. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct Publication {
    topic: Arc<str>,
    payload: Bytes,
    properties: Bytes,
    qos: QoS,
    retain: bool,
    dup: bool,
}

impl Publication {
    pub(crate) const fn new(topic: Arc<str>, payload: Bytes, properties: Bytes) -> Self {
        Self {
            topic,
            payload,
            properties,
            qos: QoS::AtMostOnce,
            retain: false,
            dup: false,
        }
    }

    pub(crate) const fn flags(mut self, qos: QoS, retain: bool, dup: bool) -> Self {
        self.qos = qos;
        self.retain = retain;
        self.dup = dup;
        self
    }

    /// The topic it was published on.
    #[must_use]
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// The payload.
    #[must_use]
    pub const fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// The payload as text, if it is UTF-8.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        core::str::from_utf8(&self.payload).ok()
    }

    /// The QoS it was delivered with: the lower one of published and granted.
    #[must_use]
    pub const fn qos(&self) -> QoS {
        self.qos
    }

    /// Whether the server had kept it for later subscribers.
    #[must_use]
    pub const fn is_retained(&self) -> bool {
        self.retain
    }

    /// Whether the server may have sent it before; this client delivers a QoS 2 message once all the same.
    #[must_use]
    pub const fn is_dup(&self) -> bool {
        self.dup
    }

    /// Its properties: content type, response topic, user properties and the others. Empty before 5.0.
    #[must_use]
    pub fn properties(&self) -> Properties<'_> {
        Properties::stored(&self.properties)
    }
}

impl fmt::Debug for Publication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publication")
            .field("topic", &self.topic)
            .field("qos", &self.qos)
            .field("retain", &self.retain)
            .field("payload_len", &self.payload.len())
            .field("properties", &self.properties())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_keep_their_order() {
        let message = Message::new("t", "p")
            .user_property("b", "1")
            .text()
            .user_property("a", "2");
        let names: Vec<_> = message.properties().user_properties().collect();
        assert_eq!(names, [("b", "1"), ("a", "2")]);
        assert!(message.check().is_ok());
    }

    #[test]
    fn what_cannot_be_sent_is_told_when_it_is_used() {
        assert!(matches!(
            Message::new("a/+", "").check(),
            Err(PublishError::Topic(_))
        ));
        let twice = Message::new("t", "").content_type("a").content_type("b");
        assert!(matches!(twice.check(), Err(PublishError::Properties(_))));
        let long = Message::new("t", "").user_property("a", &"x".repeat(70_000));
        assert!(matches!(long.check(), Err(PublishError::Properties(_))));
    }
}
