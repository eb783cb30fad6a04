//! The head of a PUBLISH to be sent, the payload of which is written elsewhere.

use super::publish::first_byte;
use crate::encode::{self, Layout, impl_encode};
use crate::place;
use crate::property::Spot;
use crate::sink::{Sink, WriteTo};
use crate::wire::to_usize;
use crate::{AnyVersion, Delivery, EncodeError, Properties, Property, SubscriptionId, TopicAlias};

/// Everything of a PUBLISH but its payload, for a sender that writes the payload elsewhere: by a
/// vectored write, or out of a ring.
///
/// Besides the properties of the message it has what a sender adds for one hop. MQTT 3.1 and 3.1.1
/// leave alias, expiry, identifiers and properties out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublishHead<'a> {
    /// Whether it may have been sent before; never with QoS 0.
    pub dup: bool,
    /// Whether the receiver is to keep the message, or the sender had kept it.
    pub retain: bool,
    /// QoS and packet identifier.
    pub delivery: Delivery,
    /// The topic name; may be empty in MQTT 5.0 when `topic_alias` stands for it.
    pub topic: &'a str,
    /// The number that stands, or from now on stands, for the topic name on this connection.
    pub topic_alias: Option<TopicAlias>,
    /// Seconds that are left until the message expires.
    pub message_expiry: Option<u32>,
    /// The identifiers of the matching subscriptions of the receiver; from servers only.
    pub subscription_ids: &'a [SubscriptionId],
    /// The rest: a list, or what [`Properties::write_forwarded`] kept. Wire properties of a received
    /// PUBLISH that hold alias, expiry or identifiers themselves do not belong here.
    pub properties: Properties<'a>,
    /// Bytes of payload that follow the head.
    pub payload_len: u32,
}

impl PublishHead<'_> {
    /// Bytes of the whole packet, the payload included.
    pub fn frame_len(&self, version: impl AnyVersion) -> usize {
        encode::encoded_len(self, version).saturating_add(to_usize(self.payload_len))
    }

    /// A list must not repeat what the head itself adds.
    fn check_list(&self) -> Result<(), EncodeError> {
        self.properties
            .check(&const { Spot::new(place::PUBLISH) })?;
        let Properties::List(list) = self.properties else {
            return Ok(());
        };
        let repeated = list.iter().any(|property| match property {
            Property::TopicAlias(_) => self.topic_alias.is_some(),
            Property::MessageExpiryInterval(_) => self.message_expiry.is_some(),
            _ => false,
        });
        if repeated {
            Err(EncodeError::InvalidProperty)
        } else {
            Ok(())
        }
    }
}

/// What the head adds, and the rest.
struct HeadProperties<'h>(&'h PublishHead<'h>);

impl WriteTo for HeadProperties<'_> {
    #[inline(always)]
    fn write_to<S: Sink>(&self, sink: &mut S) {
        let head = self.0;
        if let Some(alias) = head.topic_alias {
            Property::TopicAlias(alias).write(sink);
        }
        if let Some(seconds) = head.message_expiry {
            Property::MessageExpiryInterval(seconds).write(sink);
        }
        for id in head.subscription_ids {
            Property::SubscriptionIdentifier(*id).write(sink);
        }
        head.properties.write(sink);
    }
}

impl Layout for PublishHead<'_> {
    #[inline]
    fn first_byte(&self) -> u8 {
        first_byte(self.dup, self.retain, self.delivery)
    }

    #[inline]
    fn check<V: AnyVersion>(&self, version: V) -> Result<(), EncodeError> {
        if self.dup && self.delivery == Delivery::AtMostOnce {
            return Err(EncodeError::DupAtMostOnce);
        }
        let alias = version.is_v5()
            && (self.topic_alias.is_some() || self.properties.topic_alias().is_some());
        if self.topic.is_empty() && !alias {
            return Err(EncodeError::EmptyTopic);
        }
        if version.is_v5() {
            self.check_list()
        } else {
            Ok(())
        }
    }

    #[inline(always)]
    fn body<S: Sink, V: AnyVersion>(&self, version: V, sink: &mut S) {
        sink.string(self.topic);
        if let Some(id) = self.delivery.packet_id() {
            sink.u16(id.get());
        }
        if version.is_v5() {
            sink.with_len(HeadProperties(self));
        }
    }

    #[inline]
    fn elsewhere(&self) -> u32 {
        self.payload_len
    }
}

impl_encode!(PublishHead; encode_fields);
