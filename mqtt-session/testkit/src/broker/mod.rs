//! The whole broker core: several clients and workers, links that delay, fragment, cut and reconnect, a store that commits late, and a
//! reference that judges every packet that the broker writes.
//!
//! The reference reads what the broker took (`model`), in the order in which it took it, and keeps what follows from that (`state`):
//! sessions, queues, groups, retained messages, wills. So it needs to know nothing of workers, rounds and queues inside, and everything
//! that the broker writes can be judged at once (`judge`): whose turn a message is, with which QoS, RETAIN flag and identifiers, whether
//! a packet id is free, and whether the store has kept what an answer promises.

mod client;
mod clocks;
mod damaged;
mod doing;
mod durable;
mod event;
mod filling;
mod handle;
mod identify;
mod judge;
mod kept;
mod ledger;
mod link;
mod log;
mod model;
#[cfg(test)]
mod naive;
mod net;
mod probe;
mod refusals;
mod routing;
mod state;
mod stores;
mod tables;
mod wire;

use mqtt_broker::core::Settings;
use mqtt_codec::Version;
use mqtt_session::Instant;

use crate::rng::Rng;
use crate::sim::Counters;
use client::Client;
pub use damaged::{SmallStore, Verdict};
use durable::{Kind as StoreKind, RETRIED};
use model::{Model, number};
use net::Net;
use tables::{Kind, NAMES, Setup};

/// Everything that must have happened in a run of many seeds.
pub const INTERESTING: &[&str] = &[
    "PUBLISH replayed",
    "PUBREL replayed",
    "QoS 0 delivered",
    "a client timed out",
    "acknowledgement waited for a commit",
    "alias evicted",
    "batch for another worker",
    "broker restarted",
    "connected without a session",
    "crash before a commit",
    "cut inside a packet",
    "cut inside a packet to the broker",
    "cut inside a payload",
    "delayed will cancelled by a resume",
    "delayed will published",
    "group member lost with messages in flight",
    "group message",
    "group message given to another member",
    "group that is served",
    "group without any member online",
    "handed over to the home worker",
    "keep-alive or CONNECT timed out",
    "message expired at its publisher",
    "message read back from the store",
    "no local suppressed",
    "output stalled",
    "packet too large",
    "payload in parts",
    "payload that is not copied",
    "reading paused",
    "refused",
    "repetition not delivered",
    "resumed with a session",
    "retained delivered",
    "retained not delivered by retain handling",
    "session expired",
    "several workers",
    "takeover",
    "takeover with a delayed will",
    "told why it is disconnected",
    "unsubscribed",
    "will published",
    "window full",
];

/// Everything that must have happened in a run of many seeds with a store.
pub const INTERESTING_STORED: &[&str] = &[
    "broker restarted",
    "came again after silence",
    "clock of the day set",
    "clock that goes back at a start",
    "crash before a commit",
    "crash kept what was not acknowledged",
    "cut at every call of a turn",
    "cut at every sync of a turn",
    "cut while the disk is full",
    "delayed will published",
    "first segment gone in the end",
    "group message",
    "group without any member online",
    "message read back from the store",
    "message refused by a store that has failed",
    "message refused for want of room without a word",
    "message refused for want of room, and that said",
    "refused message published again",
    "resumed with a session",
    "session expired",
    "session refused for want of room",
    "snapshot in the end",
    "started on a full disk",
    "stopped in good order",
    "subscription refused for want of room",
    "takeover while nothing more is taken",
    "turn of a store that has failed",
    "turn of a store that is full",
    "will published that cannot be kept",
];

/// One run.
struct Sim {
    rng: Rng,
    net: Net,
    clients: Vec<Client>,
    messages: u32,
    wills: u32,
    /// The broker crashes now and then.
    crashes: bool,
}

/// Runs `steps` steps from `seed`, then lets everything come to its end, checks that it did, and says what happened.
///
/// # Panics
/// When a promise of the specification is broken.
#[must_use]
pub fn run(seed: u64, steps: u32) -> Counters {
    run_on(seed, steps, None)
}

/// The same, with the broker's store on a simulated disk that fails and is cut off at any moment.
///
/// # Panics
/// When something that was acknowledged is gone, when the store does not open, and when it has what was never recorded.
#[must_use]
pub fn run_stored(seed: u64, steps: u32) -> Counters {
    run_on(seed, steps, Some(log::KIND))
}

fn run_on(seed: u64, steps: u32, store: Option<StoreKind>) -> Counters {
    let mut sim = Sim::new(seed, store);
    for _ in 0..steps {
        sim.step();
    }
    sim.finish();
    sim.net.model.counters
}

impl Sim {
    fn new(seed: u64, store: Option<StoreKind>) -> Self {
        let mut rng = Rng::new(seed);
        let workers = 1 + rng.below(3) as u16;
        let clients = 2 + rng.below(7);
        let lossy = rng.one_in(8);
        let mut settings = Settings::default();
        settings.sys_interval_ms = 0;
        if lossy {
            settings.queue_messages = 6;
            settings.unread_output_bytes = 300;
        }
        let limits = &mut settings.limits;
        limits.receive_maximum = 2 + rng.below(6) as u16;
        limits.unannounced_receive_maximum = 100;
        limits.send_maximum = 2 + rng.below(8) as u16;
        limits.topic_alias_maximum = 3;
        limits.topic_alias_send_maximum = 3;
        let send_maximum = limits.send_maximum;
        let late = !rng.one_in(4) || store.is_some();
        let mut versions = Vec::new();
        for _ in 0..clients {
            let version = match rng.below(6) {
                0 => Version::V31,
                1 => Version::V311,
                _ => Version::V5,
            };
            versions.push((version, version.is_v5() && rng.one_in(4)));
        }
        let now = Instant::from_millis(1_000);
        let net = Net::new(settings, workers, seed, now, store, |shared| {
            let kinds = versions.iter().zip(NAMES);
            let kinds = kinds.map(|(&(version, limited), name)| Kind {
                version,
                limited,
                home: shared.home(name),
            });
            Model::new(Setup {
                kinds: kinds.collect(),
                lossy,
                send_maximum,
                late,
            })
        });
        let mut sim = Self {
            rng,
            net,
            clients: vec![],
            messages: 0,
            wills: 0,
            crashes: false,
        };
        sim.crashes = sim.rng.one_in(2) || store.is_some();
        let kinds = sim.net.model.setup.kinds.iter().enumerate();
        sim.clients = kinds
            .map(|(index, &kind)| Client::new(index, kind))
            .collect();
        sim.net
            .model
            .counters
            .hit_if(workers > 1, "several workers");
        sim
    }

    fn step(&mut self) {
        self.net.model.counters.hit("steps");
        let c = self.rng.below(self.clients.len());
        match self.rng.below(100) {
            0..8 => self.connect(c),
            8..10 => {
                if let Some(link) = self.clients[c].link {
                    self.net.cut(link);
                    self.clients[c].drop_link(&mut self.net);
                }
            }
            // The broker does not notice.
            10..12 => self.clients[c].drop_link(&mut self.net),
            12..14 => self.clients[c].disconnect(&mut self.rng),
            14..30 => self.clients[c].subscribe(self.net.now, &mut self.rng),
            30..34 => self.clients[c].unsubscribe(self.net.now, &mut self.rng),
            34..36 => self.clients[c].stalled = true,
            36..38 => self.clients[c].stalled = false,
            38..50 => {
                let most = 1 + self.rng.below(4);
                self.net.sync(most, &mut self.rng);
            }
            50..56 => {
                let ms = 1 + self.rng.below(2_000) as u64;
                self.pass(ms);
            }
            56..57 => {
                let ms = 5_000 + self.rng.below(30_000) as u64;
                self.pass(ms);
            }
            57 if self.crashes => self.crash(),
            58 | 59 => self.change_room(),
            _ => self.publish(c),
        }
        if self.net.has_failed() && self.rng.one_in(15) {
            // Whatever waits for the store waits for ever.
            self.net.poll_all();
            self.crash();
        }
        for c in 0..self.clients.len() {
            if self.rng.one_in(2) {
                self.clients[c].step(&mut self.net, &mut self.rng);
            }
        }
        for worker in 0..self.net.cores.len() {
            if !self.rng.one_in(3) {
                self.net.round(worker, &mut self.rng);
            }
        }
    }

    fn crash(&mut self) {
        let workers = 1 + self.rng.below(3) as u16;
        self.net.crash(workers, self.rng.next());
    }

    /// The disk runs full, or has room again.
    fn change_room(&mut self) {
        if let Some(durable) = self.net.durable.as_mut().filter(|it| it.fills) {
            if durable.is_full() {
                durable.make_room();
            } else {
                durable.fill();
            }
        }
    }

    fn publish(&mut self, c: usize) {
        self.messages += 1;
        let clients = self.clients.len();
        self.clients[c].publish(self.messages, self.net.now, clients, &mut self.rng);
    }

    /// A new connection; one that it still has is given up, and the broker does not know.
    fn connect(&mut self, c: usize) {
        let client = &mut self.clients[c];
        if client.link.is_some() && !self.rng.one_in(3) {
            return;
        }
        let manner = client.manner(&mut self.rng, &mut self.wills);
        client.drop_link(&mut self.net);
        let window = 60 + self.rng.below(1_000);
        let link = self.net.open(c, window, &mut self.rng);
        self.net
            .model
            .counters
            .trace(|| format!("{} {}/{link} connects: {manner:?}", self.net.now, NAMES[c]));
        self.clients[c].connect(&manner, link, self.net.now);
    }

    fn pass(&mut self, ms: u64) {
        self.net.now = self.net.now.plus_millis(ms);
        for client in &mut self.clients {
            if client.clock(self.net.now) {
                self.net.model.counters.hit("a client timed out");
                if let Some(link) = client.link {
                    self.net.cut(link);
                }
                client.drop_link(&mut self.net);
            }
        }
    }

    /// Rounds until nothing is left to do.
    fn settle(&mut self) {
        for _ in 0..2_000 {
            let mut busy = false;
            for client in &mut self.clients {
                busy |= client.step(&mut self.net, &mut self.rng);
            }
            for worker in 0..self.net.cores.len() {
                busy |= self.net.round(worker, &mut self.rng);
            }
            busy |= self.net.sync(usize::MAX, &mut self.rng);
            if !busy {
                return;
            }
        }
        panic!("the broker never comes to rest");
    }

    /// Everybody connects, and stays; then nothing is left.
    fn finish(&mut self) {
        let fetched = self.net.ledgers.lock().fetched();
        let counters = &mut self.net.model.counters;
        counters.hit_if(fetched > 0, "message read back from the store");
        self.net.calm = true;
        if let Some(durable) = &mut self.net.durable {
            durable.fails = false;
            durable.make_room();
        }
        if self.net.has_failed() {
            self.crash();
        }
        // The store tries again after a while.
        self.net.sync(usize::MAX, &mut self.rng);
        self.pass(RETRIED);
        self.net.sync(usize::MAX, &mut self.rng);
        self.net.check_room();
        for c in 0..self.clients.len() {
            self.clients[c].stalled = false;
            self.clients[c].prompt = true;
        }
        self.settle();
        self.come_again();
        self.check_groups();
        for c in 0..self.clients.len() {
            for _ in 0..3 {
                if self.clients[c].session.is_connected() {
                    break;
                }
                self.clients[c].drop_link(&mut self.net);
                let link = self.net.open(c, usize::MAX, &mut self.rng);
                self.clients[c].connect(&Client::calm(), link, self.net.now);
                self.settle();
            }
        }
        for _ in 0..10 {
            for c in 0..self.clients.len() {
                self.publish(c);
            }
        }
        self.settle();
        for client in &self.clients {
            assert!(client.is_quiet(), "not quiet: {client:#?}");
        }
        self.net.model.check_end(self.net.now);
        self.check_gauges();
        self.net.check_store();
    }

    /// Whoever waits for an answer to what was refused before 5.0 connects anew, and sends it again.
    fn come_again(&mut self) {
        for c in 0..self.clients.len() {
            let link = self.clients[c].link;
            if let Some(link) = link.filter(|link| self.net.model.wires[*link].silent) {
                self.net.cut(link);
                self.clients[c].drop_link(&mut self.net);
            }
        }
        self.settle();
    }

    /// A group with a member that reads has nothing left, whoever was to get it before; what somebody else has begun to get stays his,
    /// which cannot be told when its PUBLISH was still waiting for a commit, and so does what a session has that has left the group.
    fn check_groups(&mut self) {
        if self.net.model.setup.late {
            return;
        }
        let Net {
            model,
            ledgers,
            now,
            ..
        } = &mut self.net;
        let now = *now;
        for group in &model.state.groups {
            let members = self.clients.iter().filter(|client| {
                let session = &model.state.sessions[client.index];
                group.members & (1 << client.index) != 0 && session.link.is_some()
            });
            let reads = |client: &Client| {
                let link = model.state.sessions[client.index].link;
                client.session.is_connected() && client.link.map(|link| link as u32) == link
            };
            if group.left || members.clone().count() == 0 || !members.clone().all(reads) {
                continue;
            }
            model.counters.hit("group that is served");
            for copy in &group.copies {
                let message = model.routings[copy.r as usize].message;
                assert!(
                    !identify::is_due(copy, now) || ledgers.lock().is_begun(message),
                    "a group with a member that reads has not got {copy:?}"
                );
            }
        }
    }

    /// The broker's own sums agree with the reference.
    fn check_gauges(&self) {
        let counters = self.net.shared.counters();
        let state = &self.net.model.state;
        let subscriptions: usize = state
            .sessions
            .iter()
            .map(|session| session.subs.iter().flatten().count())
            .sum();
        let sessions = state.sessions.iter().filter(|session| session.exists);
        let connected = sessions.clone().filter(|session| session.link.is_some());
        assert_eq!(counters.queued.get(), 0, "messages that wait");
        assert_eq!(
            counters.subscriptions.get(),
            subscriptions as u64,
            "subscriptions"
        );
        assert_eq!(counters.sessions.get(), sessions.count() as u64, "sessions");
        assert_eq!(
            counters.clients_connected.get(),
            connected.count() as u64,
            "connected sessions"
        );
        assert_eq!(
            counters.connections.get(),
            self.net.live.len() as u64,
            "connections"
        );
    }
}
