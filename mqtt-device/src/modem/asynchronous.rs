//! The async transport: a TCP stream over a UART with `embedded-io-async`.

use core::future::pending;

use crate::Timer;
use crate::first::first;
use embedded_io::{Error as _, ErrorType};
use embedded_io_async::{Read, Write};

use super::{Engine, ModemError, PIECE, Signal, Task};

/// A TCP connection through a modem on an async UART.
///
/// Every future may be dropped and the call repeated, provided that those of the UART's `read` and `write` may, as embassy's buffered
/// UARTs promise: what has arrived stays here. A write that was dropped has to be repeated with the same bytes before the next dial, for
/// the modem may be waiting for them; it ends by itself, in success or in an error, within the time-outs of its commands. The async client
/// does so, and gives a write that must end the time for that; only a goodbye while CONNECT itself is on its way to the modem, or a
/// [`Device::ANSWER_TIMEOUT_MS`](crate::Device::ANSWER_TIMEOUT_MS) of less than six seconds, leaves one ([`ModemError::Stuck`]).
#[derive(Debug)]
pub struct AsyncModem<'m, U, T> {
    uart: U,
    timer: T,
    engine: Engine<'m>,
}

impl<'m, U: Read + Write, T: Timer> AsyncModem<'m, U, T> {
    /// A modem on this UART.
    pub const fn new(uart: U, timer: T, engine: Engine<'m>) -> Self {
        Self {
            uart,
            timer,
            engine,
        }
    }

    /// The engine, for its settings and after a reset by hand.
    pub const fn engine(&mut self) -> &mut Engine<'m> {
        &mut self.engine
    }

    /// Opens the connection, from whatever state.
    pub async fn dial(&mut self) -> Result<(), ModemError> {
        self.run(Task::Dial).await
    }

    /// Closes the connection.
    pub async fn close(&mut self) -> Result<(), ModemError> {
        self.run(Task::Close).await
    }

    /// Strength of the signal; `None` if the modem does not know.
    pub async fn signal(&mut self) -> Result<Option<Signal>, ModemError> {
        self.run(Task::Signal).await?;
        Ok(self.engine.signal())
    }

    /// Has the modem save power until [`AsyncModem::wake`]; `seconds` is for modems that wake up by themselves.
    pub async fn sleep(&mut self, seconds: u16) -> Result<(), ModemError> {
        self.run(Task::Sleep(seconds)).await
    }

    /// Ends [`AsyncModem::sleep`]. A dial does that too.
    pub async fn wake(&mut self) -> Result<(), ModemError> {
        self.run(Task::Wake).await
    }

    async fn run(&mut self, task: Task) -> Result<(), ModemError> {
        loop {
            let now = self.timer.now();
            if let Some(result) = self.engine.run(task, now) {
                return result;
            }
            self.turn(&[]).await?;
        }
    }

    /// Moves some bytes, or waits until there are some or something is due.
    async fn turn(&mut self, payload: &[u8]) -> Result<(), ModemError> {
        let output = self.engine.output(payload);
        if !output.is_empty() {
            match self.uart.write(output).await {
                Ok(count) => self.engine.sent(count, self.timer.now()),
                Err(error) => return Err(self.engine.write_failed(error.kind())),
            }
            if self.engine.output(payload).is_empty()
                && let Err(error) = self.uart.flush().await
            {
                return Err(self.engine.write_failed(error.kind()));
            }
            return Ok(());
        }
        let deadline = self.engine.deadline(self.timer.now());
        let timer = &mut self.timer;
        let due = async {
            match deadline {
                Some(deadline) => timer.until(deadline).await,
                None => pending().await,
            }
        };
        let mut buffer = [0; PIECE];
        let read = first(self.uart.read(&mut buffer), due).await;
        let now = self.timer.now();
        match read {
            Some(Ok(0)) => {
                return Err(self.engine.write_failed(embedded_io::ErrorKind::BrokenPipe));
            }
            Some(Ok(count)) => self
                .engine
                .received(buffer.get(..count).unwrap_or_default(), now),
            Some(Err(error)) => {
                if let Some(error) = self.engine.read_failed(error.kind()) {
                    return Err(error);
                }
            }
            None => {}
        }
        self.engine.timeout(now);
        Ok(())
    }
}

impl<U, T> ErrorType for AsyncModem<'_, U, T> {
    type Error = ModemError;
}

impl<U: Read + Write, T: Timer> Read for AsyncModem<'_, U, T> {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ModemError> {
        loop {
            let now = self.timer.now();
            if let Some(result) = self.engine.read(buffer, now) {
                return result;
            }
            self.turn(&[]).await?;
        }
    }
}

impl<U: Read + Write, T: Timer> Write for AsyncModem<'_, U, T> {
    async fn write(&mut self, payload: &[u8]) -> Result<usize, ModemError> {
        loop {
            let now = self.timer.now();
            if let Some(result) = self.engine.write(payload, now) {
                return result;
            }
            self.turn(payload).await?;
        }
    }

    /// Nothing waits: a write is done when the modem has the bytes.
    async fn flush(&mut self) -> Result<(), ModemError> {
        Ok(())
    }
}

impl<U: Read + Write, T: Timer> crate::asynchronous::Dial for AsyncModem<'_, U, T> {
    type Connection = Self;
    type Error = ModemError;

    async fn dial(&mut self) -> Result<(), ModemError> {
        AsyncModem::dial(self).await
    }

    fn connection(&mut self) -> Option<&mut Self> {
        Some(self)
    }

    /// Nothing: the next dial begins from whatever state, and closes what is open.
    fn hang_up(&mut self) {}

    fn is_midway(&self) -> bool {
        self.engine.is_midway()
    }
}
