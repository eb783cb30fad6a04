//! `cargo xtask tidy`: rules that no compiler checks, each failure with the sentence that explains its rule.

mod layers;
mod licences;
mod map;
mod readme;
mod table;
mod texts;

use std::collections::BTreeMap;

use crate::tree::Tree;
use table::Table;

use crate::mutations;
use crate::shell::{Error, Program, Result, bold, red};
use crate::workspace::Workspace;

/// A place that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Finding {
    /// The sentence that explains the rule.
    rule: String,
    /// Where, and what stands there.
    place: String,
}

impl Finding {
    fn new(rule: impl Into<String>, place: impl Into<String>) -> Self {
        Self {
            rule: rule.into(),
            place: place.into(),
        }
    }
}

const MUTATIONS: &str = "xtask/mutations.toml and the code name the same planted bugs: one that is only on one side is never looked for";

/// What to do beside looking.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TidyOptions {
    /// Mend what can be mended without thinking: the introductions of READMEs.
    pub(crate) fix: bool,
}

/// Checks everything, and prints the findings by rule.
///
/// # Errors
/// If something was found, or a file cannot be read.
pub(crate) fn main(ws: &Workspace, options: TidyOptions) -> Result<()> {
    if options.fix {
        for readme in readme::stale(&Tree::tracked(&ws.root)?)? {
            std::fs::write(ws.root.join(&readme.path), readme.text)
                .map_err(|error| format!("{}: {error}", readme.path))?;
            println!("tidy: mended {}", readme.path);
        }
    }
    let tree = Tree::tracked(&ws.root)?;
    let mut findings = check(&tree)?;
    // Every dependency on every platform, tests included, with its licence.
    let args = [
        "tree",
        "--workspace",
        "--all-features",
        "--target",
        "all",
        "--edges",
        "normal,build,dev",
        "--prefix",
        "none",
    ];
    let packages = Program::cargo(&ws.root)
        .args(args)
        .args(["--format", "{p}|{l}"])
        .capture()?;
    findings.extend(licences::check_packages(&tree, &packages)?);
    for name in crate::workspace::PURE {
        let args = [
            "tree",
            "--package",
            name,
            "--no-default-features",
            "--edges",
            "normal,build",
            "--prefix",
            "none",
        ];
        let packages = Program::cargo(&ws.root)
            .args(args)
            .args(["--format", "{p}"])
            .capture()?;
        findings.extend(layers::check_pure_tree(name, &packages));
    }
    report(&findings, tree.len())
}

/// All rules that the files alone decide.
fn check(tree: &Tree) -> Result<Vec<Finding>> {
    let table = Table::parse(tree.read("xtask/tidy.toml")?)?;
    let mut findings = layers::check(tree, &table)?;
    findings.extend(texts::check(tree, &table));
    findings.extend(licences::check_lock_files(tree)?);
    findings.extend(map::check(tree));
    findings.extend(readme::check(tree)?);
    let mutations = mutations::list::check(tree)?.into_iter();
    findings.extend(mutations.map(|place| Finding::new(MUTATIONS, place)));
    Ok(findings)
}

fn report(findings: &[Finding], files: usize) -> Result<()> {
    if findings.is_empty() {
        println!("tidy: nothing found in {files} files");
        return Ok(());
    }
    let mut by_rule = BTreeMap::<&str, Vec<&str>>::new();
    for finding in findings {
        by_rule
            .entry(&finding.rule)
            .or_default()
            .push(&finding.place);
    }
    for (rule, places) in by_rule {
        println!("{}", bold(rule));
        for place in places {
            println!("  {}", red(place));
        }
    }
    println!("tidy: {} findings", findings.len());
    Err(Error::Told)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A workspace in which nothing is wrong.
    fn clean() -> Tree {
        Tree::from_files([
            (
                "Cargo.toml",
                "[workspace]\nmembers = ['mqtt-codec', 'mqtt-session']\n[workspace.lints.rust]\nunsafe_code = 'forbid'\n",
            ),
            (
                "Cargo.lock",
                "[[package]]\nname = 'mqtt-codec'\nversion = '0.1.0'\n",
            ),
            (
                "deny.toml",
                "[licenses]\nallow = ['MIT']\n[bans]\ndeny = [{ crate = 'openssl' }]\n",
            ),
            (
                "mqtt-codec/Cargo.toml",
                "[package]\nname = 'mqtt-codec'\n[lints]\nworkspace = true\n",
            ),
            ("mqtt-codec/clippy.toml", ""),
            (
                "mqtt-codec/README.md",
                "# mqtt-codec\n\nReads and writes packets.\n\n## More\n",
            ),
            (
                "mqtt-codec/src/lib.rs",
                "//! Reads and writes packets.\n//!\n//! # More\n#![no_std]\n",
            ),
            (
                "mqtt-session/Cargo.toml",
                "[package]\nname = 'mqtt-session'\n[lints]\nworkspace = true\n[dependencies]\nmqtt-codec = '1'\n[dev-dependencies]\nproptest = '1'\n",
            ),
            ("mqtt-session/clippy.toml", ""),
            ("mqtt-session/src/lib.rs", "//! The protocol.\n#![no_std]\n"),
            ("xtask/tidy.toml", TABLE),
        ])
    }

    const TABLE: &str = r#"
        [[crate]]
        name = "mqtt-codec"
        rule = "mqtt-codec is a leaf"
        pure = true
        ours = []
        optional.serde = "values"
        [[crate]]
        name = "mqtt-session"
        rule = "mqtt-session stands on mqtt-codec"
        pure = true
        ours = ["mqtt-codec"]
        [dev]
        rule = "test crates are few"
        outside.proptest = "random inputs"
    "#;

    /// The only finding after one file was replaced or added.
    fn planted(path: &str, text: &str) -> Finding {
        let mut tree = clean();
        tree.plant(path, text);
        let mut findings = check(&tree).expect("the tree can be read");
        let first = findings
            .pop()
            .unwrap_or_else(|| panic!("nothing found in {path}:\n{text}"));
        assert!(
            findings.is_empty(),
            "one violation was planted in {path}, found: {first:?} and {findings:?}"
        );
        first
    }

    fn check_planted(path: &str, text: &str, rule: &str, place: &str) {
        let finding = planted(path, text);
        assert!(finding.rule.contains(rule), "{finding:?} explains `{rule}`");
        assert!(
            finding.place.contains(place),
            "{finding:?} points to `{place}`"
        );
    }

    #[test]
    fn a_clean_workspace_has_no_finding() {
        assert_eq!(check(&clean()).expect("the tree can be read"), []);
    }

    #[test]
    fn an_edge_against_the_layers_is_found() {
        let manifest = "[package]\nname = 'mqtt-codec'\n[lints]\nworkspace = true\n";
        for dependency in [
            "[dependencies]\nmqtt-session = '1'",
            "[build-dependencies]\nmqtt-session = '1'",
            "[target.'cfg(unix)'.dependencies]\nmqtt-session.workspace = true",
            "[dependencies]\nanother-name = { package = 'mqtt-session', path = '..' }",
        ] {
            check_planted(
                "mqtt-codec/Cargo.toml",
                &format!("{manifest}{dependency}\n"),
                "mqtt-codec is a leaf",
                "mqtt-session",
            );
        }
    }

    #[test]
    fn a_crate_from_outside_is_found() {
        let manifest = "[package]\nname = 'mqtt-codec'\n[lints]\nworkspace = true\n";
        let check = |dependency: &str, rule, place| {
            check_planted(
                "mqtt-codec/Cargo.toml",
                &format!("{manifest}{dependency}\n"),
                rule,
                place,
            );
        };
        check(
            "[dependencies]\nrand = '0.9'",
            "mqtt-codec is a leaf",
            "rand",
        );
        check(
            "[dependencies]\nserde = '1'",
            "only a cargo feature may bring it in",
            "serde",
        );
        check(
            "[dev-dependencies]\nmockall = '1'",
            "test crates are few",
            "mockall",
        );
    }

    #[test]
    fn a_member_without_a_row_is_found() {
        let mut tree = clean();
        tree.plant("Cargo.toml", "[workspace]\nmembers = ['mqtt-codec', 'mqtt-session', 'new']\n[workspace.lints.rust]\nunsafe_code = 'forbid'\n");
        tree.plant(
            "new/Cargo.toml",
            "[package]\nname = 'mqtt-new'\n[lints]\nworkspace = true\n",
        );
        let findings = check(&tree).expect("the tree can be read");
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert!(
            findings[0].rule.contains("row in xtask/tidy.toml"),
            "{findings:?}"
        );
    }

    /// A crate with an audited module cannot inherit the lints; it keeps all the others.
    #[test]
    fn lints_of_its_own_are_those_of_the_workspace() {
        let manifest = |lints: &str| {
            format!("[package]\nname = 'mqtt-codec'\n[lints.rust]\nunsafe_code = 'deny'\n{lints}")
        };
        let root = "[workspace]\nmembers = ['mqtt-codec', 'mqtt-session']\n[workspace.lints.rust]\nunsafe_code = 'forbid'\nmissing_docs = 'warn'\n";
        let mut tree = clean();
        tree.plant("Cargo.toml", root);
        tree.plant(
            "mqtt-codec/Cargo.toml",
            &manifest("missing_docs = 'warn'\n"),
        );
        let findings = check(&tree).expect("the tree can be read");
        assert!(findings.is_empty(), "{findings:?}");
        tree.plant(
            "mqtt-codec/Cargo.toml",
            &manifest("missing_docs = 'allow'\n"),
        );
        let findings = check(&tree).expect("the tree can be read");
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert!(findings[0].place.contains("missing_docs"), "{findings:?}");
    }

    /// Where rustfmt breaks the attribute into lines, the code itself is found.
    #[test]
    fn a_file_with_unsafe_code_is_found() {
        for line in [
            concat!("#![expect(unsafe", "_code)]"),
            concat!("let text = unsafe", " { read() };"),
            concat!("unsafe", " impl Send for QoS {}"),
        ] {
            check_planted(
                "mqtt-codec/src/qos.rs",
                &format!("//! Quality of service.\n{line}\n"),
                "unsafe code is one small module",
                "mqtt-codec/src/qos.rs:2",
            );
        }
    }

    #[test]
    fn permitted_unsafe_code_is_found() {
        let root = "[workspace]\nmembers = ['mqtt-codec', 'mqtt-session']\n[workspace.lints.rust]\nunsafe_code = 'deny'\n";
        check_planted("Cargo.toml", root, "unsafe code is forbidden", "Cargo.toml");
        check_planted(
            "mqtt-codec/Cargo.toml",
            "[package]\nname = 'mqtt-codec'\n",
            "unsafe code is forbidden",
            "mqtt-codec/Cargo.toml",
        );
    }

    #[test]
    fn a_pure_crate_that_uses_std_is_found() {
        check_planted(
            "mqtt-codec/src/lib.rs",
            "//! Reads and writes packets.\n",
            "no_std",
            "mqtt-codec/src/lib.rs",
        );
        let conditional =
            "//! Reads and writes packets.\n#![cfg_attr(not(feature = \"std\"), no_std)]\n";
        check_planted(
            "mqtt-codec/src/lib.rs",
            conditional,
            "no_std",
            "mqtt-codec/src/lib.rs",
        );
    }

    #[test]
    fn a_file_that_does_not_say_its_job_is_found() {
        check_planted(
            "mqtt-codec/src/qos.rs",
            "use core::fmt;\n",
            "first line",
            "mqtt-codec/src/qos.rs:1",
        );
    }

    #[test]
    fn unfinished_code_is_found() {
        for word in [
            ["to", "do!()"].concat(),
            ["unimple", "mented!()"].concat(),
            ["// FIX", "ME"].concat(),
        ] {
            check_planted(
                "mqtt-codec/src/qos.rs",
                &format!("//! QoS.\n\n{word}\n"),
                "finished",
                "mqtt-codec/src/qos.rs:3",
            );
        }
    }

    #[test]
    fn a_long_file_is_found() {
        check_planted(
            "mqtt-codec/src/qos.rs",
            &format!("//! QoS.\n{}", "//\n".repeat(700)),
            "700 lines",
            "701",
        );
    }

    #[test]
    fn a_path_of_one_machine_is_found() {
        for path in ["work", "tmp", "root"] {
            check_planted(
                "docs/page.md",
                &format!("see /{path}/file\n"),
                "one machine",
                "docs/page.md:1",
            );
        }
        let mut tree = clean();
        tree.plant(
            "docs/page.md",
            "see net/work/file and https://example.org/tmp/x\n",
        );
        assert_eq!(check(&tree).expect("the tree can be read"), []);
    }

    #[test]
    fn a_named_registry_is_found() {
        check_planted(
            "web/package-lock.json",
            "{ \"resolved\": \"https://example.org/x.tgz\" }\n",
            "registr",
            "web/package-lock.json:1",
        );
        check_planted(
            "setup.sh",
            &["pip install --index", "-url x\n"].concat(),
            "registr",
            "setup.sh:1",
        );
        let lock =
            "[[package]]\nname = 'x'\nversion = '1.0.0'\nsource = 'git+https://example.org/x'\n";
        check_planted("Cargo.lock", lock, "crates.io", "x");
    }

    #[test]
    fn a_banned_crate_is_found() {
        check_planted(
            "Cargo.lock",
            "[[package]]\nname = 'openssl'\nversion = '1.0.0'\n",
            "banned",
            "openssl",
        );
    }

    #[test]
    fn an_introduction_that_differs_is_found() {
        check_planted(
            "mqtt-codec/README.md",
            "# mqtt-codec\n\nWrites packets.\n",
            "introduction",
            "mqtt-codec/README.md",
        );
    }

    #[test]
    fn an_exception_is_heeded_and_found_when_it_is_stale() {
        let exception = "[[exception]]\nrule = 'length'\npath = 'mqtt-codec/src/qos.rs'\nreason = 'one table'\n";
        let table = format!("{TABLE}\n{exception}");
        check_planted(
            "xtask/tidy.toml",
            &table,
            "exception",
            "mqtt-codec/src/qos.rs",
        );
        let mut tree = clean();
        tree.plant("xtask/tidy.toml", &table);
        tree.plant(
            "mqtt-codec/src/qos.rs",
            &format!("//! QoS.\n{}", "//\n".repeat(700)),
        );
        assert_eq!(check(&tree).expect("the tree can be read"), []);
    }
}
