//! Payloads as text: numbers written and read without the formatting machinery of `core`.

/// Longest text, in bytes.
const LEN: usize = 20;

/// A short text, built from its front; what does not fit is left out.
#[derive(Debug)]
pub(crate) struct Text {
    bytes: [u8; LEN],
    len: usize,
}

impl Text {
    /// A reading: when it was taken, in seconds since the start of the board, and tenths of a degree as degrees.
    ///
    /// The seconds begin again after 49 days.
    pub(crate) fn reading(ms: u64, tenths: i16) -> Self {
        let mut text = Self {
            bytes: [0; LEN],
            len: 0,
        };
        text.number((ms as u32) / 1_000);
        text.push(b' ');
        if tenths < 0 {
            text.push(b'-');
        }
        let tenths = tenths.unsigned_abs();
        text.number(u32::from(tenths / 10));
        text.push(b'.');
        text.push(b'0' + (tenths % 10) as u8);
        text
    }

    /// The text.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    fn push(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.len) {
            *place = byte;
            self.len += 1;
        }
    }

    fn number(&mut self, mut number: u32) {
        let mut digits = [0; 10];
        let mut count = 0;
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + (number % 10) as u8;
            number /= 10;
            count += 1;
            if number == 0 {
                break;
            }
        }
        for digit in digits.iter().skip(10 - count) {
            self.push(*digit);
        }
    }
}

/// A number from 1 to `most` in decimal digits, and nothing else.
pub(crate) fn number(text: &[u8], most: u16) -> Option<u16> {
    let mut number = 0_u16;
    for byte in text {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = number.checked_mul(10)?.checked_add(u16::from(digit))?;
    }
    (number != 0 && number <= most).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readings_are_seconds_and_degrees() {
        for (ms, tenths, text) in [
            (0, 0, &b"0 0.0"[..]),
            (999, 5, b"0 0.5"),
            (61_000, 215, b"61 21.5"),
            (4_294_967_295, -3, b"4294967 -0.3"),
            (4_294_967_296, -400, b"0 -40.0"),
            (1, i16::MIN, b"0 -3276.8"),
        ] {
            assert_eq!(Text::reading(ms, tenths).as_bytes(), text);
        }
    }

    #[test]
    fn only_a_number_in_range_is_one() {
        for (text, value) in [
            (&b"1"[..], Some(1)),
            (b"0060", Some(60)),
            (b"3600", Some(3_600)),
            (b"3601", None),
            (b"65536", None),
            (b"99999999999999999999", None),
            (b"0", None),
            (b"", None),
            (b" 5", None),
            (b"5s", None),
            (b"-5", None),
            (b"\xff", None),
        ] {
            assert_eq!(number(text, 3_600), value, "{}", text.escape_ascii());
        }
    }
}
