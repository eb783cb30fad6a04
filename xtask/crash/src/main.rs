//! `mqtt-crash`: kills brokers under load, and says what they lost.
#![expect(
    clippy::print_stdout,
    reason = "a command-line tool answers on standard output"
)]

use core::error::Error;
use core::time::Duration;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use mqtt_crash::{
    Durability, LONE, Options, Program, Promise, Report, Traced, findings, run, seed_of_the_moment,
    table, trace, trace_table,
};

/// Kills a broker under load, starts it again, and judges what comes back against what it had acknowledged
///
/// Exits with 0 if our broker kept every promise and every control failed as it must, with 1 if not, with 2 if nothing could be run.
/// `cargo xtask crash` builds what this needs, and starts it.
#[derive(Debug, Parser)]
#[command(name = "mqtt-crash")]
struct Arguments {
    /// Our broker's program
    #[arg(long, value_name = "FILE")]
    broker: PathBuf,
    /// Our broker with a bug that loses what it acknowledged: a control
    #[arg(long, value_name = "NAME=FILE", value_parser = named)]
    planted: Vec<(String, PathBuf)>,
    /// Mosquitto's program, to be put beside ours
    #[arg(long, value_name = "FILE")]
    mosquitto: Option<PathBuf>,
    /// Kills of our broker under load
    #[arg(long, value_name = "N", default_value_t = 20)]
    rounds: u32,
    /// 200 kills of our broker under load
    #[arg(long)]
    full: bool,
    /// Kills of Mosquitto [default: as ours, at most 10]
    #[arg(long, value_name = "N")]
    peer_rounds: Option<u32>,
    /// Repeat the decisions of a run that printed this seed
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Only our broker and its peer, without the controls
    #[arg(long)]
    no_controls: bool,
    /// Watch the broker's system calls instead: PUBACK after the sync, and PUBACKs for each sync
    #[arg(long)]
    trace: bool,
    /// How durable our broker is to be: fsync, os, none, or memory without a data directory
    #[arg(long, value_name = "HOW", default_value = "fsync", value_parser = durability)]
    durability: Durability,
    /// Seconds without anything after which our broker is not waited for any longer
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    patience: u64,
    /// Where stores, logs and copies go
    #[arg(long, value_name = "DIR")]
    folder: PathBuf,
}

fn named(text: &str) -> Result<(String, PathBuf), String> {
    let (name, file) = text.split_once('=').ok_or("NAME=FILE is needed")?;
    Ok((name.to_owned(), file.into()))
}

fn durability(text: &str) -> Result<Durability, String> {
    use Durability::{Fsync, Memory, None, Os};
    let all = [Memory, None, Os, Fsync];
    let found = all.into_iter().find(|it| it.name() == text);
    found.ok_or_else(|| "one of fsync, os, none and memory is needed".to_owned())
}

/// A control is to fail within so many rounds.
const CONTROL_ROUNDS: u32 = 20;
/// Others are killed so often at most, unless more is asked for.
const PEER_ROUNDS: u32 = 10;
/// What others have not sent after so long without anything does not come.
const PEER_PATIENCE: Duration = Duration::from_secs(2);
/// Violations that are shown of each promise.
const SHOWN: usize = 2;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = if arguments.trace {
        watch(&arguments)
    } else {
        kill(&arguments)
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

/// Kills everybody; says whether everything is as it must be.
fn kill(arguments: &Arguments) -> Result<bool, Box<dyn Error>> {
    let seed = arguments.seed.unwrap_or_else(seed_of_the_moment);
    println!("seed {seed} (--seed {seed} repeats its decisions)");
    let rounds = if arguments.full {
        200
    } else {
        arguments.rounds
    };
    let options = |rounds, folder: &str| Options {
        rounds,
        seed,
        patience: PEER_PATIENCE,
        stop_at_first: false,
        spare: false,
        folder: arguments.folder.join(folder),
    };
    let ours = Program::Ours(arguments.broker.clone(), arguments.durability);
    let mut patient = options(rounds, "ours");
    patient.patience = Duration::from_secs(arguments.patience);
    let mut reports = vec![shown(&ours, &patient)?];
    if let Some(program) = &arguments.mosquitto {
        let rounds = arguments
            .peer_rounds
            .unwrap_or_else(|| rounds.min(PEER_ROUNDS));
        let mosquitto = Program::Mosquitto(program.clone());
        reports.push(shown(&mosquitto, &options(rounds, "mosquitto"))?);
    }
    let kept = reports.len();
    if !arguments.no_controls {
        let none = (
            ours_with(arguments, Durability::None),
            "durability none".to_owned(),
        );
        let planted = arguments.planted.iter().map(|(name, file)| {
            let program = Program::Ours(file.clone(), Durability::Fsync);
            (program, format!("bug {name}"))
        });
        for (program, name) in core::iter::once(none).chain(planted) {
            let mut options = options(CONTROL_ROUNDS, &name.replace(' ', "-"));
            options.stop_at_first = true;
            let mut report = shown(&program, &options)?;
            report.name = name;
            reports.push(report);
        }
    }
    println!("\n{}", table(&reports));
    let mut holds = true;
    for (place, report) in reports.iter().enumerate() {
        let told = findings(report, SHOWN);
        if !told.is_empty() {
            println!("{}:\n{told}", report.name);
        }
        if place >= kept {
            // Without durability messages are lost; a planted bug is caught by whatever promise it breaks first.
            let broken = if place == kept {
                report.tally.count(Promise::Delivered)
            } else {
                report.tally.total()
            };
            if broken == 0 {
                holds = false;
                println!(
                    "{}: nothing was found in {} rounds, so this run shows nothing",
                    report.name, report.rounds
                );
            } else {
                println!(
                    "{}: found in round {}, as it must be",
                    report.name, report.rounds
                );
            }
        }
    }
    let ours = &reports[0];
    if ours.idle_kills() > 0 {
        println!(
            "{} kills of our broker fell when too little was going on",
            ours.idle_kills()
        );
    }
    let unhurt = ours.tally.total() == 0 && ours.idle_kills() == 0 && ours.rounds == rounds;
    println!("{}", verdict(ours, unhurt));
    Ok(unhurt && holds)
}

fn verdict(ours: &Report, unhurt: bool) -> String {
    if unhurt {
        let (kills, accepted) = (ours.kills.len(), ours.accepted);
        format!(
            "our broker: {kills} kills under load, {accepted} messages acknowledged, none lost, no promise broken"
        )
    } else {
        let broken = ours.tally.total();
        format!("our broker: {broken} promises broken")
    }
}

fn ours_with(arguments: &Arguments, durability: Durability) -> Program {
    Program::Ours(arguments.broker.clone(), durability)
}

/// Runs one broker with a bar on the terminal.
fn shown(program: &Program, options: &Options) -> Result<Report, Box<dyn Error>> {
    let bar = progress_bar(options.rounds, &program.name());
    let report = run(program, options, &mut |report| {
        bar.set_position(report.rounds.into());
        bar.set_message(format!(
            "{} acknowledged, {} broken promises",
            report.accepted,
            report.tally.total()
        ));
    })?;
    bar.finish_and_clear();
    println!(
        "{}: {} kills under load in {:.0} s, {} messages acknowledged, {} broken promises",
        report.name,
        report.kills.len(),
        report.took.as_secs_f64(),
        report.accepted,
        report.tally.total()
    );
    Ok(report)
}

fn progress_bar(rounds: u32, name: &str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let template = "{prefix} {bar:30} {pos}/{len} kills, {msg} {elapsed}";
    let style =
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::new(rounds.into()).with_style(style);
    bar.set_prefix(name.to_owned());
    bar
}

/// Watches everybody's system calls; says whether everything is as it must be.
fn watch(arguments: &Arguments) -> Result<bool, Box<dyn Error>> {
    let folder = arguments.folder.join("trace");
    let ours = trace(
        &ours_with(arguments, arguments.durability),
        &folder.join("ours"),
    )?;
    let mut traces = vec![ours];
    if let Some(program) = &arguments.mosquitto {
        let mosquitto = Program::Mosquitto(program.clone());
        traces.push(trace(&mosquitto, &folder.join("mosquitto"))?);
    }
    let mut control = None;
    if !arguments.no_controls {
        control = Some(traces.len());
        traces.push(trace(
            &ours_with(arguments, Durability::Os),
            &folder.join("os"),
        )?);
    }
    println!("{}", trace_table(&traces));
    for traced in &traces {
        if let Some(first) = &traced.first {
            println!("{}: {first}", traced.name);
        }
    }
    let sees = control
        .and_then(|place| traces.get(place))
        .is_none_or(Traced::is_early);
    if !sees {
        println!("without a sync {LONE} PUBACKs seem to leave after one: this trace shows nothing");
    }
    let holds = traces.first().is_some_and(Traced::holds);
    println!(
        "our broker {} the bars",
        if holds { "holds" } else { "misses" }
    );
    Ok(holds && sees)
}
