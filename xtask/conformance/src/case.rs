//! Cases and chapters. The statements of a case stand in its doc comment only, and are read from the source text at run time.

use core::fmt;

use mqtt_codec::Version;

use crate::ctx::Ctx;
use crate::failure::Step;

/// What a case does against a broker.
pub(crate) type Body = fn(&Ctx) -> Step;

/// Cases of one chapter of the specification, in one source file.
#[derive(Clone, Copy)]
pub(crate) struct Chapter {
    /// Title, beginning with the number of the section.
    pub(crate) title: &'static str,
    /// Name of the source file without its ending, the first part of its cases' names.
    pub(crate) file: &'static str,
    /// The text of the source file.
    pub(crate) source: &'static str,
    /// Name, whether the broker's clock makes it slow, and what it does.
    pub(crate) entries: &'static [(&'static str, bool, Body)],
}

/// The chapter in the file of that name beside `cases/mod.rs`, with its cases. A case that waits for the broker's clock is marked
/// `slow`. A case that is missing from its list is code that nobody uses, which the compiler reports.
macro_rules! chapter {
    ($file:ident, $title:literal, [$($cases:tt)*]) => {
        pub(crate) const CHAPTER: $crate::case::Chapter = $crate::case::Chapter {
            title: $title,
            file: stringify!($file),
            source: include_str!(concat!(stringify!($file), ".rs")),
            entries: $crate::case::entries!([] $($cases)*),
        };
    };
}
pub(crate) use chapter;

macro_rules! entries {
    ([$($done:tt)*]) => { &[$($done)*] };
    ([$($done:tt)*] slow $name:ident, $($rest:tt)*) => {
        $crate::case::entries!([$($done)* (stringify!($name), true, $name),] $($rest)*)
    };
    ([$($done:tt)*] $name:ident, $($rest:tt)*) => {
        $crate::case::entries!([$($done)* (stringify!($name), false, $name),] $($rest)*)
    };
}
pub(crate) use entries;

/// A case in one version.
#[derive(Clone)]
pub struct Case {
    chapter: &'static str,
    name: String,
    about: String,
    version: Version,
    statements: Vec<String>,
    slow: bool,
    pub(crate) body: Body,
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Case")
            .field("name", &self.name)
            .field("version", &self.version)
            .field("statements", &self.statements)
            .finish_non_exhaustive()
    }
}

impl Case {
    /// The title of its chapter, which begins with the number of the section.
    pub fn chapter(&self) -> &'static str {
        self.chapter
    }

    /// Source file and function, for instance `connect::second_connect`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the broker has to do, in a sentence.
    pub fn about(&self) -> &str {
        &self.about
    }

    /// The version that it runs in.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The version as on the command line: `3.1.1` or `5.0`.
    pub fn version_name(&self) -> &'static str {
        version_name(self.version)
    }

    /// The statements that a broker breaks which fails the case, as the specification numbers them.
    pub fn statements(&self) -> &[String] {
        &self.statements
    }

    /// Whether it takes as long as a clock of the broker says.
    pub fn is_slow(&self) -> bool {
        self.slow
    }
}

/// `3.1.1` or `5.0`.
pub(crate) const fn version_name(version: Version) -> &'static str {
    match version {
        Version::V31 => "3.1",
        Version::V311 => "3.1.1",
        Version::V5 => "5.0",
    }
}

impl Chapter {
    /// Its cases, each once for each version that its statements are of.
    pub(crate) fn cases(&self) -> Vec<Case> {
        let mut cases = Vec::new();
        for &(name, slow, body) in self.entries {
            let doc = doc_comment(self.source, name);
            let (about, v311, v5) = split(&doc);
            for (version, statements) in [(Version::V311, v311), (Version::V5, v5)] {
                if !statements.is_empty() {
                    cases.push(Case {
                        chapter: self.title,
                        name: format!("{}::{name}", self.file),
                        about: about.clone(),
                        version,
                        statements,
                        slow,
                        body,
                    });
                }
            }
        }
        cases
    }
}

/// The doc comment above the function `name`, in one line.
fn doc_comment(source: &str, name: &str) -> String {
    let start = format!("fn {name}(");
    let mut doc: Vec<&str> = Vec::new();
    for line in source.lines() {
        if let Some(text) = line.strip_prefix("///") {
            doc.push(text.trim());
        } else if line.starts_with(&start) {
            return doc.join(" ");
        } else if !line.starts_with('#') {
            doc.clear();
        }
    }
    String::new()
}

/// The sentence without the statements, those of 3.1.1, and those of 5.0.
fn split(doc: &str) -> (String, Vec<String>, Vec<String>) {
    let (mut about, mut v311, mut v5) = (String::new(), Vec::new(), Vec::new());
    let mut rest = doc;
    while let Some((before, after)) = rest.split_once('[') {
        about += before;
        let Some((inside, behind)) = after.split_once(']') else {
            break;
        };
        if let Some(id) = inside.strip_prefix("3.1.1:") {
            v311.push(id.to_owned());
        } else if inside.starts_with("MQTT-") {
            v5.push(inside.to_owned());
        } else {
            about += inside;
        }
        rest = behind;
    }
    about += rest;
    (about.trim().to_owned(), v311, v5)
}

#[cfg(test)]
mod tests {
    use super::{doc_comment, split};

    /// The comment of a case is that right above it, and gives its statements by version.
    #[test]
    fn statements_come_from_the_doc_comment() {
        let source = "/// Not this.\nfn other() {}\n\n/// Words. [MQTT-3.12.4-1]\n/// [3.1.1:MQTT-2.2.2-2]\nfn mine(ctx: &Ctx) -> Step {}\n";
        let doc = doc_comment(source, "mine");
        let (about, v311, v5) = split(&doc);
        assert_eq!(about, "Words.");
        assert_eq!(
            (v311, v5),
            (
                vec!["MQTT-2.2.2-2".to_owned()],
                vec!["MQTT-3.12.4-1".to_owned()]
            )
        );
    }
}
