//! A server's packet in two steps, header and body: how firmware reads, where results must not be moved about.
//!
//! The rules are those of [`Decoder::from_server`]; only what a caller asks for is linked.

use crate::admission::{Sender, broken_narrowly};
use crate::frame::Context;
use crate::packet::{ConnAck, Publish, SubAck, UnsubAck, ack};
use crate::text::SMALL;
use crate::wire::{Broken, Reader};
use crate::{AnyVersion, DecodeError, Decoded, Decoder, FixedHeader, PacketId, ReasonCode, RuleId};

/// The body of a server's packet, the header of which was read before.
///
/// ```
/// use mqtt_codec::{Decoded, Decoder, OnlyV311, PacketType};
///
/// let decoder = Decoder::new(OnlyV311);
/// let bytes = b"\x30\x05\x00\x01t21";
/// let Ok(Decoded::Complete { packet: header, len }) = decoder.header_from_server(bytes) else { panic!() };
/// assert_eq!((header.packet_type, header.frame_len()), (PacketType::Publish, bytes.len()));
/// let (publish, _) = decoder.body_from_server(header, &bytes[len..]).publish()?;
/// assert_eq!((publish.topic, publish.payload), ("t", &b"21"[..]));
/// # Ok::<(), mqtt_codec::DecodeError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Body<'a, V> {
    header: FixedHeader,
    reader: Reader<'a>,
    cx: Context<V>,
}

impl<V: AnyVersion> Decoder<V> {
    /// The fixed header of a server's packet, checked as far as it goes: type, flags, and what is too long for its type or for this end.
    ///
    /// # Errors
    /// As [`from_server`](Self::from_server).
    pub fn header_from_server(&self, bytes: &[u8]) -> Result<Decoded<FixedHeader>, DecodeError> {
        let decoded = FixedHeader::decode(bytes)?;
        if let Decoded::Complete { packet, .. } = decoded {
            if !SMALL {
                self.check_header(packet, Sender::Server)?;
            } else if let Some(rule) = broken_narrowly(
                packet.first_byte(),
                packet.remaining_length,
                self.version.version(),
            ) {
                return Err(DecodeError { rule, at: 0 });
            }
        }
        Ok(decoded)
    }

    /// The body behind such a header: all of it, or of a PUBLISH at least its topic, packet id and properties.
    pub fn body_from_server<'a>(&self, header: FixedHeader, body: &'a [u8]) -> Body<'a, V> {
        let end = usize::from(header.header_len).saturating_add(body.len());
        Body {
            header,
            reader: Reader::new(body, end),
            cx: self.context(Sender::Server),
        }
    }
}

impl<'a, V: AnyVersion> Body<'a, V> {
    #[inline(always)]
    fn read<T>(
        mut self,
        decode: impl FnOnce(&mut Reader<'a>, Context<V>) -> Result<T, Broken>,
    ) -> Result<T, DecodeError> {
        match decode(&mut self.reader, self.cx) {
            Ok(packet) if self.reader.is_empty() => Ok(packet),
            Ok(_) => Err(DecodeError {
                rule: RuleId::TrailingBytes,
                at: self.reader.at(),
            }),
            Err(broken) => Err(self.reader.error(broken)),
        }
    }

    /// The body of a CONNACK.
    ///
    /// # Errors
    /// As [`Decoder::from_server`], here and below.
    #[inline]
    pub fn connack(self) -> Result<ConnAck<'a>, DecodeError> {
        self.read(ConnAck::decode)
    }

    /// The body of a PUBLISH, of whose payload as much as there is, and whether it names a topic alias.
    #[inline]
    pub fn publish(mut self) -> Result<(Publish<'a>, bool), DecodeError> {
        let cx = Context {
            sender: Sender::Server,
            ..self.cx
        };
        Publish::decode_aliased(&mut self.reader, self.header.flags, || cx)
            .map_err(|broken| self.reader.error(broken))
    }

    /// What a PUBACK, PUBREC, PUBREL or PUBCOMP answers, and how.
    #[inline]
    pub fn acknowledgement(self) -> Result<(PacketId, ReasonCode), DecodeError> {
        if !self.cx.version.is_v5() {
            return self.read(|reader, _| Ok((reader.packet_id()?, ReasonCode::SUCCESS)));
        }
        let packet_type = self.header.packet_type;
        self.read(|reader, cx| ack::decode_any(reader, cx, packet_type))
    }

    /// The body of a SUBACK.
    #[inline]
    pub fn suback(self) -> Result<SubAck<'a>, DecodeError> {
        self.read(SubAck::decode)
    }

    /// The body of an UNSUBACK.
    #[inline]
    pub fn unsuback(self) -> Result<UnsubAck<'a>, DecodeError> {
        self.read(UnsubAck::decode)
    }

    /// The reason of a DISCONNECT (5.0).
    #[inline]
    pub fn disconnect(self) -> Result<ReasonCode, DecodeError> {
        self.read(|reader, cx| {
            if reader.is_empty() {
                return Ok(ReasonCode::NORMAL_DISCONNECTION);
            }
            let (place, spot) = Sender::Server.disconnect();
            ack::decode_reason(reader, cx, place, spot, RuleId::DisconnectReason)
        })
    }
}
