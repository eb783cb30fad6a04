//! An owner with a store: a log whose entries become durable late, in order and in batches; a crash loses the others.

use std::collections::BTreeSet;

use mqtt_codec::{PacketId, QoS};
use mqtt_session::profile::Durable;
use mqtt_session::storage::Heap;
use mqtt_session::{
    Change, Commit, Limits, Outbox, Outcome, OutgoingMessage, Owner, Seq, SessionState,
};

use super::heap::outgoing;
use super::{Memory, Message, Note, TestOwner};

/// One entry of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A change that the session recorded.
    Change(Change),
    /// A message entered the outbox.
    Queued(Seq),
    /// A message left it.
    Ended(Seq),
    /// A note of the owner's own.
    Note(Note),
}

/// The owner: what a crash spares is the first `durable` entries of the log.
#[derive(Debug, Default)]
pub struct LateOwner {
    limits: Limits,
    /// Every message that ever was, by its place.
    messages: Vec<Message>,
    live: BTreeSet<Seq>,
    ended: Vec<(Seq, Outcome)>,
    log: Vec<Entry>,
    durable: usize,
}

impl LateOwner {
    fn append(&mut self, entry: Entry) -> Commit {
        self.log.push(entry);
        Commit(self.log.len() as u64)
    }

    /// The log, and how much of it is durable.
    #[must_use]
    pub fn log(&self) -> (&[Entry], usize) {
        (&self.log, self.durable)
    }

    /// Crashes, and starts again from what was committed.
    ///
    /// # Panics
    /// When the state cannot be restored.
    pub fn restart(&mut self) -> (SessionState<Durable, Heap>, Memory) {
        self.log.truncate(self.durable);
        self.ended.clear();
        self.live.clear();
        let mut state = SessionState::default();
        let mut memory = Memory::default();
        for entry in &self.log {
            match *entry {
                Entry::Change(change) => state.restore(change).expect("the heap has room"),
                Entry::Queued(seq) => {
                    self.live.insert(seq);
                }
                Entry::Ended(seq) => {
                    self.live.remove(&seq);
                }
                Entry::Note(Note::Copy) => {}
                Entry::Note(Note::Created { kept }) => {
                    memory.exists = true;
                    memory.kept = kept;
                }
                Entry::Note(Note::Used) => memory.used = true,
                Entry::Note(Note::Subscribed) => memory.subscribed = true,
                Entry::Note(Note::Forgotten) => {
                    self.live.clear();
                    state = SessionState::default();
                    memory = Memory::default();
                }
            }
        }
        // Whether a QoS 0 message was sent is not known: at most once.
        let messages = &self.messages;
        self.live
            .retain(|seq| messages[seq.0 as usize].qos != QoS::AtMostOnce);
        (state, memory)
    }
}

impl Outbox for LateOwner {
    fn next(&mut self, from: Seq) -> Option<Seq> {
        self.live.range(from..).next().copied()
    }

    fn message(&mut self, seq: Seq) -> Option<OutgoingMessage<'_>> {
        self.live
            .contains(&seq)
            .then(|| outgoing(&self.messages[seq.0 as usize]))
    }

    fn done(&mut self, seq: Seq, outcome: Outcome) {
        self.lose(seq);
        self.ended.push((seq, outcome));
    }
}

impl Owner for LateOwner {
    type Gate = Commit;

    fn record(&mut self, change: Change) -> Commit {
        self.append(Entry::Change(change))
    }

    fn committed(&self) -> Commit {
        Commit(self.durable as u64)
    }

    fn limits(&self) -> &Limits {
        &self.limits
    }
}

impl TestOwner for LateOwner {
    fn limits_mut(&mut self) -> &mut Limits {
        &mut self.limits
    }

    fn publish(&mut self, message: &Message) -> Option<Seq> {
        let seq = Seq(self.messages.len() as u64);
        self.messages.push(message.clone());
        self.live.insert(seq);
        self.append(Entry::Queued(seq));
        Some(seq)
    }

    fn payload(&self, seq: Seq, out: &mut Vec<u8>) {
        assert!(self.live.contains(&seq), "{seq:?} is gone");
        out.extend_from_slice(&self.messages[seq.0 as usize].payload);
    }

    fn written(&mut self, seq: Seq) {
        self.lose(seq);
    }

    fn lose(&mut self, seq: Seq) {
        if self.live.remove(&seq) {
            self.append(Entry::Ended(seq));
        }
    }

    fn forget(&mut self) {
        self.live.clear();
        self.append(Entry::Note(Note::Forgotten));
    }

    fn waiting(&self) -> Vec<Seq> {
        self.live.iter().copied().collect()
    }

    fn ended(&mut self, each: &mut dyn FnMut(Seq, Outcome)) {
        for (seq, outcome) in self.ended.drain(..) {
            each(seq, outcome);
        }
    }

    fn keep(&mut self, note: Note) -> Commit {
        self.append(Entry::Note(note))
    }

    fn commit(&mut self, most: usize) {
        self.durable = self.durable.saturating_add(most).min(self.log.len());
        // A copy and the id of its message, the end of a message and the change behind it: one atomic batch each.
        while matches!(
            self.log.get(self.durable),
            Some(Entry::Note(Note::Copy) | Entry::Ended(_))
        ) {
            self.durable += 1;
        }
    }

    fn uncommitted(&self) -> usize {
        self.log.len() - self.durable
    }

    fn is_reset_durable(&self) -> bool {
        self.log
            .iter()
            .rposition(|&entry| entry == Entry::Change(Change::Reset))
            .is_none_or(|at| at < self.durable)
    }

    fn is_durable(&self, received: bool, id: PacketId) -> bool {
        let concerns = |entry: &Entry| match *entry {
            Entry::Change(Change::Received(other) | Change::Released(other)) => {
                received && other == id
            }
            Entry::Change(
                Change::Sent(_, other) | Change::PeerReceived(_, other) | Change::Completed(other),
            ) => !received && other == id,
            _ => false,
        };
        self.log
            .iter()
            .rposition(concerns)
            .is_none_or(|at| at < self.durable)
    }

    fn is_recorded(&self, received: bool, id: PacketId) -> bool {
        let says = |entry: &Entry| match *entry {
            Entry::Change(Change::Received(other)) if other == id => received.then_some(true),
            Entry::Change(Change::Released(other)) if other == id => received.then_some(false),
            Entry::Change(Change::Sent(_, other) | Change::PeerReceived(_, other))
                if other == id =>
            {
                (!received).then_some(true)
            }
            Entry::Change(Change::Completed(other)) if other == id => (!received).then_some(false),
            Entry::Change(Change::Reset) | Entry::Note(Note::Forgotten) => Some(false),
            _ => None,
        };
        let durable = self.log.iter().take(self.durable);
        durable.rev().find_map(says).unwrap_or(false)
    }
}
