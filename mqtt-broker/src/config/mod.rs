//! What a broker can be told, and the TOML file that tells it.

mod error;
mod read;
mod table;
mod users;

use std::fs;
use std::path::{Path, PathBuf};

pub use error::ConfigError;

use crate::auth::{PasswordSettings, Users};
use crate::core::Settings;
use crate::store::Options;

/// Everything that a broker can be told.
///
/// The fields stand for the keys of the configuration file; [`Config::reference`] lists them all with type and default.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Config {
    /// Addresses to listen on, `HOST[:PORT]`; port 1883 when not said. Empty: 127.0.0.1 and, where there is one, `[::1]`.
    pub listen: Vec<String>,
    /// Whether clients without a user name are served on addresses that are not loopback, or beside [`users`](Self::users); default no.
    pub allow_anonymous: bool,
    /// Worker threads; 0, the default, is one for each core that the process may use.
    pub workers: u16,
    /// Where sessions, queues and retained messages are kept; `None`, the default, keeps them in memory only.
    pub data_dir: Option<PathBuf>,
    /// How the store there is kept.
    pub store: Options,
    /// What was said that counts with a data directory only, and where.
    needs_data_dir: Option<String>,
    /// What the binary logs; the library leaves that to the program that embeds it.
    pub log: LogLevel,
    /// Who may connect, with which password: section `[users]` of the file. `None`, the default: nobody has to give one.
    pub users: Option<Users>,
    /// How passwords are checked: section `[passwords]` of the file.
    pub passwords: PasswordSettings,
    /// Limits and defaults of the protocol: section `[limits]` of the file.
    pub settings: Settings,
}

/// How much the binary logs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum LogLevel {
    /// Nothing.
    Off,
    /// What ended the broker or a part of it.
    Error,
    /// What its operator should look at.
    Warn,
    /// The default: connections that come and go, too.
    #[default]
    Info,
    /// What is refused, and why.
    Debug,
    /// Everything.
    Trace,
}

impl LogLevel {
    /// The names, in order.
    pub const NAMES: &'static [&'static str] = &["off", "error", "warn", "info", "debug", "trace"];

    const ALL: [Self; 6] = [
        Self::Off,
        Self::Error,
        Self::Warn,
        Self::Info,
        Self::Debug,
        Self::Trace,
    ];

    /// The level of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let place = Self::NAMES.iter().position(|known| *known == name)?;
        Self::ALL.get(place).copied()
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }
}

impl Config {
    /// Reads a TOML file.
    ///
    /// # Errors
    /// If it cannot be read, is not TOML, or has a key that is unknown or of the wrong type: the error names file, line and the
    /// nearest valid key, and reports every such key at once.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        let path = path.as_ref();
        let text = fs::read_to_string(path).map_err(|error| ConfigError::file(path, error))?;
        Self::from_toml(&text, &path.display().to_string())
    }

    /// Reads TOML; `name` stands for the file in messages.
    ///
    /// # Errors
    /// As [`Config::from_file`].
    pub fn from_toml(text: &str, name: &str) -> Result<Self, ConfigError> {
        read::read(text, name)
    }

    /// Notes that something was said which counts with a [data directory](Self::data_dir) only: without one the broker does not start, and
    /// names `what`. The file's key `durability` is such a thing.
    pub fn require_data_dir(&mut self, what: impl Into<String>) {
        self.needs_data_dir.get_or_insert_with(|| what.into());
    }

    /// What was said in vain because there is no data directory.
    pub(crate) fn without_data_dir(&self) -> Option<&str> {
        let needs = self.needs_data_dir.as_deref();
        needs.filter(|_| self.data_dir.is_none())
    }

    /// The keys of the file as a Markdown table: key, type, default, meaning.
    #[must_use]
    pub fn reference() -> String {
        table::markdown()
    }

    /// The keys of the file as plain text for a terminal of `width` columns.
    #[must_use]
    pub fn help(width: usize) -> String {
        table::plain(width)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_have_the_names_of_their_order() {
        for level in LogLevel::ALL {
            assert_eq!(LogLevel::named(level.name()), Some(level));
        }
        assert_eq!(LogLevel::named("loud"), None);
    }
}
