//! The boards that firmware is built for.

use std::path::{Path, PathBuf};

/// A board, or a processor without one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Board {
    /// What tables call it.
    pub(super) name: &'static str,
    /// What it is.
    pub(super) about: &'static str,
    /// The crate with its programs.
    pub(super) package: &'static str,
    /// What the compiler calls the processor.
    pub(super) target: &'static str,
    /// What stands before `nm`, `size` and `objdump`.
    pub(super) tools: &'static str,
    /// What cargo puts behind a program's name.
    extension: &'static str,
    /// Whether QEMU has it, so that programs are run.
    pub(super) runs: bool,
}

/// All.
pub(super) const BOARDS: [Board; 4] = [
    Board {
        name: "lm3s6965evb",
        about: "Cortex-M3, run in QEMU",
        package: "lm3s6965evb",
        target: "thumbv7m-none-eabi",
        tools: "arm-none-eabi-",
        extension: "",
        runs: true,
    },
    Board {
        name: "uno",
        about: "ATmega328P, 8 bits, run in QEMU",
        package: "uno",
        target: "avr-none",
        tools: "avr-",
        extension: ".elf",
        runs: true,
    },
    Board {
        name: "cortex-m0",
        about: "Cortex-M0 without a board, linked only",
        package: "nowhere",
        target: "thumbv6m-none-eabi",
        tools: "arm-none-eabi-",
        extension: "",
        runs: false,
    },
    Board {
        name: "riscv32imac",
        about: "RISC-V without a board, linked only",
        package: "nowhere",
        target: "riscv32imac-unknown-none-elf",
        tools: "riscv64-unknown-elf-",
        extension: "",
        runs: false,
    },
];

impl Board {
    /// Where a program lies in the folder in which cargo has built it.
    pub(super) fn program(&self, built: &Path, name: &str) -> PathBuf {
        built
            .join(self.target)
            .join("release")
            .join(format!("{name}{}", self.extension))
    }
}
