//! Shows that a board works: sends back what it gets, and says how deep the stack was and how long it slept.

use embedded_io::{Read, ReadReady, Write};
use firmware_board::{Board, Decimal};

/// The byte that ends the program with success.
pub const END: u8 = 4;

/// The byte that asks for a line about the board.
pub const ASK: u8 = b'?';

/// Echoes; answers [`ASK`] with `stack N, wakes N, ms N`; ends at [`END`], or with 1 when the connection fails.
pub fn run<B: Board, C: Read + Write + ReadReady>(board: &B, mut connection: C) -> u8 {
    match talk(board, &mut connection) {
        Ok(()) => 0,
        Err(_) => 1,
    }
}

fn talk<B: Board, C: Read + Write + ReadReady>(
    board: &B,
    connection: &mut C,
) -> Result<(), C::Error> {
    let mut wakes = 0_u16;
    send(connection, b"hello\n")?;
    loop {
        while !connection.read_ready()? {
            board.idle(None);
            wakes = wakes.wrapping_add(1);
        }
        let mut buffer = [0; 16];
        let count = connection.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        for byte in buffer.iter().take(count) {
            match *byte {
                END => return connection.flush(),
                ASK => {
                    let stack = board.stack_peak().unwrap_or_default() as u16;
                    let ms = board.now().as_millis() as u16;
                    for (name, number) in [("stack ", stack), (", wakes ", wakes), (", ms ", ms)] {
                        send(connection, name.as_bytes())?;
                        send(connection, Decimal::new(number).as_bytes())?;
                    }
                    send(connection, b"\n")?;
                }
                // Sleeps for that many tenths of a second, to be measured from outside; bytes that come meanwhile wait.
                tenths @ b'0'..=b'9' => {
                    let end = board.now().plus_millis(u64::from(tenths - b'0') * 100);
                    while board.now() < end {
                        board.idle(Some(end));
                    }
                    send(connection, &[tenths])?;
                }
                other => send(connection, &[other])?,
            }
        }
        connection.flush()?;
    }
}

/// All bytes; `write_all` of embedded-io panics on a connection that takes none.
fn send<C: Write>(connection: &mut C, mut bytes: &[u8]) -> Result<(), C::Error> {
    while !bytes.is_empty() {
        let count = connection.write(bytes)?;
        bytes = bytes.get(count.max(1)..).unwrap_or_default();
    }
    Ok(())
}
