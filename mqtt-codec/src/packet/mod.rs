//! The control packets: one struct each for all versions, and the enums that hold them.

pub(crate) mod ack;
mod auth;
mod connack;
mod connect;
mod disconnect;
mod publish;
mod publish_head;
mod suback;
mod subscribe;
mod unsubscribe;
mod will;

pub use ack::{PubAck, PubComp, PubRec, PubRel};
pub use auth::Auth;
pub use connack::ConnAck;
pub use connect::{Connect, ConnectView};
pub use disconnect::Disconnect;
pub(crate) use publish::DUP;
pub use publish::{PartialPublish, Publish};
pub use publish_head::PublishHead;
pub use suback::{ReasonCodes, SubAck, UnsubAck};
pub use subscribe::{
    Filters, RetainHandling, Subscribe, SubscribeFilter, SubscriptionOptions, WireFilters,
};
pub use unsubscribe::{Unsubscribe, UnsubscribeFilters, WireUnsubscribeFilters};
pub use will::Will;

use crate::{AnyVersion, EncodeError, PINGREQ, PINGRESP, PacketType};

macro_rules! packets {
    ($(#[$doc:meta])* $name:ident { $($variant:ident $(($content:ident))?,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[expect(missing_docs, reason = "the variants are the packets they are named after")]
        pub enum $name<'a> {
            $($variant $(($content<'a>))?,)*
        }

        const _: () = assert!(size_of::<$name<'_>>() <= 64);

        impl $name<'_> {
            /// The type of the packet.
            pub const fn packet_type(&self) -> PacketType {
                match self {
                    $(Self::$variant { .. } => PacketType::$variant,)*
                }
            }
        }
    };
}

packets! {
    /// A packet that a client sends and a server receives.
    FromClient {
        Connect(ConnectView),
        Publish(Publish),
        PubAck(PubAck),
        PubRec(PubRec),
        PubRel(PubRel),
        PubComp(PubComp),
        Subscribe(Subscribe),
        Unsubscribe(Unsubscribe),
        PingReq,
        Disconnect(Disconnect),
        Auth(Auth),
    }
}

packets! {
    /// A packet that a server sends and a client receives.
    FromServer {
        ConnAck(ConnAck),
        Publish(Publish),
        PubAck(PubAck),
        PubRec(PubRec),
        PubRel(PubRel),
        PubComp(PubComp),
        SubAck(SubAck),
        UnsubAck(UnsubAck),
        PingResp,
        Disconnect(Disconnect),
        Auth(Auth),
    }
}

packets! {
    /// Any packet, whoever sent it: for tools and tests.
    Packet {
        Connect(ConnectView),
        ConnAck(ConnAck),
        Publish(Publish),
        PubAck(PubAck),
        PubRec(PubRec),
        PubRel(PubRel),
        PubComp(PubComp),
        Subscribe(Subscribe),
        SubAck(SubAck),
        Unsubscribe(Unsubscribe),
        UnsubAck(UnsubAck),
        PingReq,
        PingResp,
        Disconnect(Disconnect),
        Auth(Auth),
    }
}

impl Packet<'_> {
    /// Bytes that [`encode`](Self::encode) writes; a CONNECT has a version of its own.
    pub fn encoded_len(&self, version: impl AnyVersion) -> usize {
        match self {
            Self::Connect(connect) => connect.to_connect().encoded_len(),
            Self::ConnAck(packet) => packet.encoded_len(version),
            Self::Publish(packet) => packet.encoded_len(version),
            Self::PubAck(packet) => packet.encoded_len(version),
            Self::PubRec(packet) => packet.encoded_len(version),
            Self::PubRel(packet) => packet.encoded_len(version),
            Self::PubComp(packet) => packet.encoded_len(version),
            Self::Subscribe(packet) => packet.encoded_len(version),
            Self::SubAck(packet) => packet.encoded_len(version),
            Self::Unsubscribe(packet) => packet.encoded_len(version),
            Self::UnsubAck(packet) => packet.encoded_len(version),
            Self::PingReq => PINGREQ.len(),
            Self::PingResp => PINGRESP.len(),
            Self::Disconnect(packet) => packet.encoded_len(version),
            Self::Auth(packet) => packet.encoded_len(version),
        }
    }

    /// Writes the packet to the front of `buffer` and gives its length; a CONNECT has a version of
    /// its own.
    ///
    /// # Errors
    /// A buffer that is too small, and contents that this version cannot carry, see [`EncodeError`].
    pub fn encode(
        &self,
        version: impl AnyVersion,
        buffer: &mut [u8],
    ) -> Result<usize, EncodeError> {
        match self {
            Self::Connect(connect) => connect.to_connect().encode(buffer),
            Self::ConnAck(packet) => packet.encode(version, buffer),
            Self::Publish(packet) => packet.encode(version, buffer),
            Self::PubAck(packet) => packet.encode(version, buffer),
            Self::PubRec(packet) => packet.encode(version, buffer),
            Self::PubRel(packet) => packet.encode(version, buffer),
            Self::PubComp(packet) => packet.encode(version, buffer),
            Self::Subscribe(packet) => packet.encode(version, buffer),
            Self::SubAck(packet) => packet.encode(version, buffer),
            Self::Unsubscribe(packet) => packet.encode(version, buffer),
            Self::UnsubAck(packet) => packet.encode(version, buffer),
            Self::PingReq => ping(&PINGREQ, buffer),
            Self::PingResp => ping(&PINGRESP, buffer),
            Self::Disconnect(packet) => packet.encode(version, buffer),
            Self::Auth(packet) => packet.encode(version, buffer),
        }
    }
}

fn ping(packet: &[u8], buffer: &mut [u8]) -> Result<usize, EncodeError> {
    let needed = packet.len();
    buffer
        .get_mut(..needed)
        .ok_or(EncodeError::TooSmall { needed })?
        .copy_from_slice(packet);
    Ok(needed)
}

impl<'a> From<FromClient<'a>> for Packet<'a> {
    fn from(packet: FromClient<'a>) -> Self {
        match packet {
            FromClient::Connect(packet) => Self::Connect(packet),
            FromClient::Publish(packet) => Self::Publish(packet),
            FromClient::PubAck(packet) => Self::PubAck(packet),
            FromClient::PubRec(packet) => Self::PubRec(packet),
            FromClient::PubRel(packet) => Self::PubRel(packet),
            FromClient::PubComp(packet) => Self::PubComp(packet),
            FromClient::Subscribe(packet) => Self::Subscribe(packet),
            FromClient::Unsubscribe(packet) => Self::Unsubscribe(packet),
            FromClient::PingReq => Self::PingReq,
            FromClient::Disconnect(packet) => Self::Disconnect(packet),
            FromClient::Auth(packet) => Self::Auth(packet),
        }
    }
}

impl<'a> From<FromServer<'a>> for Packet<'a> {
    fn from(packet: FromServer<'a>) -> Self {
        match packet {
            FromServer::ConnAck(packet) => Self::ConnAck(packet),
            FromServer::Publish(packet) => Self::Publish(packet),
            FromServer::PubAck(packet) => Self::PubAck(packet),
            FromServer::PubRec(packet) => Self::PubRec(packet),
            FromServer::PubRel(packet) => Self::PubRel(packet),
            FromServer::PubComp(packet) => Self::PubComp(packet),
            FromServer::SubAck(packet) => Self::SubAck(packet),
            FromServer::UnsubAck(packet) => Self::UnsubAck(packet),
            FromServer::PingResp => Self::PingResp,
            FromServer::Disconnect(packet) => Self::Disconnect(packet),
            FromServer::Auth(packet) => Self::Auth(packet),
        }
    }
}
