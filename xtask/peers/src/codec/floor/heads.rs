//! Heads of PUBLISH: the payload goes out by reference, each receiver has an identifier of its own.

use std::hint::black_box;

use mqtt_cases::packets;
use mqtt_codec::Version;

use super::decode;
use super::encode::{LARGEST, encoding};
use super::writer::{Writer, varint_len};
use crate::harness::Op;

/// The head of a PUBLISH: what a receiver of its own gets, before properties as they came.
#[derive(Clone, Copy, Debug)]
struct Head<'a> {
    first: u8,
    id: u16,
    topic: &'a [u8],
    /// 0: none.
    subscription: u32,
    properties: &'a [u8],
    payload_len: usize,
}

impl Head<'_> {
    #[inline(always)]
    fn encode<const V5: bool>(&self, buffer: &mut [u8]) -> Option<usize> {
        let subscription = if self.subscription == 0 {
            0
        } else {
            1 + varint_len(self.subscription as usize)
        };
        let properties = subscription + self.properties.len();
        let with_len = if V5 {
            varint_len(properties) + properties
        } else {
            0
        };
        let id = if self.first & 6 == 0 { 0 } else { 2 };
        let len = 2 + self.topic.len() + id + with_len + self.payload_len;
        let room = buffer.len();
        let mut writer = Writer { left: buffer };
        writer.array([self.first])?;
        writer.varint(len)?;
        writer.text(self.topic)?;
        if id > 0 {
            writer.array(self.id.to_be_bytes())?;
        }
        if V5 {
            writer.varint(properties)?;
            if subscription > 0 {
                writer.array([0x0b])?;
                writer.varint(self.subscription as usize)?;
            }
            writer.bytes(self.properties)?;
        }
        Some(room - writer.left.len())
    }
}

/// Writes the head of a PUBLISH whose payload of `len` bytes goes out by reference.
pub(super) fn op(len: usize) -> Op {
    let head = Head {
        first: 0x30,
        id: 0,
        topic: packets::topics().0.as_bytes(),
        subscription: 0,
        properties: &[],
        payload_len: len,
    };
    encoding!(64_usize, head, |it, buffer| it.encode::<false>(buffer))
}

/// Reads one PUBLISH and writes its head for a thousand receivers, each with an id and a subscription of its own.
pub(super) fn fan_out<const V5: bool>() -> Op {
    let version = if V5 { Version::V5 } else { Version::V311 };
    let wire = packets::acknowledged(9, 64).wire(version);
    let subscriptions: Vec<u32> = (1..=mqtt_cases::ours::RECEIVERS).collect();
    let mut buffer = vec![0; 128];
    Op::new(mqtt_cases::ours::RECEIVERS, move |n| {
        for _ in 0..n {
            let Ok((decode::Packet::Publish(publish), _)) = decode::decode::<V5>(black_box(&wire))
            else {
                return;
            };
            for (id, subscription) in (1..).zip(&subscriptions) {
                let head = Head {
                    first: 0x32,
                    id,
                    topic: publish.topic,
                    subscription: if V5 { *subscription } else { 0 },
                    properties: publish.properties(),
                    payload_len: publish.payload().len(),
                };
                let _ = black_box(head.encode::<V5>(black_box(&mut buffer)));
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use mqtt_codec::{Delivery, Properties, PublishHead, SubscriptionId};

    use super::*;

    /// The head of the fan-out is what our codec writes.
    #[test]
    fn heads_are_those_that_ours_writes() {
        let subscription = SubscriptionId::new(300).expect("small");
        for (version, ids) in [(Version::V5, &[subscription][..]), (Version::V311, &[])] {
            let ours = PublishHead {
                dup: false,
                retain: false,
                delivery: Delivery::AtLeastOnce(packets::packet_id(7)),
                topic: packets::topics().0,
                topic_alias: None,
                message_expiry: None,
                subscription_ids: ids,
                properties: Properties::EMPTY,
                payload_len: 1_000,
            };
            let mut expected = [0; 128];
            let len = ours.encode(version, &mut expected).expect("room enough");
            let floor = Head {
                first: 0x32,
                id: 7,
                topic: packets::topics().0.as_bytes(),
                subscription: if version == Version::V5 { 300 } else { 0 },
                properties: &[],
                payload_len: 1_000,
            };
            let mut buffer = [0; 128];
            let written = if version == Version::V5 {
                floor.encode::<true>(&mut buffer)
            } else {
                floor.encode::<false>(&mut buffer)
            };
            assert_eq!(&buffer[..written.expect("room enough")], &expected[..len]);
        }
    }
}
