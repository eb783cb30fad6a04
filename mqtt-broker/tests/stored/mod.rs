//! The broker's cores on a store in a directory, without sockets and turned by hand: both clocks stand where a test wants them.
#![allow(
    dead_code,
    reason = "every test binary uses its own part of this module"
)]

use core::time::Duration;
use std::collections::VecDeque;
use std::io::IoSlice;
use std::path::Path;
use std::sync::Arc;

use mqtt_broker::core::{
    AllowAll, Batch, ConnId, Core, Counters, Effect, Peer, Received, Settings, Shared,
};
use mqtt_broker::store::{Log, Options, Report};
use mqtt_codec::{Connect, Version};
use mqtt_session::Instant;

use crate::support::frame::{Encode, Frame};

/// Rounds after which everything has come to rest.
const MOST_ROUNDS: usize = 10_000;

/// A broker that has its store open.
#[derive(Debug)]
pub(crate) struct Stored {
    cores: Vec<Core>,
    log: Log,
    shared: Arc<Shared>,
    inboxes: Vec<VecDeque<Batch>>,
    links: Vec<Link>,
    /// What opening the store has found.
    pub(crate) report: Report,
    /// The time of day, in milliseconds of the Unix epoch.
    pub(crate) wall: u64,
    /// The store's clock, and the broker's.
    now: Instant,
    /// When the log wants to be turned although nothing has come.
    turn: Option<Instant>,
}

/// A connection of a client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Talk(usize);

impl Talk {
    /// Of no client: nothing can be sent on it.
    pub(crate) const NOBODY: Self = Self(usize::MAX);
}

#[derive(Debug)]
struct Link {
    version: Version,
    at: Option<(usize, ConnId)>,
    sent: Vec<u8>,
    heard: Vec<u8>,
}

impl Stored {
    /// Opens the store and starts with what is in it; `wall` is what the machine's clock shows.
    pub(crate) fn open(path: &Path, options: &Options, workers: u16, wall: u64) -> Self {
        let (log, report) = Log::open_directory(path, options, wall).expect("the store opens");
        let mut settings = Settings::default();
        settings.sys_interval_ms = 0;
        let (shared, now) = (Shared::new(settings, workers, 5), log.now());
        let core = |worker| {
            let (shared, store) = (Arc::clone(&shared), Box::new(log.handle()));
            Core::new(shared, worker, store, Arc::new(AllowAll), 5, now)
        };
        let mut cores: Vec<Core> = (0..workers).map(core).collect();
        let unreadable = log.restore(&mut cores);
        assert!(unreadable.is_empty(), "{unreadable:?}");
        let mut stored = Self {
            inboxes: cores.iter().map(|_| VecDeque::new()).collect(),
            cores,
            log,
            shared,
            links: Vec::new(),
            report,
            wall,
            now,
            turn: Some(now),
        };
        stored.run();
        stored
    }

    /// What has happened so far, and what there is now.
    pub(crate) fn counters(&self) -> &Counters {
        self.shared.counters()
    }

    /// A client connects; its CONNACK is the first that it [hears](Self::heard).
    pub(crate) fn connect(&mut self, connect: &Connect<'_>) -> Talk {
        let conn = self.cores[0].open(Peer::default(), self.now);
        let conn = conn.expect("it has room for a connection");
        self.links.push(Link {
            version: connect.version,
            at: Some((0, conn)),
            sent: Vec::new(),
            heard: Vec::new(),
        });
        let talk = Talk(self.links.len() - 1);
        self.send(talk, connect);
        talk
    }

    /// A client sends a packet; everything that follows from it happens.
    pub(crate) fn send(&mut self, talk: Talk, packet: &impl Encode) {
        let link = &mut self.links[talk.0];
        link.sent.extend(packet.bytes(link.version));
        self.run();
    }

    /// What a client has got since it was last asked.
    pub(crate) fn heard(&mut self, talk: Talk) -> Vec<Frame> {
        let link = &mut self.links[talk.0];
        let frames = core::iter::from_fn(|| Frame::take(link.version, &mut link.heard));
        frames.collect()
    }

    /// A connection breaks.
    pub(crate) fn cut(&mut self, talk: Talk) {
        if let Some((worker, conn)) = self.links[talk.0].at.take() {
            self.cores[worker].closed(conn, self.now);
        }
        self.run();
    }

    /// Time passes on both clocks, and what is due in it happens.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now.plus_millis(time.as_millis() as u64);
        loop {
            let dues = self.cores.iter().filter_map(Core::deadline);
            let Some(next) = dues.chain(self.turn).min().filter(|next| *next <= end) else {
                break;
            };
            self.advance(self.now.max(next));
        }
        self.advance(end);
    }

    fn advance(&mut self, now: Instant) {
        self.wall += now.millis_since(self.now);
        self.now = now;
        self.run();
    }

    /// Ends as `kill -9` does.
    pub(crate) fn kill(self) {
        drop(self.log);
    }

    /// Ends in good order.
    pub(crate) fn stop(mut self) {
        for core in &mut self.cores {
            core.shutdown(self.now);
        }
        self.run();
        self.cores.clear();
        self.run();
        assert!(self.log.is_closed(), "it does not close");
    }

    fn run(&mut self) {
        for _ in 0..MOST_ROUNDS {
            let mut busy = false;
            for worker in 0..self.cores.len() {
                busy |= self.round(worker);
            }
            let before = self.log.committed();
            let wait = self.log.turn(self.now, self.wall);
            self.turn = wait.map(|wait| self.now.plus_millis(wait.as_millis() as u64));
            busy |= self.log.aside() || self.log.committed() != before;
            if !busy {
                return;
            }
        }
        panic!("the broker never comes to rest");
    }

    fn round(&mut self, worker: usize) -> bool {
        let mut busy = false;
        for link in 0..self.links.len() {
            let here = self.links[link].at.is_some_and(|(at, _)| at == worker);
            if here && !self.links[link].sent.is_empty() {
                busy |= self.receive(link);
            }
        }
        let core = &mut self.cores[worker];
        while let Some(batch) = self.inboxes[worker].pop_front() {
            busy = true;
            core.inbox(batch, self.now);
        }
        if core.deadline().is_some_and(|due| due <= self.now) {
            busy = true;
            core.tick(self.now);
        }
        core.commit();
        for effect in core.effects() {
            busy = true;
            match effect {
                Effect::ToWorker { worker, batch } => {
                    self.inboxes[usize::from(worker)].push_back(batch);
                }
                other => panic!("nobody asked for {other:?}"),
            }
        }
        while let Some(conn) = self.cores[worker].next_touched() {
            busy = true;
            self.write(worker, conn);
        }
        busy
    }

    fn receive(&mut self, link: usize) -> bool {
        let link = &mut self.links[link];
        let Some((worker, conn)) = link.at else {
            return false;
        };
        match self.cores[worker].receive(conn, &link.sent, self.now) {
            Received::More { consumed, .. } | Received::Paused { consumed } => {
                link.sent.drain(..consumed);
                consumed > 0
            }
            Received::HandOver { worker: home } => {
                self.cores[worker].closed(conn, self.now);
                let home = usize::from(home);
                let opened = self.cores[home].open(Peer::default(), self.now);
                link.at = opened.map(|conn| (home, conn));
                true
            }
            Received::Closing => {
                link.sent.clear();
                true
            }
        }
    }

    fn write(&mut self, worker: usize, conn: ConnId) {
        let core = &mut self.cores[worker];
        let polled = core.poll(conn, self.now);
        let at = Some((worker, conn));
        let Some(link) = self.links.iter_mut().find(|link| link.at == at) else {
            return;
        };
        while let Some(output) = core.output(conn) {
            let mut slices = [IoSlice::new(&[]); 16];
            let filled = output.slices(&mut slices);
            let before = link.heard.len();
            link.heard
                .extend(slices[..filled].iter().flat_map(|slice| &**slice));
            let written = link.heard.len() - before;
            core.written(conn, written);
        }
        if polled.close {
            core.closed(conn, self.now);
            link.at = None;
        }
    }
}
