//! Encodes and decodes MQTT 3.1, 3.1.1 and 5.0 packets: `no_std`, no allocator, no copy, no
//! dependency, and one line of unsafe code.
//!
//! Packets borrow from the bytes they were read from, and are written into bytes that the caller owns.
//! There is one type for each control packet in all versions; the version is an argument where bytes
//! are read or written: a [`Version`] where it is known when the program runs, [`OnlyV311`] or [`OnlyV5`]
//! in a program that is compiled for one and leaves the others out.
//!
//! ```text
//!   mqtt-broker     mqtt-client     mqtt-device     sockets, clocks, threads, files
//!            \           |           /
//!             +---- mqtt-session ---+               handshakes, QoS 0/1/2, windows, keep-alive
//!                  /            \
//!   >>>  mqtt-codec  <<<     mqtt-topic             packets as bytes; topics and filters
//! ```
//!
//! # Reading
//!
//! A [`Decoder`] knows the version and the limits of a connection and keeps no state. Too few bytes are
//! no error but a number: how many are needed. A broken rule is a [`DecodeError`]: which rule, at which
//! byte, and what to tell the peer.
//!
//! ```
//! use mqtt_codec::{Decoded, Decoder, FromClient, ReasonCode, Version};
//!
//! let decoder = Decoder { maximum_packet_size: 1_000_000, ..Decoder::new(Version::V311) };
//! let received = b"\x32\x10\x00\x06room/1\x00\x0721.5 C\xc0\x00";
//!
//! assert_eq!(decoder.from_client(&received[..2]), Ok(Decoded::NeedMore(18)));
//!
//! let Ok(Decoded::Complete { packet, len }) = decoder.from_client(received) else { panic!() };
//! let FromClient::Publish(publish) = packet else { panic!() };
//! assert_eq!((publish.topic, publish.payload), ("room/1", &b"21.5 C"[..]));
//! assert_eq!(publish.delivery.packet_id().map(|id| id.get()), Some(7));
//!
//! let next = decoder.from_client(&received[len..]);
//! assert_eq!(next, Ok(Decoded::Complete { packet: FromClient::PingReq, len: 2 }));
//!
//! let error = decoder.from_client(b"\x30\x03\x00\x01\xff").unwrap_err();
//! assert_eq!(error.to_string(), "byte 4: string is not valid UTF-8 [MQTT-1.5.4-1]");
//! assert_eq!(error.rule.reason_code(), ReasonCode::MALFORMED_PACKET);
//! assert_eq!(error.rule.statement(Version::V311), "MQTT-1.5.3-1");
//! ```
//!
//! # Writing
//!
//! Every packet has `encoded_len`, which is exact, and `encode`, which writes into a buffer and gives
//! the length. Nothing that a peer would have to refuse is written; an [`EncodeError`] says why.
//!
//! ```
//! use mqtt_codec::{Connect, EncodeError, Property, Publish, Delivery, Version, Will, QoS};
//!
//! let properties = [Property::SessionExpiryInterval(3600), Property::UserProperty("site", "north")];
//! let connect = Connect {
//!     clean_start: false,
//!     will: Some(Will {
//!         topic: "room/1/alive",
//!         payload: b"0",
//!         qos: QoS::AtLeastOnce,
//!         retain: true,
//!         properties: Default::default(),
//!     }),
//!     properties: (&properties).into(),
//!     ..Connect::new(Version::V5, "thermometer-1")
//! };
//! let mut buffer = [0; 128];
//! let len = connect.encode(&mut buffer)?;
//! assert_eq!(len, connect.encoded_len());
//!
//! let publish = Publish {
//!     dup: false,
//!     retain: false,
//!     delivery: Delivery::AtMostOnce,
//!     topic: "room/1",
//!     properties: Default::default(),
//!     payload: b"21.5 C",
//! };
//! assert_eq!(publish.encode(Version::V311, &mut buffer)?, 16);
//! assert_eq!(publish.encode(Version::V5, &mut buffer[..9]), Err(EncodeError::TooSmall { needed: 17 }));
//! # Ok::<(), EncodeError>(())
//! ```
//!
//! # Messages larger than the buffer
//!
//! The head of a PUBLISH can be read before its payload is there, and written without it: see
//! [`PublishHead`].
//!
//! ```
//! use mqtt_codec::{Decoded, Decoder, Version};
//!
//! let decoder = Decoder::new(Version::V5);
//! // A picture of 100,000 bytes, of which the first segment has arrived.
//! let received = b"\x30\xaa\x8d\x06\x00\x07picture\x00\xff\xd8\xff\xe0";
//!
//! let Ok(Decoded::Complete { packet, len }) = decoder.publish_head(received) else { panic!() };
//! assert_eq!((packet.publish.topic, packet.publish.payload), ("picture", &b"\xff\xd8\xff\xe0"[..]));
//! assert_eq!((packet.missing, len), (99_996, received.len()));
//! // The next 99,996 bytes of the connection are payload; they need not be kept together.
//! ```
//!
//! # What is checked where
//!
//! This crate refuses what concerns bytes: lengths, flags, UTF-8, U+0000, identifiers that are zero,
//! properties and reason codes in the wrong place. [`RuleId`] lists all of it. It does not look at what
//! a topic or filter may look like, and knows nothing of the packets before: those rules are kept by
//! `mqtt-topic` and `mqtt-session`.
//!
//! # Features
//!
//! | feature | default | what it adds |
//! |---|---|---|
//! | `bytes` | no | `encode_to`, which appends a packet to a `bytes::BufMut` |
//! | `serde` | no | `Serialize` and `Deserialize` for the small value types: versions, QoS, identifiers, reason codes, subscription options |
#![no_std]
#![deny(clippy::indexing_slicing)]

mod admission;
mod body;
mod decode;
mod encode;
mod error;
mod frame;
mod header;
mod packet;
mod pieces;
mod place;
mod plain;
mod property;
mod qos;
mod quick;
mod reason;
mod rule;
mod sink;
mod text;
mod trace;
mod value;
mod varint;
mod version;
mod wire;

pub use body::Body;
pub use decode::{Decoded, Decoder};
pub use encode::{PINGREQ, PINGRESP};
pub use error::{DecodeError, EncodeError};
pub use header::{FixedHeader, PacketType};
pub use packet::{
    Auth, ConnAck, Connect, ConnectView, Disconnect, Filters, FromClient, FromServer, Packet,
    PartialPublish, PubAck, PubComp, PubRec, PubRel, Publish, PublishHead, ReasonCodes,
    RetainHandling, SubAck, Subscribe, SubscribeFilter, SubscriptionOptions, UnsubAck, Unsubscribe,
    UnsubscribeFilters, Will, WireFilters, WireUnsubscribeFilters,
};
pub use pieces::{FilterPieces, PublishPieces};
#[doc(hidden)]
pub use property::constant;
pub use property::{PayloadFormat, Properties, Property, PropertyIter, WireProperties};
pub use qos::{Delivery, QoS};
pub use reason::ReasonCode;
pub use rule::RuleId;
pub use value::{OutOfRange, PacketId, ReceiveMaximum, SubscriptionId, TopicAlias};
pub use version::{AnyVersion, OnlyV5, OnlyV311, Version};
pub use wire::string;

/// The examples of the README are tested with those of the crate.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
