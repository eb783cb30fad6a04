//! A message on disk: written once, with a checksum of its own, because it is read alone.
//!
//! ```text
//!   length   varint, of what follows the checksum
//!   checksum CRC-32C of the number (8 bytes, the lowest first) and of what follows
//!   flags    QoS, RETAIN, whether it expires
//!   expires  varint, milliseconds of the store's clock; a will's: of its life
//!   lengths  varints, of topic and properties
//!   topic, properties, payload
//! ```

use mqtt_codec::QoS;
use mqtt_session::Instant;

use super::varint::{Cursor, Wrong, put};
use crate::core::{Message, Terms};

const QOS: u8 = 3;
const RETAIN: u8 = 4;
const EXPIRES: u8 = 8;

/// Appends a message that is kept under this number.
pub(super) fn put_body(bytes: &mut Vec<u8>, message: &Message, number: u64) {
    let mut head = Vec::with_capacity(24);
    let mut flags = message.qos as u8;
    if message.retain {
        flags |= RETAIN;
    }
    if message.expires.is_some() {
        flags |= EXPIRES;
    }
    head.push(flags);
    if let Some(expires) = message.expires {
        put(&mut head, expires.as_millis());
    }
    let (topic, properties, payload) = (
        message.topic().as_bytes(),
        message.properties(),
        message.payload(),
    );
    put(&mut head, topic.len() as u64);
    put(&mut head, properties.len() as u64);
    let mut sum = crc32c::crc32c(&number.to_le_bytes());
    for part in [&head[..], topic, properties, payload] {
        sum = crc32c::crc32c_append(sum, part);
    }
    let len = head.len() + topic.len() + properties.len() + payload.len();
    put(bytes, len as u64);
    bytes.extend_from_slice(&sum.to_le_bytes());
    for part in [&head[..], topic, properties, payload] {
        bytes.extend_from_slice(part);
    }
}

/// A message as it was read; its checksum is looked at when it is [checked](Self::check).
#[derive(Clone, Copy, Debug)]
pub(super) struct Body<'a> {
    sum: u32,
    content: &'a [u8],
    at: usize,
}

impl<'a> Body<'a> {
    pub(super) fn read(cursor: &mut Cursor<'a>) -> Result<Self, Wrong> {
        let len = cursor.small()?;
        let sum = u32::from_le_bytes(cursor.fixed()?);
        let at = cursor.at();
        let content = cursor.take(len)?;
        Ok(Self { sum, content, at })
    }

    /// Appends it as it is.
    pub(super) fn put_again(&self, bytes: &mut Vec<u8>) {
        put(bytes, self.content.len() as u64);
        bytes.extend_from_slice(&self.sum.to_le_bytes());
        bytes.extend_from_slice(self.content);
    }

    /// Whether the bytes are those that were written under this number.
    pub(super) fn check(&self, number: u64) -> Result<(), Wrong> {
        let sum = crc32c::crc32c_append(crc32c::crc32c(&number.to_le_bytes()), self.content);
        if sum == self.sum {
            Ok(())
        } else {
            Err(Wrong {
                at: self.at,
                what: "the checksum of a message is wrong",
            })
        }
    }

    fn head(&self) -> Result<(u8, Option<Instant>, usize, usize, Cursor<'a>), Wrong> {
        let mut cursor = Cursor::new(self.content);
        let flags = cursor.byte()?;
        let expires = match flags & EXPIRES {
            0 => None,
            _ => Some(Instant::from_millis(cursor.number()?)),
        };
        let topic = cursor.small()?;
        let properties = cursor.small()?;
        Ok((flags, expires, topic, properties, cursor))
    }

    fn inside(&self, wrong: Wrong) -> Wrong {
        Wrong {
            at: self.at + wrong.at,
            ..wrong
        }
    }

    /// What is known of it without its parts.
    pub(super) fn terms(&self) -> Result<Terms, Wrong> {
        let (_, expires, _, _, rest) = self.head().map_err(|wrong| self.inside(wrong))?;
        let size = self.content.len() - rest.at() + size_of::<Message>();
        Ok(Terms {
            size: u32::try_from(size).unwrap_or(u32::MAX),
            expires,
        })
    }

    /// Its topic.
    pub(super) fn topic(&self) -> Result<&'a str, Wrong> {
        self.parts()
            .map(|(topic, ..)| topic)
            .map_err(|wrong| self.inside(wrong))
    }

    fn parts(&self) -> Result<(&'a str, &'a [u8], &'a [u8]), Wrong> {
        let (_, _, topic, properties, mut cursor) = self.head()?;
        let start = cursor.wrong("a topic is no UTF-8");
        let topic = core::str::from_utf8(cursor.take(topic)?).map_err(|_| start)?;
        let properties = cursor.take(properties)?;
        let payload = cursor.take(self.content.len() - cursor.at())?;
        Ok((topic, properties, payload))
    }

    /// The message in memory.
    pub(super) fn message(&self) -> Result<Message, Wrong> {
        let read = || {
            let (flags, expires, ..) = self.head()?;
            let (topic, properties, payload) = self.parts()?;
            let qos = QoS::from_u8(flags & QOS);
            let qos = qos.ok_or_else(|| Cursor::new(self.content).wrong("a QoS is none"))?;
            let mut message = Message::new(topic, properties, payload, qos, flags & RETAIN != 0);
            message.expires = expires;
            Ok(message)
        };
        read().map_err(|wrong| self.inside(wrong))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(message: &Message, number: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        put_body(&mut bytes, message, number);
        bytes
    }

    #[test]
    fn a_message_comes_back() {
        for (qos, retain, expires) in [
            (QoS::AtMostOnce, true, None),
            (QoS::AtLeastOnce, false, Some(Instant::from_millis(77))),
            (QoS::ExactlyOnce, true, Some(Instant::from_millis(u64::MAX))),
        ] {
            let mut message = Message::new("größe/1", &[1, 2], b"payload", qos, retain);
            message.expires = expires;
            let bytes = bytes(&message, 9);
            let mut cursor = Cursor::new(&bytes);
            let body = Body::read(&mut cursor).unwrap();
            assert!(cursor.is_at_end());
            body.check(9).unwrap();
            assert!(body.check(8).is_err(), "it is another one's");
            let back = body.message().unwrap();
            assert_eq!((back.topic(), back.payload()), ("größe/1", &b"payload"[..]));
            assert_eq!((back.properties(), back.qos), (&[1, 2][..], qos));
            assert_eq!((back.retain, back.expires), (retain, expires));
            assert_eq!(body.topic(), Ok("größe/1"));
            let size = message.size() as u32;
            assert_eq!(body.terms(), Ok(Terms { size, expires }));
        }
    }

    /// Whatever bit changes, the message is not taken for what was written.
    #[test]
    fn one_flipped_bit_is_seen() {
        let message = Message::new("t", &[], b"payload", QoS::AtLeastOnce, false);
        let whole = bytes(&message, 1 << 40);
        for bit in 0..whole.len() * 8 {
            let mut damaged = whole.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let mut cursor = Cursor::new(&damaged);
            let taken = Body::read(&mut cursor).and_then(|body| body.check(1 << 40));
            assert!(taken.is_err(), "bit {bit}");
        }
        for len in 0..whole.len() {
            assert!(Body::read(&mut Cursor::new(&whole[..len])).is_err());
        }
    }
}
