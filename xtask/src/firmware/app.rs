//! `cargo xtask firmware --app`: an application in QEMU for somebody to watch.

use super::boards::BOARDS;
use super::programs::{Run, TABLE, Table};
use super::{Firmware, folder, host_cargo};
use crate::bare_metal::BareMetal;
use crate::shell::{Program, Result};
use crate::workspace::{Workspace, read};

/// Builds the application for the first board, and runs it until it is stopped.
///
/// # Errors
/// If there is no such application, or something does not build or run.
pub(super) fn watch(ws: &Workspace, bare: &BareMetal, name: &str) -> Result<()> {
    let table = Table::parse(&read(&ws.root.join(TABLE))?)?;
    let app = table.programs.iter().find_map(|program| match program.run {
        Run::App { dialect } if program.name == name => Some(dialect),
        _ => None,
    });
    let dialect = app.ok_or_else(|| format!("{TABLE} has no application `{name}`"))?;
    let (firmware, board) = (Firmware { ws, bare }, &BOARDS[0]);
    firmware.build(board).run()?;
    firmware.build_tools()?;
    host_cargo(ws, "build")
        .args(["--quiet", "-p", "firmware-harness"])
        .run()?;
    Program::new(ws.target.join("firmware/debug/watch-firmware"), &folder(ws))
        .args([
            board.name.as_ref(),
            board.program(&bare.target, name).as_os_str(),
        ])
        .args([ws.target.join("debug/at-modem")])
        .args(["--", "--dialect", dialect])
        .run()
}
