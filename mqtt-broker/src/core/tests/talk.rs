//! What clients say and what they hear, for [`Net`].

use mqtt_codec::{
    Delivery, Disconnect, Filters, Packet, PacketId, Properties, Property, Publish, QoS,
    ReasonCode, Subscribe, SubscribeFilter, SubscriptionOptions, Unsubscribe, UnsubscribeFilters,
};

use super::client::{Connected, Message, Seen, encode};
use super::net::Net;

impl Net {
    pub(super) fn next_id(&mut self, client: usize) -> PacketId {
        let next = &mut self.clients[client].next_id;
        let id = *next;
        *next = next.checked_add(1).unwrap_or(1);
        PacketId::new(id).unwrap()
    }

    /// Sends bytes, and lets everything happen that follows from them.
    pub(super) fn send(&mut self, client: usize, bytes: &[u8]) {
        self.queue_bytes(client, bytes);
        self.run();
    }

    /// Sends bytes that arrive with the next [`run`](Self::run).
    pub(super) fn queue_bytes(&mut self, client: usize, bytes: &[u8]) {
        self.clients[client].sent.extend_from_slice(bytes);
    }

    pub(super) fn packet(&mut self, client: usize, packet: &Packet<'_>) {
        let bytes = self.bytes_of(client, packet);
        self.send(client, &bytes);
    }

    pub(super) fn bytes_of(&self, client: usize, packet: &Packet<'_>) -> Vec<u8> {
        encode(packet, self.clients[client].end.version)
    }

    pub(super) fn subscribe(&mut self, client: usize, filter: &str, qos: QoS) -> Vec<ReasonCode> {
        self.subscribe_with(client, &[filter], SubscriptionOptions::new(qos), None)
    }

    /// Subscribes, and gives the codes if the answer came.
    pub(super) fn subscribe_with(
        &mut self,
        client: usize,
        filters: &[&str],
        options: SubscriptionOptions,
        id: Option<u32>,
    ) -> Vec<ReasonCode> {
        let filters: Vec<SubscribeFilter<'_>> = filters
            .iter()
            .map(|filter| SubscribeFilter { filter, options })
            .collect();
        let id = id.and_then(mqtt_codec::SubscriptionId::new);
        let properties: Vec<Property<'_>> = id
            .map(Property::SubscriptionIdentifier)
            .into_iter()
            .collect();
        let packet_id = self.next_id(client);
        let packet = Packet::Subscribe(Subscribe {
            packet_id,
            properties: Properties::List(&properties),
            filters: Filters::List(&filters),
        });
        self.packet(client, &packet);
        self.answer(client, |seen| match seen {
            Seen::SubAck(id, codes) if *id == packet_id.get() => Some(codes.clone()),
            _ => None,
        })
    }

    pub(super) fn unsubscribe(&mut self, client: usize, filters: &[&str]) -> Vec<ReasonCode> {
        let packet_id = self.next_id(client);
        let packet = Packet::Unsubscribe(Unsubscribe {
            packet_id,
            properties: Properties::EMPTY,
            filters: UnsubscribeFilters::List(filters),
        });
        self.packet(client, &packet);
        self.answer(client, |seen| match seen {
            Seen::UnsubAck(id, codes) if *id == packet_id.get() => Some(codes.clone()),
            _ => None,
        })
    }

    fn answer<T: Default>(&self, client: usize, find: impl Fn(&Seen) -> Option<T>) -> T {
        let seen = &self.clients[client].end.seen;
        seen.iter().rev().find_map(find).unwrap_or_default()
    }

    pub(super) fn publish(&mut self, client: usize, topic: &str, payload: &str, qos: QoS) {
        self.publish_with(client, topic, payload, qos, false, &[]);
    }

    pub(super) fn retain(&mut self, client: usize, topic: &str, payload: &str, qos: QoS) {
        self.publish_with(client, topic, payload, qos, true, &[]);
    }

    pub(super) fn publish_with(
        &mut self,
        client: usize,
        topic: &str,
        payload: &str,
        qos: QoS,
        retain: bool,
        properties: &[Property<'_>],
    ) {
        let bytes = self.publish_bytes(client, topic, payload.as_bytes(), qos, retain, properties);
        self.send(client, &bytes);
    }

    pub(super) fn publish_bytes(
        &mut self,
        client: usize,
        topic: &str,
        payload: &[u8],
        qos: QoS,
        retain: bool,
        properties: &[Property<'_>],
    ) -> Vec<u8> {
        let delivery = match qos {
            QoS::AtMostOnce => Delivery::AtMostOnce,
            QoS::AtLeastOnce => Delivery::AtLeastOnce(self.next_id(client)),
            QoS::ExactlyOnce => Delivery::ExactlyOnce(self.next_id(client)),
        };
        let packet = Packet::Publish(Publish {
            dup: false,
            retain,
            delivery,
            topic,
            properties: Properties::List(properties),
            payload,
        });
        self.bytes_of(client, &packet)
    }

    pub(super) fn ping(&mut self, client: usize) {
        self.packet(client, &Packet::PingReq);
    }

    pub(super) fn disconnect(&mut self, client: usize, reason: ReasonCode) {
        self.packet(client, &Packet::Disconnect(Disconnect::new(reason)));
    }

    // What came.

    /// What a client saw since it was last asked.
    pub(super) fn seen(&mut self, client: usize) -> Vec<Seen> {
        core::mem::take(&mut self.clients[client].end.seen)
    }

    /// The messages among that; the rest is forgotten.
    pub(super) fn received(&mut self, client: usize) -> Vec<Message> {
        self.seen(client)
            .into_iter()
            .filter_map(|seen| match seen {
                Seen::Publish(message) => Some(message),
                _ => None,
            })
            .collect()
    }

    /// Their payloads.
    pub(super) fn texts(&mut self, client: usize) -> Vec<String> {
        self.received(client).iter().map(Message::text).collect()
    }

    /// CONNACK, which must have come and must be the first that came.
    pub(super) fn connack(&mut self, client: usize) -> Connected {
        match self.seen(client).into_iter().next() {
            Some(Seen::ConnAck(connected)) => *connected,
            other => panic!("no CONNACK but {other:?}"),
        }
    }

    /// Every byte that a client ever received.
    pub(super) fn transcript(&self, client: usize) -> &[u8] {
        &self.clients[client].bytes
    }
}
