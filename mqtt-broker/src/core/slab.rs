//! Values in dense numbered slots that are used again under a new generation.

/// Slots with generations.
#[derive(Debug)]
pub(super) struct Slab<T> {
    entries: Vec<Entry<T>>,
    free: Vec<u32>,
    /// Generations count modulo this.
    modulus: u32,
}

#[derive(Debug)]
struct Entry<T> {
    generation: u32,
    value: Option<T>,
}

impl<T> Slab<T> {
    pub(super) const fn new(modulus: u32) -> Self {
        Self {
            entries: Vec::new(),
            free: Vec::new(),
            modulus,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    /// Stores a value and gives its slot and generation.
    pub(super) fn insert(&mut self, value: T) -> (u32, u32) {
        if let Some(slot) = self.free.pop() {
            let entry = &mut self.entries[slot as usize];
            entry.value = Some(value);
            return (slot, entry.generation);
        }
        self.entries.push(Entry {
            generation: 0,
            value: Some(value),
        });
        (self.entries.len() as u32 - 1, 0)
    }

    pub(super) fn get(&self, slot: u32, generation: u32) -> Option<&T> {
        let entry = self
            .entries
            .get(slot as usize)
            .filter(|entry| entry.generation == generation)?;
        entry.value.as_ref()
    }

    /// What is in a slot now, and under which generation.
    pub(super) fn at(&self, slot: u32) -> Option<(u32, &T)> {
        let entry = self.entries.get(slot as usize)?;
        Some((entry.generation, entry.value.as_ref()?))
    }

    pub(super) fn get_mut(&mut self, slot: u32, generation: u32) -> Option<&mut T> {
        let entry = self
            .entries
            .get_mut(slot as usize)
            .filter(|entry| entry.generation == generation)?;
        entry.value.as_mut()
    }

    /// Takes a value out; its key never finds anything again.
    pub(super) fn remove(&mut self, slot: u32, generation: u32) -> Option<T> {
        let entry = self
            .entries
            .get_mut(slot as usize)
            .filter(|entry| entry.generation == generation)?;
        let value = entry.value.take()?;
        entry.generation = (entry.generation + 1) % self.modulus;
        self.free.push(slot);
        Some(value)
    }

    /// The keys of all values.
    pub(super) fn keys(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        let filled = |(slot, entry): (usize, &Entry<T>)| {
            entry
                .value
                .is_some()
                .then_some((slot as u32, entry.generation))
        };
        self.entries.iter().enumerate().filter_map(filled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_key_never_finds_a_new_value() {
        let mut slab = Slab::new(1 << 20);
        let first = slab.insert('a');
        assert_eq!(slab.remove(first.0, first.1), Some('a'));
        let second = slab.insert('b');
        assert_eq!(second.0, first.0, "the slot is used again");
        assert_eq!(slab.get(first.0, first.1), None);
        assert_eq!(slab.get(second.0, second.1), Some(&'b'));
        assert_eq!(slab.remove(first.0, first.1), None);
        assert_eq!((slab.len(), slab.keys().count()), (1, 1));
    }
}
