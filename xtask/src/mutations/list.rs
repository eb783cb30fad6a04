//! The list of planted bugs, and whether it and the code name the same ones.

use std::collections::{BTreeMap, BTreeSet};

use toml::de::{DeTable, DeValue};

use crate::shell::Result;
use crate::tree::Tree;
use crate::workspace::parse;

/// Where the list is.
pub(crate) const PATH: &str = "xtask/mutations.toml";

/// The list of those that fuzzing has to find.
const FUZZ_PATH: &str = "xtask/src/fuzz/planted.rs";

/// What can find one.
pub(crate) const SIMULATIONS: [&str; 6] = ["session", "broker", STORE, MODEM, COMPACT, DEVICE];

/// The simulation of the broker on its store.
pub(crate) const STORE: &str = "store";

/// The one that is a test and no part of `mqtt-sim`.
pub(crate) const MODEM: &str = "modem";

/// Scripts and no simulation: each bug names the one that finds it.
pub(crate) const COMPACT: &str = "compact";

/// Tests of mqtt-device, which are named with the file in front.
pub(crate) const DEVICE: &str = "device";

/// A planted bug.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mutation {
    /// What the code says: `cfg(mutation = "name")`.
    pub(crate) name: String,
    /// What goes wrong.
    pub(crate) bug: String,
    /// What has to find it.
    pub(crate) by: String,
    /// The test that has to, where one is named.
    pub(crate) test: Option<String>,
}

/// The mutations in the order of the list.
///
/// # Errors
/// If the text is no TOML, an entry is incomplete, or nothing is called what is to find it.
pub(crate) fn read(text: &str) -> Result<Vec<Mutation>> {
    let table = parse(text)?;
    let rows = table
        .get("mutation")
        .and_then(|value| value.get_ref().as_array());
    let rows = rows.into_iter().flat_map(|array| array.iter());
    rows.filter_map(|row| row.get_ref().as_table())
        .map(|row| {
            let mutation = Mutation {
                name: field(row, "name")?,
                bug: field(row, "bug")?,
                by: field(row, "by")?,
                test: field(row, "test").ok(),
            };
            let is_named = [COMPACT, DEVICE].contains(&mutation.by.as_str());
            if is_named != mutation.test.is_some() {
                let name = mutation.name;
                return Err(format!(
                    "{PATH}: `{name}` names a `test`, or none, though what finds it is the other kind"
                )
                .into());
            }
            if !SIMULATIONS.contains(&mutation.by.as_str()) {
                let Mutation { name, by, .. } = mutation;
                let known = SIMULATIONS.join(" or ");
                return Err(
                    format!("{PATH}: `{name}` is to be found by `{by}`, not by {known}").into(),
                );
            }
            Ok(mutation)
        })
        .collect()
}

fn field(row: &DeTable<'_>, key: &str) -> Result<String> {
    let value = row.get(key).map(|value| value.get_ref());
    let text = value.and_then(DeValue::as_str);
    text.filter(|text| !text.trim().is_empty())
        .map(str::to_owned)
        .ok_or_else(|| format!("{PATH}: an entry has no `{key}`").into())
}

/// Names that only the list or only the code has, and names that are listed twice: where, and what is wrong.
///
/// # Errors
/// If the list cannot be read.
pub(crate) fn check(tree: &Tree) -> Result<Vec<String>> {
    let mutations = read(tree.get(PATH).unwrap_or_default())?.into_iter();
    let mut names: Vec<(String, &str)> = mutations.map(|it| (it.name, PATH)).collect();
    let fuzzed = quoted(tree.get(FUZZ_PATH).unwrap_or_default(), "name: \"");
    names.extend(fuzzed.map(|name| (name.to_owned(), FUZZ_PATH)));
    let planted = planted(tree);
    let mut listed = BTreeSet::new();
    let mut findings = Vec::new();
    for (name, list) in names {
        if !planted.contains_key(&name) {
            findings.push(format!("{list}: `{name}` stands nowhere in the code"));
        }
        if !listed.insert(name.clone()) {
            findings.push(format!("{list}: `{name}` is listed twice"));
        }
    }
    for (name, place) in planted {
        if !listed.contains(&name) {
            findings.push(format!("{place}: `{name}` is not in {PATH}"));
        }
    }
    Ok(findings)
}

/// What stands in quotes behind each `mark`, which ends with the first quote.
fn quoted<'t>(text: &'t str, mark: &'t str) -> impl Iterator<Item = &'t str> {
    let behind = text
        .match_indices(mark)
        .map(|(at, _)| &text[at + mark.len()..]);
    behind.filter_map(|rest| Some(rest.split_once('"')?.0))
}

/// Every name in a cfg of the code, with the first place where it stands.
fn planted(tree: &Tree) -> BTreeMap<String, String> {
    let mark = ["mutation", " = \""].concat();
    let mut names = BTreeMap::new();
    for (path, text) in tree.iter().filter(|(path, _)| path.ends_with(".rs")) {
        for (line, number) in text.lines().zip(1..) {
            let code = line.split("//").next().unwrap_or_default();
            for name in quoted(code, &mark).filter(|_| code.contains("cfg")) {
                let place = format!("{path}:{number}");
                names.entry(name.to_owned()).or_insert(place);
            }
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(list: &str, code: &str) -> Tree {
        Tree::from_files([(PATH, list), ("a/src/lib.rs", code)])
    }

    fn entry(name: &str) -> String {
        format!("[[mutation]]\nname = '{name}'\nbug = 'it breaks'\nby = 'session'\n")
    }

    /// The code of a planted bug; put together, so that this file does not plant one.
    fn plant(name: &str) -> String {
        ["if cfg!(muta", "tion = \"", name, "\") {}\n"].concat()
    }

    #[test]
    fn list_and_code_name_the_same_mutations() {
        let list = entry("a") + &entry("b");
        let code = plant("a") + &plant("b").replace("cfg!", "#[cfg") + &plant("a");
        assert_eq!(check(&tree(&list, &code)).expect("TOML"), [""; 0]);
    }

    #[test]
    fn a_difference_between_list_and_code_is_found() {
        let list = entry("a") + &entry("gone") + &entry("a");
        let code = plant("a") + "\n" + &plant("new") + "// " + &plant("told");
        let findings = check(&tree(&list, &code)).expect("TOML");
        assert_eq!(
            findings,
            [
                "xtask/mutations.toml: `gone` stands nowhere in the code",
                "xtask/mutations.toml: `a` is listed twice",
                "a/src/lib.rs:3: `new` is not in xtask/mutations.toml",
            ]
        );
    }

    #[test]
    fn the_list_of_fuzzing_counts() {
        let list = ["Planted { na", "me: \"fuzz-a\" }"].concat();
        let code = plant("fuzz-a");
        let files = [(FUZZ_PATH, list.as_str()), ("a/src/lib.rs", code.as_str())];
        assert_eq!(check(&Tree::from_files(files)).expect("TOML"), [""; 0]);
        let files = [(FUZZ_PATH, list.as_str()), ("a/src/lib.rs", "")];
        let findings = check(&Tree::from_files(files)).expect("TOML");
        assert!(
            findings[0].contains("`fuzz-a` stands nowhere"),
            "{findings:?}"
        );
    }

    #[test]
    fn an_incomplete_entry_is_refused() {
        let error = read("[[mutation]]\nname = 'a'\nby = 'x'").expect_err("no bug");
        assert!(error.to_string().contains("`bug`"), "{error}");
    }

    /// A script is named for what scripts find, and for nothing else.
    #[test]
    fn a_script_is_named() {
        let by_script = entry("a").replace("'session'", "'compact'");
        read(&by_script).expect_err("which");
        read(&(entry("a") + "test = 'x'")).expect_err("it has seeds");
        let list = read(&(by_script + "test = 'x::y'")).expect("complete");
        assert_eq!(list[0].test.as_deref(), Some("x::y"));
    }

    /// Such a bug was never planted, and the run held.
    #[test]
    fn a_bug_that_nothing_is_to_find_is_refused() {
        let error = read(&entry("a").replace("'session'", "'sesion'")).expect_err("no such");
        assert!(
            error.to_string().contains("`a` is to be found by `sesion`"),
            "{error}"
        );
    }
}
