//! Measuring: calibration, allocations, and rounds in which every contender of a row runs one sample.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use super::bench::{Bench, Contender, Filter, Op, Row};
use super::figures::{CellFigures, Figures, RowFigures, SectionFigures, Time};
use super::options::Options;
use super::placement::at_depth;

/// How long a sample takes: long against the clock's resolution, short against the scheduler's slice.
const SAMPLE: Duration = Duration::from_micros(1500);
/// Rounds that a section runs even if they take longer than its time.
const FEWEST_ROUNDS: usize = 5;
/// How much longer than counted a sample may take for parts that are not timed.
const UNCOUNTED: u32 = 4;
/// Rounds for which a section that is rebuilt stays as it is.
const ROUNDS_IN_PLACE: usize = 4;
/// Part of a sample that warms up an operation that was built anew.
const WARM_UP: u32 = 8;
/// Share of the full time that a quick run takes.
const QUICK: f64 = 1.0 / 7.0;

/// A cell while it is measured.
struct Running {
    op: Op,
    /// Times that a sample does the operation.
    times: u32,
    allocations: f64,
    /// Nanoseconds a unit, of each sample.
    samples: Vec<f64>,
}

impl Running {
    fn start(mut op: Op) -> Self {
        let times = calibrate(&mut op);
        let units = f64::from(times) * f64::from(op.units);
        let allocations = op.perform(times).allocations() as f64 / units;
        Self {
            op,
            times,
            allocations,
            samples: Vec::new(),
        }
    }

    /// Goes on with the same operation in another place.
    fn replace(&mut self, op: Op) {
        self.op = op;
        self.op.perform(self.times.div_ceil(WARM_UP));
    }

    fn sample(&mut self) {
        let nanoseconds = self.op.perform(self.times).elapsed().as_nanos() as f64;
        let units = f64::from(self.times) * f64::from(self.op.units);
        self.samples.push(nanoseconds / units);
    }

    fn finish(mut self) -> Time {
        self.samples.sort_by(f64::total_cmp);
        Time {
            minimum: self.samples[0],
            median: self.samples[self.samples.len() / 2],
            allocations: self.allocations,
        }
    }
}

/// How often the operation fits into a sample; warms it up on the way.
fn calibrate(op: &mut Op) -> u32 {
    let mut times = 1;
    loop {
        // The shorter of two: an interruption must not make samples too short.
        let time = (0..2).map(|_| {
            let start = Instant::now();
            let counted = op.perform(times).elapsed();
            // What is not counted must not take for ever either.
            counted.max(start.elapsed() / UNCOUNTED)
        });
        let time = time.min().unwrap_or_default().max(Duration::from_nanos(1));
        if time * 4 >= SAMPLE || times > u32::MAX / 8 {
            let fits = f64::from(times) * SAMPLE.as_secs_f64() / time.as_secs_f64();
            return (fits as u32).max(1);
        }
        times *= 4;
    }
}

/// Builds and measures section after section.
#[must_use]
pub fn run(bench: Bench, options: &Options) -> Figures {
    let mut sections = Vec::new();
    for section in bench.sections {
        if section.full_only && options.quick {
            continue;
        }
        progress(&format!("{}: building", section.heading));
        let build = || wanted((section.build)(&options.only), &options.only);
        let rows = build();
        let share = if options.quick { QUICK } else { 1.0 };
        let budget = Budget {
            time: Duration::from_secs_f64(section.seconds * share),
            rounds: options.rounds,
        };
        if rows.is_empty() {
            continue;
        }
        let rebuild: Option<&dyn Fn() -> Vec<Row>> = section.rebuilt.then_some(&build);
        let (rounds, rows) = measure(section.heading, rows, rebuild, &bench.contenders, budget);
        sections.push(SectionFigures {
            heading: section.heading,
            rounds,
            rows,
        });
    }
    progress("");
    Figures {
        bench: bench.name,
        unit: bench.unit,
        contenders: bench.contenders,
        extras: bench.extras,
        sections,
        chart: bench.chart,
    }
}

fn wanted(mut rows: Vec<Row>, only: &Filter) -> Vec<Row> {
    rows.retain(|row| only.wants(&row.name));
    rows
}

#[derive(Clone, Copy)]
struct Budget {
    time: Duration,
    /// Exactly so many, whatever they take.
    rounds: Option<usize>,
}

fn measure(
    heading: &str,
    mut rows: Vec<Row>,
    rebuild: Option<&dyn Fn() -> Vec<Row>>,
    contenders: &[Contender],
    budget: Budget,
) -> (usize, Vec<RowFigures>) {
    let mut running: Vec<Vec<(usize, Running)>> = Vec::new();
    let count = rows.len();
    for (index, row) in rows.iter_mut().enumerate() {
        progress(&format!("{heading}: calibrating {}/{count}", index + 1));
        let cells = row.cells.iter_mut().enumerate();
        let timed = cells.filter_map(|(at, cell)| Some((at, Running::start(cell.op.take()?))));
        running.push(timed.collect());
    }
    let start = Instant::now();
    let mut rounds = 0;
    let timed = running.iter().any(|row| !row.is_empty());
    while timed && goes_on(rounds, start.elapsed(), budget) {
        progress(&format!(
            "{heading}: round {}{}",
            rounds + 1,
            left(rounds, start.elapsed(), budget)
        ));
        if let Some(rebuild) = rebuild
            && rounds > 0
            && rounds.is_multiple_of(ROUNDS_IN_PLACE)
        {
            place_anew(&mut running, &mut rows, rebuild());
        }
        at_depth(rounds, &mut || {
            for row in &mut running {
                let cells = row.len();
                for step in 0..cells {
                    // Rotated, so that nobody always runs after the same neighbour.
                    let at = (step + rounds) % cells;
                    row[at].1.sample();
                }
            }
        });
        rounds += 1;
    }
    let figures = rows.into_iter().zip(running);
    let figures = figures.map(|(row, running)| row_figures(row, running, contenders, rounds));
    (rounds, figures.collect())
}

/// Puts the operations of rows that were built anew in the place of those that have run.
fn place_anew(running: &mut [Vec<(usize, Running)>], rows: &mut [Row], anew: Vec<Row>) {
    assert_eq!(rows.len(), anew.len(), "the rows of a section");
    for ((running, row), anew) in running.iter_mut().zip(rows).zip(anew) {
        assert_eq!(row.name, anew.name, "the rows of a section");
        let cells = std::mem::replace(&mut row.cells, anew.cells);
        assert_eq!(cells.len(), row.cells.len(), "the cells of a row");
        for (at, running) in running {
            assert_eq!(cells[*at].contender, row.cells[*at].contender);
            running.replace(row.cells[*at].op.take().expect("it had one before"));
        }
    }
}

fn row_figures(
    row: Row,
    running: Vec<(usize, Running)>,
    contenders: &[Contender],
    rounds: usize,
) -> RowFigures {
    let mut times: Vec<Option<Time>> = row.cells.iter().map(|_| None).collect();
    if rounds > 0 {
        for (at, running) in running {
            times[at] = Some(running.finish());
        }
    }
    let order = |name: &str| contenders.iter().position(|it| it.name == name);
    let cells = row.cells.into_iter().zip(times);
    let mut cells: Vec<(usize, CellFigures)> = cells
        .map(|(cell, time)| {
            let at = order(cell.contender).unwrap_or_else(|| {
                panic!(
                    "`{}` in the row `{}` is no contender",
                    cell.contender, row.name
                )
            });
            let figures = CellFigures {
                contender: contenders[at],
                time,
                extras: cell.extras,
            };
            (at, figures)
        })
        .collect();
    cells.sort_by_key(|(at, _)| *at);
    RowFigures {
        name: row.name,
        cells: cells.into_iter().map(|(_, cell)| cell).collect(),
        bars: row.bars,
    }
}

fn goes_on(rounds: usize, elapsed: Duration, budget: Budget) -> bool {
    match budget.rounds {
        Some(wanted) => rounds < wanted,
        None => rounds < FEWEST_ROUNDS || elapsed < budget.time,
    }
}

fn left(rounds: usize, elapsed: Duration, budget: Budget) -> String {
    match budget.rounds {
        Some(wanted) => format!(" of {wanted}"),
        None if rounds == 0 => String::new(),
        None => format!(
            ", {:.0} s left",
            budget.time.saturating_sub(elapsed).as_secs_f64()
        ),
    }
}

/// Overwrites the line of progress; an empty text clears it. Nothing if no person looks.
fn progress(text: &str) {
    let mut out = std::io::stderr();
    if out.is_terminal() {
        // A terminal that went away must not stop the run.
        let _ = write!(out, "\r\u{1b}[K{text}");
        let _ = out.flush();
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::collections::BTreeSet;
    use std::hint::black_box;

    use super::super::bench::{Chart, Role, Section};
    use super::*;

    fn spin(turns: u64) -> Op {
        Op::each(move || (0..turns).fold(0u64, |sum, turn| black_box(sum ^ turn)))
    }

    fn options(rounds: usize) -> Options {
        Options {
            rounds: Some(rounds),
            ..Options::default()
        }
    }

    fn bench(rows: fn() -> Vec<Row>) -> Bench {
        Bench {
            name: "test",
            unit: "turn",
            contenders: vec![Contender::ours(), Contender::new("floor", Role::Floor, "")],
            extras: Vec::new(),
            sections: vec![Section::new("Section", 1.0, move |_| rows())],
            chart: Chart {
                title: "",
                rows: Vec::new(),
            },
        }
    }

    #[test]
    fn times_are_per_unit_and_allocations_are_counted() {
        let figures = run(
            bench(|| {
                let boxes = Op::new(2, |n| {
                    for _ in 0..n {
                        black_box((Box::new(1u64), Box::new(2u64), Box::new(3u64)));
                    }
                });
                vec![Row::new("a").with("floor", spin(1000)).with("ours", boxes)]
            }),
            &options(3),
        );
        let row = figures.row("a").expect("the row");
        let time = |name| {
            row.cell(name)
                .and_then(|cell| cell.time.clone())
                .expect("timed")
        };
        assert_eq!(
            row.cells[0].contender.name, "ours",
            "in the order of the contenders"
        );
        assert_eq!(
            (time("ours").allocations, time("floor").allocations),
            (1.5, 0.0)
        );
        assert!(
            time("floor").minimum > 4.0 * time("ours").minimum / 3.0,
            "{row:?}"
        );
        assert!(time("floor").minimum <= time("floor").median);
        assert_eq!(figures.sections[0].rounds, 3);
    }

    thread_local! {
        /// Where the operations have had their buffers within a page.
        static PLACES: RefCell<BTreeSet<usize>> = const { RefCell::new(BTreeSet::new()) };
    }

    /// Places of buffers that the rounds in four placements have seen, for each of two contenders.
    fn places(rebuilt: bool) -> [usize; 2] {
        ["ours", "floor"].map(|watched| {
            PLACES.take();
            let rows = move || {
                let op = |name| {
                    let buffer = vec![0u8; 64];
                    Op::each(move || {
                        if name == watched {
                            let place = black_box(&buffer).as_ptr().addr() % 4_096;
                            PLACES.with_borrow_mut(|places| places.insert(place));
                        }
                    })
                };
                vec![
                    Row::new("a")
                        .with("ours", op("ours"))
                        .with("floor", op("floor")),
                ]
            };
            let mut section = Section::new("Section", 1.0, move |_| rows());
            if rebuilt {
                section = section.rebuilt();
            }
            let sections = vec![section];
            let bench = Bench {
                sections,
                ..bench(Vec::new)
            };
            let figures = run(bench, &options(4 * ROUNDS_IN_PLACE));
            assert_eq!(figures.sections[0].rounds, 4 * ROUNDS_IN_PLACE);
            PLACES.take().len()
        })
    }

    #[test]
    fn buffers_of_all_contenders_move_in_a_section_that_is_rebuilt() {
        assert_eq!(places(false), [1, 1]);
        let moved = places(true);
        assert!(moved.iter().all(|places| *places > 2), "{moved:?}");
    }

    #[test]
    #[should_panic = "the rows of a section"]
    fn rows_that_are_built_anew_are_the_same() {
        let turn = Cell::new(0);
        let section = Section::new("Section", 1.0, move |_| {
            turn.set(turn.get() + 1);
            vec![Row::new(format!("row {}", turn.get())).with("ours", spin(9))]
        });
        let sections = vec![section.rebuilt()];
        let bench = Bench {
            sections,
            ..bench(Vec::new)
        };
        let _ = run(bench, &options(ROUNDS_IN_PLACE + 1));
    }

    #[test]
    fn only_what_is_asked_for_is_measured() {
        let rows = || {
            vec![
                Row::new("decode A").with("ours", spin(9)),
                Row::new("encode A").with("ours", spin(9)),
            ]
        };
        let only = Filter(vec!["DECODE".to_owned()]);
        let figures = run(bench(rows), &Options { only, ..options(1) });
        let names: Vec<_> = figures.rows().map(|row| row.name.as_str()).collect();
        assert_eq!(names, ["decode A"]);
    }
}
