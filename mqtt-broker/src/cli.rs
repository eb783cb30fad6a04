//! The command line, what is printed at the start, and how failures are reported.

use core::net::SocketAddr;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use crate::hash::PasswordFailure;
use clap::builder::PossibleValuesParser;
use clap::{Parser, Subcommand};
use mqtt_broker::{BrokerError, Config, ConfigError, LogLevel};

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
        if let Some(level) = self.log.as_deref().and_then(LogLevel::named) {
            config.log = level;
        }
        Ok(config)
    }
}

/// Why the program ends with a status other than 0.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Password(#[from] PasswordFailure),
    #[error(transparent)]
    Broker(#[from] BrokerError),
    #[error("the signals of the system cannot be handled")]
    Signals(#[from] io::Error),
}

impl Failure {
    /// Tells the user, with every cause; status 2 is a mistake in what we were told.
    pub(crate) fn report(&self) -> ExitCode {
        let mut text = self.to_string();
        let mut cause = core::error::Error::source(self);
        while let Some(error) = cause {
            text.push_str(&format!(": {error}"));
            cause = error.source();
        }
        for line in text.lines() {
            eprintln!("error: {line}");
        }
        match self {
            Self::Config(_)
            | Self::Password(PasswordFailure::Given(_))
            | Self::Broker(BrokerError::Address { .. } | BrokerError::Anonymous { .. }) => {
                ExitCode::from(2)
            }
            _ => ExitCode::FAILURE,
        }
    }
}

/// Prints where the broker listens, and the first steps when it is there for this machine only.
pub(crate) fn greet(addresses: &[SocketAddr], users: bool) {
    // Somebody who closed our output does not want to read it.
    let _ = io::stdout().write_all(greeting(addresses, users).as_bytes());
}

fn greeting(addresses: &[SocketAddr], users: bool) -> String {
    let mut text = String::new();
    for address in addresses {
        text.push_str(&format!("listening on {address} (mqtt)\n"));
    }
    let Some(first) = addresses.first() else {
        return text;
    };
    if !addresses.iter().all(|address| address.ip().is_loopback()) {
        return text;
    }
    let mut options = String::new();
    if first.ip().to_string() != "127.0.0.1" {
        options.push_str(&format!("-h {} ", first.ip()));
    }
    if first.port() != 1883 {
        options.push_str(&format!("-p {} ", first.port()));
    }
    let (anonymous, how) = if users {
        options.push_str("-u NAME -P PASSWORD ");
        ("", ", with user name and password")
    } else {
        (" --allow-anonymous", "")
    };
    text.push_str(&format!(
        "Only this machine can connect{how}; `--listen 0.0.0.0:{}{anonymous}` lets others in. Try in other terminals:\n\
         \x20 mosquitto_sub {options}-t 'demo/#' -v\n\
         \x20 mosquitto_pub {options}-t demo/hello -m 'hello, world'\n\
         \x20 mosquitto_pub {options}-t demo/state -m 'kept for those who come later' -r\n\
         The tool `mqtt` beside this broker takes the same options: mqtt sub, mqtt pub.\n",
        first.port()
    ));
    text
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

    #[test]
    fn loopback_is_greeted_with_first_steps() {
        let usual = greeting(
            &[
                "127.0.0.1:1883".parse().unwrap(),
                "[::1]:1883".parse().unwrap(),
            ],
            false,
        );
        assert!(
            usual.starts_with(
                "listening on 127.0.0.1:1883 (mqtt)\nlistening on [::1]:1883 (mqtt)\n"
            )
        );
        assert!(usual.contains("mosquitto_sub -t 'demo/#' -v"));
        let other = greeting(&["127.0.0.1:1999".parse().unwrap()], false);
        assert_eq!(other.matches("-p 1999").count(), 3);
        let open = greeting(&["0.0.0.0:1883".parse().unwrap()], false);
        assert_eq!(open, "listening on 0.0.0.0:1883 (mqtt)\n");
        let users = greeting(&["127.0.0.1:1883".parse().unwrap()], true);
        assert_eq!(users.matches("-u NAME -P PASSWORD").count(), 3);
        assert!(!users.contains("anonymous"), "{users}");
    }
}
