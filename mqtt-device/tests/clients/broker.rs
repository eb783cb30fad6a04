//! A line in memory, and a broker at its other end that keeps one session.

use core::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use embedded_io::{ErrorKind, ErrorType, Read, ReadReady, Write};
use mqtt_codec::{
    ConnAck, Decoded, Decoder, Delivery, FromClient, PINGRESP, PacketId, Properties, Property,
    PubAck, PubComp, PubRec, PubRel, Publish, ReasonCode, ReasonCodes, SubAck, Version,
};

/// Bytes on their way, and the place at which the line is cut.
#[derive(Debug)]
pub(crate) struct Line {
    to_broker: VecDeque<u8>,
    to_device: VecDeque<u8>,
    /// Most bytes that one call moves.
    piece: usize,
    /// Cut once this many bytes have passed, of both directions together.
    cut_at: Option<usize>,
    /// Bytes that have passed.
    pub(crate) passed: usize,
    pub(crate) dials: u32,
    /// Calls that have written something.
    pub(crate) writes: u32,
    open: bool,
}

impl Line {
    pub(crate) fn new(piece: usize, cut_at: Option<usize>) -> Rc<RefCell<Self>> {
        Rc::new(RefCell::new(Self {
            to_broker: VecDeque::new(),
            to_device: VecDeque::new(),
            piece,
            cut_at,
            passed: 0,
            dials: 0,
            writes: 0,
            open: false,
        }))
    }

    /// Whether nothing is on its way.
    pub(crate) fn is_quiet(&self) -> bool {
        self.to_broker.is_empty() && self.to_device.is_empty()
    }

    /// A byte is about to pass: says whether the line still holds.
    fn holds(&mut self) -> bool {
        if self.cut_at == Some(self.passed) {
            self.cut_at = None;
            self.open = false;
            self.to_broker.clear();
            self.to_device.clear();
        }
        self.passed += usize::from(self.open);
        self.open
    }
}

/// The device's end.
#[derive(Debug)]
pub(crate) struct Wire(Rc<RefCell<Line>>);

impl Wire {
    pub(crate) fn open(line: &Rc<RefCell<Line>>) -> Result<Self, ErrorKind> {
        let mut this = line.borrow_mut();
        this.open = true;
        this.dials += 1;
        this.to_broker.clear();
        this.to_device.clear();
        Ok(Self(Rc::clone(line)))
    }
}

impl ErrorType for Wire {
    type Error = ErrorKind;
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        let mut line = self.0.borrow_mut();
        let most = line.piece.min(buffer.len());
        let mut count = 0;
        while count < most && !line.to_device.is_empty() {
            if !line.holds() {
                break;
            }
            buffer[count] = line.to_device.pop_front().expect("looked for above");
            count += 1;
        }
        Ok(count)
    }
}

impl ReadReady for Wire {
    fn read_ready(&mut self) -> Result<bool, ErrorKind> {
        let line = self.0.borrow();
        Ok(!line.open || !line.to_device.is_empty())
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        let mut line = self.0.borrow_mut();
        let mut count = 0;
        for byte in bytes.iter().take(line.piece) {
            if !line.holds() {
                break;
            }
            line.to_broker.push_back(*byte);
            count += 1;
        }
        if count == 0 {
            return Err(ErrorKind::BrokenPipe);
        }
        line.writes += 1;
        Ok(count)
    }

    fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}

/// A broker that knows one client, which it sends two commands, one with QoS 1 and one with QoS 2.
#[derive(Debug)]
pub(crate) struct Broker {
    version: Version,
    /// Payloads of PUBLISH, those of QoS 2 once only.
    pub(crate) received: Vec<Vec<u8>>,
    pub(crate) topic_alias_maximum: u16,
    session: bool,
    connected: bool,
    subscribed: bool,
    /// QoS 2 ids that were not released.
    unreleased: Vec<u16>,
    topic: String,
    /// What the device has not acknowledged: id, payload, whether its PUBREC came.
    commands: Vec<(u16, &'static [u8], bool)>,
    bytes: Vec<u8>,
    dials: u32,
}

impl Broker {
    pub(crate) fn new(version: Version) -> Self {
        Self {
            version,
            received: Vec::new(),
            topic_alias_maximum: 0,
            session: false,
            connected: false,
            subscribed: false,
            unreleased: Vec::new(),
            topic: String::new(),
            commands: Vec::new(),
            bytes: Vec::new(),
            dials: 0,
        }
    }

    /// Whether the device has acknowledged everything.
    pub(crate) fn is_settled(&self) -> bool {
        self.subscribed && self.commands.is_empty() && self.unreleased.is_empty()
    }

    /// Takes what has come, and answers it.
    pub(crate) fn serve(&mut self, line: &mut Line) {
        if self.dials != line.dials {
            self.dials = line.dials;
            self.bytes.clear();
            self.connected = false;
        }
        self.bytes.extend(line.to_broker.drain(..));
        let mut out = Vec::new();
        let bytes = core::mem::take(&mut self.bytes);
        let mut rest = bytes.as_slice();
        while let Decoded::Complete { packet, len } = Decoder::new(self.version)
            .from_client(rest)
            .expect("the device writes valid packets")
        {
            self.packet(&packet, &mut out);
            rest = &rest[len..];
        }
        self.bytes = rest.to_vec();
        line.to_device.extend(out);
    }

    fn packet(&mut self, packet: &FromClient<'_>, out: &mut Vec<u8>) {
        let version = self.version;
        let mut room = [0; 64];
        assert!(
            self.connected || matches!(packet, FromClient::Connect(_)),
            "{packet:?} before CONNECT"
        );
        let len = match packet {
            FromClient::Connect(connect) => {
                assert!(!connect.clean_start());
                self.connected = true;
                let aliases = [Property::TopicAliasMaximum(self.topic_alias_maximum)];
                let answer = ConnAck {
                    session_present: self.session,
                    reason: ReasonCode::SUCCESS,
                    properties: Properties::List(&aliases),
                };
                self.session = true;
                let len = answer.encode(version, &mut room).expect("room");
                out.extend(&room[..len]);
                return self.send_commands(true, out);
            }
            FromClient::Publish(publish) => return self.publish(publish, out),
            FromClient::Subscribe(subscribe) => {
                let answer = SubAck {
                    packet_id: subscribe.packet_id,
                    properties: Properties::EMPTY,
                    codes: ReasonCodes::new(&[2]),
                };
                let len = answer.encode(version, &mut room).expect("room");
                out.extend(&room[..len]);
                if !self.subscribed {
                    self.subscribed = true;
                    self.commands = vec![(900, b"every 10", false), (901, b"every 20", false)];
                    self.send_commands(false, out);
                }
                return;
            }
            FromClient::PubAck(ack) => {
                assert_eq!(ack.packet_id.get(), 900);
                self.commands.retain(|(id, ..)| *id != 900);
                return;
            }
            FromClient::PubRec(ack) => {
                for (id, _, released) in &mut self.commands {
                    *released |= *id == ack.packet_id.get();
                }
                let answer = PubRel::new(ack.packet_id);
                answer.encode(version, &mut room).expect("room")
            }
            FromClient::PubComp(ack) => {
                let id = ack.packet_id.get();
                self.commands.retain(|(command, ..)| *command != id);
                return;
            }
            FromClient::PubRel(release) => {
                self.unreleased.retain(|id| *id != release.packet_id.get());
                let answer = PubComp::new(release.packet_id);
                answer.encode(version, &mut room).expect("room")
            }
            FromClient::PingReq => {
                room[..2].copy_from_slice(&PINGRESP);
                2
            }
            other => panic!("{other:?}"),
        };
        out.extend(&room[..len]);
    }

    fn publish(&mut self, publish: &Publish<'_>, out: &mut Vec<u8>) {
        if publish.topic.is_empty() {
            assert!(publish.properties.topic_alias().is_some());
        } else {
            self.topic = publish.topic.to_owned();
        }
        assert_eq!(self.topic, super::TOPIC.as_str());
        let mut room = [0; 8];
        let len = match publish.delivery {
            Delivery::AtMostOnce => return,
            Delivery::AtLeastOnce(id) => {
                self.received.push(publish.payload.to_vec());
                PubAck::new(id)
                    .encode(self.version, &mut room)
                    .expect("room")
            }
            Delivery::ExactlyOnce(id) => {
                if !self.unreleased.contains(&id.get()) {
                    self.unreleased.push(id.get());
                    self.received.push(publish.payload.to_vec());
                }
                PubRec::new(id)
                    .encode(self.version, &mut room)
                    .expect("room")
            }
        };
        out.extend(&room[..len]);
    }

    fn send_commands(&self, again: bool, out: &mut Vec<u8>) {
        let mut room = [0; 128];
        for (id, payload, released) in &self.commands {
            let packet_id = PacketId::new(*id).expect("not 0");
            let len = if *released {
                PubRel::new(packet_id).encode(self.version, &mut room)
            } else {
                let publish = Publish {
                    dup: again,
                    retain: false,
                    delivery: match id {
                        900 => Delivery::AtLeastOnce(packet_id),
                        _ => Delivery::ExactlyOnce(packet_id),
                    },
                    topic: super::COMMANDS.as_str(),
                    properties: Properties::EMPTY,
                    payload,
                };
                publish.encode(self.version, &mut room)
            };
            out.extend(&room[..len.expect("room")]);
        }
    }
}

#[cfg(feature = "async")]
impl embedded_io_async::Read for Wire {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        core::future::poll_fn(|_| match ReadReady::read_ready(self) {
            Ok(true) => core::task::Poll::Ready(Read::read(self, buffer)),
            Ok(false) => core::task::Poll::Pending,
            Err(error) => core::task::Poll::Ready(Err(error)),
        })
        .await
    }
}

#[cfg(feature = "async")]
impl embedded_io_async::Write for Wire {
    /// Takes bytes at the second poll only: a future that is dropped before has taken none.
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        once_pending().await;
        Write::write(self, bytes)
    }

    async fn flush(&mut self) -> Result<(), ErrorKind> {
        once_pending().await;
        Ok(())
    }
}

/// Is pending once.
#[cfg(feature = "async")]
pub(crate) async fn once_pending() {
    let mut was_polled = false;
    core::future::poll_fn(|_| {
        if was_polled {
            return core::task::Poll::Ready(());
        }
        was_polled = true;
        core::task::Poll::Pending
    })
    .await;
}
