//! Packet ids: which one is free next.

use mqtt_codec::PacketId;

use crate::rules::next_packet_id;

/// Hands out packet ids in ring order 1, 2, … 65,535, 1, … and skips those in use [MQTT-2.2.1-3], [MQTT-2.2.1-4].
///
/// It remembers how many ids ahead are known to be free, so that the tables are searched once per round trip of the ring, not once per
/// message.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PacketIds {
    last: u16,
    known_free: u16,
}

impl PacketIds {
    /// The next free id. `nearest(last)` tells the smallest [`distance`] from `last` to an id in use; 65,535 also says that there is none.
    ///
    /// `None` when all 65,535 are taken.
    pub(crate) fn take(&mut self, mut nearest: impl FnMut(u16) -> u16) -> Option<PacketId> {
        for _ in 0..=u16::MAX {
            if self.known_free > 0 {
                self.last = after(self.last);
                self.known_free -= 1;
                return PacketId::new(self.last);
            }
            match nearest(self.last) {
                1 => self.last = after(self.last),
                distance => self.known_free = distance - 1,
            }
        }
        None
    }

    /// An id was taken into use by other means (a restored session).
    pub(crate) fn taken(&mut self, id: PacketId) {
        self.last = id.get();
        self.known_free = 0;
    }
}

const fn after(id: u16) -> u16 {
    next_packet_id(id).get()
}

/// How many steps of the ring lead from `from` to `to`: 1..=65,535.
pub(crate) const fn distance(from: u16, to: u16) -> u16 {
    if to > from {
        to - from
    } else {
        u16::MAX - from + to
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;
    extern crate alloc;

    fn nearest(used: &BTreeSet<u16>) -> impl FnMut(u16) -> u16 + '_ {
        |from| {
            let distances = used.iter().map(|&id| distance(from, id));
            distances.min().unwrap_or(u16::MAX)
        }
    }

    /// A free, non-zero id is chosen, also after the ring has wrapped [MQTT-2.2.1-3].
    #[test]
    fn ids_wrap_and_skip_those_in_use() {
        let mut ids = PacketIds::default();
        let mut used = BTreeSet::from([3, 4]);
        let mut taken = |used: &BTreeSet<u16>| ids.take(nearest(used)).unwrap().get();
        assert_eq!(taken(&used), 1);
        // The message with id 1 stays in flight; those after it end at once.
        used.insert(1);
        assert_eq!([taken(&used), taken(&used)], [2, 5]);
        let mut last = 0;
        for _ in 0..65_530 {
            last = taken(&used);
        }
        assert_eq!(last, 65_535);
        assert_eq!([taken(&used), taken(&used)], [2, 5]);
    }

    #[test]
    fn a_full_ring_gives_none() {
        let used: BTreeSet<u16> = (1..=u16::MAX).collect();
        assert_eq!(
            PacketIds::default().take(|from| if used.contains(&after(from)) { 1 } else { 2 }),
            None
        );
    }
}
