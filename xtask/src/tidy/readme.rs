//! A crate's README begins with the introduction of its documentation.

use super::Finding;
use crate::shell::Result;
use crate::tree::Tree;
use crate::workspace::member_folders;

const RULE: &str = "a README has the same introduction as the crate's documentation (the paragraphs before the first heading, \
                    code, table or picture): `cargo xtask tidy --fix` writes it";

/// A README whose introduction differs.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stale {
    /// The README.
    pub(super) path: String,
    /// What it should be.
    pub(super) text: String,
}

/// One finding for every README that differs.
///
/// # Errors
/// If the root manifest cannot be read.
pub(super) fn check(tree: &Tree) -> Result<Vec<Finding>> {
    Ok(stale(tree)?
        .into_iter()
        .map(|readme| Finding::new(RULE, readme.path))
        .collect())
}

/// Compares the two introductions of every crate that has both files; differences of line breaks do not count.
///
/// # Errors
/// If the root manifest cannot be read.
pub(super) fn stale(tree: &Tree) -> Result<Vec<Stale>> {
    let mut found = Vec::new();
    for folder in member_folders(tree.read("Cargo.toml")?)? {
        let path = format!("{folder}/README.md");
        let library = format!("{folder}/src/lib.rs");
        if let (Some(readme), Some(source)) = (tree.get(&path), tree.get(&library)) {
            let (title, body) = split_title(readme);
            let documentation = documentation(source);
            let (expected, _) = split_introduction(&documentation);
            let (is, rest) = split_introduction(body);
            let words = |text: &str| {
                text.split_whitespace()
                    .map(str::to_owned)
                    .collect::<Vec<_>>()
            };
            if words(is) != words(expected) {
                found.push(Stale {
                    path,
                    text: format!("{title}\n\n{}\n\n{rest}", expected.trim()),
                });
            }
        }
    }
    Ok(found)
}

/// The text of the `//!` lines that a file begins with; links to items become plain code, for a README cannot follow them.
fn documentation(source: &str) -> String {
    let lines = source.lines().map_while(|line| line.strip_prefix("//!"));
    let text: String = lines
        .map(|line| format!("{}\n", line.strip_prefix(' ').unwrap_or(line)))
        .collect();
    without_links(&text)
}

/// Writes a link to an item, with or without a target, as code.
fn without_links(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, link)) = rest.split_once("[`") {
        let Some((code, after)) = link.split_once("`]") else {
            break;
        };
        plain.extend([before, "`", code, "`"]);
        rest = match after.strip_prefix('(').and_then(|it| it.split_once(')')) {
            Some((_target, after)) => after,
            None => after,
        };
    }
    plain + rest
}

/// The first line, if it is a title, and the rest.
fn split_title(readme: &str) -> (&str, &str) {
    readme
        .split_once('\n')
        .filter(|(title, _)| title.starts_with("# "))
        .unwrap_or(("", readme))
}

/// The paragraphs before anything else, and the rest.
fn split_introduction(markdown: &str) -> (&str, &str) {
    let begins_something_else = |line: &&str| {
        ["#", "```", "|", "<", "!["]
            .iter()
            .any(|mark| line.starts_with(mark))
    };
    let end = markdown
        .split_inclusive('\n')
        .take_while(|line| !begins_something_else(line))
        .map(str::len)
        .sum();
    markdown.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "//! Reads [`Packet`] and\n//! [`writes`](Packet::write) it.\n//!\n//! Never copies.\n//!\n//! ```\n//! code\n//! ```\nuse x;\n";

    fn tree(readme: &str) -> Tree {
        Tree::from_files([
            ("Cargo.toml", "[workspace]\nmembers = ['a']\n"),
            ("a/src/lib.rs", SOURCE),
            ("a/README.md", readme),
        ])
    }

    #[test]
    fn introductions_are_compared_as_words() {
        let same = "# a\n\nReads `Packet` and `writes` it.\n\nNever\ncopies.\n\n## Next\n";
        assert_eq!(stale(&tree(same)).expect("a member"), []);
    }

    #[test]
    fn a_stale_introduction_is_replaced_and_the_rest_kept() {
        let found = stale(&tree("# a\n\nReads packets.\n\n## Next\n\nReads.\n")).expect("a member");
        let text =
            "# a\n\nReads `Packet` and\n`writes` it.\n\nNever copies.\n\n## Next\n\nReads.\n";
        assert_eq!(
            found,
            [Stale {
                path: "a/README.md".to_owned(),
                text: text.to_owned()
            }]
        );
        assert_eq!(stale(&tree(text)).expect("a member"), []);
    }
}
