//! `cargo xtask size`: what the protocol takes on a Cortex-M3, linked without an allocator.

use std::path::Path;

use crate::bare_metal::BareMetal;
use crate::shell::{Program, Result};
use crate::workspace::{Workspace, parse, read};

const TARGET: &str = "thumbv7m-none-eabi";

/// The program that all others are compared with: the same start code, and nothing else.
const EMPTY: &str = "empty";

/// Finds the compiler, builds, and prints the table.
///
/// # Errors
/// If the compiler is missing, a program does not link, or it refers to an allocator.
pub(crate) fn main(ws: &Workspace) -> Result<()> {
    let bare = BareMetal::find(ws)
        .map_err(|missing| format!("needs Debian's compiler: {}", missing.install()))?;
    run(ws, &bare)
}

/// Builds the programs of `xtask/size` and prints what each takes beyond the empty one.
///
/// # Errors
/// If a program does not link, or it refers to an allocator.
pub(crate) fn run(ws: &Workspace, bare: &BareMetal) -> Result<()> {
    let dir = ws.root.join("xtask/size");
    let programs = programs(&read(&dir.join("Cargo.toml"))?)?;
    let build_std = [
        "-Zbuild-std=core",
        "-Zbuild-std-features=compiler-builtins-mem",
    ];
    bare.cargo(&dir)
        .args(["build", "--release", "--locked", "--target", TARGET])
        .args(build_std)
        .run()?;

    let built = bare.target.join(TARGET).join("release");
    let empty = measure(&built.join(EMPTY), &dir)?;
    println!(
        "\nCortex-M3 ({TARGET}), opt-level z, beyond an empty program; RAM without stack and buffers:"
    );
    println!(
        "  {:<18} {:>8} {:>8} {:>9} {:>6}",
        "program", "flash B", "RAM B", "session B", "panics"
    );
    for (program, about) in programs.iter().filter(|(name, _)| name != EMPTY) {
        let elf = built.join(program);
        let size = measure(&elf, &dir)?;
        let flash = size.flash.saturating_sub(empty.flash);
        let ram = size.ram.saturating_sub(empty.ram);
        let session = size
            .session
            .map_or_else(|| "-".to_owned(), |bytes| bytes.to_string());
        let panics = if size.panics { "yes" } else { "no" };
        println!("  {program:<18} {flash:>8} {ram:>8} {session:>9} {panics:>6}  {about}");
    }
    Ok(())
}

/// Names of the programs and what each holds, from the manifest's `[[bin]]` tables and the metadata beside them.
fn programs(manifest: &str) -> Result<Vec<(String, String)>> {
    let table = parse(manifest)?;
    let about = crate::workspace::at(&table, &["package", "metadata", "programs"])
        .and_then(|value| value.as_table());
    let about = about.ok_or("xtask/size/Cargo.toml has no [package.metadata.programs]")?;
    let row = |(name, text): (&toml::Spanned<_>, &toml::Spanned<toml::de::DeValue<'_>>)| {
        let name: &toml::de::DeString<'_> = name.get_ref();
        (
            name.to_string(),
            text.get_ref().as_str().unwrap_or_default().to_owned(),
        )
    };
    Ok(about.iter().map(row).collect())
}

/// What a linked program takes.
#[derive(Debug, PartialEq, Eq)]
struct Size {
    /// Code, constants and the first values of variables.
    flash: usize,
    /// Variables, without the stack.
    ram: usize,
    /// Size of the session's struct, where the program says it.
    session: Option<usize>,
    /// Whether a path to a panic is left in the code.
    panics: bool,
}

fn measure(elf: &Path, dir: &Path) -> Result<Size> {
    let symbols = Program::new("arm-none-eabi-nm", dir)
        .args(["-S"])
        .args([elf])
        .capture()?;
    if let Some(symbol) = allocator_symbol(&symbols) {
        let name = elf.file_name().unwrap_or_default().to_string_lossy();
        return Err(
            format!("{name} refers to an allocator (`{symbol}`): firmware has none").into(),
        );
    }
    let sections = Program::new("arm-none-eabi-size", dir)
        .args([elf])
        .capture()?;
    let (flash, ram) = flash_and_ram(&sections)
        .ok_or_else(|| format!("cannot read the output of arm-none-eabi-size:\n{sections}"))?;
    Ok(Size {
        flash,
        ram,
        session: session_bytes(&symbols),
        panics: symbols.contains("core9panicking"),
    })
}

fn allocator_symbol(symbols: &str) -> Option<&str> {
    let names = symbols
        .lines()
        .filter_map(|line| line.split_whitespace().last());
    names.into_iter().find(|name| {
        [
            "__rust_alloc",
            "__rust_realloc",
            "__rg_alloc",
            "__rdl_alloc",
        ]
        .iter()
        .any(|marker| name.contains(marker))
    })
}

/// From the table that `size` prints: text, data, bss.
fn flash_and_ram(table: &str) -> Option<(usize, usize)> {
    let mut numbers = table
        .lines()
        .nth(1)?
        .split_whitespace()
        .map(str::parse::<usize>);
    let (text, data, bss) = (
        numbers.next()?.ok()?,
        numbers.next()?.ok()?,
        numbers.next()?.ok()?,
    );
    Some((text + data, data + bss))
}

/// The length of the symbol `SESSION_BYTES`: an array as long as the session, in a section that is not loaded.
fn session_bytes(symbols: &str) -> Option<usize> {
    let line = symbols
        .lines()
        .find(|line| line.ends_with("SESSION_BYTES"))?;
    usize::from_str_radix(line.split_whitespace().nth(1)?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allocator_is_found_by_its_symbols() {
        let clean = "00000010 00000004 T reset\n000001f0 00000010 r SESSION_BYTES\n";
        assert_eq!(allocator_symbol(clean), None);
        let symbol = "_RNvCs1_7___rustc12___rust_alloc";
        assert_eq!(
            allocator_symbol(&format!("{clean}00000200 00000002 T {symbol}\n")),
            Some(symbol)
        );
        assert_eq!(
            allocator_symbol("         U __rg_alloc\n"),
            Some("__rg_alloc")
        );
    }

    #[test]
    fn the_tables_of_binutils_are_read() {
        let table = "   text\t   data\t    bss\t    dec\t    hex\tfilename\n   1252\t      4\t    512\t   1768\t    6e8\tempty\n";
        assert_eq!(flash_and_ram(table), Some((1256, 516)));
        assert_eq!(flash_and_ram("nonsense"), None);
        assert_eq!(
            session_bytes("00000000 00000050 r SESSION_BYTES\n"),
            Some(80)
        );
        assert_eq!(session_bytes("00000000 00000050 T reset\n"), None);
    }

    #[test]
    fn programs_come_with_their_description() {
        let manifest = "[package.metadata.programs]\nempty = 'nothing'\ncodec = 'the codec'\n";
        let expected = [
            ("codec".to_owned(), "the codec".to_owned()),
            ("empty".to_owned(), "nothing".to_owned()),
        ];
        let mut found = programs(manifest).expect("TOML");
        found.sort();
        assert_eq!(found, expected);
        assert!(programs("[package]\nname = 'x'").is_err());
    }
}
