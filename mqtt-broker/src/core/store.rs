//! The boundary to whatever keeps state across a restart; in memory nothing has to be kept.

use std::sync::Arc;

use mqtt_codec::SubscriptionOptions;
use mqtt_session::{Change, Commit, Instant, Seq};

use super::ids::SessionKey;
use super::message::Message;

/// A change that must survive a restart before anyone is told of it.
#[derive(Debug)]
#[non_exhaustive]
pub enum Record<'a> {
    /// A session began, or goes on under this connection's terms.
    Session {
        /// Which.
        session: SessionKey,
        /// Whose.
        client_id: &'a str,
        /// How long it outlives its connection, in seconds.
        expiry: u32,
    },
    /// A session lost its connection, and ends then; `None` is never.
    Disconnected {
        /// Which.
        session: SessionKey,
        /// When it ends.
        expires: Option<Instant>,
    },
    /// A session ended.
    Ended(SessionKey),
    /// A subscription was made or replaced.
    Subscribed {
        /// Whose.
        session: SessionKey,
        /// To what, `$share/group/` included.
        filter: &'a str,
        /// How.
        options: SubscriptionOptions,
        /// The subscription identifier; 0 is none.
        id: u32,
    },
    /// A subscription was given up.
    Unsubscribed {
        /// Whose.
        session: SessionKey,
        /// From what.
        filter: &'a str,
    },
    /// A message waits for a session.
    Queued {
        /// Whose.
        session: SessionKey,
        /// Its place in the session's sequence.
        seq: Seq,
        /// What.
        message: &'a Arc<Message>,
    },
    /// A session needs a message no longer.
    Done {
        /// Whose.
        session: SessionKey,
        /// Which.
        seq: Seq,
    },
    /// The state of a handshake changed.
    Handshake {
        /// Whose.
        session: SessionKey,
        /// How.
        change: Change,
    },
    /// The retained message of a topic was set.
    Retained(&'a Arc<Message>),
    /// The retained message of a topic was removed.
    Unretained(&'a str),
    /// A session has a will that is due later.
    Will {
        /// Whose.
        session: SessionKey,
        /// What.
        message: &'a Arc<Message>,
        /// When; `None` withdraws it.
        due: Option<Instant>,
    },
}

/// Keeps records in the order in which they come.
pub trait Store: Send {
    /// Takes a record; it is durable once [`committed`](Self::committed) reaches the number that is returned.
    fn record(&mut self, record: &Record<'_>) -> Commit;
    /// The number of the latest record: what was recorded so far is durable once that is.
    fn latest(&self) -> Commit;
    /// The end of a round: makes what was recorded durable, now or in the background.
    fn commit(&mut self);
    /// How far everything is durable.
    fn committed(&self) -> Commit;
}

/// Keeps nothing across a restart: durable at the end of the round, so that the rest of the broker sees the same order of events as
/// with a disk.
#[derive(Debug, Default)]
pub struct Memory {
    recorded: u64,
    committed: u64,
}

impl Store for Memory {
    fn record(&mut self, _record: &Record<'_>) -> Commit {
        self.recorded += 1;
        Commit(self.recorded)
    }

    fn latest(&self) -> Commit {
        Commit(self.recorded)
    }

    fn commit(&mut self) {
        self.committed = self.recorded;
    }

    fn committed(&self) -> Commit {
        Commit(self.committed)
    }
}
