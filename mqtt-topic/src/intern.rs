//! [`Interner`]: every level text is kept once, counted, and known by an id.

use crate::hash::{HashKey, same};
use crate::short::ShortText;
use crate::slab::Slab;
use crate::table::IdTable;

/// The texts of the levels in use.
#[derive(Clone)]
pub(crate) struct Interner {
    key: HashKey,
    texts: Slab<Text>,
    ids: IdTable,
}

#[derive(Clone)]
struct Text {
    text: ShortText,
    uses: u32,
}

impl Interner {
    pub(crate) const fn new(key: HashKey) -> Self {
        Self {
            key,
            texts: Slab::new(),
            ids: IdTable::new(),
        }
    }

    /// The id of a level that is in use.
    pub(crate) fn find(&self, level: &str) -> Option<u32> {
        self.ids.find(self.key.text(level), |id| {
            same(self.texts[id].text.as_bytes(), level.as_bytes())
        })
    }

    /// The id of a level, for one more use, of which there may be as many as ids.
    pub(crate) fn acquire(&mut self, level: &str) -> u32 {
        let hash = self.key.text(level);
        if let Some(id) = self.ids.find(hash, |id| {
            same(self.texts[id].text.as_bytes(), level.as_bytes())
        }) {
            self.texts[id].uses += 1;
            return id;
        }
        let id = self.texts.insert(Text {
            text: level.into(),
            uses: 1,
        });
        let (key, texts) = (self.key, &self.texts);
        self.ids
            .insert(hash, id, |id| key.bytes(texts[id].text.as_bytes()));
        id
    }

    /// Ends one use.
    pub(crate) fn release(&mut self, id: u32) {
        let text = &mut self.texts[id];
        text.uses -= 1;
        if text.uses == 0 {
            let (key, texts) = (self.key, &self.texts);
            self.ids
                .remove(key.bytes(texts[id].text.as_bytes()), id, |id| {
                    key.bytes(texts[id].text.as_bytes())
                });
            self.texts.remove(id);
        }
    }

    /// The text of a level that is in use, as bytes.
    pub(crate) fn bytes(&self, id: u32) -> &[u8] {
        self.texts[id].text.as_bytes()
    }

    /// Texts kept, and places that hold memory.
    #[cfg(test)]
    pub(crate) fn footprint(&self) -> (usize, usize) {
        (
            self.texts.len(),
            self.texts.capacity() + self.ids.capacity(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::{HashKey, Interner};

    #[test]
    fn a_text_lives_as_long_as_its_last_use() {
        let mut levels = Interner::new(HashKey::from_seed(3));
        let a = levels.acquire("a");
        assert_eq!(levels.acquire("a"), a);
        assert_ne!(levels.acquire(""), a);
        levels.release(a);
        assert_eq!((levels.find("a"), levels.bytes(a)), (Some(a), &b"a"[..]));
        levels.release(a);
        assert_eq!(levels.find("a"), None);
        levels.release(levels.find("").unwrap());
        assert_eq!(levels.footprint(), (0, 0));
    }
}
