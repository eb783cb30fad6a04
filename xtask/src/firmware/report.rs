//! The tables: what programs take, what has changed, which bars are missed.

use std::collections::BTreeSet;

use super::boards::Board;
use super::programs::{Bar, Table};
use super::record::{Comparison, RECORD, Size, Sizes};
use crate::shell::{bold, green, red, yellow};

/// A program on a board.
pub(super) struct Measured {
    pub(super) board: &'static Board,
    pub(super) size: Size,
    /// The peak of the stack, where it was run.
    pub(super) stack: Option<u32>,
    /// The functions from which a way to a panic is left.
    pub(super) panics: BTreeSet<String>,
}

/// Prints all programs by board, the peers beside those of the Cortex-M3, and what is left of panics.
pub(super) fn print(table: &Table, rows: &[Measured]) {
    let mut board: Option<&Board> = None;
    for row in rows {
        if board != Some(row.board) {
            board = Some(row.board);
            let heading = format!(
                "{}: {} ({})",
                row.board.name, row.board.about, row.board.target
            );
            println!("\n{}", bold(&heading));
            println!(
                "  {:<24} {:>8} {:>7} {:>7} {:>7}",
                "program", "flash B", "RAM B", "stack B", "panics"
            );
        }
        let about = table
            .programs
            .iter()
            .find(|program| program.name == row.size.program)
            .map_or("", |program| &program.about);
        println!(
            "  {:<24} {:>8} {:>7} {:>7} {:>7}  {about}",
            row.size.program,
            row.size.flash,
            bytes(row.size.ram),
            bytes(row.stack),
            row.panics.len(),
        );
    }
    println!(
        "\n{}",
        bold("other clients on a Cortex-M3, the same job, measured once")
    );
    for peer in &table.peers {
        let name = &peer.name;
        println!(
            "  {name:<24} {:>8} {:>7} {:>15}  {}",
            peer.flash,
            bytes(peer.ram),
            "",
            peer.about
        );
    }
    println!(
        "Flash: text and data less those of `empty` on the same board. RAM: data, bss and the peak of the stack while it ran.\n\
         `memcpy` and its like are those of mqtt-device/firmware/mem; in the other Rust clients they are the compiler's, about 1,000 bytes more."
    );
    print_panics(rows);
}

/// The functions, each with the programs in which it is.
fn print_panics(rows: &[Measured]) {
    let functions: BTreeSet<&String> = rows.iter().flat_map(|row| &row.panics).collect();
    if functions.is_empty() {
        return;
    }
    println!("\n{}", bold("from where a panic can be reached"));
    for function in functions {
        let programs: Vec<String> = rows
            .iter()
            .filter(|row| row.panics.contains(function))
            .map(|row| format!("{}/{}", row.board.name, row.size.program))
            .collect();
        println!("  {function}\n      {}", programs.join(", "));
    }
}

/// Prints what has changed since the record.
pub(super) fn print_comparison(comparison: &Comparison) {
    println!();
    for grown in &comparison.grown {
        println!("{} {grown}", red("grown"));
    }
    for remark in &comparison.remarks {
        println!("{remark}");
    }
    if !comparison.comparable {
        println!("{RECORD} is of another compiler: shown and not judged.");
    } else if !comparison.grown.is_empty() {
        println!(
            "Over 2 % more than {RECORD} says; if that is worth it, `cargo xtask firmware --record`."
        );
    } else if !comparison.remarks.is_empty() {
        println!(
            "Nothing has grown; `cargo xtask firmware --record` writes down what is new, gone or smaller."
        );
    } else {
        println!("Every size is within 2 % of {RECORD}.");
    }
}

/// Prints the bars, and returns how many are missed.
pub(super) fn print_bars(table: &Table, sizes: &Sizes) -> usize {
    println!("\n{}", bold("bars"));
    let mut missed = 0;
    for bar in &table.bars {
        let verdicts = judge(bar, sizes.find(bar.board.name, &bar.program));
        missed += verdicts.iter().filter(|verdict| !verdict.held).count();
        for verdict in verdicts {
            let held = if verdict.held {
                green("held  ")
            } else {
                red("missed")
            };
            println!(
                "  {held} {} {}: {} ({})",
                bar.board.name, bar.program, verdict.text, bar.about
            );
        }
    }
    if missed > 0 {
        println!("{}", yellow(&format!("{missed} bars are missed")));
    }
    missed
}

struct Verdict {
    held: bool,
    text: String,
}

fn judge(bar: &Bar, size: Option<&Size>) -> Vec<Verdict> {
    let limits = [
        ("flash", bar.flash, size.map(|size| size.flash)),
        ("RAM", bar.ram, size.and_then(|size| size.ram)),
    ];
    let judged = limits.into_iter().filter_map(|(what, limit, taken)| {
        let limit = limit?;
        Some(match taken {
            Some(taken) => Verdict {
                held: taken <= limit,
                text: format!("{what} {taken} of {limit}"),
            },
            None => Verdict {
                held: false,
                text: format!("{what} of at most {limit}: there is no such program"),
            },
        })
    });
    judged.collect()
}

fn bytes(number: Option<u32>) -> String {
    number.map_or_else(|| "-".to_owned(), |bytes| bytes.to_string())
}

#[cfg(test)]
mod tests {
    use super::super::boards::BOARDS;
    use super::*;

    #[test]
    fn a_bar_is_held_up_to_its_last_byte() {
        let bar = Bar {
            board: &BOARDS[0],
            program: "client".to_owned(),
            about: String::new(),
            flash: Some(3072),
            ram: Some(1072),
        };
        let held = |flash, ram| {
            let size = Size {
                board: BOARDS[0].name.to_owned(),
                program: "client".to_owned(),
                flash,
                ram,
                least_ram: ram,
            };
            let verdicts = judge(&bar, Some(&size));
            verdicts.iter().map(|it| it.held).collect::<Vec<_>>()
        };
        assert_eq!(held(3072, Some(1072)), [true, true]);
        assert_eq!(held(3073, Some(1073)), [false, false]);
        assert_eq!(held(0, None), [true, false]);
        let absent = judge(&bar, None);
        assert!(absent.iter().all(|verdict| !verdict.held));
    }
}
