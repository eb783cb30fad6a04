//! `cargo xtask mutations`: plants one bug after the other, and sees that the simulations find each.

pub(crate) mod list;

use std::fs;
use std::path::{Path, PathBuf};

use crate::shell::{Error, Program, Result, bold, dim, red};
use crate::sim;
use crate::workspace::{Workspace, read};
use list::{Mutation, SIMULATIONS};

/// The help of the command.
pub(crate) const HELP: &str = "\
Plants one bug after the other, and sees that the simulations find each

Usage: cargo xtask mutations [OPTIONS] [NAME]...

Builds the simulations (those of mqtt-sim, and the test modem_seeds of mqtt-device) once as they are, which must find
nothing, and once for each entry of xtask/mutations.toml with `--cfg mutation=\"name\"`; runs them until a seed fails,
and prints which. A bug that no seed finds is a failure: the model of the simulation is too weak. Bugs of the client of
devices name the script, a test of mqtt-session, or the test of mqtt-device that must fail. Everything from outside is built once, below
target/mutations.

Arguments:
  [NAME]...  Only these mutations [default: all]

Options:
      --seeds <N>  Seeds within which a bug must be found [default: 1000]
      --list       Only print the list
  -h, --help       Print this help
";

/// What the command is to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct MutationsOptions {
    /// Names; all if empty.
    pub(crate) names: Vec<String>,
    /// Seeds within which each must be found.
    pub(crate) seeds: u64,
    /// Print the list, run nothing.
    pub(crate) list: bool,
}

impl Default for MutationsOptions {
    fn default() -> Self {
        Self {
            names: Vec::new(),
            seeds: 1_000,
            list: false,
        }
    }
}

/// Runs the control and the mutations, and prints a table.
///
/// # Errors
/// If a name is unknown, something does not build, the control finds something, or a mutation is not found.
pub(crate) fn main(ws: &Workspace, options: &MutationsOptions) -> Result<()> {
    let all = list::read(&read(&ws.root.join(list::PATH))?)?;
    for name in &options.names {
        if !all.iter().any(|mutation| mutation.name == *name) {
            return Err(format!("{} has no mutation `{name}`", list::PATH).into());
        }
    }
    let wanted =
        |mutation: &&Mutation| options.names.is_empty() || options.names.contains(&mutation.name);
    let chosen: Vec<&Mutation> = all.iter().filter(wanted).collect();
    if options.list {
        for mutation in chosen {
            println!("{:<32} {:<8} {}", mutation.name, mutation.by, mutation.bug);
        }
        return Ok(());
    }
    let mut survived = 0;
    let mut table = format!(
        "{:<32} {:<8} {:>6}  {}\n",
        "mutation", "by", "seed", "message"
    );
    for by in SIMULATIONS {
        let mine = chosen.iter().filter(|mutation| mutation.by == by);
        if mine.clone().next().is_none() {
            continue;
        }
        if let Some(found) = run(ws, None, by, options.seeds)? {
            let place = format!("seed {}: {}", found.seed, found.message);
            return Err(
                format!("without any mutation the simulation {by} fails at {place}").into(),
            );
        }
        table += &format!("{:<32} {by:<8} {:>6}  holds\n", "(none)", "");
        for mutation in mine {
            let found = run(ws, Some(mutation), by, options.seeds)?;
            let row = row(mutation, found.as_ref());
            print!("{row}");
            table += &row;
            survived += usize::from(found.is_none());
        }
    }
    print!("\n{}", bold("What found which planted bug\n\n"));
    print!("{table}");
    if survived > 0 {
        return Err(format!("{survived} planted bugs were not found").into());
    }
    Ok(())
}

/// How a planted bug showed.
#[derive(Debug, PartialEq, Eq)]
struct Found {
    seed: u64,
    message: String,
}

fn row(mutation: &Mutation, found: Option<&Found>) -> String {
    let (name, by) = (&mutation.name, &mutation.by);
    match found {
        Some(Found { seed, message }) => format!("{name:<32} {by:<8} {seed:>6}  {message}\n"),
        None => red(&format!("{name:<32} {by:<8} {:>6}  NOT FOUND\n", "")),
    }
}

/// Builds a simulation with a mutation, or as it is, and runs it.
fn run(ws: &Workspace, mutation: Option<&Mutation>, by: &str, seeds: u64) -> Result<Option<Found>> {
    let target = ws.target.join("mutations");
    let compiler = match mutation {
        Some(Mutation { name, .. }) => {
            println!("{}", dim(&format!("planting {name}")));
            Some(wrapper(&target, name)?)
        }
        None => None,
    };
    let cargo = |arguments: &[&str]| {
        let mut cargo = Program::cargo(&ws.root)
            .args(arguments)
            .quiet_env("CARGO_TARGET_DIR", &target);
        if let Some(compiler) = &compiler {
            cargo = cargo.quiet_env("RUSTC_WORKSPACE_WRAPPER", compiler);
        }
        cargo
    };
    let program = if by == list::MODEM {
        let test = ["test", "--quiet", "-p", "mqtt-device", "--test"];
        cargo(&[&test[..], &["modem_seeds", "--no-run"]].concat()).run()?;
        cargo(&[&test[..], &["modem_seeds", "--", "--nocapture"]].concat())
            .env("MQTT_SEEDS", seeds.to_string())
    } else if by == list::COMPACT {
        let test = ["test", "--quiet", "-p", "mqtt-session", "--test", "compact"];
        cargo(&[&test[..], &["--no-run"]].concat()).run()?;
        let script = mutation.and_then(|mutation| mutation.test.as_deref());
        let one = script.map(|script| ["--", "--exact", script]);
        cargo(&[&test[..], one.as_ref().map_or(&[], |one| &one[..])].concat())
    } else if by == list::DEVICE {
        let test = [
            "test",
            "--quiet",
            "-p",
            "mqtt-device",
            "--features",
            "async",
        ];
        let named = mutation.and_then(|mutation| mutation.test.as_deref());
        // Without a bug, all of the files in which tests are named.
        match named.and_then(|named| named.split_once("::")) {
            Some((file, name)) => cargo(&test).args(["--test", file, "--", "--exact", name]),
            None => cargo(&test).args(["--test", "clients", "--test", "dials", "--test", "modem*"]),
        }
    } else {
        // The broker is not built for what needs none, and a thousand seeds are not worth any optimization.
        let of_broker = ["broker", list::STORE].contains(&by);
        let features = if of_broker { sim::FEATURES } else { "cli" };
        cargo(&["build", "--quiet", "--profile", sim::PROFILE])
            .args(["--config", "profile.sim.opt-level=0"])
            .args(["-p", "mqtt-testkit", "--features", features])
            .args(["--bin", "mqtt-sim"])
            .run()?;
        Program::new(target.join(sim::PROFILE).join("mqtt-sim"), &ws.root).args([
            "--only",
            by,
            "--seeds",
            &seeds.to_string(),
        ])
    };
    let mut found = None;
    let succeeded =
        program.watch_silently(|line| found = found.take().or_else(|| failure(line, by)))?;
    match (succeeded, &found) {
        (true, _) => Ok(None),
        (false, Some(_)) => Ok(found),
        (false, None) => Err(Error::from(format!(
            "the simulation {by} ends without a verdict"
        ))),
    }
}

/// The line in which the simulation says what failed, or libtest which script did.
fn failure(line: &str, by: &str) -> Option<Found> {
    if [list::COMPACT, list::DEVICE].contains(&by) {
        let script = line.strip_prefix("---- ")?.strip_suffix(" stdout ----")?;
        return Some(Found {
            seed: 0,
            message: format!("{script} fails"),
        });
    }
    let rest = line.strip_prefix(by)?.strip_prefix(" fails at seed ")?;
    let (seed, message) = rest.split_once(": ")?;
    Some(Found {
        seed: seed.parse().ok()?,
        message: message.to_owned(),
    })
}

/// A compiler that adds the cfg, for the crates of this workspace alone: what comes from outside is built once for all mutations,
/// because cargo takes the path of such a compiler into account for members only.
pub(crate) fn wrapper(target: &Path, name: &str) -> Result<PathBuf> {
    let folder = target.join("compilers");
    let path = folder.join(name);
    let script = format!("#!/bin/sh\nexec \"$@\" --cfg 'mutation=\"{name}\"'\n");
    fs::create_dir_all(&folder)
        .and_then(|()| fs::write(&path, script))
        .and_then(|()| make_executable(&path))
        .map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(path)
}

#[cfg(unix)]
fn make_executable(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
}

#[cfg(not(unix))]
fn make_executable(_path: &Path) -> std::io::Result<()> {
    Err(std::io::Error::other("planting a bug needs a POSIX shell"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_failing_seed_is_read() {
        let found = failure(
            "session fails at seed 17: client: message 3: 2 times",
            "session",
        );
        let expected = Found {
            seed: 17,
            message: "client: message 3: 2 times".to_owned(),
        };
        assert_eq!(found, Some(expected));
        assert_eq!(failure("session: 1,000 seeds", "session"), None);
        assert_eq!(failure("broker fails at seed 1: x", "session"), None);
        let found = failure("---- qos1::it_arrives stdout ----", "compact");
        assert_eq!(
            found.map(|it| it.message),
            Some("qos1::it_arrives fails".into())
        );
    }
}
