//! Level names that collide: what somebody makes who has read the code and takes a guess at the seed.

use std::cell::RefCell;
use std::rc::Rc;

use mqtt_topic::SubscriptionIndex;

use super::index::{Index, Ours, SEED};

/// Filters of an attack: as many as a table holds before it is split.
const FILTERS: usize = 8_000;

/// The hash of a text under a seed, as `mqtt-topic` computes it. That it still does is tested below.
fn hash(seed: u64, text: &[u8]) -> u64 {
    let (k0, k1, k2) = (
        mix(seed),
        mix(seed ^ 0x5851_f42d_4c95_7f2d),
        mix(seed ^ 0x1405_7b7e_f767_814f) | 1,
    );
    // The names below have nine to sixteen bytes.
    let word = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("eight bytes"));
    let (a, b) = (word(&text[..8]), word(&text[text.len() - 8..]));
    fold(fold(a ^ k0, b ^ k1) ^ text.len() as u64, k2)
}

const fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

const fn fold(a: u64, b: u64) -> u64 {
    let product = a as u128 * b as u128;
    product as u64 ^ (product >> 64) as u64
}

/// Level names whose hashes under the guessed seed all begin with thirteen zeros: one line of the table for all.
#[must_use]
pub fn colliding() -> Vec<String> {
    const GUESS: u64 = SEED;
    (0_u64..)
        .map(|n| format!("level{n:08}"))
        .filter(|name| hash(GUESS, name.as_bytes()) >> 51 == 0)
        .take(FILTERS)
        .collect()
}

/// As many names of the same form that nobody has chosen.
#[must_use]
pub fn random() -> Vec<String> {
    // Spread over as many numbers as the search above goes through.
    (0..FILTERS as u64)
        .map(|n| format!("level{:08}", n * 8_191))
        .collect()
}

/// An index with a filter for each level name, and a name that each of them matches.
pub fn index(levels: &[String], seed: u64) -> (Rc<RefCell<Ours>>, Rc<[String]>) {
    let mut index = Ours(SubscriptionIndex::with_seed(seed));
    for (who, level) in levels.iter().enumerate() {
        index.subscribe(&format!("{level}/+"), who as u32);
    }
    let names = levels.iter().map(|level| format!("{level}/x")).collect();
    (Rc::new(RefCell::new(index)), names)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn time(levels: &[String], seed: u64) -> Duration {
        let (index, names) = index(levels, seed);
        let once = || {
            let start = Instant::now();
            let matches: u64 = names
                .iter()
                .map(|name| index.borrow().find(name).count)
                .sum();
            assert_eq!(matches, levels.len() as u64);
            start.elapsed()
        };
        (0..5).map(|_| once()).min().unwrap_or_default()
    }

    /// The attack is one: under the seed that was guessed right it costs many times as much.
    #[test]
    fn the_attack_works_if_the_seed_is_known() {
        let levels = colliding();
        let (hit, missed) = (time(&levels, SEED), time(&levels, SEED + 1));
        assert!(hit > 4 * missed, "{hit:?} and {missed:?}");
    }
}
