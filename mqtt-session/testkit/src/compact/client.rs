//! The client's end of the simulation: what it writes is judged, and what it reads is told to the models.

use mqtt_codec::{Decoded, Decoder, Delivery, Packet, Publish, QoS};
use mqtt_session::Seq;
use mqtt_session::compact::{Device, Event, Queue};

use super::sim::Sim;
use crate::sim::flow::Shown;
use crate::sim::read::count;
use crate::text::describe;

/// What the client was given and has not taken, as the model knows it.
#[derive(Debug, Default)]
pub(super) struct Incoming {
    /// Bytes from the beginning of a packet on.
    bytes: Vec<u8>,
    /// How many of them the client's buffer holds, or held.
    unread: usize,
    /// Bytes that are still to come of a message in parts.
    missing: usize,
    /// What has come of it, if it is delivered.
    arriving: Option<Shown>,
}

impl Incoming {
    pub(super) const fn has_any(&self) -> bool {
        !self.bytes.is_empty()
    }
}

impl<D: Device, Q: Queue> Sim<D, Q> {
    /// The client writes up to `most` bytes.
    pub(super) fn write(&mut self, most: usize) {
        let mut left = most;
        self.answered = false;
        while left > 0 && self.connected {
            let early = !self.client.is_connected();
            let bytes = self.client.output(self.now);
            if bytes.is_empty() {
                self.idle();
                return;
            }
            let len = if self.rng.one_in(3) && !self.draining {
                1 + self.rng.below(bytes.len())
            } else {
                bytes.len()
            };
            let len = len.min(left);
            let bytes = &bytes[..len];
            self.link.extend(bytes);
            self.wire.extend(bytes);
            self.client.written(len, self.now);
            left -= len;
            let before = self.watch.unacknowledged();
            self.judge();
            let more = self.watch.unacknowledged() > before;
            self.counters
                .hit_if(D::EARLY && early && more, "sent before CONNACK");
        }
    }

    /// Nothing can be written: says why.
    fn idle(&mut self) {
        let waits = self.waiting().next().is_some();
        let full = self.watch.unacknowledged() >= usize::from(self.watch.receive_maximum);
        let connected = self.client.is_connected();
        self.counters
            .hit_if(connected && waits && full, "window full");
        if connected && let Some(deadline) = self.client.deadline(self.now) {
            let soon = deadline.millis_since(self.now) <= u64::from(D::HOLD_MS);
            self.counters.hit_if(D::HOLD_MS > 0 && soon, "held back");
        }
    }

    /// Judges the packets that were written whole.
    fn judge(&mut self) {
        let bytes = core::mem::take(&mut self.wire);
        let mut rest = &bytes[..];
        while let Decoded::Complete { packet, len } = Decoder::new(self.version)
            .any(rest)
            .expect("the client writes packets")
        {
            rest = &rest[len..];
            self.counters
                .trace(|| format!("{}: the client writes {}", self.now, describe(&packet)));
            self.counters.hit_if(packet == Packet::PingReq, "PINGREQ");
            let mut number = 0;
            if let Packet::Publish(publish) = packet {
                number = number_of(publish.payload);
                let seq = Seq(number as u64);
                if publish.delivery == Delivery::AtMostOnce {
                    self.up.written(seq);
                }
                self.counters
                    .hit_if(self.answered, "an acknowledgement rode along");
            }
            self.answered |= matches!(packet, Packet::PubAck(_) | Packet::PubRec(_));
            self.watch
                .wrote(&packet, number, &self.owner, &mut self.counters);
        }
        self.wire = rest.to_vec();
    }

    /// Carries a fragment, or all, to the client, which reads it.
    pub(super) fn carry_down(&mut self) {
        if !self.connected {
            return;
        }
        let len = self.server.tx.len();
        let mut left = if self.draining || self.rng.one_in(2) {
            len
        } else {
            self.rng.below(len + 1)
        };
        loop {
            if !self.read() {
                return;
            }
            let input = self.client.input();
            let len = input.len().min(left);
            if len == 0 {
                self.counters.hit_if(left > 0, "not reading");
                return;
            }
            input[..len].copy_from_slice(&self.server.tx[..len]);
            self.client.filled(len, self.now);
            self.incoming.bytes.extend(self.server.tx.drain(..len));
            self.incoming.unread += len;
            left -= len;
        }
    }

    /// Takes events until there are no more; false when the connection was cut meanwhile.
    fn read(&mut self) -> bool {
        loop {
            let event = self.client.event(self.now);
            if event == Event::Waiting {
                return true;
            }
            self.took(event);
            if matches!(event, Event::Message | Event::Part)
                && !self.draining
                && self.rng.one_in(40)
            {
                // The line is gone before the application asks for more.
                self.counters.hit("cut behind a message");
                self.cut();
                return false;
            }
        }
    }

    /// What the client has taken with this event.
    fn took(&mut self, event: Event) {
        if let Event::Acknowledged(_, reason) = event
            && reason == mqtt_codec::ReasonCode::PACKET_TOO_LARGE
        {
            // It was not taken from what came in.
            return self.heard(event);
        }
        if let Event::Acknowledged(id, _) = event
            && self.over.remove(&id.get())
        {
            self.counters.hit("over with its session");
            return self.heard(event);
        }
        let bytes = core::mem::take(&mut self.incoming.bytes);
        let decoder = Decoder::new(self.version);
        let version = self.version;
        match decoder.any(&bytes) {
            Ok(Decoded::Complete {
                packet: Packet::Publish(publish),
                len,
            }) => self.took_message(event, &publish, len),
            Ok(Decoded::Complete { packet, len }) => {
                self.counters
                    .trace(|| format!("{}: the client takes {}", self.now, describe(&packet)));
                count(&packet, &mut self.counters);
                self.watch.took(&packet);
                self.heard(event);
                self.incoming.unread -= len;
                self.incoming.bytes = bytes[len..].to_vec();
                return;
            }
            _ => {
                // A message in parts that is not whole here either.
                let head = decoder.publish_head(&bytes);
                let Ok(Decoded::Complete { packet: part, len }) = head else {
                    panic!("{event:?} for {bytes:02x?} in MQTT {version}");
                };
                let total = len + part.missing as usize;
                self.took_message(event, &part.publish, total);
            }
        }
        if self.incoming.missing == 0 {
            // It was taken to its end: drop its bytes.
            let Ok(Decoded::Complete { len, .. }) = decoder.any(&bytes) else {
                panic!("{event:?} ends what has not come: {bytes:02x?}");
            };
            self.incoming.bytes = bytes[len..].to_vec();
        } else {
            self.incoming.bytes = bytes;
        }
    }

    /// A message, or a part of one, was taken; `total` is the length of its packet.
    fn took_message(&mut self, event: Event, publish: &Publish<'_>, total: usize) {
        let message = self.client.message();
        let payload = message.payload.to_vec();
        if self.incoming.missing == 0 {
            let here = total.min(self.buffer);
            self.incoming.missing = total - here;
            self.incoming.unread -= here;
            self.counters.hit_if(total > here, "payload in parts");
            if event == Event::Message {
                assert_eq!(message.missing as usize, total - here);
                self.incoming.arriving = Some(Shown {
                    topic: message.topic.to_owned(),
                    qos: message.qos,
                    retain: message.retain,
                    payload,
                });
                let left = message.properties.message_expiry_interval();
                assert_eq!(left, publish.properties.message_expiry_interval());
            } else {
                assert_eq!(event, Event::Nothing, "a repetition");
                assert_eq!(publish.delivery.qos(), QoS::ExactlyOnce);
                self.counters.hit("repetition not delivered");
            }
        } else {
            let here = self.incoming.unread.min(self.incoming.missing);
            self.incoming.missing -= here;
            self.incoming.unread -= here;
            if let Some(arriving) = &mut self.incoming.arriving {
                assert_eq!((event, payload.len()), (Event::Part, here));
                assert_eq!(message.missing as usize, self.incoming.missing);
                arriving.payload.extend(payload);
            } else {
                assert_eq!(event, Event::Nothing);
            }
        }
        if self.incoming.missing > 0 {
            return;
        }
        self.watch.took_publish(publish.delivery);
        if let Some(shown) = self.incoming.arriving.take() {
            let number = number_of(&shown.payload);
            self.counters
                .trace(|| format!("{}: the client takes message {number}", self.now));
            self.down.presented(number, &shown, false, || ());
            self.watch.settled(publish.delivery, ());
        }
    }

    /// The connection is gone: what the client was given is, too.
    pub(super) fn cut_client(&mut self) {
        let inside = !self.wire.is_empty() || self.incoming.has_any();
        self.counters.hit_if(inside, "cut inside a packet");
        self.counters
            .hit_if(self.incoming.missing > 0, "cut inside a payload");
        self.client.close();
        self.link.clear();
        self.wire.clear();
        self.incoming = Incoming::default();
        self.watch.cut();
    }
}

fn number_of(payload: &[u8]) -> usize {
    let number = payload
        .first_chunk::<4>()
        .map(|bytes| u32::from_be_bytes(*bytes));
    number.expect("every payload begins with its number") as usize
}
