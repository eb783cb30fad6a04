//! What a queue keeps of a message in 24 bytes: where the message is in memory, or what is needed to get it from the store.

use mqtt_codec::QoS;
use mqtt_session::{Commit, Instant};

use super::super::ids::GroupId;
use super::super::message::Ids;
use super::Stored;

/// A place in a queue.
///
/// ```text
///  named   copy 48 bits | terms 12 | retain 1 | exactly once 1 | kind 2
///  placed  size in bytes 28 bits | place 36, modulo 2^36
///  at      stored: how far the body's number is behind the copy's; loaded: the index among those in memory
///  expires in seconds of the store's clock, rounded up; 0 is never, or too far away to be said
/// ```
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    named: u64,
    placed: u64,
    at: u32,
    expires: u32,
}

/// Where the message of a place is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It was taken out.
    Empty,
    /// In memory, at this index.
    Loaded(usize),
    /// In the store.
    Stored,
}

const EMPTY: u64 = 0;
const LOADED: u64 = 1;
const STORED: u64 = 2;
const KIND: u64 = 3;
const EXACTLY_ONCE: u64 = 1 << 2;
const RETAIN: u64 = 1 << 3;
const TERMS_SHIFT: u32 = 4;
const COPY_SHIFT: u32 = 16;
const SIZE_SHIFT: u32 = 36;
const PLACE: u64 = (1 << SIZE_SHIFT) - 1;

/// First and last place of a queue are never further apart than this.
pub(super) const SPAN: u64 = PLACE;

impl Slot {
    pub(super) const fn loaded(place: u64, index: usize) -> Self {
        Self {
            named: LOADED,
            placed: place & PLACE,
            at: index as u32,
            expires: 0,
        }
    }

    /// `None` when a number does not fit; then the message has to stay in memory.
    pub(super) fn stored(
        place: u64,
        message: &Stored,
        terms: &mut Option<Box<Terms>>,
    ) -> Option<Self> {
        let exactly_once = match message.qos {
            QoS::AtMostOnce => return None,
            QoS::AtLeastOnce => 0,
            QoS::ExactlyOnce => EXACTLY_ONCE,
        };
        let copy = Some(message.copy.0).filter(|copy| *copy < 1 << (64 - COPY_SHIFT))?;
        let at = u32::try_from(copy.checked_sub(message.body.0)?).ok()?;
        if message.size >= 1 << (64 - SIZE_SHIFT) || message.body == Commit::default() {
            return None;
        }
        let expires = match message.expires {
            None => 0,
            // In more than a hundred years: the message itself says it when it is fetched.
            Some(expires) => u32::try_from(expires.as_millis().div_ceil(1_000).max(1)).unwrap_or(0),
        };
        let number = if message.group.is_none() && message.ids == Ids::None {
            0
        } else {
            let terms = terms.get_or_insert_default();
            terms.number(&message.ids, message.group)?
        };
        let retain = if message.retain { RETAIN } else { 0 };
        Some(Self {
            named: copy << COPY_SHIFT
                | u64::from(number) << TERMS_SHIFT
                | exactly_once
                | retain
                | STORED,
            placed: message.size << SIZE_SHIFT | place & PLACE,
            at,
            expires,
        })
    }

    /// The place, when the place after the last is `next`.
    pub(super) const fn place(self, next: u64) -> u64 {
        next - (next.wrapping_sub(self.placed) & PLACE)
    }

    /// Whether this is that place, if it is in the queue at all.
    pub(super) const fn is_at(self, place: u64) -> bool {
        self.placed & PLACE == place & PLACE
    }

    pub(super) const fn kind(self) -> Kind {
        match self.named & KIND {
            EMPTY => Kind::Empty,
            LOADED => Kind::Loaded(self.at as usize),
            _ => Kind::Stored,
        }
    }

    pub(super) const fn is_empty(self) -> bool {
        self.named & KIND == EMPTY
    }

    pub(super) const fn clear(&mut self) {
        self.named = EMPTY;
    }

    /// Its message has another index now.
    pub(super) const fn moved_to(&mut self, index: usize) {
        self.at = index as u32;
    }

    // What a place is asked whose message is stored.

    pub(super) const fn copy(self) -> Commit {
        Commit(self.named >> COPY_SHIFT)
    }

    pub(super) const fn qos(self) -> QoS {
        if self.named & EXACTLY_ONCE == 0 {
            QoS::AtLeastOnce
        } else {
            QoS::ExactlyOnce
        }
    }

    pub(super) const fn size(self) -> u64 {
        self.placed >> SIZE_SHIFT
    }

    /// Rounded up.
    pub(super) fn expires(self) -> Option<Instant> {
        (self.expires != 0).then(|| Instant::from_millis(u64::from(self.expires) * 1_000))
    }

    const fn terms(self) -> usize {
        (self.named >> TERMS_SHIFT) as usize & (Terms::MOST - 1)
    }

    pub(super) fn group(self, terms: Option<&Terms>) -> Option<GroupId> {
        terms?.get(self.terms())?.1
    }

    pub(super) fn unpack(self, terms: Option<&Terms>) -> Stored {
        let (ids, group) = terms
            .and_then(|terms| terms.get(self.terms()))
            .cloned()
            .unwrap_or_default();
        Stored {
            copy: self.copy(),
            body: Commit(self.copy().0 - u64::from(self.at)),
            qos: self.qos(),
            retain: self.named & RETAIN != 0,
            ids,
            group,
            size: self.size(),
            expires: self.expires(),
        }
    }
}

/// On what terms stored messages of a queue came, each once: most came by the same few subscriptions.
#[derive(Debug, Default)]
pub(super) struct Terms {
    known: Vec<(Ids, Option<GroupId>)>,
    /// Where the latest one was found.
    latest: usize,
}

impl Terms {
    /// Number 0 is for those that have none.
    const MOST: usize = 1 << (COPY_SHIFT - TERMS_SHIFT);

    fn number(&mut self, ids: &Ids, group: Option<GroupId>) -> Option<u16> {
        let same = |known: &(Ids, Option<GroupId>)| known.1 == group && known.0 == *ids;
        if !self.known.get(self.latest).is_some_and(same) {
            self.latest = match self.known.iter().position(same) {
                Some(at) => at,
                None if self.known.len() + 1 >= Self::MOST => return None,
                None => {
                    self.known.push((ids.clone(), group));
                    self.known.len() - 1
                }
            };
        }
        u16::try_from(self.latest + 1).ok()
    }

    fn get(&self, number: usize) -> Option<&(Ids, Option<GroupId>)> {
        self.known.get(number.checked_sub(1)?)
    }
}
