//! What went wrong, for a person: a sentence, what to do about it, and the exit code.

use std::io::{IsTerminal as _, Write as _};

use mqtt_client::{ConnectionError, ReasonCode, SubscribeError, Version};

/// The exit code of a time that was over; Mosquitto's.
pub(crate) const TIMED_OUT: u8 = 27;
/// The exit code of an interrupted program.
pub(crate) const INTERRUPTED: u8 = 130;

/// Why the tool ends with a code other than 0.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: u8,
    text: String,
    hint: Option<String>,
}

impl Failure {
    pub(crate) fn new(code: u8, text: impl Into<String>) -> Self {
        Self {
            code,
            text: text.into(),
            hint: None,
        }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Prints it to standard error.
    pub(crate) fn print(&self) {
        report("error", "31", &self.text);
        if let Some(hint) = &self.hint {
            report("help", "36", hint);
        }
    }

    /// There is no connection to `address`.
    pub(crate) fn connection(error: &ConnectionError, version: Version) -> Self {
        match error {
            ConnectionError::Connect { address, source } => {
                let ours = matches!(address.host(), "localhost" | "127.0.0.1" | "::1");
                match source.kind() {
                    std::io::ErrorKind::ConnectionRefused if ours => Self::new(
                        1,
                        format!("connection refused by {address}: is a broker running?"),
                    )
                    .hint("start one with `cargo run --release -p mqtt-broker`, or `mosquitto`"),
                    std::io::ErrorKind::ConnectionRefused => {
                        Self::new(1, format!("connection refused by {address}"))
                            .hint("is the broker running, and is it this port (-p)?")
                    }
                    _ if source.to_string().contains("lookup") => Self::new(
                        1,
                        format!("the host {:?} is not known: {source}", address.host()),
                    )
                    .hint(if address.host().contains([':', '/']) {
                        "-h takes a name or an address alone; the port goes with -p"
                    } else {
                        "check the name given with -h"
                    }),
                    _ => Self::new(1, format!("cannot connect to {address}: {source}")),
                }
            }
            ConnectionError::TimedOut { address } => {
                Self::new(1, format!("no answer from {address} in time")).hint(
                    "is it the right port (-p)? A broker that expects TLS there does not answer",
                )
            }
            ConnectionError::Refused { reason, .. } => {
                let code = match version {
                    Version::V5 => reason.0,
                    _ => reason.connect_return_code().unwrap_or(1),
                };
                let failure = Self::new(code, error.to_string());
                match *reason {
                    ReasonCode::BAD_USER_NAME_OR_PASSWORD | ReasonCode::NOT_AUTHORIZED => failure
                        .hint("are user name and password right? They are given with -u and -P"),
                    ReasonCode::UNSUPPORTED_PROTOCOL_VERSION => {
                        failure.hint("choose another version with -V: 31, 311 or 5")
                    }
                    ReasonCode::CLIENT_IDENTIFIER_NOT_VALID => {
                        failure.hint("choose another client id with -i")
                    }
                    _ => failure,
                }
            }
            ConnectionError::Disconnected { reason, .. } => Self::new(reason.0, error.to_string()),
            ConnectionError::Ended => Self::new(1, error.to_string())
                .hint("some brokers close without a word when they do not speak the version (-V)"),
            other => Self::new(1, with_sources(other)),
        }
    }

    /// There is no subscription.
    pub(crate) fn subscription(error: &SubscribeError) -> Self {
        match error {
            SubscribeError::Refused(codes) => {
                let code = codes.first().map_or(1, |code| code.0);
                Self::new(code, error.to_string())
                    .hint("may this user (-u) subscribe to these topics?")
            }
            other => Self::new(1, with_sources(other)),
        }
    }
}

/// An error with its causes in one line.
pub(crate) fn with_sources(error: &dyn core::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// Prints a line to standard error, its label coloured on a terminal.
pub(crate) fn report(label: &str, colour: &str, text: &str) {
    let mut stderr = std::io::stderr().lock();
    let colours = stderr.is_terminal() && std::env::var_os("NO_COLOR").is_none();
    // Nowhere is left to complain about standard error.
    let _ = if colours {
        writeln!(stderr, "\x1b[1;{colour}m{label}:\x1b[0m {text}")
    } else {
        writeln!(stderr, "{label}: {text}")
    };
}
