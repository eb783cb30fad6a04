//! The loop around a session, driven by an input: what both roles have in common.

use core::fmt::Debug;

use mqtt_codec::{
    AnyVersion, DecodeError, Decoded, Decoder, Packet, PacketId, PacketType, QoS, ReasonCode,
    Version,
};
use mqtt_session::{
    Change, DeliveryId, Expires, Instant, Outbox, Output, Profile, Publication, Role, Seq, Session,
    SessionState, Topic, Violation,
};

use super::super::Shape;
use super::super::grammar::Grammar;
use super::super::input::Input;
use super::ledger::{Ledger, Position};
use crate::owners::{Kind, Message, Note, TestOwner};
use crate::script::Bounded;

/// Operations carried out in one input.
const MOST_STEPS: u32 = 300;
/// Calls after which a session must have come to rest.
const MOST_POLLS: usize = 5_000;

/// What both roles make of an event.
pub(super) enum Happened {
    Nothing,
    /// A message; its topic as the session names it.
    Message(Option<DeliveryId>, String),
    /// A CONNECT, and whether it wants a clean start.
    Connect(bool),
    Auth,
    Subscribe(usize),
    Unsubscribe(usize),
}

/// What was asked of the owner.
#[derive(Clone, Copy, Debug)]
pub(super) enum Question {
    Connect { clean: bool },
    Auth,
    Subscribe(PacketId, usize),
    Unsubscribe(PacketId, usize),
}

/// A message that was not settled.
#[derive(Clone, Copy, Debug)]
struct Unsettled {
    delivery: DeliveryId,
    id: PacketId,
    exactly_once: bool,
    received: Position,
}

/// What happens at once.
#[derive(Clone, Copy, Debug)]
struct Eager {
    /// Questions are answered.
    answers: bool,
    /// Messages are settled with success.
    settles: bool,
    /// Changes become durable.
    commits: bool,
    /// Output is written.
    polls: bool,
}

impl Eager {
    const fn new(choice: u8) -> Self {
        Self {
            // Without answers a server does not get far.
            answers: choice & 0x11 != 0x11,
            settles: choice & 2 == 0,
            commits: choice & 4 == 0,
            polls: choice & 8 == 0,
        }
    }
}

/// A role under test.
pub(super) trait Side: Role + Debug + Sized {
    /// Whether it is a client.
    const CLIENT: bool;
    /// Begins a connection.
    fn open<K: Kind>(drive: &mut Drive<Self, K>, input: &mut Input<'_>);
    /// Reads a packet of the peer's.
    fn decode<'a>(
        decoder: &Decoder<impl AnyVersion>,
        bytes: &'a [u8],
    ) -> Result<Decoded<Packet<'a>>, DecodeError>;
    /// Reads a packet of its own.
    fn decode_own<'a>(
        decoder: &Decoder<impl AnyVersion>,
        bytes: &'a [u8],
    ) -> Result<Decoded<Packet<'a>>, DecodeError>;
    /// Takes the packet at the front, with `part` only the beginning of its payload.
    fn handle<K: Kind>(
        drive: &mut Drive<Self, K>,
        bytes: &[u8],
        part: bool,
    ) -> Result<Happened, Violation>;
    /// Something that only this role is asked for by its owner.
    fn command<K: Kind>(drive: &mut Drive<Self, K>, input: &mut Input<'_>);
    /// The owner's answer to what it was asked.
    fn answer<K: Kind>(drive: &mut Drive<Self, K>, question: Question, input: &mut Input<'_>);
}

/// A session under test.
#[derive(Debug)]
pub(super) struct Drive<R: Role, K: Kind> {
    pub(super) session: Session<R, K::Profile, K::Storage>,
    pub(super) owner: K::Owner,
    pub(super) now: Instant,
    /// What the next connection speaks.
    pub(super) version: Version,
    pub(super) ledger: Ledger,
    pub(super) question: Option<Question>,
    /// A server has a session to resume.
    pub(super) exists: bool,
    /// What happens at once, without an operation of its own.
    eager: Eager,
    rx: Vec<u8>,
    unsettled: Vec<Unsettled>,
    /// The rest of a payload, and the message that it belongs to.
    arriving: Option<(usize, Option<DeliveryId>)>,
    shape: Shape,
}

impl<R: Side, K: Kind> Drive<R, K> {
    /// Runs one input to its end.
    pub(super) fn run(mut input: Input<'_>) -> Shape {
        let mut drive = Self {
            session: Session::new(),
            owner: K::Owner::default(),
            now: Instant::from_millis(1_000),
            version: Version::V5,
            ledger: Ledger::default(),
            question: None,
            exists: false,
            eager: Eager::new(input.byte()),
            rx: Vec::new(),
            unsettled: Vec::new(),
            arriving: None,
            shape: Shape::default(),
        };
        drive.owner.set_method("x");
        drive.set_limits(&mut input);
        drive.open(&mut input);
        while !input.is_empty() && drive.shape.steps < MOST_STEPS {
            drive.shape.steps += 1;
            drive.step(&mut input);
            drive.bounds();
        }
        drive.commit(usize::MAX);
        drive.poll(usize::MAX);
        drive.cut();
        drive.bounds();
        drive.shape
    }

    fn set_limits(&mut self, input: &mut Input<'_>) {
        let limits = self.owner.limits_mut();
        let choice = input.byte();
        let pick = |shift: u8| usize::from(choice >> shift & 3);
        limits.receive_maximum = [1_000, 1, 2, 4][pick(0)].min(K::ROOM);
        limits.unannounced_receive_maximum = [1_000, 3, 2, 1][pick(0)];
        limits.send_maximum = [1_000, 1, 2, 5][pick(2)];
        limits.unannounced_send_maximum = [1_000, 2, 1, 3][pick(2)];
        limits.maximum_packet_size = [1_000_000, 1_000, 200, 40][pick(4)];
        limits.topic_alias_maximum = [64, 2, 1, 0][pick(6)].min(K::ALIASES);
        limits.topic_alias_send_maximum = [64, 1, 2, 0][pick(6)].min(K::ALIASES);
        limits.topic_levels = [128, 128, 3, 128][pick(4)];
    }

    fn open(&mut self, input: &mut Input<'_>) {
        let choice = input.byte();
        let speaks = |version: &Version| K::Profile::speaks(*version);
        let wanted = [Version::V5, Version::V311, Version::V31, Version::V5];
        let wanted = wanted[usize::from(choice & 3)];
        self.version = [wanted, Version::V311, Version::V5]
            .into_iter()
            .find(speaks)
            .expect("a profile speaks something");
        R::open(self, input);
        if choice < 0xe0 {
            let mut hello = Vec::new();
            self.grammar(&[]).hello(input, &mut hello);
            self.rx.extend(hello);
            self.read(input);
        }
    }

    fn grammar<'a>(&self, awaited: &'a [u16]) -> Grammar<'a> {
        Grammar {
            version: self.version,
            client: !R::CLIENT,
            awaited,
        }
    }

    fn step(&mut self, input: &mut Input<'_>) {
        let operation = input.byte();
        match operation % 32 {
            0..=8 if self.session.is_closing() => {
                // A peer that has more to say comes again.
                self.poll(usize::MAX);
                self.cut();
                self.open(input);
            }
            0..=8 => {
                let awaited = self.ledger.awaited();
                let mut packet = Vec::new();
                self.grammar(&awaited).packet(input, &mut packet);
                if operation >= 0xe0 {
                    // The rest of it comes with what is sent next, or never.
                    let most = input.below(packet.len().min(256));
                    packet.truncate(most);
                }
                self.rx.extend(packet);
                self.read(input);
            }
            9 | 10 => self.poll(usize::MAX),
            11 => self.poll(usize::from(operation >> 5) * 8),
            12 | 13 => self.settle(input, usize::from(operation >> 5)),
            14 => {
                // The id of the message is durable before the owner's copy is.
                self.commit(usize::MAX);
                self.settle(input, usize::from(operation >> 5));
            }
            15 | 16 => self.answer(input),
            17 | 18 => {
                for _ in 0..=operation >> 5 {
                    self.publish(input);
                }
            }
            19..=22 => self.commit([usize::MAX, 1, 2, 3][usize::from(operation >> 6)]),
            23 => self.pass(operation),
            24 => {
                self.cut();
                self.open(input);
            }
            25 => self.restart(input),
            26 => {
                self.set_limits(input);
                if self.session.is_closing() {
                    self.cut();
                    self.open(input);
                }
            }
            27 => {
                let waiting = self.owner.waiting();
                if let Some(&seq) = waiting.get(input.below(waiting.len().min(256))) {
                    self.owner.lose(seq);
                }
            }
            28 | 29 if operation & 0x80 != 0 => {
                self.publish_in_turn(usize::from(operation >> 4), input);
            }
            28 => {
                let reason = input.pick(&[0x00, 0x80, 0x82, 0x83, 0x93, 0x97, 0x01]);
                self.session.disconnect(ReasonCode(reason));
                self.ledger.ending();
            }
            29 => {
                self.session.trim();
                let _ = format!("{:?} {:?}", self.session, self.session.state().is_quiet());
            }
            _ => R::command(self, input),
        }
        if self.eager.answers {
            self.answer(input);
        }
        if self.eager.commits {
            self.commit(usize::MAX);
        }
        if self.eager.polls {
            self.poll(usize::MAX);
        }
        self.end_messages();
    }

    /// What no peer can make grow.
    fn bounds(&self) {
        let state = self.session.state();
        assert!(state.received() <= 1_000 && state.in_flight() <= 1_000);
        let pending = self.ledger.pending();
        assert!(pending <= 4_000, "{pending} packets owed to the peer");
        if self.session.is_closing() {
            assert!(!self.session.wants_input() && self.session.deadline().is_none());
        }
    }

    // What comes in.

    fn read(&mut self, input: &mut Input<'_>) {
        if self.arriving.is_some() {
            self.arrive();
        }
        let mut bytes = core::mem::take(&mut self.rx);
        let mut start = 0;
        while self.arriving.is_none() && self.session.wants_input() {
            let rest = &bytes[start..];
            let limits = self.owner.limits_mut().clone();
            let decoder = self.session.decoder(&limits);
            match R::decode(&decoder, rest) {
                Ok(Decoded::Complete { packet, len }) => {
                    start += len;
                    // Of a payload the beginning may be handed over before the rest.
                    let part = packet.packet_type() == PacketType::Publish
                        && len > 8
                        && input.byte() >= 0xe8;
                    self.take(&packet, &rest[..len], part, input);
                }
                Ok(Decoded::NeedMore(_)) => break,
                Err(error) => {
                    let violation = self.session.malformed(error);
                    self.violated(violation);
                    break;
                }
            }
            self.end_messages();
        }
        if self.session.is_closing() {
            bytes.clear();
            start = 0;
        }
        bytes.drain(..start);
        self.rx = bytes;
        if self.rx.len() > 10_000 {
            // A real driver does not read on.
            self.cut();
        }
    }

    fn take(&mut self, packet: &Packet<'_>, bytes: &[u8], part: bool, input: &mut Input<'_>) {
        let connected = self.session.is_connected();
        let cut = bytes.len() - if part { 1 } else { 0 };
        let part =
            part && matches!(packet, Packet::Publish(publish) if !publish.payload.is_empty());
        let before = self.position();
        let handled = R::handle(self, if part { &bytes[..cut] } else { bytes }, part);
        // What recorded nothing waits for nothing of its own.
        let after = self.position();
        let position = if after == before { 0 } else { after };
        match handled {
            Err(violation) => return self.violated(violation),
            Ok(Happened::Nothing) => {
                if self.session.is_connected() && !connected && R::CLIENT {
                    self.exists = true;
                }
                self.ledger.took(packet, position);
            }
            Ok(Happened::Message(delivery, resolved)) => {
                let Packet::Publish(publish) = packet else {
                    panic!("a message out of {packet:?}")
                };
                self.ledger.took(packet, position);
                let alias = publish.properties.topic_alias().map(|alias| alias.get());
                self.ledger.topic(alias, publish.topic, &resolved);
                assert_eq!(delivery.is_some(), publish.delivery.packet_id().is_some());
                if let (Some(delivery), Some(id)) = (delivery, publish.delivery.packet_id()) {
                    let exactly_once = publish.delivery.qos() == QoS::ExactlyOnce;
                    self.unsettled.push(Unsettled {
                        delivery,
                        id,
                        exactly_once,
                        received: position,
                    });
                }
                if part {
                    self.arriving = Some((1, delivery));
                } else if self.eager.settles {
                    self.settle(input, 0);
                }
            }
            Ok(Happened::Connect(clean)) => {
                self.ledger.took(packet, position);
                self.question = Some(Question::Connect { clean });
            }
            Ok(Happened::Auth) => self.question = Some(Question::Auth),
            Ok(Happened::Subscribe(filters)) => {
                if let Packet::Subscribe(packet) = packet {
                    self.question = Some(Question::Subscribe(packet.packet_id, filters));
                }
            }
            Ok(Happened::Unsubscribe(filters)) => {
                if let Packet::Unsubscribe(packet) = packet {
                    self.question = Some(Question::Unsubscribe(packet.packet_id, filters));
                }
            }
        }
        self.shape.decodes |= connected;
        if self.session.is_closing() {
            self.ledger.ending();
        }
        if self.eager.answers {
            self.answer(input);
        }
    }

    /// The rest of a payload.
    fn arrive(&mut self) {
        if let Some((_, Some(delivery))) = self.arriving.take() {
            self.session.payload_complete(delivery, &mut self.owner);
            let position = self.position();
            for unsettled in &mut self.unsettled {
                if unsettled.delivery == delivery {
                    unsettled.received = position;
                }
            }
        }
    }

    fn violated(&mut self, violation: Violation) {
        assert!(self.session.is_closing(), "{violation} and no end");
        let _ = format!("{violation} {}", violation.in_words_of(self.version));
        assert!(!violation.statement(self.version).is_empty());
        self.ledger.ending();
    }

    /// The topic of a message, as the session resolves it.
    pub(super) fn resolve(&self, publication: &Publication<'_>) -> String {
        match publication.topic {
            Topic::Name(name) => name.as_str().to_owned(),
            Topic::Alias(alias) => {
                let topic = self.session.topic(alias);
                topic.expect("the session knows it").to_owned()
            }
        }
    }

    // What the owner does.

    fn answer(&mut self, input: &mut Input<'_>) {
        // At the end nobody is answered any more, and the question stays open.
        if self.session.is_closing() {
            return;
        }
        if let Some(question) = self.question.take() {
            R::answer(self, question, input);
        }
    }

    fn settle(&mut self, input: &mut Input<'_>, at: usize) {
        if self.unsettled.is_empty() {
            return;
        }
        let unsettled = self.unsettled[at % self.unsettled.len()];
        let reason = if self.eager.settles {
            ReasonCode::SUCCESS
        } else {
            input.pick(&[
                ReasonCode::SUCCESS,
                ReasonCode::SUCCESS,
                ReasonCode::NO_MATCHING_SUBSCRIBERS,
                ReasonCode::NOT_AUTHORIZED,
                ReasonCode::QUOTA_EXCEEDED,
            ])
        };
        let kept = self.owner.keep(Note::Copy);
        if self.session.settle(unsettled.delivery, reason, kept) {
            let position = self.position().max(unsettled.received);
            let refused = reason.is_error();
            let Unsettled {
                id, exactly_once, ..
            } = unsettled;
            self.ledger.settled(id, exactly_once, refused, position);
            assert!(
                !self.session.settle(unsettled.delivery, reason, kept),
                "settled twice"
            );
        }
        let arriving = self.arriving.and_then(|(_, delivery)| delivery);
        if arriving != Some(unsettled.delivery) {
            self.unsettled
                .retain(|other| other.delivery != unsettled.delivery);
        }
    }

    fn publish(&mut self, input: &mut Input<'_>) {
        let choice = input.byte();
        let qos = [
            QoS::AtMostOnce,
            QoS::AtLeastOnce,
            QoS::ExactlyOnce,
            QoS::AtLeastOnce,
        ];
        let qos = qos[usize::from(choice & 3)].min(K::Profile::MAX_QOS);
        let topic = ["room/1", "room/2", "hall/3", "a"][usize::from(choice >> 2 & 3)];
        let len = [1, 0, 20, 150][usize::from(choice >> 4 & 3)];
        let mut message = Message::new(topic, qos, &[choice; 150][..len]);
        message.retain = choice & 0x40 != 0;
        if choice & 0x80 != 0 {
            let ms = u64::from(input.byte()) * 100;
            message.expires = Some(self.now.plus_millis(ms));
        }
        if self.owner.waiting().len() < 100 {
            self.owner.publish(&message);
        }
    }

    /// Messages to a few topics, one after the other and again: more of them than a peer takes aliases.
    fn publish_in_turn(&mut self, count: usize, input: &mut Input<'_>) {
        let choice = usize::from(input.byte());
        let topics = ["room/1", "room/2", "hall/3"];
        for at in 0..count {
            let topic = topics[(at + choice) % (2 + choice % 2)];
            let message = Message::new(topic, QoS::AtMostOnce, &[at as u8]);
            if self.owner.waiting().len() < 100 {
                self.owner.publish(&message);
            }
        }
    }

    pub(super) fn commit(&mut self, most: usize) {
        let before = self.owner.uncommitted();
        self.owner.commit(most);
        self.ledger.durable += (before - self.owner.uncommitted()) as Position;
    }

    /// Where the store's last entry stands.
    pub(super) fn position(&self) -> Position {
        self.ledger.durable + self.owner.uncommitted() as Position
    }

    fn pass(&mut self, operation: u8) {
        let deadline = self.session.deadline();
        self.now = match (operation >> 5, deadline) {
            (0, Some(deadline)) => self.now.max(deadline),
            (choice, _) => {
                let ms = [0, 1, 999, 5_000, 10_000, 15_001, 60_000, 90_000];
                self.now.plus_millis(ms[usize::from(choice)])
            }
        };
        let limits = self.owner.limits_mut().clone();
        if let Err(violation) = self.session.timeout(self.now, &limits) {
            self.violated(violation);
        }
        if deadline.is_none() {
            assert!(!self.session.is_closing() || self.session.deadline().is_none());
        }
    }

    fn end_messages(&mut self) {
        self.owner.ended(&mut |_, _| {});
    }

    // The end of a connection.

    /// The transport is gone.
    pub(super) fn cut(&mut self) {
        let closed = self.session.close(self.now);
        assert!(
            !R::CLIENT || closed.will_due.is_none(),
            "a client has no will to publish"
        );
        self.forget_connection();
        if !R::CLIENT && closed.expires == Expires::Now {
            self.forget_session();
        }
    }

    /// The transport of a connection that lost its session is gone.
    pub(super) fn cut_detached(&mut self) {
        self.session.close(self.now);
        self.forget_connection();
    }

    fn forget_connection(&mut self) {
        self.ledger.cut();
        self.rx.clear();
        self.arriving = None;
        self.question = None;
        // A late verdict on a QoS 1 message changes nothing; one that is tried says so.
        let session = &mut self.session;
        self.unsettled.retain(|unsettled| {
            let kept = <K::Owner as mqtt_session::Owner>::Gate::default();
            let late = !unsettled.exactly_once
                && session.settle(unsettled.delivery, ReasonCode::SUCCESS, kept);
            assert!(!late, "a QoS 1 message outlives its connection");
            unsettled.exactly_once
        });
        assert!(!self.session.is_connected());
    }

    /// A server's session is over.
    pub(super) fn forget_session(&mut self) {
        self.owner.forget();
        self.unsettled.clear();
        self.ledger.forget();
        self.session.replace_state(SessionState::default());
        self.exists = false;
    }

    fn restart(&mut self, input: &mut Input<'_>) {
        if let Some((state, memory)) = K::restart(&mut self.owner) {
            self.session = Session::new();
            self.forget_connection();
            self.unsettled.clear();
            self.ledger.forget();
            for change in state.changes() {
                if let Change::Received(id) = change {
                    self.ledger.restored(id);
                }
            }
            self.session.replace_state(state);
            self.exists = memory.exists;
            self.open(input);
        }
    }

    // What goes out.

    pub(super) fn poll(&mut self, room: usize) {
        let mut bytes = Vec::new();
        for _ in 0..MOST_POLLS {
            let before = bytes.len();
            let mut tx = Bounded {
                room,
                bytes: &mut bytes,
            };
            let output = self.session.poll_output(&mut tx, self.now, &mut self.owner);
            self.end_messages();
            match output {
                Output::Wrote => self.wrote(&bytes[before..], None),
                Output::Publish { seq, last_use } => {
                    self.owner.payload(seq, &mut bytes);
                    self.wrote(&bytes[before..], Some(seq));
                    if last_use {
                        self.owner.written(seq);
                    }
                }
                Output::Idle | Output::Full | Output::Close => {
                    assert_eq!(bytes.len(), before, "{output:?} with bytes");
                    assert!(output != Output::Full || room < 10_000, "no room is enough");
                    if output == Output::Close {
                        self.cut();
                    }
                    return;
                }
            }
        }
        panic!("the session never comes to rest");
    }

    /// At most one packet, and a whole one.
    pub(super) fn wrote(&mut self, bytes: &[u8], seq: Option<Seq>) {
        if bytes.is_empty() {
            assert_eq!(seq, None);
            return;
        }
        let version = self.session.version();
        let packet = match R::decode_own(&Decoder::new(version), bytes) {
            Ok(Decoded::Complete { packet, len }) if len == bytes.len() => packet,
            other => panic!("{bytes:02x?} was written: {other:?}"),
        };
        let is_publish = matches!(packet, Packet::Publish(_));
        assert_eq!(is_publish, seq.is_some(), "{packet:?}");
        let topic = seq.and_then(|seq| {
            let message = self.owner.message(seq);
            message.map(|message| message.topic.to_owned())
        });
        self.ledger
            .wrote(&packet, bytes.len(), version, topic.as_deref(), &self.owner);
    }
}
