//! The same as [`hello`](crate::hello) with futures: shows that a board wakes up what waits for bytes and for time.

use embedded_io_async::{Read, Write};
use firmware_board::{Board, Clock, Decimal, block_on};

use crate::hello::{ASK, END};

/// Echoes; answers [`ASK`] with `stack N, wakes N, ms N`; ends at [`END`], or with 1 when the connection fails.
pub fn run<B: Board, C: Read + Write>(board: &B, mut connection: C) -> u8 {
    let clock = Clock::new(board);
    match block_on(&clock, talk(board, &clock, &mut connection)) {
        Ok(()) => 0,
        Err(_) => 1,
    }
}

async fn talk<B: Board, C: Read + Write>(
    board: &B,
    clock: &Clock<'_, B>,
    connection: &mut C,
) -> Result<(), C::Error> {
    send(connection, b"hello\n").await?;
    loop {
        let mut buffer = [0; 16];
        let count = connection.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        for byte in buffer.iter().take(count) {
            match *byte {
                END => return connection.flush().await,
                ASK => {
                    let stack = board.stack_peak().unwrap_or_default() as u16;
                    let (wakes, ms) = (clock.wakes(), clock.now().as_millis() as u16);
                    for (name, number) in [("stack ", stack), (", wakes ", wakes), (", ms ", ms)] {
                        send(connection, name.as_bytes()).await?;
                        send(connection, Decimal::new(number).as_bytes()).await?;
                    }
                    send(connection, b"\n").await?;
                }
                tenths @ b'0'..=b'9' => {
                    let ms = u64::from(tenths - b'0') * 100;
                    clock.until(clock.now().plus_millis(ms)).await;
                    send(connection, &[tenths]).await?;
                }
                other => send(connection, &[other]).await?,
            }
        }
        connection.flush().await?;
    }
}

/// All bytes; `write_all` of embedded-io panics on a connection that takes none.
async fn send<C: Write>(connection: &mut C, mut bytes: &[u8]) -> Result<(), C::Error> {
    while !bytes.is_empty() {
        let count = connection.write(bytes).await?;
        bytes = bytes.get(count.max(1)..).unwrap_or_default();
    }
    Ok(())
}
