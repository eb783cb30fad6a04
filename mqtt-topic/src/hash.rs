//! Keyed hashing for tables whose keys a peer chooses.
//!
//! Texts go through a chain of 64 × 64 → 128 bit multiplications, sixteen bytes each, whose halves are
//! folded together; both factors of each depend on the key, so that who does not know it can neither tell
//! which texts collide nor make a factor zero. It is made for tables and is no cryptographic function: no hash
//! leaves the index, and nothing rests on it but the time that a look-up takes. Pairs of ids, which the index hands out itself, take one
//! such multiplication.

/// The secret that all hashes of one index depend on.
#[derive(Clone, Copy)]
pub(crate) struct HashKey {
    k0: u64,
    k1: u64,
    k2: u64,
}

impl HashKey {
    /// Spreads the owner's seed over the key.
    pub(crate) const fn from_seed(seed: u64) -> Self {
        Self {
            k0: mix(seed),
            k1: mix(seed ^ 0x5851_f42d_4c95_7f2d),
            // Odd, so that the last multiplication loses nothing.
            k2: mix(seed ^ 0x1405_7b7e_f767_814f) | 1,
        }
    }

    /// The hash of a topic or of one level.
    #[inline]
    pub(crate) fn text(self, text: &str) -> u64 {
        self.bytes(text.as_bytes())
    }

    /// The same of the bytes of a text.
    #[inline]
    pub(crate) fn bytes(self, bytes: &[u8]) -> u64 {
        let mut state = self.k0;
        let mut rest = bytes;
        while rest.len() > 16
            && let Some((block, behind)) = rest.split_first_chunk()
        {
            let (a, b) = halves(block);
            state = fold(a ^ state, b ^ self.k1);
            rest = behind;
        }
        let (a, b) = end(bytes);
        state = fold(a ^ state, b ^ self.k1);
        fold(state ^ bytes.len() as u64, self.k2)
    }

    /// The hash of an edge: a node and the level that leads from it to a child.
    #[inline]
    pub(crate) const fn edge(self, parent: u32, level: u32) -> u64 {
        let pair = ((parent as u64) << 32) | level as u64;
        fold(pair ^ self.k0, self.k2)
    }
}

/// Whether two texts are the same: quicker than a call where texts are as short as levels and names are.
#[inline]
pub(crate) fn same(mut one: &[u8], mut other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    let ends = end(one) == end(other);
    while one.len() > 16
        && let (Some((a, behind)), Some((b, other_behind))) = (
            one.split_first_chunk::<16>(),
            other.split_first_chunk::<16>(),
        )
    {
        if a != b {
            return false;
        }
        (one, other) = (behind, other_behind);
    }
    ends
}

/// The last sixteen bytes as numbers, or the few that there are: then some count twice, but all count.
#[inline]
fn end(bytes: &[u8]) -> (u64, u64) {
    if let Some(block) = bytes.last_chunk() {
        halves(block)
    } else if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        (u64::from_le_bytes(*first), u64::from_le_bytes(*last))
    } else if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        (
            u32::from_le_bytes(*first).into(),
            u32::from_le_bytes(*last).into(),
        )
    } else if let [first, .., last] = *bytes {
        let middle = bytes[bytes.len() / 2];
        (u64::from(first) | (u64::from(middle) << 8), last.into())
    } else {
        (bytes.first().copied().unwrap_or(0).into(), 0)
    }
}

/// Both halves of a block as numbers.
const fn halves(block: &[u8; 16]) -> (u64, u64) {
    let both = u128::from_le_bytes(*block);
    (both as u64, (both >> 64) as u64)
}

/// The product, its upper half folded onto its lower half.
const fn fold(a: u64, b: u64) -> u64 {
    let product = a as u128 * b as u128;
    product as u64 ^ (product >> 64) as u64
}

/// The finaliser of SplitMix64: every bit of the input moves every bit of the output.
const fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::collections::BTreeSet;
    use std::format;
    use std::string::String;
    use std::vec;
    use std::vec::Vec;

    use super::{HashKey, same};

    /// Every byte counts, at every length, and so does the length.
    #[test]
    fn every_byte_and_the_length_count() {
        let key = HashKey::from_seed(5);
        let mut seen = BTreeSet::new();
        let mut texts = 0;
        for len in 0..70 {
            let plain = "a".repeat(len);
            seen.insert(key.text(&plain));
            texts += 1;
            assert!(same(plain.as_bytes(), plain.clone().as_bytes()));
            assert!(!same(plain.as_bytes(), "a".repeat(len + 1).as_bytes()));
            for at in 0..len {
                for other in ["b", "\0", "\u{7f}"] {
                    let mut changed = plain.clone();
                    changed.replace_range(at..=at, other);
                    seen.insert(key.text(&changed));
                    texts += 1;
                    assert!(!same(plain.as_bytes(), changed.as_bytes()));
                    assert!(same(changed.as_bytes(), changed.clone().as_bytes()));
                }
            }
        }
        assert_eq!(seen.len(), texts);
    }

    /// One bit of the text moves each bit of the hash about half of the time, those that choose the place
    /// in a table included.
    #[test]
    fn one_bit_moves_all_bits() {
        let mut moved = [0; 64];
        let mut flips = 0;
        for seed in 0..50 {
            let key = HashKey::from_seed(seed);
            for text in [
                "a",
                "dev",
                "site7",
                "temperature",
                "site7/line12/x",
                "site7/line12/device3/metric",
            ] {
                let hash = key.text(text);
                for at in 0..text.len() {
                    let mut bytes = Vec::from(text);
                    bytes[at] ^= 1;
                    let change = hash ^ key.text(core::str::from_utf8(&bytes).unwrap());
                    for (bit, count) in moved.iter_mut().enumerate() {
                        *count += (change >> bit) & 1;
                    }
                    flips += 1;
                }
            }
        }
        for (bit, &count) in moved.iter().enumerate() {
            assert!(
                count > flips * 2 / 5 && count < flips * 3 / 5,
                "bit {bit}: {count} of {flips}"
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
        const SLOTS: usize = 1 << 12;
        let key = HashKey::from_seed(7);
        let mut by_low_bits = vec![0; SLOTS];
        let mut by_high_bits = vec![0; SLOTS];
        for parent in 0..64 {
            for level in 0..64 {
                let hash = key.edge(parent, level);
                by_low_bits[hash as usize % SLOTS] += 1;
                by_high_bits[(hash >> 52) as usize] += 1;
            }
        }
        for load in [by_low_bits, by_high_bits] {
            assert!(load.iter().max() < Some(&12), "{load:?}");
        }
    }
}
