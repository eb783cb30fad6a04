//! Keyed hashing for tables whose keys a peer chooses.
//!
//! Texts are hashed by SipHash-1-3, whose collisions nobody can prepare without the key. Pairs of ids,
//! which the index hands out itself, are mixed by one keyed multiplication.

/// The secret that all hashes of one index depend on.
#[derive(Clone, Copy)]
pub(crate) struct HashKey {
    k0: u64,
    k1: u64,
}

impl HashKey {
    /// Spreads the owner's seed over the key.
    pub(crate) const fn from_seed(seed: u64) -> Self {
        Self {
            k0: mix(seed),
            k1: mix(seed ^ 0x5851_f42d_4c95_7f2d),
        }
    }

    /// The hash of a topic or of one level.
    pub(crate) fn text(self, text: &str) -> u64 {
        self.bytes(text.as_bytes())
    }

    /// The hash of an edge: a node and the level that leads from it to a child.
    pub(crate) const fn edge(self, parent: u32, level: u32) -> u64 {
        let pair = (parent as u64) << 32 | level as u64;
        let product = ((pair ^ self.k0) as u128) * ((self.k1 | 1) as u128);
        mix((product >> 64) as u64 ^ product as u64)
    }

    /// SipHash-1-3.
    fn bytes(self, bytes: &[u8]) -> u64 {
        let mut state = State {
            v0: self.k0 ^ 0x736f_6d65_7073_6575,
            v1: self.k1 ^ 0x646f_7261_6e64_6f6d,
            v2: self.k0 ^ 0x6c79_6765_6e65_7261,
            v3: self.k1 ^ 0x7465_6462_7974_6573,
        };
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            state.absorb(u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        for (to, from) in last.iter_mut().zip(rest) {
            *to = *from;
        }
        last[7] = bytes.len() as u8;
        state.absorb(u64::from_le_bytes(last));
        state.v2 ^= 0xff;
        state.round();
        state.round();
        state.round();
        state.v0 ^ state.v1 ^ state.v2 ^ state.v3
    }
}

struct State {
    v0: u64,
    v1: u64,
    v2: u64,
    v3: u64,
}

impl State {
    fn absorb(&mut self, word: u64) {
        self.v3 ^= word;
        self.round();
        self.v0 ^= word;
    }

    fn round(&mut self) {
        self.v0 = self.v0.wrapping_add(self.v1);
        self.v2 = self.v2.wrapping_add(self.v3);
        self.v1 = self.v1.rotate_left(13) ^ self.v0;
        self.v3 = self.v3.rotate_left(16) ^ self.v2;
        self.v0 = self.v0.rotate_left(32);
        self.v2 = self.v2.wrapping_add(self.v1);
        self.v0 = self.v0.wrapping_add(self.v3);
        self.v1 = self.v1.rotate_left(17) ^ self.v2;
        self.v3 = self.v3.rotate_left(21) ^ self.v0;
        self.v2 = self.v2.rotate_left(32);
    }
}

/// The finaliser of SplitMix64: every bit of the input moves every bit of the output.
const fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ value >> 31
}

#[cfg(test)]
mod tests {
    extern crate std;
    use core::hash::Hasher;
    use std::format;
    use std::string::String;
    use std::vec;
    use std::vec::Vec;

    use super::HashKey;

    /// The standard library's default hasher is SipHash-1-3 under the zero key.
    #[test]
    fn text_hashes_are_siphash_1_3() {
        let bytes: Vec<u8> = (0..=255).collect();
        for len in 0..=bytes.len() {
            let mut oracle = std::hash::DefaultHasher::new();
            oracle.write(&bytes[..len]);
            assert_eq!(
                HashKey { k0: 0, k1: 0 }.bytes(&bytes[..len]),
                oracle.finish(),
                "{len} bytes"
            );
        }
    }

    /// Names that collide under one seed are spread like any others under another seed.
    #[test]
    fn collisions_do_not_carry_over_to_another_seed() {
        const SLOTS: u64 = 1 << 10;
        let known = HashKey::from_seed(1);
        let unknown = HashKey::from_seed(2);
        let colliding: Vec<String> = (0..)
            .map(|n| format!("level{n}"))
            .filter(|name| known.text(name).is_multiple_of(SLOTS))
            .take(1_000)
            .collect();
        let mut load = vec![0; SLOTS as usize];
        for name in &colliding {
            load[(unknown.text(name) % SLOTS) as usize] += 1;
        }
        // One ball a slot on average; eight in one slot happens about once in a thousand such tests.
        assert!(load.iter().max() < Some(&10), "{load:?}");
    }

    /// Neighbouring ids, as the index hands them out, do not crowd the table.
    #[test]
    fn edges_between_neighbouring_ids_are_spread() {
        const SLOTS: u64 = 1 << 12;
        let key = HashKey::from_seed(7);
        let mut load = vec![0; SLOTS as usize];
        for parent in 0..64 {
            for level in 0..64 {
                load[(key.edge(parent, level) % SLOTS) as usize] += 1;
            }
        }
        assert!(load.iter().max() < Some(&12), "{load:?}");
    }
}
