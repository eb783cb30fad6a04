//! Where the memory of operations lies. A load that follows a store to the same place in another page of 4 KiB waits for
//! it, so that an operation may take twice as long for a whole run because of the address that its buffer happened to get.

use std::cell::Cell;
use std::hint::black_box;

/// A page of 4 KiB in steps of 16 bytes, which is how the allocator aligns.
const STEPS: usize = 256;
const STEP: usize = 16;
/// Prime to [`STEPS`], so that all sizes come up before one comes again.
const STRIDE: usize = 77;

thread_local! {
    static NEXT: Cell<usize> = const { Cell::new(0) };
}

/// Memory that is held only so that what is allocated after it lies elsewhere: 16 bytes to 4 KiB, another size each time, in
/// the same order in every run.
#[derive(Debug)]
pub(super) struct Gap {
    _held: Vec<u8>,
}

impl Gap {
    pub(super) fn next() -> Self {
        let turn = NEXT.get();
        NEXT.set((turn + STRIDE) % STEPS);
        let held = Vec::with_capacity(STEP * (turn + 1));
        Self {
            _held: black_box(held),
        }
    }
}

/// Does it with the stack elsewhere in a page, from one turn to the next.
pub(super) fn at_depth(turn: usize, work: &mut dyn FnMut()) {
    /// With what the call itself needs, sixteen of them are about a page.
    const FRAME: usize = 224;
    let frame = black_box([0u8; FRAME]);
    match turn % 16 {
        0 => work(),
        depth => at_depth(depth - 1, work),
    }
    black_box(&frame);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn gaps_have_all_sizes_before_one_comes_again() {
        let mut sizes: Vec<usize> = (0..STEPS).map(|_| Gap::next()._held.capacity()).collect();
        sizes.sort_unstable();
        assert!(sizes.into_iter().eq((1..=STEPS).map(|step| step * STEP)));
    }

    #[test]
    fn the_stack_moves_within_a_page_and_a_bit() {
        let mut places = BTreeSet::new();
        for turn in 0..32 {
            at_depth(turn, &mut || {
                let here = black_box(0u8);
                places.insert(black_box(&raw const here).addr());
            });
        }
        assert_eq!(places.len(), 16);
        let reach = places.last().zip(places.first()).map(|(a, b)| a - b);
        assert!(reach.is_some_and(|reach| (3_000..8_192).contains(&reach)));
    }
}
