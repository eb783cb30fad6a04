//! Does each operation once under callgrind, which counts the instructions of [`measured`] alone: `cargo xtask bench --check`.
//!
//! Prints the names of the operations and what their counts are to be divided by, in the order of the dumps.
#![expect(clippy::print_stdout, reason = "the names are what it is run for")]

use mqtt_cases::Op;

fn main() {
    for mut op in mqtt_cases::all_ops() {
        // Tables are made, and buffers grow, when they are first used.
        op.run(3);
        measured(&mut op);
        println!("{}\t{}", op.units * TIMES, op.name);
    }
}

/// Enough that the loop around it does not count.
const TIMES: u32 = 20;

#[inline(never)]
fn measured(op: &mut Op) {
    op.run(TIMES);
    // Not a jump out of here, but a return: that is where the counts are dumped.
    core::hint::black_box(op);
}
