//! Licences, bans and sources of the crates from outside, by the lists of `deny.toml`.

use std::collections::BTreeSet;

use toml::de::DeValue;

use super::Finding;
use crate::shell::Result;
use crate::tree::Tree;
use crate::workspace::{at, parse, strings};

const LICENCE: &str = "what we link is permissively licensed (the list is in deny.toml): users may ship it in products";
const BANNED: &str = "a crate banned in deny.toml must not come back through a dependency";
const SOURCE: &str = "crates from outside come from crates.io alone: no other registry, no git";
const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Checks the licence of every package: lines of `name version (path)|licence expression`.
///
/// # Errors
/// If `deny.toml` is missing or no TOML.
pub(super) fn check_packages(tree: &Tree, packages: &str) -> Result<Vec<Finding>> {
    let deny = parse(tree.read("deny.toml")?)?;
    let allowed = strings(at(&deny, &["licenses", "allow"]));
    let lines: BTreeSet<&str> = packages
        .lines()
        .map(|line| line.trim_end_matches(" (*)"))
        .filter(|line| !line.is_empty())
        .collect();
    let mut findings = Vec::new();
    for line in lines {
        let (package, licence) = line.split_once('|').unwrap_or((line, ""));
        if !satisfied(licence, &allowed) {
            let named = if licence.is_empty() {
                "no licence"
            } else {
                licence
            };
            findings.push(Finding::new(LICENCE, format!("{package}: {named}")));
        }
    }
    Ok(findings)
}

/// The lock file of what is only measured beside ours: what its crates need is shipped to nobody.
const PEERS: &str = "xtask/peers/Cargo.lock";

/// Checks names and sources in every `Cargo.lock`.
///
/// # Errors
/// If `deny.toml` is missing, or a file is no TOML.
pub(super) fn check_lock_files(tree: &Tree) -> Result<Vec<Finding>> {
    let deny = parse(tree.read("deny.toml")?)?;
    let banned = at(&deny, &["bans", "deny"])
        .and_then(DeValue::as_array)
        .map(|array| array.iter())
        .into_iter()
        .flatten();
    let banned: Vec<&str> = banned
        .filter_map(|item| item.get_ref().get("crate")?.get_ref().as_str())
        .collect();
    let mut findings = Vec::new();
    for (path, text) in tree
        .iter()
        .filter(|(path, _)| *path == "Cargo.lock" || path.ends_with("/Cargo.lock"))
    {
        let lock = parse(text)?;
        let packages = at(&lock, &["package"])
            .and_then(DeValue::as_array)
            .map(|array| array.iter());
        for package in packages.into_iter().flatten() {
            let field = |key| {
                package
                    .get_ref()
                    .get(key)
                    .and_then(|value| value.get_ref().as_str())
            };
            let name = field("name").unwrap_or_default();
            if path != PEERS && banned.contains(&name) {
                findings.push(Finding::new(BANNED, format!("{path}: {name}")));
            }
            if let Some(source) = field("source").filter(|source| *source != CRATES_IO) {
                findings.push(Finding::new(
                    SOURCE,
                    format!("{path}: {name} from {source}"),
                ));
            }
        }
    }
    Ok(findings)
}

/// Whether the allowed licences satisfy an SPDX expression; the old `A/B` means `A OR B`.
fn satisfied(expression: &str, allowed: &[String]) -> bool {
    let spaced = expression
        .replace('(', " ( ")
        .replace(')', " ) ")
        .replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut parser = Expression {
        words: &words,
        allowed,
    };
    parser.any_of() && parser.words.is_empty()
}

/// What is left of an expression to read.
struct Expression<'a> {
    words: &'a [&'a str],
    allowed: &'a [String],
}

impl Expression<'_> {
    fn any_of(&mut self) -> bool {
        let mut holds = self.all_of();
        while self.next_is("OR") {
            holds |= self.all_of();
        }
        holds
    }

    fn all_of(&mut self) -> bool {
        let mut holds = self.one();
        while self.next_is("AND") {
            holds &= self.one();
        }
        holds
    }

    fn one(&mut self) -> bool {
        if self.next_is("(") {
            let holds = self.any_of();
            return self.next_is(")") && holds;
        }
        let Some((name, rest)) = self.words.split_first() else {
            return false;
        };
        self.words = rest;
        let holds = self.allowed.iter().any(|allowed| allowed == name);
        if self.next_is("WITH") {
            // Exceptions only widen what a licence permits.
            self.words = self.words.get(1..).unwrap_or_default();
        }
        holds
    }

    fn next_is(&mut self, word: &str) -> bool {
        match self.words.split_first() {
            Some((first, rest)) if *first == word => {
                self.words = rest;
                true
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(expression: &str, expected: bool) {
        let allowed = ["MIT", "Apache-2.0", "Unicode-3.0"].map(str::to_owned);
        assert_eq!(satisfied(expression, &allowed), expected, "{expression}");
    }

    #[test]
    fn licence_expressions_are_evaluated() {
        check("MIT", true);
        check("GPL-3.0-only", false);
        check("GPL-3.0-only OR MIT", true);
        check("MIT/Apache-2.0", true);
        check("MIT AND GPL-3.0-only", false);
        check("(MIT OR Apache-2.0) AND Unicode-3.0", true);
        check("(MIT OR Apache-2.0) AND (GPL-2.0 OR BSL-1.1)", false);
        check("Apache-2.0 WITH LLVM-exception", true);
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        check("", false);
        check("(MIT", false);
        check("MIT Apache-2.0", false);
        check("MIT OR", true);
        check("AND MIT", false);
    }

    #[test]
    fn bans_bind_what_is_shipped() {
        let lock = "[[package]]\nname = 'openssl'\nversion = '1.0.0'\n";
        let found = |path| {
            let deny = "[bans]\ndeny = [{ crate = 'openssl' }]\n";
            let tree = Tree::from_files([("deny.toml", deny), (path, lock)]);
            check_lock_files(&tree).expect("both can be read").len()
        };
        assert_eq!(
            (found("Cargo.lock"), found("xtask/fuzz/Cargo.lock")),
            (1, 1)
        );
        assert_eq!(found(PEERS), 0);
    }

    #[test]
    fn a_package_under_another_licence_is_found() {
        let tree = Tree::from_files([("deny.toml", "[licenses]\nallow = ['MIT']\n")]);
        let packages = "a v1.0.0|MIT OR Apache-2.0\n\nb v1.0.0 (/src/b)|MIT (*)\nc v1.0.0 (proc-macro)|GPL-3.0-only\nd v1.0.0|\n";
        let findings = check_packages(&tree, packages).expect("deny.toml can be read");
        let places: Vec<_> = findings
            .iter()
            .map(|finding| finding.place.as_str())
            .collect();
        assert_eq!(
            places,
            [
                "c v1.0.0 (proc-macro): GPL-3.0-only",
                "d v1.0.0: no licence"
            ]
        );
    }
}
