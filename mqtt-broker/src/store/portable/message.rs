//! A message as text: its payload and correlation data as they are when they are UTF-8, in Base64 otherwise.

use core::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use mqtt_codec::{EncodeError, PayloadFormat, Properties as Encoded, Property, QoS};
use mqtt_session::Instant;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::text;
use super::time::Time;
use crate::core::Message as Shared;

/// A message, or the number under which it stood before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MessageRef {
    /// The message, with a number when others refer to it.
    Whole(Message),
    /// The same message as that with this number.
    Again(u64),
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Message {
    /// A number, when others refer to it as [`MessageRef::Again`].
    pub id: Option<u64>,
    /// The topic name.
    pub topic: String,
    /// The QoS that it was published with.
    pub qos: QoS,
    /// The RETAIN flag that it was published with.
    pub retain: bool,
    /// When it expires.
    pub expires: Option<Time>,
    /// The properties that travel end to end.
    pub properties: Properties,
    /// The payload.
    pub payload: Vec<u8>,
}

/// The properties that travel with a message.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Properties {
    /// What the payload is.
    pub payload_format: Option<PayloadFormat>,
    /// The kind of content, in words that sender and receiver agree on.
    pub content_type: Option<String>,
    /// Where an answer is to go.
    pub response_topic: Option<String>,
    /// Bytes by which the requester knows its request again.
    pub correlation_data: Option<Vec<u8>>,
    /// Names and values, in their order.
    pub user: Vec<(String, String)>,
}

impl Properties {
    /// The properties in these, but those of one hop.
    #[must_use]
    pub fn decode(encoded: Encoded<'_>) -> Self {
        let mut properties = Self::default();
        for property in &encoded {
            match property {
                Property::PayloadFormatIndicator(format) => {
                    properties.payload_format = Some(format);
                }
                Property::ContentType(text) => properties.content_type = Some(text.to_owned()),
                Property::ResponseTopic(topic) => {
                    properties.response_topic = Some(topic.to_owned());
                }
                Property::CorrelationData(data) => {
                    properties.correlation_data = Some(data.to_vec());
                }
                Property::UserProperty(name, value) => {
                    properties.user.push((name.to_owned(), value.to_owned()));
                }
                _ => {}
            }
        }
        properties
    }

    /// The same in wire form, as [`Shared`] has them.
    ///
    /// # Errors
    /// When a text is too long for a packet or holds NUL, or the response topic is no topic name.
    pub fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        let mut list = Vec::new();
        list.extend(self.payload_format.map(Property::PayloadFormatIndicator));
        list.extend(self.content_type.as_deref().map(Property::ContentType));
        list.extend(self.response_topic.as_deref().map(Property::ResponseTopic));
        let data = self.correlation_data.as_deref();
        list.extend(data.map(Property::CorrelationData));
        let user = self.user.iter();
        list.extend(user.map(|(name, value)| Property::UserProperty(name, value)));
        let list = Encoded::List(&list);
        let mut bytes = vec![0; list.forwarded_len()];
        let len = list.write_publish(&mut bytes)?.as_bytes().len();
        bytes.truncate(len);
        Ok(bytes)
    }

    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Message {
    /// What the core holds, as a message to be written out; `expires` is the time of day at which it does.
    #[must_use]
    pub fn of(message: &Shared, expires: Option<Time>, id: Option<u64>) -> Self {
        Self {
            id,
            topic: message.topic().to_owned(),
            qos: message.qos,
            retain: message.retain,
            expires,
            properties: Properties::decode(Encoded::stored(message.properties())),
            payload: message.payload().to_vec(),
        }
    }

    /// The message for the core, which `expires` by the clock of its store.
    ///
    /// # Errors
    /// When its properties do not fit into a packet; never for an item that [`Sequence`](super::Sequence) has checked.
    pub fn to_core(&self, expires: Option<Instant>) -> Result<Shared, EncodeError> {
        let properties = self.properties.encode()?;
        let mut message = Shared::new(
            &self.topic,
            &properties,
            &self.payload,
            self.qos,
            self.retain,
        );
        message.expires = expires;
        Ok(message)
    }
}

/// Writes bytes under `key` as text, or under `base64` when they are not UTF-8.
fn bytes<M: SerializeMap>(
    map: &mut M,
    key: &'static str,
    base64: &'static str,
    bytes: &[u8],
) -> Result<(), M::Error> {
    match core::str::from_utf8(bytes) {
        Ok(text) => map.serialize_entry(key, text),
        Err(_) => map.serialize_entry(base64, &BASE64.encode(bytes)),
    }
}

/// Takes bytes from the key that has them.
fn unite<E: Error>(
    text: Option<String>,
    base64: Option<String>,
    keys: &str,
) -> Result<Option<Vec<u8>>, E> {
    match (text, base64) {
        (Some(_), Some(_)) => Err(E::custom(format_args!("it has both {keys}"))),
        (Some(text), None) => Ok(Some(text.into_bytes())),
        (None, Some(coded)) => match BASE64.decode(coded.as_bytes()) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) => Err(E::custom(format_args!(
                "the second of {keys} is not Base64: {error}"
            ))),
        },
        (None, None) => Ok(None),
    }
}

impl Serialize for Message {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(None)?;
        if let Some(id) = self.id {
            map.serialize_entry("id", &id)?;
        }
        map.serialize_entry("topic", &self.topic)?;
        map.serialize_entry("qos", &(self.qos as u8))?;
        if self.retain {
            map.serialize_entry("retain", &true)?;
        }
        if let Some(expires) = self.expires {
            map.serialize_entry("expires", &expires)?;
        }
        if !self.properties.is_empty() {
            map.serialize_entry("properties", &self.properties)?;
        }
        bytes(&mut map, "payload", "payload_base64", &self.payload)?;
        map.end()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename = "message")]
struct MessageText {
    id: Option<u64>,
    topic: String,
    #[serde(default, with = "text::qos")]
    qos: QoS,
    #[serde(default)]
    retain: bool,
    expires: Option<Time>,
    #[serde(default)]
    properties: Properties,
    payload: Option<String>,
    payload_base64: Option<String>,
}

impl<'de> Deserialize<'de> for Message {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = MessageText::deserialize(from)?;
        let keys = "`payload` and `payload_base64`";
        Ok(Self {
            id: text.id,
            topic: text.topic,
            qos: text.qos,
            retain: text.retain,
            expires: text.expires,
            properties: text.properties,
            payload: unite(text.payload, text.payload_base64, keys)?.unwrap_or_default(),
        })
    }
}

impl Serialize for Properties {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(None)?;
        if let Some(format) = self.payload_format {
            let name = match format {
                PayloadFormat::Unspecified => "bytes",
                PayloadFormat::Utf8 => "utf8",
            };
            map.serialize_entry("payload_format", name)?;
        }
        if let Some(text) = &self.content_type {
            map.serialize_entry("content_type", text)?;
        }
        if let Some(topic) = &self.response_topic {
            map.serialize_entry("response_topic", topic)?;
        }
        if let Some(data) = &self.correlation_data {
            bytes(
                &mut map,
                "correlation_data",
                "correlation_data_base64",
                data,
            )?;
        }
        if !self.user.is_empty() {
            map.serialize_entry("user", &self.user)?;
        }
        map.end()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum FormatText {
    Bytes,
    Utf8,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename = "properties")]
struct PropertiesText {
    payload_format: Option<FormatText>,
    content_type: Option<String>,
    response_topic: Option<String>,
    correlation_data: Option<String>,
    correlation_data_base64: Option<String>,
    #[serde(default)]
    user: Vec<(String, String)>,
}

impl<'de> Deserialize<'de> for Properties {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = PropertiesText::deserialize(from)?;
        let keys = "`correlation_data` and `correlation_data_base64`";
        Ok(Self {
            payload_format: text.payload_format.map(|format| match format {
                FormatText::Bytes => PayloadFormat::Unspecified,
                FormatText::Utf8 => PayloadFormat::Utf8,
            }),
            content_type: text.content_type,
            response_topic: text.response_topic,
            correlation_data: unite(text.correlation_data, text.correlation_data_base64, keys)?,
            user: text.user,
        })
    }
}

impl Serialize for MessageRef {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Whole(message) => message.serialize(to),
            Self::Again(id) => to.serialize_u64(*id),
        }
    }
}

impl<'de> Deserialize<'de> for MessageRef {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = MessageRef;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a message, or the number of one that stood before")
            }

            fn visit_u64<E: Error>(self, id: u64) -> Result<MessageRef, E> {
                Ok(MessageRef::Again(id))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<MessageRef, A::Error> {
                Message::deserialize(MapAccessDeserializer::new(map)).map(MessageRef::Whole)
            }
        }

        from.deserialize_any(Either)
    }
}
