//! Debian's Rust compiler, which builds for microcontrollers without any download of a toolchain.
//!
//! Debian's `rustc-web`, `cargo-web` and `rust-web-src` are one matching set; `RUSTC_BOOTSTRAP=1` lets that stable
//! compiler build `core` itself. It works beside a toolchain of rustup's, in a target folder of its own.

use std::path::{Path, PathBuf};

use crate::shell::{self, Program};
use crate::workspace::Workspace;

/// The compiler for bare-metal targets.
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

/// A Debian package, and a file that shows that it is installed.
type Package = (&'static str, &'static str);

/// What builds libraries.
const COMPILER: [Package; 3] = [
    ("rustc-web", "/usr/bin/rustc"),
    ("cargo-web", "/usr/bin/cargo"),
    (
        "rust-web-src",
        "/usr/lib/rustlib/src/rust/library/core/Cargo.toml",
    ),
];

/// What links programs, and what runs them.
const BOARDS: [Package; 7] = [
    ("binutils-arm-none-eabi", "/usr/bin/arm-none-eabi-ld"),
    (
        "binutils-riscv64-unknown-elf",
        "/usr/bin/riscv64-unknown-elf-ld",
    ),
    ("gcc-avr", "/usr/bin/avr-gcc"),
    ("avr-libc", "/usr/lib/avr/lib/avr5/crtatmega328p.o"),
    ("qemu-system-arm", "/usr/bin/qemu-system-arm"),
    ("qemu-system-misc", "/usr/bin/qemu-system-avr"),
    ("mosquitto", "/usr/sbin/mosquitto"),
];

impl BareMetal {
    /// Looks for the compiler.
    ///
    /// # Errors
    /// If a package is missing.
    pub(crate) fn find(ws: &Workspace) -> Result<Self, Missing> {
        Self::with(ws, &[&COMPILER])
    }

    /// Looks for the compiler, and for what links and runs programs.
    ///
    /// # Errors
    /// If a package is missing.
    pub(crate) fn find_with_boards(ws: &Workspace) -> Result<Self, Missing> {
        Self::with(ws, &[&COMPILER, &BOARDS])
    }

    fn with(ws: &Workspace, packages: &[&[Package]]) -> Result<Self, Missing> {
        let absent = |(_, file): &&Package| !Path::new(file).exists();
        let missing: Vec<_> = packages
            .iter()
            .copied()
            .flatten()
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

    /// The version of the compiler.
    ///
    /// # Errors
    /// If it cannot be started.
    pub(crate) fn version(&self, dir: &Path) -> shell::Result<String> {
        let version = Program::new(COMPILER[0].1, dir)
            .args(["--version"])
            .capture()?;
        Ok(version.trim().to_owned())
    }

    /// Debian's cargo, without what a cargo of rustup's has put into the environment.
    pub(crate) fn cargo(&self, dir: &Path) -> Program {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let debian_first = [PathBuf::from("/usr/bin")]
            .into_iter()
            .chain(std::env::split_paths(&path));
        let mut program = Program::new("/usr/bin/cargo", dir)
            .env("RUSTC_BOOTSTRAP", "1")
            // Debian's compiler tells each attempt at calling a linker.
            .quiet_env("RUSTC_LOG", "error")
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
