//! A whole broker without sockets and clocks: several workers' cores, clients whose bytes go straight in and out, virtual time.

use std::collections::{HashMap, VecDeque};
use std::io::IoSlice;
use std::sync::Arc;

use mqtt_codec::{Connect, Properties, Property, Version};
use mqtt_session::Instant;

use super::client::{End, Manner, Seen};
use super::ledger::Ledgers;
use crate::core::{
    AllowAll, Batch, ConnId, Core, Effect, Image, Peer, Policy, Question, QuestionId, Received,
    Settings, Shared,
};

/// How a broker is set up for a test.
#[derive(Debug, Clone)]
pub(super) struct Setup {
    pub(super) workers: u16,
    pub(super) seed: u64,
    pub(super) settings: Settings,
}

impl Default for Setup {
    fn default() -> Self {
        let settings = Settings {
            sys_interval_ms: 0,
            ..Settings::default()
        };
        Self {
            workers: 1,
            seed: 7,
            settings,
        }
    }
}

/// A client, and the link between it and the broker.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) end: End,
    at: Option<(usize, ConnId)>,
    /// What it has sent and the broker has not taken.
    pub(super) sent: Vec<u8>,
    /// How much of `sent` has arrived at the broker, as far as it was not taken.
    arrived: usize,
    paused: bool,
    /// It does not read.
    deaf: bool,
    /// It has gone over to a new connection: nobody reads here any more.
    abandoned: bool,
    pub(super) next_id: u16,
    /// Everything that it ever received, for comparison.
    pub(super) bytes: Vec<u8>,
}

/// The broker and its clients.
pub(super) struct Net {
    pub(super) cores: Vec<Core>,
    pub(super) shared: Arc<Shared>,
    policy: Arc<dyn Policy>,
    seed: u64,
    pub(super) ledgers: Ledgers,
    pub(super) now: Instant,
    pub(super) questions: Vec<(usize, QuestionId, Question)>,
    pub(super) locals: Vec<Effect>,
    /// How many bytes of a client arrive at once; all at once when `None`.
    pub(super) chunk: Option<usize>,
    pub(super) clients: Vec<Client>,
    by_conn: HashMap<(usize, ConnId), usize>,
    inboxes: Vec<VecDeque<Batch>>,
}

impl Net {
    pub(super) fn new(workers: u16) -> Self {
        Self::with(
            Setup {
                workers,
                ..Setup::default()
            },
            AllowAll,
        )
    }

    pub(super) fn set(settings: impl FnOnce(&mut Settings)) -> Self {
        let mut setup = Setup::default();
        settings(&mut setup.settings);
        Self::with(setup, AllowAll)
    }

    pub(super) fn with(setup: Setup, policy: impl Policy + 'static) -> Self {
        let now = Instant::from_millis(1_000);
        let shared = Shared::new(setup.settings, setup.workers, setup.seed);
        let (policy, ledgers): (Arc<dyn Policy>, _) = (Arc::new(policy), Ledgers::default());
        Self {
            cores: cores(&shared, &ledgers, &policy, setup.seed, now),
            ledgers,
            shared,
            policy,
            seed: setup.seed,
            now,
            questions: Vec::new(),
            locals: Vec::new(),
            chunk: None,
            clients: Vec::new(),
            by_conn: HashMap::new(),
            inboxes: (0..setup.workers).map(|_| VecDeque::new()).collect(),
        }
    }

    // Connections.

    /// A client of version 5 with a clean start.
    pub(super) fn connect(&mut self, client_id: &str) -> usize {
        self.connect_with(&Connect::new(Version::V5, client_id))
    }

    pub(super) fn connect_with(&mut self, connect: &Connect<'_>) -> usize {
        let index = self.open(connect.version);
        self.send(index, &connect_bytes(connect));
        index
    }

    /// A client of version 5 whose session outlives its connection by a day; an earlier one goes on.
    pub(super) fn persistent(&mut self, client_id: &str) -> usize {
        self.connect_with(&resume(client_id))
    }

    /// A connection on which nothing was sent yet.
    pub(super) fn open(&mut self, version: Version) -> usize {
        let index = self.clients.len();
        let end = End::new(version);
        self.clients.push(Client {
            end,
            at: None,
            sent: Vec::new(),
            arrived: 0,
            paused: false,
            deaf: false,
            abandoned: false,
            next_id: 1,
            bytes: Vec::new(),
        });
        let worker = index % self.cores.len();
        self.enter(index, worker);
        index
    }

    fn enter(&mut self, index: usize, worker: usize) {
        self.clients[index].at = self.cores[worker]
            .open(Peer::default(), self.now)
            .map(|conn| {
                self.by_conn.insert((worker, conn), index);
                (worker, conn)
            });
        if self.clients[index].at.is_none() {
            self.clients[index].end.seen.push(Seen::Closed);
        }
    }

    /// A new connection of the same client, which remembers its QoS 2 ids and leaves an old connection alone.
    pub(super) fn reconnect(&mut self, old: usize, connect: &Connect<'_>) -> usize {
        self.clients[old].abandoned = true;
        self.clients[old].sent.clear();
        self.clients[old].arrived = 0;
        let index = self.open(connect.version);
        self.clients[index].end = self.clients[old].end.resumed();
        self.clients[index].next_id = self.clients[old].next_id;
        self.send(index, &connect_bytes(connect));
        index
    }

    /// The transport breaks.
    pub(super) fn cut(&mut self, client: usize) {
        if let Some((worker, conn)) = self.clients[client].at.take() {
            self.by_conn.remove(&(worker, conn));
            self.cores[worker].closed(conn, self.now);
            self.clients[client].end.seen.push(Seen::Closed);
        }
        self.run();
    }

    /// The process dies at once, and one with so many workers starts: what was not durable is lost, and every connection.
    pub(super) fn restart(&mut self, workers: u16) {
        self.restart_later(workers, 0, self.now);
    }

    /// The same, with `down_ms` in between, and a clock that stands at `now` then.
    pub(super) fn restart_later(&mut self, workers: u16, down_ms: u64, now: Instant) {
        let restore = self.ledgers.crash();
        let then = self.now.plus_millis(down_ms);
        self.now = now;
        self.fall(workers);
        restore.start(&mut self.cores, then, now);
        self.run();
    }

    /// The process dies, and one with so many workers starts that reads messages [from the disk](Ledgers::crash_to_disk). Something may be done
    /// to what the disk holds before. Says how many messages could not be read.
    pub(super) fn restart_from_disk(
        &mut self,
        workers: u16,
        lazy: bool,
        repair: impl FnOnce(&mut Image),
    ) -> usize {
        let (mut image, mut disk) = self.ledgers.crash_to_disk(lazy);
        repair(&mut image);
        self.fall(workers);
        let lost = image.start(&mut self.cores, &mut disk, self.now, self.now);
        self.run();
        lost.len()
    }

    fn fall(&mut self, workers: u16) {
        for client in &mut self.clients {
            if client.at.take().is_some() {
                client.end.seen.push(Seen::Closed);
            }
            client.sent.clear();
            (client.arrived, client.paused) = (0, false);
        }
        self.by_conn.clear();
        self.questions.clear();
        self.locals.clear();
        self.inboxes = (0..workers).map(|_| VecDeque::new()).collect();
        self.seed = self.seed.wrapping_mul(31).wrapping_add(1);
        let settings = self.shared.settings().clone();
        self.shared = Shared::new(settings, workers, self.seed);
        let (shared, ledgers) = (&self.shared, &self.ledgers);
        self.cores = cores(shared, ledgers, &self.policy, self.seed, self.now);
    }

    pub(super) fn is_open(&self, client: usize) -> bool {
        self.clients[client].at.is_some()
    }

    /// How many connections there have been.
    pub(super) fn connections(&self) -> usize {
        self.clients.len()
    }

    /// Where a client's connection is.
    pub(super) fn place(&self, client: usize) -> (usize, ConnId) {
        self.clients[client].at.expect("it is connected")
    }

    pub(super) fn set_manner(&mut self, client: usize, manner: Manner) {
        self.clients[client].end.manner = manner;
    }

    /// The client stops reading, or goes on.
    pub(super) fn set_deaf(&mut self, client: usize, deaf: bool) {
        self.clients[client].deaf = deaf;
        if !deaf {
            self.drain(client);
            self.run();
        }
    }

    // Time and rounds.

    /// Lets time pass, with every deadline in between met exactly.
    pub(super) fn advance(&mut self, ms: u64) {
        let end = self.now.plus_millis(ms);
        self.run();
        while let Some(next) = self.cores.iter().filter_map(Core::deadline).min()
            && next <= end
        {
            self.now = self.now.max(next);
            self.run();
        }
        self.now = end;
        self.run();
    }

    /// Rounds until nothing happens any more.
    pub(super) fn run(&mut self) {
        for _ in 0..1_000_000 {
            if !self.round() {
                return;
            }
        }
        panic!("the broker never comes to rest");
    }

    /// One round of every worker; says whether anything happened.
    pub(super) fn round(&mut self) -> bool {
        self.round_with(true)
    }

    /// One round in which nothing that workers send each other arrives.
    pub(super) fn round_without_inboxes(&mut self) {
        self.round_with(false);
    }

    fn round_with(&mut self, inboxes: bool) -> bool {
        let mut busy = false;
        for worker in 0..self.cores.len() {
            busy |= self.input(worker);
            while inboxes && let Some(batch) = self.inboxes[worker].pop_front() {
                busy = true;
                self.cores[worker].inbox(batch, self.now);
            }
            if self.cores[worker]
                .deadline()
                .is_some_and(|due| due <= self.now)
            {
                busy = true;
                self.cores[worker].tick(self.now);
            }
            self.cores[worker].commit();
            let effects: Vec<Effect> = self.cores[worker].effects().collect();
            for effect in effects {
                busy = true;
                match effect {
                    Effect::ToWorker { worker, batch } => {
                        self.inboxes[usize::from(worker)].push_back(batch);
                    }
                    Effect::Ask(id, question) => self.questions.push((worker, id, question)),
                    local @ Effect::Local { .. } => self.locals.push(local),
                }
            }
            while let Some(conn) = self.cores[worker].next_touched() {
                busy = true;
                self.flush(worker, conn);
            }
        }
        busy
    }

    /// Hands in what arrives.
    fn input(&mut self, worker: usize) -> bool {
        let mut busy = false;
        for index in 0..self.clients.len() {
            let client = &mut self.clients[index];
            let Some((at, conn)) = client.at.filter(|&(at, _)| at == worker) else {
                continue;
            };
            if client.paused || client.arrived == client.sent.len() {
                continue;
            }
            busy = true;
            let chunk = self.chunk.unwrap_or(usize::MAX);
            client.arrived = client.sent.len().min(client.arrived.saturating_add(chunk));
            self.hand_in(index, at, conn);
        }
        busy
    }

    fn hand_in(&mut self, index: usize, worker: usize, conn: ConnId) {
        let client = &mut self.clients[index];
        let bytes = client.sent.get(..client.arrived).unwrap_or_default();
        match self.cores[worker].receive(conn, bytes, self.now) {
            Received::More { consumed, .. } => {
                client.sent.drain(..consumed);
                client.arrived -= consumed;
            }
            Received::Paused { consumed } => {
                client.sent.drain(..consumed);
                client.arrived -= consumed;
                client.paused = true;
            }
            Received::HandOver { worker: home } => {
                self.by_conn.remove(&(worker, conn));
                self.cores[worker].closed(conn, self.now);
                self.enter(index, usize::from(home));
                if let Some((worker, conn)) = self.clients[index].at {
                    self.hand_in(index, worker, conn);
                }
            }
            Received::Closing => {
                client.sent.clear();
                client.arrived = 0;
            }
        }
    }

    fn flush(&mut self, worker: usize, conn: ConnId) {
        let polled = self.cores[worker].poll(conn, self.now);
        let Some(&index) = self.by_conn.get(&(worker, conn)) else {
            return;
        };
        if polled.resume {
            assert!(self.clients[index].paused, "resumed without a pause");
            self.clients[index].paused = false;
            // Kept bytes are handed in again although nothing new has arrived.
            if self.clients[index].arrived > 0 {
                self.hand_in(index, worker, conn);
            }
        }
        if !self.clients[index].deaf || polled.close {
            self.drain(index);
        }
        if polled.close {
            self.by_conn.remove(&(worker, conn));
            self.clients[index].at = None;
            self.clients[index].end.seen.push(Seen::Closed);
            self.cores[worker].closed(conn, self.now);
        }
    }

    /// The client reads what there is, and sends what it answers.
    fn drain(&mut self, index: usize) {
        let Some((worker, conn)) = self.clients[index].at else {
            return;
        };
        if self.clients[index].abandoned {
            return;
        }
        loop {
            let mut slices = [IoSlice::new(&[]); 16];
            let filled = self.cores[worker]
                .output(conn)
                .map_or(0, |output| output.slices(&mut slices));
            let bytes: Vec<u8> = slices
                .iter()
                .take(filled)
                .flat_map(|slice| slice.to_vec())
                .collect();
            if bytes.is_empty() {
                return;
            }
            self.cores[worker].written(conn, bytes.len());
            let client = &mut self.clients[index];
            client.bytes.extend_from_slice(&bytes);
            let answers = client.end.read(&bytes);
            client.sent.extend_from_slice(&answers);
        }
    }

    /// Every gauge of the broker.
    pub(super) fn gauges(&self) -> [u64; 7] {
        let counters = self.shared.counters();
        [
            counters.connections.get(),
            counters.clients_connected.get(),
            counters.sessions.get(),
            counters.queued.get(),
            counters.retained.get(),
            counters.subscriptions.get(),
            counters.shared_subscriptions.get(),
        ]
    }
}

fn cores(
    shared: &Arc<Shared>,
    ledgers: &Ledgers,
    policy: &Arc<dyn Policy>,
    seed: u64,
    now: Instant,
) -> Vec<Core> {
    let core = |worker| {
        let (shared, policy) = (Arc::clone(shared), Arc::clone(policy));
        let seed = seed ^ u64::from(worker);
        Core::new(shared, worker, ledgers.handle(), policy, seed, now)
    };
    (0..shared.workers()).map(core).collect()
}

/// CONNECT of [`Net::persistent`].
pub(super) fn resume(client_id: &str) -> Connect<'_> {
    Connect {
        clean_start: false,
        properties: Properties::List(&[Property::SessionExpiryInterval(86_400)]),
        ..Connect::new(Version::V5, client_id)
    }
}

pub(super) fn connect_bytes(connect: &Connect<'_>) -> Vec<u8> {
    let mut bytes = vec![0; connect.encoded_len()];
    connect.encode(&mut bytes).unwrap();
    bytes
}

impl core::fmt::Debug for Net {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Net")
            .field("now", &self.now)
            .field("clients", &self.clients.len())
            .finish_non_exhaustive()
    }
}
