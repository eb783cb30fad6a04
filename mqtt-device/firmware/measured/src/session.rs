//! [`ClientSession`] and its loop: the job with everything that a session does, and a queue of four messages.

use embedded_io::{Read, ReadReady, Write};
use firmware_board::Board;
use mqtt_codec::{
    Connect, Decoded, PacketId, Properties, QoS, ReasonCode, SubscribeFilter, SubscriptionOptions,
    Version,
};
use mqtt_session::profile::{V3, V3QoS1, V3V5};
use mqtt_session::storage::Fixed;
use mqtt_session::{
    Change, ClientEvent, ClientSession, Limits, Outbox, Outcome, OutgoingMessage, Output, Owner,
    Profile, Publication, Seq, SliceTx, Topic,
};

/// Four messages in flight each way, two answers owed, no topic aliases.
type Tables = Fixed<4, 4, 2>;

/// With MQTT 3.1.1, QoS 0 and 1.
pub fn v311_qos1<B: Board, C: Read + Write + ReadReady>(board: &B, connection: C) -> u8 {
    run::<V3QoS1, B, C>(board, connection, Version::V311)
}

/// With MQTT 3.1.1 and every QoS.
pub fn v311<B: Board, C: Read + Write + ReadReady>(board: &B, connection: C) -> u8 {
    run::<V3, B, C>(board, connection, Version::V311)
}

/// With MQTT 3.1.1 and 5.0 and every QoS; which version it is, is not known before the program runs.
pub fn v311_v5<B: Board, C: Read + Write + ReadReady>(board: &B, connection: C) -> u8 {
    let v5 = core::hint::black_box(true);
    run::<V3V5, B, C>(
        board,
        connection,
        if v5 { Version::V5 } else { Version::V311 },
    )
}

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
            topic: "job",
            qos: QoS::AtLeastOnce,
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

/// The job, on one connection.
#[inline(always)]
fn run<P: Profile<Gate = ()>, B: Board, C: Read + Write + ReadReady>(
    board: &B,
    mut connection: C,
    version: Version,
) -> u8 {
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
    };
    let mut session = ClientSession::<P, Tables>::new();
    u8::from(talk(&mut session, &mut device, board, &mut connection, version).is_none())
}

/// From CONNECT to the end of the connection; `None` if that comes before the job is done.
#[inline(always)]
fn talk<P: Profile<Gate = ()>, B: Board, C: Read + Write + ReadReady>(
    session: &mut ClientSession<P, Tables>,
    device: &mut Device,
    board: &B,
    connection: &mut C,
    version: Version,
) -> Option<()> {
    let (mut rx, mut tx) = ([0; BUFFER], [0; BUFFER]);
    let mut filled = 0;
    let mut tx = SliceTx::new(&mut tx);
    let properties = [mqtt_codec::Property::ReceiveMaximum(RECEIVE_MAXIMUM)];
    let connect = Connect {
        version,
        clean_start: true,
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
    session
        .connect(&connect, &mut tx, board.now(), device)
        .ok()?;
    let mut received = false;
    loop {
        loop {
            match session.poll_output(&mut tx, board.now(), device) {
                Output::Idle => break,
                Output::Wrote => {}
                Output::Publish { seq, last_use } => {
                    flush(&mut tx, connection)?;
                    send(connection, device.payloads.get(Device::slot(seq.0))?)?;
                    if last_use {
                        device.end(seq);
                    }
                }
                Output::Full => flush(&mut tx, connection)?,
                Output::Close => {
                    flush(&mut tx, connection)?;
                    session.close(board.now());
                    return received.then_some(());
                }
            }
        }
        flush(&mut tx, connection)?;
        if session.timeout(board.now(), &device.limits).is_err() {
            continue;
        }
        // The job is done when the message has come back and its PUBACK too.
        if received && device.first == device.end {
            session.disconnect(ReasonCode::SUCCESS);
            continue;
        }
        while !connection.read_ready().ok()? {
            board.idle(session.deadline());
            session.timeout(board.now(), &device.limits).ok()?;
        }
        filled += connection.read(rx.get_mut(filled..)?).ok()?;
        session.heard(board.now());
        let mut used = 0;
        while session.wants_input() {
            let bytes = rx.get(used..filled).unwrap_or_default();
            match session.decoder(&device.limits).from_server(bytes) {
                Ok(Decoded::NeedMore(_)) => break,
                Ok(Decoded::Complete { packet, len }) => {
                    used += len;
                    // A violation is answered, and the connection closed, by the next poll.
                    if let Ok(event) = session.handle(&packet, board.now(), device) {
                        received |= act(session, event, &mut tx, board, device);
                    }
                }
                Err(error) => {
                    session.malformed(error);
                    break;
                }
            }
        }
        // The smaller is known to be the smaller: no panic is linked.
        let end = filled.min(rx.len());
        let used = used.min(end);
        rx.copy_within(used..end, 0);
        filled = end - used;
    }
}

/// Does what an event asks for; says whether it was the message.
#[inline(always)]
fn act<P: Profile<Gate = ()>, B: Board>(
    session: &mut ClientSession<P, Tables>,
    event: ClientEvent<'_>,
    tx: &mut SliceTx<'_>,
    board: &B,
    device: &mut Device,
) -> bool {
    match event {
        ClientEvent::Connected(connack) if !connack.session_present => {
            let filters = [SubscribeFilter {
                filter: "job",
                options: SubscriptionOptions::new(QoS::AtLeastOnce),
            }];
            let id: Option<PacketId> = session
                .subscribe(&filters, Properties::EMPTY, tx, board.now())
                .ok();
            core::hint::black_box(id);
        }
        ClientEvent::Subscribed(..) => device.push(*b"21.5"),
        ClientEvent::Publication(Publication {
            delivery,
            topic,
            payload,
            ..
        }) => {
            if let Some(delivery) = delivery {
                session.settle(delivery, ReasonCode::SUCCESS, ());
            }
            return matches!(topic, Topic::Name(name) if name.as_str() == "job")
                && payload == b"21.5";
        }
        _ => {}
    }
    false
}

const RECEIVE_MAXIMUM: mqtt_codec::ReceiveMaximum = match mqtt_codec::ReceiveMaximum::new(4) {
    Some(maximum) => maximum,
    None => panic!("4 is in range"),
};

fn flush<C: Write>(tx: &mut SliceTx<'_>, connection: &mut C) -> Option<()> {
    let sent = send(connection, tx.written());
    tx.clear();
    sent
}

fn send<C: Write>(connection: &mut C, mut bytes: &[u8]) -> Option<()> {
    while !bytes.is_empty() {
        let count = connection.write(bytes).ok()?;
        bytes = bytes.get(count.max(1)..).unwrap_or_default();
    }
    connection.flush().ok()
}
