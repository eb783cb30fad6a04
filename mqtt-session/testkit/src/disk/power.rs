//! What a cut of the power makes of what was not synced.

use crate::rng::Rng;

/// How one cut treats what it finds on its way to the disk.
#[derive(Clone, Debug)]
pub(super) enum Cut {
    /// Every sector, length and name by itself: so many of 8 are kept.
    Scattered {
        /// 0 to 8.
        kept: usize,
    },
    /// A disk that writes in order: everything up to one call.
    InOrder {
        /// Its number.
        last: u64,
    },
}

impl Cut {
    /// One of the many ways, when what is not synced came with the calls from `first` to `latest`.
    pub(super) const fn any(first: u64, latest: u64, rng: &mut Rng) -> Self {
        if rng.one_in(3) {
            // One more than there are: nothing of it may be left.
            let kept = rng.below((latest + 2).saturating_sub(first) as usize);
            let last = (first + kept as u64).saturating_sub(1);
            return Self::InOrder { last };
        }
        Self::Scattered {
            kept: [0, 1, 4, 7, 8][rng.below(5)],
        }
    }

    /// Whether it leaves parts of sectors and of lengths.
    pub(super) const fn tears(&self) -> bool {
        matches!(self, Self::Scattered { kept: 1..=7 })
    }

    /// Which of the versions stays that these calls made; 0 is the one before all of them.
    pub(super) fn version(
        &self,
        calls: impl ExactSizeIterator<Item = u64>,
        rng: &mut Rng,
    ) -> usize {
        match *self {
            Self::Scattered { kept } => {
                if rng.below(8) >= kept {
                    0
                } else if rng.one_in(4) {
                    // The disk was at work before the last one was written.
                    rng.below(calls.len() + 1)
                } else {
                    calls.len()
                }
            }
            Self::InOrder { last } => calls.take_while(|call| *call <= last).count(),
        }
    }

    /// Whether what one call did stays.
    pub(super) fn keeps(&self, call: u64, rng: &mut Rng) -> bool {
        self.version(core::iter::once(call), rng) == 1
    }
}
