//! A UART that is the connection: what is at its other end leads to a broker.

use embedded_io::{Read, ReadReady};
use firmware_board::Board;
use mqtt_device::Dial;

/// How long nothing must come before a connection begins, in milliseconds.
const QUIET_MS: u64 = 200;
/// How often that is waited for, at most: a line that never rests is used as it is, and its garbage is found out.
const PATIENCE: u8 = 50;

/// Connections over a UART with a converter behind it that opens one to the broker for every CONNECT.
///
/// Nobody can tell the other end that a connection is over: it learns so from the next CONNECT. What still comes in from an earlier
/// connection is thrown away before.
#[derive(Debug)]
pub struct Line<'b, B, U> {
    board: &'b B,
    uart: U,
}

impl<'b, B: Board, U: Read + ReadReady> Line<'b, B, U> {
    /// Connections over this UART.
    pub const fn new(board: &'b B, uart: U) -> Self {
        Self { board, uart }
    }
}

impl<B: Board, U: Read + ReadReady> Dial for Line<'_, B, U> {
    type Connection = U;
    type Error = U::Error;

    fn dial(&mut self) -> Result<(), U::Error> {
        for _ in 0..PATIENCE {
            let quiet = self.board.now().plus_millis(QUIET_MS);
            loop {
                if self.uart.read_ready()? {
                    // Bytes that were lost are no loss.
                    let _ = self.uart.read(&mut [0; 16]);
                    break;
                }
                if self.board.now() >= quiet {
                    return Ok(());
                }
                self.board.idle(Some(quiet));
            }
        }
        Ok(())
    }

    fn connection(&mut self) -> Option<&mut U> {
        Some(&mut self.uart)
    }

    fn hang_up(&mut self) {}
}
