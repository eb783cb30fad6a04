//! The loop around a client of devices, driven by an input.

use std::collections::BTreeSet;

use mqtt_codec::{
    Connect, Decoded, Decoder, FromClient, FromServer, Properties, Property, QoS,
    SubscriptionOptions, TopicAlias, Version, WireProperties,
};
use mqtt_session::compact::{Compact, Device, Event, Outgoing};
use mqtt_session::{Instant, Profile};
use mqtt_topic::{TopicFilter, TopicName};

use super::ledger::{Handed, Ledger};
use crate::compact::{Habits, Listed, overhead, versions};
use crate::fuzz::Shape;
use crate::fuzz::grammar::Grammar;
use crate::fuzz::input::Input;
use crate::packets::{Raw, connack, pingresp, puback, pubcomp, publish1, pubrec, suback, unsuback};

/// Operations carried out in one input.
const MOST_STEPS: u32 = 300;
/// Turns after which a client must have come to rest.
const MOST_TURNS: usize = 5_000;
/// Each has an alias of its own.
const TOPICS: [&str; 4] = ["a", "a/b", "sensors/4/temperature", "b"];
const PROPERTIES: [&[Property<'static>]; 3] = [
    &[],
    &[Property::MessageExpiryInterval(60)],
    &[
        Property::ContentType("text/plain"),
        Property::UserProperty("k", "v"),
    ],
];

/// A client under test.
pub(super) struct Drive<'m, D: Device> {
    machine: Compact<'m, D, Listed>,
    now: Instant,
    version: Version,
    ledger: Ledger,
    /// From the server, not read yet; and everything that was read on this connection.
    rx: Vec<u8>,
    read: Vec<u8>,
    /// Written, not yet a whole packet.
    tx: Vec<u8>,
    /// Whole packets that were written, for a server that answers.
    heard: Vec<Vec<u8>>,
    /// What is still to come of a message in parts.
    missing: u32,
    shape: Shape,
}

impl<D: Device> Drive<'_, D> {
    /// Runs one input to its end.
    pub(super) fn run(mut input: Input<'_>) -> Shape {
        let spoken = versions::<D>();
        let version = spoken[input.below(spoken.len())];
        let choice = input.byte();
        let habits = Habits {
            room: [1_000, 60, 200, 4_000][usize::from(choice & 3)],
            piece: [usize::MAX, 1, 5, 30][usize::from(choice >> 2 & 3)],
            lazy: choice & 16 != 0,
        };
        let buffer = [64, 48, 100, 300][usize::from(choice >> 5 & 3)];
        let mut memory = vec![0xA5; overhead::<D>(version) + buffer];
        let mut drive = Drive::<'_, D> {
            machine: Compact::new(&mut memory, Listed::new(habits), version),
            now: Instant::from_millis(1_000),
            version,
            ledger: Ledger::new(version, D::EARLY),
            rx: Vec::new(),
            read: Vec::new(),
            tx: Vec::new(),
            heard: Vec::new(),
            missing: 0,
            shape: Shape::default(),
        };
        drive.open(&mut input);
        while !input.is_empty() && drive.shape.steps < MOST_STEPS {
            drive.shape.steps += 1;
            drive.step(&mut input);
        }
        drive.rescue();
        drive.shape
    }

    fn queued(&self) -> BTreeSet<u16> {
        let waiting = self.machine.queue().waiting();
        waiting.map(|(record, _)| record.id).collect()
    }

    fn cut(&mut self) {
        self.machine.close();
        self.rx.clear();
        self.tx.clear();
        self.missing = 0;
    }

    fn connect(&mut self, clean_start: bool, keep_alive: u16) {
        self.cut();
        self.read.clear();
        self.ledger.open(D::WINDOW);
        let connect = Connect {
            clean_start,
            keep_alive,
            ..Connect::new(self.version, "c")
        };
        let connected = self.machine.connect(&connect, self.now);
        assert_eq!(connected, Ok(()), "the buffer holds it");
        // In 3.1 a session may have ended with its connection.
        if clean_start || self.version == Version::V31 {
            self.ledger.forget(&self.queued());
        }
    }

    /// A new connection, and most often an answer to CONNECT.
    fn open(&mut self, input: &mut Input<'_>) {
        let choice = input.byte();
        let keep_alive = [0, 10, 1, 60][usize::from(choice >> 1 & 3)];
        self.connect(choice & 1 != 0, keep_alive);
        if choice < 0xe0 {
            self.write(usize::MAX);
            self.grammar(&[]).hello(input, &mut self.rx);
            self.take(usize::MAX);
        }
    }

    const fn grammar<'a>(&self, awaited: &'a [u16]) -> Grammar<'a> {
        Grammar {
            version: self.version,
            client: false,
            awaited,
        }
    }

    fn step(&mut self, input: &mut Input<'_>) {
        let operation = input.byte();
        match operation % 32 {
            0..=9 if self.machine.is_closing() => {
                self.write(usize::MAX);
                self.open(input);
            }
            0..=9 => {
                let awaited: Vec<u16> = self.queued().into_iter().filter(|id| *id != 0).collect();
                let mut packet = Vec::new();
                self.grammar(&awaited).packet(input, &mut packet);
                if operation >= 0xe0 {
                    // The rest of it comes with what is sent next, or never.
                    packet.truncate(input.below(packet.len().min(256)));
                }
                self.rx.extend(packet);
                if operation & 0x80 == 0 {
                    self.write(usize::MAX);
                }
                self.take([usize::MAX, 1, 7][usize::from(operation >> 5 & 3) % 3]);
            }
            10..=12 => self.rest(),
            13 => {
                self.write(usize::from(operation >> 5));
            }
            14..=18 => self.publish(input),
            19 | 20 => self.request(operation & 0x20 != 0),
            21 => self.pass(u64::from(operation >> 5) * 300),
            22 => self.pass(u64::from(operation >> 5) * 5_000),
            23 | 24 => self.open(input),
            25 => self.machine.disconnect(),
            26 => self.write_one(),
            _ => {
                self.write(usize::MAX);
                self.take(usize::MAX);
            }
        }
    }

    fn publish(&mut self, input: &mut Input<'_>) {
        let choice = input.byte();
        let at = usize::from(choice & 3);
        let handed = Handed {
            topic: TOPICS[at],
            qos: [
                QoS::AtMostOnce,
                QoS::AtLeastOnce,
                QoS::ExactlyOnce,
                QoS::ExactlyOnce,
            ][usize::from(choice >> 2 & 3)],
            retain: choice & 0x10 != 0,
            properties: PROPERTIES[usize::from(choice >> 6) % 3],
        };
        let mut payload = self.ledger.next().to_string().into_bytes();
        payload.push(b' ');
        payload.resize(payload.len() + input.below(150), b'.');
        let mut memory = [0; 64];
        let properties = Properties::List(handed.properties).write_publish(&mut memory);
        let message = Outgoing {
            qos: handed.qos,
            retain: handed.retain,
            alias: TopicAlias::new(at as u16 + 1).filter(|_| choice & 0x20 != 0),
            properties: properties.unwrap_or(WireProperties::EMPTY),
            ..Outgoing::new(TopicName::new(handed.topic).expect("a topic"), &payload)
        };
        match self.machine.publish(&message) {
            Ok(id) => {
                assert!(handed.qos <= <D::Profile as Profile>::MAX_QOS);
                assert_eq!(id.is_some(), handed.qos != QoS::AtMostOnce);
                self.ledger.hand(handed, id.map(mqtt_codec::PacketId::get));
            }
            Err(_) => {
                let fits = payload.len() < 8 && handed.qos <= <D::Profile as Profile>::MAX_QOS;
                assert!(!fits || !self.queued().is_empty(), "an empty queue is full");
            }
        }
    }

    fn request(&mut self, subscribe: bool) {
        let filter = TopicFilter::new("a/#").expect("a filter");
        let asked = if subscribe {
            let options = SubscriptionOptions::new(QoS::AtLeastOnce);
            self.machine.subscribe(filter, options)
        } else {
            self.machine.unsubscribe(filter)
        };
        if let Ok(id) = asked {
            assert!(self.ledger.asked.insert(id.get()), "{id:?} is in use");
        }
    }

    fn pass(&mut self, ms: u64) {
        self.now = self.now.plus_millis(ms);
        self.machine.timeout(self.now);
    }

    /// Writes one piece, whole.
    fn write_one(&mut self) {
        let len = self.machine.output(self.now).len();
        self.write(len);
    }

    /// Writes so many bytes, or as many as there are; gives their number.
    fn write(&mut self, most: usize) -> usize {
        let mut left = most;
        for _ in 0..MOST_TURNS {
            let output = self.machine.output(self.now);
            let len = output.len().min(left);
            if len == 0 || self.machine.is_closed() {
                return most - left;
            }
            let output = self.machine.output(self.now);
            self.tx.extend(&output[..len]);
            self.machine.written(len, self.now);
            left -= len;
            self.look();
        }
        panic!("it writes without end");
    }

    /// Looks at the whole packets that were written.
    fn look(&mut self) {
        let tx = core::mem::take(&mut self.tx);
        let mut rest = &tx[..];
        while let Decoded::Complete { packet, len } = Decoder::new(self.version)
            .from_client(rest)
            .unwrap_or_else(|error| panic!("{error} in {rest:?}"))
        {
            self.ledger.wrote(&packet, len);
            self.heard.push(rest[..len].to_vec());
            rest = &rest[len..];
        }
        self.tx = rest.to_vec();
    }

    /// Reads what is there, so many bytes at once, and takes what comes of it; whether anything did.
    fn take(&mut self, most: usize) -> bool {
        let mut moved = false;
        loop {
            let mut events = 0;
            while self.event() {
                events += 1;
                assert!(events < MOST_TURNS, "events without end");
            }
            let closes = self.machine.is_closing() || self.machine.is_closed();
            let input = self.machine.input();
            let len = input.len().min(self.rx.len()).min(most);
            moved |= events > 0 || len > 0;
            if closes || len == 0 {
                return moved;
            }
            input[..len].copy_from_slice(&self.rx[..len]);
            self.machine.filled(len, self.now);
            self.read.extend(self.rx.drain(..len));
        }
    }

    /// Takes an event; whether there may be another.
    fn event(&mut self) -> bool {
        let event = self.machine.event(self.now);
        let message = self.machine.message();
        match event {
            Event::Waiting => return false,
            Event::Broken => {}
            Event::Nothing | Event::Refused(_) | Event::Disconnected(_) => {
                assert!(message.topic.is_empty() && message.payload.is_empty());
            }
            Event::Connected {
                session_present, ..
            } => {
                self.shape.decodes = true;
                let decoded = Decoder::new(self.version).from_server(&self.read);
                let Ok(Decoded::Complete {
                    packet: FromServer::ConnAck(connack),
                    ..
                }) = decoded
                else {
                    panic!("what was read is no CONNACK: {:?}", self.read)
                };
                assert_eq!(connack.session_present, session_present);
                self.ledger.connected(&connack);
                if !session_present {
                    self.ledger.forget(&self.queued());
                }
            }
            Event::Message => {
                assert_eq!(self.missing, 0, "in the middle of another");
                assert!(TopicName::new(message.topic).is_ok(), "{message:?}");
                self.missing = message.missing;
                self.ledger.taken += usize::from(message.qos == QoS::AtLeastOnce);
            }
            Event::Part => {
                let len = message.payload.len() as u32;
                assert_eq!(self.missing, len + message.missing, "{message:?}");
                assert!(len > 0 && message.topic.is_empty());
                self.missing = message.missing;
            }
            Event::Skipped => self.ledger.taken += 1,
            Event::Acknowledged(id, _) => self.ledger.ended(id.get()),
            Event::Subscribed(id, _) | Event::Unsubscribed(id) => self.ledger.answered(id.get()),
            Event::Lost | Event::Misuse(_) => unreachable!("a driver's word"),
        }
        true
    }

    /// Writes and reads until nothing moves; then nothing may be due at once.
    fn rest(&mut self) {
        for _ in 0..4 {
            for _ in 0..MOST_TURNS {
                let written = self.write(usize::MAX);
                if !self.take(usize::MAX) && written == 0 {
                    break;
                }
            }
            let due = self.machine.deadline(self.now);
            if due.is_none_or(|due| due > self.now) {
                return;
            }
            self.machine.timeout(self.now);
        }
        panic!("something is due at once for ever: {:?}", self.queued());
    }

    /// A healthy server: everything comes to its end, and then a message arrives.
    fn rescue(&mut self) {
        self.rest();
        self.connect(false, 0);
        for _ in 0..MOST_TURNS {
            self.pass(D::HOLD_MS.into());
            self.serve();
            if !self.take(usize::MAX) && self.queued().is_empty() {
                break;
            }
        }
        let left = self.queued();
        assert!(left.is_empty(), "{left:?} wait: {:?}", self.machine);
        assert!(self.machine.is_connected(), "{:?}", self.machine);
        let Ledger {
            published, asked, ..
        } = &self.ledger;
        assert!(published.is_empty(), "no word of {published:?}");
        assert!(asked.is_empty(), "no answer to {asked:?}");
        let taken = self.ledger.taken;
        self.rx.extend(publish1(9, "healthy").bytes(self.version));
        self.take(usize::MAX);
        assert_eq!(self.ledger.taken, taken + 1, "{:?}", self.machine);
    }

    /// Answers all that is written.
    fn serve(&mut self) {
        self.heard.clear();
        self.write(usize::MAX);
        for packet in core::mem::take(&mut self.heard) {
            let Ok(Decoded::Complete { packet, .. }) =
                Decoder::new(self.version).from_client(&packet)
            else {
                panic!("it was whole")
            };
            let version = self.version;
            self.rx.extend(match packet {
                FromClient::Connect(_) => connack(false).bytes(version),
                FromClient::Publish(publish) => {
                    match (publish.delivery.packet_id(), publish.delivery.qos()) {
                        (Some(id), QoS::AtLeastOnce) => puback(id.get()).bytes(version),
                        (Some(id), _) => pubrec(id.get()).bytes(version),
                        (None, _) => continue,
                    }
                }
                FromClient::PubRel(pubrel) => pubcomp(pubrel.packet_id.get()).bytes(version),
                FromClient::Subscribe(subscribe) => {
                    suback(subscribe.packet_id.get(), &[0]).bytes(version)
                }
                FromClient::Unsubscribe(unsubscribe) => {
                    let code: &[u8] = if version.is_v5() { &[0] } else { &[] };
                    unsuback(unsubscribe.packet_id.get(), code).bytes(version)
                }
                FromClient::PingReq => pingresp(),
                _ => continue,
            });
        }
    }
}
