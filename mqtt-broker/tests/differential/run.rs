//! Plays a trace against one broker over real sockets and notes what each client saw in each step.

use core::net::SocketAddr;
use core::num::NonZeroU32;
use std::collections::HashMap;

use mqtt_codec::{
    Connect, Delivery, Disconnect, Filters, FromServer, PINGREQ, PacketId, PayloadFormat,
    Properties, Property, PubAck, PubComp, PubRec, PubRel, Publish, QoS, ReasonCode,
    ReceiveMaximum, Subscribe, SubscribeFilter, SubscriptionId, TopicAlias, Unsubscribe,
    UnsubscribeFilters, Version, Will,
};

use crate::support::Client;
use crate::support::frame::{Encode, Frame, packet_id};
use crate::trace::{After, Hello, Manner, Message, Step};
use crate::view::{self, Event, InFlight, Seen, View};

/// The refusal of [`Manner::Refuse`].
const REFUSAL: ReasonCode = ReasonCode::IMPLEMENTATION_SPECIFIC_ERROR;

/// The clients of one trace at one broker.
#[derive(Debug)]
pub(crate) struct World {
    address: SocketAddr,
    prefix: String,
    devices: Vec<Device>,
    /// Rounds of PINGREQ after which everything has arrived that was on its way.
    rounds: usize,
}

/// A client: its session, and its connection if it has one.
#[derive(Debug)]
struct Device {
    id: String,
    link: Option<Link>,
    next_id: u16,
    /// Messages of its own whose handshake is not complete.
    outgoing: Vec<Outgoing>,
    in_flight: InFlight,
    /// Ids of QoS 2 messages whose PUBREC was sent and whose PUBCOMP was not, in order.
    received: Vec<u16>,
    /// Its last connection had a session that ended with it.
    was_clean: bool,
    seen: Seen,
}

/// A QoS 1 or 2 message of the client itself.
#[derive(Debug)]
struct Outgoing {
    id: PacketId,
    message: Message,
    /// PUBREC has come.
    received: bool,
    /// PUBREL waits for [`Step::Release`].
    held: bool,
}

/// A connection.
#[derive(Debug)]
struct Link {
    client: Client,
    version: Version,
    manner: Manner,
    /// Without a session expiry, DISCONNECT cannot give it one.
    lasting: bool,
    given_aliases: HashMap<u16, String>,
    alias_maximum: u16,
    seen_aliases: HashMap<u16, String>,
    /// Ids for which PUBREL came.
    released: Vec<u16>,
    /// What came and was not answered.
    unanswered: Vec<Frame>,
}

impl World {
    /// Clients without a connection; `run` makes their names and topics those of no other run.
    pub(crate) fn new(address: SocketAddr, run: usize, clients: usize, rounds: usize) -> Self {
        let device = |number| Device {
            id: format!("r{run}c{number}"),
            link: None,
            next_id: 1,
            outgoing: Vec::new(),
            in_flight: InFlight::new(),
            received: Vec::new(),
            was_clean: true,
            seen: Seen::new(),
        };
        Self {
            address,
            prefix: format!("r{run}/"),
            devices: (0..clients).map(device).collect(),
            rounds,
        }
    }

    /// Takes a step, waits until all its consequences have arrived, and gives what each client saw. `sentinels` are clients that
    /// answer for the threads of the broker that no client of the trace is with.
    pub(crate) fn step(&mut self, step: &Step, sentinels: &mut [Client]) -> View {
        if let Some(client) = step.client() {
            let prefix = self.prefix.clone();
            self.devices[client].step(step, self.address, &prefix);
        }
        self.settle(sentinels);
        let seen = |device: &mut Device| {
            let mut seen = core::mem::take(&mut device.seen);
            view::sort(&mut seen);
            seen
        };
        self.devices.iter_mut().map(seen).collect()
    }

    fn settle(&mut self, sentinels: &mut [Client]) {
        let mut calm = 0;
        while calm < self.rounds {
            for sentinel in &mut *sentinels {
                sentinel.send_bytes(&PINGREQ);
            }
            for link in self.devices.iter_mut().filter_map(|d| d.link.as_mut()) {
                // An error means that the broker has closed; what it said before is read all the same.
                let _ = link.client.try_send_bytes(&PINGREQ);
            }
            for sentinel in &mut *sentinels {
                let frame = sentinel.receive();
                assert!(matches!(frame.packet(), FromServer::PingResp), "{frame:?}");
            }
            let mut answered = false;
            for device in &mut self.devices {
                answered |= device.read_to_pong(&self.prefix);
            }
            calm = if answered { 0 } else { calm + 1 };
        }
    }
}

impl Device {
    fn step(&mut self, step: &Step, address: SocketAddr, prefix: &str) {
        if let Step::Connect(_, hello) = step {
            self.connect(hello, address, prefix);
            return;
        }
        if self.link.is_none() {
            return;
        }
        match step {
            Step::Connect(..) | Step::Wait => {}
            Step::Subscribe(_, filters, id) => self.subscribe(filters, *id, prefix),
            Step::Unsubscribe(_, filters) => {
                let filters: Vec<String> =
                    filters.iter().map(|filter| place(filter, prefix)).collect();
                let filters: Vec<&str> = filters.iter().map(String::as_str).collect();
                let packet_id = self.fresh_id();
                self.send(&Unsubscribe {
                    packet_id,
                    properties: Properties::EMPTY,
                    filters: UnsubscribeFilters::List(&filters),
                });
            }
            Step::Publish(_, message, after) => self.publish(message, *after, prefix),
            Step::Answer(_, manner) => {
                let Some(link) = &mut self.link else { return };
                link.manner = *manner;
                for frame in core::mem::take(&mut link.unanswered) {
                    self.answer(frame);
                }
            }
            Step::Release(_) => {
                for at in 0..self.outgoing.len() {
                    if core::mem::take(&mut self.outgoing[at].held) && self.outgoing[at].received {
                        self.send(&PubRel::new(self.outgoing[at].id));
                    }
                }
            }
            Step::Cut(_) => self.link.take().expect("looked for above").client.cut(),
            Step::Disconnect(_, reason, expiry) => self.disconnect(*reason, *expiry, prefix),
            // The barrier is one.
            Step::Ping(_) => {}
        }
    }

    fn fresh_id(&mut self) -> PacketId {
        let id = packet_id(self.next_id);
        self.next_id += 1;
        id
    }

    /// Sends, unless the broker has closed, which is noticed when reading.
    fn send(&mut self, packet: &impl Encode) {
        if let Some(link) = &mut self.link {
            let _ = link.client.try_send_bytes(&packet.bytes(link.version));
        }
    }

    fn connect(&mut self, hello: &Hello, address: SocketAddr, prefix: &str) {
        let mut properties = Vec::new();
        properties.extend(hello.expiry.map(Property::SessionExpiryInterval));
        let maximum = hello.receive_maximum.and_then(ReceiveMaximum::new);
        properties.extend(maximum.map(Property::ReceiveMaximum));
        let maximum = hello.maximum_packet_size.and_then(NonZeroU32::new);
        properties.extend(maximum.map(Property::MaximumPacketSize));
        properties.extend(hello.topic_alias_maximum.map(Property::TopicAliasMaximum));
        properties.extend(
            hello
                .problem_information
                .map(Property::RequestProblemInformation),
        );
        let will = hello.will.as_ref().map(|(message, _)| message);
        let topic = will.map_or_else(String::new, |will| place(&will.topic, prefix));
        let response = place("answer", prefix);
        let mut will_properties = will.map_or_else(Vec::new, |will| forwarded(will, &response));
        let delay = hello.will.as_ref().and_then(|(_, delay)| *delay);
        will_properties.extend(delay.map(Property::WillDelayInterval));
        let connect = Connect {
            clean_start: hello.clean,
            keep_alive: 0,
            will: will.map(|will| Will {
                topic: &topic,
                payload: will.payload.as_bytes(),
                qos: will.qos,
                retain: will.retain,
                properties: Properties::List(&will_properties),
            }),
            properties: Properties::List(&properties),
            ..Connect::new(hello.version, &self.id)
        };
        let mut client = Client::open_at(address, hello.version);
        client.send(&connect);
        let answer = client.receive_or_end();
        if let Some(old) = self.link.take() {
            self.seen.extend(end_of(old));
        }
        let Some(answer) = answer else {
            self.seen.push(Event::Closed);
            return;
        };
        self.seen
            .extend(view::other(&answer.packet(), &self.in_flight));
        let FromServer::ConnAck(ack) = answer.packet() else {
            return;
        };
        if ack.reason != ReasonCode::SUCCESS {
            return;
        }
        self.link = Some(Link {
            client,
            version: hello.version,
            manner: hello.manner,
            lasting: hello.expiry.is_some_and(|seconds| seconds > 0),
            given_aliases: HashMap::new(),
            alias_maximum: ack.properties.topic_alias_maximum().unwrap_or(0),
            seen_aliases: HashMap::new(),
            released: Vec::new(),
            unanswered: Vec::new(),
        });
        // MQTT 3.1 does not tell.
        let silent = hello.version == Version::V31 && !hello.clean && !self.was_clean;
        let present = ack.session_present || silent;
        self.was_clean = if hello.version.is_v5() {
            hello.expiry.is_none()
        } else {
            hello.clean
        };
        if present {
            self.send_again(prefix);
        } else {
            self.in_flight.clear();
            self.received.clear();
            self.outgoing.clear();
        }
    }

    /// What the client owes when its session is resumed: PUBLISH with DUP, or PUBREL, in order [MQTT-4.4.0-1].
    fn send_again(&mut self, prefix: &str) {
        for at in 0..self.outgoing.len() {
            self.outgoing[at].held = false;
            let Outgoing {
                id,
                received,
                ref message,
                ..
            } = self.outgoing[at];
            if received {
                self.send(&PubRel::new(id));
            } else {
                let message = message.clone();
                self.send_message(&message, Some(id), true, prefix);
            }
        }
    }

    fn subscribe(
        &mut self,
        filters: &[(String, mqtt_codec::SubscriptionOptions)],
        id: Option<u32>,
        prefix: &str,
    ) {
        let version = self.version();
        let id = id.and_then(SubscriptionId::new).filter(|_| version.is_v5());
        let properties: Vec<_> = id
            .map(Property::SubscriptionIdentifier)
            .into_iter()
            .collect();
        let placed: Vec<String> = filters
            .iter()
            .map(|(filter, _)| place(filter, prefix))
            .collect();
        let filters: Vec<_> = placed
            .iter()
            .zip(filters)
            .map(|(filter, &(_, options))| SubscribeFilter {
                filter,
                // A step of a client whose version was changed may say what only 5.0 can.
                options: if version.is_v5() {
                    options
                } else {
                    mqtt_codec::SubscriptionOptions::new(options.qos)
                },
            })
            .collect();
        let packet_id = self.fresh_id();
        self.send(&Subscribe {
            packet_id,
            properties: Properties::List(&properties),
            filters: Filters::List(&filters),
        });
    }

    fn version(&self) -> Version {
        self.link.as_ref().map_or(Version::V5, |link| link.version)
    }

    fn publish(&mut self, message: &Message, after: After, prefix: &str) {
        let id = (message.qos != QoS::AtMostOnce).then(|| self.fresh_id());
        if let Some(id) = id {
            self.outgoing.push(Outgoing {
                id,
                message: message.clone(),
                received: false,
                held: after == After::Hold,
            });
        }
        self.send_message(message, id, false, prefix);
        if after == After::Lose {
            self.lose(prefix);
        }
    }

    fn send_message(&mut self, message: &Message, id: Option<PacketId>, dup: bool, prefix: &str) {
        let Some(link) = &mut self.link else { return };
        let v5 = link.version.is_v5();
        let full = place(&message.topic, prefix);
        let response = place("answer", prefix);
        let mut topic = full.as_str();
        let mut properties = if v5 {
            forwarded(message, &response)
        } else {
            Vec::new()
        };
        let alias = message
            .alias
            .filter(|&alias| v5 && alias <= link.alias_maximum);
        if let Some(alias) = alias {
            let before = link.given_aliases.insert(alias, full.clone());
            if before.is_some_and(|before| before == full) {
                topic = "";
            }
            properties.extend(TopicAlias::new(alias).map(Property::TopicAlias));
        }
        let delivery = match (message.qos, id) {
            (QoS::AtLeastOnce, Some(id)) => Delivery::AtLeastOnce(id),
            (QoS::ExactlyOnce, Some(id)) => Delivery::ExactlyOnce(id),
            _ => Delivery::AtMostOnce,
        };
        let publish = Publish {
            dup,
            retain: message.retain,
            delivery,
            topic,
            properties: Properties::List(&properties),
            payload: message.payload.as_bytes(),
        };
        let bytes = publish.bytes(link.version);
        let _ = link.client.try_send_bytes(&bytes);
    }

    /// The broker has what was sent, then the connection breaks, and what it answered is lost on the way. Only the observer notes which
    /// packet ids were used.
    fn lose(&mut self, prefix: &str) {
        let Some(mut link) = self.link.take() else {
            return;
        };
        for _ in 0..3 {
            let _ = link.client.try_send_bytes(&PINGREQ);
            while let Some(frame) = link.client.receive_or_end() {
                match frame.packet() {
                    FromServer::PingResp => break,
                    FromServer::Publish(publish) => {
                        let aliases = &mut link.seen_aliases;
                        let _ = view::got(&publish, prefix, &mut self.in_flight, aliases);
                    }
                    _ => {}
                }
            }
        }
        link.client.cut();
    }

    fn disconnect(&mut self, reason: ReasonCode, expiry: Option<u32>, prefix: &str) {
        let Some(link) = &self.link else { return };
        let v5 = link.version.is_v5();
        let expiry = expiry.filter(|_| v5 && link.lasting);
        let properties: Vec<_> = expiry
            .map(Property::SessionExpiryInterval)
            .into_iter()
            .collect();
        self.send(&Disconnect {
            reason: if v5 { reason } else { ReasonCode::SUCCESS },
            properties: Properties::List(&properties),
        });
        while self.link.is_some() {
            self.read_one(prefix);
        }
        // That it ends is what was asked for.
        self.seen.retain(|event| *event != Event::Closed);
    }

    /// Reads up to PINGRESP or the end; whether anything was sent in answer.
    fn read_to_pong(&mut self, prefix: &str) -> bool {
        let mut answered = false;
        while self.link.is_some() {
            let Some(sent) = self.read_one(prefix) else {
                break;
            };
            answered |= sent;
        }
        answered
    }

    /// Reads a packet: `None` for PINGRESP or the end, otherwise whether it was answered.
    fn read_one(&mut self, prefix: &str) -> Option<bool> {
        let link = self.link.as_mut()?;
        let Some(frame) = link.client.receive_or_end() else {
            self.seen.push(Event::Closed);
            self.link = None;
            return None;
        };
        let packet = frame.packet();
        if let FromServer::PubRel(release) = packet {
            // They come in the order of PUBREC [MQTT-4.6.0-4].
            let id = release.packet_id.get();
            link.released.push(id);
            let before = self.received.iter().take_while(|of| **of != id);
            for missing in before.filter(|of| !link.released.contains(of)) {
                self.seen
                    .push(Event::Strange(format!("PUBREL {id} came before {missing}")));
            }
        }
        if let FromServer::Publish(publish) = packet {
            let got = view::got(
                &publish,
                prefix,
                &mut self.in_flight,
                &mut link.seen_aliases,
            );
            self.seen.push(got.map_or_else(Event::Strange, Event::Got));
        } else {
            self.seen.push(view::other(&packet, &self.in_flight)?);
        }
        Some(self.answer(frame))
    }

    /// Answers a packet as the client's manner is; whether anything was sent.
    fn answer(&mut self, frame: Frame) -> bool {
        let Some(link) = &mut self.link else {
            return false;
        };
        let manner = link.manner;
        let reason = if manner == Manner::Refuse && link.version.is_v5() {
            REFUSAL
        } else {
            ReasonCode::SUCCESS
        };
        match frame.packet() {
            FromServer::Publish(publish) => match publish.delivery {
                Delivery::AtMostOnce => false,
                _ if manner == Manner::Withhold => self.withhold(frame),
                Delivery::AtLeastOnce(_) if manner == Manner::Halfway => self.withhold(frame),
                Delivery::AtLeastOnce(id) => {
                    self.in_flight.remove(&id.get());
                    self.send(&PubAck {
                        reason,
                        ..PubAck::new(id)
                    });
                    true
                }
                Delivery::ExactlyOnce(id) => {
                    if reason.is_error() {
                        self.in_flight.remove(&id.get());
                    } else if !self.received.contains(&id.get()) {
                        self.received.push(id.get());
                    }
                    self.send(&PubRec {
                        reason,
                        ..PubRec::new(id)
                    });
                    true
                }
            },
            FromServer::PubRel(_) if matches!(manner, Manner::Withhold | Manner::Halfway) => {
                self.withhold(frame)
            }
            FromServer::PubRel(release) => {
                let id = release.packet_id.get();
                self.in_flight.remove(&id);
                self.received.retain(|of| *of != id);
                link.released.retain(|of| *of != id);
                self.send(&PubComp::new(release.packet_id));
                true
            }
            FromServer::PubAck(ack) => {
                self.outgoing
                    .retain(|outgoing| outgoing.id != ack.packet_id);
                false
            }
            FromServer::PubComp(ack) => {
                self.outgoing
                    .retain(|outgoing| outgoing.id != ack.packet_id);
                false
            }
            FromServer::PubRec(ack) if ack.reason.is_error() => {
                self.outgoing
                    .retain(|outgoing| outgoing.id != ack.packet_id);
                false
            }
            FromServer::PubRec(ack) => {
                let of = |outgoing: &&mut Outgoing| outgoing.id == ack.packet_id;
                let Some(outgoing) = self.outgoing.iter_mut().find(of) else {
                    return false;
                };
                outgoing.received = true;
                let held = outgoing.held;
                if !held {
                    self.send(&PubRel::new(ack.packet_id));
                }
                !held
            }
            _ => false,
        }
    }

    fn withhold(&mut self, frame: Frame) -> bool {
        if let Some(link) = &mut self.link {
            link.unanswered.push(frame);
        }
        false
    }
}

/// What a connection that was taken over still got.
fn end_of(mut old: Link) -> Seen {
    let mut seen = Seen::new();
    while let Some(frame) = old.client.receive_or_end() {
        seen.push(match frame.packet() {
            FromServer::Disconnect(disconnect) => Event::OldDisconnect(disconnect.reason.0),
            FromServer::Publish(_) => Event::OldGot(frame.text()),
            other => Event::Strange(format!("old connection: {other:?}")),
        });
    }
    seen
}

/// A topic or filter of the trace, in this run.
fn place(topic: &str, prefix: &str) -> String {
    match topic
        .strip_prefix("$share/")
        .and_then(|rest| rest.split_once('/'))
    {
        Some((group, filter)) => format!("$share/{group}/{prefix}{filter}"),
        None => format!("{prefix}{topic}"),
    }
}

/// The properties of a message that reach its receivers.
fn forwarded<'a>(message: &Message, response: &'a str) -> Vec<Property<'a>> {
    let mut properties = Vec::new();
    properties.extend(message.expiry.map(Property::MessageExpiryInterval));
    if message.properties {
        properties.extend([
            Property::PayloadFormatIndicator(PayloadFormat::Utf8),
            Property::ContentType("text"),
            Property::ResponseTopic(response),
            Property::CorrelationData(b"\x00\x01"),
            Property::UserProperty("k", "1"),
            Property::UserProperty("a", "2"),
            Property::UserProperty("k", "1"),
        ]);
    }
    properties
}
