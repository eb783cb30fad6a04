//! Everything a contributor runs: `cargo xtask --help` lists it.
#![expect(
    clippy::print_stdout,
    reason = "a command-line tool answers on standard output"
)]

mod bare_metal;
mod bench;
mod ci;
mod conformance;
mod crash;
mod firmware;
mod flags;
mod footprint;
mod fuzz;
mod instructions;
mod mutations;
mod shell;
mod sim;
mod tally;
mod test;
mod tidy;
mod tree;
mod workspace;

use std::process::ExitCode;

use flags::Command;
use workspace::Workspace;

fn main() -> ExitCode {
    let command = match flags::parse(std::env::args_os()) {
        Ok(command) => command,
        Err(error) => {
            eprintln!("error: {error}\n\nTry `cargo xtask --help`.");
            return ExitCode::from(2);
        }
    };
    let outcome = match command {
        Command::Help(text) => {
            print!("{text}");
            return ExitCode::SUCCESS;
        }
        Command::Ci(options) => Workspace::find().and_then(|ws| ci::main(&ws, &options)),
        Command::Test(options) => Workspace::find().and_then(|ws| test::main(&ws, &options)),
        Command::Tidy(options) => Workspace::find().and_then(|ws| tidy::main(&ws, options)),
        Command::Conformance(options) => {
            Workspace::find().and_then(|ws| conformance::main(&ws, &options))
        }
        Command::Fuzz(options) => Workspace::find().and_then(|ws| fuzz::main(&ws, &options)),
        Command::Sim(arguments) => Workspace::find().and_then(|ws| sim::main(&ws, &arguments)),
        Command::Crash(options) => Workspace::find().and_then(|ws| crash::main(&ws, &options)),
        Command::Mutations(options) => {
            Workspace::find().and_then(|ws| mutations::main(&ws, &options))
        }
        Command::Firmware(options) => {
            Workspace::find().and_then(|ws| firmware::main(&ws, &options))
        }
        Command::Footprint(options) => {
            Workspace::find().and_then(|ws| footprint::main(&ws, &options))
        }
        Command::Instructions { record } => {
            Workspace::find().and_then(|ws| instructions::main(&ws, record))
        }
        Command::Bench(options) => Workspace::find().and_then(|ws| bench::main(&ws, &options)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if !error.is_told() {
                eprintln!("error: {error}");
            }
            ExitCode::FAILURE
        }
    }
}
