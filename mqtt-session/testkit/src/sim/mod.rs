//! A simulation: a client and a server session, joined by a link that delays, fragments, cuts and reconnects, as a seed says.

mod dress;
pub(crate) mod end;
pub(crate) mod flow;
pub(crate) mod read;
pub mod runs;
mod session;

use std::collections::BTreeMap;

use mqtt_codec::{PacketId, QoS, Version};
use mqtt_session::{Change, Client, Instant, Limits, Seq, Server, SessionState};

use crate::owners::{Kind, Memory, Message, TestOwner};
use crate::rng::Rng;
use crate::script::GateOf;
use end::End;
pub use flow::Flow;

/// How often each interesting thing happened.
#[derive(Clone, Debug)]
pub struct Counters {
    counts: BTreeMap<&'static str, u64>,
    trace: bool,
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            counts: BTreeMap::new(),
            trace: std::env::var_os("MQTT_TRACE").is_some(),
        }
    }
}

impl Counters {
    /// Counters of something that is only repeated, and not traced.
    #[must_use]
    pub const fn silent() -> Self {
        Self {
            counts: BTreeMap::new(),
            trace: false,
        }
    }

    /// It happened.
    pub fn hit(&mut self, name: &'static str) {
        if self.trace && name != "steps" {
            eprintln!("    ({name})");
        }
        *self.counts.entry(name).or_default() += 1;
    }

    /// It happened if `did`.
    pub fn hit_if(&mut self, did: bool, name: &'static str) {
        if did {
            self.hit(name);
        }
    }

    /// Writes a line of the trace, when `MQTT_TRACE` asks for one.
    pub fn trace(&self, line: impl FnOnce() -> String) {
        if self.trace {
            eprintln!("{}", line());
        }
    }

    /// How often it happened.
    #[must_use]
    pub fn count(&self, name: &str) -> u64 {
        self.counts.get(name).copied().unwrap_or(0)
    }

    /// Adds another run's.
    pub fn add(&mut self, other: &Self) {
        for (name, count) in &other.counts {
            *self.counts.entry(name).or_default() += count;
        }
    }

    /// All of them, one a line.
    #[must_use]
    pub fn table(&self) -> String {
        let lines = self
            .counts
            .iter()
            .map(|(name, count)| format!("{count:>9}  {name}\n"));
        lines.collect()
    }
}

/// What the server's owner was asked.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Question {
    Connect { clean: bool },
    Subscribe { filters: usize },
    Unsubscribe { filters: usize },
}

/// One run.
#[derive(Debug)]
pub struct Sim<C: Kind, S: Kind> {
    rng: Rng,
    now: Instant,
    version: Version,
    client: End<Client, C>,
    server: End<Server, S>,
    /// From the client to the server.
    up: Flow<GateOf<S>>,
    down: Flow<GateOf<C>>,
    connected: bool,
    /// A clean start was asked for and not yet confirmed: a driver asks again until it is.
    want_clean: bool,
    client_subscribed: bool,
    subscribing: bool,
    memory: Memory,
    session_gate: GateOf<S>,
    question: Option<Question>,
    draining: bool,
    /// What happened.
    pub counters: Counters,
}

/// Topics of the simulation: long enough for aliases, more than there are aliases.
const TOPICS: usize = 6;
/// Largest packet that either end takes, in bytes.
pub(crate) const PACKET: u32 = 160;

impl<C: Kind, S: Kind> Sim<C, S> {
    /// A run from this seed.
    #[must_use]
    pub fn new(seed: u64, version: Version) -> Self {
        let mut rng = Rng::new(seed);
        let mut limits = || {
            let mut limits = Limits::default();
            limits.receive_maximum = 2 + rng.below(6) as u16;
            limits.unannounced_receive_maximum = limits.receive_maximum;
            limits.send_maximum = 2 + rng.below(8) as u16;
            limits.maximum_packet_size = PACKET;
            limits.topic_alias_maximum = 3;
            limits.topic_alias_send_maximum = 3;
            limits
        };
        let (mut ours, mut theirs) = (limits(), limits());
        // What a client announces must fit its tables.
        ours.receive_maximum = ours.receive_maximum.min(C::ROOM);
        ours.topic_alias_maximum = ours.topic_alias_maximum.min(C::ALIASES);
        if !version.is_v5() {
            // Before 5.0 nobody says how much may be in flight: whoever runs both ends sets it.
            ours.send_maximum = ours.send_maximum.min(theirs.receive_maximum.min(S::ROOM));
            theirs.send_maximum = theirs.send_maximum.min(ours.receive_maximum);
        }
        let mut sim = Self {
            rng,
            now: Instant::from_millis(1),
            version,
            client: End::new("client", &ours, seed),
            server: End::new("server", &theirs, !seed),
            up: Flow::new("client to server"),
            down: Flow::new("server to client"),
            connected: false,
            want_clean: false,
            client_subscribed: false,
            subscribing: false,
            memory: Memory::default(),
            session_gate: Default::default(),
            question: None,
            draining: false,
            counters: Counters::default(),
        };
        // Ids begin near the end of their ring.
        let mut state = SessionState::default();
        if let Some(id) = PacketId::new(65_530) {
            for change in [Change::Sent(Seq(0), id), Change::Completed(id)] {
                state.restore(change).expect("an empty table has room");
            }
        }
        state.set_session_expiry(u32::MAX);
        sim.client.session.replace_state(state);
        sim
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
    }

    fn step(&mut self) {
        self.counters.hit("steps");
        if !self.connected && self.rng.one_in(3) {
            self.connect();
        }
        match self.rng.below(1_000) {
            0..100 => self.publish_up(),
            100..200 if self.memory.subscribed => self.publish_down(),
            200..350 => self.poll_client(),
            350..500 => self.poll_server(),
            500..620 => self.carry_up(),
            620..740 => self.carry_down(),
            740..785 => {
                let most = 1 + self.rng.below(8);
                self.client.owner.commit(most);
            }
            785..830 => {
                let most = 1 + self.rng.below(8);
                self.server.owner.commit(most);
            }
            830..850 => self.client.settle_some(&mut self.rng),
            850..870 => self.server.settle_some(&mut self.rng),
            870..910 => self.answer(),
            910..940 => {
                let ms = 1 + self.rng.below(2_000) as u64;
                self.pass(ms);
            }
            940..944 => {
                let ms = 5_000 + self.rng.below(20_000) as u64;
                self.pass(ms);
            }
            944..952 => self.cut(),
            952..955 => self.crash_client(),
            955..958 => self.crash_server(),
            958..966 => self.lose(),
            966..970 => {
                self.counters.hit("trimmed");
                self.client.session.trim();
                self.server.session.trim();
            }
            _ => self.subscribe(),
        }
        if self.client.closing || self.server.closing {
            self.cut();
        }
    }

    fn publish_up(&mut self) {
        let message = message(&mut self.rng, self.now, self.version, self.up.len());
        if let Some(seq) = self.client.owner.publish(&message) {
            self.up.published(seq, &message);
        }
    }

    fn publish_down(&mut self) {
        let message = message(&mut self.rng, self.now, self.version, self.down.len());
        if let Some(seq) = self.server.owner.publish(&message) {
            self.down.published(seq, &message);
        }
    }

    fn poll_client(&mut self) {
        let (room, most) = (PACKET as usize + self.rng.below(300), 1 + self.rng.below(6));
        let committed = self.server.committed();
        self.client.poll(
            room,
            most,
            self.now,
            &mut self.up,
            committed,
            &mut self.counters,
        );
    }

    fn poll_server(&mut self) {
        let (room, most) = (PACKET as usize + self.rng.below(300), 1 + self.rng.below(6));
        let committed = self.client.committed();
        self.server.poll(
            room,
            most,
            self.now,
            &mut self.down,
            committed,
            &mut self.counters,
        );
    }

    fn pass(&mut self, ms: u64) {
        self.now = self.now.plus_millis(ms);
        let limits = self.client.owner.limits_mut().clone();
        let client = self.client.session.timeout(self.now, &limits);
        let limits = self.server.owner.limits_mut().clone();
        let server = self.server.session.timeout(self.now, &limits);
        if client.is_err() || server.is_err() {
            self.counters.hit("timed out");
            self.cut();
        }
    }

    /// An owner drops a message: its queue was too long, an administrator cleared it.
    fn lose(&mut self) {
        if self.rng.one_in(2) {
            let waiting = self.client.owner.waiting();
            if let Some(&seq) = waiting.get(self.rng.below(waiting.len())) {
                self.client.owner.lose(seq);
                self.up.lost(seq);
                self.counters
                    .trace(|| format!("the client drops message {}", self.up.number(seq)));
                self.client.watch.lost(self.up.number(seq));
            }
        } else {
            let waiting = self.server.owner.waiting();
            if let Some(&seq) = waiting.get(self.rng.below(waiting.len())) {
                self.server.owner.lose(seq);
                self.down.lost(seq);
                self.counters
                    .trace(|| format!("the server drops message {}", self.down.number(seq)));
                self.server.watch.lost(self.down.number(seq));
            }
        }
    }

    /// No more cuts: everything comes to its end.
    fn drain(&mut self) {
        self.draining = true;
        for _ in 0..1_000 {
            if self.client.closing || self.server.closing {
                self.cut();
            }
            if !self.connected {
                self.connect();
            }
            self.subscribe();
            for _ in 0..4 {
                self.poll_client();
                self.poll_server();
            }
            self.carry_up();
            self.carry_down();
            self.client.settle_all();
            self.server.settle_all();
            self.client.owner.commit(usize::MAX);
            self.server.owner.commit(usize::MAX);
            self.answer();
            if self.unrest().next().is_none() {
                return;
            }
        }
        let still: Vec<_> = self.unrest().collect();
        panic!(
            "no end: {} still there\nthe client: {:?}, {:?}\nthe server: {:?}, {:?}",
            still.join(", "),
            self.client.owner.waiting(),
            self.client.session.state(),
            self.server.owner.waiting(),
            self.server.session.state(),
        );
    }

    /// What keeps the run from its end.
    fn unrest(&self) -> impl Iterator<Item = &'static str> {
        let (client, server) = (&self.client, &self.server);
        let connected = client.session.is_connected() && server.session.is_connected();
        [
            (!connected, "a connection to come up"),
            (
                !client.session.state().is_quiet(),
                "the client's handshakes",
            ),
            (
                !server.session.state().is_quiet(),
                "the server's handshakes",
            ),
            (!client.owner.waiting().is_empty(), "the client's messages"),
            (!server.owner.waiting().is_empty(), "the server's messages"),
            (
                !client.tx.is_empty() || !server.rx.is_empty(),
                "bytes to the server",
            ),
            (
                !server.tx.is_empty() || !client.rx.is_empty(),
                "bytes to the client",
            ),
            (client.has_verdicts(), "the client's verdicts"),
            (server.has_verdicts(), "the server's verdicts"),
            (self.question.is_some(), "a question"),
        ]
        .into_iter()
        .filter_map(|(there, what)| there.then_some(what))
    }
}

/// The next message of a direction: its payload begins with its number, and no two go on alike.
pub(crate) fn message(rng: &mut Rng, now: Instant, version: Version, number: usize) -> Message {
    let topic = format!("topic/{}", rng.below(TOPICS));
    let qos = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce][rng.below(3)];
    let mut payload = (number as u32).to_be_bytes().to_vec();
    let too_large = version.is_v5() && rng.one_in(20);
    let len = if too_large {
        PACKET as usize - 4
    } else {
        4 + rng.below(60)
    };
    payload.extend((4..len).map(|at| (at + 7 * number) as u8));
    let expires = rng
        .one_in(10)
        .then(|| now.plus_millis(rng.below(4_000) as u64));
    Message {
        retain: rng.one_in(8),
        expires,
        ..Message::new(&topic, qos, &payload)
    }
}
