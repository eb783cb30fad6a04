//! `cargo xtask fuzz`: runs the targets of `xtask/fuzz` under libFuzzer, says what came of it, keeps the corpora small.

mod corpus;
mod planted;
mod report;

use core::time::Duration;
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::shell::{Error, Program, Result, bold, red};
use crate::workspace::Workspace;
use report::{Figures, Progress, Reader};

/// What to run, and for how long.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct FuzzOptions {
    /// Which targets; all if empty.
    pub(crate) targets: Vec<&'static Target>,
    /// How long each runs; `None` is the default, [`SECONDS`].
    pub(crate) seconds: Option<u32>,
    /// Pack what was found worth keeping into the committed corpora.
    pub(crate) minimise: bool,
    /// Find the planted bugs instead.
    pub(crate) planted: bool,
    /// Replay the judged disagreements with other decoders instead, and write the page about them.
    pub(crate) judged: bool,
    /// Run this input only.
    pub(crate) input: Option<PathBuf>,
}

/// A target of `xtask/fuzz`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// Its name.
    pub(crate) name: &'static str,
    about: &'static str,
    /// Features of `xtask/fuzz` that it needs.
    features: &'static str,
    /// Longest input, in bytes.
    longest: u32,
}

/// All of them.
pub(crate) const TARGETS: [Target; 7] = [
    Target {
        name: "decoder",
        about: "packets of both sides and all versions, whole, in pieces, and written again",
        features: "",
        longest: 2_000,
    },
    Target {
        name: "round-trip",
        about: "packets as a program builds them, written and read again, and what cannot be written",
        features: "",
        longest: 1_000,
    },
    Target {
        name: "differential",
        about: "the same frames to our decoder and to those of others; what differs has to be judged",
        features: "peers",
        longest: 300,
    },
    Target {
        name: "session",
        about: "operations on client and server sessions of every profile, with any peer",
        features: "",
        longest: 1_000,
    },
    Target {
        name: "device",
        about: "the client of devices: any server and any application, and in the end a healthy server",
        features: "",
        longest: 1_000,
    },
    Target {
        name: "core",
        about: "the broker's core: several raw clients, one to three workers, a late store, restarts",
        features: "broker",
        longest: 1_000,
    },
    Target {
        name: "topics",
        about: "names, filters and both indexes beside naive twins",
        features: "",
        longest: 1_000,
    },
];

/// How long a target runs unless told otherwise.
pub(crate) const SECONDS: u32 = 60;
/// The coverage comes from plain code generation flags, so that the stable compiler does.
const NO_SANITIZER: [&str; 2] = ["--sanitizer", "none"];

/// The target of that name.
pub(crate) fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

/// One line per target, for the help.
pub(crate) fn list_targets() -> String {
    TARGETS
        .iter()
        .map(|target| format!("  {:<12} {}\n", target.name, target.about))
        .collect()
}

/// Runs the targets and prints a table.
///
/// # Errors
/// If cargo-fuzz is missing, a target does not build, or there was a finding; with planted bugs, if one was not found.
pub(crate) fn main(ws: &Workspace, options: &FuzzOptions) -> Result<()> {
    if options.judged {
        return judged(ws);
    }
    if !Program::cargo(&ws.root)
        .args(["fuzz", "--version"])
        .succeeds_silently()
    {
        return Err("needs cargo-fuzz: cargo install --locked cargo-fuzz".into());
    }
    let chosen: Vec<&Target> = if options.targets.is_empty() {
        TARGETS.iter().collect()
    } else {
        options.targets.clone()
    };
    if options.planted {
        return planted::main(ws, &chosen, options.seconds.unwrap_or(SECONDS));
    }
    if let Some(input) = &options.input {
        let [target] = chosen[..] else {
            return Err("an input is for one target: name it".into());
        };
        let input =
            std::path::absolute(input).map_err(|error| format!("{}: {error}", input.display()))?;
        let fuzzer = Fuzzer::new(ws, target);
        return fuzzer.run(&[&input], &[]).run();
    }
    let mut table = Vec::new();
    for target in chosen {
        println!(
            "\n{}",
            bold(&format!("== {}: {}", target.name, target.about))
        );
        let fuzzer = Fuzzer::new(ws, target);
        fuzzer.build()?;
        let figures = fuzzer.fuzz(options.seconds.unwrap_or(SECONDS))?;
        if options.minimise && figures.finding.is_none() {
            fuzzer.minimise()?;
        }
        table.push((target.name, figures));
    }
    println!("\n{}", report::table(&table));
    for (_, figures) in &table {
        print!("{}", report::judged(figures));
    }
    let mut failed = false;
    for (name, figures) in &table {
        if let Some(finding) = &figures.finding {
            failed = true;
            println!("{} {name}: {}", red("finding in"), finding.what);
            if let Some(file) = &finding.file {
                println!(
                    "  repeat it with `cargo xtask fuzz {name} --input {}`",
                    file.display()
                );
                println!(
                    "  keep it in xtask/fuzz/findings/{name}.txt: {}",
                    corpus::line_of(file)?
                );
            }
        }
    }
    if failed { Err(Error::Told) } else { Ok(()) }
}

/// Replays the judged disagreements and what the committed inputs show, and writes the page about them. Needs no cargo-fuzz.
fn judged(ws: &Workspace) -> Result<()> {
    let files = ws.root.join("xtask/fuzz");
    let page = files.join("DISAGREEMENTS.md");
    let inputs = ["corpus", "findings"].map(|kind| files.join(kind).join("differential.txt"));
    Program::cargo(&ws.root)
        .args(["run", "--release", "--quiet", "--locked"])
        .args(["--manifest-path", "xtask/fuzz/Cargo.toml"])
        .args(["--features", "peers", "--bin", "judged", "--", "--write"])
        .args([&page])
        .args(&inputs)
        .quiet_env("CARGO_TARGET_DIR", ws.target.join("fuzz/judged"))
        .run()?;
    println!("{}", page.display());
    Ok(())
}

/// One target, built one way.
struct Fuzzer<'w> {
    ws: &'w Workspace,
    target: &'static Target,
    /// Where cargo builds it.
    build: PathBuf,
    /// Inputs that were found worth keeping, over all runs.
    corpus: PathBuf,
    /// What the build is for besides coverage.
    flags: String,
}

impl<'w> Fuzzer<'w> {
    fn new(ws: &'w Workspace, target: &'static Target) -> Self {
        let own = ws.target.join("fuzz");
        Self {
            ws,
            target,
            build: own.join("build"),
            corpus: own.join("corpus").join(target.name),
            flags: String::new(),
        }
    }

    /// `cargo fuzz` with what it has to know of the target.
    fn cargo(&self, command: &str) -> Program {
        let mut program = Program::cargo(&self.ws.root)
            .args(["fuzz", command, "--fuzz-dir", "xtask/fuzz"])
            .args(NO_SANITIZER)
            // Its builds are no tests of ours, and share nothing with them.
            .quiet_env("CARGO_TARGET_DIR", &self.build);
        if !self.target.features.is_empty() {
            program = program.args(["--features", self.target.features]);
        }
        if !self.flags.is_empty() {
            program = program.env("RUSTFLAGS", &self.flags);
        }
        program.args([self.target.name])
    }

    fn build(&self) -> Result<()> {
        self.cargo("build").run()
    }

    /// Runs the target over inputs or folders of inputs, with options of libFuzzer.
    fn run(&self, inputs: &[&Path], options: &[String]) -> Program {
        self.cargo("run").args(inputs).args(["--"]).args(options)
    }

    /// Fuzzes for some time, from the committed corpus and what earlier runs have found.
    fn fuzz(&self, seconds: u32) -> Result<Figures> {
        let files = self.ws.root.join("xtask/fuzz");
        corpus::unpack(&files, self.target.name, &self.corpus)?;
        if self.target.name == "decoder" {
            let vectors = self.ws.root.join("mqtt-codec/tests/vectors");
            corpus::unpack_vectors(&vectors, &self.corpus)?;
        }
        self.fuzz_in(&self.corpus, seconds)
    }

    fn fuzz_in(&self, corpus: &Path, seconds: u32) -> Result<Figures> {
        let findings = self.ws.target.join("fuzz/findings");
        std::fs::create_dir_all(&findings)
            .map_err(|error| format!("{}: {error}", findings.display()))?;
        let prefix = findings.join(format!("{}-", self.target.name));
        let options = [
            format!("-max_total_time={seconds}"),
            format!("-max_len={}", self.target.longest),
            "-timeout=20".to_owned(),
            "-len_control=5".to_owned(),
            format!("-artifact_prefix={}", prefix.display()),
        ];
        let mut reader = Reader::new(Progress::new(Duration::from_secs(seconds.into())));
        let start = Instant::now();
        let program = self.run(&[corpus], &options);
        let ended_well = program.listen(|line| reader.line(line))?;
        let mut figures = reader.finish();
        figures.elapsed = start.elapsed();
        if !ended_well && figures.finding.is_none() {
            return Err(format!("the target `{}` could not be run", self.target.name).into());
        }
        Ok(figures)
    }

    /// Keeps of the corpus what covers all edges, and packs that.
    fn minimise(&self) -> Result<()> {
        let least = self.corpus.with_extension("least");
        let _ = std::fs::remove_dir_all(&least);
        std::fs::create_dir_all(&least).map_err(|error| format!("{}: {error}", least.display()))?;
        // Without the counts of how often an edge was taken, or the corpora would be ten times as large.
        let options = ["-merge=1".to_owned(), "-use_counters=0".to_owned()];
        let program = self.run(&[&least, &self.corpus], &options);
        if !program.listen(|_| ())? {
            return Err(format!("the corpus of `{}` could not be merged", self.target.name).into());
        }
        let file = self
            .ws
            .root
            .join("xtask/fuzz/corpus")
            .join(format!("{}.txt", self.target.name));
        let packed = corpus::pack(&least, &file)?;
        println!("{packed}");
        Ok(())
    }
}
