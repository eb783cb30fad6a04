//! `cargo xtask crash`: builds our broker, and our broker with a bug, and has them killed under load.

use std::fs;
use std::path::{Path, PathBuf};

use crate::footprint::broker::need;
use crate::mutations;
use crate::shell::{Error, Program, Result, yellow};
use crate::workspace::Workspace;

/// The help of the command.
pub(crate) const HELP: &str = "\
Kills our broker under load, again and again, and sees that nothing acknowledged is lost

Usage: cargo xtask crash [OPTIONS]

Publishers (QoS 1 and 2, many messages in flight), persistent subscribers that are there or away, a shared group, retained
values that are set and cleared, subscriptions and sessions that come and go; all of it in 3.1.1 and 5.0. In each round the
broker is killed with SIGKILL while messages are on their way, in every fourth round again while it starts, and starts on
what is left: one store lives through all rounds. Then everything that was acknowledged must be there, once at QoS 2, in
order, and nothing that was given up. Mosquitto, writing its store as often as it can, is killed beside ours; controls must
fail: ours with `durability = \"none\"`, and ours with a planted bug that acknowledges before the store has kept it.

Prints a table, what was found in words, and where copies of the store are that show it. Fails when our broker breaks a
promise, when a control does not fail, or when a kill fell while nothing was on its way.

Options:
      --rounds <N>          Kills of our broker under load [default: 20]
      --full                200 of them
      --peer-rounds <N>     Kills of Mosquitto [default: as ours, at most 10]
      --no-peer             Without Mosquitto
      --no-controls         Without the controls
      --seed <N>            Repeat the decisions of a run that printed this seed
      --durability <HOW>    What our broker is told: fsync, os, none, or memory for no data directory [default: fsync]
      --patience <SECONDS>  What has not come from ours after so long without anything is lost [default: 10]
      --trace               Watch the brokers' system calls with strace instead: whether the PUBACK of each of 100 lone
                            messages leaves after the sync of the file that holds it, and how many leave for each sync with
                            1,000 messages in flight (100 and at least 50 are asked of ours; `durability = \"os\"` must have 0)
      --quick               Brokers without optimization, as `cargo xtask ci` has them
  -h, --help                Print this help
";

/// What acknowledges before the store has kept it.
const PLANTED: &str = "acknowledged-before-store";

/// What installs the program that `--trace` needs.
pub(crate) const INSTALL_STRACE: &str = "apt-get install -y strace";

/// Whether system calls can be watched.
pub(crate) fn can_trace() -> bool {
    need("strace", "strace").is_ok()
}

/// What is built, and what is passed on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct CrashOptions {
    /// Without optimization.
    pub(crate) quick: bool,
    /// Mosquitto beside ours.
    pub(crate) peer: bool,
    /// For the program that does it.
    pub(crate) arguments: Vec<String>,
}

impl Default for CrashOptions {
    fn default() -> Self {
        Self {
            quick: false,
            peer: true,
            arguments: Vec::new(),
        }
    }
}

/// Builds what is needed, and runs it.
///
/// # Errors
/// If something does not build, our broker breaks a promise, or a control does not fail.
pub(crate) fn main(ws: &Workspace, options: &CrashOptions) -> Result<()> {
    let asks = |flag: &str| options.arguments.iter().any(|argument| argument == flag);
    let traces = asks("--trace");
    if traces && !can_trace() {
        return Err(format!("SKIPPED strace: {INSTALL_STRACE}").into());
    }
    let folder = ws.target.join("crash");
    let mut arguments = vec![
        argument("--folder", &folder),
        argument("--broker", &ours(ws, options.quick)?),
    ];
    if !traces && !asks("--no-controls") {
        let file = unoptimized(ws, Some(PLANTED))?;
        arguments.push(argument(
            "--planted",
            Path::new(&format!("{PLANTED}={}", file.display())),
        ));
    }
    if options.peer {
        match installed("mosquitto") {
            Some(program) => arguments.push(argument("--mosquitto", &program)),
            None => println!(
                "{}",
                yellow("SKIPPED mosquitto: apt-get install -y mosquitto")
            ),
        }
    }
    let profile = if options.quick { "dev" } else { "release" };
    Program::cargo(&ws.root)
        .args(["build", "--quiet", "--profile", profile, "-p", "mqtt-crash"])
        .run()?;
    let built = if options.quick { "debug" } else { profile };
    let program = ws.target.join(built).join("mqtt-crash");
    let run = Program::new(program, &ws.root)
        .args(&arguments)
        .args(&options.arguments)
        .run();
    // It has said itself what is wrong.
    run.map_err(|_| Error::Told)
}

/// An option with its value.
pub(crate) fn argument(name: &str, value: &Path) -> String {
    format!("{name}={}", value.display())
}

fn ours(ws: &Workspace, quick: bool) -> Result<PathBuf> {
    if quick {
        return unoptimized(ws, None);
    }
    Program::cargo(&ws.root)
        .args(["build", "--quiet", "--release", "-p", "mqtt-broker"])
        .args(["--bin", "mqtt-broker"])
        .run()?;
    Ok(ws.target.join("release/mqtt-broker"))
}

/// Our broker as it is, or with a bug, as fast as it builds; where `cargo xtask mutations` has built what comes from outside.
fn unoptimized(ws: &Workspace, planted: Option<&str>) -> Result<PathBuf> {
    let target = ws.target.join("mutations");
    let mut cargo = Program::cargo(&ws.root)
        .args(["build", "--quiet", "--profile", "sim"])
        .args(["--config", "profile.sim.opt-level=0"])
        .args(["-p", "mqtt-broker", "--bin", "mqtt-broker"])
        .quiet_env("CARGO_TARGET_DIR", &target);
    if let Some(name) = planted {
        cargo = cargo.env(
            "RUSTC_WORKSPACE_WRAPPER",
            mutations::wrapper(&target, name)?,
        );
    }
    cargo.run()?;
    // The next build, with another bug or none, puts its program at the same place.
    let folder = ws.target.join("crash/programs");
    let copy = folder.join(planted.unwrap_or("mqtt-broker"));
    fs::create_dir_all(&folder)
        .and_then(|()| fs::copy(target.join("sim/mqtt-broker"), &copy))
        .map_err(|error| format!("{}: {error}", copy.display()))?;
    Ok(copy)
}

/// A broker that is installed; where Debian puts it is not in everybody's path.
pub(crate) fn installed(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin"), PathBuf::from("/usr/local/sbin")])
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}
