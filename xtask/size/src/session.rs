//! A whole client over the session: connects, subscribes, sends its queue, receives, keeps alive, and says goodbye.

use mqtt_codec::{
    Connect, Decoded, PacketId, Properties, QoS, ReasonCode, SubscribeFilter, SubscriptionOptions,
    Version,
};
use mqtt_session::storage::Fixed;
use mqtt_session::{
    Change, ClientEvent, ClientSession, Instant, Limits, Outbox, Outcome, OutgoingMessage, Output,
    Owner, Profile, Publication, Seq, SliceTx, Topic,
};

use crate::wire;

/// Four messages in flight each way, two answers owed, no topic aliases.
pub type Tables = Fixed<4, 4, 2>;

/// The session that a program of profile `P` holds.
pub type Held<P> = ClientSession<P, Tables>;

/// Bytes of the longest packet in either direction.
const BUFFER: usize = 256;

/// A queue of four messages with payloads of four bytes, and no disk.
struct Device {
    limits: Limits,
    /// Place of the first message that may still be needed.
    first: u64,
    /// Place after the last message.
    end: u64,
    payloads: [[u8; 4]; 4],
    ended: [bool; 4],
    qos: QoS,
}

impl Device {
    const fn slot(seq: u64) -> usize {
        (seq % 4) as usize
    }

    /// Puts a message at the end, unless the queue is full.
    fn push(&mut self, payload: [u8; 4]) {
        if self.end < self.first + 4 {
            let slot = Self::slot(self.end);
            self.payloads[slot] = payload;
            self.ended[slot] = false;
            self.end += 1;
        }
    }

    fn end(&mut self, seq: Seq) {
        self.ended[Self::slot(seq.0)] = true;
        while self.first < self.end && self.ended[Self::slot(self.first)] {
            self.first += 1;
        }
    }
}

impl Outbox for Device {
    fn next(&mut self, from: Seq) -> Option<Seq> {
        let seq = from.0.max(self.first);
        (seq < self.end).then_some(Seq(seq))
    }

    fn message(&mut self, seq: Seq) -> Option<OutgoingMessage<'_>> {
        (seq.0 >= self.first && seq.0 < self.end).then_some(OutgoingMessage {
            topic: "reading",
            qos: self.qos,
            retain: false,
            expires: None,
            subscription_ids: &[],
            properties: Properties::EMPTY,
            payload_len: 4,
        })
    }

    fn done(&mut self, seq: Seq, _: Outcome) {
        self.end(seq);
    }
}

impl Owner for Device {
    type Gate = ();

    fn record(&mut self, _: Change) {}

    fn committed(&self) {}

    fn limits(&self) -> &Limits {
        &self.limits
    }
}

/// Runs the client for ever; the wire and the clock are the optimiser's unknowns.
#[inline(always)]
pub fn run<P: Profile<Gate = ()>>(version: Version) -> ! {
    let mut limits = Limits::DEFAULT;
    limits.receive_maximum = 4;
    limits.send_maximum = 4;
    limits.maximum_packet_size = BUFFER as u32;
    let mut device = Device {
        limits,
        first: 0,
        end: 0,
        payloads: [[0; 4]; 4],
        ended: [false; 4],
        qos: P::MAX_QOS,
    };
    let mut session = Held::<P>::new();
    loop {
        connection(&mut session, &mut device, version);
    }
}

/// One connection from CONNECT to its end.
#[inline(always)]
fn connection<P: Profile<Gate = ()>>(session: &mut Held<P>, device: &mut Device, version: Version) {
    let (mut rx, mut tx) = ([0; BUFFER], [0; BUFFER]);
    let mut filled = 0;
    let mut tx = SliceTx::new(&mut tx);
    let properties = [mqtt_codec::Property::ReceiveMaximum(RECEIVE_MAXIMUM)];
    let connect = Connect {
        version,
        clean_start: false,
        keep_alive: 60,
        client_id: "sensor",
        will: None,
        user_name: None,
        password: None,
        properties: if version.is_v5() {
            Properties::List(&properties)
        } else {
            Properties::EMPTY
        },
        bridge: false,
    };
    if session.connect(&connect, &mut tx, clock(), device).is_err() {
        return;
    }
    loop {
        device.push(wire::take());
        loop {
            match session.poll_output(&mut tx, clock(), device) {
                Output::Idle => break,
                Output::Wrote => {}
                Output::Publish { seq, last_use } => {
                    flush(&mut tx);
                    wire::write(&device.payloads[Device::slot(seq.0)]);
                    if last_use {
                        device.end(seq);
                    }
                }
                Output::Full => flush(&mut tx),
                Output::Close => {
                    flush(&mut tx);
                    session.close(clock());
                    return;
                }
            }
        }
        flush(&mut tx);
        if session.timeout(clock(), &device.limits).is_err() {
            continue;
        }
        if wire::take() == [0; 4] {
            session.disconnect(ReasonCode::SUCCESS);
            continue;
        }
        filled = BUFFER.min(filled + wire::read(rx.get_mut(filled..).unwrap_or_default()));
        session.heard(clock());
        let mut used = 0;
        while session.wants_input() {
            let bytes = rx.get(used..filled).unwrap_or_default();
            match session.decoder(&device.limits).from_server(bytes) {
                Ok(Decoded::NeedMore(_)) => break,
                Ok(Decoded::Complete { packet, len }) => {
                    used += len;
                    // A violation is answered, and the connection closed, by the next poll.
                    if let Ok(event) = session.handle(&packet, clock(), device) {
                        act(session, event, &mut tx);
                    }
                }
                Err(error) => {
                    session.malformed(error);
                    break;
                }
            }
        }
        // The smaller is known to be the smaller: no panic is linked.
        let used = used.min(filled);
        rx.copy_within(used..filled, 0);
        filled -= used;
    }
}

#[inline(always)]
fn act<P: Profile<Gate = ()>>(session: &mut Held<P>, event: ClientEvent<'_>, tx: &mut SliceTx<'_>) {
    match event {
        ClientEvent::Connected(connack) if !connack.session_present => {
            let filters = [SubscribeFilter {
                filter: "set",
                options: SubscriptionOptions::new(P::MAX_QOS),
            }];
            let id: Option<PacketId> = session
                .subscribe(&filters, Properties::EMPTY, tx, clock())
                .ok();
            core::hint::black_box(id);
        }
        ClientEvent::Publication(Publication {
            delivery,
            topic,
            payload,
            ..
        }) => {
            if let Topic::Name(name) = topic {
                wire::write(name.as_str().as_bytes());
            }
            wire::write(payload);
            if let Some(delivery) = delivery {
                session.settle(delivery, ReasonCode::SUCCESS, ());
            }
        }
        ClientEvent::Subscribed(_, codes, _) => {
            codes.iter().for_each(|code| wire::write(&[code.0]))
        }
        _ => {}
    }
}

const RECEIVE_MAXIMUM: mqtt_codec::ReceiveMaximum = match mqtt_codec::ReceiveMaximum::new(4) {
    Some(maximum) => maximum,
    None => panic!("4 is in range"),
};

fn flush(tx: &mut SliceTx<'_>) {
    wire::write(tx.written());
    tx.clear();
}

#[inline(never)]
fn clock() -> Instant {
    core::hint::black_box(Instant::ZERO)
}
