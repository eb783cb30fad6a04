//! Reading packets: the limits of a connection, the frame, and the packet by its type and sender.

use crate::frame::{Context, Frame, Sender, broken_first_byte, head_len, longest_body};
use crate::header::{FixedHeader, PacketType};
use crate::packet::{
    Auth, ConnAck, ConnectView, Disconnect, FromClient, FromServer, Packet, PartialPublish, PubAck,
    PubComp, PubRec, PubRel, Publish, SubAck, Subscribe, UnsubAck, Unsubscribe,
};
use crate::varint;
use crate::wire::{Broken, Reader, to_u32, to_usize};
use crate::{DecodeError, RuleId, Version};

/// Everything the reading side has to know of a connection: the version and the limits.
///
/// Keeps no state: the caller hands in the bytes from the start of a packet, and when they are not
/// enough, hands them in again with more behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decoder {
    /// The version of the connection. A CONNECT is read by the version that it carries itself.
    pub version: Version,
    /// Bytes of the largest packet that is accepted, its fixed header included. A larger one is refused
    /// from its first 2 to 5 bytes.
    pub maximum_packet_size: u32,
    /// User properties that are accepted in a packet, or in a will.
    pub maximum_user_properties: u16,
}

/// What came of an attempt to read a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decoded<T> {
    /// At least so many bytes in all, from the start of the packet, are needed; the length of the
    /// whole packet as soon as that is known.
    NeedMore(usize),
    /// The packet, and the number of bytes it took.
    Complete {
        /// The packet.
        packet: T,
        /// Bytes from the start of the packet that are dealt with.
        len: usize,
    },
}

impl<T> Decoded<T> {
    /// The same with another packet.
    #[inline]
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Decoded<U> {
        match self {
            Self::NeedMore(bytes) => Decoded::NeedMore(bytes),
            Self::Complete { packet, len } => Decoded::Complete {
                packet: f(packet),
                len,
            },
        }
    }
}

impl Decoder {
    /// A decoder without limits of its own: packets of up to 268,435,460 bytes with up to 65,535 user
    /// properties.
    pub const fn new(version: Version) -> Self {
        Self {
            version,
            maximum_packet_size: varint::MAX + 5,
            maximum_user_properties: u16::MAX,
        }
    }

    /// Reads the packet of a client at the front of `bytes`.
    ///
    /// # Errors
    /// The first rule that is broken, also by packets of which only the fixed header is there.
    pub fn from_client<'a>(&self, bytes: &'a [u8]) -> Result<Decoded<FromClient<'a>>, DecodeError> {
        self.packet(bytes, Sender::Client, |frame| {
            Ok(match frame.header.packet_type {
                PacketType::Connect => FromClient::Connect(frame.read(ConnectView::decode)?),
                PacketType::Publish => FromClient::Publish(frame.publish()?),
                PacketType::PubAck => FromClient::PubAck(frame.read(PubAck::decode)?),
                PacketType::PubRec => FromClient::PubRec(frame.read(PubRec::decode)?),
                PacketType::PubRel => FromClient::PubRel(frame.read(PubRel::decode)?),
                PacketType::PubComp => FromClient::PubComp(frame.read(PubComp::decode)?),
                PacketType::Subscribe => FromClient::Subscribe(frame.read(Subscribe::decode)?),
                PacketType::Unsubscribe => {
                    FromClient::Unsubscribe(frame.read(Unsubscribe::decode)?)
                }
                PacketType::PingReq => frame.ping(FromClient::PingReq)?,
                PacketType::Disconnect => FromClient::Disconnect(frame.read(Disconnect::decode)?),
                PacketType::Auth => FromClient::Auth(frame.read(Auth::decode)?),
                PacketType::ConnAck
                | PacketType::SubAck
                | PacketType::UnsubAck
                | PacketType::PingResp => {
                    return frame.wrong_side();
                }
            })
        })
    }

    /// Reads the packet of a server at the front of `bytes`.
    ///
    /// # Errors
    /// The first rule that is broken, also by packets of which only the fixed header is there.
    pub fn from_server<'a>(&self, bytes: &'a [u8]) -> Result<Decoded<FromServer<'a>>, DecodeError> {
        self.packet(bytes, Sender::Server, |frame| {
            Ok(match frame.header.packet_type {
                PacketType::ConnAck => FromServer::ConnAck(frame.read(ConnAck::decode)?),
                PacketType::Publish => FromServer::Publish(frame.publish()?),
                PacketType::PubAck => FromServer::PubAck(frame.read(PubAck::decode)?),
                PacketType::PubRec => FromServer::PubRec(frame.read(PubRec::decode)?),
                PacketType::PubRel => FromServer::PubRel(frame.read(PubRel::decode)?),
                PacketType::PubComp => FromServer::PubComp(frame.read(PubComp::decode)?),
                PacketType::SubAck => FromServer::SubAck(frame.read(SubAck::decode)?),
                PacketType::UnsubAck => FromServer::UnsubAck(frame.read(UnsubAck::decode)?),
                PacketType::PingResp => frame.ping(FromServer::PingResp)?,
                PacketType::Disconnect => FromServer::Disconnect(frame.read(Disconnect::decode)?),
                PacketType::Auth => FromServer::Auth(frame.read(Auth::decode)?),
                PacketType::Connect
                | PacketType::Subscribe
                | PacketType::Unsubscribe
                | PacketType::PingReq => {
                    return frame.wrong_side();
                }
            })
        })
    }

    /// Reads the packet at the front of `bytes`, whoever sent it: for tools and tests.
    ///
    /// # Errors
    /// The first rule that is broken; rules that hold for one side only are not applied.
    pub fn any<'a>(&self, bytes: &'a [u8]) -> Result<Decoded<Packet<'a>>, DecodeError> {
        self.packet(bytes, Sender::Either, |frame| {
            Ok(match frame.header.packet_type {
                PacketType::Connect => Packet::Connect(frame.read(ConnectView::decode)?),
                PacketType::ConnAck => Packet::ConnAck(frame.read(ConnAck::decode)?),
                PacketType::Publish => Packet::Publish(frame.publish()?),
                PacketType::PubAck => Packet::PubAck(frame.read(PubAck::decode)?),
                PacketType::PubRec => Packet::PubRec(frame.read(PubRec::decode)?),
                PacketType::PubRel => Packet::PubRel(frame.read(PubRel::decode)?),
                PacketType::PubComp => Packet::PubComp(frame.read(PubComp::decode)?),
                PacketType::Subscribe => Packet::Subscribe(frame.read(Subscribe::decode)?),
                PacketType::SubAck => Packet::SubAck(frame.read(SubAck::decode)?),
                PacketType::Unsubscribe => Packet::Unsubscribe(frame.read(Unsubscribe::decode)?),
                PacketType::UnsubAck => Packet::UnsubAck(frame.read(UnsubAck::decode)?),
                PacketType::PingReq => frame.ping(Packet::PingReq)?,
                PacketType::PingResp => frame.ping(Packet::PingResp)?,
                PacketType::Disconnect => Packet::Disconnect(frame.read(Disconnect::decode)?),
                PacketType::Auth => Packet::Auth(frame.read(Auth::decode)?),
            })
        })
    }

    /// Reads the PUBLISH at the front of `bytes` as soon as its topic and properties are there.
    ///
    /// The payload of the result is the part that was there, `len` counts all bytes up to its end, and
    /// `missing` bytes of payload are still to come. Subscription identifiers are accepted, as they
    /// come from servers; a server reads with
    /// [`publish_head_from_client`](Self::publish_head_from_client).
    ///
    /// # Errors
    /// The first rule that is broken; a packet that is no PUBLISH is one from the wrong side.
    pub fn publish_head<'a>(
        &self,
        bytes: &'a [u8],
    ) -> Result<Decoded<PartialPublish<'a>>, DecodeError> {
        self.head(bytes, Sender::Server)
    }

    /// The same as [`publish_head`](Self::publish_head) for a PUBLISH that comes from a client.
    ///
    /// # Errors
    /// As there, and for a subscription identifier [MQTT-3.3.4-6].
    pub fn publish_head_from_client<'a>(
        &self,
        bytes: &'a [u8],
    ) -> Result<Decoded<PartialPublish<'a>>, DecodeError> {
        self.head(bytes, Sender::Client)
    }

    fn head<'a>(
        &self,
        bytes: &'a [u8],
        sender: Sender,
    ) -> Result<Decoded<PartialPublish<'a>>, DecodeError> {
        let header = match FixedHeader::decode(bytes)? {
            Decoded::NeedMore(bytes) => return Ok(Decoded::NeedMore(bytes)),
            Decoded::Complete { packet, .. } => packet,
        };
        if header.packet_type != PacketType::Publish {
            return Err(DecodeError {
                rule: RuleId::PacketFromWrongSide,
                at: 0,
            });
        }
        self.check_header(header, sender)?;
        let frame_len = header.frame_len();
        let (frame, _) = bytes.split_at_checked(frame_len).unwrap_or((bytes, &[]));
        // A head that claims to be longer than its packet is read, and refused, when the packet is there.
        let needed = to_usize(head_len(frame, header, self.version).min(header.total()));
        if frame.len() < needed {
            return Ok(Decoded::NeedMore(needed));
        }
        let body = frame
            .get(usize::from(header.header_len)..)
            .unwrap_or_default();
        let mut reader = Reader::new(body, frame.len());
        let publish = Publish::decode(&mut reader, header.flags, self.context(sender))
            .map_err(|_| reader.error())?;
        let missing = header.total().saturating_sub(to_u32(frame.len()));
        Ok(Decoded::Complete {
            packet: PartialPublish { publish, missing },
            len: frame.len(),
        })
    }

    /// Reads the frame at the front of `bytes` and hands it to `decode` when it is there in full.
    #[inline(always)]
    fn packet<'a, T>(
        &self,
        bytes: &'a [u8],
        sender: Sender,
        decode: impl FnOnce(&mut Frame<'a>) -> Result<T, Broken>,
    ) -> Result<Decoded<T>, DecodeError> {
        let header = match FixedHeader::decode(bytes)? {
            Decoded::NeedMore(bytes) => return Ok(Decoded::NeedMore(bytes)),
            Decoded::Complete { packet, .. } => packet,
        };
        self.check_header(header, sender)?;
        let len = header.frame_len();
        let Some(body) = bytes.get(usize::from(header.header_len)..len) else {
            return Ok(Decoded::NeedMore(len));
        };
        let mut frame = Frame {
            header,
            body: Reader::new(body, len),
            cx: self.context(sender),
        };
        match decode(&mut frame) {
            Ok(packet) => Ok(Decoded::Complete { packet, len }),
            Err(_) => Err(frame.body.error()),
        }
    }

    #[inline]
    const fn context(&self, sender: Sender) -> Context {
        Context {
            version: self.version,
            sender,
            maximum_user_properties: self.maximum_user_properties,
        }
    }

    /// Refuses what can be refused before a byte behind the fixed header has arrived.
    #[inline]
    fn check_header(&self, header: FixedHeader, sender: Sender) -> Result<(), DecodeError> {
        if header.total() > self.maximum_packet_size {
            return Err(DecodeError {
                rule: RuleId::PacketTooLarge,
                at: 1,
            });
        }
        if let Some(rule) = broken_first_byte(header, sender, self.version) {
            return Err(DecodeError { rule, at: 0 });
        }
        match longest_body(header.packet_type, self.version) {
            Some(longest) if longest < header.remaining_length => Err(DecodeError {
                rule: RuleId::TrailingBytes,
                at: u32::from(header.header_len) + longest,
            }),
            _ => Ok(()),
        }
    }
}
