//! `cargo xtask fuzz --planted`: bugs that are compiled in on purpose, and how soon each is found.

use std::path::Path;

use super::{Fuzzer, Target, corpus};
use crate::shell::{Error, Result, bold, red};
use crate::workspace::Workspace;

/// A bug that `--cfg mutation="NAME"` compiles in.
struct Planted {
    name: &'static str,
    target: &'static str,
    /// What is wrong.
    about: &'static str,
}

const PLANTED: [Planted; 16] = [
    Planted {
        name: "fuzz-varint-three",
        target: "decoder",
        about: "packets of 16 to 32 kB are said to be a byte shorter than they are written",
    },
    Planted {
        name: "fuzz-will-users",
        target: "decoder",
        about: "a will may have one user property more than the limit",
    },
    Planted {
        name: "fuzz-head-length",
        target: "decoder",
        about: "the head of a QoS 2 PUBLISH with 128 bytes of properties is taken a byte too soon",
    },
    Planted {
        name: "fuzz-list-repeated",
        target: "round-trip",
        about: "a SUBSCRIBE with two subscription identifiers in its list is written",
    },
    Planted {
        name: "fuzz-list-moved",
        target: "round-trip",
        about: "properties of more than 16,383 bytes are written a byte too far in front",
    },
    Planted {
        name: "fuzz-reason-table",
        target: "differential",
        about: "PUBREC may not carry one of its reason codes, Quota exceeded",
    },
    Planted {
        name: "fuzz-alias-twice",
        target: "differential",
        about: "a PUBLISH may have its topic alias twice",
    },
    Planted {
        name: "fuzz-pubrel-unknown",
        target: "session",
        about: "PUBREL of an unknown id counts as the end of a message whose acknowledgement is owed",
    },
    Planted {
        name: "fuzz-copy-gate",
        target: "session",
        about: "PUBREC does not wait until the owner's copy is durable",
    },
    Planted {
        name: "fuzz-alias-evicted",
        target: "session",
        about: "a topic alias that was given to another topic is still used for the first",
    },
    Planted {
        name: "fuzz-acknowledged-broken",
        target: "device",
        about: "a message that breaks a rule is acknowledged though it is not delivered",
    },
    Planted {
        name: "fuzz-window-kept",
        target: "device",
        about: "what was in flight when a connection ended still counts on the next",
    },
    Planted {
        name: "fuzz-group-left",
        target: "core",
        about: "leaving a shared group whose filter begins with a wildcard counts a message too few",
    },
    Planted {
        name: "fuzz-spliced-twice",
        target: "core",
        about: "two large payloads for a client that reads the first in pieces",
    },
    Planted {
        name: "fuzz-plus-edge",
        target: "topics",
        about: "the edge of a + stays when its last filter goes and two named levels stay beside it",
    },
    Planted {
        name: "fuzz-walk-resumed",
        target: "topics",
        about: "a walk whose place was removed below the first level begins that level anew",
    },
];

/// The targets that run code of others too: bugs of these would be found there, and pass for their own.
const ON_OTHERS: [&str; 5] = ["round-trip", "differential", "session", "device", "core"];

/// Builds the planted bugs of these targets and fuzzes, from no corpus at all, until each is found.
///
/// A build has one bug for each target that stands on no other; those of the others have builds of their own.
///
/// # Errors
/// If one is not found in time.
pub(super) fn main(ws: &Workspace, targets: &[&'static Target], seconds: u32) -> Result<()> {
    let mut table = format!(
        "{:<20} {:<12} {:>8} {:>11}  {:<6}  what is wrong\n",
        "planted bug", "target", "seconds", "executions", "corpus"
    );
    let mut missed = Vec::new();
    for build in builds(targets) {
        let flags: Vec<String> = build
            .iter()
            .map(|(_, planted)| format!("--cfg mutation=\"{}\"", planted.name))
            .collect();
        for (target, planted) in build {
            println!(
                "\n{}",
                bold(&format!("== {}: {}", planted.name, planted.about))
            );
            let mut fuzzer = Fuzzer::new(ws, target);
            fuzzer.flags = flags.join(" ");
            fuzzer.build = ws.target.join("fuzz/planted");
            fuzzer.build()?;
            let by_corpus = caught_by_corpus(ws, &fuzzer)?;
            let folder = ws.target.join("fuzz/empty").join(planted.name);
            let _ = std::fs::remove_dir_all(&folder);
            std::fs::create_dir_all(&folder)
                .map_err(|error| format!("{}: {error}", folder.display()))?;
            let figures = fuzzer.fuzz_in(&folder, seconds)?;
            let found = if let Some(finding) = &figures.finding {
                println!("{}", finding.what);
                format!("{:.1}", finding.after.as_secs_f32())
            } else {
                missed.push(planted.name);
                "-".to_owned()
            };
            table += &format!(
                "{:<20} {:<12} {found:>8} {:>11}  {:<6}  {}\n",
                planted.name,
                target.name,
                figures.runs,
                if by_corpus { "finds" } else { "-" },
                planted.about
            );
        }
    }
    println!(
        "\n{table}\nseconds: until it was found, from an empty corpus; corpus: whether the committed inputs find it when replayed"
    );
    if missed.is_empty() {
        Ok(())
    } else {
        println!("{} {} in {seconds} s", red("not found:"), missed.join(", "));
        Err(Error::Told)
    }
}

/// Which bugs stand in one build, each with the target that is to find it.
fn builds(targets: &[&'static Target]) -> Vec<Vec<(&'static Target, &'static Planted)>> {
    let mut shared: Vec<Vec<_>> = Vec::new();
    let mut alone = Vec::new();
    for &target in targets {
        let bugs = PLANTED
            .iter()
            .filter(|planted| planted.target == target.name);
        for (at, planted) in bugs.enumerate() {
            if ON_OTHERS.contains(&target.name) {
                alone.push(vec![(target, planted)]);
            } else if let Some(build) = shared.get_mut(at) {
                build.push((target, planted));
            } else {
                shared.push(vec![(target, planted)]);
            }
        }
    }
    shared.append(&mut alone);
    shared
}

/// Whether the committed inputs find it when they are run once each.
fn caught_by_corpus(ws: &Workspace, fuzzer: &Fuzzer<'_>) -> Result<bool> {
    let folder = ws.target.join("fuzz/committed").join(fuzzer.target.name);
    let _ = std::fs::remove_dir_all(&folder);
    corpus::unpack(&ws.root.join("xtask/fuzz"), fuzzer.target.name, &folder)?;
    if is_empty(&folder) {
        return Ok(false);
    }
    let prefix = ws.target.join("fuzz/committed/found-");
    let options = [
        "-runs=0".to_owned(),
        format!("-artifact_prefix={}", prefix.display()),
    ];
    Ok(!fuzzer.run(&[&folder], &options).listen(|_| ())?)
}

fn is_empty(folder: &Path) -> bool {
    std::fs::read_dir(folder).map_or(true, |mut entries| entries.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fuzz::TARGETS;

    #[test]
    fn targets_that_stand_on_others_have_builds_of_their_own() {
        let all: Vec<&'static Target> = TARGETS.iter().collect();
        let builds = builds(&all);
        assert_eq!(builds.iter().map(Vec::len).sum::<usize>(), PLANTED.len());
        for build in builds {
            let mut names: Vec<&str> = build.iter().map(|(target, _)| target.name).collect();
            let all = names.len();
            names.dedup();
            assert_eq!(names.len(), all);
            assert!(all == 1 || !names.iter().any(|name| ON_OTHERS.contains(name)));
        }
        for target in &TARGETS {
            assert!(PLANTED.iter().any(|planted| planted.target == target.name));
        }
    }
}
