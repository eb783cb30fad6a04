//! A client that keeps its session as the specification asks: what it published until it is acknowledged, and the ids of QoS 2
//! messages that it received. It acknowledges when it is told to.

mod packets;

use core::net::SocketAddr;
use std::collections::{HashSet, VecDeque};

use mio::{Registry, Token};
use mqtt_codec::{
    Decoded, Decoder, FromServer, PacketId, Publish, QoS, ReasonCode, SubscriptionOptions, Version,
};

use crate::link::Link;
use crate::stamp::Stamp;

/// What a client met with.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// The broker let it in, and says whether it had the session.
    Connected { present: bool, expected: bool },
    /// A message of ours was accepted: PUBACK or PUBREC.
    Accepted(Stamp),
    /// PUBCOMP for a message of ours.
    Completed(Stamp),
    /// A message of ours was refused.
    Rejected(Stamp, ReasonCode),
    /// The session was lost, and this message was sent again as a new one.
    Anew(Stamp),
    /// A message came; at QoS 2 not one that was there already.
    Delivered {
        /// `None`: its payload is nobody's.
        stamp: Option<Stamp>,
        topic: String,
        qos: QoS,
        retain: bool,
        empty: bool,
        subscription: Option<u32>,
    },
    /// SUBACK or UNSUBACK for the packet that was sent under this number, with the codes.
    Answered(u16, Vec<ReasonCode>),
    /// The broker closed the connection after our goodbye.
    Left,
    /// The broker closed the connection, perhaps with a reason.
    Closed(Option<String>),
    /// The broker sent something that is no packet, or not now.
    Nonsense(String),
}

/// A will.
#[derive(Clone, Debug)]
pub(crate) struct Testament {
    pub(crate) topic: String,
    pub(crate) payload: Vec<u8>,
    pub(crate) qos: QoS,
    /// Seconds, in 5.0.
    pub(crate) delay: u32,
}

/// How far the handshake of a message of ours has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Not sent yet, on any connection.
    New,
    /// PUBLISH was sent: PUBACK or PUBREC is awaited.
    Sent,
    /// PUBREC came: PUBREL is due or was sent, PUBCOMP is awaited.
    Received,
}

/// A message of ours that is not done.
#[derive(Debug)]
struct Outgoing {
    id: u16,
    stamp: Stamp,
    topic: String,
    payload: Vec<u8>,
    qos: QoS,
    retain: bool,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Offline,
    Connecting,
    Connected,
    /// DISCONNECT was sent.
    Leaving,
}

/// Messages in flight of who is not told how many may be.
const MOST: usize = u16::MAX as usize;

/// A client with its session.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) name: String,
    pub(crate) version: Version,
    token: Token,
    state: State,
    link: Option<Link>,
    outgoing: VecDeque<Outgoing>,
    next_id: u16,
    /// What the broker lets us have in flight.
    receive_maximum: usize,
    /// QoS 2 messages that were received and not released.
    received: HashSet<u16>,
    /// Acknowledgements that have not been sent, in the order of what they answer.
    held: VecDeque<[u8; 4]>,
    /// So many of them are held back.
    pub(crate) hold: usize,
    /// What every connection leaves.
    pub(crate) will: Option<Testament>,
    /// The session is to end with its connection.
    clean: bool,
    /// The broker has confirmed something for this session: it must be there from then on.
    established: bool,
}

impl Client {
    pub(crate) fn new(name: &str, version: Version, token: Token) -> Self {
        Self {
            name: name.to_owned(),
            version,
            token,
            state: State::Offline,
            link: None,
            outgoing: VecDeque::new(),
            next_id: 0,
            receive_maximum: MOST,
            received: HashSet::new(),
            held: VecDeque::new(),
            hold: 0,
            will: None,
            clean: false,
            established: false,
        }
    }

    /// Connects; with `clean` the session of before ends, and so does this one with its connection.
    ///
    /// # Errors
    /// When nobody listens there.
    pub(crate) fn connect(
        &mut self,
        address: SocketAddr,
        registry: &Registry,
        clean: bool,
    ) -> std::io::Result<()> {
        self.cut();
        let mut link = Link::open(address, registry, self.token)?;
        let will = self.will.as_ref();
        link.send(&packets::connect(self.version, &self.name, clean, will));
        self.link = Some(link);
        self.state = State::Connecting;
        self.clean = clean;
        self.established &= !clean;
        Ok(())
    }

    /// Lets the connection go as if the network had failed.
    pub(crate) fn cut(&mut self) {
        self.link = None;
        self.state = State::Offline;
        // They belong to the connection: the broker sends again what is not acknowledged.
        self.held.clear();
    }

    /// Says goodbye, and waits for the broker to close: before that, another connection may be looked at first.
    pub(crate) fn say_goodbye(&mut self) {
        if let Some(link) = &mut self.link {
            link.send(&packets::DISCONNECT);
            link.flush();
            link.finish();
            self.state = State::Leaving;
        }
    }

    /// Ends the connection without a goodbye, but so that the broker reads everything that was sent.
    pub(crate) fn finish(&mut self) {
        if let Some(link) = &mut self.link {
            link.flush();
            link.finish();
        }
    }

    /// Says goodbye, and does not wait. The session stays, unless it was a clean one.
    pub(crate) fn leave(&mut self) {
        if let Some(link) = &mut self.link {
            link.send(&packets::DISCONNECT);
            link.flush();
        }
        self.cut();
    }

    /// Whether its session ends with the connection.
    pub(crate) const fn is_clean(&self) -> bool {
        self.clean
    }

    /// Whether the broker has confirmed something for its session.
    pub(crate) const fn is_established(&self) -> bool {
        self.established
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.state == State::Connected
    }

    pub(crate) fn is_offline(&self) -> bool {
        self.state == State::Offline
    }

    /// Messages of ours that are not done.
    pub(crate) fn unfinished(&self) -> usize {
        self.outgoing.len()
    }

    /// Messages of ours that were not accepted yet.
    pub(crate) fn unaccepted(&self) -> usize {
        let waits = |message: &&Outgoing| message.stage == Stage::Sent;
        self.outgoing.iter().filter(waits).count()
    }

    /// Acknowledgements held back, and QoS 2 messages that were received and not released.
    pub(crate) fn owed(&self) -> usize {
        self.held.len().max(self.received.len())
    }

    /// Takes a message to publish; it leaves when the window lets it.
    pub(crate) fn publish(&mut self, stamp: Stamp, topic: String, qos: QoS, retain: bool) {
        self.publish_bytes(stamp, topic, stamp.payload(), qos, retain);
    }

    /// The same with a payload that says nothing about the stamp.
    pub(crate) fn publish_bytes(
        &mut self,
        stamp: Stamp,
        topic: String,
        payload: Vec<u8>,
        qos: QoS,
        retain: bool,
    ) {
        let id = self.free_id();
        self.outgoing.push_back(Outgoing {
            id,
            stamp,
            topic,
            payload,
            qos,
            retain,
            stage: Stage::New,
        });
        if self.is_connected() {
            self.send_new();
        }
    }

    fn free_id(&mut self) -> u16 {
        loop {
            self.next_id = self.next_id.checked_add(1).unwrap_or(1);
            if self.outgoing.iter().all(|it| it.id != self.next_id) {
                return self.next_id;
            }
        }
    }

    /// Sends SUBSCRIBE; its number comes back with the answer.
    pub(crate) fn subscribe(
        &mut self,
        filters: &[(&str, SubscriptionOptions)],
        subscription: Option<u32>,
    ) -> u16 {
        let id = self.free_id();
        let packet = packets::subscribe(self.version, id, filters, subscription);
        self.send(&packet);
        id
    }

    /// Sends UNSUBSCRIBE; its number comes back with the answer.
    pub(crate) fn unsubscribe(&mut self, filter: &str) -> u16 {
        let id = self.free_id();
        let packet = packets::unsubscribe(self.version, id, filter);
        self.send(&packet);
        id
    }

    fn send(&mut self, bytes: &[u8]) {
        if let Some(link) = &mut self.link {
            link.send(bytes);
        }
    }

    /// Reads and handles everything that has come; says whether anything came.
    pub(crate) fn read(&mut self, events: &mut Vec<Event>) -> bool {
        let Some(mut link) = self.link.take() else {
            return false;
        };
        let came = link.read();
        let input = core::mem::take(&mut link.input);
        let ended = link.ended;
        self.link = Some(link);
        let mut at = 0;
        let mut broken = None;
        loop {
            match Decoder::new(self.version).from_server(&input[at..]) {
                Ok(Decoded::Complete { packet, len }) => {
                    at += len;
                    self.packet(&packet, events);
                }
                Ok(Decoded::NeedMore(_)) => break,
                Err(error) => {
                    broken = Some(format!("sends what is no packet: {error}"));
                    break;
                }
            }
        }
        events.extend(broken.map(Event::Nonsense));
        if ended || matches!(events.last(), Some(Event::Nonsense(_))) {
            let left = self.state == State::Leaving;
            self.cut();
            events.push(if left {
                Event::Left
            } else {
                Event::Closed(None)
            });
        } else if let Some(link) = &mut self.link {
            link.input.extend_from_slice(&input[at..]);
        }
        came
    }

    /// Sends what may be sent.
    pub(crate) fn flush(&mut self) {
        while self.held.len() > self.hold {
            if let Some(answer) = self.held.pop_front() {
                self.send(&answer);
            }
        }
        if let Some(link) = &mut self.link {
            link.flush();
        }
    }

    fn packet(&mut self, packet: &FromServer<'_>, events: &mut Vec<Event>) {
        match packet {
            FromServer::ConnAck(ack) => {
                if ack.reason.is_error() {
                    let why = format!("refuses the connection: {}", ack.reason);
                    events.push(Event::Closed(Some(why)));
                    return;
                }
                let maximum = ack.properties.receive_maximum();
                self.receive_maximum = maximum.map_or(MOST, |it| it.get().into());
                self.resume(ack.session_present, events);
            }
            FromServer::PubAck(ack) => self.accepted(ack.packet_id, ack.reason, false, events),
            FromServer::PubRec(ack) => self.accepted(ack.packet_id, ack.reason, true, events),
            FromServer::PubComp(ack) => {
                let id = ack.packet_id.get();
                let done = self.outgoing.iter().position(|it| it.id == id);
                if let Some(done) = done.and_then(|place| self.outgoing.remove(place)) {
                    events.push(Event::Completed(done.stamp));
                }
                self.send_new();
            }
            FromServer::Publish(publish) => self.delivered(publish, events),
            FromServer::PubRel(release) => {
                // Answered whether or not the id is known: the broker may not have heard the answer.
                self.received.remove(&release.packet_id.get());
                self.hold_back(packets::pub_comp(release.packet_id));
            }
            FromServer::SubAck(ack) => {
                self.established = !self.clean;
                let codes = ack.codes.iter().collect();
                events.push(Event::Answered(ack.packet_id.get(), codes));
            }
            FromServer::UnsubAck(ack) => {
                let codes = ack.codes.iter().collect();
                events.push(Event::Answered(ack.packet_id.get(), codes));
            }
            FromServer::Disconnect(disconnect) => {
                let why = format!("disconnects the client: {}", disconnect.reason);
                events.push(Event::Closed(Some(why)));
            }
            FromServer::PingResp | FromServer::Auth(_) => {}
        }
    }

    /// The connection stands: what is not done is sent again, in its order.
    fn resume(&mut self, present: bool, events: &mut Vec<Event>) {
        self.state = State::Connected;
        events.push(Event::Connected {
            present,
            expected: self.established,
        });
        if !present {
            self.established = false;
            self.received.clear();
            // What was accepted is the broker's; for the rest an application publishes anew.
            self.outgoing.retain(|it| it.stage != Stage::Received);
            for message in &mut self.outgoing {
                if message.stage == Stage::Sent {
                    message.stage = Stage::New;
                    events.push(Event::Anew(message.stamp));
                }
            }
        }
        let again: Vec<Vec<u8>> = self
            .outgoing
            .iter()
            .filter_map(|message| match message.stage {
                Stage::New => None,
                Stage::Sent => Some(packets::publish(self.version, message, true)),
                Stage::Received => Some(packets::pub_rel(message.id).to_vec()),
            })
            .collect();
        for packet in again {
            self.send(&packet);
        }
        self.send_new();
    }

    /// Sends messages that never were, as far as the broker's window goes.
    fn send_new(&mut self) {
        if !self.is_connected() {
            return;
        }
        let in_flight = self.outgoing.iter().filter(|it| it.stage != Stage::New);
        let mut room = self.receive_maximum.saturating_sub(in_flight.count());
        let mut bytes = Vec::new();
        for message in &mut self.outgoing {
            if message.stage == Stage::New && room > 0 {
                room -= 1;
                bytes.extend(packets::publish(self.version, message, false));
                message.stage = Stage::Sent;
            }
        }
        self.send(&bytes);
    }

    /// PUBACK, or PUBREC if there is more to come.
    fn accepted(
        &mut self,
        id: PacketId,
        reason: ReasonCode,
        goes_on: bool,
        events: &mut Vec<Event>,
    ) {
        self.established = !self.clean;
        let place = self.outgoing.iter().position(|it| it.id == id.get());
        let Some(message) = place.and_then(|place| self.outgoing.get_mut(place)) else {
            return;
        };
        if reason.is_error() {
            events.push(Event::Rejected(message.stamp, reason));
        } else if message.stage == Stage::Sent {
            events.push(Event::Accepted(message.stamp));
        }
        if goes_on && !reason.is_error() {
            message.stage = Stage::Received;
            self.send(&packets::pub_rel(id.get()));
        } else {
            self.outgoing.remove(place.unwrap_or_default());
            self.send_new();
        }
    }

    fn delivered(&mut self, publish: &Publish<'_>, events: &mut Vec<Event>) {
        let stamp = Stamp::read(publish.payload);
        let id = publish.delivery.packet_id();
        match (publish.delivery.qos(), id) {
            (QoS::AtLeastOnce, Some(id)) => self.hold_back(packets::pub_ack(id)),
            (QoS::ExactlyOnce, Some(id)) => {
                self.hold_back(packets::pub_rec(id));
                // The same id is the same message until it is released; another one is lost here, as it is for any receiver.
                if !self.received.insert(id.get()) {
                    return;
                }
            }
            _ => {}
        }
        events.push(Event::Delivered {
            stamp,
            topic: publish.topic.to_owned(),
            qos: publish.delivery.qos(),
            retain: publish.retain,
            empty: publish.payload.is_empty(),
            subscription: publish
                .properties
                .subscription_identifier()
                .map(mqtt_codec::SubscriptionId::get),
        });
    }

    fn hold_back(&mut self, answer: [u8; 4]) {
        self.held.push_back(answer);
    }
}
