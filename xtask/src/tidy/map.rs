//! The map of the workspace is true: a path that a page names is there.

use super::Finding;
use crate::tree::Tree;

const RULE: &str = "a page that explains the workspace names only paths that exist";
const PAGES: [&str; 3] = ["ARCHITECTURE.md", "CONTRIBUTING.md", "README.md"];
/// What a path of ours begins with.
const ROOTS: [&str; 2] = ["mqtt-", "xtask/"];

/// Checks every `path/in/backticks` of the pages.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for page in PAGES {
        let Some(text) = tree.get(page) else { continue };
        for (index, line) in text.lines().enumerate() {
            // Every second piece of a line stands between backticks.
            for path in line.split('`').skip(1).step_by(2) {
                let ours = ROOTS.iter().any(|root| path.starts_with(root));
                if ours && path.contains('/') && !path.contains(' ') && !exists(tree, path) {
                    findings.push(Finding::new(RULE, format!("{page}:{}: {path}", index + 1)));
                }
            }
        }
    }
    findings
}

fn exists(tree: &Tree, path: &str) -> bool {
    let folder = format!("{}/", path.trim_end_matches('/'));
    tree.iter()
        .any(|(file, _)| file == path || file.starts_with(&folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_is_not_there_is_found() {
        let tree = Tree::from_files([
            (
                "ARCHITECTURE.md",
                "see `mqtt-codec/src` and\n`mqtt-codec/src/gone.rs`, not `mqtt-codec` or `a/b`",
            ),
            ("mqtt-codec/src/lib.rs", "//! x"),
        ]);
        let places: Vec<_> = check(&tree).into_iter().map(|found| found.place).collect();
        assert_eq!(places, ["ARCHITECTURE.md:2: mqtt-codec/src/gone.rs"]);
    }
}
