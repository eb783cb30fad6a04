//! The program `mqtt-broker`: reads what it is told, runs a broker, stops it on a signal.
#![expect(
    clippy::print_stdout,
    reason = "the addresses and the first steps are this program's answer to its user"
)]

mod cli;
mod hash;
mod logging;
mod signals;

use std::process::ExitCode;

use clap::Parser;
use mqtt_broker::Broker;

use cli::{Cli, Command, Failure};

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(status) => status,
        Err(failure) => failure.report(),
    }
}

fn run(cli: &Cli) -> Result<ExitCode, Failure> {
    match &cli.command {
        Some(Command::HashPassword { user }) => {
            hash::run(user.as_deref())?;
            return Ok(ExitCode::SUCCESS);
        }
        Some(Command::Store(command)) => return Ok(command.run()?),
        None => {}
    }
    let config = cli.config()?;
    let about = cli::About {
        users: config.users.is_some(),
        kept: config.data_dir.is_some(),
    };
    if cli.check_config {
        Broker::builder().config(config).check()?;
        println!("the configuration is valid");
        return Ok(ExitCode::SUCCESS);
    }
    logging::start(config.log);
    // Best effort: with fewer files there are fewer connections, and the log says so when it comes to that.
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    signals::outlive_file_limits()?;
    let broker = Broker::builder().config(config).start_blocking()?;
    signals::stop_on_signal(&broker)?;
    cli::greet(broker.local_addrs(), about);
    broker.stopped_blocking()?;
    Ok(ExitCode::SUCCESS)
}
