//! Runs cases against a broker, several at a time.

use core::net::SocketAddr;
use core::panic::AssertUnwindSafe;
use core::time::Duration;
use std::panic::catch_unwind;
use std::sync::mpsc;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use mqtt_codec::{Connect, Version};

use crate::announced::Announced;
use crate::case::Case;
use crate::client::Limits;
use crate::ctx::Ctx;
use crate::failure::{Failure, Stop};

/// How a case ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The broker did what it must.
    Passed,
    /// It did not.
    Failed(Failure),
    /// The broker announces that it lacks what the case is about; the text says what.
    NotApplicable(String),
}

/// A case that was run.
#[derive(Clone, Debug)]
pub struct Report {
    /// The case.
    pub case: Case,
    /// How it ended.
    pub verdict: Verdict,
    /// How long it took.
    pub time: Duration,
}

/// How to run.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Cases at a time, at least one; default 32. They wait more than they work.
    pub jobs: usize,
    /// How long to wait for one packet; default 5 s. For a broker that says nothing, the time of nearly every case.
    pub patience: Duration,
    /// How long a case may take in all; default 30 s.
    pub deadline: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            jobs: 32,
            patience: Duration::from_secs(5),
            deadline: Duration::from_secs(30),
        }
    }
}

/// Runs `cases` against the broker at `address`; `done` sees each report as it comes. Gives the reports in the order of `cases`.
pub fn run(
    address: SocketAddr,
    cases: &[Case],
    options: &Options,
    mut done: impl FnMut(&Report),
) -> Vec<Report> {
    let run_id = run_id();
    let announced = ask(address, &run_id, options).unwrap_or_default();
    // The slow ones first: they wait while the others work.
    let mut order: Vec<usize> = (0..cases.len()).collect();
    order.sort_by_key(|&index| (!cases[index].is_slow(), index));
    let next = Mutex::new(order.into_iter());
    let (sender, receiver) = mpsc::channel();
    let mut reports: Vec<Option<Report>> = vec![None; cases.len()];
    thread::scope(|scope| {
        for _ in 0..options.jobs.clamp(1, cases.len().max(1)) {
            let sender = sender.clone();
            let (next, run_id) = (&next, &run_id);
            scope.spawn(move || {
                while let Some(index) = take(next) {
                    let unique = format!("{run_id}{}", base36(index as u64 + 36 * 36, 3));
                    let report = run_one(address, &cases[index], unique, announced, options);
                    if sender.send((index, report)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        for (index, report) in receiver {
            done(&report);
            reports[index] = Some(report);
        }
    });
    reports.into_iter().flatten().collect()
}

fn take(next: &Mutex<impl Iterator<Item = usize>>) -> Option<usize> {
    // A thread that panicked has not harmed a list of numbers.
    next.lock().unwrap_or_else(PoisonError::into_inner).next()
}

fn run_one(
    address: SocketAddr,
    case: &Case,
    unique: String,
    announced: Announced,
    options: &Options,
) -> Report {
    let start = Instant::now();
    let limits = Limits {
        patience: options.patience,
        deadline: start + options.deadline,
    };
    let mut ctx = Ctx::new(address, case.version(), announced, unique, limits);
    let outcome = catch_unwind(AssertUnwindSafe(|| (case.body)(&ctx)));
    let verdict = match outcome {
        Ok(Ok(())) => Verdict::Passed,
        Ok(Err(Stop::NotApplicable(why))) => Verdict::NotApplicable(why),
        Ok(Err(Stop::Failed(failure))) => Verdict::Failed(Failure {
            trace: ctx.trace().last_lines(),
            ..*failure
        }),
        Err(_) => Verdict::Failed(Failure {
            expected: "the case runs to its end".to_owned(),
            got: "a panic in the suite itself, told on standard error".to_owned(),
            at: case.name().to_owned(),
            trace: ctx.trace().last_lines(),
        }),
    };
    let time = start.elapsed();
    // A broker that fails is not waited for once more.
    if verdict == Verdict::Passed || options.patience >= Duration::from_secs(1) {
        ctx.tidy_up();
    }
    Report {
        case: case.clone(),
        verdict,
        time,
    }
}

/// What the broker announces in 5.0; nothing if it does not speak 5.0.
fn ask(address: SocketAddr, run_id: &str, options: &Options) -> Option<Announced> {
    let limits = Limits {
        patience: options.patience,
        deadline: Instant::now() + options.patience,
    };
    let ctx = Ctx::new(
        address,
        Version::V5,
        Announced::default(),
        run_id.to_owned(),
        limits,
    );
    let id = ctx.id("ask");
    let (client, answer) = ctx
        .connect_with("suite", &Connect::new(Version::V5, &id))
        .ok()?;
    let announced = Announced::from(&answer.conn_ack().ok()?);
    // The answer is there; how the connection ends is for the cases to judge.
    client.disconnect().ok();
    Some(announced)
}

/// Letters and digits that differ between any two runs.
fn run_id() -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let nanoseconds = now.as_nanos() as u64 ^ u64::from(std::process::id()) << 40;
    base36(nanoseconds / 1000, 8)
}

/// The last `digits` digits of `value` to the base 36.
fn base36(value: u64, digits: u32) -> String {
    (0..digits)
        .rev()
        .filter_map(|place| char::from_digit((value / 36_u64.pow(place) % 36) as u32, 36))
        .collect()
}
