//! The reference at work: it reads what the broker took, and [judges](super::judge) what the broker writes.

use std::collections::BTreeMap;

use mqtt_broker::core::Room;
use mqtt_codec::{FromClient, QoS, ReasonCode};
use mqtt_session::Instant;

use super::event::{Event, Goodbye, Sub};
use super::kept::{Routing, WILL};
use super::refusals::At;
use super::state::{Context, Outcome, State};
use super::tables::{self, LARGE, Setup};
use super::wire::{Owed, Request, Wire};
use crate::sim::Counters;

/// The reference.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) setup: Setup,
    pub(super) state: State,
    pub(super) routings: Vec<Routing>,
    /// What was published under each number, as the broker took it.
    pub(super) payloads: BTreeMap<u32, Vec<u8>>,
    /// Every connection there was.
    pub(super) wires: Vec<Wire>,
    /// What happened, and the record up to which it is durable.
    pub(super) journal: Vec<(u64, Event)>,
    /// Group messages that were lost with a session to which their delivery had begun.
    pub(super) lost: Vec<u32>,
    /// Which clients' owners have got a routing at QoS 2, as bits.
    pub(super) presented: Vec<u8>,
    /// The session of its publisher in which a QoS 2 message was routed.
    pub(super) routed: Vec<u32>,
    /// Subscriptions that were made.
    subscriptions: u32,
    /// Sessions of each client that outlived connections and have ended since the last crash: a crash may bring them back.
    pub(super) ended: [bool; 8],
    /// How often the broker has crashed.
    pub(super) restarts: u32,
    pub(super) counters: Counters,
}

/// The number that a payload begins with.
pub(super) fn number(payload: &[u8]) -> Option<u32> {
    payload
        .first_chunk::<4>()
        .map(|bytes| u32::from_be_bytes(*bytes))
}

/// The number of what has no payload.
pub(super) const NO_NUMBER: u32 = !WILL;

impl Model {
    pub(super) fn new(setup: Setup) -> Self {
        Self {
            setup,
            state: State::default(),
            routings: vec![],
            payloads: BTreeMap::new(),
            wires: vec![],
            journal: vec![],
            lost: vec![],
            presented: vec![],
            routed: vec![],
            subscriptions: 0,
            ended: [false; 8],
            restarts: 0,
            counters: Counters::default(),
        }
    }

    pub(super) fn happened(&mut self, record: u64, event: Event) -> Outcome {
        self.counters.trace(|| format!("    {event:?}"));
        self.journal.push((record, event));
        let mut cx = Context {
            setup: &self.setup,
            routings: &self.routings,
            counters: &mut self.counters,
            lost: &self.lost,
        };
        let before = self.state.lasting();
        let outcome = self.state.apply(&event, &mut cx);
        for ((ended, before), now) in self.ended.iter_mut().zip(before).zip(self.state.lasting()) {
            *ended |= before != 0 && before != now;
        }
        outcome
    }

    fn routing(&mut self, routing: Routing) -> u32 {
        self.routings.push(routing);
        self.presented.push(0);
        self.routings.len() as u32 - 1
    }

    fn keep(&mut self, payload: &[u8]) {
        if let Some(number) = number(payload) {
            self.payloads.insert(number, payload.to_vec());
        }
    }

    /// The broker took a packet.
    pub(super) fn took(&mut self, link: usize, packet: &FromClient<'_>, at: At) {
        let client = self.wires[link].client;
        if let FromClient::Connect(_) = packet {
            self.connect(link, packet, at);
            return;
        }
        if self.wires[link].taken_over {
            panic!("{} was read after it was taken over", tables::NAMES[client]);
        }
        // That a session was used which this very packet ends is of no interest, and not noted.
        let ends = matches!(packet, FromClient::Disconnect(packet) if packet.properties.session_expiry_interval() == Some(0));
        if !self.state.sessions[client].used && !ends {
            self.happened(at.record, Event::Used { client });
        }
        let lasts = self.state.sessions[client].expiry != 0;
        match packet {
            FromClient::Publish(publish) => self.publish(link, publish, at),
            FromClient::PubAck(packet) => {
                let id = packet.packet_id.get();
                let flight = self.state.sessions[client].flight(id);
                if flight.is_some_and(|flight| !flight.exactly_once && flight.sent) {
                    self.counters.hit_if(packet.reason.is_error(), "refused");
                    self.happened(at.record, Event::Acknowledged { client, id });
                }
            }
            FromClient::PubRec(packet) => {
                let id = packet.packet_id.get();
                let flight = self.state.sessions[client].flight(id);
                if let Some(flight) =
                    flight.filter(|flight| flight.exactly_once && !flight.received)
                {
                    assert!(flight.sent, "PUBREC for what was not sent");
                    let event = if packet.reason.is_error() {
                        self.counters.hit("refused");
                        Event::Acknowledged { client, id }
                    } else {
                        self.wires[link].to_release.push_back(id);
                        Event::PeerReceived {
                            client,
                            id,
                            opens: at.promise(lasts),
                        }
                    };
                    self.happened(at.record, event);
                }
            }
            FromClient::PubRel(packet) => {
                let id = packet.packet_id.get();
                // Nothing is recorded of an id that is free already.
                let mut known = self.state.sessions[client].inbound.iter();
                let known = known.any(|entry| entry.id == id);
                let opens = if known { at.promise(lasts) } else { 0 };
                self.wires[link].released.push((id, opens));
                self.happened(at.record, Event::Released { client, id });
            }
            FromClient::PubComp(packet) => {
                let id = packet.packet_id.get();
                let flight = self.state.sessions[client].flight(id);
                if flight.is_some_and(|flight| flight.received && flight.released) {
                    self.happened(at.record, Event::Acknowledged { client, id });
                }
            }
            FromClient::Subscribe(packet) => {
                let id = packet.properties.subscription_identifiers().next();
                let refusal = at.refusal().filter(|_| lasts);
                let mut request = Request {
                    id: packet.packet_id.get(),
                    unsubscribe: false,
                    opens: match refusal {
                        Some(_) => 0,
                        None => at.promise(lasts),
                    },
                    codes: [0; 2],
                    count: 0,
                };
                for entry in packet.filters.iter() {
                    let filter = tables::filter(entry.filter).expect("a filter of ours");
                    let sub = Sub {
                        qos: entry.options.qos as u8,
                        no_local: entry.options.no_local,
                        retain_as_published: entry.options.retain_as_published,
                        retain_handling: entry.options.retain_handling as u8,
                        id: id.map_or(0, |id| id.get() as u8),
                    };
                    request.codes[request.count] = sub.qos;
                    request.count += 1;
                    if let Some(refusal) = refusal {
                        self.counters.hit("subscription refused for want of room");
                        let v5 = self.wires[link].version.is_v5();
                        // Before 5.0 there is one code for every failure.
                        request.codes[request.count - 1] = if v5 { refusal.0 } else { 0x80 };
                        continue;
                    }
                    self.subscriptions += 1;
                    self.happened(
                        at.record,
                        Event::Subscribe {
                            client,
                            filter,
                            sub,
                            key: self.subscriptions,
                            now: at.now,
                        },
                    );
                }
                self.wires[link].requests.push_back(request);
            }
            FromClient::Unsubscribe(packet) => {
                let mut request = Request {
                    id: packet.packet_id.get(),
                    unsubscribe: true,
                    opens: 0,
                    codes: [0; 2],
                    count: 0,
                };
                for text in packet.filters.iter() {
                    let filter = tables::filter(text).expect("a filter of ours");
                    if self.state.sessions[client].subs[filter].is_some() {
                        request.opens = at.promise(lasts);
                        self.counters.hit("unsubscribed");
                    } else {
                        request.codes[request.count] = ReasonCode::NO_SUBSCRIPTION_EXISTED.0;
                    }
                    request.count += 1;
                    self.happened(at.record, Event::Unsubscribe { client, filter });
                }
                self.wires[link].requests.push_back(request);
            }
            FromClient::PingReq => self.wires[link].pings += 1,
            FromClient::Disconnect(packet) => {
                self.wires[link].goodbye = Some(Goodbye {
                    keeps_will: packet.reason != ReasonCode::NORMAL_DISCONNECTION,
                    expiry: packet.properties.session_expiry_interval(),
                });
            }
            FromClient::Connect(_) | FromClient::Auth(_) => panic!("nobody sends that: {packet:?}"),
        }
    }

    fn connect(&mut self, link: usize, packet: &FromClient<'_>, at: At) {
        let FromClient::Connect(connect) = packet else {
            return;
        };
        let client = tables::client(connect.client_id()).expect("a client of ours");
        let properties = connect.properties();
        let v5 = connect.version().is_v5();
        let expiry = match (v5, connect.clean_start()) {
            (true, _) => properties.session_expiry_interval().unwrap_or(0),
            (false, true) => 0,
            (false, false) => u32::MAX,
        };
        if let Some(reason) = self.connect_refusal(client, v5, connect.clean_start(), expiry, at) {
            self.counters.hit("session refused for want of room");
            let wire = &mut self.wires[link];
            (wire.connected, wire.connack) = (true, Some(0));
            wire.refusal = Some(reason);
            return;
        }
        let before = self.outlives_its_connection(client);
        let will = connect.will().map(|will| {
            self.keep(will.payload);
            let life = will.properties.message_expiry_interval();
            let routing = Routing {
                message: number(will.payload).expect("it begins with its number") | WILL,
                publisher: client as u8,
                topic: tables::topic(will.topic).expect("a topic of ours") as u8,
                qos: will.qos as u8,
                retain: will.retain,
                empty: false,
                large: false,
                expires: life.map(|seconds| Instant::ZERO.plus_seconds(seconds)),
                unkept: false,
            };
            let delay = will.properties.will_delay_interval().unwrap_or(0);
            let r = self.routing(routing);
            self.routing(Routing {
                qos: 0,
                unkept: true,
                ..routing
            });
            (r, delay)
        });
        let mut goodbye = None;
        if let Some(old) = self.state.sessions[client].link {
            let old = &mut self.wires[old as usize];
            old.taken_over = true;
            goodbye = old.goodbye;
        }
        let most = self.setup.send_maximum;
        let announced = properties.receive_maximum().filter(|_| v5);
        let wire = &mut self.wires[link];
        wire.connected = true;
        wire.connack = Some(at.promise(before || expiry != 0));
        wire.receive_maximum = announced.map_or(most, |n| n.get().min(most));
        self.happened(
            at.record,
            Event::Connect {
                client,
                link: link as u32,
                clean: connect.clean_start(),
                expiry,
                will,
                goodbye,
                when: at.when(),
            },
        );
    }

    fn publish(&mut self, link: usize, publish: &mqtt_codec::Publish<'_>, at: At) {
        let wire = &mut self.wires[link];
        let client = wire.client;
        let alias = publish.properties.topic_alias().map(|alias| alias.get());
        let topic = Wire::resolve(&mut wire.aliases_in, publish.topic, alias);
        let id = publish.delivery.packet_id().map_or(0, |id| id.get());
        let exactly_once = publish.delivery.qos() == QoS::ExactlyOnce;
        let session = &self.state.sessions[client];
        let mut owed = Owed {
            id,
            exactly_once,
            opens: 0,
            anybody: true,
            refusal: None,
        };
        let known = session.inbound.iter().find(|entry| entry.id == id);
        if let Some(known) = known.filter(|_| exactly_once) {
            self.counters.hit("repetition not delivered");
            owed.opens = known.opens;
        } else if let Some(refusal) = at
            .refusal()
            .filter(|_| id != 0 || (publish.retain && !publish.payload.is_empty()))
        {
            let v5 = self.wires[link].version.is_v5();
            self.counters.hit(match (v5, at.room) {
                (_, Room::Failed) => "message refused by a store that has failed",
                (true, _) => "message refused for want of room, and that said",
                (false, _) => "message refused for want of room without a word",
            });
            if !v5 {
                self.wires[link].silent |= id != 0;
                return;
            }
            owed.refusal = Some(refusal);
        } else {
            let interval = publish.properties.message_expiry_interval();
            let message = number(publish.payload).unwrap_or(NO_NUMBER);
            self.keep(publish.payload);
            let session = &self.state.sessions[client];
            if exactly_once && !publish.payload.is_empty() {
                let birth = session.birth;
                let at = message as usize;
                if self.routed.len() <= at {
                    self.routed.resize(at + 1, 0);
                }
                assert_ne!(
                    self.routed[at], birth,
                    "message {message}, QoS 2, came twice within one session"
                );
                self.routed[at] = birth;
            }
            let r = self.routing(Routing {
                message,
                publisher: client as u8,
                topic: topic as u8,
                qos: publish.delivery.qos() as u8,
                retain: publish.retain,
                empty: publish.payload.is_empty(),
                large: publish.payload.len() >= LARGE,
                expires: interval.map(|seconds| at.now.plus_seconds(seconds)),
                unkept: false,
            });
            let event = Event::Publish {
                r,
                received: exactly_once.then_some(id),
                opens: at.record,
                now: at.now,
            };
            let outcome = self.happened(at.record, event);
            owed.anybody = outcome.anybody;
            if exactly_once || (outcome.kept && !self.setup.lossy) {
                owed.opens = at.record;
            }
        }
        if id == 0 {
            return;
        }
        let owes = &mut self.wires[link].owed;
        let waits = |other: &Owed| other.exactly_once && other.id == id;
        if !(exactly_once && owes.iter().any(waits)) {
            owes.push_back(owed);
        }
    }

    /// The transport of a connection is gone.
    pub(super) fn closed(&mut self, link: usize, at: At) {
        let wire = &self.wires[link];
        let client = wire.client;
        if self.state.sessions[client].link == Some(link as u32) {
            let event = Event::Closed {
                client,
                goodbye: wire.goodbye,
                when: at.when(),
            };
            self.happened(at.record, event);
        }
    }

    /// A crash: what was not durable has not happened.
    pub(super) fn crashed(&mut self, is_durable: &[bool]) {
        self.restarts += 1;
        let (state, mut counters) = (&mut self.state, Counters::silent());
        *state = State::default();
        let mut cx = Context {
            setup: &self.setup,
            routings: &self.routings,
            counters: &mut counters,
            lost: &self.lost,
        };
        let mut lost = vec![];
        // Every round is a batch: from the first event on that is lost all are, but for what was written meanwhile of what is not.
        let mut all_durable = true;
        self.journal.retain(|(record, event)| {
            let durable = is_durable[*record as usize];
            // A restart has a batch for each worker.
            let resumed = matches!(event, Event::Resumed { .. });
            all_durable &= durable || resumed;
            let written = matches!(event, Event::Wrote { .. } | Event::Served { .. });
            if (all_durable && durable) || written {
                state.apply(event, &mut cx);
                return true;
            }
            self.counters.trace(|| format!("    lost: {event:?}"));
            if let Event::Publish { r, .. } = *event {
                let message = self.routings[r as usize].message as usize;
                if let Some(routed) = self.routed.get_mut(message) {
                    *routed = 0;
                }
            }
            if let Event::Connect {
                client,
                link,
                clean: true,
                ..
            } = *event
            {
                lost.push((client, link));
            }
            false
        });
        self.ended = [false; 8];
        for (client, link) in lost {
            let session = &state.sessions[client];
            // One that ends with its connection ends now.
            let is_there = session.exists && (session.link.is_none() || session.expiry != 0);
            assert!(
                self.wires[link as usize].connack.is_some() || !is_there,
                "{}: the session is there again that a clean start has ended",
                tables::NAMES[client]
            );
        }
    }

    /// A worker has looked at the clock: what is due of its sessions happens, in the order in which it was due.
    pub(super) fn clock(&mut self, worker: u16, at: At) {
        loop {
            let due = (0..self.setup.kinds.len())
                .filter(|&client| {
                    self.setup.kinds[client].home == worker
                        && self.state.sessions[client].is_due(at.now)
                })
                .min_by_key(|&client| self.state.sessions[client].due());
            let Some(client) = due else { return };
            let when = at.when();
            self.happened(at.record, Event::Due { client, when });
        }
    }
}
