//! What was measured: times, allocations and extra figures, by section, row and contender.

use super::bars::Bar;
use super::bench::{Chart, Contender, Role};

/// Times and allocations of one cell.
#[derive(Clone, Debug, PartialEq)]
pub struct Time {
    /// Shortest sample, in nanoseconds a unit.
    pub minimum: f64,
    /// Median of all samples, in nanoseconds a unit.
    pub median: f64,
    /// Heap allocations a unit.
    pub allocations: f64,
}

/// One contender in one row.
#[derive(Clone, Debug)]
pub struct CellFigures {
    /// Who.
    pub contender: Contender,
    /// What was timed.
    pub time: Option<Time>,
    /// Figures by column.
    pub extras: Vec<(&'static str, f64)>,
}

impl CellFigures {
    /// The figure in an extra column.
    #[must_use]
    pub fn extra(&self, column: &str) -> Option<f64> {
        let found = self.extras.iter().find(|(name, _)| *name == column);
        found.map(|(_, value)| *value)
    }
}

/// A case.
#[derive(Clone, Debug)]
pub struct RowFigures {
    /// What was done.
    pub name: String,
    /// In the order of the bench's contenders; who could not do it is left out.
    pub cells: Vec<CellFigures>,
    /// What must hold.
    pub bars: Vec<Bar>,
}

impl RowFigures {
    /// The cell of a contender.
    #[must_use]
    pub fn cell(&self, contender: &str) -> Option<&CellFigures> {
        self.cells
            .iter()
            .find(|cell| cell.contender.name == contender)
    }

    /// The shortest time of a contender.
    #[must_use]
    pub fn minimum(&self, contender: &str) -> Option<f64> {
        Some(self.cell(contender)?.time.as_ref()?.minimum)
    }

    /// The contender of a role with the shortest time.
    #[must_use]
    pub fn fastest(&self, role: Role) -> Option<(&CellFigures, f64)> {
        let cells = self.cells.iter().filter(|cell| cell.contender.role == role);
        let timed = cells.filter_map(|cell| Some((cell, cell.time.as_ref()?.minimum)));
        timed.min_by(|(_, a), (_, b)| a.total_cmp(b))
    }

    /// The fastest peer.
    #[must_use]
    pub fn fastest_peer(&self) -> Option<(&CellFigures, f64)> {
        self.fastest(Role::Peer)
    }
}

/// Rows under a heading.
#[derive(Clone, Debug)]
pub struct SectionFigures {
    /// The heading.
    pub heading: &'static str,
    /// How many samples stand behind each time.
    pub rounds: usize,
    /// The rows.
    pub rows: Vec<RowFigures>,
}

/// All of a run.
#[derive(Clone, Debug)]
pub struct Figures {
    /// Name of the bench.
    pub bench: &'static str,
    /// What times are divided by.
    pub unit: &'static str,
    /// Who took part.
    pub contenders: Vec<Contender>,
    /// Extra columns.
    pub extras: Vec<&'static str>,
    /// The rows by section.
    pub sections: Vec<SectionFigures>,
    /// What to draw.
    pub chart: Chart,
}

impl Figures {
    /// All rows.
    pub fn rows(&self) -> impl Iterator<Item = &RowFigures> {
        self.sections.iter().flat_map(|section| &section.rows)
    }

    /// The row of that name.
    #[must_use]
    pub fn row(&self, name: &str) -> Option<&RowFigures> {
        self.rows().find(|row| row.name == name)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// One row: ours 12 ns and 48 bytes, floor 10 ns, `quick` 18 ns, `slow` 24 ns and 2 allocations, a copy 4 ns.
    pub(in super::super) fn figures() -> Figures {
        let contenders = vec![
            Contender::ours(),
            Contender::new("floor", Role::Floor, ""),
            Contender::new("copy", Role::Reference, ""),
            Contender::peer("slow"),
            Contender::peer("quick"),
        ];
        let times = [
            (12.0, 0.0),
            (10.0, 0.0),
            (4.0, 0.0),
            (24.0, 2.0),
            (18.0, 0.0),
        ];
        let cells = contenders
            .iter()
            .zip(times)
            .map(|(contender, (minimum, allocations))| {
                let extras = if contender.role == Role::Ours {
                    vec![("bytes", 48.0)]
                } else {
                    Vec::new()
                };
                let time = Time {
                    minimum,
                    median: minimum * 1.1,
                    allocations,
                };
                CellFigures {
                    contender: *contender,
                    time: Some(time),
                    extras,
                }
            });
        let row = RowFigures {
            name: "decode PUBLISH".to_owned(),
            cells: cells.collect(),
            bars: Vec::new(),
        };
        Figures {
            bench: "codec",
            unit: "packet",
            contenders: contenders.clone(),
            extras: vec!["bytes"],
            sections: vec![SectionFigures {
                heading: "Decode",
                rounds: 7,
                rows: vec![row],
            }],
            chart: Chart {
                title: "Decoding",
                rows: vec!["decode PUBLISH".to_owned()],
            },
        }
    }

    #[test]
    fn the_fastest_peer_is_neither_ours_nor_a_floor() {
        let figures = figures();
        let row = figures.row("decode PUBLISH").expect("the row");
        let (cell, minimum) = row.fastest_peer().expect("a peer");
        assert_eq!((cell.contender.name, minimum), ("quick", 18.0));
    }
}
