//! Layer edges, allowed crates from outside, and the purity of the lower crates.

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::Finding;
use super::table::{Row, Table};
use crate::shell::Result;
use crate::tree::Tree;
use crate::workspace::{at, member_folders, package_name, parse};

const NO_ROW: &str = "every member has a row in xtask/tidy.toml: a new crate says where it stands and what it may use";
const UNSAFE: &str = "unsafe code is forbidden in all crates: the root manifest forbids it and every member inherits the workspace's lints";
const LINTS: &str = "a member with an audited module of unsafe code has the workspace's lints word for word, but that unsafe code is denied instead of forbidden";
const NO_STD: &str = "the pure crates are `#![no_std]` always, not behind a feature: firmware links them as they are";
const CLIPPY: &str = "a clippy.toml beside each pure crate bans clocks, sleeping, the environment and self-seeding hash maps";
const ALONE: &str = "the pure crates build from nothing but this workspace: a crate from outside comes with a feature that is off by default";

/// Checks every member's manifest, and what makes a crate pure.
///
/// # Errors
/// If a manifest is missing or no TOML.
pub(super) fn check(tree: &Tree, table: &Table) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    let root = tree.read("Cargo.toml")?;
    let root_table = parse(root)?;
    if at(&root_table, &["workspace", "lints", "rust", "unsafe_code"]).and_then(DeValue::as_str)
        != Some("forbid")
    {
        findings.push(Finding::new(
            UNSAFE,
            "Cargo.toml: [workspace.lints.rust] does not say unsafe_code = \"forbid\"",
        ));
    }
    let mut members = Vec::new();
    for folder in member_folders(root)? {
        let path = format!("{folder}/Cargo.toml");
        let manifest = tree.read(&path)?;
        members.push((package_name(manifest)?, folder, path, manifest));
    }
    let names: Vec<&str> = members.iter().map(|(name, ..)| name.as_str()).collect();
    for (name, folder, path, manifest) in &members {
        let manifest = parse(manifest)?;
        if at(&manifest, &["lints", "rust", "unsafe_code"]).and_then(DeValue::as_str)
            == Some("deny")
        {
            findings.extend(check_own_lints(path, &manifest, &root_table));
        } else if at(&manifest, &["lints", "workspace"]).and_then(DeValue::as_bool) != Some(true) {
            findings.push(Finding::new(
                UNSAFE,
                format!("{path}: [lints] does not say workspace = true"),
            ));
        }
        match table.rows.iter().find(|row| row.name == *name) {
            Some(row) => {
                findings.extend(check_manifest(path, &manifest, row, &table.dev, &names));
                findings.extend(check_purity(tree, folder, row));
            }
            None => findings.push(Finding::new(NO_ROW, format!("{path}: no row for `{name}`"))),
        }
    }
    Ok(findings)
}

/// That the lints of a member which cannot inherit them are those of the workspace.
fn check_own_lints(path: &str, manifest: &DeTable<'_>, root: &DeTable<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for tool in ["rust", "clippy"] {
        let lints = at(root, &["workspace", "lints", tool]).and_then(DeValue::as_table);
        for (lint, level) in lints.into_iter().flatten() {
            let name = lint.get_ref();
            let own = at(manifest, &["lints", tool, name]).and_then(lint_level);
            if name != "unsafe_code" && own != lint_level(level.get_ref()) {
                findings.push(Finding::new(
                    LINTS,
                    format!("{path}: [lints.{tool}] {name} differs from the workspace's"),
                ));
            }
        }
    }
    findings
}

/// The level of a lint, which may have settings beside it.
fn lint_level<'t>(value: &'t DeValue<'_>) -> Option<&'t str> {
    value
        .as_str()
        .or_else(|| at(value.as_table()?, &["level"])?.as_str())
}

/// A dependency as a manifest names it.
struct Dependency {
    package: String,
    optional: bool,
    dev: bool,
}

fn check_manifest(
    path: &str,
    manifest: &DeTable<'_>,
    row: &Row,
    dev: &Row,
    members: &[&str],
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for Dependency {
        package,
        optional,
        dev: in_tests,
    } in dependencies(manifest)
    {
        let is_ours = members.contains(&package.as_str());
        let listed = |list: &[String]| list.contains(&package);
        let place = format!("{path}: `{package}`");
        if in_tests {
            if !is_ours && !listed(&dev.outside) {
                findings.push(Finding::new(&dev.rule, place));
            }
        } else if is_ours {
            if !listed(&row.ours) {
                findings.push(Finding::new(&row.rule, place));
            }
        } else if listed(&row.optional) {
            if !optional {
                findings.push(Finding::new(
                    format!("{}; only a cargo feature may bring it in", row.rule),
                    place,
                ));
            }
        } else if !listed(&row.outside) {
            let advice = format!(
                "{place} is not in the table; one that is worth it gets a line in xtask/tidy.toml"
            );
            findings.push(Finding::new(&row.rule, advice));
        }
    }
    findings
}

/// Of all kinds and all platforms.
fn dependencies(manifest: &DeTable<'_>) -> Vec<Dependency> {
    let mut found = in_tables(manifest);
    if let Some(targets) = at(manifest, &["target"]).and_then(DeValue::as_table) {
        found.extend(
            targets
                .iter()
                .filter_map(|(_, table)| table.get_ref().as_table())
                .flat_map(in_tables),
        );
    }
    found
}

fn in_tables(table: &DeTable<'_>) -> Vec<Dependency> {
    let mut found = Vec::new();
    for (key, dev) in [
        ("dependencies", false),
        ("build-dependencies", false),
        ("dev-dependencies", true),
    ] {
        if let Some(dependencies) = at(table, &[key]).and_then(DeValue::as_table) {
            found.extend(
                dependencies
                    .iter()
                    .map(|(name, spec)| dependency(name, spec.get_ref(), dev)),
            );
        }
    }
    found
}

fn dependency(name: &Spanned<DeString<'_>>, spec: &DeValue<'_>, dev: bool) -> Dependency {
    let field = |key| {
        spec.as_table()
            .and_then(|spec| spec.get(key))
            .map(Spanned::get_ref)
    };
    let package = field("package")
        .and_then(DeValue::as_str)
        .unwrap_or_else(|| name.get_ref());
    let optional = field("optional")
        .and_then(DeValue::as_bool)
        .unwrap_or(false);
    Dependency {
        package: package.to_owned(),
        optional,
        dev,
    }
}

fn check_purity(tree: &Tree, folder: &str, row: &Row) -> Vec<Finding> {
    let mut findings = Vec::new();
    if row.pure {
        let library = format!("{folder}/src/lib.rs");
        let always = tree
            .get(&library)
            .is_some_and(|text| text.lines().any(|line| line.trim() == "#![no_std]"));
        if !always {
            findings.push(Finding::new(NO_STD, library));
        }
        let clippy = format!("{folder}/clippy.toml");
        if tree.get(&clippy).is_none() {
            findings.push(Finding::new(CLIPPY, clippy));
        }
    }
    findings
}

/// Every package that a pure crate links without features must lie in this workspace: `cargo tree` prints a path for those.
pub(super) fn check_pure_tree(name: &str, packages: &str) -> Vec<Finding> {
    let from_outside = |line: &&str| !line.trim().is_empty() && !line.contains(" (/");
    packages
        .lines()
        .filter(from_outside)
        .map(|line| Finding::new(ALONE, format!("{name} links {line}")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_from_outside_in_a_pure_tree_is_found() {
        let own = "mqtt-session v0.1.0 (/src/mqtt-session)\nmqtt-codec v0.1.0 (/src/mqtt-codec)\n";
        assert_eq!(check_pure_tree("mqtt-session", own), []);
        let findings = check_pure_tree("mqtt-session", &format!("{own}hashbrown v0.17.0\n"));
        assert_eq!(
            findings,
            [Finding::new(ALONE, "mqtt-session links hashbrown v0.17.0")]
        );
    }
}
