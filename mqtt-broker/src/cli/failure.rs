//! How failures are reported.

use std::io;
use std::process::ExitCode;

use mqtt_broker::{BrokerError, ConfigError};

use super::StoreFailure;
use crate::hash::PasswordFailure;

/// Why the program ends with a status other than 0.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Password(#[from] PasswordFailure),
    #[error(transparent)]
    Store(#[from] StoreFailure),
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
            Self::Store(failure) => failure.status(),
            Self::Config(_)
            | Self::Password(PasswordFailure::Given(_))
            | Self::Broker(
                BrokerError::Address { .. }
                | BrokerError::Anonymous { .. }
                | BrokerError::NoDataDir { .. },
            ) => ExitCode::from(2),
            _ => ExitCode::FAILURE,
        }
    }
}
