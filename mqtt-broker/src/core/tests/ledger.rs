//! A store for tests: its commits come when the test says so, it keeps every record, and by its own reading of them what a restart
//! has to find.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use mqtt_codec::{QoS, SubscriptionId, SubscriptionOptions};
use mqtt_session::{Change, Commit};

use crate::core::{
    Bodies, Image, Message, OwnedRecord, Record, Restore, Room, Store, Subscriber, Terms,
    Unreadable,
};

/// A copy of a message as it waits for somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Copy {
    pub(super) topic: String,
    pub(super) payload: Vec<u8>,
    pub(super) qos: QoS,
    pub(super) retain: bool,
    pub(super) ids: Vec<u32>,
    /// A group gave it to this session.
    pub(super) by_group: bool,
}

/// Handshakes of QoS 2 that are not over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Handshakes {
    pub(super) received: BTreeSet<u16>,
    /// Packet ids of copies.
    pub(super) sent: BTreeMap<u16, u64>,
    /// In the order of PUBREC.
    pub(super) releasing: Vec<u16>,
}

/// What a restart would find of one session.
#[derive(Clone, Debug, Default)]
pub(super) struct Kept {
    pub(super) client_id: String,
    pub(super) user_name: Option<String>,
    pub(super) bridge: bool,
    pub(super) expiry: u32,
    pub(super) subscriptions: BTreeMap<String, (SubscriptionOptions, Option<SubscriptionId>)>,
    /// Subscriptions that still have to get retained messages.
    pub(super) unserved: Vec<String>,
    pub(super) will: Option<String>,
    pub(super) connected: bool,
    pub(super) used: bool,
    pub(super) handshakes: Handshakes,
}

type Queue = BTreeMap<u64, Copy>;

/// What the records say, up to now.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    recorded: u64,
    /// What every worker has told to commit.
    flushed: u64,
    committed: u64,
    late: bool,
    /// After so many more looks at how far it is, what was told to commit is durable.
    release_after: Option<u32>,
    log: Vec<(u64, OwnedRecord)>,
    /// In which commit a record became durable, by its number.
    batches: BTreeMap<u64, u64>,
    commits: u64,
    pub(super) sessions: BTreeMap<Subscriber, Kept>,
    pub(super) groups: BTreeMap<Subscriber, String>,
    pub(super) queues: BTreeMap<Subscriber, Queue>,
    pub(super) retained: BTreeMap<String, Vec<u8>>,
    /// What has no name yet, after a restart: by client id, by filter, and what is nobody's.
    unnamed: BTreeMap<String, (Kept, Queue)>,
    unnamed_groups: BTreeMap<String, Queue>,
    strays: Queue,
    /// Under which number the message of each copy is kept.
    bodies: BTreeMap<u64, u64>,
    /// Numbers whose message cannot be read.
    pub(super) unreadable: BTreeSet<u64>,
    /// How many messages were read back.
    pub(super) fetched: usize,
    /// Whether it takes more. One that has failed makes nothing durable any more.
    pub(super) room: Room,
}

impl Ledger {
    /// The message that a record brought.
    pub(super) fn message(&self, number: u64) -> Option<Arc<Message>> {
        let at = self.log.binary_search_by_key(&number, |(known, _)| *known);
        match &self.log[at.ok()?].1 {
            OwnedRecord::Queued { message, .. }
            | OwnedRecord::Retained(message)
            | OwnedRecord::Will { message, .. } => Some(Arc::clone(message)),
            _ => None,
        }
    }

    /// Under which number the message of this latest record is kept.
    fn keep_body(&mut self, record: &Record<'_>) {
        let (Record::Queued { message, .. } | Record::Retained(message)) = *record else {
            return;
        };
        let number = self.recorded;
        // Numbers are given again after a crash, so that one that was noted may mean something else by now.
        let is_same = |known: &Arc<Message>| {
            (known.topic(), known.payload()) == (message.topic(), message.payload())
                && (known.expires, known.properties()) == (message.expires, message.properties())
        };
        let known = message.body().map_or(number, |body| body.0);
        let body = if self.message(known).as_ref().is_some_and(is_same) {
            known
        } else {
            number
        };
        message.note_body(Commit(body));
        self.bodies.insert(number, body);
    }

    /// How far messages can be read back.
    const fn kept(&self) -> u64 {
        if self.late {
            self.committed
        } else {
            self.recorded
        }
    }

    fn fetch(&mut self, body: u64) -> Result<Arc<Message>, Unreadable> {
        let kept = self.kept();
        let unnamed = self.unnamed.values().map(|(_, queue)| queue);
        let all = (self.queues.values())
            .chain(unnamed)
            .chain(self.unnamed_groups.values())
            .chain([&self.strays]);
        let mut copies = all.flat_map(BTreeMap::keys);
        assert!(
            copies.any(|copy| *copy <= kept && self.bodies[copy] == body),
            "nobody has a durable copy of message {body}, up to {kept}"
        );
        self.fetched += 1;
        self.read(body)
    }

    fn read(&self, body: u64) -> Result<Arc<Message>, Unreadable> {
        if self.unreadable.contains(&body) {
            return Err(Unreadable {
                body: Commit(body),
                why: "it is said to be damaged".into(),
            });
        }
        let message = self.message(body).expect("a record brought it").duplicate();
        message.note_body(Commit(body));
        Ok(Arc::new(message))
    }

    fn take(&mut self, record: &Record<'_>, number: u64) {
        match *record {
            Record::Session {
                session,
                client_id,
                user_name,
                expiry,
                bridge,
            } => {
                assert!(!self.unnamed.contains_key(client_id), "{client_id}");
                let kept = self.sessions.entry(session).or_default();
                kept.client_id = client_id.to_owned();
                kept.user_name = user_name.map(Into::into);
                (kept.expiry, kept.bridge) = (expiry, bridge);
                kept.will = None;
                kept.connected = true;
            }
            Record::Used(session) => self.session(session).used = true,
            Record::Disconnected { session, .. } => self.session(session).connected = false,
            Record::Ended(who) => {
                assert!(self.sessions.remove(&who).is_some() | self.groups.remove(&who).is_some());
                if let Some(queue) = self.queues.get_mut(&who) {
                    // On its way from another worker: it comes back.
                    queue.retain(|_, copy| copy.by_group);
                }
                self.forget_empty(who);
            }
            Record::Subscribed {
                session,
                filter,
                options,
                id,
                retained,
            } => {
                let kept = self.session(session);
                kept.subscriptions.insert(filter.to_owned(), (options, id));
                if retained {
                    kept.unserved.push(filter.to_owned());
                }
            }
            Record::RetainedSent { session, filter } => {
                let kept = self.session(session);
                let at = kept.unserved.iter().position(|known| known == filter);
                kept.unserved.remove(at.expect("it was subscribed"));
            }
            Record::Unsubscribed { session, filter } => {
                let kept = self.session(session);
                assert!(kept.subscriptions.remove(filter).is_some());
            }
            Record::Group { group, filter } => {
                let (name, group) = (filter.to_owned(), Subscriber::group(group));
                if let Some(queue) = self.unnamed_groups.remove(filter) {
                    self.queues.insert(group, queue);
                    self.forget_empty(group);
                }
                assert!(self.groups.insert(group, name).is_none());
            }
            Record::Queued {
                receiver,
                message,
                qos,
                retain,
                ids,
                group,
            } => {
                assert_ne!(qos, QoS::AtMostOnce, "nothing is promised about QoS 0");
                let copy = Copy {
                    topic: message.topic().to_owned(),
                    payload: message.payload().to_vec(),
                    qos,
                    retain,
                    ids: ids.iter().map(|id| id.get()).collect(),
                    by_group: group.is_some(),
                };
                let queue = self.queues.entry(receiver).or_default();
                queue.insert(number, copy);
            }
            Record::Done { receiver, copy } => {
                let known = self
                    .queues
                    .get_mut(&receiver)
                    .and_then(|queue| queue.remove(&copy.0))
                    .or_else(|| self.strays.remove(&copy.0));
                let exists =
                    self.sessions.contains_key(&receiver) || self.groups.contains_key(&receiver);
                assert!(known.is_some() || !exists, "{record:?} names nothing");
                if let Some(kept) = self.sessions.get_mut(&receiver) {
                    kept.handshakes.sent.retain(|_, sent| *sent != copy.0);
                }
                self.forget_empty(receiver);
            }
            Record::Handshake {
                session,
                change,
                copy,
            } => {
                let queue = self.queues.get(&session);
                let named = queue.is_some_and(|queue| queue.contains_key(&copy.0));
                assert!(copy == Commit(0) || named, "{record:?} names nothing");
                let kept = self.session(session);
                kept.used = true;
                kept.handshakes.change(change, copy);
            }
            Record::Retained(message) => {
                let topic = message.topic().to_owned();
                self.retained.insert(topic, message.payload().to_vec());
            }
            Record::Unretained(topic) => {
                assert!(self.retained.remove(topic).is_some());
            }
            Record::Will {
                session, message, ..
            } => self.session(session).will = Some(message.topic().to_owned()),
            Record::WillGone(session) => self.session(session).will = None,
            Record::Restarted => self.restarted(),
            Record::Renamed { session, client_id } => {
                let (kept, queue) = self.unnamed.remove(client_id).expect("it was there");
                self.queues.insert(session, queue);
                self.forget_empty(session);
                assert!(self.sessions.insert(session, kept).is_none());
            }
        }
    }

    fn restarted(&mut self) {
        let mut queues = core::mem::take(&mut self.queues);
        for (who, kept) in core::mem::take(&mut self.sessions) {
            let queue = queues.remove(&who).unwrap_or_default();
            self.unnamed.insert(kept.client_id.clone(), (kept, queue));
        }
        for (who, filter) in core::mem::take(&mut self.groups) {
            let queue = queues.remove(&who).unwrap_or_default();
            self.unnamed_groups.insert(filter, queue);
        }
        self.strays.extend(queues.into_values().flatten());
    }

    fn session(&mut self, who: Subscriber) -> &mut Kept {
        self.sessions.get_mut(&who).expect("it has begun")
    }

    fn forget_empty(&mut self, who: Subscriber) {
        if self.queues.get(&who).is_some_and(BTreeMap::is_empty) {
            self.queues.remove(&who);
        }
    }

    /// What waits for a receiver, in the order in which a restart would queue it.
    pub(super) fn queue(&self, who: Subscriber) -> Vec<Copy> {
        self.queues
            .get(&who)
            .map(|queue| queue.values().cloned().collect())
            .unwrap_or_default()
    }

    /// Everything has a name, and nothing is nobody's.
    pub(super) fn all_is_named(&self) -> bool {
        self.unnamed.is_empty() && self.unnamed_groups.is_empty() && self.strays.is_empty()
    }

    /// Whether all that was recorded is durable.
    pub(super) const fn is_durable(&self) -> bool {
        !self.late || self.committed == self.recorded
    }
}

impl Handshakes {
    fn change(&mut self, change: Change, copy: Commit) {
        let forget = |list: &mut Vec<u16>, id| list.retain(|known| *known != id);
        match change {
            Change::Received(id) => assert!(self.received.insert(id.get())),
            Change::Released(id) => assert!(self.received.remove(&id.get())),
            Change::Sent(_, id) => {
                assert!(self.sent.insert(id.get(), copy.0).is_none());
            }
            Change::PeerReceived(_, id) => {
                self.sent.remove(&id.get());
                forget(&mut self.releasing, id.get());
                self.releasing.push(id.get());
            }
            Change::Completed(id) => {
                self.sent.remove(&id.get());
                forget(&mut self.releasing, id.get());
            }
            Change::Reset => *self = Self::default(),
            _ => unreachable!(),
        }
    }
}

/// All workers' handles go to the same ledger.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledgers(Arc<Mutex<Ledger>>);

impl Ledgers {
    pub(super) fn lock(&self) -> MutexGuard<'_, Ledger> {
        self.0.lock().unwrap()
    }

    /// From now on commits come when [`release`](Self::release) is called.
    pub(super) fn hold(&self) {
        let mut ledger = self.lock();
        ledger.late = true;
        ledger.committed = ledger.recorded;
    }

    /// What was told to commit is durable now.
    pub(super) fn release(&self) {
        let mut ledger = self.lock();
        ledger.committed = ledger.flushed;
    }

    /// The same when the cores have looked so often how far the store is: it is a thread of its own, and moves while they look.
    pub(super) fn release_after(&self, looks: u32) {
        self.lock().release_after = Some(looks);
    }

    /// Whether that has not come yet.
    pub(super) fn looks_left(&self) -> bool {
        self.lock().release_after.is_some()
    }

    /// What was not durable is lost, and its numbers are given again; what is left, for new cores. Commits come at once from now on, and
    /// everything can be read.
    pub(super) fn crash(&self) -> Restore {
        let mut restore = Restore::new();
        for (number, record) in self.fall() {
            let taken = restore.take(&record.record(), Commit(number));
            taken.unwrap_or_else(|error| panic!("{record:?}: {error}"));
        }
        assert!(restore.latest().0 <= self.lock().recorded);
        restore
    }

    /// The same, and what cannot be read cannot be read still. New cores leave messages where they are when `lazy`, and fetch them later.
    pub(super) fn crash_to_disk(&self, lazy: bool) -> (Image, Disk) {
        let unreadable = core::mem::take(&mut self.lock().unreadable);
        let log = self.fall();
        let mut ledger = self.lock();
        ledger.unreadable = unreadable;
        let mut image = Image::new();
        for (number, record) in log {
            let body = ledger.bodies.get(&number).copied().unwrap_or(number);
            let kept = record.record().kept(Commit(body));
            let taken = image.take(&kept, Commit(number));
            taken.unwrap_or_else(|error| panic!("{record:?}: {error}"));
        }
        let ledgers = self.clone();
        (image, Disk { ledgers, lazy })
    }

    /// The durable records, batch by batch.
    fn fall(&self) -> Vec<(u64, OwnedRecord)> {
        let mut ledger = self.lock();
        let durable = if ledger.late {
            ledger.committed
        } else {
            ledger.recorded
        };
        let mut log = core::mem::take(&mut ledger.log);
        log.retain(|(number, _)| *number <= durable);
        let (batches, commits) = (core::mem::take(&mut ledger.batches), ledger.commits);
        let (mut bodies, fetched) = (core::mem::take(&mut ledger.bodies), ledger.fetched);
        bodies.retain(|copy, _| *copy <= durable);
        *ledger = Ledger {
            bodies,
            fetched,
            ..Ledger::default()
        };
        for (number, record) in &log {
            ledger.take(&record.record(), *number);
        }
        // As a store has them: batch by batch, while this ledger has seen them in the order of their making.
        let mut stored = log.clone();
        stored.sort_by_key(|(number, _)| batches.get(number).copied().unwrap_or(u64::MAX));
        (ledger.batches, ledger.commits) = (batches, commits);
        ledger.recorded = durable;
        ledger.flushed = durable;
        ledger.committed = durable;
        ledger.log = log;
        stored
    }

    /// From now on it takes more, or not. One that fails makes nothing durable any more; what it has is there after a restart.
    pub(super) fn set_room(&self, room: Room) {
        let late = self.lock().late;
        if room == Room::Failed && !late {
            self.hold();
        }
        self.lock().room = room;
    }

    /// From now on the message with this payload cannot be read back.
    pub(super) fn damage(&self, payload: &str) {
        let mut ledger = self.lock();
        let is_it = |record: &OwnedRecord| matches!(record, OwnedRecord::Queued { message, .. } | OwnedRecord::Retained(message) if message.payload() == payload.as_bytes());
        let it = ledger.log.iter().find(|(_, record)| is_it(record));
        let body = ledger.bodies[&it.expect("it was queued").0];
        ledger.unreadable.insert(body);
    }

    /// Everything can be read again.
    pub(super) fn mend(&self) {
        self.lock().unreadable.clear();
    }

    /// The messages that cannot be read, by number.
    pub(super) fn damaged(&self) -> std::collections::HashSet<u64> {
        self.lock().unreadable.iter().copied().collect()
    }

    /// Every record since the beginning.
    pub(super) fn log(&self) -> Vec<(u64, OwnedRecord)> {
        self.lock().log.clone()
    }

    pub(super) fn handle(&self) -> Box<dyn Store> {
        Box::new(Handle {
            ledgers: self.clone(),
            latest: Commit(self.lock().recorded),
            batch: Vec::new(),
        })
    }
}

#[derive(Debug)]
struct Handle {
    ledgers: Ledgers,
    latest: Commit,
    /// Numbers of what it has recorded since its latest commit.
    batch: Vec<u64>,
}

impl Store for Handle {
    fn record(&mut self, record: &Record<'_>) -> Commit {
        let mut ledger = self.ledgers.lock();
        ledger.recorded += 1;
        let number = ledger.recorded;
        ledger.take(record, number);
        ledger.log.push((number, OwnedRecord::from(record)));
        ledger.keep_body(record);
        self.batch.push(number);
        self.latest = Commit(number);
        self.latest
    }

    fn latest(&self) -> Commit {
        self.latest
    }

    fn commit(&mut self) {
        let mut ledger = self.ledgers.lock();
        ledger.flushed = ledger.flushed.max(self.latest.0);
        ledger.commits += 1;
        let commit = ledger.commits;
        ledger
            .batches
            .extend(self.batch.drain(..).map(|number| (number, commit)));
    }

    fn committed(&self) -> Commit {
        let mut ledger = self.ledgers.lock();
        if ledger.late {
            let before = ledger.committed;
            match ledger.release_after {
                Some(0) => (ledger.release_after, ledger.committed) = (None, ledger.flushed),
                Some(looks) => ledger.release_after = Some(looks - 1),
                None => {}
            }
            Commit(before)
        } else {
            self.latest
        }
    }

    fn body(&self) -> Commit {
        let ledger = self.ledgers.lock();
        Commit(ledger.bodies[&self.latest.0])
    }

    fn kept(&self) -> Commit {
        Commit(self.ledgers.lock().kept())
    }

    fn room(&self) -> Room {
        self.ledgers.lock().room
    }

    fn fetch(&mut self, body: Commit) -> Result<Arc<Message>, Unreadable> {
        self.ledgers.lock().fetch(body.0)
    }
}

/// What new cores read the messages from that they start with; the clock is the old one.
pub(super) struct Disk {
    ledgers: Ledgers,
    lazy: bool,
}

impl Bodies for Disk {
    fn terms(&self, body: Commit) -> Option<Terms> {
        let message = self.ledgers.lock().message(body.0)?;
        self.lazy.then(|| Terms {
            size: message.size() as u32,
            expires: message.expires,
        })
    }

    fn message(&mut self, body: Commit) -> Result<Arc<Message>, Unreadable> {
        self.ledgers.lock().read(body.0)
    }
}
