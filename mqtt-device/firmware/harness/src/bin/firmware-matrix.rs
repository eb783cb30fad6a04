//! `firmware-matrix`: the firmware under every fault, between QEMU and two brokers.

use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::Instant;

use firmware_harness::matrix::{Broker, BrokerKind, Case, Fault, Programs, Transport, cases, play};
use firmware_harness::options;
use indicatif::{ProgressBar, ProgressStyle};
use lexopt::{Arg, Parser, ValueExt};

const HELP: &str = "\
The firmware under every fault: {raw UART, AT modem} x faults x {mqtt-broker, Mosquitto}

Usage: firmware-matrix --built <DIR> --at-modem <FILE> --broker <FILE> [OPTIONS]

Each run hands over messages of QoS 1 and 2, and has the broker send them back; it is good when all have arrived and been
acknowledged, those of QoS 2 once. The connection is cut at every byte of the conversation in turn.

Options:
      --built <DIR>      Where `cargo xtask firmware` has built the firmware
      --at-modem <FILE>  The modem's emulator
      --broker <FILE>    mqtt-broker
      --sample <N>       Only so many runs, chosen by the seed, and every fault that is no cut once
      --seed <N>         Which [default: from the clock]
      --rounds <N>       How often everything is run [default: 1]
      --jobs <N>         How many runs at once [default: 32 for each processor and at most 96, for most of a run is waiting]
  -h, --help             Print this help
";

struct Options {
    programs: Programs,
    sample: Option<usize>,
    seed: u64,
    rounds: usize,
    jobs: usize,
}

fn main() -> ExitCode {
    let options = match options("firmware-matrix", HELP, parse(Parser::from_env())) {
        Ok(options) => options,
        Err(code) => return code,
    };
    match run(&options) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn parse(mut parser: Parser) -> Result<Option<Options>, lexopt::Error> {
    let (mut built, mut at_modem, mut broker) = (None, None, None);
    let (mut sample, mut rounds) = (None, 1);
    let clock = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
    let mut seed = u64::from(clock.subsec_nanos());
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let mut jobs = (32 * processors).min(96);
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Short('h') | Arg::Long("help") => return Ok(None),
            Arg::Long("built") => built = Some(PathBuf::from(parser.value()?)),
            Arg::Long("at-modem") => at_modem = Some(PathBuf::from(parser.value()?)),
            Arg::Long("broker") => broker = Some(PathBuf::from(parser.value()?)),
            Arg::Long("sample") => sample = Some(parser.value()?.parse()?),
            Arg::Long("seed") => seed = parser.value()?.parse()?,
            Arg::Long("rounds") => rounds = parser.value()?.parse()?,
            Arg::Long("jobs") => jobs = parser.value()?.parse::<usize>()?.max(1),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Some(Options {
        programs: Programs {
            built: built.ok_or("--built: where is the firmware?")?,
            at_modem: at_modem.ok_or("--at-modem: where is the emulator?")?,
            broker: broker.ok_or("--broker: where is mqtt-broker?")?,
        },
        sample,
        seed,
        rounds,
        jobs,
    }))
}

/// Gives the number of runs that were not good.
fn run(options: &Options) -> io::Result<usize> {
    let mut conversation = 0;
    for broker in [BrokerKind::Ours, BrokerKind::Mosquitto] {
        let clean = Case {
            transport: Transport::Raw,
            fault: Fault::None,
            broker,
        };
        let broker = Broker::start(broker, &options.programs.broker)?;
        let outcome = play(clean, &broker, &options.programs)?;
        if outcome.code != 0 {
            let message = format!("{clean} ends with {}", outcome.code);
            return Err(io::Error::other(message));
        }
        conversation = conversation.max(outcome.bytes);
    }
    println!(
        "a conversation of {conversation} bytes, seed {}",
        options.seed
    );
    let mut cases = cases(conversation);
    if let Some(sample) = options.sample {
        cases = choose(cases, sample, options.seed);
    }
    let mut bad = 0;
    for round in 1..=options.rounds {
        let start = Instant::now();
        let results = play_all(&cases, options)?;
        let (minutes, seconds) = (
            start.elapsed().as_secs() / 60,
            start.elapsed().as_secs() % 60,
        );
        print!(
            "\nround {round} of {}, {minutes}:{seconds:02} minutes",
            options.rounds
        );
        println!(", {} runs at once", options.jobs);
        bad += table(&results);
    }
    Ok(bad)
}

/// How a case went.
struct Played {
    case: Case,
    good: bool,
    took: Duration,
}

/// Plays every case once, several at a time.
fn play_all(cases: &[Case], options: &Options) -> io::Result<Vec<Played>> {
    let bar = ProgressBar::new(cases.len() as u64).with_style(
        ProgressStyle::with_template("{bar:40} {pos}/{len} {eta_precise} {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    let (next, results) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..options.jobs.min(cases.len()))
            .map(|_| {
                scope.spawn(|| -> io::Result<()> {
                    let ours = Broker::start(BrokerKind::Ours, &options.programs.broker)?;
                    let mosquitto = Broker::start(BrokerKind::Mosquitto, &options.programs.broker)?;
                    while let Some(&case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let broker = match case.broker {
                            BrokerKind::Ours => &ours,
                            BrokerKind::Mosquitto => &mosquitto,
                        };
                        let start = Instant::now();
                        let outcome = play(case, broker, &options.programs);
                        let took = start.elapsed();
                        let verdict = match outcome {
                            Ok(outcome) if outcome.code == 0 => None,
                            Ok(outcome) => Some(format!("exit {}", outcome.code)),
                            Err(error) => Some(error.to_string()),
                        };
                        if let Some(verdict) = &verdict {
                            bar.suspend(|| println!("not good: {case}: {verdict}"));
                        }
                        bar.inc(1);
                        let good = verdict.is_none();
                        if let Ok(mut results) = results.lock() {
                            results.push(Played { case, good, took });
                        }
                    }
                    Ok(())
                })
            })
            .collect();
        for worker in workers {
            worker
                .join()
                .map_err(|_| io::Error::other("a run has panicked"))??;
        }
        io::Result::Ok(())
    })?;
    bar.finish_and_clear();
    Ok(results.into_inner().unwrap_or_default())
}

/// Every fault that is no cut, and so many others, by a generator that needs no library.
fn choose(cases: Vec<Case>, sample: usize, seed: u64) -> Vec<Case> {
    let (cuts, mut chosen): (Vec<Case>, Vec<Case>) = cases
        .into_iter()
        .partition(|case| matches!(case.fault, Fault::Cut(_)));
    let mut state = seed;
    for _ in 0..sample {
        // A linear congruential generator (Knuth, MMIX): its high bits are the better ones.
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let at = (state >> 33) as usize % cuts.len().max(1);
        chosen.extend(cuts.get(at));
    }
    chosen
}

/// Prints what was run, and how long the longest of each kind took; gives the number of runs that were not good.
fn table(results: &[Played]) -> usize {
    let mut rows: BTreeMap<(&str, String), (usize, usize, Duration)> = BTreeMap::new();
    for Played { case, good, took } in results {
        let between = match case.transport {
            Transport::Raw => "raw UART",
            Transport::Modem => "AT modem",
        };
        let name = format!("{between}, {}", case.broker.name());
        let row = rows.entry((case.fault.kind(), name)).or_default();
        row.0 += 1;
        row.1 += usize::from(*good);
        row.2 = row.2.max(*took);
    }
    println!("{:<44}{:>8}{:>8}{:>12}", "", "runs", "good", "longest");
    for ((fault, between), (runs, good, longest)) in &rows {
        let longest = longest.as_secs_f32();
        println!("{fault:<20}{between:<24}{runs:>8}{good:>8}{longest:>10.1} s");
    }
    let bad = results.iter().filter(|played| !played.good).count();
    println!("{} runs, {bad} not good", results.len());
    bad
}
