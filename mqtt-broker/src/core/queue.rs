//! The messages of one session that wait or are in flight, or those that wait for a shared group.
//!
//! Each has a [`Slot`](slot::Slot) of 24 bytes in one sequence. The message itself is in memory beside it, or only in the store: what waits
//! for long is [put away](Queue::put_away), and [loaded](Queue::load) when its turn comes.

mod slot;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use mqtt_codec::QoS;
use mqtt_session::{Commit, Instant, Seq};

use super::chunks::Chunks;
use super::ids::GroupId;
use super::message::{Ids, Message};
use super::store::{Store, Unreadable};
use slot::{Kind, SPAN, Slot, Terms};

/// A message for one session.
#[derive(Clone, Debug)]
pub(super) struct Queued {
    pub(super) message: Arc<Message>,
    /// The number of its record in the store; 0 when it has none.
    pub(super) copy: Commit,
    /// The number under which the store keeps the message; 0 when it cannot be fetched from there.
    pub(super) body: Commit,
    pub(super) ids: Ids,
    pub(super) qos: QoS,
    pub(super) retain: bool,
    /// The shared group that chose this session for it.
    pub(super) group: Option<GroupId>,
}

/// A message for one session that is only in the store: what [`Queue::push_stored`] takes.
///
/// A restart fills its queues with these and reads no message for it: each is fetched when its turn comes.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    /// The number of the record that queued it.
    pub(super) copy: Commit,
    /// The number under which the store keeps the message, as [`Store::body`] gave it; not above `copy`.
    pub(super) body: Commit,
    /// 1 or 2.
    pub(super) qos: QoS,
    /// The RETAIN flag of this copy.
    pub(super) retain: bool,
    /// The subscription identifiers of this copy.
    pub(super) ids: Ids,
    /// The shared group that chose this session for it.
    pub(super) group: Option<GroupId>,
    /// What the message takes in memory, as [`Message::size`] says it.
    pub(super) size: u64,
    /// When the message expires, on the clock that the message has when it is fetched.
    pub(super) expires: Option<Instant>,
}

/// A message that was taken out of a queue, wherever it is.
#[derive(Clone, Debug)]
pub(super) enum Taken {
    /// In memory.
    Loaded(Queued),
    /// In the store only.
    Stored(Stored),
}

/// What is asked of a message before it is taken out.
#[derive(Clone, Copy, Debug)]
pub(super) struct View {
    pub(super) qos: QoS,
    pub(super) group: Option<GroupId>,
    expires: Option<Instant>,
}

/// A message in memory.
#[derive(Debug)]
struct Loaded {
    place: u64,
    queued: Queued,
}

/// One ordered sequence: a place is given once, and found by subtraction as long as nothing was taken from the middle.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// Places ascend. The first is not empty; at most half of the others are, a few aside.
    slots: Chunks<Slot>,
    /// Those in memory, in any order; each slot knows its index, and is found by its place.
    loaded: Vec<Loaded>,
    /// On what terms the others came.
    terms: Option<Box<Terms>>,
    /// The place of the first slot, and of the next message.
    first: u64,
    next: u64,
    /// Messages in it.
    live: usize,
    /// Those of QoS 0 among them.
    at_most_once: usize,
    /// Bytes of the messages in it, and of those in memory.
    bytes: u64,
    loaded_bytes: u64,
    /// What the latest putting away has left in memory, as far as it is still there: messages and bytes.
    residue: (usize, u64),
    /// No message in it expires before.
    expires: Option<Instant>,
    /// It has had a message that can be fetched from the store.
    fetches: bool,
}

impl Queued {
    fn size(&self) -> u64 {
        self.message.size() as u64
    }

    /// What is left of it without its message.
    fn stored(&self) -> Stored {
        Stored {
            copy: self.copy,
            body: self.body,
            qos: self.qos,
            retain: self.retain,
            ids: self.ids.clone(),
            group: self.group,
            size: self.size(),
            expires: self.message.expires,
        }
    }

    fn view(&self) -> View {
        View {
            qos: self.qos,
            group: self.group,
            expires: self.message.expires,
        }
    }
}

impl Stored {
    /// Fetches the message.
    fn load(self, store: &mut dyn Store) -> Result<Queued, Unreadable> {
        let message = store.fetch(self.body)?;
        Ok(self.load_from(message))
    }

    pub(super) fn load_from(self, message: Arc<Message>) -> Queued {
        Queued {
            message,
            copy: self.copy,
            body: self.body,
            ids: self.ids,
            qos: self.qos,
            retain: self.retain,
            group: self.group,
        }
    }
}

impl Taken {
    pub(super) const fn copy(&self) -> Commit {
        match self {
            Self::Loaded(queued) => queued.copy,
            Self::Stored(stored) => stored.copy,
        }
    }

    pub(super) const fn qos(&self) -> QoS {
        match self {
            Self::Loaded(queued) => queued.qos,
            Self::Stored(stored) => stored.qos,
        }
    }

    pub(super) const fn group(&self) -> Option<GroupId> {
        match self {
            Self::Loaded(queued) => queued.group,
            Self::Stored(stored) => stored.group,
        }
    }

    pub(super) fn size(&self) -> u64 {
        match self {
            Self::Loaded(queued) => queued.size(),
            Self::Stored(stored) => stored.size,
        }
    }

    /// Whether it has expired at `now`; of one in the store that is known to a second.
    pub(super) fn expired(&self, now: Instant) -> bool {
        match self {
            Self::Loaded(queued) => queued.message.expired(now),
            Self::Stored(stored) => stored.expires.is_some_and(|expires| expires <= now),
        }
    }

    /// Fetches the message if need be.
    pub(super) fn load(self, store: &mut dyn Store) -> Result<Queued, Unreadable> {
        match self {
            Self::Loaded(queued) => Ok(queued),
            Self::Stored(stored) => stored.load(store),
        }
    }
}

impl View {
    /// Whether it has expired at `now`; of one in the store that is known to a second.
    pub(super) fn expired(&self, now: Instant) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }
}

/// What of a queue stays in memory although the store has it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Needed {
    /// Nothing: there is no connection.
    Nothing,
    /// What is in flight, and the next few messages behind that: from this place on delivery has not begun.
    From(Seq),
}

impl Queue {
    /// Empty places that are not worth closing up for.
    const GAPS: usize = 64;
    /// Messages and bytes behind what is in flight that stay in memory: about a window's worth.
    const WINDOW: (usize, u64) = (64, 64 * 1024);
    /// A sequence of so many places grows by an eighth; shorter ones double.
    const LONG: usize = 1024;

    /// An empty queue that goes on where an earlier one ended.
    pub(super) fn starting_at(next: Seq) -> Self {
        Self {
            first: next.0,
            next: next.0,
            ..Self::default()
        }
    }

    /// The place of the next message.
    pub(super) const fn end(&self) -> Seq {
        Seq(self.next)
    }

    pub(super) const fn len(&self) -> usize {
        self.live
    }

    /// How many of its messages are in memory.
    #[cfg(test)]
    pub(super) const fn in_memory(&self) -> usize {
        self.loaded.len()
    }

    /// What stands at a place.
    #[cfg(test)]
    pub(super) fn peek(&self, seq: Seq) -> Option<Taken> {
        let slot = self.slot(seq)?;
        match slot.kind() {
            Kind::Loaded(index) => Some(Taken::Loaded(self.loaded[index].queued.clone())),
            Kind::Stored => Some(Taken::Stored(slot.unpack(self.terms.as_deref()))),
            Kind::Empty => None,
        }
    }

    /// Whether a message of QoS 0 waits, which later ones must not overtake.
    pub(super) const fn holds_at_most_once(&self) -> bool {
        self.at_most_once > 0
    }

    /// Bytes of the messages in it, wherever they are; a message that several sessions share counts in each.
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether a place is left: a client that acknowledges all but one message for 2^36 messages has used them up.
    pub(super) const fn has_place(&self) -> bool {
        self.next - self.first < SPAN
    }

    pub(super) fn push(&mut self, queued: Queued) -> Seq {
        self.at_most_once += usize::from(queued.qos == QoS::AtMostOnce);
        self.fetches |= queued.body != Commit::default();
        let (size, expires) = (queued.size(), queued.message.expires);
        let place = self.next;
        let index = self.loaded.len();
        if index >= Self::LONG && index == self.loaded.capacity() {
            self.loaded.reserve_exact(index / 8);
        }
        self.loaded.push(Loaded { place, queued });
        self.loaded_bytes += size;
        self.append(Slot::loaded(place, index), size, expires)
    }

    /// Appends a message that is only in the store. Gives it back when its numbers are too far apart for a slot: load it then, and
    /// [`push`](Self::push) it.
    pub(super) fn push_stored(&mut self, stored: Stored) -> Result<Seq, Stored> {
        let Some(slot) = Slot::stored(self.next, &stored, &mut self.terms) else {
            return Err(stored);
        };
        self.fetches = true;
        Ok(self.append(slot, slot.size(), slot.expires()))
    }

    fn append(&mut self, slot: Slot, size: u64, expires: Option<Instant>) -> Seq {
        self.bytes += size;
        self.live += 1;
        if let Some(expires) = expires {
            self.expires = Some(self.expires.map_or(expires, |known| known.min(expires)));
        }
        self.slots.push_back(slot);
        let seq = Seq(self.next);
        self.next += 1;
        seq
    }

    /// Where `seq` is, or would be.
    #[inline]
    fn find(&self, seq: Seq) -> Result<usize, usize> {
        let at = seq.0.wrapping_sub(self.first) as usize;
        match self.slots.get(at) {
            Some(slot) if slot.is_at(seq.0) => Ok(at),
            _ => self.search(seq),
        }
    }

    fn search(&self, seq: Seq) -> Result<usize, usize> {
        if seq.0 >= self.next {
            return Err(self.slots.len());
        }
        self.slots.search(&seq.0, |slot| slot.place(self.next))
    }

    fn slot(&self, seq: Seq) -> Option<Slot> {
        self.slots.get(self.find(seq).ok()?).copied()
    }

    /// The message of a place, if it is in memory.
    pub(super) fn get(&self, seq: Seq) -> Option<&Queued> {
        match self.slot(seq)?.kind() {
            Kind::Loaded(index) => Some(&self.loaded.get(index)?.queued),
            Kind::Stored | Kind::Empty => None,
        }
    }

    /// Fetches the message of a place if need be, and says [at](Self::at) which index it is in memory; `None` when there is none.
    #[inline]
    pub(super) fn load(
        &mut self,
        seq: Seq,
        store: &mut dyn Store,
    ) -> Result<Option<usize>, Unreadable> {
        let Ok(at) = self.find(seq) else {
            return Ok(None);
        };
        let Some(slot) = self.slots.get(at) else {
            return Ok(None);
        };
        match slot.kind() {
            Kind::Loaded(index) => Ok(Some(index)),
            Kind::Stored => self.load_at(at, *slot, store).map(Some),
            Kind::Empty => Ok(None),
        }
    }

    /// The message at an index that [`load`](Self::load) has said, until anything is put in or taken out.
    #[inline]
    pub(super) fn at(&self, index: usize) -> Option<&Queued> {
        Some(&self.loaded.get(index)?.queued)
    }

    #[cold]
    fn load_at(
        &mut self,
        at: usize,
        slot: Slot,
        store: &mut dyn Store,
    ) -> Result<usize, Unreadable> {
        let queued = slot.unpack(self.terms.as_deref()).load(store)?;
        let (place, index, size) = (slot.place(self.next), self.loaded.len(), queued.size());
        self.loaded.push(Loaded { place, queued });
        self.loaded_bytes += size;
        // The same, unless a restart was told another size.
        self.bytes = self.bytes - slot.size() + size;
        if let Some(slot) = self.slots.get_mut(at) {
            *slot = Slot::loaded(place, index);
        }
        self.forget_terms();
        Ok(index)
    }

    /// The number of the record that queued the message of a place.
    pub(super) fn copy(&self, seq: Seq) -> Option<Commit> {
        let slot = self.slot(seq)?;
        match slot.kind() {
            Kind::Loaded(index) => Some(self.loaded.get(index)?.queued.copy),
            Kind::Stored => Some(slot.copy()),
            Kind::Empty => None,
        }
    }

    /// Notes which group chose this session for the message of a place. Says whether it could: a slot has room for some thousands of
    /// different groups and sets of identifiers. Where it has not, [load](Self::load) the message first.
    pub(super) fn set_group(&mut self, seq: Seq, group: GroupId) -> bool {
        let Ok(at) = self.find(seq) else { return false };
        let Some(slot) = self.slots.get_mut(at) else {
            return false;
        };
        match slot.kind() {
            Kind::Loaded(index) => {
                if let Some(loaded) = self.loaded.get_mut(index) {
                    loaded.queued.group = Some(group);
                }
                true
            }
            Kind::Stored => {
                let stored = Stored {
                    group: Some(group),
                    ..slot.unpack(self.terms.as_deref())
                };
                let changed = Slot::stored(slot.place(self.next), &stored, &mut self.terms);
                if let Some(changed) = changed {
                    *slot = changed;
                }
                changed.is_some()
            }
            Kind::Empty => false,
        }
    }

    /// The first message at or after `from`.
    #[inline]
    pub(super) fn next(&self, from: Seq) -> Option<Seq> {
        if from.0 >= self.next {
            return None;
        }
        let (Ok(at) | Err(at)) = self.find(from);
        self.slots
            .iter_from(at)
            .find(|slot| !slot.is_empty())
            .map(|slot| Seq(slot.place(self.next)))
    }

    /// What is to be known of the message of a place.
    #[cfg(test)]
    pub(super) fn view(&self, seq: Seq) -> Option<View> {
        self.view_of(self.slot(seq)?)
    }

    fn view_of(&self, slot: Slot) -> Option<View> {
        match slot.kind() {
            Kind::Loaded(index) => Some(self.loaded.get(index)?.queued.view()),
            Kind::Stored => Some(View {
                qos: slot.qos(),
                group: slot.group(self.terms.as_deref()),
                expires: slot.expires(),
            }),
            Kind::Empty => None,
        }
    }

    /// Takes a message out.
    pub(super) fn take(&mut self, seq: Seq) -> Option<Taken> {
        let at = self.find(seq).ok()?;
        let taken = self.take_at(at)?;
        self.close_up();
        Some(taken)
    }

    fn take_at(&mut self, at: usize) -> Option<Taken> {
        let slot = self.slots.get_mut(at)?;
        let was = *slot;
        let (taken, size) = match was.kind() {
            Kind::Empty => return None,
            Kind::Loaded(index) => {
                slot.clear();
                let queued = self.unload(index)?;
                let size = queued.size();
                (Taken::Loaded(queued), size)
            }
            Kind::Stored => {
                slot.clear();
                let stored = was.unpack(self.terms.as_deref());
                (Taken::Stored(stored), was.size())
            }
        };
        self.live -= 1;
        self.at_most_once -= usize::from(taken.qos() == QoS::AtMostOnce);
        self.bytes -= size;
        Some(taken)
    }

    /// Takes a message out of memory; the last one there gets its index.
    fn unload(&mut self, index: usize) -> Option<Queued> {
        if index >= self.loaded.len() {
            return None;
        }
        let Loaded { queued, .. } = self.loaded.swap_remove(index);
        self.loaded_bytes -= queued.size();
        if let Some(moved) = self.loaded.get(index)
            && let Ok(at) = self.find(Seq(moved.place))
            && let Some(slot) = self.slots.get_mut(at)
        {
            slot.moved_to(index);
        }
        Some(queued)
    }

    /// Takes out, from `from` on, every message for which `test` says so.
    pub(super) fn take_if(
        &mut self,
        from: Seq,
        test: impl Fn(&View) -> bool,
        mut taken: impl FnMut(Taken),
    ) {
        let (Ok(at) | Err(at)) = self.find(from);
        for index in at..self.slots.len() {
            let view = self
                .slots
                .get(index)
                .and_then(|slot| self.view_of(*slot))
                .filter(&test);
            if view.is_some()
                && let Some(found) = self.take_at(index)
            {
                taken(found);
            }
        }
        self.close_up();
    }

    /// Takes out what has expired, from `from` on: delivery of what stands before has begun.
    pub(super) fn take_expired(&mut self, from: Seq, now: Instant, taken: impl FnMut(Taken)) {
        if self.expires.is_none_or(|expires| expires > now) {
            return;
        }
        self.take_if(from, |view| view.expired(now), taken);
        // What has begun does not expire any more, so it must not bring us here again and again.
        let (Ok(at) | Err(at)) = self.find(from);
        self.expires = self
            .slots
            .iter_from(at)
            .filter_map(|slot| self.view_of(*slot)?.expires)
            .min();
    }

    /// Whether so much is in memory that [putting away](Self::put_away) is worth its while. It goes through what is in memory, so that must
    /// have doubled since it was last there.
    pub(super) fn wants_putting_away(&mut self, needed: Needed) -> bool {
        if !self.fetches {
            return false;
        }
        self.residue.0 = self.residue.0.min(self.loaded.len());
        self.residue.1 = self.residue.1.min(self.loaded_bytes);
        let (messages, bytes) = (2 * self.residue.0, 2 * self.residue.1);
        match needed {
            Needed::Nothing => self.loaded.len() > messages,
            Needed::From(cursor) => {
                let behind = self.next.saturating_sub(cursor.0);
                (behind > Self::WINDOW.0 as u64 && self.loaded.len() > messages + Self::WINDOW.0)
                    || (behind > 1 && self.loaded_bytes > bytes + Self::WINDOW.1)
            }
        }
    }

    /// Takes out of memory what the store has up to `kept`, but for what is needed. Gives the number that the store has to reach for the
    /// rest, if any waits for that.
    pub(super) fn put_away(&mut self, needed: Needed, kept: Commit) -> Option<Commit> {
        let from = match needed {
            Needed::Nothing => 0,
            Needed::From(cursor) => self.behind_window(cursor),
        };
        let (mut waits, mut stays, mut bytes) = (None, 0, 0);
        let mut index = 0;
        while let Some(Loaded { place, queued }) = self.loaded.get(index) {
            let (place, size) = (*place, queued.size());
            if place >= from && queued.body != Commit::default() {
                if queued.copy > kept && !cfg!(mutation = "put-away-early") {
                    waits = waits.max(Some(queued.copy));
                    index += 1;
                    continue;
                }
                if let Some(slot) = Slot::stored(place, &queued.stored(), &mut self.terms) {
                    self.store_at(place, index, slot);
                    continue;
                }
            }
            stays += 1;
            bytes += size;
            index += 1;
        }
        self.residue = (stays, bytes);
        self.shrink_loaded();
        waits
    }

    fn store_at(&mut self, place: u64, index: usize, slot: Slot) {
        let Ok(at) = self.find(Seq(place)) else {
            return;
        };
        let Some(queued) = self.unload(index) else {
            return;
        };
        debug_assert_eq!(
            queued.size(),
            slot.size(),
            "it counts the same wherever it is"
        );
        if let Some(known) = self.slots.get_mut(at) {
            *known = slot;
        }
    }

    /// The first place after the messages that are sent next.
    fn behind_window(&self, cursor: Seq) -> u64 {
        let (Ok(at) | Err(at)) = self.find(cursor);
        let (mut messages, mut bytes) = (0, 0);
        for slot in self.slots.iter_from(at) {
            let size = match slot.kind() {
                Kind::Empty => continue,
                Kind::Loaded(index) => self
                    .loaded
                    .get(index)
                    .map_or(0, |loaded| loaded.queued.size()),
                Kind::Stored => slot.size(),
            };
            messages += 1;
            bytes += size;
            // The very next one stays, however large it is.
            if messages > Self::WINDOW.0 || (messages > 1 && bytes > Self::WINDOW.1) {
                return slot.place(self.next);
            }
        }
        self.next
    }

    /// Closes gaps, so that neither the first message, if it is never acknowledged, nor an earlier flood keeps memory for long.
    fn close_up(&mut self) {
        while self.slots.front().is_some_and(|slot| slot.is_empty()) {
            self.slots.pop_front();
        }
        let first = self.slots.front();
        self.first = first.map_or(self.next, |slot| slot.place(self.next));
        if self.slots.len() > 2 * self.live + Self::GAPS {
            self.slots.retain(|slot| !slot.is_empty());
        }
        self.slots.shrink();
        self.shrink_loaded();
        self.forget_terms();
    }

    fn shrink_loaded(&mut self) {
        if self.loaded.capacity() > Self::GAPS && self.loaded.len() < self.loaded.capacity() / 8 {
            self.loaded.shrink_to(self.loaded.len() * 2);
        }
    }

    fn forget_terms(&mut self) {
        if self.terms.is_some() && self.live == self.loaded.len() {
            self.terms = None;
        }
    }
}
