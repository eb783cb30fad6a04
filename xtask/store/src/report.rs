//! Figures as tables, for people and as JSON; and what must hold.

use core::fmt::{self, Write as _};

use serde_json::{Map, Value, json};

/// Rows of figures under one heading.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub(crate) heading: String,
    pub(crate) columns: Vec<&'static str>,
    pub(crate) rows: Vec<(String, Vec<Option<f64>>)>,
}

impl Table {
    pub(crate) fn new(heading: impl Into<String>, columns: &[&'static str]) -> Self {
        Self {
            heading: heading.into(),
            columns: columns.to_vec(),
            rows: Vec::new(),
        }
    }

    pub(crate) fn row(&mut self, name: impl Into<String>, figures: &[Option<f64>]) {
        self.rows.push((name.into(), figures.to_vec()));
    }

    fn json(&self) -> Value {
        let rows: Vec<Value> = self
            .rows
            .iter()
            .map(|(name, figures)| {
                let cells: Map<String, Value> = self
                    .columns
                    .iter()
                    .zip(figures)
                    .filter_map(|(column, figure)| {
                        Some(((*column).to_owned(), thousandths((*figure)?)))
                    })
                    .collect();
                json!({ "name": name, "cells": cells })
            })
            .collect();
        json!({ "heading": self.heading, "rows": rows })
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.rows.iter().map(|(name, _)| name.chars().count());
        let first = names.max().unwrap_or(0);
        let widths: Vec<usize> = self.columns.iter().map(|it| it.len().max(9)).collect();
        writeln!(f, "{}", self.heading)?;
        write!(f, "  {:first$}", "")?;
        for (column, width) in self.columns.iter().zip(&widths) {
            write!(f, "  {column:>width$}")?;
        }
        writeln!(f)?;
        for (name, figures) in &self.rows {
            write!(f, "  {name:first$}")?;
            for (figure, width) in figures.iter().zip(&widths) {
                let text = figure.map_or_else(|| "-".to_owned(), shown);
                write!(f, "  {text:>width$}")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

/// As many digits as one can use.
fn shown(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude < 10.0 {
        return format!("{value:.2}");
    }
    if magnitude < 1000.0 {
        return format!("{value:.1}");
    }
    let digits = format!("{magnitude:.0}");
    let mut text = String::from(if value < 0.0 { "-" } else { "" });
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// More digits would be noise.
fn thousandths(value: f64) -> Value {
    json!((value * 1000.0).round() / 1000.0)
}

/// How far a value may go.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Limit {
    AtMost(f64),
    AtLeast(f64),
}

/// One thing that must hold.
#[derive(Clone, Debug)]
pub(crate) struct Bar {
    pub(crate) claim: String,
    /// `None`: it could not be measured.
    pub(crate) value: Option<f64>,
    pub(crate) limit: Limit,
}

impl Bar {
    pub(crate) fn new(claim: impl Into<String>, value: Option<f64>, limit: Limit) -> Self {
        Self {
            claim: claim.into(),
            value,
            limit,
        }
    }

    pub(crate) fn holds(&self) -> bool {
        match (self.value, self.limit) {
            (None, _) => false,
            (Some(value), Limit::AtMost(most)) => value <= most,
            (Some(value), Limit::AtLeast(least)) => value >= least,
        }
    }
}

impl fmt::Display for Bar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.holds() { "holds " } else { "MISSED" };
        let value = self.value.map_or_else(|| "not measured".to_owned(), shown);
        let (word, limit) = match self.limit {
            Limit::AtMost(limit) => ("at most", limit),
            Limit::AtLeast(limit) => ("at least", limit),
        };
        write!(
            f,
            "{verdict}  {}: {value}, {word} {}",
            self.claim,
            shown(limit)
        )
    }
}

/// Everything that was found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Report {
    pub(crate) tables: Vec<Table>,
    pub(crate) bars: Vec<Bar>,
    /// What was not measured, and other things to know.
    pub(crate) notes: Vec<String>,
}

impl Report {
    pub(crate) fn missed(&self) -> usize {
        self.bars.iter().filter(|bar| !bar.holds()).count()
    }

    /// The figures for programs.
    pub(crate) fn json(&self, quick: bool) -> String {
        let bars: Vec<Value> = self
            .bars
            .iter()
            .map(|bar| {
                let limit = match bar.limit {
                    Limit::AtMost(limit) => json!({ "at_most": thousandths(limit) }),
                    Limit::AtLeast(limit) => json!({ "at_least": thousandths(limit) }),
                };
                json!({
                    "claim": bar.claim,
                    "value": bar.value.map(thousandths),
                    "limit": limit,
                    "held": bar.holds(),
                })
            })
            .collect();
        let document = json!({
            "bench": "store",
            "quick": quick,
            "tables": self.tables.iter().map(Table::json).collect::<Vec<_>>(),
            "bars": bars,
            "notes": self.notes,
        });
        format!("{document:#}\n")
    }

    /// The figures for people are printed as they come: what must hold, at the end.
    pub(crate) fn verdict(&self) -> String {
        let mut text = String::new();
        for note in &self.notes {
            let _ = writeln!(text, "{note}");
        }
        for bar in &self.bars {
            let _ = writeln!(text, "{bar}");
        }
        let (all, missed) = (self.bars.len(), self.missed());
        let _ = writeln!(text, "{} of {all} hold", all - missed);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_that_is_missed_or_not_measured_does_not_hold() {
        let check = |value, limit, expected| {
            assert_eq!(Bar::new("claim", value, limit).holds(), expected);
        };
        check(Some(0.5), Limit::AtLeast(0.5), true);
        check(Some(0.49), Limit::AtLeast(0.5), false);
        check(Some(64.0), Limit::AtMost(64.0), true);
        check(Some(64.1), Limit::AtMost(64.0), false);
        check(None, Limit::AtMost(64.0), false);
    }

    #[test]
    fn figures_have_the_digits_that_one_can_use() {
        let check = |value, expected| assert_eq!(shown(value), expected);
        check(0.123, "0.12");
        check(64.25, "64.2");
        check(1234.5, "1,234");
        check(1_234_567.0, "1,234,567");
        check(-1_000.0, "-1,000");
    }

    #[test]
    fn everything_is_in_the_json() {
        let mut report = Report::default();
        let mut table = Table::new("heading", &["a", "b"]);
        table.row("row", &[Some(1.0), None]);
        report.tables.push(table);
        report
            .bars
            .push(Bar::new("claim", Some(2.0), Limit::AtMost(1.0)));
        let read: Value = serde_json::from_str(&report.json(true)).expect("JSON");
        assert_eq!(read["tables"][0]["rows"][0]["cells"], json!({ "a": 1.0 }));
        assert_eq!(read["bars"][0]["held"], false);
        assert_eq!(report.missed(), 1);
    }
}
