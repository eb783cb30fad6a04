//! A crate's README begins with the introduction of its documentation.

use super::Finding;
use super::tree::Tree;
use crate::shell::Result;
use crate::workspace::member_folders;

const RULE: &str = "a README has the same introduction as the crate's documentation (the paragraphs before the first heading, code, \
                    table or picture): one text, not two that drift apart";

/// Compares the two introductions of every crate that has both files.
///
/// # Errors
/// If the root manifest cannot be read.
pub(super) fn check(tree: &Tree) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for folder in member_folders(tree.read("Cargo.toml")?)? {
        let readme = format!("{folder}/README.md");
        let library = format!("{folder}/src/lib.rs");
        if let (Some(text), Some(source)) = (tree.get(&readme), tree.get(&library)) {
            let expected = introduction(&documentation(source));
            let found = introduction(after_title(text));
            if expected != found {
                findings.push(Finding::new(
                    RULE,
                    format!("{readme}\n    is:         {found}\n    {library}: {expected}"),
                ));
            }
        }
    }
    Ok(findings)
}

/// The text of the `//!` lines that a file begins with.
fn documentation(source: &str) -> String {
    let lines = source.lines().map_while(|line| line.strip_prefix("//!"));
    lines
        .map(|line| format!("{}\n", line.strip_prefix(' ').unwrap_or(line)))
        .collect()
}

fn after_title(readme: &str) -> &str {
    match readme.split_once('\n') {
        Some((title, rest)) if title.starts_with("# ") => rest,
        _ => readme,
    }
}

/// The paragraphs before anything else, on one line, without the brackets of links to items.
fn introduction(markdown: &str) -> String {
    let begins_something_else = |line: &str| {
        ["#", "```", "|", "<", "!["]
            .iter()
            .any(|mark| line.starts_with(mark))
    };
    let lines = markdown
        .lines()
        .take_while(|line| !begins_something_else(line));
    let words: Vec<&str> = lines.flat_map(str::split_whitespace).collect();
    words.join(" ").replace("[`", "`").replace("`]", "`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn introductions_are_compared_as_words() {
        let source = "//! Reads [`Packet`] and\n//! writes it.\n//!\n//! Never copies.\n//!\n//! ```\n//! code\n//! ```\nuse x;\n";
        let readme = "# mqtt-codec\n\nReads `Packet` and writes it.\n\nNever\ncopies.\n\n## Next\n";
        let expected = "Reads `Packet` and writes it. Never copies.";
        assert_eq!(introduction(&documentation(source)), expected);
        assert_eq!(introduction(after_title(readme)), expected);
    }
}
