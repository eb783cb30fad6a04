//! A worker: an event loop that owns its sockets, sessions and timers, and turns in rounds.
//!
//! ```text
//!   wait until something is ready or due          one epoll_wait
//!     readable sockets    one read each ─────┐
//!     batches of others, answers, new ones ──┼──▶ core   (decodes, decides, routes)
//!     timers ────────────────────────────────┘     │
//!   commit                                          │ the round's records become durable
//!   what is for other workers          ◀────────────┤ one wake-up if their inbox was empty
//!   connections with something to say  ◀────────────┘ one write each
//! ```
//!
//! Sockets are registered once, for edges: no call to change what is waited for. What a full read or a spent share leaves is on a
//! list, because no edge will tell again. Work per round and connection is bounded, and nothing spins.

mod accept;
mod clock;
mod connection;
mod end;
mod farewell;
mod inbox;
mod input;
mod output;
mod transport;

use core::mem;
use core::time::Duration;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use mio::event::Event;
use mio::{Events, Poll, Registry, Token};
use mqtt_session::{Commit, Instant};

use self::accept::Doors;
pub(crate) use self::clock::Clock;
use self::connection::{Flag, Rest, Table};
use self::end::End;
use self::farewell::Farewells;
use self::inbox::Published;
pub(crate) use self::inbox::{Inbox, Item};
use crate::core::{ConnId, Core, Effect, Room};
use crate::hooks::Policed;
use crate::listener::Listener;
use crate::local::{LocalError, Locals};

/// Readiness reports taken from the kernel at once.
const EVENTS: usize = 1024;
/// The most that is read of one connection in a round, in bytes.
const SCRATCH: usize = 64 * 1024;
/// Commits and rounds of writing before the worker looks at its sockets again.
const PASSES: usize = 4;
/// How long a stopping worker waits for clients to read their goodbye.
const STOP_WAIT_MS: u64 = 5_000;

/// How long a worker waits before it looks again whether another one has caught up.
const HELD_WAIT: Duration = Duration::from_millis(1);

/// The token of the inbox; those of doors and farewells lie below, connections have their slot.
const WAKE: Token = Token(usize::MAX);

/// A worker before its core exists: the others need its inbox first.
#[derive(Debug)]
pub(crate) struct Site {
    poll: Poll,
    pub(crate) inbox: Arc<Inbox>,
}

impl Site {
    pub(crate) fn new() -> io::Result<Self> {
        let poll = Poll::new()?;
        let inbox = Arc::new(Inbox::new(poll.registry(), WAKE)?);
        Ok(Self { poll, inbox })
    }
}

/// What a worker shares with the rest of the broker.
pub(crate) struct Surroundings {
    /// The inboxes of all workers, by number.
    pub(crate) inboxes: Arc<[Arc<Inbox>]>,
    pub(crate) clock: Clock,
    /// Where questions go that take time.
    pub(crate) hooks: Arc<Policed>,
    /// Who subscribes inside this process.
    pub(crate) locals: Arc<Locals>,
}

/// One worker.
pub(crate) struct Worker {
    poll: Poll,
    events: Events,
    driver: Driver,
}

struct Driver {
    core: Core,
    registry: Registry,
    table: Table,
    scratch: Box<[u8]>,
    /// Buffers for unfinished packets that nobody needs now.
    #[expect(
        clippy::vec_box,
        reason = "they move into connections and back, where a pointer is all that there is room for"
    )]
    spare: Vec<Box<Rest>>,
    /// Connections to read in the next round, whatever the kernel says.
    ready: Vec<ConnId>,
    /// Connections whose sockets take bytes again.
    writable: Vec<ConnId>,
    /// Connections with something to write, in this round; one may stand here twice.
    dirty: Vec<ConnId>,
    doors: Doors,
    farewells: Farewells,
    inbox: Arc<Inbox>,
    items: Vec<Item>,
    /// Publishers inside this process that wait until what their message promises is durable, in the order of their coming.
    published: VecDeque<(Commit, Published)>,
    surroundings: Surroundings,
    /// The time of this round.
    now: Instant,
    /// When a stopping worker ends in any case.
    stop: Option<Instant>,
    /// A connection ended while the round was writing.
    ended_late: bool,
    /// Another worker or the store is far behind: nothing is read that could make more work for it. Inboxes are emptied all the same, so
    /// that two workers never wait for each other.
    held: bool,
}

impl Worker {
    pub(crate) fn new(
        site: Site,
        core: Core,
        listeners: Vec<Listener>,
        surroundings: Surroundings,
    ) -> io::Result<Self> {
        let registry = site.poll.registry().try_clone()?;
        let driver = Driver {
            core,
            doors: Doors::open(listeners, &registry)?,
            registry,
            table: Table::default(),
            scratch: vec![0; SCRATCH].into_boxed_slice(),
            spare: Vec::new(),
            ready: Vec::new(),
            writable: Vec::new(),
            dirty: Vec::new(),
            farewells: Farewells::default(),
            inbox: site.inbox,
            items: Vec::new(),
            published: VecDeque::new(),
            now: surroundings.clock.now(),
            surroundings,
            stop: None,
            ended_late: false,
            held: false,
        };
        Ok(Self {
            poll: site.poll,
            events: Events::with_capacity(EVENTS),
            driver,
        })
    }

    /// Turns until the broker is stopped.
    ///
    /// # Errors
    /// If the kernel refuses to wait: nothing can be served then.
    pub(crate) fn run(mut self) -> io::Result<()> {
        while self.round()? {}
        Ok(())
    }

    /// Waits, then does everything that is ready or due; false when there is nothing left to do.
    fn round(&mut self) -> io::Result<bool> {
        let timeout = self.driver.timeout();
        match self.poll.poll(&mut self.events, timeout) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => self.events.clear(),
            other => other?,
        }
        self.driver.now = self.driver.surroundings.clock.now();
        self.driver.hold();
        let ready = mem::take(&mut self.driver.ready);
        for event in &self.events {
            self.driver.readiness(event);
        }
        for conn in &ready {
            self.driver.read_on(*conn);
        }
        self.driver.keep_list(ready);
        self.driver.take_items();
        self.driver.accept();
        self.driver.be_on_time();
        self.driver.write_all();
        Ok(!self.driver.is_over())
    }
}

impl Driver {
    /// How long to wait when nothing happens; forever without a deadline.
    fn timeout(&self) -> Option<Duration> {
        let at_once = !self.ready.is_empty() || self.doors.are_ready();
        if at_once && !self.held {
            return Some(Duration::ZERO);
        }
        let deadlines = [
            self.core.deadline(),
            self.farewells.deadline(),
            self.doors.deadline(),
            self.stop,
        ];
        let next = deadlines.into_iter().flatten().min();
        let wait = next.map(|next| clock::until(next, self.now));
        if at_once {
            return Some(wait.map_or(HELD_WAIT, |wait| wait.min(HELD_WAIT)));
        }
        wait
    }

    /// Looks whether another worker, or the store, is too far behind to read on.
    fn hold(&mut self) {
        let inboxes = &self.surroundings.inboxes;
        self.held = inboxes
            .iter()
            .any(|inbox| !Arc::ptr_eq(inbox, &self.inbox) && inbox.is_full())
            || self.core.is_behind();
    }

    fn readiness(&mut self, event: &Event) {
        let token = event.token();
        if token == WAKE {
            // The inbox is looked at in every round.
        } else if self.doors.knock(token) {
            // They are accepted after the clients that are already there.
        } else if let Some(place) = Farewells::place(token) {
            self.farewells.read(place);
        } else if let Some(conn) = self.table.at(token.0) {
            let Some(connection) = self.table.get(conn) else {
                return;
            };
            if event.is_writable() && connection.is(Flag::BLOCKED) {
                connection.clear(Flag::BLOCKED);
                self.writable.push(conn);
            }
            if event.is_read_closed() || event.is_error() {
                connection.set(Flag::HUNG_UP);
                connection.set(Flag::READABLE);
            } else if event.is_readable() {
                connection.set(Flag::READABLE);
            }
            if connection.is(Flag::READABLE) && !connection.is(Flag::LISTED) {
                self.read(conn);
            }
        }
    }

    /// Reuses the allocation of a list that is done.
    fn keep_list(&mut self, mut done: Vec<ConnId>) {
        if self.ready.is_empty() {
            done.clear();
            self.ready = done;
        }
    }

    fn take_items(&mut self) {
        let mut items = mem::take(&mut self.items);
        self.inbox.take(&mut items);
        if !items.is_empty() {
            // What other workers have sent is not from the future; an expiry, told to the nearest second, forgives less than 500 ms.
            self.now = self.surroundings.clock.now();
        }
        for item in items.drain(..) {
            match item {
                Item::Batch(batch) => self.core.inbox(batch, self.now),
                Item::Arrival(arrival) => self.arrive(arrival),
                Item::Publish(message, done) => match self.core.publish(&message, self.now) {
                    Ok(promised) => self.published.push_back((promised, done)),
                    Err(room) => drop(done.send(Err(LocalError::of(room)))),
                },
                Item::MayConnect(question, decision) => {
                    self.core.answer_connect(question, decision, self.now);
                }
                Item::Checked(question, request, finding) => {
                    let hooks = &self.surroundings.hooks;
                    if let Some(decision) = hooks.checked(&self.inbox, question, *request, finding)
                    {
                        self.core.answer_connect(question, decision, self.now);
                    }
                }
                Item::MaySubscribe(question, decisions) => {
                    self.core.answer_subscribe(question, &decisions, self.now);
                }
                Item::Stop => self.stop(),
            }
        }
        self.items = items;
    }

    fn stop(&mut self) {
        if self.stop.is_none() {
            self.stop = Some(self.now.plus_millis(STOP_WAIT_MS));
            self.doors.shut();
            self.core.shutdown(self.now);
        }
    }

    fn be_on_time(&mut self) {
        if self.core.deadline().is_some_and(|due| due <= self.now) {
            self.core.tick(self.now);
        }
        for conn in self.farewells.overdue(self.now) {
            self.end(conn, &End::Unread);
        }
    }

    /// Makes the round durable, sends what is for others, and writes what it brought.
    fn write_all(&mut self) {
        for _ in 0..PASSES {
            self.core.commit();
            // First to the other workers: who reads an acknowledgement may count on its message being on its way.
            self.take_effects();
            while let Some(conn) = self.writable.pop().or_else(|| self.core.next_touched()) {
                self.poll_output(conn);
            }
            self.take_effects();
            // What was recorded while polling opens the way for more, once it is committed.
            if self.is_due() {
                continue;
            }
            self.ended_late = false;
            self.write_dirty();
            // The end of a connection can concern others: its will, its share of a group.
            if !self.ended_late && !self.is_due() {
                break;
            }
        }
        self.write_dirty();
        self.tell_publishers();
    }

    /// Tells publishers inside this process what has become of their messages. They may have stopped waiting.
    fn tell_publishers(&mut self) {
        let committed = self.core.committed();
        while let Some((promised, _)) = self.published.front()
            && *promised <= committed
        {
            if let Some((_, done)) = self.published.pop_front() {
                drop(done.send(Ok(())));
            }
        }
        if !self.published.is_empty() && self.core.room() == Room::Failed {
            for (_, done) in self.published.drain(..) {
                drop(done.send(Err(LocalError::Failed)));
            }
        }
    }

    /// Whether the core has more to do at once.
    fn is_due(&self) -> bool {
        self.core.deadline() == Some(Instant::ZERO)
    }

    fn write_dirty(&mut self) {
        let mut dirty = mem::take(&mut self.dirty);
        for conn in dirty.drain(..) {
            self.write(conn);
        }
        if self.dirty.is_empty() {
            self.dirty = dirty;
        }
    }

    fn take_effects(&mut self) {
        for effect in self.core.effects() {
            match effect {
                Effect::ToWorker { worker, batch } => {
                    if let Some(inbox) = self.surroundings.inboxes.get(usize::from(worker)) {
                        inbox.send(Item::Batch(batch));
                    }
                }
                Effect::Ask(id, question) => {
                    self.surroundings.hooks.ask(&self.inbox, id, question);
                }
                Effect::Local {
                    subscriber,
                    message,
                    qos,
                    retain,
                } => {
                    let locals = &self.surroundings.locals;
                    locals.deliver(subscriber, message, qos, retain);
                }
            }
        }
    }

    fn is_over(&self) -> bool {
        self.stop.is_some_and(|limit| {
            limit <= self.now || (self.table.is_empty() && self.farewells.is_empty())
        })
    }
}
