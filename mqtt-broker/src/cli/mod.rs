//! The command line.

mod failure;
mod greeting;
mod store;

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Parser, Subcommand};
use mqtt_broker::store::Durability;
use mqtt_broker::{Config, ConfigError, LogLevel};

pub(crate) use failure::Failure;
pub(crate) use greeting::{About, greet};
pub(crate) use store::{StoreCommand, StoreFailure};

/// An MQTT broker: versions 3.1, 3.1.1 and 5.0 on one port.
///
/// Without options it serves this machine only, on port 1883.
#[derive(Debug, Parser)]
#[command(version, after_long_help = keys(), args_conflicts_with_subcommands = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,

    /// Listen on this address, HOST[:PORT], instead of those of the configuration; may be repeated
    #[arg(short, long, value_name = "ADDR")]
    listen: Vec<String>,

    /// Read this configuration file (TOML; --help lists its keys)
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Only say whether the configuration is valid
    #[arg(long)]
    pub(crate) check_config: bool,

    /// Serve clients without a user name, on addresses that are not loopback and beside [users] too
    #[arg(long)]
    allow_anonymous: bool,

    /// Keep sessions, queues and retained messages in this directory over a restart
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,

    /// With --data-dir: when an answer leaves [default: fsync]
    ///
    /// fsync: when the disk has what it promises; survives a power cut, and has an SD card write a block of some 16 kB for a lone message. os: when the
    /// system has it; survives a crash of the broker, not a power cut, and spares SD cards. none: at once; a crash loses about the last second.
    #[arg(long, value_name = "WHEN", value_parser = PossibleValuesParser::new(Durability::NAMES))]
    durability: Option<String>,

    /// With --data-dir: where something stored is damaged, set it aside and go on with the rest
    #[arg(long)]
    repair: bool,

    /// What is logged to standard error [default: info]
    #[arg(long, value_name = "LEVEL", value_parser = PossibleValuesParser::new(LogLevel::NAMES))]
    log: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Turn a password into the line of the configuration that lets its user in
    ///
    /// Asks for the password twice on the terminal, without showing it, or takes one line from a pipe. Its Argon2id hash is
    /// printed on standard output, and where to put it on standard error.
    HashPassword {
        /// The user's name, for the line that is shown
        user: Option<String>,
    },
    /// Look into the store of a data directory, take its content out and in
    ///
    /// No broker may have it open meanwhile.
    #[command(subcommand)]
    Store(StoreCommand),
}

fn keys() -> String {
    let keys = Config::help(100);
    format!("Keys of the configuration file, with their defaults:\n{keys}")
}

impl Cli {
    /// The configuration file, with what the command line says on top.
    pub(crate) fn config(&self) -> Result<Config, ConfigError> {
        let mut config = match &self.config {
            Some(path) => Config::from_file(path)?,
            None => Config::default(),
        };
        if !self.listen.is_empty() {
            config.listen.clone_from(&self.listen);
        }
        config.allow_anonymous |= self.allow_anonymous;
        if self.data_dir.is_some() {
            config.data_dir.clone_from(&self.data_dir);
        }
        if let Some(durability) = self.durability.as_deref().and_then(Durability::named) {
            config.store.durability = durability;
            config.require_data_dir("--durability");
        }
        if self.repair {
            config.store.repair = true;
            config.require_data_dir("--repair");
        }
        if let Some(level) = self.log.as_deref().and_then(LogLevel::named) {
            config.log = level;
        }
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn the_command_line_goes_before_the_file() {
        let cli = Cli::parse_from([
            "mqtt-broker",
            "--listen",
            "1884",
            "--listen",
            "1885",
            "--log",
            "warn",
        ]);
        let config = cli.config().expect("no file, no error");
        assert_eq!(config.listen, ["1884", "1885"]);
        assert_eq!(config.log, LogLevel::Warn);
        assert!(!config.allow_anonymous);
    }
}
