//! `cargo xtask conformance`: every statement of the specifications, and the tests that prove it.

mod check;
mod lexer;
mod report;
mod scan;
mod statement;

use std::path::Path;

use crate::shell::{Error, Program, Result, bold, red};
use crate::tree::Tree;
use crate::workspace::Workspace;

/// What the command is to do.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct ConformanceOptions {
    /// Rewrite the column of tests.
    pub(crate) fix: bool,
    /// Print a line for each statement.
    pub(crate) list: bool,
    /// Run the socket suite with these arguments instead.
    pub(crate) suite: Option<Vec<String>>,
}

/// The package of the socket suite.
const SUITE: &str = "mqtt-conformance";

/// Checks the table against the tests and prints what is proven; or runs the socket suite.
///
/// # Errors
/// If the table does not fit the tests, a statement is open without a word, or the suite failed.
pub(crate) fn main(ws: &Workspace, options: &ConformanceOptions) -> Result<()> {
    if let Some(arguments) = &options.suite {
        return suite(ws, arguments);
    }
    let tree = Tree::tracked(&ws.root)?;
    let mut statements = statement::parse(tree.read(statement::PATH)?)?;
    let tests = scan::tests(&tree);
    if options.fix {
        check::fix(&mut statements, &tests);
        statements = statement::parse(&write(&ws.root, &statements)?)?;
    }
    if options.list {
        print!("{}", report::list(&statements));
    } else {
        print!("{}", report::table(&statements));
    }
    let problems = check::check(&tree, &statements, &tests);
    if problems.is_empty() {
        return Ok(());
    }
    println!();
    for problem in &problems {
        let place = red(&format!("{}:{}:", problem.path, problem.line));
        println!("{place} {}", problem.text);
    }
    println!(
        "{}",
        bold(&format!("conformance: {} findings", problems.len()))
    );
    Err(Error::Told)
}

fn write(root: &Path, statements: &[statement::Statement]) -> Result<String> {
    let text = statement::write(statements);
    std::fs::write(root.join(statement::PATH), &text)
        .map_err(|error| format!("{}: {error}", statement::PATH))?;
    Ok(text)
}

/// Runs the socket suite against a broker that is up.
fn suite(ws: &Workspace, arguments: &[String]) -> Result<()> {
    if ws.member(SUITE).is_none() {
        return Err(
            format!("the socket suite, package `{SUITE}`, is not in this workspace").into(),
        );
    }
    let run = Program::cargo(&ws.root)
        .args(["run", "--quiet", "--package", SUITE, "--"])
        .args(arguments)
        .run();
    // It has said itself what is wrong.
    run.map_err(|_| Error::Told)
}
