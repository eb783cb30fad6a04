//! What the clients of a run are there for.

mod churner;
mod heir;
mod phoenix;
mod prober;
mod publisher;
mod reader;
mod retainer;
mod subscriber;
mod testator;

use core::net::SocketAddr;

use mio::Registry;

pub(crate) use churner::{Churner, Filters};
pub(crate) use heir::Heir;
pub(crate) use phoenix::Phoenix;
pub(crate) use prober::Prober;
pub(crate) use publisher::Publisher;
pub(crate) use reader::Reader;
pub(crate) use retainer::{Retainer, topic_of};
pub(crate) use subscriber::{Habit, Subscriber};
pub(crate) use testator::Testator;

use crate::client::{Client, Event};
use crate::judge::{Deliveries, History, Promise, Tally, Wills};
use crate::plan::Plan;
use crate::rng::Rng;

/// What was promised, in everything that a run looks at.
#[derive(Debug)]
pub(crate) struct Judge {
    pub(crate) deliveries: Deliveries,
    /// The values of the retained topics.
    pub(crate) retained: Vec<History<Option<u32>>>,
    pub(crate) wills: Wills,
    pub(crate) tally: Tally,
    /// The broker passes a QoS 2 message on when it sends PUBREC, not when PUBREL comes: both are allowed.
    pub(crate) acts_at_pubrec: bool,
    /// Of the round that runs, from 1.
    pub(crate) round: u32,
}

impl Judge {
    pub(crate) fn report(&mut self, promise: Promise, text: impl Into<String>) {
        self.tally.add(self.round, promise, text);
    }
}

/// What a role needs beside its client.
pub(crate) struct Context<'a> {
    pub(crate) judge: &'a mut Judge,
    pub(crate) address: SocketAddr,
    pub(crate) registry: &'a Registry,
    pub(crate) rng: &'a mut Rng,
    /// Counts the restarts of a run: probes of different ones are told apart by it.
    pub(crate) restart: u32,
}

impl Context<'_> {
    /// Connects; a broker that lets nobody in shows when waiting is over.
    pub(crate) fn connect(&self, client: &mut Client, clean: bool) {
        client.connect(self.address, self.registry, clean).ok();
    }
}

/// When a client comes back after a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// At once.
    First,
    /// When publishers are done with what was open, and with what they publish meanwhile.
    Second,
    /// Not this time.
    Never,
}

/// A role with what it remembers.
#[derive(Debug)]
pub(crate) enum Role {
    Publisher(Publisher),
    Subscriber(Subscriber),
    Retainer(Retainer),
    Churner(Churner),
    Phoenix(Phoenix),
    Reader(Reader),
    Prober(Prober),
    Testator(Testator),
    Heir(Heir),
}

impl Role {
    /// Whether it has what a run starts with.
    pub(crate) fn is_ready(&self, client: &Client) -> bool {
        match self {
            Self::Subscriber(_) | Self::Churner(_) | Self::Heir(_) => client.is_established(),
            _ => client.is_connected(),
        }
    }

    /// The load begins.
    pub(crate) fn begin(&mut self, client: &mut Client, cx: &mut Context<'_>) {
        match self {
            Self::Subscriber(it) => it.begin(client, cx),
            Self::Reader(it) => it.leave(client),
            _ => {}
        }
    }

    /// Does its part of the load; called again and again.
    pub(crate) fn load(&mut self, client: &mut Client, cx: &mut Context<'_>) {
        match self {
            Self::Publisher(it) => it.load(client, cx.judge),
            Self::Subscriber(it) => it.load(client, cx),
            Self::Retainer(it) => it.load(client, cx),
            Self::Churner(it) => it.load(client, cx),
            Self::Phoenix(it) => it.load(client, cx),
            Self::Testator(it) => it.load(client, cx),
            Self::Reader(_) | Self::Prober(_) | Self::Heir(_) => {}
        }
    }

    /// The broker is gone, and what it had sent is still to be read.
    pub(crate) fn doomed(&self, judge: &mut Judge) {
        if let Self::Testator(it) = self {
            it.doomed(judge);
        }
    }

    /// The broker was killed, and everything that it had sent was read.
    pub(crate) fn crashed(&mut self, client: &mut Client, judge: &mut Judge) {
        client.cut();
        client.hold = 0;
        match self {
            Self::Churner(it) => it.crashed(),
            Self::Phoenix(it) => it.crashed(),
            Self::Reader(it) => it.crashed(),
            Self::Subscriber(it) => it.crashed(),
            Self::Testator(it) => it.crashed(judge),
            _ => {}
        }
    }

    /// Whether what it does hangs on the order of its connections: each must be over for the broker before the next one.
    pub(crate) const fn is_fickle(&self) -> bool {
        matches!(
            self,
            Self::Churner(_) | Self::Phoenix(_) | Self::Testator(_)
        )
    }

    /// When it comes back.
    pub(crate) fn turn(&self, plan: &Plan) -> Turn {
        match self {
            Self::Publisher(_) | Self::Reader(_) | Self::Prober(_) => Turn::First,
            Self::Subscriber(it) => it.turn(plan),
            Self::Retainer(_)
            | Self::Churner(_)
            | Self::Phoenix(_)
            | Self::Testator(_)
            | Self::Heir(_) => Turn::Second,
        }
    }

    /// Connects, for the first time or after a crash.
    pub(crate) fn connect(&self, client: &mut Client, cx: &mut Context<'_>) {
        match self {
            Self::Testator(it) => it.connect(client, cx),
            _ => cx.connect(client, matches!(self, Self::Reader(_))),
        }
    }

    /// Comes back.
    pub(crate) fn come(
        &mut self,
        client: &mut Client,
        cx: &mut Context<'_>,
        filters: Filters,
        meanwhile: u64,
    ) {
        self.connect(client, cx);
        match self {
            Self::Publisher(it) => it.meanwhile(client, cx.judge, meanwhile),
            Self::Prober(it) => it.probe(client, cx.restart, filters),
            _ => {}
        }
    }

    /// Whether nothing more is to be expected after a crash.
    pub(crate) fn is_done(&mut self, client: &Client, judge: &mut Judge) -> bool {
        match self {
            Self::Publisher(_) | Self::Retainer(_) | Self::Prober(_) => {
                client.is_connected() && client.unfinished() == 0
            }
            Self::Subscriber(it) => it.is_done(client, judge),
            Self::Churner(it) => it.is_done(),
            Self::Phoenix(it) => it.is_done(),
            Self::Reader(it) => it.is_done(judge),
            Self::Testator(_) => client.is_connected(),
            Self::Heir(it) => it.is_done(client, judge),
        }
    }

    /// Waiting is over: judges what is there.
    pub(crate) fn settle(&mut self, client: &Client, judge: &mut Judge) {
        let what = match self {
            Self::Publisher(_) | Self::Retainer(_) | Self::Prober(_) if !client.is_connected() => {
                "is not let in".to_owned()
            }
            Self::Publisher(_) | Self::Retainer(_) | Self::Prober(_) => match client.unfinished() {
                0 => return,
                open => format!("waits for the acknowledgement of {open} messages"),
            },
            Self::Subscriber(it) => return it.settle(client, judge),
            Self::Churner(it) => return it.settle(client, judge),
            Self::Phoenix(it) if !it.is_done() => "is not let in".to_owned(),
            Self::Testator(_) if !client.is_connected() => "is not let in".to_owned(),
            Self::Phoenix(_) | Self::Testator(_) => return,
            Self::Heir(it) => return it.settle(judge),
            Self::Reader(it) => return it.settle(client, judge),
        };
        judge.report(Promise::Serving, format!("{} {what}", client.name));
    }

    /// Something happened to its client.
    pub(crate) fn event(&mut self, client: &mut Client, event: &Event, cx: &mut Context<'_>) {
        if let Event::Connected {
            present: false,
            expected: true,
        } = event
            && !matches!(self, Self::Phoenix(_))
        {
            let text = format!("the session of {} is gone", client.name);
            cx.judge.report(Promise::Session, text);
        }
        if let Event::Connected {
            present: true,
            expected: false,
        } = event
            && client.is_clean()
        {
            let text = format!(
                "{} asked for a new session, and got one that was there",
                client.name
            );
            cx.judge.report(Promise::Session, text);
        }
        match self {
            Self::Publisher(it) => it.event(event, cx.judge),
            Self::Subscriber(it) => it.event(client, event, cx),
            Self::Retainer(it) => it.event(event, cx.judge),
            Self::Churner(it) => it.event(client, event, cx),
            Self::Phoenix(it) => it.event(client, event, cx),
            Self::Reader(it) => it.event(client, event),
            Self::Testator(it) => it.event(client, event, cx),
            Self::Heir(it) => it.event(client, event, cx),
            Self::Prober(_) => {}
        }
    }
}
