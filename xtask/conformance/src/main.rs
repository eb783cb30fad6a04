//! `mqtt-conformance --against HOST:PORT`: runs the suite against a broker and prints what it got wrong.
#![expect(
    clippy::print_stdout,
    reason = "a command-line tool answers on standard output"
)]

use core::error::Error;
use core::net::SocketAddr;
use core::time::Duration;
use std::io::IsTerminal as _;
use std::net::{TcpStream, ToSocketAddrs as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::{Parser, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use mqtt_conformance::report::{Totals, case_line, json, text};
use mqtt_conformance::{Case, Options, Verdict, cases, run};

/// Checks a running MQTT broker against the statements of MQTT 3.1.1 and 5.0
///
/// Exits with 0 if nothing failed, with 1 if a case failed, with 2 if the suite could not run.
#[derive(Debug, Parser)]
#[command(name = "mqtt-conformance")]
struct Arguments {
    /// The broker; it must let in clients without a user name
    #[arg(long, value_name = "HOST:PORT", required_unless_present = "list")]
    against: Option<String>,
    /// Print the cases with their statements, and run none
    #[arg(long)]
    list: bool,
    /// Only the cases with this in their name, chapter or statements
    #[arg(long, value_name = "PATTERN")]
    only: Option<String>,
    /// Only the cases of this version
    #[arg(long, value_enum)]
    version: Option<VersionName>,
    /// Cases at a time
    #[arg(long, value_name = "N", default_value_t = 32)]
    jobs: usize,
    /// Seconds to wait for a packet
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = seconds)]
    patience: Duration,
    /// Write the outcome of each case to this file too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum VersionName {
    #[value(name = "3.1.1")]
    V311,
    #[value(name = "5.0")]
    V5,
}

impl VersionName {
    const fn text(self) -> &'static str {
        match self {
            Self::V311 => "3.1.1",
            Self::V5 => "5.0",
        }
    }
}

fn main() -> ExitCode {
    match check(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

/// Does what the command line says; tells whether nothing failed.
fn check(arguments: &Arguments) -> Result<bool, Box<dyn Error>> {
    let cases: Vec<Case> = cases()
        .into_iter()
        .filter(|case| wanted(case, arguments))
        .collect();
    if cases.is_empty() {
        return Err("no case fits --only and --version; --list prints all".into());
    }
    let Some(against) = arguments.against.as_ref().filter(|_| !arguments.list) else {
        for case in &cases {
            print!("{}", case_line(case));
        }
        println!("{} cases", cases.len());
        return Ok(true);
    };
    let options = Options {
        jobs: arguments.jobs,
        patience: arguments.patience,
        ..Options::default()
    };
    let address = reach(against, options.patience)?;
    let bar = progress_bar(cases.len());
    let mut failed = 0_usize;
    let start = Instant::now();
    let reports = run(address, &cases, &options, |report| {
        failed += usize::from(matches!(report.verdict, Verdict::Failed(_)));
        bar.inc(1);
        bar.set_message(format!("{failed} failed"));
    });
    bar.finish_and_clear();
    print!("{}", text(&reports));
    let totals = Totals::of(&reports);
    println!(
        "\n{} passed, {} failed, {} not applicable in {:.1} s",
        totals.passed,
        totals.failed,
        totals.not_applicable,
        start.elapsed().as_secs_f64()
    );
    if let Some(path) = &arguments.json {
        std::fs::write(path, format!("{:#}\n", json(&reports)))
            .map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(totals.failed == 0)
}

/// A time that passes.
fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok();
    let time = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    time.filter(|time| !time.is_zero())
        .ok_or_else(|| "a number above 0 is needed".to_owned())
}

fn wanted(case: &Case, arguments: &Arguments) -> bool {
    let of_version = arguments
        .version
        .is_none_or(|version| version.text() == case.version_name());
    let fits = arguments.only.as_ref().is_none_or(|pattern| {
        case.name().contains(pattern)
            || case.chapter().contains(pattern)
            || case.statements().contains(pattern)
    });
    of_version && fits
}

/// The first address of `against` where somebody listens.
fn reach(against: &str, patience: Duration) -> Result<SocketAddr, Box<dyn Error>> {
    let addresses = against
        .to_socket_addrs()
        .map_err(|error| format!("`{against}` is no HOST:PORT, as in localhost:1883: {error}"))?;
    let mut error = format!("`{against}` has no address").into();
    for address in addresses {
        match TcpStream::connect_timeout(&address, patience) {
            Ok(_) => return Ok(address),
            Err(refusal) => error = format!("no broker at {address}: {refusal}").into(),
        }
    }
    Err(error)
}

fn progress_bar(cases: usize) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} cases, {msg} {elapsed}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(cases as u64).with_style(style)
}
