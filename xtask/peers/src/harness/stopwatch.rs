//! Times and counts parts of an operation.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use super::allocator::allocations;

/// Sums up time and allocations of the parts that it is given.
#[derive(Debug, Default)]
pub struct Stopwatch {
    time: Duration,
    allocations: u64,
}

impl Stopwatch {
    /// Time of all parts.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.time
    }

    /// Heap allocations of all parts.
    #[must_use]
    pub fn allocations(&self) -> u64 {
        self.allocations
    }

    /// Does `work` and counts it; the clock's own time is taken off.
    pub fn time<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let before = allocations();
        let start = Instant::now();
        let result = work();
        self.time += start.elapsed().saturating_sub(clock());
        self.allocations += allocations() - before;
        result
    }
}

/// What two readings of the clock take at least.
fn clock() -> Duration {
    static CLOCK: OnceLock<Duration> = OnceLock::new();
    *CLOCK.get_or_init(|| {
        let readings = (0..1000).map(|_| Instant::now().elapsed());
        readings.min().unwrap_or_default()
    })
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;

    use super::*;

    #[test]
    fn only_what_is_handed_over_counts() {
        let mut watch = Stopwatch::default();
        let start = Instant::now();
        let list = black_box(vec![1u64; 1 << 16]);
        let sum = watch.time(|| black_box(Box::new(black_box(&list)[0] + 1)));
        assert_eq!(*sum, 2);
        assert_eq!(watch.allocations, 1);
        assert!(watch.time < start.elapsed());
    }
}
