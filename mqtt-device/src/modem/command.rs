//! A command on its way to the modem, piece by piece: no buffer holds it, and it survives being given up in the middle.

use super::Settings;

/// Longest decimal number.
const DIGITS: usize = 10;

const POWERS: [u32; DIGITS] = [
    1_000_000_000,
    100_000_000,
    10_000_000,
    1_000_000,
    100_000,
    10_000,
    1_000,
    100,
    10,
    1,
];

#[derive(Debug)]
pub(super) struct Command {
    /// As in the dialect's table, for error values.
    pub(super) text: &'static str,
    /// What of the text is not sent yet.
    rest: &'static [u8],
    line_end: &'static [u8],
    /// Bytes sent of the value in front.
    within: usize,
    digits: [u8; DIGITS],
    /// Index of the first digit.
    first: usize,
}

impl Command {
    pub(super) const fn none() -> Self {
        Self {
            text: "",
            rest: &[],
            line_end: &[],
            within: 0,
            digits: [b'0'; DIGITS],
            first: DIGITS - 1,
        }
    }

    pub(super) fn start(
        &mut self,
        text: &'static str,
        line_end: &'static str,
        number: u32,
        settings: &Settings<'_>,
    ) {
        self.text = text;
        self.rest = text.as_bytes();
        self.line_end = line_end.as_bytes();
        self.write_number(number);
        self.advance(0, settings);
    }

    /// Subtracting is smaller than dividing where there is no instruction for it.
    fn write_number(&mut self, number: u32) {
        let mut left = number;
        self.first = DIGITS - 1;
        for ((slot, power), index) in self.digits.iter_mut().zip(POWERS).zip(0..) {
            *slot = b'0';
            while left >= power {
                left -= power;
                *slot += 1;
            }
            if *slot != b'0' && index < self.first {
                self.first = index;
            }
        }
    }

    fn value<'a>(&'a self, settings: &Settings<'a>) -> &'a [u8] {
        match self.rest.get(1) {
            Some(b'n') => self.digits.get(self.first..).unwrap_or_default(),
            Some(b'h') => settings.host.as_bytes(),
            Some(b'a') => settings.network.as_bytes(),
            Some(b'u') => settings.user.as_bytes(),
            Some(b'w') => settings.password.as_bytes(),
            Some(b'i') => settings.pin.as_bytes(),
            _ => &[],
        }
    }

    fn at_value(&self) -> bool {
        self.rest.first() == Some(&b'$')
    }

    /// What to send next; empty if the whole command is sent.
    pub(super) fn piece<'a>(&'a self, settings: &Settings<'a>) -> &'a [u8] {
        if self.at_value() {
            self.value(settings).get(self.within..).unwrap_or_default()
        } else if self.rest.is_empty() {
            self.line_end
        } else {
            self.rest
                .split(|&byte| byte == b'$')
                .next()
                .unwrap_or_default()
        }
    }

    /// Notes that so much of the piece is sent.
    pub(super) fn advance(&mut self, count: usize, settings: &Settings<'_>) {
        if self.at_value() {
            self.within += count;
        } else if self.rest.is_empty() {
            self.line_end = self.line_end.get(count..).unwrap_or_default();
        } else {
            self.rest = self.rest.get(count..).unwrap_or_default();
        }
        while self.at_value() && self.value(settings).len() <= self.within {
            self.rest = self.rest.get(2..).unwrap_or_default();
            self.within = 0;
        }
    }

    pub(super) fn is_sent(&self) -> bool {
        self.rest.is_empty() && self.line_end.is_empty()
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::vec::Vec;

    use super::{Command, Settings};

    fn sent(text: &'static str, number: u32, at_once: usize) -> Vec<u8> {
        let settings = Settings {
            host: "broker.example",
            network: "internet",
            user: "",
            password: "pw",
            ..Settings::default()
        };
        let mut command = Command::none();
        command.start(text, "\r", number, &settings);
        let mut all = Vec::new();
        while !command.is_sent() {
            let piece = command.piece(&settings);
            let piece = &piece[..piece.len().min(at_once)];
            assert!(!piece.is_empty(), "{text}");
            all.extend_from_slice(piece);
            let count = piece.len();
            command.advance(count, &settings);
        }
        all
    }

    #[test]
    fn values_take_their_places_however_small_the_pieces() {
        for at_once in [1, 2, 3, 100] {
            assert_eq!(
                sent("AT+CIPSTART=\"TCP\",\"$h\",$n", 1_883, at_once),
                b"AT+CIPSTART=\"TCP\",\"broker.example\",1883\r"
            );
            assert_eq!(
                sent("AT+CSTT=\"$a\",\"$u\",\"$w\"", 0, at_once),
                b"AT+CSTT=\"internet\",\"\",\"pw\"\r"
            );
            assert_eq!(sent("AT+CIPSEND=$n", 0, at_once), b"AT+CIPSEND=0\r");
            assert_eq!(
                sent("AT+GSLP=$n", u32::MAX, at_once),
                b"AT+GSLP=4294967295\r"
            );
            assert_eq!(sent("ATE$u", 7, at_once), b"ATE\r");
        }
    }
}
