//! The memory behind a session's tables: on the heap, or fixed inside the session.

mod fixed;
#[cfg(feature = "alloc")]
mod heap;

use core::fmt::Debug;

use mqtt_codec::TopicAlias;

pub use fixed::{Fixed, FixedBytes, FixedDeque, FixedTopics, Inline};
#[cfg(feature = "alloc")]
pub use heap::{Heap, HeapBytes, HeapDeque, HeapTopics, OnDemand};

/// No room: a fixed table is full, or a topic is longer than its slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRoom;

/// A sequence that grows at the back; the elements are small and `Copy`.
pub trait Deque<T: Copy>: Default + Debug {
    /// Most elements it can ever hold.
    const CAPACITY: usize;
    /// How many elements there are.
    fn len(&self) -> usize;
    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Appends an element.
    ///
    /// # Errors
    /// [`NoRoom`] when [`CAPACITY`](Self::CAPACITY) elements are in it.
    fn push(&mut self, item: T) -> Result<(), NoRoom>;
    /// The element at `index`, counted from the front.
    fn get(&self, index: usize) -> Option<&T>;
    /// The same, for changing it.
    fn get_mut(&mut self, index: usize) -> Option<&mut T>;
    /// Takes the element at `index` out; the later ones move up.
    fn remove(&mut self, index: usize) -> Option<T>;
    /// The first element.
    fn front(&self) -> Option<&T> {
        self.get(0)
    }
    /// Takes the first element out.
    fn pop(&mut self) -> Option<T> {
        self.remove(0)
    }
    /// Empties it.
    fn clear(&mut self);
    /// The first index whose element satisfies `test`; elements are looked at in order.
    fn position(&self, mut test: impl FnMut(&T) -> bool) -> Option<usize> {
        (0..self.len()).find(|&index| self.get(index).is_some_and(&mut test))
    }
}

/// Bytes that are appended at the back and consumed at the front.
pub trait ByteQueue: Default + Debug {
    /// Most bytes it can ever hold.
    const CAPACITY: usize;
    /// How many bytes there are.
    fn len(&self) -> usize;
    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Appends one byte.
    ///
    /// # Errors
    /// [`NoRoom`] when it is full.
    fn push(&mut self, byte: u8) -> Result<(), NoRoom>;
    /// The first `len` bytes, or all if there are fewer.
    fn front(&self, len: usize) -> &[u8];
    /// Drops the first `len` bytes.
    fn consume(&mut self, len: usize);
    /// Drops all after the first `len` bytes.
    fn truncate(&mut self, len: usize);
}

/// Topics that aliases stand for: one slot for each number from 1 to the capacity.
pub trait Topics: Default + Debug {
    /// Highest alias number that has a slot.
    const CAPACITY: u16;
    /// Lets `alias` stand for `topic` from now on.
    ///
    /// # Errors
    /// [`NoRoom`] when the alias has no slot or the topic does not fit it.
    fn set(&mut self, alias: TopicAlias, topic: &str) -> Result<(), NoRoom>;
    /// Whether a slot could hold `topic`.
    fn fits(&self, topic: &str) -> bool;
    /// The topic that `alias` stands for.
    fn get(&self, alias: TopicAlias) -> Option<&str>;
    /// Forgets all.
    fn clear(&mut self);
}

/// A part that many sessions never use and that then takes next to no memory.
pub trait Part<T: Default>: Default + Debug {
    /// The part, if it is there.
    fn get(&self) -> Option<&T>;
    /// The part for changing it, if it is there.
    fn get_mut(&mut self) -> Option<&mut T>;
    /// The part, made now if need be.
    fn make(&mut self) -> &mut T;
    /// Gives the memory back; the part is as new when it is made again.
    fn drop_part(&mut self);
}

/// Where a session's tables live.
pub trait Storage: Debug {
    /// Messages in flight towards the peer.
    type Window<T: Copy + Default + Debug>: Deque<T>;
    /// QoS 2 ids, and acknowledgements owed, of messages from the peer.
    type Inbound<T: Copy + Default + Debug>: Deque<T>;
    /// Short answers that wait for their turn.
    type Answers<T: Copy + Default + Debug>: Deque<T>;
    /// Reason codes of SUBACK and UNSUBACK that wait for their turn.
    type Codes: ByteQueue;
    /// Topics of aliases, one table for each direction.
    type Topics: Topics;
    /// A part that may be absent.
    type Part<T: Default + Debug>: Part<T>;
}
