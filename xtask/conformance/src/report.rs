//! What a run came to: failures for people, totals by chapter, and JSON for programs.

use core::fmt::Write as _;

use serde_json::{Value, json};

use crate::case::Case;
use crate::run::{Report, Verdict};

/// Counts of verdicts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Cases that passed.
    pub passed: usize,
    /// Cases that failed.
    pub failed: usize,
    /// Cases that did not apply.
    pub not_applicable: usize,
}

impl Totals {
    /// The counts of these reports.
    pub fn of<'a>(reports: impl IntoIterator<Item = &'a Report>) -> Self {
        let mut totals = Self::default();
        for report in reports {
            match report.verdict {
                Verdict::Passed => totals.passed += 1,
                Verdict::Failed(_) => totals.failed += 1,
                Verdict::NotApplicable(_) => totals.not_applicable += 1,
            }
        }
        totals
    }
}

/// One line about a case.
pub fn case_line(case: &Case) -> String {
    format!(
        "{:<5} {} [{}]{}\n      {}\n",
        case.version_name(),
        case.name(),
        case.statements().join(", "),
        if case.is_slow() { " (slow)" } else { "" },
        case.about()
    )
}

/// The failures, what did not apply, and the totals of each chapter.
pub fn text(reports: &[Report]) -> String {
    let mut text = String::new();
    for report in reports {
        if let Verdict::Failed(failure) = &report.verdict {
            text += "FAILED ";
            text += &case_line(&report.case);
            writeln!(text, "      expected  {}", failure.expected).ok();
            writeln!(text, "      got       {}", failure.got).ok();
            writeln!(text, "      at        {}", failure.at).ok();
            for line in &failure.trace {
                writeln!(text, "        {line}").ok();
            }
            text.push('\n');
        }
    }
    for report in reports {
        if let Verdict::NotApplicable(why) = &report.verdict {
            writeln!(
                text,
                "not applicable: {} {}: {why}",
                report.case.version_name(),
                report.case.name()
            )
            .ok();
        }
    }
    text + &totals_table(reports)
}

fn totals_table(reports: &[Report]) -> String {
    let mut chapters: Vec<&str> = Vec::new();
    for report in reports {
        if !chapters.contains(&report.case.chapter()) {
            chapters.push(report.case.chapter());
        }
    }
    let mut text = format!(
        "{:<44} {:>7} {:>7} {:>14}\n",
        "chapter", "passed", "failed", "not applicable"
    );
    let mut row = |title: &str, totals: Totals| {
        writeln!(
            text,
            "{title:<44} {:>7} {:>7} {:>14}",
            totals.passed, totals.failed, totals.not_applicable
        )
        .ok();
    };
    for chapter in chapters {
        let of_chapter = reports
            .iter()
            .filter(|report| report.case.chapter() == chapter);
        row(chapter, Totals::of(of_chapter));
    }
    row("all", Totals::of(reports));
    text
}

/// The reports for a program: an array with one object for each case and version.
pub fn json(reports: &[Report]) -> Value {
    reports
        .iter()
        .map(|report| {
            let mut object = json!({
                "chapter": report.case.chapter(),
                "name": report.case.name(),
                "about": report.case.about(),
                "version": report.case.version_name(),
                "statements": report.case.statements(),
                "milliseconds": u64::try_from(report.time.as_millis()).unwrap_or(u64::MAX),
            });
            match &report.verdict {
                Verdict::Passed => object["verdict"] = json!("passed"),
                Verdict::NotApplicable(why) => {
                    object["verdict"] = json!("not applicable");
                    object["why"] = json!(why);
                }
                Verdict::Failed(failure) => {
                    object["verdict"] = json!("failed");
                    object["expected"] = json!(failure.expected);
                    object["got"] = json!(failure.got);
                    object["at"] = json!(failure.at);
                    object["trace"] = json!(failure.trace);
                }
            }
            object
        })
        .collect()
}
