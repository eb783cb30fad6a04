//! What tells one message of a run from all others, and the payload that carries it.

use crate::rng::Rng;

/// What a message is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Purpose {
    /// Numbered messages of a publisher; the stream is the publisher.
    Load,
    /// Values of a retained topic; the stream is the topic.
    Retained,
    /// Wills; the stream is the client.
    Will,
    /// A look at which subscriptions there are; the stream is the filter.
    Probe,
}

/// A message: the number counts from 1 in its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Stamp {
    pub(crate) purpose: Purpose,
    pub(crate) stream: usize,
    pub(crate) number: u32,
}

/// Payloads are up to so long, but for one in [`LARGE_EVERY`].
const USUAL: u64 = 240;
/// One that fills sectors of a disk, and a log soon.
const LARGE: u64 = 20_000;
const LARGE_EVERY: u32 = 11;

impl Stamp {
    pub(crate) const fn load(publisher: usize, number: u32) -> Self {
        Self {
            purpose: Purpose::Load,
            stream: publisher,
            number,
        }
    }

    /// The payload: the stamp as text, then bytes that follow from it.
    pub(crate) fn payload(self) -> Vec<u8> {
        let letter = match self.purpose {
            Purpose::Load => 'l',
            Purpose::Retained => 'r',
            Purpose::Will => 'w',
            Purpose::Probe => 'p',
        };
        let mut payload = format!("{letter} {} {} ", self.stream, self.number).into_bytes();
        let mut rng = Rng::of(letter.into(), &[self.stream as u64, u64::from(self.number)]);
        let longest = match self.purpose {
            Purpose::Load if self.number.is_multiple_of(LARGE_EVERY) => LARGE,
            _ => USUAL,
        };
        let filler = rng.below(longest);
        payload.extend((0..filler).map(|_| rng.next() as u8));
        payload
    }

    /// The stamp of a payload, if every byte of it is as it was sent.
    pub(crate) fn read(payload: &[u8]) -> Option<Self> {
        let mut words = payload.splitn(4, |byte| *byte == b' ');
        let purpose = match words.next()? {
            b"l" => Purpose::Load,
            b"r" => Purpose::Retained,
            b"w" => Purpose::Will,
            b"p" => Purpose::Probe,
            _ => return None,
        };
        let mut number = || str::from_utf8(words.next()?).ok()?.parse::<u32>().ok();
        let stamp = Self {
            purpose,
            stream: number()? as usize,
            number: number()?,
        };
        (stamp.payload() == payload).then_some(stamp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_byte_is_noticed() {
        for number in [1, 2, 3, LARGE_EVERY] {
            let stamp = Stamp::load(3, number);
            let mut payload = stamp.payload();
            assert_eq!(Stamp::read(&payload), Some(stamp));
            if let Some(last) = payload.last_mut() {
                *last ^= 1;
            }
            assert_eq!(Stamp::read(&payload), None);
        }
        assert_eq!(Stamp::read(b""), None);
        assert_eq!(Stamp::read(b"l 1"), None);
    }
}
