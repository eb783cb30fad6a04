//! Runs the simulations over many seeds: `cargo xtask sim` builds and starts it.
#![expect(
    clippy::print_stdout,
    reason = "a command-line tool answers on standard output"
)]

use core::error::Error;
use core::time::Duration;
use std::panic;
use std::process::ExitCode;
use std::thread;
use std::time::Instant;

use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};
use lexopt::{Arg, Parser, ValueExt};
use mqtt_testkit::runner::{self, Report, Simulation, simulations};
use rustix::time::{ClockId, clock_gettime};

/// Seeds of each simulation, unless something else is asked for.
const SEEDS: u64 = 10_800;
/// In so many seeds every interesting thing has to happen.
const ENOUGH: u64 = 5_000;

/// What the command line asks for.
#[derive(Debug)]
struct Options {
    first: u64,
    seeds: u64,
    seed: Option<u64>,
    steps: Option<u32>,
    only: Option<String>,
}

fn main() -> ExitCode {
    match parse(Parser::from_env()).and_then(|options| check(&options)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}\n\nTry `cargo xtask sim --help`.");
            ExitCode::from(2)
        }
    }
}

fn parse(mut parser: Parser) -> Result<Options, Box<dyn Error>> {
    let mut options = Options {
        first: 0,
        seeds: SEEDS,
        seed: None,
        steps: None,
        only: None,
    };
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Long("first") => options.first = number(&mut parser, "--first", 0)?,
            Arg::Long("seeds") => options.seeds = number(&mut parser, "--seeds", 1)?,
            Arg::Long("seed") => options.seed = Some(number(&mut parser, "--seed", 0)?),
            Arg::Long("steps") => {
                let steps = number(&mut parser, "--steps", 1)?;
                options.steps = Some(u32::try_from(steps)?);
            }
            Arg::Long("only") => options.only = Some(parser.value()?.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(options)
}

/// The value of an option that takes a number; of nothing at all no promise would be broken.
fn number(parser: &mut Parser, option: &str, least: u64) -> Result<u64, Box<dyn Error>> {
    let text = parser.value()?.string()?;
    let number = text.parse().ok().filter(|&number| number >= least);
    number
        .ok_or_else(|| format!("{option} takes a number of at least {least}, not `{text}`").into())
}

/// Runs what was asked for; gives whether all promises were kept.
fn check(options: &Options) -> Result<bool, Box<dyn Error>> {
    let all = simulations();
    let names: Vec<&str> = all.iter().map(|simulation| simulation.name).collect();
    let wanted = |simulation: &&Simulation| {
        let only = options.only.as_deref();
        only.is_none_or(|name| name == simulation.name)
    };
    let chosen: Vec<&Simulation> = all.iter().filter(wanted).collect();
    if chosen.is_empty() {
        let name = options.only.as_deref().unwrap_or_default();
        return Err(format!("there is no simulation `{name}`, but {}", names.join(", ")).into());
    }
    let mut kept = true;
    for simulation in chosen {
        let steps = options.steps.unwrap_or(simulation.steps);
        kept &= match options.seed {
            Some(seed) => one(simulation, seed, steps),
            None => many(simulation, options.first, options.seeds, steps),
        };
    }
    Ok(kept)
}

/// One seed, with everything that it has to say.
fn one(simulation: &Simulation, seed: u64, steps: u32) -> bool {
    let name = simulation.name;
    println!("{name}: seed {seed}, {}", (simulation.describe)(seed));
    let report = runner::run(simulation, seed..seed + 1, steps, 1, &|_| {});
    print!("{}", report.counters.table());
    if let Some(failure) = &report.failure {
        println!("{name} fails at seed {seed}: {}", failure.message);
    } else {
        println!("{name}: seed {seed} keeps every promise");
    }
    report.failure.is_none()
}

/// Many seeds: figures, counters, and the first failure.
fn many(simulation: &Simulation, first: u64, seeds: u64, steps: u32) -> bool {
    let name = simulation.name;
    let (start, cpu) = (Instant::now(), cpu_time());
    let bar = bar(name, seeds);
    let threads = thread::available_parallelism().map_or(1, usize::from);
    // A seed that fails is reported at the end, in one place.
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let report = runner::run(
        simulation,
        first..first.saturating_add(seeds),
        steps,
        threads,
        &|done| bar.inc(done),
    );
    panic::set_hook(hook);
    bar.finish_and_clear();
    println!(
        "{name}: {} seeds, {} steps in {:.1} s, {:.1} s of CPU",
        HumanCount(report.seeds),
        HumanCount(report.counters.count("steps")),
        start.elapsed().as_secs_f32(),
        cpu_time().saturating_sub(cpu).as_secs_f32(),
    );
    print!("{}", report.counters.table());
    conclude(simulation, &report, seeds, steps)
}

/// Says what is wrong, if anything is.
fn conclude(simulation: &Simulation, report: &Report, seeds: u64, steps: u32) -> bool {
    let name = simulation.name;
    let missing = report.missing(simulation);
    if let Some(failure) = &report.failure {
        let seed = failure.seed;
        let first = failure.message.lines().next().unwrap_or_default();
        println!("{name} fails at seed {seed}: {first}");
        println!("  it is: {}", (simulation.describe)(seed));
        println!("  again: cargo xtask sim --only {name} --seed {seed} --steps {steps}");
        println!("  with every step: the same with MQTT_TRACE=1 in front");
    } else if !missing.is_empty() {
        println!("{name}: it never happened: {}", missing.join(", "));
        if seeds < ENOUGH {
            println!("  (that is no failure below {ENOUGH} seeds)");
        }
    }
    report.failure.is_none() && (missing.is_empty() || seeds < ENOUGH)
}

/// A bar on a terminal, nothing elsewhere.
fn bar(name: &'static str, seeds: u64) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(seeds), ProgressDrawTarget::stderr_with_hz(5));
    let style = "{msg} {bar:30} {human_pos} of {human_len} seeds, {per_sec}, {eta} left";
    if let Ok(style) = ProgressStyle::with_template(style) {
        bar.set_style(style);
    }
    bar.with_message(name)
}

/// What this process has used of the processors.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let seconds = time.tv_sec.unsigned_abs();
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}
