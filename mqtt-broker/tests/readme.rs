//! The README's tables are those of the program and of the tests.

use std::fs;
use std::path::Path;

use mqtt_broker::Config;

fn readme() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    fs::read_to_string(path).expect("the README is there")
}

/// To mend it: paste what the failure shows.
#[test]
fn the_table_of_keys_is_that_of_the_program() {
    let table = Config::reference();
    assert!(
        readme().contains(&table),
        "the README should have this table:\n{table}"
    );
}

/// Every duty names tests, and they exist.
#[test]
fn the_tests_of_the_duties_exist() {
    let text = readme();
    let (_, duties) = text
        .split_once("| duty |")
        .expect("there is a table of duties");
    let mut rows = 0;
    for row in duties
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'))
    {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").collect();
        let tests = cells.last().expect("a row has cells");
        let mut named = 0;
        for test in tests.split('`').filter(|part| part.contains("::")) {
            let (file, function) = test.split_once("::").expect("it contains ::");
            let path = Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("tests")
                .join(format!("{file}.rs"));
            let source =
                fs::read_to_string(&path).unwrap_or_else(|error| panic!("{test}: {error}"));
            assert!(source.contains(function), "{test} does not exist");
            named += 1;
        }
        assert!(named > 0, "no test in: {row}");
        rows += 1;
    }
    assert!(rows > 20, "{rows} rows");
}
