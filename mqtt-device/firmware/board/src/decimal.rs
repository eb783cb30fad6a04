//! Numbers as decimal digits, without the formatting machinery of `core`.

/// The digits of a number, in memory of their own.
#[derive(Clone, Copy, Debug)]
pub struct Decimal {
    digits: [u8; 5],
    first: u8,
}

impl Decimal {
    /// The digits of `number`.
    #[must_use]
    pub fn new(mut number: u16) -> Self {
        let mut digits = [b'0'; 5];
        let mut first = 5;
        for digit in digits.iter_mut().rev() {
            *digit += (number % 10) as u8;
            number /= 10;
            first -= 1;
            if number == 0 {
                break;
            }
        }
        Self { digits, first }
    }

    /// The digits as text: no leading zero, `0` for zero.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.digits
            .get(usize::from(self.first)..)
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::Decimal;

    #[test]
    fn digits_are_those_of_the_number() {
        for (number, digits) in [
            (0, &b"0"[..]),
            (9, b"9"),
            (10, b"10"),
            (1_072, b"1072"),
            (65_535, b"65535"),
        ] {
            assert_eq!(Decimal::new(number).as_bytes(), digits);
        }
    }
}
