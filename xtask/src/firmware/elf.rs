//! What a linked program takes, and what must not be in it.

use std::collections::BTreeSet;
use std::path::Path;

use super::boards::Board;
use crate::shell::{Program, Result};

/// What a linked program takes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Elf {
    /// Code, constants and the first values of variables.
    pub(super) flash: u32,
    /// Variables, without the stack.
    pub(super) variables: u32,
    /// The functions from which a way to a panic is left.
    pub(super) panics: BTreeSet<String>,
}

impl Elf {
    /// Measures a program.
    ///
    /// # Errors
    /// If it refers to an allocator or to the division of 64-bit numbers, or the tools do not answer as expected.
    pub(super) fn measure(board: &Board, elf: &Path, dir: &Path) -> Result<Self> {
        let tool = |name: &str, arguments: &[&str]| {
            Program::new(format!("{}{name}", board.tools), dir)
                .args(arguments)
                .args([elf])
                .capture()
        };
        let symbols = tool("nm", &[])?;
        let name = elf.file_name().unwrap_or_default().to_string_lossy();
        if let Some(symbol) = forbidden(&symbols) {
            return Err(format!("{}: {name} refers to `{symbol}`", board.name).into());
        }
        let table = tool("size", &[])?;
        let (flash, variables) = sizes(&table)
            .ok_or_else(|| format!("cannot read the output of {}size:\n{table}", board.tools))?;
        Ok(Self {
            flash,
            variables,
            panics: readable(&panic_paths(&tool("objdump", &["-d"])?), dir)?,
        })
    }
}

/// Names as in the source; the tools for AVR are too old to know how Rust's compiler writes them.
fn readable(names: &BTreeSet<String>, dir: &Path) -> Result<BTreeSet<String>> {
    if names.is_empty() {
        return Ok(BTreeSet::new());
    }
    let readable = Program::new("arm-none-eabi-c++filt", dir)
        .args(["--no-verbose"])
        .args(names)
        .capture()?;
    Ok(readable.lines().map(without_arguments).collect())
}

/// A name without the arguments of generic types and functions, which make it longer than a screen is wide.
fn without_arguments(name: &str) -> String {
    let mut short = String::new();
    let mut depth = 0_u32;
    let mut before = ' ';
    for c in name.chars() {
        match c {
            '<' if depth > 0 || before.is_alphanumeric() || before == ':' || before == '_' => {
                depth += 1;
            }
            // The `>` of an arrow closes nothing.
            '>' if depth > 0 && before != '-' => depth -= 1,
            c if depth == 0 => short.push(c),
            _ => {}
        }
        before = c;
    }
    short
        .replace("::::", "::")
        .trim_end_matches("::")
        .to_owned()
}

/// A symbol that firmware must not have: of an allocator, or of a division of 64-bit numbers, which costs over 500 bytes.
fn forbidden(symbols: &str) -> Option<&str> {
    const MARKERS: [&str; 9] = [
        "__rust_alloc",
        "__rust_realloc",
        "__rg_alloc",
        "__rdl_alloc",
        "uldivmod",
        "ldivmod",
        "udivdi3",
        "umoddi3",
        "udivmoddi4",
    ];
    let names = symbols
        .lines()
        .filter_map(|line| line.split_whitespace().last());
    names
        .into_iter()
        .find(|name| MARKERS.iter().any(|marker| name.contains(marker)))
}

/// From the table that `size` prints: text, data, bss.
fn sizes(table: &str) -> Option<(u32, u32)> {
    let mut numbers = table
        .lines()
        .nth(1)?
        .split_whitespace()
        .map(str::parse::<u32>);
    let (text, data, bss) = (
        numbers.next()?.ok()?,
        numbers.next()?.ok()?,
        numbers.next()?.ok()?,
    );
    Some((text + data, data + bss))
}

/// The functions that refer to one that panics, from a disassembly.
fn panic_paths(disassembly: &str) -> BTreeSet<String> {
    let mut paths = BTreeSet::new();
    let mut function = "";
    for line in disassembly.lines() {
        if let Some(name) = heading(line) {
            function = name;
        } else if !panics(function)
            && let Some((_, target)) = line.split_once('<')
            && let Some((target, _)) = target.rsplit_once('>')
            && panics(target)
        {
            paths.insert(function.to_owned());
        }
    }
    paths
}

/// `0000076c <name>:` begins a function.
fn heading(line: &str) -> Option<&str> {
    let (address, name) = line.strip_suffix(">:")?.split_once(" <")?;
    (!address.is_empty() && address.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(name)
}

/// Whether a function does nothing but panic, by the end of its name as the compiler writes it.
fn panics(function: &str) -> bool {
    // A reference into a function has an offset behind its name.
    let name = function.split("+0x").next().unwrap_or_default();
    name.contains("4core9panicking")
        || name.contains("rust_begin_unwind")
        || name.ends_with("_fail")
        || name.ends_with("_failed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_forbidden_is_found_by_its_symbols() {
        let clean =
            "00000010 00000004 T reset\n00000854 W __udivmodhi4\n00000010 T __aeabi_uidivmod\n";
        assert_eq!(forbidden(clean), None);
        for symbol in [
            "_RNvCs1_7___rustc12___rust_alloc",
            "__rg_alloc",
            "__aeabi_uldivmod",
            "__udivdi3",
        ] {
            let symbols = format!("{clean}00000200 T {symbol}\n");
            assert_eq!(forbidden(&symbols), Some(symbol));
            assert_eq!(forbidden(&format!("         U {symbol}\n")), Some(symbol));
        }
    }

    #[test]
    fn the_table_of_binutils_is_read() {
        let table = "   text\t   data\t    bss\t    dec\t    hex\tfilename\n   1252\t      4\t    512\t   1768\t    6e8\tempty\n";
        assert_eq!(sizes(table), Some((1256, 516)));
        assert_eq!(sizes("nonsense"), None);
    }

    #[test]
    fn arguments_of_generic_names_are_left_out() {
        for (name, short) in [
            (
                "<[u8]>::copy_within::<core::ops::range::Range<usize>>",
                "<[u8]>::copy_within",
            ),
            (
                "<device::Client<V3, Dialler<job<Uno>::{closure#0}, fn() -> u8>> as Timer>::turn::<Clock<Uno>>::{closure#0}",
                "<device::Client as Timer>::turn::{closure#0}",
            ),
            ("main", "main"),
        ] {
            assert_eq!(without_arguments(name), short);
        }
    }

    #[test]
    fn whoever_calls_what_panics_is_named() {
        let disassembly = "\
00000a7a <_RNvNtCsABC_4core9panicking9panic_fmt>:
     a7a:\tf000 f800 \tbl\t800 <_RNvCsDEF_7___rustc17rust_begin_unwind>
00000a82 <_RNvNtNtCsABC_4core5slice20copy_from_slice_impl17len_mismatch_fail>:
     a86:\tf7ff fff8 \tbl\ta7a <_RNvNtCsABC_4core9panicking9panic_fmt>
00000b00 <_RNvCsGHI_10mqtt_codec3put>:
     b06:\tf7ff fff8 \tbl\ta82 <_RNvNtNtCsABC_4core5slice20copy_from_slice_impl17len_mismatch_fail>
     b08:\tf7ff fff8 \tbl\tb00 <_RNvCsGHI_10mqtt_codec3put>
00000c00 <main>:
 c04:\t0e 94 51 00 \tcall\t0xa7a\t; 0xa7a <_RNvNtCsABC_4core9panicking9panic_fmt>
 c08:\t0e 94 51 00 \tcall\t0xb04\t; 0xb04 <_RNvCsGHI_10mqtt_codec3put+0x4>
00000d00 <fails>:
     d06:\te7fe \tb.n\td00 <fails>
";
        let expected = ["_RNvCsGHI_10mqtt_codec3put", "main"];
        let found: Vec<_> = panic_paths(disassembly).into_iter().collect();
        assert_eq!(found, expected);
        assert!(panic_paths("").is_empty());
    }
}
