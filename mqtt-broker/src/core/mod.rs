//! The sans-IO core of the broker: every rule about several sessions, and nothing else.
//!
//! A [`Core`] belongs to one worker and holds the connections that the worker accepted and the sessions whose home it is; what all
//! workers share is [`Shared`]. Connections are numbers, time and bytes come in, bytes and [`Effect`]s go out:
//!
//! ```text
//!  open ─▶ receive* ─▶ inbox* ─▶ tick ─▶ commit ─▶ next_touched ─▶ poll ─▶ output ─▶ written      one round
//!                                                       ▲                                │
//!                                                       └────────────────────────────────┘      for each touched connection
//! ```
//!
//! What must outlive the process goes to a [`Store`]; a [`Restore`] makes of it cores that go on. A driver without sockets, as in a
//! simulation, does what a worker does: it hands `Effect::ToWorker` to the other core's [`inbox`](Core::inbox), answers what it is
//! [asked](Effect::Ask), moves a connection that has its [home elsewhere](Received::HandOver), and calls [`closed`](Core::closed) when
//! it has closed one.

mod aside;
mod backlog;
mod chunks;
mod connect;
mod connection;
mod counters;
mod effect;
mod fanout;
mod groups;
mod ids;
mod message;
mod output;
mod owned;
mod policy;
mod queue;
mod quota;
mod receive;
pub mod restore;
mod retained;
mod room;
mod routing;
mod sessions;
mod settings;
mod shared;
mod slab;
mod store;
mod subscribe;
mod sys;
#[cfg(test)]
mod tests;
mod timers;

use core::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::Arc;

use hashbrown::HashTable;
use mqtt_codec::ReasonCode;
use mqtt_session::{Commit, Instant, Output as Polling};

pub use counters::{Counters, Gauge};
pub use effect::{Batch, Effect, Question, QuestionId};
pub use ids::{ConnId, GroupId, LocalId, Receiver, SessionKey, Subscriber, WORKERS_MAX};
pub use message::Message;
pub use output::Output;
pub use owned::OwnedRecord;
pub use policy::{AllowAll, ConnectRequest, Decision, Identity, Peer, Policy};
pub use restore::{Image, Malformed, Restore};
#[cfg(feature = "cli")]
pub(crate) use routing::is_reserved;
pub use settings::{QueuePolicy, Settings};
pub use shared::Shared;
pub use store::{Bodies, Kept, Memory, Record, Room, Store, Terms, Unreadable};

use aside::Aside;
use backlog::Refill;
use connection::{Conn, Keeper};
use counters::Tally;
use fanout::Cache;
use output::Pool;
use room::Ending;
use sessions::Session;
use slab::Slab;
use sys::Sys;
use timers::{CONN_GENERATIONS, PackedTimer, Timer};

/// Output that gathers before it has to be written out: a connection gets no more in one round.
const ROUND_OUTPUT: usize = 64 * 1024;
/// Bytes of messages for other workers that gather in one round before nothing more is read.
const ROUND_BATCHES: usize = 4 * 1024 * 1024;
/// Retained topics looked at in one piece, for a new subscription.
const WALK_STEP: usize = 256;

/// What became of the bytes that came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Received {
    /// Whole packets were consumed: hand the rest in again, with more behind it.
    More {
        /// Bytes that were consumed.
        consumed: usize,
        /// Length of the next packet as far as known; at least this many bytes are needed.
        need: usize,
    },
    /// Nothing more is taken now: keep the rest, and do not read until [`Core::poll`] says `resume`.
    Paused {
        /// Bytes that were consumed.
        consumed: usize,
    },
    /// The session's home is elsewhere: send the socket there with all of `bytes`. The connection has ended here.
    HandOver {
        /// Where.
        worker: u16,
    },
    /// The connection is closing: what comes in is ignored.
    Closing,
}

/// What [`Core::poll`] found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Polled {
    /// Write out what there is, then close, then call [`Core::closed`].
    pub close: bool,
    /// Reading may go on: hand in what was kept back.
    pub resume: bool,
}

/// The rules of one worker. See the [module](self) for how it is driven.
pub struct Core {
    shared: Arc<Shared>,
    worker: u16,
    policy: Arc<dyn Policy>,
    store: Box<dyn Store>,
    conns: Slab<Conn>,
    sessions: Slab<Session>,
    /// Slots of `sessions`, found by client id.
    by_client: HashTable<u32>,
    timers: BinaryHeap<Reverse<(Instant, PackedTimer)>>,
    /// Connections with something to write, in this round and in the next.
    touched: Vec<ConnId>,
    polled: Vec<ConnId>,
    effects: Vec<Effect>,
    /// What gathers for each other worker.
    batches: Vec<Batch>,
    /// Bytes in them.
    gathered: usize,
    pool: Pool,
    cache: Cache,
    tally: Tally,
    sys: Sys,
    /// When retained messages expire that this worker has stored, and their topics.
    expiring: BinaryHeap<Reverse<(Instant, Box<str>)>>,
    /// Connections from which something was withheld when they were polled, and the commit that it waits for at most.
    withheld: VecDeque<(Commit, ConnId)>,
    /// The latest record when the store was last told to commit.
    flushed: Commit,
    /// Whose messages are put away when the store has come further.
    aside: Aside,
    /// Whether the store took more at the end of the latest round.
    room: Room,
    /// Sessions whose end is not durable yet.
    ending: Ending,
    /// All queues together were full, and are not half empty yet.
    total_overflowed: bool,
    /// Members of groups whose message has ended, until the groups are told.
    ended: Vec<(GroupId, Subscriber)>,
    /// End-to-end properties of the message that is being routed.
    scratch: Vec<u8>,
    questions: u32,
    seed: u64,
    /// Random numbers drawn so far.
    drawn: u64,
    draining: bool,
}

impl core::fmt::Debug for Core {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Core")
            .field("worker", &self.worker)
            .field("connections", &self.conns.len())
            .field("sessions", &self.sessions.len())
            .finish_non_exhaustive()
    }
}

impl Core {
    /// The core of worker number `worker`; `seed` makes the client ids that it assigns hard to guess.
    #[must_use]
    pub fn new(
        shared: Arc<Shared>,
        worker: u16,
        store: Box<dyn Store>,
        policy: Arc<dyn Policy>,
        seed: u64,
        now: Instant,
    ) -> Self {
        let mut core = Self {
            batches: (0..shared.workers()).map(|_| Batch::default()).collect(),
            gathered: 0,
            shared,
            worker,
            policy,
            store,
            conns: Slab::new(CONN_GENERATIONS),
            sessions: Slab::new(ids::GENERATIONS),
            by_client: HashTable::new(),
            timers: BinaryHeap::new(),
            touched: Vec::new(),
            polled: Vec::new(),
            effects: Vec::new(),
            pool: Pool::default(),
            cache: Cache::with_seed(seed, fanout::limits()),
            tally: Tally::default(),
            sys: Sys::new(now),
            expiring: BinaryHeap::new(),
            withheld: VecDeque::new(),
            flushed: Commit::default(),
            aside: Aside::default(),
            room: Room::Enough,
            ending: Ending::default(),
            total_overflowed: false,
            ended: Vec::new(),
            scratch: Vec::new(),
            questions: 0,
            seed,
            drawn: 0,
            draining: false,
        };
        if worker == 0 && core.shared.settings().sys_interval_ms != 0 {
            core.set_timer(now, Timer::Sys);
        }
        core
    }

    /// A connection was accepted, or handed over from another worker. `None` when there are too many.
    pub fn open(&mut self, peer: Peer, now: Instant) -> Option<ConnId> {
        let settings = self.shared.settings();
        if self.draining || self.conns.len() >= settings.connections as usize {
            self.tally.turned_away += 1;
            return None;
        }
        let conn = Conn::new(peer, now, &settings.limits);
        let armed = conn.armed;
        let (slot, generation) = self.conns.insert(conn);
        let id = ConnId { slot, generation };
        self.set_timer(armed, Timer::Connection(id));
        self.tally.connections += 1;
        Some(id)
    }

    /// The transport of a connection is gone, by whatever cause. Does nothing when it was told before.
    pub fn closed(&mut self, id: ConnId, now: Instant) {
        let Some(mut conn) = self.conns.remove(id.slot, id.generation) else {
            return;
        };
        self.tally.connections -= 1;
        if let Some(output) = conn.output.take() {
            self.pool.give(output);
        }
        if let Some(key) = conn.session {
            let (state, closed) = conn.machine.detach(now);
            self.session_closed(key, state, closed, now);
        }
    }

    /// Takes what another worker has sent.
    pub fn inbox(&mut self, batch: Batch, now: Instant) {
        for item in batch.items {
            self.deliver_queued(item, now);
        }
    }

    /// The end of a round's input: makes its records durable, hands over what gathered for other workers, adds up the counters. What
    /// waited for records that have become durable meanwhile is touched.
    pub fn commit(&mut self) {
        self.store.commit();
        self.flushed = self.store.latest();
        let committed = self.store.committed();
        self.ending.committed(committed);
        while let Some(&(commit, id)) = self.withheld.front()
            && commit <= committed
        {
            self.withheld.pop_front();
            if let Some(conn) = self.conns.get_mut(id.slot, id.generation) {
                conn.withheld = false;
                self.touch(id);
            }
        }
        self.note_room();
        self.put_away();
        self.tell_groups();
        for (worker, batch) in self.batches.iter_mut().enumerate() {
            if !batch.is_empty() {
                self.effects.push(Effect::ToWorker {
                    worker: worker as u16,
                    batch: core::mem::take(batch),
                });
            }
        }
        self.gathered = 0;
        self.tally.flush(self.shared.counters());
        self.note_total();
        debug_assert!(self.polled.is_empty(), "every touched connection is polled");
        core::mem::swap(&mut self.touched, &mut self.polled);
    }

    /// Whether so much has gathered for other workers that nothing more is taken before [`commit`](Self::commit).
    #[must_use]
    pub const fn has_gathered_enough(&self) -> bool {
        self.gathered >= ROUND_BATCHES
    }

    /// Whether the store is so far behind that nothing more is to be read of clients for the moment.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        self.store.is_behind()
    }

    /// After [`commit`](Self::commit): the next connection with something to write or to close, each once.
    pub fn next_touched(&mut self) -> Option<ConnId> {
        self.polled.pop()
    }

    fn touch(&mut self, id: ConnId) {
        if let Some(conn) = self.conns.get_mut(id.slot, id.generation)
            && !conn.touched
        {
            conn.touched = true;
            self.touched.push(id);
        }
    }

    /// Fills the output of a touched connection.
    pub fn poll(&mut self, id: ConnId, now: Instant) -> Polled {
        let mut polled = Polled::default();
        let Some(conn) = self.conns.get_mut(id.slot, id.generation) else {
            return polled;
        };
        conn.touched = false;
        let mut output = conn.output.take().unwrap_or_else(|| self.pool.take());
        // Asked before the session asks: the store may come further while it is polled, and wakes the worker then.
        let behind = self.store.committed() < self.store.latest();
        let mut steps = 0;
        let mut searching = false;
        loop {
            // A connection that closes says its last word however much its client leaves unread.
            if output.len() >= ROUND_OUTPUT
                && let Some(conn) = self.conns.get_mut(id.slot, id.generation)
                && !conn.machine.is_closing()
            {
                conn.more = true;
                break;
            }
            let step = self.with_machine(id, |machine, keeper| {
                let step = machine.poll_output(&mut *output, now, keeper);
                if let Polling::Publish { seq, last_use } = step {
                    keeper.append_payload(seq, last_use, &mut output);
                }
                step
            });
            match step {
                Some(Polling::Wrote | Polling::Publish { .. }) => self.tally.packets_sent += 1,
                Some(Polling::Close) => {
                    polled.close = true;
                    break;
                }
                Some(Polling::Idle | Polling::Full) => match self.refill(id, &mut steps, now) {
                    Refill::Added => {}
                    Refill::Searching => {
                        searching = true;
                        break;
                    }
                    Refill::Nothing => break,
                },
                None => break,
            }
        }
        self.forget_handshake(id);
        let latest = self.store.latest();
        let withheld = behind || self.store.committed() < latest;
        let Some(conn) = self.conns.get_mut(id.slot, id.generation) else {
            return polled;
        };
        if output.is_empty() {
            self.pool.give(output);
        } else {
            conn.output = Some(output);
        }
        if conn.paused && conn.takes_input() {
            conn.paused = false;
            polled.resume = true;
        }
        let trim = !withheld && core::mem::take(&mut conn.trim);
        if withheld && !polled.close && !core::mem::replace(&mut conn.withheld, true) {
            self.withheld.push_back((latest, id));
        }
        if searching {
            self.touch(id);
        }
        if trim {
            self.trim(id);
        }
        self.arm(id, now);
        polled
    }

    /// What a connection has to write; `None` is nothing.
    #[must_use]
    pub fn output(&self, id: ConnId) -> Option<&Output> {
        self.conns.get(id.slot, id.generation)?.output.as_deref()
    }

    /// `n` bytes of the output were written.
    pub fn written(&mut self, id: ConnId, n: usize) {
        let Some(conn) = self.conns.get_mut(id.slot, id.generation) else {
            return;
        };
        self.tally.bytes_sent += n as i64;
        let Some(output) = conn.output.as_mut() else {
            return;
        };
        output.written(n);
        if output.is_empty()
            && let Some(output) = conn.output.take()
        {
            self.pool.give(output);
            if core::mem::take(&mut conn.more) {
                self.touch(id);
            }
        }
    }

    /// What the driver has to do beside reading and writing.
    pub fn effects(&mut self) -> impl Iterator<Item = Effect> + '_ {
        self.effects.drain(..)
    }

    /// Why a connection is being closed by this side, for the log: the rule that the client broke, and the version that it speaks.
    #[must_use]
    pub fn why(&self, id: ConnId) -> Option<(mqtt_session::Violation, mqtt_codec::Version)> {
        let conn = self.conns.get(id.slot, id.generation)?;
        Some((conn.rare.as_ref()?.why?, conn.machine.version()))
    }

    /// The client id behind a connection, once its CONNECT was accepted.
    #[must_use]
    pub fn client_id(&self, id: ConnId) -> Option<&str> {
        let key = self.conns.get(id.slot, id.generation)?.session?;
        Some(&self.sessions.get(key.slot, key.generation)?.client_id)
    }

    /// Ends every connection with DISCONNECT 0x8B, and takes no new ones; poll and flush as after any other round.
    pub fn shutdown(&mut self, _now: Instant) {
        self.draining = true;
        let all: Vec<ConnId> = self
            .conns
            .keys()
            .map(|(slot, generation)| ConnId { slot, generation })
            .collect();
        for id in all {
            if let Some(conn) = self.conns.get_mut(id.slot, id.generation) {
                conn.machine.disconnect(ReasonCode::SERVER_SHUTTING_DOWN);
            }
            self.touch(id);
        }
    }

    /// How many connections there are.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.conns.len()
    }

    /// Calls `f` with a connection's session and its owner.
    fn with_machine<T>(
        &mut self,
        id: ConnId,
        f: impl FnOnce(&mut connection::Machine, &mut Keeper<'_>) -> T,
    ) -> Option<T> {
        let conn = self.conns.get_mut(id.slot, id.generation)?;
        let lasts = conn.machine.state().session_expiry() != 0;
        let mut nothing = None;
        let (who, queue, client_id) = match conn.session {
            Some(key) => {
                let session = self.sessions.get_mut(key.slot, key.generation)?;
                let who = Subscriber::session(self.worker, key);
                (who, &mut session.queue, &*session.client_id)
            }
            None => (Subscriber::BROKER, &mut nothing, ""),
        };
        let mut keeper = Keeper {
            who,
            queue,
            store: &mut *self.store,
            settings: self.shared.settings(),
            handshake: conn.handshake.as_deref(),
            lasts,
            client_id,
            ended: &mut self.ended,
            tally: &mut self.tally,
            given_up: None,
        };
        Some(f(&mut conn.machine, &mut keeper))
    }

    /// Tells the shared groups whose messages have ended.
    fn tell_groups(&mut self) {
        if !self.ended.is_empty() {
            let mut groups = self.shared.groups();
            for (group, who) in self.ended.drain(..) {
                groups.done(group, who);
            }
        }
    }

    /// Hard to guess for whoever does not know the seed, however many earlier numbers he has seen.
    fn next_random(&mut self) -> u64 {
        self.drawn += 1;
        let mut hasher = std::hash::DefaultHasher::new();
        for part in [self.seed, self.drawn, self.seed] {
            core::hash::Hasher::write_u64(&mut hasher, part);
        }
        core::hash::Hasher::finish(&hasher)
    }
}
