//! Debian's Rust compiler, which builds for microcontrollers without any download of a toolchain.
//!
//! Debian's `rustc-web`, `cargo-web` and `rust-web-src` are one matching set; `RUSTC_BOOTSTRAP=1` lets that stable
//! compiler build `core` itself. It works beside a toolchain of rustup's, in a target folder of its own.

use std::path::{Path, PathBuf};

use crate::shell::Program;
use crate::workspace::Workspace;

/// The compiler and linker for bare-metal targets.
#[derive(Debug)]
pub(crate) struct BareMetal {
    /// Where it builds.
    pub(crate) target: PathBuf,
}

/// The Debian packages that are not installed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Missing(Vec<&'static str>);

impl Missing {
    /// The command that installs them.
    pub(crate) fn install(&self) -> String {
        format!(
            "apt-get install -y --no-install-recommends {}",
            self.0.join(" ")
        )
    }
}

/// A file that shows that a Debian package is installed.
const PACKAGES: [(&str, &str); 4] = [
    ("rustc-web", "/usr/bin/rustc"),
    ("cargo-web", "/usr/bin/cargo"),
    (
        "rust-web-src",
        "/usr/lib/rustlib/src/rust/library/core/Cargo.toml",
    ),
    ("binutils-arm-none-eabi", "/usr/bin/arm-none-eabi-ld"),
];

impl BareMetal {
    /// Looks for the compiler.
    ///
    /// # Errors
    /// If a package is missing.
    pub(crate) fn find(ws: &Workspace) -> Result<Self, Missing> {
        let absent = |(_, file): &&(&str, &str)| !Path::new(file).exists();
        let missing: Vec<_> = PACKAGES
            .iter()
            .filter(absent)
            .map(|(package, _)| *package)
            .collect();
        if missing.is_empty() {
            Ok(Self {
                target: ws.target.join("bare-metal"),
            })
        } else {
            Err(Missing(missing))
        }
    }

    /// Debian's cargo, without what a cargo of rustup's has put into the environment.
    pub(crate) fn cargo(&self, dir: &Path) -> Program {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let debian_first = [PathBuf::from("/usr/bin")]
            .into_iter()
            .chain(std::env::split_paths(&path));
        let mut program = Program::new("/usr/bin/cargo", dir)
            .env("RUSTC_BOOTSTRAP", "1")
            .quiet_env("PATH", std::env::join_paths(debian_first).unwrap_or(path))
            .quiet_env("CARGO_TARGET_DIR", &self.target);
        for name in [
            "CARGO",
            "RUSTC",
            "RUSTDOC",
            "RUSTC_WRAPPER",
            "RUSTFLAGS",
            "CARGO_ENCODED_RUSTFLAGS",
            "RUSTUP_TOOLCHAIN",
        ] {
            program = program.without_env(name);
        }
        program
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named_as_a_command() {
        let missing = Missing(vec!["rustc-web", "binutils-arm-none-eabi"]);
        assert_eq!(
            missing.install(),
            "apt-get install -y --no-install-recommends rustc-web binutils-arm-none-eabi"
        );
    }
}
