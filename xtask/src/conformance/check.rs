//! Compares the table of statements with the tests, both ways.

use std::collections::{BTreeMap, BTreeSet};

use super::scan::Test;
use super::statement::{Otherwise, PATH, Spec, Statement, folders};
use crate::tree::Tree;

/// Something to mend.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Problem {
    /// The file.
    pub(super) path: String,
    /// The line in it, from 1.
    pub(super) line: usize,
    /// What is wrong and what to do.
    pub(super) text: String,
}

impl Problem {
    fn new(path: &str, line: usize, text: String) -> Self {
        Self {
            path: path.to_owned(),
            line,
            text,
        }
    }
}

/// The tests by statement, sorted.
type Named<'t> = BTreeMap<(Spec, &'t str), BTreeSet<&'t str>>;

fn named(tests: &[Test]) -> Named<'_> {
    let mut named = Named::new();
    for test in tests {
        for cite in &test.cites {
            let of = named.entry((cite.spec, &cite.id)).or_default();
            of.insert(&test.name);
        }
    }
    named
}

/// Puts the tests that name a statement into its row; rows that a merge has left twice become one if they agree on the rest.
pub(super) fn fix(statements: &mut Vec<Statement>, tests: &[Test]) {
    let named = named(tests);
    for statement in statements.iter_mut() {
        let of = named.get(&(statement.spec, statement.id.as_str()));
        statement.tests = of
            .into_iter()
            .flatten()
            .map(|&test| test.to_owned())
            .collect();
    }
    let mut seen = BTreeSet::new();
    statements.retain(|statement| seen.insert(statement.to_string()));
}

/// Everything that does not fit.
pub(super) fn check(tree: &Tree, statements: &[Statement], tests: &[Test]) -> Vec<Problem> {
    let mut problems = table(statements);
    problems.extend(mentions(tree, statements));
    let named = named(tests);
    let existing: BTreeSet<&str> = tests.iter().map(|test| test.name.as_str()).collect();
    for statement in statements {
        let of = named.get(&(statement.spec, statement.id.as_str()));
        let of: Vec<&str> = of.into_iter().flatten().copied().collect();
        row(statement, &of, &existing, &mut |text| {
            problems.push(Problem::new(PATH, statement.line, text));
        });
    }
    problems.sort();
    problems
}

/// What one row says, against the tests that name its statement.
fn row(
    statement: &Statement,
    named: &[&str],
    existing: &BTreeSet<&str>,
    report: &mut impl FnMut(String),
) {
    let spelt = statement.spec.spell(&statement.id);
    let gone = |test: &&String| !existing.contains(test.as_str());
    for test in statement.tests.iter().filter(gone) {
        report(format!(
            "{spelt} lists `{test}`, which is no test: run `cargo xtask conformance --fix`"
        ));
    }
    if !statement.tests.iter().any(|test| gone(&test)) {
        let listed: Vec<&str> = statement.tests.iter().map(String::as_str).collect();
        if let Some(difference) = difference(&listed, named) {
            report(format!(
                "{spelt} {difference}: run `cargo xtask conformance --fix`"
            ));
        }
    }
    match (&statement.otherwise, named.is_empty()) {
        (Otherwise::No, true) => report(format!(
            "{spelt} ({}) is proven by no test: name it on one, or fill the last column",
            statement.paraphrase
        )),
        (Otherwise::Exception(_) | Otherwise::Gap(_), false) => report(format!(
            "{spelt} is named by `{}`: empty its last column",
            named.join(" ")
        )),
        (Otherwise::No, false) => {
            for layer in statement.layer.split(' ') {
                let folders = folders(layer).unwrap_or_default();
                if !named
                    .iter()
                    .any(|test| folders.iter().any(|folder| test.starts_with(folder)))
                {
                    report(format!(
                        "{spelt} is answered for by {layer}, but no test below {} names it: prove it there, or correct the layer",
                        folders.join(" or ")
                    ));
                }
            }
        }
        (Otherwise::Exception(_) | Otherwise::Gap(_), true) => {}
    }
}

/// How the tests that a row lists differ from those that name its statement.
fn difference(listed: &[&str], named: &[&str]) -> Option<String> {
    let without = |all: &[&str], known: &[&str]| {
        let new = all.iter().filter(|test| !known.contains(test));
        new.map(|test| format!("`{test}`")).collect::<Vec<_>>()
    };
    let (lacking, left_over) = (without(named, listed), without(listed, named));
    let mut parts = Vec::new();
    if !lacking.is_empty() {
        parts.push(format!("does not list {}", lacking.join(", ")));
    }
    if !left_over.is_empty() {
        let name = if left_over.len() == 1 { "does" } else { "do" };
        parts.push(format!(
            "lists {}, which {name} not name it",
            left_over.join(", ")
        ));
    }
    if parts.is_empty() && listed != named {
        parts.push("lists its tests twice or out of order".to_owned());
    }
    (!parts.is_empty()).then(|| parts.join(" and "))
}

/// The table as a whole.
fn table(statements: &[Statement]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for pair in statements.windows(2) {
        let key = |statement: &Statement| (statement.spec, statement.numbers());
        if key(&pair[0]) >= key(&pair[1]) {
            let text = format!(
                "{} stands twice or is out of order: run `cargo xtask conformance --fix`, and delete what is double",
                pair[1].spec.spell(&pair[1].id)
            );
            problems.push(Problem::new(PATH, pair[1].line, text));
        }
    }
    for spec in Spec::ALL {
        let count = statements.iter().filter(|row| row.spec == spec).count();
        if count != spec.statements() {
            let text = format!(
                "MQTT {} has {} statements, here are {count}: restore the rows",
                spec.version(),
                spec.statements()
            );
            problems.push(Problem::new(PATH, 1, text));
        }
    }
    problems
}

/// Mentions of statements that do not exist, or spelt so that they do not count, in all files but the tool's own.
fn mentions(tree: &Tree, statements: &[Statement]) -> Vec<Problem> {
    let ids: BTreeSet<(Spec, &str)> = statements
        .iter()
        .map(|row| (row.spec, row.id.as_str()))
        .collect();
    let mut problems = Vec::new();
    for (path, text) in tree.iter() {
        if path == PATH || path.starts_with("xtask/src/") {
            continue;
        }
        for (number, line) in (1..).zip(text.lines()) {
            for (at, _) in line.match_indices("MQTT-") {
                if let Some(text) = mention(&line[..at], &line[at..], &ids) {
                    problems.push(Problem::new(path, number, text));
                }
            }
        }
    }
    problems
}

/// What is wrong with one mention.
fn mention(before: &str, here: &str, ids: &BTreeSet<(Spec, &str)>) -> Option<String> {
    let end = here
        .find(|c: char| !c.is_ascii_digit() && !"MQT-.".contains(c))
        .unwrap_or(here.len());
    let id = here[..end].trim_end_matches(['.', '-']);
    let (section, number) = id.strip_prefix("MQTT-")?.split_once('-')?;
    if section.is_empty() || number.is_empty() {
        return None;
    }
    let known = |spec: Spec| ids.contains(&(spec, id));
    let unknown = |spec: Spec| {
        let hint = Spec::ALL
            .into_iter()
            .find(|&other| other != spec && known(other));
        let hint = hint.map_or(String::new(), |other| {
            format!(" (MQTT {} has it: {})", other.version(), other.spell(id))
        });
        (!known(spec)).then(|| {
            format!(
                "{} is no statement of MQTT {}{hint}: see {PATH}",
                spec.spell(id),
                spec.version()
            )
        })
    };
    if before.ends_with("3.1.1:") {
        unknown(Spec::V311)
    } else if before.ends_with('[') {
        unknown(Spec::V5)
    } else if before.ends_with("[3.1.1: ") || before.ends_with("[3.1.1 ") {
        Some(format!(
            "`{id}` does not count like this: write {}",
            Spec::V311.spell(id)
        ))
    } else if Spec::ALL.into_iter().any(known) {
        None
    } else {
        Some(format!("{id} is no statement of any version: see {PATH}"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::scan;
    use super::super::statement::parse;
    use super::*;

    /// The problems that begin with one of the places, in a workspace with one proven statement and one gap.
    ///
    /// That most statements of the specifications are missing there is left out.
    fn problems(plant: &[(&str, &str)], table: &[(&str, &str)]) -> Vec<String> {
        let mut text = "spec\tid\tparaphrase\tside\tlayer\ttests\totherwise
5.0\tMQTT-2.2.1-3\tfree id\tclient\tsession\tmqtt-session/tests/a.rs::free\t
5.0\tMQTT-4.2-1\tstream\tboth\tbroker\t\tgap: a test
"
        .to_owned();
        for (from, to) in table {
            assert!(text.contains(from), "{from}");
            text = text.replacen(from, to, 1);
        }
        let test = "/// Free [MQTT-2.2.1-3].\n#[test]\nfn free() {}\n";
        let mut tree = Tree::from_files([("mqtt-session/tests/a.rs", test), (PATH, &text)]);
        for (path, text) in plant {
            tree.plant(path, text);
        }
        let statements = parse(&text).expect("a table");
        let found = check(&tree, &statements, &scan::tests(&tree));
        found
            .into_iter()
            .filter(|problem| !problem.text.contains("restore the rows"))
            .map(|problem| format!("{}:{} {}", problem.path, problem.line, problem.text))
            .collect()
    }

    #[track_caller]
    fn one(plant: &[(&str, &str)], table: &[(&str, &str)], place: &str, text: &str) {
        let found = problems(plant, table);
        assert!(
            found.len() == 1 && found[0].starts_with(place) && found[0].contains(text),
            "{found:#?}"
        );
    }

    const TABLE: &str = "xtask/conformance/statements.tsv";

    #[test]
    fn what_fits_is_no_problem() {
        assert_eq!(problems(&[], &[]), [""; 0]);
    }

    #[test]
    fn a_statement_that_does_not_exist_is_found() {
        let plant = |text| [("mqtt-codec/src/x.rs", text)];
        for (text, says) in [
            (
                "\n/// [MQTT-9.9.9-1]",
                "[MQTT-9.9.9-1] is no statement of MQTT 5.0",
            ),
            ("\n// [3.1.1:MQTT-4.2-1]", "(MQTT 5.0 has it: [MQTT-4.2-1])"),
            (
                "\n\"MQTT-9.9.9-1\"",
                "MQTT-9.9.9-1 is no statement of any version",
            ),
            ("\n// [3.1.1: MQTT-4.2-1]", "write [3.1.1:MQTT-4.2-1]"),
        ] {
            one(&plant(text), &[], "mqtt-codec/src/x.rs:2 ", says);
        }
        let fine = "MQTT-X, MQTT- and MQTT-5.0, \\[MQTT-4.2-1\\], \"MQTT-2.2.1-3\".";
        assert_eq!(problems(&plant(fine), &[]), [""; 0]);
    }

    #[test]
    fn a_test_that_does_not_exist_is_found() {
        let table = [("::free", "::free mqtt-session/tests/a.rs::gone")];
        one(
            &[],
            &table,
            &format!("{TABLE}:2 "),
            "a.rs::gone`, which is no test",
        );
    }

    /// Only what differs is said: a statement may have thirty tests.
    #[test]
    fn a_stale_column_is_found() {
        let (row, other) = (format!("{TABLE}:2 "), "mqtt-session/tests/b.rs");
        let more = [(other, "// [MQTT-2.2.1-3]\n#[test] fn b() {}")];
        let less = [(other, "#[test] fn b() {}")];
        let both = [("::free", "::free mqtt-session/tests/b.rs::b")];
        let twice = [("::free", "::free mqtt-session/tests/a.rs::free")];
        one(
            &more,
            &[],
            &row,
            "[MQTT-2.2.1-3] does not list `mqtt-session/tests/b.rs::b`: run",
        );
        one(
            &less,
            &both,
            &row,
            "[MQTT-2.2.1-3] lists `mqtt-session/tests/b.rs::b`, which does not name it: run",
        );
        one(&[], &twice, &row, "twice or out of order: run");
    }

    #[test]
    fn a_statement_that_nothing_proves_is_found() {
        one(
            &[],
            &[("gap: a test", "")],
            &format!("{TABLE}:3 "),
            "(stream) is proven by no test",
        );
        assert_eq!(
            problems(&[], &[("gap: a test", "exception: none can")]),
            [""; 0]
        );
    }

    #[test]
    fn a_gap_that_is_closed_is_found() {
        let plant = [(
            "mqtt-broker/tests/c.rs",
            "// [MQTT-4.2-1]\n#[test] fn c() {}",
        )];
        let table = [("\tgap", "mqtt-broker/tests/c.rs::c\tgap")];
        one(
            &plant,
            &table,
            &format!("{TABLE}:3 "),
            "empty its last column",
        );
    }

    #[test]
    fn a_layer_that_does_not_prove_is_found() {
        one(
            &[],
            &[("\tsession\t", "\tcodec session\t")],
            &format!("{TABLE}:2 "),
            "no test below mqtt-codec/",
        );
    }

    #[test]
    fn a_row_that_is_double_or_out_of_order_is_found() {
        let table = [("MQTT-4.2-1", "MQTT-2.2.1-2")];
        one(&[], &table, &format!("{TABLE}:3 "), "out of order");
    }

    #[test]
    fn a_lost_row_is_found() {
        let tree = Tree::from_files([]);
        let found = check(&tree, &[], &[]);
        let texts: Vec<&str> = found.iter().map(|problem| problem.text.as_str()).collect();
        assert_eq!(
            texts,
            [
                "MQTT 3.1.1 has 142 statements, here are 0: restore the rows",
                "MQTT 5.0 has 251 statements, here are 0: restore the rows"
            ]
        );
    }

    #[test]
    fn the_column_is_mended() {
        let test =
            "/// [MQTT-2.2.1-3]\n#[test]\nfn b() {}\n/// [MQTT-2.2.1-3]\n#[test]\nfn a() {}\n";
        let tree = Tree::from_files([("x/tests/x.rs", test)]);
        let mut rows = parse(
            "spec\tid\tparaphrase\tside\tlayer\ttests\totherwise\n5.0\tMQTT-2.2.1-3\tx\tboth\tcore\told::test\t\n5.0\tMQTT-2.2.1-3\tx\tboth\tcore\tother::test\t",
        )
        .expect("a table");
        fix(&mut rows, &scan::tests(&tree));
        assert_eq!(rows.len(), 1, "what a merge had left");
        assert_eq!(rows[0].tests, ["x/tests/x.rs::a", "x/tests/x.rs::b"]);
    }
}
