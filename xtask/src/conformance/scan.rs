//! Finds the tests of the workspace and the statements that each names.
//!
//! A test is a function under an attribute whose last word is `test`, a row in the call of a macro that makes such
//! functions, a file of vectors beside the test that reads it, or a documented function of the socket suite. What an ordinary run
//! leaves out (`#[ignore]`) proves nothing.

use super::lexer::{Placed, Token, lex};
use super::statement::Spec;
use crate::tree::Tree;

/// One mention of a statement.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Cite {
    /// The specification it belongs to.
    pub(super) spec: Spec,
    /// The statement, as in `MQTT-4.3.3-10`.
    pub(super) id: String,
    /// The line it stands on.
    pub(super) line: usize,
}

/// A test and what it says to prove.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Test {
    /// `path::name`, or the path of a file of vectors.
    pub(super) name: String,
    /// The file it stands in.
    pub(super) path: String,
    /// The statements it names.
    pub(super) cites: Vec<Cite>,
}

/// Where the cases of the socket suite are: every function there that names a statement is a case.
const SUITE: &str = "xtask/conformance/src/";

/// All tests of the tracked files. The tool's own are left out: they name statements that do not exist.
pub(super) fn tests(tree: &Tree) -> Vec<Test> {
    let mut tests = Vec::new();
    for (path, text) in tree
        .iter()
        .filter(|(path, _)| !path.starts_with("xtask/src/"))
    {
        if path.ends_with(".rs") {
            tests.extend(rust(path, text));
        } else if is_vectors(tree, path) {
            tests.push(Test {
                name: path.to_owned(),
                path: path.to_owned(),
                cites: vectors(text),
            });
        }
    }
    tests
}

/// A text file in a folder `tests/x/` beside `tests/x.rs`.
fn is_vectors(tree: &Tree, path: &str) -> bool {
    let folder = path
        .strip_suffix(".txt")
        .and_then(|path| path.rsplit_once('/'));
    folder.is_some_and(|(folder, _)| {
        folder.contains("/tests/") && tree.get(&format!("{folder}.rs")).is_some()
    })
}

/// The statements named in the comments of vectors, as far as vectors of that version stand below: up to the next
/// empty line, each begins with who sent it and the version.
fn vectors(text: &str) -> Vec<Cite> {
    let lines: Vec<(usize, &str)> = (1..).zip(text.lines()).collect();
    let mut found = Vec::new();
    for block in lines.split(|(_, line)| line.trim().is_empty()) {
        let has = |spec: Spec| {
            let rows = block.iter().filter(|(_, line)| !line.starts_with('#'));
            rows.filter_map(|(_, line)| line.split_whitespace().nth(1))
                .any(|version| version == spec.version())
        };
        let comments = block.iter().filter(|(_, line)| line.starts_with('#'));
        let cited = comments.flat_map(|(number, line)| cites(line, *number));
        found.extend(cited.filter(|cite| has(cite.spec)));
    }
    found
}

/// The statements that a text names in one of the two spellings.
pub(super) fn cites(text: &str, first_line: usize) -> Vec<Cite> {
    let mut found = Vec::new();
    for (line, text) in (first_line..).zip(text.lines()) {
        for (spec, opening) in [(Spec::V5, "[MQTT-"), (Spec::V311, "[3.1.1:MQTT-")] {
            for (at, _) in text.match_indices(opening) {
                let rest = &text[at + opening.len()..];
                if let Some((number, _)) = rest.split_once(']')
                    && !number.is_empty()
                    && number
                        .chars()
                        .all(|c| c.is_ascii_digit() || c == '.' || c == '-')
                {
                    let id = format!("MQTT-{number}");
                    found.push(Cite { spec, id, line });
                }
            }
        }
    }
    found
}

/// What stands before an item: comments and attributes.
#[derive(Default)]
struct Head {
    cites: Vec<Cite>,
    is_test: bool,
    is_ignored: bool,
}

/// A macro of the file that makes tests, and what its own documentation of them names.
struct Maker<'t> {
    name: &'t str,
    cites: Vec<Cite>,
}

fn rust(path: &str, text: &str) -> Vec<Test> {
    let tokens = lex(text);
    let mut file = File {
        path,
        makers: Vec::new(),
        tests: Vec::new(),
    };
    file.walk(&tokens);
    file.tests
}

struct File<'t> {
    path: &'t str,
    makers: Vec<Maker<'t>>,
    tests: Vec<Test>,
}

impl<'t> File<'t> {
    fn add(&mut self, name: &str, mut cites: Vec<Cite>) {
        cites.sort();
        cites.dedup_by(|a, b| (a.spec, &a.id) == (b.spec, &b.id));
        self.tests.push(Test {
            name: format!("{}::{name}", self.path),
            path: self.path.to_owned(),
            cites,
        });
    }

    fn walk(&mut self, tokens: &[Placed<'t>]) {
        let mut head = Head::default();
        let mut at = 0;
        while let Some(placed) = tokens.get(at) {
            let rest = &tokens[at..];
            let mut len = 1;
            match placed.token {
                Token::Comment(comment) => head.cites.extend(cites(comment, placed.line)),
                Token::Sign('#') => {
                    let start = if is_sign(rest, 1, '!') { 2 } else { 1 };
                    len = start + group(&rest[start..]);
                    head.is_test |= is_test_attribute(&rest[..len]);
                    head.is_ignored |= attribute(&rest[..len]) == Some("ignore");
                }
                Token::Word("macro_rules") => {
                    len = self.rules(rest);
                    head = Head::default();
                }
                Token::Word("fn") => {
                    let head = core::mem::take(&mut head);
                    let body = body(rest);
                    if let (Some(Token::Word(name)), true) = (token(rest, 1), head.is_test) {
                        len = body;
                        let mut cites = [head.cites, all_cites(&rest[..len])].concat();
                        if head.is_ignored {
                            cites.clear();
                        }
                        self.add(name, cites);
                    } else if let (Some(Token::Word(name)), false, true) = (
                        token(rest, 1),
                        head.cites.is_empty(),
                        self.path.starts_with(SUITE),
                    ) {
                        self.add(name, head.cites);
                    }
                }
                Token::Word(name) if is_sign(rest, 1, '!') => {
                    if let Some(maker) = self.makers.iter().position(|maker| maker.name == name) {
                        len = 2 + group(&rest[2..]);
                        self.rows(maker, &rest[2..len]);
                    }
                    head = Head::default();
                }
                // What may stand between an attribute and `fn`.
                Token::Word("pub" | "async" | "const" | "unsafe" | "crate" | "super")
                | Token::Sign('(' | ')') => {}
                Token::Text(_) | Token::Word(_) | Token::Sign(_) => head = Head::default(),
            }
            at += len;
        }
    }

    /// Notes a macro that makes tests; gives the length of its definition.
    fn rules(&mut self, tokens: &[Placed<'t>]) -> usize {
        let len = 3 + group(tokens.get(3..).unwrap_or_default());
        let inside = tokens.get(..len).unwrap_or(tokens);
        let makes = (0..inside.len()).any(|at| {
            is_sign(inside, at, '#') && {
                let len = 1 + group(&inside[at + 1..]);
                is_test_attribute(&inside[at..at + len])
            }
        });
        if let (Some(Token::Word(name)), true) = (token(tokens, 2), makes) {
            let cites = all_cites(inside);
            self.makers.push(Maker { name, cites });
        }
        len
    }

    /// The rows of a macro's call: each begins with its name at the beginning of a line.
    fn rows(&mut self, maker: usize, tokens: &[Placed<'t>]) {
        let shared = self.makers[maker].cites.clone();
        let mut row: Option<(&str, Vec<Cite>)> = None;
        let mut above = Vec::new();
        let (mut depth, mut done) = (0_usize, Vec::new());
        for placed in tokens {
            match placed.token {
                Token::Sign('(' | '[' | '{') => depth += 1,
                Token::Sign(')' | ']' | '}') => depth = depth.saturating_sub(1),
                Token::Comment(comment) if depth == 1 && placed.leads => {
                    above.extend(cites(comment, placed.line));
                }
                Token::Comment(text) | Token::Text(text) => {
                    if let Some((_, named)) = &mut row {
                        named.extend(cites(text, placed.line));
                    }
                }
                Token::Word(name) if depth == 1 && placed.leads => {
                    let named = [shared.clone(), core::mem::take(&mut above)].concat();
                    done.extend(row.replace((name, named)));
                }
                Token::Word(_) | Token::Sign(_) => {}
            }
        }
        done.extend(row);
        for (name, named) in done {
            self.add(name, named);
        }
    }
}

fn token<'t>(tokens: &[Placed<'t>], at: usize) -> Option<Token<'t>> {
    tokens.get(at).map(|placed| placed.token)
}

fn is_sign(tokens: &[Placed<'_>], at: usize, sign: char) -> bool {
    token(tokens, at) == Some(Token::Sign(sign))
}

fn all_cites(tokens: &[Placed<'_>]) -> Vec<Cite> {
    let texts = tokens.iter().filter_map(|placed| match placed.token {
        Token::Comment(text) | Token::Text(text) => Some(cites(text, placed.line)),
        Token::Word(_) | Token::Sign(_) => None,
    });
    texts.flatten().collect()
}

/// How many tokens the brackets hold that begin here, themselves included; 0 if none begins.
fn group(tokens: &[Placed<'_>]) -> usize {
    let mut depth = 0_usize;
    for (at, placed) in tokens.iter().enumerate() {
        match placed.token {
            Token::Sign('(' | '[' | '{') => depth += 1,
            Token::Sign(')' | ']' | '}') => depth = depth.saturating_sub(1),
            Token::Comment(_) | Token::Text(_) | Token::Word(_) | Token::Sign(_) => {}
        }
        if depth == 0 {
            return if at == 0 { 0 } else { at + 1 };
        }
    }
    tokens.len()
}

/// How many tokens a function has, from `fn` to the end of its body.
fn body(tokens: &[Placed<'_>]) -> usize {
    let mut at = 0;
    while let Some(token) = token(tokens, at) {
        match token {
            Token::Sign('{') => return at + group(&tokens[at..]),
            Token::Sign(';') => return at + 1,
            Token::Sign('(' | '[') => at += group(&tokens[at..]),
            Token::Comment(_) | Token::Text(_) | Token::Word(_) | Token::Sign(_) => at += 1,
        }
    }
    tokens.len()
}

/// `#[test]`, `#[tokio::test(…)]`.
fn is_test_attribute(tokens: &[Placed<'_>]) -> bool {
    attribute(tokens) == Some("test")
}

/// The last word of an attribute's path.
fn attribute<'t>(tokens: &[Placed<'t>]) -> Option<&'t str> {
    let path = tokens
        .iter()
        .skip(2)
        .map_while(|placed| match placed.token {
            Token::Word(word) => Some(word),
            Token::Sign(':') => Some(":"),
            Token::Comment(_) | Token::Text(_) | Token::Sign(_) => None,
        });
    path.last()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<String> {
        let tests = tests(&Tree::from_files([(path, text), ("a/tests/v.rs", "")]));
        tests
            .iter()
            .filter(|test| test.path != "a/tests/v.rs")
            .map(|test| {
                let cites = test.cites.iter().map(|cite| {
                    format!(" {}:{}:{}", cite.line, cite.spec.version(), &cite.id[5..])
                });
                let name = test.name.trim_start_matches(path);
                format!("{name}{}", cites.collect::<String>())
            })
            .collect()
    }

    #[test]
    fn a_test_names_what_stands_above_and_inside_it() {
        let text = r#"
            /// Not a test [MQTT-0.0.0-1].
            fn helper() {}
            /// One [MQTT-1.1-1],
            /// and [3.1.1:MQTT-2.2.2-2].
            #[test]
            #[expect(clippy::x, reason = "[MQTT-0.0.0-2]")]
            fn one() {
                // a case [MQTT-1.1-3]
                check("named [MQTT-1.1-4]", '{');
            }
            // [MQTT-0.0.0-3]
            const X: u8 = 1;
            #[tokio::test(flavor = "current_thread")]
            async fn two() {}
            // Spelt otherwise: [3.1.1: MQTT-1.1-1], MQTT-1.1-1.
            #[test]
            fn three() {}
        "#;
        let found = found("a/tests/x.rs", text);
        assert_eq!(found.len(), 3, "{found:?}");
        assert_eq!(
            found[0],
            "::one 5:3.1.1:2.2.2-2 4:5.0:1.1-1 9:5.0:1.1-3 10:5.0:1.1-4"
        );
        assert_eq!(found[1..], ["::two", "::three"]);
    }

    /// A test that no ordinary run reaches counted as proof.
    #[test]
    fn an_ignored_test_names_nothing() {
        let text = "/// [MQTT-1.1-1]\n#[test]\n#[ignore = \"long\"]\nfn a() { /* [MQTT-1.1-2] */ }\n/// [MQTT-1.1-1]\n#[test]\nfn b() {}";
        assert_eq!(found("a/tests/x.rs", text), ["::a", "::b 5:5.0:1.1-1"]);
    }

    #[test]
    fn properties_are_tests() {
        let text = "proptest! {\n#![proptest_config(x)]\n/// [MQTT-1.1-1]\n#[test]\nfn p(a in 0..3) { }\n}";
        assert_eq!(found("a/tests/x.rs", text), ["::p 3:5.0:1.1-1"]);
    }

    #[test]
    fn each_row_of_a_macro_is_a_test() {
        let text = r#"
            macro_rules! pairs {
                ($($name:ident $more:literal)*) => {$(
                    /// All [MQTT-1.1-1].
                    #[test]
                    fn $name() { run($more) }
                )*};
            }
            pairs! {
                first "a";
                /// Only this [3.1.1:MQTT-1.1-2].
                second "b"
                    "c [MQTT-1.1-3]";
            }
        "#;
        assert_eq!(
            found("a/tests/x.rs", text),
            [
                "::first 4:5.0:1.1-1",
                "::second 11:3.1.1:1.1-2 4:5.0:1.1-1 13:5.0:1.1-3"
            ]
        );
    }

    #[test]
    fn vectors_count_for_the_versions_that_they_have() {
        let text = "# Format [MQTT-0.0-1]\n\n# [MQTT-1.1-1] [3.1.1:MQTT-1.1-2]\nclient 5.0 | 00 | x\n\n# [3.1.1:MQTT-1.1-3]\nserver 3.1.1 | 00 | x\n";
        assert_eq!(
            found("a/tests/v/x.txt", text),
            [" 3:5.0:1.1-1 6:3.1.1:1.1-3"]
        );
        assert_eq!(found("a/tests/other/x.txt", text), [""; 0]);
    }

    #[test]
    fn a_function_of_the_suite_that_names_a_statement_is_a_case() {
        let text =
            "/// [MQTT-1.1-1]\npub(crate) fn case(x: &mut X) -> Y { z }\n/// Help.\nfn help() {}";
        assert_eq!(
            found("xtask/conformance/src/x.rs", text),
            ["::case 1:5.0:1.1-1"]
        );
        assert_eq!(found("a/src/x.rs", text), [""; 0]);
        assert_eq!(found("xtask/src/x.rs", &format!("#[test] {text}")), [""; 0]);
    }
}
