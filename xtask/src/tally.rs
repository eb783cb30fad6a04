//! How many tests passed, failed and were skipped, and the line that says so.

use core::ops::AddAssign;
use std::fmt;

use crate::shell::without_colours;

/// A count of tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Tests that ran and held.
    pub(crate) passed: usize,
    /// Tests that ran and did not hold, were stopped for their time, or could not be started.
    pub(crate) failed: usize,
    /// Tests that found a foreign tool missing.
    pub(crate) skipped: usize,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} passed, {} failed, {} skipped",
            self.passed, self.failed, self.skipped
        )
    }
}

impl Tally {
    /// Adds what a line of a test runner's output counts; other lines count nothing.
    ///
    /// Understands the summary of `cargo nextest run` and the result line of every binary of `cargo test`.
    pub(crate) fn add_line(&mut self, line: &str) {
        let line = without_colours(line);
        let counts = if let Some((_, counts)) = line
            .split_once("tests run:")
            .or_else(|| line.split_once("test run:"))
        {
            if !line.trim_start().starts_with("Summary") {
                return;
            }
            counts
        } else if let Some(rest) = line.trim_start().strip_prefix("test result:") {
            rest.split_once(". ").map_or(rest, |(_, counts)| counts)
        } else {
            return;
        };
        for part in counts.split([',', ';']) {
            let mut words = part.split_whitespace();
            let Some(count) = words.next().and_then(|count| count.parse::<usize>().ok()) else {
                continue;
            };
            match words.next() {
                Some("passed") => self.passed += count,
                // "exec failed" and "timed out" are nextest's other ways to fail.
                Some("failed" | "exec" | "timed") => self.failed += count,
                _ => {}
            }
        }
    }

    /// Turns `skips` of the passed tests into skipped ones: a test without its tool returns early, and passes for its runner.
    pub(crate) fn take_skips(&mut self, skips: usize) {
        self.passed = self.passed.saturating_sub(skips);
        self.skipped += skips;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(lines: &[&str], passed: usize, failed: usize) {
        let mut tally = Tally::default();
        for line in lines {
            tally.add_line(line);
        }
        assert_eq!(
            tally,
            Tally {
                passed,
                failed,
                skipped: 0
            },
            "{lines:?}"
        );
    }

    #[test]
    fn nextest_summaries_are_read() {
        check(
            &["     Summary [   0.005s] 5 tests run: 5 passed, 0 skipped"],
            5,
            0,
        );
        check(
            &["     Summary [   0.005s] 1 test run: 1 passed, 7 skipped"],
            1,
            0,
        );
        check(
            &[
                "\u{1b}[31m     Summary\u{1b}[0m [ 1s] 9/12 tests run: 5 passed (1 slow, 1 leaky), 2 failed, 1 exec failed, 1 timed out, 3 skipped",
            ],
            5,
            4,
        );
    }

    #[test]
    fn result_lines_of_cargo_test_are_added_up() {
        check(
            &[
                "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s",
                "test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 4 filtered out; finished in 0.00s",
            ],
            5,
            1,
        );
    }

    #[test]
    fn other_lines_count_nothing() {
        check(
            &[
                "running 3 tests",
                "test a ... ok",
                "the tests run: 7 passed",
                "   Compiling summary v1.0.0",
            ],
            0,
            0,
        );
    }

    #[test]
    fn a_skipped_test_is_not_a_passed_one() {
        let mut tally = Tally {
            passed: 10,
            failed: 1,
            skipped: 0,
        };
        tally.take_skips(3);
        assert_eq!(tally.to_string(), "7 passed, 1 failed, 3 skipped");
    }
}
