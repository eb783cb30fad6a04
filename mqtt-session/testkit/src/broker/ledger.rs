//! A store for all workers: one sequence of batches, made durable late and in order, of which a crash leaves the front.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use mqtt_broker::core::{Message, OwnedRecord, Record, Restore, Subscriber};
use mqtt_codec::QoS;
use mqtt_session::{Change, Commit, Instant};

use super::model::NO_NUMBER;
use super::tables;

type Numbered = (u64, OwnedRecord);

/// The records of all workers.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// How many records there were.
    recorded: u64,
    /// The number of the latest record. In a store that lasts, another may have a larger one.
    latest: u64,
    /// The largest number of all.
    largest: u64,
    /// What each worker has recorded since its last commit.
    open: [Vec<Numbered>; 3],
    /// Batches that are not durable.
    sealed: VecDeque<Vec<Numbered>>,
    durable: Vec<Vec<Numbered>>,
    /// The number of the latest record of each worker.
    of: [u64; 3],
    /// No record up to here is missing among those that are durable.
    committed: u64,
    late: bool,
    known: Known,
    /// The messages that records brought, as bytes of their own, by number.
    kept: BTreeMap<u64, Kept>,
    /// Under which number the message of each copy is kept.
    bodies: BTreeMap<u64, u64>,
    /// How many messages were read back.
    fetched: u64,
}

/// A message outside the broker's memory.
#[derive(Debug, PartialEq, Eq)]
struct Kept {
    topic: String,
    properties: Vec<u8>,
    payload: Vec<u8>,
    qos: QoS,
    retain: bool,
    expires: Option<Instant>,
    publisher: Subscriber,
}

impl Kept {
    fn of(message: &Message) -> Self {
        Self {
            topic: message.topic().to_owned(),
            properties: message.properties().to_vec(),
            payload: message.payload().to_vec(),
            qos: message.qos,
            retain: message.retain,
            expires: message.expires,
            publisher: message.publisher,
        }
    }

    fn message(&self, number: u64) -> Arc<Message> {
        let (topic, properties) = (&self.topic, &self.properties);
        let mut message = Message::new(topic, properties, &self.payload, self.qos, self.retain);
        message.expires = self.expires;
        message.publisher = self.publisher;
        message.note_body(Commit(number));
        Arc::new(message)
    }
}

/// What the simulation needs to know of the records.
#[derive(Debug, Default)]
struct Known {
    /// Whose session each name is.
    names: Vec<(Subscriber, usize)>,
    /// Copies that groups gave to sessions: the record, the message, and whether it goes out at QoS 2.
    copies: Vec<(u64, u32, bool)>,
    /// QoS 2 messages of groups whose delivery to a client has begun.
    begun: Vec<(usize, u32)>,
    /// Packet ids of QoS 2 messages to a client, the record that gave each, and whether the store had room for it.
    ids: Vec<(usize, u16, u64, bool)>,
    /// QoS 2 messages of groups that ended with the session to which their delivery had begun.
    lost: Vec<u32>,
}

impl Known {
    fn client(&self, who: Subscriber) -> Option<usize> {
        let named = self.names.iter().find(|(name, _)| *name == who);
        named.map(|&(_, client)| client)
    }

    fn take(&mut self, number: u64, record: &Record<'_>, room: bool) {
        match *record {
            Record::Session {
                session, client_id, ..
            }
            | Record::Renamed { session, client_id } => {
                if let Some(client) = tables::client(client_id)
                    && self.client(session).is_none()
                {
                    self.names.push((session, client));
                }
            }
            Record::Restarted => self.names.clear(),
            Record::Ended(who) => {
                let Some(client) = self.client(who) else {
                    return;
                };
                self.names.retain(|&(name, _)| name != who);
                self.ids.retain(|&(of, ..)| of != client);
                let ended = self.begun.extract_if(.., |(of, _)| *of == client);
                self.lost.extend(ended.map(|(_, message)| message));
            }
            Record::Queued {
                message,
                qos,
                group: Some(_),
                ..
            } => {
                let message = super::number(message.payload()).unwrap_or(NO_NUMBER);
                let exactly_once = qos == QoS::ExactlyOnce;
                self.copies.push((number, message, exactly_once));
            }
            Record::Handshake {
                session,
                change,
                copy,
            } => self.handshake((number, room), session, change, copy),
            _ => {}
        }
    }

    fn handshake(
        &mut self,
        (number, room): (u64, bool),
        session: Subscriber,
        change: Change,
        copy: Commit,
    ) {
        let Some(client) = self.client(session) else {
            return;
        };
        match change {
            Change::Sent(_, id) => {
                self.ids.push((client, id.get(), number, room));
                let mut copies = self.copies.iter().rev();
                if let Some(&(_, message, true)) = copies.find(|(queued, ..)| *queued == copy.0) {
                    self.begun.push((client, message));
                }
            }
            Change::Completed(id) => {
                self.ids
                    .retain(|&(of, sent, ..)| (of, sent) != (client, id.get()));
            }
            _ => {}
        }
    }
}

impl Ledger {
    /// An empty one; `late` when batches are durable no sooner than they are [released](Self::release).
    pub(super) fn new(late: bool) -> Self {
        Self {
            late,
            ..Self::default()
        }
    }

    /// Takes a record; a store that lasts has given it this number. `room` says whether that takes more.
    pub(super) fn take(
        &mut self,
        worker: usize,
        record: &Record<'_>,
        number: Option<u64>,
        room: bool,
    ) -> u64 {
        let lasting = number.is_some();
        let number = number.unwrap_or(self.latest + 1);
        self.recorded += 1;
        self.latest = number;
        self.largest = self.largest.max(number);
        self.known.take(number, record, room);
        let before = core::mem::replace(&mut self.of[worker], number);
        assert!(number > before, "{number} after {before}");
        self.open[worker].push((number, OwnedRecord::from(record)));
        if !lasting {
            self.keep(record);
        }
        number
    }

    /// Keeps the message of the latest record, once.
    fn keep(&mut self, record: &Record<'_>) {
        let (Record::Queued { message, .. } | Record::Retained(message)) = *record else {
            return;
        };
        let kept = Kept::of(message);
        let known = message.body().map(|body| body.0);
        let known = known.filter(|body| self.kept.get(body) == Some(&kept));
        let body = known.unwrap_or(self.latest);
        self.bodies.insert(self.latest, body);
        self.kept.entry(body).or_insert(kept);
        message.note_body(Commit(body));
    }

    /// Under which number the message of a record is kept.
    pub(super) fn body(&self, record: u64) -> u64 {
        self.bodies.get(&record).copied().unwrap_or(0)
    }

    /// Counts a message that is read back, and reads it.
    pub(super) fn fetch(&mut self, body: u64) -> Option<Arc<Message>> {
        self.fetched += 1;
        self.kept.get(&body).map(|kept| kept.message(body))
    }

    /// How many messages were read back.
    pub(super) const fn fetched(&self) -> u64 {
        self.fetched
    }

    pub(super) fn seal(&mut self, worker: usize) {
        let batch = core::mem::take(&mut self.open[worker]);
        if !batch.is_empty() {
            self.sealed.push_back(batch);
        }
        if !self.late {
            self.release(usize::MAX);
        }
    }

    /// How many records there were so far.
    pub(super) const fn recorded(&self) -> u64 {
        self.recorded
    }

    /// The number of the latest record.
    pub(super) const fn latest(&self) -> u64 {
        self.latest
    }

    /// The number of the latest record of a worker.
    pub(super) fn latest_of(&self, worker: u16) -> u64 {
        self.of[usize::from(worker)]
    }

    /// The record that gave a packet id of a client's session to a QoS 2 message, and whether there was room for it.
    pub(super) fn sent(&self, client: usize, id: u16) -> Option<(u64, bool)> {
        let mut ids = self.known.ids.iter().rev();
        let sent = ids.find(|&&(of, sent, ..)| (of, sent) == (client, id));
        sent.map(|&(_, _, at, room)| (at, room))
    }

    /// Whether the delivery of a group's QoS 2 message to some client has begun.
    pub(super) fn is_begun(&self, message: u32) -> bool {
        self.known.begun.iter().any(|&(_, begun)| begun == message)
    }

    /// How far everything is durable.
    pub(super) const fn committed(&self) -> u64 {
        self.committed
    }

    /// Whether something waits to become durable, and for nobody's commit.
    pub(super) fn waits(&self) -> bool {
        !self.sealed.is_empty() && self.open.iter().all(Vec::is_empty)
    }

    /// Batches that are not durable.
    pub(super) fn waiting(&self) -> usize {
        self.sealed.len()
    }

    /// Takes the messages that were lost since the last time.
    pub(super) fn take_lost(&mut self, to: &mut Vec<u32>) {
        to.append(&mut self.known.lost);
    }

    /// Makes the first batches durable that are not; says whether there were any.
    pub(super) fn release(&mut self, batches: usize) -> bool {
        let n = batches.min(self.sealed.len());
        self.durable.extend(self.sealed.drain(..n));
        let missing = self.missing();
        self.committed = missing.map_or(self.largest, |number| number - 1);
        n > 0
    }

    /// The first record that is not durable.
    fn missing(&self) -> Option<u64> {
        let open = self.open.iter().filter_map(|open| open.first());
        let sealed = self.sealed.iter().filter_map(|batch| batch.first());
        open.chain(sealed).map(|(number, _)| *number).min()
    }

    /// A store that lasts says that everything up to here is durable.
    pub(super) fn reached(&mut self, committed: u64) {
        assert!(committed >= self.committed, "what is durable stays so");
        let first = |batch: &Vec<Numbered>| batch.first().is_some_and(|(at, _)| *at <= committed);
        let durable = self.sealed.iter().rposition(first);
        self.release(durable.map_or(0, |at| at + 1));
        let missing = self.missing().filter(|number| *number <= committed);
        assert!(
            missing.is_none(),
            "everything up to {committed} is said to be durable, and {missing:?} is missing"
        );
        self.committed = committed;
    }

    /// All batches in the order of their commits.
    fn all(&self) -> impl Iterator<Item = &Vec<Numbered>> {
        self.durable.iter().chain(&self.sealed)
    }

    /// How many batches there are.
    pub(super) fn batches(&self) -> usize {
        self.durable.len() + self.sealed.len()
    }

    /// How many of them hold everything that was said to be durable.
    pub(super) const fn acknowledged(&self) -> usize {
        self.durable.len()
    }

    /// How many batches may be there, at least so many, when the largest number among them is this.
    pub(super) fn fronts(&self, latest: u64, least: usize) -> Vec<usize> {
        let ends = self.ends().into_iter().enumerate().skip(least);
        ends.filter_map(|(batches, end)| (end == latest).then_some(batches))
            .collect()
    }

    /// The largest number among the first batches: none, one, two, …
    pub(super) fn ends(&self) -> Vec<u64> {
        // Within a batch numbers grow, from batch to batch they may not.
        let last = |batch: &Vec<Numbered>| batch.last().map_or(0, |(number, _)| *number);
        let mut end = 0;
        let mut ends = vec![end];
        for batch in self.all() {
            end = end.max(last(batch));
            ends.push(end);
        }
        ends
    }

    /// What a restart begins with when so many batches are there.
    pub(super) fn front(&self, batches: usize) -> Restore {
        let mut restore = Restore::new();
        for (number, record) in self.all().take(batches).flatten() {
            let record = record.record();
            let taken = restore.take(&record, Commit(*number));
            taken.unwrap_or_else(|malformed| panic!("{malformed}: {record:?}"));
        }
        restore
    }

    /// Every worker commits what it has.
    pub(super) fn seal_all(&mut self) {
        for worker in 0..self.open.len() {
            self.seal(worker);
        }
    }

    /// The crash: so many batches are left. Says of each record whether it is there, and gives what a restart begins with.
    pub(super) fn crash(&mut self, batches: usize) -> (Vec<bool>, Restore) {
        self.release(batches.saturating_sub(self.durable.len()));
        self.durable.truncate(batches);
        self.open = Default::default();
        self.sealed.clear();
        self.committed = self.largest;
        self.known = Known::default();
        let mut is_durable = vec![false; self.largest as usize + 1];
        // What has no record happened whatever the store has kept.
        is_durable[0] = true;
        for (number, record) in self.durable.iter().flatten() {
            is_durable[*number as usize] = true;
            self.known.take(*number, &record.record(), true);
        }
        (is_durable, self.front(batches))
    }

    /// Numbers go on behind what a store that lasts has found.
    pub(super) const fn go_on(&mut self, latest: u64, committed: u64) {
        self.latest = latest;
        self.largest = latest;
        self.of = [latest; 3];
        self.committed = committed;
    }
}
