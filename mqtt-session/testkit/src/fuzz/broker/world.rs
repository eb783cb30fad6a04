//! A broker's cores, its clients, and the rounds between them.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::sync::Arc;

use mqtt_broker::core::{
    Batch, ConnId, Core, Effect, Message, Peer as Address, Policy, Question, QuestionId, Received,
    Settings, Shared,
};
use mqtt_session::Instant;

use super::peer::Peer;
use super::store::Log;

/// Rounds after which a broker must have come to rest.
const MOST_ROUNDS: usize = 20_000;
/// Bytes that may wait for a client that does not read.
const MOST_OUTPUT: usize = 256 * 1024;

/// The broker and its clients.
pub(super) struct World {
    pub(super) cores: Vec<Core>,
    pub(super) shared: Arc<Shared>,
    pub(super) log: Log,
    /// Everything is durable at once.
    pub(super) prompt: bool,
    pub(super) now: Instant,
    pub(super) peers: Vec<Peer>,
    pub(super) questions: VecDeque<(usize, QuestionId, Question)>,
    inboxes: Vec<VecDeque<Batch>>,
    settings: Settings,
    policy: Arc<dyn Policy>,
    pub(super) locals: u32,
}

impl World {
    pub(super) fn new(
        workers: u16,
        peers: usize,
        settings: Settings,
        policy: Arc<dyn Policy>,
    ) -> Self {
        let log = Log::new(usize::from(workers));
        let now = Instant::from_millis(1_000);
        let shared = Shared::new(settings.clone(), workers, 7);
        let core = |worker: u16| {
            let store = log.store(usize::from(worker));
            Core::new(
                Arc::clone(&shared),
                worker,
                store,
                Arc::clone(&policy),
                7,
                now,
            )
        };
        Self {
            cores: (0..workers).map(core).collect(),
            prompt: true,
            now,
            peers: (0..peers).map(|_| Peer::default()).collect(),
            questions: VecDeque::new(),
            inboxes: (0..workers).map(|_| VecDeque::new()).collect(),
            shared: Arc::clone(&shared),
            log: log.clone(),
            settings,
            policy: Arc::clone(&policy),
            locals: 0,
        }
    }

    /// A crash: new cores go on from what was durable, with another number of workers.
    pub(super) fn restart(&mut self, workers: u16) {
        let restore = self.log.restart(usize::from(workers));
        let then = self.now;
        self.now = self.now.plus_millis(500);
        self.shared = Shared::new(self.settings.clone(), workers, 8);
        self.cores = (0..workers)
            .map(|worker| {
                let store = self.log.store(usize::from(worker));
                let (shared, policy) = (Arc::clone(&self.shared), Arc::clone(&self.policy));
                Core::new(shared, worker, store, policy, 9, self.now)
            })
            .collect();
        self.inboxes = (0..workers).map(|_| VecDeque::new()).collect();
        self.questions.clear();
        for peer in &mut self.peers {
            peer.connected(None);
        }
        restore.start(&mut self.cores, then, self.now);
        for core in &mut self.cores {
            core.tick(self.now);
        }
    }

    /// Opens a connection for a client, unless it has one.
    pub(super) fn open(&mut self, index: usize, worker: usize) {
        if self.peers[index].at.is_none() {
            let worker = worker % self.cores.len();
            let conn = self.cores[worker].open(Address::default(), self.now);
            self.peers[index].connected(conn.map(|conn| (worker, conn)));
        }
    }

    /// The transport of a client is gone.
    pub(super) fn cut(&mut self, index: usize) {
        if let Some((worker, conn)) = self.peers[index].at {
            self.cores[worker].closed(conn, self.now);
            // It is told twice now and then.
            self.cores[worker].closed(conn, self.now);
            self.peers[index].connected(None);
        }
    }

    /// Someone inside this process publishes at a worker.
    pub(super) fn publish(&mut self, worker: usize, message: &Arc<Message>) {
        let worker = worker % self.cores.len();
        let published = self.cores[worker].publish(message, self.now);
        assert!(published.is_ok(), "its store has always room");
    }

    fn inbox(&mut self, worker: usize, batch: Batch) {
        let worker = worker % self.inboxes.len();
        self.inboxes[worker].push_back(batch);
    }

    /// Lets time pass, with every deadline in between met exactly.
    pub(super) fn advance(&mut self, ms: u64) {
        let end = self.now.plus_millis(ms);
        self.run();
        for _ in 0..MOST_ROUNDS {
            let next = self.cores.iter().filter_map(Core::deadline).min();
            let Some(next) = next.filter(|next| *next <= end) else {
                self.now = end;
                self.run();
                return;
            };
            self.now = self.now.max(next);
            self.run();
        }
        panic!("deadlines that never end");
    }

    /// Rounds until nothing happens any more.
    pub(super) fn run(&mut self) {
        for _ in 0..MOST_ROUNDS {
            let busy = self.round();
            let durable = self.prompt && self.log.commit(usize::MAX);
            if !busy && !durable {
                return;
            }
        }
        panic!("the broker never comes to rest");
    }

    /// One round of every worker; says whether anything happened.
    pub(super) fn round(&mut self) -> bool {
        let mut busy = false;
        for worker in 0..self.cores.len() {
            for index in 0..self.peers.len() {
                let peer = &self.peers[index];
                if let Some((at, conn)) = peer.at
                    && at == worker
                    && !peer.paused
                    && peer.arrived < peer.sent.len()
                {
                    busy = true;
                    self.peers[index].arrived = self.peers[index].sent.len();
                    self.hand_in(index, at, conn);
                }
            }
            while let Some(batch) = self.inboxes[worker].pop_front() {
                busy = true;
                self.cores[worker].inbox(batch, self.now);
            }
            let deadline = self.cores[worker].deadline();
            if deadline.is_some_and(|due| due <= self.now) {
                busy = true;
                self.cores[worker].tick(self.now);
            }
            self.cores[worker].commit();
            let effects: Vec<Effect> = self.cores[worker].effects().collect();
            for effect in effects {
                busy = true;
                match effect {
                    Effect::ToWorker { worker, batch } => self.inbox(usize::from(worker), batch),
                    Effect::Ask(id, question) => self.questions.push_back((worker, id, question)),
                    Effect::Local { .. } => self.locals += 1,
                    other => panic!("{other:?}"),
                }
            }
            while let Some(conn) = self.cores[worker].next_touched() {
                busy = true;
                self.flush(worker, conn);
            }
            for index in 0..self.peers.len() {
                let peer = &self.peers[index];
                if let Some((at, conn)) = peer.at
                    && at == worker
                    && !peer.deaf
                    && self.cores[worker].output(conn).is_some()
                {
                    busy = true;
                    self.sip(index);
                }
            }
        }
        busy
    }

    /// The first `len` bytes of what a client has sent arrive.
    pub(super) fn fragment(&mut self, index: usize, len: usize) {
        let peer = &mut self.peers[index];
        if let Some((worker, conn)) = peer.at
            && !peer.paused
        {
            peer.arrived = peer.sent.len().min(peer.arrived + len);
            self.hand_in(index, worker, conn);
        }
    }

    fn hand_in(&mut self, index: usize, worker: usize, conn: ConnId) {
        let peer = &mut self.peers[index];
        let bytes = &peer.sent[..peer.arrived];
        let consumed = match self.cores[worker].receive(conn, bytes, self.now) {
            Received::More { consumed, need } => {
                assert!(need > bytes.len() - consumed, "{need} bytes were there");
                consumed
            }
            Received::Paused { consumed } => {
                peer.paused = true;
                consumed
            }
            Received::HandOver { worker: home } => {
                let home = usize::from(home);
                assert_ne!(home, worker);
                self.cores[worker].closed(conn, self.now);
                let opened = self.cores[home].open(Address::default(), self.now);
                peer.at = opened.map(|conn| (home, conn));
                if let Some(conn) = opened {
                    self.hand_in(index, home, conn);
                }
                return;
            }
            Received::Closing => peer.arrived,
        };
        peer.sent.drain(..consumed);
        peer.arrived -= consumed;
    }

    fn flush(&mut self, worker: usize, conn: ConnId) {
        let polled = self.cores[worker].poll(conn, self.now);
        let at = Some((worker, conn));
        let Some(index) = self.peers.iter().position(|peer| peer.at == at) else {
            return;
        };
        if polled.resume {
            assert!(self.peers[index].paused, "resumed without a pause");
            self.peers[index].paused = false;
            if self.peers[index].arrived > 0 {
                self.hand_in(index, worker, conn);
            }
        }
        if polled.close {
            self.drain(index, usize::MAX);
        } else if !self.peers[index].deaf {
            self.sip(index);
        }
        if polled.close && self.peers[index].at == at {
            self.cores[worker].closed(conn, self.now);
            self.peers[index].connected(None);
        }
    }

    /// The client reads as it does.
    fn sip(&mut self, index: usize) {
        let sips = self.peers[index].sips;
        self.drain(index, if sips == 0 { usize::MAX } else { sips });
    }

    /// The client reads up to `most` bytes of what there is.
    pub(super) fn drain(&mut self, index: usize, most: usize) {
        let Some((worker, conn)) = self.peers[index].at else {
            return;
        };
        let mut left = most;
        loop {
            let mut slices = [IoSlice::new(&[]); 4];
            let output = self.cores[worker].output(conn);
            let waiting = output.map_or(0, mqtt_broker::core::Output::len);
            assert!(
                waiting <= MOST_OUTPUT,
                "{waiting} bytes wait for one client"
            );
            let filled = output.map_or(0, |output| output.slices(&mut slices));
            let mut bytes: Vec<u8> = Vec::new();
            for slice in slices.iter().take(filled) {
                bytes.extend_from_slice(slice);
            }
            bytes.truncate(left);
            left -= bytes.len();
            if bytes.is_empty() {
                return;
            }
            self.cores[worker].written(conn, bytes.len());
            self.peers[index].hear(&bytes);
        }
    }

    /// Everything that counts what exists now.
    pub(super) fn gauges(&self) -> [(&'static str, u64); 6] {
        let counters = self.shared.counters();
        [
            ("connections", counters.connections.get()),
            ("clients_connected", counters.clients_connected.get()),
            ("sessions", counters.sessions.get()),
            ("queued", counters.queued.get()),
            ("subscriptions", counters.subscriptions.get()),
            ("shared_subscriptions", counters.shared_subscriptions.get()),
        ]
    }
}
