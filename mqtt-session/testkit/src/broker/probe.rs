//! What clients find at a broker that has just started: two brokers that started with the same content answer the same questions with
//! the same bytes.

use core::fmt::Write;
use std::collections::VecDeque;
use std::sync::Arc;

use mqtt_broker::core::{Batch, ConnId, Core, Effect, Peer, Received, Shared};
use mqtt_codec::{
    Connect, Decoded, Decoder, Delivery, FromServer, Properties, Property, Publish, QoS, Version,
};
use mqtt_session::Instant;

use super::link::copy;
use super::stores::Notes;
use super::tables::{NAMES, TOPICS};
use crate::packets::{self, Raw};
use crate::text::describe_all;

/// What all clients have heard, and what the broker counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// What the broker recorded while it started.
    start: Vec<String>,
    heard: Vec<(&'static str, Vec<u8>)>,
    /// At the start, and in the end.
    gauges: [[u64; 4]; 2],
    /// Copies that were not delivered because their message could not be read.
    pub(super) unreadable: u64,
}

impl Seen {
    /// The payloads that clients have got.
    pub(super) fn payloads(&self) -> Vec<&[u8]> {
        let decoder = Decoder::new(Version::V5);
        let mut payloads = vec![];
        for (_, heard) in &self.heard {
            let mut rest = &heard[..];
            while let Ok(Decoded::Complete { packet, len }) = decoder.from_server(rest) {
                if let FromServer::Publish(publish) = packet {
                    payloads.push(publish.payload);
                }
                rest = &rest[len..];
            }
        }
        payloads
    }

    /// The first thing that is different, in words.
    pub(super) fn difference(&self, other: &Self) -> Option<String> {
        if self.start != other.start {
            return Some(format!(
                "\n  one starts with {:?},\n  the other with {:?}",
                self.start, other.start
            ));
        }
        let mut pairs = self.heard.iter().zip(&other.heard);
        if let Some((mine, theirs)) = pairs.find(|(mine, theirs)| mine != theirs) {
            let (mut text, name) = (String::new(), mine.0);
            let lines = |bytes: &[u8]| describe_all(Version::V5, bytes);
            let (mine, theirs) = (lines(&mine.1), lines(&theirs.1));
            let same = mine.iter().zip(&theirs).take_while(|(a, b)| a == b).count();
            for (who, lines) in [("one", mine), ("the other", theirs)] {
                let _ = write!(text, "\n  {name} hears of {who} after {same} packets:");
                for line in lines.iter().skip(same).take(3) {
                    let line: String = line.chars().take(150).collect();
                    let _ = write!(text, "\n    {line}");
                }
            }
            return Some(text);
        }
        let gauges = (self.gauges, other.gauges);
        (self.gauges != other.gauges)
            .then(|| format!("sessions, subscriptions, retained, queued: {gauges:?}"))
    }
}

/// A client that does what it is told and answers what it hears.
#[derive(Debug)]
struct Client {
    name: &'static str,
    at: Option<(usize, ConnId)>,
    sent: Vec<u8>,
    heard: Vec<u8>,
    /// Bytes of `heard` that were answered.
    answered: usize,
}

/// The broker, and those who look at it.
pub(super) struct Probe<'a> {
    shared: Arc<Shared>,
    cores: &'a mut [Core],
    inboxes: Vec<VecDeque<Batch>>,
    clients: Vec<Client>,
    now: Instant,
    start: Vec<String>,
    /// Makes durable what was committed; says whether that was anything.
    sync: &'a mut dyn FnMut(Instant) -> bool,
}

/// Rounds after which a broker must have come to rest.
const MOST_ROUNDS: usize = 5_000;
/// The client that no broker knows.
const STRANGER: &str = "stranger";

impl<'a> Probe<'a> {
    /// Looks at a broker that has just started.
    pub(super) fn new(
        shared: Arc<Shared>,
        cores: &'a mut [Core],
        now: Instant,
        notes: &Notes,
        sync: &'a mut dyn FnMut(Instant) -> bool,
    ) -> Self {
        let client = |name| Client {
            name,
            at: None,
            sent: vec![],
            heard: vec![],
            answered: 0,
        };
        Self {
            inboxes: cores.iter().map(|_| VecDeque::new()).collect(),
            shared,
            cores,
            clients: [STRANGER].into_iter().chain(NAMES).map(client).collect(),
            now,
            start: notes.take(),
            sync,
        }
    }

    /// Sees what is retained, lets so many seconds pass, sees who is still there and what waits for whom, and then to whom messages go.
    pub(super) fn look(mut self, seconds: u32) -> Seen {
        let first = self.gauges();
        self.connect(0, true);
        let everything = ["#", "$s/#"].map(|filter| packets::filter(filter, QoS::ExactlyOnce));
        self.send(0, &packets::subscribe(1, &everything));
        self.pass(seconds);
        for client in 1..self.clients.len() {
            self.connect(client, false);
        }
        for (at, topic) in TOPICS.iter().enumerate() {
            let publish = Publish {
                topic,
                ..packets::publish2(10 + at as u16, "new")
            };
            self.send(0, &publish);
        }
        // What has expired goes, what is delayed comes.
        self.pass(1_000);
        Seen {
            start: core::mem::take(&mut self.start),
            gauges: [first, self.gauges()],
            unreadable: self.shared.counters().unreadable.get(),
            heard: self
                .clients
                .into_iter()
                .map(|client| (client.name, client.heard))
                .collect(),
        }
    }

    fn gauges(&self) -> [u64; 4] {
        let counters = self.shared.counters();
        [
            counters.sessions.get(),
            counters.subscriptions.get(),
            counters.retained.get(),
            counters.queued.get(),
        ]
    }

    fn connect(&mut self, client: usize, clean: bool) {
        let expiry = [Property::SessionExpiryInterval(u32::MAX)];
        let connect = Connect {
            clean_start: clean,
            properties: Properties::List(&expiry),
            ..Connect::new(Version::V5, self.clients[client].name)
        };
        self.clients[client].at = self.cores[0]
            .open(Peer::default(), self.now)
            .map(|conn| (0, conn));
        self.send(client, &connect);
    }

    fn send(&mut self, client: usize, packet: &impl Raw) {
        let bytes = packet.bytes(Version::V5);
        self.clients[client].sent.extend(bytes);
        self.run();
    }

    /// Time passes, every deadline is met.
    fn pass(&mut self, seconds: u32) {
        let end = self.now.plus_seconds(seconds);
        loop {
            self.run();
            let next = self.cores.iter().filter_map(Core::deadline).min();
            let Some(next) = next.filter(|next| *next <= end) else {
                break;
            };
            self.now = self.now.max(next);
        }
        self.now = end;
        self.run();
    }

    fn run(&mut self) {
        for _ in 0..MOST_ROUNDS {
            let mut busy = false;
            for worker in 0..self.cores.len() {
                busy |= self.round(worker);
            }
            busy |= (self.sync)(self.now);
            if !busy {
                return;
            }
        }
        panic!("the broker never comes to rest");
    }

    fn round(&mut self, worker: usize) -> bool {
        let mut busy = false;
        for client in 0..self.clients.len() {
            let at = self.clients[client].at;
            if at.is_some_and(|(at, _)| at == worker) && !self.clients[client].sent.is_empty() {
                busy |= self.receive(client);
            }
        }
        while let Some(batch) = self.inboxes[worker].pop_front() {
            busy = true;
            self.cores[worker].inbox(batch, self.now);
        }
        let core = &mut self.cores[worker];
        if core.deadline().is_some_and(|due| due <= self.now) {
            busy = true;
            core.tick(self.now);
        }
        // Until nothing is recorded and not committed: how far a store is meanwhile is its own affair.
        for _ in 0..MOST_ROUNDS {
            busy |= self.commit(worker);
            let mut touched = false;
            while let Some(conn) = self.cores[worker].next_touched() {
                touched = true;
                self.flush(worker, conn);
            }
            if !touched {
                return busy;
            }
            busy = true;
        }
        panic!("a worker never comes to rest");
    }

    /// Seals what a worker has recorded, and hands over what is for others.
    fn commit(&mut self, worker: usize) -> bool {
        let mut busy = false;
        let core = &mut self.cores[worker];
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
        busy
    }

    fn receive(&mut self, client: usize) -> bool {
        let it = &mut self.clients[client];
        let Some((worker, conn)) = it.at else {
            return false;
        };
        match self.cores[worker].receive(conn, &it.sent, self.now) {
            Received::More { consumed, .. } | Received::Paused { consumed } => {
                it.sent.drain(..consumed);
                consumed > 0
            }
            Received::HandOver { worker: home } => {
                self.cores[worker].closed(conn, self.now);
                let home = usize::from(home);
                let opened = self.cores[home].open(Peer::default(), self.now);
                it.at = opened.map(|conn| (home, conn));
                true
            }
            Received::Closing => {
                it.sent.clear();
                true
            }
        }
    }

    fn flush(&mut self, worker: usize, conn: ConnId) {
        let polled = self.cores[worker].poll(conn, self.now);
        let at = Some((worker, conn));
        let Some(it) = self.clients.iter_mut().find(|it| it.at == at) else {
            return;
        };
        while let Some(output) = self.cores[worker].output(conn) {
            let before = it.heard.len();
            copy(output, 0, usize::MAX, &mut it.heard);
            let n = it.heard.len() - before;
            if n == 0 {
                break;
            }
            self.cores[worker].written(conn, n);
        }
        it.answer();
        if polled.close {
            self.cores[worker].closed(conn, self.now);
            it.at = None;
        }
    }
}

impl Client {
    fn answer(&mut self) {
        let decoder = Decoder::new(Version::V5);
        while let Some(rest) = self.heard.get(self.answered..)
            && !rest.is_empty()
        {
            let (packet, len) = match decoder.from_server(rest) {
                Ok(Decoded::Complete { packet, len }) => (packet, len),
                other => panic!("{}: {other:?}", self.name),
            };
            self.answered += len;
            let answer = match packet {
                FromServer::Publish(publish) => match publish.delivery {
                    Delivery::AtMostOnce => continue,
                    Delivery::AtLeastOnce(id) => packets::puback(id.get()).bytes(Version::V5),
                    Delivery::ExactlyOnce(id) => packets::pubrec(id.get()).bytes(Version::V5),
                },
                FromServer::PubRel(packet) => {
                    packets::pubcomp(packet.packet_id.get()).bytes(Version::V5)
                }
                FromServer::PubRec(packet) => {
                    packets::pubrel(packet.packet_id.get()).bytes(Version::V5)
                }
                _ => continue,
            };
            self.sent.extend(answer);
        }
    }
}

#[cfg(test)]
mod tests {
    use mqtt_broker::core::{AllowAll, Settings};

    use super::super::Sim;
    use super::super::stores::Late;
    use super::*;
    use crate::rng::seeds;

    /// What a broker of two workers shows that starts with the first batches of a run.
    fn seen(sim: &Sim, batches: usize) -> Seen {
        let mut settings = Settings::default();
        settings.sys_interval_ms = 0;
        let (now, shared) = (sim.net.now, Shared::new(settings, 2, 5));
        let late = Late::default();
        let notes = Notes::default();
        let core = |worker| {
            let (store, policy) = (notes.of(late.store(worker)), Arc::new(AllowAll));
            Core::new(Arc::clone(&shared), worker, store, policy, 5, now)
        };
        let mut cores: Vec<Core> = (0..2).map(core).collect();
        let restore = sim.net.ledgers.lock().front(batches);
        restore.start(&mut cores, now, now);
        let mut sync = |_| late.sync();
        Probe::new(shared, &mut cores, now, &notes, &mut sync).look(30)
    }

    #[test]
    fn the_same_content_is_seen_and_less_is_told_from_it() {
        let (mut told, mut heard) = (0, 0);
        seeds("probe", 40, |seed| {
            let mut sim = Sim::new(seed, None);
            for _ in 0..150 {
                sim.step();
            }
            let ledger = sim.net.ledgers.lock();
            let (all, durable) = (ledger.batches(), ledger.acknowledged());
            drop(ledger);
            let whole = seen(&sim, all);
            let again = seen(&sim, all);
            assert_eq!(whole.difference(&again), None);
            heard += whole
                .heard
                .iter()
                .map(|(_, bytes)| bytes.len())
                .sum::<usize>();
            if all > durable {
                told += u32::from(seen(&sim, durable).difference(&whole).is_some());
            }
        });
        eprintln!("{told} differ, {heard} bytes");
        assert!(told > 5 && heard > 100_000, "{told}, {heard}");
    }
}
