//! Bars as data: what is compared with what, up to which limit; and the judgement over the figures.

use std::fmt;

use super::figures::{Figures, RowFigures};

/// What is held against a limit. Times are minima.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// Allocations a unit of this contender.
    Allocations(&'static str),
    /// Time of this contender over another's.
    Ratio(&'static str, Against),
    /// Figure of this contender in an extra column.
    Extra(&'static str, &'static str),
}

/// The other side of a ratio.
#[derive(Clone, Debug, PartialEq)]
pub enum Against {
    /// A contender in the same row.
    Contender(&'static str),
    /// The fastest peer in the row; with no peer in it there is nothing to judge.
    FastestPeer,
    /// A contender in another row; nothing to judge when that row was not asked for.
    Row(String, &'static str),
}

/// How far it may go.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    /// This much and no more.
    AtMost(f64),
    /// Less than this.
    Below(f64),
}

impl Limit {
    fn admits(self, value: f64) -> bool {
        match self {
            Self::AtMost(limit) => value <= limit,
            Self::Below(limit) => value < limit,
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(limit) => write!(f, "at most {limit}"),
            Self::Below(limit) => write!(f, "less than {limit}"),
        }
    }
}

/// One thing that must hold in one row.
#[derive(Clone, Debug, PartialEq)]
pub struct Bar {
    /// The sentence that it is part of; the report sums up by sentence.
    pub claim: &'static str,
    /// What is looked at.
    pub what: What,
    /// How far it may go.
    pub limit: Limit,
}

impl Bar {
    /// A bar that is part of a claim.
    #[must_use]
    pub const fn new(claim: &'static str, what: What, limit: Limit) -> Self {
        Self { claim, what, limit }
    }

    /// The value, `None` if there is nothing to judge, or an error if a figure is missing that should be there.
    fn value(&self, row: &RowFigures, all: &Figures) -> Result<Option<f64>, String> {
        let missing = |name: &str| format!("no figure of `{name}`");
        match &self.what {
            What::Allocations(of) => {
                let cell = row.cell(of).and_then(|cell| cell.time.as_ref());
                Ok(Some(cell.ok_or_else(|| missing(of))?.allocations))
            }
            What::Extra(of, column) => {
                let value = row.cell(of).and_then(|cell| cell.extra(column));
                value.map(Some).ok_or_else(|| missing(column))
            }
            What::Ratio(of, against) => {
                let own = row.minimum(of).ok_or_else(|| missing(of))?;
                let other = match against {
                    Against::Contender(name) => {
                        Some(row.minimum(name).ok_or_else(|| missing(name))?)
                    }
                    Against::FastestPeer => row.fastest_peer().map(|(_, minimum)| minimum),
                    Against::Row(name, contender) => match all.row(name) {
                        Some(row) => {
                            Some(row.minimum(contender).ok_or_else(|| missing(contender))?)
                        }
                        None => None,
                    },
                };
                Ok(other.map(|other| own / other))
            }
        }
    }
}

/// A bar that was judged.
#[derive(Clone, Debug)]
pub struct Judged {
    /// Row in which it stands.
    pub row: String,
    /// The bar.
    pub bar: Bar,
    /// The value, or why there is none.
    pub value: Result<f64, String>,
}

impl Judged {
    /// Whether the bar holds.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.value
            .as_ref()
            .is_ok_and(|value| self.bar.limit.admits(*value))
    }
}

impl fmt::Display for Judged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Ok(value) => write!(f, "{}: {value:.3}, {}", self.row, self.bar.limit),
            Err(why) => write!(f, "{}: {why}", self.row),
        }
    }
}

/// Judges every bar of every row.
#[must_use]
pub fn judge(figures: &Figures) -> Vec<Judged> {
    let mut judged = Vec::new();
    for row in figures.rows() {
        for bar in &row.bars {
            if let Some(value) = bar.value(row, figures).transpose() {
                judged.push(Judged {
                    row: row.name.clone(),
                    bar: bar.clone(),
                    value,
                });
            }
        }
    }
    judged
}

/// The claims in order of appearance, each with its bars.
#[must_use]
pub fn by_claim(judged: &[Judged]) -> Vec<(&'static str, Vec<&Judged>)> {
    let mut claims: Vec<(&'static str, Vec<&Judged>)> = Vec::new();
    for one in judged {
        match claims.iter_mut().find(|(claim, _)| *claim == one.bar.claim) {
            Some((_, list)) => list.push(one),
            None => claims.push((one.bar.claim, vec![one])),
        }
    }
    claims
}

#[cfg(test)]
mod tests {
    use super::super::figures::tests::figures;
    use super::*;

    /// Ours 12 ns, floor 10 ns, peers 24 and 18 ns; 0 and 2 allocations.
    fn outcome(what: What, limit: Limit) -> Option<bool> {
        let mut all = figures();
        all.sections[0].rows[0]
            .bars
            .push(Bar::new("claim", what, limit));
        judge(&all).first().map(Judged::holds)
    }

    #[test]
    fn a_limit_that_is_passed_is_a_miss() {
        use Against::{Contender, FastestPeer};
        let ratio = |against| What::Ratio("ours", against);
        let check = |what, limit, expected| assert_eq!(outcome(what, limit), Some(expected));
        check(ratio(Contender("floor")), Limit::AtMost(1.2), true);
        check(ratio(Contender("floor")), Limit::AtMost(1.19), false);
        check(ratio(Contender("floor")), Limit::Below(1.2), false);
        check(ratio(FastestPeer), Limit::AtMost(0.67), true);
        check(ratio(FastestPeer), Limit::AtMost(0.66), false);
        check(What::Allocations("ours"), Limit::AtMost(0.0), true);
        check(What::Allocations("slow"), Limit::AtMost(0.0), false);
        check(What::Extra("ours", "bytes"), Limit::AtMost(64.0), true);
        check(What::Extra("ours", "bytes"), Limit::AtMost(47.0), false);
    }

    #[test]
    fn a_figure_that_should_be_there_is_missed_and_a_row_not_asked_for_is_not() {
        let gone = What::Ratio("ours", Against::Contender("gone"));
        assert_eq!(outcome(gone, Limit::AtMost(9.0)), Some(false));
        let extra = What::Extra("ours", "gone");
        assert_eq!(outcome(extra, Limit::AtMost(9.0)), Some(false));
        let row = What::Ratio("ours", Against::Row("not measured".to_owned(), "ours"));
        assert_eq!(outcome(row, Limit::AtMost(0.0)), None);
    }
}
