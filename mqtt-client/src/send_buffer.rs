//! Bytes on their way out: packets that were written, and payloads that are shared.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, Bytes, BytesMut};
use mqtt_session::Tx;

use crate::outbox::Written;

/// No more packets are written while so many bytes wait.
const HIGH: usize = 64 * 1024;
/// Payloads up to this length are copied behind their head; longer ones are shared.
const COPIED: usize = 2 * 1024;

/// The output of one connection. As a [`Buf`] it gives its parts to vectored writes.
#[derive(Debug, Default)]
pub(crate) struct SendBuffer {
    parts: VecDeque<Bytes>,
    tail: BytesMut,
    /// Bytes that wait, those of `tail` included.
    len: usize,
    /// Bytes that were ever taken out.
    taken: u64,
    /// QoS 0 messages by the count of bytes that must have been taken out.
    marks: VecDeque<(u64, Written)>,
}

impl SendBuffer {
    /// Appends the payload of the PUBLISH whose head was just written.
    pub(crate) fn payload(&mut self, payload: Bytes) {
        self.len += payload.len();
        if payload.len() <= COPIED {
            self.tail.extend_from_slice(&payload);
        } else {
            self.seal();
            self.parts.push_back(payload);
        }
    }

    /// Calls [`Written::done`] once all that is in the buffer now was taken out.
    pub(crate) fn mark(&mut self, written: Written) {
        self.marks
            .push_back((self.taken + self.len as u64, written));
    }

    /// The connection is gone.
    pub(crate) fn lost(&mut self) {
        for (_, written) in self.marks.drain(..) {
            written.lost();
        }
    }

    fn seal(&mut self) {
        if !self.tail.is_empty() {
            self.parts.push_back(self.tail.split().freeze());
        }
    }
}

impl Tx for SendBuffer {
    fn claim(&mut self, len: usize) -> Option<&mut [u8]> {
        // A packet that is larger than the mark goes into an empty buffer.
        if self.len > 0 && self.len.saturating_add(len) > HIGH {
            return None;
        }
        let start = self.tail.len();
        self.tail.resize(start + len, 0);
        self.len += len;
        self.tail.get_mut(start..)
    }

    fn retract(&mut self, len: usize) {
        let len = len.min(self.tail.len());
        self.tail.truncate(self.tail.len() - len);
        self.len -= len;
    }
}

impl Buf for SendBuffer {
    fn remaining(&self) -> usize {
        self.len
    }

    fn chunk(&self) -> &[u8] {
        self.parts.front().map_or(&self.tail, |part| part)
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let parts = self.parts.iter().map(|part| &part[..]);
        let tail = (!self.tail.is_empty()).then_some(&self.tail[..]);
        let mut count = 0;
        for (slice, part) in slices.iter_mut().zip(parts.chain(tail)) {
            *slice = IoSlice::new(part);
            count += 1;
        }
        count
    }

    fn advance(&mut self, count: usize) {
        self.len -= count;
        self.taken += count as u64;
        let mut rest = count;
        while rest > 0 {
            let Some(part) = self.parts.front_mut() else {
                self.tail.advance(rest);
                break;
            };
            let step = rest.min(part.len());
            part.advance(step);
            rest -= step;
            if part.is_empty() {
                self.parts.pop_front();
            }
        }
        while self.marks.front().is_some_and(|(at, _)| *at <= self.taken) {
            if let Some((_, written)) = self.marks.pop_front() {
                written.done();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(buffer: &mut SendBuffer, bytes: &[u8]) -> bool {
        match buffer.claim(bytes.len()) {
            Some(room) => {
                room.copy_from_slice(bytes);
                true
            }
            None => false,
        }
    }

    #[test]
    fn parts_come_out_in_their_order_in_steps_of_any_size() {
        let long = Bytes::from(vec![7; COPIED + 1]);
        let mut expected = b"head".to_vec();
        expected.extend_from_slice(&long);
        expected.extend_from_slice(b"tailshort");
        for step in [1, 3, 1000, 1_000_000] {
            let mut buffer = SendBuffer::default();
            assert!(write(&mut buffer, b"head"));
            buffer.payload(long.clone());
            assert!(write(&mut buffer, b"tail"));
            buffer.payload(Bytes::from_static(b"short"));
            assert_eq!(buffer.remaining(), expected.len());
            let mut out = Vec::new();
            while buffer.has_remaining() {
                let mut slices = [IoSlice::new(&[]); 4];
                let count = buffer.chunks_vectored(&mut slices);
                let all: Vec<u8> = slices[..count].iter().flat_map(|s| s.to_vec()).collect();
                assert!(all.starts_with(buffer.chunk()));
                let n = step.min(all.len());
                out.extend_from_slice(&all[..n]);
                buffer.advance(n);
            }
            assert_eq!(out, expected);
        }
    }

    #[test]
    fn a_long_payload_is_shared() {
        let long = Bytes::from(vec![7; COPIED + 1]);
        let mut buffer = SendBuffer::default();
        buffer.payload(long.clone());
        assert_eq!(buffer.chunk().as_ptr(), long.as_ptr());
    }

    #[test]
    fn beyond_the_mark_only_a_first_packet_fits() {
        let mut buffer = SendBuffer::default();
        assert!(write(&mut buffer, &vec![0; HIGH + 1]));
        assert!(!write(&mut buffer, b"x"));
        buffer.advance(HIGH + 1);
        assert!(write(&mut buffer, b"x"));
        buffer.retract(1);
        assert!(!buffer.has_remaining());
    }
}
