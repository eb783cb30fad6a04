//! Encodes and decodes MQTT 3.1, 3.1.1 and 5.0 packets: no_std, no allocator, no copy.
#![no_std]
#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

mod decode;
mod encode;
mod error;
mod frame;
mod header;
mod packet;
mod place;
mod property;
mod qos;
mod reason;
mod rule;
mod value;
mod varint;
mod version;
mod wire;

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
pub use property::{PayloadFormat, Properties, Property, PropertyIter, WireProperties};
pub use qos::{Delivery, QoS};
pub use reason::ReasonCode;
pub use rule::RuleId;
pub use value::{OutOfRange, PacketId, ReceiveMaximum, SubscriptionId, TopicAlias};
pub use version::Version;
