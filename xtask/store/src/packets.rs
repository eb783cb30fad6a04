//! The packets of the load, as bytes: 3.1.1, QoS 1, sessions that outlive their connection.

use mqtt_codec::{
    Connect, Delivery, EncodeError, Filters, PacketId, Properties, Publish, QoS, Subscribe,
    SubscribeFilter, SubscriptionOptions, Version,
};

pub(crate) const VERSION: Version = Version::V311;
pub(crate) const DISCONNECT: [u8; 2] = [0xe0, 0];

fn exact(len: usize, encode: impl FnOnce(&mut [u8]) -> Result<usize, EncodeError>) -> Vec<u8> {
    let mut bytes = vec![0; len];
    encode(&mut bytes).expect("3.1.1 has everything that is sent here");
    bytes
}

/// CONNECT without a keep-alive.
pub(crate) fn connect(client_id: &str, clean: bool) -> Vec<u8> {
    let mut connect = Connect::new(VERSION, client_id);
    connect.keep_alive = 0;
    connect.clean_start = clean;
    exact(connect.encoded_len(), |buffer| connect.encode(buffer))
}

/// SUBSCRIBE to one filter with QoS 1.
pub(crate) fn subscribe(filter: &str) -> Vec<u8> {
    let options = SubscriptionOptions::new(QoS::AtLeastOnce);
    let filters = [SubscribeFilter { filter, options }];
    let subscribe = Subscribe {
        packet_id: PacketId::new(1).expect("1 is an id"),
        properties: Properties::EMPTY,
        filters: Filters::List(&filters),
    };
    exact(subscribe.encoded_len(VERSION), |buffer| {
        subscribe.encode(VERSION, buffer)
    })
}

/// PUBACK.
pub(crate) const fn pub_ack(id: PacketId) -> [u8; 4] {
    let [high, low] = id.get().to_be_bytes();
    [0x40, 2, high, low]
}

/// A PUBLISH that is written again and again under other ids, with another number at the start of its payload.
#[derive(Clone, Debug)]
pub(crate) struct Stamp {
    bytes: Vec<u8>,
    id: usize,
}

/// Bytes of the number.
const NUMBER: usize = 8;

impl Stamp {
    /// To this topic, with so many bytes of payload.
    pub(crate) fn new(topic: &str, payload: usize) -> Self {
        let payload = vec![b'x'; payload];
        let publish = Publish {
            dup: false,
            retain: false,
            delivery: Delivery::AtLeastOnce(PacketId::new(1).expect("1 is an id")),
            topic,
            properties: Properties::EMPTY,
            payload: &payload,
        };
        let bytes = exact(publish.encoded_len(VERSION), |buffer| {
            publish.encode(VERSION, buffer)
        });
        // The id stands between topic and payload.
        let id = bytes.len() - payload.len() - 2;
        Self { bytes, id }
    }

    /// The packet under this id, with this number.
    pub(crate) fn mark(&mut self, id: u16, number: u64) -> &[u8] {
        self.bytes[self.id..self.id + 2].copy_from_slice(&id.to_be_bytes());
        let payload = &mut self.bytes[self.id + 2..];
        if let Some(start) = payload.first_chunk_mut::<NUMBER>() {
            *start = number.to_be_bytes();
        }
        &self.bytes
    }
}

/// The number in a payload.
pub(crate) fn number(payload: &[u8]) -> Option<u64> {
    payload
        .first_chunk()
        .map(|bytes| u64::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use mqtt_codec::{Decoded, Decoder, FromClient};

    use super::*;

    #[test]
    fn a_marked_packet_reads_as_what_it_was_marked_with() {
        let mut stamp = Stamp::new("a/b", 200);
        let bytes = stamp.mark(513, 77).to_vec();
        let Ok(Decoded::Complete { packet, len }) = Decoder::new(VERSION).from_client(&bytes)
        else {
            panic!("no packet: {bytes:?}");
        };
        let FromClient::Publish(publish) = packet else {
            panic!("no PUBLISH");
        };
        assert_eq!(len, bytes.len());
        assert_eq!((publish.topic, publish.payload.len()), ("a/b", 200));
        assert_eq!(publish.delivery.packet_id().map(PacketId::get), Some(513));
        assert_eq!(number(publish.payload), Some(77));
    }
}
