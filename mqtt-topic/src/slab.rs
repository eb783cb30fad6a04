//! Numbered slots in chunks: ids stay valid until they are removed, chunks that empty give their
//! memory back, and growing never moves more than one chunk.

use alloc::vec::Vec;

/// Slots in a chunk. A power of two, so that an id splits into chunk and slot by shifting.
const CHUNK: usize = 1024;
/// The end of a list of free slots or of open chunks.
const END: u32 = u32::MAX;

/// Values under ids of 32 bits; an id is used again after its value was removed.
#[derive(Clone)]
pub(crate) struct Slab<T> {
    chunks: Vec<Chunk<T>>,
    /// First chunk with a vacant slot; the others hang on it.
    open: u32,
    len: usize,
}

#[derive(Clone)]
struct Chunk<T> {
    slots: Vec<Slot<T>>,
    /// First slot that was used before and is free.
    free: u32,
    used: u32,
    next_open: u32,
}

#[derive(Clone)]
enum Slot<T> {
    Used(T),
    Free { next: u32 },
}

impl<T> Slab<T> {
    pub(crate) const fn new() -> Self {
        Self {
            chunks: Vec::new(),
            open: END,
            len: 0,
        }
    }

    /// How many values there are.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// Keeps `value` and tells its id.
    ///
    /// Ids are below `u32::MAX - 1`, so that owners can use the two largest numbers as marks.
    pub(crate) fn insert(&mut self, value: T) -> u32 {
        if self.open == END {
            let at = u32::try_from(self.chunks.len()).expect("memory ends before the ids do");
            assert!(at < END / CHUNK as u32, "memory ends before the ids do");
            self.chunks.push(Chunk {
                slots: Vec::new(),
                free: END,
                used: 0,
                next_open: END,
            });
            self.open = at;
        }
        let at = self.open;
        let chunk = &mut self.chunks[at as usize];
        let slot = chunk.insert(value, at > 0);
        if chunk.used as usize == CHUNK {
            self.open = chunk.next_open;
        }
        self.len += 1;
        at * CHUNK as u32 + slot
    }

    pub(crate) fn get(&self, id: u32) -> Option<&T> {
        match self
            .chunks
            .get(id as usize / CHUNK)?
            .slots
            .get(id as usize % CHUNK)?
        {
            Slot::Used(value) => Some(value),
            Slot::Free { .. } => None,
        }
    }

    pub(crate) fn get_mut(&mut self, id: u32) -> Option<&mut T> {
        match self
            .chunks
            .get_mut(id as usize / CHUNK)?
            .slots
            .get_mut(id as usize % CHUNK)?
        {
            Slot::Used(value) => Some(value),
            Slot::Free { .. } => None,
        }
    }

    pub(crate) fn remove(&mut self, id: u32) -> Option<T> {
        let at = id as usize / CHUNK;
        let chunk = self.chunks.get_mut(at)?;
        let value = chunk.remove(id as usize % CHUNK)?;
        if chunk.used as usize == CHUNK - 1 {
            chunk.next_open = self.open;
            self.open = at as u32;
        }
        self.len -= 1;
        if self.len == 0 {
            *self = Self::new();
        }
        Some(value)
    }

    /// Slots that hold memory, used or free.
    #[cfg(test)]
    pub(crate) fn capacity(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.slots.capacity()).sum()
    }
}

impl<T> Chunk<T> {
    fn insert(&mut self, value: T, whole: bool) -> u32 {
        self.used += 1;
        if let Some(slot) = self.slots.get_mut(self.free as usize)
            && let Slot::Free { next } = *slot
        {
            *slot = Slot::Used(value);
            return core::mem::replace(&mut self.free, next);
        }
        if whole && self.slots.is_empty() {
            // The first chunk grows by doubling, so that a small index stays small.
            self.slots.reserve_exact(CHUNK);
        }
        self.slots.push(Slot::Used(value));
        self.slots.len() as u32 - 1
    }

    fn remove(&mut self, at: usize) -> Option<T> {
        let slot = self.slots.get_mut(at)?;
        if matches!(slot, Slot::Free { .. }) {
            return None;
        }
        let Slot::Used(value) = core::mem::replace(slot, Slot::Free { next: self.free }) else {
            return None;
        };
        self.free = at as u32;
        self.used -= 1;
        if self.used == 0 {
            self.slots = Vec::new();
            self.free = END;
        }
        Some(value)
    }
}

impl<T> core::ops::Index<u32> for Slab<T> {
    type Output = T;

    /// The value of an id that is known to be in use.
    fn index(&self, id: u32) -> &T {
        self.get(id)
            .expect("ids are dropped by their owner before their slot is freed")
    }
}

impl<T> core::ops::IndexMut<u32> for Slab<T> {
    fn index_mut(&mut self, id: u32) -> &mut T {
        self.get_mut(id)
            .expect("ids are dropped by their owner before their slot is freed")
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::vec::Vec;

    use super::{CHUNK, Slab};

    #[test]
    fn freed_ids_are_used_again_before_new_memory() {
        let mut slab = Slab::new();
        let ids: Vec<u32> = (0..3 * CHUNK).map(|n| slab.insert(n)).collect();
        let capacity = slab.capacity();
        for id in ids.iter().step_by(3) {
            assert_eq!(slab.remove(*id), Some(*id as usize));
            assert_eq!(slab.remove(*id), None);
            assert_eq!(slab.get(*id), None);
        }
        for n in 0..CHUNK {
            slab.insert(n);
        }
        assert_eq!(slab.capacity(), capacity);
        assert_eq!(slab.len(), 3 * CHUNK);
    }

    #[test]
    fn empty_chunks_give_their_memory_back() {
        let mut slab = Slab::new();
        let ids: Vec<u32> = (0..8 * CHUNK).map(|n| slab.insert(n)).collect();
        for id in &ids[CHUNK..] {
            slab.remove(*id);
        }
        assert_eq!(slab.capacity(), CHUNK);
        for id in &ids[..CHUNK] {
            slab.remove(*id);
        }
        assert_eq!((slab.capacity(), slab.len()), (0, 0));
        assert_eq!(slab.insert(1), 0);
    }
}
