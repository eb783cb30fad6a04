//! Why a configuration is refused.

use core::fmt;
use std::io;
use std::path::Path;

/// A configuration file that cannot be used; its message has one line for each finding, `FILE:LINE: WHAT`.
#[derive(Debug)]
pub struct ConfigError {
    findings: Vec<String>,
    source: Option<io::Error>,
}

impl ConfigError {
    pub(super) fn file(path: &Path, error: io::Error) -> Self {
        Self {
            findings: vec![format!("{}: cannot be read", path.display())],
            source: Some(error),
        }
    }

    pub(super) fn findings(findings: Vec<String>) -> Self {
        Self {
            findings,
            source: None,
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.findings.join("\n"))
    }
}

impl core::error::Error for ConfigError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        self.source
            .as_ref()
            .map(|error| error as &(dyn core::error::Error + 'static))
    }
}
