//! A simulation: the client of a device and a server session, joined by a link that delays, fragments, cuts and reconnects, as a seed says.

use std::collections::{BTreeMap, BTreeSet};

use mqtt_codec::{QoS, SubscriptionOptions, Version};
use mqtt_session::compact::{Compact, Device, Event, Outgoing, Queue, Record};
use mqtt_session::{Instant, Limits, Outcome, Profile, Server};
use mqtt_topic::{TopicFilter, TopicName};

use super::client::Incoming;
use super::rig::overhead;
use crate::owners::{HeapOwner, Heaped, Memory, Message, TestOwner};
use crate::rng::Rng;
use crate::sim::end::End;
use crate::sim::flow::Flow;
use crate::sim::{Counters, PACKET, Question, message};
use crate::watch::Watch;

/// One run.
#[derive(Debug)]
pub struct Sim<D: Device, Q> {
    pub(super) rng: Rng,
    pub(super) now: Instant,
    pub(super) version: Version,
    pub(super) client: Compact<'static, D, Q>,
    /// Bytes of the client's receive buffer.
    pub(super) buffer: usize,
    pub(super) server: End<Server, Heaped>,
    pub(super) up: Flow<()>,
    pub(super) down: Flow<()>,
    /// What the client wrote and the link has not carried.
    pub(super) link: Vec<u8>,
    /// What it wrote and is not yet a whole packet.
    pub(super) wire: Vec<u8>,
    /// Acknowledgements are among what is being written now.
    pub(super) answered: bool,
    pub(super) incoming: Incoming,
    pub(super) watch: Watch<()>,
    /// Nothing is durable at a device: the watch asks an owner that does not mind.
    pub(super) owner: HeapOwner,
    /// Messages that the application has not heard the end of, by their packet ids.
    pub(super) ids: BTreeMap<u16, usize>,
    /// Those of them that were over with their session.
    pub(super) over: BTreeSet<u16>,
    pub(super) connected: bool,
    pub(super) want_clean: bool,
    /// The last CONNECT asked for a clean start.
    pub(super) was_clean: bool,
    pub(super) subscribed: bool,
    pub(super) subscribing: bool,
    pub(super) unsubscribing: bool,
    pub(super) memory: Memory,
    pub(super) question: Option<Question>,
    pub(super) draining: bool,
    /// What happened.
    pub counters: Counters,
}

impl<D: Device, Q: Queue> Sim<D, Q> {
    /// A run from this seed, with a queue that `queue` makes.
    #[must_use]
    pub fn new(seed: u64, version: Version, queue: impl FnOnce(&mut Rng) -> Q) -> Self {
        let mut rng = Rng::new(seed);
        let mut limits = Limits::default();
        limits.receive_maximum = 1 + rng.below(6) as u16;
        if D::EARLY || !version.is_v5() {
            // What a client does not know, or cannot, it does not heed.
            limits.receive_maximum += D::WINDOW;
        }
        limits.unannounced_receive_maximum = limits.receive_maximum;
        limits.send_maximum = (1 + rng.below(8) as u16).min(D::RECEIVE_MAXIMUM);
        limits.unannounced_send_maximum = limits.send_maximum;
        limits.maximum_packet_size = PACKET;
        limits.topic_alias_maximum = 3;
        limits.topic_alias_send_maximum = 3;
        let queue = queue(&mut rng);
        let buffer = 72 + rng.below(120);
        let memory = vec![0xA5; overhead::<D>(version) + buffer].leak();
        Self {
            rng,
            now: Instant::from_millis(u64::from(u32::MAX) - 20_000),
            version,
            client: Compact::new(memory, queue, version),
            buffer,
            server: End::new("server", &limits, !seed),
            up: Flow::new("client to server"),
            down: Flow::new("server to client"),
            link: vec![],
            wire: vec![],
            answered: false,
            incoming: Incoming::default(),
            watch: Watch::new("client"),
            owner: HeapOwner::default(),
            ids: BTreeMap::new(),
            over: BTreeSet::new(),
            connected: false,
            want_clean: false,
            was_clean: false,
            subscribed: false,
            subscribing: false,
            unsubscribing: false,
            memory: Memory::default(),
            question: None,
            draining: false,
            counters: Counters::default(),
        }
    }

    /// Runs `steps` steps, then lets everything come to its end and checks that it did.
    ///
    /// # Panics
    /// When a promise of the specification is broken.
    pub fn run(&mut self, steps: u32) {
        for _ in 0..steps {
            self.step();
        }
        self.drain();
        self.up.check_end();
        self.down.check_end();
        assert!(self.ids.is_empty(), "no word of {:?}", self.ids);
    }

    fn step(&mut self) {
        self.counters.hit("steps");
        if !self.connected && self.rng.one_in(3) {
            self.connect();
        }
        match self.rng.below(1_000) {
            0..70 => self.publish_up(),
            70..150 if self.memory.subscribed => self.publish_down(),
            150..350 => {
                let most = 1 + self.rng.below(400);
                self.write(most);
            }
            350..500 => self.poll_server(),
            500..620 => self.carry_up(),
            620..740 => self.carry_down(),
            740..780 => self.server.settle_some(&mut self.rng),
            780..820 => self.answer(),
            820..870 => {
                let ms = 1 + self.rng.below(2_000) as u64;
                self.pass(ms);
            }
            870..875 => {
                let ms = 5_000 + self.rng.below(20_000) as u64;
                self.pass(ms);
            }
            875..884 => self.cut(),
            884..892 => self.lose(),
            892..894 => self.goodbye(),
            894..900 => self.unsubscribe(),
            _ => self.subscribe(),
        }
        self.end_if_closing();
    }

    fn end_if_closing(&mut self) {
        let gone = self.client.is_closing() && self.client.output(self.now).is_empty();
        if gone && self.rng.one_in(2) {
            // What was written before the end arrives.
            self.carry_up();
        }
        if gone || self.server.closing {
            self.cut();
        }
    }

    /// The application publishes.
    fn publish_up(&mut self) {
        let number = self.up.len();
        let mut message = message(&mut self.rng, self.now, self.version, number);
        message.expires = None;
        message.qos = message.qos.min(<D::Profile as Profile>::MAX_QOS);
        if D::EARLY {
            // Before CONNACK nobody knows what is too large.
            message.payload.truncate(100);
        }
        // Every topic has an alias of its own.
        let topic = TopicName::new(&message.topic).expect("a topic");
        let alias = message.topic.bytes().last().map_or(0, |last| last - b'0') + 1;
        let outgoing = Outgoing {
            qos: message.qos,
            retain: message.retain,
            alias: mqtt_codec::TopicAlias::new(alias.into()),
            ..Outgoing::new(topic, &message.payload)
        };
        let Ok(id) = self.client.publish(&outgoing) else {
            self.counters.hit("queue full");
            return;
        };
        self.up
            .published(mqtt_session::Seq(number as u64), &message);
        assert_eq!(id.is_some(), message.qos != QoS::AtMostOnce);
        if let Some(id) = id {
            let before = self.ids.insert(id.get(), number);
            assert_eq!(before, None, "{id:?} is in use");
        }
    }

    fn publish_down(&mut self) {
        let mut message: Message = message(&mut self.rng, self.now, self.version, self.down.len());
        message.qos = message.qos.min(<D::Profile as Profile>::MAX_QOS);
        if self.rng.one_in(3) {
            let more = 40 + self.rng.below(200);
            message.payload.extend((0..more).map(|at| at as u8));
        }
        if let Some(seq) = self.server.owner.publish(&message) {
            self.down.published(seq, &message);
        }
    }

    pub(super) fn poll_server(&mut self) {
        let (room, most) = (PACKET as usize + self.rng.below(300), 1 + self.rng.below(6));
        self.server
            .poll(room, most, self.now, &mut self.down, (), &mut self.counters);
    }

    fn pass(&mut self, ms: u64) {
        self.now = self.now.plus_millis(ms);
        self.client.timeout(self.now);
        let limits = self.server.owner.limits_mut().clone();
        let server = self.server.session.timeout(self.now, &limits);
        if self.client.is_closing() || server.is_err() {
            self.counters.hit_if(self.connected, "timed out");
            self.cut();
        }
    }

    /// The server's owner drops a message.
    fn lose(&mut self) {
        let waiting = self.server.owner.waiting();
        if let Some(&seq) = waiting.get(self.rng.below(waiting.len())) {
            self.server.owner.lose(seq);
            self.down.lost(seq);
            self.server.watch.lost(self.down.number(seq));
        }
    }

    /// The application sends the device to sleep.
    fn goodbye(&mut self) {
        if self.client.is_connected() {
            self.counters.hit("goodbye");
            self.client.disconnect();
        }
    }

    /// The application subscribes, if it has to, and its device does not.
    fn subscribe(&mut self) {
        let has_to = D::SUBSCRIPTIONS.is_empty() && !self.subscribed && !self.subscribing;
        if !has_to || !self.client.is_connected() {
            return;
        }
        let filter = TopicFilter::new("topic/#").expect("a filter");
        let options = SubscriptionOptions {
            qos: <D::Profile as Profile>::MAX_QOS,
            ..SubscriptionOptions::default()
        };
        self.subscribing = self.client.subscribe(filter, options).is_ok();
    }

    /// The application has heard enough, for a while.
    fn unsubscribe(&mut self) {
        if D::SUBSCRIPTIONS.is_empty() && self.subscribed && !self.unsubscribing {
            let filter = TopicFilter::new("topic/#").expect("a filter");
            self.unsubscribing = self.client.unsubscribe(filter).is_ok();
        }
    }

    /// What an event says.
    pub(super) fn heard(&mut self, event: Event) {
        match event {
            Event::Waiting | Event::Nothing => {}
            Event::Connected {
                session_present,
                resumed,
            } => self.confirmed(session_present, resumed),
            Event::Acknowledged(id, reason) => {
                let number = self.ids.remove(&id.get());
                let number = number.unwrap_or_else(|| panic!("{id:?} is nobody's"));
                let outcome = if reason == mqtt_codec::ReasonCode::PACKET_TOO_LARGE {
                    Outcome::TooLarge
                } else if reason.is_error() {
                    Outcome::Refused(reason)
                } else {
                    Outcome::Acknowledged(reason)
                };
                let seq = mqtt_session::Seq(number as u64);
                self.up
                    .ended(seq, outcome, self.now, (), &mut self.counters);
            }
            Event::Subscribed(_, code) => {
                assert!(!code.is_error());
                self.counters
                    .hit_if(!D::SUBSCRIPTIONS.is_empty(), "subscribed by itself");
                self.subscribing = false;
                self.subscribed = true;
            }
            Event::Unsubscribed(_) => {
                self.counters.hit("unsubscribed");
                self.unsubscribing = false;
                self.subscribed = false;
            }
            other => panic!("{other:?}: {:?}", self.client.violation()),
        }
    }

    /// No more cuts: everything comes to its end.
    fn drain(&mut self) {
        self.draining = true;
        for _ in 0..1_000 {
            self.end_if_closing();
            if !self.connected {
                self.connect();
            }
            self.subscribe();
            self.write(usize::MAX);
            for _ in 0..4 {
                self.poll_server();
            }
            self.carry_up();
            self.carry_down();
            self.server.settle_all();
            self.answer();
            if D::HOLD_MS > 0 {
                self.pass(D::HOLD_MS.into());
            }
            if self.unrest().next().is_none() {
                return;
            }
        }
        let still: Vec<_> = self.unrest().collect();
        panic!(
            "no end: {} still there\nthe client: {:?}\nthe server: {:?}, {:?}",
            still.join(", "),
            self.waiting().collect::<Vec<_>>(),
            self.server.owner.waiting(),
            self.server.session.state(),
        );
    }

    /// What the client's queue holds.
    pub(super) fn waiting(&self) -> impl Iterator<Item = Record> {
        let queue = self.client.queue();
        let oldest = queue.get(queue.start());
        core::iter::successors(oldest, |&record| queue.get(queue.after(record)))
    }

    /// What keeps the run from its end.
    fn unrest(&self) -> impl Iterator<Item = &'static str> {
        let server = &self.server;
        let connected = self.client.is_connected() && server.session.is_connected();
        [
            (!connected, "a connection to come up"),
            (self.waiting().next().is_some(), "the client's packets"),
            (
                !self.subscribed || !self.memory.subscribed,
                "the subscription",
            ),
            (
                !server.session.state().is_quiet(),
                "the server's handshakes",
            ),
            (!server.owner.waiting().is_empty(), "the server's messages"),
            (
                !self.link.is_empty() || !self.wire.is_empty() || !server.rx.is_empty(),
                "bytes to the server",
            ),
            (
                !server.tx.is_empty() || self.incoming.has_any(),
                "bytes to the client",
            ),
            (server.has_verdicts(), "the server's verdicts"),
            (self.question.is_some(), "a question"),
        ]
        .into_iter()
        .filter_map(|(there, what)| there.then_some(what))
    }
}
