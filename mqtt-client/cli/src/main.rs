//! The command-line tool mqtt: publish and subscribe.

mod arguments;
mod connect;
mod failure;
mod format;
mod json;
mod property;
mod publish;
mod subscribe;

use std::process::ExitCode;

use clap::Parser as _;

use arguments::{Cli, Command};
use failure::Failure;

fn main() -> ExitCode {
    let arguments = arguments::with_properties_joined(std::env::args_os());
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(mut error) => {
            property::show_as_typed(&mut error);
            // Help and version go to standard output and are no failure.
            let code = u8::from(error.use_stderr());
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    let quiet = cli.command.connection().quiet;
    match run(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !quiet {
                failure.print();
            }
            ExitCode::from(failure.code)
        }
    }
}

fn run(command: Command) -> Result<(), Failure> {
    // A worker beside the main thread, so that slow output does not keep the connection from being kept alive.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|error| Failure::new(1, format!("cannot start: {error}")))?;
    let result = runtime.block_on(async {
        match command {
            Command::Pub(arguments) => publish::run(arguments).await,
            Command::Sub(arguments) => subscribe::run(arguments).await,
        }
    });
    // A thread may still wait for standard input; nobody waits for it.
    runtime.shutdown_background();
    result
}
