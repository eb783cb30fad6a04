//! The boundary to whatever keeps state across a restart; in memory nothing has to be kept.
//!
//! Each worker has a [`Store`] of its own, or its own handle on a common one, and records there, in the order of its decisions:
//!
//! * of its own sessions: that they [begin](Record::Session), [lose their connection](Record::Disconnected) and
//!   [end](Record::Ended), their [subscriptions](Record::Subscribed), [wills](Record::Will) and [handshakes](Record::Handshake);
//! * of messages that it routes: one [`Queued`](Record::Queued) for each receiver, **wherever its home is**, and the
//!   [retained](Record::Retained) copy. So what a publisher was promised stands in one batch of one worker, together with the
//!   [id](Change::Received) of a QoS 2 message, and no worker waits for another one's commit;
//! * of messages that its sessions need no longer: [`Done`](Record::Done), which names the record that queued the copy.
//!
//! What a restart needs follows from these: a session's queue is its `Queued` without a `Done`, in the order of their numbers, and the
//! place in the queue that a [`Change`] names is found by the copy's number beside it. [`Restore`](super::Restore) does that, and new
//! cores go on with the same log: they name every session and group [anew](Record::Restarted) to it, while copies keep their numbers.
//!
//! What a store that lasts owes for that: what one worker records from one [`commit`](Store::commit) to the next becomes durable as a
//! whole or not at all; batches become durable in the order of their commits, over all workers, so that a crash leaves the front of one
//! sequence of batches; and instants are handed to the restart as readings of one clock, whatever process recorded them.
//!
//! Workers see each other's messages before those are durable in two places, what waits for a shared group and what is retained: so
//! [`committed`](Store::committed) must not pass a number below which another worker's record is still missing. Then nothing is promised,
//! and no QoS 2 message is sent, that follows from what a crash may still take away.
//!
//! One thing remains. A worker has queued such a message for a session, its batch is durable, and the crash takes the batch of the worker
//! that had the message from its publisher: the session has its copy, and the publisher, who was told nothing, sends the message again.
//! So of a message that was published in the last moment before a crash, and that waited for a group of which nobody was connected, the
//! group may get two copies, at QoS 2 too; and a session that subscribed in that moment may get a message as a retained one, and again when
//! it is sent again. What comes to a session by an ordinary subscription comes once: its copies stand in one batch with the publisher's
//! packet id. Nothing that was acknowledged is lost either way.

use std::sync::Arc;

use mqtt_codec::{QoS, SubscriptionId, SubscriptionOptions};
use mqtt_session::{Change, Commit, Instant};

use super::ids::{GroupId, Subscriber};
use super::message::Message;

/// A change that must survive a restart before anyone is told of it.
///
/// Instants are those of the broker's clock, which does not outlive the process: a store that keeps them notes the time of day beside, and
/// gives them back as readings of one clock, such as milliseconds of the Unix epoch.
///
/// `M` is how it has its messages: whole, as the core records them, or [by number](Kept), as a [`Restore`](super::Restore) takes them.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Record<'a, M = &'a Arc<Message>> {
    /// A session began, or goes on under this connection's terms. A will that it had is withdrawn.
    Session {
        /// Which.
        session: Subscriber,
        /// Whose.
        client_id: &'a str,
        /// The user that its client named.
        user_name: Option<&'a str>,
        /// How long it outlives its connection, in seconds; `u32::MAX` is for ever. 0 is not at all: after a restart
        /// only its will is left of it, and what its groups had given it.
        expiry: u32,
        /// It is a bridge of 3.1.1.
        bridge: bool,
    },
    /// The client of a session knows of it: it has sent something after its CONNECT.
    Used(Subscriber),
    /// A session lost its connection.
    Disconnected {
        /// Which.
        session: Subscriber,
        /// When it ends; `None` is never.
        expires: Option<Instant>,
    },
    /// A session ended, and with it its subscriptions, queue, handshakes and will; or a group, and with it what waited for its members.
    Ended(Subscriber),
    /// A subscription was made or replaced.
    Subscribed {
        /// Whose.
        session: Subscriber,
        /// To what, `$share/group/` included.
        filter: &'a str,
        /// How.
        options: SubscriptionOptions,
        /// The subscription identifier.
        id: Option<SubscriptionId>,
        /// Retained messages are on their way to it, until [`RetainedSent`](Self::RetainedSent): a restart begins with them anew.
        retained: bool,
    },
    /// The retained messages that a new subscription gets are all in the session's queue, or will not be sent any more.
    RetainedSent {
        /// Whose.
        session: Subscriber,
        /// Which.
        filter: &'a str,
    },
    /// A subscription was given up.
    Unsubscribed {
        /// Whose.
        session: Subscriber,
        /// From what.
        filter: &'a str,
    },
    /// A shared group began with its first member, or goes on under this number after a [restart](Self::Restarted); it ends with its
    /// last.
    Group {
        /// Its number from now on.
        group: GroupId,
        /// `$share/group/filter`.
        filter: &'a str,
    },
    /// A copy of a message waits for a session, or for any member of a group. The same message may be queued many times: it is the same
    /// `Arc` then.
    Queued {
        /// For whom; of any worker.
        receiver: Subscriber,
        /// What.
        message: M,
        /// 1 or 2.
        qos: QoS,
        /// The RETAIN flag of this copy.
        retain: bool,
        /// The subscription identifiers of this copy.
        ids: &'a [SubscriptionId],
        /// The shared group that chose this session.
        group: Option<GroupId>,
    },
    /// A copy is needed no longer: it was acknowledged, refused, dropped, or given to somebody else.
    Done {
        /// Whose copy; nobody's, after a restart, when its receiver had ended before that.
        receiver: Subscriber,
        /// The number of the record that queued it.
        copy: Commit,
    },
    /// The state of a handshake changed.
    Handshake {
        /// Whose.
        session: Subscriber,
        /// How.
        change: Change,
        /// The copy that stands at the place in the queue that `change` names; 0 where it names none.
        copy: Commit,
    },
    /// The retained message of its topic was set.
    Retained(M),
    /// The retained message of a topic was removed.
    Unretained(&'a str),
    /// A session has a will. Its `expires` counts from its publication, as if that were at the clock's origin.
    Will {
        /// Whose.
        session: Subscriber,
        /// What.
        message: M,
        /// The Will Delay Interval in seconds.
        delay: u32,
        /// When it is published; `None` while the session is connected.
        due: Option<Instant>,
    },
    /// The will of a session was published or withdrawn.
    WillGone(Subscriber),
    /// The broker started again with what was [restored](super::Restore): no [`Subscriber`] from before means anything after this. Every
    /// session and every group is named anew, by [`Renamed`](Self::Renamed) and [`Group`](Self::Group); the numbers of copies stay.
    Restarted,
    /// After a restart: the session of this client is named so from now on. Nothing else of it changes.
    Renamed {
        /// Its new name.
        session: Subscriber,
        /// Whose.
        client_id: &'a str,
    },
}

/// A message that a store keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept<'a> {
    /// The number of the record that brought it.
    pub body: Commit,
    /// Its topic. A store may leave it out where it does not have it at hand, and nobody needs it: of a [`Queued`](Record::Queued) without the
    /// RETAIN flag, and of a [`Will`](Record::Will).
    pub topic: Option<&'a str>,
}

impl<'a, M> Record<'a, M> {
    /// Whether several workers record such a thing, under a lock that orders them, and the one with the largest number counts: what is
    /// retained for a topic, and which group a filter has.
    #[must_use]
    pub const fn is_ordered(&self) -> bool {
        matches!(
            self,
            Self::Retained(_) | Self::Unretained(_) | Self::Group { .. }
        )
    }

    /// The same, with its message as `change` has it.
    pub fn map<N>(self, change: impl FnOnce(M) -> N) -> Record<'a, N> {
        match self {
            Self::Session {
                session,
                client_id,
                user_name,
                expiry,
                bridge,
            } => Record::Session {
                session,
                client_id,
                user_name,
                expiry,
                bridge,
            },
            Self::Used(session) => Record::Used(session),
            Self::Disconnected { session, expires } => Record::Disconnected { session, expires },
            Self::Ended(who) => Record::Ended(who),
            Self::Subscribed {
                session,
                filter,
                options,
                id,
                retained,
            } => Record::Subscribed {
                session,
                filter,
                options,
                id,
                retained,
            },
            Self::RetainedSent { session, filter } => Record::RetainedSent { session, filter },
            Self::Unsubscribed { session, filter } => Record::Unsubscribed { session, filter },
            Self::Group { group, filter } => Record::Group { group, filter },
            Self::Queued {
                receiver,
                message,
                qos,
                retain,
                ids,
                group,
            } => Record::Queued {
                receiver,
                message: change(message),
                qos,
                retain,
                ids,
                group,
            },
            Self::Done { receiver, copy } => Record::Done { receiver, copy },
            Self::Handshake {
                session,
                change,
                copy,
            } => Record::Handshake {
                session,
                change,
                copy,
            },
            Self::Retained(message) => Record::Retained(change(message)),
            Self::Unretained(topic) => Record::Unretained(topic),
            Self::Will {
                session,
                message,
                delay,
                due,
            } => Record::Will {
                session,
                message: change(message),
                delay,
                due,
            },
            Self::WillGone(session) => Record::WillGone(session),
            Self::Restarted => Record::Restarted,
            Self::Renamed { session, client_id } => Record::Renamed { session, client_id },
        }
    }
}

impl<'a> Record<'a> {
    /// As a store has it that keeps each message under the number of its record.
    #[must_use]
    pub fn kept(self, number: Commit) -> Record<'a, Kept<'a>> {
        self.map(|message| Kept {
            body: number,
            topic: Some(message.topic()),
        })
    }
}

/// Gives the messages that a store keeps to a broker that starts again.
pub trait Bodies {
    /// What is known of a message that stays where it is until it is fetched; `None` when it is in memory already, or not there at all.
    fn terms(&self, body: Commit) -> Option<Terms>;
    /// The message itself.
    ///
    /// # Errors
    /// [`Unreadable`] when it is not there, or damaged.
    fn message(&mut self, body: Commit) -> Result<Arc<Message>, Unreadable>;
}

/// What is known of a message without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Its [size](Message::size).
    pub size: u32,
    /// When it expires.
    pub expires: Option<Instant>,
}

/// Keeps records in the order in which they come.
pub trait Store: Send {
    /// Takes a record and numbers it; it is durable once [`committed`](Self::committed) reaches that number. Numbers grow; in a
    /// store that lasts, no two workers give the same, and those of [ordered](Record::is_ordered) records grow over all workers.
    fn record(&mut self, record: &Record<'_>) -> Commit;
    /// The number of the latest record: what was recorded so far is durable once that is.
    fn latest(&self) -> Commit;
    /// The end of a round: makes what was recorded durable as one batch, now or in the background. A store that takes its time wakes the
    /// worker's loop when it is done: what was withheld goes out in the round after that.
    fn commit(&mut self);
    /// How far everything is durable.
    fn committed(&self) -> Commit;
    /// The number under which the message of the latest record is kept: that record's own when it brought the message, an earlier one when
    /// the store had it already.
    fn body(&self) -> Commit {
        Commit::default()
    }
    /// How far what was recorded can be [fetched](Self::fetch), at most [`committed`](Self::committed): copies up to here need not be
    /// in memory. 0, when nothing can be fetched.
    fn kept(&self) -> Commit {
        Commit::default()
    }
    /// Reads the message back that is kept under this number. It must have a copy that is not [done](Record::Done), and
    /// [`kept`](Self::kept) must have reached that. Blocks for as long as the disk takes.
    ///
    /// # Errors
    /// [`Unreadable`] when the disk does not give back what was written; nothing of it is delivered then.
    fn fetch(&mut self, body: Commit) -> Result<Arc<Message>, Unreadable> {
        Err(Unreadable {
            body,
            why: "nothing is kept".into(),
        })
    }
    /// Whether it takes more.
    fn room(&self) -> Room {
        Room::Enough
    }
    /// Whether so much waits to become durable that nothing more is to be read of clients for the moment.
    fn is_behind(&self) -> bool {
        false
    }
}

/// Whether a store takes more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Room {
    /// It does.
    #[default]
    Enough,
    /// The disk is full: what is needed to get rid of messages is taken, new messages, sessions and subscriptions are not. It passes.
    Full,
    /// It failed, and nothing will become durable any more until the operator has acted.
    Failed,
}

/// A message that was kept and cannot be read.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the message that record {body} brought cannot be read: {why}", body = body.0)]
pub struct Unreadable {
    /// The number under which it was kept.
    pub body: Commit,
    /// File, offset and what is wrong there.
    pub why: Box<str>,
}

/// Keeps nothing across a restart: a record is as durable as it gets at once, and nothing is ever withheld.
#[derive(Debug, Default)]
pub struct Memory {
    recorded: u64,
}

impl Store for Memory {
    fn record(&mut self, _record: &Record<'_>) -> Commit {
        self.recorded += 1;
        Commit(self.recorded)
    }

    fn latest(&self) -> Commit {
        Commit(self.recorded)
    }

    fn commit(&mut self) {}

    fn committed(&self) -> Commit {
        Commit(self.recorded)
    }
}
