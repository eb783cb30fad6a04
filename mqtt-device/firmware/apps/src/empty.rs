//! The program that all others are measured against: it uses every service of its board, and does nothing with them.

use core::hint::black_box;

use embedded_io::{Read, ReadReady, Write};
use firmware_board::Board;

/// Waits for one byte, sends it back, and ends.
pub fn run<B: Board, C: Read + Write + ReadReady>(board: &B, mut connection: C) -> u8 {
    let mut byte = [black_box(board.temperature()) as u8 ^ black_box(board.random()) as u8];
    while !connection.read_ready().unwrap_or(true) {
        board.idle(Some(board.now().plus_millis(1_000)));
    }
    let outcome = connection
        .read(&mut byte)
        .and_then(|_| connection.write(&byte))
        .and_then(|_| connection.flush());
    u8::from(outcome.is_err())
}
