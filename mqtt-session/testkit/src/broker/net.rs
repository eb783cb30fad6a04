//! The broker's workers and the links to its clients: rounds, crashes, and bytes that come late, in pieces, or not at all.

use std::collections::VecDeque;
use std::sync::Arc;

use mqtt_broker::core::{
    AllowAll, Batch, ConnId, Core, Effect, Peer, Received, Room, Settings, Shared,
};
use mqtt_codec::{Decoded, FromClient};
use mqtt_session::Instant;

use super::durable::{Durable, Kind as StoreKind};
use super::event::{Event, When};
use super::handle::Ledgers;
use super::link::{Link, copy, describe};
use super::model::Model;
use super::refusals::At;
use super::tables::NAMES;
use super::wire::Wire;
use crate::disk::Watch;
use crate::rng::Rng;

/// Commits and rounds of polling before a worker looks at its sockets again.
const PASSES: usize = 10;

/// The broker, and all links to it.
pub(super) struct Net {
    pub(super) shared: Arc<Shared>,
    settings: Settings,
    pub(super) cores: Vec<Core>,
    inboxes: Vec<VecDeque<Batch>>,
    pub(super) ledgers: Ledgers,
    /// A store on a simulated disk, which the ledger only watches.
    pub(super) durable: Option<Durable>,
    pub(super) links: Vec<Link>,
    /// Links of which the broker has an end.
    pub(super) live: Vec<usize>,
    pub(super) now: Instant,
    pub(super) model: Model,
    /// Everything arrives at once.
    pub(super) calm: bool,
    scratch: Vec<u8>,
}

impl Net {
    pub(super) fn new(
        settings: Settings,
        workers: u16,
        seed: u64,
        now: Instant,
        store: Option<StoreKind>,
        model: impl FnOnce(&Shared) -> Model,
    ) -> Self {
        let shared = Shared::new(settings.clone(), workers, seed);
        let model = model(&shared);
        let ledgers = Ledgers::new(model.setup.late);
        let durable = store.map(|kind| Durable::new(kind, now, seed));
        let mut net = Self {
            shared,
            settings,
            cores: vec![],
            inboxes: (0..workers).map(|_| VecDeque::new()).collect(),
            ledgers,
            durable,
            links: vec![],
            live: vec![],
            now,
            model,
            calm: false,
            scratch: vec![],
        };
        net.cores = (0..workers).map(|worker| net.core(worker, seed)).collect();
        net
    }

    fn core(&mut self, worker: u16, seed: u64) -> Core {
        let lasting = self.durable.as_mut();
        let lasting = lasting.map(|durable| durable.engine.store(worker));
        Core::new(
            Arc::clone(&self.shared),
            worker,
            self.ledgers.store(worker, lasting),
            Arc::new(AllowAll),
            seed ^ u64::from(worker),
            self.now,
        )
    }

    /// A client opens a connection, at any worker.
    pub(super) fn open(&mut self, client: usize, window: usize, rng: &mut Rng) -> usize {
        let version = self.model.setup.kinds[client].version;
        self.model.wires.push(Wire::new(client, version));
        self.links.push(Link {
            client,
            at: None,
            up: vec![],
            arrived: 0,
            paused: false,
            down: vec![],
            window,
            judged: 0,
            closing: false,
            broken: false,
        });
        let link = self.links.len() - 1;
        self.enter(link, rng.below(self.cores.len()));
        self.live.push(link);
        link
    }

    fn enter(&mut self, link: usize, worker: usize) {
        let conn = self.cores[worker].open(Peer::default(), self.now);
        self.links[link].at = conn.map(|conn| (worker, conn));
    }

    /// What happens from `before` on is durable when the latest record is, if there is one.
    fn at(&self, before: u64) -> At {
        let ledger = self.ledgers.lock();
        let recorded = ledger.recorded() > before;
        At {
            record: if recorded { ledger.latest() } else { 0 },
            now: self.now,
            room: self.cores[0].room(),
            closing: false,
        }
    }

    fn recorded(&self) -> u64 {
        self.ledgers.lock().recorded()
    }

    /// The transport breaks: the broker notices in the next round of its worker.
    pub(super) fn cut(&mut self, link: usize) {
        self.links[link].broken = true;
    }

    fn notice_break(&mut self, link: usize) {
        if self.links[link].at.is_some() {
            let counters = &mut self.model.counters;
            let rest = &self.links[link].up;
            if !rest.is_empty() {
                counters.hit("cut inside a packet to the broker");
                let decoder = self.model.wires[link].decoder();
                if let Ok(Decoded::Complete { packet, .. }) = decoder.publish_head_from_client(rest)
                    && packet.missing > 0
                {
                    counters.hit("cut inside a payload to the broker");
                }
            }
            self.close(link);
        }
    }

    /// The broker's end of a link is gone.
    fn close(&mut self, link: usize) {
        self.judge(link);
        let Some((worker, conn)) = self.links[link].at.take() else {
            return;
        };
        self.live.retain(|&other| other != link);
        let before = self.recorded();
        self.cores[worker].closed(conn, self.now);
        let at = self.at(before);
        self.note_lost();
        self.model.closed(link, at);
        // What a will brought at once is judged as of now, not as of the next round.
        for at in 0..self.live.len() {
            self.judge(self.live[at]);
        }
    }

    fn note_lost(&mut self) {
        self.ledgers.lock().take_lost(&mut self.model.lost);
    }

    /// Makes batches durable: up to so many, or whatever a store that lasts does in one turn. Says whether that was anything.
    pub(super) fn sync(&mut self, batches: usize, rng: &mut Rng) -> bool {
        let Some(durable) = &mut self.durable else {
            return self.ledgers.lock().release(batches);
        };
        let watch = match rng.below(if self.calm { 1 } else { 12 }) {
            3 => Watch::Everything,
            _ if self.calm => Watch::Nothing,
            _ => Watch::Syncs,
        };
        let was_set = durable.turn(self.now, watch);
        let settles = durable.is_full() && rng.one_in(4);
        if self.calm || settles {
            durable.settle(self.now);
        }
        let counters = &mut self.model.counters;
        counters.hit_if(was_set, "clock of the day set");
        counters.hit_if(
            durable.engine.room() == Room::Full,
            "turn of a store that is full",
        );
        counters.hit_if(durable.engine.failed(), "turn of a store that has failed");
        let mut ledger = self.ledgers.lock();
        if durable.check_cuts(&ledger, self.now) > 0 {
            counters.hit("cut at every sync of a turn");
            counters.hit_if(watch == Watch::Everything, "cut at every call of a turn");
            counters.hit_if(durable.is_full(), "cut while the disk is full");
        }
        let before = ledger.committed();
        ledger.reached(durable.engine.committed());
        assert!(
            !settles || !ledger.waits() || durable.engine.room() != Room::Enough,
            "nothing goes on, and nobody is told"
        );
        ledger.committed() > before
    }

    /// A store that has room again says so.
    pub(super) fn check_room(&self) {
        for core in &self.cores {
            assert_eq!(core.room(), Room::Enough);
        }
    }

    /// Looks once more at what a crash leaves, now that everything has come to rest.
    pub(super) fn check_store(&mut self) {
        if let Some(durable) = &mut self.durable {
            durable.check_now(&self.ledgers.lock(), self.now);
            let names: Vec<String> = durable.disk.contents().into_keys().collect();
            let counters = &mut self.model.counters;
            let snapshot = names.iter().any(|name| name.ends_with(".snap"));
            counters.hit_if(snapshot, "snapshot in the end");
            let first = names.iter().any(|name| name == "0000000001.log");
            counters.hit_if(!first, "first segment gone in the end");
        }
    }

    /// Whether the store has failed: nothing is acknowledged any more, until somebody starts the broker anew.
    pub(super) fn has_failed(&self) -> bool {
        let durable = self.durable.as_ref();
        durable.is_some_and(|durable| durable.engine.failed())
    }

    /// The broker's process dies, and starts again from its store, perhaps with another number of workers. Its clients will notice.
    pub(super) fn crash(&mut self, workers: u16, seed: u64) {
        self.model.counters.hit("broker restarted");
        for link in self.live.drain(..) {
            self.links[link].at = None;
        }
        let mut ledger = self.ledgers.lock();
        self.model
            .counters
            .hit_if(ledger.waiting() > 0, "crash before a commit");
        let acknowledged = ledger.acknowledged();
        let batches = match &mut self.durable {
            Some(durable) => {
                let left = durable.end(&mut self.cores, &mut ledger, self.now);
                let counters = &mut self.model.counters;
                counters.hit_if(left.stopped, "stopped in good order");
                counters.hit_if(durable.is_full(), "started on a full disk");
                let (batches, now) = durable.reopen(left, &ledger, self.now);
                counters.hit_if(now < self.now, "clock that goes back at a start");
                self.now = now;
                batches
            }
            None => acknowledged,
        };
        self.model.counters.hit_if(
            batches > acknowledged,
            "crash kept what was not acknowledged",
        );
        let (is_durable, restore) = ledger.crash(batches);
        if let Some(durable) = &self.durable {
            ledger.go_on(durable.engine.latest(), durable.engine.committed());
        }
        self.model.lost.clear();
        ledger.take_lost(&mut self.model.lost);
        drop(ledger);
        self.model.crashed(&is_durable);
        self.model.happened(0, Event::Crashed);
        self.shared = Shared::new(self.settings.clone(), workers, seed);
        for (kind, name) in self.model.setup.kinds.iter_mut().zip(NAMES) {
            kind.home = self.shared.home(name);
        }
        self.inboxes = (0..workers).map(|_| VecDeque::new()).collect();
        self.cores = (0..workers).map(|worker| self.core(worker, seed)).collect();
        match &mut self.durable {
            Some(durable) => {
                let unreadable = durable.engine.start(&mut self.cores, self.now);
                assert!(unreadable.is_empty(), "{unreadable:?}");
            }
            None => restore.start(&mut self.cores, self.now, self.now),
        }
        self.note_lost();
        for client in self.model.state.by_birth() {
            let home = self.model.setup.kinds[client].home;
            let record = self.ledgers.lock().latest_of(home);
            let when = When {
                now: self.now,
                no_room: false,
            };
            self.model.happened(record, Event::Resumed { client, when });
        }
    }

    /// One round of a worker; says whether anything was done.
    pub(super) fn round(&mut self, worker: usize, rng: &mut Rng) -> bool {
        let mut busy = false;
        let mut at = 0;
        while let Some(&link) = self.live.get(at) {
            at += 1;
            if self.links[link].at.is_some_and(|(at, _)| at == worker) {
                if self.links[link].broken {
                    self.notice_break(link);
                    busy = true;
                } else {
                    busy |= self.write(link);
                    busy |= self.read(link, rng);
                }
            }
            // It may be gone now.
            if self.live.get(at - 1) != Some(&link) {
                at -= 1;
            }
        }
        while let Some(batch) = self.inboxes[worker].pop_front() {
            busy = true;
            self.cores[worker].inbox(batch, self.now);
            self.note_lost();
        }
        let before = self.recorded();
        if self.cores[worker]
            .deadline()
            .is_some_and(|due| due <= self.now)
        {
            self.cores[worker].tick(self.now);
        }
        let happened = self.at(before);
        self.note_lost();
        self.model.clock(worker as u16, happened);
        // What was recorded while polling opens the way for more, and the end of a connection can concern others.
        for _ in 0..PASSES {
            busy |= self.commit(worker);
            if self.cores[worker].deadline() != Some(Instant::ZERO) {
                break;
            }
        }
        busy
    }

    /// Workers look at what the store says, and at nothing else.
    pub(super) fn poll_all(&mut self) {
        for worker in 0..self.cores.len() {
            self.commit(worker);
        }
    }

    /// Seals the round, hands over what is for other workers, and polls every touched connection.
    fn commit(&mut self, worker: usize) -> bool {
        let mut busy = false;
        let core = &mut self.cores[worker];
        core.commit();
        if let Some(durable) = &self.durable {
            // Without durability that is done now.
            let committed = durable.engine.committed();
            self.ledgers.lock().reached(committed);
        }
        for effect in core.effects() {
            busy = true;
            match effect {
                Effect::ToWorker { worker, batch } => {
                    self.model.counters.hit("batch for another worker");
                    self.inboxes[usize::from(worker)].push_back(batch);
                }
                other => panic!("nobody asked for {other:?}"),
            }
        }
        while let Some(conn) = self.cores[worker].next_touched() {
            busy = true;
            self.flush(worker, conn);
        }
        busy
    }

    /// More bytes arrive at the broker, and it reads them.
    fn read(&mut self, link: usize, rng: &mut Rng) -> bool {
        let end = &mut self.links[link];
        if end.paused || end.closing || end.up.is_empty() {
            return false;
        }
        let before = end.arrived;
        let way = end.up.len() - end.arrived;
        end.arrived += if self.calm || rng.one_in(2) {
            way
        } else {
            rng.below(way + 1)
        };
        if end.arrived == before && before == 0 {
            return false;
        }
        self.hand_in(link);
        true
    }

    fn hand_in(&mut self, link: usize) {
        let end = &mut self.links[link];
        let Some((worker, conn)) = end.at else { return };
        let before = self.ledgers.lock().recorded();
        let arrived = end.up.get(..end.arrived).unwrap_or_default();
        let len = arrived.len();
        let taken_over = self.model.wires[link].taken_over;
        let received = self.cores[worker].receive(conn, arrived, self.now);
        let closing = matches!(received, Received::Closing);
        let consumed = match received {
            Received::More { consumed, .. } => consumed,
            Received::Paused { consumed } => {
                self.model.counters.hit("reading paused");
                end.paused = true;
                consumed
            }
            Received::HandOver { worker: home } => {
                self.model.counters.hit("handed over to the home worker");
                self.cores[worker].closed(conn, self.now);
                self.enter(link, usize::from(home));
                return;
            }
            // After DISCONNECT, or after another connection took over.
            Received::Closing if taken_over => 0,
            Received::Closing => len,
        };
        let at = At {
            closing,
            ..self.at(before)
        };
        self.note_lost();
        let bytes = core::mem::take(&mut self.links[link].up);
        let mut rest = &bytes[..consumed];
        while !rest.is_empty() {
            let decoder = self.model.wires[link].decoder();
            let packet = match decoder.from_client(rest).expect("clients send packets") {
                Decoded::Complete { packet, len } => {
                    rest = &rest[len..];
                    packet
                }
                Decoded::NeedMore(_) => panic!("half a packet was consumed"),
            };
            let name = NAMES[self.links[link].client];
            self.model.counters.trace(|| {
                format!(
                    "{} broker takes of {name}/{link}: {}",
                    at.now,
                    describe(packet)
                )
            });
            self.model.took(link, &packet, at);
            if matches!(packet, FromClient::Disconnect(_)) {
                break;
            }
        }
        let end = &mut self.links[link];
        end.up = bytes;
        end.up.drain(..consumed);
        end.arrived -= consumed;
    }

    /// Polls a connection, and judges what that has written.
    fn flush(&mut self, worker: usize, conn: ConnId) {
        let polled = self.cores[worker].poll(conn, self.now);
        let same = |&&link: &&usize| self.links[link].at == Some((worker, conn));
        let Some(&link) = self.live.iter().find(same) else {
            return;
        };
        self.judge(link);
        let committed = self.ledgers.lock().committed();
        let owed = self.model.wires[link].owed.front();
        self.model.counters.hit_if(
            owed.is_some_and(|owed| owed.opens > committed),
            "acknowledgement waited for a commit",
        );
        if polled.resume {
            self.links[link].paused = false;
        }
        if polled.close {
            if let Some((violation, _)) = self.cores[worker].why(conn) {
                let expected = violation.reason_code()
                    == mqtt_codec::ReasonCode::KEEP_ALIVE_TIMEOUT
                    || !self.model.wires[link].connected;
                assert!(
                    expected,
                    "{}: {violation:?}",
                    NAMES[self.links[link].client]
                );
                self.model.counters.hit("keep-alive or CONNECT timed out");
            }
            self.links[link].closing = true;
        }
        self.write(link);
    }

    /// Judges what was appended to the output of a connection.
    fn judge(&mut self, link: usize) {
        let Some((worker, conn)) = self.links[link].at else {
            return;
        };
        let Some(output) = self.cores[worker].output(conn) else {
            return;
        };
        if output.len() == self.links[link].judged {
            return;
        }
        let mut bytes = core::mem::take(&mut self.scratch);
        bytes.clear();
        copy(output, self.links[link].judged, usize::MAX, &mut bytes);
        self.links[link].judged += bytes.len();
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let decoder = self.model.wires[link].decoder();
            let Ok(Decoded::Complete { packet, len }) = decoder.from_server(rest) else {
                let start = rest.get(..40).unwrap_or(rest);
                panic!("not a packet: {start:02x?}, {} bytes", rest.len());
            };
            rest = &rest[len..];
            let name = NAMES[self.links[link].client];
            let now = self.now;
            self.model
                .counters
                .trace(|| format!("{now} broker writes to {name}/{link}: {}", describe(packet)));
            self.model
                .wrote(link, &packet, &self.ledgers.lock(), self.now);
        }
        self.scratch = bytes;
    }

    /// Writes what the link takes, and closes what has said everything.
    fn write(&mut self, link: usize) -> bool {
        self.judge(link);
        let end = &mut self.links[link];
        let Some((worker, conn)) = end.at else {
            return false;
        };
        let mut busy = false;
        if let Some(output) = self.cores[worker].output(conn) {
            let room = if self.calm {
                usize::MAX
            } else {
                end.window.saturating_sub(end.down.len())
            };
            let before = end.down.len();
            copy(output, 0, room, &mut end.down);
            let n = end.down.len() - before;
            if n < output.len() {
                self.model.counters.hit("output stalled");
            }
            busy = n > 0;
            end.judged -= n;
            self.cores[worker].written(conn, n);
        }
        let empty = self.cores[worker]
            .output(conn)
            .is_none_or(|output| output.is_empty());
        if self.links[link].closing && empty {
            self.close(link);
            busy = true;
        }
        busy
    }
}
