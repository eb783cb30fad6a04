//! Numbers in as few bytes as they need, texts behind their length.

use mqtt_codec::{PacketId, SubscriptionId};

/// What is wrong with bytes that were read, and where, counted from the start of those bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) at: usize,
    pub(super) what: &'static str,
}

/// Seven bits a byte, the lowest first; the high bit says that another byte follows.
pub(super) fn put(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

/// A difference that may be negative: small ones in few bytes, whatever their sign.
pub(super) fn put_difference(bytes: &mut Vec<u8>, from: u64, to: u64) {
    let difference = to.wrapping_sub(from) as i64;
    put(bytes, (difference << 1 ^ difference >> 63) as u64);
}

/// A text behind its length.
pub(super) fn put_text(bytes: &mut Vec<u8>, text: &str) {
    put(bytes, text.len() as u64);
    bytes.extend_from_slice(text.as_bytes());
}

/// Reads what was put.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(super) const fn at(&self) -> usize {
        self.at
    }

    pub(super) const fn is_at_end(&self) -> bool {
        self.at >= self.bytes.len()
    }

    pub(super) const fn wrong(&self, what: &'static str) -> Wrong {
        Wrong { at: self.at, what }
    }

    pub(super) fn byte(&mut self) -> Result<u8, Wrong> {
        let byte = *self
            .bytes
            .get(self.at)
            .ok_or_else(|| self.wrong("it ends too early"))?;
        self.at += 1;
        Ok(byte)
    }

    pub(super) fn take(&mut self, len: usize) -> Result<&'a [u8], Wrong> {
        let end = self.at.checked_add(len);
        let taken = end.and_then(|end| self.bytes.get(self.at..end));
        let taken = taken.ok_or_else(|| self.wrong("it ends too early"))?;
        self.at += len;
        Ok(taken)
    }

    pub(super) fn fixed<const N: usize>(&mut self) -> Result<[u8; N], Wrong> {
        let at = self.at;
        self.take(N)?.try_into().map_err(|_| Wrong {
            at,
            what: "it ends too early",
        })
    }

    pub(super) fn number(&mut self) -> Result<u64, Wrong> {
        let start = self.wrong("a number has too many bytes");
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let low = u64::from(byte & 0x7F);
            value |= low << shift;
            if byte & 0x80 == 0 {
                // The tenth byte holds one bit, and no number has more bytes than it needs.
                let fits = (low << shift) >> shift == low && (byte != 0 || shift == 0);
                return if fits { Ok(value) } else { Err(start) };
            }
        }
        Err(start)
    }

    /// A number that has to fit in fewer bits.
    pub(super) fn small<T: TryFrom<u64>>(&mut self) -> Result<T, Wrong> {
        let start = self.wrong("a number is too large");
        T::try_from(self.number()?).map_err(|_| start)
    }

    pub(super) fn packet_id(&mut self) -> Result<PacketId, Wrong> {
        let start = self.wrong("a packet identifier is none");
        PacketId::new(self.small()?).ok_or(start)
    }

    /// 0 is none.
    pub(super) fn subscription_id(&mut self) -> Result<Option<SubscriptionId>, Wrong> {
        let start = self.wrong("a subscription identifier is none");
        match self.small()? {
            0 => Ok(None),
            id => SubscriptionId::new(id).map(Some).ok_or(start),
        }
    }

    pub(super) fn difference(&mut self, from: u64) -> Result<u64, Wrong> {
        let folded = self.number()?;
        let difference = (folded >> 1) as i64 ^ -((folded & 1) as i64);
        Ok(from.wrapping_add(difference as u64))
    }

    pub(super) fn text(&mut self) -> Result<&'a str, Wrong> {
        let len = self.small()?;
        let at = self.at;
        core::str::from_utf8(self.take(len)?).map_err(|_| Wrong {
            at,
            what: "a text is no UTF-8",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_is_read() {
        let numbers = [
            0,
            1,
            127,
            128,
            300,
            u64::from(u32::MAX),
            1 << 48,
            u64::MAX - 1,
            u64::MAX,
        ];
        for number in numbers {
            for from in numbers {
                let mut bytes = Vec::new();
                put(&mut bytes, number);
                put_difference(&mut bytes, from, number);
                put_text(&mut bytes, "größer");
                let mut cursor = Cursor::new(&bytes);
                assert_eq!(cursor.number(), Ok(number));
                assert_eq!(cursor.difference(from), Ok(number));
                assert_eq!(cursor.text(), Ok("größer"));
                assert!(cursor.is_at_end());
                assert_eq!(cursor.byte().unwrap_err().at, bytes.len());
            }
        }
    }

    #[test]
    fn a_number_has_one_form() {
        for bytes in [
            &[0x80, 0][..],
            &[0xFF; 11],
            &[0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 2],
        ] {
            assert!(Cursor::new(bytes).number().is_err(), "{bytes:?}");
        }
        assert!(Cursor::new(&[0x80]).number().is_err());
        assert!(Cursor::new(&[0x80, 2]).small::<u8>().is_err());
        assert!(Cursor::new(&[2, 0xC3, 0x28]).text().is_err());
        assert!(Cursor::new(&[9, b'a']).text().is_err());
    }
}
