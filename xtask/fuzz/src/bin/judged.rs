//! Replays the example of every judged disagreement and writes the page about them; or looks for others among random inputs.

use std::collections::BTreeMap;
use std::process::ExitCode;

use mqtt_fuzz::differential::judged::rows;
use mqtt_fuzz::differential::ours::version_of_connect;
use mqtt_fuzz::differential::{self, compare, frames, report};

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    match (args.next().as_deref(), args.next()) {
        (Some("--explore"), inputs) => explore(inputs.and_then(|it| it.parse().ok())),
        (Some("--write"), Some(file)) => replay(&file, args),
        _ => {
            eprintln!("usage: judged --write PAGE [REPLAYED FILE]... | --explore [INPUTS]");
            ExitCode::from(2)
        }
    }
}

/// Prints the list and writes the page; a row that its example does not show is a failure, and so is an input that shows more.
fn replay(page: &str, inputs: impl Iterator<Item = String>) -> ExitCode {
    println!("{}", report::table());
    let mut wrong = report::replay();
    for file in inputs {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        for input in mqtt_testkit::fuzz::corpus::parse(&text) {
            if std::panic::catch_unwind(|| differential::run(&input)).is_err() {
                wrong.push(format!("{file}: {}", report::hex(&input)));
            }
        }
    }
    if let Err(error) = std::fs::write(page, report::page()) {
        wrong.push(format!("{page}: {error}"));
    }
    for text in &wrong {
        println!("wrong: {text}");
    }
    if wrong.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Prints what no row recognises: how often it was seen, and the shortest frame that shows it.
fn explore(inputs: Option<u64>) -> ExitCode {
    let mut seen: BTreeMap<(usize, String, u8), Vec<u8>> = BTreeMap::new();
    let mut found: BTreeMap<String, (u64, Vec<u8>)> = BTreeMap::new();
    for seed in 0..inputs.unwrap_or(100_000) {
        let input = mqtt_testkit::fuzz::random_input(seed, 80);
        for (version, frame) in frames::read(&input) {
            for (peer, disagreements) in compare(version, &frame).into_iter().flatten() {
                for it in disagreements {
                    let (name, kind) = (peer.name, frame[0] >> 4);
                    let version = version_of_connect(&frame).unwrap_or(version);
                    if let Some(row) = it.judged {
                        let place = (row, version.to_string(), kind);
                        let shortest = seen.entry(place).or_insert_with(|| frame.clone());
                        if frame.len() < shortest.len() {
                            shortest.clone_from(&frame);
                        }
                        continue;
                    }
                    let key = format!("{name} {version} {kind} {:?}", it.seen);
                    let (count, shortest) = found.entry(key).or_insert((0, frame.clone()));
                    *count += 1;
                    if frame.len() < shortest.len() {
                        shortest.clone_from(&frame);
                    }
                }
            }
        }
    }
    for (key, (count, frame)) in &found {
        println!("{count:>7} {key}: {}", report::hex(frame));
    }
    // Where a row says more than was seen.
    for (at, row) in rows().enumerate() {
        for (versions, kinds) in row.places {
            for (version, kind) in versions
                .iter()
                .flat_map(|it| kinds.iter().map(move |kind| (it, kind)))
            {
                match seen.get(&(at, version.to_string(), *kind)) {
                    None => println!("not seen: {} {version} {kind}", row.id),
                    Some(frame) if row.example.is_empty() => {
                        println!("{} {version} {kind}: {}", row.id, report::hex(frame));
                    }
                    Some(_) => {}
                }
            }
        }
    }
    if found.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
