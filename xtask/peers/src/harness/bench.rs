//! What a bench is made of: contenders in columns, cases in rows, an operation in each cell, and the bars.

use std::fmt;

use super::bars::Bar;
use super::placement::Gap;
use super::stopwatch::Stopwatch;

/// Part a contender plays in the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The crate of this workspace.
    Ours,
    /// A published crate.
    Peer,
    /// Hand-written, the least that can do the work.
    Floor,
    /// Shown beside the others, and no competitor: what a copy costs, for example.
    Reference,
}

/// A column of the comparison.
#[derive(Clone, Copy, Debug)]
pub struct Contender {
    /// What it is called everywhere.
    pub name: &'static str,
    /// Part it plays.
    pub role: Role,
    /// Package whose version the lock file tells; empty if it is not published.
    pub package: &'static str,
}

impl Contender {
    /// Our own crate.
    #[must_use]
    pub const fn ours() -> Self {
        Self::new("ours", Role::Ours, "")
    }

    /// A published crate, under the name of its package.
    #[must_use]
    pub const fn peer(package: &'static str) -> Self {
        Self::new(package, Role::Peer, package)
    }

    /// Any contender.
    #[must_use]
    pub const fn new(name: &'static str, role: Role, package: &'static str) -> Self {
        Self {
            name,
            role,
            package,
        }
    }
}

/// What is measured: work that is done so many times in a loop of its own, so that only the loop is called through a pointer.
///
/// The operation passes its inputs and outputs through `black_box`.
pub struct Op {
    /// Units (packets, matches) that one time yields.
    pub units: u32,
    work: Work,
}

/// How an operation is timed.
enum Work {
    /// All of it.
    Whole(Box<dyn FnMut(u32)>),
    /// What it hands to the stopwatch.
    Watched(Watched),
}

type Watched = Box<dyn FnMut(u32, &mut Stopwatch)>;

impl Op {
    /// An operation that yields `units` each time; `run(n)` does it `n` times.
    pub fn new(units: u32, run: impl FnMut(u32) + 'static) -> Self {
        Self {
            units,
            work: Work::Whole(Box::new(run)),
        }
    }

    /// An operation that yields one unit each time: `once` is inlined into the loop.
    pub fn each<T>(mut once: impl FnMut() -> T + 'static) -> Self {
        Self::new(1, move |n| {
            for _ in 0..n {
                std::hint::black_box(once());
            }
        })
    }

    /// An operation with a part that is not to be timed, such as filling a buffer that the work uses up.
    ///
    /// `batch` yields `units` within what it hands to the stopwatch, once; they should be so many that the clock's
    /// resolution does not matter.
    pub fn watched(units: u32, mut batch: impl FnMut(&mut Stopwatch) + 'static) -> Self {
        Self {
            units,
            work: Work::Watched(Box::new(move |n, watch| {
                for _ in 0..n {
                    batch(watch);
                }
            })),
        }
    }
}

impl Op {
    /// Does it so often; returns what counts.
    pub fn perform(&mut self, times: u32) -> Stopwatch {
        let mut watch = Stopwatch::default();
        match &mut self.work {
            Work::Whole(run) => watch.time(|| run(times)),
            Work::Watched(run) => run(times, &mut watch),
        }
        watch
    }
}

impl fmt::Debug for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Op")
            .field("units", &self.units)
            .finish_non_exhaustive()
    }
}

/// A contender in a row.
#[derive(Debug)]
pub struct Cell {
    /// Name of the contender.
    pub contender: &'static str,
    /// What is timed; nothing if only [`Cell::extras`] are of interest.
    pub op: Option<Op>,
    /// Figures that need no timing, by column: bytes a subscription, for example.
    pub extras: Vec<(&'static str, f64)>,
    /// Between the memory of this operation and that of the next.
    _gap: Gap,
}

impl Cell {
    fn new(contender: &'static str, op: Option<Op>) -> Self {
        Self {
            contender,
            op,
            extras: Vec::new(),
            _gap: Gap::next(),
        }
    }
}

/// A case, with everyone who can do it. Who cannot has no cell.
#[derive(Debug)]
pub struct Row {
    /// What is done, unique in the bench: `decode PUBLISH QoS 0, 64 B, v5`.
    pub name: String,
    /// Contenders in any order.
    pub cells: Vec<Cell>,
    /// What must hold.
    pub bars: Vec<Bar>,
}

impl Row {
    /// A row without cells.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            cells: Vec::new(),
            bars: Vec::new(),
        }
    }

    /// Adds a cell that is timed.
    #[must_use]
    pub fn with(mut self, contender: &'static str, op: Op) -> Self {
        self.push(contender, Some(op));
        self
    }

    /// Adds a cell if there is an operation: a peer that cannot express the case has none.
    pub fn push(&mut self, contender: &'static str, op: Option<Op>) {
        if op.is_some() {
            self.cells.push(Cell::new(contender, op));
        }
    }

    /// Adds a figure that needs no timing to a contender's cell.
    #[must_use]
    pub fn extra(mut self, contender: &'static str, column: &'static str, value: f64) -> Self {
        let index = self
            .cells
            .iter()
            .position(|cell| cell.contender == contender);
        let index = index.unwrap_or_else(|| {
            self.cells.push(Cell::new(contender, None));
            self.cells.len() - 1
        });
        self.cells[index].extras.push((column, value));
        self
    }

    /// Adds a bar.
    #[must_use]
    pub fn bar(mut self, bar: Bar) -> Self {
        self.bars.push(bar);
        self
    }

    /// Whether the contender has a cell here.
    #[must_use]
    pub fn has(&self, contender: &str) -> bool {
        self.cells.iter().any(|cell| cell.contender == contender)
    }
}

/// Which rows are wanted: `--only` of the command line.
#[derive(Clone, Debug, Default)]
pub struct Filter(pub(super) Vec<String>);

impl Filter {
    /// Whether a row of that name is to be built; a bench asks before it does expensive work.
    #[must_use]
    pub fn wants(&self, row: &str) -> bool {
        let row = row.to_lowercase();
        self.0.is_empty() || self.0.iter().any(|part| row.contains(&part.to_lowercase()))
    }
}

/// Makes the rows of a section.
pub type Build = Box<dyn Fn(&Filter) -> Vec<Row>>;

/// Rows that are built together, measured in common rounds, and dropped before the next section is built.
pub struct Section {
    /// Heading in the table.
    pub heading: &'static str,
    /// How long its rounds go on in a full run, in seconds.
    pub seconds: f64,
    /// Whether a quick run leaves it out.
    pub full_only: bool,
    /// Whether the rows are built anew every few rounds.
    pub rebuilt: bool,
    /// Makes the rows; what the filter does not want may be left out.
    pub build: Build,
}

impl Section {
    /// A section whose rows `build` makes.
    pub fn new(
        heading: &'static str,
        seconds: f64,
        build: impl Fn(&Filter) -> Vec<Row> + 'static,
    ) -> Self {
        Self {
            heading,
            seconds,
            full_only: false,
            rebuilt: false,
            build: Box::new(build),
        }
    }

    /// A quick run leaves it out.
    #[must_use]
    pub fn unless_quick(mut self) -> Self {
        self.full_only = true;
        self
    }

    /// Its rows are built anew every few rounds, always the same: their memory lies elsewhere then, and minimum and median
    /// are over many placements. For rows that are built in a moment.
    #[must_use]
    pub fn rebuilt(mut self) -> Self {
        self.rebuilt = true;
        self
    }
}

impl fmt::Debug for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Section");
        shown.field("heading", &self.heading);
        shown
            .field("seconds", &self.seconds)
            .finish_non_exhaustive()
    }
}

/// The drawing for a README: some rows, each a panel of bars.
#[derive(Clone, Debug)]
pub struct Chart {
    /// Line above the panels.
    pub title: &'static str,
    /// Rows to draw, in this order; those that were not measured are left out.
    pub rows: Vec<String>,
}

/// A whole comparison.
#[derive(Debug)]
pub struct Bench {
    /// `codec` or `topic`.
    pub name: &'static str,
    /// What times are divided by: `packet` or `match`.
    pub unit: &'static str,
    /// Who takes part, in the order of the columns.
    pub contenders: Vec<Contender>,
    /// Columns beside time and allocations, in this order.
    pub extras: Vec<&'static str>,
    /// The rows, by section.
    pub sections: Vec<Section>,
    /// The drawing for the README.
    pub chart: Chart,
}
