//! Numbers that name connections, sessions and whoever else receives messages.

use core::fmt;

/// A connection of one worker; the generation keeps a key of an earlier connection from reaching a later one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ConnId {
    /// A dense number, used again after the connection has ended.
    pub slot: u32,
    /// How often the slot was used before.
    pub generation: u32,
}

/// A session at its home worker.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SessionKey {
    /// A dense number, used again after the session has ended.
    pub slot: u32,
    /// How often the slot was used before, modulo 2^20.
    pub generation: u32,
}

/// A subscriber inside this process.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LocalId(pub u32);

/// A group of sessions that share a subscription.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct GroupId {
    /// A dense number, used again after the group has ended.
    pub slot: u32,
    /// How often the slot was used before, modulo 2^30: what was meant for an ended group never reaches a later one.
    pub generation: u32,
}

/// Who receives messages: the key of the subscription index, packed into eight bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subscriber(u64);

/// What a [`Subscriber`] stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Receiver {
    /// A session at that worker.
    Session {
        /// Its home.
        worker: u16,
        /// Its key there.
        key: SessionKey,
    },
    /// A shared group.
    Group(GroupId),
    /// A subscriber inside this process.
    Local(LocalId),
}

const KIND: u32 = 62;
const WORKER: u32 = 52;
const GENERATION: u32 = 32;
/// Generations of sessions count modulo this.
pub(super) const GENERATIONS: u32 = 1 << (WORKER - GENERATION);
/// Generations of groups count modulo this.
pub(super) const GROUP_GENERATIONS: u32 = 1 << (KIND - GENERATION);
/// Workers that a subscriber can name.
pub const WORKERS_MAX: u16 = 1 << (KIND - WORKER);

impl Subscriber {
    /// Nobody: the publisher of what the broker itself publishes.
    pub const BROKER: Self = Self(u64::MAX);

    /// A session.
    #[must_use]
    pub const fn session(worker: u16, key: SessionKey) -> Self {
        Self(
            ((worker as u64) << WORKER)
                | (((key.generation % GENERATIONS) as u64) << GENERATION)
                | key.slot as u64,
        )
    }

    /// A shared group.
    #[must_use]
    pub const fn group(id: GroupId) -> Self {
        Self(
            (1 << KIND)
                | (((id.generation % GROUP_GENERATIONS) as u64) << GENERATION)
                | id.slot as u64,
        )
    }

    /// A subscriber inside this process.
    #[must_use]
    pub const fn local(id: LocalId) -> Self {
        Self((2 << KIND) | id.0 as u64)
    }

    /// The eight bytes, for a store.
    pub(crate) const fn to_bits(self) -> u64 {
        self.0
    }

    /// From what [`to_bits`](Self::to_bits) gave.
    pub(crate) const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// What it stands for; `None` for [`BROKER`](Self::BROKER).
    #[must_use]
    pub const fn receiver(self) -> Option<Receiver> {
        let slot = self.0 as u32;
        match self.0 >> KIND {
            0 => Some(Receiver::Session {
                worker: (self.0 >> WORKER) as u16 & (WORKERS_MAX - 1),
                key: SessionKey {
                    slot,
                    generation: (self.0 >> GENERATION) as u32 & (GENERATIONS - 1),
                },
            }),
            1 => Some(Receiver::Group(GroupId {
                slot,
                generation: (self.0 >> GENERATION) as u32 & (GROUP_GENERATIONS - 1),
            })),
            2 => Some(Receiver::Local(LocalId(slot))),
            _ => None,
        }
    }
}

impl fmt::Debug for Subscriber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.receiver() {
            Some(receiver) => receiver.fmt(f),
            None => f.write_str("Broker"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subscriber_gives_back_what_went_in() {
        let key = SessionKey {
            slot: u32::MAX,
            generation: GENERATIONS - 1,
        };
        let session = Subscriber::session(WORKERS_MAX - 1, key);
        assert_eq!(
            session.receiver(),
            Some(Receiver::Session {
                worker: WORKERS_MAX - 1,
                key
            })
        );
        let group = GroupId {
            slot: 7,
            generation: GROUP_GENERATIONS - 1,
        };
        assert_eq!(
            Subscriber::group(group).receiver(),
            Some(Receiver::Group(group))
        );
        // Generations that do not fit any more begin again, and nothing else changes by them.
        let later = GroupId {
            slot: 7,
            generation: GROUP_GENERATIONS + 2,
        };
        let again = GroupId {
            slot: 7,
            generation: 2,
        };
        assert_eq!(Subscriber::group(later), Subscriber::group(again));
        assert_eq!(
            Subscriber::local(LocalId(9)).receiver(),
            Some(Receiver::Local(LocalId(9)))
        );
        assert_eq!(Subscriber::BROKER.receiver(), None);
    }
}
