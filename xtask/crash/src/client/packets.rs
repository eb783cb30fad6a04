//! The packets that a client sends, as bytes.

use mqtt_codec::{
    Connect, Delivery, EncodeError, Filters, PacketId, Properties, Property, Publish, QoS,
    Subscribe, SubscribeFilter, SubscriptionId, SubscriptionOptions, Unsubscribe,
    UnsubscribeFilters, Version, Will,
};

use super::{Outgoing, Testament};

/// DISCONNECT, the same in all versions.
pub(super) const DISCONNECT: [u8; 2] = [0xe0, 0];

const PUBACK: u8 = 0x40;
const PUBREC: u8 = 0x50;
const PUBREL: u8 = 0x62;
const PUBCOMP: u8 = 0x70;

const fn short(first: u8, id: u16) -> [u8; 4] {
    let [high, low] = id.to_be_bytes();
    [first, 2, high, low]
}

pub(super) const fn pub_ack(id: PacketId) -> [u8; 4] {
    short(PUBACK, id.get())
}

pub(super) const fn pub_rec(id: PacketId) -> [u8; 4] {
    short(PUBREC, id.get())
}

pub(super) const fn pub_rel(id: u16) -> [u8; 4] {
    short(PUBREL, id)
}

pub(super) const fn pub_comp(id: PacketId) -> [u8; 4] {
    short(PUBCOMP, id.get())
}

fn exact(len: usize, encode: impl FnOnce(&mut [u8]) -> Result<usize, EncodeError>) -> Vec<u8> {
    let mut bytes = vec![0; len];
    encode(&mut bytes).expect("clients send what their version has");
    bytes
}

fn packet_id(id: u16) -> PacketId {
    PacketId::new(id).expect("ids count from 1")
}

/// CONNECT without a keep-alive; a session that is not clean never expires.
pub(super) fn connect(
    version: Version,
    name: &str,
    clean: bool,
    testament: Option<&Testament>,
) -> Vec<u8> {
    let forever = [Property::SessionExpiryInterval(u32::MAX)];
    let mut connect = Connect::new(version, name);
    connect.keep_alive = 0;
    connect.clean_start = clean;
    if version.is_v5() && !clean {
        connect.properties = Properties::List(&forever);
    }
    let delay = testament.map_or(0, |testament| testament.delay);
    let delay = (delay > 0).then_some(Property::WillDelayInterval(delay));
    connect.will = testament.map(|testament| Will {
        topic: &testament.topic,
        payload: &testament.payload,
        qos: testament.qos,
        retain: false,
        properties: Properties::List(delay.as_slice()),
    });
    exact(connect.encoded_len(), |buffer| connect.encode(buffer))
}

pub(super) fn subscribe(
    version: Version,
    id: u16,
    filters: &[(&str, SubscriptionOptions)],
    subscription: Option<u32>,
) -> Vec<u8> {
    let filters: Vec<SubscribeFilter<'_>> = filters
        .iter()
        .map(|&(filter, options)| SubscribeFilter { filter, options })
        .collect();
    let identifier = subscription
        .filter(|_| version.is_v5())
        .and_then(SubscriptionId::new)
        .map(Property::SubscriptionIdentifier);
    let subscribe = Subscribe {
        packet_id: packet_id(id),
        properties: Properties::List(identifier.as_slice()),
        filters: Filters::List(&filters),
    };
    exact(subscribe.encoded_len(version), |buffer| {
        subscribe.encode(version, buffer)
    })
}

pub(super) fn unsubscribe(version: Version, id: u16, filter: &str) -> Vec<u8> {
    let unsubscribe = Unsubscribe {
        packet_id: packet_id(id),
        properties: Properties::EMPTY,
        filters: UnsubscribeFilters::List(&[filter]),
    };
    exact(unsubscribe.encoded_len(version), |buffer| {
        unsubscribe.encode(version, buffer)
    })
}

pub(super) fn publish(version: Version, message: &Outgoing, dup: bool) -> Vec<u8> {
    let id = packet_id(message.id);
    let delivery = match message.qos {
        QoS::AtMostOnce => Delivery::AtMostOnce,
        QoS::AtLeastOnce => Delivery::AtLeastOnce(id),
        QoS::ExactlyOnce => Delivery::ExactlyOnce(id),
    };
    let publish = Publish {
        dup,
        retain: message.retain,
        delivery,
        topic: &message.topic,
        properties: Properties::EMPTY,
        payload: &message.payload,
    };
    exact(publish.encoded_len(version), |buffer| {
        publish.encode(version, buffer)
    })
}
