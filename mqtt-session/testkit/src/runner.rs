//! Runs a simulation over many seeds on all cores, and says how the first seed that fails can be repeated.

use core::any::Any;
use core::fmt::Debug;
use core::ops::Range;
use core::sync::atomic::{AtomicU64, Ordering};

use std::panic;
use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::sim::Counters;

/// A simulation: everything that a seed decides.
#[derive(Clone, Copy)]
pub struct Simulation {
    /// What the command line calls it.
    pub name: &'static str,
    /// Steps of a run, unless something else is asked for.
    pub steps: u32,
    /// Runs one seed for so many steps; panics when a promise is broken.
    pub run: fn(seed: u64, steps: u32) -> Counters,
    /// What a seed runs.
    pub describe: fn(seed: u64) -> String,
    /// What must have happened at least once in a run over thousands of seeds.
    pub expected: fn() -> Vec<&'static str>,
}

impl Debug for Simulation {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("Simulation").field(&self.name).finish()
    }
}

/// Every simulation that this build has.
#[must_use]
pub fn simulations() -> Vec<Simulation> {
    use crate::compact::runs as devices;
    use crate::sim::runs;
    vec![
        Simulation {
            name: "session",
            steps: runs::STEPS,
            run: runs::run,
            describe: runs::describe,
            expected: || [&runs::ALWAYS[..], &runs::LATE_CLIENT, &runs::LATE_SERVER].concat(),
        },
        Simulation {
            name: "device",
            steps: devices::STEPS,
            run: devices::run,
            describe: devices::describe,
            expected: devices::expected,
        },
        #[cfg(feature = "broker")]
        Simulation {
            name: "broker",
            steps: 200,
            run: crate::broker::run,
            describe: |_| "clients and workers around the broker's core".to_owned(),
            expected: || crate::broker::INTERESTING.to_vec(),
        },
        #[cfg(feature = "broker")]
        Simulation {
            name: "store",
            steps: 150,
            run: crate::broker::run_stored,
            describe: |_| {
                "the broker's core on its store, on a disk that fails and is cut off".to_owned()
            },
            expected: || crate::broker::INTERESTING_STORED.to_vec(),
        },
    ]
}

/// A seed that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The smallest seed of those asked for that fails.
    pub seed: u64,
    /// What it panicked with.
    pub message: String,
}

/// What came of a run over seeds.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Seeds that ended well.
    pub seeds: u64,
    /// What happened in them.
    pub counters: Counters,
    /// The first that did not.
    pub failure: Option<Failure>,
}

impl Report {
    /// What was expected of the simulation and never happened.
    #[must_use]
    pub fn missing(&self, simulation: &Simulation) -> Vec<&'static str> {
        let expected = (simulation.expected)().into_iter();
        expected
            .filter(|name| self.counters.count(name) == 0)
            .collect()
    }
}

/// Runs `seeds` on `threads` threads; `progress` is told the number of seeds done, from any thread.
///
/// Seeds are taken in their order, and after a failure only smaller ones are finished: the failure that is reported does not depend on
/// the threads.
pub fn run(
    simulation: &Simulation,
    seeds: Range<u64>,
    steps: u32,
    threads: usize,
    progress: &(dyn Fn(u64) + Sync),
) -> Report {
    let next = AtomicU64::new(seeds.start);
    let end = AtomicU64::new(seeds.end);
    let report = Mutex::new(Report::default());
    let work = || {
        let mut mine = Report::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= end.load(Ordering::Relaxed) {
                break;
            }
            match panic::catch_unwind(|| (simulation.run)(seed, steps)) {
                Ok(counters) => {
                    mine.seeds += 1;
                    mine.counters.add(&counters);
                    progress(1);
                }
                Err(cause) => {
                    end.fetch_min(seed, Ordering::Relaxed);
                    let earlier = mine.failure.as_ref().is_some_and(|it| it.seed < seed);
                    if !earlier {
                        let message = message(&*cause);
                        mine.failure = Some(Failure { seed, message });
                    }
                }
            }
        }
        let mut all = report.lock().unwrap_or_else(PoisonError::into_inner);
        all.seeds += mine.seeds;
        all.counters.add(&mine.counters);
        let both = [all.failure.take(), mine.failure];
        all.failure = both.into_iter().flatten().min_by_key(|it| it.seed);
    };
    thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(work);
        }
    });
    report.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// The text of a panic.
pub(crate) fn message(cause: &(dyn Any + Send)) -> String {
    let text = cause.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| cause.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic without a text").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ODD: Simulation = Simulation {
        name: "odd",
        steps: 1,
        run: |seed, steps| {
            assert!(seed < 40 || seed % 7 != 0, "seed {seed} is bad");
            let mut counters = Counters::default();
            for _ in 0..steps {
                counters.hit("steps");
            }
            counters
        },
        describe: |_| String::new(),
        expected: || vec!["steps", "never"],
    };

    #[test]
    fn the_smallest_seed_that_fails_is_reported_whatever_the_threads_do() {
        for threads in [1, 2, 8] {
            let report = run(&ODD, 30..1_000, 3, threads, &|_| {});
            let failure = Failure {
                seed: 42,
                message: "seed 42 is bad".to_owned(),
            };
            assert_eq!(report.failure, Some(failure));
            assert!(report.seeds >= 12);
        }
    }

    #[test]
    fn what_happened_is_summed_up_and_what_never_did_is_named() {
        let report = run(&ODD, 0..40, 3, 4, &|_| {});
        assert_eq!(report.failure, None);
        assert_eq!((report.seeds, report.counters.count("steps")), (40, 120));
        assert_eq!(report.missing(&ODD), ["never"]);
    }
}
