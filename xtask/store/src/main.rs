//! `mqtt-store-bench`: what durability costs, and what of it is too much.
#![expect(
    clippy::print_stdout,
    reason = "a command-line tool answers on standard output"
)]

mod contender;
mod crowd;
mod floor;
mod load;
mod memory;
mod packets;
mod process;
mod rate;
mod report;
mod syncs;
mod writes;

use core::time::Duration;
use std::fs;
use std::io::{self, IsTerminal as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};

use report::{Bar, Report, Table};

/// What the broker's store costs: messages a second, bytes written, bytes in memory
///
/// Exits with 0 when everything was measured, with 1 under --strict when a bar is missed, with 2 when something could not be measured.
/// `cargo xtask bench store` builds what this needs, and starts it.
#[derive(Debug, Parser)]
#[command(name = "mqtt-store-bench")]
struct Arguments {
    /// Our broker's program
    #[arg(long, value_name = "FILE")]
    broker: PathBuf,
    /// Mosquitto's program
    #[arg(long, value_name = "FILE")]
    mosquitto: Option<PathBuf>,
    /// nats-server's program
    #[arg(long, value_name = "FILE")]
    nats: Option<PathBuf>,
    /// Where all of them keep their data: the disk that is measured
    #[arg(long, value_name = "DIR")]
    folder: PathBuf,
    /// Only this part (may be repeated)
    #[arg(long, value_name = "PART")]
    only: Vec<Part>,
    /// Rounds of the rates
    #[arg(long, value_name = "N")]
    rounds: Option<usize>,
    /// Short, and with a fifth of the messages: enough to see, not to judge
    #[arg(long)]
    quick: bool,
    /// Write every figure
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Fail when a bar is missed
    #[arg(long)]
    strict: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Messages a second beside other brokers and plain files
    Rate,
    /// Bytes written
    Writes,
    /// Bytes in memory, and restarts
    Memory,
}

const PARTS: [Part; 3] = [Part::Rate, Part::Writes, Part::Memory];

/// What all parts need, and what they have found.
#[derive(Debug)]
struct Bench {
    broker: PathBuf,
    mosquitto: Option<PathBuf>,
    nats: Option<PathBuf>,
    folder: PathBuf,
    rounds: usize,
    /// How long one sample of a rate takes.
    sample: Duration,
    /// How long a broker must be silent to be at rest.
    rest: Duration,
    /// How long writes that belong to a message are waited for.
    minute: Duration,
    /// Messages of the queue that is filled and drained.
    drained: u64,
    /// Messages that wait in memory.
    queued: u64,
    progress: Progress,
    report: Report,
}

impl Bench {
    fn new(arguments: &Arguments) -> Self {
        let quick = arguments.quick;
        Self {
            broker: arguments.broker.clone(),
            mosquitto: arguments.mosquitto.clone(),
            nats: arguments.nats.clone(),
            folder: arguments.folder.clone(),
            rounds: arguments.rounds.unwrap_or(if quick { 1 } else { 5 }),
            sample: Duration::from_millis(if quick { 600 } else { 1500 }),
            rest: Duration::from_secs(if quick { 1 } else { 3 }),
            minute: Duration::from_secs(if quick { 10 } else { 60 }),
            drained: if quick { 40_000 } else { 200_000 },
            queued: if quick { 200_000 } else { 1_000_000 },
            progress: Progress::start(),
            report: Report::default(),
        }
    }

    /// Keeps a table, and shows it.
    fn table(&mut self, table: Table) {
        self.progress.0.suspend(|| println!("{table}"));
        self.report.tables.push(table);
    }

    fn bar(&mut self, bar: Bar) {
        self.report.bars.push(bar);
    }

    fn note(&mut self, note: String) {
        self.report.notes.push(note);
    }
}

/// What is going on, on a terminal.
#[derive(Debug)]
struct Progress(ProgressBar);

impl Progress {
    fn start() -> Self {
        if !io::stderr().is_terminal() {
            return Self(ProgressBar::hidden());
        }
        let style = ProgressStyle::with_template("{spinner} {elapsed} {msg}");
        let bar = ProgressBar::new_spinner();
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        bar.enable_steady_tick(Duration::from_millis(200));
        Self(bar)
    }

    fn step(&self, text: &str) {
        self.0.set_message(text.to_owned());
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match measure(&arguments) {
        Ok(missed) if missed > 0 && arguments.strict => ExitCode::FAILURE,
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

/// Runs what was asked for; how many bars were missed.
fn measure(arguments: &Arguments) -> io::Result<usize> {
    // Sessions that are connected; a broker that is started here has the same limit.
    rlimit::increase_nofile_limit(u64::MAX)?;
    fs::create_dir_all(&arguments.folder)?;
    let mut bench = Bench::new(arguments);
    println!("data in {}\n", arguments.folder.display());
    for part in PARTS {
        if !arguments.only.is_empty() && !arguments.only.contains(&part) {
            continue;
        }
        match part {
            Part::Rate => rate::run(&mut bench)?,
            Part::Writes => writes::run(&mut bench)?,
            Part::Memory => memory::run(&mut bench)?,
        }
    }
    bench.progress.0.finish_and_clear();
    print!("{}", bench.report.verdict());
    if arguments.quick {
        println!("a short run, with other things on the machine perhaps: to see, not to judge");
    }
    if let Some(file) = &arguments.json {
        fs::write(file, bench.report.json(arguments.quick))?;
    }
    Ok(bench.report.missed())
}
