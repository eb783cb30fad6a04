//! The harness that the benches share: rows of cases, columns of contenders, interleaved rounds, and reports.
//!
//! A bench is a program of a few lines: it describes itself as a [`Bench`] and hands that to [`main`].
//!
//! * A [`Section`] builds its [`Row`]s when their turn comes, and they are dropped before the next section is built, so
//!   that large indexes do not stand in memory together. Where that is cheap ([`Section::rebuilt`]), it is built anew every
//!   few rounds, for all contenders alike: then their buffers lie elsewhere, and no time is that of one lucky address.
//! * A cell of a row is an [`Op`]: `Op::each(|| …)` for one unit at a time, `Op::new(units, |n| …)` for a loop of one's
//!   own, `Op::watched(units, |watch| …)` if a part is not to be timed. It passes inputs and outputs through `black_box`. What needs no timing (bytes a subscription) is
//!   [`Row::extra`]; its column is named in [`Bench::extras`].
//! * What must hold is data: [`Bar`]s that hang on rows. A claim is a sentence; the report says for each claim in how
//!   many rows it holds, and `--strict` fails on the first that does not.
//!
//! ```
//! use mqtt_peers::harness::{Against, Bar, Bench, Chart, Contender, Limit, Op, Role, Row, Section, What};
//!
//! let text = "room/1/temperature";
//! let row = move || Row::new("count levels")
//!     .with("ours", Op::each(move || std::hint::black_box(text).bytes().filter(|b| *b == b'/').count()))
//!     .with("floor", Op::each(move || std::hint::black_box(text).len()))
//!     .extra("ours", "bytes", 18.0)
//!     .bar(Bar::new("nothing is allocated", What::Allocations("ours"), Limit::AtMost(0.0)))
//!     .bar(Bar::new(
//!         "within twice the floor",
//!         What::Ratio("ours", Against::Contender("floor")),
//!         Limit::AtMost(2.0),
//!     ));
//! let bench = Bench {
//!     name: "levels",
//!     unit: "topic",
//!     contenders: vec![Contender::ours(), Contender::new("floor", Role::Floor, "")],
//!     extras: vec!["bytes"],
//!     sections: vec![Section::new("Levels", 20.0, move |_only| vec![row()]).rebuilt()],
//!     chart: Chart { title: "Counting levels", rows: vec!["count levels".to_owned()] },
//! };
//! # let _ = bench;
//! ```
//!
//! Every round runs one sample of each contender in each row, and the order rotates, so that whatever else the machine
//! does hits all of them alike. A sample takes about 1.5 ms. Bars look at minima: what disturbs a sample only makes it
//! longer.

mod allocator;
mod bars;
mod bench;
mod figures;
mod json;
mod measure;
mod options;
mod placement;
mod stopwatch;
mod svg;
mod table;
mod versions;

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::path::Path;
use std::process::ExitCode;

pub use allocator::{CountingAllocator, allocations, held_bytes};
pub use bars::{Against, Bar, Judged, Limit, What, by_claim, judge};
pub use bench::{Bench, Build, Cell, Chart, Contender, Filter, Op, Role, Row, Section};
pub use figures::{CellFigures, Figures, RowFigures, SectionFigures, Time};
pub use options::Options;
pub use stopwatch::Stopwatch;

/// Reads the command line, measures, and reports.
pub fn main(bench: Bench) -> ExitCode {
    let options = match options::parse(std::env::args_os()) {
        Ok(options) => options,
        Err(error) => {
            eprintln!(
                "error: {error}\n\nTry `cargo xtask bench {} --help`.",
                bench.name
            );
            return ExitCode::from(2);
        }
    };
    if options.help {
        let help = io::stdout().write_all(options::help(bench.name).as_bytes());
        return ExitCode::from(u8::from(!printed(help)));
    }
    // Minutes of measuring are not to end at a misspelled path.
    let paths = [&options.json, &options.svg];
    if !paths.into_iter().flatten().all(|path| is_writable(path)) {
        return ExitCode::from(2);
    }
    let figures = measure::run(bench, &options);
    if figures.sections.is_empty() {
        eprintln!("error: no row has this in its name");
        return ExitCode::FAILURE;
    }
    let judged = judge(&figures);
    let mut written = printed(table::print(&figures, &judged, options.all));
    if let Some(path) = &options.json {
        written &= write(path, &json::text(&figures, &judged));
    }
    if let Some(path) = &options.svg {
        written &= write(path, &svg::text(&figures));
    }
    let held = judged.iter().all(Judged::holds);
    if written && (held || !options.strict) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Whether a file can be written there; leaves its content alone.
fn is_writable(path: &Path) -> bool {
    let file = File::options().create(true).append(true).open(path);
    told(path, file.map(drop))
}

fn write(path: &Path, text: &str) -> bool {
    told(path, std::fs::write(path, text))
}

/// Whether standard output took what there was, or its reader has seen enough and went away (`| head`).
fn printed(outcome: io::Result<()>) -> bool {
    match outcome {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => true,
        outcome => told(Path::new("standard output"), outcome),
    }
}

/// Whether it went well; says what did not.
fn told(path: &Path, outcome: io::Result<()>) -> bool {
    outcome
        .inspect_err(|error| eprintln!("error: {}: {error}", path.display()))
        .is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_went_away_is_no_failure() {
        let refused = |kind| printed(Err(io::Error::from(kind)));
        assert!(printed(Ok(())) && refused(ErrorKind::BrokenPipe));
        assert!(!refused(ErrorKind::StorageFull));
    }

    #[test]
    fn a_path_is_tried_without_harm() {
        let folder = std::env::temp_dir().join(format!("mqtt-peers-{}", std::process::id()));
        let file = folder.join("figures.json");
        assert!(!is_writable(&file), "there is no such folder yet");
        std::fs::create_dir(&folder).expect("a folder of our own");
        assert!(!is_writable(&folder), "a folder is no file");
        assert!(write(&file, "kept") && is_writable(&file));
        assert_eq!(std::fs::read_to_string(&file).expect("written"), "kept");
        std::fs::remove_dir_all(&folder).expect("it is ours");
    }
}
