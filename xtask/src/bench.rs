//! `cargo xtask bench`: our crates beside their peers. Builds the programs of `xtask/peers` and runs them.

use std::path::PathBuf;

use crate::crash;
use crate::shell::{Error, Program, Result, colour_choice, yellow};
use crate::tally::Tally;
use crate::test;
use crate::workspace::Workspace;

const HELP: &str = "\
Our codec, topic index and store beside what others have published

Usage: cargo xtask bench <BENCH> [OPTIONS]
       cargo xtask bench --check | --record

Builds xtask/peers with optimization and runs one of its programs. Every round runs one sample of each contender in
each row, in changing order. Prints the fastest peer, ours, the ratios to it and to a hand-written floor, and
allocations; then what must hold, and what does not. The first build fetches the peers.

`store` runs brokers instead, as programs: ours with each durability, Mosquitto, nats-server, and plain append + fsync of as many
bytes in as many batches. A quarter of an hour; it takes --quick, --rounds, --json and --strict as above, --only with rate, writes or
memory, and --folder <DIR> for the disk to measure.

--check counts the instructions of our own operations under callgrind, a few seconds, and fails if one takes over 3 %
more than xtask/cases/instructions.txt says; --record writes that file. Needs valgrind.

Options:
      --quick        Half a minute: enough to see, not to judge
      --rounds <N>   Exactly N rounds, whatever they take
      --only <TEXT>  Only the rows with this in their name (may be repeated)
      --all          Every contender, not the fastest peer alone
      --json <FILE>  Write every figure, with the versions of the peers
      --svg <FILE>   Draw the chart of the README
      --strict       Fail when a bar is missed
  -h, --help         Print this help

Benches:
";

/// A program of `xtask/peers`, or the one of `xtask/store`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Bench {
    /// Name on the command line; the cargo feature that brings in its peers has the same.
    name: &'static str,
    about: &'static str,
}

const BENCHES: [Bench; 3] = [
    Bench {
        name: "codec",
        about: "packets read and written, streams, fan-out, conversations of QoS 1 and 2",
    },
    Bench {
        name: "topic",
        about: "a million subscriptions, a million retained topics",
    },
    Bench {
        name: STORE,
        about: "what durability costs: messages a second, bytes written, bytes in memory",
    },
];

/// The one that is no program of `xtask/peers`.
const STORE: &str = "store";

/// What to run.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BenchOptions {
    /// Which.
    pub(crate) bench: &'static Bench,
    /// What it is told.
    pub(crate) arguments: Vec<String>,
}

/// The help, with all benches.
pub(crate) fn help() -> String {
    let lines = BENCHES.map(|bench| format!("  {:<6} {}\n", bench.name, bench.about));
    format!("{HELP}{}", lines.concat())
}

/// The bench of that name.
pub(crate) fn bench(name: &str) -> Option<&'static Bench> {
    BENCHES.iter().find(|bench| bench.name == name)
}

/// Builds the program and runs it where the caller stands, so that the files it writes land there.
///
/// # Errors
/// If it cannot be built, or a bar is missed under `--strict`.
pub(crate) fn main(ws: &Workspace, options: &BenchOptions) -> Result<()> {
    let name = options.bench.name;
    if name == STORE {
        return store(ws, &options.arguments);
    }
    let target = target(ws);
    let program = format!("bench-{name}");
    cargo(ws)
        .args(["build", "--quiet", "--release", "--locked"])
        .args(["--features", name, "--bin", &program])
        .args(["--target-dir".as_ref(), target.as_os_str()])
        .run()?;
    let here = std::env::current_dir()
        .map_err(|error| format!("the current folder cannot be found: {error}"))?;
    let program = target.join("release").join(program);
    let run = Program::new(program, &here).args(&options.arguments).run();
    // It has said itself what is wrong.
    run.map_err(|_| Error::Told)
}

/// Builds our broker and the bench of its store, and runs it with the others that are installed.
fn store(ws: &Workspace, arguments: &[String]) -> Result<()> {
    Program::cargo(&ws.root)
        .args(["build", "--quiet", "--release"])
        .args(["-p", "mqtt-broker", "--bin", "mqtt-broker"])
        .args(["-p", "mqtt-store-bench", "--bin", "mqtt-store-bench"])
        .run()?;
    let release = ws.target.join("release");
    let mut given = vec![crash::argument("--broker", &release.join("mqtt-broker"))];
    if !arguments.iter().any(|it| it.starts_with("--folder")) {
        given.push(crash::argument("--folder", &ws.target.join("store-bench")));
    }
    for (name, option) in [("mosquitto", "--mosquitto"), ("nats-server", "--nats")] {
        match crash::installed(name) {
            Some(program) => given.push(crash::argument(option, &program)),
            None => println!(
                "{}",
                yellow(&format!("SKIPPED {name}: apt-get install -y {name}"))
            ),
        }
    }
    let here = std::env::current_dir()
        .map_err(|error| format!("the current folder cannot be found: {error}"))?;
    let run = Program::new(release.join("mqtt-store-bench"), &here)
        .args(&given)
        .args(arguments)
        .run();
    run.map_err(|_| Error::Told)
}

/// Lints and tests `xtask/peers`, all peers included: harness, cases, floors, adapters.
///
/// # Errors
/// If there is a warning, or the tests cannot be started.
pub(crate) fn judge(ws: &Workspace) -> Result<Tally> {
    let target = target(ws);
    let common = |program: Program| {
        program
            .args(["--locked", "--all-features", "--target-dir"])
            .args([&target])
    };
    common(cargo(ws).args(["clippy", "--all-targets"]))
        .args(["--", "-D", "warnings"])
        .run()?;
    test::watched(common(cargo(ws).args([
        "test",
        "--no-fail-fast",
        "--color",
        colour_choice(),
    ])))
}

/// Cargo in the workspace of the comparison benches.
fn cargo(ws: &Workspace) -> Program {
    Program::cargo(&ws.root.join("xtask/peers"))
}

fn target(ws: &Workspace) -> PathBuf {
    ws.target.join("peers")
}
