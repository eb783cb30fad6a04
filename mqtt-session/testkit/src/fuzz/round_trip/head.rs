//! The head of a PUBLISH, written apart from its payload, beside the whole.

use mqtt_codec::{
    Decoded, Decoder, EncodeError, Properties, Property, Publish, PublishHead, SubscriptionId,
    TopicAlias, Version,
};

/// The head and then the payload are the bytes of the whole, or both are refused.
pub(super) fn check(version: Version, publish: &Publish<'_>, whole: Result<usize, EncodeError>) {
    let Properties::List(list) = publish.properties else {
        return;
    };
    as_listed(version, publish, whole);
    let split = Split::of(list);
    // The head writes its own properties first: in this order it is the same packet.
    let ordered: Vec<Property<'_>> = split.in_order().collect();
    let publish = Publish {
        properties: Properties::List(&ordered),
        ..*publish
    };
    let head = split.head(&publish);
    compare(version, &publish, &head);
}

/// Everything in the list, nothing in the fields of the head.
fn as_listed(version: Version, publish: &Publish<'_>, whole: Result<usize, EncodeError>) {
    let nothing = Split::of(&[]);
    let head = PublishHead {
        properties: publish.properties,
        ..nothing.head(publish)
    };
    compare(version, publish, &head);
    if whole.is_ok() {
        assert_eq!(Ok(head.frame_len(version)), whole);
    }
}

fn compare(version: Version, publish: &Publish<'_>, head: &PublishHead<'_>) {
    let mut bytes = vec![0; publish.encoded_len(version)];
    let whole = publish.encode(version, &mut bytes);
    let mut buffer = vec![0; head.encoded_len(version)];
    let result = head.encode(version, &mut buffer);
    match (whole, result) {
        (Ok(len), Ok(head_len)) => {
            assert_eq!(head.frame_len(version), len);
            assert_eq!(head_len, buffer.len());
            assert_eq!(head_len + publish.payload.len(), len, "{head:?}");
            buffer.extend_from_slice(publish.payload);
            assert_eq!(buffer, bytes, "{head:?}");
            apart(version, publish, &bytes[..head_len]);
        }
        (Err(whole), Err(part)) => assert_eq!(whole, part, "{head:?}"),
        (whole, part) => panic!("{whole:?} as a whole, {part:?} as a head: {head:?}"),
    }
}

/// The head is read before a byte of the payload is there.
fn apart(version: Version, publish: &Publish<'_>, head: &[u8]) {
    match Decoder::new(version).publish_head(head) {
        Ok(Decoded::Complete { packet, len }) => {
            assert_eq!(len, head.len());
            assert_eq!(packet.missing as usize, publish.payload.len());
            assert_eq!(packet.publish.topic, publish.topic);
            assert_eq!(packet.publish.delivery, publish.delivery);
            assert_eq!(packet.publish.payload, b"");
            if version.is_v5() {
                assert_eq!(packet.publish.properties, publish.properties);
                forwarded(&packet.publish.properties, &publish.properties);
            }
        }
        other => panic!("{head:02x?}: {other:?}"),
    }
}

/// What is kept of a list is what is kept of the same properties as bytes.
fn forwarded(wire: &Properties<'_>, list: &Properties<'_>) {
    let kept = |properties: &Properties<'_>| {
        let mut kept = vec![0; properties.forwarded_len()];
        let len = kept.len();
        assert_eq!(properties.write_forwarded(&mut kept), Ok(len));
        kept
    };
    assert_eq!(kept(wire), kept(list));
}

/// A list of properties, with what a head has fields for taken out.
struct Split<'a> {
    alias: Option<TopicAlias>,
    expiry: Option<u32>,
    ids: Vec<SubscriptionId>,
    rest: Vec<Property<'a>>,
}

impl<'a> Split<'a> {
    fn of(list: &[Property<'a>]) -> Self {
        let mut split = Self {
            alias: None,
            expiry: None,
            ids: Vec::new(),
            rest: Vec::new(),
        };
        for &property in list {
            match property {
                Property::TopicAlias(alias) if split.alias.is_none() => split.alias = Some(alias),
                Property::MessageExpiryInterval(seconds) if split.expiry.is_none() => {
                    split.expiry = Some(seconds);
                }
                Property::SubscriptionIdentifier(id) => split.ids.push(id),
                other => split.rest.push(other),
            }
        }
        split
    }

    fn in_order(&self) -> impl Iterator<Item = Property<'a>> {
        let alias = self.alias.into_iter().map(Property::TopicAlias);
        let expiry = self.expiry.into_iter().map(Property::MessageExpiryInterval);
        let ids = self
            .ids
            .iter()
            .copied()
            .map(Property::SubscriptionIdentifier);
        alias
            .chain(expiry)
            .chain(ids)
            .chain(self.rest.iter().copied())
    }

    fn head<'h>(&'h self, publish: &Publish<'h>) -> PublishHead<'h> {
        PublishHead {
            dup: publish.dup,
            retain: publish.retain,
            delivery: publish.delivery,
            topic: publish.topic,
            topic_alias: self.alias,
            message_expiry: self.expiry,
            subscription_ids: &self.ids,
            properties: Properties::List(&self.rest),
            payload_len: publish.payload.len() as u32,
        }
    }
}
