//! The copies that wait for one receiver, in twelve bytes each: a broker may have millions of them.

use std::collections::BTreeMap;

use mqtt_codec::QoS;

use super::super::chunks::Chunks;
use super::super::message::Ids;

/// A copy of a message that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Copy {
    /// The number under which its message is kept.
    pub(crate) body: u64,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
    pub(crate) ids: Ids,
    /// The group that chose the session, by the number with which it began.
    pub(crate) group: Option<u64>,
}

/// Copies by their number, in ascending order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Copies {
    /// The first is not [gone](GONE); at most half of the others are, a few aside.
    slots: Chunks<Slot>,
    /// Those that are not gone.
    live: usize,
    /// What is said of copies beyond their flags: few different things, mostly nothing.
    terms: Vec<Terms>,
    /// For copies that found no place in that list.
    odd: BTreeMap<u64, Terms>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Terms {
    ids: Ids,
    group: Option<u64>,
    /// The body, when its distance does not fit.
    body: Option<u64>,
}

/// Number (48 bits), flags (16 bits), and how far before the number the body is.
#[derive(Clone, Copy, Debug)]
struct Slot {
    low: u32,
    high: u16,
    flags: u16,
    back: u32,
}

const EXACTLY_ONCE: u16 = 1;
const RETAIN: u16 = 2;
/// Where the place in the list of terms begins; 0 is none.
const TERMS: u32 = 2;
/// Places in that list.
const PLACES: usize = 255;
/// The place of those in the map.
const ODD: u16 = PLACES as u16 + 1;
/// It was taken out.
const GONE: u16 = 1 << 15;
/// Gaps that are not worth closing up for.
const GAPS: usize = 64;

impl Slot {
    const fn number(self) -> u64 {
        (self.high as u64) << 32 | self.low as u64
    }

    const fn is_gone(self) -> bool {
        self.flags & GONE != 0
    }
}

impl Copies {
    pub(crate) const fn len(&self) -> usize {
        self.live
    }

    fn find(&self, number: u64) -> Result<usize, usize> {
        // Most come at the end, and most go at the front.
        match self.slots.back() {
            None => return Err(0),
            Some(last) if last.number() < number => return Err(self.slots.len()),
            Some(_) => {}
        }
        if self
            .slots
            .front()
            .is_some_and(|first| first.number() == number)
        {
            return Ok(0);
        }
        self.slots.search(&number, |slot| slot.number())
    }

    fn slot(&self, number: u64) -> Option<(usize, Slot)> {
        let at = self.find(number).ok()?;
        let slot = self.slots.get(at).filter(|slot| !slot.is_gone())?;
        Some((at, *slot))
    }

    pub(crate) fn contains(&self, number: u64) -> bool {
        self.slot(number).is_some()
    }

    /// Puts a copy in its place. Nothing happens when there is one of this number.
    pub(crate) fn insert(&mut self, number: u64, copy: Copy) {
        let at = match self.find(number) {
            Ok(at) if self.slots.get(at).is_none_or(|slot| !slot.is_gone()) => return,
            at => at,
        };
        let back = number
            .checked_sub(copy.body)
            .and_then(|back| u32::try_from(back).ok());
        let mut flags = 0;
        if copy.qos == QoS::ExactlyOnce {
            flags |= EXACTLY_ONCE;
        }
        if copy.retain {
            flags |= RETAIN;
        }
        let terms = Terms {
            ids: copy.ids,
            group: copy.group,
            body: back.is_none().then_some(copy.body),
        };
        flags |= self.place(number, terms) << TERMS;
        let slot = Slot {
            low: number as u32,
            high: (number >> 32) as u16,
            flags,
            back: back.unwrap_or(0),
        };
        match at {
            Ok(at) => {
                if let Some(gone) = self.slots.get_mut(at) {
                    *gone = slot;
                }
            }
            Err(at) => self.slots.insert(at, slot),
        }
        self.live += 1;
    }

    fn place(&mut self, number: u64, terms: Terms) -> u16 {
        let nothing = terms.ids == Ids::None && terms.group.is_none() && terms.body.is_none();
        if nothing {
            return 0;
        }
        if let Some(at) = self.terms.iter().rposition(|known| *known == terms) {
            return at as u16 + 1;
        }
        if self.terms.len() < PLACES {
            self.terms.push(terms);
            return self.terms.len() as u16;
        }
        self.odd.insert(number, terms);
        ODD
    }

    fn copy(&self, slot: Slot) -> Copy {
        let number = slot.number();
        let place = slot.flags >> TERMS;
        let terms = match place {
            0 => None,
            ODD => self.odd.get(&number),
            place => self.terms.get(usize::from(place) - 1),
        };
        let body = terms.and_then(|terms| terms.body);
        Copy {
            body: body.unwrap_or_else(|| number - u64::from(slot.back)),
            qos: if slot.flags & EXACTLY_ONCE != 0 {
                QoS::ExactlyOnce
            } else {
                QoS::AtLeastOnce
            },
            retain: slot.flags & RETAIN != 0,
            ids: terms.map_or(Ids::None, |terms| terms.ids.clone()),
            group: terms.and_then(|terms| terms.group),
        }
    }

    pub(crate) fn get(&self, number: u64) -> Option<Copy> {
        let (_, slot) = self.slot(number)?;
        Some(self.copy(slot))
    }

    /// Takes a copy out.
    pub(crate) fn remove(&mut self, number: u64) -> Option<Copy> {
        let (at, slot) = self.slot(number)?;
        let copy = self.copy(slot);
        if slot.flags >> TERMS == ODD {
            self.odd.remove(&number);
        }
        self.live -= 1;
        if self.live == 0 {
            *self = Self::default();
            return Some(copy);
        }
        if let Some(slot) = self.slots.get_mut(at) {
            slot.flags |= GONE;
        }
        self.close_up();
        Some(copy)
    }

    fn close_up(&mut self) {
        while self.slots.front().is_some_and(|slot| slot.is_gone()) {
            self.slots.pop_front();
        }
        if self.slots.len() > 2 * self.live + GAPS {
            self.slots.retain(|slot| !slot.is_gone());
        }
        self.slots.shrink();
    }

    /// All of them, in ascending order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, Copy)> + '_ {
        self.slots
            .iter_from(0)
            .filter(|slot| !slot.is_gone())
            .map(|slot| (slot.number(), self.copy(*slot)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mqtt_codec::SubscriptionId;

    fn copy(body: u64, id: u32, group: Option<u64>) -> Copy {
        Copy {
            body,
            qos: if body.is_multiple_of(2) {
                QoS::AtLeastOnce
            } else {
                QoS::ExactlyOnce
            },
            retain: body.is_multiple_of(3),
            ids: Ids::one(SubscriptionId::new(id)),
            group,
        }
    }

    /// Against a map: whatever order copies come and go in, however far their bodies are, however many different terms they have.
    #[test]
    fn it_is_a_map_of_copies() {
        let mut random = 0x9E37_79B9_u64;
        let mut next = move || {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            random >> 33
        };
        for round in 0..50 {
            let (mut copies, mut map) = (Copies::default(), BTreeMap::new());
            let mut latest = if round % 2 == 0 { 1 } else { 1 << 40 };
            for _ in 0..2_000 {
                let number = latest + next() % 8;
                latest = number;
                let back = if next() % 9 == 0 {
                    next() % number
                } else {
                    next() % 5
                };
                let group = (next() % 4 == 0).then(|| next() % 3);
                let copy = copy(number.saturating_sub(back), (next() % 600) as u32, group);
                let out_of_order = number.saturating_sub(next() % 20);
                map.entry(out_of_order).or_insert_with(|| {
                    copies.insert(out_of_order, copy.clone());
                    copy
                });
                if next() % 3 == 0 {
                    let front = *map.keys().next().unwrap();
                    let gone = if next() % 2 == 0 { front } else { out_of_order };
                    assert_eq!(copies.remove(gone), map.remove(&gone));
                    assert!(!copies.contains(gone));
                }
                assert_eq!(copies.len(), map.len());
            }
            let all: Vec<_> = copies.iter().collect();
            assert_eq!(all, map.into_iter().collect::<Vec<_>>());
            assert_eq!(size_of::<Slot>(), 12);
        }
    }

    /// A million of them take little more than a million slots.
    #[test]
    fn a_long_queue_has_little_room_to_spare() {
        let mut copies = Copies::default();
        for number in 0..1_050_000 {
            copies.insert(
                number,
                Copy {
                    ids: Ids::None,
                    ..copy(number, 0, None)
                },
            );
        }
        assert!(
            copies.slots.capacity() < 1_051_000,
            "{}",
            copies.slots.capacity()
        );
        for number in 0..1_000_000 {
            copies.remove(number).unwrap();
        }
        assert!(
            copies.slots.capacity() < 51_000,
            "{}",
            copies.slots.capacity()
        );
    }
}
