//! Packets to send and packets received, as the raw test client handles them.

use mqtt_codec::{
    Auth, ConnAck, Connect, Decoded, Decoder, Delivery, Disconnect, EncodeError, FromServer,
    PacketId, Properties, Property, PubAck, PubComp, PubRec, PubRel, Publish, QoS, SubAck,
    Subscribe, SubscriptionOptions, UnsubAck, Unsubscribe, Version,
};

/// All three versions, for tests of what they share.
pub(crate) const VERSIONS: [Version; 3] = [Version::V31, Version::V311, Version::V5];

/// What a client may send.
pub(crate) trait Encode {
    /// The packet's bytes in `version`.
    fn bytes(&self, version: Version) -> Vec<u8>;
}

fn exact(length: usize, encode: impl FnOnce(&mut [u8]) -> Result<usize, EncodeError>) -> Vec<u8> {
    let mut bytes = vec![0; length];
    let written = encode(&mut bytes).expect("the test sends a packet that its version has");
    assert_eq!(written, length);
    bytes
}

macro_rules! encode {
    ($($packet:ident)*) => { $(
        impl Encode for $packet<'_> {
            fn bytes(&self, version: Version) -> Vec<u8> {
                exact(self.encoded_len(version), |buffer| self.encode(version, buffer))
            }
        }
    )* };
}
encode!(Publish PubAck PubRec PubRel PubComp Subscribe Unsubscribe Disconnect Auth);

impl Encode for Connect<'_> {
    fn bytes(&self, _: Version) -> Vec<u8> {
        exact(self.encoded_len(), |buffer| self.encode(buffer))
    }
}

/// A QoS 0 PUBLISH without properties.
pub(crate) fn publish<'a>(topic: &'a str, payload: &'a (impl AsRef<[u8]> + ?Sized)) -> Publish<'a> {
    Publish {
        dup: false,
        retain: false,
        delivery: Delivery::AtMostOnce,
        topic,
        properties: Properties::EMPTY,
        payload: payload.as_ref(),
    }
}

/// The packet identifier `id`.
pub(crate) fn packet_id(id: u16) -> PacketId {
    PacketId::new(id).expect("a test's packet identifier is not 0")
}

/// Subscription options with QoS `qos` and the defaults.
pub(crate) fn at(qos: QoS) -> SubscriptionOptions {
    SubscriptionOptions::new(qos)
}

/// A CONNECT whose session outlives the connection: for ten minutes in 5.0.
pub(crate) fn keeping(version: Version, client_id: &str) -> Connect<'_> {
    const TEN_MINUTES: &[Property<'_>] = &[Property::SessionExpiryInterval(600)];
    let properties = if version.is_v5() {
        Properties::List(TEN_MINUTES)
    } else {
        Properties::EMPTY
    };
    Connect {
        clean_start: false,
        properties,
        ..Connect::new(version, client_id)
    }
}

/// One packet from the broker, with its bytes.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(super) version: Version,
    /// As they came over the wire.
    pub(crate) bytes: Vec<u8>,
}

impl core::fmt::Debug for Frame {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(
            f,
            "{:?} = {:02x?}",
            self.packet(),
            &self.bytes[..self.bytes.len().min(64)]
        )
    }
}

macro_rules! frame_as {
    ($($name:ident $variant:ident)*) => { $(
        /// The packet, which must be of this kind.
        #[track_caller]
        pub(crate) fn $name(&self) -> $variant<'_> {
            match self.packet() {
                FromServer::$variant(packet) => packet,
                _ => panic!(concat!("expected ", stringify!($variant), ", got {:?}"), self),
            }
        }
    )* };
}

impl Frame {
    /// Takes the first packet from the front of these bytes, if it is whole.
    pub(crate) fn take(version: Version, bytes: &mut Vec<u8>) -> Option<Self> {
        match Decoder::new(version).from_server(bytes) {
            Ok(Decoded::Complete { len, .. }) => {
                let rest = bytes.split_off(len);
                let bytes = core::mem::replace(bytes, rest);
                Some(Self { version, bytes })
            }
            Ok(Decoded::NeedMore(_)) => None,
            Err(error) => panic!(
                "the broker sent {:02x?}: {error}",
                &bytes[..bytes.len().min(64)]
            ),
        }
    }

    /// The packet.
    pub(crate) fn packet(&self) -> FromServer<'_> {
        match Decoder::new(self.version).from_server(&self.bytes) {
            Ok(Decoded::Complete { packet, len }) if len == self.bytes.len() => packet,
            other => panic!("the broker sent {:02x?}: {other:?}", self.bytes),
        }
    }

    frame_as! {
        conn_ack ConnAck publish Publish pub_ack PubAck pub_rec PubRec pub_rel PubRel pub_comp PubComp
        sub_ack SubAck unsub_ack UnsubAck disconnect Disconnect auth Auth
    }

    /// The PUBLISH as `topic|qos|retain|payload`.
    #[track_caller]
    pub(crate) fn text(&self) -> String {
        let publish = self.publish();
        let payload = String::from_utf8_lossy(publish.payload);
        format!(
            "{}|{}|{}|{payload}",
            publish.topic,
            publish.delivery.qos() as u8,
            u8::from(publish.retain)
        )
    }

    /// The packet identifier of a PUBLISH of QoS 1 or 2.
    #[track_caller]
    pub(crate) fn publish_id(&self) -> PacketId {
        self.publish()
            .delivery
            .packet_id()
            .expect("a PUBLISH of QoS 1 or 2")
    }
}
