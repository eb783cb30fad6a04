//! Tables on the heap: an idle session owns none.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::fmt::Debug;

use mqtt_codec::TopicAlias;

use super::{ByteQueue, Deque, NoRoom, Part, Storage, Topics};

/// Storage on the heap; tables are made when first used and given back by [`Session::trim`](crate::Session::trim).
///
/// How far they grow is bounded by [`Limits`](crate::Limits).
#[derive(Clone, Copy, Debug, Default)]
pub struct Heap;

impl Storage for Heap {
    type Window<T: Copy + Default + Debug> = HeapDeque<T>;
    type Inbound<T: Copy + Default + Debug> = HeapDeque<T>;
    type Answers<T: Copy + Default + Debug> = HeapDeque<T>;
    type Codes = HeapBytes;
    type Topics = HeapTopics;
    type Part<T: Default + Debug> = OnDemand<T>;
}

/// A `VecDeque`.
#[derive(Clone, Debug)]
pub struct HeapDeque<T>(VecDeque<T>);

impl<T> Default for HeapDeque<T> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<T: Copy + Debug> Deque<T> for HeapDeque<T> {
    const CAPACITY: usize = u16::MAX as usize;

    fn len(&self) -> usize {
        self.0.len()
    }

    fn push(&mut self, item: T) -> Result<(), NoRoom> {
        if self.0.len() >= Self::CAPACITY {
            return Err(NoRoom);
        }
        self.0.push_back(item);
        Ok(())
    }

    fn get(&self, index: usize) -> Option<&T> {
        self.0.get(index)
    }

    fn get_mut(&mut self, index: usize) -> Option<&mut T> {
        self.0.get_mut(index)
    }

    fn remove(&mut self, index: usize) -> Option<T> {
        if index == 0 {
            self.0.pop_front()
        } else {
            self.0.remove(index)
        }
    }

    fn clear(&mut self) {
        self.0 = VecDeque::new();
    }

    fn position(&self, test: impl FnMut(&T) -> bool) -> Option<usize> {
        self.0.iter().position(test)
    }
}

/// A `Vec` whose front is drained: the bytes are few.
#[derive(Clone, Debug, Default)]
pub struct HeapBytes(Vec<u8>);

impl ByteQueue for HeapBytes {
    const CAPACITY: usize = usize::MAX;

    fn len(&self) -> usize {
        self.0.len()
    }

    fn push(&mut self, byte: u8) -> Result<(), NoRoom> {
        self.0.push(byte);
        Ok(())
    }

    fn front(&self, len: usize) -> &[u8] {
        self.0.get(..len.min(self.0.len())).unwrap_or_default()
    }

    fn consume(&mut self, len: usize) {
        self.0.drain(..len.min(self.0.len()));
    }

    fn truncate(&mut self, len: usize) {
        self.0.truncate(len);
    }
}

/// Topics as boxed strings.
#[derive(Clone, Debug, Default)]
pub struct HeapTopics(Vec<Option<Box<str>>>);

impl Topics for HeapTopics {
    const CAPACITY: u16 = u16::MAX;

    fn set(&mut self, alias: TopicAlias, topic: &str) -> Result<(), NoRoom> {
        let slot = usize::from(alias.get()) - 1;
        if self.0.len() <= slot {
            self.0.resize(slot + 1, None);
        }
        *self.0.get_mut(slot).ok_or(NoRoom)? = Some(topic.into());
        Ok(())
    }

    fn fits(&self, _topic: &str) -> bool {
        true
    }

    fn get(&self, alias: TopicAlias) -> Option<&str> {
        self.0.get(usize::from(alias.get()) - 1)?.as_deref()
    }

    fn clear(&mut self) {
        self.0 = Vec::new();
    }
}

/// A part behind one pointer.
#[derive(Clone, Debug)]
pub struct OnDemand<T>(Option<Box<T>>);

impl<T> Default for OnDemand<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T: Default + Debug> Part<T> for OnDemand<T> {
    fn get(&self) -> Option<&T> {
        self.0.as_deref()
    }
    fn get_mut(&mut self) -> Option<&mut T> {
        self.0.as_deref_mut()
    }
    fn make(&mut self) -> &mut T {
        self.0.get_or_insert_with(Box::default)
    }
    fn drop_part(&mut self) {
        self.0 = None;
    }
}
