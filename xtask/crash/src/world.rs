//! The clients of a run around one broker, on one thread.

use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::io;
use std::time::Instant;

use mio::{Events, Poll};

use crate::cast::Cast;
use crate::client::{Client, Event};
use crate::judge::Promise;
use crate::plan::Plan;
use crate::rng::Rng;
use crate::role::{Context, Filters, Judge, Role, Turn};

/// How waiting ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waited {
    /// What was waited for is there.
    Met,
    /// The time is over.
    Over,
    /// Nothing happened for so long that nothing will.
    Idle,
}

/// A turn of the loop at the longest: somebody may have to do something at some time.
const TURN: Duration = Duration::from_millis(2);
/// How often a connection is opened again that the broker closed, in a round.
const REOPENED: u8 = 3;

/// Everybody, and the broker's address.
pub(crate) struct World {
    poll: Poll,
    events: Events,
    address: SocketAddr,
    clients: Vec<Client>,
    roles: Vec<Role>,
    /// What each client draws its decisions from.
    rngs: Vec<Rng>,
    reopened: Vec<u8>,
    pub(crate) judge: Judge,
    filters: Filters,
    restart: u32,
    patience: Duration,
    last_event: Instant,
    met: Vec<Event>,
}

impl World {
    /// Everybody offline; `acts_at_pubrec`: see [`Judge`].
    ///
    /// # Errors
    /// When the system has no poll.
    pub(crate) fn new(patience: Duration, acts_at_pubrec: bool) -> io::Result<Self> {
        let Cast {
            clients,
            roles,
            judge,
            filters,
        } = Cast::new(acts_at_pubrec);
        Ok(Self {
            poll: Poll::new()?,
            events: Events::with_capacity(256),
            address: (Ipv4Addr::LOCALHOST, 0).into(),
            rngs: vec![Rng::of(0, &[]); clients.len()],
            reopened: vec![0; clients.len()],
            clients,
            roles,
            judge,
            filters,
            restart: 0,
            patience,
            last_event: Instant::now(),
            met: Vec::new(),
        })
    }

    /// A round begins: its decisions are drawn anew.
    pub(crate) fn draw(&mut self, seed: u64, round: u32) {
        self.judge.round = round;
        for (place, rng) in self.rngs.iter_mut().enumerate() {
            *rng = Rng::of(seed, &[u64::from(round), 1 + place as u64]);
        }
        self.reopened.fill(0);
    }

    /// The broker listens here from now on.
    pub(crate) const fn moved(&mut self, address: SocketAddr) {
        self.address = address;
        self.came_back();
    }

    /// Everybody comes back after this.
    pub(crate) const fn came_back(&mut self) {
        self.restart += 1;
    }

    /// Calls `with` for a client, its role, and what they need.
    fn each(&mut self, mut with: impl FnMut(&mut Client, &mut Role, &mut Context<'_>, Filters)) {
        let everybody = self.clients.iter_mut().zip(&mut self.roles);
        for ((client, role), rng) in everybody.zip(&mut self.rngs) {
            let mut cx = Context {
                judge: &mut self.judge,
                address: self.address,
                registry: self.poll.registry(),
                rng,
                restart: self.restart,
            };
            with(client, role, &mut cx, self.filters);
        }
    }

    /// Lets everybody connect for the first time.
    pub(crate) fn gather(&mut self) -> Waited {
        self.each(|client, role, cx, _| role.connect(client, cx));
        self.wait(None, |world| {
            let mut all = world.roles.iter().zip(&world.clients);
            all.all(|(role, client)| role.is_ready(client))
        })
    }

    /// Runs the load until so many messages more were accepted and the time after that has passed.
    pub(crate) fn load(&mut self, accepted: u64, delay: Duration) -> Waited {
        let end = self.judge.deliveries.accepted + accepted;
        self.each(|client, role, cx, _| role.begin(client, cx));
        let mut over = None;
        self.wait(None, |world| {
            world.each(|client, role, cx, _| role.load(client, cx));
            if world.judge.deliveries.accepted >= end {
                over.get_or_insert_with(|| Instant::now() + delay);
            }
            let over = over.is_some_and(|over| Instant::now() >= over);
            if over {
                // What is counted as on its way is.
                world.flush();
            }
            over
        })
    }

    /// The broker stays, and all connections break. Where it matters that the broker has read what was sent, it has.
    pub(crate) fn cut_off(&mut self) {
        let fickle = |place: &usize| self.roles[*place].is_fickle();
        let fickle: Vec<usize> = (0..self.clients.len()).filter(fickle).collect();
        for place in &fickle {
            self.clients[*place].finish();
        }
        self.read_to_the_end(&fickle);
        self.crashed();
    }

    /// The broker is gone: reads what it had sent, and lets all connections go.
    pub(crate) fn killed(&mut self) {
        // A broker that ends in order publishes wills before it closes the connections of others.
        self.each(|_, role, cx, _| role.doomed(cx.judge));
        self.read_to_the_end(&Vec::from_iter(0..self.clients.len()));
        self.crashed();
    }

    fn read_to_the_end(&mut self, places: &[usize]) {
        for &place in places {
            // A dead broker's sockets end; the time is for the kernel.
            let end = Instant::now() + Duration::from_millis(200);
            while !self.clients[place].is_offline() && Instant::now() < end {
                self.read(place, true);
            }
        }
    }

    /// All connections are gone.
    fn crashed(&mut self) {
        self.judge.deliveries.crash();
        self.each(|client, role, cx, _| role.crashed(client, cx.judge));
    }

    /// Messages of publishers that were sent and not accepted, and acknowledgements that subscribers owe.
    pub(crate) fn in_flight(&self) -> (usize, usize) {
        let unaccepted = self.clients.iter().map(Client::unaccepted).sum();
        (unaccepted, self.clients.iter().map(Client::owed).sum())
    }

    /// Brings everybody back after a restart, and waits until nothing more is to be expected.
    pub(crate) fn recover(&mut self, plan: &Plan, end: Option<Instant>) -> Waited {
        for turn in [Turn::First, Turn::Second] {
            self.each(|client, role, cx, filters| {
                if role.turn(plan) == turn {
                    role.come(client, cx, filters, plan.meanwhile);
                }
            });
            let met = self.wait(end, |world| {
                let Self {
                    clients,
                    roles,
                    judge,
                    ..
                } = world;
                roles.iter_mut().zip(clients.iter()).all(|(role, client)| {
                    let is_due = match role.turn(plan) {
                        // Whoever came early is waited for at the end.
                        Turn::First if turn == Turn::First => !matches!(role, Role::Subscriber(_)),
                        Turn::First => true,
                        Turn::Second => turn == Turn::Second,
                        Turn::Never => false,
                    };
                    !is_due || role.is_done(client, judge)
                })
            });
            if met == Waited::Over {
                return met;
            }
            if turn == Turn::First {
                self.read_retained();
            }
        }
        let Self {
            clients,
            roles,
            judge,
            ..
        } = self;
        let mut met = Waited::Met;
        for (role, client) in roles.iter_mut().zip(clients.iter()) {
            if role.turn(plan) != Turn::Never && !role.is_done(client, judge) {
                met = Waited::Idle;
                role.settle(client, judge);
            }
        }
        met
    }

    /// Judges the retained messages as they are, before anybody changes them.
    fn read_retained(&mut self) {
        let Self {
            clients,
            roles,
            judge,
            ..
        } = self;
        for (role, client) in roles.iter_mut().zip(clients.iter()) {
            if matches!(role, Role::Reader(_)) && !role.is_done(client, judge) {
                role.settle(client, judge);
            }
        }
    }

    /// Turns the loop until something is met, the time is over, or nothing happens any more.
    fn wait(&mut self, end: Option<Instant>, mut met: impl FnMut(&mut Self) -> bool) -> Waited {
        self.last_event = Instant::now();
        loop {
            if met(self) {
                return Waited::Met;
            }
            self.flush();
            let now = Instant::now();
            if end.is_some_and(|end| now >= end) {
                return Waited::Over;
            }
            if now.duration_since(self.last_event) > self.patience {
                return Waited::Idle;
            }
            match self.poll.poll(&mut self.events, Some(TURN)) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Waited::Idle,
                _ => {}
            }
            let ready: Vec<usize> = self.events.iter().map(|event| event.token().0).collect();
            for place in ready {
                self.read(place, false);
            }
        }
    }

    fn flush(&mut self) {
        for client in &mut self.clients {
            client.flush();
        }
    }

    fn read(&mut self, place: usize, killed: bool) {
        let mut met = core::mem::take(&mut self.met);
        let client = &mut self.clients[place];
        if client.read(&mut met) {
            self.last_event = Instant::now();
        }
        for event in met.drain(..) {
            // Whoever had said goodbye comes back with everybody.
            if killed && event == Event::Left {
                continue;
            }
            let (client, role) = (&mut self.clients[place], &mut self.roles[place]);
            let mut cx = Context {
                judge: &mut self.judge,
                address: self.address,
                registry: self.poll.registry(),
                rng: &mut self.rngs[place],
                restart: self.restart,
            };
            role.event(client, &event, &mut cx);
            common(client, &event, cx.judge, killed);
            if let Event::Closed(_) = event
                && !killed
            {
                role.crashed(client, cx.judge);
                self.reopened[place] += 1;
                if self.reopened[place] <= REOPENED {
                    role.connect(client, &mut cx);
                }
            }
        }
        self.met = met;
    }
}

/// What is wrong whatever the client is there for.
fn common(client: &Client, event: &Event, judge: &mut Judge, killed: bool) {
    let name = &client.name;
    match event {
        Event::Closed(why) if !killed => {
            let why = why.as_deref().unwrap_or("closes the connection");
            judge.report(Promise::Serving, format!("the broker {why} ({name})"));
        }
        Event::Rejected(stamp, reason) => {
            let text = format!("message {} of {name} is refused: {reason}", stamp.number);
            judge.report(Promise::Serving, text);
        }
        Event::Nonsense(what) => {
            judge.report(Promise::Serving, format!("the broker {what} ({name})"));
        }
        _ => {}
    }
}
