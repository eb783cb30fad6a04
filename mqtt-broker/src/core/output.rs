//! Bytes on their way to a connection: small ones copied, large payloads shared.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::sync::Arc;

use mqtt_session::Tx;

use super::message::Message;

/// From this length on a payload is shared instead of copied: at 16 kB that saves three quarters, at 1 kB it costs a fifth.
pub(super) const SHARE_FROM: usize = 8 * 1024;
/// A buffer that grew above this is not kept for the next connection.
const KEEP_UP_TO: usize = 64 * 1024;
/// Bytes at the front of a buffer that were written and are not worth moving the others for.
const WRITTEN_FRONT: usize = 64 * 1024;

/// What a connection still has to write.
#[derive(Debug, Default)]
pub struct Output {
    bytes: Vec<u8>,
    /// How many of `bytes` were written.
    start: usize,
    /// Payloads that go out before `bytes[at]`.
    spliced: VecDeque<(usize, Arc<Message>)>,
    /// How much of the first spliced payload was written.
    spliced_start: usize,
    spliced_len: usize,
}

impl Output {
    /// Whether everything was written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes that were not yet written.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len() - self.start + self.spliced_len
    }

    /// Appends a payload that has to be copied.
    pub(super) fn copy(&mut self, payload: &[u8]) {
        self.bytes.extend_from_slice(payload);
    }

    /// Appends the payload of a message, copied or shared as its length bids.
    pub(super) fn append(&mut self, message: &Arc<Message>) {
        let payload = message.payload();
        if payload.len() < SHARE_FROM {
            return self.copy(payload);
        }
        self.spliced_len += payload.len();
        self.spliced
            .push_back((self.bytes.len(), Arc::clone(message)));
    }

    /// Fills `slices` with what comes next, for one vectored write; says how many were filled.
    pub fn slices<'o>(&'o self, slices: &mut [IoSlice<'o>]) -> usize {
        let mut filled = 0;
        let mut add = |slice: &'o [u8]| {
            if !slice.is_empty()
                && let Some(place) = slices.get_mut(filled)
            {
                *place = IoSlice::new(slice);
                filled += 1;
            }
        };
        let (mut from, mut skip) = (self.start, self.spliced_start);
        for (at, message) in &self.spliced {
            add(self.bytes.get(from..*at).unwrap_or_default());
            add(message.payload().get(skip..).unwrap_or_default());
            (from, skip) = (*at, 0);
        }
        add(self.bytes.get(from..).unwrap_or_default());
        filled
    }

    /// The first `n` bytes were written.
    pub(super) fn written(&mut self, mut n: usize) {
        while n > 0 {
            let Some((at, message)) = self.spliced.front() else {
                self.start = (self.start + n).min(self.bytes.len());
                break;
            };
            let copied = n.min(at - self.start);
            self.start += copied;
            n -= copied;
            if self.start < *at {
                break;
            }
            let left = message.payload().len() - self.spliced_start;
            let shared = n.min(left);
            self.spliced_start += shared;
            self.spliced_len -= shared;
            n -= shared;
            if shared == left {
                self.spliced.pop_front();
                self.spliced_start = 0;
                #[cfg(mutation = "fuzz-spliced-twice")]
                let _ = core::mem::replace(&mut self.spliced_start, usize::from(left < SHARE_FROM));
            }
        }
        if self.is_empty() {
            self.clear();
        } else if self.start > WRITTEN_FRONT && self.start > self.bytes.len() / 2 {
            // A client that reads slowly and never catches up must not make the buffer grow by all that it has read.
            self.bytes.drain(..self.start);
            for (at, _) in &mut self.spliced {
                *at -= self.start;
            }
            self.start = 0;
        }
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.start = 0;
        self.spliced.clear();
        self.spliced_start = 0;
        self.spliced_len = 0;
    }
}

impl Tx for Output {
    fn claim(&mut self, len: usize) -> Option<&mut [u8]> {
        self.bytes.claim(len)
    }

    fn retract(&mut self, len: usize) {
        self.bytes.retract(len);
    }
}

/// Buffers of connections that have nothing to write: an idle connection owns none.
#[derive(Debug, Default)]
#[expect(
    clippy::vec_box,
    reason = "the boxes go to connections, for which a pointer is all there is room for"
)]
pub(super) struct Pool(Vec<Box<Output>>);

impl Pool {
    const KEPT: usize = 64;

    pub(super) fn take(&mut self) -> Box<Output> {
        self.0.pop().unwrap_or_default()
    }

    pub(super) fn give(&mut self, mut output: Box<Output>) {
        output.clear();
        if self.0.len() < Self::KEPT && output.bytes.capacity() <= KEEP_UP_TO {
            self.0.push(output);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mqtt_codec::QoS;

    fn all(output: &Output) -> Vec<u8> {
        let mut slices = [IoSlice::new(&[]); 8];
        let filled = output.slices(&mut slices);
        slices
            .iter()
            .take(filled)
            .flat_map(|slice| slice.to_vec())
            .collect()
    }

    /// A client that always leaves something unread made its buffer grow by everything that it had read.
    #[test]
    fn what_was_written_is_given_back_although_the_output_is_never_empty() {
        let mut output = Output::default();
        output.copy(&[0; 5_000]);
        let large = Arc::new(Message::new(
            "t",
            &[],
            &[1; SHARE_FROM],
            QoS::AtMostOnce,
            false,
        ));
        for round in 0..1_000_u32 {
            output.copy(&[round as u8; 10_000]);
            if round % 7 == 0 {
                output.append(&large);
                output.written(SHARE_FROM);
            }
            output.written(10_000);
        }
        assert_eq!(output.len(), 5_000);
        assert!(
            output.bytes.capacity() < 600_000,
            "{}",
            output.bytes.capacity()
        );
        assert_eq!(all(&output), [231; 5_000]);
    }

    /// Payloads that are still to come keep their places when what was written before them is given back.
    #[test]
    fn a_shared_payload_keeps_its_place_when_the_front_goes() {
        let large = |byte| {
            let payload = [byte; SHARE_FROM];
            Arc::new(Message::new("t", &[], &payload, QoS::AtMostOnce, false))
        };
        let mut output = Output::default();
        output.copy(&[1; 3 * WRITTEN_FRONT]);
        for byte in [2, 3] {
            output.append(&large(byte));
            output.copy(b"tail");
        }
        let expected = all(&output);
        let written = 3 * WRITTEN_FRONT - 10;
        output.written(written);
        assert!(output.start == 0, "the front is gone");
        assert_eq!(all(&output), expected[written..]);
        output.written(11 + SHARE_FROM);
        assert_eq!(all(&output), expected[written + 11 + SHARE_FROM..]);
    }

    #[test]
    fn what_is_taken_back_is_not_written() {
        let mut output = Output::default();
        output.claim(5).unwrap().copy_from_slice(b"whole");
        output.claim(4).unwrap().copy_from_slice(b"half");
        output.retract(4);
        assert_eq!(all(&output), b"whole");
    }

    /// However the writes fall, the bytes leave in the order in which they were appended, large payloads in between.
    #[test]
    fn partial_writes_lose_and_repeat_nothing() {
        let large = Arc::new(Message::new(
            "t",
            &[],
            &vec![7; SHARE_FROM],
            QoS::AtMostOnce,
            false,
        ));
        for step in [1, 3, 1000, SHARE_FROM, usize::MAX] {
            let mut output = Output::default();
            output.copy(b"head1");
            output.append(&large);
            output.append(&large);
            output.copy(b"head2");
            let expected = [&b"head1"[..], large.payload(), large.payload(), b"head2"].concat();
            let mut seen = Vec::new();
            while !output.is_empty() {
                let next = all(&output);
                assert_eq!(next.len(), output.len());
                let n = next.len().min(step);
                seen.extend_from_slice(&next[..n]);
                output.written(n);
            }
            assert_eq!(seen, expected, "in steps of {step}");
        }
    }
}
