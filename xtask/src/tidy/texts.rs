//! Rules about the text of files: what a source file says first, its length, unfinished code, and what names one machine.

use std::collections::BTreeSet;

use super::Finding;
use super::table::{Exception, Table};
use crate::tree::Tree;

const FIRST_LINE: &str = "every Rust file says its job in its first line: `//! one sentence`";
const UNFINISHED: &str =
    "main is finished at every commit: no todo!(), no unimplemented!(), no FIXME";
const LENGTH: &str = "a Rust file holds one concept: above 700 lines it holds several";
const MACHINE_PATH: &str = "the repository works where it is cloned: no path of one machine";
const REGISTRY_HOST: &str = "registries come from the configuration of the machine: no file names a registry's host or an index";
const UNSAFE: &str = "unsafe code is one small module with measured figures, which xtask/tidy.toml names: elsewhere it is forbidden";
/// How it begins, and how a file asks for it; split, or this file would break its own rule.
const UNSAFE_WORDS: [&str; 5] = [
    concat!("unsafe", " {"),
    concat!("unsafe", " fn"),
    concat!("unsafe", " impl"),
    concat!("unsafe", " extern"),
    concat!("(unsafe", "_code"),
];
const STALE: &str = "an exception that excepts nothing is taken out of xtask/tidy.toml";

/// Longest Rust file, in lines.
const MAX_LINES: usize = 700;
const UNFINISHED_WORDS: [&str; 3] = ["todo!(", "unimplemented!(", "FIXME"];
const MACHINE_PATHS: [&str; 3] = ["/work/", "/tmp/", "/root/"];
/// Flags with which a command chooses a registry; split, or this file would break its own rule.
const REGISTRY_FLAGS: [&str; 2] = [concat!("--", "registry"), concat!("index", "-url")];
/// Files of package clients, in which an address is that of a registry.
const REGISTRY_FILES: [&str; 7] = [
    "package-lock.json",
    "npm-shrinkwrap.json",
    "yarn.lock",
    ".npmrc",
    "pip.conf",
    ".cargo/config.toml",
    "requirements.txt",
];

/// Checks all files; exceptions that bind nothing are findings too.
pub(super) fn check(tree: &Tree, table: &Table) -> Vec<Finding> {
    let mut check = Check {
        exceptions: &table.exceptions,
        used: BTreeSet::new(),
        findings: Vec::new(),
    };
    for (path, text) in tree.iter() {
        if path.ends_with(".rs") {
            check.rust(path, text);
        }
        check.any(path, text);
    }
    for (index, exception) in table.exceptions.iter().enumerate() {
        if !check.used.contains(&index) {
            check.findings.push(Finding::new(
                STALE,
                format!("{}: {}", exception.path, exception.rule),
            ));
        }
    }
    check.findings
}

struct Check<'t> {
    exceptions: &'t [Exception],
    used: BTreeSet<usize>,
    findings: Vec<Finding>,
}

impl Check<'_> {
    /// Adds a finding unless the file is excepted from the rule of that short name.
    fn found(&mut self, short: &str, rule: &str, path: &str, place: String) {
        match self
            .exceptions
            .iter()
            .position(|exception| exception.rule == short && exception.path == path)
        {
            Some(index) => {
                self.used.insert(index);
            }
            None => self.findings.push(Finding::new(rule, place)),
        }
    }

    fn rust(&mut self, path: &str, text: &str) {
        if !text.starts_with("//! ") {
            self.found("first-line", FIRST_LINE, path, format!("{path}:1"));
        }
        let lines = text.lines().count();
        if lines > MAX_LINES {
            self.found("length", LENGTH, path, format!("{path}: {lines} lines"));
        }
        for (number, line) in numbered(text) {
            if UNSAFE_WORDS.iter().any(|word| line.contains(word)) {
                self.found("unsafe", UNSAFE, path, format!("{path}:{number}"));
            }
            if UNFINISHED_WORDS.iter().any(|word| line.contains(word)) {
                self.found(
                    "unfinished",
                    UNFINISHED,
                    path,
                    format!("{path}:{number}: {}", line.trim()),
                );
            }
        }
    }

    fn any(&mut self, path: &str, text: &str) {
        let of_client = REGISTRY_FILES
            .iter()
            .any(|name| path == *name || path.ends_with(&format!("/{name}")));
        for (number, line) in numbered(text) {
            if MACHINE_PATHS
                .iter()
                .any(|machine| starts_a_path(line, machine))
            {
                self.found(
                    "machine-path",
                    MACHINE_PATH,
                    path,
                    format!("{path}:{number}: {}", line.trim()),
                );
            }
            let address = of_client && (line.contains("http://") || line.contains("https://"));
            if address || REGISTRY_FLAGS.iter().any(|flag| line.contains(flag)) {
                self.found(
                    "registry-host",
                    REGISTRY_HOST,
                    path,
                    format!("{path}:{number}: {}", line.trim()),
                );
            }
        }
    }
}

fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().zip(1..).map(|(line, number)| (number, line))
}

/// Whether the line holds the path from the root of a file system, not as the end of a longer one or of an address.
fn starts_a_path(line: &str, machine: &str) -> bool {
    line.match_indices(machine).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || "._-~}$/".contains(c))
    })
}
