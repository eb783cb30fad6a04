//! `cargo xtask footprint`: what an idle connection and a small message cost a broker that is pinned to one core.

pub(crate) mod broker;
mod calls;
mod load;

use core::fmt::Write;

use crate::shell::{Program, Result, bold, red, yellow};
use crate::workspace::Workspace;
use broker::{Kind, Running};
use calls::Calls;
use load::Pairs;

/// Idle connections that are opened.
const CONNECTIONS: usize = 10_000;
/// Bars of the project: bytes of an idle connection, and system calls a message with one and with sixteen in flight.
const BYTES_BAR: f64 = 450.0;
const ALONE_BAR: f64 = 3.0;
const BATCH_BAR: f64 = 0.25;
/// Pairs of publisher and subscriber, messages in flight of each, messages in all, and the bar.
const LOADS: [(usize, usize, usize, f64); 3] = [
    (1, 1, 1_000, ALONE_BAR),
    (1, 16, 9_600, BATCH_BAR),
    (50, 16, 9_600, BATCH_BAR),
];

/// Options of the command.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct FootprintOptions {
    /// A missed bar is a failure.
    pub(crate) strict: bool,
}

/// What was measured of one broker.
struct Footprint {
    name: String,
    bytes: f64,
    calls: Option<Vec<Calls>>,
}

/// Builds our broker, measures it and Mosquitto, prints both.
///
/// # Errors
/// If something needed is missing or fails, or, when strict, if our broker misses a bar.
pub(crate) fn main(ws: &Workspace, options: &FootprintOptions) -> Result<()> {
    for tool in ["taskset", "prlimit"] {
        broker::need(tool, "util-linux")?;
    }
    Program::cargo(&ws.root)
        .args([
            "build",
            "--release",
            "-p",
            "mqtt-broker",
            "--bin",
            "mqtt-broker",
        ])
        .run()?;
    broker::allow_files(CONNECTIONS + 1_000)?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    // The load must not share the broker's core, or it would decide how many messages gather.
    broker::pin_this_process(cores.saturating_sub(1))?;

    let mut skipped = Vec::new();
    let strace = broker::need("strace", "strace");
    if let Err(missing) = &strace {
        skipped.push(missing.to_string());
    }
    let mut measured = vec![measure(&Kind::ours(ws), strace.is_ok())?];
    match broker::need("mosquitto", "mosquitto") {
        Ok(()) => measured.push(measure(&Kind::Mosquitto, strace.is_ok())?),
        Err(missing) => skipped.push(missing.to_string()),
    }
    print!("{}", table(&measured));
    for line in &skipped {
        println!("{}", yellow(line));
    }
    let missed = misses(measured.first(), strace.is_ok());
    for line in &missed {
        println!("{}", red(line));
    }
    if options.strict && !missed.is_empty() {
        return Err("a bar is missed".into());
    }
    Ok(())
}

fn measure(kind: &Kind, strace: bool) -> Result<Footprint> {
    println!("{}", bold(&format!("measuring {}", kind.name())));
    let broker = Running::start(kind)?;
    let before = broker.resident_bytes()?;
    let idle = load::idle(broker.port, CONNECTIONS)?;
    let after = broker.resident_bytes()?;
    let bytes = (after as f64 - before as f64) / CONNECTIONS as f64;
    drop((idle, broker));

    let mut calls = strace.then(Vec::new);
    if let Some(calls) = &mut calls {
        for (pairs, window, messages, _) in LOADS {
            let broker = Running::start(kind)?;
            let mut pairs = Pairs::connect(broker.port, pairs)?;
            pairs.exchange(window, window * 100)?;
            let count = Calls::count(broker.id(), || pairs.exchange(window, messages))?;
            calls.push(count.per(messages));
        }
    }
    Ok(Footprint {
        name: kind.name(),
        bytes,
        calls,
    })
}

fn table(measured: &[Footprint]) -> String {
    let mut text = String::new();
    let mut row = |what: &str, values: Vec<String>, bar: &str| {
        let values: String = values.iter().map(|value| format!("{value:>18}")).collect();
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{what:<58}{values}{bar:>10}");
    };
    row(
        "",
        measured.iter().map(|one| one.name.clone()).collect(),
        "bar",
    );
    let bytes = measured.iter().map(|one| format!("{:.0}", one.bytes));
    let what = format!("resident bytes per idle connection, of {CONNECTIONS}");
    row(&what, bytes.collect(), &format!("{BYTES_BAR:.0}"));
    for (place, (pairs, window, _, bar)) in LOADS.iter().enumerate() {
        let of = |one: &Footprint, name: Option<&str>| {
            let calls = one.calls.as_ref().and_then(|calls| calls.get(place));
            calls.map_or_else(|| "-".to_owned(), |calls| format!("{:.3}", calls.of(name)))
        };
        let what = format!("system calls per QoS 0 message, {pairs} pair(s), window {window}");
        let values = measured.iter().map(|one| of(one, None));
        row(&what, values.collect(), &format!("{bar}"));
        for (name, shown) in calls::GROUPS {
            let values = measured.iter().map(|one| of(one, Some(name)));
            row(&format!("    {shown}"), values.collect(), "");
        }
    }
    text
}

/// A sentence for each bar that our broker misses.
fn misses(ours: Option<&Footprint>, counted: bool) -> Vec<String> {
    let mut missed = Vec::new();
    let Some(ours) = ours else { return missed };
    if ours.bytes > BYTES_BAR {
        missed.push(format!(
            "an idle connection takes {:.0} bytes, the bar is {BYTES_BAR}",
            ours.bytes
        ));
    }
    if !counted {
        missed.push("system calls were not counted".to_owned());
    }
    for (calls, (pairs, window, _, bar)) in ours.calls.iter().flatten().zip(LOADS) {
        // Timers fire now and then: a message more or less in a thousand is not what the bar is about.
        let each = (calls.of(None) * 100.0).round() / 100.0;
        if each > bar {
            missed.push(format!("a message takes {each} system calls with {pairs} pair(s) and window {window}, the bar is {bar}"));
        }
    }
    missed
}
