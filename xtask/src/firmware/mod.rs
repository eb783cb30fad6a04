//! `cargo xtask firmware`: builds the programs of `mqtt-device/firmware`, runs them in QEMU, and says what they take.

mod app;
mod boards;
mod elf;
mod matrix;
mod programs;
mod record;
mod report;

use std::path::{Path, PathBuf};

use crate::bare_metal::BareMetal;
use crate::shell::{Error, Program, Result, colour_choice};
use crate::tally::Tally;
use crate::test;
use crate::workspace::{Workspace, read};
use boards::{BOARDS, Board};
use elf::Elf;
use programs::{Run, TABLE, Table};
use record::{RECORD, Size, Sizes};
use report::Measured;

/// What to do with the sizes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FirmwareOptions {
    /// Fail when a size has grown beyond what is recorded.
    pub(crate) check: bool,
    /// Write the sizes down.
    pub(crate) record: bool,
    /// Fail when a bar is missed.
    pub(crate) strict: bool,
    /// Try every fault at every byte, five times, instead of a sample.
    pub(crate) full: bool,
    /// Do nothing of all that, but run this application for somebody to watch.
    pub(crate) app: Option<String>,
    /// Do nothing of all that, but count what a conversation takes on the wire.
    pub(crate) wire: bool,
}

/// Builds, tests, measures, and prints.
///
/// # Errors
/// If a package is missing, a program does not build, does not end well or has in it what it must not have; and as the options say.
pub(crate) fn main(ws: &Workspace, options: &FirmwareOptions) -> Result<()> {
    if options.wire {
        return wire(ws);
    }
    let bare = BareMetal::find_with_boards(ws)
        .map_err(|missing| format!("needs compilers and QEMU: {}", missing.install()))?;
    if let Some(name) = &options.app {
        return app::watch(ws, &bare, name);
    }
    let tally = run(ws, &bare, options)?;
    println!("\n{tally}");
    if tally.failed > 0 || (tally.skipped > 0 && test::in_ci()) {
        return Err(Error::Told);
    }
    Ok(())
}

/// Counts the bytes of conversations on the wire, beside the model; says so where that cannot be done.
///
/// # Errors
/// If a bar is missed.
pub(crate) fn wire(ws: &Workspace) -> Result<()> {
    Program::cargo(&ws.root)
        .args([
            "build",
            "--quiet",
            "--locked",
            "-p",
            "mqtt-broker",
            "--bins",
        ])
        .run()?;
    host_cargo(ws, "build")
        .args(["--quiet", "-p", "wire"])
        .run()?;
    Program::new(ws.target.join("firmware/debug/wire"), &folder(ws))
        .args([ws.target.join("debug/mqtt-broker")])
        .run()
}

/// The same for a caller that counts the tests.
///
/// # Errors
/// As for [`main`], failed tests excepted.
pub(crate) fn run(ws: &Workspace, bare: &BareMetal, options: &FirmwareOptions) -> Result<Tally> {
    let firmware = Firmware { ws, bare };
    let table = Table::parse(&read(&ws.root.join(TABLE))?)?;
    firmware.check_table(&table)?;
    for board in &BOARDS {
        firmware.build(board).run()?;
    }
    firmware.check_panics_do_not_link()?;
    let tally = firmware.test()?;
    let measured = firmware.measure(&table)?;
    matrix::run(ws, bare, options.full)?;
    report::print(&table, &measured);
    let now = Sizes {
        compiler: bare.version(&ws.root)?,
        sizes: measured.iter().map(|row| row.size.clone()).collect(),
    };
    let path = ws.root.join(RECORD);
    if options.record {
        std::fs::write(&path, now.to_string())
            .map_err(|error| format!("{}: {error}", path.display()))?;
        println!("\n{} sizes recorded in {RECORD}", now.sizes.len());
    } else {
        let comparison = now.compare(&Sizes::parse(&read(&path)?)?);
        report::print_comparison(&comparison);
        if options.check && comparison.comparable && !comparison.grown.is_empty() {
            return Err(Error::Told);
        }
    }
    let missed = report::print_bars(&table, &now);
    if options.strict && missed > 0 {
        return Err(Error::Told);
    }
    Ok(tally)
}

/// Lints what the compiler of this tool can build.
///
/// # Errors
/// If there is a warning.
pub(crate) fn lint(ws: &Workspace) -> Result<()> {
    let packages = HOSTED.map(|name| ["-p", name]).concat();
    host_cargo(ws, "clippy")
        .args(packages)
        .args(["--all-targets", "--", "-D", "warnings"])
        .run()
}

/// The crates that are no board's.
const HOSTED: [&str; 7] = [
    "firmware-apps",
    "firmware-board",
    "firmware-harness",
    "firmware-measured",
    "firmware-mem",
    "host",
    "wire",
];

/// The program that must not link, and what the linker says.
const PLANTED: (&str, &str) = ("planted-panic", "a_panic_can_be_reached");

/// How often a conversation is run: an interrupt may come when the stack is deepest, or may not.
const RUNS: usize = 5;

fn folder(ws: &Workspace) -> PathBuf {
    ws.root.join("mqtt-device/firmware")
}

fn host_cargo(ws: &Workspace, command: &str) -> Program {
    Program::cargo(&folder(ws))
        .args([command, "--locked", "--target-dir"])
        .args([ws.target.join("firmware")])
}

struct Firmware<'w> {
    ws: &'w Workspace,
    bare: &'w BareMetal,
}

impl Firmware<'_> {
    /// A program that the table does not name is not measured, and would not be missed.
    fn check_table(&self, table: &Table) -> Result<()> {
        for board in &BOARDS {
            let path = folder(self.ws).join(board.package).join("src/bin");
            let entries =
                std::fs::read_dir(&path).map_err(|error| format!("{}: {error}", path.display()))?;
            for entry in entries {
                let file = entry.map_err(|error| error.to_string())?.path();
                let name = file.file_stem().unwrap_or_default().to_string_lossy();
                let listed = table
                    .programs
                    .iter()
                    .any(|program| *program.name == *name && program.boards.contains(&board));
                if !listed {
                    return Err(format!(
                        "{TABLE} does not say what {} is on {}",
                        file.display(),
                        board.name
                    )
                    .into());
                }
            }
        }
        Ok(())
    }

    fn build(&self, board: &Board) -> Program {
        self.bare
            .cargo(&folder(self.ws))
            .args(["build", "--release", "--locked", "--package", board.package])
            .args(["--bins", "--target", board.target, "-Zbuild-std=core"])
    }

    /// A panic is planted in a program that says it has none; the linker must refuse it.
    fn check_panics_do_not_link(&self) -> Result<()> {
        let mut refused = false;
        let linked = self
            .build(&BOARDS[0])
            .args(["--features", PLANTED.0])
            .listen(|line| refused |= line.contains(PLANTED.1))?;
        if linked || !refused {
            return Err(format!(
                "the program {} has a panic, and was not refused for it",
                PLANTED.0
            )
            .into());
        }
        println!("a planted panic does not link");
        Ok(())
    }

    /// The programs of the workspace that firmware is tested with.
    fn build_tools(&self) -> Result<()> {
        Program::cargo(&self.ws.root)
            .args(["build", "--quiet", "--locked"])
            .args(["-p", "mqtt-at-modem", "-p", "mqtt-broker", "--bins"])
            .run()
    }

    fn test(&self) -> Result<Tally> {
        self.build_tools()?;
        let packages = HOSTED.map(|name| ["-p", name]).concat();
        let program = host_cargo(self.ws, "test")
            .args(packages)
            .args(["--no-fail-fast", "--color", colour_choice()])
            .quiet_env("FIRMWARE_TOOLS", self.ws.target.join("debug"))
            .quiet_env("FIRMWARE_BUILT", &self.bare.target);
        test::watched(program)
    }

    fn measure(&self, table: &Table) -> Result<Vec<Measured>> {
        let dir = folder(self.ws);
        host_cargo(self.ws, "build")
            .args(["--quiet", "-p", "firmware-harness"])
            .run()?;
        let mut rows = Vec::new();
        for board in &BOARDS {
            let mut empty = None;
            let here = |program: &&programs::Program| program.boards.contains(&board);
            for program in table.programs.iter().filter(here) {
                let path = board.program(&self.bare.target, &program.name);
                let elf = Elf::measure(board, &path, &dir)?;
                if program.no_panics && !elf.panics.is_empty() {
                    return Err(format!(
                        "{} {}: a panic is left in {:?}",
                        board.name, program.name, elf.panics
                    )
                    .into());
                }
                let empty = *empty.get_or_insert(elf.flash);
                let ends = !matches!(program.run, Run::App { .. });
                let stack = (board.runs && ends)
                    .then(|| self.stack(board, &path, &program.run))
                    .transpose()?;
                // In the other runs it is chance whether an interrupt comes when the stack is deepest.
                let talks = program.run == Run::Broker;
                let ram = |stack: u32| talks.then_some(stack + elf.variables);
                let size = Size {
                    board: board.name.to_owned(),
                    program: program.name.clone(),
                    flash: elf.flash.saturating_sub(empty),
                    ram: stack.and_then(|(_, most)| ram(most)),
                    least_ram: stack.and_then(|(least, _)| ram(least)),
                };
                rows.push(Measured {
                    board,
                    size,
                    stack: stack.map(|(_, most)| most),
                    panics: elf.panics,
                });
            }
        }
        Ok(rows)
    }

    /// The peak of the stack in some runs, which all must end well: the least and the most.
    fn stack(&self, board: &Board, program: &Path, run: &Run) -> Result<(u32, u32)> {
        let (mut least, mut most) = (u32::MAX, 0);
        let runs = if *run == Run::Broker { RUNS } else { 1 };
        for _ in 0..runs {
            let harness = self.ws.target.join("firmware/debug/run-firmware");
            let harness = Program::new(harness, &folder(self.ws)).args([board.name]);
            let harness = match run {
                Run::Broker => harness,
                Run::Modem => {
                    let modem = self.ws.target.join("debug/at-modem");
                    harness.args(["--modem".as_ref(), modem.as_os_str()])
                }
                Run::Bytes(bytes) => harness.args(["--bytes", bytes]),
                Run::App { .. } => return Err("an application never ends".into()),
            };
            let said = harness.args([program]).capture()?;
            let stack: u32 = said
                .lines()
                .find_map(|line| line.strip_prefix("exit 0, stack ")?.trim().parse().ok())
                .ok_or_else(|| format!("{}: no verdict in {said:?}", program.display()))?;
            least = least.min(stack);
            most = most.max(stack);
        }
        Ok((least, most))
    }
}
