//! Reading packets: the limits of a connection, the frame, and the packet by its type and sender.

use crate::admission::{Sender, admits, broken_first_byte, longest_body};
use crate::frame::{Context, Frame, head_len};
use crate::header::{FixedHeader, PacketType};
use crate::packet::{
    Auth, ConnAck, ConnectView, Disconnect, FromClient, FromServer, Packet, PartialPublish, PubAck,
    PubComp, PubRec, PubRel, Publish, SubAck, Subscribe, UnsubAck, Unsubscribe,
};
use crate::quick::{self, PublishFrame, Short, short};
use crate::varint;
use crate::wire::{Reader, to_u32, to_usize};
use crate::{AnyVersion, DecodeError, RuleId, Version};

/// Everything the reading side has to know of a connection: the version and the limits.
///
/// Keeps no state: the caller hands in the bytes from the start of a packet, and when they are not
/// enough, hands them in again with more behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decoder<V = Version> {
    /// The version of the connection. A CONNECT is read by the version that it carries itself.
    pub version: V,
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

#[inline(always)]
const fn complete<T>(packet: T, len: usize) -> Result<Decoded<T>, DecodeError> {
    Ok(Decoded::Complete { packet, len })
}

impl<V: AnyVersion> Decoder<V> {
    /// A decoder without limits of its own: packets of up to 268,435,460 bytes with up to 65,535 user
    /// properties.
    pub const fn new(version: V) -> Self {
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
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    #[cfg_attr(not(target_pointer_width = "64"), inline)]
    pub fn from_client<'a>(&self, bytes: &'a [u8]) -> Result<Decoded<FromClient<'a>>, DecodeError> {
        match short(bytes, self.maximum_packet_size) {
            Some((Short::PubAck(id), len)) => complete(FromClient::PubAck(PubAck::new(id)), len),
            Some((Short::PubRec(id), len)) => complete(FromClient::PubRec(PubRec::new(id)), len),
            Some((Short::PubRel(id), len)) => complete(FromClient::PubRel(PubRel::new(id)), len),
            Some((Short::PubComp(id), len)) => complete(FromClient::PubComp(PubComp::new(id)), len),
            Some((Short::PingReq, len)) => complete(FromClient::PingReq, len),
            Some((Short::PingResp, _)) | None => {
                match quick::publish(bytes, self.maximum_packet_size) {
                    Some(frame) => match Publish::ordinary(frame, self.version) {
                        Some(publish) => complete(FromClient::Publish(publish), frame.len),
                        None => self.publish(frame, Sender::Client, FromClient::Publish),
                    },
                    None => self.any_from_client(bytes),
                }
            }
        }
    }

    #[cfg_attr(target_pointer_width = "64", inline(never))]
    pub(crate) fn any_from_client<'a>(
        &self,
        bytes: &'a [u8],
    ) -> Result<Decoded<FromClient<'a>>, DecodeError> {
        self.packet(bytes, Sender::Client, |frame| match frame.packet_type() {
            Some(PacketType::Connect) => frame.read_apart(ConnectView::decode, FromClient::Connect),
            Some(PacketType::Publish) => frame.publish(FromClient::Publish),
            Some(PacketType::PubAck) => frame.read(PubAck::decode, FromClient::PubAck),
            Some(PacketType::PubRec) => frame.read(PubRec::decode, FromClient::PubRec),
            Some(PacketType::PubRel) => frame.read(PubRel::decode, FromClient::PubRel),
            Some(PacketType::PubComp) => frame.read(PubComp::decode, FromClient::PubComp),
            Some(PacketType::Subscribe) => {
                frame.read_apart(Subscribe::decode, FromClient::Subscribe)
            }
            Some(PacketType::Unsubscribe) => {
                frame.read_apart(Unsubscribe::decode, FromClient::Unsubscribe)
            }
            Some(PacketType::PingReq) => frame.complete(FromClient::PingReq),
            Some(PacketType::Disconnect) => {
                frame.read_apart(Disconnect::decode, FromClient::Disconnect)
            }
            Some(PacketType::Auth) => frame.read_apart(Auth::decode, FromClient::Auth),
            Some(
                PacketType::ConnAck
                | PacketType::SubAck
                | PacketType::UnsubAck
                | PacketType::PingResp,
            )
            | None => frame.wrong_side(),
        })
    }

    /// Reads the packet of a server at the front of `bytes`.
    ///
    /// # Errors
    /// The first rule that is broken, also by packets of which only the fixed header is there.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    #[cfg_attr(not(target_pointer_width = "64"), inline)]
    pub fn from_server<'a>(&self, bytes: &'a [u8]) -> Result<Decoded<FromServer<'a>>, DecodeError> {
        match short(bytes, self.maximum_packet_size) {
            Some((Short::PubAck(id), len)) => complete(FromServer::PubAck(PubAck::new(id)), len),
            Some((Short::PubRec(id), len)) => complete(FromServer::PubRec(PubRec::new(id)), len),
            Some((Short::PubRel(id), len)) => complete(FromServer::PubRel(PubRel::new(id)), len),
            Some((Short::PubComp(id), len)) => complete(FromServer::PubComp(PubComp::new(id)), len),
            Some((Short::PingResp, len)) => complete(FromServer::PingResp, len),
            Some((Short::PingReq, _)) | None => {
                match quick::publish(bytes, self.maximum_packet_size) {
                    Some(frame) => match Publish::ordinary(frame, self.version) {
                        Some(publish) => complete(FromServer::Publish(publish), frame.len),
                        None => self.publish(frame, Sender::Server, FromServer::Publish),
                    },
                    None => self.any_from_server(bytes),
                }
            }
        }
    }

    #[cfg_attr(target_pointer_width = "64", inline(never))]
    pub(crate) fn any_from_server<'a>(
        &self,
        bytes: &'a [u8],
    ) -> Result<Decoded<FromServer<'a>>, DecodeError> {
        self.packet(bytes, Sender::Server, |frame| match frame.packet_type() {
            Some(PacketType::ConnAck) => frame.read_apart(ConnAck::decode, FromServer::ConnAck),
            Some(PacketType::Publish) => frame.publish(FromServer::Publish),
            Some(PacketType::PubAck) => frame.read(PubAck::decode, FromServer::PubAck),
            Some(PacketType::PubRec) => frame.read(PubRec::decode, FromServer::PubRec),
            Some(PacketType::PubRel) => frame.read(PubRel::decode, FromServer::PubRel),
            Some(PacketType::PubComp) => frame.read(PubComp::decode, FromServer::PubComp),
            Some(PacketType::SubAck) => frame.read_apart(SubAck::decode, FromServer::SubAck),
            Some(PacketType::UnsubAck) => frame.read_apart(UnsubAck::decode, FromServer::UnsubAck),
            Some(PacketType::PingResp) => frame.complete(FromServer::PingResp),
            Some(PacketType::Disconnect) => {
                frame.read_apart(Disconnect::decode, FromServer::Disconnect)
            }
            Some(PacketType::Auth) => frame.read_apart(Auth::decode, FromServer::Auth),
            Some(
                PacketType::Connect
                | PacketType::Subscribe
                | PacketType::Unsubscribe
                | PacketType::PingReq,
            )
            | None => frame.wrong_side(),
        })
    }

    /// Reads the packet at the front of `bytes`, whoever sent it: for tools and tests.
    ///
    /// # Errors
    /// The first rule that is broken; rules that hold for one side only are not applied.
    pub fn any<'a>(&self, bytes: &'a [u8]) -> Result<Decoded<Packet<'a>>, DecodeError> {
        self.packet(bytes, Sender::Either, |frame| match frame.packet_type() {
            Some(PacketType::Connect) => frame.read_apart(ConnectView::decode, Packet::Connect),
            Some(PacketType::ConnAck) => frame.read_apart(ConnAck::decode, Packet::ConnAck),
            Some(PacketType::Publish) => frame.publish(Packet::Publish),
            Some(PacketType::PubAck) => frame.read(PubAck::decode, Packet::PubAck),
            Some(PacketType::PubRec) => frame.read(PubRec::decode, Packet::PubRec),
            Some(PacketType::PubRel) => frame.read(PubRel::decode, Packet::PubRel),
            Some(PacketType::PubComp) => frame.read(PubComp::decode, Packet::PubComp),
            Some(PacketType::Subscribe) => frame.read_apart(Subscribe::decode, Packet::Subscribe),
            Some(PacketType::SubAck) => frame.read_apart(SubAck::decode, Packet::SubAck),
            Some(PacketType::Unsubscribe) => {
                frame.read_apart(Unsubscribe::decode, Packet::Unsubscribe)
            }
            Some(PacketType::UnsubAck) => frame.read_apart(UnsubAck::decode, Packet::UnsubAck),
            Some(PacketType::PingReq) => frame.complete(Packet::PingReq),
            Some(PacketType::PingResp) => frame.complete(Packet::PingResp),
            Some(PacketType::Disconnect) => {
                frame.read_apart(Disconnect::decode, Packet::Disconnect)
            }
            Some(PacketType::Auth) => frame.read_apart(Auth::decode, Packet::Auth),
            None => frame.wrong_side(),
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
        let publish = Publish::decode(&mut reader, header.flags, || self.context(sender))
            .map_err(|broken| reader.error(broken))?;
        let missing = header.total().saturating_sub(to_u32(frame.len()));
        Ok(Decoded::Complete {
            packet: PartialPublish { publish, missing },
            len: frame.len(),
        })
    }

    /// A PUBLISH that is not ordinary.
    #[inline(never)]
    fn publish<'a, T>(
        &self,
        frame: PublishFrame<'a>,
        sender: Sender,
        wrap: impl FnOnce(Publish<'a>) -> T,
    ) -> Result<Decoded<T>, DecodeError> {
        let PublishFrame { flags, body, len } = frame;
        let frame = Frame {
            first: (PacketType::Publish as u8) << 4 | flags,
            body: Reader::new(body, len),
            len,
            cx: self.context(sender),
        };
        frame.publish(wrap)
    }

    /// Reads the frame at the front of `bytes` and hands it to `decode` when it is there in full.
    #[inline(always)]
    fn packet<'a, T>(
        &self,
        bytes: &'a [u8],
        sender: Sender,
        decode: impl FnOnce(Frame<'a, V>) -> Result<Decoded<T>, DecodeError>,
    ) -> Result<Decoded<T>, DecodeError> {
        // Most lengths take one byte, nearly all others two or three.
        let (first, header_len, remaining) = match *bytes {
            [first, len, ..] if len < 0x80 => (first, 2, u32::from(len)),
            [first, low, high, ..] if high < 0x80 && high > 0 => {
                (first, 3, u32::from(low & 0x7f) | u32::from(high) << 7)
            }
            [first, low, middle @ 0x80..=0xff, high, ..] if high < 0x80 && high > 0 => {
                let low = u32::from(low & 0x7f) | u32::from(middle & 0x7f) << 7;
                (first, 4, low | u32::from(high) << 14)
            }
            _ => match FixedHeader::decode(bytes)? {
                Decoded::NeedMore(bytes) => return Ok(Decoded::NeedMore(bytes)),
                Decoded::Complete { packet, len } => {
                    (packet.first_byte(), len, packet.remaining_length)
                }
            },
        };
        let total = remaining + header_len as u32;
        if total > self.maximum_packet_size
            || !admits(first, remaining, sender, self.version.version())
        {
            return Err(self.refused(bytes, sender));
        }
        let len = to_usize(total);
        let Some(body) = bytes.get(header_len..len) else {
            return Ok(Decoded::NeedMore(len));
        };
        decode(Frame {
            first,
            body: Reader::new(body, len),
            len,
            cx: self.context(sender),
        })
    }

    #[inline]
    pub(crate) const fn context(&self, sender: Sender) -> Context<V> {
        Context {
            version: self.version,
            sender,
            maximum_user_properties: self.maximum_user_properties,
        }
    }

    /// Which rule the front of `bytes` breaks, before a byte behind the fixed header is looked at.
    #[cold]
    fn refused(&self, bytes: &[u8], sender: Sender) -> DecodeError {
        match FixedHeader::decode(bytes) {
            Ok(Decoded::Complete { packet, .. }) => self.check_header(packet, sender).err(),
            Ok(Decoded::NeedMore(_)) => None,
            Err(error) => Some(error),
        }
        .unwrap_or(DecodeError {
            rule: RuleId::PacketTypeReserved,
            at: 0,
        })
    }

    /// Refuses what can be refused before a byte behind the fixed header has arrived.
    pub(crate) fn check_header(
        &self,
        header: FixedHeader,
        sender: Sender,
    ) -> Result<(), DecodeError> {
        if header.total() > self.maximum_packet_size {
            return Err(DecodeError {
                rule: RuleId::PacketTooLarge,
                at: 1,
            });
        }
        let FixedHeader {
            packet_type, flags, ..
        } = header;
        if let Some(rule) = broken_first_byte(packet_type, flags, sender, self.version.version()) {
            return Err(DecodeError { rule, at: 0 });
        }
        match longest_body(packet_type, self.version.version()) {
            Some(longest) if longest < header.remaining_length => Err(DecodeError {
                rule: RuleId::TrailingBytes,
                at: u32::from(header.header_len) + longest,
            }),
            _ => Ok(()),
        }
    }
}
