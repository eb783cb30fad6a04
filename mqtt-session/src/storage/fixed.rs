//! Tables of a fixed size inside the session: no allocator.

use core::fmt;
use core::str;

use mqtt_codec::TopicAlias;

use super::{ByteQueue, Deque, NoRoom, Part, Storage, Topics};

/// Storage without an allocator.
///
/// `WINDOW` messages in flight towards the peer, `INBOUND` from it, `ANSWERS` short answers (with 16 reason codes between them), `ALIASES` topic aliases a direction of topics of up to `TOPIC` bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fixed<
    const WINDOW: usize,
    const INBOUND: usize,
    const ANSWERS: usize = 4,
    const ALIASES: usize = 0,
    const TOPIC: usize = 0,
>;

impl<
    const WINDOW: usize,
    const INBOUND: usize,
    const ANSWERS: usize,
    const ALIASES: usize,
    const TOPIC: usize,
> Storage for Fixed<WINDOW, INBOUND, ANSWERS, ALIASES, TOPIC>
{
    type Window<T: Copy + Default + fmt::Debug> = FixedDeque<T, WINDOW>;
    type Inbound<T: Copy + Default + fmt::Debug> = FixedDeque<T, INBOUND>;
    type Answers<T: Copy + Default + fmt::Debug> = FixedDeque<T, ANSWERS>;
    type Codes = FixedBytes<16>;
    type Topics = FixedTopics<ALIASES, TOPIC>;
    type Part<T: Default + fmt::Debug> = Inline<T>;
}

/// A ring of at most `N` elements.
#[derive(Clone, Copy)]
pub struct FixedDeque<T, const N: usize> {
    items: [T; N],
    head: u16,
    len: u16,
}

impl<T: Copy + Default, const N: usize> Default for FixedDeque<T, N> {
    fn default() -> Self {
        const { assert!(N <= u16::MAX as usize / 2) };
        Self {
            items: [T::default(); N],
            head: 0,
            len: 0,
        }
    }
}

impl<T: Copy + Default + fmt::Debug, const N: usize> fmt::Debug for FixedDeque<T, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries((0..self.len()).filter_map(|i| self.get(i)))
            .finish()
    }
}

impl<T, const N: usize> FixedDeque<T, N> {
    fn slot(&self, index: usize) -> usize {
        let slot = self.head as usize + index;
        if slot >= N { slot - N } else { slot }
    }
}

impl<T: Copy + Default + fmt::Debug, const N: usize> Deque<T> for FixedDeque<T, N> {
    const CAPACITY: usize = N;

    fn len(&self) -> usize {
        self.len as usize
    }

    fn push(&mut self, item: T) -> Result<(), NoRoom> {
        if self.len() == N {
            return Err(NoRoom);
        }
        let slot = self.slot(self.len());
        *self.items.get_mut(slot).ok_or(NoRoom)? = item;
        self.len += 1;
        Ok(())
    }

    fn get(&self, index: usize) -> Option<&T> {
        if index < self.len() {
            self.items.get(self.slot(index))
        } else {
            None
        }
    }

    fn get_mut(&mut self, index: usize) -> Option<&mut T> {
        let slot = self.slot(index);
        if index < self.len() {
            self.items.get_mut(slot)
        } else {
            None
        }
    }

    fn remove(&mut self, index: usize) -> Option<T> {
        let item = *self.get(index)?;
        if index == 0 {
            self.head = self.slot(1) as u16;
        } else {
            for at in index + 1..self.len() {
                let moved = *self.get(at)?;
                *self.get_mut(at - 1)? = moved;
            }
        }
        self.len -= 1;
        Some(item)
    }

    fn clear(&mut self) {
        self.head = 0;
        self.len = 0;
    }
}

/// At most `N` bytes.
#[derive(Clone, Copy, Debug)]
pub struct FixedBytes<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Default for FixedBytes<N> {
    fn default() -> Self {
        Self {
            bytes: [0; N],
            len: 0,
        }
    }
}

impl<const N: usize> ByteQueue for FixedBytes<N> {
    const CAPACITY: usize = N;

    fn len(&self) -> usize {
        self.len
    }

    fn push(&mut self, byte: u8) -> Result<(), NoRoom> {
        *self.bytes.get_mut(self.len).ok_or(NoRoom)? = byte;
        self.len += 1;
        Ok(())
    }

    fn front(&self, len: usize) -> &[u8] {
        self.bytes.get(..len.min(self.len)).unwrap_or_default()
    }

    fn consume(&mut self, len: usize) {
        let len = len.min(self.len);
        self.bytes.copy_within(len..self.len, 0);
        self.len -= len;
    }

    fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }
}

/// Topics in slots of a fixed size.
#[derive(Clone, Copy)]
pub struct FixedTopics<const N: usize, const LEN: usize> {
    slots: [(u16, [u8; LEN]); N],
}

impl<const N: usize, const LEN: usize> Default for FixedTopics<N, LEN> {
    fn default() -> Self {
        const { assert!(N < u16::MAX as usize && LEN < u16::MAX as usize) };
        Self {
            slots: [(0, [0; LEN]); N],
        }
    }
}

impl<const N: usize, const LEN: usize> fmt::Debug for FixedTopics<N, LEN> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FixedTopics")
            .field("slots", &N)
            .field("bytes", &LEN)
            .finish()
    }
}

impl<const N: usize, const LEN: usize> Topics for FixedTopics<N, LEN> {
    const CAPACITY: u16 = N as u16;

    fn set(&mut self, alias: TopicAlias, topic: &str) -> Result<(), NoRoom> {
        let (len, bytes) = self
            .slots
            .get_mut(usize::from(alias.get()) - 1)
            .ok_or(NoRoom)?;
        bytes
            .get_mut(..topic.len())
            .ok_or(NoRoom)?
            .copy_from_slice(topic.as_bytes());
        *len = topic.len() as u16;
        Ok(())
    }

    fn fits(&self, topic: &str) -> bool {
        topic.len() <= LEN
    }

    fn get(&self, alias: TopicAlias) -> Option<&str> {
        let (len, bytes) = self.slots.get(usize::from(alias.get()) - 1)?;
        if *len == 0 {
            return None;
        }
        str::from_utf8(bytes.get(..usize::from(*len))?).ok()
    }

    fn clear(&mut self) {
        for (len, _) in &mut self.slots {
            *len = 0;
        }
    }
}

/// A part that is always there.
#[derive(Clone, Copy, Debug, Default)]
pub struct Inline<T>(T);

impl<T: Default + fmt::Debug> Part<T> for Inline<T> {
    fn get(&self) -> Option<&T> {
        Some(&self.0)
    }
    fn get_mut(&mut self) -> Option<&mut T> {
        Some(&mut self.0)
    }
    fn make(&mut self) -> &mut T {
        &mut self.0
    }
    fn drop_part(&mut self) {
        self.0 = T::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_keeps_its_order_across_the_seam() {
        let mut ring = FixedDeque::<u8, 3>::default();
        for item in 1..=3 {
            ring.push(item).unwrap();
        }
        assert_eq!(ring.push(4), Err(NoRoom));
        assert_eq!(ring.pop(), Some(1));
        ring.push(4).unwrap();
        assert_eq!(ring.remove(1), Some(3));
        assert_eq!(
            (ring.get(0), ring.get(1), ring.get(2)),
            (Some(&2), Some(&4), None)
        );
        assert_eq!(ring.position(|&item| item == 4), Some(1));
        assert_eq!(ring.get_mut(1), Some(&mut 4));
        assert_eq!(ring.get_mut(2), None);
        ring.clear();
        assert!(ring.is_empty());
    }

    #[test]
    fn a_topic_that_does_not_fit_its_slot_is_refused() {
        let mut topics = FixedTopics::<2, 4>::default();
        let (one, three) = (TopicAlias::new(1).unwrap(), TopicAlias::new(3).unwrap());
        assert_eq!(topics.set(one, "abcde"), Err(NoRoom));
        assert_eq!(topics.set(three, "a"), Err(NoRoom));
        topics.set(one, "a/b").unwrap();
        assert_eq!(topics.get(one), Some("a/b"));
        assert_eq!(topics.get(three), None);
        topics.clear();
        assert_eq!(topics.get(one), None);
    }
}
