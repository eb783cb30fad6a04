//! The command line: commands, their options and their help.

use core::str::FromStr;
use std::ffi::OsString;

use lexopt::{Arg, Parser, ValueExt};

use crate::bench::{self, BenchOptions};
use crate::ci::{self, CiOptions};
use crate::conformance::ConformanceOptions;
use crate::crash::{self, CrashOptions};
use crate::firmware::FirmwareOptions;
use crate::footprint::FootprintOptions;
use crate::fuzz::{self, FuzzOptions};
use crate::mutations::{self, MutationsOptions};
use crate::sim;
use crate::test::TestOptions;
use crate::tidy::TidyOptions;

/// What the caller asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// Print this text and stop.
    Help(String),
    /// All checks.
    Ci(CiOptions),
    /// All tests.
    Test(TestOptions),
    /// Rules that no compiler checks.
    Tidy(TidyOptions),
    /// The statements of the specifications and their tests.
    Conformance(ConformanceOptions),
    /// Fuzzing.
    Fuzz(FuzzOptions),
    /// The simulations, with these arguments.
    Sim(Vec<String>),
    /// Brokers that are killed.
    Crash(CrashOptions),
    /// Planted bugs.
    Mutations(MutationsOptions),
    /// Programs for microcontrollers.
    Firmware(FirmwareOptions),
    /// What a connection and a message cost the broker.
    Footprint(FootprintOptions),
    /// Us beside the peers.
    Bench(BenchOptions),
    /// Instructions, compared with the recorded ones.
    Instructions {
        /// Write them down instead.
        record: bool,
    },
}

const HELP: &str = "\
What a contributor runs

Usage: cargo xtask <COMMAND>

Commands:
  ci           Every check that a change must pass, in one go
  test         All tests: unit, integration and documentation tests, foreign clients included
  tidy         The rules that no compiler checks: layers, allowed crates, licences, files
  conformance  Every statement of MQTT 3.1.1 and 5.0, and the tests that prove it; a suite for any broker
  fuzz         Fuzzes codec, sessions, the broker's core and topics; keeps their corpora small
  sim          The simulations over many seeds
  crash        Kills our broker under load, again and again, and sees that nothing acknowledged is lost
  mutations    Plants one bug after the other, and sees that the simulations find each
  firmware     Builds programs for microcontrollers, runs them in QEMU, and says what they take beside other clients
  footprint    Memory of an idle connection and system calls of a message, our broker beside Mosquitto
  bench        Our codec, topic index and store beside what others have published

`cargo xtask <COMMAND> --help` says more.
";

const CI: &str = "\
Every check that a change must pass, in one go

Usage: cargo xtask ci [STEP]...

Goes on after a failure, so that one run shows everything there is to mend; then lists the slowest steps and what
failed. The last line counts the tests: `N passed, N failed, N skipped`; a failed step that is no test counts as one
failure. With CI=true in the environment anything skipped is a failure too.

Arguments:
  [STEP]...  Only these steps, in this order [default: all]

Options:
  -h, --help  Print this help

Steps:
";

const TEST: &str = "\
All tests: unit, integration and documentation tests, foreign clients included

Usage: cargo xtask test [OPTIONS] [FILTER]

Runs through cargo-nextest where it is installed, else through `cargo test`. A test that needs a program which is
missing prints `SKIPPED <what>: <the command that installs it>`; these lines are repeated and counted at the end.

Arguments:
  [FILTER]  Only the tests with this in their name

Options:
  -p, --package <NAME>  Only the tests of this crate (may be repeated)
      --full            The long tests too (those marked #[ignore]), and 16 times the random cases (PROPTEST_CASES)
  -h, --help            Print this help
";

const TIDY: &str = "\
The rules that no compiler checks: layers, allowed crates, licences, files

Usage: cargo xtask tidy [--fix]

Each finding comes with the sentence that explains its rule. The table of layers, allowed crates and exceptions is
xtask/tidy.toml; the accepted licences and banned crates are in deny.toml.

Options:
      --fix   Mend what needs no thought: the introductions of READMEs
  -h, --help  Print this help
";

const CONFORMANCE: &str = "\
Every statement of MQTT 3.1.1 and 5.0, and the tests that prove it; a suite for any broker

Usage: cargo xtask conformance [--list] [--fix]
       cargo xtask conformance --against <HOST:PORT> [OPTION]...

Compares xtask/conformance/statements.tsv with the statements that tests name in their comments, and prints what is
proven, chapter by chapter. Nothing is built. Fails on a statement that does not exist, a test that does not exist, and
a statement that has neither a test nor a reason. xtask/conformance/README.md explains the table.

Options:
      --fix                  Put the tests that name a statement into its row
      --list                 One line for each statement instead of the chapters
      --against <HOST:PORT>  Run the socket suite against a broker that is up; what follows goes to the suite, and
                             `--against <HOST:PORT> --help` shows what it takes
  -h, --help                 Print this help
";

const FUZZ: &str = "\
Fuzzes codec, sessions, the broker's core and topics; keeps their corpora small

Usage: cargo xtask fuzz [OPTIONS] [TARGET]...

Runs the targets of xtask/fuzz one after another under libFuzzer, on the stable compiler, from the committed corpus and
what earlier runs have found. Prints executions, edges, features, and the share of inputs that decode; a finding comes
with the file and the command that repeats it. Needs cargo-fuzz (`cargo install --locked cargo-fuzz`) and a C++ compiler.

Arguments:
  [TARGET]...  Only these [default: all]

Options:
      --seconds <N>  How long each target runs [default: 60]
      --minimise     Pack what reaches new edges into the committed corpora afterwards
      --planted      Build the bugs that are planted for it, and show how soon each is found from an empty corpus
      --judged       Replay the judged disagreements with other decoders, which `differential` knows, show them, and write
                     xtask/fuzz/DISAGREEMENTS.md; needs no cargo-fuzz
      --input <FILE> Run one input of one target, and stop
  -h, --help         Print this help

Targets:
";

const FIRMWARE: &str = "\
Builds programs for microcontrollers, runs them in QEMU, and says what they take beside other clients

Usage: cargo xtask firmware [--check | --record] [--strict] [--full]
       cargo xtask firmware --app <NAME>
       cargo xtask firmware --wire

Builds mqtt-device/firmware for a Cortex-M3, an 8-bit AVR (ATmega328P), a Cortex-M0 and RISC-V with Debian's compiler (the
packages are named if they are missing). Every program is searched for an allocator, for 64-bit division, and for ways to a
panic; those with a board run in QEMU, where the peak of the stack is measured. What is built, the bars and the figures of
other clients are in mqtt-device/firmware/programs.toml.

Options:
      --check   Fail when a program takes over 2 % more than mqtt-device/firmware/sizes.txt says
      --record  Write that file
      --strict  Fail when a bar is missed
      --full    Cut the connection at every byte, with both transports and both brokers, five times in a row; without it,
                every other fault once, and a sample of cuts, the seed of which is printed
      --app <NAME>  Only run sensor, tracker or solar on a Cortex-M3 in QEMU, and show what it publishes
      --wire    Only count what 1, 10 and 60 readings take on the wire, packed and one by one, beside the model; fails when a bar is
                missed (root, iproute2; needs no compiler but this one)
  -h, --help    Print this help
";

const FOOTPRINT: &str = "\
Memory of an idle connection and system calls of a message, our broker beside Mosquitto

Usage: cargo xtask footprint [--strict]

Builds the broker in release mode, pins it to the first core and this tool to the last, opens 10,000 connections that
stay silent, then counts with strace what the broker calls while messages of QoS 0 pass through it.

Options:
      --strict  Fail when a bar is missed
  -h, --help    Print this help
";

/// Reads the command line, the program's name first.
///
/// # Errors
/// On an unknown command, option or step, or a missing value.
pub(crate) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Command, lexopt::Error> {
    let mut parser = Parser::from_iter(
        args.into_iter()
            .map(OsString::into_encoded_bytes)
            .map(lossy),
    );
    match parser.next()? {
        None | Some(Arg::Short('h') | Arg::Long("help")) => Ok(Command::Help(HELP.to_owned())),
        Some(Arg::Value(name)) => match name.string()?.as_str() {
            "ci" => ci(parser),
            "test" => test(parser),
            "tidy" => tidy(parser),
            "conformance" => conformance(parser),
            "fuzz" => fuzz(parser),
            "sim" => simulations(parser),
            "crash" => crashes(parser),
            "mutations" => mutated(parser),
            "firmware" => firmware(parser),
            "footprint" => footprint(parser),
            "bench" => benches(parser),
            "help" => Ok(Command::Help(HELP.to_owned())),
            other => Err(format!("there is no command `{other}`").into()),
        },
        Some(other) => Err(other.unexpected()),
    }
}

fn lossy(bytes: Vec<u8>) -> OsString {
    String::from_utf8_lossy(&bytes).into_owned().into()
}

fn ci(mut parser: Parser) -> Result<Command, lexopt::Error> {
    let mut options = CiOptions::default();
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Short('h') | Arg::Long("help") => {
                return Ok(Command::Help(format!("{CI}{}", ci::list_steps())));
            }
            Arg::Value(step) => {
                let step = step.string()?;
                let known = ci::step(&step).ok_or_else(|| {
                    format!("there is no step `{step}`; see `cargo xtask ci --help`")
                })?;
                options.steps.push(known.name);
            }
            other => return Err(other.unexpected()),
        }
    }
    Ok(Command::Ci(options))
}

fn test(mut parser: Parser) -> Result<Command, lexopt::Error> {
    let mut options = TestOptions::default();
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Short('h') | Arg::Long("help") => return Ok(Command::Help(TEST.to_owned())),
            Arg::Short('p') | Arg::Long("package") => {
                options.packages.push(parser.value()?.string()?);
            }
            Arg::Long("full") => options.full = true,
            Arg::Value(filter) if options.filter.is_none() => {
                options.filter = Some(filter.string()?);
            }
            other => return Err(other.unexpected()),
        }
    }
    Ok(Command::Test(options))
}

fn tidy(mut parser: Parser) -> Result<Command, lexopt::Error> {
    let mut options = TidyOptions::default();
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Short('h') | Arg::Long("help") => return Ok(Command::Help(TIDY.to_owned())),
            Arg::Long("fix") => options.fix = true,
            other => return Err(other.unexpected()),
        }
    }
    Ok(Command::Tidy(options))
}

fn conformance(mut parser: Parser) -> Result<Command, lexopt::Error> {
    let mut options = ConformanceOptions::default();
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Short('h') | Arg::Long("help") => {
                return Ok(Command::Help(CONFORMANCE.to_owned()));
            }
            Arg::Long("fix") => options.fix = true,
            Arg::Long("list") => options.list = true,
            Arg::Long("against") => {
                let mut suite = vec!["--against".to_owned(), parser.value()?.string()?];
                for argument in parser.raw_args()? {
                    suite.push(argument.string()?);
                }
                options.suite = Some(suite);
            }
            other => return Err(other.unexpected()),
        }
    }
    Ok(Command::Conformance(options))
}

fn firmware(mut parser: Parser) -> Result<Command, lexopt::Error> {
    let mut options = FirmwareOptions::default();
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Short('h') | Arg::Long("help") => return Ok(Command::Help(FIRMWARE.to_owned())),
            Arg::Long("check") if !options.record => options.check = true,
            Arg::Long("record") if !options.check => options.record = true,
            Arg::Long("strict") => options.strict = true,
            Arg::Long("wire") => options.wire = true,
            Arg::Long("full") => options.full = true,
            Arg::Long("app") => options.app = Some(parser.value()?.string()?),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Command::Firmware(options))
}

fn footprint(mut parser: Parser) -> Result<Command, lexopt::Error> {
    let mut options = FootprintOptions::default();
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Short('h') | Arg::Long("help") => return Ok(Command::Help(FOOTPRINT.to_owned())),
            Arg::Long("strict") => options.strict = true,
            other => return Err(other.unexpected()),
        }
    }
    Ok(Command::Footprint(options))
}

fn fuzz(mut parser: Parser) -> Result<Command, lexopt::Error> {
    let mut options = FuzzOptions::default();
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Short('h') | Arg::Long("help") => {
                return Ok(Command::Help(format!("{FUZZ}{}", fuzz::list_targets())));
            }
            Arg::Long("seconds") => options.seconds = Some(count(&mut parser, "--seconds")?),
            Arg::Long("minimise") => options.minimise = true,
            Arg::Long("planted") => options.planted = true,
            Arg::Long("judged") => options.judged = true,
            Arg::Long("input") => options.input = Some(parser.value()?.into()),
            Arg::Value(name) => {
                let name = name.string()?;
                let target = fuzz::target(&name).ok_or_else(|| {
                    format!("there is no target `{name}`; see `cargo xtask fuzz --help`")
                })?;
                options.targets.push(target);
            }
            other => return Err(other.unexpected()),
        }
    }
    Ok(Command::Fuzz(options))
}

/// The value of an option that takes a number; 0 would run nothing, or without an end.
fn count<T: FromStr + PartialEq + From<u8>>(
    parser: &mut Parser,
    option: &str,
) -> Result<T, lexopt::Error> {
    let text = parser.value()?.string()?;
    let number = text.parse().ok().filter(|number| *number != T::from(0));
    number.ok_or_else(|| format!("{option} takes a number of at least 1, not `{text}`").into())
}

/// The program that is started reads the rest.
fn simulations(mut parser: Parser) -> Result<Command, lexopt::Error> {
    let arguments = parser.raw_args()?.map(|argument| argument.string());
    let arguments = arguments.collect::<Result<Vec<_>, _>>()?;
    if arguments.iter().any(|it| it == "-h" || it == "--help") {
        return Ok(Command::Help(sim::HELP.to_owned()));
    }
    Ok(Command::Sim(arguments))
}

/// The program that is started reads the rest, but for what decides on what is built.
fn crashes(mut parser: Parser) -> Result<Command, lexopt::Error> {
    let mut options = CrashOptions::default();
    for argument in parser.raw_args()? {
        match argument.string()?.as_str() {
            "-h" | "--help" => return Ok(Command::Help(crash::HELP.to_owned())),
            "--quick" => options.quick = true,
            "--no-peer" => options.peer = false,
            argument => options.arguments.push(argument.to_owned()),
        }
    }
    Ok(Command::Crash(options))
}

/// The program that is started reads what follows the name.
fn benches(mut parser: Parser) -> Result<Command, lexopt::Error> {
    let name = match parser.next()? {
        None | Some(Arg::Short('h') | Arg::Long("help")) => {
            return Ok(Command::Help(bench::help()));
        }
        Some(Arg::Value(name)) => name.string()?,
        Some(Arg::Long(flag @ ("check" | "record"))) => {
            let record = flag == "record";
            return match parser.next()? {
                None => Ok(Command::Instructions { record }),
                Some(other) => Err(other.unexpected()),
            };
        }
        Some(other) => return Err(other.unexpected()),
    };
    let bench = bench::bench(&name)
        .ok_or_else(|| format!("there is no bench `{name}`; see `cargo xtask bench --help`"))?;
    let arguments = parser.raw_args()?.map(|argument| argument.string());
    let arguments = arguments.collect::<Result<Vec<_>, _>>()?;
    if arguments.iter().any(|it| it == "-h" || it == "--help") {
        return Ok(Command::Help(bench::help()));
    }
    Ok(Command::Bench(BenchOptions { bench, arguments }))
}

fn mutated(mut parser: Parser) -> Result<Command, lexopt::Error> {
    let mut options = MutationsOptions::default();
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Short('h') | Arg::Long("help") => {
                return Ok(Command::Help(mutations::HELP.to_owned()));
            }
            Arg::Long("seeds") => options.seeds = count(&mut parser, "--seeds")?,
            Arg::Long("list") => options.list = true,
            Arg::Value(name) => options.names.push(name.string()?),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Command::Mutations(options))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Command, String> {
        let args = ["xtask"]
            .into_iter()
            .chain(line.split_whitespace())
            .map(OsString::from);
        parse(args).map_err(|error| error.to_string())
    }

    #[test]
    fn every_command_has_help() {
        for command in [
            "",
            "ci",
            "test",
            "tidy",
            "conformance",
            "fuzz",
            "firmware",
            "footprint",
            "sim",
            "crash",
            "mutations",
        ] {
            for flag in ["-h", "--help"] {
                let Ok(Command::Help(text)) = parsed(&format!("{command} {flag}")) else {
                    panic!("`{command} {flag}` helps")
                };
                assert!(text.contains("Usage: cargo xtask"), "{text}");
            }
        }
    }

    #[test]
    fn test_options_are_read() {
        let expected = TestOptions {
            full: true,
            packages: vec!["mqtt-codec".into(), "mqtt-topic".into()],
            filter: Some("qos2".into()),
        };
        assert_eq!(
            parsed("test --full -p mqtt-codec --package=mqtt-topic qos2"),
            Ok(Command::Test(expected))
        );
        assert_eq!(parsed("test"), Ok(Command::Test(TestOptions::default())));
    }

    #[test]
    fn the_arguments_of_simulations_are_passed_on() {
        let arguments = ["--seeds", "7", "--only=session"].map(str::to_owned);
        assert_eq!(
            parsed("sim --seeds 7 --only=session"),
            Ok(Command::Sim(arguments.to_vec()))
        );
    }

    #[test]
    fn what_decides_on_the_build_of_a_crash_run_is_not_passed_on() {
        let expected = CrashOptions {
            quick: true,
            peer: false,
            arguments: ["--rounds", "7", "--no-controls"]
                .map(str::to_owned)
                .to_vec(),
        };
        assert_eq!(
            parsed("crash --rounds 7 --quick --no-peer --no-controls"),
            Ok(Command::Crash(expected))
        );
    }

    #[test]
    fn the_arguments_of_a_bench_are_passed_on() {
        let bench = bench::bench("codec").expect("the bench of the codec");
        let arguments = ["--quick", "--only", "PUBACK"].map(str::to_owned).to_vec();
        assert_eq!(
            parsed("bench codec --quick --only PUBACK"),
            Ok(Command::Bench(BenchOptions { bench, arguments }))
        );
        let help = parsed("bench codec --quick --help");
        assert_eq!(help, Ok(Command::Help(bench::help())));
        for (flag, record) in [("--check", false), ("--record", true)] {
            let command = parsed(&format!("bench {flag}"));
            assert_eq!(command, Ok(Command::Instructions { record }));
        }
    }

    #[test]
    fn mutations_are_chosen_by_name() {
        let expected = MutationsOptions {
            names: vec!["a".into(), "b".into()],
            seeds: 50,
            list: false,
        };
        assert_eq!(
            parsed("mutations a --seeds 50 b"),
            Ok(Command::Mutations(expected))
        );
    }

    #[test]
    fn tidy_mends_only_when_asked() {
        assert_eq!(
            parsed("tidy"),
            Ok(Command::Tidy(TidyOptions { fix: false }))
        );
        assert_eq!(
            parsed("tidy --fix"),
            Ok(Command::Tidy(TidyOptions { fix: true }))
        );
    }

    #[test]
    fn what_follows_the_address_is_for_the_suite() {
        let suite = ["--against", "localhost:1883", "--only", "x", "--help"];
        let expected = ConformanceOptions {
            fix: true,
            list: false,
            suite: Some(suite.map(str::to_owned).to_vec()),
        };
        assert_eq!(
            parsed("conformance --fix --against localhost:1883 --only x --help"),
            Ok(Command::Conformance(expected))
        );
        assert_eq!(
            parsed("conformance"),
            Ok(Command::Conformance(ConformanceOptions::default()))
        );
    }

    #[test]
    fn steps_are_checked_when_they_are_read() {
        assert_eq!(
            parsed("ci tidy fmt"),
            Ok(Command::Ci(CiOptions {
                steps: vec!["tidy", "fmt"]
            }))
        );
        assert!(
            parsed("ci nonsense")
                .expect_err("no such step")
                .contains("nonsense")
        );
    }

    #[test]
    fn what_is_unknown_is_named() {
        for (line, named) in [
            ("frob", "frob"),
            ("tidy --all", "--all"),
            ("test a b", "b"),
            ("size", "size"),
            ("firmware x", "x"),
            ("fuzz nobody", "nobody"),
            (
                "fuzz --seconds soon",
                "--seconds takes a number of at least 1, not `soon`",
            ),
            ("fuzz --seconds 0", "--seconds"),
            ("mutations --seeds 0", "--seeds"),
            ("bench nothing", "nothing"),
            ("bench --strict", "--strict"),
            ("firmware --check --record", "--record"),
            ("conformance x", "x"),
            ("conformance --against", "--against"),
            ("--loud", "--loud"),
        ] {
            let error = parsed(line).expect_err(line);
            assert!(error.contains(named), "{line}: {error}");
        }
    }
}
