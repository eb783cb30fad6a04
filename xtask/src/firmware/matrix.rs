//! The firmware under every fault, by the program `firmware-matrix`.

use super::host_cargo;
use crate::bare_metal::BareMetal;
use crate::shell::Result;
use crate::workspace::Workspace;

/// Cuts that are chosen when not all are tried.
const SAMPLE: &str = "16";
/// How often everything is tried when all is.
const ROUNDS: &str = "5";

/// Tries every fault once and some cuts, or all of it, five times in a row; the firmware and the programs of the host are built.
///
/// # Errors
/// If a run is not good.
pub(super) fn run(ws: &Workspace, bare: &BareMetal, full: bool) -> Result<()> {
    let program = |name: &str| ws.target.join("debug").join(name);
    let how_much = if full {
        ["--rounds", ROUNDS]
    } else {
        ["--sample", SAMPLE]
    };
    println!("\nfirmware under faults");
    host_cargo(ws, "run")
        .args(["--quiet", "-p", "firmware-harness"])
        .args(["--bin", "firmware-matrix", "--", "--built"])
        .args([&bare.target])
        .args(["--at-modem".into(), program("at-modem")])
        .args(["--broker".into(), program("mqtt-broker")])
        .args(how_much)
        .run()
}
