//! What is live, by what the records taken so far say.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use mqtt_codec::{PacketId, QoS, SubscriptionId, SubscriptionOptions};
use mqtt_session::{Commit, Instant};

use super::super::fanout::Grant;
use super::super::ids::Subscriber;
pub(crate) use super::copies::{Copies, Copy};

/// What a broker starts again with: made by [taking](Self::take) the records of its store in their order. See the [module](super).
///
/// Messages are not in it, only the numbers under which the store keeps them. Instants stay as the records have them: let all be of one
/// clock, and tell [`start`](Self::start) how that one stands.
#[derive(Debug, Default)]
pub struct Image {
    /// By the number of the record with which each began: the order in which they are put back.
    pub(crate) sessions: BTreeMap<u64, Session>,
    pub(crate) groups: BTreeMap<u64, Group>,
    /// What a name means since the last restart.
    pub(crate) names: HashMap<Subscriber, u64>,
    pub(crate) by_client: HashMap<Box<str>, u64>,
    pub(crate) by_filter: HashMap<Box<str>, u64>,
    /// Groups that ended in a batch that stands before that of their beginning.
    pub(crate) over: HashSet<Subscriber>,
    /// By topic: the number of the latest record about it, and that of the message, if it was not removed.
    pub(crate) retained: BTreeMap<Box<str>, (u64, Option<u64>)>,
    /// Topics whose message was removed, by the number of the record that says so: an earlier one may be in a batch that comes later.
    pub(crate) removed: BTreeMap<u64, Box<str>>,
    /// Copies that a group gave to a session that has ended, and that nobody has taken back yet.
    pub(crate) strays: BTreeMap<u64, Copy>,
    /// Copies that were done with in a batch that stands before their own.
    pub(crate) early: HashSet<u64>,
    pub(crate) latest: u64,
    /// Messages that got a further use, and messages that lost one, since that was last asked.
    pub(crate) uses: Uses,
}

/// Messages by the numbers under which they are kept, once for each copy, retained message and will.
#[derive(Debug, Default)]
pub struct Uses {
    /// These got a further use.
    pub begun: Vec<u64>,
    /// These lost one.
    pub ended: Vec<u64>,
}

/// Whose messages were lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Loser {
    /// They waited for the session of this client.
    Session(Box<str>),
    /// They waited for this shared group.
    Group(Box<str>),
    /// It was the will of this client.
    Will(Box<str>),
    /// It was retained under this topic.
    Retained(Box<str>),
    /// A session that has ended had them from its group.
    Ended,
}

/// A session.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) client_id: Box<str>,
    pub(crate) user_name: Option<Box<str>>,
    /// In seconds.
    pub(crate) expiry: u32,
    pub(crate) bridge: bool,
    pub(crate) used: bool,
    pub(crate) presence: Presence,
    pub(crate) subscriptions: BTreeMap<Box<str>, Grant>,
    pub(crate) walks: Vec<Walk>,
    pub(crate) will: Option<Will>,
    pub(crate) queue: Copies,
    /// Copies of QoS 2 that have their packet id, in the order in which they got it.
    pub(crate) sent: Vec<(u64, PacketId)>,
    /// Ids for which PUBREL is due, in the order of PUBREC.
    pub(crate) releasing: Vec<PacketId>,
    /// Ids of received QoS 2 messages.
    pub(crate) received: Vec<PacketId>,
}

/// Whether a session has a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Presence {
    Connected,
    Gone { expires: Option<Instant> },
}

/// Retained messages on their way to a new subscription.
#[derive(Debug)]
pub(crate) struct Walk {
    pub(crate) filter: Box<str>,
    pub(crate) qos: QoS,
    pub(crate) id: Option<SubscriptionId>,
    /// Topics whose message it has got.
    pub(crate) served: BTreeSet<Box<str>>,
}

#[derive(Debug)]
pub(crate) struct Will {
    /// The number under which its message is kept.
    pub(crate) body: u64,
    /// In seconds.
    pub(crate) delay: u32,
    pub(crate) due: Option<Instant>,
}

/// A shared group.
#[derive(Debug)]
pub(crate) struct Group {
    /// `$share/group/filter`; empty as long as only messages for it came, and its beginning stands in a later batch.
    pub(crate) filter: Box<str>,
    /// It has its name of this run.
    pub(crate) named: bool,
    /// The number of the record of its beginning: of two of one filter, the later one counts.
    pub(crate) began: u64,
    pub(crate) waiting: Copies,
}

impl Group {
    /// A group by its name of this run.
    pub(crate) fn named(filter: &str) -> Self {
        Self {
            filter: filter.into(),
            named: true,
            began: 0,
            waiting: Copies::default(),
        }
    }

    /// Whether its beginning is known.
    pub(crate) const fn has_begun(&self) -> bool {
        !self.filter.is_empty()
    }
}

impl Session {
    pub(crate) fn new(client_id: &str) -> Self {
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
            queue: Copies::default(),
            sent: Vec::new(),
            releasing: Vec::new(),
            received: Vec::new(),
        }
    }
}

impl Walk {
    pub(crate) fn new(
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

impl Image {
    /// Nothing yet: a broker that starts for the first time.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Tells the messages that are in use, once for each use.
    pub(crate) fn each_body(&self, mut tell: impl FnMut(u64)) {
        for session in self.sessions.values() {
            session.queue.iter().for_each(|(_, copy)| tell(copy.body));
            if let Some(will) = &session.will {
                tell(will.body);
            }
        }
        for group in self.groups.values() {
            group.waiting.iter().for_each(|(_, copy)| tell(copy.body));
        }
        for (_, body) in self.retained.values() {
            body.iter().for_each(|body| tell(*body));
        }
        self.strays.values().for_each(|copy| tell(copy.body));
    }

    /// Forgets every use of these messages: they are lost. Says who has lost how many uses.
    pub(crate) fn forget_bodies(&mut self, lost: &HashSet<u64>) -> Vec<(Loser, usize)> {
        let mut losers = Vec::new();
        let ended = &mut self.uses.ended;
        let mut forget = |copies: &mut Copies, loser: fn(Box<str>) -> Loser, name: &str| {
            let gone: Vec<_> = copies
                .iter()
                .filter(|(_, copy)| lost.contains(&copy.body))
                .collect();
            if !gone.is_empty() {
                losers.push((loser(name.into()), gone.len()));
            }
            for (number, copy) in gone {
                copies.remove(number);
                ended.push(copy.body);
            }
        };
        for session in self.sessions.values_mut() {
            forget(&mut session.queue, Loser::Session, &session.client_id);
            // The client may hold the id, and would take the next message that gets it for this one: PUBREL frees it there.
            let gone = session
                .sent
                .extract_if(.., |(copy, _)| !session.queue.contains(*copy));
            session.releasing.extend(gone.map(|(_, id)| id));
        }
        for group in self.groups.values_mut() {
            forget(&mut group.waiting, Loser::Group, &group.filter);
        }
        for session in self.sessions.values_mut() {
            if let Some(will) = session.will.take_if(|will| lost.contains(&will.body)) {
                ended.push(will.body);
                losers.push((Loser::Will(session.client_id.clone()), 1));
            }
        }
        for (topic, (_, body)) in &mut self.retained {
            if let Some(body) = body.take_if(|body| lost.contains(body)) {
                ended.push(body);
                losers.push((Loser::Retained(topic.clone()), 1));
            }
        }
        let before = ended.len();
        self.strays.retain(|_, copy| {
            let gone = lost.contains(&copy.body);
            if gone {
                ended.push(copy.body);
            }
            !gone
        });
        if ended.len() > before {
            losers.push((Loser::Ended, ended.len() - before));
        }
        losers
    }

    /// All records up to this number were taken: nothing older comes any more.
    pub(crate) fn settle(&mut self, front: u64) {
        if !self.early.is_empty() {
            self.early.retain(|number| *number > front);
        }
        while let Some(entry) = self.removed.first_entry()
            && *entry.key() <= front
        {
            let (number, topic) = entry.remove_entry();
            // It may have been set again.
            if self.retained.get(&topic) == Some(&(number, None)) {
                self.retained.remove(&topic);
            }
        }
    }

    /// The largest number taken; the store goes on with larger ones.
    #[must_use]
    pub const fn latest(&self) -> Commit {
        Commit(self.latest)
    }
}
