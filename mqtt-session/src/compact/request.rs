//! What a device asks for: packets that are put into its queue.

use core::num::NonZeroU8;

use mqtt_codec::{
    FilterPieces, PacketId, PacketType, PublishPieces, QoS, SubscriptionOptions, TopicAlias,
    WireProperties,
};
use mqtt_topic::{TopicFilter, TopicName};

use crate::profile::Profile;
use crate::rules::next_packet_id;

use super::Compact;
use super::device::Device;
use super::queue::{Full, Queue};
use super::shorten::{ALIASES, BESIDE_AN_ALIAS};
use super::state::Core;

/// A message to publish.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    /// Where.
    pub topic: TopicName<'a>,
    /// What; with topic and properties at most 65,000 bytes.
    pub payload: &'a [u8],
    /// How surely.
    pub qos: QoS,
    /// Whether the broker keeps it for later subscribers.
    pub retain: bool,
    /// A number from 1 to 32 that stands for the topic (5.0, profiles with aliases): the topic travels once a connection, and each
    /// later message is shorter by its length, less the three bytes of the alias. Ignored where the broker takes none. Two
    /// topics with one number are one topic to the broker.
    pub alias: Option<TopicAlias>,
    /// What else is said of it (5.0): expiry, content type, response topic, correlation data, payload format, user properties; left out
    /// on a connection of an older version. Beside more than 124 bytes of them the alias is ignored.
    ///
    /// They are kept as they are sent; a topic alias is not one of them. Known while compiling, they come from [`publish_properties!`](mqtt_codec::publish_properties), else
    /// from [`Properties::write_publish`](mqtt_codec::Properties::write_publish). An expiry counts from when the broker gets the message:
    /// the time in the queue is not taken off.
    pub properties: WireProperties<'a>,
}

impl<'a> Outgoing<'a> {
    /// A message of QoS 1 that is not retained.
    #[must_use]
    pub const fn new(topic: TopicName<'a>, payload: &'a [u8]) -> Self {
        Self {
            topic,
            payload,
            qos: QoS::AtLeastOnce,
            retain: false,
            alias: None,
            properties: WireProperties::EMPTY,
        }
    }
}

impl<D: Device, Q: Queue> Compact<'_, D, Q> {
    /// Queues a message, connected or not; its packet id, where its QoS has one, comes back in [`Event::Acknowledged`](super::Event).
    ///
    /// # Errors
    /// [`Full`]; a message of QoS 2 in a profile without is never taken.
    pub fn publish(&mut self, message: &Outgoing<'_>) -> Result<Option<PacketId>, Full> {
        self.core.publish_message(message)
    }

    /// Queues a SUBSCRIBE to one filter. Before 5.0 only the QoS of the options is said, in a profile without QoS 2 at most 1.
    ///
    /// # Errors
    /// [`Full`].
    pub fn subscribe(
        &mut self,
        filter: TopicFilter<'_>,
        options: SubscriptionOptions,
    ) -> Result<PacketId, Full> {
        self.core
            .request(PacketType::Subscribe, filter.as_str(), Some(options))
    }

    /// Queues an UNSUBSCRIBE.
    ///
    /// # Errors
    /// [`Full`].
    pub fn unsubscribe(&mut self, filter: TopicFilter<'_>) -> Result<PacketId, Full> {
        self.core
            .request(PacketType::Unsubscribe, filter.as_str(), None)
    }
}

impl<D: Device, Q: Queue> Core<'_, D, Q> {
    fn publish_message(&mut self, message: &Outgoing<'_>) -> Result<Option<PacketId>, Full> {
        let qos = message.qos;
        if qos > <D::Profile as Profile>::MAX_QOS {
            return Err(Full);
        }
        let id = (qos != QoS::AtMostOnce).then(|| next_packet_id(self.last_id));
        let topic = message.topic.as_str();
        let alias = message
            .alias
            .filter(|alias| D::Profile::ALIASES && alias.get() <= ALIASES)
            .filter(|_| message.properties.as_bytes().len() <= BESIDE_AN_ALIAS);
        let (properties, payload) = (message.properties, message.payload);
        let body = PublishPieces::new(self.version, topic, id, alias, properties, payload)
            .map_err(|_| Full)?;
        let first = (PacketType::Publish as u8) << 4 | (qos as u8) << 1 | u8::from(message.retain);
        let [topic_len, topic, between, properties, payload] = body.pieces();
        if !properties.is_empty() {
            self.push(first, id, &[topic_len, topic, between, properties, payload])?;
        } else {
            self.push(first, id, &[topic_len, topic, between, payload])?;
        }
        Ok(id)
    }

    /// Queues what the device subscribes to, as far as there is room.
    pub(super) fn subscribe_all(&mut self) {
        while let Some(((filter, options), rest)) = self.unsubscribed.split_first() {
            let filter = filter.as_str();
            if self
                .request(PacketType::Subscribe, filter, Some(*options))
                .is_err()
            {
                return;
            }
            self.unsubscribed = rest;
        }
    }

    #[cfg_attr(target_arch = "avr", inline(never))]
    fn request(
        &mut self,
        packet_type: PacketType,
        filter: &str,
        options: Option<SubscriptionOptions>,
    ) -> Result<PacketId, Full> {
        let id = next_packet_id(self.last_id);
        let options = options.map(|mut options| {
            options.qos = options.qos.min(D::Profile::MAX_QOS);
            options
        });
        let body = FilterPieces::new(self.version, id, filter, options).map_err(|_| Full)?;
        // Their flags are fixed [MQTT-3.8.1-1], [MQTT-3.10.1-1].
        let first = (packet_type as u8) << 4 | 2;
        self.push(first, Some(id), &body.pieces())?;
        Ok(id)
    }

    fn push(&mut self, first: u8, id: Option<PacketId>, pieces: &[&[u8]]) -> Result<(), Full> {
        let first = NonZeroU8::new(first).ok_or(Full)?;
        let id = id.map_or(0, PacketId::get);
        self.queue.push(first, id, pieces)?;
        if id != 0 {
            self.last_id = id;
        }
        Ok(())
    }
}
