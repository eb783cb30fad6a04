//! What is live, by what the records taken so far say.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use mqtt_codec::{PacketId, QoS, SubscriptionId, SubscriptionOptions};
use mqtt_session::{Commit, Instant};

use super::super::fanout::Grant;
use super::super::ids::Subscriber;
use super::super::message::{Ids, Message};

/// What a broker starts again with: made by [taking](Self::take) the records of its store in their order. See the [module](super).
///
/// Instants stay as the records have them: let all be of one clock, and tell [`start`](Self::start) how that one stands.
#[derive(Debug, Default)]
pub struct Restore {
    /// By the number of the record with which each began: the order in which they are put back.
    pub(super) sessions: BTreeMap<u64, Session>,
    pub(super) groups: BTreeMap<u64, Group>,
    /// What a name means since the last restart.
    pub(super) names: HashMap<Subscriber, u64>,
    pub(super) by_client: HashMap<Box<str>, u64>,
    pub(super) by_filter: HashMap<Box<str>, u64>,
    /// Groups that ended in a batch that stands before that of their beginning.
    pub(super) over: HashSet<Subscriber>,
    /// By topic; with the number of the latest record about it, which may be that it was removed.
    pub(super) retained: BTreeMap<Box<str>, (u64, Option<Arc<Message>>)>,
    /// Copies that a group gave to a session that has ended, and that nobody has taken back yet.
    pub(super) strays: BTreeMap<u64, Copy>,
    /// Copies that were done with in a batch that stands before their own.
    pub(super) early: HashSet<u64>,
    pub(super) latest: u64,
}

/// A session.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) client_id: Box<str>,
    pub(super) user_name: Option<Box<str>>,
    /// In seconds.
    pub(super) expiry: u32,
    pub(super) bridge: bool,
    pub(super) used: bool,
    pub(super) presence: Presence,
    pub(super) subscriptions: BTreeMap<Box<str>, Grant>,
    pub(super) walks: Vec<Walk>,
    pub(super) will: Option<Will>,
    /// By number.
    pub(super) queue: BTreeMap<u64, Copy>,
    /// Copies of QoS 2 that have their packet id, in the order in which they got it.
    pub(super) sent: Vec<(u64, PacketId)>,
    /// Ids for which PUBREL is due, in the order of PUBREC.
    pub(super) releasing: Vec<PacketId>,
    /// Ids of received QoS 2 messages.
    pub(super) received: Vec<PacketId>,
}

/// Whether a session has a connection.
#[derive(Clone, Copy, Debug)]
pub(super) enum Presence {
    Connected,
    Gone { expires: Option<Instant> },
}

/// Retained messages on their way to a new subscription.
#[derive(Debug)]
pub(super) struct Walk {
    pub(super) filter: Box<str>,
    pub(super) qos: QoS,
    pub(super) id: Option<SubscriptionId>,
    /// Topics whose message it has got.
    pub(super) served: BTreeSet<Box<str>>,
}

#[derive(Debug)]
pub(super) struct Will {
    pub(super) message: Arc<Message>,
    /// In seconds.
    pub(super) delay: u32,
    pub(super) due: Option<Instant>,
}

/// A copy of a message that waits.
#[derive(Debug)]
pub(super) struct Copy {
    pub(super) message: Arc<Message>,
    pub(super) qos: QoS,
    pub(super) retain: bool,
    pub(super) ids: Ids,
    /// The group that chose the session, by the number with which it began.
    pub(super) group: Option<u64>,
}

/// A shared group.
#[derive(Debug)]
pub(super) struct Group {
    /// `$share/group/filter`; empty as long as only messages for it came, and its beginning stands in a later batch.
    pub(super) filter: Box<str>,
    /// It has its name of this run.
    pub(super) named: bool,
    /// By number.
    pub(super) waiting: BTreeMap<u64, Copy>,
}

impl Group {
    /// A group by its name of this run.
    pub(super) fn named(filter: &str) -> Self {
        Self {
            filter: filter.into(),
            named: true,
            waiting: BTreeMap::new(),
        }
    }

    /// Whether its beginning is known.
    pub(super) const fn has_begun(&self) -> bool {
        !self.filter.is_empty()
    }
}

impl Session {
    pub(super) fn new(client_id: &str) -> Self {
        Self {
            client_id: client_id.into(),
            user_name: None,
            expiry: 0,
            bridge: false,
            used: false,
            presence: Presence::Connected,
            subscriptions: BTreeMap::new(),
            walks: Vec::new(),
            will: None,
            queue: BTreeMap::new(),
            sent: Vec::new(),
            releasing: Vec::new(),
            received: Vec::new(),
        }
    }
}

impl Walk {
    pub(super) fn new(
        filter: &str,
        options: SubscriptionOptions,
        id: Option<SubscriptionId>,
    ) -> Self {
        Self {
            filter: filter.into(),
            qos: options.qos,
            id,
            served: BTreeSet::new(),
        }
    }
}

impl Restore {
    /// Nothing yet: a broker that starts for the first time.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The largest number taken; the store goes on with larger ones.
    #[must_use]
    pub const fn latest(&self) -> Commit {
        Commit(self.latest)
    }
}
