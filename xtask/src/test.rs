//! `cargo xtask test`: every test of the workspace, with the missing tools counted.

use std::collections::BTreeMap;
use std::path::Path;

use crate::shell::{Error, Program, Result, colour_choice, yellow};
use crate::tally::Tally;
use crate::workspace::{Workspace, read};

/// Which tests to run.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct TestOptions {
    /// The long tests too, and more random cases.
    pub(crate) full: bool,
    /// Only these crates; all if empty.
    pub(crate) packages: Vec<String>,
    /// Only tests with this in their name.
    pub(crate) filter: Option<String>,
}

/// Names the file to which a test without its tool appends its line.
const SKIPS_ENV: &str = "MQTT_TEST_SKIPS";

/// Names the folder of the foreign clients that `.ci/run tools` installs.
const FOREIGN_ENV: &str = "MQTT_TEST_FOREIGN";

/// Random cases of each property with `--full`; 256 without.
const FULL_CASES: &str = "4096";

/// Runs the tests and prints the closing line.
///
/// # Errors
/// If a test failed, or, with CI=true, was skipped.
pub(crate) fn main(ws: &Workspace, options: &TestOptions) -> Result<()> {
    let tally = run(ws, options)?;
    println!("\n{tally}");
    if tally.failed > 0 || (tally.skipped > 0 && in_ci()) {
        Err(Error::Told)
    } else {
        Ok(())
    }
}

/// Whether this run judges a change: then nothing may be left out.
pub(crate) fn in_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| value == "true" || value == "1")
}

/// Runs the tests, prints what was skipped, and counts.
///
/// # Errors
/// If a test runner cannot be started, or a crate is unknown.
pub(crate) fn run(ws: &Workspace, options: &TestOptions) -> Result<Tally> {
    for name in &options.packages {
        if ws.member(name).is_none() {
            return Err(format!("there is no crate `{name}` in this workspace").into());
        }
    }
    let skips_file = ws.target.join("xtask").join("skips.txt");
    start_file(&skips_file)?;
    let prepared = |program| with_environment(program, ws, &skips_file, options.full);
    let mut tally = Tally::default();
    if Program::cargo(&ws.root)
        .args(["nextest", "--version"])
        .succeeds_silently()
    {
        tally += watched(prepared(nextest_run(ws, options)))?;
        if let Some(doc_tests) = doc_tests(ws, options) {
            tally += watched(prepared(doc_tests))?;
        }
    } else {
        tally += watched(prepared(cargo_test(ws, options)))?;
    }
    tally.take_skips(report_skips(&read(&skips_file)?));
    Ok(tally)
}

fn start_file(path: &Path) -> Result<()> {
    let folder = path.parent().ok_or("the target folder has no parent")?;
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(path, ""))
        .map_err(|error| format!("{}: {error}", path.display()).into())
}

/// Prints each different line once; returns how many tests were skipped.
fn report_skips(text: &str) -> usize {
    let mut lines = BTreeMap::<&str, usize>::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        *lines.entry(line).or_default() += 1;
    }
    if !lines.is_empty() {
        println!();
    }
    for (line, tests) in &lines {
        let times = if *tests > 1 {
            format!(" ({tests} times)")
        } else {
            String::new()
        };
        println!("{}", yellow(&format!("{line}{times}")));
    }
    lines.values().sum()
}

/// Runs a test runner and counts; a runner that fails without a failed test (it did not compile) is a failure too.
pub(crate) fn watched(program: Program) -> Result<Tally> {
    let mut tally = Tally::default();
    let succeeded = program.watch(|line| tally.add_line(line))?;
    if !succeeded && tally.failed == 0 {
        tally.failed = 1;
    }
    Ok(tally)
}

fn nextest_run(ws: &Workspace, options: &TestOptions) -> Program {
    let mut args = vec![
        "nextest",
        "run",
        "--config-file",
        "xtask/nextest.toml",
        "--no-fail-fast",
        "--no-tests=pass",
    ];
    args.extend(["--color", colour_choice(), "--all-features"]);
    args.extend(packages(options));
    if options.full {
        args.extend(["--run-ignored", "all"]);
    }
    args.extend(options.filter.as_deref());
    Program::cargo(&ws.root).args(args)
}

/// Documentation tests included.
fn cargo_test(ws: &Workspace, options: &TestOptions) -> Program {
    let mut args = vec![
        "test",
        "--color",
        colour_choice(),
        "--no-fail-fast",
        "--all-features",
    ];
    args.extend(packages(options));
    args.extend(options.filter.as_deref());
    if options.full {
        args.extend(["--", "--include-ignored"]);
    }
    Program::cargo(&ws.root).args(args)
}

/// For nextest, which runs none. Nothing if no chosen crate has a library, which cargo would call an error.
fn doc_tests(ws: &Workspace, options: &TestOptions) -> Option<Program> {
    let mut args = vec![
        "test",
        "--doc",
        "--color",
        colour_choice(),
        "--no-fail-fast",
        "--all-features",
    ];
    if options.packages.is_empty() {
        args.push("--workspace");
    } else {
        let with_library =
            |name: &&String| ws.member(name).is_some_and(|member| ws.has_library(member));
        let chosen: Vec<_> = options.packages.iter().filter(with_library).collect();
        if chosen.is_empty() {
            return None;
        }
        args.extend(chosen.iter().flat_map(|name| ["--package", name.as_str()]));
    }
    args.extend(options.filter.as_deref());
    if options.full {
        args.extend(["--", "--include-ignored"]);
    }
    Some(Program::cargo(&ws.root).args(args))
}

fn packages(options: &TestOptions) -> Vec<&str> {
    if options.packages.is_empty() {
        vec!["--workspace"]
    } else {
        options
            .packages
            .iter()
            .flat_map(|name| ["--package", name.as_str()])
            .collect()
    }
}

/// Gives a test runner what the tests look for in their environment.
fn with_environment(program: Program, ws: &Workspace, skips_file: &Path, full: bool) -> Program {
    let program = program
        .quiet_env(SKIPS_ENV, skips_file)
        .quiet_env(FOREIGN_ENV, ws.target.join("foreign"));
    if full {
        program.env("PROPTEST_CASES", FULL_CASES)
    } else {
        program
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skipped_lines_are_counted_per_test() {
        let text = "SKIPPED mosquitto_pub: apt-get install mosquitto-clients\n\
                    SKIPPED mosquitto_pub: apt-get install mosquitto-clients\n\
                    SKIPPED MQTT.js: .ci/run tools\n\n";
        assert_eq!(report_skips(text), 3);
        assert_eq!(report_skips(""), 0);
    }

    #[test]
    fn a_runner_that_fails_without_a_failed_test_is_a_failure() {
        let broken = Program::new("sh", Path::new("."))
            .args(["-c", "echo 'error: could not compile' >&2; exit 101"]);
        assert_eq!(
            watched(broken).expect("sh starts"),
            Tally {
                passed: 0,
                failed: 1,
                skipped: 0
            }
        );
    }
}
