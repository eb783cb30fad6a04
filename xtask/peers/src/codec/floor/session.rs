//! The least state that can answer: the id of a QoS 1 PUBLISH is noted until its PUBACK is written, that of a QoS 2 PUBLISH
//! until its PUBREL has come.

use std::hint::black_box;

use mqtt_cases::packets::{self, Outgoing, packet_id};
use mqtt_codec::{Delivery, Version};

use super::decode::{Packet, decode};
use super::writer::ack;
use crate::harness::Op;

/// Answers that are owed at most.
const OWED: usize = 64;

/// A server's end of a connection.
struct State {
    /// Identifiers of QoS 2 messages that were taken, one bit each.
    taken: Box<[u64; 1024]>,
    /// First byte and identifier of the answers that are due, in the order of their causes.
    owed: [(u8, u16); OWED],
    first: usize,
    count: usize,
    delivered: u64,
}

impl State {
    fn new() -> Self {
        Self {
            taken: Box::new([0; 1024]),
            owed: [(0, 0); OWED],
            first: 0,
            count: 0,
            delivered: 0,
        }
    }

    /// Takes a packet; `None` if it cannot.
    #[inline]
    fn handle(&mut self, packet: &Packet<'_>) -> Option<()> {
        match packet {
            Packet::Publish(publish) => match publish.first >> 1 & 3 {
                0 => self.delivered += 1,
                1 => {
                    self.owe(0x40, publish.id)?;
                    self.delivered += 1;
                }
                _ => {
                    self.owe(0x50, publish.id)?;
                    let (word, bit) = place(publish.id);
                    self.delivered += u64::from(self.taken[word] & bit == 0);
                    self.taken[word] |= bit;
                }
            },
            Packet::Ack(ack) if ack.first == 0x62 => {
                self.owe(0x70, ack.id)?;
                let (word, bit) = place(ack.id);
                self.taken[word] &= !bit;
            }
            _ => return None,
        }
        Some(())
    }

    #[inline]
    fn owe(&mut self, first: u8, id: u16) -> Option<()> {
        if self.count == OWED {
            return None;
        }
        self.owed[(self.first + self.count) % OWED] = (first, id);
        self.count += 1;
        Some(())
    }

    /// Writes what is owed; returns how much that is.
    #[inline]
    fn poll(&mut self, buffer: &mut [u8]) -> usize {
        let mut len = 0;
        while self.count > 0 {
            let (first, id) = self.owed[self.first];
            let Some(written) = ack(first, id, &mut buffer[len..]) else {
                break;
            };
            len += written;
            self.first = (self.first + 1) % OWED;
            self.count -= 1;
        }
        len
    }

    #[inline]
    fn exchange<const V5: bool>(&mut self, bytes: &[u8], buffer: &mut [u8]) -> usize {
        let handled = decode::<V5>(bytes)
            .ok()
            .and_then(|(packet, _)| self.handle(black_box(&packet)));
        assert!(handled.is_some(), "the packet can be taken");
        self.poll(buffer)
    }
}

fn place(id: u16) -> (usize, u64) {
    (usize::from(id / 64), 1 << (id % 64))
}

/// A PUBLISH with QoS 1 comes in, its PUBACK goes out.
#[must_use]
pub fn qos1(version: Version) -> Op {
    fn op<const V5: bool>(publish: Vec<u8>) -> Op {
        let (mut state, mut buffer) = (State::new(), [0; 64]);
        Op::new(1, move |n| {
            for _ in 0..n {
                let len = state.exchange::<V5>(black_box(&publish), black_box(&mut buffer));
                assert_eq!(buffer[..len], [0x40, 2, 0, 5], "PUBACK");
            }
        })
    }
    let publish = packets::acknowledged(5, 64).wire(version);
    if version == Version::V5 {
        op::<true>(publish)
    } else {
        op::<false>(publish)
    }
}

/// PUBLISH with QoS 2 in, PUBREC out, PUBREL in, PUBCOMP out.
#[must_use]
pub fn qos2(version: Version) -> Op {
    fn op<const V5: bool>(publish: Vec<u8>, release: Vec<u8>) -> Op {
        let (mut state, mut buffer) = (State::new(), [0; 64]);
        Op::new(1, move |n| {
            for _ in 0..n {
                let received = state.exchange::<V5>(black_box(&publish), black_box(&mut buffer));
                let completed =
                    state.exchange::<V5>(black_box(&release), black_box(&mut buffer[received..]));
                assert_eq!(
                    buffer[..received + completed],
                    [0x50, 2, 0, 5, 0x70, 2, 0, 5],
                    "PUBREC, PUBCOMP"
                );
            }
        })
    }
    let Outgoing::Publish(mut publish) = packets::acknowledged(5, 64) else {
        unreachable!("a PUBLISH");
    };
    publish.delivery = Delivery::ExactlyOnce(packet_id(5));
    let publish = Outgoing::Publish(publish).wire(version);
    let release = packets::pubrel(5).wire(version);
    if version == Version::V5 {
        op::<true>(publish, release)
    } else {
        op::<false>(publish, release)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A repetition is answered and not delivered; after its PUBREL the id is a new message's.
    #[test]
    fn qos_2_is_delivered_once() {
        let mut state = State::new();
        let mut buffer = [0; 64];
        let mut publish = packets::acknowledged(5, 3).wire(Version::V311);
        publish[0] = 0x34;
        let release = packets::pubrel(5).wire(Version::V311);
        for delivered in [1, 1, 1] {
            assert_eq!(state.exchange::<false>(&publish, &mut buffer), 4);
            assert_eq!(state.delivered, delivered);
        }
        state.exchange::<false>(&release, &mut buffer);
        assert_eq!(buffer[..4], [0x70, 2, 0, 5]);
        state.exchange::<false>(&publish, &mut buffer);
        assert_eq!(state.delivered, 2);
    }

    #[test]
    fn answers_keep_their_order() {
        let mut state = State::new();
        for id in 1..=3 {
            let wire = packets::acknowledged(id, 3).wire(Version::V5);
            let (packet, _) = decode::<true>(&wire).expect("valid");
            state.handle(&packet).expect("room");
        }
        let mut buffer = [0; 64];
        let len = state.poll(&mut buffer);
        assert_eq!(buffer[..len], [0x40, 2, 0, 1, 0x40, 2, 0, 2, 0x40, 2, 0, 3]);
    }
}
