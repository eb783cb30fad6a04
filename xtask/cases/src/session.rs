//! What `mqtt-session` does with a message: bytes in, answer out.

use core::hint::black_box;

use mqtt_codec::{Connect, Decoded, QoS, ReasonCode, Version};
use mqtt_session::profile::Full;
use mqtt_session::storage::Heap;
use mqtt_session::{
    Accept, Change, Instant, Limits, Outbox, Outcome, OutgoingMessage, Output, Owner, Seq,
    ServerEvent, ServerSession, SliceTx,
};

use crate::Op;
use crate::packets::{self, Outgoing, packet_id};

/// A server that takes every message, without a disk, and sends none.
#[derive(Default)]
struct Taker {
    limits: Limits,
}

impl Outbox for Taker {
    fn next(&mut self, _: Seq) -> Option<Seq> {
        None
    }

    fn message(&mut self, _: Seq) -> Option<OutgoingMessage<'_>> {
        None
    }

    fn done(&mut self, _: Seq, _: Outcome) {}
}

impl Owner for Taker {
    type Gate = ();

    fn record(&mut self, _: Change) {}

    fn committed(&self) {}

    fn limits(&self) -> &Limits {
        &self.limits
    }
}

/// The server's end of a connection that is up.
struct Served {
    session: ServerSession<Full, Heap>,
    owner: Taker,
    now: Instant,
}

impl Served {
    fn connected(version: Version) -> Self {
        let owner = Taker::default();
        let mut session = ServerSession::new();
        session.open(Instant::ZERO, &owner.limits);
        let mut served = Self {
            session,
            owner,
            now: Instant::ZERO,
        };
        let connect = Outgoing::Connect(Connect::new(version, "thermometer-0042")).wire(version);
        let mut buffer = [0; 256];
        let mut tx = SliceTx::new(&mut buffer);
        served.exchange(&connect, &mut tx);
        assert!(served.session.is_connected(), "CONNECT was accepted");
        served
    }

    /// One packet in, and everything that answers it out.
    fn exchange(&mut self, bytes: &[u8], tx: &mut SliceTx<'_>) {
        let Ok(Decoded::Complete { ref packet, .. }) =
            self.session.decoder(&self.owner.limits).from_client(bytes)
        else {
            panic!("a whole packet");
        };
        match &self.session.handle(packet, self.now, &mut self.owner) {
            Ok(ServerEvent::Publication(publication)) => {
                black_box(publication);
                if let Some(delivery) = publication.delivery {
                    self.session.settle(delivery, ReasonCode::SUCCESS, ());
                }
            }
            Ok(ServerEvent::Connect(_)) => {
                let accept = Accept {
                    session_present: false,
                    server_keep_alive: None,
                    session_expiry: None,
                    kept: (),
                };
                self.session.accept(accept).expect("it was asked");
            }
            Ok(_) => {}
            Err(violation) => panic!("{violation}"),
        }
        while self.session.poll_output(tx, self.now, &mut self.owner) != Output::Idle {}
    }
}

/// A PUBLISH with QoS 1 comes in, its PUBACK goes out.
///
/// # Panics
/// When the answer is another one.
#[must_use]
pub fn qos1(version: Version) -> Op {
    let mut served = Served::connected(version);
    let publish = packets::acknowledged(5, 64).wire(version);
    let mut buffer = [0; 64];
    Op::new("session: QoS 1 PUBLISH in, PUBACK out", 1, move || {
        let mut tx = SliceTx::new(black_box(&mut buffer));
        served.exchange(black_box(&publish), &mut tx);
        assert_eq!(tx.written(), [0x40, 2, 0, 5], "PUBACK");
    })
}

/// PUBLISH with QoS 2 in, PUBREC out, PUBREL in, PUBCOMP out.
///
/// # Panics
/// When the answers are others.
#[must_use]
pub fn qos2(version: Version) -> Op {
    let mut served = Served::connected(version);
    let Outgoing::Publish(mut publish) = packets::acknowledged(5, 64) else {
        unreachable!("a PUBLISH");
    };
    publish.delivery = mqtt_codec::Delivery::ExactlyOnce(packet_id(5));
    assert_eq!(publish.delivery.qos(), QoS::ExactlyOnce);
    let publish = Outgoing::Publish(publish).wire(version);
    let release = packets::pubrel(5).wire(version);
    let mut buffer = [0; 64];
    Op::new("session: QoS 2 exchange, receiver's side", 1, move || {
        let mut tx = SliceTx::new(black_box(&mut buffer));
        served.exchange(black_box(&publish), &mut tx);
        served.exchange(black_box(&release), &mut tx);
        assert_eq!(
            tx.written(),
            [0x50, 2, 0, 5, 0x70, 2, 0, 5],
            "PUBREC, PUBCOMP"
        );
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The operations look at the answers themselves.
    #[test]
    fn conversations_go_on_for_ever() {
        for version in [Version::V311, Version::V5] {
            qos1(version).run(100_000);
            qos2(version).run(100_000);
        }
    }
}
