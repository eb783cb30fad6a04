//! `cargo xtask ci`: the steps that judge a change, their times, and the closing line.

use core::time::Duration;
use std::time::Instant;

use crate::bare_metal::BareMetal;
use crate::conformance::ConformanceOptions;
use crate::crash::CrashOptions;
use crate::firmware::{self, FirmwareOptions};
use crate::mutations::{self, MutationsOptions};
use crate::shell::{Error, Program, Result, bold, dim, red, yellow};
use crate::tally::Tally;
use crate::test::{TestOptions, in_ci};
use crate::tidy::TidyOptions;
use crate::workspace::{PURE, Workspace};
use crate::{bench, conformance, crash, instructions, test, tidy};

/// Which steps to run.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct CiOptions {
    /// Names of steps; all if empty.
    pub(crate) steps: Vec<&'static str>,
}

/// One check.
pub(crate) struct Step {
    /// What it is called on the command line.
    pub(crate) name: &'static str,
    about: &'static str,
    run: fn(&Workspace) -> Result<Outcome>,
}

/// How a step that could be run ended.
enum Outcome {
    /// It held.
    Held,
    /// It ran tests.
    Counted(Tally),
    /// It could not run; the text is the command that installs what it needs.
    Missing(String),
}

/// Quick ones first, so that a slip shows soon.
const STEPS: [Step; 15] = [
    Step {
        name: "fmt",
        about: "rustfmt would change nothing",
        run: fmt,
    },
    Step {
        name: "tidy",
        about: "layers, allowed crates, licences, files",
        run: run_tidy,
    },
    Step {
        name: "conformance",
        about: "every statement of the specifications has a test or a reason",
        run: run_conformance,
    },
    Step {
        name: "clippy",
        about: "no warning in any target with all features",
        run: clippy,
    },
    Step {
        name: "alone",
        about: "each crate builds alone, without features that its neighbours switch on",
        run: alone,
    },
    Step {
        name: "features",
        about: "the pure crates with no feature, each feature alone, and all",
        run: features,
    },
    Step {
        name: "doc",
        about: "the documentation has no broken link",
        run: doc,
    },
    Step {
        name: "test",
        about: "all tests",
        run: run_tests,
    },
    Step {
        name: "small",
        about: "what is compiled for bare metal only passes the tests of its crates on this machine",
        run: small,
    },
    Step {
        name: "peers",
        about: "the comparison benches have no warning, and measure what they say",
        run: run_peers,
    },
    Step {
        name: "mutations",
        about: "two planted bugs are found (`cargo xtask mutations` plants all)",
        run: run_mutations,
    },
    Step {
        name: "crash",
        about: "20 kills under load lose nothing, the controls lose, and PUBACK leaves after the sync",
        run: run_crash,
    },
    Step {
        name: "instructions",
        about: "no operation of codec, session or index takes more instructions than recorded",
        run: run_instructions,
    },
    Step {
        name: "no-std",
        about: "the pure crates build for bare metal, without and with `alloc`",
        run: no_std,
    },
    Step {
        name: "firmware",
        about: "firmware runs in QEMU, has no allocator, takes no more than recorded, and on the wire no more than its bars",
        run: run_firmware,
    },
];

/// The step of that name.
pub(crate) fn step(name: &str) -> Option<&'static Step> {
    STEPS.iter().find(|step| step.name == name)
}

/// One line per step, for the help.
pub(crate) fn list_steps() -> String {
    STEPS
        .iter()
        .map(|step| format!("  {:<12} {}\n", step.name, step.about))
        .collect()
}

/// Runs the steps, sums up, and ends with the closing line.
///
/// # Errors
/// If a step failed, or, with CI=true, something was skipped.
pub(crate) fn main(ws: &Workspace, options: &CiOptions) -> Result<()> {
    let chosen: Vec<&Step> = if options.steps.is_empty() {
        STEPS.iter().collect()
    } else {
        options.steps.iter().filter_map(|name| step(name)).collect()
    };
    let mut summary = Summary::default();
    for step in chosen {
        println!("\n{}", bold(&format!("== {}: {}", step.name, step.about)));
        let start = Instant::now();
        let outcome = (step.run)(ws);
        summary.add(step.name, start.elapsed(), outcome);
    }
    summary.print();
    if summary.tally.failed > 0 || (summary.tally.skipped > 0 && in_ci()) {
        Err(Error::Told)
    } else {
        Ok(())
    }
}

/// What the steps came to.
#[derive(Default)]
struct Summary {
    tally: Tally,
    times: Vec<(&'static str, Duration)>,
    remarks: Vec<String>,
}

impl Summary {
    fn add(&mut self, name: &'static str, time: Duration, outcome: Result<Outcome>) {
        self.times.push((name, time));
        let verdict = match outcome {
            Ok(Outcome::Held) => "ok".to_owned(),
            Ok(Outcome::Counted(tally)) => {
                self.tally += tally;
                if tally.failed > 0 {
                    self.remarks
                        .push(red(&format!("FAILED {name}: {} tests", tally.failed)));
                }
                if tally.skipped > 0 {
                    self.remarks.push(yellow(&format!(
                        "SKIPPED {} tests of `{name}`: see above what installs their tools",
                        tally.skipped
                    )));
                }
                tally.to_string()
            }
            Ok(Outcome::Missing(install)) => {
                self.tally.skipped += 1;
                self.remarks
                    .push(yellow(&format!("SKIPPED {name}: {install}")));
                format!("SKIPPED: {install}")
            }
            Err(error) => {
                self.tally.failed += 1;
                self.remarks.push(red(&format!("FAILED {name}")));
                if error.is_told() {
                    "FAILED".to_owned()
                } else {
                    format!("FAILED: {error}")
                }
            }
        };
        println!(
            "{}",
            dim(&format!(
                "-- {name}: {verdict} ({:.1} s)",
                time.as_secs_f32()
            ))
        );
    }

    fn print(&mut self) {
        let total: Duration = self.times.iter().map(|(_, time)| time).sum();
        self.times
            .sort_by_key(|(_, time)| core::cmp::Reverse(*time));
        let slowest: Vec<String> = self
            .times
            .iter()
            .take(5)
            .map(|(name, time)| format!("{name} {:.1} s", time.as_secs_f32()))
            .collect();
        println!(
            "\n{} {} of {:.0} s",
            bold("slowest:"),
            slowest.join(", "),
            total.as_secs_f32()
        );
        for remark in &self.remarks {
            println!("{remark}");
        }
        println!("\n{}", self.tally);
    }
}

fn fmt(ws: &Workspace) -> Result<Outcome> {
    Program::cargo(&ws.root)
        .args(["fmt", "--all", "--check"])
        .run()?;
    for outside in ["fuzz", "peers"] {
        let outside = format!("xtask/{outside}/Cargo.toml");
        Program::cargo(&ws.root)
            .args(["fmt", "--manifest-path", &outside, "--check"])
            .run()?;
    }
    let firmware = ws.root.join("mqtt-device/firmware");
    Program::cargo(&firmware)
        .args(["fmt", "--all", "--check"])
        .run()?;
    Ok(Outcome::Held)
}

fn run_tidy(ws: &Workspace) -> Result<Outcome> {
    tidy::main(ws, TidyOptions::default()).map(|()| Outcome::Held)
}

fn run_conformance(ws: &Workspace) -> Result<Outcome> {
    conformance::main(ws, &ConformanceOptions::default()).map(|()| Outcome::Held)
}

fn clippy(ws: &Workspace) -> Result<Outcome> {
    let args = [
        "clippy",
        "--workspace",
        "--keep-going",
        "--all-targets",
        "--all-features",
        "--",
        "-D",
        "warnings",
    ];
    Program::cargo(&ws.root).args(args).run()?;
    Ok(Outcome::Held)
}

/// Without the targets for tests, whose dependencies switch features on as well.
fn alone(ws: &Workspace) -> Result<Outcome> {
    for member in &ws.members {
        Program::cargo(&ws.root)
            .args(["check", "--quiet", "--package", &member.name])
            .run()?;
    }
    Ok(Outcome::Held)
}

fn features(ws: &Workspace) -> Result<Outcome> {
    for name in PURE {
        let member = ws
            .member(name)
            .ok_or("a pure crate is no member of the workspace")?;
        let features = ws.features(member)?;
        let mut sets = vec![vec!["--no-default-features"]];
        sets.extend(
            features
                .iter()
                .map(|feature| vec!["--no-default-features", "--features", feature]),
        );
        if features.len() > 1 {
            sets.push(vec!["--all-features"]);
        }
        for set in sets {
            let program =
                Program::cargo(&ws.root).args(["clippy", "--quiet", "--package", name, "--lib"]);
            program.args(set).args(["--", "-D", "warnings"]).run()?;
        }
    }
    Ok(Outcome::Held)
}

fn doc(ws: &Workspace) -> Result<Outcome> {
    let program = Program::cargo(&ws.root).args([
        "doc",
        "--workspace",
        "--keep-going",
        "--no-deps",
        "--all-features",
    ]);
    program.env("RUSTDOCFLAGS", "-D warnings").run()?;
    Ok(Outcome::Held)
}

fn run_tests(ws: &Workspace) -> Result<Outcome> {
    test::run(ws, &TestOptions::default()).map(Outcome::Counted)
}

/// The code that counts bytes of flash instead of nanoseconds, which no test on this machine would meet otherwise.
fn small(ws: &Workspace) -> Result<Outcome> {
    let mut tally = Tally::default();
    for (package, tests) in [
        ("mqtt-codec", &[][..]),
        ("mqtt-topic", &[]),
        ("mqtt-session", &["compact", "compact_simulation"]),
        ("mqtt-device", &["clients", "ring", "simulation"]),
    ] {
        let mut args = vec!["test", "--quiet", "--no-fail-fast", "--package", package];
        match tests {
            [] => args.extend(["--lib", "--tests"]),
            _ => args.extend(tests.iter().flat_map(|test| ["--test", test])),
        }
        let program = Program::cargo(&ws.root)
            .args(args)
            .env("RUSTFLAGS", "--cfg small")
            .env("CARGO_TARGET_DIR", ws.target.join("small"));
        tally += test::watched(program)?;
    }
    Ok(Outcome::Counted(tally))
}

fn run_peers(ws: &Workspace) -> Result<Outcome> {
    bench::judge(ws).map(Outcome::Counted)
}

/// That the machinery works; that each bug is found needs no judging at every change.
fn run_mutations(ws: &Workspace) -> Result<Outcome> {
    let options = MutationsOptions {
        names: ["received-ids-forgotten", "alias-kept"]
            .map(str::to_owned)
            .to_vec(),
        seeds: 200,
        list: false,
    };
    mutations::main(ws, &options).map(|()| Outcome::Held)
}

/// Without Mosquitto, which takes long to write its whole store at every change, and judges nothing.
fn run_crash(ws: &Workspace) -> Result<Outcome> {
    let run = |arguments: &[&str]| {
        let options = CrashOptions {
            quick: true,
            peer: false,
            arguments: arguments.iter().map(|it| (*it).to_owned()).collect(),
        };
        crash::main(ws, &options)
    };
    run(&[])?;
    if !crash::can_trace() {
        return Ok(Outcome::Missing(crash::INSTALL_STRACE.to_owned()));
    }
    run(&["--trace"])?;
    Ok(Outcome::Held)
}

/// The Cortex-M0 has no compare-and-swap: what builds for it builds for the others.
fn no_std(ws: &Workspace) -> Result<Outcome> {
    let bare = match BareMetal::find(ws) {
        Ok(bare) => bare,
        Err(missing) => return Ok(Outcome::Missing(missing.install())),
    };
    let packages = PURE.map(|name| ["--package", name]).concat();
    let target = ["--target", "thumbv6m-none-eabi"];
    let check = |build_std: &str| {
        bare.cargo(&ws.root)
            .args(["check"])
            .args(&packages)
            .args(target)
            .args([build_std])
    };
    check("-Zbuild-std=core")
        .args(["--no-default-features"])
        .run()?;
    let mut with_alloc = Vec::new();
    for name in PURE {
        let member = ws
            .member(name)
            .ok_or("a pure crate is no member of the workspace")?;
        if ws
            .features(member)?
            .iter()
            .any(|feature| feature == "alloc")
        {
            with_alloc.push(format!("{name}/alloc"));
        }
    }
    if !with_alloc.is_empty() {
        check("-Zbuild-std=core,alloc")
            .args(["--no-default-features", "--features", &with_alloc.join(",")])
            .run()?;
    }
    Ok(Outcome::Held)
}

fn run_instructions(ws: &Workspace) -> Result<Outcome> {
    if instructions::is_possible(ws) {
        instructions::main(ws, false).map(|()| Outcome::Held)
    } else {
        Ok(Outcome::Missing(instructions::INSTALL.to_owned()))
    }
}

fn run_firmware(ws: &Workspace) -> Result<Outcome> {
    firmware::lint(ws)?;
    firmware::wire(ws)?;
    let options = FirmwareOptions {
        check: true,
        ..FirmwareOptions::default()
    };
    match BareMetal::find_with_boards(ws) {
        Ok(bare) => firmware::run(ws, &bare, &options).map(Outcome::Counted),
        Err(missing) => Ok(Outcome::Missing(missing.install())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(outcomes: [Result<Outcome>; 4]) -> Tally {
        let mut summary = Summary::default();
        for outcome in outcomes {
            summary.add("step", Duration::ZERO, outcome);
        }
        summary.tally
    }

    #[test]
    fn a_failed_step_and_a_missing_tool_show_in_the_closing_line() {
        let tests = Tally {
            passed: 7,
            failed: 1,
            skipped: 2,
        };
        let tally = summary([
            Ok(Outcome::Held),
            Ok(Outcome::Counted(tests)),
            Ok(Outcome::Missing("apt-get install it".to_owned())),
            Err("broken".into()),
        ]);
        assert_eq!(tally.to_string(), "7 passed, 2 failed, 3 skipped");
    }

    #[test]
    fn steps_have_different_names() {
        let mut names = STEPS.map(|step| step.name).to_vec();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), STEPS.len());
    }
}
